"""Settings of Alcatel-Lucent phones: XML with a `setting` for each, or sections of `name=value`."""

import re

from tests.unit.plugins.xml_files import parse_xml

OPAQUE = ("lanpbx.cfg",)


def parse(content):
    if content.startswith(b"<?xml"):
        return parse_settings(content)
    pairs = []
    section = None
    for line in content.decode("utf-8").splitlines():
        if match := re.fullmatch(r"\[([a-z]+)\]", line):
            section = match[1]
            continue
        if not line:
            continue
        name, equals, value = line.partition("=")
        assert equals, line
        assert section, line
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), line
        assert value == value.strip(), line
        pairs.append((f"{section}.{name}", value))
    return pairs


def parse_settings(content):
    root = parse_xml(content)
    assert root.tag == "settings"
    pairs = []
    for element in root:
        assert element.tag == "setting"
        assert not element.text
        assert set(element.attrib) <= {"id", "value", "override"}
        assert re.fullmatch(r"\w+", element.get("id")), element.get("id")
        pairs.append((element.get("id"), element.get("value")))
    return pairs
