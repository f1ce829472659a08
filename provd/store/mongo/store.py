"""The store of several daemons: one MongoDB replica set, spoken to through txmongo's protocol.

Documents. `devices` and `configs` hold `{_id, revision, order, json, was, …}`: `json` is the
document as JSON text, so that any key and number survives; beside it are the texts of the keys that
look-ups use, and for configs `parents`. `order` is the number of the change that inserted it. An
indexed key with a value that is neither null nor a filled text sets `odd`. Selectors go to MongoDB
only as far as indexes answer them exactly; the rest is filtered here, in slices.

Change numbers come from one counter and are taken before the write that bears them. `was` holds
the numbers that a document bore before, so that a follower who never saw them knows they are done.
A deleted document leaves `{_id, revision, was, deleted}`, put in its place by the same update that
deletes it, and removed by a TTL index after a day. So each operation is one atomic update of one
document, insertion included (it may only take the place of a tombstone).

`identities` has `{_id: "kind:value", device}` for every MAC address, serial number and UUID: the
device that owns it, which a unique insert decides. What a device gains or loses is written in the
transaction of the device.

Several operations are one transaction on a replica set or through mongos. A standalone server has
none: there they are checked first, done in turn, and undone by new changes if one of them fails; a
daemon or server that dies in between leaves them half done. Identities are claimed before and freed
after the documents are written, so what a crash leaves is a claim without a device that has the
value; after some time it is nobody's.

Writes wait for a majority, reads ask the primary for what a majority has. While the network splits
the set, an old primary can answer for a few seconds before it steps down; it can acknowledge no
write, but a reader who hears only it sees what was acknowledged before.

Everything sent has a deadline. What is lost with a connection, or refused by a server that is no
primary any more, is sent again until then: reads as they are, writes with the session and number
by which the server knows them again; where it cannot, the stored revision tells.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import heapq
import json
import logging
import time
import uuid
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from bson import Int64
from twisted.internet import defer
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from provd.errors import (
    DuplicateId,
    IdentityTaken,
    InvalidDocument,
    RevisionConflict,
    SettingsError,
    StoreCorrupt,
    StoreError,
)
from provd.model.identities import KINDS, elect, identities, is_unclaimed
from provd.model.selectors import compile_selector, sort_value
from provd.store.documents import column_text, encode, is_storable
from provd.store.interface import (
    COLLECTIONS,
    INDEXED,
    Changed,
    Collection,
    Delete,
    Duplicate,
    Identity,
    Insert,
    Record,
    Replace,
    Write,
)
from provd.store.mongo.address import parse_address
from provd.store.mongo.database import (
    BATCH,
    CONCERN,
    DUPLICATE_KEY,
    NO_TRANSACTION,
    Database,
    LostError,
    Session,
    run_together,
)
from provd.store.mongo.primary import Primary
from provd.store.planning import cut, plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from provd.model.selectors import Query
    from provd.store.mongo.wire import Stored

logger = logging.getLogger(__name__)

T = TypeVar("T")

SCHEMA_VERSION = 2
_DAY = 86400
_MOST_CHOICES = 20_000
_STATEMENTS = 200
_TAKERS = 32
_MAX_TEXT = 15 * 1024 * 1024
_CHUNK = 512 * 1024

# A writer gives up long before, so a number that is missing for so long is none that comes yet.
_GAP_SECONDS = 60
_MOST_CHANGES = 10_000
_FIRST_WINDOW = 1000
_LONGEST_ABSENCE = 23 * 3600
# A claim on an identity may wait so long for its document, where there are no transactions.
_CLAIM_SECONDS = 60


_INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    # Many phones may share one address; among them, those without a MAC are asked for. How a
    # device came is asked of all devices of a tenant.
    "devices": (
        ("revision",),
        ("order",),
        ("mac", "order"),
        ("ip", "mac", "order"),
        ("sn", "order"),
        ("uuid", "order"),
        ("config", "order"),
        ("plugin", "order"),
        ("tenant_uuid", "order"),
        ("tenant_uuid", "added"),
    ),
    "configs": (
        ("revision",),
        ("order",),
        ("role", "order"),
        ("X_type", "order"),
        ("X_provisioning_code", "order"),
        ("tenant_uuid", "order"),
        ("parents",),
    ),
    "parameters": (("revision",),),
    "chunks": (("version", "number"),),
}
_LIVE = {"order": {"$gt": 0}}


# Documents


def _fields(collection: Collection, document: Mapping[str, Any], text: str) -> Stored:
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


_EXTRAS = ("json", "odd", "parents", "order", "deleted")


def _set(collection: Collection, fields: Stored, number: int) -> Stored:
    """Return the update that makes a stored document be `fields`; `order` is left if not in it."""
    keys = {*INDEXED[collection], *_EXTRAS} - {"order"} - fields.keys()
    return {
        "$set": {**fields, "revision": Int64(number)},
        "$unset": dict.fromkeys(sorted(keys), ""),
    }


def _bury(collection: Collection, number: int) -> Stored:
    """Return the update that turns a document into its tombstone."""
    keys = {*INDEXED[collection], *_EXTRAS} - {"deleted"}
    return {
        "$set": {"revision": Int64(number)},
        "$unset": dict.fromkeys(sorted(keys), ""),
        "$currentDate": {"deleted": True},
    }


def _after(revision: int) -> Stored:
    return {"$push": {"was": {"$each": [Int64(revision)], "$slice": -8}}}


@attrs.define
class _Operation:
    """An operation, made ready to be sent."""

    asked: Write
    id: str
    statement: Stored
    size: int

    @property
    def number(self) -> int:
        number: int = self.statement["u"]["$set"]["revision"]
        return number


def _operation(asked: Write, text: str | None, number: int) -> _Operation:
    collection = asked.collection
    if isinstance(asked, Delete):
        where = {"_id": asked.document_id, "revision": asked.revision, **_LIVE}
        update = _bury(collection, number) | _after(asked.revision)
        return _Operation(asked, asked.document_id, {"q": where, "u": update}, 500)
    assert text is not None
    document_id: str = asked.document["id"]
    fields = _fields(collection, asked.document, text)
    if isinstance(asked, Replace):
        where = {"_id": document_id, "revision": asked.revision, **_LIVE}
        update = _set(collection, fields, number) | _after(asked.revision)
        return _Operation(asked, document_id, {"q": where, "u": update}, len(text) + 1000)
    # A document that lives is not found so, and the insertion then meets its id.
    where = {"_id": document_id, "deleted": {"$exists": True}}
    update = _set(collection, {**fields, "order": Int64(number)}, number)
    statement = {"q": where, "u": update, "upsert": True}
    return _Operation(asked, document_id, statement, len(text) + 1000)


def _conflict(asked: Write, document_id: str) -> DuplicateId | RevisionConflict:
    if isinstance(asked, Insert):
        return DuplicateId(asked.collection, document_id)
    return RevisionConflict(asked.collection, document_id)


def _where(collection: Collection, selector: Mapping[str, Any]) -> tuple[Stored, bool] | None:
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
        where.update(_LIVE)
    return where, len(indexed.complete & equal.keys()) == len(selector)


class MongoStore:
    """The store in database `name` of the MongoDB servers that `uri` names; see the module.

    Of the options of a `mongodb://` address these have an effect: replicaSet, directConnection,
    authSource, authMechanism (SCRAM-SHA-256, SCRAM-SHA-1), tls (ssl), tlsCAFile,
    tlsCertificateKeyFile, tlsCertificateKeyFilePassword, connectTimeoutMS and maxPoolSize.
    tlsInsecure, tlsAllowInvalidCertificates and tlsAllowInvalidHostnames are refused, any other is
    warned of. Reads and writes always have the concern `majority`. `timeout`, in seconds, bounds
    every answer of the server; a listing is many answers. SettingsError if the address is unusable.
    """

    def __init__(self, reactor: Any, uri: str, name: str, *, timeout: float = 5) -> None:
        if not name or len(name.encode()) > 63 or any(c in '/\\. "$*<>:|?\0' for c in name):
            raise SettingsError(f"{name!r} is no name of a MongoDB database")
        self._reactor = reactor
        self._name = name
        self._primary = Primary(reactor, parse_address(uri), timeout)
        self._database = Database(reactor, self._primary, name)
        self._owner = uuid.uuid4().hex
        self._running = 0
        self._idle: defer.Deferred[None] | None = None
        self._takers: deque[tuple[int, defer.Deferred[int]]] = deque()
        self._taking = False
        self._followers: list[defer.Deferred[list[Changed] | None]] = []
        self._following = False
        self._high: int | None = None
        self._gaps: dict[int, float] = {}
        self._followed = (0.0, 0.0)

    # Life cycle

    async def open(self) -> None:
        """Connect and make indexes; StoreUnavailable or StoreCorrupt names the servers."""
        try:
            await self._primary.open()
            await self._prepare()
        except BaseException:
            await self._primary.close()
            raise

    async def _prepare(self) -> None:
        marks = await self._database.rows("meta", {"_id": "provd"})
        if not marks:
            for collection in COLLECTIONS:
                if await self._database.rows(collection, {"revision": {"$exists": False}}, limit=1):
                    raise StoreCorrupt(
                        f"{self._database.server}: the database {self._name} is not one of provd"
                    )
        elif marks[0]["schema"] > SCHEMA_VERSION:
            raise self._database.unavailable(
                f"the database {self._name} was written by a newer provd"
                f" (schema {marks[0]['schema']}, known {SCHEMA_VERSION})"
            )
        for name, indexes in _INDEXES.items():
            made: list[Stored] = [
                {"key": dict.fromkeys(keys, 1), "name": "_".join(keys)} for keys in indexes
            ]
            if name in COLLECTIONS:
                made += [
                    {"key": {"odd": 1}, "name": "odd", "sparse": True},
                    {"key": {"deleted": 1}, "name": "deleted", "expireAfterSeconds": _DAY},
                ]
            await self._database.create_indexes(name, made)
        await self._database.create_indexes(
            "claims", [{"key": {"expires": 1}, "name": "expires", "expireAfterSeconds": 60}]
        )
        if marks and marks[0]["schema"] < 2:
            await self._build_identities()
        if not marks:
            await self._database.change(
                "counters",
                {"_id": "changes"},
                {"$setOnInsert": {"last": Int64(0)}},
                upsert=True,
            )
        if not marks or marks[0]["schema"] < SCHEMA_VERSION:
            await self._database.change(
                "meta", {"_id": "provd"}, {"$set": {"schema": SCHEMA_VERSION}}, upsert=True
            )

    async def close(self) -> None:
        """Let what was begun end, as far as the servers answer, then hang up."""
        if not self._primary.is_open:
            return
        if self._running:
            self._idle = defer.Deferred()
            waiting = self._idle.addTimeout(self._database.timeout, self._reactor)
            with contextlib.suppress(defer.TimeoutError):
                await waiting
            self._idle = None
        await self._primary.close()

    @contextlib.contextmanager
    def _work(self) -> Iterator[None]:
        """Count what `close` waits for."""
        if not self._primary.is_open or self._idle is not None:
            raise self._database.unavailable("the store is closed")
        self._running += 1
        try:
            yield
        finally:
            self._ended()

    def _ended(self) -> None:
        self._running -= 1
        if not self._running and self._idle is not None and not self._idle.called:
            self._idle.callback(None)

    async def _take(self, count: int) -> int:
        """Return the first of so many change numbers; those who ask at one time share a trip."""
        taken: defer.Deferred[int] = defer.Deferred()
        self._takers.append((count, taken))
        if not self._taking:
            self._taking = True
            self._database.run_in_background(self._hand_out())
        return await taken

    async def _hand_out(self) -> None:
        try:
            while self._takers:
                # Each of them goes on at once when it has its numbers, so not too many at a time.
                takers = [self._takers.popleft() for _ in range(min(len(self._takers), _TAKERS))]
                total = sum(count for count, _ in takers)
                try:
                    number = await self._count_up(total) - total + 1
                except Exception as error:  # noqa: BLE001 - all who wait learn of it
                    for _, taken in takers:
                        if not taken.called:
                            taken.errback(Failure(error))
                    continue
                for count, taken in takers:
                    if not taken.called:
                        taken.callback(number)
                    number += count
        finally:
            self._taking = False

    async def _count_up(self, count: int) -> int:
        while True:
            reply, _ = await self._database.run(
                {
                    "findAndModify": "counters",
                    "query": {"_id": "changes"},
                    "update": {"$inc": {"last": Int64(count)}},
                    "upsert": True,
                    "new": True,
                    "fields": {"last": 1},
                    "writeConcern": CONCERN,
                },
                allow=DUPLICATE_KEY,  # two made the counter at one time
            )
            if reply.get("ok") and reply["value"]:
                last: int = reply["value"]["last"]
                return last

    # Reads

    async def get(self, collection: Collection, document_id: str) -> Record | None:
        """Return the document of that id, or None."""
        with self._work():
            if not is_storable(document_id):
                return None
            found = await self._database.collect(
                collection,
                {"_id": document_id, **_LIVE},
                _record,
                projection={"json": 1, "revision": 1},
                limit=1,
                singleBatch=True,
            )
            return found[0] if found else None

    async def find(self, collection: Collection, query: Query) -> list[Record]:
        """Return documents that match, sorted, skipped and limited."""
        with self._work():
            matches = compile_selector(query.selector)
            place = _where(collection, query.selector)
            if place is None or (query.limit is not None and query.limit < 0):
                return []
            where, exact = place
            skip, limit = max(query.skip, 0), query.limit or 0
            sort = await self._sort(collection, query)
            more: Stored = {"sort": sort or {"order": 1}, "projection": {"json": 1, "revision": 1}}
            if exact and sort is not None:
                if skip:
                    more["skip"] = min(skip, 2**53)
                if limit:
                    more["limit"] = min(limit, 2**53)
                    more["batchSize"] = min(limit, BATCH[collection])
                return await self._database.collect(collection, where, _record, **more)

            def pick(row: Stored) -> Record | None:
                record = _record(row)
                return record if exact or matches(record.document) else None

            if sort is not None:
                enough = skip + limit if limit else None
                found = await self._database.collect(collection, where, pick, enough=enough, **more)
                return cut(found, query)
            return await self._sorted(
                await self._database.collect(collection, where, pick, **more), query
            )

    async def _sort(self, collection: Collection, query: Query) -> Stored | None:
        """Return how MongoDB sorts as `query` says, None if it cannot."""
        if query.sort is None:
            return {"order": 1}
        key, direction = query.sort
        step = -1 if direction < 0 else 1
        if key == "id":
            return {"_id": step}
        if key not in INDEXED[collection] or await self._database.rows(
            collection, {"odd": True}, projection={"_id": 1}, limit=1
        ):
            return None
        return {key: step, "order": 1}

    async def _sorted(self, records: list[Record], query: Query) -> list[Record]:
        """Return `records` sorted and cut; short lists first, then merged, to hold up nobody."""
        assert query.sort is not None
        key, direction = query.sort
        reverse = direction < 0

        def text(record: Record) -> str:
            return sort_value(record.document, key)

        runs = []
        for start in range(0, len(records), 1000):
            runs.append(sorted(records[start : start + 1000], key=text, reverse=reverse))
            await deferLater(self._reactor, 0)
        merged = heapq.merge(*runs, key=text, reverse=reverse)
        wanted = max(query.skip, 0) + query.limit if query.limit else len(records)
        found: list[Record] = []
        while len(found) < wanted and (part := list(islice(merged, min(wanted - len(found), 500)))):
            found += part
            await deferLater(self._reactor, 0)
        return cut(found, query)

    async def find_ids(self, collection: Collection, selector: Mapping[str, Any]) -> list[str]:
        """Return the ids of all documents that match."""
        with self._work():
            return await self._find_ids(collection, selector)

    async def _find_ids(self, collection: Collection, selector: Mapping[str, Any]) -> list[str]:
        matches = compile_selector(selector)
        place = _where(collection, selector)
        if place is None:
            return []
        where, exact = place

        def pick(row: Stored) -> str | None:
            document_id: str = row["_id"]
            return document_id if exact or matches(json.loads(row["json"])) else None

        projection = {"_id": 1} if exact else {"json": 1}
        return await self._database.collect(
            collection, where, pick, projection=projection, sort={"order": 1}
        )

    async def identities(self, limit: int) -> list[Identity] | None:  # noqa: ARG002
        """Return None: other processes write too."""
        return None

    async def descendants(self, config_id: str) -> list[str]:
        """Return the ids of all configs that reach this one, with one query a generation."""
        with self._work():
            reached = {config_id: None}
            generation = [config_id] if is_storable(config_id) else []
            while generation:
                young: list[str] = []
                for start in range(0, len(generation), 1000):
                    rows = await self._database.rows(
                        "configs",
                        {"parents": {"$in": generation[start : start + 1000]}},
                        projection={"_id": 1},
                    )
                    for row in rows:
                        if row["_id"] not in reached:
                            reached[row["_id"]] = None
                            young.append(row["_id"])
                generation = young
            return list(reached)[1:]

    async def count(self, collection: Collection, selector: Mapping[str, Any]) -> int:
        """Return how many documents match."""
        with self._work():
            compile_selector(selector)
            place = _where(collection, selector)
            if place is None:
                return 0
            where, exact = place
            if not exact:
                return len(await self._find_ids(collection, selector))
            command: Stored = {"count": collection, "query": where}
            if self._database.session_support:
                command["readConcern"] = {"level": "majority"}
            reply, _ = await self._database.run(command)
            return int(reply["n"])

    async def parameters(self) -> dict[str, Any]:
        """Return all parameters, by name."""
        with self._work():
            rows = await self._database.rows("parameters", {}, sort={"_id": 1})
            return {row["_id"]: json.loads(row["json"]) for row in rows}

    # Writes

    async def set_parameter(self, name: str, value: Any) -> None:
        """Store one parameter durably."""
        with self._work():
            text = json.dumps(value)
            if not is_storable(name):
                raise InvalidDocument(f"{name!r} cannot be stored as the name of a parameter")
            number = await self._take(1)
            update = {"$set": {"json": text, "revision": Int64(number)}}
            reply, _ = await self._database.change("parameters", {"_id": name}, update, upsert=True)
            if reply.get("writeErrors"):  # two made it at one time
                await self._database.change("parameters", {"_id": name}, update)

    async def write(self, operations: Sequence[Write]) -> list[int]:
        """Do all operations, or none; returns when a majority of the servers has them."""
        with self._work():
            texts = [_text(operation) for operation in operations]
            if not operations:
                return []
            first = await self._take(len(operations))
            prepared = [
                _operation(asked, text, first + offset)
                for offset, (asked, text) in enumerate(zip(operations, texts, strict=True))
            ]
            try:
                if len(prepared) == 1 and await self._write_alone(prepared[0]):
                    pass
                elif self._database.session_support:
                    await self._write_together(prepared)
                else:
                    await self._write_in_turn(prepared)
            except (DuplicateId, RevisionConflict, IdentityTaken):
                self._database.run_in_background(
                    self._forget_numbers([op.number for op in prepared])
                )
                raise
            return [op.number for op in prepared]

    async def _forget_numbers(self, numbers: list[int]) -> None:
        """Tell followers that no write with these numbers will come."""
        void = {"$each": [Int64(number) for number in numbers], "$slice": -200}
        await self._database.change("counters", {"_id": "changes"}, {"$push": {"void": void}})

    async def _write_alone(self, operation: _Operation) -> bool:
        """Do one operation if it changes nobody's identities; else return False."""
        asked = operation.asked
        if asked.collection == "configs":
            await self._write_one(operation)
            return True
        if isinstance(asked, Insert):
            if identities(asked.document):
                return False
            await self._write_one(operation)
            return True
        if isinstance(asked, Delete):
            return False
        columns = {kind: column_text(asked.document, kind) for kind in KINDS}
        where = {**operation.statement["q"], **columns}
        return await self._update_one(operation, {**operation.statement, "q": where})

    async def _write_one(self, operation: _Operation) -> None:
        if not await self._update_one(operation, operation.statement):
            raise _conflict(operation.asked, operation.id)

    async def _update_one(self, operation: _Operation, statement: Stored) -> bool:
        """Do one operation; return whether it was done."""
        reply, unsure = await self._database.update(operation.asked.collection, [statement])
        if reply["n"] == 1 and not reply.get("writeErrors"):
            return True
        return unsure and await self._was_written(operation)

    async def _was_written(self, operation: _Operation) -> bool:
        """Tell whether an attempt whose answer was lost had been carried out."""
        rows = await self._database.rows(
            operation.asked.collection,
            {"_id": operation.id},
            projection={"revision": 1, "order": 1, "was": 1},
        )
        number = operation.number
        return any(
            number in {row["revision"], row.get("order"), *row.get("was", ())} for row in rows
        )

    # Several operations in one transaction

    async def _write_together(self, operations: list[_Operation]) -> None:
        deadline = self._reactor.seconds() + self._database.timeout
        pause = 0.01
        # New devices are most of all writes, and what they claim is mostly free.
        changes = _plain_claims(operations)
        while True:
            try:
                if changes is None:
                    changes = await self._plan_ownership(operations)
                with self._database.session() as session:
                    assert session is not None
                    if await self._transact(operations, changes, session, deadline):
                        return
                # Somebody was in the way: is it a conflict, or gone already?
                self._simulate(operations, await self._present(operations))
                changes = None
                lost = "other writers are in the way all the time"
            except LostError as error:
                changes = None
                lost = str(error)
            if self._reactor.seconds() + pause >= deadline:
                raise self._database.unavailable(lost)
            await deferLater(self._reactor, pause)
            pause = min(pause * 2, 0.5)

    async def _transact(
        self,
        operations: list[_Operation],
        changes: _OwnershipChanges,
        session: Session,
        deadline: float,
    ) -> bool:
        """Do and commit `operations`; False if one of them does not fit what is stored.

        LostError if nothing was done and it may be tried again.
        """
        fields = {**session.fields(), "autocommit": False}
        started = False
        committing = False
        try:
            for verb, collection, part in _commands(operations, changes):
                command = {verb: collection, "ordered": True, **fields}
                if not started:
                    command["startTransaction"] = True
                started = True
                reply, _ = await self._database.run(
                    command,
                    payload={f"{verb}s": part},
                    seconds=max(deadline - self._reactor.seconds(), 0.01),
                    allow=DUPLICATE_KEY | NO_TRANSACTION,
                    retry=False,
                )
                if reply.get("code") in NO_TRANSACTION:
                    raise LostError(str(reply.get("errmsg")))
                if reply.get("n") != len(part) or reply.get("writeErrors"):
                    await self._roll_back(fields)
                    return False
            committing = True
            # Sent again as it is, for the server answers the same: committed, or not.
            reply, _ = await self._database.run(
                {"commitTransaction": 1, "writeConcern": CONCERN, **fields},
                database="admin",
                seconds=max(deadline - self._reactor.seconds(), 0.5),
                allow=NO_TRANSACTION,
            )
            if not reply.get("ok"):
                raise LostError(str(reply.get("errmsg")))
        except BaseException:
            if started and not committing:
                self._database.run_in_background(self._roll_back(fields))
            raise
        return True

    async def _roll_back(self, fields: Stored) -> None:
        # If this is lost too, the server does it after a minute, or when it steps down.
        with contextlib.suppress(LostError, StoreError):
            await self._database.run(
                {"abortTransaction": 1, **fields}, database="admin", retry=False, timed=False
            )

    async def _present(self, operations: list[_Operation]) -> dict[tuple[Collection, str], Stored]:
        """Return what is stored, living or dead, of all documents concerned."""
        present: dict[tuple[Collection, str], Stored] = {}
        for collection in COLLECTIONS:
            ids = list({op.id for op in operations if op.asked.collection == collection})
            for start in range(0, len(ids), 1000):
                for row in await self._database.rows(
                    collection,
                    {"_id": {"$in": [i for i in ids[start : start + 1000] if is_storable(i)]}},
                ):
                    present[collection, row["_id"]] = row
        return present

    @staticmethod
    def _simulate(
        operations: list[_Operation], present: Mapping[tuple[Collection, str], Stored]
    ) -> None:
        """Raise what doing `operations` to what is `present` would raise."""
        living = {place: row["revision"] for place, row in present.items() if "order" in row}
        for op in operations:
            place = (op.asked.collection, op.id)
            if isinstance(op.asked, Insert):
                fits = place not in living
            else:
                fits = living.get(place) == op.asked.revision
            if not fits:
                raise _conflict(op.asked, op.id)
            if isinstance(op.asked, Delete):
                del living[place]
            else:
                living[place] = op.number

    # Several operations on a server without transactions

    async def _write_in_turn(self, operations: list[_Operation]) -> None:
        before = await self._present(operations)
        changes = await self._plan_ownership(operations, before)
        await self._claim_in_turn(changes)
        for count, operation in enumerate(operations):
            try:
                await self._write_one(operation)
            except (DuplicateId, RevisionConflict, StoreError) as error:
                # One whose outcome is unknown is undone too, if it was done.
                unsure = isinstance(error, StoreError)
                await self._undo(operations[: count + unsure], before)
                await self._unclaim(changes.claims)
                raise
        for release in changes.releases:
            await self._database.delete("identities", release["q"])

    async def _claim_in_turn(self, changes: _OwnershipChanges) -> None:
        for count, claim in enumerate(changes.claims):
            reply, _ = await self._database.update("identities", [claim.statement])
            if reply["n"] != 1 or reply.get("writeErrors"):
                rows = await self._database.rows("identities", {"_id": claim.place})
                if rows and rows[0]["device"] == claim.device_id:
                    continue
                await self._unclaim(changes.claims[:count])
                kind, _, value = claim.place.partition(":")
                raise IdentityTaken(kind, value, rows[0]["device"] if rows else "")

    async def _unclaim(self, claims: Iterable[_Claim]) -> None:
        """Give claims back to whoever had them before."""
        for claim in claims:
            where = {"_id": claim.place, "device": claim.device_id}
            try:
                if claim.before is None:
                    await self._database.delete("identities", where)
                else:
                    await self._database.change(
                        "identities", where, {"$set": {"device": claim.before}}
                    )
            except StoreError as error:
                logger.error("the claim on %s is left to expire: %s", claim.place, error)

    # Who owns which identity

    async def owner(self, kind: str, value: str) -> str | None:
        """Return the id of the device that owns an identity."""
        with self._work():
            if not is_storable(value):
                return None
            rows = await self._database.rows("identities", {"_id": f"{kind}:{value}"}, limit=1)
            return rows[0]["device"] if rows else None

    async def duplicates(self) -> list[Duplicate]:
        """Return every identity that several devices have."""
        with self._work():
            shared = {place: ids for place, ids in (await self._held()).items() if len(ids) > 1}
            owners: dict[str, str] = {}
            places = sorted(shared)
            for start in range(0, len(places), 1000):
                where = {"_id": {"$in": places[start : start + 1000]}}
                owners.update(
                    {
                        row["_id"]: row["device"]
                        for row in await self._database.rows("identities", where)
                    }
                )
            found = []
            for place in places:
                kind, _, value = place.partition(":")
                owner = owners.get(place, shared[place][0])
                others = tuple(one for one in shared[place] if one != owner)
                found.append(Duplicate(kind, value, owner, others))
            return found

    async def _held(self) -> dict[str, list[str]]:
        """Return every identity with the ids of all devices that have it, oldest first."""
        held: dict[str, list[str]] = {}
        rows = await self._database.rows(
            "devices", _LIVE, sort={"order": 1}, projection=dict.fromkeys(KINDS, 1)
        )
        for row in rows:
            for place in _places(identities(row)):
                held.setdefault(place, []).append(row["_id"])
        return held

    async def _build_identities(self) -> None:
        """Note who owns what in a database of an earlier version."""
        logger.info("%s: the owners of identities are noted", self._database.server)
        statements: list[Stored] = []
        for place, ids in (await self._held()).items():
            owner: str | None = ids[0]
            if len(ids) > 1:
                kind, _, value = place.partition(":")
                owner = await self._successor(kind, value, {})
            fields = {"$setOnInsert": {"device": owner}}
            statements.append({"q": {"_id": place}, "u": fields, "upsert": True})
        for start in range(0, len(statements), _STATEMENTS):
            await self._database.update("identities", statements[start : start + _STATEMENTS])

    async def _successor(
        self, kind: str, value: str, written: Mapping[str, Mapping[str, Any] | None]
    ) -> str | None:
        """Return who is to own an identity, when devices are as stored but for those `written`."""
        rows = await self._database.rows("devices", {kind: value, **_LIVE}, sort={"order": 1})
        devices = {row["_id"]: json.loads(row["json"]) for row in rows}
        known = {**devices, **written}
        holders = [
            device for device in known.values() if identities(device).get(kind) == value and device
        ]
        configs = await self._configs_of(holders)
        return elect(holders, lambda device: configs.get(device.get("config") or ""))

    async def _configs_of(self, devices: Iterable[Mapping[str, Any]]) -> dict[str, Stored]:
        ids = [c for d in devices if isinstance(c := d.get("config"), str) and is_storable(c)]
        rows = await self._database.rows("configs", {"_id": {"$in": ids}, **_LIVE}) if ids else []
        return {row["_id"]: json.loads(row["json"]) for row in rows}

    async def _is_unclaimed(self, device: Mapping[str, Any]) -> bool:
        configs = await self._configs_of([device])
        return is_unclaimed(device, configs.get(device.get("config") or ""))

    async def _plan_ownership(
        self,
        operations: list[_Operation],
        present: Mapping[tuple[Collection, str], Stored] | None = None,
    ) -> _OwnershipChanges:
        """Return what `operations` change of who owns what; raise what doing them would raise."""
        if all(op.asked.collection == "configs" for op in operations):
            return _OwnershipChanges()
        if present is None:
            present = await self._present(operations)
        self._simulate(operations, present)
        held = {
            device_id: identities(row) if "order" in row else {}
            for (collection, device_id), row in present.items()
            if collection == "devices"
        }
        places = {place for each in held.values() for place in _places(each)}
        for op in operations:
            if op.asked.collection == "devices" and not isinstance(op.asked, Delete):
                places.update(_places(identities(op.asked.document)))
        rows = (
            await self._database.rows("identities", {"_id": {"$in": sorted(places)}})
            if places
            else []
        )
        before = {row["_id"]: row for row in rows}
        owners: dict[str, str] = {place: row["device"] for place, row in before.items()}
        written: dict[str, Mapping[str, Any] | None] = {}
        for op in operations:
            if op.asked.collection == "devices":
                await self._apply_ownership(op.asked, op.id, held, owners, before, written)
        return _compare_owners(before, owners)

    async def _apply_ownership(
        self,
        asked: Write,
        device_id: str,
        held: dict[str, dict[str, str]],
        owners: dict[str, str],
        before: Mapping[str, Stored],
        written: dict[str, Mapping[str, Any] | None],
    ) -> None:
        """Change `owners`, and what devices `held`, as one operation does."""
        document = None if isinstance(asked, Delete) else asked.document
        old, new = held.get(device_id, {}), identities(document)
        held[device_id] = new
        written[device_id] = document
        for kind, value in old.items() - new.items():
            place = f"{kind}:{value}"
            if owners.get(place) == device_id:
                successor = await self._successor(kind, value, written)
                if successor is None:
                    del owners[place]
                else:
                    owners[place] = successor
        for kind, value in new.items():
            place = f"{kind}:{value}"
            owner = owners.setdefault(place, device_id)
            if owner == device_id or old.get(kind) == value:
                continue
            holder = await self._holder(owner, kind, value, written, before.get(place, {}))
            if holder is None:
                owners[place] = device_id
            elif isinstance(asked, Delete) or not asked.shares:
                raise IdentityTaken(kind, value, owner)
            elif await self._is_unclaimed(holder):
                owners[place] = await self._successor(kind, value, written) or owner

    async def _holder(
        self,
        owner: str,
        kind: str,
        value: str,
        written: Mapping[str, Mapping[str, Any] | None],
        claim: Stored,
    ) -> Mapping[str, Any] | None:
        """Return the device that owns an identity; None if it has not got it, after a crash."""
        if owner in written:
            device = written[owner]
        else:
            rows = await self._database.rows("devices", {"_id": owner, **_LIVE})
            device = json.loads(rows[0]["json"]) if rows else None
        if device is not None and identities(device).get(kind) == value:
            return device
        if self._database.session_support or "since" not in claim:
            return None
        # Its document may be under way.
        reply, _ = await self._database.run({"hello": 1}, database="admin", timed=False)
        age = (reply["localTime"] - claim["since"]).total_seconds()
        return None if age > _CLAIM_SECONDS else {"id": owner}

    async def _undo(
        self, operations: list[_Operation], before: Mapping[tuple[Collection, str], Stored]
    ) -> None:
        """Bring back what was `before`, under new change numbers, where nobody wrote since."""
        latest = {(op.asked.collection, op.id): op.number for op in operations}
        for place, number in reversed(latest.items()):
            collection, document_id = place
            row = before.get(place, {})
            try:
                again = await self._take(1)
                if "order" in row:
                    kept = {key: row[key] for key in row.keys() - {"_id", "revision", "was"}}
                    update = _set(collection, kept, again)
                else:
                    update = _bury(collection, again)
                where = {"_id": document_id, "revision": number}
                await self._database.change(collection, where, update | _after(number))
            except StoreError as error:
                logger.error(
                    "a write was done in part: %s/%s could not be undone: %s", *place, error
                )

    # What others wrote

    async def changes(self) -> list[Changed] | None:
        """Return what anybody wrote since the last call; see the interface."""
        with self._work():
            asked: defer.Deferred[list[Changed] | None] = defer.Deferred()
            self._followers.append(asked)
            if not self._following:
                self._following = True
                self._database.run_in_background(self._answer_followers())
            return await asked

    async def _answer_followers(self) -> None:
        """Ask for those who wait now; who comes meanwhile waits for the next round."""
        try:
            while self._followers:
                followers, self._followers = self._followers, []
                outcome: Any
                try:
                    outcome = await self._follow()
                except Exception as error:  # noqa: BLE001 - all who wait learn of it
                    outcome = error
                for asked in followers:
                    if not asked.called:
                        asked.callback(
                            Failure(outcome) if isinstance(outcome, Exception) else outcome
                        )
        finally:
            self._following = False

    async def _follow(self) -> list[Changed] | None:
        now, wall = time.monotonic(), time.time()
        counters = await self._database.rows(
            "counters", {"_id": "changes"}, limit=1, singleBatch=True
        )
        last = counters[0]["last"] if counters else 0
        absence = max(now - self._followed[0], wall - self._followed[1])
        if self._high is None or last < self._high or absence > _LONGEST_ABSENCE:
            first = self._high is None
            await self._begin(last, now, wall)
            return [] if first else None
        gaps = self._gaps
        for number in counters[0].get("void", ()) if counters else ():
            gaps.pop(number, None)
        high = self._high
        if last == high and not gaps:
            self._followed = (now, wall)
            return []
        if last - high > _MOST_CHANGES or len(gaps) > _MOST_CHANGES:
            await self._begin(last, now, wall)
            return None
        rows = await run_together([self._written(name, high, sorted(gaps)) for name in _FOLLOWED])
        found = {
            row["revision"]: Changed(name, row["_id"], row["revision"])
            for name, part in zip(_FOLLOWED, rows, strict=True)
            for row in part
        }
        if len(found) > _MOST_CHANGES:
            await self._begin(last, now, wall)
            return None
        settled = set(found)
        for part in rows:
            for row in part:
                settled.update(row.get("was", ()))
        settled.update(counters[0].get("void", ()) if counters else ())
        high = max(last, *found) if found else last
        for number in range(self._high + 1, high + 1):
            gaps[number] = now
        self._gaps = {
            number: since
            for number, since in gaps.items()
            if number not in settled and now - since < _GAP_SECONDS
        }
        self._high = high
        self._followed = (now, wall)
        return [found[number] for number in sorted(found)]

    async def _written(self, collection: str, high: int, gaps: list[int]) -> list[Stored]:
        # Those that were missing first: one that is written again meanwhile moves up.
        more = {"projection": {"revision": 1, "was": 1}, "limit": _MOST_CHANGES + 1}
        rows: list[Stored] = []
        if gaps:
            rows = await self._database.rows(collection, {"revision": {"$in": gaps}}, **more)
        rows += await self._database.rows(
            collection, {"revision": {"$gt": high}}, sort={"revision": 1}, **more
        )
        return rows

    async def _begin(self, last: int, now: float, wall: float) -> None:
        """Follow from here; numbers just handed out that are not to be seen may still come."""
        start = max(last - _FIRST_WINDOW, 0)
        where = {"revision": {"$gt": start, "$lte": last}}
        numbers = {"revision": 1, "was": 1}
        rows = await run_together(
            [self._database.rows(name, where, projection=numbers) for name in _FOLLOWED]
        )
        seen = {row["revision"] for part in rows for row in part}
        seen.update(number for part in rows for row in part for number in row.get("was", ()))
        self._gaps = {n: now for n in range(start + 1, last + 1) if n not in seen}
        self._high = last
        self._followed = (now, wall)

    # Claims

    async def claim(self, name: str, seconds: float) -> bool:
        """Take `name` for this process, for so long; the primary's clock decides."""
        with self._work():
            milliseconds = max(int(seconds * 1000), 1)
            now = {"$toLong": "$$NOW"}
            free = {
                "$or": [
                    {"$eq": ["$owner", self._owner]},
                    {"$lte": [{"$ifNull": ["$until", 0]}, now]},
                ]
            }
            fields = {
                "owner": {"$cond": [free, self._owner, "$owner"]},
                "until": {"$cond": [free, {"$add": [now, milliseconds]}, "$until"]},
                # For the index that removes what nobody claims any more.
                "expires": {"$cond": [free, {"$add": ["$$NOW", milliseconds]}, "$expires"]},
            }
            while True:
                reply, _ = await self._database.run(
                    {
                        "findAndModify": "claims",
                        "query": {"_id": name},
                        "update": [{"$set": fields}],
                        "upsert": True,
                        "new": True,
                        "writeConcern": CONCERN,
                    },
                    allow=DUPLICATE_KEY,  # two claimed it for the first time at one time
                )
                if reply.get("ok") and reply["value"]:
                    return bool(reply["value"]["owner"] == self._owner)

    async def release(self, name: str) -> None:
        """Give a claimed name back, if it is held."""
        with self._work():
            await self._database.delete("claims", {"_id": name, "owner": self._owner})

    # Archives

    async def put_archive(self, name: str, content: bytes) -> None:
        """Keep a file: its parts first, then the entry that names them."""
        with self._work():
            version = uuid.uuid4().hex
            digest = hashlib.sha256()
            for number, start in enumerate(range(0, len(content), _CHUNK)):
                part = content[start : start + _CHUNK]
                digest.update(part)
                await self._database.change(
                    "chunks",
                    {"_id": f"{version}/{number}"},
                    {
                        "$set": {"version": version, "number": number, "data": part},
                        "$currentDate": {"stored": True},
                    },
                    upsert=True,
                )
            entry = {"version": version, "sha256": digest.hexdigest(), "size": len(content)}
            await self._database.change("archives", {"_id": name}, {"$set": entry}, upsert=True)
            await self._sweep()

    async def _sweep(self) -> None:
        """Remove parts that no entry names; new ones may be of a file that is being put."""
        rows = await self._database.rows("archives", {}, projection={"version": 1})
        reply, _ = await self._database.run({"hello": 1}, database="admin", timed=False)
        old = reply["localTime"] - dt.timedelta(hours=1)
        await self._database.delete(
            "chunks",
            {
                "version": {"$nin": [row["version"] for row in rows]},
                "stored": {"$lt": old},
            },
        )

    async def get_archive(self, name: str) -> bytes | None:
        """Return a kept file, None if there is none, or it is damaged."""
        with self._work():
            for _attempt in range(3):
                entries = await self._database.rows("archives", {"_id": name})
                if not entries:
                    return None
                parts = await self._database.rows(
                    "chunks",
                    {"version": entries[0]["version"]},
                    sort={"version": 1, "number": 1},
                    batchSize=4,
                )
                digest = hashlib.sha256()
                for part in parts:
                    digest.update(part["data"])
                    await deferLater(self._reactor, 0)
                if digest.hexdigest() == entries[0]["sha256"]:
                    return b"".join(part["data"] for part in parts)
                # Perhaps it was put anew while it was read.
            logger.error("%s: the archive %s is damaged", self._database.server, name)
            return None

    async def archives(self) -> dict[str, str]:
        """Return the SHA-256 (hex) of every kept file, by name."""
        with self._work():
            rows = await self._database.rows("archives", {}, sort={"_id": 1})
            return {row["_id"]: row["sha256"] for row in rows}

    async def delete_archive(self, name: str) -> None:
        """Forget a kept file, if there is one."""
        with self._work():
            entries = await self._database.rows("archives", {"_id": name})
            await self._database.delete("archives", {"_id": name})
            for entry in entries:
                await self._database.delete("chunks", {"version": entry["version"]})


