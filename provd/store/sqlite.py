"""The embedded store: one SQLite file, durable, for one daemon.

One writer thread owns the only connection that writes. It takes all writes that wait, does them in
one transaction and commits once (WAL, synchronous=FULL), so an acknowledged write survives kill -9
and loss of power, and a burst of writes costs one fsync. Readers have threads and connections of
their own and never wait for the writer. Nothing here runs on the reactor thread but the encoding
of documents.

Tables: `devices` and `configs` hold each document as JSON text beside the columns that look-ups
use; `config_parents` has one row for each member of a config's `parent_ids`, `identities` one for
each MAC address, serial number and UUID, with the device that owns it. Documents keep their order
of insertion (rowid). `quarantine` has the records that could not be used: whoever reads one
gets the others, and the writer moves it there.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import queue
import re
import sqlite3
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import attrs
from twisted.internet import defer
from twisted.python.failure import Failure

from provd.errors import (
    DuplicateId,
    IdentityTaken,
    RevisionConflict,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from provd.model.selectors import compile_selector
from provd.store import ownership, quarantine
from provd.store.documents import column_text, encode, is_storable
from provd.store.interface import (
    INDEXED,
    Collection,
    Delete,
    Duplicate,
    Identity,
    Insert,
    Record,
    Replace,
    Write,
)
from provd.store.planning import cut, page, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from provd.model.selectors import Query

logger = logging.getLogger(__name__)

T = TypeVar("T")

APPLICATION_ID = 0x50524F56  # "PROV"
SCHEMA_VERSION = 3
_QUICK_CHECK_LIMIT = 256 * 1024 * 1024
_MAX_BATCH = 512
# Many phones may share one address; among them, those without a MAC are asked for. How a device
# came is asked of all devices of a tenant.
_INDEXES: dict[Collection, tuple[str, ...]] = {
    "devices": ("mac", "ip, mac", "sn", "uuid", "config", "plugin", "tenant_uuid, added"),
    "configs": ("role", "X_type", "X_provisioning_code", "tenant_uuid"),
}
_SLICE_SECONDS = 0.005
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# How often a read may meet records that were sound when it looked for the faulty ones.
_MAX_READS = 5

_SCHEMA = """
CREATE TABLE devices (
    id TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,
    mac TEXT, ip TEXT, sn TEXT, uuid TEXT, config TEXT, plugin TEXT, tenant_uuid TEXT,
    added TEXT, vendor TEXT, model TEXT, version TEXT, description TEXT,
    document TEXT NOT NULL
);
CREATE TABLE configs (
    id TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,
    role TEXT, X_type TEXT, X_provisioning_code TEXT, tenant_uuid TEXT,
    document TEXT NOT NULL
);
CREATE TABLE config_parents (parent TEXT NOT NULL, child TEXT NOT NULL, PRIMARY KEY (parent, child))
    WITHOUT ROWID;
