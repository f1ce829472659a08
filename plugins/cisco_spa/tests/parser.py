"""Cisco's flat profiles: XML with one level of elements, and the nested part for a router.

An element counts once: of several of one name the phone takes the last. Beside profiles there are
certificates, PEM texts one after the other.
"""

import re

from tests.unit.plugins.xml_files import leaves, parse_xml

_PEM = re.compile(
    r"(?:-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----\n)+"
)


def parse(content):
    if content.startswith(b"-----BEGIN"):
        text = content.decode("ascii")
        assert _PEM.fullmatch(text), text
        return [("certificates", text)]
    root = parse_xml(content)
    assert root.tag == "flat-profile"
    for element in root.iter():
        if not isinstance(element.tag, str):
            continue
        assert not len(element) or element is root or in_router(element), element.tag
    return leaves(root)


def in_router(element):
    while element is not None:
        if element.tag == "router-configuration":
            return True
        element = element.getparent()
    return False
