"""Snom's settings: XML, a setting for each element, `idx` telling the identity or the key."""

from tests.unit.plugins.xml_files import leaves, parse_xml


def parse(content):
    root = parse_xml(content)
    assert root.tag in {"settings", "setting-files", "firmware-settings"}
    return leaves(root)
