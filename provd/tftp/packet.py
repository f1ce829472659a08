"""TFTP packets as values: bytes to packet, and packet fields to bytes.

Formats: RFC 1350 section 5, and RFC 2347 for options and their acknowledgement.

- Requests are NUL-terminated fields: file name, mode, then pairs of option name and value. Boot
  ROMs pad them and forget the last NUL, so what is clear is taken: an empty name is padding, the
  last field may end with the datagram, a name without a value is dropped, and of an option given
  twice the first counts (its acknowledgement tells the client which). A request without a mode is
  malformed.
- Option names compare without case (RFC 2347), so they are lowered here and nowhere else. File
  name, mode and values stay the bytes that came.
- Bytes after the block number of an ACK, or a missing NUL after an error message, are let through:
  they do no harm, and refusing them could only stop a phone from booting.
"""

import enum
import struct
from collections.abc import Mapping

import attrs

from provd.errors import PacketError


class Opcode(enum.IntEnum):
    """The first two bytes of every packet."""

    RRQ = 1
    WRQ = 2
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


class ErrorCode(enum.IntEnum):
    """Why a transfer is refused or broken off (RFC 1350 appendix, RFC 2347)."""

    UNDEFINED = 0
    FILE_NOT_FOUND = 1
    ACCESS_VIOLATION = 2
    DISK_FULL = 3
    ILLEGAL_OPERATION = 4
    UNKNOWN_TID = 5
    FILE_EXISTS = 6
    NO_SUCH_USER = 7
    OPTION_REFUSED = 8


@attrs.frozen
class ReadRequest:
    """A client asks for a file; `options` has lower-case names."""

    filename: bytes
    mode: bytes
    options: Mapping[bytes, bytes]


@attrs.frozen
class WriteRequest:
    """A client wants to store a file; `options` has lower-case names."""

    filename: bytes
    mode: bytes
    options: Mapping[bytes, bytes]


@attrs.frozen
class Data:
    """One block of the file."""

    block: int
    payload: bytes


@attrs.frozen
class Ack:
    """The blocks up to this one have come; 0 answers an option acknowledgement."""

    block: int


@attrs.frozen
class Error:
    """The sender has closed the transfer, or never opened it."""

    code: int
    message: bytes


@attrs.frozen
class OptionAck:
    """The options the server agreed to, with lower-case names."""

    options: Mapping[bytes, bytes]


Packet = ReadRequest | WriteRequest | Data | Ack | Error | OptionAck

_HEADER = struct.Struct("!HH")
_read_header = _HEADER.unpack_from
_header = _HEADER.pack


def parse(datagram: bytes) -> Packet:
    """Return the packet that a datagram holds; raises PacketError if it holds none."""
    if len(datagram) < 4:
        raise PacketError(f"{len(datagram)} bytes are too few for a packet")
    opcode, number = _read_header(datagram)
    if opcode == 4:
        return Ack(number)
    if opcode == 3:
        return Data(number, datagram[4:])
    if opcode == 1:
        return ReadRequest(*_parse_request(datagram))
    if opcode == 5:
        return Error(number, datagram[4:].partition(b"\0")[0])
    if opcode == 2:
        return WriteRequest(*_parse_request(datagram))
    if opcode == 6:
        return OptionAck(_parse_options(_parse_fields(datagram)))
    raise PacketError(f"unknown opcode {opcode}")


def data(block: int, payload: bytes) -> bytes:
    """Return a DATA packet; `block` may be any count, its low 16 bits are sent."""
    return _header(3, block & 0xFFFF) + payload


def ack(block: int) -> bytes:
    """Return an ACK packet; `block` may be any count, its low 16 bits are sent."""
    return _header(4, block & 0xFFFF)


def ack_block(datagram: bytes) -> int | None:
    """Return the block number of an ACK, None for any other datagram."""
    if len(datagram) < 4:
        return None
    opcode, block = _read_header(datagram)
    return block if opcode == 4 else None


def error(code: int, message: str | bytes) -> bytes:
    """Return an ERROR packet; NUL bytes of the message, which would end it early, are left out."""
    if isinstance(message, str):
        message = message.encode("utf-8", "replace")
    return _header(5, code) + message.replace(b"\0", b"") + b"\0"


def oack(options: Mapping[bytes, bytes]) -> bytes:
    """Return an OACK packet that lists `options` in their own order."""
    return b"\0\6" + b"".join(b"%b\0%b\0" % option for option in options.items())


def request(
    opcode: Opcode, filename: bytes, mode: bytes, options: Mapping[bytes, bytes] | None = None
) -> bytes:
    """Return an RRQ or WRQ packet."""
    fields = [filename, mode]
    for option in (options or {}).items():
        fields += option
    return b"\0%c" % opcode + b"".join(b"%b\0" % field for field in fields)


def is_request(datagram: bytes) -> bool:
    """Tell whether a datagram, malformed or not, wants to be a request."""
    return datagram.startswith((b"\0\1", b"\0\2"))


def _parse_fields(datagram: bytes) -> list[bytes]:
    fields = datagram[2:].split(b"\0")
    if not fields[-1]:
        fields.pop()
    return fields


def _parse_request(datagram: bytes) -> tuple[bytes, bytes, dict[bytes, bytes]]:
    fields = _parse_fields(datagram)
    if len(fields) < 2:
        raise PacketError("a request needs a file name and a mode")
    return fields[0], fields[1], _parse_options(fields[2:])


def _parse_options(fields: list[bytes]) -> dict[bytes, bytes]:
    options: dict[bytes, bytes] = {}
    rest = iter(fields)
    for name in rest:
        if not name:
            continue
        value = next(rest, None)
        if value is None:
            break
        options.setdefault(name.lower(), value)
    return options
