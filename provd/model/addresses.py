"""MAC addresses, IPv4 addresses, UUIDs, and the bytes or text they arrive in."""

from __future__ import annotations

import re
import socket
from typing import Any

_NORMED_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_BARE_MAC = re.compile(r"[0-9A-Fa-f]{12}")
_SEPARATED_MAC = re.compile(r"[0-9A-Fa-f]{1,2}([:-])[0-9A-Fa-f]{1,2}(?:\1[0-9A-Fa-f]{1,2}){4}")
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_NORMED_IP = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}")
# The C parser stops at white space and ignores what follows, so its alphabet is checked first.
_CLASSIC_IP = re.compile(r"[0-9A-Fa-fXx.]+")
_NORMED_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def is_normed_mac(value: object) -> bool:
    """Tell whether `value` is a MAC address as documents hold it: `00:1b:2c:3d:4e:5f`."""
    return isinstance(value, str) and _NORMED_MAC.fullmatch(value) is not None


def norm_mac(value: str) -> str:
    """Return a MAC address as documents hold it.

    Takes 12 digits, or 6 groups of 1 or 2 digits all separated by `:` or all by `-`.
    Raises ValueError for anything else.
    """
    return format_mac(value)


def format_mac(value: str, separator: str = ":", uppercase: bool = False) -> str:
    """Return a MAC address, in any form that `norm_mac` takes, as a phone wants it written."""
    return from_mac(to_mac(value), separator, uppercase)


def to_mac(value: str) -> str:
    """Return the 6 bytes of a MAC address as text of one character per byte."""
    if isinstance(value, str):
        if _BARE_MAC.fullmatch(value):
            return bytes.fromhex(value).decode("latin-1")
        if match := _SEPARATED_MAC.fullmatch(value):
            return "".join(chr(int(group, 16)) for group in value.split(match[1]))
    raise ValueError(
        f"not a MAC address: {value!r:.80}; allowed are forms such as 00:15:65:12:34:56, "
        "00-15-65-12-34-56 and 001565123456"
    )


def from_mac(packed: str | bytes, separator: str = ":", uppercase: bool = False) -> str:
    """Return as text the MAC address of 6 bytes, or of 6 characters below U+0100."""
    raw = packed.encode("latin-1") if isinstance(packed, str) else bytes(packed)
    if len(raw) != 6:
        raise ValueError(f"a MAC address has 6 bytes, not {len(raw)}")
    digits = "02X" if uppercase else "02x"
    return separator.join([format(byte, digits) for byte in raw])


def is_normed_ip(value: object) -> bool:
    """Tell whether `value` is a strict IPv4 dotted quad: no sign, space or leading zero."""
    return isinstance(value, str) and _NORMED_IP.fullmatch(value) is not None


def norm_ip(value: str) -> str:
    """Return as dotted quad any IPv4 address that the classic parser takes, such as `10.1`.

    Raises ValueError for anything else, IPv6 included.
    """
    return from_ip(to_ip(value))


def to_ip(value: str) -> bytes:
    """Return the 4 bytes of an IPv4 address, network order; raise ValueError if it is none."""
    if isinstance(value, str) and _CLASSIC_IP.fullmatch(value):
        try:
            return socket.inet_aton(value)
        except OSError:
            pass
    raise ValueError(f"not an IPv4 address: {value!r:.80}; allowed are forms such as 192.0.2.20")


def from_ip(packed: str | bytes) -> str:
    """Return as dotted quad the address of 4 bytes, or of 4 characters below U+0100."""
    raw = packed.encode("latin-1") if isinstance(packed, str) else bytes(packed)
    if len(raw) != 4:
        raise ValueError(f"an IPv4 address has 4 bytes, not {len(raw)}")
    return socket.inet_ntoa(raw)


def is_normed_uuid(value: object) -> bool:
    """Tell whether `value` is a UUID in lower case with its hyphens."""
    return isinstance(value, str) and _NORMED_UUID.fullmatch(value) is not None


def norm_uuid(value: str) -> str:
    """Return a hyphenated UUID in lower case; raise ValueError if it is none."""
    if isinstance(value, str):
        lowered = value.lower()
        if _NORMED_UUID.fullmatch(lowered):
            return lowered
    raise ValueError(f"not a UUID: {value!r:.80}")


def decode_bytes(value: str | bytes) -> str:
    """Return text, decoding UTF-8; bytes that are no UTF-8 become U+FFFD, as phones send any."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def encode_bytes(value: str | bytes) -> bytes:
    """Return bytes, encoding text as UTF-8."""
    return value.encode() if isinstance(value, str) else value


def decode_value(value: Any) -> Any:
    """Return `value` with all bytes decoded, also inside lists and dicts, keys included."""
    if isinstance(value, bytes):
        return decode_bytes(value)
    if isinstance(value, list):
        return [decode_value(member) for member in value]
    if isinstance(value, dict):
        return {decode_value(key): decode_value(member) for key, member in value.items()}
    return value
