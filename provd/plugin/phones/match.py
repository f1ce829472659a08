"""What a request tells of a phone, by the tables of its family.

A User-Agent, a path and a DHCP vendor class are matched by regular expressions whose named groups
are members of the device info: `model`, `version`, `mac`, `sn`. Rules are tried in their order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import attrs

from provd.errors import InvalidDocument
from provd.model.addresses import norm_mac
from provd.model.requests import RequestType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provd.plugin.vendor import PhoneRequest

DeviceInfo = dict[str, Any]

GROUPS = frozenset({"model", "version", "mac", "sn"})


def _fixed(value: Any) -> dict[str, str]:
    return dict(value or {})


@attrs.frozen
class Rule:
    """One way to recognise a phone."""

    pattern: re.Pattern[str]
    fixed: dict[str, str] = attrs.field(factory=dict, converter=_fixed)
    """What a match tells beside its groups."""
    needs_mac: bool = False
    """Whether a match without a MAC address is none."""
    own_ouis: bool = False
    """Whether the MAC must be one of the vendor's, as others ask for such names too."""
    protocols: frozenset[str] = frozenset({"http", "tftp"})


@attrs.frozen
class Identification:
    """The tables by which a family is recognised."""

    vendor: str
    ouis: frozenset[str] = frozenset()
    words: tuple[str, ...] = ()
    """Small letters; one of them is in every User-Agent that `agents` match."""
    agents: tuple[Rule, ...] = ()
    paths: tuple[Rule, ...] = ()
    """A pattern that holds a slash is for the whole path, without the first slash; others are for
    the file name."""
    classes: tuple[Rule, ...] = ()
    """For DHCP option 60, without a NUL at its end."""
    query_mac: str | None = None
    """The query argument that holds the MAC."""
    aliases: Mapping[str, str] = attrs.field(factory=dict)
    """What phones call a model → our name of it."""
    upper_models: bool = False
    oui_alone: bool = True
    """Whether a DHCP client with one of the `ouis` is of the vendor, whatever its class says; else
    it must send no class."""

    # Requests

    def match_agent(self, agent: str) -> DeviceInfo | None:
        """Return what a User-Agent tells, None if it is of another vendor."""
        for rule in self.agents:
            match = rule.pattern.match(agent)
            if match is not None:
                info = self._info(rule, match)
                if info is not None:
                    return info
        return None

    def match_path(self, path: str, protocol: str, *, own_ouis: bool = True) -> DeviceInfo | None:
        """Return what a path tells, with or without its first slash; None if it tells nothing.

        With `own_ouis` false the vendor is known already, so that any MAC will do.
        """
        path = path.lstrip("/")
        name = path.rsplit("/", 1)[-1]
        for rule in self.paths:
            if protocol not in rule.protocols:
                continue
            match = rule.pattern.fullmatch(path if "/" in rule.pattern.pattern else name)
            if match is None:
                continue
            info = self._info(rule, match)
            if info is None:
                continue
            if own_ouis and rule.own_ouis and info.get("mac", "")[:8] not in self.ouis:
                continue
            return info
        return None

    def match_dhcp(self, vendor_class: str, mac: str | None) -> DeviceInfo | None:
        """Return what a DHCP request tells: by the vendor class, else by the hardware address."""
        info = None
        vendor_class = vendor_class.rstrip("\0")
        for rule in self.classes:
            match = rule.pattern.fullmatch(vendor_class)
            if match is not None:
                info = self._info(rule, match)
                break
        by_oui = mac is not None and mac[:8] in self.ouis and (self.oui_alone or not vendor_class)
        if info is None and by_oui:
            info = {"vendor": self.vendor}
        if info is not None and mac is not None:
            info["mac"] = mac
        return info

    def extract(self, request: PhoneRequest) -> DeviceInfo | None:
        """Return what a request tells, None if it is not of this vendor."""
        if request.kind is RequestType.DHCP:
            return self.match_dhcp(request.options.get(60, ""), to_mac(request.mac))
        info = self.match_agent(request.user_agent) if request.user_agent else None
        return self.complete(info, request)

    def complete(self, info: DeviceInfo | None, request: PhoneRequest) -> DeviceInfo | None:
        """Return `info` of a User-Agent with what the path tells; alone, the path must be clear."""
        if info is not None and {"mac", "model"} <= info.keys():
            return info
        told = self.match_path(request.path, request.kind.value, own_ouis=info is None)
        if info is None:
            return told
        for key, value in (told or {}).items():
            info.setdefault(key, value)
        if "mac" not in info and self.query_mac is not None:
            mac = mac_of_query(request.query, self.query_mac)
            if mac is not None:
                info["mac"] = mac
        return info

    def _info(self, rule: Rule, match: re.Match[str]) -> DeviceInfo | None:
        info: DeviceInfo = {"vendor": self.vendor, **rule.fixed}
        for key, value in match.groupdict().items():
            if not value:
                continue
            if key == "mac":
                mac = to_mac(value.replace("_", ":"))
                if mac is None:
                    continue
                value = mac  # noqa: PLW2901
            elif key == "model":
                value = self.model_name(value)  # noqa: PLW2901
            info[key] = value
        if rule.needs_mac and "mac" not in info:
            return None
        return info

    def model_name(self, name: str) -> str:
        """Return our name of a model."""
        name = self.aliases.get(name, name)
        if self.upper_models:
            name = self.aliases.get(name.upper(), name.upper())
        return name


def to_mac(value: str | None) -> str | None:
    """Return a MAC address as documents hold it, None if `value` is none."""
    try:
        return norm_mac(value or "")
    except ValueError:
        return None


def mac_of_query(query: str, name: str) -> str | None:
    """Return the MAC address in an argument of a query, None if there is none."""
    if not query:
        return None
    try:
        values = parse_qs(query, max_num_fields=20).get(name)
    except ValueError:  # there are more
        return None
    return to_mac(values[0]) if values else None


def read_rule(table: Mapping[str, Any], where: str) -> Rule:
    """Return the rule of a table of `family.toml`; InvalidDocument says what is wrong with it."""
    keys = {"pattern", "fixed", "needs_mac", "own_ouis", "protocols", "ignore_case"}
    if unknown := table.keys() - keys:
        raise InvalidDocument(f"{where}: unknown key {min(unknown)!r}")
    if not isinstance(table.get("pattern", ""), str):
        raise InvalidDocument(f"{where}: the pattern must be a text")
    flags = re.ASCII | (re.IGNORECASE if table.get("ignore_case") else 0)
    try:
        pattern = re.compile(table["pattern"], flags)
    except KeyError:
        raise InvalidDocument(f"{where}: a pattern is needed") from None
    except re.error as error:
        raise InvalidDocument(f"{where}: {table['pattern']!r}: {error}") from error
    if unknown := pattern.groupindex.keys() - GROUPS:
        raise InvalidDocument(f"{where}: a group is called {min(unknown)!r}")
    return Rule(
        pattern,
        table.get("fixed"),
        bool(table.get("needs_mac")),
        bool(table.get("own_ouis")),
        frozenset(table.get("protocols", ("http", "tftp"))),
    )