@attrs.frozen
class _Claim:
    """A statement that makes a device the owner of an identity, and who that was before."""

    place: str
    device_id: str
    before: str | None

    @property
    def statement(self) -> Stored:
        owner: Any = {"$exists": False} if self.before is None else self.before
        return {
            "q": {"_id": self.place, "device": owner},
            "u": {"$set": {"device": self.device_id}, "$currentDate": {"since": True}},
            "upsert": self.before is None,
        }


@attrs.define
class _OwnershipChanges:
    """What a write changes of who owns what."""

    claims: list[_Claim] = attrs.field(factory=list)
    releases: list[Stored] = attrs.field(factory=list)


def _places(held: Mapping[str, str]) -> list[str]:
    return [f"{kind}:{value}" for kind, value in held.items()]


def _plain_claims(operations: list[_Operation]) -> _OwnershipChanges | None:
    """Return the claims of devices that are all new and may share nothing; None for others."""
    changes = _OwnershipChanges()
    for op in operations:
        asked = op.asked
        if asked.collection == "configs":
            continue
        if not isinstance(asked, Insert) or asked.shares:
            return None
        changes.claims += [
            _Claim(place, op.id, None) for place in _places(identities(asked.document))
        ]
    return changes


def _compare_owners(before: Mapping[str, Stored], owners: Mapping[str, str]) -> _OwnershipChanges:
    changes = _OwnershipChanges()
    for place, owner in owners.items():
        known = before[place]["device"] if place in before else None
        if known != owner:
            changes.claims.append(_Claim(place, owner, known))
    for place in before.keys() - owners.keys():
        changes.releases.append(
            {"q": {"_id": place, "device": before[place]["device"]}, "limit": 1}
        )
    return changes


