"""Work on the file of a SQLite store from outside a daemon: copy, put back, examine, compact.

Everything here blocks. `back_up` and `examine` only read and may run beside a daemon; the others
take the daemon's lock and raise StoreUnavailable while it runs.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import sqlite3
from typing import TYPE_CHECKING, Any

import attrs

from provd.disk import sync
from provd.errors import StoreCorrupt, StoreError, StoreFull, StoreUnavailable
from provd.store.documents import get_column_text
from provd.store.interface import COLLECTIONS, INDEXED
from provd.store.sqlite import ownership, quarantine
from provd.store.sqlite.file import check_file, identify, read_uri, take_lock, translate

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_DAMAGE = 100


@attrs.define
class Findings:
    """What `examine` found in a database."""

    documents: dict[str, int] = attrs.field(factory=dict)
    damage: list[str] = attrs.field(factory=list)
    """What SQLite itself says of its file, or what keeps a table from being read."""
    faults: list[quarantine.Fault] = attrs.field(factory=list)
    mismatches: list[str] = attrs.field(factory=list)
    """Where a column or table for look-ups says something else than the document."""
    quarantined: list[str] = attrs.field(factory=list)

    @property
    def is_sound(self) -> bool:
        """Whether every record can be used and found."""
        return not (self.damage or self.faults or self.mismatches)


@contextlib.contextmanager
def _errors(path: str) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise translate(error, path) from error


def _check_is_ours(path: str) -> None:
    try:
        os.stat(path)
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}") from error
    check_file(path)


def _remove(path: str) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path + suffix)


def _copy_whole(source: str, target: str) -> None:
    """Copy a database into one new file that is on disk and sound, else there is no file."""
    try:
        with _errors(target):
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with contextlib.closing(sqlite3.connect(target, isolation_level=None)) as copy:
            with (
                _errors(source),
                contextlib.closing(
                    sqlite3.connect(read_uri(source), uri=True, timeout=5)
                ) as original,
            ):
                if not identify(original, source):
                    raise StoreCorrupt(f"{source}: the database is empty")
                original.backup(copy)
            with _errors(target):
                # One file instead of three: a copy is easily taken away from its log.
                copy.execute("PRAGMA journal_mode=DELETE")
                result = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if result != "ok":
            raise StoreCorrupt(f"{source}: {' '.join(result.split())}")
        with _errors(target):
            sync(target)
    except BaseException:
        _remove(target)
        raise


def back_up(path: str, target: str) -> None:
    """Copy the database, as it is at one moment, to `target`, which appears only if it is sound."""
    _check_is_ours(path)
    with contextlib.suppress(OSError):
        if os.path.samefile(path, target):
            raise StoreUnavailable(f"{target}: this is the database itself")
    if os.path.isdir(target):
        raise StoreUnavailable(f"{target}: this is a directory")
    staged = f"{target}.partial"
    _remove(staged)
    _copy_whole(path, staged)
    with _errors(target):
        os.replace(staged, target)
        sync(os.path.dirname(os.path.abspath(target)))


@contextlib.contextmanager
def _alone(path: str) -> Iterator[None]:
    """Keep daemons off the database meanwhile."""
    with _errors(path):
        lock = take_lock(path)
    try:
        yield
    finally:
        os.close(lock)


def restore(source: str, path: str) -> str | None:
    """Put a copy in place of the database; return where the old file is now, None without one.

    Nothing is changed if the copy is not sound.
    """
    _check_is_ours(source)
    with contextlib.suppress(OSError):
        if os.path.samefile(source, path):
            raise StoreUnavailable(f"{source}: this is the database itself")
    with _errors(path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with _alone(path):
        staged = f"{path}.restoring"
        _remove(staged)
        _copy_whole(source, staged)
        findings = examine(staged)
        if not findings.is_sound:
            _remove(staged)
            told = [*findings.damage, *(f"{f.name}: {f.reason}" for f in findings.faults)]
            raise StoreCorrupt(f"{source}: {'; '.join([*told, *findings.mismatches][:3])}")
        with _errors(path):
            aside = _set_aside(path)
            os.replace(staged, path)
            sync(os.path.dirname(os.path.abspath(path)))
    return aside


def _set_aside(path: str) -> str | None:
    """Give the database a second name, with its log; return that name."""
    if not os.path.lexists(path):
        _remove(path)  # the log of a database that is gone would spoil the new one
        return None
    # Put the log into the file, so that one file holds everything.
    with contextlib.suppress(sqlite3.Error, StoreError):
        check_file(path)
        with contextlib.closing(sqlite3.connect(path, timeout=5)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base = f"{path}.before-{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}"
    aside, number = base, 1
    while os.path.lexists(aside):
        number += 1
        aside = f"{base}-{number}"
    # A damaged one keeps its log under the new name: SQLite pairs the two by name.
    with contextlib.suppress(FileNotFoundError):
        os.rename(f"{path}-wal", f"{aside}-wal")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{path}-shm")
    os.link(path, aside)
    return aside


def compact(path: str) -> tuple[int, int]:
    """Rewrite the database without the room of what was deleted; return size before and after."""
    _check_is_ours(path)
    with _alone(path), _errors(path):
        before = os.path.getsize(path)
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return before, os.path.getsize(path)


def put_into_quarantine(path: str) -> list[quarantine.Fault]:
    """Move every faulty record into quarantine; return them."""
    _check_is_ours(path)
    moved: list[quarantine.Fault] = []
    with (
        _alone(path),
        _errors(path),
        contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection,
    ):
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        for collection in (*COLLECTIONS, "parameters"):
            faults = quarantine.find_faults(connection, collection)
            moved += quarantine.move(connection, collection, [fault.key for fault in faults])
        connection.execute("COMMIT")
    return moved


def examine(path: str) -> Findings:
    """Look at every page and every record; changes nothing."""
    _check_is_ours(path)
    findings = Findings()
    with (
        _errors(path),
        contextlib.closing(
            sqlite3.connect(read_uri(path), uri=True, isolation_level=None, timeout=5)
        ) as connection,
    ):
        connection.text_factory = lambda content: content.decode(errors="replace")
        connection.execute("BEGIN")
        try:
            for (line,) in connection.execute(f"PRAGMA integrity_check({_MAX_DAMAGE})"):
                if line != "ok":
                    findings.damage.extend(line.splitlines())
            findings.quarantined = quarantine.names(connection)
            last = connection.execute("SELECT last FROM changes").fetchone()[0]
            for collection in COLLECTIONS:
                _examine_documents(connection, collection, last, findings)
            findings.faults += quarantine.find_faults(connection, "parameters")
            if not findings.mismatches:  # else these are seen twice
                findings.mismatches += ownership.find_mismatches(connection)
        except sqlite3.Error as error:
            failure = translate(error, path)
            if isinstance(failure, StoreFull | StoreUnavailable):
                raise failure from error
            findings.damage.append(str(error))
    return findings


def _examine_documents(
    connection: sqlite3.Connection, collection: str, last: int, findings: Findings
) -> None:
    findings.faults += quarantine.find_faults(connection, collection)
    faulty = {fault.key for fault in findings.faults if fault.collection == collection}
    columns = INDEXED[collection]  # type: ignore[index]
    parents: dict[str, set[str]] = {}
    if collection == "configs":
        for parent, child in connection.execute("SELECT parent, child FROM config_parents"):
            parents.setdefault(child, set()).add(parent)
    names = ", ".join(("rowid", "revision", "document", *columns))
    # Not the faulty ones: their text may not even be fetched.
    rows = connection.execute(
        f"SELECT {names} FROM {collection}"  # noqa: S608
        " WHERE rowid NOT IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(faulty)),),
    )
    count = 0
    for _, revision, text, *values in rows:
        document: dict[str, Any] = json.loads(text)
        count += 1
        name = f"{collection}/{document['id']}"
        if not isinstance(revision, int) or revision > last:
            findings.mismatches.append(f"{name}: its revision {revision} was never given out")
        for column, value in zip(columns, values, strict=True):
            if value != get_column_text(document, column):
                findings.mismatches.append(f"{name}: the column {column} is not as the document")
        if collection == "configs":
            listed = document.get("parent_ids")
            texts = {p for p in listed if isinstance(p, str)} if isinstance(listed, list) else set()
            if texts != parents.pop(document["id"], set()):
                findings.mismatches.append(f"{name}: its parents are not as the document")
    findings.mismatches += [
        f"{collection}/{child}: has parents, and is not there"
        for child in parents
        if not any(f.collection == collection and f.id == child for f in findings.faults)
    ]
    findings.documents[collection] = count
