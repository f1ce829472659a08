"""Htek's settings: XML, elements called P… with the vendor's name of each in `para`."""

import re

from tests.unit.plugins.xml_files import parse_xml


def parse(content):
    root = parse_xml(content)
    assert root.tag == "hl_provision"
    [config] = root
    assert config.attrib == {"version": "1"}
    pairs = []
    for element in config:
        assert re.fullmatch(r"P\d+", element.tag), element.tag
        assert element.get("para")
        pairs.append((element.tag, element.text or ""))
    return pairs
