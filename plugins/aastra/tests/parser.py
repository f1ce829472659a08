"""Settings of Aastra and Mitel phones: `name: value` lines, UTF-8.

A line that begins with # is a comment, and so is what follows a # in a value, unless the value is
between quotation marks.
"""

import re

_NAME = re.compile(r"[a-z][a-z0-9\[\]|. -]*")


def parse(content):
    text = content.decode("utf-8")
    if text.startswith("-----BEGIN"):
        return [("certificates", text)]
    pairs = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        assert colon, line
        assert _NAME.fullmatch(name), line
        assert not value or value.startswith(" "), line
        value = value[1:]
        if value.startswith('"'):
            assert len(value) > 1, line
            assert value.endswith('"'), line
            value = value[1:-1]
        else:
            assert "#" not in value, line
            assert value == value.strip(), line
        pairs.append((name, value))
    return pairs
