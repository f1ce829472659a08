"""Rules by which a DHCP server tells phones from each other, and what each of them is to get.

The key `dhcp` of a `plugin-info` is a list of such rules (docs/dhcp.md describes it). A rule holds
texts of a plugin that end up in the configuration of a server that runs as root, so whatever could
mean something there is refused.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import re
import string
from typing import TYPE_CHECKING, Any

import attrs

from provd.dhcp.vendors import VENDORS
from provd.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

logger = logging.getLogger(__name__)

INFO_FILE = "plugin-info"
INDEX_FILE = "plugins.db"
KEY = "dhcp"

MATCHES = ("exact", "prefix", "suffix", "third_byte")
"""How a vendor class is compared; `third_byte` skips two bytes that are no text."""
PLACEHOLDERS = frozenset({"base_url", "host", "port", "tftp", "dns"})
ADDRESS_OPTIONS = frozenset({"6", "42", "150", "next-server"})

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
# No quote, no backslash, no line end: no server takes these characters for anything else.
_TEXT = re.compile(r"[ !#-\[\]-~]{1,200}\0?")
_OUI = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){2}")
_OPTION = re.compile(r"([1-9]\d{0,2})(\.([1-9]\d{0,2}))?")
_RAW = re.compile(r"0x([0-9a-f]{2}){1,64}")
_KEYS = frozenset({"name", "vendor_class", "user_class", "ouis", "ouis_unless", "options"})


@attrs.frozen
class Rule:
    """Phones that get the same options: those of a vendor class, a user class, or an OUI."""

    name: str
    options: Mapping[str, str]
    """Option → value. `43.2` is sub-option 2 of option 43; `next-server` and `boot-file` are header
    fields. A value may hold placeholders; one that starts with 0x is bytes."""
    vendor_class: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict)
    """How to compare (one of MATCHES) → texts. A NUL at the end may be there or not."""
    user_class: tuple[str, ...] = ()
    ouis: tuple[str, ...] = ()
    ouis_unless: tuple[str, ...] = ()
    """An OUI counts unless the vendor class starts with one of these; `""` is any vendor class."""

    def vendor_classes(self) -> Iterator[tuple[str, str]]:
        """Give each vendor class, after how it is compared."""
        for match, texts in self.vendor_class.items():
            for text in texts:
                yield match, text


def parse_rule(document: Any) -> Rule:
    """Return a rule of a `plugin-info`; InvalidDocument says what is wrong."""
    if not isinstance(document, dict):
        raise InvalidDocument(f"{KEY}: a rule must be an object")
    name = document.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidDocument(f"{KEY}: the name of a rule has small letters, digits and '-' only")
    where = f"{KEY}: rule {name}"
    if unknown := document.keys() - _KEYS:
        raise InvalidDocument(f"{where}: unknown key {min(unknown)!r}")
    vendor_class = document.get("vendor_class", {})
    if not isinstance(vendor_class, dict) or not vendor_class.keys() <= set(MATCHES):
        raise InvalidDocument(f"{where}: vendor_class has the keys {', '.join(MATCHES)}")
    ouis = _texts(document, "ouis", where)
    for oui in ouis:
        if not _OUI.fullmatch(oui):
            raise InvalidDocument(f"{where}: {oui!r} is not an OUI such as 00:11:22")
    options = document.get("options")
    if not isinstance(options, dict) or not options:
        raise InvalidDocument(f"{where}: options must be an object that is not empty")
    rule = Rule(
        name,
        {code: _option(code, value, where) for code, value in options.items()},
        {match: _texts(vendor_class, match, where) for match in MATCHES if match in vendor_class},
        _texts(document, "user_class", where),
        ouis,
        _texts(document, "ouis_unless", where, may_be_empty=True),
    )
    if not (rule.vendor_class or rule.user_class or rule.ouis):
        raise InvalidDocument(f"{where}: it matches no phone")
    if any("," in text for text in (*rule.vendor_class.get("suffix", ()), *rule.user_class)):
        raise InvalidDocument(f"{where}: a suffix and a user class have no comma")
    return rule


def _texts(
    document: Mapping[str, Any], key: str, where: str, *, may_be_empty: bool = False
) -> tuple[str, ...]:
    texts = document.get(key, [])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidDocument(f"{where}: {key} must be a list of texts")
    for text in texts:
        if not _TEXT.fullmatch(text) and not (may_be_empty and text == ""):
            raise InvalidDocument(f"{where}: {key}: {text!r} holds what no server can be told")
    return tuple(texts)


def _option(code: Any, value: Any, where: str) -> str:
    where = f"{where}: option {code!r}"
    if code not in {"next-server", "boot-file"}:
        match = _OPTION.fullmatch(code)
        if not match or not all(int(part) < 255 for part in match.group(1, 3) if part):
            raise InvalidDocument(f"{where} is not a code such as 66 or 43.2")
        if match[3] and match[1] != "43":
            raise InvalidDocument(f"{where}: only option 43 has sub-options")
    if not isinstance(value, str) or not _TEXT.fullmatch(value) or value.endswith("\0"):
        raise InvalidDocument(f"{where}: its value is not a text that a server can be told")
    if value.startswith("0x"):
        if not _RAW.fullmatch(value) or not code.startswith("43."):
            raise InvalidDocument(f"{where}: bytes are pairs of digits, in a sub-option of 43")
        return value
    try:
        fields = {field for _, field, _, _ in string.Formatter().parse(value) if field is not None}
    except ValueError as exc:
        raise InvalidDocument(f"{where}: {exc}") from exc
    if not fields <= PLACEHOLDERS:
        allowed = ", ".join(sorted(PLACEHOLDERS))
        raise InvalidDocument(f"{where}: the placeholders are {allowed}")
    if code in ADDRESS_OPTIONS and value not in {"{tftp}", "{dns}"}:
        try:
            ipaddress.IPv4Address(value)
        except ValueError:
            raise InvalidDocument(f"{where}: its value must be an address") from None
    return value


def parse_rules(document: Any) -> list[Rule]:
    """Return the rules of a plugin; InvalidDocument says what is wrong."""
    if not isinstance(document, list):
        raise InvalidDocument(f"{KEY}: must be a list of rules")
    rules = [parse_rule(member) for member in document]
    names = [rule.name for rule in rules]
    if len(set(names)) < len(names):
        raise InvalidDocument(f"{KEY}: a name is there twice")
    return rules


TABLE = {vendor: tuple(map(parse_rule, rules)) for vendor, rules in VENDORS.items()}
"""Vendor, as capabilities name it in small letters → what is known of its phones."""


def rules_of(plugins: Mapping[str, Mapping[str, Any]]) -> list[Rule]:
    """Return the rules for the phones of plugins (id → `plugin-info`), in the order of names.

    A plugin without rules of its own gets those of the vendors in its capabilities. What plugins
    say wins, and of two plugins with a rule of one name the one with the greater id.
    """
    rules: dict[str, Rule] = {}
    own: dict[str, Rule] = {}
    for plugin_id, info in sorted(plugins.items()):
        if KEY in info:
            try:
                own.update((rule.name, rule) for rule in parse_rules(info[KEY]))
            except InvalidDocument as error:
                logger.warning("plugin %s: %s", plugin_id, error)
            else:
                continue
        for vendor in _vendors(info.get("capabilities")):
            rules.update((rule.name, rule) for rule in TABLE.get(vendor, ()))
    return [rule for _, rule in sorted((rules | own).items())]


def every_rule() -> list[Rule]:
    """Return what is known of all vendors, in the order of names."""
    found = {rule.name: rule for rules in TABLE.values() for rule in rules}
    return [rule for _, rule in sorted(found.items())]


def _vendors(capabilities: Any) -> set[str]:
    names: Iterable[Any] = capabilities if isinstance(capabilities, dict) else ()
    return {str(name).partition(",")[0].strip().casefold() for name in names}


def installed(plugins_dir: str) -> dict[str, dict[str, Any]]:
    """Return id → `plugin-info` of the plugins in a directory; one that is no JSON is left out."""
    found = {}
    for plugin_id in sorted(os.listdir(plugins_dir)):
        path = os.path.join(plugins_dir, plugin_id, INFO_FILE)
        if not plugin_id.startswith(".") and os.path.isfile(path):
            found[plugin_id] = _read_object(path)
    return found


def available(plugins_dir: str) -> dict[str, dict[str, Any]]:
    """Return id → `plugin-info` of what the last list of the plugin repository offers."""
    path = os.path.join(plugins_dir, INDEX_FILE)
    if not os.path.exists(path):
        return {}
    entries = _read_object(path)
    return {plugin_id: info for plugin_id, info in entries.items() if isinstance(info, dict)}


def _read_object(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            document = json.load(stream)
    except (ValueError, RecursionError) as error:
        logger.warning("%s is left out: %s", path, error)
        return {}
    return document if isinstance(document, dict) else {}
