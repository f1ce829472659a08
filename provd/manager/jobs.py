"""Work over many devices, in slices, beside everything else."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from twisted.internet import defer, task

from provd.logs import log_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

logger = logging.getLogger(__name__)

SLICE_SECONDS = 0.005


class Jobs:
    """Background coroutines; `stop` cancels them and waits until each has ended."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._running: dict[defer.Deferred[Any], str] = {}
        self._idle: defer.Deferred[None] | None = None

    @property
    def names(self) -> list[str]:
        """What is running."""
        return list(self._running.values())

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run `work`; its failure is logged under `name`."""
        job: defer.Deferred[Any] = defer.Deferred.fromCoroutine(work)
        if job.called:
            job.addErrback(log_failure, logger, "the job %s failed", name)
            return
        self._running[job] = name

        def done(result: Any) -> Any:
            self._running.pop(job, None)
            if not self._running and self._idle is not None:
                idle, self._idle = self._idle, None
                idle.callback(None)
            return result

        def failed(failure: Any) -> None:
            if failure.check(defer.CancelledError):
                logger.info("the job %s was stopped before its end", name)
            else:
                log_failure(failure, logger, "the job %s failed", name)

        job.addBoth(done)
        job.addErrback(failed)

    async def stop(self) -> None:
        """Cancel all jobs."""
        for job in list(self._running):
            job.cancel()
        if self._running:
            self._idle = defer.Deferred()
            await self._idle

    def pause(self) -> defer.Deferred[None]:
        """Let the loop run once."""
        return task.deferLater(self._clock, 0, lambda: None)

    async def for_each(self, items: Iterable[Any], work: Callable[[Any], Awaitable[Any]]) -> None:
        """Do `work` on each item, one at a time, yielding whenever a slice of time is used up.

        An item whose work raises is logged and skipped.
        """
        started = time.perf_counter()
        for item in items:
            try:
                await work(item)
            except defer.CancelledError:
                raise
            except Exception:
                logger.exception("%s could not be dealt with", item)
            if time.perf_counter() - started > SLICE_SECONDS:
                await self.pause()
                started = time.perf_counter()
