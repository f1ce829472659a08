"""What two plugins, or two collections of them, write for the same phones: setting by setting.

For every model that both know, both get the same device and the same raw configs; the files are
read as settings (key and value), whatever their format, and compared. Meant for authors who change
a plugin, or replace one.
"""

from __future__ import annotations

import contextlib
import fnmatch
import html
import os
import re
import tomllib
from collections import Counter
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import attrs

from provd.errors import InvalidDocument, PluginError, ProvdError
from provd.model.documents import copy_json
from provd.model.rawconfig import add_defaults
from provd.plugin.archive import PLUGIN_INFO
from provd.plugin.phones.phone import version_of
from provd.plugin.sandbox import BASE_RAW_CONFIG, configure, copied, loadable, served_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provd.plugin.sandbox import Quirk

Document = dict[str, Any]

_MODEL = re.compile(r"([^,]+), ([^,]+), ([^,]+)")
_ASSIGNMENT = re.compile(r"\s*([^\s=:#;<][^=:]*?)\s*[=:]\s?(.*)")
_ELEMENT = re.compile(r"<([\w.:-]+)((?:\s[^<>]*)?)>([^<>]*)</\1>")
_ATTRIBUTE = re.compile(r"""([\w.:-]+)="([^"]*)\"""")
_SECTION = re.compile(r"\s*\[([^\]]+)\]\s*")
_NAMING = ("idx", "name", "id", "index", "key", "priority")
"""Attributes that tell elements of one name from each other."""

_LINE = {
    "username": "user1",
    "auth_username": "auth1",
    "password": "secret1",
    "display_name": "Alice Smith",
    "number": "1001",
    "proxy_ip": "192.0.2.10",
    "proxy_port": 5060,
    "registrar_ip": "192.0.2.10",
    "registrar_port": 5060,
}
_ZONES = (
    "Europe/Paris",
    "Europe/London",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Australia/Sydney",
    "Pacific/Auckland",
    "America/Denver",
    "Africa/Johannesburg",
    "America/Halifax",
    "UTC",
)
_LOCALES = ("de_DE", "en_US", "es_ES", "fr_FR", "fr_CA", "it_IT", "nl_NL")


def raw_configs(keys: int) -> dict[str, Document]:
    """Return name → raw config of what models are compared with; `keys` are those they have."""
    plain = {"1": _LINE}
    kinds = ("speeddial", "blf", "park")
    configs: dict[str, Document] = {
        "autoprov": {
            "sip_lines": {
                "1": {**_LINE, **dict.fromkeys(("username", "auth_username"), "autoprov")}
            }
        },
        "rich": {
            "sip_lines": {"1": {**_LINE, "voicemail": "*981", "dtmf_mode": "SIP-INFO"}},
            "ntp_enabled": True,
            "ntp_ip": "192.0.2.77",
            "dns_enabled": True,
            "dns_ip": "192.0.2.53",
            "vlan_enabled": True,
            "vlan_id": 123,
            "vlan_priority": 5,
            "vlan_pc_port_id": 234,
            "syslog_enabled": True,
            "syslog_ip": "192.0.2.51",
            "admin_username": "admin",
            "admin_password": "849201",
            "user_username": "user",
            "user_password": "730184",
            "timezone": "Europe/Paris",
            "locale": "fr_FR",
            "sip_subscribe_mwi": True,
            "sip_dtmf_mode": "RTP-out-of-band",
            "exten_voicemail": "*98",
            "exten_pickup_call": "*8",
            "exten_pickup_group": "*7",
            "exten_dnd": "*25",
            "exten_fwd_unconditional": "*21",
            "exten_fwd_no_answer": "*22",
            "exten_fwd_busy": "*23",
            "exten_fwd_disable_all": "*20",
            "exten_park": "700",
            "X_xivo_phonebook_ip": "192.0.2.88",
            "X_xivo_user_uuid": "5b0a0f3e-0000-4000-8000-000000000001",
        },
        "two lines with backup": {
            "sip_lines": {
                "1": {
                    **_LINE,
                    "backup_proxy_ip": "192.0.2.11",
                    "backup_registrar_ip": "192.0.2.11",
                },
                "2": {**_LINE, "username": "user2", "auth_username": "auth2", "number": "1002"},
            }
        },
        "tls": {
            "sip_lines": {"1": {**_LINE, "proxy_port": 5061, "registrar_port": 5061}},
            "sip_transport": "tls",
            "sip_srtp_mode": "required",
        },
        "keys": {
            "sip_lines": plain,
            "exten_pickup_call": "*8",
            "funckeys": {
                str(n): {
                    "type": kinds[n % 3],
                    "value": str(2000 + n),
                    "label": f"Key {n}",
                    "line": 1,
                }
                for n in range(2, keys + 1)
            },
        },
    }
    configs |= {f"locale {name}": {"sip_lines": plain, "locale": name} for name in _LOCALES}
    configs |= {f"zone {name}": {"sip_lines": plain, "timezone": name} for name in _ZONES}
    for raw_config in configs.values():
        for name, value in BASE_RAW_CONFIG.items():
            raw_config.setdefault(name, value)
        add_defaults(raw_config)
    return configs


