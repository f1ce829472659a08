"""A store in memory, for tests and for trying things out: nothing outlives the process."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from provd.errors import DuplicateId, IdentityTaken, RevisionConflict
from provd.model.identities import elect, identities, is_unclaimed
from provd.model.selectors import compile_selector
from provd.store.interface import (
    IDENTITY_KEYS,
    Collection,
    Delete,
    Duplicate,
    Identity,
    Insert,
    Record,
    Replace,
    Write,
)
from provd.store.planning import page

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from provd.model.selectors import Query


class MemoryStore:
    """Keeps documents in dictionaries."""

    def __init__(self) -> None:
        self._collections: dict[Collection, dict[str, Record]] = {"devices": {}, "configs": {}}
        self._parameters: dict[str, Any] = {}
        self._revision = 0
        self._owners: dict[tuple[str, str], str] = {}

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
        owners = dict(self._owners)
        try:
            return [self._apply(operation) for operation in operations]
        except BaseException:
            self._collections = saved
            self._owners = owners
            raise

    def _apply(self, operation: Write) -> int:
        if operation.collection == "configs":
            return self._store(operation)
        if isinstance(operation, Delete):
            device_id = operation.document_id
        else:
            device_id = operation.document["id"]
        before = self._collections["devices"].get(device_id)
        old = identities(before.document if before is not None else None)
        revision = self._store(operation)
        new = {} if isinstance(operation, Delete) else identities(operation.document)
        for kind, value in old.items() - new.items():
            if self._owners[kind, value] == device_id:
                self._pass_on(kind, value)
        for kind, value in new.items() - old.items():
            owner = self._owners.setdefault((kind, value), device_id)
            if owner != device_id and not getattr(operation, "shares", False):
                raise IdentityTaken(kind, value, owner)
            if owner != device_id and self._is_unclaimed(owner):
                self._pass_on(kind, value)
        return revision

    def _holders(self, kind: str, value: str) -> list[dict[str, Any]]:
        records = self._collections["devices"].values()
        return [r.document for r in records if identities(r.document).get(kind) == value]

    def _config_of(self, device: Mapping[str, Any]) -> dict[str, Any] | None:
        record = self._collections["configs"].get(device.get("config") or "")
        return record.document if record is not None else None

    def _is_unclaimed(self, device_id: str) -> bool:
        device = self._collections["devices"][device_id].document
        return is_unclaimed(device, self._config_of(device))

    def _pass_on(self, kind: str, value: str) -> None:
        """Give an identity to one of those who have it, if there are any."""
        owner = elect(self._holders(kind, value), self._config_of)
        if owner is None:
            del self._owners[kind, value]
        else:
            self._owners[kind, value] = owner

    async def owner(self, kind: str, value: str) -> str | None:
        """Return the id of the device that owns an identity."""
        return self._owners.get((kind, value))

    async def duplicates(self) -> list[Duplicate]:
        """Return every identity that several devices have."""
        found: dict[tuple[str, str], list[str]] = {}
        for record in self._collections["devices"].values():
            for held in identities(record.document).items():
                found.setdefault(held, []).append(record.id)
        return [
            Duplicate(kind, value, owner, tuple(i for i in ids if i != owner))
            for (kind, value), ids in sorted(found.items())
            if len(ids) > 1 and (owner := self._owners[kind, value])
        ]

    def _store(self, operation: Write) -> int:
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
