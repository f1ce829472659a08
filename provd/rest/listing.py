"""Query arguments of the document listings (contract: REST API §1.7)."""

from __future__ import annotations

import base64
import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from provd.errors import InvalidSelector
from provd.model.selectors import Query, compile_selector, project

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

LISTING = ("q", "q64", "fields", "skip", "limit", "sort", "sort_ord")
"""The query arguments of every listing."""


def parse_query(args: Mapping[str, str]) -> Query:
    """Return what to find; arguments that make no sense are ignored, as old clients rely on it.

    InvalidSelector for a JSON selector that breaks the selector language.
    """
    fields = args.get("fields")
    sort = args.get("sort")
    return Query(
        selector=_selector(args),
        fields=tuple(filter(None, fields.split(","))) if fields else None,
        sort=(sort, _direction(args.get("sort_ord"))) if sort else None,
        skip=_integer(args.get("skip")) or 0,
        limit=_integer(args.get("limit")),
    )


def _selector(args: Mapping[str, str]) -> dict[str, Any]:
    text: str | bytes | None
    if "q64" in args:
        try:
            text = base64.b64decode(args["q64"].replace(" ", "+"), validate=True)
        except ValueError as error:
            logger.warning("the argument q64 is ignored: %s", error)
            return {}
    else:
        text = args.get("q")
    if not text:
        return {}
    try:
        selector = json.loads(text)
    except (ValueError, RecursionError) as error:
        logger.warning("the argument q is ignored: %s", error)
        return {}
    if not isinstance(selector, dict):
        raise InvalidSelector("the selector is not an object")
    compile_selector(selector)
    return selector


def _direction(text: str | None) -> int:
    if text not in {None, "ASC", "DESC"}:
        logger.warning("the argument sort_ord is ignored; allowed are ASC and DESC")
    return -1 if text == "DESC" else 1


def _integer(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return max(min(int(text), 2**62), -(2**62))
    except ValueError:
        logger.warning("an argument is ignored: %.80r is not an integer", text)
        return None


def shape(query: Query) -> Callable[[Any], Any] | None:
    """Return what cuts a document to the fields asked for; None if that is all of it."""
    return None if query.fields is None else partial(project, fields=query.fields)
