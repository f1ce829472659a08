"""The device manager: one asynchronous method for each use case of devices and configs.

Documents are the truth; it stores them through the store, durable before it answers, and keeps the
rendered files of this node in step. Two rules keep that safe without a global lock:

- A change of a device holds that device's lock and names the revision it read.
- Rendering has no await inside: what it reads of configs, plugin and settings is of one moment, and
  the key written after it covers all of that. Whatever changes later makes the key differ.
"""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet import defer, task

from provd.errors import (
    ConfigNotFound,
    DeviceNotFound,
    DuplicateId,
    IdentityTaken,
    InvalidDocument,
    NoAutocreateConfig,
    NotDeletable,
    NotServed,
    PluginError,
    ProvdError,
    RevisionConflict,
    StoreError,
    SynchronizeError,
    TenantUnknown,
    TooBusy,
    describe,
    trespass,
)
from provd.manager.cache import DocumentCache
from provd.manager.configs import Configs, Stamp
from provd.manager.freshness import is_as_fresh, render_key
from provd.manager.locks import KeyedLocks, finish
from provd.manager.metrics import Metrics
from provd.manager.ownership import Ownership
from provd.manager.refusals import Refusals
from provd.manager.rendering import RenderState, RenderStates
from provd.model.config import (
    AUTOCREATE,
    TENANT,
    build_autocreate,
    clean_config,
    flatten,
    is_deletable,
    is_transient,
    owner_of,
    validate_config,
    without_owner,
)
from provd.model.device import needs_reconfiguration, validate_device
from provd.model.documents import as_bool, copy_json
from provd.model.identities import identities
from provd.model.ids import check_id, first_free_number, new_id
from provd.model.operations import PROGRESS, Operation
from provd.model.rawconfig import add_defaults, validate_merged
from provd.model.selectors import Query
from provd.store.interface import Delete, Insert, Record, Replace, Write

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )
    from contextlib import AbstractAsyncContextManager

    from provd.manager.jobs import Jobs
    from provd.manager.parameters import Parameters
    from provd.plugin.host import LoadedPlugin, PluginHost
    from provd.store.interface import Store

logger = logging.getLogger(__name__)

Document = dict[str, Any]

_ATTEMPTS = 8
_IDS_AT_ONCE = 5000
_PAUSE_SECONDS = 0.01
_PAUSES = 5
_NAMED_DUPLICATES = 10


@attrs.frozen(slots=True)
class Plan:
    """What a device would be rendered from, at one moment."""

    loaded: LoadedPlugin | None
    raw_config: Document | None
    """Flattened and completed by the settings; None if the device cannot be configured."""
    key: str
    stamp: Stamp | None
    """Of the config and its ancestors; None where it cannot be compared later."""
    plugin_stamp: str
    generation: int
    refused: str | None = None
    is_withheld: bool = False
    """Whether the device is not rendered because another owns one of its identities."""


@attrs.frozen(slots=True)
class Verified:
    """When a device's files were last seen fresh: equal marks now mean still fresh."""

    revision: int
    stamp: Stamp | None
    plugin_stamp: str
    generation: int
    trigger: str | None


@attrs.frozen(slots=True)
class Change:
    """What a change makes of a device document; `config` is a new config stored with it."""

    document: Document
    config: Document | None = None


