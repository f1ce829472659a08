"""Commands to one database: sent to the primary, with a deadline, again where that is safe."""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

from bson import Binary, Int64
from bson.errors import BSONError
from pymongo.errors import ConnectionFailure, PyMongoError
from twisted.internet import defer
from twisted.internet.task import deferLater

from provd.errors import InvalidDocument, StoreFull, StoreUnavailable
from provd.store.mongo.address import format_host
from provd.store.mongo.wire import get_error

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Iterator

    from twisted.python.failure import Failure

    from provd.store.mongo.primary import Primary
    from provd.store.mongo.wire import Stored

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SLICE_SECONDS = 0.004
BATCH: dict[str, int] = {"devices": 300, "configs": 100}

# Error codes of MongoDB.
DUPLICATE_KEY = {11000, 11001}
_WRITE_CONFLICT = 112
NO_TRANSACTION = {251, 263}  # NoSuchTransaction, OperationNotSupportedInTransaction
_NOT_PRIMARY = {10058, 10107, 13435, 13436, 11602, 189, 11600, 91}
_AGAIN = _NOT_PRIMARY | {6, 7, 24, 89, 9001, 134, 246, 262, 317, 384}
_NO_ROOM = {14031, 12501}
# On disk as well; a replica set does so by itself, a single server does not.
CONCERN: Stored = {"w": "majority", "j": True}


class LostError(Exception):
    """A command whose outcome is unknown, or that another server may do; internal."""


class Session:
    """By its id and its number the server knows a repeated write again."""

    def __init__(self) -> None:
        self.id = {"id": Binary(uuid.uuid4().bytes, 4)}
        self.number = 0
        self.used = 0.0

    def fields(self) -> Stored:
        """Return what a command says of it."""
        return {"lsid": self.id, "txnNumber": Int64(self.number)}


