"""Reads the XML of phones as strictly as a judge must: no entities, no doubt about the encoding."""

from lxml import etree

MAX_DEPTH = 20


def parse_xml(content):
    """Return the root of a document; refuses document types, entities and comments with secrets."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    root = etree.fromstring(content, parser)
    assert root.getroottree().docinfo.internalDTD is None
    assert depth_of(root) <= MAX_DEPTH
    return root


def depth_of(element):
    return 1 + max((depth_of(child) for child in element), default=0)


def leaves(root, numbers=None):
    """Return (path, text) of every leaf and attribute; a path names elements and their numbers.

    `numbers` is element → the attribute that holds its number, which is `idx` of all others.
    """
    numbers = numbers or {}
    pairs = []

    def walk(element, path):
        name = element.tag
        number = numbers.get(name, "idx")
        if number in element.attrib:
            name += f"[{element.attrib[number]}]"
        path = f"{path}/{name}"
        for key, value in element.attrib.items():
            if key != number:
                pairs.append((f"{path}@{key}", value))
        children = [child for child in element if isinstance(child.tag, str)]
        for child in children:
            walk(child, path)
        if not children:
            pairs.append((path, element.text or ""))

    walk(root, "")
    return pairs
