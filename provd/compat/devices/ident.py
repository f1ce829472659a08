"""Parts that request-processing files are made of (contract: plugin API §9, processing §§2-4).

An extractor reads from a request what it tells of the phone (a *device info*), a retriever finds
or creates the device, an updater brings it up to date. The pipeline that serves phones by default
does the same without these classes.
"""

# ruff: noqa: ARG002 - all updaters have one shape, few need all of it

from __future__ import annotations

import abc
import logging
from typing import TYPE_CHECKING, Any, TypedDict

from twisted.internet import defer

from provd.logs import log_security
from provd.manager.extraction import vote
from provd.model.requests import RequestType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from provd.compat.application import Application

__all__ = [
    "REQUEST_TYPE_DHCP",
    "REQUEST_TYPE_HTTP",
    "REQUEST_TYPE_TFTP",
    "AbstractDeviceInfoExtractor",
    "AbstractDeviceRetriever",
    "AbstractDeviceUpdater",
    "AddDeviceRetriever",
    "AddInfoDeviceUpdater",
    "AllPluginsDeviceInfoExtractor",
    "AutocreateConfigDeviceUpdater",
    "CollaboratingDeviceInfoExtractor",
    "CompositeDeviceUpdater",
    "DHCPRequest",
    "DynamicDeviceUpdater",
    "FirstCompositeDeviceRetriever",
    "IpDeviceRetriever",
    "LastSeenUpdater",
    "MacDeviceRetriever",
    "NullDeviceUpdater",
    "RemoveOutdatedIpDeviceUpdater",
    "RequestType",
    "SearchDeviceRetriever",
    "SerialNumberDeviceRetriever",
    "StandardDeviceInfoExtractor",
    "UUIDDeviceRetriever",
    "VotingUpdater",
]

logger = logging.getLogger(__name__)

Document = dict[str, Any]
Info = dict[str, Any]

# Names of an older generation; a RequestType equals its text.
REQUEST_TYPE_HTTP = RequestType.HTTP.value
REQUEST_TYPE_TFTP = RequestType.TFTP.value
REQUEST_TYPE_DHCP = RequestType.DHCP.value

_CONTRADICTING = ("mac", "vendor", "model")


class DHCPRequest(TypedDict):
    """What is told of a lease; option values have one character per byte."""

    ip: str
    mac: str
    options: dict[int, str]


# Extractors


class AbstractDeviceInfoExtractor(abc.ABC):
    """Reads a device info from a request."""

    @abc.abstractmethod
    def extract(self, request: Any, request_type: RequestType | str) -> defer.Deferred[Info | None]:
        """Fire with a device info, or something false where there is none."""


class StandardDeviceInfoExtractor(AbstractDeviceInfoExtractor):
    """Gives what every request tells: the address, and for DHCP the MAC address."""

    def extract(self, request: Any, request_type: RequestType | str) -> defer.Deferred[Info | None]:
        if request_type == RequestType.HTTP:
            return defer.succeed({"ip": request.getClientIP()})
        if request_type == RequestType.TFTP:
            return defer.succeed({"ip": request["address"][0]})
        return defer.succeed({"ip": request["ip"], "mac": request["mac"]})


class LastSeenUpdater:
    """Combines device infos: a later value replaces an earlier one."""

    def __init__(self) -> None:
        self.dev_info: Info = {}

    def update(self, dev_info: Mapping[str, Any]) -> None:
        """Take one more device info into account."""
        self.dev_info.update(dev_info)


class VotingUpdater:
    """Combines device infos: the value given most often wins, among equals the first one."""

    def __init__(self) -> None:
        self._ballots: list[Info] = []

    @property
    def dev_info(self) -> Info:
        """The winners so far."""
        return vote(self._ballots)

    def update(self, dev_info: Mapping[str, Any]) -> None:
        """Take one more device info into account."""
        self._ballots.append(dict(dev_info))


