"""The server side of one read request, as a machine without I/O.

The rules, and where they come from:

- A block of fewer bytes than the block size ends the file, so a file that is an exact multiple of
  it, or empty, ends with an empty block (RFC 1350 section 2). Nothing follows the last ACK.
- Block numbers have 16 bits; after 65535 comes 0. Inside, blocks are counted without wrapping.
- An option the server cannot take is left out of the OACK as if it had not been asked for
  (RFC 2347). With no option left the first answer is DATA 1. An OACK counts as block 0: the
  client acknowledges it, and it is resent like a block.
- blksize 8 to 65464 (RFC 2348), windowsize 1 to 65535 (RFC 7440): the answer may be smaller.
  timeout 1 to 255 seconds: the answer must be the same; it rules once the client has it. tsize:
  the answer is the size, if it is known (RFC 2349).
- An ACK inside a window says that the next block was lost: the window starts anew after the block
  it names (RFC 7440 section 4). Unless we sent that block twice: then the ACK may answer the copy,
  and only what the window newly holds is sent.
- An ACK of the last acknowledged block, repeated, means that the client waits for what follows:
  it is resent, once. But a client also acknowledges every copy it gets, so as many repetitions as
  we sent copies mean nothing. Answering these, or the ACK of a copy inside a window, would double
  every packet until the end of the file, the Sorcerer's Apprentice bug of RFC 1123 section 4.2.3.1.
- Older ACKs are late and say nothing. An ACK of a block that was not sent ends the transfer.
- What is not acknowledged in time is resent, and four timeouts of silence end the transfer. Once a
  round trip was measured, copies go out earlier than the timeout, after a delay that doubles
  (RFC 6298, with Karn's rule). These cost no patience: a phone that writes its flash for ten
  seconds keeps its transfer. A client that never answered gets four copies of one packet.

Times are seconds of any clock that only the caller knows.
"""

from collections.abc import Callable, Mapping, Sequence

import attrs

from provd.tftp import packet

DEFAULT_BLKSIZE = 512
MIN_BLKSIZE = 8
MAX_BLKSIZE = 65464
DEFAULT_TIMEOUT = 4.0
PATIENCE = 4
MIN_RESEND_DELAY = 0.25
MAX_WINDOW_BYTES = 128 * 1024
"""A window is kept in memory and fits a socket's send buffer, so its byte size is bounded too."""


@attrs.frozen
class Send:
    """Send these datagrams in order; `deadline` of the transfer has changed."""

    datagrams: Sequence[bytes]


@attrs.frozen
class Finish:
    """The client has the whole file."""


@attrs.frozen
class Abort:
    """The transfer has failed; `datagram`, if any, tells the client."""

    reason: str
    datagram: bytes | None = None


Action = Send | Finish | Abort


@attrs.frozen
class Limits:
    """What the server agrees to at most."""

    max_blksize: int = attrs.field(
        default=MAX_BLKSIZE,
        validator=[attrs.validators.ge(MIN_BLKSIZE), attrs.validators.le(MAX_BLKSIZE)],
    )
    max_windowsize: int = attrs.field(
        default=64, validator=[attrs.validators.ge(1), attrs.validators.le(0xFFFF)]
    )


