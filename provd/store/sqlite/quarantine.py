"""Records of a SQLite store that cannot be used, and the table that keeps them for the operator.

A record is faulty if its text is no JSON, if a document is no object, or if its id is not that of
the column. It goes to the table `quarantine` with its bytes as they were, the reason and the time.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

import attrs

from provd.model.documents import shown
from provd.store.sqlite import ownership

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

SCHEMA = """
CREATE TABLE IF NOT EXISTS quarantine (
    collection TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER, content BLOB,
    reason TEXT NOT NULL, moved TEXT NOT NULL
);
"""
# Key, id, content and revision of a record. Parameters have no rowid.
_COLUMNS = {
    "devices": ("rowid", "id", "document", "revision"),
    "configs": ("rowid", "id", "document", "revision"),
    "parameters": ("name", "name", "value", "NULL"),
}


class FaultyRecord(Exception):
    """A read met a record that cannot be used."""


@attrs.frozen(slots=True)
class Fault:
    """A record that cannot be used; `key` finds it in its table."""

    collection: str
    key: int | bytes
    id: str
    reason: str

    @property
    def sql_key(self) -> int | str:
        """The key as JSON can hold it."""
        return self.key if isinstance(self.key, int) else _text(self.key)

    @property
    def name(self) -> str:
        """How status and log call it."""
        return f"{self.collection}/{self.id}"


def fault_of(collection: str, record_id: str, content: object) -> str | None:
    """Return what is wrong with the stored bytes or text of a record, None if it can be used."""
    if content is None:
        return "there is no text"
    try:
        value = json.loads(content.decode() if isinstance(content, bytes) else str(content))
    except UnicodeDecodeError:
        return "the text is not UTF-8"
    except (ValueError, RecursionError) as error:
        return f"the text is not JSON: {error}"
    if collection == "parameters":
        return None
    if not isinstance(value, dict):
        return "the text is not a JSON object"
    if value.get("id") != record_id:
        return f"the document's id is {shown(value.get('id'))}"
    return None


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def find_faults(
    connection: sqlite3.Connection, collection: str, where: str = "", values: Sequence[Any] = ()
) -> list[Fault]:
    """Return the faulty records among those that the WHERE clause lets through."""
    key, record_id, content, _ = _COLUMNS[collection]
    # As BLOB, since a text that is not UTF-8 cannot be fetched as text.
    found_key = "rowid" if key == "rowid" else f"CAST({key} AS BLOB)"
    rows = connection.execute(
        f"SELECT CAST({record_id} AS BLOB), CAST({content} AS BLOB), {found_key}"  # noqa: S608
        f" FROM {collection}{where}",
        values,
    )
    return [
        Fault(collection, found, _text(row_id), reason)
        for row_id, stored, found in rows
        if (reason := fault_of(collection, _text(row_id), stored)) is not None
    ]


def move(connection: sqlite3.Connection, collection: str, keys: Iterable[Any]) -> list[Fault]:
    """Put those records that are still faulty into quarantine; return them.

    Runs within the caller's transaction.
    """
    key, _, content, revision = _COLUMNS[collection]
    moved: list[Fault] = []
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    connection.execute(SCHEMA)
    for wanted in keys:
        where = f" WHERE {key} = ?" if key == "rowid" else f" WHERE CAST({key} AS BLOB) = ?"
        for fault in find_faults(connection, collection, where, (wanted,)):
            connection.execute(
                "INSERT INTO quarantine (collection, id, revision, content, reason, moved)"  # noqa: S608
                f" SELECT ?, ?, {revision}, CAST({content} AS BLOB), ?, ? FROM {collection}{where}",
                (collection, fault.id, fault.reason, now, wanted),
            )
            if collection == "configs":
                connection.execute(
                    "DELETE FROM config_parents WHERE child ="
                    " (SELECT id FROM configs WHERE rowid = ?)",
                    (wanted,),
                )
            connection.execute(f"DELETE FROM {collection}{where}", (wanted,))  # noqa: S608
            if collection == "devices":
                ownership.release(connection, fault.id)
            moved.append(fault)
    return moved


def names(connection: sqlite3.Connection) -> list[str]:
    """Return `collection/id` of every record in quarantine, oldest first."""
    if not connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'quarantine'"
    ).fetchone():
        return []
    rows = connection.execute("SELECT collection, id FROM quarantine ORDER BY rowid")
    return [f"{collection}/{record_id}" for collection, record_id in rows]
