"""The server side of one read request, as a machine without I/O.

The rules, and where they come from:

- A block of fewer bytes than the block size ends the file, so a file that is an exact multiple of
  it, or empty, ends with an empty block (RFC 1350 section 2). Nothing follows the last ACK.
- Block numbers have 16 bits; after 65535 comes 0. Inside, blocks are counted without wrapping.
- An option the server cannot take is left out of the OACK as if it had not been asked for
  (RFC 2347). With no option left the first answer is DATA 1. An OACK counts as block 0: the
  client acknowledges it, and it is resent like a block.
- blksize 8 to 65464 (RFC 2348), windowsize 1 to 65535 (RFC 7440): the answer may be smaller.
  timeout 1 to 255 seconds: the answer must be the same. tsize: the answer is the size, if it is
  known (RFC 2349).
- DATA goes out when an ACK names new blocks, or when the clock says so, and never for another
  reason. A repeated ACK, or one of blocks acknowledged before, brings none: answering it would
  double every packet until the end of the file, the Sorcerer's Apprentice bug (RFC 1123 section
  4.2.3.1). An ACK of a block that was not sent ends the transfer.
- An ACK inside a window says that the next block was lost: the window starts anew after the block
  it names (RFC 7440 section 4). Where that block was sent twice already, the ACK may be of a copy;
  the window starts anew all the same, but only so often until a whole window is acknowledged, so
  that a client which acknowledges each block by itself cannot have everything many times.
- What is not acknowledged in time is sent again, after an interval that doubles with each copy up
  to a bound (RFC 1123 section 4.2.3.2). The first interval is the agreed timeout, which rules the
  OACK too; without one it is what the measured round trips say, a second at least (RFC 6298). A
  round trip is measured by blocks sent once, and until one is, a longer interval stays (Karn's
  rule), unless the ACK follows the copy so fast that it cannot well be of the first one.
- A repeated ACK that no copy explains shows that the client is there and waits: the next copy then
  comes no later than after the first interval, which does not double for it.
- A client that never answered gets four copies of one packet. One that did may be silent for a
  minute, while it writes its flash, and keeps its transfer.

Times are seconds of any clock that only the caller knows.
"""

from collections.abc import Callable, Mapping, Sequence

import attrs

from provd.tftp import packet

DEFAULT_BLKSIZE = 512
MIN_BLKSIZE = 8
MAX_BLKSIZE = 65464
MIN_INTERVAL = 1.0
"""The least first interval of retransmission, in seconds (RFC 6298 section 2)."""
MAX_FIRST_INTERVAL = 60.0
FAST_ROUND_TRIP = 0.05
"""Round trips up to this need no arithmetic, in seconds."""
MAX_INTERVAL = 8.0
"""Up to where the interval grows, or to twice the first one where that is more."""
MIN_COPIES = 4
"""How often a packet is sent before the client is given up."""
MAX_SILENCE = 60.0
"""How long a client that has answered before may make no progress, in seconds."""
MAX_RESTARTS = 2
"""How often a window starts anew at blocks sent twice before a whole one is acknowledged."""
MAX_WINDOW_BYTES = 128 * 1024
"""A window is kept in memory and fits a socket's send buffer, so its byte size is bounded too."""


