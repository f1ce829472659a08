"""Notifying phones by SIP over UDP, for a PBX without AMI: one socket for all of them.

A phone must know the daemon's address as one that may notify it; many take a NOTIFY only from the
address of their registrar.
"""

from __future__ import annotations

import logging
import secrets
import socket
from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol

from provd.errors import PacketError, SynchronizeError
from provd.logs import escape
from provd.notify.interface import parse_address
from provd.notify.sipmessage import Notify, Response, format_notify, parse_response
from provd.notify.siptransaction import TIMER_F, Finish, Send, Start, Timer, Transaction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provd.notify.interface import Phone
    from provd.notify.siptransaction import Action

logger = logging.getLogger(__name__)

MAX_TRANSACTIONS = 1024
_MAGIC = "z9hG4bK"  # branches of RFC 3261 begin by it


class _Exchange:
    """A transaction with its bytes, its timers and who waits for its end."""

    def __init__(
        self,
        clock: Any,
        protocol: DatagramProtocol,
        transaction: Transaction,
        data: bytes,
        target: tuple[str, int],
    ) -> None:
        self._clock = clock
        self._protocol = protocol
        self._transaction = transaction
        self._data = data
        self._target = target
        self._timers: dict[Timer, Any] = {}
        self.ended: defer.Deferred[Response | None] = defer.Deferred()

    def start(self) -> None:
        self._do(self._transaction.start())

    def response_received(self, response: Response) -> None:
        self._do(self._transaction.response_received(response))

    def _do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Send():
                    self._send()
                case Start(timer=timer, seconds=seconds):
                    self._timers[timer] = self._clock.callLater(seconds, self._fire, timer)
                case Finish(response=response):
                    self.close()
                    self.ended.callback(response)

    def close(self) -> None:
        for call in self._timers.values():
            if call.active():
                call.cancel()

    def _fire(self, timer: Timer) -> None:
        self._do(self._transaction.timer_fired(timer))

    def _send(self) -> None:
        transport: Any = self._protocol.transport
        try:
            transport.write(self._data, self._target)
        except OSError as error:
            # What cannot be sent now is as good as lost: it is sent again.
            logger.debug("NOTIFY to %s:%d is not sent: %s", *self._target, error)


class _Socket(DatagramProtocol):
    noisy = False

    def __init__(self, exchanges: dict[str, _Exchange]) -> None:
        self._exchanges = exchanges

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        try:
            response = parse_response(datagram)
        except PacketError as error:
            logger.debug("a datagram of %s:%d is dropped: %s", *addr[:2], error)
            return
        exchange = self._exchanges.get(response.branch)
        if exchange is not None and response.method == "NOTIFY":
            exchange.response_received(response)


def _address_towards(host: str) -> str:
    """Return our address that `host` sees; nothing is sent for that."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))
        return str(probe.getsockname()[0])


class SipNotifier:
    """Notifier by SIP; an account can be notified only at a known address."""

    def __init__(
        self,
        reactor: Any,
        *,
        interface: str = "",
        port: int = 0,
        from_host: str | None = None,
        phone_port: int = 5060,
        timeout: float = TIMER_F,
    ) -> None:
        """`interface` '' is all; `phone_port` holds for addresses without a port."""
        self._reactor = reactor
        self._interface = interface
        self._port = port
        self._from_host = from_host
        self._phone_port = phone_port
        self._timeout = timeout
        self._exchanges: dict[str, _Exchange] = {}
        self._protocol = _Socket(self._exchanges)
        self._listener: Any = None
        self._problem = "not started"

    @property
    def status(self) -> str:
        """`ok`, or in words why there is no socket."""
        return "ok" if self._listener is not None else self._problem

    @property
    def address(self) -> tuple[str, int] | None:
        """The address and port that NOTIFY is sent from; None if there is no socket."""
        if self._listener is None:
            return None
        bound = self._listener.getHost()
        return bound.host, bound.port

    def start(self) -> None:
        """Open the socket; one that cannot be had is logged, and told to whoever notifies."""
        try:
            self._listener = self._reactor.listenUDP(
                self._port, self._protocol, interface=self._interface
            )
        except CannotListenError as error:
            self._problem = f"no socket: {error}"
            logger.error("phones cannot be notified by SIP: %s", self._problem)

    async def stop(self) -> None:
        """Close the socket; who waits for an answer is told."""
        listener, self._listener = self._listener, None
        self._problem = "stopped"
        exchanges = list(self._exchanges.values())
        for exchange in exchanges:
            exchange.close()
            exchange.ended.errback(SynchronizeError("stopped"))
        if listener is not None:
            await defer.maybeDeferred(listener.stopListening)

    async def notify(
        self, phone: Phone, *, event: str, variables: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Notify the phone at its address, and wait for its answer; SynchronizeError."""
        endpoint = None if phone.is_shared else phone.account
        try:
            if phone.rivals and phone.port is None:
                raise SynchronizeError(
                    f"{len(phone.rivals) + 1} devices share its address, and its port is not known"
                )
            await self._notify(endpoint, _address_of(phone), event, variables)
        except SynchronizeError as error:
            whom = f"{endpoint!r:.80} at {phone.address!r:.80}" if endpoint else phone.name
            raise SynchronizeError(f"NOTIFY {event!r:.80} to {whom} by SIP: {error}") from error

    async def _notify(
        self,
        endpoint: str | None,
        address: str | None,
        event: str,
        variables: Sequence[tuple[str, str]],
    ) -> None:
        if not address:
            raise SynchronizeError("the address of the phone is not known")
        bound = self.address
        if bound is None:
            raise SynchronizeError(self._problem)
        if len(self._exchanges) >= MAX_TRANSACTIONS:
            raise SynchronizeError(f"{MAX_TRANSACTIONS} phones are being notified already")
        host, port = parse_address(address)
        notify = Notify(host, port or self._phone_port, endpoint, event, variables)
        local_host = bound[0] if bound[0] != "0.0.0.0" else self._local_host(host)  # noqa: S104
        branch = _MAGIC + secrets.token_hex(12)
        data = format_notify(
            notify,
            branch=branch,
            tag=secrets.token_hex(8),
            call_id=secrets.token_hex(16),
            local=(local_host, bound[1]),
            from_host=self._from_host or local_host,
        )
        target = (notify.host, notify.port)
        transaction = Transaction(self._timeout)
        exchange = _Exchange(self._reactor, self._protocol, transaction, data, target)
        self._exchanges[branch] = exchange
        try:
            exchange.start()
            response = await exchange.ended
        finally:
            exchange.close()
            del self._exchanges[branch]
        _check(response, self._timeout)

    @staticmethod
    def _local_host(host: str) -> str:
        try:
            return _address_towards(host)
        except OSError as error:
            raise SynchronizeError(f"there is no way to it: {error.strerror}") from error


def _address_of(phone: Phone) -> str | None:
    has_port = phone.address is not None and ":" in phone.address
    if not phone.address or phone.port is None or has_port:
        return phone.address
    return f"{phone.address}:{phone.port}"


def _check(response: Response | None, timeout: float) -> None:
    if response is None:
        raise SynchronizeError(f"no answer in {timeout:g} s")
    if response.status >= 300:
        reason = escape(f"{response.status} {response.reason}".strip())
        if response.status in {401, 407}:
            reason += ": the phone asks for a password, and provd has none for it"
        raise SynchronizeError(f"the phone answered {reason}")
