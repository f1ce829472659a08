"""Jitsi's settings: Java properties, read as java.util.Properties does; lines never continue."""

import re

ESCAPE = re.compile(r"\\(?:u([0-9a-f]{4})|([tnrf])|(.))", re.DOTALL)
LETTERS = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def unescape(text):
    def one(match):
        number, letter, other = match.groups()
        return chr(int(number, 16)) if number else LETTERS[letter] if letter else other

    joined = ESCAPE.sub(one, text)
    return joined.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass")


def parse(content):
    text = content.decode("ascii")
    pairs = []
    for line in text.splitlines():
        if not line or line.startswith(("#", "!")):
            continue
        assert line.isprintable()
        assert not re.search(r"(?<!\\)(?:\\\\)*\\$", line), "a line that goes on"
        name, equals, value = line.partition("=")
        assert equals
        assert re.fullmatch(r"[A-Za-z0-9_.]+", name), name
        assert not value.startswith(" ")
        pairs.append((name, unescape(value)))
    return pairs