@attrs.define(eq=False)
class ReadTransfer:
    """Server side of one RRQ.

    `read(n)` gives the next bytes of the file, fewer than `n` only as a pipe does, none at its end;
    what it raises passes through. `size` is in bytes, None if nobody knows. Methods that return
    None ask for nothing. After Finish or Abort the transfer takes no further event.
    """

    _read: Callable[[int], bytes]
    _size: int | None
    _options: Mapping[bytes, bytes]
    _limits: Limits

    blksize: int = attrs.field(init=False, default=DEFAULT_BLKSIZE)
    windowsize: int = attrs.field(init=False, default=1)
    deadline: float = attrs.field(init=False, default=0.0)
    """When `timer_fired` is to be called."""
    retransmissions: int = attrs.field(init=False, default=0)
    """Datagrams that were sent again."""

    _oack: bytes | None = attrs.field(init=False, default=None)
    _acked: int = attrs.field(init=False, default=0)
    """The last block acknowledged, not wrapped; -1 while an OACK waits for its ACK."""
    _window: list[bytes] = attrs.field(init=False, factory=list)
    """What was sent and not acknowledged: the datagram of block `_acked` + 1 and those after it."""
    _surplus: int = attrs.field(init=False, default=0)
    """How many copies of blocks of the window were sent."""
    _resent: int = attrs.field(init=False, default=0)
    """How many blocks at the front of the window they repeat."""
    _echoes: int = attrs.field(init=False, default=0)
    """How many repetitions of the last ACK are explained by copies that we sent."""
    _nudged: bool = attrs.field(init=False, default=False)
    """Whether a repeated ACK has made us resend the window."""
    _at_end: bool = attrs.field(init=False, default=False)
    _payload_bytes: int = attrs.field(init=False, default=0)
    _sent_at: float = attrs.field(init=False, default=0.0)
    _timeout: float = attrs.field(init=False, default=DEFAULT_TIMEOUT)
    _agreed_timeout: float = attrs.field(init=False, default=DEFAULT_TIMEOUT)
    _delay: float = attrs.field(init=False, default=DEFAULT_TIMEOUT)
    """How long to wait for an ACK before the next copy, if that is less than the timeout."""
    _round_trip: float | None = attrs.field(init=False, default=None)
    _variation: float = attrs.field(init=False, default=0.0)

    @property
    def is_acknowledged(self) -> bool:
        """Whether the client has answered, which proves its address and that it knows our TID."""
        return self._acked >= (0 if self._oack else 1)

    @property
    def blocks(self) -> int:
        """How many blocks of the file the client has."""
        return max(self._acked, 0)

    @property
    def bytes_acknowledged(self) -> int:
        """How many bytes of the file the client has."""
        return min(self.blocks * self.blksize, self._payload_bytes)

    def start(self, now: float) -> Send:
        """Return the OACK, or the first block if no option was agreed."""
        self._oack = self._negotiate()
        if self._oack:
            self._acked = -1
            self._window.append(self._oack)
        else:
            self._fill()
        return self._send_window(now)

    def ack_received(self, block: int, now: float) -> Action | None:
        """Return what an ACK asks for; None if it is late or explained by a copy."""
        advance = (block - self._acked) & 0xFFFF
        window = self._window
        if 0 < advance <= len(window):
            if not self._surplus:
                self._measure(now - self._sent_at)
            if self._acked < 0:
                self._timeout = self._agreed_timeout
            self._acked += advance
            del window[:advance]
            kept = len(window)
            if not self._at_end:
                self._fill()
            if not window:
                return Finish()
            self._nudged = False
            self._echoes = self._surplus
            if kept and advance <= self._resent:
                self._resent -= advance
                self._surplus = self._resent
                return self._send_window(now, kept)
            self._resent = self._surplus = kept
            self.retransmissions += kept
            return self._send_window(now)
        behind = -advance & 0xFFFF
        if behind > 0x7FFF or behind > self._acked:
            return Abort(
                f"acknowledgement of block {block}, which was not sent",
                packet.error(packet.ErrorCode.ILLEGAL_OPERATION, "Illegal block number"),
            )
        if behind or self._nudged:
            return None
        if self._echoes:
            self._echoes -= 1
            return None
        self._nudged = True
        return self._resend(now)

    def timer_fired(self, now: float) -> Action | None:
        """Return what the passing of time asks for; None before `deadline`."""
        if now < self.deadline:
            return None
        if now >= self._sent_at + PATIENCE * self._timeout:
            return Abort("no answer from the client")
        self._delay = min(self._delay * 2, self._timeout)
        return self._resend(now)

    def error_received(self, code: int, message: bytes) -> Abort:
        """Return the end of the transfer, as the client asks for."""
        return Abort(f"error {code} from the client: {message.decode('utf-8', 'replace')}")

    def _negotiate(self) -> bytes | None:
        agreed: dict[bytes, bytes] = {}
        for name, value in self._options.items():
            number = _decimal(value)
            if number is None:
                continue
            if name == b"blksize" and MIN_BLKSIZE <= number <= MAX_BLKSIZE:
                number = self.blksize = min(number, self._limits.max_blksize)
            elif name == b"windowsize" and 1 <= number <= 0xFFFF:
                number = self.windowsize = min(number, self._limits.max_windowsize)
            elif name == b"timeout" and 1 <= number <= 255:
                self._agreed_timeout = float(number)
            elif name == b"tsize" and self._size is not None:
                number = self._size
            else:
                continue
            agreed[name] = b"%d" % number
        if b"windowsize" in agreed:
            self.windowsize = max(1, min(self.windowsize, MAX_WINDOW_BYTES // self.blksize))
            agreed[b"windowsize"] = b"%d" % self.windowsize
        return packet.oack(agreed) if agreed else None

    def _fill(self) -> None:
        window = self._window
        number = self._acked + len(window)
        while len(window) < self.windowsize and not self._at_end:
            number += 1
            payload = self._read(self.blksize)
            while len(payload) < self.blksize:
                more = self._read(self.blksize - len(payload))
                if not more:
                    self._at_end = True
                    break
                payload += more
            self._payload_bytes += len(payload)
            window.append(packet.data(number, payload))

    def _send_window(self, now: float, first: int = 0) -> Send:
        self._sent_at = now
        self.deadline = now + min(self._delay, self._timeout)
        return Send(tuple(self._window[first:]))

    def _resend(self, now: float) -> Send:
        self._resent = len(self._window)
        self._surplus += self._resent
        self.retransmissions += self._resent
        delay = min(self._delay, self._timeout)
        self.deadline = min(now + delay, self._sent_at + PATIENCE * self._timeout)
        return Send(tuple(self._window))

    def _measure(self, sample: float) -> None:
        if self._round_trip is None:
            self._round_trip = sample
            self._variation = sample / 2
        else:
            difference = sample - self._round_trip
            self._variation += (abs(difference) - self._variation) / 4
            self._round_trip += difference / 8
        self._delay = max(self._round_trip + 4 * self._variation, MIN_RESEND_DELAY)


def _decimal(value: bytes) -> int | None:
    return int(value) if value.isdigit() and len(value) <= 10 else None
