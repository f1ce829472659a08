"""Listens to the bus for ever: connects, hands each event to its handler, connects again.

Events that pass while there is no connection are lost, as the queue lives as long as its consumer.
Whoever needs them all compares states when `missed` is called.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Protocol

from provd.bus.events import parse_event
from provd.errors import InvalidDocument
from provd.retry import RetryLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from provd.bus.events import Message

logger = logging.getLogger(__name__)

RETRY_SECONDS = (1, 2, 4, 8, 16, 32)


class Connection(Protocol):
    """A connection that consumes already."""

    @property
    def is_open(self) -> bool:
        """Whether messages can come."""

    async def receive(self) -> Message:
        """Return the next message; ConnectionError once none can come."""

    def acknowledge(self, message: Message) -> None:
        """Tell the broker that a message is dealt with; ConnectionError."""

    async def close(self) -> None:
        """Take leave of the broker, for a second at most."""


class BusConsumer:
    """Calls a handler for each event; one event at a time, in their order."""

    def __init__(
        self,
        clock: Any,
        connect: Callable[[], Awaitable[Connection]],
        handlers: Mapping[str, Callable[[dict[str, Any]], Awaitable[None]]],
        missed: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._connect = connect
        self._handlers = handlers
        self._missed = missed
        self._connection: Connection | None = None
        self._is_first = True
        self._loop = RetryLoop(
            clock, self._listen, name="the bus is not connected", delays=RETRY_SECONDS, log=logger
        )

    @property
    def connected(self) -> bool:
        """Whether events reach us."""
        return self._connection is not None and self._connection.is_open

    def start(self) -> None:
        """Begin to connect; the broker need not be there."""
        self._loop.start()

    async def stop(self) -> None:
        """Close the connection, or stop trying; an event that is being handled is given up."""
        await self._loop.stop()

    async def _listen(self) -> float:
        """Connect and deal with messages until that fails; it never returns."""
        is_first, self._is_first = self._is_first, False
        self._connection = connection = await self._connect()
        try:
            logger.info("the bus is connected")
            if not is_first:
                self._missed()
            while True:
                message = await connection.receive()
                await self._handle(message)
                connection.acknowledge(message)
        finally:
            self._loop.note_success()
            await connection.close()
            self._connection = None

    async def _handle(self, message: Message) -> None:
        """Deal with a message; one that cannot be dealt with now could not be later either."""
        try:
            event = parse_event(message)
            handler = self._handlers.get(event.name)
            if handler is not None:
                await handler(event.data)
        except InvalidDocument as error:
            logger.warning("a message of the bus is left out: %s", error)
        except Exception:
            if not self._loop.is_running:
                raise
            logger.exception("an event of the bus could not be dealt with")
