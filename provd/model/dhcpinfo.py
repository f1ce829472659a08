"""What a DHCP server tells of one of its clients (contract: REST API §3.4, processing §10)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import InvalidDocument
from provd.model.addresses import norm_ip, norm_mac

if TYPE_CHECKING:
    from collections.abc import Sequence

_BYTE = re.compile("[0-9A-Fa-f]{1,2}")

OPERATIONS = ("commit", "expiry", "release")


@attrs.frozen
class DhcpInfo:
    """One event; `mac` and `options` are there for a commit only."""

    operation: str
    ip: str
    mac: str | None = None
    options: dict[int, str] = attrs.field(factory=dict)
    """Option code → value, one character a byte."""


def parse_option(text: object) -> tuple[int, str]:
    """Return code and value of an option such as `06041.62`: three digits, then hex bytes."""
    if (
        not isinstance(text, str)
        or len(text) < 3
        or not (text[:3].isascii() and text[:3].isdigit())
    ):
        raise InvalidDocument("options: an option begins by its code, three decimal digits")
    code = int(text[:3])
    if code > 255:
        raise InvalidDocument(f"options: {code} is not an option code; allowed are 0 to 255")
    pieces = text[3:].split(".") if text[3:] else []
    if not all(map(_BYTE.fullmatch, pieces)):
        raise InvalidDocument(
            f"options: option {code} is not bytes in hexadecimal, separated by dots"
        )
    return code, "".join(chr(int(piece, 16)) for piece in pieces)


def parse_dhcp_info(operation: Any, ip: Any, mac: Any, options: Sequence[Any] | Any) -> DhcpInfo:
    """Return the event, its addresses normalised; InvalidDocument says what is wrong."""
    if operation not in OPERATIONS:
        raise InvalidDocument("invalid operation value")
    try:
        address = norm_ip(ip)
    except (TypeError, ValueError, AttributeError):
        raise InvalidDocument("ip: not an IPv4 address") from None
    if operation != "commit":
        return DhcpInfo(operation, address)
    try:
        hardware = norm_mac(mac)
    except (TypeError, ValueError, AttributeError):
        raise InvalidDocument("mac: not a MAC address") from None
    if not isinstance(options, list | tuple):
        raise InvalidDocument("options: not a list")
    return DhcpInfo(operation, address, hardware, dict(map(parse_option, options)))
