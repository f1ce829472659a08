"""The TFTP server: sockets, timers and limits around `transfer.ReadTransfer`.

Every transfer has a UDP socket of its own, whose port is our transfer identifier (RFC 1350
section 4). A storm has thousands of them and each costs a datagram or two per millisecond, so they
do not pass through the reactor one by one: all sockets are in one epoll set, and the reactor
watches that set as a single reader. Deadlines are compared by one repeating delayed call, which
runs only while a request or a transfer is open.

Sockets bind to the address that the request was sent to, so that a host with several addresses
answers from the one the phone knows.

Requests repeat. While one waits for its handler, or its first packet is not acknowledged, the same
request of the same address and port is that repetition and is ignored. After the first ACK it is a
new one, of a phone that rebooted and starts from the same port: it gets a transfer of its own, and
the client ends the one it does not know with an error packet.

At a limit of open requests a new one takes the place of one that its client has abandoned, as far
as can be told. At a source's limit that is one of its own; at the server's limit it is one of the
source that has most, if that has more than the new one's. So a source that begins reads and
abandons them keeps nobody from being served, itself included. Where every transfer is under way
there is no answer: phones repeat their request and are served a moment later, while many take an
error for an answer and give up. New requests are read after the packets of running transfers, which
make room for them.
"""

import contextlib
import functools
import io
import logging
import os
import select
import socket
import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from provd.errors import PacketError
from provd.tftp import netascii, packet
from provd.tftp.packet import ErrorCode
from provd.tftp.transfer import Abort, Action, Finish, Limits, ReadTransfer, Send

log = logging.getLogger(__name__)

Address = tuple[str, int]

OCTET = b"octet"
NETASCII = b"netascii"

ANSWER_SECONDS = 30.0
"""How long a handler may take to answer a request."""

NEVER_BEGUN_SECONDS = 1.0
ABANDONED_SECONDS = 10.0
"""At a limit, how long a client may be silent before its first ACK, and after it."""

_TICK_SECONDS = 0.1
_MAX_BYTES_TO_COUNT = 256 * 1024
_EVENTS_PER_WAKEUP = 64
_TURN_SECONDS = 0.002
_LINGER_MILLISECONDS = 1
_REQUESTS_PER_WAKEUP = 16
_MAX_REQUEST_BYTES = 2048
_MAX_REPLY_BYTES = 1024
_RECEIVE_BUFFER_BYTES = 1024 * 1024
_MAX_NOISY_SOURCES = 1024

_UNREADABLE = "reading %r for %s failed"

# Linux has these; Python 3.11 does not name the first.
_IP_PKTINFO = 8
_PKTINFO = struct.Struct("=I4s4s")  # interface, local address, address in the header
_ANCILLARY_BYTES = socket.CMSG_SPACE(_PKTINFO.size)


class BinaryFile(Protocol):
    """What `accept` takes."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, none at the end."""

    def close(self) -> None:
        """Release the file."""


class ReadHandler(Protocol):
    """What answers read requests."""

    def handle_read_request(self, request: dict[str, Any], response: "ReadResponse") -> None:
        r"""Call one of the response's methods, now or later.

        `request` is `{"address": (ip, port), "packet": {"opcode": b"\0\1", "filename": bytes,
        "mode": bytes, "options": {bytes: bytes}}}`, with option names in lower case.
        """


@attrs.frozen
class TransferResult:
    """How a request ended; `error` is None if the client acknowledged the whole file."""

    ok: bool
    bytes_sent: int
    blocks: int
    retransmissions: int
    seconds: float
    error: str | None


@attrs.frozen
class _Refusal:
    reason: str
    datagram: bytes | None


@attrs.define(eq=False)
class ReadResponse:
    """The answer to one read request: the first call decides, a second raises ValueError.

    `on_done` is called once with the TransferResult, whichever way the request ends. An answer that
    comes after the server gave up waiting is dropped, and its file closed.
    """

    _decide: Callable[[BinaryFile | _Refusal], None]
    on_done: Callable[[TransferResult], None] | None = None
    is_answered: bool = attrs.field(init=False, default=False)

    def accept(self, fobj: BinaryFile) -> None:
        """Send the rest of a binary file, which the server closes whatever happens."""
        try:
            self._answer()
        except ValueError:
            fobj.close()
            raise
        self._decide(fobj)

    def accept_bytes(self, content: bytes) -> None:
        """Send `content`."""
        self._answer()
        self._decide(io.BytesIO(content))

    def reject(self, errcode: bytes | int, errmsg: str | bytes) -> None:
        """Send an error packet; `errcode` is a number or its two bytes."""
        code = errcode if isinstance(errcode, int) else int.from_bytes(errcode, "big")
        text = errmsg if isinstance(errmsg, str) else errmsg.decode("utf-8", "replace")
        datagram = packet.error(code, errmsg)
        self._answer()
        self._decide(_Refusal(f"rejected: {text}", datagram))

    def ignore(self) -> None:
        """Send nothing."""
        self._answer()
        self._decide(_Refusal("ignored", None))

    def _answer(self) -> None:
        if self.is_answered:
            raise ValueError("this request has been answered already")
        self.is_answered = True


