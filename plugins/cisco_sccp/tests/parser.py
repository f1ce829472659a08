"""Documents of Cisco's enterprise phones: `<device>`, whose servers are told by their priority."""

from tests.unit.plugins.xml_files import parse_xml


def parse(content):
    root = parse_xml(content)
    assert root.tag == "device"
    pairs = []

    def walk(element, path):
        path = f"{path}/{element.tag}"
        if element.tag == "member":
            path += f"[{element.attrib['priority']}]"
        children = [child for child in element if isinstance(child.tag, str)]
        for child in children:
            walk(child, path)
        if not children:
            pairs.append((path, element.text or ""))

    walk(root, "")
    return pairs
