"""TFTP packets as dicts, each with an `opcode` of two bytes.

RRQ and WRQ have `filename`, `mode` and `options`; DATA has `blkno` (two bytes) and `data`; ACK has
`blkno`; ERROR has `errcode` (two bytes) and `errmsg`; OACK has `options`. All values are bytes; an
option to be sent may be a number too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.errors import PacketError
from provd.tftp import packet as wire

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ERR_ACCESS",
    "ERR_ALLOC",
    "ERR_FEXIST",
    "ERR_FNF",
    "ERR_ILL",
    "ERR_NO_USER",
    "ERR_UNDEF",
    "ERR_UNKNWN_TID",
    "OP_ACK",
    "OP_DATA",
    "OP_ERR",
    "OP_OACK",
    "OP_RRQ",
    "OP_WRQ",
    "Packet",
    "PacketError",
    "build_dgram",
    "data_packet",
    "err_packet",
    "oack_packet",
    "parse_dgram",
]

OP_RRQ = b"\x00\x01"
OP_WRQ = b"\x00\x02"
OP_DATA = b"\x00\x03"
OP_ACK = b"\x00\x04"
OP_ERR = b"\x00\x05"
OP_OACK = b"\x00\x06"

ERR_UNDEF = b"\x00\x00"
ERR_FNF = b"\x00\x01"
ERR_ACCESS = b"\x00\x02"
ERR_ALLOC = b"\x00\x03"
ERR_ILL = b"\x00\x04"
ERR_UNKNWN_TID = b"\x00\x05"
ERR_FEXIST = b"\x00\x06"
ERR_NO_USER = b"\x00\x07"

Packet = dict[str, Any]


def _pair(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _number(pair: bytes | int) -> int:
    return pair if isinstance(pair, int) else int.from_bytes(pair, "big")


def _text(value: bytes | str | int) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _options(packet: Mapping[str, Any]) -> dict[bytes, bytes]:
    return {_text(name): _text(value) for name, value in packet.get("options", {}).items()}


def parse_dgram(dgram: bytes) -> Packet:
    """Return the packet that a datagram holds; PacketError if it holds none."""
    match wire.parse(dgram):
        case wire.ReadRequest(filename, mode, options):
            return _request(OP_RRQ, filename, mode, options)
        case wire.WriteRequest(filename, mode, options):
            return _request(OP_WRQ, filename, mode, options)
        case wire.Data(block, payload):
            return data_packet(_pair(block), payload)
        case wire.Ack(block):
            return {"opcode": OP_ACK, "blkno": _pair(block)}
        case wire.Error(code, message):
            return err_packet(_pair(code), message)
        case wire.OptionAck(options):
            return oack_packet(dict(options))


def _request(opcode: bytes, filename: bytes, mode: bytes, options: Mapping[bytes, bytes]) -> Packet:
    return {"opcode": opcode, "filename": filename, "mode": mode, "options": dict(options)}


def build_dgram(packet: Mapping[str, Any]) -> bytes:
    """Return the datagram of a packet; PacketError if it has an unknown opcode or lacks a part."""
    opcode = packet.get("opcode")
    try:
        if opcode in {OP_RRQ, OP_WRQ}:
            kind = wire.Opcode(_number(opcode))
            return wire.request(kind, packet["filename"], packet["mode"], _options(packet))
        if opcode == OP_DATA:
            return wire.data(_number(packet["blkno"]), packet["data"])
        if opcode == OP_ACK:
            return wire.ack(_number(packet["blkno"]))
        if opcode == OP_ERR:
            return wire.error(_number(packet["errcode"]), packet["errmsg"])
        if opcode == OP_OACK:
            return wire.oack(_options(packet))
    except KeyError as error:
        raise PacketError(f"the packet has no {error}") from error
    raise PacketError(f"unknown opcode {opcode!r}")


def err_packet(errcode: bytes, errmsg: bytes | str) -> Packet:
    """Return an ERROR packet."""
    return {"opcode": OP_ERR, "errcode": errcode, "errmsg": _text(errmsg)}


def data_packet(blkno: bytes, data: bytes) -> Packet:
    """Return a DATA packet."""
    return {"opcode": OP_DATA, "blkno": blkno, "data": data}


def oack_packet(options: Mapping[bytes, Any]) -> Packet:
    """Return an OACK packet."""
    return {"opcode": OP_OACK, "options": dict(options)}
