"""FlyingVoice's settings: `key = value` lines; any kind of line end counts."""

import re

KEY = re.compile(r"[a-z0-9_.]+")


def parse(content):
    text = content.decode("utf-8")
    first, *lines = text.splitlines()
    assert first == "#!version:1.0.0.1"
    pairs = []
    for line in lines:
        key, equals, value = line.partition(" =")
        assert equals, line
        assert KEY.fullmatch(key), line
        assert not value or value[0] == " ", line
        assert value == value.rstrip() or value == " ", line
        pairs.append((key, value[1:]))
    return pairs
