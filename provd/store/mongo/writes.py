"""Writing documents to MongoDB: one by one, in a transaction, or in turn where there is none."""

from __future__ import annotations

import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any

from bson import Int64
from twisted.internet.task import deferLater

from provd.errors import DuplicateId, IdentityTaken, InvalidDocument, RevisionConflict, StoreError
from provd.model.identities import KINDS, identities
from provd.store.documents import get_column_text, is_storable
from provd.store.interface import Delete, Insert
from provd.store.mongo.database import CONCERN, DUPLICATE_KEY, NO_TRANSACTION, LostError
from provd.store.mongo.documents import make_tombstone, make_update, remember_revision
from provd.store.mongo.operations import (
    encode_write,
    find_present,
    make_conflict,
    prepare,
    simulate,
)
from provd.store.mongo.ownership import make_commands, plan_plain_claims

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provd.store.interface import Collection, Write
    from provd.store.mongo.changes import ChangeNumbers
    from provd.store.mongo.database import Database, Session
    from provd.store.mongo.operations import Operation
    from provd.store.mongo.ownership import Ownership, OwnershipChanges
    from provd.store.mongo.wire import Stored

logger = logging.getLogger(__name__)


class Writer:
    """Does all operations of a write, or none."""

    def __init__(
        self, reactor: Any, database: Database, numbers: ChangeNumbers, ownership: Ownership
    ) -> None:
        self._reactor = reactor
        self._database = database
        self._numbers = numbers
        self._ownership = ownership

    async def write(self, operations: Sequence[Write]) -> list[int]:
        """Do all operations, or none; returns when a majority of the servers has them."""
        texts = [encode_write(operation) for operation in operations]
        if not operations:
            return []
        first = await self._numbers.reserve(len(operations))
        prepared = [
            prepare(asked, text, first + offset)
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
            self._database.run_in_background(self._numbers.void([op.number for op in prepared]))
            raise
        return [op.number for op in prepared]

    async def _write_alone(self, operation: Operation) -> bool:
        """Do one operation if it changes nobody's identities; else return False."""
        asked = operation.asked
        if asked.collection == "configs":
            await self.write_one(operation)
            return True
        if isinstance(asked, Insert):
            if identities(asked.document):
                return False
            await self.write_one(operation)
            return True
        if isinstance(asked, Delete):
            return False
        columns = {kind: get_column_text(asked.document, kind) for kind in KINDS}
        where = {**operation.statement["q"], **columns}
        return await self.update_one(operation, {**operation.statement, "q": where})

    async def write_one(self, operation: Operation) -> None:
        """Do one operation; DuplicateId or RevisionConflict if it does not fit."""
        if not await self.update_one(operation, operation.statement):
            raise make_conflict(operation.asked, operation.id)

    async def update_one(self, operation: Operation, statement: Stored) -> bool:
        """Do one operation; return whether it was done."""
        reply, unsure = await self._database.update(operation.asked.collection, [statement])
        if reply["n"] == 1 and not reply.get("writeErrors"):
            return True
        return unsure and await self._was_written(operation)

    async def _was_written(self, operation: Operation) -> bool:
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

    async def set_parameter(self, name: str, value: Any) -> None:
        """Store one parameter durably."""
        text = json.dumps(value)
        if not is_storable(name):
            raise InvalidDocument(f"{name!r} cannot be stored as the name of a parameter")
        number = await self._numbers.reserve(1)
        update = {"$set": {"json": text, "revision": Int64(number)}}
        reply, _ = await self._database.change("parameters", {"_id": name}, update, upsert=True)
        if reply.get("writeErrors"):  # two made it at one time
            await self._database.change("parameters", {"_id": name}, update)

    # Several operations in one transaction

    async def _write_together(self, operations: list[Operation]) -> None:
        deadline = self._reactor.seconds() + self._database.timeout
        pause = 0.01
        # New devices are most of all writes, and what they claim is mostly free.
        changes = plan_plain_claims(operations)
        while True:
            try:
                if changes is None:
                    changes = await self._ownership.plan(operations)
                with self._database.session() as session:
                    assert session is not None
                    if await self._transact(operations, changes, session, deadline):
                        return
                # Somebody was in the way: is it a conflict, or gone already?
                simulate(operations, await find_present(self._database, operations))
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
        operations: list[Operation],
        changes: OwnershipChanges,
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
            for verb, collection, part in make_commands(operations, changes):
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

    # Several operations on a server without transactions

    async def _write_in_turn(self, operations: list[Operation]) -> None:
        before = await find_present(self._database, operations)
        changes = await self._ownership.plan(operations, before)
        await self._ownership.claim(changes)
        for count, operation in enumerate(operations):
            try:
                await self.write_one(operation)
            except (DuplicateId, RevisionConflict, StoreError) as error:
                # One whose outcome is unknown is undone too, if it was done.
                unsure = isinstance(error, StoreError)
                await self._undo(operations[: count + unsure], before)
                await self._ownership.unclaim(changes.claims)
                raise
        for release in changes.releases:
            await self._database.delete("identities", release["q"])

    async def _undo(
        self, operations: list[Operation], before: Mapping[tuple[Collection, str], Stored]
    ) -> None:
        """Bring back what was `before`, under new change numbers, where nobody wrote since."""
        latest = {(op.asked.collection, op.id): op.number for op in operations}
        for place, number in reversed(latest.items()):
            collection, document_id = place
            row = before.get(place, {})
            try:
                again = await self._numbers.reserve(1)
                if "order" in row:
                    kept = {key: row[key] for key in row.keys() - {"_id", "revision", "was"}}
                    update = make_update(collection, kept, again)
                else:
                    update = make_tombstone(collection, again)
                where = {"_id": document_id, "revision": number}
                await self._database.change(collection, where, update | remember_revision(number))
            except StoreError as error:
                logger.error(
                    "a write was done in part: %s/%s could not be undone: %s", *place, error
                )
