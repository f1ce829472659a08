"""Documents of Cisco's enterprise phones: `<device>`, whose servers are told by their priority."""

from tests.unit.plugins.xml_files import leaves, parse_xml


def parse(content):
    root = parse_xml(content)
    assert root.tag == "device"
    return leaves(root, {"member": "priority"})