class DeviceManager:
    """Devices and configs, on one node."""

    def __init__(
        self,
        *,
        clock: Any,
        store: Store,
        host: PluginHost,
        states: RenderStates,
        jobs: Jobs,
        parameters: Parameters,
        metrics: Metrics | None = None,
        base_raw_config: Document,
        url_key: bool = False,
        direct_renders: int = 64,
        cache_size: int = 50_000,
        id_generator: str = "default",
        tenants_share_configs: bool = False,
    ) -> None:
        self.tenants_share_configs = tenants_share_configs
        self._store = store
        self._host = host
        self._states = states
        self._jobs = jobs
        self._parameters = parameters
        self._metrics = metrics or Metrics()
        self._url_key = url_key
        self._direct_renders = direct_renders
        self._cache_size = cache_size
        self._id_generator = id_generator
        self._clock = clock
        self._duplicates = -1
        """How many identities several devices share; below 0 while that is not known."""
        self._asked_at = float("-inf")
        """When a phone last waited for its device to be brought up to date."""
        self._locks = KeyedLocks(clock)
        self.devices = DocumentCache(store, "devices", cache_size)
        self.configs = Configs(store, base_raw_config, cache_size)
        self.ownership = Ownership(store, self.devices, self.configs.cache)
        self._verified: OrderedDict[str, Verified] = OrderedDict()
        self._autocreate: tuple[int, Document | None] | None = None
        """The autocreate config, good while no config with a role is written."""
        self._generation = 0
        self._stale: dict[str, bool] = {}
        """Devices that the background has to render, and whether in any case."""
        self._sweeping: Operation | None = None
        self._to_retry: set[str] = set()
        """Devices whose last rendering failed for a reason that passes, such as a full disk."""
        self.deleted: Callable[[str], None] = lambda _device_id: None
        """Called with the id of every device that is deleted."""
        self.taken_over: Callable[[str, str], None] = lambda _old_id, _new_id: None
        """Called with the id of a device that is gone and of the one that took its phone over."""
        self.main_tenant: str | None = None
        self.refusals = Refusals()
        self.renders = 0

    # Reading devices

    async def device(self, device_id: str, visible: Collection[str] | None = None) -> Document:
        """Return a device; DeviceNotFound if there is none, or it is of no `visible` tenant."""
        return (await self._require(device_id, visible)).document

    async def _require(self, device_id: str, visible: Collection[str] | None = None) -> Record:
        record = await self.devices.get(device_id)
        if record is None:
            raise DeviceNotFound(device_id)
        if not self._is_visible(record.document, visible):
            raise trespass(DeviceNotFound(device_id), f"device {device_id}")
        return record

    @staticmethod
    def _is_visible(device: Mapping[str, Any], visible: Collection[str] | None) -> bool:
        return visible is None or device.get("tenant_uuid") in visible

    async def find_devices(
        self, query: Query, tenants: Collection[str] | None = None
    ) -> list[Document]:
        """Return the devices of `tenants` that match, as `query` orders and cuts them."""
        if tenants is not None:
            query = attrs.evolve(query, selector=within(tenants, query.selector))
        return [record.document for record in await self._store.find("devices", query)]

    async def count_devices(
        self, selector: Mapping[str, Any], tenants: Collection[str] | None = None
    ) -> int:
        """Return how many devices of `tenants` match."""
        if tenants is not None:
            selector = within(tenants, selector)
        return await self._store.count("devices", selector)

    # Changing devices

    async def insert_device(
        self, document: Document, tenant: str | None, *, shares: bool = False
    ) -> str:
        """Store and configure a new device of `tenant`; return its id.

        `configured` and `tenant_uuid` in `document` are ignored. A device that a request made and
        nobody claimed, with the same MAC address, serial number or UUID, becomes part of the new
        one. With `shares` it may have what belongs to another device; that one stays the one whose
        phone is served. InvalidDocument, DuplicateId, IdentityTaken.
        """
        device = copy_json(document)
        device["tenant_uuid"] = tenant if tenant is not None else self._require_main_tenant()
        if device.get("id") is not None:
            await self._insert(device, shares=shares)
            return str(device["id"])
        for _ in range(_ATTEMPTS):
            device["id"] = await self._generate_id("devices")
            try:
                await self._insert(device, shares=shares)
            except DuplicateId:
                continue  # somebody took the number meanwhile
            return str(device["id"])
        raise TooBusy("the ids generated for a new device are all taken by others")

    async def tell_owner(
        self, error: IdentityTaken, visible: Collection[str] | None
    ) -> IdentityTaken:
        """Return the error as a caller who sees the `visible` tenants may see it, and log it."""
        logger.warning(
            "the %s %s is refused to another device, it belongs to device %s",
            error.kind,
            error.value,
            error.owner_id,
        )
        owner = await self.devices.get(error.owner_id)
        if owner is not None and self._is_visible(owner.document, visible):
            return IdentityTaken(error.kind, error.value, error.owner_id, is_told=True)
        return error

    def _require_main_tenant(self) -> str:
        if self.main_tenant is None:
            raise TenantUnknown("the main tenant is not known yet; try again in a moment")
        return self.main_tenant

    async def _generate_id(self, collection: str) -> str:
        if self._id_generator != "numeric":
            return new_id()
        ids = await self._store.find_ids(collection, {})  # type: ignore[arg-type]
        return first_free_number(set(ids))

    async def _insert(
        self,
        device: Document,
        config: Document | None = None,
        trigger: str | None = None,
        *,
        is_new_id: bool = False,
        must_serve: bool = False,
        shares: bool = False,
    ) -> Record:
        """Render and store a new device, with its new `config` in the same write."""
        return await finish(
            self._insert_now(
                device, config, trigger, is_new_id=is_new_id, must_serve=must_serve, shares=shares
            )
        )

    async def _insert_now(
        self,
        device: Document,
        config: Document | None,
        trigger: str | None,
        *,
        is_new_id: bool,
        must_serve: bool,
        shares: bool,
    ) -> Record:
        main = self._require_main_tenant()
        check_id(device["id"])
        device["configured"] = False
        device["is_new"] = device["tenant_uuid"] == main
        validate_device(device)
        refusal: ProvdError | None = None
        for _ in range(_ATTEMPTS):
            rivals, is_shared = await self._rivals_of_new(device, main, shares=shares)
            async with self._locks.hold_all("device", (device["id"], *(one.id for one in rivals))):
                if not is_new_id and await self.devices.get(device["id"]) is not None:
                    raise DuplicateId("devices", device["id"])
                try:
                    return await self._store_new(
                        copy_json(device),
                        config,
                        trigger,
                        rivals,
                        must_serve=must_serve,
                        shares=is_shared,
                    )
                except (RevisionConflict, IdentityTaken, StoreError) as error:
                    refusal = error
            await self._make_good(refusal, rivals)
        assert refusal is not None
        raise refusal

    async def _rivals_of_new(
        self, device: Document, main: str, *, shares: bool
    ) -> tuple[list[Record], bool]:
        """Return what a new device takes over, and whether it shares with one that stays."""
        try:
            return await self.ownership.find_rivals(device, None, main), False
        except IdentityTaken as error:
            if not shares:
                raise
            logger.warning(
                "the new device %s has the %s %s of device %s, whose phone is served",
                device["id"],
                error.kind,
                error.value,
                error.owner_id,
            )
            self._duplicates = -1
            return [], True

    async def _store_new(
        self,
        device: Document,
        config: Document | None,
        trigger: str | None,
        rivals: Sequence[Record],
        *,
        must_serve: bool,
        shares: bool,
    ) -> Record:
        await self.ownership.inherit(device, rivals)
        gone, gone_configs = await self.ownership.plan_takeover(device, rivals)
        plan = await self._plan(device, config, [rival.id for rival in rivals])
        for rival in rivals:
            self._remove_files(rival.document, is_owner=True)
        device["configured"] = self._render(device, plan, previous=None)
        if must_serve and not device["configured"]:
            self._remove_files(device, is_owner=True)
            raise NotServed(f"plugin {device.get('plugin')} has no files for it")
        if trigger is not None and device["configured"]:
            await self._note_remote_state(device, trigger, config)
        writes: list[Write] = [*gone, *([] if config is None else [Insert("configs", config)])]
        writes.append(Insert("devices", device, shares=shares))
        try:
            revisions = await self._store.write(writes)
        except BaseException as error:
            # The owner's files have the same names.
            is_owner = not shares and not isinstance(error, IdentityTaken)
            self._remove_files(device, is_owner=is_owner)
            raise
        self._note_takeover(rivals, gone_configs, device["id"])
        if config is not None:
            self.configs.cache.written(None, Record(config, revisions[-2]))
        record = Record(device, revisions[-1])
        self.devices.written(None, record)
        self._note_fresh(record, _saved(plan, config, revisions[-2] if config else 0))
        return record

    # Identities that several devices share, from before or after an import

    async def find_duplicates(self, visible: Collection[str] | None = None) -> list[dict[str, Any]]:
        """Return what several devices share: `kind`, `value`, `owner` and `others`.

        Ids of devices that the `visible` tenants do not have are left out; `owner` is None then.
        """
        shown = []
        for shared in await self._store.duplicates():
            ids = [shared.owner, *shared.others]
            records = [await self.devices.get(device_id) for device_id in ids]
            seen = {
                record.id
                for record in records
                if record is not None and self._is_visible(record.document, visible)
            }
            if seen:
                shown.append(
                    {
                        "kind": shared.kind,
                        "value": shared.value,
                        "owner": shared.owner if shared.owner in seen else None,
                        "others": [one for one in shared.others if one in seen],
                    }
                )
        return shown

    async def count_duplicates(self) -> int:
        """Return how many identities several devices share; once there are none, none come."""
        if self._duplicates != 0:
            self._duplicates = len(await self._store.duplicates())
        return self._duplicates

    async def report_duplicates(self) -> None:
        """Write into the log what several devices share."""
        found = await self._store.duplicates()
        self._duplicates = len(found)
        if not found:
            return
        logger.warning(
            "%d MAC addresses, serial numbers or UUIDs belong to several devices each, and one of"
            " those is served; provd-admin duplicates lists and resolves them: %s",
            len(found),
            ", ".join(f"{one.kind} {one.value}" for one in found[:_NAMED_DUPLICATES])
            + (", …" if len(found) > _NAMED_DUPLICATES else ""),
        )

    # Taking over

    def _note_takeover(
        self, rivals: Iterable[Record], configs: Iterable[Record], device_id: str
    ) -> None:
        for config in configs:
            self.configs.cache.written(config.document, None)
        for rival in rivals:
            self.devices.written(rival.document, None)
            self._verified.pop(rival.id, None)
            self._to_retry.discard(rival.id)
            self.taken_over(rival.id, device_id)
            logger.info("device %s takes over the automatic device %s", device_id, rival.id)

    async def _make_good(self, error: ProvdError, rivals: Iterable[Record]) -> None:
        """Forget what another writer made untrue, and write files again that were in the way.

        StoreError is raised again.
        """
        harmed = [rival.id for rival in rivals]
        if isinstance(error, IdentityTaken):
            self.devices.forget([error.owner_id])
            self.devices.forget_lookup(error.kind, error.value)
            harmed.append(error.owner_id)
        elif isinstance(error, RevisionConflict):
            cache = self.devices if error.collection == "devices" else self.configs.cache
            cache.forget([error.document_id])
        await self._bring_back(harmed)
        if isinstance(error, StoreError):
            raise error

    async def _bring_back(self, device_ids: Iterable[str]) -> None:
        """Write the files of devices again, whatever was done to them."""
        for device_id in device_ids:
            try:
                await self._refresh_now(device_id, force=True)
            except ProvdError as error:
                self._verified.pop(device_id, None)
                logger.warning("device %s is rendered when it is asked for: %s", device_id, error)

    async def _serve_successors(
        self, old: Mapping[str, Any], new: Mapping[str, Any] | None = None
    ) -> None:
        """Render the device to which what another one lost belongs now, where several shared it."""
        kept = identities(new)
        for kind, value in identities(old).items():
            if kept.get(kind) == value or not await self.ownership.find_holders(kind, value):
                continue
            owner = await self._store.owner(kind, value)
            if owner is not None and owner != old["id"]:
                await self._bring_back([owner])

    async def insert_new(
        self,
        device: Document,
        config: Document | None,
        trigger: str | None = None,
        *,
        must_serve: bool = False,
    ) -> Record:
        """Store and configure a device that a request made, with its config, in one write.

        Its id is a new one; `trigger` is the file that was asked for. NotServed if it `must_serve`
        its phone and cannot be configured.
        """
        return await self._insert(device, config, trigger, is_new_id=True, must_serve=must_serve)

    async def device_to_replace(self, device_id: str, visible: Collection[str] | None) -> None:
        """Raise DeviceNotFound unless a caller who sees the `visible` tenants may replace it."""
        device = await self.device(device_id)
        if not self._is_new(device) and not self._is_visible(device, visible):
            raise trespass(DeviceNotFound(device_id), f"device {device_id}")

    async def replace_device(
        self, device_id: str, document: Document, tenant: str, visible: Collection[str] | None
    ) -> None:
        """Replace a device on behalf of a caller of `tenant` who sees the `visible` ones.

        A new device, still in the main tenant, moves to the caller's; any other must be visible
        and stays where it is. DeviceNotFound, InvalidDocument, IdentityTaken as for
        `insert_device`; then nothing is changed.
        """

        def change(old: Document) -> Change:
            new = copy_json(document)
            if self._is_new(old):
                new["tenant_uuid"] = tenant
            elif self._is_visible(old, visible):
                new["tenant_uuid"] = old["tenant_uuid"]
            else:
                raise trespass(DeviceNotFound(device_id), f"device {device_id}")
            return Change(new)

        try:
            await self.change_device(device_id, change)
        except IdentityTaken as error:
            raise await self.tell_owner(error, visible) from None

    def _is_new(self, device: Mapping[str, Any]) -> bool:
        return device.get("tenant_uuid") == self._require_main_tenant()

    async def change_device(
        self,
        device_id: str,
        change: Callable[[Document], Change],
        *,
        trigger: str | None = None,
        force: bool = False,
    ) -> Record:
        """Apply `change` to the newest document of a device, and reconfigure it where needed.

        `change` gets a copy of which it may replace members, and may be called again if another
        writer was faster. `trigger` is the file name whose download proves which SIP account the
        phone runs; `force` reconfigures in any case. DeviceNotFound, InvalidDocument,
        IdentityTaken.
        """
        return await finish(self._change_now(device_id, change, trigger, force=force))

    async def _change_now(
        self,
        device_id: str,
        change: Callable[[Document], Change],
        trigger: str | None,
        *,
        force: bool,
    ) -> Record:
        held = {device_id}
        refusal: ProvdError | None = None
        for _ in range(_ATTEMPTS):
            async with self._locks.hold_all("device", held):
                record = await self.devices.get(device_id)
                if record is None:
                    raise DeviceNotFound(device_id)
                changed = change(dict(record.document))
                changed.document["id"] = device_id
                try:
                    rivals = await self.ownership.find_rivals(
                        changed.document, record.document, self._require_main_tenant()
                    )
                except IdentityTaken as error:
                    if refusal is None:
                        raise
                    refusal = error
                    break
                missing = {rival.id for rival in rivals} - held
                held |= missing
                if missing:
                    continue
                try:
                    stored = await self._store_change(record, changed, trigger, rivals, force=force)
                except (RevisionConflict, IdentityTaken, StoreError) as error:
                    refusal = error
                else:
                    refusal = None
            if refusal is None:
                await self._serve_successors(record.document, stored.document)
                return stored
            await self._make_good(refusal, rivals)
        if isinstance(refusal, IdentityTaken):
            await self._bring_back([device_id])
            raise refusal
        raise TooBusy(f"device {device_id} is changed by others all the time")

    async def _store_change(
        self,
        record: Record,
        change: Change,
        trigger: str | None,
        rivals: Sequence[Record],
        *,
        force: bool,
    ) -> Record:
        old, new, config = record.document, change.document, change.config
        was_configured = as_bool(old.get("configured"))
        new["configured"] = was_configured
        new["is_new"] = new.get("tenant_uuid") == self._require_main_tenant()
        validate_device(new)
        await self.ownership.inherit(new, rivals)
        extra = ("tenant_uuid",) if self._url_key else ()
        plan = None
        gone, gone_configs = await self.ownership.plan_takeover(new, rivals)
        if force or rivals or needs_reconfiguration(old, new, extra):
            is_owner = await self._owns_files(record.id, old)
            plan = await self._plan(new, config, [rival.id for rival in rivals])
            for rival in rivals:
                self._remove_files(rival.document, is_owner=True)
            new["configured"] = self._render(new, plan, previous=old, is_owner=is_owner)
        if trigger is not None and new["configured"]:
            await self._note_remote_state(new, trigger, config)
        if new == old and config is None:
            if plan is not None:
                self._note_fresh(record, plan)
            return record
        writes: list[Write] = [*gone, *([] if config is None else [Insert("configs", config)])]
        writes.append(Replace("devices", new, record.revision))
        revisions = await self._store.write(writes)
        self._note_takeover(rivals, gone_configs, record.id)
        if config is not None:
            self.configs.cache.written(None, Record(config, revisions[-2]))
        stored = Record(new, revisions[-1])
        self.devices.written(old, stored)
        if plan is not None:
            self._note_fresh(stored, _saved(plan, config, revisions[-2] if config else 0))
        elif is_as_fresh(old, new):
            verified = self._verified.get(stored.id)
            if verified is not None and verified.revision == record.revision:
                self._verified[stored.id] = attrs.evolve(verified, revision=stored.revision)
        if old.get("config") != new.get("config"):
            await self._drop_if_transient(old.get("config"))
        return stored

    async def delete_device(self, device_id: str, visible: Collection[str] | None = None) -> None:
        """Delete a device, its files, and its config if that was made for it only."""
        await finish(self._delete_now(device_id, visible))

    async def _delete_now(self, device_id: str, visible: Collection[str] | None) -> None:
        async with self._locks.hold(("device", device_id)):
            for _ in range(_ATTEMPTS):
                record = await self._require(device_id, visible)
                try:
                    await self._store.write([Delete("devices", device_id, record.revision)])
                    break
                except RevisionConflict:
                    self.devices.forget([device_id])
            else:
                raise TooBusy(f"device {device_id} is changed by others all the time")
            self.devices.written(record.document, None)
            self.deleted(device_id)
            self._verified.pop(device_id, None)
            self._to_retry.discard(device_id)
            self._remove_files(
                record.document, is_owner=await self._owns_files(device_id, record.document)
            )
            await self._drop_if_transient(record.document.get("config"))
        await self._serve_successors(record.document)

    async def reconfigure_device(
        self, device_id: str, visible: Collection[str] | None = None
    ) -> None:
        """Render a device again in any case, and store whether it could be."""
        await self._require(device_id, visible)
        await self.change_device(device_id, Change, force=True)

    async def synchronize_device(self, device_id: str) -> None:
        """Make a phone load its configuration again; SynchronizeError says why not."""
        record = await self._require(device_id)
        plan = await self._plan(record.document)
        if plan.loaded is None:
            raise SynchronizeError(f"device {device_id}: its plugin is not loaded")
        if plan.raw_config is None or not as_bool(record.document.get("configured")):
            raise SynchronizeError(f"device {device_id} is not configured")
        raw_config = plan.raw_config
        add_defaults(raw_config)
        try:
            await self._host.call(
                plan.loaded, "synchronize", copy_json(record.document), raw_config
            )
        except (ProvdError, defer.CancelledError):
            raise
        except BaseException as error:  # of the plugin's Deferred
            raise SynchronizeError(f"device {device_id}: {describe(error)}") from error

    def notes_of(self, device: Mapping[str, Any]) -> list[str]:
        """Return what a phone could not take of its configuration when it was last rendered.

        Only families of our own tell, and until the daemon stops.
        """
        loaded = self._host.get(device.get("plugin"))
        tell = getattr(loaded.plugin, "notes_of", None) if loaded is not None else None
        return list(tell(device["id"])) if tell is not None else []

    async def trigger_of(self, device_id: str) -> str | None:
        """Return the file name whose download proves that a phone loaded its configuration."""
        record = await self._require(device_id)
        loaded = self._host.get(record.document.get("plugin"))
        if loaded is None:
            return None
        try:
            trigger = self._ask_trigger(loaded, record.document)
        except PluginError:
            return None
        return trigger if isinstance(trigger, str) else None

    def _ask_trigger(self, loaded: LoadedPlugin, device: Document) -> Any:
        return self._host.call(
            loaded,
            "get_remote_state_trigger_filename",
            copy_json(device),
            may_refuse=not device.get("mac"),
        )

    async def _drop_if_transient(self, config_id: object) -> None:
        """Delete a config that was made for one device, unless some device still uses it."""
        if not isinstance(config_id, str):
            return
        record = await self.configs.get(config_id)
        if record is None or not is_transient(record.document):
            return
        if await self._store.count("devices", {"config": config_id}):
            return
        try:
            await self._store.write([Delete("configs", config_id, record.revision)])
        except RevisionConflict:
            self.configs.cache.forget([config_id])
            return
        self.configs.cache.written(record.document, None)

    # Rendering

    async def planned(
        self, device_id: str, visible: Collection[str] | None = None
    ) -> tuple[Document, Plan]:
        """Return a device and what it would be rendered from now; DeviceNotFound."""
        record = await self._require(device_id, visible)
        return record.document, await self._plan(record.document)

    async def _plan(
        self,
        device: Document,
        unsaved: Document | None = None,
        besides: Collection[str] = (),
    ) -> Plan:
        """Read what `device` would be rendered from; no await lies between the readings.

        `besides` are devices that it takes over.
        """
        foreign = await self.ownership.find_foreign(device, besides)
        config_id = device.get("config")
        closure: dict[str, Document] = {}
        stamp: Stamp | None = None
        if isinstance(config_id, str):
            extra = {unsaved["id"]: unsaved} if unsaved is not None else None
            while True:
                closure = await self.configs.closure(config_id, extra)
                stamp = self.configs.stamp(config_id, extra)
                if stamp is None or all(
                    revision < 0
                    or (record := self.configs.cache.peek(found)) is None
                    or record.document is closure.get(found)
                    for found, revision in stamp
                ):
                    break
        raw_config = None
        if isinstance(config_id, str):
            raw_config = flatten(config_id, closure.get, self.configs.base_raw_config)
        refused = None if raw_config is not None else "it has no config, or an unknown one"
        if raw_config is not None and self._url_key:
            key = self._parameters.provisioning_key(device.get("tenant_uuid"))
            if key is None or "http_base_url" not in raw_config:
                refused = f"its tenant {device.get('tenant_uuid')} has no provisioning key"
                raw_config = None
            else:
                raw_config["http_base_url"] = f"{raw_config['http_base_url']}/{key}"
        if foreign is not None:
            refused = f"its {foreign[0]} {foreign[1]} belongs to another device"
            raw_config = None
        loaded = self._host.get(device.get("plugin"))
        plugin_stamp = loaded.stamp() if loaded is not None else ""
        return Plan(
            loaded,
            raw_config,
            render_key(device, raw_config, plugin_stamp),
            stamp,
            plugin_stamp,
            self._generation,
            refused,
            foreign is not None,
        )

    def _render(
        self, device: Document, plan: Plan, previous: Document | None, *, is_owner: bool = True
    ) -> bool:
        """Write the files of a device as planned; return whether its plugin accepted it.

        `previous` is the document the device had, whose files go first; None for a new device.
        `is_owner` is what `_owns_files` said of it.
        """
        started = time.perf_counter()
        configured = self._render_now(device, plan, previous, is_owner=is_owner)
        self._metrics.render.observe(time.perf_counter() - started)
        return configured

    def _render_now(
        self, device: Document, plan: Plan, previous: Document | None, *, is_owner: bool
    ) -> bool:
        device_id = device["id"]
        self._verified.pop(device_id, None)
        self._deconfigure(device_id, previous, is_owner=is_owner)
        self.refusals.forget(device_id)
        loaded = plan.loaded
        configured = False
        files: tuple[str, ...] = ()
        retry = False
        if loaded is not None and plan.raw_config is not None:
            try:
                raw_config = copy_json(plan.raw_config)
                add_defaults(raw_config)
                validate_merged(raw_config)
                self.renders += 1
                files = self._host.recorded(
                    loaded,
                    "configure",
                    copy_json(device),
                    raw_config,
                    may_refuse=not device.get("mac"),
                )
                configured = True
            except PluginError as error:
                # A full disk passes; what the plugin refuses, it refuses until something changes.
                retry = isinstance(error.__cause__, OSError)
                self.refusals.note(device_id, str(error))
                if device.get("mac") or retry:
                    logger.warning("device %s is not configured: %s", device_id, error)
                else:
                    logger.info(
                        "device %s is not configured, it has no MAC address yet: %s",
                        device_id,
                        error,
                    )
            except InvalidDocument as error:
                self.refusals.note(device_id, str(error))
                logger.warning("device %s is not configured: %s", device_id, error)
        elif plan.refused is not None and loaded is not None:
            logger.info("device %s is not configured: %s", device_id, plan.refused)
        self._to_retry.discard(device_id)
        if retry:
            self._to_retry.add(device_id)
        elif loaded is not None:
            try:
                self._states.save(RenderState(device, plan.key, configured, loaded.id, files))
            except OSError as error:
                logger.error(
                    "the render state of device %s cannot be written: %s", device_id, error
                )
        return configured

    async def _owns_files(self, device_id: str, previous: Document | None) -> bool:
        """Tell whether what was rendered for a device may go by its MAC address and the like.

        It may not if another device owns one of those now, and with it files of that name.
        """
        state = self._states.load(device_id)
        rendered = state.device if state is not None else previous
        return rendered is None or await self.ownership.find_foreign(rendered) is None

    def _deconfigure(self, device_id: str, previous: Document | None, *, is_owner: bool) -> None:
        """Remove the files that a device had, by the plugin that wrote them; no one else's.

        `previous` is the document the device had, None for a new device.
        """
        state = self._states.load(device_id) if previous is not None else None
        own: list[str] = []
        if state is not None:
            owners = {path: self._states.owner(path) for path in state.files}
            own = [path for path, owner in owners.items() if owner == device_id]
            is_owner = is_owner and all(owner in {None, device_id} for owner in owners.values())
        self._states.begin(device_id, state)
        if state is not None:
            old, configured = state.device, state.configured
        elif previous is not None:
            old, configured = previous, as_bool(previous.get("configured"))
        else:
            return
        if not is_owner:
            # The plugin goes by names, and would remove the files of whoever has the name now.
            for path in own:
                with suppress(OSError):
                    os.unlink(path)
            return
        loaded = self._host.get(old.get("plugin"))
        if configured and loaded is not None:
            try:
                self._host.call(
                    loaded, "deconfigure", copy_json(old), may_refuse=not old.get("mac")
                )
            except PluginError as error:
                logger.warning("device %s is not deconfigured cleanly: %s", old["id"], error)

    def _remove_files(self, device: Document, *, is_owner: bool) -> None:
        """Remove what was rendered for a device that is gone."""
        self._deconfigure(device["id"], device, is_owner=is_owner)

    async def remove_files(self, device_id: str) -> None:
        """Let the plugin of a device remove its files; the next request or refresh writes them."""
        async with self._locks.hold(("device", device_id)):
            record = await self.devices.get(device_id)
            if record is not None:
                self._verified.pop(device_id, None)
                self._remove_files(
                    record.document, is_owner=await self._owns_files(device_id, record.document)
                )

    def _note_fresh(self, record: Record, plan: Plan) -> None:
        if plan.loaded is None or plan.is_withheld or record.id in self._to_retry:
            return
        trigger = None
        try:
            trigger = self._ask_trigger(plan.loaded, record.document)
        except PluginError as error:
            logger.debug("device %s has no trigger file: %s", record.id, error)
        self._verified[record.id] = Verified(
            record.revision,
            plan.stamp,
            plan.plugin_stamp,
            plan.generation,
            trigger if isinstance(trigger, str) else None,
        )
        while len(self._verified) > self._cache_size:
            self._verified.popitem(last=False)

    def fresh(self, record: Record, loaded: LoadedPlugin) -> Verified | None:
        """Return the marks of a device whose files are known to be fresh, else None."""
        verified = self._verified.get(record.id)
        if (
            verified is None
            or verified.revision != record.revision
            or verified.generation != self._generation
            or verified.plugin_stamp != loaded.stamp()
        ):
            return None
        config_id = record.document.get("config")
        if not isinstance(config_id, str):
            return verified if verified.stamp is None else None
        stamp = self.configs.stamp(config_id)
        return verified if stamp is not None and stamp == verified.stamp else None

    async def refresh(self, device_id: str, *, force: bool = False) -> Record | None:
        """Bring the files of a device up to date; return its record, None if it is gone.

        Whether its plugin accepted it is stored if that changed. Devices whose plugin is not
        loaded are left alone, but for those whose config is gone.
        """
        return await finish(self._refresh_now(device_id, force=force))

    async def refresh_for_phone(self, device_id: str) -> Record | None:
        """Do the same while a phone waits for it; what the background renders comes after."""
        self._asked_at = self._clock.seconds()
        return await self.refresh(device_id)

    async def _refresh_now(self, device_id: str, *, force: bool) -> Record | None:
        async with self._locks.hold(("device", device_id)):
            for _ in range(_ATTEMPTS):
                record = await self.devices.get(device_id)
                if record is None:
                    return None
                loaded = self._host.get(record.document.get("plugin"))
                if not force and loaded is not None and self.fresh(record, loaded):
                    return record
                try:
                    return await self._refresh(record, force=force)
                except RevisionConflict:
                    self.devices.forget([device_id])
        raise TooBusy(f"device {device_id} is changed by others all the time")

    async def _refresh(self, record: Record, *, force: bool) -> Record:
        device = record.document
        plan = await self._plan(device)
        configured = as_bool(device.get("configured"))
        rendered = False
        if plan.loaded is None:
            result = configured and plan.raw_config is not None
        else:
            state = self._states.load(record.id)
            if state is not None and state.key == plan.key and not force and state.is_intact():
                result = state.configured
            else:
                is_owner = await self._owns_files(record.id, device)
                result = self._render(device, plan, previous=device, is_owner=is_owner)
                rendered = True
        # Where nodes differ in what they can render, each says so once, not at every request.
        if result != configured and (rendered or not self.devices.is_shared):
            new = {**device, "configured": result}
            revisions = await self._store.write([Replace("devices", new, record.revision)])
            record = Record(new, revisions[0])
            self.devices.written(device, record)
        if plan.loaded is not None:
            self._note_fresh(record, plan)
        return record

    def owner(self, path: str) -> str | None:
        """Return the id of the device that the file at `path` was rendered for, if any."""
        return self._states.owner(path)

    async def restore(self, path: str, loaded: LoadedPlugin) -> bool:
        """Write a rendered file that somebody deleted again; return whether it was one of ours."""
        device_id = self._states.owner(path)
        if device_id is not None:
            self._states.begin(device_id, self._states.load(device_id))
            self._verified.pop(device_id, None)
            logger.info("%s is gone, device %s is rendered again", path, device_id)
            await self.refresh_for_phone(device_id)
            return True
        if path in loaded.common_files:
            logger.info("%s is gone, plugin %s writes its common files again", path, loaded.id)
            try:
                self._host.configure_common(loaded)
            except PluginError as error:
                logger.error("plugin %s cannot write its common files: %s", loaded.id, error)
            return True
        return False

    async def compare_all(self) -> None:
        """Bring every device up to date, and remove files of devices that are gone."""
        ids = await self._store.find_ids("devices", {})
        known = set(ids)
        leftovers: list[str] = []
        await self.report_duplicates()

        async def look_at(device_id: str) -> None:
            if device_id not in known and await self.devices.get(device_id) is None:
                await self.device_gone(device_id)
                leftovers.append(device_id)

        await self._jobs.for_each(self._states.device_ids(), look_at)
        before = self.renders
        await self._jobs.for_each(ids, self.refresh)
        logger.info(
            "%d devices compared, %d rendered again, %d leftovers removed",
            len(ids),
            self.renders - before,
            len(leftovers),
        )

    async def refresh_many(
        self, device_ids: Iterable[str], what: str, *, force: bool = False
    ) -> None:
        """Bring devices up to date: some at once, the remainder in the background.

        Returns when the first `direct_renders` are done. The others are stale already: a phone
        that asks is served fresh files.
        """

        async def refresh(device_id: str) -> None:
            await self.refresh(device_id, force=force)

        ids = list(device_ids)
        await self._jobs.for_each(ids[: self._direct_renders], refresh)
        rest = ids[self._direct_renders :]
        if rest:
            logger.info("%s: %d more devices are rendered in the background", what, len(rest))
            # One job for all changes: a device that several of them touch is rendered once, and the
            # loop gives away one slice, not one for each change.
            for device_id in rest:
                self._stale[device_id] = force or self._stale.get(device_id, False)
            if self._sweeping is None:
                self._sweeping = Operation(state=PROGRESS, current=0, end=0)
                self._jobs.start(
                    what, self._sweep(self._sweeping), self._sweeping, can_be_stopped=True
                )
            if self._sweeping is not None:
                self._sweeping.end = (self._sweeping.current or 0) + len(self._stale)

    async def _sweep(self, operation: Operation) -> None:
        """Render the devices that wait for it, also those that come while it runs.

        Those that are left when it is cancelled are rendered when they are asked for.
        """

        async def refresh(item: tuple[str, bool]) -> None:
            device_id, force = item
            await self._let_phones_go_first()
            await finish(self._refresh_now(device_id, force=force))

        def stale() -> Iterator[tuple[str, bool]]:
            while self._stale:
                device_id = next(iter(self._stale))
                yield device_id, self._stale.pop(device_id)

        try:
            await self._jobs.for_each(stale(), refresh, operation)
        except defer.CancelledError:
            self._stale.clear()
            raise
        finally:
            self._sweeping = None

    async def _let_phones_go_first(self) -> None:
        """Wait while phones have their own files rendered, but not for ever."""
        for _ in range(_PAUSES):
            if self._clock.seconds() - self._asked_at > _PAUSE_SECONDS:
                return
            await task.deferLater(self._clock, _PAUSE_SECONDS)

    async def device_ids_of_plugin(self, plugin_id: str) -> list[str]:
        """Return the ids of all devices whose plugin is `plugin_id`."""
        return await self._store.find_ids("devices", {"plugin": plugin_id})

    async def soft_deconfigure(self, plugin_id: str) -> None:
        """Note that the files of a plugin's devices are gone with the plugin."""

        async def note(device_id: str) -> None:
            async with self._locks.hold(("device", device_id)):
                self._states.begin(device_id, self._states.load(device_id))
                self._verified.pop(device_id, None)
                for _ in range(_ATTEMPTS):
                    record = await self.devices.get(device_id)
                    if record is None or not as_bool(record.document.get("configured")):
                        return
                    new = {**record.document, "configured": False}
                    try:
                        revisions = await self._store.write(
                            [Replace("devices", new, record.revision)]
                        )
                    except RevisionConflict:
                        self.devices.forget([device_id])
                        continue
                    self.devices.written(record.document, Record(new, revisions[0]))
                    return

        await self._jobs.for_each(await self.device_ids_of_plugin(plugin_id), note)

    def settings_changed(self) -> None:
        """Make every device stale: a setting that reaches templates changed."""
        self._generation += 1

    # Several nodes

    def forget_everything(self) -> None:
        """Read all documents again when they are needed: others may have changed any of them."""
        self.devices.clear()
        self.configs.cache.clear()
        self._verified.clear()

    async def device_gone(self, device_id: str) -> None:
        """Remove what was rendered here for a device that another node deleted."""
        async with self._locks.hold(("device", device_id)):
            if await self.devices.get(device_id) is not None:
                return
            self._verified.pop(device_id, None)
            state = self._states.load(device_id)
            heir = await self._find_heir(state.device) if state is not None else None
            if heir is not None:
                self.taken_over(device_id, heir)
            self.deleted(device_id)
            if state is not None:
                is_owner = await self._owns_files(device_id, state.device)
                self._remove_files(state.device, is_owner=is_owner)

    async def _find_heir(self, device: Document) -> str | None:
        """Return the id of the device that has an identity of one that is gone, if one has."""
        for kind, value in identities(device).items():
            for holder in await self.ownership.find_holders(kind, value):
                if holder != device["id"]:
                    return holder
        return None

    # Remote state

    async def _note_remote_state(
        self, device: Document, filename: str, unsaved: Document | None = None
    ) -> None:
        """Set which SIP account the phone runs, if `filename` is the file that proves it."""
        loaded = self._host.get(device.get("plugin"))
        config_id = device.get("config")
        if loaded is None or not isinstance(config_id, str):
            return
        try:
            trigger = self._ask_trigger(loaded, device)
        except PluginError as error:
            logger.debug("device %s has no trigger file: %s", device["id"], error)
            return
        if not trigger or trigger != filename:
            return
        if unsaved is not None and unsaved["id"] == config_id:
            config: Document | None = unsaved
        else:
            record = await self.configs.get(config_id)
            config = record.document if record is not None else None
        username = sip_username(config)
        if username is not None:
            device["remote_state_sip_username"] = username

    async def note_remote_state(self, record: Record, filename: str) -> Record:
        """Store which SIP account a configured phone runs now, if it fetched the proof of it."""
        device = dict(record.document)
        await self._note_remote_state(device, filename)
        username = device.get("remote_state_sip_username")
        if username == record.document.get("remote_state_sip_username"):
            return record

        def change(document: Document) -> Change:
            document["remote_state_sip_username"] = username
            return Change(document)

        return await self.change_device(record.id, change)

    # Configs

    async def config(self, config_id: str) -> Document:
        """Return a config; ConfigNotFound if there is none."""
        record = await self.configs.get(config_id)
        if record is None:
            raise ConfigNotFound(config_id)
        return record.document

    async def find_configs(self, query: Query) -> list[Document]:
        """Return the configs that match, as `query` orders and cuts them."""
        return [record.document for record in await self._store.find("configs", query)]

    async def count_configs(self, selector: Mapping[str, Any]) -> int:
        """Return how many configs match."""
        return await self._store.count("configs", selector)

    async def raw_config(self, config_id: str) -> Document:
        """Return a config flattened with its ancestors; ConfigNotFound if there is none."""
        raw_config = await self.configs.flattened(config_id)
        if raw_config is None:
            raise ConfigNotFound(config_id)
        return raw_config

    async def config_descendants(self, config_id: str) -> list[str]:
        """Return the ids of the configs that inherit from one, directly or not."""
        return await self._store.descendants(config_id)

    def hold_names(self, config_ids: Iterable[str]) -> AbstractAsyncContextManager[None]:
        """Let nobody else, who holds names too, make or name configs of these ids meanwhile."""
        return self._locks.hold_all("config name", config_ids)

    async def insert_config(self, document: Document, owner: str | None = None) -> str:
        """Store a new config of the tenant `owner`, None for the main one; return its id.

        InvalidDocument, DuplicateId. Devices that point to it already, directly or through a
        descendant, are configured.
        """
        config = clean_config(without_owner(copy_json(document)))
        if owner is not None:
            config[TENANT] = owner.lower()
        if config.get("id") is None:
            config["id"] = await self._generate_id("configs")
        check_id(config["id"])
        validate_config(config)
        await finish(self._insert_config_now(config))
        await self._config_changed(config["id"])
        return str(config["id"])

    async def _insert_config_now(self, config: Document) -> None:
        revisions = await self._store.write([Insert("configs", config)])
        self.configs.cache.written(None, Record(config, revisions[0]))

    async def replace_config(
        self, config_id: str, document: Document, allow: Callable[[Document], None] | None = None
    ) -> None:
        """Replace a config, whose owner stays; ConfigNotFound, InvalidDocument: nothing is changed.

        `allow` is called with the document that is replaced, and may raise.
        """
        await finish(self._replace_config_now(config_id, document, allow))

    async def _replace_config_now(
        self, config_id: str, document: Document, allow: Callable[[Document], None] | None
    ) -> None:
        async with self._locks.hold(("config", config_id)):
            await self.config(config_id)
            config = clean_config(without_owner(copy_json(document)))
            config["id"] = config_id
            validate_config(config)
            for _ in range(_ATTEMPTS):
                record = await self.configs.get(config_id)
                if record is None:
                    raise ConfigNotFound(config_id)
                if allow is not None:
                    allow(record.document)
                config.pop(TENANT, None)
                # A template of all new phones is everybody's, so the main tenant's.
                if config.get("role") != AUTOCREATE and TENANT in record.document:
                    config[TENANT] = record.document[TENANT]
                if record.document == config:
                    return
                try:
                    revisions = await self._store.write(
                        [Replace("configs", config, record.revision)]
                    )
                    break
                except RevisionConflict:
                    self.configs.cache.forget([config_id])
            else:
                raise TooBusy(f"config {config_id} is changed by others all the time")
            self.configs.cache.written(record.document, Record(config, revisions[0]))
        await self._config_changed(config_id)

    async def delete_config(
        self, config_id: str, allow: Callable[[Document], None] | None = None
    ) -> None:
        """Delete a config; ConfigNotFound, NotDeletable.

        Devices that use it are deconfigured and keep its id; those of its descendants are
        configured without it. `allow` is called with the document, and may raise.
        """
        await finish(self._delete_config_now(config_id, allow))

    async def _delete_config_now(
        self, config_id: str, allow: Callable[[Document], None] | None
    ) -> None:
        async with self._locks.hold(("config", config_id)):
            for _ in range(_ATTEMPTS):
                record = await self.configs.get(config_id)
                if record is None:
                    raise ConfigNotFound(config_id)
                if allow is not None:
                    allow(record.document)
                if not is_deletable(record.document):
                    raise NotDeletable(config_id)
                try:
                    await self._store.write([Delete("configs", config_id, record.revision)])
                    break
                except RevisionConflict:
                    self.configs.cache.forget([config_id])
            else:
                raise TooBusy(f"config {config_id} is changed by others all the time")
            self.configs.cache.written(record.document, None)
        await self._config_changed(config_id)

    async def _config_changed(self, config_id: str) -> None:
        affected = [config_id, *await self._store.descendants(config_id)]
        device_ids: list[str] = []
        for start in range(0, len(affected), _IDS_AT_ONCE):
            part = affected[start : start + _IDS_AT_ONCE]
            device_ids += await self._store.find_ids("devices", {"config": {"$in": part}})
        if device_ids:
            await self.refresh_many(device_ids, f"change of config {config_id}")

    async def build_autocreate_config(self) -> Document | None:
        """Return a new config for a new phone, not stored; None if none can be made."""
        if self._autocreate is None or self._autocreate[0] != self.configs.cache.role_writes:
            writes = self.configs.cache.role_writes
            found = await self._store.find("configs", Query(selector={"role": AUTOCREATE}))
            # One of a tenant would give all new phones whatever that tenant likes.
            shared = [
                record.document
                for record in found
                if self.tenants_share_configs or owner_of(record.document, self.main_tenant) is None
            ]
            self._autocreate = writes, shared[0] if shared else None
        template = self._autocreate[1]
        return build_autocreate(template) if template is not None else None

    async def autocreate_config(self) -> str:
        """Store a new config made from the autocreate config; return its id."""
        config = await self.new_config()
        await finish(self._insert_config_now(config))
        return str(config["id"])

    async def new_config(self) -> Document:
        """Return what `build_autocreate_config` does; NoAutocreateConfig if none can be made."""
        config = await self.build_autocreate_config()
        if config is None:
            raise NoAutocreateConfig("no config with the autocreate role")
        return config


