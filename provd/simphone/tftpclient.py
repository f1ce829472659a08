"""A TFTP client that reads files as phones do (RFC 1350, options of RFC 2347 to 2349).

It shares no code with the daemon's server, so that neither hides a fault of the other.
`ReadTransfer` holds the rules and no socket; `fetch` is its adapter. Rules worth telling:

- The server answers from a port of its own; the first one that answers is kept, packets from
  another are refused with error 5 and change nothing.
- A packet that came before is dropped: only our own timer sends an ACK again. So a network that
  doubles packets never makes both sides double them for ever (RFC 1123 section 4.2.3.1).
- Block numbers go from 65535 to 0.
- A file ends with a block that is shorter than the block size, maybe empty.
"""

from __future__ import annotations

import asyncio
import enum
import struct
from typing import TYPE_CHECKING, cast

from provd.simphone.fetch import FetchError, as_fetch_error, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provd.simphone.phone import Phone, Target

NO_ROOM, ILLEGAL_OPERATION, UNKNOWN_TID, BAD_OPTIONS = 3, 4, 5, 8
DEFAULT_BLOCK_SIZE = 512

_HEADER = struct.Struct("!HH")


class Opcode(enum.IntEnum):
    """What a packet is."""

    RRQ = 1
    DATA = 3
    ACK = 4
    ERROR = 5
    OACK = 6


def _error(code: int, message: str) -> bytes:
    return _HEADER.pack(Opcode.ERROR, code) + message.encode("ascii") + b"\0"


class ReadTransfer:
    """The client's side of one read; `last_sent` is what its timer sends again."""

    def __init__(
        self, filename: str, options: Mapping[str, int], write: Callable[[bytes], None]
    ) -> None:
        fields = [filename, "octet", *(text for o in options.items() for text in map(str, o))]
        self.last_sent = struct.pack("!H", Opcode.RRQ)
        self.last_sent += b"".join(field.encode("latin-1") + b"\0" for field in fields)
        self.is_done = False
        self._asked = options
        self._write = write
        self._block_size = DEFAULT_BLOCK_SIZE
        self._next_block = 1
        self._may_be_oack = bool(options)
        self._announced: int | None = None
        self._size = 0

    def received(self, datagram: bytes) -> bytes | None:
        """Return what to send to the server now, if anything.

        Raises TransferError when the transfer failed.
        """
        if len(datagram) < 4:
            return None
        opcode, number = _HEADER.unpack_from(datagram)
        match opcode:
            case Opcode.DATA:
                return self._data_received(number, datagram[4:])
            case Opcode.ERROR:
                message = datagram[4:].partition(b"\0")[0].decode("utf-8", "replace")
                raise TransferError(f"TFTP error {number}", printable(message))
            case Opcode.OACK:
                return self._oack_received(datagram[2:])
            case _:
                raise TransferError(
                    "bad TFTP", f"opcode {opcode}", _error(ILLEGAL_OPERATION, "unexpected packet")
                )

    def _data_received(self, block: int, data: bytes) -> bytes | None:
        if block != self._next_block:
            return None
        if len(data) > self._block_size:
            raise TransferError(
                "bad TFTP", "block too long", _error(ILLEGAL_OPERATION, "block too long")
            )
        self._may_be_oack = False
        try:
            self._write(data)
        except (FetchError, OSError) as exc:
            raise TransferError(
                exc.reason if isinstance(exc, FetchError) else as_fetch_error(exc).reason,
                farewell=_error(NO_ROOM, "no room"),
            ) from exc
        self._size += len(data)
        self._next_block = (block + 1) & 0xFFFF
        self.last_sent = _HEADER.pack(Opcode.ACK, block)
        if len(data) < self._block_size:
            if self._announced not in {None, self._size}:
                raise TransferError(
                    "truncated", f"{self._size} bytes instead of {self._announced}", self.last_sent
                )
            self.is_done = True
        return self.last_sent

    def _oack_received(self, body: bytes) -> bytes | None:
        if not self._asked:
            raise TransferError(
                "bad TFTP", "OACK not asked for", _error(BAD_OPTIONS, "no option was asked for")
            )
        if not self._may_be_oack:
            return None
        accepted = self._parse_options(body)
        self._block_size = accepted.get("blksize", DEFAULT_BLOCK_SIZE)
        self._announced = accepted.get("tsize")
        self._may_be_oack = False
        self.last_sent = _HEADER.pack(Opcode.ACK, 0)
        return self.last_sent

    def _parse_options(self, body: bytes) -> dict[str, int]:
        fields = body.split(b"\0")
        accepted: dict[str, int] = {}
        if len(fields) % 2 == 0 or fields[-1]:
            raise self._refuse("malformed OACK")
        for name_bytes, value in zip(fields[:-1:2], fields[1::2], strict=True):
            name = name_bytes.decode("latin-1").lower()
            if name not in self._asked or name in accepted:
                raise self._refuse(f"option {printable(name, 20)!a}")
            if not value.isdigit() or len(value) > 18:
                raise self._refuse(f"value of {name}")
            accepted[name] = int(value)
        if not 8 <= accepted.get("blksize", 8) <= self._asked.get("blksize", 8):
            raise self._refuse("value of blksize")
        if accepted.get("timeout", 0) != self._asked.get("timeout", 0) and "timeout" in accepted:
            raise self._refuse("value of timeout")
        return accepted

    @staticmethod
    def _refuse(why: str) -> TransferError:
        return TransferError("bad TFTP", why, _error(BAD_OPTIONS, why))


