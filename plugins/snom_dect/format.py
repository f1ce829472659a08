"""How Snom DECT bases want their settings: XML, `idx` for the handset, or for the SIP server.

Handsets name one of ten servers. Firmware 7 has more settings than 5.20, and other logins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from provd.plugin.api import (
    FamilyPlugin,
    Phone,
    escape_xml,
    is_xml_safe,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provd.plugin.api import Account, Server

_ON_OFF = {True: "on", False: "off"}
_NEWER = 7
SIP_PORT, SIPS_PORT = 5060, 5061
MAX_SERVERS = 10
"""How many servers a base knows."""


class SipServer(NamedTuple):
    """What handsets with the same server have in common."""

    host: str
    outbound: str
    transport: Any
    dtmf: Any
    srtp: Any


class Firmware(NamedTuple):
    """A version as the base counts, and the type of handset; None for the base itself."""

    type: str | None
    version: int
    branch: int


class SnomDectPlugin(FamilyPlugin):
    """Snom DECT bases."""

    IS_PLUGIN = True
    can_hold = staticmethod(is_xml_safe)

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML holds it; booleans are on and off."""
        return _ON_OFF[value] if isinstance(value, bool) else escape_xml(value)

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        zone_code = phone.zone_code(self.family.tables["zones"], "base")
        servers, server_of = servers_of(phone)
        labels = self.family.tables["mailbox_labels"]
        newest = phone.model.firmware[-1:] or ("7",)
        generation = phone.version[0] if phone.version else int(newest[0].split(".")[0])
        return {
            "servers": servers,
            "server_of": server_of,
            "unused": [n for n in range(1, phone.model.lines + 1) if n not in server_of],
            "zone_code": zone_code,
            "is_newer": generation >= _NEWER,
            "mailbox_label": labels.get(phone.language_code, labels["en"]),
            "phonebook": phone.phonebook_url("snom"),
            "versions": list(self._versions(phone)),
        }

    def _versions(self, phone: Phone) -> Iterator[Firmware]:
        """Yield the versions of installed packages: the base's, then one for each handset type."""
        packages = {package["id"]: package for package in self.family.packages}
        seen = set()
        wanted = [packages[one] for one in self.installed.ids() if one in packages]
        for package in sorted(wanted, key=lambda one: not one.get("models")):
            kind = package["id"].split("-")[0]
            is_base = bool(package.get("models"))
            if kind in seen or (is_base and kind != phone.model.name):
                continue
            seen.add(kind)
            major, minor, branch = map(int, package["version"].split("."))
            yield Firmware(None if is_base else kind, major * 100 + minor, branch)


def _address(server: Server | None, account: Account) -> str:
    """Return a server; its port is left out if it is that of the transport."""
    if server is None:
        return ""
    default = SIPS_PORT if account.transport_name == "tls" else SIP_PORT
    return server.host if server.port == default else str(server)


def servers_of(phone: Phone) -> tuple[list[SipServer], dict[int, int]]:
    """Return the servers of all handsets, and the number of each handset's from 1."""
    servers: list[SipServer] = []
    server_of = {}
    for number, account in phone.accounts.items():
        registrar, outbound = account.servers.registrar, account.servers.outbound_proxy
        if account.servers.backup_proxy is not None:
            phone.notes.add("backup proxies are left out: the base has no place for them")
        if outbound is None and registrar != account.servers.proxy:
            outbound = account.servers.proxy
        server = SipServer(
            _address(registrar, account),
            _address(outbound, account),
            account.transport,
            account.dtmf,
            account.srtp,
        )
        if server not in servers:
            if len(servers) == MAX_SERVERS:
                phone.notes.add(f"line {number} is left out: a base knows {MAX_SERVERS} servers")
                continue
            servers.append(server)
        server_of[number] = servers.index(server) + 1
    return servers, server_of
