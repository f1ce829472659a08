"""Bring documents into a store: any number of times, nothing overwritten unasked.

Devices that share a MAC address, serial number or UUID are taken over as they are.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from provd.errors import DuplicateId, RevisionConflict, StoreUnavailable
from provd.model.selectors import Query
from provd.store.interface import Insert, Replace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from provd.admin.report import Tally
    from provd.store.interface import Collection, Store, Write

CHUNK = 500
_TRIES = 5


async def every(store: Store, collection: Collection) -> AsyncIterator[dict[str, Any]]:
    """Yield all documents of a collection, in order of insertion, without holding them all."""
    ids = await store.find_ids(collection, {})
    for start in range(0, len(ids), CHUNK):
        chunk = ids[start : start + CHUNK]
        found = await store.find(collection, Query(selector={"id": {"$in": chunk}}))
        by_id = {record.id: record.document for record in found}
        for document_id in chunk:
            if document_id in by_id:
                yield by_id[document_id]


async def merge(
    store: Store,
    collection: Collection,
    documents: Iterable[dict[str, Any]],
    tally: Tally,
    *,
    apply: bool,
    replace: bool,
) -> None:
    """Insert what is not there; replace what is there and differs, if `replace` says so."""
    source = iter(documents)
    while chunk := list(islice(source, CHUNK)):
        tally.found += len(chunk)
        for tries_left in reversed(range(_TRIES)):
            writes, same, different = await _compare(store, collection, chunk, replace=replace)
            try:
                if apply and writes:
                    await store.write(writes)
            except (DuplicateId, RevisionConflict) as error:
                # Of a shared store another daemon may be writing the same document.
                if not tries_left:
                    raise StoreUnavailable(f"others write at the same time: {error}") from error
                continue
            tally.new += sum(isinstance(write, Insert) for write in writes)
            tally.replaced += sum(isinstance(write, Replace) for write in writes)
            tally.same += same
            tally.different += different
            break


async def _compare(
    store: Store, collection: Collection, chunk: list[dict[str, Any]], *, replace: bool
) -> tuple[list[Write], int, list[str]]:
    """Return the writes needed, how many are there already, the ids of those that differ."""
    ids = [document["id"] for document in chunk]
    found = await store.find(collection, Query(selector={"id": {"$in": ids}}))
    present = {record.id: record for record in found}
    writes: list[Write] = []
    different: list[str] = []
    same = 0
    for document in chunk:
        record = present.get(document["id"])
        if record is None:
            writes.append(Insert(collection, document, shares=True))
        elif record.document == document:
            same += 1
        elif replace:
            writes.append(Replace(collection, document, record.revision, shares=True))
        else:
            different.append(document["id"])
    return writes, same, different


async def merge_parameters(
    store: Store, parameters: dict[str, Any], tally: Tally, *, apply: bool, replace: bool
) -> None:
    """Do the same with parameters."""
    present = await store.parameters()
    for name, value in parameters.items():
        tally.found += 1
        if name in present and present[name] == value:
            tally.same += 1
            continue
        if name in present and not replace:
            tally.different.append(name)
            continue
        if name in present:
            tally.replaced += 1
        else:
            tally.new += 1
        if apply:
            await store.set_parameter(name, value)