class TransferError(FetchError):
    """A transfer failed; `farewell` is the packet that tells the server, or empty."""

    def __init__(self, reason: str, detail: str = "", farewell: bytes = b"") -> None:
        super().__init__(reason, detail)
        self.farewell = farewell


class _Adapter(asyncio.DatagramProtocol):
    """Moves datagrams between a socket and a transfer, and runs its timer."""

    def __init__(self, transfer: ReadTransfer, target: Target) -> None:
        self._loop = asyncio.get_running_loop()
        self.finished: asyncio.Future[None] = self._loop.create_future()
        self._transfer = transfer
        self._target = target
        self._peer = (target.address, target.port)
        self._is_peer_known = False
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, not an assert: asyncio's own transport is not of this class before Python 3.12.
        self._transport = cast("asyncio.DatagramTransport", transport)
        self._send_again()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        assert self._transport is not None
        if self.finished.done() or addr[0] != self._target.address:
            return
        peer = addr[:2]
        if not self._is_peer_known:
            self._peer = peer
            self._is_peer_known = True
        elif peer != self._peer:
            self._transport.sendto(_error(UNKNOWN_TID, "unknown transfer"), addr)
            return
        try:
            reply = self._transfer.received(data)
        except TransferError as exc:
            if exc.farewell:
                self._transport.sendto(exc.farewell, self._peer)
            self.finished.set_exception(exc)
            return
        if reply is not None:
            self._transport.sendto(reply, self._peer)
            self._start_timer()
        if self._transfer.is_done:
            self.finished.set_result(None)

    def error_received(self, exc: Exception) -> None:
        if not self.finished.done():
            self.finished.set_exception(exc)

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _send_again(self) -> None:
        assert self._transport is not None
        self._transport.sendto(self._transfer.last_sent, self._peer)
        self._start_timer()

    def _start_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._target.retransmit, self._send_again)


class TftpClient:
    """The TFTP side of one phone: a socket for each file."""

    def __init__(self, phone: Phone, target: Target) -> None:
        self._phone = phone
        self._target = target

    async def fetch(self, path: str, write: Callable[[bytes], None]) -> None:
        """Read one file; raises FetchError or OSError."""
        target = self._target
        filename = f"{target.prefix}/{path}".lstrip("/")
        transfer = ReadTransfer(filename, target.tftp_options, write)
        source = self._phone.source_ip
        transport, adapter = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: _Adapter(transfer, target),
            local_addr=None if source is None else (source, 0),
            family=target.family,
        )
        try:
            await adapter.finished
        finally:
            transport.close()
