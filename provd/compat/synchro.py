"""A lock for many readers or one writer."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from twisted.internet import defer

if TYPE_CHECKING:
    from collections.abc import Callable


class InvalidLockUsage(Exception):
    """A lock is released that nobody holds."""


class _Side:
    """The side of the lock that readers, or writers, take."""

    def __init__(self, lock: DeferredRWLock, *, exclusive: bool) -> None:
        self._lock = lock
        self._exclusive = exclusive

    def acquire(self) -> defer.Deferred[Any]:
        """Fire with this side once the lock is held; may be cancelled until then."""
        waiting: defer.Deferred[Any] = defer.Deferred(self._lock.forget)
        self._lock.enqueue(waiting, self, exclusive=self._exclusive)
        return waiting

    def release(self) -> None:
        """Give the lock back; InvalidLockUsage if nobody holds this side."""
        self._lock.release(exclusive=self._exclusive)

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> defer.Deferred[Any]:
        """Call `function` while holding the lock, and until the Deferred it may return fires."""

        def held(_: object) -> defer.Deferred[Any]:
            return defer.maybeDeferred(function, *args, **kwargs).addBoth(done)

        def done(result: Any) -> Any:
            self.release()
            return result

        return self.acquire().addCallback(held)


class DeferredRWLock:
    """Held by any number of readers or one writer; who asked first comes first.

    So a writer waits for the readers before it only, and readers after it wait for the writer.
    """

    def __init__(self) -> None:
        self.read_lock = _Side(self, exclusive=False)
        self.write_lock = _Side(self, exclusive=True)
        self._waiting: deque[tuple[defer.Deferred[Any], _Side, bool]] = deque()
        self._readers = 0
        self._writing = False
        self._waking = False

    def enqueue(self, waiting: defer.Deferred[Any], side: _Side, *, exclusive: bool) -> None:
        """Take a place in the queue; for the two sides only."""
        self._waiting.append((waiting, side, exclusive))
        self._wake()

    def forget(self, waiting: defer.Deferred[Any]) -> None:
        """Give up a place in the queue; for the two sides only."""
        self._waiting = deque(entry for entry in self._waiting if entry[0] is not waiting)
        self._wake()

    def release(self, *, exclusive: bool) -> None:
        """Give the lock back; for the two sides only."""
        if exclusive:
            if not self._writing:
                raise InvalidLockUsage("the write lock is not held")
            self._writing = False
        else:
            if not self._readers:
                raise InvalidLockUsage("the read lock is not held")
            self._readers -= 1
        self._wake()

    def _wake(self) -> None:
        # Who is woken may release at once, and be one of thousands: no call within the call.
        if self._waking:
            return
        self._waking = True
        try:
            while self._waiting:
                waiting, side, exclusive = self._waiting[0]
                if self._writing or (exclusive and self._readers):
                    return
                self._waiting.popleft()
                if exclusive:
                    self._writing = True
                else:
                    self._readers += 1
                waiting.callback(side)
        finally:
            self._waking = False
