"""A store in memory, for tests and for trying things out: nothing outlives the process."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from provd.errors import DuplicateId, RevisionConflict
from provd.store.interface import (
    IDENTITY_KEYS,
    Collection,
    Delete,
    Identity,
    Insert,
    Record,
    Replace,
    Write,
)
from provd.store.query import compile_selector, sort_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from provd.store.query import Query


class MemoryStore:
    """Keeps documents in dictionaries."""

    def __init__(self) -> None:
        self._collections: dict[Collection, dict[str, Record]] = {"devices": {}, "configs": {}}
        self._parameters: dict[str, Any] = {}
        self._revision = 0

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def get(self, collection: Collection, document_id: str) -> Record | None:
        """Return the document of that id, or None."""
        return self._collections[collection].get(document_id)

    def _matching(self, collection: Collection, selector: Mapping[str, Any]) -> Iterable[Record]:
        matches = compile_selector(selector)
        return (r for r in self._collections[collection].values() if matches(r.document))

    async def find(self, collection: Collection, query: Query) -> list[Record]:
        """Return documents that match, sorted, skipped and limited."""
        return page(list(self._matching(collection, query.selector)), query)

    async def find_ids(self, collection: Collection, selector: Mapping[str, Any]) -> list[str]:
        """Return the ids of all documents that match."""
        return [record.id for record in self._matching(collection, selector)]

    async def identities(self, limit: int) -> list[Identity] | None:
        """Return what tells devices apart, of all of them."""
        documents = [record.document for record in self._collections["devices"].values()]
        if len(documents) > limit:
            return None
        return [identity(document) for document in documents]

    async def descendants(self, config_id: str) -> list[str]:
        """Return the ids of all configs that reach this one."""
        children: dict[str, list[str]] = {}
        for record in self._collections["configs"].values():
            for parent in record.document.get("parent_ids", ()):
                children.setdefault(parent, []).append(record.id)
        reached = {config_id: None}
        for reached_id in (pending := [config_id]):
            for child in children.get(reached_id, ()):
                if child not in reached:
                    reached[child] = None
                    pending.append(child)
        return list(reached)[1:]

    async def count(self, collection: Collection, selector: Mapping[str, Any]) -> int:
        """Return how many documents match."""
        return sum(1 for _ in self._matching(collection, selector))

    async def write(self, operations: Sequence[Write]) -> list[int]:
        """Do all operations, or none."""
        saved = {name: dict(records) for name, records in self._collections.items()}
        try:
            return [self._apply(operation) for operation in operations]
        except BaseException:
            self._collections = saved
            raise

    def _apply(self, operation: Write) -> int:
        records = self._collections[operation.collection]
        match operation:
            case Insert(collection, document):
                if document["id"] in records:
                    raise DuplicateId(collection, document["id"])
            case Replace(collection, document, revision):
                self._check(collection, document["id"], revision)
            case Delete(collection, document_id, revision):
                self._check(collection, document_id, revision)
                self._revision += 1
                del records[document_id]
                return self._revision
        self._revision += 1
        records[document["id"]] = Record(document, self._revision)
        return self._revision

    def _check(self, collection: Collection, document_id: str, revision: int) -> None:
        record = self._collections[collection].get(document_id)
        if record is None or record.revision != revision:
            raise RevisionConflict(collection, document_id)

    async def parameters(self) -> dict[str, Any]:
        """Return all parameters, by name."""
        return copy.deepcopy(self._parameters)

    async def set_parameter(self, name: str, value: Any) -> None:
        """Keep one parameter."""
        self._parameters[name] = copy.deepcopy(value)


def identity(document: Mapping[str, Any]) -> Identity:
    """Return what tells a device from others."""
    mac, ip, sn, uuid = (
        value if isinstance(value := document.get(key), str) else None for key in IDENTITY_KEYS
    )
    return document["id"], mac, ip, sn, uuid


def page(records: list[Record], query: Query) -> list[Record]:
    """Return `records` sorted, skipped and limited as `query` says."""
    if query.sort is not None:
        key, direction = query.sort
        records.sort(key=lambda r: sort_value(r.document, key), reverse=direction < 0)
    return cut(records, query)


def cut(records: list[Record], query: Query) -> list[Record]:
    """Return the part of `records` that skip and limit leave; a negative limit leaves nothing."""
    start = max(query.skip, 0)
    if not query.limit:
        return records[start:]
    if query.limit < 0:
        return []
    return records[start : start + query.limit]
