"""From a phone's request to its device and plugin (contract: request processing §§1-5, 7, 8).

A known phone whose facts did not change is dealt with by `identify_now`, which reads memory only:
no await, no write, no render. All else goes through `identify`, under a lock for that phone, so
that two first requests of one phone make one device.

Each of the stages (extract the info, retrieve the device, update it) may be replaced by an object
of a request-processing file. Such an object is asked for every request, the known phone's too.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet import defer

from provd.errors import (
    IdentityTaken,
    NotServed,
    PluginError,
    ProvdError,
    StoreError,
    TenantUnknown,
)
from provd.logs import log_security
from provd.manager.association import associate
from provd.manager.locks import KeyedLocks, finish
from provd.manager.manager import Change, sip_username
from provd.manager.metrics import Metrics
from provd.model.documents import as_bool, copy_json
from provd.model.identities import identities
from provd.model.ids import new_id
from provd.plugin.base import RequestType

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from provd.manager.cluster import Cluster
    from provd.manager.extraction import Extraction, Info
    from provd.manager.limits import CreationLimits
    from provd.manager.manager import DeviceManager
    from provd.manager.parameters import Parameters
    from provd.plugin.host import LoadedPlugin, PluginHost
    from provd.store.interface import Record

logger = logging.getLogger(__name__)

_CONTRADICTING = ("mac", "vendor", "model")
_FORCED = ("ip", "version")
_BINDING = ("vendor", "model")
STAGE_TIMEOUT = 10.0
"""Seconds that an object of a request-processing file may take."""
_MAX_CANDIDATES = 200
_MAX_NAMES = 20_000
_RECOUNT_SECONDS = 60.0
_TOLD_WITHOUT_NAME = ("vendor", "model", "version")
_REMEMBERED_SECONDS = 300.0
_MAX_NAMELESS = 10_000


@attrs.frozen(slots=True)
class Identified:
    """What became of a request: its device and the plugin that serves it, where there are any."""

    number: int
    info: Info
    record: Record | None
    loaded: LoadedPlugin | None
    found_by: str | None = None
    """What told which device it is: mac, sn, uuid, ip, `new device`, or a custom stage's name."""

    @property
    def device(self) -> dict[str, Any] | None:
        """The device document, shared; not to be modified."""
        return self.record.document if self.record is not None else None


