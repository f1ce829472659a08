"""The config documents a node works with: inheritance read through a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.manager.cache import DocumentCache
from provd.model.config import flatten

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provd.store.interface import Record, Store

Stamp = tuple[tuple[str, int], ...]


class Configs:
    """Flattens configs, and tells cheaply whether a flattening would come out otherwise."""

    def __init__(self, store: Store, base_raw_config: dict[str, Any], limit: int) -> None:
        self.base_raw_config = base_raw_config
        self.cache = DocumentCache(store, "configs", limit)

    def stamp(
        self, config_id: str, unsaved: Mapping[str, dict[str, Any]] | None = None
    ) -> Stamp | None:
        """Return ids and revisions of a config and its ancestors, 0 for an unknown one.

        None if some of it is not remembered; `closure` remembers it. Documents in `unsaved` have
        no revision yet: theirs shows as -1.
        """
        peek = self.cache.peek
        found: list[tuple[str, int]] = []
        seen = {config_id}
        pending = [config_id]
        while pending:
            current = pending.pop()
            if unsaved and current in unsaved:
                found.append((current, -1))
                parents = unsaved[current]["parent_ids"]
            elif (record := peek(current)) is not None:
                found.append((current, record.revision))
                parents = record.document["parent_ids"]
            else:
                if not self.cache.is_absent(current):
                    return None
                found.append((current, 0))
                continue
            for parent in parents:
                if parent not in seen:
                    seen.add(parent)
                    pending.append(parent)
        return tuple(found)

    async def closure(
        self, config_id: str, unsaved: Mapping[str, dict[str, Any]] | None = None
    ) -> dict[str, dict[str, Any]]:
        """Return the config and its ancestors by id, as far as they exist.

        `unsaved` holds documents that are about to be stored and win over stored ones.
        """
        found: dict[str, dict[str, Any]] = {}
        seen = {config_id}
        pending = [config_id]
        while pending:
            current = pending.pop()
            document = unsaved.get(current) if unsaved else None
            if document is None:
                record = self.cache.peek(current)
                if record is None and not self.cache.is_absent(current):
                    record = await self.cache.get(current)
                if record is None:
                    continue
                document = record.document
            found[current] = document
            for parent in document["parent_ids"]:
                if parent not in seen:
                    seen.add(parent)
                    pending.append(parent)
        return found

    async def flattened(
        self, config_id: str, unsaved: Mapping[str, dict[str, Any]] | None = None
    ) -> dict[str, Any] | None:
        """Return a fresh flattened raw config; None if the config is unknown."""
        closure = await self.closure(config_id, unsaved)
        return flatten(config_id, closure.get, self.base_raw_config)

    async def get(self, config_id: str) -> Record | None:
        """Return a config, or None."""
        return await self.cache.get(config_id)
