"""Whose configs are whose: what a tenant may read, change, and build upon.

A config belongs to the tenant that made it. The main tenant's are everybody's to inherit from, and
readable with secrets masked; only the main tenant changes them. A token of the main tenant does as
it likes, also across tenants. For everybody else two rules keep tenants apart:

- A reference, such as a parent or the config of a device, is looked at when it is made: what it
  names is the same tenant's, or the main one's.
- A new config may not take an id that something of another tenant refers to already, as it would
  slip beneath that.

A config of the main tenant that is a phone's own, as a device uses it and no config inherits from
it, is no template: it is out of sight for all tenants but the device's.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import ConfigNotFound, DuplicateId, InvalidDocument, OfMainTenant, trespass
from provd.logs import escape
from provd.manager.manager import within
from provd.model.config import (
    AUTOCREATE,
    TENANT,
    clean_config,
    flatten,
    is_transient,
    owner_of,
    validate_config,
    without_owner,
)
from provd.model.documents import copy_json, shown
from provd.model.ids import check_id
from provd.model.secrets import masked, without_secrets

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from provd.manager.manager import DeviceManager
    from provd.model.dhcpinfo import DhcpInfo
    from provd.model.selectors import Query

logger = logging.getLogger(__name__)

Document = dict[str, Any]


@attrs.frozen
class Caller:
    """On whose behalf something is done."""

    tenant: str
    """What is made belongs to it."""
    visible: frozenset[str] | None = None
    """Whose configs it sees as its own; None for everybody's, as the main tenant does."""

    @property
    def is_limited(self) -> bool:
        """Whether it is held to what is its own."""
        return self.visible is not None

    def sees(self, owner: str | None) -> bool:
        """Tell whether what belongs to `owner`, None for the main tenant, is its own."""
        return self.visible is None or (
            owner is not None and owner.lower() in {tenant.lower() for tenant in self.visible}
        )

    def require_main(self, what: str) -> None:
        """Raise OfMainTenant for a caller of another tenant."""
        if self.is_limited:
            raise trespass(
                OfMainTenant(
                    f"{what}: all tenants share this, so only a token of the main tenant may do it"
                ),
                what,
            )


