"""Whose phone it is: one device owns an identity; a prepared one takes an automatic one over.

The store decides. What is looked up here beforehand tells which writes to ask it for, and whether
a device that shares an identity, after an import, is the one whose files the phone gets.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from provd.errors import IdentityTaken
from provd.model.config import is_transient
from provd.model.identities import identities, is_unclaimed, may_be_one_phone
from provd.model.selectors import Query
from provd.store.interface import Delete

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from provd.manager.cache import DocumentCache
    from provd.store.interface import Record, Store

logger = logging.getLogger(__name__)

Document = dict[str, Any]

_INHERITED = ("ip", "mac", "sn", "uuid", "vendor", "model", "plugin", "remote_state_sip_username")


class Ownership:
    """Answers from the caches where they suffice, else from the store."""

    def __init__(self, store: Store, devices: DocumentCache, configs: DocumentCache) -> None:
        self._store = store
        self._devices = devices
        self._configs = configs

    async def find_holders(self, kind: str, value: str) -> tuple[str, ...]:
        """Return the ids of the devices that have an identity, oldest first."""
        ids = self._devices.peek_ids(kind, value)
        if ids is not None:
            return ids
        return tuple(record.id for record in await self._devices.by_key(kind, value))

    async def find_foreign(
        self, device: Mapping[str, Any], besides: Collection[str] = ()
    ) -> tuple[str, str] | None:
        """Return an identity of a device that another one owns, None if there is none.

        `besides` are devices that do not count.
        """
        for kind, value in identities(device).items():
            for holder in await self.find_holders(kind, value):
                if holder == device["id"] or holder in besides:
                    continue
                owner = await self._store.owner(kind, value)
                if owner is not None and owner != device["id"] and owner not in besides:
                    return kind, value
                break
        return None

    async def choose(self, kind: str, value: str, found: Sequence[Record]) -> Record:
        """Return the owner of an identity among the devices `found` to have it."""
        if len(found) > 1:
            owner = await self._store.owner(kind, value)
            for record in found:
                if record.id == owner:
                    return record
        return found[0]

    async def choose_candidate(
        self,
        candidates: Sequence[tuple[str, Record]],
        info: Mapping[str, Any],
        main_tenant: str | None,
    ) -> tuple[Record, str]:
        """Return the device of a request that names several by its identities, and which told.

        One that somebody claimed comes before automatic ones, of which the oldest stays.
        """
        if len({record.id for _, record in candidates}) > 1:
            alike = [one for one in candidates if may_be_one_phone(one[1].document, info)]
            candidates = alike or candidates
        if len({record.id for _, record in candidates}) == 1:
            key, record = candidates[0]
            return record, key
        claimed = [
            (key, record)
            for key, record in candidates
            if not await self.is_unclaimed(record.document, main_tenant)
        ]
        if len({record.id for _, record in claimed}) > 1:
            logger.warning(
                "a request names several devices: %s; the first is taken",
                ", ".join(f"{record.id} by {key}" for key, record in claimed),
            )
        if claimed:
            key, record = claimed[0]
            return record, key
        by_id = {record.id: (record, key) for key, record in reversed(candidates)}
        selector = {"id": {"$in": list(by_id)}}
        oldest = await self._store.find("devices", Query(selector=selector, limit=1))
        return by_id[oldest[0].id] if oldest else by_id[candidates[0][1].id]

    async def may_gain(
        self, device: Mapping[str, Any], kind: str, value: str, main_tenant: str | None
    ) -> bool:
        """Tell whether a device may have an identity: it is free, or an automatic device's."""
        try:
            await self.find_rivals({**device, kind: value}, device, main_tenant)
        except IdentityTaken:
            return False
        return True

    async def is_unclaimed(self, device: Mapping[str, Any], main_tenant: str | None) -> bool:
        """Tell whether a request made the device and nobody has laid a hand on it since."""
        if device.get("tenant_uuid") != main_tenant:
            return False
        config = await self._config_of(device)
        return is_unclaimed(device, config.document if config is not None else None)

    async def _config_of(self, device: Mapping[str, Any]) -> Record | None:
        config_id = device.get("config")
        return await self._configs.get(config_id) if isinstance(config_id, str) else None

    async def find_rivals(
        self, new: Mapping[str, Any], old: Mapping[str, Any] | None, main_tenant: str | None
    ) -> list[Record]:
        """Return the automatic devices that `new` takes over with what it gains, oldest first.

        `old` is what the device was, None for a new one. IdentityTaken if it gains an identity of
        any other device.
        """
        rivals: dict[str, Record] = {}
        before = identities(old)
        for kind, value in identities(new).items():
            if before.get(kind) == value:
                continue
            for record in await self._devices.by_key(kind, value):
                if record.id == new["id"]:
                    continue
                if not may_be_one_phone(new, record.document) or not await self.is_unclaimed(
                    record.document, main_tenant
                ):
                    raise IdentityTaken(kind, value, record.id)
                rivals[record.id] = record
        return list(rivals.values())

    async def inherit(self, new: Document, rivals: Sequence[Record]) -> None:
        """Let a device have what those that it takes over knew of the phone, if it says nothing."""
        for record in rivals:
            known = record.document
            is_alike = all(
                new.get(key) in {None, known.get(key)} or known.get(key) is None
                for key in ("vendor", "model")
            )
            for key in (*_INHERITED, "version") if is_alike else ("ip",):
                value = known.get(key)
                if new.get(key) or value is None:
                    continue
                if key in identities(known) and await self.find_holders(key, value) != (record.id,):
                    continue  # its own only in part
                new[key] = value

    async def plan_takeover(
        self, new: Mapping[str, Any], rivals: Sequence[Record]
    ) -> tuple[list[Delete], list[Record]]:
        """Return the writes that make room for a device, and the configs among what they delete."""
        writes = [Delete("devices", record.id, record.revision) for record in rivals]
        configs: dict[str, Record] = {}
        for record in rivals:
            config = await self._config_of(record.document)
            if config is None or config.id == new.get("config") or config.id in configs:
                continue
            users = set(await self._store.find_ids("devices", {"config": config.id}))
            if is_transient(config.document) and users <= {new["id"], *(r.id for r in rivals)}:
                configs[config.id] = config
        writes += [Delete("configs", config.id, config.revision) for config in configs.values()]
        return writes, list(configs.values())
