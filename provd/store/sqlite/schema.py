"""Tables and indexes of a SQLite store, and how a database of an earlier version gets them."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from provd.errors import StoreCorrupt
from provd.store.interface import INDEXED
from provd.store.sqlite import ownership, quarantine
from provd.store.sqlite.file import APPLICATION_ID, SCHEMA_VERSION, identify

if TYPE_CHECKING:
    import sqlite3

    from provd.store.interface import Collection

logger = logging.getLogger(__name__)

_QUICK_CHECK_LIMIT = 256 * 1024 * 1024
# Many phones may share one address; among them, those without a MAC are asked for. How a device
# came is asked of all devices of a tenant.
_INDEXES: dict[Collection, tuple[str, ...]] = {
    "devices": ("mac", "ip, mac", "sn", "uuid", "config", "plugin", "tenant_uuid, added"),
    "configs": ("role", "X_type", "X_provisioning_code", "tenant_uuid"),
}
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


def prepare(connection: sqlite3.Connection, path: str) -> None:
    """Check the database, and make or complete its tables; StoreCorrupt."""
    tables = identify(connection, path)
    if os.path.getsize(path) < _QUICK_CHECK_LIMIT:
        result = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if result != "ok":
            raise StoreCorrupt(f"{path}: {' '.join(result.split())}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    if not tables:
        _create(connection)
        return
    # A file that may not be written opens all the same, for reading.
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE changes SET last = last")
    connection.execute("ROLLBACK")
    _add_columns(connection, path)
    _add_identities(connection, path)


def _create(connection: sqlite3.Connection) -> None:
    indexes = [
        f"{_index_statement(collection, columns)};"
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


def _index_statement(collection: Collection, columns: str) -> str:
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
            connection.execute(_index_statement(collection, indexed))
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