class CollaboratingDeviceInfoExtractor(AbstractDeviceInfoExtractor):
    """Asks several extractors and combines what they say by a new `updater_factory()`.

    One that fails is logged and left out.
    """

    def __init__(
        self, updater_factory: Callable[[], Any], extractors: Iterable[AbstractDeviceInfoExtractor]
    ) -> None:
        self._updater_factory = updater_factory
        self._extractors = list(extractors)

    def extract(self, request: Any, request_type: RequestType | str) -> defer.Deferred[Info | None]:
        return defer.Deferred.fromCoroutine(self._extract(request, request_type))

    async def _extract(self, request: Any, request_type: RequestType | str) -> Info:
        asked = [
            defer.maybeDeferred(extractor.extract, request, request_type)
            for extractor in self._extractors
        ]
        updater = self._updater_factory()
        answers: list[tuple[bool, Any]] = await defer.DeferredList(asked, consumeErrors=True)
        for extractor, (is_success, answer) in zip(self._extractors, answers, strict=True):
            if not is_success:
                logger.warning("the extractor %r failed: %s", extractor, answer.value)
            elif answer:
                updater.update(answer)
        info: Info = updater.dev_info
        return info


class AllPluginsDeviceInfoExtractor(AbstractDeviceInfoExtractor):
    """Asks the extractors of all loaded plugins, put together by `extractor_factory(list)`."""

    def __init__(
        self,
        extractor_factory: Callable[[list[Any]], AbstractDeviceInfoExtractor],
        pg_mgr: Any,
    ) -> None:
        self._factory = extractor_factory
        self._pg_mgr = pg_mgr
        self._extractors: dict[str, AbstractDeviceInfoExtractor] = {}
        pg_mgr.attach(self)

    def pg_load(self, pg_id: str) -> None:
        """Take note of a plugin that was loaded."""
        self._extractors.clear()

    def pg_unload(self, pg_id: str) -> None:
        """Take note of a plugin that was unloaded."""
        self._extractors.clear()

    def extract(self, request: Any, request_type: RequestType | str) -> defer.Deferred[Info | None]:
        kind = RequestType(request_type).value
        if kind not in self._extractors:
            found = (
                getattr(plugin, f"{kind}_dev_info_extractor", None)
                for plugin in self._pg_mgr.values()
            )
            self._extractors[kind] = self._factory([one for one in found if one is not None])
        return self._extractors[kind].extract(request, request_type)


# Retrievers


class AbstractDeviceRetriever(abc.ABC):
    """Finds the device that a device info is about."""

    @abc.abstractmethod
    def retrieve(self, dev_info: Info) -> defer.Deferred[Document | None]:
        """Fire with a device, or None."""


class SearchDeviceRetriever(AbstractDeviceRetriever):
    """Finds the first device that has the same value for a key."""

    def __init__(self, app: Application, key: str) -> None:
        self._app = app
        self._key = key

    def retrieve(self, dev_info: Info) -> defer.Deferred[Document | None]:
        value = dev_info.get(self._key)
        if value is None:
            return defer.succeed(None)
        return self._app.dev_find_one({self._key: value})


class MacDeviceRetriever(SearchDeviceRetriever):
    """Finds a device by its MAC address."""

    def __init__(self, app: Application) -> None:
        super().__init__(app, "mac")


class SerialNumberDeviceRetriever(SearchDeviceRetriever):
    """Finds a device by its serial number."""

    def __init__(self, app: Application) -> None:
        super().__init__(app, "sn")


class UUIDDeviceRetriever(SearchDeviceRetriever):
    """Finds a device by its UUID."""

    def __init__(self, app: Application) -> None:
        super().__init__(app, "uuid")


class IpDeviceRetriever(AbstractDeviceRetriever):
    """Finds the only device at an address that the device info does not contradict."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def retrieve(self, dev_info: Info) -> defer.Deferred[Document | None]:
        return defer.Deferred.fromCoroutine(self._retrieve(dev_info))

    async def _retrieve(self, dev_info: Info) -> Document | None:
        ip = dev_info.get("ip")
        if ip is None:
            return None
        found = [
            device
            for device in await self._app.dev_find({"ip": ip})
            if not any(
                key in device and key in dev_info and device[key] != dev_info[key]
                for key in _CONTRADICTING
            )
        ]
        if len(found) > 1:
            logger.warning("%d devices have the address %s; none of them is taken", len(found), ip)
        return found[0] if len(found) == 1 else None


class AddDeviceRetriever(AbstractDeviceRetriever):
    """Creates a device of the device info; None if that fails."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def retrieve(self, dev_info: Info) -> defer.Deferred[Document | None]:
        return defer.Deferred.fromCoroutine(self._retrieve(dev_info))

    async def _retrieve(self, dev_info: Info) -> Document | None:
        try:
            device_id = await self._app.dev_insert({**dev_info, "added": "auto"})
        except defer.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the reason, there is no device
            logger.error("no device is created for %s: %s", dev_info.get("ip"), error)
            return None
        if dev_info.get("ip"):
            log_security("New device created automatically from %s: %s", dev_info["ip"], device_id)
        return await self._app.dev_retrieve(device_id)


