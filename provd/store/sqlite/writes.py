"""The operations of a write, as statements within a transaction of the writer thread."""

from __future__ import annotations

import sqlite3

from provd.errors import DuplicateId, RevisionConflict
from provd.store.documents import get_column_text
from provd.store.interface import INDEXED, Delete, Insert, Replace, Write
from provd.store.sqlite import ownership


def apply_write(connection: sqlite3.Connection, operation: Write, text: str | None) -> int:
    """Do one operation and return its revision; `text` is its document.

    DuplicateId, RevisionConflict or IdentityTaken if it does not fit.
    """
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
    values = [get_column_text(document, column) for column in columns]
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


def _next_revision(connection: sqlite3.Connection) -> int:
    row = connection.execute("UPDATE changes SET last = last + 1 RETURNING last").fetchone()
    revision: int = row[0]
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