@attrs.define
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
    progressed_at: float = attrs.field(init=False, default=0.0)
    """When the client acknowledged new blocks last, at first the start."""
    retransmissions: int = attrs.field(init=False, default=0)
    """Datagrams that were sent again."""

    _oack: bytes | None = attrs.field(init=False, default=None)
    _acked: int = attrs.field(init=False, default=0)
    """The last block acknowledged, not wrapped; -1 while an OACK waits for its ACK."""
    _window: list[bytes] = attrs.field(init=False, factory=list)
    """What was sent and not acknowledged: the datagram of block `_acked` + 1 and those after it."""
    _next: bytes | None = attrs.field(init=False, default=None)
    """The datagram after the window, if it was prepared."""
    _copied: int = attrs.field(init=False, default=0)
    """How many blocks at the front of the window were sent more than once, or before the rest."""
    _copies: int = attrs.field(init=False, default=0)
    """How many copies of blocks of the window were sent."""
    _echoes: int = attrs.field(init=False, default=0)
    """How many repetitions of the last ACK are explained by copies that we sent.

    After the first interval they have come.
    """
    _restarts: int = attrs.field(init=False, default=0)
    _tries: int = attrs.field(init=False, default=0)
    """How often the window was sent since the last progress."""
    _is_waiting: bool = attrs.field(init=False, default=False)
    """Whether the client has repeated itself since the window was sent last."""
    _at_end: bool = attrs.field(init=False, default=False)
    _payload_bytes: int = attrs.field(init=False, default=0)
    _copied_at: float = attrs.field(init=False, default=0.0)
    """When the clock sent the window again."""
    _agreed_timeout: float | None = attrs.field(init=False, default=None)
    _first_interval: float = attrs.field(init=False, default=MIN_INTERVAL)
    _interval: float = attrs.field(init=False, default=MIN_INTERVAL)
    """How long to wait for an ACK before the next copy."""
    _round_trip: float = attrs.field(init=False, default=0.0)
    _variation: float = attrs.field(init=False, default=0.0)
    _usual_round_trip: float = attrs.field(init=False, default=0.0)
    """What few round trips exceed."""

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
        if self._agreed_timeout is not None:
            self._first_interval = self._interval = self._agreed_timeout
        if self._oack:
            self._acked = -1
            self._window.append(self._oack)
        else:
            self._fill()
        self._progress(now)
        return Send(tuple(self._window))

    def ack_received(self, block: int, now: float) -> Action | None:
        """Return what an ACK asks for; None if it says nothing new."""
        advance = (block - self._acked) & 0xFFFF
        following = self._next
        if (
            advance == 1
            and following is not None
            and not self._copies
            and now - self.progressed_at <= FAST_ROUND_TRIP
            and self._usual_round_trip <= FAST_ROUND_TRIP
        ):
            # Lock step, and nothing was lost: what `_advance` does, without what it has to ask.
            self._acked += 1
            self._window[0] = following
            self._next = None
            self._echoes = 0
            self._is_waiting = False
            self._interval = self._first_interval
            self.progressed_at = now
            self.deadline = now + self._interval
            return Send((following,))
        if 0 < advance <= len(self._window):
            return self._advance(advance, now)
        behind = -advance & 0xFFFF
        if behind > 0x7FFF or behind > self._acked:
            return Abort(
                f"acknowledgement of block {block}, which was not sent",
                packet.error(packet.ErrorCode.ILLEGAL_OPERATION, "Illegal block number"),
            )
        if not behind:
            if self._echoes:
                self._echoes -= 1
            else:
                self._is_waiting = True
                self.deadline = min(self.deadline, now + self._first_interval)
        return None

    def timer_fired(self, now: float) -> Action | None:
        """Return what the passing of time asks for; None before `deadline`."""
        if now < self.deadline:
            return None
        if self._tries >= MIN_COPIES and (
            not self.is_acknowledged or now >= self.progressed_at + MAX_SILENCE
        ):
            return Abort("no answer from the client")
        self._tries += 1
        self._echoes = 0
        if self._is_waiting:
            self._is_waiting = False
            self._interval = self._first_interval
        else:
            longest = max(MAX_INTERVAL, 2 * self._first_interval)
            self._interval = min(self._interval * 2, longest)
        self._copied_at = now
        self.deadline = now + self._interval
        self._copied = len(self._window)
        self._copies += self._copied
        self.retransmissions += self._copied
        return Send(tuple(self._window))

    def prepare(self) -> None:
        """Read what the next ACK will want, while the client works; raises what the file raises.

        In lock step this shortens every round trip. A window has the client's time anyway, and a
        client that has not answered yet may never do.
        """
        if self.windowsize == 1 and self._acked > 0 and not self._at_end and self._next is None:
            self._next = self._read_block(self._acked + 2)

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
        if self._next is not None:
            window.append(self._next)
            self._next = None
        number = self._acked + len(window)
        while len(window) < self.windowsize and not self._at_end:
            number += 1
            window.append(self._read_block(number))

    def _read_block(self, number: int) -> bytes:
        payload = self._read(self.blksize)
        while len(payload) < self.blksize:
            more = self._read(self.blksize - len(payload))
            if not more:
                self._at_end = True
                break
            payload += more
        self._payload_bytes += len(payload)
        return packet.data(number, payload)

    def _advance(self, advance: int, now: float) -> Action | None:
        window = self._window
        if advance > self._copied:
            self._measure(now - self.progressed_at)
        elif now - self._copied_at <= max(self._usual_round_trip, FAST_ROUND_TRIP):
            self._interval = self._first_interval
        self._acked += advance
        self._echoes = self._copies
        del window[:advance]
        kept = len(window)
        if not self._at_end or self._next is not None:
            self._fill()
        if not window:
            return Finish()
        if not kept:
            self._copied = self._copies = self._restarts = 0
        elif advance > self._copied or self._restarts < MAX_RESTARTS:
            self._restarts += advance <= self._copied
            self._copied = self._copies = kept
            self.retransmissions += kept
            kept = 0
        else:
            self._copied = self._copies = kept
        self._progress(now)
        return Send(tuple(window[kept:])) if kept < len(window) else None

    def _progress(self, now: float) -> None:
        self._tries = 1
        self._is_waiting = False
        self.progressed_at = now
        self.deadline = now + self._interval

    def _measure(self, sample: float) -> None:
        # While all are fast, what they are exactly changes nothing.
        if sample > FAST_ROUND_TRIP or self._usual_round_trip > FAST_ROUND_TRIP:
            if not self._round_trip:
                self._round_trip = sample
                self._variation = sample / 2
            else:
                difference = sample - self._round_trip
                self._variation += (abs(difference) - self._variation) / 4
                self._round_trip += difference / 8
            self._usual_round_trip = self._round_trip + 4 * self._variation
            if self._agreed_timeout is None:
                interval = max(self._usual_round_trip, MIN_INTERVAL)
                self._first_interval = min(interval, MAX_FIRST_INTERVAL)
        self._interval = self._first_interval


def _decimal(value: bytes) -> int | None:
    return int(value) if value.isdigit() and len(value) <= 10 else None
