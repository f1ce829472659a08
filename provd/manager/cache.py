"""What a node remembers of the store: documents by id, and ids by an indexed key.

Both are bounded, least recently used first out. A write of this node corrects them at once; an
answer of the store that was under way while a write touched the same key is not remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from provd.model.selectors import Query
from provd.store.interface import (
    IDENTITY_KEYS,
    INDEXED,
    Collection,
    Identity,
    Record,
    Store,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

Lookup = tuple[str, str]


class KeyIndex:
    """The ids of all devices by what tells them apart: nobody has to be asked who is not there.

    Only for a store that no other process writes, and for as many devices as memory allows.
    """

    def __init__(self, identities: Iterable[Identity], limit: int) -> None:
        self._limit = limit
        self._order: dict[str, int] = {}
        self._next = 0
        self._ids: dict[str, dict[str, tuple[str, ...]]] = {key: {} for key in IDENTITY_KEYS}
        for device_id, *values in identities:
            self._order[device_id] = self._next
            self._next += 1
            for key, value in zip(IDENTITY_KEYS, values, strict=True):
                if value is not None:
                    ids = self._ids[key]
                    ids[value] = (*ids.get(value, ()), device_id)

    def get(self, key: str, value: str) -> tuple[str, ...]:
        """Return the ids of the devices with that value, in order of insertion."""
        return self._ids[key].get(value, ())

    def written(self, old: dict[str, Any] | None, new: dict[str, Any] | None) -> bool:
        """Take note of a write; return whether the index is still small enough."""
        device_id = new["id"] if new is not None else old["id"] if old is not None else ""
        if new is not None and device_id not in self._order:
            self._order[device_id] = self._next
            self._next += 1
        for key, ids in self._ids.items():
            gone = old.get(key) if old is not None else None
            come = new.get(key) if new is not None else None
            if gone == come:
                continue
            if isinstance(gone, str):
                kept = tuple(known for known in ids.get(gone, ()) if known != device_id)
                if kept:
                    ids[gone] = kept
                else:
                    ids.pop(gone, None)
            if isinstance(come, str):
                known = [known for known in ids.get(come, ()) if known != device_id]
                ids[come] = tuple(
                    sorted((*known, device_id), key=lambda one: self._order.get(one, -1))
                )
        if new is None:
            self._order.pop(device_id, None)
        return len(self._order) <= self._limit


class DocumentCache:
    """The documents of one collection, read through the store."""

    def __init__(self, store: Store, collection: Collection, limit: int) -> None:
        self._store = store
        self._collection = collection
        self._limit = limit
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._lookups: OrderedDict[Lookup, tuple[str, ...]] = OrderedDict()
        self._absent: OrderedDict[str, None] = OrderedDict()
        self._asked: dict[object, set[object]] = {}
        self._indexed = tuple(key for key in INDEXED[collection] if key in IDENTITY_KEYS)
        self.hits = 0
        self.misses = 0
        self._index: KeyIndex | None = None
        self.is_shared = False
        self._epoch = 0
        """How often others were found to have written something."""
        self.role_writes = 0
        """How often a document with a `role`, or one of another writer, was written."""

    async def load_index(self) -> None:
        """Know of all devices which key belongs to which, where that is possible.

        To be called before anything is written.
        """
        identities = await self._store.identities(self._limit)
        if identities is not None:
            self._index = KeyIndex(identities, self._limit)

    def peek(self, document_id: str) -> Record | None:
        """Return the document if it is remembered."""
        record = self._records.get(document_id)
        if record is not None:
            self._records.move_to_end(document_id)
        return record

    def is_absent(self, document_id: str) -> bool:
        """Tell whether it is remembered that no document has that id."""
        return document_id in self._absent

    def peek_ids(self, key: str, value: str) -> tuple[str, ...] | None:
        """Return the ids of the documents with that value, or None if that is not remembered."""
        if self._index is not None:
            return self._index.get(key, value)
        lookup = (key, value)
        ids = self._lookups.get(lookup)
        if ids is None:
            return None
        if self.is_shared and not all(self._has(found, key, value) for found in ids):
            del self._lookups[lookup]
            return None
        self._lookups.move_to_end(lookup)
        return ids

    def _has(self, document_id: str, key: str, value: str) -> bool:
        record = self._records.get(document_id)
        return record is not None and record.document.get(key) == value

    async def get(self, document_id: str) -> Record | None:
        """Return the document of that id, or None if there is none."""
        record = self.peek(document_id)
        if record is not None:
            self.hits += 1
            return record
        if document_id in self._absent:
            self.hits += 1
            return None
        self.misses += 1
        token = self._begin(document_id)
        try:
            record = await self._store.get(self._collection, document_id)
        finally:
            clean = self._end(token, document_id)
        if not clean:
            return record
        if record is not None:
            self._remember(record)
        else:
            self._absent[document_id] = None
            self._shrink(self._absent)
        return record

    async def by_key(self, key: str, value: str) -> list[Record]:
        """Return the documents whose `key` has that value, in order of insertion."""
        lookup = (key, value)
        ids = self.peek_ids(key, value)
        if ids is not None:
            records = [self.peek(document_id) for document_id in ids]
            if all(record is not None for record in records):
                self.hits += 1
                return [record for record in records if record is not None]
        self.misses += 1
        token, epoch = self._begin(lookup), self._epoch
        try:
            found = await self._store.find(self._collection, Query(selector={key: value}))
        finally:
            clean = self._end(token, lookup)
        if clean and epoch == self._epoch:
            for record in found:
                self._remember(record)
            self._lookups[lookup] = tuple(record.id for record in found)
            self._shrink(self._lookups)
        return found

    async def by_address(self, ip: str, *, with_mac: bool, limit: int) -> list[Record]:
        """Return at most `limit` devices with that address; not remembered.

        Without `with_mac`, those that have a MAC are left out, which costs the same for any number
        of phones behind one address.
        """
        selector: dict[str, Any] = {"ip": ip}
        if not with_mac:
            selector["mac"] = {"$exists": False}
        return await self._store.find(self._collection, Query(selector=selector, limit=limit))

    def _begin(self, what: object) -> object:
        token = object()
        self._asked.setdefault(what, set()).add(token)
        return token

    def _end(self, token: object, what: object) -> bool:
        """Return whether nothing touched `what` since `_begin`."""
        tokens = self._asked.get(what)
        if tokens is None or token not in tokens:
            return False
        tokens.discard(token)
        if not tokens:
            del self._asked[what]
        return True

    def _remember(self, record: Record) -> None:
        known = self._records.get(record.id)
        if known is None or known.revision <= record.revision:
            self._records[record.id] = record
            self._records.move_to_end(record.id)
            self._shrink(self._records)

    def _shrink(self, table: OrderedDict[Any, Any]) -> None:
        while len(table) > self._limit:
            table.popitem(last=False)

    def written(self, old: dict[str, Any] | None, new: Record | None) -> None:
        """Take note of a write by this node: `old` became `new`; None for not there."""
        document_id = new.id if new is not None else old["id"] if old is not None else None
        assert document_id is not None
        if (old and old.get("role")) or (new is not None and new.document.get("role")):
            self.role_writes += 1
        self._asked.pop(document_id, None)
        self._absent.pop(document_id, None)
        if new is None:
            self._records.pop(document_id, None)
        else:
            self._remember(new)
        if self._index is not None and not self._index.written(
            old, new.document if new is not None else None
        ):
            self._index = None
        after = new.document if new is not None else {}
        before = old or {}
        for key in self._indexed:
            gone, come = before.get(key), after.get(key)
            if gone == come and old is not None:
                continue
            for value in (gone, come):
                if isinstance(value, str):
                    self._asked.pop((key, value), None)
            if isinstance(gone, str):
                self._change_lookup((key, gone), remove=document_id)
            if isinstance(come, str):
                self._change_lookup((key, come), add=document_id)

    def _change_lookup(
        self, lookup: Lookup, *, add: str | None = None, remove: str | None = None
    ) -> None:
        ids = self._lookups.get(lookup)
        if ids is None:
            return
        kept = [document_id for document_id in ids if document_id not in {remove, add}]
        # Only the newest can be added at the end without asking for the order of insertion.
        if add is not None and kept:
            del self._lookups[lookup]
            return
        self._lookups[lookup] = (add,) if add is not None else tuple(kept)

    def forget(self, document_ids: Iterable[str]) -> None:
        """Ask the store again for these documents: another writer changed them."""
        self._epoch += 1
        self.role_writes += 1
        for document_id in document_ids:
            self._asked.pop(document_id, None)
            self._absent.pop(document_id, None)
            record = self._records.pop(document_id, None)
            if record is not None:
                for key in self._indexed:
                    value = record.document.get(key)
                    if isinstance(value, str):
                        self._lookups.pop((key, value), None)

    def forget_lookup(self, key: str, value: str) -> None:
        """Ask the store again who has that value."""
        self._asked.pop((key, value), None)
        self._lookups.pop((key, value), None)

    # Several nodes

    def share(self) -> None:
        """Take into account that others write: `forget` and `changed_elsewhere` tell what."""
        self.is_shared = True

    def changed_elsewhere(self, document_ids: Iterable[str], found: Iterable[Record]) -> None:
        """Take note of what others made of documents; those not in `found` are gone."""
        self._epoch += 1
        for document_id in document_ids:
            self._asked.pop(document_id, None)
        for record in found:
            for key in self._indexed:
                value = record.document.get(key)
                if isinstance(value, str):
                    self._asked.pop((key, value), None)
                    self._lookups.pop((key, value), None)
            self._remember(record)

    def clear(self) -> None:
        """Forget everything."""
        self._epoch += 1
        self.role_writes += 1
        for table in (self._records, self._lookups, self._absent, self._asked):
            table.clear()
