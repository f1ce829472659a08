"""One connection to a MongoDB server, by txmongo's protocol, and what is said on it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from bson import CodecOptions
from pymongo.errors import ConnectionFailure
from twisted.internet import defer
from twisted.internet.protocol import Factory
from txmongo.protocol import MongoDecoder, MongoProtocol, Msg

from provd.store.mongo.address import Host, format_host

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.python.failure import Failure

logger = logging.getLogger(__name__)

Stored = dict[str, Any]

_CODEC: CodecOptions[Stored] = CodecOptions()
_MAX_MESSAGE = 48_000_000


class RefusedError(Exception):
    """A server that cannot be used; internal. `lasting` if trying again will not help."""

    def __init__(self, text: str, *, lasting: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting


def get_error(failure: Failure) -> Exception:
    """Return the error that a failure holds."""
    error = failure.value
    return error if isinstance(error, Exception) else RuntimeError(repr(error))


class Connection(MongoProtocol):  # type: ignore[misc]  # txmongo has no types
    """One connection, logged in, to a server that was the primary when it was made."""

    def __init__(self, reactor: Any, host: Host) -> None:
        super().__init__()
        self.reactor = reactor
        self.host = host
        self.gone: Exception | None = None
        self.heard: float = reactor.seconds()
        self.on_lost: Callable[[Connection], None] | None = None
        self.closed: defer.Deferred[None] = defer.Deferred()
        self._received = bytearray()

    def connectionMade(self) -> None:
        """Send at once, and notice a peer that is gone."""
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        """Take every whole message of what came."""
        # txmongo's own collects in bytes, which copies a large answer once for each of its parts.
        self.heard = self.reactor.seconds()
        received = self._received
        received += data
        try:
            while len(received) >= 16:
                length = int.from_bytes(received[:4], "little")
                if not 16 <= length <= _MAX_MESSAGE:
                    raise ConnectionFailure(f"a message of {length} bytes")
                if len(received) < length:
                    return
                message = bytes(received[:length])
                del received[:length]
                self.handle(MongoDecoder.decode(message))
        except Exception as error:  # noqa: BLE001 - whatever a server sends
            self.gone = error
            logger.warning("%s sent what is not understood: %s", format_host(self.host), error)
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:
        """Fail all calls that have no answer."""
        self.gone = self.gone or get_error(reason)
        if self.on_lost is not None:
            self.on_lost(self)
        super().connectionLost(reason)
        self.closed.callback(None)

    def call(
        self,
        database: str,
        body: Mapping[str, Any],
        seconds: float,
        payload: dict[str, list[Stored]] | None = None,
    ) -> defer.Deferred[Stored]:
        """Send one command; gives the answer unless the connection breaks or time runs out."""
        if self.gone is not None:
            return defer.fail(ConnectionFailure(str(self.gone)))
        message = Msg.create({**body, "$db": database}, payload, codec_options=_CODEC)
        reply: defer.Deferred[Stored] = self.send_msg(message, _CODEC, None, check=False)
        return reply.addTimeout(max(seconds, 0.001), self.reactor)

    def abort(self) -> None:
        """Break the connection; nothing is sent any more."""
        self.gone = self.gone or ConnectionFailure("the connection was given up")
        if self.transport is not None:
            self.transport.abortConnection()


class ConnectionFactory(Factory):
    """Makes one `Connection`; also the pool that txmongo's protocol tells of its state."""

    noisy = False

    def __init__(self, reactor: Any, host: Host) -> None:
        self._reactor = reactor
        self._host = host
        self.pool = self

    def buildProtocol(self, _address: object) -> Connection:
        """Return the connection."""
        connection = Connection(self._reactor, self._host)
        connection.factory = self
        return connection

    def setInstance(self, instance: object = None, reason: object = None) -> None:
        """Do nothing: the connection tells by itself."""

    def _advance_cluster_time(self, session: object, reply: object) -> None:
        """Do nothing: there is no causal session."""
