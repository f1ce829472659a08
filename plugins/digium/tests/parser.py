"""Digium's files: XML whose settings are attributes, `id` and `index` telling elements apart."""

from tests.unit.plugins.xml_files import parse_xml

NAMING = ("id", "index", "alert_info", "model")
CHILDREN = {
    "config": {"setting", "contacts", "ringtones", "accounts", "firmwares"},
    "ringtones": {"alerts"},
    "alerts": {"alert"},
    "accounts": {"account"},
    "account": {"host_primary", "host_alternate", "permission"},
    "firmwares": {"firmware"},
    "phonebooks": {"contacts"},
    "contacts": {"contact"},
    "contact": {"numbers"},
    "numbers": {"number"},
}


def parse(content):
    root = parse_xml(content)
    assert root.tag in {"config", "phonebooks"}
    pairs = []

    def walk(element, path):
        assert not (element.text or "").strip()
        assert not (element.tail or "").strip()
        for name, value in element.attrib.items():
            pairs.append((f"{path}@{name}", value))
        for number, child in enumerate(element):
            assert child.tag in CHILDREN[element.tag], child.tag
            name = next(
                (f"{key}={child.get(key)}" for key in NAMING if key in child.attrib), number
            )
            walk(child, f"{path}/{child.tag}[{name}]")

    walk(root, root.tag)
    return pairs or [(root.tag, "")]
