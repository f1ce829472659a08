"""The `app` object that plugins and request-processing files get (contract: plugin API §10)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.python.failure import Failure

from provd.compat.services import AbstractConfigurationService, InvalidParameterError
from provd.compat.synchronize import notify
from provd.errors import DocumentNotFound, InvalidId, NoAutocreateConfig, ParameterNotFound
from provd.manager.manager import Change
from provd.manager.parameters import DESCRIPTIONS
from provd.model.documents import copy_json
from provd.model.selectors import Query, project
from provd.plugin.base import Plugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from provd.manager.manager import DeviceManager
    from provd.manager.parameters import Parameters
    from provd.plugin.host import PluginHost

Document = dict[str, Any]
Selector = Mapping[str, Any]


def build_query(
    selector: Selector,
    fields: Iterable[str] | None = None,
    skip: int = 0,
    limit: int = 0,
    sort: tuple[str, int] | None = None,
) -> Query:
    """Return a listing; `fields` restricts the keys given, `sort` is a key and 1 or -1."""
    return Query(selector, None if fields is None else tuple(fields), sort, skip, limit)


async def _found(
    find: Callable[[Query], Awaitable[list[Document]]], query: Query
) -> Iterator[Document]:
    """Return copies of what `find` gives, cut down to the fields asked for."""
    documents: Iterable[Mapping[str, Any]] = await find(query)
    if query.fields is not None:
        fields = query.fields
        documents = [project(document, fields) for document in documents]
    return iter([copy_json(document) for document in documents])


async def _or_none(document: Awaitable[Document]) -> Document | None:
    """Return a copy of what is awaited, or None if it does not exist."""
    try:
        found: Document = copy_json(await document)
    except DocumentNotFound:
        return None
    return found


def _id_of(document: Document) -> str:
    document_id = document.get("id")
    if not isinstance(document_id, str):
        raise InvalidId("a document without id cannot be updated")
    return document_id


class PluginsView(Mapping[str, Plugin]):
    """The loaded plugins by id, live; observers are told when one comes or goes."""

    def __init__(self, host: PluginHost) -> None:
        self._host = host

    def __getitem__(self, plugin_id: str) -> Plugin:
        loaded = self._host.get(plugin_id)
        if loaded is None:
            raise KeyError(plugin_id)
        return loaded.plugin

    def __iter__(self) -> Iterator[str]:
        return (loaded.id for loaded in self._host)

    def __len__(self) -> int:
        return len(self._host)

    def attach(self, observer: Any) -> None:
        """Call `observer.pg_load(id)` and `observer.pg_unload(id)`; it is weakly referenced."""
        self._host.attach(observer)

    def detach(self, observer: Any) -> None:
        """Stop telling `observer`."""
        self._host.detach(observer)


class ParametersView(AbstractConfigurationService):
    """The daemon's own parameters in the shape of a configure service.

    Values that belong to a tenant are those of `tenant`, the main one unless it is given.
    """

    def __init__(self, parameters: Parameters, main_tenant: Callable[[], str | None]) -> None:
        self._parameters = parameters
        self._main_tenant = main_tenant

    @property
    def description(self) -> list[tuple[str, str | None]]:
        """The parameters with their English texts."""
        return [(entry.name, entry.description) for entry in DESCRIPTIONS]

    @property
    def description_fr(self) -> list[tuple[str, str | None]]:
        """The parameters with their French texts."""
        return [(entry.name, entry.description_fr) for entry in DESCRIPTIONS]

    def get(self, name: str, tenant: str | None = None) -> Any:
        try:
            return self._parameters.get(name, tenant or self._main_tenant() or "")
        except ParameterNotFound as error:
            raise KeyError(name) from error

    def set(self, name: str, value: Any, tenant: str | None = None) -> defer.Deferred[None]:
        """Set a value, refused at once or not at all; fires when the value is stored."""
        try:
            self.get(name)
            setting = defer.Deferred.fromCoroutine(
                self._parameters.set(name, value, tenant or self._main_tenant() or "")
            )
        except ParameterNotFound as error:
            raise KeyError(name) from error
        if setting.called and isinstance(setting.result, Failure):
            refusal = setting.result
            if refusal.check(InvalidParameterError):
                setting.addErrback(lambda _: None)
                refusal.raiseException()
        return setting


class Application:
    """What plugins may ask of the daemon. All methods are for the reactor thread.

    Documents go in and out as private copies. Devices of all tenants are seen; a new one that
    names no tenant belongs to the main one.
    """

    def __init__(
        self,
        *,
        manager: DeviceManager,
        host: PluginHost,
        parameters: Parameters,
        sync_service_getter: Callable[[], Any | None],
    ) -> None:
        self._manager = manager
        self._parameters = parameters
        self._get_sync_service = sync_service_getter
        self.pg_mgr = PluginsView(host)
        self.configure_service = ParametersView(parameters, lambda: manager.main_tenant)

    @property
    def proxies(self) -> dict[str, str]:
        """The live map of proxies: keys http, ftp, https."""
        return self._parameters.proxies

    @property
    def nat(self) -> int:
        """1 if several phones may share one address, else 0."""
        return int(self._parameters.nat)

    # Devices

    def dev_insert(self, device: Document) -> defer.Deferred[str]:
        """Store and configure a new device; fires with its id."""
        return defer.Deferred.fromCoroutine(
            self._manager.insert_device(device, device.get("tenant_uuid"))
        )

    def dev_update(self, device: Document) -> defer.Deferred[None]:
        """Replace the device that has the id of `device`, and reconfigure it where needed."""
        return defer.Deferred.fromCoroutine(self._dev_update(copy_json(device)))

    async def _dev_update(self, device: Document) -> None:
        device_id = _id_of(device)

        def change(old: Document) -> Change:
            # Each attempt starts from a copy, as the manager completes what it gets.
            return Change({"tenant_uuid": old.get("tenant_uuid"), **device})

        await self._manager.change_device(device_id, change)

    def dev_delete(self, id: str) -> defer.Deferred[None]:  # noqa: A002 - the API's name
        """Delete a device."""
        return defer.Deferred.fromCoroutine(self._manager.delete_device(id))

    def dev_retrieve(self, id: str) -> defer.Deferred[Document | None]:  # noqa: A002
        """Fire with a device, or None."""
        return defer.Deferred.fromCoroutine(_or_none(self._manager.device(id)))

    def dev_find(
        self, selector: Selector, *args: Any, **kwargs: Any
    ) -> defer.Deferred[Iterator[Document]]:
        """Fire with the devices that match; further arguments as `build_query` takes them."""
        return defer.Deferred.fromCoroutine(
            _found(self._manager.find_devices, build_query(selector, *args, **kwargs))
        )

    def dev_find_one(
        self, selector: Selector, *args: Any, **kwargs: Any
    ) -> defer.Deferred[Document | None]:
        """Fire with the first device that matches, or None."""
        return self.dev_find(selector, *args, **{**kwargs, "limit": 1}).addCallback(next, None)

    def dev_reconfigure(self, id: str) -> defer.Deferred[None]:  # noqa: A002
        """Render a device again."""
        return defer.Deferred.fromCoroutine(self._manager.reconfigure_device(id))

    def dev_synchronize(self, id: str) -> defer.Deferred[None]:  # noqa: A002
        """Make a phone load its configuration again."""
        return defer.Deferred.fromCoroutine(self._manager.synchronize_device(id))

    # Configs

    def cfg_insert(self, config: Document) -> defer.Deferred[str]:
        """Store a new config; fires with its id."""
        return defer.Deferred.fromCoroutine(self._manager.insert_config(config))

    def cfg_update(self, config: Document) -> defer.Deferred[None]:
        """Replace the config that has the id of `config`."""

        async def update() -> None:
            await self._manager.replace_config(_id_of(config), config)

        return defer.Deferred.fromCoroutine(update())

    def cfg_delete(self, id: str) -> defer.Deferred[None]:  # noqa: A002
        """Delete a config."""
        return defer.Deferred.fromCoroutine(self._manager.delete_config(id))

    def cfg_retrieve(self, id: str) -> defer.Deferred[Document | None]:  # noqa: A002
        """Fire with a config, or None."""
        return defer.Deferred.fromCoroutine(_or_none(self._manager.config(id)))

    def cfg_retrieve_raw_config(self, id: str) -> defer.Deferred[Document | None]:  # noqa: A002
        """Fire with a config flattened with its ancestors, or None."""
        return defer.Deferred.fromCoroutine(_or_none(self._manager.raw_config(id)))

    def cfg_find(
        self, selector: Selector, *args: Any, **kwargs: Any
    ) -> defer.Deferred[Iterator[Document]]:
        """Fire with the configs that match; further arguments as `build_query` takes them."""
        return defer.Deferred.fromCoroutine(
            _found(self._manager.find_configs, build_query(selector, *args, **kwargs))
        )

    def cfg_find_one(
        self, selector: Selector, *args: Any, **kwargs: Any
    ) -> defer.Deferred[Document | None]:
        """Fire with the first config that matches, or None."""
        return self.cfg_find(selector, *args, **{**kwargs, "limit": 1}).addCallback(next, None)

    def cfg_create_new(self) -> defer.Deferred[str | None]:
        """Store a new config made from the autocreate config; fires with its id, or None."""

        async def create() -> str | None:
            try:
                return await self._manager.autocreate_config()
            except NoAutocreateConfig:
                return None

        return defer.Deferred.fromCoroutine(create())

    # Phones

    def sip_notify(
        self,
        device: Mapping[str, Any],
        event: str,
        extra_vars: Iterable[str] | None = None,
    ) -> defer.Deferred[Any]:
        """Send a SIP NOTIFY to a phone; fails if that is not possible."""
        return notify(self._get_sync_service(), device, event, extra_vars)
