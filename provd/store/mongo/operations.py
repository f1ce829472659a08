"""Operations of a write, made ready to be sent, and whether they fit what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from bson import Int64

from provd.errors import DuplicateId, InvalidDocument, RevisionConflict
from provd.store.documents import encode, is_storable
from provd.store.interface import COLLECTIONS, Delete, Insert, Replace
from provd.store.mongo.documents import (
    LIVE,
    make_fields,
    make_tombstone,
    make_update,
    remember_revision,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provd.store.interface import Collection, Write
    from provd.store.mongo.database import Database
    from provd.store.mongo.wire import Stored

STATEMENTS = 200
_MAX_TEXT = 15 * 1024 * 1024


@attrs.define
class Operation:
    """An operation, made ready to be sent."""

    asked: Write
    id: str
    statement: Stored
    size: int

    @property
    def number(self) -> int:
        """The number of its change."""
        number: int = self.statement["u"]["$set"]["revision"]
        return number


def encode_write(operation: Write) -> str | None:
    """Return the document of an operation as text, None for a deletion; InvalidDocument."""
    if isinstance(operation, Delete):
        return None
    text = encode(operation.document)
    if len(text) * 4 > _MAX_TEXT and len(text.encode()) > _MAX_TEXT:
        raise InvalidDocument(f"the document is larger than {_MAX_TEXT} bytes")
    return text


def prepare(asked: Write, text: str | None, number: int) -> Operation:
    """Return an operation as it is sent; `text` is its document."""
    collection = asked.collection
    if isinstance(asked, Delete):
        where = {"_id": asked.document_id, "revision": asked.revision, **LIVE}
        update = make_tombstone(collection, number) | remember_revision(asked.revision)
        return Operation(asked, asked.document_id, {"q": where, "u": update}, 500)
    assert text is not None
    document_id: str = asked.document["id"]
    fields = make_fields(collection, asked.document, text)
    if isinstance(asked, Replace):
        where = {"_id": document_id, "revision": asked.revision, **LIVE}
        update = make_update(collection, fields, number) | remember_revision(asked.revision)
        return Operation(asked, document_id, {"q": where, "u": update}, len(text) + 1000)
    # A document that lives is not found so, and the insertion then meets its id.
    where = {"_id": document_id, "deleted": {"$exists": True}}
    update = make_update(collection, {**fields, "order": Int64(number)}, number)
    statement = {"q": where, "u": update, "upsert": True}
    return Operation(asked, document_id, statement, len(text) + 1000)


def make_conflict(asked: Write, document_id: str) -> DuplicateId | RevisionConflict:
    """Return the error of an operation that does not fit what is stored."""
    if isinstance(asked, Insert):
        return DuplicateId(asked.collection, document_id)
    return RevisionConflict(asked.collection, document_id)


def group(operations: list[Operation]) -> Iterator[tuple[Collection, list[Operation]]]:
    """Give runs of operations of one collection, none too large for one message."""
    part: list[Operation] = []
    size = 0
    for op in operations:
        if part and (
            op.asked.collection != part[0].asked.collection
            or len(part) >= STATEMENTS
            or size + op.size > 4_000_000
        ):
            yield part[0].asked.collection, part
            part, size = [], 0
        part.append(op)
        size += op.size
    if part:
        yield part[0].asked.collection, part


async def find_present(
    database: Database, operations: list[Operation]
) -> dict[tuple[Collection, str], Stored]:
    """Return what is stored, living or dead, of all documents concerned."""
    present: dict[tuple[Collection, str], Stored] = {}
    for collection in COLLECTIONS:
        ids = list({op.id for op in operations if op.asked.collection == collection})
        for start in range(0, len(ids), 1000):
            for row in await database.rows(
                collection,
                {"_id": {"$in": [i for i in ids[start : start + 1000] if is_storable(i)]}},
            ):
                present[collection, row["_id"]] = row
    return present


def simulate(operations: list[Operation], present: Mapping[tuple[Collection, str], Stored]) -> None:
    """Raise what doing `operations` to what is `present` would raise."""
    living = {place: row["revision"] for place, row in present.items() if "order" in row}
    for op in operations:
        place = (op.asked.collection, op.id)
        if isinstance(op.asked, Insert):
            fits = place not in living
        else:
            fits = living.get(place) == op.asked.revision
        if not fits:
            raise make_conflict(op.asked, op.id)
        if isinstance(op.asked, Delete):
            del living[place]
        else:
            living[place] = op.number
