"""Settings of Snom's DECT bases: XML, `idx` telling the handset or the server."""

from tests.unit.plugins.xml_files import leaves, parse_xml

REPEATABLE = tuple(
    f"/firmware-settings/pp_fwu_{kind}_version{part}"
    for kind in ("sw", "branch")
    for part in ("", "@type")
)


def parse(content):
    root = parse_xml(content)
    assert root.tag in {"settings", "setting-files", "firmware-settings"}
    return leaves(root)
