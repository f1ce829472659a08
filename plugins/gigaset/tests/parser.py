"""Gigaset's formats: parameters, items of the memory, Snom-like settings, and forms of web pages."""

import ipaddress
import re
import urllib.parse

from tests.unit.plugins.xml_files import leaves, parse_xml

# Every handset is added by an operation of the same name; the forms of a base share field names.
REPEATABLE = ("oper@add_hs",)
_PARAMETER = re.compile(r"[\w.]+")
_ITEM = re.compile(r"[A-Za-z]\w*(\.\w+|\[(\d+|%)\])*")
_NUMBERS = re.compile(r"(0x[0-9a-fA-F]+|\d+)(,(0x[0-9a-fA-F]+|\d+))*")


def parse(content):
    if content.startswith((b"POST", b"GET")):
        return parse_pages(content)
    root = parse_xml(content)
    if root.tag == "ProviderFrame":
        assert root.getroottree().docinfo.encoding == "ISO-8859-1"
        content.decode("iso-8859-1")
        return parse_frame(root)
    assert root.getroottree().docinfo.encoding.upper() == "UTF-8"
    if root.tag == "provisioning":
        return parse_parameters(root)
    assert root.tag in {"settings", "setting-files"}
    return leaves(root)


def parse_frame(root):
    (provider,) = root
    pairs = []
    for element in provider:
        if element.tag == "SYMB_ITEM":
            assert set(element.attrib) == {"ID", "class", "value"}
            key, value = element.get("ID"), element.get("value")
            assert _ITEM.fullmatch(key), key
            if not value.startswith('"'):
                assert _NUMBERS.fullmatch(value), (key, value)
                value = number(key, value)
        else:
            key, value = element.tag, element.get("value")
        if value.startswith('"'):
            assert len(value) >= 2, key
            assert value.endswith('"'), key
            value = value[1:-1]
        pairs.append((key, value))
    return pairs


def number(key, value):
    """Return a number in decimal, an address (`ulI_DNS…`) with dots, and lists as they are."""
    if "," in value:
        return value
    plain = int(value, 0) if value.startswith("0x") else int(value)
    return str(ipaddress.IPv4Address(plain)) if ".ulI_DNS" in key and plain else str(plain)


def parse_parameters(root):
    assert root.get("version") == "1.1"
    pairs = []
    for section in root:
        if section.tag == "firmware":
            (file,) = section
            pairs += [(f"firmware@{key}", value) for key, value in file.attrib.items()]
            continue
        assert section.tag == "nvm"
        for element in section:
            name, value = element.get("name"), element.get("value", "")
            if element.tag == "param":
                assert _PARAMETER.fullmatch(name), name
                pairs.append((name, value))
            else:
                assert element.tag == "oper"
                pairs.append((f"oper@{name}", value))
                pairs += [
                    (f"{name}/{value}/{one.get('name')}", one.get("value")) for one in element
                ]
    return pairs


def parse_pages(content):
    pairs = []
    for line in content.decode("ascii").splitlines():
        method, page, *form = line.split(" ")
        assert (method, len(form)) in {("GET", 0), ("POST", 1)}
        pairs.append((f"{method} {page}", ""))
        for text in form:
            fields = urllib.parse.parse_qsl(text, keep_blank_values=True, strict_parsing=True)
            pairs += [(f"{page} {key}", value) for key, value in fields]
    return pairs
