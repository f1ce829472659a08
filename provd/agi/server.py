"""The FastAGI listener: a dialplan calls `agi://<host>:4573/provision`, and learns how it went.

The protocol has no password. Whoever reaches the port may try codes, so that it must be open to
Asterisk alone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.internet.protocol import Factory, Protocol, connectionDone

from provd.agi.call import (
    FAILED,
    RESULT_VARIABLE,
    RESULTS,
    UNKNOWN_CODE,
    UNKNOWN_PHONE,
    call_arguments,
)
from provd.agi.protocol import AgiSession, Reply, Started, format_command
from provd.errors import InvalidDocument, PacketError
from provd.logs import escape, log_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from twisted.internet.interfaces import IAddress
    from twisted.python.failure import Failure

    Handler = Callable[[Mapping[str, str], str], Awaitable[str]]

logger = logging.getLogger(__name__)

MAX_SESSIONS = 64
START_SECONDS = 10.0
HANDLER_SECONDS = 30.0
COMMAND_SECONDS = 5.0


class _Connection(Protocol):
    """Moves bytes between a session and its transport."""

    def __init__(self, factory: AgiFactory, peer: str) -> None:
        self._factory = factory
        self._session = AgiSession()
        self._replies: list[defer.Deferred[Reply | None]] = []
        self._watchers: list[defer.Deferred[None]] = []
        self.peer = peer
        self.started: defer.Deferred[Mapping[str, str] | None] = defer.Deferred()
        """Fires with the call's variables, or None if they do not come."""
        self.is_lost = False

    def connectionMade(self) -> None:
        self._factory.serve(self)

    def dataReceived(self, data: bytes) -> None:
        try:
            happened = self._session.receive(data)
        except PacketError as error:
            logger.warning("FastAGI session of %s: %s", self.peer, escape(str(error)))
            self.end()
            return
        for event in happened:
            match event:
                case Started(variables=variables):
                    self.started.callback(variables)
                case Reply() if self._replies:
                    self._replies.pop(0).callback(event)

    def command(self, *words: str) -> defer.Deferred[Reply | None]:
        """Give a command; the Deferred fires with its answer, or None if none can come."""
        reply: defer.Deferred[Reply | None] = defer.Deferred()
        if self.is_lost or self.transport is None:
            reply.callback(None)
        else:
            self.transport.write(format_command(*words))
            self._replies.append(reply)
        return reply

    def end(self, *, politely: bool = False) -> None:
        """Close the connection, after what was written is sent if `politely`."""
        transport: Any = self.transport
        if politely:
            transport.loseConnection()
        else:
            transport.abortConnection()

    def lost(self) -> defer.Deferred[None]:
        """Return a Deferred that fires when the connection is gone."""
        watcher: defer.Deferred[None] = defer.Deferred(self._watchers.remove)
        if self.is_lost:
            watcher.callback(None)
        else:
            self._watchers.append(watcher)
        return watcher

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        self.is_lost = True
        if not self.started.called:
            self.started.callback(None)
        replies, self._replies = self._replies, []
        for reply in replies:
            if not reply.called:
                reply.callback(None)
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher.callback(None)


class AgiFactory(Factory):
    """Serves FastAGI sessions; `handler` provisions a phone and returns one of RESULTS.

    It is called with the arguments of `call_arguments`, which have `code` and at least one of `ip`
    and `mac`, and with Asterisk's address. A caller who hangs up does not stop it.
    """

    noisy = False

    def __init__(self, clock: Any, handler: Handler, *, max_sessions: int = MAX_SESSIONS) -> None:
        self._clock = clock
        self._handler = handler
        self._max_sessions = max_sessions
        self._sessions: set[defer.Deferred[None]] = set()
        self._is_stopping = False

    @property
    def session_count(self) -> int:
        """How many sessions are open, or have work under way."""
        return len(self._sessions)

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """Return the protocol of a connection, or None to close it."""
        peer = str(getattr(addr, "host", ""))
        if self._is_stopping or len(self._sessions) >= self._max_sessions:
            logger.warning("FastAGI session of %s refused: too many", peer)
            return None
        return _Connection(self, peer)

    def serve(self, connection: _Connection) -> None:
        """Begin the session of a connection that was made."""
        session = defer.Deferred.fromCoroutine(self._serve(connection))
        self._sessions.add(session)

        def ended(result: Any) -> Any:
            self._sessions.discard(session)
            return result

        def failed(failure: Failure) -> None:
            if failure.check(defer.CancelledError) is None:
                log_failure(failure, logger, "FastAGI session of %s failed", connection.peer)

        session.addBoth(ended)
        session.addErrback(failed)

    async def stop(self) -> None:
        """Give up all sessions; the port must be closed already."""
        self._is_stopping = True
        sessions = list(self._sessions)
        for session in sessions:
            session.cancel()
        for session in sessions:
            await session

    async def _serve(self, connection: _Connection) -> None:
        try:
            await self._converse(connection)
        except defer.TimeoutError:
            logger.warning("FastAGI session of %s: no answer in time", connection.peer)
        finally:
            connection.end()
            await connection.lost()

    async def _converse(self, connection: _Connection) -> None:
        variables = await connection.started.addTimeout(START_SECONDS, self._clock)
        if variables is None:
            return
        result = await self._result(connection.peer, variables)
        command = connection.command("SET VARIABLE", RESULT_VARIABLE, result)
        reply = await command.addTimeout(COMMAND_SECONDS, self._clock)
        if reply is None:
            logger.info("FastAGI session of %s: gone before its result", connection.peer)
            return
        if not reply.is_success:
            logger.warning(
                "FastAGI session of %s: SET VARIABLE failed: %d %s",
                connection.peer,
                reply.code,
                escape(reply.text),
            )
        connection.end(politely=True)
        await connection.lost().addTimeout(COMMAND_SECONDS, self._clock)

    async def _result(self, peer: str, variables: Mapping[str, str]) -> str:
        try:
            arguments = call_arguments(variables)
        except InvalidDocument as error:
            logger.warning("FastAGI session of %s: %s", peer, escape(str(error)))
            return FAILED
        if "code" not in arguments:
            return UNKNOWN_CODE
        if not {"ip", "mac", "name_mac"} & arguments.keys():
            return UNKNOWN_PHONE
        result = await self._call_handler(arguments, peer)
        logger.info(
            "FastAGI session of %s: phone %s %s: %s",
            peer,
            arguments.get("ip", "-"),
            arguments.get("mac", "-"),
            result,
        )
        return result

    async def _call_handler(self, arguments: Mapping[str, str], peer: str) -> str:
        async def work() -> str:
            return await self._handler(arguments, peer)

        handling = defer.Deferred.fromCoroutine(work())
        try:
            result = await handling.addTimeout(HANDLER_SECONDS, self._clock)
        except defer.CancelledError:
            raise
        except defer.TimeoutError:
            logger.warning("FastAGI session of %s: given up after %g s", peer, HANDLER_SECONDS)
            return FAILED
        except Exception:
            logger.exception("FastAGI session of %s failed", peer)
            return FAILED
        if result not in RESULTS:
            logger.error("FastAGI session of %s: unknown result %r", peer, result)
            return FAILED
        return result
