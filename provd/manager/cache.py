"""What a node remembers of the store: documents by id, and ids by an indexed key.

Both are bounded, least recently used first out. A write of this node corrects them at once; an
answer of the store that was under way while a write touched the same key is not remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from provd.store.interface import INDEXED, Collection, Record, Store
from provd.store.query import Query

if TYPE_CHECKING:
    from collections.abc import Iterable

Lookup = tuple[str, str]


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
        self._indexed = tuple(
            key for key in INDEXED[collection] if key in {"mac", "ip", "sn", "uuid"}
        )
        self.hits = 0
        self.misses = 0
        self.role_writes = 0
        """How often a document with a `role`, or one of another writer, was written."""

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
        lookup = (key, value)
        ids = self._lookups.get(lookup)
        if ids is not None:
            self._lookups.move_to_end(lookup)
        return ids

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
        token = self._begin(lookup)
        try:
            found = await self._store.find(self._collection, Query(selector={key: value}))
        finally:
            clean = self._end(token, lookup)
        if clean:
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
