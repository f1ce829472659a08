"""SIP accounts of a phone, with every default applied (contract: documents §4.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import RawConfigParamError
from provd.model.documents import shown
from provd.plugin.phones.values import numbered, to_code, to_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provd.plugin.phones.values import Notes

SIP_PORT = 5060
SIPS_PORT = 5061
"""Default ports of SIP over UDP and TCP, and over TLS (RFC 3261 section 19.1.2)."""


@attrs.frozen
class Server:
    """A SIP server; `port` is never None, and the default one of the transport unless given."""

    host: str
    port: int
    has_own_port: bool = False
    """Whether the port was given, and not the default."""

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@attrs.frozen
class Servers:
    """Where an account registers and sends its calls."""

    proxy: Server
    backup_proxy: Server | None
    registrar: Server
    """The proxy, unless another one is given."""
    backup_registrar: Server | None
    outbound_proxy: Server | None


@attrs.frozen
class Account:
    """A SIP account. What is None is to be cleared on the phone."""

    number: int
    """Of the line, from 1."""
    servers: Servers
    transport: Any
    dtmf: Any
    srtp: Any
    """Codes of the vendor, by the tables `transport`, `dtmf` and `srtp` of its family."""
    transport_name: str
    dtmf_mode: str | None
    srtp_mode: str
    """The same as the raw config says them."""
    username: str | None
    auth_username: str | None
    password: str | None
    display_name: str | None
    extension: str | None
    """What others dial, `number` of the line."""
    voicemail: str | None
    is_autoprov: bool = False
    """Whether it is the account of phones that are nobody's yet."""

    @property
    def name(self) -> str | None:
        """Display name, else extension, else user name."""
        return self.display_name or self.extension or self.username


@attrs.frozen
class SipCodes:
    """The vendor's codes for standard values; the key `default` is for an absent value."""

    transport: Mapping[str, Any]
    dtmf: Mapping[str, Any]
    srtp: Mapping[str, Any]


def _text(value: Any) -> str | None:
    return None if value is None or value == "" else str(value)


def is_autoprov(username: str | None) -> bool:
    """Tell whether phones that are nobody's yet share this account.

    It is called `autoprov`, or what a Wazo platform makes of it: `ap` and eight more characters
    (contract: processing §10).
    """
    return username == "autoprov" or (
        username is not None and username.startswith("ap") and len(username) == 10
    )


def _port(value: Any, parameter: str) -> int:
    port = to_number(str(value))
    if port is None or not 1 <= port <= 65535:
        raise RawConfigParamError(f"{parameter}: {shown(value)} is not a port from 1 to 65535")
    return port


def find_server(
    raw_config: Mapping[str, Any], line: Mapping[str, Any], number: int, role: str, default: int
) -> Server | None:
    """Return the server of a line in a `role` such as `backup_proxy`, None if there is none.

    A port of the whole phone (`sip_proxy_port`) goes with the address of the whole phone only.
    """
    shared = raw_config.get(f"sip_{role}_ip")
    host = line.get(f"{role}_ip") or shared
    if not host:
        return None
    for owner, name in (
        (line, f"{role}_port"),
        (raw_config if host == shared else {}, f"sip_{role}_port"),
    ):
        if owner.get(name):
            where = name if owner is raw_config else f"sip_lines.{number}.{name}"
            return Server(str(host), _port(owner[name], where), has_own_port=True)
    return Server(str(host), default)


def _servers(raw_config: Mapping[str, Any], line: Mapping[str, Any], number: int) -> Servers:
    transport = raw_config.get("sip_transport") or "udp"
    default = SIPS_PORT if transport == "tls" else SIP_PORT

    def find(role: str) -> Server | None:
        return find_server(raw_config, line, number, role, default)

    proxy = find("proxy")
    if proxy is None:
        raise RawConfigParamError(f"sip_lines.{number}: neither proxy_ip nor sip_proxy_ip")
    backup = find("backup_proxy")
    return Servers(
        proxy,
        backup,
        _registrar(find("registrar"), proxy) or proxy,
        _registrar(find("backup_registrar"), backup),
        find("outbound_proxy"),
    )


def _registrar(registrar: Server | None, proxy: Server | None) -> Server | None:
    """Return `registrar`; the proxy where none is given, or the same one without a port."""
    if registrar is None:
        return proxy
    if proxy is not None and registrar.host == proxy.host and not registrar.has_own_port:
        return proxy
    return registrar


def accounts_of(
    raw_config: Mapping[str, Any], limit: int | None, codes: SipCodes, notes: Notes
) -> dict[int, Account]:
    """Return the accounts of `sip_lines` by number; those above `limit` are left out and noted.

    RawConfigParamError names a line without a proxy, or a value that the phone does not know.
    """
    accounts = {}
    transport = str(raw_config.get("sip_transport") or "udp")
    for number, line in numbered(raw_config.get("sip_lines") or {}, "sip_lines"):
        if limit is not None and number > limit:
            notes.add(f"line {number} is left out: the phone has {limit}")
            continue
        where = f"sip_lines.{number}"
        dtmf_mode = _text(line.get("dtmf_mode") or raw_config.get("sip_dtmf_mode"))
        srtp_mode = str(line.get("srtp_mode") or raw_config.get("sip_srtp_mode") or "disabled")
        username = _text(line.get("username"))
        accounts[number] = Account(
            number=number,
            servers=_servers(raw_config, line, number),
            transport=to_code(codes.transport, transport, "sip_transport"),
            dtmf=to_code(codes.dtmf, dtmf_mode, f"{where}.dtmf_mode"),
            srtp=to_code(codes.srtp, srtp_mode, f"{where}.srtp_mode"),
            transport_name=transport,
            dtmf_mode=dtmf_mode,
            srtp_mode=srtp_mode,
            username=username,
            auth_username=_text(line.get("auth_username")) or username,
            password=_text(line.get("password")),
            display_name=_text(line.get("display_name")),
            extension=_text(line.get("number")),
            voicemail=_text(line.get("voicemail") or raw_config.get("exten_voicemail")),
            is_autoprov=is_autoprov(username),
        )
    return accounts
