"""Snom's settings: XML, a setting for each element, `idx` telling the identity or the key."""

from tests.unit.plugins.xml_files import leaves, parse_xml

_DER_SEQUENCE = b"\x30"
_MANY = (
    "phone-settings/context_key[0]/initialization/variable",
    "phone-settings/context_key[0]/initialization/variable@name",
    "phone-settings/context_key[0]/initialization/variable@value",
    "certificates/certificate",
    "certificates/certificate@type",
    "certificates/certificate@url",
    *(
        f"{kind}-languages/language{part}"
        for kind in ("gui", "web")
        for part in ("", "@url", "@name")
    ),
)
REPEATABLE = tuple(f"/settings/{path}" for path in _MANY)


def parse(content):
    if content.startswith(_DER_SEQUENCE):  # a certificate of an authority
        return [("certificate", content.hex())]
    root = parse_xml(content)
    assert root.tag in {"settings", "setting-files", "firmware-settings"}
    return leaves(root)