class FirstCompositeDeviceRetriever(AbstractDeviceRetriever):
    """Asks retrievers in order, until one finds a device."""

    def __init__(self, retrievers: Iterable[AbstractDeviceRetriever] = ()) -> None:
        self.retrievers = list(retrievers)

    def retrieve(self, dev_info: Info) -> defer.Deferred[Document | None]:
        return defer.Deferred.fromCoroutine(self._retrieve(dev_info))

    async def _retrieve(self, dev_info: Info) -> Document | None:
        for retriever in self.retrievers:
            device = await retriever.retrieve(dev_info)
            if device is not None:
                return device
        return None


# Updaters


class AbstractDeviceUpdater(abc.ABC):
    """Brings a device up to date with a device info."""

    @abc.abstractmethod
    def update(
        self, device: Document, dev_info: Info, request: Any, request_type: RequestType | str
    ) -> defer.Deferred[Any]:
        """Change `device` in place; fires, with nothing of interest, when that is done."""


class NullDeviceUpdater(AbstractDeviceUpdater):
    """Leaves devices as they are."""

    def update(
        self, device: Document, dev_info: Info, request: Any, request_type: RequestType | str
    ) -> defer.Deferred[Any]:
        return defer.succeed(None)


class DynamicDeviceUpdater(AbstractDeviceUpdater):
    """Copies certain keys of the device info; those the device has only with `force_update`."""

    def __init__(self, keys: str | Iterable[str], force_update: bool = False) -> None:
        self._keys = (keys,) if isinstance(keys, str) else tuple(keys)
        self._force_update = force_update

    def update(
        self, device: Document, dev_info: Info, request: Any, request_type: RequestType | str
    ) -> defer.Deferred[Any]:
        for key in self._keys:
            if key in dev_info and (self._force_update or key not in device):
                device[key] = dev_info[key]
        return defer.succeed(None)


class AddInfoDeviceUpdater(AbstractDeviceUpdater):
    """Copies each key of the device info that the device lacks."""

    def update(
        self, device: Document, dev_info: Info, request: Any, request_type: RequestType | str
    ) -> defer.Deferred[Any]:
        for key, value in dev_info.items():
            device.setdefault(key, value)
        return defer.succeed(None)


class AutocreateConfigDeviceUpdater(AbstractDeviceUpdater):
    """Gives a device without config a new one, made from the autocreate config."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def update(
        self, device: Document, dev_info: Info, request: Any, request_type: RequestType | str
    ) -> defer.Deferred[Any]:
        return defer.Deferred.fromCoroutine(self._update(device))

    async def _update(self, device: Document) -> None:
        if not device.get("config"):
            config_id = await self._app.cfg_create_new()
            if config_id is not None:
                device["config"] = config_id


class RemoveOutdatedIpDeviceUpdater(AbstractDeviceUpdater):
    """Takes the address from other devices that had it before, unless phones share addresses."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def update(
        self, device: Document, dev_info: Info, request: Any, request_type: RequestType | str
    ) -> defer.Deferred[Any]:
        return defer.Deferred.fromCoroutine(self._update(device, dev_info))

    async def _update(self, device: Document, dev_info: Info) -> None:
        if self._app.nat or not dev_info.get("ip"):
            return
        outdated = {"ip": dev_info["ip"], "id": {"$ne": device.get("id")}}
        for other in await self._app.dev_find(outdated):
            del other["ip"]
            await self._app.dev_update(other)


class CompositeDeviceUpdater(AbstractDeviceUpdater):
    """Runs updaters in order."""

    def __init__(self, updaters: Iterable[AbstractDeviceUpdater] = ()) -> None:
        self.updaters = list(updaters)

    def update(
        self, device: Document, dev_info: Info, request: Any, request_type: RequestType | str
    ) -> defer.Deferred[Any]:
        return defer.Deferred.fromCoroutine(self._update(device, dev_info, request, request_type))

    async def _update(
        self, device: Document, dev_info: Info, request: Any, request_type: RequestType | str
    ) -> None:
        for updater in self.updaters:
            await updater.update(device, dev_info, request, request_type)
