"""Grandstream's settings: XML, elements called P… (version 1) or items with a name (version 2)."""

import re

from tests.unit.plugins.xml_files import parse_xml


def parse(content):
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
            assert element.tag == "item"
            pairs.append((element.get("name"), element.text or ""))
    return pairs
