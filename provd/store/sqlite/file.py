"""The file of a SQLite store: its lock, its URI, whether it is ours, and what its errors mean."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
from urllib.parse import quote

from provd.errors import StoreCorrupt, StoreError, StoreFull, StoreUnavailable

APPLICATION_ID = 0x50524F56  # "PROV"
SCHEMA_VERSION = 3


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


def check_file(path: str) -> None:
    """Raise StoreCorrupt or StoreUnavailable if the file at `path` can never be opened.

    Blocks, changes nothing; a file that is not there yet is fine.
    """
    if not os.path.lexists(path):
        return
    try:
        with contextlib.closing(sqlite3.connect(read_uri(path), uri=True, timeout=5)) as connection:
            identify(connection, path)
    except sqlite3.Error as error:
        raise translate(error, path) from error
