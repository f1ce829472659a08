"""Documents of Cisco's enterprise phones: `<device>`, whose lines and servers are told by number."""

from tests.unit.plugins.xml_files import parse_xml

_NUMBERS = {"line": "button", "member": "priority"}


def parse(content):
    root = parse_xml(content)
    assert root.tag in {"device", "DIALTEMPLATE"}
    pairs = []

    def walk(element, path):
        number = element.get(_NUMBERS[element.tag]) if element.tag in _NUMBERS else None
        path = f"{path}/{element.tag}" + (f"[{number}]" if number is not None else "")
        pairs.extend((f"{path}@{key}", value) for key, value in element.attrib.items())
        children = [child for child in element if isinstance(child.tag, str)]
        for child in children:
            walk(child, path)
        if not children:
            pairs.append((path, element.text or ""))

    walk(root, "")
    return pairs
