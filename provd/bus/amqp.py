"""A connection to an AMQP 0-9-1 broker that consumes events: pika's protocol with limits of time.

pika has none for a broker that accepts a connection and then says nothing, nor for a peer whose
machine is gone while data for it is waiting, nor for a close that is never answered.
"""

from __future__ import annotations

import logging
import secrets
import socket
from typing import TYPE_CHECKING, Any

import pika
from pika.adapters.twisted_connection import TwistedProtocolConnection
from twisted.internet import defer
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.protocol import Factory

from provd.bus.events import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provd.settings import Bus

# What ends a connection is told once, by the consumer; pika tells it in many lines of ERROR.
logging.getLogger("pika").setLevel(logging.CRITICAL)

CONNECT_SECONDS = 10.0
CLOSE_SECONDS = 1.0
HEARTBEAT_SECONDS = 30
_AT_ONCE = 16


class _Protocol(TwistedProtocolConnection):  # type: ignore[misc]  # pika has no types
    """pika's protocol, which also tells when its transport is gone, and why."""

    def __init__(self, parameters: pika.ConnectionParameters, reactor: Any) -> None:
        super().__init__(parameters, custom_reactor=reactor)
        self._waiting: list[defer.Deferred[None]] = []
        self._is_lost = False
        self.cause: Exception | None = None

    def connectionMade(self) -> None:
        # Without this, what was sent to a machine that is gone is sent again for a quarter of an
        # hour, and so long the transport does not end.
        handle = self.transport.getHandle()
        handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, HEARTBEAT_SECONDS * 1000)

    def connectionLost(self, reason: Any) -> None:
        # What the broker said before it closed; pika forgets it for "closed cleanly".
        self.cause = self._impl._error  # noqa: SLF001
        super().connectionLost(reason)
        self._is_lost = True
        for waiting in self._waiting:
            waiting.callback(None)
        self._waiting.clear()

    def lost(self) -> defer.Deferred[None]:
        """Return a Deferred that fires when the transport is gone."""
        waiting: defer.Deferred[None] = defer.Deferred(self._waiting.remove)
        if self._is_lost:
            waiting.callback(None)
        else:
            self._waiting.append(waiting)
        return waiting


class AmqpConnection:
    """One connection, one channel, one queue."""

    def __init__(self, reactor: Any, protocol: _Protocol) -> None:
        self._reactor = reactor
        self._protocol = protocol
        self._channel: Any = None
        self._deliveries: Any = None

    @property
    def is_open(self) -> bool:
        """Whether messages can come."""
        return self._channel is not None and bool(self._channel.is_open)

    async def consume(self, exchange: str, exchange_type: str, names: Iterable[str]) -> None:
        """Let the events of these names come, into a queue that goes with this connection."""
        await self._protocol.ready
        channel = await self._protocol.channel()
        await channel.exchange_declare(exchange=exchange, exchange_type=exchange_type, durable=True)
        queue = f"wazo-provd.{secrets.token_hex(3)}"
        await channel.queue_declare(queue=queue, auto_delete=True)
        for name in names:
            await channel.queue_bind(
                queue=queue, exchange=exchange, arguments={"name": name, "x-match": "all"}
            )
        await channel.basic_qos(prefetch_count=_AT_ONCE)
        self._deliveries, _ = await channel.basic_consume(queue=queue)
        self._channel = channel

    async def receive(self) -> Message:
        """Return the next message; ConnectionError once none can come."""
        try:
            delivery = await self._deliveries.get()
        except defer.CancelledError:
            raise
        except Exception as error:  # of pika's classes or of Twisted's
            raise ConnectionError(f"the broker ended it: {self.reason(error)}") from error
        return Message(delivery.properties.headers, delivery.body, delivery.method.delivery_tag)

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that a message is dealt with; ConnectionError."""
        try:
            self._channel.basic_ack(message.tag)
        except pika.exceptions.AMQPError as error:
            raise ConnectionError(f"the broker ended it: {self.reason(error)}") from error

    def reason(self, error: Exception) -> str:
        """Return in words why something failed with `error`."""
        cause = self._protocol.cause or error
        return f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__

    async def close(self) -> None:
        """Take leave of the broker, for a second at most."""
        protocol = self._protocol
        if protocol.is_open:
            protocol.close()
            try:
                await protocol.lost().addTimeout(CLOSE_SECONDS, self._reactor)
            except defer.TimeoutError:
                pass
            else:
                return
        protocol.transport.abortConnection()
        await protocol.lost()


async def connect(reactor: Any, settings: Bus, names: Iterable[str]) -> AmqpConnection:
    """Return a connection that consumes the events of these names; ConnectionError."""
    parameters = pika.ConnectionParameters(
        settings.host,
        settings.port,
        credentials=pika.PlainCredentials(settings.username, settings.password),
        heartbeat=HEARTBEAT_SECONDS,
        client_properties={"connection_name": "provd"},
    )
    factory = Factory.forProtocol(lambda: _Protocol(parameters, reactor))
    factory.noisy = False
    where = f"{settings.host}:{settings.port}"
    endpoint = HostnameEndpoint(reactor, settings.host, settings.port, timeout=CONNECT_SECONDS)
    try:
        protocol: Any = await endpoint.connect(factory)
    except defer.CancelledError:
        raise
    except Exception as error:
        raise ConnectionError(f"{where}: {error}") from error
    connection = AmqpConnection(reactor, protocol)
    opening = defer.Deferred.fromCoroutine(
        connection.consume(settings.exchange_name, settings.exchange_type, names)
    )
    try:
        await opening.addTimeout(CONNECT_SECONDS, reactor)
    except defer.CancelledError:
        await connection.close()
        raise
    except Exception as error:
        late = isinstance(error, defer.TimeoutError)
        reason = f"no answer in {CONNECT_SECONDS:.0f} s" if late else connection.reason(error)
        await connection.close()
        raise ConnectionError(f"{where}: {reason}") from error
    return connection
