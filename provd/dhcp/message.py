"""The datagram by which a DHCP server's hook tells of an event (contract: processing §10.2).

One datagram is one event: lines of UTF-8, each ended by a newline, empty ones ignored. The first is
the operation (commit, expiry or release), the second the IP address. A commit goes on with the MAC
and then one line for each option that the phone sent: its code in three decimal digits and right
after them its bytes in hexadecimal, separated by dots.
"""

from __future__ import annotations

from provd.errors import InvalidDocument
from provd.model.dhcpinfo import DhcpInfo, parse_dhcp_info

MAX_BYTES = 2048


def parse(datagram: bytes) -> DhcpInfo:
    """Return the event that a datagram tells of; InvalidDocument says what is wrong."""
    if len(datagram) > MAX_BYTES:
        raise InvalidDocument(f"longer than {MAX_BYTES} bytes")
    try:
        text = datagram.decode()
    except UnicodeDecodeError as exc:
        raise InvalidDocument("not UTF-8") from exc
    lines = list(filter(None, text.split("\n")))
    if len(lines) < 2:
        raise InvalidDocument("an operation and an IP address are needed")
    operation, ip, *rest = lines
    if operation != "commit":
        return parse_dhcp_info(operation, ip, None, ())
    if not rest:
        raise InvalidDocument("a commit needs a MAC address")
    return parse_dhcp_info(operation, ip, rest[0], rest[1:])


def build(info: DhcpInfo) -> bytes:
    """Return the datagram that tells of an event; it may be longer than a receiver takes."""
    lines = [info.operation, info.ip]
    if info.operation == "commit" and info.mac is not None:
        lines.append(info.mac)
        lines += (
            f"{code:03d}{'.'.join(f'{ord(char):x}' for char in value)}"
            for code, value in info.options.items()
        )
    return "".join(f"{line}\n" for line in lines).encode()
