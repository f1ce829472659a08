"""Reading records, of which some may be faulty: those go into quarantine."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, TypeVar

from provd.errors import StoreCorrupt, StoreError
from provd.store.interface import Record
from provd.store.sqlite import quarantine
from provd.store.sqlite.quarantine import FaultyRecord

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from twisted.internet import defer

    from provd.store.sqlite.threads import ReadingThreads

logger = logging.getLogger(__name__)

T = TypeVar("T")

# How often a read may meet records that were sound when it looked for the faulty ones.
_MAX_READS = 5


def make_record(row: tuple[str, str, int]) -> Record:
    """Return the record of a row (id, document, revision); FaultyRecord if it cannot be used."""
    try:
        document = json.loads(row[1])
        if document["id"] == row[0]:
            return Record(document, row[2])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise FaultyRecord from error
    raise FaultyRecord


class RecordReader:
    """Reads records; `submit` has something done by the thread that writes."""

    def __init__(
        self, path: str, threads: ReadingThreads, submit: Callable[..., defer.Deferred[Any]]
    ) -> None:
        self._path = path
        self._threads = threads
        self._submit = submit
        self.quarantined: list[str] = []
        """`collection/id` of every record that could not be used, oldest first."""

    async def read(
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
                return await self._threads.read(read, where, values)
            except FaultyRecord:
                faults = await self._threads.read(
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
