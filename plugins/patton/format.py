"""How SmartNode gateways want their settings: commands, as somebody would type them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from provd.plugin.api import FamilyPlugin, Phone, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provd.plugin.api import Account, Change, Zone

_PLAIN = re.compile(r"[A-Za-z0-9_.:@%$()/*+,=-]+")
_SIP_PORT = 5060
_WEEKS = ("first", "second", "third", "fourth", "last")
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FRENCH = ("", "FR")
_SCRIPTS = ("sn4110/bw", "sn4300/bw")


class Line(NamedTuple):
    """An account on its analogue port."""

    account: Account
    port: int
    interface: str
    servers: list[int]
    """Numbers of the servers that its calls are offered to, one after the other."""


@attrs.frozen
class SipServer:
    """A server, and who registers there: account → registrar."""

    number: int
    proxy: Server
    registrars: list[tuple[Account, Server]] = attrs.field(factory=list)


class PattonPlugin(FamilyPlugin):
    """SmartNode gateways with analogue ports."""

    IS_PLUGIN = True

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as one word of a command, in quotes if need be; ASCII only."""
        text = "" if value is None else "".join(c for c in str(value) if " " <= c <= "~")
        if _PLAIN.fullmatch(text):
            return text
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'

    def served_url(self, value: str, phone: Phone) -> str:
        """Return a URL as it is, and that of the script of a series at the top of the server."""
        if value in _SCRIPTS:
            return f"{phone.base_url}/{value}"
        return super().served_url(value, phone)

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the template wants beside the neutral names."""
        lines, servers = lines_of(phone)
        first = phone.first_account
        _note_what_is_lost(phone)
        return {
            "lines": lines,
            "servers": servers,
            "logins": logins_of(lines, phone),
            "dtmf": first.dtmf if first else phone.family.codes["dtmf"]["default"],
            "clock": list(clock_of(phone.zone)),
            "administrator": phone.login("admin", "administrator"),
            "has_french_tones": phone.country_code in _FRENCH,
        }


def _note_what_is_lost(phone: Phone) -> None:
    """Note what of the accounts the gateway cannot do, or cannot be told."""
    notes, first = phone.notes, phone.first_account
    if first is not None and first.transport_name == "tls":
        notes.add("sip_transport: the gateway speaks no TLS, it gets UDP")
    for number, account in phone.accounts.items():
        if account.srtp_mode != "disabled":
            notes.add(f"srtp_mode of line {number} is left out: the gateway has no SRTP")
        if first is not None and account.dtmf != first.dtmf:
            notes.add(f"dtmf_mode of line {number} is left out: the gateway has one for all lines")
        for name in ("username", "auth_username", "password"):
            if not (getattr(account, name) or "").isascii():
                notes.add(f"{name} of line {number} loses its characters that are not ASCII")


def _to_server(server: Server, account: Account) -> Server:
    """Return a server with its port over UDP, where TLS is asked for."""
    if account.transport_name == "tls" and not server.has_own_port:
        return Server(server.host, _SIP_PORT)
    return server


def lines_of(phone: Phone) -> tuple[list[Line], list[SipServer]]:
    """Return the lines, and the servers that they use.

    RawConfigParamError for a server with two ports, which the gateway could not tell apart.
    """
    lines: list[Line] = []
    servers: dict[str, SipServer] = {}
    usernames: set[str] = set()
    for number, account in phone.accounts.items():
        username = account.username or ""
        if not username or username in usernames:
            why = "another line has its username" if username else "it has no username"
            phone.notes.add(f"line {number} is left out: {why}")
            continue
        usernames.add(username)
        used: list[int] = []
        sets = (
            (account.servers.proxy, account.servers.registrar, "proxy_ip"),
            (account.servers.backup_proxy, account.servers.backup_registrar, "backup_proxy_ip"),
        )
        for proxy, registrar, name in sets:
            if proxy is None or registrar is None:
                continue
            proxy = _to_server(proxy, account)  # noqa: PLW2901
            server = servers.setdefault(proxy.host, SipServer(len(servers) + 1, proxy))
            if server.proxy.port != proxy.port:
                raise phone.refuse(
                    f"sip_lines.{number}.{name}",
                    f"{proxy.host} is there with the ports {server.proxy.port} and {proxy.port}; "
                    "the gateway takes one for each server",
                )
            if server.number not in used:
                server.registrars.append((account, _to_server(registrar, account)))
                used.append(server.number)
        lines.append(Line(account, number - 1, f"IF_FXS{number - 1}", used))
    return lines, list(servers.values())


def logins_of(lines: list[Line], phone: Phone) -> list[tuple[str | None, str | None]]:
    """Return user names and passwords, each name once."""
    logins: dict[str | None, str | None] = {}
    for line in lines:
        account = line.account
        if logins.setdefault(account.auth_username, account.password) != account.password:
            phone.notes.add(
                f"password of line {account.number} is left out: another line has the same "
                "auth_username and another password"
            )
    return list(logins.items())


def clock_of(zone: Zone | None) -> Iterator[str]:
    """Yield the commands that set the time zone."""
    if zone is None:
        return
    pattern = "{sign}{hours:02d}:{minutes:02d}"
    yield f"clock local default-offset {zone.format_offset(pattern)}"
    if zone.dst is not None:
        summer = attrs.evolve(zone, offset=zone.offset + zone.dst.save).format_offset(pattern)
        start, end = _change(zone.dst.start), _change(zone.dst.end)
        yield f"clock local dst-rule DSTRULE {summer} from {start} until {end}"


def _change(change: Change) -> str:
    time = f"{change.hour:02d}:{change.minute:02d} {change.month_name.lower()}"
    if change.week is None or change.weekday is None:
        return f"{time} {_ordinal(change.day or 1)}"
    return f"{time} {_WEEKS[change.week - 1]} {_DAYS[change.weekday - 1]}"


def _ordinal(day: int) -> str:
    teens = 10 < day % 100 < 20
    return f"{day}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"
