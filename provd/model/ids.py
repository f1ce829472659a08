"""Ids of documents: what may be stored, and new ones."""

from __future__ import annotations

import itertools
import os
import re
import uuid
from typing import TYPE_CHECKING

from provd.errors import InvalidId
from provd.model.documents import shown

if TYPE_CHECKING:
    from collections.abc import Container

MAX_LENGTH = 255
_ID = re.compile(r"[A-Za-z0-9_.:@+-]+")


class _Random:
    """Random bytes of the system, fetched for many ids at once: a call for each costs as much."""

    def __init__(self) -> None:
        self._bytes = b""
        self._process = 0

    def read(self, count: int) -> bytes:
        """Return `count` bytes that were never given out, in this process or one it came from."""
        if len(self._bytes) < count or self._process != os.getpid():
            self._bytes = os.urandom(1024)
            self._process = os.getpid()
        result, self._bytes = self._bytes[:count], self._bytes[count:]
        return result


_random = _Random()


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
    return _random.read(16).hex()


def autocreated_id(base_id: str) -> str:
    """Return a new id for a config made from the autocreate config `base_id`."""
    return f"{base_id}{uuid.UUID(bytes=_random.read(16), version=4)}"


def first_free_number(existing: Container[str]) -> str:
    """Return the smallest natural number, as text, that is no id in `existing`."""
    return next(text for text in map(str, itertools.count()) if text not in existing)
