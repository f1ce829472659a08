"""How documents are stored in MongoDB, and how they are found there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bson import Int64

from provd.store.interface import INDEXED, Record
from provd.store.planning import plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provd.store.interface import Collection
    from provd.store.mongo.wire import Stored

_MOST_CHOICES = 20_000
_EXTRAS = ("json", "odd", "parents", "order", "deleted")
LIVE = {"order": {"$gt": 0}}


def make_record(row: Stored) -> Record:
    """Return the record that was found."""
    return Record(json.loads(row["json"]), row["revision"])


def make_fields(collection: Collection, document: Mapping[str, Any], text: str) -> Stored:
    """Return what is stored of a document, but for its id and numbers."""
    fields: Stored = {"json": text}
    for column in INDEXED[collection]:
        value = document.get(column)
        if isinstance(value, str):
            fields[column] = value
        if value is not None and (value == "" or not isinstance(value, str)):
            fields["odd"] = True
    if collection == "configs":
        parents = document.get("parent_ids")
        if isinstance(parents, list):
            fields["parents"] = [parent for parent in parents if isinstance(parent, str)]
        elif parents is not None:
            fields["parents"] = [True]  # no list: matched by hand
    return fields


def make_update(collection: Collection, fields: Stored, number: int) -> Stored:
    """Return the update that makes a stored document be `fields`; `order` is left if not in it."""
    keys = {*INDEXED[collection], *_EXTRAS} - {"order"} - fields.keys()
    return {
        "$set": {**fields, "revision": Int64(number)},
        "$unset": dict.fromkeys(sorted(keys), ""),
    }


def make_tombstone(collection: Collection, number: int) -> Stored:
    """Return the update that turns a document into its tombstone."""
    keys = {*INDEXED[collection], *_EXTRAS} - {"deleted"}
    return {
        "$set": {"revision": Int64(number)},
        "$unset": dict.fromkeys(sorted(keys), ""),
        "$currentDate": {"deleted": True},
    }


def remember_revision(revision: int) -> Stored:
    """Return the update by which followers learn that this number is done."""
    return {"$push": {"was": {"$each": [Int64(revision)], "$slice": -8}}}


def make_filter(collection: Collection, selector: Mapping[str, Any]) -> tuple[Stored, bool] | None:
    """Return a filter that lets every match through, and whether it is exact.

    None if nothing can match. What an inexact filter lets through is filtered again.
    """
    indexed = plan(collection, selector)
    if not all(indexed.equal.values()):
        return None
    equal = {key: known for key, known in indexed.equal.items() if len(known) <= _MOST_CHOICES}
    where: Stored = {
        "_id" if key == "id" else key: known[0] if len(known) == 1 else {"$in": known}
        for key, known in equal.items()
    }
    where.update(dict.fromkeys(indexed.absent))
    if indexed.parent is not None:
        where["parents"] = {"$in": [indexed.parent, True]}
    if equal.keys() <= {"id"} and indexed.parent is None:
        where.update(LIVE)
    return where, len(indexed.complete & equal.keys()) == len(selector)
