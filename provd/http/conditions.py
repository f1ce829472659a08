"""Conditional requests: whether the client has what is here (RFC 9110 sections 8.8 and 13).

Dates have whole seconds, and a file may change twice within one. So a file counts as modified at
the end of the second of its change, and a date is told, and believed, only when that is over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from twisted.web.http import stringToDatetime

if TYPE_CHECKING:
    from collections.abc import Callable

    from provd.manager.files import CachedFile

NOT_MODIFIED = 304
PRECONDITION_FAILED = 412
HEADERS = (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since", b"if-range")

_BODILESS = frozenset((b"GET", b"HEAD"))
_SECOND_NS = 1_000_000_000
_TAG = re.compile(rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_STRONG_TAG = re.compile(rb'(?<!W/)("[\x21\x23-\x7e\x80-\xff]*")')


def last_modified(file: CachedFile, now: float) -> int:
    """Return the date of a file to tell, in seconds: never one of the future (8.8.2.1)."""
    return min(_end_of_second(file.mtime_ns), int(now))


def failed_condition(
    method: bytes, get: Callable[[bytes], bytes | None], file: CachedFile, now: float
) -> int | None:
    """Return the status that the conditions of a request end in, None where it is to be served.

    `get` gives the value of a header, several lines of one name joined by commas.
    """
    if (wanted := get(b"if-match")) is not None:
        if not _matches(_STRONG_TAG, wanted, file.etag):
            return PRECONDITION_FAILED
    else:
        date = _date(get(b"if-unmodified-since"))
        if date is not None and _end_of_second(file.mtime_ns) > date:
            return PRECONDITION_FAILED
    if (known := get(b"if-none-match")) is not None:
        if not _matches(_TAG, known, file.etag):
            return None
        return NOT_MODIFIED if method in _BODILESS else PRECONDITION_FAILED
    if method in _BODILESS and (date := _date(get(b"if-modified-since"))) is not None:
        return NOT_MODIFIED if _is_unmodified(file, date, now) else None
    return None


def range_applies(value: bytes | None, file: CachedFile, now: float) -> bool:
    """Tell whether an If-Range of that value lets a Range count (13.1.5)."""
    if value is None:
        return True
    if b'"' in value:
        return value.strip() == file.etag
    modified = _end_of_second(file.mtime_ns)
    return _date(value) == modified and modified <= now


def _matches(pattern: re.Pattern[bytes], value: bytes, etag: bytes | None) -> bool:
    if value.strip() == b"*":
        return True
    return etag is not None and etag in pattern.findall(value)


def _end_of_second(time_ns: int) -> int:
    return -(-time_ns // _SECOND_NS)


def _is_unmodified(file: CachedFile, date: int, now: float) -> bool:
    """Tell whether a file is surely what was served by `date`.

    A date of the future is no answer of ours. A file put back that is older than the one it
    replaces is told by the time of its inode.
    """
    modified = _end_of_second(file.mtime_ns)
    if date > now or modified > date:
        return False
    return date == modified or _end_of_second(file.ctime_ns) <= date


def _date(value: bytes | None) -> int | None:
    if value is None:
        return None
    try:
        return int(stringToDatetime(value.split(b";", 1)[0].strip()))
    except (ValueError, IndexError, OverflowError, LookupError):
        return None
