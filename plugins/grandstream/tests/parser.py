"""Grandstream's settings: XML, elements called P… (version 1) or items with a name (version 2).

GXP2000 reads a binary file: length in words of two bytes, a checksum that makes the sum of all words
0 modulo 65536, the MAC, CR LF CR LF, and settings as in a URL, closed by gnkey and NUL bytes.
"""

import re
from urllib.parse import unquote_to_bytes

from tests.unit.plugins.xml_files import parse_xml

HEADER = 16


def parse(content):
    if content.startswith(b"<?xml"):
        return parse_settings(content)
    return parse_binary(content)


def parse_settings(content):
    root = parse_xml(content)
    assert root.tag == "gs_provision"
    mac, config = root
    assert re.fullmatch("[0-9a-f]{12}", mac.text)
    pairs = []
    for element in config:
        if config.get("version") == "1":
            assert re.fullmatch(r"P\d+", element.tag), element.tag
            pairs.append((element.tag, element.text or ""))
        else:
            assert config.get("version") == "2"
            assert element.tag == "item"
            assert re.fullmatch(r"[A-Za-z0-9.]+", element.get("name"))
            pairs.append((element.get("name"), element.text or ""))
    return pairs


def parse_binary(content):
    assert len(content) % 4 == 0
    assert int.from_bytes(content[:4], "big") * 2 == len(content)
    words = [int.from_bytes(content[at : at + 2], "big") for at in range(0, len(content), 2)]
    assert sum(words) % 65536 == 0
    mac = content[6:12].hex()
    assert content[12:HEADER] == b"\r\n\r\n"
    text = content[HEADER:].rstrip(b"\0")
    assert len(content) - HEADER - len(text) < 4
    assert re.fullmatch(rb"[A-Za-z0-9_.~%=&/-]+", text)
    pairs = [tuple(pair.split(b"=")) for pair in text.split(b"&")]
    assert pairs.pop() == (b"gnkey", mac[2:6].encode())
    for code, _ in pairs:
        assert re.fullmatch(rb"P\d+", code)
    return [(code.decode(), unquote_to_bytes(value).decode()) for code, value in pairs]