# Files as settings


def read_settings(content: bytes) -> dict[str, str]:
    """Return key → value of a file: XML, or lines such as `key = value`, by sections if any."""
    text = content.decode("utf-8", "replace")
    if text.lstrip("\ufeff \r\n\t").startswith("<"):
        try:
            return _xml_settings(ET.fromstring(text.strip()))  # noqa: S314 - made by our own plugins
        except ET.ParseError:
            return _loose_xml_settings(text)
    settings: dict[str, str] = {}
    section = ""
    for line in text.splitlines():
        if match := _SECTION.fullmatch(line):
            section = f"[{match[1]}]"
        elif match := _ASSIGNMENT.fullmatch(line):
            settings[section + match[1]] = match[2].strip().strip('"')
        elif line.strip() and not line.lstrip().startswith(("#", ";", "!")):
            key, _, value = line.strip().partition(" ")
            settings[section + key] = value
    return settings


def _loose_xml_settings(text: str) -> dict[str, str]:
    """Return what can be read of a file that is nearly XML: elements that hold nothing but text."""
    settings: dict[str, str] = {"not XML": "yes"}
    for tag, attributes, value in _ELEMENT.findall(text):
        given = {name: html.unescape(one) for name, one in _ATTRIBUTE.findall(attributes)}
        _add_element(settings, tag, tag, given, html.unescape(value))
    return settings


def _xml_settings(root: ET.Element) -> dict[str, str]:
    settings: dict[str, str] = {}

    def walk(element: ET.Element, path: str) -> None:
        path = f"{path}/{element.tag}"
        children = list(element)
        text = None if children else element.text or ""
        _add_element(settings, path, element.tag, element.attrib, text)
        for child in children:
            walk(child, path)

    walk(root, "")
    return settings


def _add_element(
    settings: dict[str, str], path: str, tag: str, given: Mapping[str, str], text: str | None
) -> None:
    """Add an element: by its own name, by its path where another has that, numbered beyond."""
    naming = next((name for name in _NAMING if name in given), None)
    suffix = "" if naming is None else f"[{given[naming]}]"
    key = tag + suffix
    number = 1
    while key in settings or f"{key}@" in settings:
        key = path + suffix + (f"({number})" if number > 1 else "")
        number += 1
    if text is not None:
        settings[key] = text.strip()
    for name, value in given.items():
        if name != naming:
            settings[f"{key}@{name}"] = value


# Comparison


@attrs.define
class Report:
    """What was found for one key; digits of the key stand for any number."""

    key: str
    equal: int = 0
    kinds: Counter[str] = attrs.field(factory=Counter)
    """How often it was `different`, `only in A`, `only in B`."""
    example: str = ""
    reason: str | None = None


@attrs.define
class Comparison:
    """The outcome for all models that both collections know."""

    models: int = 0
    compared: int = 0
    reports: dict[str, Report] = attrs.field(factory=dict)
    refused: list[str] = attrs.field(factory=list)

    def add(self, where: str, left: Mapping[str, str], right: Mapping[str, str]) -> None:
        """Compare the settings of one phone."""
        for key in left.keys() | right.keys():
            report = self.reports.setdefault(_any_number(key), Report(_any_number(key)))
            self.compared += 1
            one, other = left.get(key), right.get(key)
            if one == other:
                report.equal += 1
                continue
            kind = "only in B" if one is None else "only in A" if other is None else "different"
            report.kinds[kind] += 1
            if not report.example or (kind == "different" and "≠" not in report.example):
                report.example = f"{where}: {key}: " + (
                    f"{one!r:.60} ≠ {other!r:.60}"
                    if kind == "different"
                    else f"{one or other!r:.60}"
                )

    def explain(self, reasons: Mapping[str, str]) -> None:
        """Mark what is deliberate: pattern of keys → reason."""
        for report in self.reports.values():
            for pattern, reason in reasons.items():
                if fnmatch.fnmatchcase(report.key, pattern):
                    report.reason = reason
                    break

    def open(self, *, only_in_a: bool = False) -> list[Report]:
        """Return what differs without a reason; what only A has does not count unless asked for."""
        return sorted(
            (
                report
                for report in self.reports.values()
                if report.reason is None
                and (report.kinds["different"] or report.kinds["only in B"] or only_in_a)
                and report.kinds
            ),
            key=lambda report: report.key,
        )

    def summary(self) -> str:
        """Return one line: keys compared, equal, deliberate, open."""
        equal = sum(report.equal for report in self.reports.values())
        deliberate = sum(
            report.kinds.total() for report in self.reports.values() if report.reason is not None
        )
        left = self.open()
        opened = sum(report.kinds["different"] + report.kinds["only in B"] for report in left)
        return (
            f"{self.models} models, {self.compared} settings compared: {equal} equal, "
            f"{deliberate} different on purpose, {opened} open ({len(left)} kinds)"
        )


