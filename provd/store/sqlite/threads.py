"""The threads of a SQLite store: one that writes, some that read, and the way back to the reactor.

Nothing else here touches the reactor's thread: results are handed over to it, in slices.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import sqlite3
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from twisted.internet import defer
from twisted.python.failure import Failure

from provd.errors import (
    DuplicateId,
    IdentityTaken,
    RevisionConflict,
    StoreError,
    StoreUnavailable,
)
from provd.store.sqlite.file import read_uri, translate
from provd.store.sqlite.quarantine import FaultyRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MAX_BATCH = 512
_SLICE_SECONDS = 0.005


class Handover:
    """Passes results from threads to those who wait in the reactor's."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._outcomes: deque[tuple[defer.Deferred[Any], Any]] = deque()
        self._delivering = False

    def hand_over(self, outcomes: Iterable[tuple[defer.Deferred[Any], Any]]) -> None:
        """Give each who waits an outcome; called in any thread."""
        self._outcomes.extend(outcomes)
        self._reactor.callFromThread(self._wake)

    def _wake(self) -> None:
        if not self._delivering:
            self._deliver()

    def _deliver(self) -> None:
        """Tell who waits; in slices, as each may go on with work of its own at once."""
        self._delivering = False
        until = time.perf_counter() + _SLICE_SECONDS
        while self._outcomes:
            waiting, outcome = self._outcomes.popleft()
            if not waiting.called:
                waiting.callback(outcome)
            if self._outcomes and time.perf_counter() > until:
                self._delivering = True
                self._reactor.callFromThread(self._deliver)
                return


class ReadingThreads:
    """A pool of threads, each with a connection of its own that only reads."""

    def __init__(self, path: str, count: int, handover: Handover) -> None:
        self._path = path
        self._count = count
        self._handover = handover
        self._local = threading.local()
        self._pool: ThreadPoolExecutor | None = None
        self._connections: list[sqlite3.Connection] = []

    def start(self) -> None:
        """Take work."""
        self._pool = ThreadPoolExecutor(self._count, thread_name_prefix="store-read")

    def detach(self) -> ThreadPoolExecutor | None:
        """Take no more work; return the pool that does the rest, None if there is none."""
        pool, self._pool = self._pool, None
        return pool

    def close(self) -> None:
        """Close all connections, once the pool is shut down."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def run(self, function: Callable[..., T], *args: Any) -> defer.Deferred[T]:
        """Run `function` in one of the threads."""
        if self._pool is None:
            return defer.fail(StoreUnavailable(f"{self._path}: the database is closed"))
        result: defer.Deferred[T] = defer.Deferred()

        def work() -> None:
            try:
                outcome: Any = function(*args)
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                outcome = Failure(error)
            self._handover.hand_over([(result, outcome)])

        self._pool.submit(work)
        return result

    def read(self, function: Callable[..., T], *args: Any) -> defer.Deferred[T]:
        """Run `function` in one of the threads, with its connection."""

        def work() -> T:
            try:
                return function(self.connection(), *args)
            except sqlite3.OperationalError as error:
                # Python's own, not SQLite's: it has no code.
                if "decode to UTF-8" not in str(error):
                    raise translate(error, self._path) from error
            except sqlite3.Error as error:
                raise translate(error, self._path) from error
            except FaultyRecord:
                pass
            # A new one: the traceback of the first keeps a statement, and with it an old snapshot.
            raise FaultyRecord

        return self.run(work)

    def connection(self) -> sqlite3.Connection:
        """Return the connection of the reading thread that calls."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                read_uri(self._path),
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=5,
            )
            self._local.connection = connection
            self._connections.append(connection)
        return connection


@attrs.define(slots=True)
class _Job:
    """Statements for the writer thread, and who waits for them."""

    run: Callable[[sqlite3.Connection], Any]
    done: defer.Deferred[Any]
    atomic: bool = False


class WritingThread:
    """The thread with the only connection that writes; it commits all that waits at one time."""

    def __init__(self, path: str, handover: Handover) -> None:
        self._path = path
        self._handover = handover
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._files: dict[str, tuple[int, int]] = {}
        self.commits = 0
        self.writes = 0

    @property
    def is_running(self) -> bool:
        """Whether it takes work."""
        return self._thread is not None

    def start(self, connection: sqlite3.Connection) -> None:
        """Take work; the connection stays the caller's to close."""
        self._thread = threading.Thread(
            target=self._loop, args=(connection,), name="store-write", daemon=True
        )
        self._thread.start()

    def detach(self) -> threading.Thread | None:
        """Take no more work; return the thread that does the rest, None if there is none."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
        return thread

    def submit(self, run: Callable[[sqlite3.Connection], T], *, atomic: bool) -> defer.Deferred[T]:
        """Have `run` done in the next transaction; undone alone, if `atomic`, when it fails."""
        done: defer.Deferred[T] = defer.Deferred()
        self._queue.put(_Job(run, done, atomic))
        return done

    def _loop(self, connection: sqlite3.Connection) -> None:
        stopping = False
        while not stopping:
            batch: list[_Job] = []
            job = self._queue.get()
            while True:
                if job is None:
                    stopping = True
                    break
                batch.append(job)
                if len(batch) >= _MAX_BATCH:
                    break
                try:
                    job = self._queue.get_nowait()
                except queue.Empty:
                    break
            if batch:
                results = self._commit(connection, batch)
                self._handover.hand_over(zip((job.done for job in batch), results, strict=True))

    def _commit(self, connection: sqlite3.Connection, batch: list[_Job]) -> list[Any]:
        """Run a batch in one transaction; return for each job its result or a Failure."""
        results: list[Any] = []
        try:
            self._check_in_place()
            connection.execute("BEGIN IMMEDIATE")
            results.extend(self._run(connection, job) for job in batch)
            connection.execute("COMMIT")
            self._check_in_place()
        except BaseException as error:  # noqa: BLE001 - every waiter learns of it
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            failure = (
                translate(error, self._path)
                if isinstance(error, sqlite3.Error | OSError)
                else error
                if isinstance(error, StoreError)
                else StoreUnavailable(f"{self._path}: {error!r}")
            )
            logger.error("a write of %d changes failed: %s", len(batch), failure)
            return [Failure(failure) for _ in batch]
        self.commits += 1
        self.writes += len(batch)
        return results

    def _check_in_place(self) -> None:
        """Raise StoreUnavailable if a file of the database was removed or replaced meanwhile.

        SQLite would go on and write to a file without a name, and all of that would be lost.
        """
        for path in (self._path, f"{self._path}-wal"):
            try:
                status = os.stat(path)
            except FileNotFoundError:
                if path in self._files:
                    raise StoreUnavailable(f"{path} was removed while in use") from None
                continue
            identity = (status.st_dev, status.st_ino)
            if self._files.setdefault(path, identity) != identity:
                raise StoreUnavailable(f"{path} was replaced while in use")

    @staticmethod
    def _run(connection: sqlite3.Connection, job: _Job) -> Any:
        if job.atomic:
            connection.execute("SAVEPOINT job")
        try:
            result = job.run(connection)
        except (DuplicateId, RevisionConflict, IdentityTaken) as error:
            if job.atomic:
                connection.execute("ROLLBACK TO job")
                connection.execute("RELEASE job")
            return Failure(error)
        if job.atomic:
            connection.execute("RELEASE job")
        return result