class Pipeline:
    """Recognises phones, creates and updates their devices.

    Each stage is the name of a built-in variant, or an object: `info_extractor` with a method
    `extract(request, kind)`, `retriever` with `retrieve(info)`, `updater` with `update(device,
    info, request, kind)`.
    """

    def __init__(
        self,
        *,
        clock: Any,
        manager: DeviceManager,
        host: PluginHost,
        extraction: Extraction,
        limits: CreationLimits,
        parameters: Parameters,
        metrics: Metrics | None = None,
        max_unclaimed: int,
        info_extractor: Any = "default",
        retriever: Any = "default",
        updater: Any = "default",
    ) -> None:
        self._manager = manager
        self._host = host
        self._extraction = extraction
        self._limits = limits
        self._parameters = parameters
        self._metrics = metrics or Metrics()
        self._max_unclaimed = max_unclaimed
        self._extractor = None if isinstance(info_extractor, str) else info_extractor
        self._retriever = None if isinstance(retriever, str) else retriever
        self._updater = None if isinstance(updater, str) else updater
        objects = (self._extractor, self._retriever, self._updater)
        self._is_built_in = objects == (None, None, None)
        self._creates = retriever == "default"
        self._keys = ("mac", "sn") if retriever == "secure" else ("mac", "sn", "uuid")
        self._updates = updater == "default"
        self._locks = KeyedLocks(clock)
        self._number = 0
        self._clock = clock
        self._nameless: OrderedDict[str, tuple[float, Info]] = OrderedDict()
        """What phones without a name told lately, by address; their next request may have one."""
        self._unclaimed: int | None = None
        self._counted_at = 0.0
        self.created = 0
        self.cluster: Cluster | None = None
        """Where other nodes write, too."""

    def _next_number(self) -> int:
        self._number = (self._number + 1) % 100
        return self._number

    # The known phone

    def identify_now(
        self, kind: RequestType, request: Any, ip: str, filename: str
    ) -> Identified | None:
        """Return the outcome if memory suffices to tell it and nothing needs to change."""
        if self.cluster is not None:
            return None
        return self._from_memory(kind, request, ip, filename)

    def _from_memory(
        self, kind: RequestType, request: Any, ip: str, filename: str
    ) -> Identified | None:
        if not self._is_built_in:
            return None
        info = self._extraction.remembered(kind, request)
        if info is None:
            return None
        record, found_by = self._peek(info, ip)
        if record is None:
            return None
        device = record.document
        if self._updates and not self._is_current(info, ip, device):
            return None
        plugin_id = device.get("plugin")
        loaded = self._host.get(plugin_id) if plugin_id else None
        if loaded is None:
            return Identified(self._next_number(), info, record, None, found_by)
        verified = self._manager.fresh(record, loaded)
        if verified is None:
            return None
        if verified.trigger is not None and verified.trigger == filename and device["configured"]:
            config = self._manager.configs.cache.peek(device.get("config") or "")
            username = sip_username(config.document if config is not None else None)
            if username is not None and username != device.get("remote_state_sip_username"):
                return None
        return Identified(self._next_number(), info, record, loaded, found_by)

    def _peek(self, info: Info, ip: str) -> tuple[Record | None, str | None]:
        """Return the device that the request names, None unless memory tells it for certain."""
        devices = self._manager.devices
        found: str | None = None
        found_by: str | None = None
        for key in self._keys:
            value = info.get(key)
            if value is None:
                continue
            ids = devices.peek_ids(key, value)
            if ids is None or len(ids) > 1:
                return None, None
            if ids and found is None:
                found, found_by = ids[0], key
            elif ids and ids[0] != found:
                return None, None
        if found is not None:
            return devices.peek(found), found_by
        ids = devices.peek_ids("ip", ip)
        if ids is None or len(ids) != 1:
            return None, None
        record = devices.peek(ids[0])
        if record is not None and _contradicts(record.document, info):
            return None, None
        return record, "ip"

    def _is_current(self, info: Info, ip: str, device: dict[str, Any]) -> bool:
        if device.get("ip") != ip or not device.get("plugin") or not device.get("config"):
            return False
        for key, value in info.items():
            if key not in device:
                return False
            if key == "version" and device[key] != value:
                return False
            if key == "vendor" and device[key] != value and device.get("added") == "auto":
                return False
        return self._parameters.nat or self._manager.devices.peek_ids("ip", ip) == (device["id"],)

    # Everybody else

    async def identify(
        self, kind: RequestType, request: Any, ip: str, filename: str | None
    ) -> Identified:
        """Return the outcome of a request, creating and updating the device as it takes."""
        started = time.perf_counter()
        try:
            return await self._identify(kind, request, ip, filename)
        finally:
            self._metrics.identify.observe(time.perf_counter() - started)

    async def _identify(
        self, kind: RequestType, request: Any, ip: str, filename: str | None
    ) -> Identified:
        if self.cluster is not None:
            try:
                await self.cluster.catch_up()
            except StoreError as error:
                # Known phones go on being served from what is rendered.
                logger.debug("the other nodes cannot be followed: %s", error)
            if kind is not RequestType.DHCP:
                remembered = self._from_memory(kind, request, ip, filename or "")
                if remembered is not None:
                    return remembered
        number = self._next_number()
        info = await self._extract(kind, request, ip)
        logger.debug("<%d> extracted info: %s", number, info)
        known = (name for name in (*self._keys, "ip") if isinstance(info.get(name), str))
        key = next(known, None)
        phone = (key, info[key]) if key is not None else ("ip", ip)
        # A phone that hangs up must not leave its device half-made.
        record, found_by = await finish(self._settle(phone, number, info, kind, request, filename))
        loaded = self._host.get(record.document.get("plugin")) if record is not None else None
        if (
            record is not None
            and loaded is not None
            and kind is not RequestType.DHCP
            and self._manager.fresh(record, loaded) is None
        ):
            record = await self._manager.refresh_for_phone(record.id)
            loaded = self._host.get(record.document.get("plugin")) if record else None
        if record is None and self._creates and self._updates and not identities(info):
            # Common files are for all; what its own are called is not told.
            loaded = self._host.get(associate(self._host, info))
            self._remember_nameless(ip, info)
        return Identified(number, info, record, loaded, found_by)

    @property
    def can_look_up(self) -> bool:
        """Whether phones can be looked up: a retriever of the operator's own may make devices."""
        return self._retriever is None

    async def look_up(self, kind: RequestType, request: Any, ip: str) -> Identified:
        """Return the outcome that a request would have, and make and change no device.

        A phone without a device is routed to the plugin that its device would get.
        """
        if self.cluster is not None:
            try:
                await self.cluster.catch_up()
            except StoreError as error:
                logger.debug("the other nodes cannot be followed: %s", error)
        info = await self._extract(kind, request, ip)
        record, found_by = await self._retrieve(info)
        device = record.document if record is not None else None
        plugin_id = device.get("plugin") if device is not None else None
        if not plugin_id and self._updates and (device is not None or self._creates):
            plugin_id = associate(self._host, info)
        loaded = self._host.get(plugin_id) if plugin_id else None
        if (
            record is not None
            and loaded is not None
            and record.document.get("plugin") == loaded.id
            and self._manager.fresh(record, loaded) is None
        ):
            record = await self._manager.refresh_for_phone(record.id)
        return Identified(
            self._next_number(), info, record, loaded, found_by if record is not None else None
        )

    async def _settle(
        self,
        phone: tuple[str, str],
        number: int,
        info: Info,
        kind: RequestType,
        request: Any,
        filename: str | None,
    ) -> tuple[Record | None, str | None]:
        """Find or make the device of a phone and bring it up to date; one at a time per phone.

        Returns what it was found by, too.
        """
        async with self._locks.hold(phone):
            record, found_by = await self._retrieve(info)
            logger.debug(
                "<%d> retrieved device id: %s by %s",
                number,
                record.id if record else None,
                found_by,
            )
            if record is None and self._creates:
                async with self._creating(phone):
                    if self.cluster is not None:
                        record, found_by = await self._retrieve(info)
                    if record is None:
                        record, found_by = await self.create(info, filename), "new device"
            if record is not None and self._updater is not None:
                record = await self._update_by_object(record, info, kind, request, filename)
            elif record is not None:
                record = await self._update(record, info, filename)
        return record, found_by if record is not None else None

    def _remember_nameless(self, ip: str, info: Info) -> None:
        if info.get("model") and not self._parameters.nat:
            self._nameless.pop(ip, None)
            self._nameless[ip] = (self._clock.seconds(), info)
            while len(self._nameless) > _MAX_NAMELESS:
                self._nameless.popitem(last=False)

    def _recall_nameless(self, info: Info) -> Info:
        """Return `info` with what the phone told while it had no name."""
        at, told = self._nameless.pop(info.get("ip") or "", (0.0, {}))
        if self._clock.seconds() - at > _REMEMBERED_SECONDS or _contradicts(info, told):
            return info
        return {**{key: told[key] for key in _TOLD_WITHOUT_NAME if told.get(key)}, **info}

    async def _is_told_apart(self, info: Info) -> bool:
        """Tell whether a device of such a request would be found again, and no other for it."""
        if identities(info):
            return True
        ip = info.get("ip")
        if not ip or associate(self._host, info) is None:
            return False
        return not await self._manager.devices.by_address(ip, with_mac=True, limit=1)

    def _creating(self, phone: tuple[str, str]) -> AbstractAsyncContextManager[None]:
        """Hold off the other nodes while a device is made for a phone."""
        return nullcontext() if self.cluster is None else self.cluster.creating(phone)

    async def _ask(self, stage: str, method: Callable[..., Any], *args: Any) -> Any:
        """Return what a request-processing file's object gives; ProvdError if it fails."""
        asked = defer.maybeDeferred(method, *args).addTimeout(STAGE_TIMEOUT, self._clock)
        try:
            return await asked
        except (ProvdError, defer.CancelledError):
            raise
        except defer.TimeoutError as error:
            raise ProvdError(f"the {stage} took more than {STAGE_TIMEOUT:.0f} s") from error
        except BaseException as error:
            reason = f"{type(error).__name__}: {error}"
            raise ProvdError(f"the {stage} failed: {reason}") from error

    async def _extract(self, kind: RequestType, request: Any, ip: str) -> Info:
        if self._extractor is not None:
            answer = await self._ask("info_extractor", self._extractor.extract, request, kind)
            if answer and not isinstance(answer, dict):
                raise ProvdError(f"the info_extractor gave {type(answer).__name__}, not a dict")
            return {**answer} if answer else {}
        info = {**await self._extraction.extract(kind, request), "ip": ip}
        if kind is RequestType.DHCP:
            info["mac"] = request["mac"]
        return info

    async def _retrieve_by_object(self, info: Info) -> Record | None:
        assert self._retriever is not None
        device = await self._ask("retriever", self._retriever.retrieve, dict(info))
        if device is None:
            return None
        if not isinstance(device, dict) or not isinstance(device.get("id"), str):
            raise ProvdError("the retriever gave something that is not a device with an id")
        return await self._manager.devices.get(device["id"])

    async def _retrieve(self, info: Info) -> tuple[Record | None, str]:
        if self._retriever is not None:
            return await self._retrieve_by_object(info), "retriever"
        devices = self._manager.devices
        ownership = self._manager.ownership
        candidates: list[tuple[str, Record]] = []
        for key in self._keys:
            value = info.get(key)
            if isinstance(value, str):
                found = await devices.by_key(key, value)
                if found:
                    candidates.append((key, await ownership.choose(key, value, found)))
        if candidates:
            return await ownership.choose_candidate(candidates, info, self._manager.main_tenant)
        if not info.get("ip"):
            return None, "ip"
        ids = devices.peek_ids("ip", info["ip"])
        if ids is not None and len(ids) < _MAX_CANDIDATES:
            same_ip = await devices.by_key("ip", info["ip"])
        else:
            # A device with a MAC is not this phone: no look-up by MAC found it.
            same_ip = await devices.by_address(
                info["ip"], with_mac="mac" not in info, limit=_MAX_CANDIDATES
            )
        alike = [record for record in same_ip if not _contradicts(record.document, info)]
        if len(alike) > 1:
            logger.warning(
                "%d devices or more have the address %s; none of them is taken",
                len(alike),
                info["ip"],
            )
        return alike[0] if len(alike) == 1 else None, "ip"

    async def create(self, info: Info, filename: str | None = None) -> Record | None:
        """Create a device of `info`, within the limits; None, with a log line, if that fails.

        `filename` is what its phone asked for.
        """
        ip = info.get("ip")
        if not await self._is_told_apart(info):
            logger.debug("no device is created for %s: nothing tells it from others", ip)
            return None
        reason = self._limits.allow(ip or "")
        if reason is None:
            main = self._manager.main_tenant
            unclaimed = await self._count_unclaimed(main)
            if unclaimed >= self._max_unclaimed:
                reason = f"{unclaimed} devices were created automatically and never claimed"
        if reason is not None:
            logger.warning("no device is created for %s: %s", ip, reason)
            return None
        info = self._recall_nameless(info)
        device = {key: value for key, value in info.items() if value is not None}
        device.update(id=new_id(), added="auto", tenant_uuid=self._manager.main_tenant)
        config = None
        if self._updates:
            plugin_id = associate(self._host, info)
            if plugin_id is not None:
                device["plugin"] = plugin_id
            config = await self._manager.build_autocreate_config()
            if config is not None:
                device["config"] = config["id"]
        try:
            trigger = filename if self._updater is None else None
            record = await self._manager.insert_new(
                device, config, trigger, must_serve=not identities(device) and self._updates
            )
        except TenantUnknown as error:
            logger.warning("no device is created for %s: %s", ip, error)
            return None
        except NotServed as error:
            logger.info(
                "no device is created for %s, which tells no MAC, serial number or UUID: %s",
                ip,
                error,
            )
            return None
        except IdentityTaken as error:
            # Somebody else was faster.
            logger.info("no device is created for %s: %s", ip, error)
            return (await self._retrieve(info))[0]
        except StoreError:
            raise
        except ProvdError as error:
            logger.error("no device is created for %s: %s", ip, error)
            return None
        self.created += 1
        self._unclaimed = (self._unclaimed or 0) + 1
        if ip:
            log_security("New device created automatically from %s: %s", ip, record.id)
        return record

    async def _count_unclaimed(self, main: str | None) -> int:
        """Return how many devices came by themselves and are nobody's yet; about a minute old."""
        now = self._clock.seconds()
        if self._unclaimed is None or now - self._counted_at > _RECOUNT_SECONDS:
            self._counted_at = now
            self._unclaimed = 0 if self._unclaimed is None else self._unclaimed
            self._unclaimed = await self._manager.count_devices(
                {"tenant_uuid": main, "added": "auto"}
            )
        return self._unclaimed

    async def _update(self, record: Record, info: Info, filename: str | None) -> Record:
        if not self._updates:
            return await self._remote_state(record, filename)
        if info.get("ip") and not self._parameters.nat:
            await self._take_address(record.id, info["ip"])
        device = record.document
        config = None
        corrected = await self._is_bound_wrongly(device, info)
        plugin_id = None
        if corrected or not device.get("plugin"):
            plugin_id = associate(self._host, info)
        corrected = corrected and plugin_id is not None
        if not device.get("config"):
            config = await self._manager.build_autocreate_config()
        withheld = [
            kind
            for kind, value in identities(info).items()
            if kind not in device
            and not await self._manager.ownership.may_gain(
                device, kind, value, self._manager.main_tenant
            )
        ]

        def change(document: dict[str, Any]) -> Change:
            for key, value in info.items():
                if key in withheld and key not in document:
                    continue  # another phone's, whatever this one says
                if value is not None and (
                    key not in document or key in _FORCED or (corrected and key in _BINDING)
                ):
                    document[key] = value
            if plugin_id is not None and (corrected or not document.get("plugin")):
                document["plugin"] = plugin_id
            if config is not None and not document.get("config"):
                document["config"] = config["id"]
                return Change(document, config)
            return Change(document)

        return await self._store(record, change, filename)

    async def _is_bound_wrongly(self, device: dict[str, Any], info: Info) -> bool:
        """Tell whether an automatic device was taken for one of another vendor's.

        An unclear first request may be misread; a clear one, which tells vendor and model, corrects
        what nobody laid a hand on since.
        """
        if not info.get("vendor") or not info.get("model"):
            return False
        if device.get("vendor") in {None, info["vendor"]} or device.get("added") != "auto":
            return False
        if not await self._manager.ownership.is_unclaimed(device, self._manager.main_tenant):
            return False
        logger.warning(
            "device %s was taken for a phone of %s; it is a %s %s",
            device["id"],
            device["vendor"],
            info["vendor"],
            info["model"],
        )
        return True

    async def _update_by_object(
        self, record: Record, info: Info, kind: RequestType, request: Any, filename: str | None
    ) -> Record:
        assert self._updater is not None
        before = record.document
        device = copy_json(before)
        await self._ask("updater", self._updater.update, device, dict(info), request, kind)
        changed = {
            key: value for key, value in device.items() if key not in before or before[key] != value
        }
        removed = before.keys() - device.keys()

        def change(document: dict[str, Any]) -> Change:
            # Only what the object changed: somebody else may have changed the rest meanwhile.
            document.update(copy_json(changed))
            for key in removed:
                document.pop(key, None)
            return Change(document)

        return await self._store(record, change, filename)

    async def _store(
        self, record: Record, change: Callable[[dict[str, Any]], Change], filename: str | None
    ) -> Record:
        """Apply what a request changes of a device, and note which SIP account the phone runs."""
        if change(dict(record.document)).document == record.document:
            return await self._remote_state(record, filename)
        try:
            return await self._manager.change_device(record.id, change, trigger=filename)
        except ProvdError as error:
            logger.error("device %s is not updated from a request: %s", record.id, error)
            return record

    async def _remote_state(self, record: Record, filename: str | None) -> Record:
        if not filename or not as_bool(record.document.get("configured")):
            return record
        try:
            return await self._manager.note_remote_state(record, filename)
        except ProvdError as error:
            logger.error("the remote state of device %s is not stored: %s", record.id, error)
            return record

    async def _take_address(self, device_id: str, ip: str) -> None:
        """Take an address from the devices that had it before."""

        def change(document: dict[str, Any]) -> Change:
            if document.get("ip") == ip:
                del document["ip"]
            return Change(document)

        for other in await self._manager.devices.by_key("ip", ip):
            # Phones that boot together behind one address all see the same others: each of those
            # must be changed once, not once for each phone.
            newest = self._manager.devices.peek(other.id) or other
            if other.id == device_id or newest.document.get("ip") != ip:
                continue
            try:
                await self._manager.change_device(other.id, change)
            except StoreError as error:
                logger.error("devices keep the outdated address %s: %s", ip, error)
                return
            except ProvdError as error:
                logger.error("device %s keeps the outdated address: %s", other.id, error)

    # Routing

    def is_sensitive(self, loaded: LoadedPlugin, filename: str) -> bool:
        """Tell whether a plugin calls a file name sensitive; it is asked once for each name."""
        known = loaded.sensitive.get(filename)
        if known is None:
            try:
                known = bool(self._host.call(loaded, "is_sensitive_filename", filename))
            except PluginError:
                return False
            if len(loaded.sensitive) >= _MAX_NAMES:
                loaded.sensitive.clear()
            loaded.sensitive[filename] = known
        return known

    def log_if_sensitive(self, loaded: LoadedPlugin, filename: str, ip: str) -> None:
        """Write the security line for a sensitive file, whether or not it exists."""
        if filename and self.is_sensitive(loaded, filename):
            log_security("Sensitive file requested from %s: %s", ip, filename)


def _contradicts(device: dict[str, Any], info: Info) -> bool:
    return any(key in device and key in info and device[key] != info[key] for key in _CONTRADICTING)
