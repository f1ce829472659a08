"""Documents of Cisco's enterprise phones: `<device>`, whose lines and servers are told by number."""

from tests.unit.plugins.xml_files import leaves, parse_xml


def parse(content):
    root = parse_xml(content)
    assert root.tag in {"device", "DIALTEMPLATE"}
    return leaves(root, {"line": "button", "member": "priority"})
