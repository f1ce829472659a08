"""How every store answers a query: what indexes can say of a selector, and which part is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from provd.model.selectors import equality_keys, sort_value
from provd.store.documents import is_storable
from provd.store.interface import INDEXED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provd.model.selectors import Query
    from provd.store.interface import Collection, Record


@attrs.frozen
class IndexedConditions:
    """The conditions of a selector that a store can answer from its columns and indexes."""

    equal: Mapping[str, Sequence[str]]
    """For `id` and columns, the texts of which one must be there; none if no text can be."""
    absent: Sequence[str]
    """Columns whose key must be missing; what else is not in a column is let through as well."""
    parent: str | None
    """A config that must be among `parent_ids`."""
    complete: frozenset[str]
    """Those keys of `equal` of which the selector says nothing else."""


def plan(collection: Collection, selector: Mapping[str, Any]) -> IndexedConditions:
    """Return what of `selector` indexes of `collection` can answer."""
    equal: dict[str, list[str]] = {}
    complete = set()
    for key, wanted in equality_keys(selector).items():
        if key == "id" or key in INDEXED[collection]:
            equal[key] = [value for value in wanted if is_storable(value)]
            condition = selector[key]
            if isinstance(condition, str) or len(condition) == 1:
                complete.add(key)
    return IndexedConditions(
        equal=equal,
        absent=[key for key in INDEXED[collection] if selector.get(key) == {"$exists": False}],
        parent=_wanted_parent(selector) if collection == "configs" else None,
        complete=frozenset(complete),
    )


def _wanted_parent(selector: Mapping[str, Any]) -> str | None:
    contains = selector.get("parent_ids")
    if not isinstance(contains, dict) or list(contains) != ["$contains"]:
        return None
    parent = contains["$contains"]
    return parent if isinstance(parent, str) and is_storable(parent) else None


def page(records: list[Record], query: Query) -> list[Record]:
    """Return `records` sorted, skipped and limited as `query` says."""
    if query.sort is not None:
        key, direction = query.sort
        records.sort(key=lambda r: sort_value(r.document, key), reverse=direction < 0)
    return cut(records, query)


def cut(records: list[Record], query: Query) -> list[Record]:
    """Return the part of `records` that skip and limit leave; a negative limit leaves nothing."""
    start = max(query.skip, 0)
    if not query.limit:
        return records[start:]
    if query.limit < 0:
        return []
    return records[start : start + query.limit]
