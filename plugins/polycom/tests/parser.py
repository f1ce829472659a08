"""Polycom's files: XML of one element, a setting for each attribute."""

import re

from tests.unit.plugins.xml_files import parse_xml

NAME = re.compile(r"[a-zA-Z0-9_]+(?:\.[a-zA-Z0-9_]+)+")


def parse(content):
    root = parse_xml(content)
    assert root.tag in {"config", "polycomConfig", "APPLICATION"}
    assert not len(root)
    assert not (root.text or "").strip()
    for name in root.attrib:
        assert root.tag == "APPLICATION" or NAME.fullmatch(name), name
    return list(root.attrib.items())
