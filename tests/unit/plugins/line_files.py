"""Reads `key = value` lines of phones as strictly as a judge must."""

import re


def parse_settings(lines, key_pattern):
    """Return the (key, value) pairs of lines, each key of which the whole pattern matches.

    An empty value is ` =`, with or without a blank behind it.
    """
    pairs = []
    for line in lines:
        key, equals, value = line.partition(" =")
        assert equals, line
        assert re.fullmatch(key_pattern, key), line
        assert not value or value[0] == " ", line
        assert value == value.rstrip() or value == " ", line
        pairs.append((key, value[1:]))
    return pairs
