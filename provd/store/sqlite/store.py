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

import json
import os
import sqlite3
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet import defer

from provd.errors import StoreCorrupt, StoreUnavailable
from provd.model.selectors import compile_selector
from provd.store.documents import encode, is_storable
from provd.store.interface import Delete
from provd.store.planning import cut, page
from provd.store.sqlite import ownership, quarantine
from provd.store.sqlite.file import check_file, identify, take_lock, translate
from provd.store.sqlite.quarantine import FaultyRecord
from provd.store.sqlite.queries import make_sorted_page, make_where
from provd.store.sqlite.records import RecordReader, make_record
from provd.store.sqlite.schema import prepare
from provd.store.sqlite.threads import Handover, ReadingThreads, WritingThread
from provd.store.sqlite.writes import apply_write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from provd.model.selectors import Query
    from provd.store.interface import Collection, Duplicate, Identity, Record, Write

T = TypeVar("T")


class SqliteStore:
    """The embedded store in the file at `path`; see the module for its promises."""

    def __init__(
        self, reactor: Any, path: str, *, readers: int = 2, read_only: bool = False
    ) -> None:
        """`read_only` opens a file that a daemon may be using; all reads see one moment of it."""
        self._path = path
        self._read_only = read_only
        self._handover = Handover(reactor)
        self._readers = ReadingThreads(path, 1 if read_only else readers, self._handover)
        self._writer = WritingThread(path, self._handover)
        self._records = RecordReader(path, self._readers, self._submit)
        self._writing: sqlite3.Connection | None = None
        self._lock_file: int | None = None

    @property
    def commits(self) -> int:
        """How many transactions were committed."""
        return self._writer.commits

    @property
    def writes(self) -> int:
        """How many writes these were."""
        return self._writer.writes

    @property
    def quarantined(self) -> list[str]:
        """`collection/id` of every record that could not be used, oldest first."""
        return self._records.quarantined

    # Life cycle

    @classmethod
    def check_file(cls, path: str) -> None:
        """Raise StoreCorrupt or StoreUnavailable if the file at `path` can never be opened.

        Blocks, changes nothing; a file that is not there yet is fine.
        """
        check_file(path)

    async def open(self) -> None:
        """Open or create the file; StoreCorrupt or StoreUnavailable names it and says why."""
        self._readers.start()
        try:
            if self._read_only:
                await self._readers.run(self._begin_reading)
                return
            connection = await self._readers.run(self._prepare)
        except BaseException:
            await self.close()
            raise
        self._writing = connection
        self._writer.start(connection)

    def _prepare(self) -> sqlite3.Connection:
        try:
            os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
            # SQLite alone would let a second daemon in.
            self._lock_file = take_lock(self._path)
            connection = sqlite3.connect(
                self._path, isolation_level=None, check_same_thread=False, timeout=5
            )
        except (sqlite3.Error, OSError) as error:
            raise translate(error, self._path) from error
        try:
            prepare(connection, self._path)
            self._records.quarantined = quarantine.names(connection)
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
            connection = self._readers.connection()
            connection.execute("BEGIN")
            if not identify(connection, self._path):
                raise StoreCorrupt(f"{self._path}: the database is empty")
            self._records.quarantined = quarantine.names(connection)
        except (sqlite3.Error, OSError) as error:
            raise translate(error, self._path) from error

    async def close(self) -> None:
        """Commit what waits, then close the file."""
        pool, writer = self._readers.detach(), self._writer.detach()
        if pool is None:
            return
        done: defer.Deferred[None] = defer.Deferred()

        def finish() -> None:
            if writer is not None:
                writer.join()
            pool.shutdown(wait=True)
            self._release()
            self._handover.hand_over([(done, None)])

        # On a thread that is none of the pool's, as it waits for all of these.
        threading.Thread(target=finish, name="store-close").start()
        await done

    def _release(self) -> None:
        self._readers.close()
        # The last: only a connection that may write can put the log into the file.
        if self._writing is not None:
            self._writing.close()
            self._writing = None
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _submit(self, run: Callable[[sqlite3.Connection], T], *, atomic: bool) -> defer.Deferred[T]:
        if not self._writer.is_running:
            state = "open for reading only" if self._read_only else "closed"
            return defer.fail(StoreUnavailable(f"{self._path}: the database is {state}"))
        return self._writer.submit(run, atomic=atomic)

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
            return None if row is None else make_record(row)

        return await self._records.read(collection, read, " WHERE id = ?", (document_id,))

    async def find(self, collection: Collection, query: Query) -> list[Record]:
        """Return documents that match, sorted, skipped and limited."""
        matches = compile_selector(query.selector)
        where, values, exact = make_where(collection, query.selector)

        def read(connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Record]:
            sql = f"SELECT id, document, revision FROM {collection}{where} ORDER BY rowid"  # noqa: S608
            page_sql = None
            if exact and query.sort is None:
                page_sql = f"{sql} LIMIT ? OFFSET ?"
            elif exact and query.sort is not None:
                page_sql = make_sorted_page(connection, collection, query.sort, where, values)
            if page_sql is not None:
                if query.limit is not None and query.limit < 0:
                    return []
                rows = connection.execute(
                    page_sql, (*values, query.limit or -1, max(query.skip, 0))
                ).fetchall()
                return [make_record(row) for row in rows]
            found = [
                record
                for record in map(make_record, connection.execute(sql, values))
                if exact or matches(record.document)
            ]
            return page(found, query) if query.sort is not None else cut(found, query)

        return await self._records.read(collection, read, where, values)

    async def find_ids(self, collection: Collection, selector: Mapping[str, Any]) -> list[str]:
        """Return the ids of all documents that match."""
        matches = compile_selector(selector)
        where, values, exact = make_where(collection, selector)

        def read(connection: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[str]:
            if exact:
                sql = f"SELECT id FROM {collection}{where} ORDER BY rowid"  # noqa: S608
                return [row[0] for row in connection.execute(sql, values)]
            sql = f"SELECT id, document, revision FROM {collection}{where} ORDER BY rowid"  # noqa: S608
            return [
                record.id
                for record in map(make_record, connection.execute(sql, values))
                if matches(record.document)
            ]

        return await self._records.read(collection, read, where, values)

    async def identities(self, limit: int) -> list[Identity] | None:
        """Return what tells devices apart, of all of them."""

        def read(connection: sqlite3.Connection) -> list[Identity] | None:
            sql = "SELECT id, mac, ip, sn, uuid FROM devices ORDER BY rowid LIMIT ?"
            rows: list[Identity] = connection.execute(sql, (limit + 1,)).fetchall()
            return rows if len(rows) <= limit else None

        return await self._readers.read(read)

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

        return await self._readers.read(read)

    async def count(self, collection: Collection, selector: Mapping[str, Any]) -> int:
        """Return how many documents match."""
        where, values, exact = make_where(collection, selector)
        if not exact:
            return len(await self.find_ids(collection, selector))

        def read(connection: sqlite3.Connection) -> int:
            sql = f"SELECT count(*) FROM {collection}{where}"  # noqa: S608
            number: int = connection.execute(sql, values).fetchone()[0]
            return number

        return await self._readers.read(read)

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
                raise FaultyRecord from error

        return await self._records.read("parameters", read)

    async def owner(self, kind: str, value: str) -> str | None:
        """Return the id of the device that owns an identity."""
        if not is_storable(value):
            return None
        return await self._readers.read(ownership.find_owner, kind, value)

    async def duplicates(self) -> list[Duplicate]:
        """Return every identity that several devices have."""
        return await self._readers.read(ownership.find_duplicates)

    # Writes

    async def write(self, operations: Sequence[Write]) -> list[int]:
        """Do all operations in one transaction; returns when it is on disk."""
        prepared = [
            (operation, None if isinstance(operation, Delete) else encode(operation.document))
            for operation in operations
        ]

        def run(connection: sqlite3.Connection) -> list[int]:
            return [apply_write(connection, operation, text) for operation, text in prepared]

        return await self._submit(run, atomic=True)

    async def set_parameter(self, name: str, value: Any) -> None:
        """Store one parameter durably."""
        text = json.dumps(value)

        def run(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO parameters VALUES (?, ?)", (name, text))

        await self._submit(run, atomic=False)