class ConfigAccess:
    """The use cases of configs as callers of several tenants have them; it holds nothing itself."""

    def __init__(self, manager: DeviceManager) -> None:
        self._manager = manager

    def _owner(self, config: Mapping[str, Any]) -> str | None:
        return owner_of(config, self._manager.main_tenant)

    # Reading

    async def find(self, query: Query, caller: Caller) -> list[Document]:
        """Return the caller's own configs that match; their owners are still in them."""
        return await self._manager.find_configs(
            attrs.evolve(query, selector=self._own(query.selector, caller))
        )

    async def count(self, selector: Mapping[str, Any], caller: Caller) -> int:
        """Return how many of the caller's own configs match."""
        return await self._manager.count_configs(self._own(selector, caller))

    @staticmethod
    def _own(selector: Mapping[str, Any], caller: Caller) -> Mapping[str, Any]:
        if caller.visible is None:
            return selector
        return within({tenant.lower() for tenant in caller.visible}, selector)

    async def get(self, config_id: str, caller: Caller) -> Document:
        """Return a config as the caller may see it; ConfigNotFound."""
        config = await self._readable(config_id, caller)
        public = without_owner(config)
        if caller.sees(self._owner(config)):
            return public
        hidden: Document = masked(public)
        return hidden

    async def raw_config(self, config_id: str, caller: Caller) -> Document:
        """Return a config flattened with its ancestors; what is not the caller's own is masked."""
        await self._readable(config_id, caller)
        return await self.flattened(config_id, caller)

    async def flattened(self, config_id: str, caller: Caller) -> Document:
        """Return what `raw_config` does, of a config that the caller sees through a device."""
        if not caller.is_limited:
            return await self._manager.raw_config(config_id)
        configs = self._manager.configs
        closure = await configs.closure(config_id)

        def look_up(found: str) -> Mapping[str, Any] | None:
            config = closure.get(found)
            if config is None or caller.sees(self._owner(config)):
                return config
            return {**config, "raw_config": masked(config["raw_config"])}

        raw_config = flatten(config_id, look_up, masked(configs.base_raw_config))
        if raw_config is None:
            raise ConfigNotFound(config_id)
        return raw_config

    async def _readable(self, config_id: str, caller: Caller) -> Document:
        config = await self._manager.config(config_id)
        if not await self._may_build_on(config, caller):
            raise self._hidden(config)
        return config

    def _hidden(self, config: Mapping[str, Any]) -> ConfigNotFound:
        return trespass(ConfigNotFound(config["id"]), self._described(config))

    def _described(self, config: Mapping[str, Any]) -> str:
        return f"config {config['id']} of tenant {self._owner(config) or 'main'}"

    async def _may_build_on(
        self, config: Mapping[str, Any], caller: Caller, for_device: str | None = None
    ) -> bool:
        """Tell whether a config is the caller's own, or a template that all may inherit from."""
        owner = self._owner(config)
        if caller.sees(owner):
            return True
        assert caller.visible is not None
        if owner is not None:
            return False
        others = {
            "config": config["id"],
            "id": {"$ne": for_device},
            "tenant_uuid": {"$nin": sorted(caller.visible)},
        }
        return not await self._manager.count_devices(others) or bool(
            await self._manager.config_descendants(config["id"])
        )

    # Changing

    async def insert(self, document: Document, caller: Caller) -> str:
        """Store a new config of the caller's tenant; return its id."""
        owner = self._owner({TENANT: caller.tenant})
        if not caller.is_limited:
            # A template of all new phones is everybody's.
            if document.get("role") == AUTOCREATE:
                owner = None
            return await self._manager.insert_config(document, owner)
        config = self._checked(document)
        names = {*config["parent_ids"]}
        if config.get("id") is not None:
            check_id(config["id"])
            names.add(config["id"])
        async with self._manager.hold_names(names):
            if config.get("id") is not None:
                await self._check_free(config["id"], caller)
            await self._check_parents(config, (), caller)
            return await self._manager.insert_config(config, owner)

    async def for_change(self, config_id: str, caller: Caller) -> Document:
        """Return a config that the caller may change; ConfigNotFound, OfMainTenant."""
        config = await self._readable(config_id, caller)
        self._guard(caller)(config)
        return config

    async def replace(self, config_id: str, document: Document, caller: Caller) -> None:
        """Replace a config of the caller's own; it stays whose it is."""
        guard = self._guard(caller)
        if not caller.is_limited:
            await self._manager.replace_config(config_id, document, guard)
            return
        old = await self.for_change(config_id, caller)
        config = {**self._checked(document), "id": config_id}
        async with self._manager.hold_names(config["parent_ids"]):
            await self._check_parents(
                config, old["parent_ids"], attrs.evolve(caller, tenant=str(old.get(TENANT)))
            )
            await self._manager.replace_config(config_id, config, guard)

    async def delete(self, config_id: str, caller: Caller) -> None:
        """Delete a config of the caller's own."""
        await self.for_change(config_id, caller)
        await self._manager.delete_config(config_id, self._guard(caller))

    async def autocreate(self, caller: Caller) -> str:
        """Store a config for a new phone of the caller's tenant; return its id.

        For another tenant than the main one the template's secrets stay in the template, from which
        the new config inherits them.
        """
        config = await self._manager.new_config()
        if caller.is_limited:
            config = {**config, "raw_config": without_secrets(config["raw_config"])}
        return await self._manager.insert_config(config, self._owner({TENANT: caller.tenant}))

    def _guard(self, caller: Caller) -> Callable[[Document], None]:
        """Return what raises for a config that the caller may not change."""

        def allow(config: Document) -> None:
            owner = self._owner(config)
            if caller.sees(owner):
                return
            if owner is not None:
                raise self._hidden(config)
            raise trespass(
                OfMainTenant(
                    f"config {config['id']} is the main tenant's; only its tokens may change it"
                ),
                self._described(config),
            )

        return allow

    @staticmethod
    def _checked(document: Document) -> Document:
        """Return a tenant's document, cleaned and with its rules checked."""
        config = clean_config(without_owner(copy_json(document)))
        validate_config(config)
        if config.get("role") == AUTOCREATE:
            raise trespass(
                InvalidDocument(
                    f"role: only a config of the main tenant may be {AUTOCREATE}, as phones of all"
                    " tenants begin with it"
                ),
                f"the role {AUTOCREATE}",
            )
        return config

    async def _check_free(self, config_id: str, caller: Caller) -> None:
        """Raise DuplicateId if something that is not the caller's refers to this id already."""
        assert caller.visible is not None
        users = {"config": config_id, "tenant_uuid": {"$nin": sorted(caller.visible)}}
        taken = bool(await self._manager.count_devices(users))
        for heir in await self._manager.config_descendants(config_id):
            record = await self._manager.configs.get(heir)
            taken = taken or not (record is None or caller.sees(self._owner(record.document)))
        if taken:
            raise trespass(
                DuplicateId("configs", config_id),
                f"the config id {config_id}, to which something of others refers",
            )

    async def _check_parents(
        self, config: Mapping[str, Any], known: Iterable[str], caller: Caller
    ) -> None:
        """Raise InvalidDocument for a new parent that is neither the tenant's nor the main one's.

        A parent that is not there is refused in the same words, so nobody learns what others have.
        """
        for parent_id in dict.fromkeys(config["parent_ids"]):
            if parent_id in known or parent_id == config.get("id"):
                continue
            record = await self._manager.configs.get(parent_id)
            parent = record.document if record is not None else None
            if parent is None or not await self._may_name(parent, caller):
                raise self._not_named("parent_ids", parent_id, parent)

    async def _may_name(
        self, config: Document, caller: Caller, for_device: str | None = None
    ) -> bool:
        """Tell whether what belongs to the caller's tenant may refer to a config."""
        owner = self._owner(config)
        if owner is not None:
            return owner == caller.tenant.lower()
        return not is_transient(config) and await self._may_build_on(config, caller, for_device)

    def _not_named(self, where: str, config_id: str, config: Document | None) -> InvalidDocument:
        error = InvalidDocument(
            f"{where}: {shown(config_id)} is no config of this tenant, or of the main one to"
            " inherit from"
        )
        return error if config is None else trespass(error, self._described(config))

    # Devices

    async def takes_event(self, info: DhcpInfo, caller: Caller) -> bool:
        """Tell whether a DHCP event may be taken from a caller; if not, that is in the log.

        It may not change a phone of another tenant, nor take its address. The caller learns nothing
        of that, as it would learn whose the phone is.
        """
        if caller.visible is None:
            return True
        others = {"$nin": sorted({*caller.visible, self._manager.main_tenant or ""})}
        for key, value in (("mac", info.mac), ("ip", info.ip)):
            if await self._manager.count_devices({key: value, "tenant_uuid": others}):
                logger.warning(
                    "a DHCP event is ignored, as tenant %s reached for a device of another: %s %s",
                    escape(caller.tenant),
                    key,
                    value,
                )
                return False
        return True

    @asynccontextmanager
    async def linked(
        self, device: Mapping[str, Any], caller: Caller, device_id: str | None = None
    ) -> AsyncIterator[None]:
        """Hold the name of a device's config while that is stored; InvalidDocument if it may not.

        `device_id` is that of the device which is replaced. A config that is not there may be
        named: whoever makes it will be of the same tenant.
        """
        config_id = device.get("config")
        if not caller.is_limited or not isinstance(config_id, str) or not config_id:
            yield
            return
        async with self._manager.hold_names((config_id,)):
            await self._check_link(config_id, caller, device_id)
            yield

    async def _check_link(self, config_id: str, caller: Caller, device_id: str | None) -> None:
        old = await self._manager.device(device_id) if device_id is not None else {}
        tenant = old.get("tenant_uuid")
        is_kept = old.get("config") == config_id
        moves = device_id is not None and not caller.sees(tenant)
        if device_id is not None and not moves:
            caller = attrs.evolve(caller, tenant=str(tenant))
        if is_kept and not moves:
            return
        record = await self._manager.configs.get(config_id)
        if record is None:
            return
        config = record.document
        if is_kept and self._owner(config) is None:  # a phone that is claimed brings its own
            allowed = await self._may_build_on(config, caller, device_id)
        else:
            allowed = await self._may_name(config, caller, device_id)
        if not allowed:
            raise self._not_named("config", config_id, config)
