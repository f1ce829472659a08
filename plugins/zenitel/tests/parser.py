"""Zenitel's settings: `[section]` lines, below them ` key=value` with a blank before the key."""

import re

OPAQUE = ("tftp_test.txt",)
_SECTION = re.compile(r"\[([a-z]+)\]")
_SETTING = re.compile(r" ([a-z0-9_]+)=(.*)")


def parse(content):
    pairs = []
    section = None
    text = content.decode()
    assert text.endswith("\n")
    assert "\r" not in text
    for line in text.split("\n"):
        if match := _SECTION.fullmatch(line):
            section = match[1]
        elif match := _SETTING.fullmatch(line):
            assert section, line
            pairs.append((f"{section}.{match[1]}", match[2]))
        else:
            assert not line, line
    return pairs
