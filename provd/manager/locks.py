"""Locks by key: two phones never wait for each other, and no wait lasts for ever."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from twisted.internet import defer

from provd.errors import TooBusy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable


class KeyedLocks:
    """One lock for each key in use; a lock nobody holds takes no memory."""

    def __init__(self, clock: Any, timeout: float = 30.0) -> None:
        self._clock = clock
        self._timeout = timeout
        self._locks: dict[Hashable, defer.DeferredLock] = {}

    def __len__(self) -> int:
        return len(self._locks)

    @asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        """Hold the lock of `key`; TooBusy if it is not free within the time limit."""
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = defer.DeferredLock()
        waiting = lock.acquire()
        if not waiting.called:
            waiting.addTimeout(self._timeout, self._clock)
        try:
            await waiting
        except defer.TimeoutError:
            raise TooBusy(f"waited {self._timeout:.0f} s for {key}") from None
        try:
            yield
        finally:
            lock.release()
            if not lock.locked and not lock.waiting and self._locks.get(key) is lock:
                del self._locks[key]