class Database:
    """The database `name`, wherever the primary is."""

    def __init__(self, reactor: Any, primary: Primary, name: str) -> None:
        self._reactor = reactor
        self._primary = primary
        self.name = name
        self._sessions: deque[Session] = deque()

    @property
    def session_support(self) -> bool:
        """Whether the server knows sessions with numbers, and transactions."""
        return self._primary.session_support

    @property
    def timeout(self) -> float:
        """How long an answer may take, in seconds."""
        return self._primary.timeout

    @property
    def server(self) -> str:
        """The servers, for messages."""
        return self._primary.name

    def unavailable(self, reason: object) -> StoreUnavailable:
        """Return the error that names the servers."""
        return self._primary.unavailable(reason)

    async def run(
        self,
        body: Stored,
        *,
        payload: dict[str, list[Stored]] | None = None,
        database: str | None = None,
        seconds: float | None = None,
        allow: Iterable[int] = (),
        retry: bool = True,
        timed: bool = True,
    ) -> tuple[Stored, bool]:
        """Return the answer, and whether an earlier attempt may have been carried out.

        An error of a code in `allow` is an answer. Without `retry`, what may be tried again is a
        LostError.
        """
        deadline = self._reactor.seconds() + (seconds or self.timeout)
        unsure = False
        pause = 0.02
        while True:
            chosen = await self._primary.acquire(deadline)
            left = deadline - self._reactor.seconds()
            command = dict(body)
            if timed:
                milliseconds = max(int(left * 1000), 1)
                command["maxTimeMS"] = milliseconds
                if "writeConcern" in body:
                    command["writeConcern"] = {**CONCERN, "wtimeout": milliseconds}
            try:
                # The server's own refusal says more than our patience, so it may come first.
                reply = await chosen.call(database or self.name, command, left + 0.2, payload)
                lost = self._judge(reply, allow)
            except defer.TimeoutError:
                chosen.abort()
                self._primary.drop(chosen)
                raise self.unavailable(
                    f"{format_host(chosen.host)} did not answer in time"
                ) from None
            except ConnectionFailure as error:
                lost = f"{format_host(chosen.host)}: {chosen.gone or error}"
                self._primary.drop(chosen)
            except (BSONError, UnicodeError, OverflowError) as error:
                raise InvalidDocument(f"this cannot be stored: {error}") from error
            except PyMongoError as error:
                raise self.unavailable(error) from error
            if lost is None:
                return reply, unsure
            if not retry:
                raise LostError(lost)
            unsure = True
            if self._reactor.seconds() + pause >= deadline:
                raise self.unavailable(lost)
            await deferLater(self._reactor, pause)
            pause = min(pause * 2, 0.5)

    def _judge(self, reply: Stored, allow: Iterable[int]) -> str | None:
        """Return why to try again, or None; raise what an error of the server means."""
        code = reply.get("code", 0)
        if not reply.get("ok"):
            if code in allow:
                return None
            text = f"{reply.get('errmsg')} ({reply.get('codeName') or code})"
            if code in _AGAIN or code == _WRITE_CONFLICT:
                return text
            if code in _NO_ROOM:
                raise StoreFull(f"{self.server}: {text}")
            raise self.unavailable(text)
        for error in reply.get("writeErrors") or ():
            if error.get("code") in allow:
                continue
            text = f"{error.get('errmsg')} ({error.get('code')})"
            if error.get("code") in _AGAIN or error.get("code") == _WRITE_CONFLICT:
                return text
            if error.get("code") in _NO_ROOM:
                raise StoreFull(f"{self.server}: {text}")
            raise self.unavailable(text)
        concern = reply.get("writeConcernError")
        if concern:
            text = f"a majority did not confirm in time: {concern.get('errmsg')}"
            if concern.get("code") in _AGAIN:
                return text
            raise self.unavailable(text)
        return None

    @contextlib.contextmanager
    def session(self) -> Iterator[Session | None]:
        """Lend a session for one write; None where the server knows none."""
        if not self.session_support:
            yield None
            return
        now = self._reactor.seconds()
        while self._sessions and now - self._sessions[0].used > 20 * 60:
            self._sessions.popleft()
        session = self._sessions.pop() if self._sessions else Session()
        session.number += 1
        yield session
        # One that failed is dropped: the server may still be busy with it.
        session.used = now
        self._sessions.append(session)

    # Finding

    async def _answers(self, command: Stored) -> AsyncGenerator[list[Stored], None]:
        """Give what a find gives, one answer of the server at a time."""
        if self.session_support:
            command["readConcern"] = {"level": "majority"}
        reply, _ = await self.run(command)
        cursor = reply["cursor"]
        yield cursor["firstBatch"]
        collection = command["find"]
        try:
            while cursor["id"]:
                more = {
                    "getMore": Int64(cursor["id"]),
                    "collection": collection,
                    "batchSize": command["batchSize"],
                }
                reply, _ = await self.run(more, allow={43}, retry=False, timed=False)
                if not reply.get("ok"):
                    raise LostError("the server forgot a cursor")
                cursor = reply["cursor"]
                yield cursor["nextBatch"]
        finally:
            if cursor["id"]:
                stop = {"killCursors": collection, "cursors": [Int64(cursor["id"])]}
                self.run_in_background(self.run(stop, retry=False, timed=False))

    async def collect(
        self,
        collection: str,
        where: Stored,
        pick: Callable[[Stored], T | None],
        *,
        enough: int | None = None,
        **more: Any,
    ) -> list[T]:
        """Return what `pick` makes of all that is found, without its Nones; at most `enough`."""
        command = {
            "find": collection,
            "filter": where,
            "batchSize": BATCH.get(collection, 500),
            **more,
        }
        if more.get("sort"):
            command["allowDiskUse"] = True
        for attempt in range(3):
            found: list[T] = []
            answers = self._answers(dict(command))
            try:
                async with contextlib.aclosing(answers):
                    until = time.perf_counter() + _SLICE_SECONDS
                    async for rows in answers:
                        for row in rows:
                            picked = pick(row)
                            if picked is not None:
                                found.append(picked)
                                if enough is not None and len(found) >= enough:
                                    return found
                            if time.perf_counter() > until:
                                await deferLater(self._reactor, 0)
                                until = time.perf_counter() + _SLICE_SECONDS
                        until = time.perf_counter() + _SLICE_SECONDS
            except LostError as error:
                if attempt == 2:
                    raise self.unavailable(error) from None
            else:
                return found
        raise AssertionError

    async def rows(self, collection: str, where: Stored, **more: Any) -> list[Stored]:
        """Return all that is found; `more` are fields of the command."""
        return await self.collect(collection, where, lambda row: row, **more)

    # Changing

    async def change(
        self, collection: str, where: Stored, update: Stored, *, upsert: bool = False
    ) -> tuple[Stored, bool]:
        """Do one update of one document; see `update`."""
        return await self.update(collection, [{"q": where, "u": update, "upsert": upsert}])

    async def update(self, collection: str, statements: list[Stored]) -> tuple[Stored, bool]:
        """Do updates in turn; return the answer, and whether some may have been done before.

        A key that is there already is an answer too.
        """
        with self.session() as session:
            return await self.run(
                {
                    "update": collection,
                    "ordered": True,
                    "writeConcern": CONCERN,
                    **(session.fields() if session is not None else {}),
                },
                payload={"updates": statements},
                allow=DUPLICATE_KEY,
            )

    async def delete(self, collection: str, where: Stored) -> None:
        """Delete all that is found."""
        await self.run(
            {
                "delete": collection,
                "deletes": [{"q": where, "limit": 0}],
                "writeConcern": CONCERN,
            }
        )

    async def create_indexes(self, collection: str, indexes: list[Stored]) -> None:
        """Make indexes that are not there yet."""
        # Over many documents this takes its time, once.
        await self.run({"createIndexes": collection, "indexes": indexes}, seconds=120)

    def run_in_background(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Do something that nobody waits for, and that may fail."""

        def failed(failure: Failure) -> None:
            logger.debug("%s: %s", self.server, failure.value)

        defer.Deferred.fromCoroutine(coroutine).addErrback(failed)


async def run_together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all at one time; return their results, or raise the first error."""
    running = [defer.Deferred.fromCoroutine(coroutine) for coroutine in coroutines]
    try:
        return await defer.gatherResults(running, consumeErrors=True)
    except defer.FirstError as error:
        raise get_error(error.subFailure) from None
