"""Technicolor's settings: sections of `key=value` lines in ISO 8859-1, any kind of line end counts."""

import re

_SECTION = re.compile(r"\[(\w+)\]")
_KEY = re.compile(r"\w+")


def parse(content):
    section, pairs = None, []
    for line in re.split(r"\r\n|[\r\n\x0b\x0c\x85]", content.decode("iso-8859-1")):
        if not line:
            continue
        if match := _SECTION.fullmatch(line):
            section = match[1]
            pairs.append((f"[{section}]", ""))
            continue
        assert section is not None, line
        key, equals, value = line.partition("=")
        assert equals, line
        assert _KEY.fullmatch(key), line
        assert value == value.strip(), line
        if (section, key) == ("sys", "config_sn"):
            assert re.fullmatch("[0-9a-f]{12}", value)
            value = ""  # it follows from everything else
        pairs.append((f"{section}.{key}", value))
    return pairs