def _any_number(key: str) -> str:
    return re.sub(r"\d+", "#", key)


def read_reasons(path: str) -> dict[str, str]:
    """Return pattern → reason of a file with a table `[deliberate]`; InvalidDocument."""
    try:
        with open(path, "rb") as stream:
            reasons: dict[str, str] = tomllib.load(stream).get("deliberate", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidDocument(f"{path}: {error}") from error
    if not all(isinstance(reason, str) for reason in reasons.values()):
        raise InvalidDocument(f"{path}: [deliberate] maps patterns of keys to reasons")
    return reasons


def find_plugins(directory: str) -> list[str]:
    """Return a plugin directory, or all plugins directly below one."""
    if os.path.isfile(os.path.join(directory, PLUGIN_INFO)):
        return [directory]
    return sorted(
        entry.path
        for entry in os.scandir(directory)
        if os.path.isfile(os.path.join(entry.path, PLUGIN_INFO))
    )


@attrs.define
class _Side:
    """The plugins of one side that are loaded, and which models they know."""

    known: dict[tuple[str, str], dict[str, Any]] = attrs.field(factory=dict)
    """(vendor, model) → firmware version → plugin and host."""

    def load(self, host: Any, plugin_id: str) -> None:
        loaded = host.load(plugin_id)
        for capability in loaded.info["capabilities"]:
            if match := _MODEL.fullmatch(capability):
                self.known.setdefault((match[1], match[2]), {})[match[3]] = (host, loaded)


def compare(left: str, right: str, quirk: Quirk | None = None, only: str = "*") -> Comparison:
    """Compare the plugins in two directories, for models whose name matches `only`."""
    result = Comparison()
    sides = (_Side(), _Side())
    with contextlib.ExitStack() as stack:
        for side, directory in zip(sides, (left, right), strict=True):
            for plugin_dir in find_plugins(directory):
                try:
                    copy = stack.enter_context(copied(plugin_dir, served=False))
                    host = stack.enter_context(loadable(copy, {}, quirk))
                    side.load(host, os.path.basename(copy))
                except (ProvdError, OSError) as error:
                    result.refused.append(f"{os.path.basename(plugin_dir)}: {error}")
        for vendor, model in sorted(sides[0].known.keys() & sides[1].known.keys()):
            if fnmatch.fnmatchcase(model, only):
                _compare_model(result, sides, vendor, model)
    return result


def _compare_model(result: Comparison, sides: Iterable[_Side], vendor: str, model: str) -> None:
    left, right = (side.known[vendor, model] for side in sides)
    common = left.keys() & right.keys()
    version = max(common or right, key=version_of)
    ours = left.get(version) or left[max(left, key=version_of)]
    theirs = right[version]
    capability = theirs[1].info["capabilities"][f"{vendor}, {model}, {version}"]
    result.models += 1
    device = {
        "id": "d1",
        "mac": "00:00:5e:00:53:01",
        "sn": "CCQ18230ABC",
        "vendor": vendor,
        "model": model,
        "version": version,
    }
    for name, raw_config in raw_configs(int(capability.get("function_keys") or 0)).items():
        where = f"{model} {version}, {name}"
        settings = []
        for host, loaded in (ours, theirs):
            try:
                settings.append(_rendered(host, loaded, device, raw_config))
            except PluginError as error:
                result.refused.append(f"{loaded.id}: {where}: {' '.join(str(error).split())}")
        if len(settings) == 2:
            result.add(where, *settings)


def _rendered(host: Any, loaded: Any, device: Document, raw_config: Document) -> dict[str, str]:
    files: dict[str, bytes] = configure(host, loaded, device, copy_json(raw_config))
    settings: dict[str, str] = {}
    for path, content in sorted(files.items()):
        name = os.path.basename(served_name(loaded, path))
        for key, value in read_settings(content).items():
            settings[key if key not in settings else f"{name}:{key}"] = value
    host.call(loaded, "deconfigure", copy_json(device))
    return settings


def lines_of(result: Comparison) -> Iterator[str]:
    """Yield what to print: open differences, what was refused, and the summary."""
    for report in result.open():
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.kinds.items()))
        yield f"{report.key}: {kinds}, {report.equal} equal; {report.example}"
    for text in result.refused:
        yield f"refused: {text}"
    yield result.summary()
