"""Ids of documents: what may be stored, and new ones."""

from __future__ import annotations

import itertools
import re
import uuid
from typing import TYPE_CHECKING

from provd.errors import InvalidId
from provd.model.documents import shown

if TYPE_CHECKING:
    from collections.abc import Container

MAX_LENGTH = 255
_ID = re.compile(r"[A-Za-z0-9_.:@+-]+")


def check_id(value: object) -> str:
    """Return `value` if it may be the id of a new document, else raise InvalidId.

    Ids become file names and parts of URLs. Documents imported from an old installation keep
    theirs and are not checked.
    """
    if not isinstance(value, str):
        raise InvalidId(f"invalid id {shown(value)}: not text")
    if not value:
        raise InvalidId("invalid id: empty")
    if len(value) > MAX_LENGTH:
        raise InvalidId(f"invalid id {shown(value)}: longer than {MAX_LENGTH} bytes")
    if not _ID.fullmatch(value):
        raise InvalidId(f"invalid id {shown(value)}: only letters, digits and _.:@+- are allowed")
    if value.startswith("."):
        raise InvalidId(f"invalid id {shown(value)}: starts with a dot")
    return value


def new_id() -> str:
    """Return a random id of 32 lower-case hex digits."""
    return uuid.uuid4().hex


def autocreated_id(base_id: str) -> str:
    """Return a new id for a config made from the autocreate config `base_id`."""
    return f"{base_id}{uuid.uuid4()}"


def first_free_number(existing: Container[str]) -> str:
    """Return the smallest natural number, as text, that is no id in `existing`."""
    return next(text for text in map(str, itertools.count()) if text not in existing)