def _events_of(reactor: Any) -> "select.poll | None":
    """Return what waits for any event of the reactor; None if it is of a kind that cannot tell."""
    poller = getattr(reactor, "_poller", None)
    if not isinstance(poller, select.epoll):
        return None
    events = select.poll()
    events.register(poller.fileno(), select.POLLIN)
    return events


@implementer(IReadDescriptor)
class _SocketSet:
    """UDP sockets that the reactor watches as one reader.

    In lock step the next ACK comes some microseconds after the block, much sooner than the reactor
    would look for it. So after serving transfers this waits a moment for any event of the whole
    reactor, whose epoll set can itself be waited for. If more transfers are ready it serves them
    at once; if something else is, it returns, as it does when a turn is over: timers are never
    later for it than that.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._epoll = select.epoll()
        self._readers: dict[int, Callable[[float], None]] = {}
        self._last = -1
        self._any_event = _events_of(reactor)
        reactor.addReader(self)

    def add(
        self, sock: socket.socket, read: Callable[[float], None], *, is_last: bool = False
    ) -> None:
        """Call `read(now)` whenever the socket has a datagram; one may go after all others."""
        self._epoll.register(sock, select.EPOLLIN)
        self._readers[sock.fileno()] = read
        if is_last:
            self._last = sock.fileno()

    def remove(self, sock: socket.socket) -> None:
        """Forget the socket, before it is closed."""
        del self._readers[sock.fileno()]
        self._epoll.unregister(sock)
        if sock.fileno() == self._last:
            self._last = -1

    def close(self) -> None:
        """Stop watching."""
        self._reactor.removeReader(self)
        self._epoll.close()

    def fileno(self) -> int:
        return -1 if self._epoll.closed else self._epoll.fileno()

    def logPrefix(self) -> str:
        return "tftp"

    def doRead(self) -> None:
        began = self._reactor.seconds()
        now = began
        while self._serve(now) and self._any_event is not None:
            now = self._reactor.seconds()
            if now >= began + _TURN_SECONDS or not self._any_event.poll(_LINGER_MILLISECONDS):
                return

    def _serve(self, now: float) -> bool:
        """Serve what has datagrams; return whether it was transfers, and nothing but these."""
        ready = self._epoll.poll(0, _EVENTS_PER_WAKEUP)
        has_requests = False
        for descriptor, _ in ready:
            if descriptor == self._last:
                has_requests = True
            else:
                self._read(descriptor, now)
        if has_requests:
            self._read(self._last, now)
        return bool(ready) and not has_requests

    def _read(self, descriptor: int, now: float) -> None:
        read = self._readers.get(descriptor)
        if read is not None:
            try:
                read(now)
            except Exception:
                # Passed on, it would make the reactor drop the whole set.
                log.exception("reading a TFTP socket failed")

    def connectionLost(self, reason: Failure) -> None:
        """Do nothing: the sockets are the server's, which closes them when it stops."""