def _commands(
    operations: list[_Operation], changes: _OwnershipChanges
) -> Iterator[tuple[str, str, list[Stored]]]:
    """Give the commands of a transaction: verb, collection and statements."""
    claims = [claim.statement for claim in changes.claims]
    for start in range(0, len(claims), _STATEMENTS):
        yield "update", "identities", claims[start : start + _STATEMENTS]
    for collection, part in _parts(operations):
        yield "update", collection, [op.statement for op in part]
    for start in range(0, len(changes.releases), _STATEMENTS):
        yield "delete", "identities", changes.releases[start : start + _STATEMENTS]


_FOLLOWED: tuple[Any, ...] = (*COLLECTIONS, "parameters")


def _record(row: Stored) -> Record:
    return Record(json.loads(row["json"]), row["revision"])


def _text(operation: Write) -> str | None:
    if isinstance(operation, Delete):
        return None
    text = encode(operation.document)
    if len(text) * 4 > _MAX_TEXT and len(text.encode()) > _MAX_TEXT:
        raise InvalidDocument(f"the document is larger than {_MAX_TEXT} bytes")
    return text


def _parts(operations: list[_Operation]) -> Iterator[tuple[Collection, list[_Operation]]]:
    """Give runs of operations of one collection, none too large for one message."""
    part: list[_Operation] = []
    size = 0
    for op in operations:
        if part and (
            op.asked.collection != part[0].asked.collection
            or len(part) >= _STATEMENTS
            or size + op.size > 4_000_000
        ):
            yield part[0].asked.collection, part
            part, size = [], 0
        part.append(op)
        size += op.size
    if part:
        yield part[0].asked.collection, part
