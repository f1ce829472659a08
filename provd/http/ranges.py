"""Which parts of a file a Range header asks for (RFC 9110 section 14.2).

Ranges that overlap, or lie so near to each other that a part's header is longer than the gap,
become one; parts come in ascending order. Where that still leaves too many, or as much as the
file, the header is ignored, as the RFC allows, and the client gets the whole file.
"""

from __future__ import annotations

import re

MAX_PARTS = 10
_PART_HEADER = 150
"""About what a part of a multipart answer costs, in bytes."""
_UNIT = re.compile(rb"\s*bytes\s*=", re.IGNORECASE)
_RANGE = re.compile(rb"(\d{0,18})[ \t]*-[ \t]*(\d{0,18})")


def parse_ranges(value: bytes, size: int) -> list[tuple[int, int]] | None:
    """Return the parts of a file of `size` bytes to send, as (first, last) bytes.

    None where the header is to be ignored; an empty list where nothing of the file is asked for.
    """
    unit = _UNIT.match(value)
    if unit is None:
        return None
    found = []
    specs = [spec.strip(b" \t") for spec in value[unit.end() :].split(b",")]
    for spec in filter(None, specs):
        match = _RANGE.fullmatch(spec)
        if match is None or match[0] == b"-" or not (match[1] or match[2]):
            return None
        if match[1]:
            first = int(match[1])
            last = int(match[2]) if match[2] else size - 1
            if match[2] and last < first:
                return None
        else:
            first, last = max(0, size - int(match[2])), size - 1
            if match[2].strip(b"0") == b"":
                continue
        if first < size:
            found.append((first, min(last, size - 1)))
    if not any(specs):
        return None
    merged = _merge(found)
    if len(merged) < 2:
        return merged
    length = sum(last - first + 1 + _PART_HEADER for first, last in merged)
    return None if len(merged) > MAX_PARTS or length >= size else merged


def _merge(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1 + _PART_HEADER:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def format_ranges(ranges: list[tuple[int, int]]) -> bytes:
    """Return a Range header that asks for just that."""
    return b"bytes=" + b",".join(b"%d-%d" % part for part in ranges)
