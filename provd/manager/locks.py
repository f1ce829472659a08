"""Locks by key: two phones never wait for each other, and no wait lasts for ever."""

from __future__ import annotations

import logging
from collections import deque
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet import defer
from twisted.python.failure import Failure

from provd.errors import TooBusy
from provd.logs import log_failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Hashable, Iterable

logger = logging.getLogger(__name__)

T = TypeVar("T")


class KeyedLocks:
    """One lock for each key in use; a lock nobody holds takes no memory."""

    def __init__(self, clock: Any, timeout: float = 30.0) -> None:
        self._clock = clock
        self._timeout = timeout
        self._queues: dict[Hashable, deque[defer.Deferred[None]]] = {}
        """For each lock that is held, who waits for it, in order."""
        self._released: deque[Hashable] = deque()
        self._handing_over = False

    def __len__(self) -> int:
        return len(self._queues)

    @asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        """Hold the lock of `key`; TooBusy if it is not free within the time limit."""
        queue = self._queues.get(key)
        if queue is None:
            self._queues[key] = deque()
        else:
            waiting: defer.Deferred[None] = defer.Deferred(queue.remove)
            queue.append(waiting)
            waiting.addTimeout(self._timeout, self._clock)
            try:
                await waiting
            except defer.TimeoutError:
                raise TooBusy(f"waited {self._timeout:.0f} s for {key}") from None
        try:
            yield
        finally:
            self._release(key)

    @asynccontextmanager
    async def hold_all(self, kind: str, names: Iterable[str]) -> AsyncIterator[None]:
        """Hold the locks of all `(kind, name)`, taken in one order, so that nobody waits in a ring.

        TooBusy as for `hold`.
        """
        async with AsyncExitStack() as stack:
            for name in sorted(set(names)):
                await stack.enter_async_context(self.hold((kind, name)))
            yield

    def _release(self, key: Hashable) -> None:
        """Hand a lock over to who waits longest.

        That one may be done at once and release in turn, so this is a loop: a hundred waiters that
        call each other would not fit on the stack.
        """
        self._released.append(key)
        if self._handing_over:
            return
        self._handing_over = True
        try:
            while self._released:
                key = self._released.popleft()
                queue = self._queues[key]
                if queue:
                    queue.popleft().callback(None)
                else:
                    del self._queues[key]
        finally:
            self._handing_over = False


async def finish(work: Coroutine[Any, Any, T]) -> T:
    """Return what `work` gives; it goes on to its end even if whoever waits here is cancelled.

    For work that may not stop half-way, such as a write and what must be noted after it.
    """
    running = defer.Deferred.fromCoroutine(work)
    waiting: defer.Deferred[T] = defer.Deferred()

    def done(outcome: Any) -> None:
        if not waiting.called:
            waiting.callback(outcome)
        elif isinstance(outcome, Failure):
            log_failure(outcome, logger, "what nobody waits for any more failed")

    running.addBoth(done)
    return await waiting
