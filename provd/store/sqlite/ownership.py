"""Which device owns an identity, in the SQLite store: the table `identities`.

Everything here runs in a transaction of the caller's. A row names the owner; devices that have the
same value and do not own it, from an earlier version or an import, have none.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from provd.errors import IdentityTaken
from provd.model.identities import KINDS, elect, identities, is_unclaimed
from provd.store.interface import Duplicate

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

SCHEMA = """
CREATE TABLE identities (
    kind TEXT NOT NULL, value TEXT NOT NULL, device_id TEXT NOT NULL, PRIMARY KEY (kind, value)
) WITHOUT ROWID;
"""
_HELD = " UNION ALL ".join(
    f"SELECT '{kind}' AS kind, {kind} AS value, id, rowid AS place FROM devices"  # noqa: S608
    f" WHERE {kind} > ''"
    for kind in KINDS
)


def exists(connection: sqlite3.Connection) -> bool:
    """Tell whether the database has the table; one of an earlier version lacks it."""
    found = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'identities'"
    )
    return found.fetchone() is not None


def of_stored(connection: sqlite3.Connection, device_id: str) -> dict[str, str]:
    """Return the identities of a device as it is stored, by kind."""
    row = connection.execute(
        "SELECT mac, sn, uuid FROM devices WHERE id = ?", (device_id,)
    ).fetchone()
    return {kind: value for kind, value in zip(KINDS, row or (), strict=bool(row)) if value}


def change(
    connection: sqlite3.Connection,
    device_id: str,
    old: Mapping[str, str],
    document: Mapping[str, Any] | None,
    *,
    shares: bool = False,
) -> None:
    """Take note of what a device, already stored, gains and loses; IdentityTaken.

    `old` is what it had before, `document` what it is now, None for deleted.
    """
    new = identities(document)
    for kind, value in old.items() - new.items():
        _free(connection, kind, value, device_id)
    for kind, value in new.items() - old.items():
        cursor = connection.execute(
            "INSERT OR IGNORE INTO identities VALUES (?, ?, ?)", (kind, value, device_id)
        )
        if cursor.rowcount:
            continue
        owner = find_owner(connection, kind, value)
        assert owner is not None
        if owner == device_id:
            continue
        if not shares:
            raise IdentityTaken(kind, value, owner)
        if _is_unclaimed(connection, owner):
            _pass_on(connection, kind, value)


def find_owner(connection: sqlite3.Connection, kind: str, value: str) -> str | None:
    """Return the id of the owner of an identity."""
    row = connection.execute(
        "SELECT device_id FROM identities WHERE kind = ? AND value = ?", (kind, value)
    ).fetchone()
    return row[0] if row is not None else None


def release(connection: sqlite3.Connection, device_id: str) -> None:
    """Free whatever a device owns that is gone without a word, into quarantine."""
    if not exists(connection):
        return
    rows = connection.execute(
        "SELECT kind, value FROM identities WHERE device_id = ?", (device_id,)
    ).fetchall()
    for kind, value in rows:
        _free(connection, kind, value, device_id)


def _free(connection: sqlite3.Connection, kind: str, value: str, device_id: str) -> None:
    cursor = connection.execute(
        "DELETE FROM identities WHERE kind = ? AND value = ? AND device_id = ?",
        (kind, value, device_id),
    )
    if cursor.rowcount:
        _pass_on(connection, kind, value)


def _pass_on(connection: sqlite3.Connection, kind: str, value: str) -> None:
    owner = elect_owner(connection, kind, value)
    if owner is not None:
        connection.execute(
            "INSERT OR REPLACE INTO identities VALUES (?, ?, ?)", (kind, value, owner)
        )


def elect_owner(connection: sqlite3.Connection, kind: str, value: str) -> str | None:
    """Return the id of the device that is to own an identity, of those that have it."""
    rows = connection.execute(
        f"SELECT id, document FROM devices WHERE {kind} = ? ORDER BY rowid",  # noqa: S608
        (value,),
    )
    holders = [_parse(text) or {"id": device_id} for device_id, text in rows.fetchall()]
    return elect(holders, lambda device: _config_of(connection, device))


def _is_unclaimed(connection: sqlite3.Connection, device_id: str) -> bool:
    row = connection.execute("SELECT document FROM devices WHERE id = ?", (device_id,)).fetchone()
    device = _parse(row[0]) if row is not None else None
    return device is not None and is_unclaimed(device, _config_of(connection, device))


def _config_of(connection: sqlite3.Connection, device: Mapping[str, Any]) -> dict[str, Any] | None:
    config_id = device.get("config")
    if not isinstance(config_id, str):
        return None
    row = connection.execute("SELECT document FROM configs WHERE id = ?", (config_id,)).fetchone()
    return _parse(row[0]) if row is not None else None


def _parse(text: object) -> dict[str, Any] | None:
    """Return a document; None for a faulty one, which whoever reads it puts into quarantine."""
    try:
        document = json.loads(text)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def build(connection: sqlite3.Connection) -> None:
    """Make and fill the table in a database of an earlier version."""
    connection.execute(SCHEMA)
    connection.execute(
        f"INSERT OR IGNORE INTO identities SELECT kind, value, id FROM ({_HELD}) ORDER BY place"  # noqa: S608
    )
    for kind, value, _ in _shared(connection):
        _pass_on(connection, kind, value)


def _shared(connection: sqlite3.Connection) -> list[tuple[str, str, int]]:
    return connection.execute(
        f"SELECT kind, value, count(*) FROM ({_HELD}) GROUP BY kind, value"  # noqa: S608
        " HAVING count(*) > 1 ORDER BY kind, value"
    ).fetchall()


def find_duplicates(connection: sqlite3.Connection) -> list[Duplicate]:
    """Return every identity that several devices have; also of a database without the table."""
    has_table = exists(connection)
    found = []
    for kind, value, _ in _shared(connection):
        rows = connection.execute(
            f"SELECT id FROM devices WHERE {kind} = ? ORDER BY rowid",  # noqa: S608
            (value,),
        )
        ids = [row[0] for row in rows.fetchall()]
        owner = find_owner(connection, kind, value) if has_table else None
        owner = owner or elect_owner(connection, kind, value) or ids[0]
        found.append(Duplicate(kind, value, owner, tuple(i for i in ids if i != owner)))
    return found


def find_mismatches(connection: sqlite3.Connection) -> list[str]:
    """Return where the table and the devices differ, in words."""
    if not exists(connection):
        return []
    stale = connection.execute(
        "SELECT kind, value, device_id FROM identities"  # noqa: S608
        f" EXCEPT SELECT kind, value, id FROM ({_HELD}) ORDER BY 1, 2"
    ).fetchall()
    missing = connection.execute(
        f"SELECT kind, value FROM ({_HELD})"  # noqa: S608
        " EXCEPT SELECT kind, value FROM identities ORDER BY 1, 2"
    ).fetchall()
    return [
        *(
            f"devices/{owner}: owns the {kind} {value}, which is not its own"
            for kind, value, owner in stale
        ),
        *(f"the {kind} {value} has no owner" for kind, value in missing),
    ]