def within(tenants: Collection[str], selector: Mapping[str, Any]) -> Document:
    """Return `selector` narrowed to the documents of `tenants`; it can never widen the view."""
    asked = selector.get("tenant_uuid")
    condition: Document
    if "tenant_uuid" not in selector:
        condition = {"$in": sorted(tenants)}
    elif isinstance(asked, dict) and asked:
        allowed = asked.get("$in", tenants)
        condition = {**asked, "$in": sorted(tenant for tenant in tenants if tenant in allowed)}
    else:
        condition = {"$in": [tenant for tenant in tenants if tenant == asked]}
    return {**selector, "tenant_uuid": condition}


def _saved(plan: Plan, config: Document | None, revision: int) -> Plan:
    """Return `plan` with the revision that its unsaved config got."""
    if config is None or plan.stamp is None:
        return plan
    stamp = tuple((name, revision if known < 0 else known) for name, known in plan.stamp)
    return attrs.evolve(plan, stamp=stamp)


def sip_username(config: Mapping[str, Any] | None) -> str | None:
    """Return the user name of SIP line 1 in the config's own raw config, if it has one."""
    if config is None:
        return None
    lines = config["raw_config"].get("sip_lines")
    line = lines.get("1") if isinstance(lines, dict) else None
    username = line.get("username") if isinstance(line, dict) else None
    return username if isinstance(username, str) else None
