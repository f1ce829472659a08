"""Finding the primary of the MongoDB servers, and keeping connections to it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from provd.errors import StoreUnavailable
from provd.store.mongo.address import format_host
from provd.store.mongo.dialer import Dialer
from provd.store.mongo.wire import RefusedError, get_error

if TYPE_CHECKING:
    from provd.store.mongo.address import Address, Host
    from provd.store.mongo.wire import Connection, Stored

logger = logging.getLogger(__name__)


class Primary:
    """The server that takes writes, whichever it is: finds it, and lends connections to it."""

    def __init__(self, reactor: Any, address: Address, timeout: float) -> None:
        self._reactor = reactor
        self._address = address
        self._dialer = Dialer(reactor, address, timeout)
        self.timeout = timeout
        self.name = f"MongoDB {address.text}"
        self.is_open = False
        self._connections: list[Connection] = []
        self._growing: defer.Deferred[None] | None = None
        self._searching: defer.Deferred[None] | None = None
        self._waiting: list[defer.Deferred[Connection]] = []
        self._host: Host | None = None
        self._down_since: float | None = None
        self._reason = "not connected yet"
        self._beat_call: Any = None

    @property
    def session_support(self) -> bool:
        """Whether it knows sessions with numbers, and transactions; no standalone server does."""
        return self._dialer.session_support

    # Life cycle

    async def open(self) -> None:
        """Find it; StoreUnavailable if it is not there in time."""
        self.is_open = True
        self._down_since = None
        await self.acquire(self._reactor.seconds() + self.timeout)
        self._beat_call = self._reactor.callLater(self.timeout, self._beat)

    async def close(self) -> None:
        """Hang up; who still waits for a connection gets an error."""
        self.is_open = False
        if self._beat_call is not None and self._beat_call.active():
            self._beat_call.cancel()
        if self._searching is not None:
            self._searching.cancel()
        if self._growing is not None:
            self._growing.cancel()
        self._wake(Failure(self.unavailable("the store is closed")))
        connections = list(self._connections)
        for connection in connections:
            connection.transport.loseConnection()
        lost = defer.gatherResults([connection.closed for connection in connections])

        def give_up() -> None:
            for connection in connections:
                connection.abort()

        late = self._reactor.callLater(1, give_up)
        await lost
        if late.active():
            late.cancel()

    def unavailable(self, reason: object) -> StoreUnavailable:
        """Return the error that names the servers."""
        return StoreUnavailable(f"{self.name}: {reason}")

    # Finding the primary

    def _hosts(self) -> list[Host]:
        known = [self._host] if self._host is not None else []
        return list(dict.fromkeys([*known, *self._dialer.hosts]))

    async def acquire(self, deadline: float) -> Connection:
        """Return the connection that has the least to do; StoreUnavailable after the deadline."""
        if not self.is_open:
            raise self.unavailable("the store is closed")
        if self._connections:
            connection = min(self._connections, key=lambda connection: connection.inflight())
            if connection.inflight() and len(self._connections) < self._address.connections:
                self._grow()
            return connection
        now = self._reactor.seconds()
        if self._down_since is None:
            self._down_since = now
        elif now - self._down_since > self.timeout and self._searching is not None:
            # Away for longer than anybody should wait: whoever asks now learns it at once.
            raise self.unavailable(self._reason)
        if self._searching is None:
            self._start_search()
            if self._connections:
                return self._connections[0]
        waiter: defer.Deferred[Connection] = defer.Deferred()
        self._waiting.append(waiter)
        waiter.addTimeout(max(deadline - now, 0.001), self._reactor)
        try:
            return await waiter
        except defer.TimeoutError:
            raise self.unavailable(self._reason) from None
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def _wake(self, outcome: Connection | Failure) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.called:
                waiter.callback(outcome)

    def _start_search(self) -> None:
        def ended(result: object) -> None:
            self._searching = None
            if isinstance(result, Failure) and not result.check(defer.CancelledError):
                logger.error("the search for %s failed: %s", self.name, result.getTraceback())

        self._searching = defer.Deferred.fromCoroutine(self._search())
        self._searching.addBoth(ended)

    async def _search(self) -> None:
        """Try all servers, again and again, until one is the primary."""
        pause = 0.1
        told = False
        while self.is_open:
            try:
                connection = await self._try_all()
            except RefusedError as error:
                self._reason = str(error)
                if self._down_since is None:
                    self._down_since = self._reactor.seconds()
                if self._reactor.seconds() - self._down_since > self.timeout:
                    self._dialer.forget_election()
                if error.lasting:
                    self._wake(Failure(self.unavailable(error)))
                if not told:
                    logger.warning("%s is away: %s", self.name, error)
                    told = True
                await deferLater(self._reactor, pause)
                pause = min(pause * 2, 1.0)
            else:
                if told:
                    logger.warning("%s is back, at %s", self.name, format_host(connection.host))
                self._host = connection.host
                self._down_since = None
                self._add(connection)
                # The search is over before anybody who waits can start another.
                self._reactor.callLater(0, self._wake, connection)
                return

    async def _try_all(self) -> Connection:
        """Return a connection to whichever server first says it is the primary."""
        found: defer.Deferred[Connection] = defer.Deferred()
        attempts: dict[Host, defer.Deferred[None]] = {}
        failures: dict[Host, Exception] = {}

        def start(host: Host) -> None:
            attempts[host] = defer.Deferred()  # taken, before anything can fail at once
            attempt = self._dialer.dial(host)
            attempts[host] = attempt.addCallbacks(succeed, lambda failure: fail(host, failure))

        def succeed(connection: Connection) -> None:
            if found.called:
                connection.abort()
            else:
                found.callback(connection)

        def fail(host: Host, failure: Failure) -> None:
            failures[host] = get_error(failure)
            if found.called:
                return
            for other in self._hosts():
                if other not in attempts:
                    start(other)
            if len(failures) == len(attempts) and not found.called:
                text = "; ".join(f"{format_host(h)}: {e}" for h, e in failures.items())
                lasting = any(getattr(error, "lasting", False) for error in failures.values())
                found.errback(RefusedError(text, lasting=lasting))

        try:
            for host in self._hosts():
                if host not in attempts:
                    start(host)
            return await found
        finally:
            for attempt in attempts.values():
                attempt.cancel()

    # Keeping connections

    def _add(self, connection: Connection) -> None:
        connection.on_lost = self.drop
        self._connections.append(connection)

    def drop(self, connection: Connection) -> None:
        """Forget a connection that is lost, or that leads to the primary no more."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        if not self.is_open:
            return
        self._reason = (
            f"{format_host(connection.host)}: {connection.gone or 'it is not the primary any more'}"
        )
        if not self._connections:
            self._down_since = self._reactor.seconds()
            if self._searching is None:
                self._start_search()

    def _grow(self) -> None:
        """Open one more connection to the primary, in the background."""
        if self._growing is not None or self._host is None:
            return
        host = self._host

        def grown(connection: Connection) -> None:
            if self.is_open and self._host == host and connection.gone is None:
                self._add(connection)
            else:
                connection.abort()

        def finished(result: object) -> None:
            self._growing = None
            if isinstance(result, Failure):
                logger.debug("no further connection to %s: %s", format_host(host), result.value)

        # Set before it can end.
        self._growing = growing = self._dialer.dial(host).addCallback(grown)
        growing.addBoth(finished)

    def _beat(self) -> None:
        """Ask connections that are idle whether they still lead to the primary."""
        self._beat_call = self._reactor.callLater(self.timeout, self._beat)
        now = self._reactor.seconds()
        for connection in list(self._connections):
            if now - connection.heard >= self.timeout and not connection.inflight():
                self._check(connection)

    def _check(self, connection: Connection) -> None:
        def answered(hello: Stored) -> None:
            if not hello.get("isWritablePrimary"):
                connection.abort()

        def failed(_failure: Failure) -> None:
            connection.abort()

        connection.call("admin", {"hello": 1}, self.timeout).addCallbacks(answered, failed)
