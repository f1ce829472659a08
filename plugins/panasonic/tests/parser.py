"""Panasonic's settings: a fixed first line, `NAME="value"` lines, CR LF, an empty line at the end."""

import re

MAX_SIZE = 120 * 1024
MAX_LINE = 537
_FIRST = b"# Panasonic SIP Phone Standard Format File #"
_SETTING = re.compile(r'([A-Z0-9_]+)="(.*)"')


def parse(content):
    assert len(content) <= MAX_SIZE
    first, *lines = content.split(b"\r\n")
    assert first == _FIRST
    assert lines[-2:] == [b"", b""]
    pairs = []
    for line in lines[:-2]:
        assert len(line) <= MAX_LINE
        assert b"\n" not in line
        name, value = _SETTING.fullmatch(line.decode()).groups()
        pairs.append((name, value))
    return pairs