CREATE INDEX config_children ON config_parents (child);
CREATE TABLE parameters (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE changes (last INTEGER NOT NULL);
INSERT INTO changes VALUES (0);
"""


class _FaultyRecord(Exception):
    """A read met a record that cannot be used."""


@attrs.define(slots=True)
class _Job:
    """Statements for the writer thread, and who waits for them."""

    run: Callable[[sqlite3.Connection], Any]
    done: defer.Deferred[Any]
    atomic: bool = False


def _record(row: tuple[str, str, int]) -> Record:
    """Return the record of a row (id, document, revision); _FaultyRecord if it cannot be used."""
    try:
        document = json.loads(row[1])
        if document["id"] == row[0]:
            return Record(document, row[2])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _FaultyRecord from error
    raise _FaultyRecord


def translate(error: sqlite3.Error | OSError, path: str) -> StoreError:
    """Return our error for one of SQLite's."""
    text = f"{path}: {error}"
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary == sqlite3.SQLITE_FULL or getattr(error, "errno", None) == errno.ENOSPC:
        return StoreFull(text)
    if primary in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return StoreCorrupt(text)
    return StoreUnavailable(text)


class SqliteStore:
    """The embedded store in the file at `path`; see the module for its promises."""

    def __init__(
        self, reactor: Any, path: str, *, readers: int = 2, read_only: bool = False
    ) -> None:
        """`read_only` opens a file that a daemon may be using; all reads see one moment of it."""
        self._reactor = reactor
        self._path = path
        self._read_only = read_only
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._readers = 1 if read_only else readers
        self._reading = threading.local()
        self._pool: ThreadPoolExecutor | None = None
        self._writer: threading.Thread | None = None
        self._writing: sqlite3.Connection | None = None
        self._lock_file: int | None = None
        self._connections: list[sqlite3.Connection] = []
        self._outcomes: deque[tuple[defer.Deferred[Any], Any]] = deque()
        self._delivering = False
        self._files: dict[str, tuple[int, int]] = {}
        self.commits = 0
        self.writes = 0
        self.quarantined: list[str] = []
        """`collection/id` of every record that could not be used, oldest first."""

    # Life cycle

    @classmethod
    def check_file(cls, path: str) -> None:
        """Raise StoreCorrupt or StoreUnavailable if the file at `path` can never be opened.

        Blocks, changes nothing; a file that is not there yet is fine.
        """
        if not os.path.lexists(path):
            return
        try:
            with contextlib.closing(
                sqlite3.connect(read_uri(path), uri=True, timeout=5)
            ) as connection:
                identify(connection, path)
        except sqlite3.Error as error:
            raise translate(error, path) from error

    async def open(self) -> None:
        """Open or create the file; StoreCorrupt or StoreUnavailable names it and says why."""
        self._pool = ThreadPoolExecutor(self._readers, thread_name_prefix="store-read")
        try:
            if self._read_only:
                await self._in_pool(self._begin_reading)
                return
            connection = await self._in_pool(self._prepare)
        except BaseException:
            await self.close()
            raise
        self._writing = connection
        self._writer = threading.Thread(
            target=self._write_loop, args=(connection,), name="store-write", daemon=True
        )
        self._writer.start()

    def _prepare(self) -> sqlite3.Connection:
        try:
            os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
            self._take_lock()
            connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=5
            )
        except (sqlite3.Error, OSError) as error:
            raise translate(error, self._path) from error
        try:
            self._check(connection)
        except sqlite3.Error as error:
            connection.close()
            raise translate(error, self._path) from error
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin_reading(self) -> None:
        """Start the one transaction that all reads of a store opened for reading belong to."""
        try:
            os.stat(self._path)
            connection = self._reader()
            connection.execute("BEGIN")
            if not identify(connection, self._path):
                raise StoreCorrupt(f"{self._path}: the database is empty")
            self.quarantined = quarantine.names(connection)
        except (sqlite3.Error, OSError) as error:
            raise translate(error, self._path) from error

    def _take_lock(self) -> None:
        """Keep a second daemon off the file; SQLite alone would let it in."""
        self._lock_file = take_lock(self._path)

    def _check(self, connection: sqlite3.Connection) -> None:
        tables = identify(connection, self._path)
        if os.path.getsize(self._path) < _QUICK_CHECK_LIMIT:
            result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if result != "ok":
                raise StoreCorrupt(f"{self._path}: {' '.join(result.split())}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        if tables:
            # A file that may not be written opens all the same, for reading.
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE changes SET last = last")
            connection.execute("ROLLBACK")
            _add_columns(connection, self._path)
            _add_identities(connection, self._path)
        if not tables:
            indexes = [
                f"{_index(collection, columns)};"
                for collection, all_columns in _INDEXES.items()
                for columns in all_columns
            ]
            connection.executescript(
                "BEGIN IMMEDIATE;"
                + _SCHEMA
                + ownership.SCHEMA
                + quarantine.SCHEMA
                + "".join(indexes)
                + f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={SCHEMA_VERSION};"
                + "COMMIT;"
            )
        self.quarantined = quarantine.names(connection)

    async def close(self) -> None:
        """Commit what waits, then close the file."""
        pool, writer = self._pool, self._writer
        self._pool = self._writer = None
        if pool is None:
            return
        self._queue.put(None)
        done: defer.Deferred[None] = defer.Deferred()

        def finish() -> None:
            if writer is not None:
                writer.join()
            pool.shutdown(wait=True)
            self._release()
            self._hand_over([(done, None)])

        # On a thread that is none of the pool's, as it waits for all of these.
        threading.Thread(target=finish, name="store-close").start()
        await done

    def _release(self) -> None:
        # The writer is the last: only a connection that may write can put the log into the file.
        for connection in (*self._connections, self._writing):
            if connection is not None:
                connection.close()
        self._connections.clear()
        self._writing = None
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    # Threads

    def _in_pool(self, function: Callable[..., T], *args: Any) -> defer.Deferred[T]:
        if self._pool is None:
            return defer.fail(StoreUnavailable(f"{self._path}: the database is closed"))
        result: defer.Deferred[T] = defer.Deferred()

        def work() -> None:
            try:
                outcome: Any = function(*args)
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                outcome = Failure(error)
            self._hand_over([(result, outcome)])

        self._pool.submit(work)
        return result

    def _hand_over(self, outcomes: Iterable[tuple[defer.Deferred[Any], Any]]) -> None:
        """Pass results from a thread of ours to those who wait in the reactor's."""
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

    def _reader(self) -> sqlite3.Connection:
        """Return the connection of the reading thread that calls."""
        connection: sqlite3.Connection | None = getattr(self._reading, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                read_uri(self._path),
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=5,
            )
            self._reading.connection = connection
            self._connections.append(connection)
        return connection

    def _read(self, function: Callable[..., T], *args: Any) -> defer.Deferred[T]:
        def work() -> T:
            try:
                return function(self._reader(), *args)
            except sqlite3.OperationalError as error:
                # Python's own, not SQLite's: it has no code.
                if "decode to UTF-8" not in str(error):
                    raise translate(error, self._path) from error
            except sqlite3.Error as error:
                raise translate(error, self._path) from error
            except _FaultyRecord:
                pass
            # A new one: the traceback of the first keeps a statement, and with it an old snapshot.
            raise _FaultyRecord

        return self._in_pool(work)

    async def _read_records(
        self,
        collection: str,
        read: Callable[[sqlite3.Connection, str, Sequence[Any]], T],
        where: str = "",
        values: Sequence[Any] = (),
    ) -> T:
        """Return what `read` makes of the records that the WHERE clause lets through.

        Where it meets a faulty one, that goes into quarantine and the others are read again.
        """
        for _ in range(_MAX_READS):
            try:
                return await self._read(read, where, values)
            except _FaultyRecord:
                faults = await self._read(
                    lambda connection, *args: quarantine.find_faults(connection, collection, *args),
                    where,
                    values,
                )
            if await self._put_into_quarantine(collection, faults):
                continue
            # It has to stay where it is: on a full disk, or in somebody else's database.
            key = "name" if collection == "parameters" else "rowid"
            where = f"{where} AND" if where else " WHERE"
            where = f"{where} {key} NOT IN (SELECT value FROM json_each(?))"  # noqa: S608
            values = (*values, json.dumps([fault.sql_key for fault in faults]))
        raise StoreCorrupt(f"{self._path}: records of {collection} cannot be read")

    async def _put_into_quarantine(self, collection: str, faults: list[quarantine.Fault]) -> bool:
        """Have the writer move faulty records; False if that is not possible now."""
        if not faults:
            return True  # mended or moved since
        keys = [fault.key for fault in faults]
        reason = ""
        try:
            moved = await self._submit(
                lambda connection: quarantine.move(connection, collection, keys), atomic=True
            )
        except StoreError as error:
            moved, reason = faults, f", left out and not moved: {error}"
        for fault in moved:
            if fault.name not in self.quarantined:
                self.quarantined.append(fault.name)
                logger.error(
                    "%s cannot be used (quarantine): %s%s", fault.name, fault.reason, reason
                )
        return not reason

    def _submit(self, run: Callable[[sqlite3.Connection], T], *, atomic: bool) -> defer.Deferred[T]:
        if self._writer is None:
            state = "open for reading only" if self._read_only else "closed"
            return defer.fail(StoreUnavailable(f"{self._path}: the database is {state}"))
        done: defer.Deferred[T] = defer.Deferred()
        self._queue.put(_Job(run, done, atomic))
        return done

    def _write_loop(self, connection: sqlite3.Connection) -> None:
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
                self._hand_over(zip((job.done for job in batch), results, strict=True))

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

    # Reads

    async def get(self, collection: Collection, document_id: str) -> Record | None:
        """Return the document of that id, or None."""
        if not is_storable(document_id):
            return None

        def read(
            connection: sqlite3.Connection, where: str, values: Sequence[Any]
        ) -> Record | None:
            row = connection.execute(
                f"SELECT id, document, revision FROM {collection}{where}",  # noqa: S608
                values,
            ).fetchone()
            return None if row is None else _record(row)

        return await self._read_records(collection, read, " WHERE id = ?", (document_id,))

    async def find(self, collection: Collection, query: Query) -> list[Record]:
        """Return documents that match, sorted, skipped and limited."""
        matches = compile_selector(query.selector)
        where, values, exact = _where(collection, query.selector)

        def read(connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Record]:
            sql = f"SELECT id, document, revision FROM {collection}{where} ORDER BY rowid"  # noqa: S608
            page_sql = None
            if exact and query.sort is None:
                page_sql = f"{sql} LIMIT ? OFFSET ?"
            elif exact and query.sort is not None:
                page_sql = _sorted_page(connection, collection, query.sort, where, values)
            if page_sql is not None:
                if query.limit is not None and query.limit < 0:
                    return []
                rows = connection.execute(
                    page_sql, (*values, query.limit or -1, max(query.skip, 0))
                ).fetchall()
                return [_record(row) for row in rows]
            found = [
                record
                for record in map(_record, connection.execute(sql, values))
                if exact or matches(record.document)
            ]
            return page(found, query) if query.sort is not None else cut(found, query)

        return await self._read_records(collection, read, where, values)

    async def find_ids(self, collection: Collection, selector: Mapping[str, Any]) -> list[str]:
        """Return the ids of all documents that match."""
        matches = compile_selector(selector)
        where, values, exact = _where(collection, selector)

        def read(connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[str]:
            if exact:
                sql = f"SELECT id FROM {collection}{where} ORDER BY rowid"  # noqa: S608
                return [row[0] for row in connection.execute(sql, values)]
            sql = f"SELECT id, document, revision FROM {collection}{where} ORDER BY rowid"  # noqa: S608
            return [
                record.id
                for record in map(_record, connection.execute(sql, values))
                if matches(record.document)
            ]

        return await self._read_records(collection, read, where, values)

    async def identities(self, limit: int) -> list[Identity] | None:
        """Return what tells devices apart, of all of them."""

        def read(connection: sqlite3.Connection) -> list[Identity] | None:
            sql = "SELECT id, mac, ip, sn, uuid FROM devices ORDER BY rowid LIMIT ?"
            rows: list[Identity] = connection.execute(sql, (limit + 1,)).fetchall()
            return rows if len(rows) <= limit else None

        return await self._read(read)

    async def descendants(self, config_id: str) -> list[str]:
        """Return the ids of all configs that reach this one, in one query."""

        def read(connection: sqlite3.Connection) -> list[str]:
            rows = connection.execute(
                "WITH RECURSIVE reached (id) AS (VALUES (?) UNION"
                " SELECT child FROM config_parents JOIN reached ON parent = reached.id)"
                " SELECT id FROM reached",
                (config_id,),
            )
            return [row[0] for row in rows if row[0] != config_id]

        return await self._read(read)

    async def count(self, collection: Collection, selector: Mapping[str, Any]) -> int:
        """Return how many documents match."""
        where, values, exact = _where(collection, selector)
        if not exact:
            return len(await self.find_ids(collection, selector))

        def read(connection: sqlite3.Connection) -> int:
            sql = f"SELECT count(*) FROM {collection}{where}"  # noqa: S608
            number: int = connection.execute(sql, values).fetchone()[0]
            return number

        return await self._read(read)

    async def parameters(self) -> dict[str, Any]:
        """Return all parameters, by name."""

        def read(
            connection: sqlite3.Connection, where: str, values: Sequence[Any]
        ) -> dict[str, Any]:
            rows = connection.execute(
                f"SELECT name, value FROM parameters{where} ORDER BY name",  # noqa: S608
                values,
            )
            try:
                return {name: json.loads(value) for name, value in rows}
            except (ValueError, TypeError) as error:
                raise _FaultyRecord from error

        return await self._read_records("parameters", read)

    async def owner(self, kind: str, value: str) -> str | None:
        """Return the id of the device that owns an identity."""
        if not is_storable(value):
            return None
        return await self._read(ownership.find_owner, kind, value)

    async def duplicates(self) -> list[Duplicate]:
        """Return every identity that several devices have."""
        return await self._read(ownership.find_duplicates)

    # Writes

    async def write(self, operations: Sequence[Write]) -> list[int]:
        """Do all operations in one transaction; returns when it is on disk."""
        prepared = [
            (operation, None if isinstance(operation, Delete) else encode(operation.document))
            for operation in operations
        ]

        def run(connection: sqlite3.Connection) -> list[int]:
            return [_apply(connection, operation, text) for operation, text in prepared]

        return await self._submit(run, atomic=True)

    async def set_parameter(self, name: str, value: Any) -> None:
        """Store one parameter durably."""
        text = json.dumps(value)

        def run(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO parameters VALUES (?, ?)", (name, text))

        await self._submit(run, atomic=False)


def take_lock(path: str) -> int:
    """Return a descriptor that keeps every daemon off the database until it is closed.

    StoreUnavailable if another process uses the database.
    """
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StoreUnavailable(f"{path}: another process uses this database") from None
    return descriptor


def identify(connection: sqlite3.Connection, path: str) -> int:
    """Return how many tables and indexes there are; StoreCorrupt if they are not ours."""
    application, version = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("application_id", "user_version")
    )
    tables: int = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables and application != APPLICATION_ID:
        raise StoreCorrupt(f"{path}: this is a database, but not one of provd")
    if version > SCHEMA_VERSION:
        raise StoreUnavailable(
            f"{path}: written by a newer provd (schema {version}, known {SCHEMA_VERSION})"
        )
    return tables


def read_uri(path: str) -> str:
    """Return the URI by which SQLite opens the file for reading only."""
    return f"file:{quote(os.path.abspath(path))}?mode=ro"


def _next_revision(connection: sqlite3.Connection) -> int:
    row = connection.execute("UPDATE changes SET last = last + 1 RETURNING last").fetchone()
    revision: int = row[0]
    return revision


def _apply(connection: sqlite3.Connection, operation: Write, text: str | None) -> int:
    collection = operation.collection
    revision = _next_revision(connection)
    if isinstance(operation, Delete):
        document_id = operation.document_id
        held = ownership.of_stored(connection, document_id) if collection == "devices" else {}
        cursor = connection.execute(
            f"DELETE FROM {collection} WHERE id = ? AND revision = ?",  # noqa: S608
            (document_id, operation.revision),
        )
        if cursor.rowcount != 1:
            raise RevisionConflict(collection, document_id)
        if collection == "configs":
            connection.execute("DELETE FROM config_parents WHERE child = ?", (document_id,))
        if held:
            ownership.change(connection, document_id, held, None)
        return revision
    document = operation.document
    columns = INDEXED[collection]
    values = [column_text(document, column) for column in columns]
    held = {}
    if isinstance(operation, Insert):
        names = ", ".join(("id", "revision", *columns, "document"))
        marks = ", ".join("?" * (len(columns) + 3))
        try:
            connection.execute(
                f"INSERT INTO {collection} ({names}) VALUES ({marks})",  # noqa: S608
                (document["id"], revision, *values, text),
            )
        except sqlite3.IntegrityError:
            raise DuplicateId(collection, document["id"]) from None
    else:
        if collection == "devices":
            held = ownership.of_stored(connection, document["id"])
        names = ", ".join(f"{column} = ?" for column in ("revision", *columns, "document"))
        cursor = connection.execute(
            f"UPDATE {collection} SET {names} WHERE id = ? AND revision = ?",  # noqa: S608
            (revision, *values, text, document["id"], operation.revision),
        )
        if cursor.rowcount != 1:
            raise RevisionConflict(collection, document["id"])
    if collection == "configs":
        _store_parents(connection, operation)
    else:
        ownership.change(connection, document["id"], held, document, shares=operation.shares)
    return revision


def _store_parents(connection: sqlite3.Connection, operation: Insert | Replace) -> None:
    child = operation.document["id"]
    if isinstance(operation, Replace):
        connection.execute("DELETE FROM config_parents WHERE child = ?", (child,))
    parents = operation.document.get("parent_ids")
    if isinstance(parents, list):
        connection.executemany(
            "INSERT OR IGNORE INTO config_parents VALUES (?, ?)",
            [(parent, child) for parent in parents if isinstance(parent, str)],
        )


def _index(collection: Collection, columns: str) -> str:
    """Return the statement that makes an index."""
    return (
        f"CREATE INDEX IF NOT EXISTS {collection}_{columns.partition(',')[0]}"
        f" ON {collection} ({columns})"
    )


def _add_columns(connection: sqlite3.Connection, path: str) -> None:
    """Add the columns that a database of an earlier version lacks, filled from its documents."""
    for collection, columns in INDEXED.items():
        present = {row[1] for row in connection.execute(f"PRAGMA table_info({collection})")}
        missing = [column for column in columns if column not in present]
        if not missing:
            continue
        logger.info("%s: the columns %s are added", path, ", ".join(missing))
        connection.execute("BEGIN IMMEDIATE")
        for column in missing:
            connection.execute(f"ALTER TABLE {collection} ADD COLUMN {column} TEXT")
            connection.execute(
                f"UPDATE {collection} SET {column} = json_extract(document, '$.{column}')"  # noqa: S608
                f" WHERE CASE WHEN json_valid(document)"
                f" THEN json_type(document, '$.{column}') = 'text' ELSE 0 END"
            )
        for indexed in _INDEXES[collection]:
            connection.execute(_index(collection, indexed))
        # An older provd would write records without these columns.
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")


def _add_identities(connection: sqlite3.Connection, path: str) -> None:
    """Note who owns which identity in a database of an earlier version."""
    if ownership.exists(connection):
        return
    logger.info("%s: the table of identities is added", path)
    connection.execute("BEGIN IMMEDIATE")
    ownership.build(connection)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _sorted_page(
    connection: sqlite3.Connection,
    collection: Collection,
    sort: tuple[str, int],
    where: str,
    values: Sequence[Any],
) -> str | None:
    """Return the SELECT of a part of a sorted listing, None if SQL would sort otherwise.

    Bytes of UTF-8 sort as code points do, and what is missing or null as the empty text. Other
    values that are no text sort as Python writes them.
    """
    key, direction = sort
    if not _PLAIN_KEY.fullmatch(key):
        return None
    narrowed = f"SELECT 1 FROM {collection}{where}{' AND' if where else ' WHERE'}"  # noqa: S608
    is_other = f"coalesce(json_type(document, '$.{key}'), 'null') NOT IN ('null', 'text')"
    if key == "id":
        ordered, check = key, ""
    elif key in INDEXED[collection]:
        # The column is NULL where the document has no text.
        ordered, check = key, f"{key} IS NULL AND CASE WHEN json_valid(document) THEN {is_other}"
    else:
        ordered = f"coalesce(json_extract(document, '$.{key}'), '')"
        # SQLite ends a text where this stands.
        check = f"CASE WHEN json_valid(document) THEN {is_other} OR instr(document, '\\u0000')"
    if check and connection.execute(f"{narrowed} {check} ELSE 1 END LIMIT 1", values).fetchone():
        return None
    # NULL sorts before the empty text unless they are made one, which no index can follow.
    if (
        ordered == key != "id"
        and connection.execute(f"{narrowed} {key} = '' LIMIT 1", values).fetchone()
    ):
        ordered = f"coalesce({key}, '')"
    order = f"ORDER BY {ordered}{' DESC' if direction < 0 else ''}, rowid"
    return (
        f"SELECT id, document, revision FROM {collection} WHERE rowid IN"  # noqa: S608
        f" (SELECT rowid FROM {collection}{where} {order} LIMIT ? OFFSET ?) {order}"
    )


def _where(collection: Collection, selector: Mapping[str, Any]) -> tuple[str, list[str], bool]:
    """Return a WHERE clause that lets every match through, its values, and whether it is exact.

    An inexact clause lets more through, and the caller filters again.
    """
    indexed = plan(collection, selector)
    clauses = [f"{column} IS NULL" for column in indexed.absent]
    values: list[str] = []
    used = len(indexed.complete)
    for key, known in indexed.equal.items():
        marks = ", ".join("?" * len(known))
        clauses.append(f"{key} IN ({marks})" if known else "0")
        values.extend(known)
    for key, wanted_flag in selector.items():
        if isinstance(wanted_flag, bool) and _PLAIN_KEY.fullmatch(key):
            # As in Python, true is 1 and 1.0 here. What is no JSON is met by who reads it.
            clauses.append(
                f"CASE WHEN json_valid(document) THEN json_extract(document, '$.{key}')"
                f" = {wanted_flag:d} ELSE 1 END"
            )
            used += 1
    if indexed.parent is not None:
        clauses.append("id IN (SELECT child FROM config_parents WHERE parent = ?)")
        values.append(indexed.parent)
        used += 1
    where = " WHERE " + " AND ".join(clauses) if clauses else ""
    return where, values, used == len(selector)
