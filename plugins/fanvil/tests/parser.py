"""Fanvil's settings: XML of one of two roots, `index` or an ID telling lines and keys apart."""

from tests.unit.plugins.xml_files import parse_xml

ENTRIES = ("_Entry",)


def parse(content):
    if content.startswith(b"Version="):
        return [tuple(line.split("=", 1)) for line in content.decode().splitlines()]
    root = parse_xml(content)
    assert root.tag in {"sysConf", "VOIP_CONFIG_FILE"}
    pairs = []

    def walk(element, path):
        name = element.tag
        assert set(element.attrib) <= {"index"}
        if element.attrib:
            name += f"[{int(element.attrib['index'])}]"
        children = list(element)
        if element.tag.endswith(ENTRIES):
            assert children[0].tag == "ID"
            name += f"[{children[0].text}]"
        if not children:
            pairs.append((f"{path}/{name}", element.text or ""))
        for child in children:
            walk(child, f"{path}/{name}")

    walk(root, "")
    return pairs
