"""Work over many devices, in slices, beside everything else."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet import defer, task

from provd.errors import InvalidParameter, OperationNotFound
from provd.logs import log_failure
from provd.model.operations import PROGRESS, Operation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

logger = logging.getLogger(__name__)

SLICE_SECONDS = 0.005


@attrs.frozen
class Job:
    """A background coroutine that runs."""

    id: str
    name: str
    operation: Operation
    can_be_stopped: bool
    """Whether it leaves nothing half-done."""


class Jobs:
    """Background coroutines; `stop` cancels them and waits until each has ended."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._running: dict[defer.Deferred[Any], Job] = {}
        self._last = 0
        self._idle: defer.Deferred[None] | None = None

    @property
    def names(self) -> list[str]:
        """What is running."""
        return [job.name for job in self._running.values()]

    @property
    def all(self) -> list[Job]:
        """What is running, oldest first."""
        return list(self._running.values())

    def get(self, job_id: str) -> Job:
        """Return a running job; OperationNotFound if there is none of that id."""
        for job in self._running.values():
            if job.id == job_id:
                return job
        raise OperationNotFound(f"no job {job_id}")

    def cancel(self, job_id: str) -> None:
        """Stop a job; OperationNotFound, InvalidParameter for one that may not be stopped.

        What it leaves undone is made up for when it is needed.
        """
        for running, job in self._running.items():
            if job.id == job_id:
                if not job.can_be_stopped:
                    raise InvalidParameter(f"the job {job.name} cannot be stopped half-way")
                running.cancel()
                return
        raise OperationNotFound(f"no job {job_id}")

    def start(
        self,
        name: str,
        work: Coroutine[Any, Any, None],
        operation: Operation | None = None,
        *,
        can_be_stopped: bool = False,
    ) -> None:
        """Run `work`; its failure is logged under `name`, and `operation` tells how far it is."""
        job: defer.Deferred[Any] = defer.Deferred.fromCoroutine(work)
        if job.called:
            job.addErrback(log_failure, logger, "the job %s failed", name)
            return
        self._last += 1
        self._running[job] = Job(
            str(self._last), name, operation or Operation(state=PROGRESS), can_be_stopped
        )

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

    async def for_each(
        self,
        items: Iterable[Any],
        work: Callable[[Any], Awaitable[Any]],
        operation: Operation | None = None,
    ) -> None:
        """Do `work` on each item, one at a time, yielding whenever a slice of time is used up.

        An item whose work raises is logged and skipped; `operation` counts them.
        """
        started = time.perf_counter()
        for item in items:
            try:
                await work(item)
            except defer.CancelledError:
                raise
            except Exception:
                logger.exception("%s could not be dealt with", item)
            if operation is not None:
                operation.current = (operation.current or 0) + 1
            if time.perf_counter() - started > SLICE_SECONDS:
                await self.pause()
                started = time.perf_counter()
