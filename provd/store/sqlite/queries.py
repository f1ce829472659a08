"""Selectors and listings as SQL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from provd.store.interface import INDEXED
from provd.store.planning import plan

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from provd.store.interface import Collection

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def make_where(collection: Collection, selector: Mapping[str, Any]) -> tuple[str, list[str], bool]:
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


def make_sorted_page(
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