@attrs.define(eq=False)
class _Exchange:
    """One read request, from its datagram to the end of its transfer."""

    peer: Address
    request: packet.ReadRequest
    _local_ip: str
    _started: float
    _sockets: _SocketSet
    _limits: Limits
    _seconds: Callable[[], float]
    _refuse: Callable[[bytes], None]
    """Sends a datagram to the client from the port of requests."""
    _on_no_socket: Callable[[OSError], None]
    _on_end: Callable[["_Exchange", TransferResult], None]

    response: ReadResponse = attrs.field(init=False)
    transfer: ReadTransfer | None = attrs.field(init=False, default=None)
    is_over: bool = attrs.field(init=False, default=False)
    _sock: socket.socket | None = attrs.field(init=False, default=None)
    _file: BinaryFile | None = attrs.field(init=False, default=None)
    _send_error: OSError | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.response = ReadResponse(self._decide)

    @property
    def deadline(self) -> float:
        """When `expire` is to be called."""
        transfer = self.transfer
        return self._started + ANSWER_SECONDS if transfer is None else transfer.deadline

    @property
    def is_acknowledged(self) -> bool:
        """Whether the client has seen our answer, so that it has no reason to ask again."""
        return self.transfer is not None and self.transfer.is_acknowledged

    def is_abandoned(self, now: float) -> bool:
        """Whether the client has not answered for so long that another may have its place."""
        if self.transfer is None:
            return False
        seconds = ABANDONED_SECONDS if self.is_acknowledged else NEVER_BEGUN_SECONDS
        return now >= self.transfer.progressed_at + seconds

    def read(self, now: float) -> None:
        """Handle one datagram that came to the transfer's socket."""
        assert self._sock is not None
        assert self.transfer is not None
        try:
            datagram, sender = self._sock.recvfrom(_MAX_REPLY_BYTES)
        except OSError:
            return  # nothing there, or news of a lost datagram, which the timer makes up for
        if sender != self.peer:
            self._send_to_stranger(datagram, sender)
            return
        block = packet.ack_block(datagram)
        if block is None:
            self._read_other(datagram)
            return
        try:
            action = self.transfer.ack_received(block, now)
            if isinstance(action, Send):
                self._send(action.datagrams)
                self.transfer.prepare()
                return
        except Exception:
            log.exception(_UNREADABLE, self.request.filename, self.peer[0])
            action = _failed_read()
        if action is not None:
            self._perform(action)

    def _read_other(self, datagram: bytes) -> None:
        try:
            received = packet.parse(datagram)
        except PacketError:
            return
        if isinstance(received, packet.Error):
            assert self.transfer is not None
            self._perform(self.transfer.error_received(received.code, received.message))

    def expire(self, now: float) -> None:
        """Handle the passing of `deadline`."""
        if self.transfer is None:
            self.end("no answer from the handler")
        else:
            self._step(self.transfer.timer_fired, now)

    def end(self, error: str | None, datagram: bytes | None = None) -> None:
        """Release everything; `datagram`, if any, tells the client why."""
        if self.is_over:
            return
        self.is_over = True
        if self._sock is not None:
            if datagram is not None:
                self._send((datagram,))
            self._sockets.remove(self._sock)
            self._sock.close()
        elif datagram is not None:
            self._refuse(datagram)
        if self._file is not None:
            _close(self._file)
        if error is not None and self._send_error is not None:
            error = f"{error} ({self._send_error})"
        transfer = self.transfer
        result = TransferResult(
            ok=error is None,
            bytes_sent=transfer.bytes_acknowledged if transfer else 0,
            blocks=transfer.blocks if transfer else 0,
            retransmissions=transfer.retransmissions if transfer else 0,
            seconds=self._seconds() - self._started,
            error=error,
        )
        self._on_end(self, result)
        if self.response.on_done is not None:
            try:
                self.response.on_done(result)
            except Exception:
                log.exception("on_done of a TFTP request failed")

    def _decide(self, answer: BinaryFile | _Refusal) -> None:
        if isinstance(answer, _Refusal):
            self.end(answer.reason, answer.datagram)
        elif self.is_over:
            _close(answer)
        else:
            self._start(answer)

    def _start(self, file: BinaryFile) -> None:
        self._file = file
        try:
            self._sock = self._open_socket()
        except OSError as exc:
            self._on_no_socket(exc)
            self.end(f"no socket: {exc}", packet.error(ErrorCode.UNDEFINED, "too many transfers"))
            return
        self._step(self._begin, self._seconds())

    def _begin(self, now: float) -> Action:
        assert self._file is not None
        options = self.request.options
        read = self._file.read
        size = _remaining_bytes(self._file) if b"tsize" in options else None
        if self.request.mode.lower() == NETASCII:
            read = netascii.encoded(read)
            if size is not None:
                # Only translating tells the size on the wire: large files are sent without.
                content = read(size * 2) if size <= _MAX_BYTES_TO_COUNT else None
                size = None if content is None else len(content)
                read = read if content is None else io.BytesIO(content).read
        self.transfer = ReadTransfer(read, size, options, self._limits)
        return self.transfer.start(now)

    def _open_socket(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            sock.bind((self._local_ip, 0))
            self._sockets.add(sock, self.read)
        except OSError:
            sock.close()
            raise
        return sock

    def _step(self, method: Callable[[float], Action | None], now: float) -> None:
        try:
            action = method(now)
        except Exception:
            log.exception(_UNREADABLE, self.request.filename, self.peer[0])
            action = _failed_read()
        if action is not None:
            self._perform(action)

    def _perform(self, action: Action) -> None:
        if isinstance(action, Send):
            self._send(action.datagrams)
        elif isinstance(action, Finish):
            self.end(None)
        else:
            self.end(action.reason, action.datagram)

    def _send(self, datagrams: Sequence[bytes]) -> None:
        assert self._sock is not None
        self._send_error = None
        try:
            for datagram in datagrams:
                self._sock.sendto(datagram, self.peer)
        except OSError as exc:
            # A full buffer or a route that is gone: to the transfer it is a lost datagram.
            self._send_error = exc

    def _send_to_stranger(self, datagram: bytes, sender: Address) -> None:
        # An error packet is never answered, or two servers could keep each other busy for ever.
        if datagram.startswith(b"\0\5"):
            return
        assert self._sock is not None
        with contextlib.suppress(OSError):
            self._sock.sendto(packet.error(ErrorCode.UNKNOWN_TID, "Unknown TID"), sender)


class TftpServer(Service):
    """Serves read requests on a UDP port.

    `reactor` is an IReactorTime and IReactorFDSet; `interface` is an IPv4 address, empty for all;
    `handler` may be set later: without one, requests get the error `service unavailable`. A service
    that stops lets running transfers go on for `drain_seconds`.
    """

    def __init__(
        self,
        reactor: Any,
        port: int,
        interface: str,
        handler: ReadHandler | None,
        *,
        max_transfers: int = 4096,
        max_transfers_per_source: int = 256,
        drain_seconds: float = 3.0,
        limits: Limits | None = None,
    ) -> None:
        self.handler = handler
        self.transfers_finished = 0
        self.transfers_failed = 0
        self.retransmissions = 0
        self.bytes_sent = 0
        self._reactor = reactor
        self._port = port
        self._interface = interface
        self._max_transfers = max_transfers
        self._max_transfers_per_source = max_transfers_per_source
        self._drain_seconds = drain_seconds
        self._limits = limits or Limits()
        self._listener: socket.socket | None = None
        self._sockets: _SocketSet | None = None
        self._exchanges: set[_Exchange] = set()
        self._latest: dict[tuple[Address, bytes], _Exchange] = {}
        self._by_source: defaultdict[str, dict[_Exchange, None]] = defaultdict(dict)
        """The open requests of each address, in their order."""
        self._no_room_until = 0.0
        """Before this time it is known that none can be ended for another."""
        self._tick_call: IDelayedCall | None = None
        self._drain_call: IDelayedCall | None = None
        self._drained: list[Deferred[None]] = []
        self._noise = _OncePerSecond()

    @property
    def port(self) -> int:
        """The bound port, or the one asked for while there is none."""
        if self._listener is None:
            return self._port
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def active(self) -> int:
        """How many requests are open, waiting for their handler or in transfer."""
        return len(self._exchanges)

    @property
    def transfers_started(self) -> int:
        """How many requests were accepted since the server was made."""
        running = sum(exchange.transfer is not None for exchange in self._exchanges)
        return self.transfers_finished + self.transfers_failed + running

    def privilegedStartService(self) -> None:
        """Bind the port, while the process may still be root; raises CannotListenError."""
        Service.privilegedStartService(self)
        self._bind()

    def startService(self) -> None:
        """Bind the port unless that is done, and serve; raises CannotListenError."""
        listener = self._bind()
        if self._sockets is None:
            self._sockets = _SocketSet(self._reactor)
        self._sockets.add(listener, self._read_requests, is_last=True)
        Service.startService(self)

    def stopService(self) -> Deferred[None]:
        """Refuse new requests, let transfers end, then release every socket and timer."""
        Service.stopService(self)
        if self._listener is not None:
            if self._sockets is not None:
                self._sockets.remove(self._listener)
            self._listener.close()
            self._listener = None
        for exchange in tuple(self._exchanges):
            if exchange.transfer is None:
                exchange.end("the server stops")
        if not self._exchanges:
            self._close()
            return succeed(None)
        if self._drain_call is None:
            self._drain_call = self._reactor.callLater(self._drain_seconds, self._cut_transfers)
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        return drained

    def _bind(self) -> socket.socket:
        if self._listener is None:
            listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
                listener.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
                listener.bind((self._interface, self._port))
            except OSError as exc:
                listener.close()
                raise CannotListenError(self._interface, self._port, exc) from exc
            self._listener = listener
        return self._listener

    def _close(self) -> None:
        for call in (self._tick_call, self._drain_call):
            if call is not None and call.active():
                call.cancel()
        self._tick_call = self._drain_call = None
        if self._sockets is not None:
            self._sockets.close()
            self._sockets = None
        drained, self._drained = self._drained, []
        for deferred in drained:
            deferred.callback(None)

    def _cut_transfers(self) -> None:
        datagram = packet.error(ErrorCode.UNDEFINED, "service unavailable")
        for exchange in tuple(self._exchanges):
            exchange.end("the server stops", datagram)

    def _tick(self) -> None:
        self._tick_call = None
        now = self._reactor.seconds()
        for exchange in tuple(self._exchanges):
            if now >= exchange.deadline:
                exchange.expire(now)
        self._ensure_tick()

    def _ensure_tick(self) -> None:
        if self._tick_call is None and self._exchanges:
            self._tick_call = self._reactor.callLater(_TICK_SECONDS, self._tick)

    def _read_requests(self, now: float) -> None:
        for _ in range(_REQUESTS_PER_WAKEUP):
            if self._listener is None:
                return
            try:
                datagram, ancillary, flags, peer = self._listener.recvmsg(
                    _MAX_REQUEST_BYTES, _ANCILLARY_BYTES
                )
            except OSError:
                return
            local_ip, is_broadcast = _destination(ancillary)
            if is_broadcast:
                self._note(peer[0], now, "it was sent to a broadcast address")
                continue
            if flags & socket.MSG_TRUNC:
                # The field that was cut is worth nothing, those before it are whole.
                datagram = datagram[: max(datagram.rfind(b"\0") + 1, 2)]
            self._datagram_received(datagram, peer, local_ip, now)

    def _datagram_received(self, datagram: bytes, peer: Address, local_ip: str, now: float) -> None:
        try:
            received = packet.parse(datagram)
        except PacketError as exc:
            self._note(peer[0], now, str(exc))
            if packet.is_request(datagram):
                refusal = packet.error(ErrorCode.ILLEGAL_OPERATION, f"Malformed request: {exc}")
                self._refuse(peer, local_ip, refusal)
            return
        if isinstance(received, packet.ReadRequest):
            self._read_requested(received, peer, local_ip, now)
        elif isinstance(received, packet.WriteRequest):
            self._refuse(peer, local_ip, packet.error(ErrorCode.UNDEFINED, "WRQ not supported"))
        else:
            self._note(peer[0], now, f"{type(received).__name__} is not a request")

    def _read_requested(
        self, request: packet.ReadRequest, peer: Address, local_ip: str, now: float
    ) -> None:
        latest = self._latest.get((peer, request.filename))
        if latest is not None and not latest.is_acknowledged:
            return
        if not self._make_room(peer[0], now):
            return
        if self.handler is None:
            refusal = "service unavailable"
        elif request.mode.lower() not in {OCTET, NETASCII}:
            refusal = "mode not supported"
        else:
            self._open_exchange(self.handler, request, peer, local_ip, now)
            return
        self._refuse(peer, local_ip, packet.error(ErrorCode.UNDEFINED, refusal))

    def _make_room(self, source: str, now: float) -> bool:
        """Return whether one more request of `source` may be open; another may be ended for it."""
        own = len(self._by_source[source]) if source in self._by_source else 0
        if own >= self._max_transfers_per_source:
            if self._end_abandoned(source, now):
                return True
            self._note(source, now, f"{self._max_transfers_per_source} requests are open already")
            return False
        if len(self._exchanges) < self._max_transfers:
            return True
        if now >= self._no_room_until:
            busiest = max(self._by_source, key=lambda each: len(self._by_source[each]))
            if len(self._by_source[busiest]) > own:
                if self._end_abandoned(busiest, now):
                    return True
                self._no_room_until = now + _TICK_SECONDS
        if self._noise.allows("limit", now):
            log.warning("%d TFTP requests are open, no more are taken", self._max_transfers)
        return False

    def _end_abandoned(self, source: str, now: float) -> bool:
        """End the transfer of `source` that was abandoned longest ago; False if none was."""
        abandoned = [each for each in self._by_source[source] if each.is_abandoned(now)]
        if not abandoned:
            return False
        abandoned.sort(key=lambda each: each.is_acknowledged)
        abandoned[0].end("given up for a newer request")
        return True

    def _open_exchange(
        self,
        handler: ReadHandler,
        request: packet.ReadRequest,
        peer: Address,
        local_ip: str,
        now: float,
    ) -> None:
        assert self._sockets is not None
        exchange = _Exchange(
            peer=peer,
            request=request,
            local_ip=local_ip,
            started=now,
            sockets=self._sockets,
            limits=self._limits,
            seconds=self._reactor.seconds,
            refuse=functools.partial(self._refuse, peer, local_ip),
            on_no_socket=self._note_no_socket,
            on_end=self._exchange_ended,
        )
        self._exchanges.add(exchange)
        self._latest[peer, request.filename] = exchange
        self._by_source[peer[0]][exchange] = None
        self._ensure_tick()
        fields = {
            "opcode": b"\0\1",
            "filename": request.filename,
            "mode": request.mode,
            "options": dict(request.options),
        }
        try:
            handler.handle_read_request({"address": peer, "packet": fields}, exchange.response)
        except Exception:
            log.exception("handling the TFTP request of %s failed", peer[0])
            if not exchange.response.is_answered:
                exchange.response.reject(ErrorCode.UNDEFINED, "Internal processing error")

    def _exchange_ended(self, exchange: _Exchange, result: TransferResult) -> None:
        self._exchanges.discard(exchange)
        key = (exchange.peer, exchange.request.filename)
        if self._latest.get(key) is exchange:
            del self._latest[key]
        of_source = self._by_source[exchange.peer[0]]
        del of_source[exchange]
        if not of_source:
            del self._by_source[exchange.peer[0]]
        if result.ok:
            self.transfers_finished += 1
        elif exchange.transfer is not None:
            self.transfers_failed += 1
        self.bytes_sent += result.bytes_sent
        self.retransmissions += result.retransmissions
        if not self._exchanges and self._drain_call is not None:
            self._close()

    def _refuse(self, peer: Address, local_ip: str, datagram: bytes) -> None:
        if self._listener is None:
            return
        source = _PKTINFO.pack(0, socket.inet_aton(local_ip), bytes(4))
        with contextlib.suppress(OSError):
            self._listener.sendmsg(
                (datagram,), ((socket.IPPROTO_IP, _IP_PKTINFO, source),), 0, peer
            )

    def _note(self, source: str, now: float, reason: str) -> None:
        if self._noise.allows(source, now):
            log.info("TFTP datagram of %s not served: %s", source, reason)

    def _note_no_socket(self, error: OSError) -> None:
        if self._noise.allows("socket", self._reactor.seconds()):
            log.error("no socket for a TFTP transfer: %s", error)


class _OncePerSecond:
    """Tells which events may be logged: one a second of each key, of a bounded number of keys."""

    def __init__(self) -> None:
        self._quiet_until: dict[str, float] = {}

    def allows(self, key: str, now: float) -> bool:
        if now < self._quiet_until.get(key, now):
            return False
        if len(self._quiet_until) >= _MAX_NOISY_SOURCES:
            self._quiet_until = {k: end for k, end in self._quiet_until.items() if now < end}
            if len(self._quiet_until) >= _MAX_NOISY_SOURCES:
                return False
        self._quiet_until[key] = now + 1
        return True


def _remaining_bytes(file: Any) -> int | None:
    try:
        position = file.tell()
        file.seek(0, os.SEEK_END)
        end = file.tell()
        file.seek(position)
    except (AttributeError, OSError, TypeError, ValueError):
        return None
    return int(end - position)


def _failed_read() -> Abort:
    """Return the end of a transfer whose file, maybe one of a plugin's making, raises."""
    datagram = packet.error(ErrorCode.UNDEFINED, "Internal processing error")
    return Abort("reading the file failed", datagram)


def _close(file: BinaryFile) -> None:
    try:
        file.close()
    except Exception:
        log.exception("closing a file served by TFTP failed")


def _destination(ancillary: list[tuple[int, int, bytes]]) -> tuple[str, bool]:
    """Return the local address to answer a datagram from, and whether it was sent to many hosts.

    The kernel tells the destination of the header beside the address that an answer is to have as
    its source (ip(7), IP_PKTINFO). They are the same unless the destination was a broadcast or
    multicast address: no netmask has to be known for that.
    """
    for level, kind, content in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            _, local, header = _PKTINFO.unpack_from(content)
            return socket.inet_ntoa(local), local != header
    return "0.0.0.0", False  # noqa: S104 - as a source, the address that the kernel picks
