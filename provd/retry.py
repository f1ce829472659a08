"""What is tried again and again as long as the daemon runs: a connection, a token, a comparison.

After a failure the next attempt comes later each time, up to a limit, and what once worked begins
anew. Whoever knows that it is worth trying may hurry the next attempt.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from twisted.internet import defer

from provd.errors import ProvdError
from provd.logs import log_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

logger = logging.getLogger(__name__)


class RetryLoop:
    """Runs `attempt` for ever, one at a time.

    An attempt returns how many seconds to wait before the next, or raises; then the next of
    `delays` counts, in seconds, each longer by the part of it that `jitter` gives. `name` says in
    the log what a failure means, such as "the bus is not connected". `level` gives the level of
    that line from the error and the number of failures in a row; by default it is WARNING until the
    last delay is reached, as what is away for days is not worth a warning every minute, then DEBUG.
    """

    def __init__(
        self,
        clock: Any,
        attempt: Callable[[], Awaitable[float]],
        *,
        name: str,
        delays: Sequence[float],
        level: Callable[[Exception, int], int] | None = None,
        jitter: Callable[[], float] = lambda: 0.0,
        log: logging.Logger = logger,
    ) -> None:
        self._clock = clock
        self._attempt = attempt
        self._name = name
        self._delays = delays
        self._level = level or self._default_level
        self._jitter = jitter
        self._log = log
        self._running: defer.Deferred[Any] | None = None
        self._stopping = False
        self._sleeping: defer.Deferred[None] | None = None
        self._waiting: list[defer.Deferred[None]] = []
        self._failures = 0
        self._began = float("-inf")
        self._again = False
        self.is_attempting = False
        """Whether an attempt is under way."""
        self.problem: str | None = None
        """Why the last attempt failed; None while there is no reason to know of."""

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._running is not None

    def start(self, delay: float = 0.0) -> None:
        """Begin with the first attempt, after a delay if there is one."""
        self._stopping = False
        self._running = defer.Deferred()  # the attempt may look at is_running at once
        running: defer.Deferred[Any] = defer.Deferred.fromCoroutine(self._run(delay))
        running.addErrback(self._ended)
        self._running = running

    def _ended(self, failure: Any) -> None:
        if not self._stopping:
            log_failure(failure, self._log, "%s, and it is not tried any more", self._name)

    async def stop(self) -> None:
        """Give up the attempt that is under way, or the wait for the next one."""
        running, self._running = self._running, None
        if running is not None:
            self._stopping = True
            running.cancel()
            await running
        self.tell_waiting()

    def hurry(self, least_seconds: float = 0.0) -> bool:
        """Make the next attempt now; one that is under way is followed by another at once.

        Does nothing within `least_seconds` of the beginning of the last attempt. Returns whether an
        attempt is under way.
        """
        if self._clock.seconds() - self._began >= least_seconds:
            self._again = True
            if self._sleeping is not None and not self._sleeping.called:
                self._sleeping.callback(None)
        return self.is_attempting

    def note_success(self) -> None:
        """Count what fails from now on as if for the first time; for attempts that last."""
        self._failures = 0
        self.problem = None

    def attempt_ended(self) -> defer.Deferred[None]:
        """Return a Deferred that fires when the attempt under way ends, or the loop stops.

        An attempt that lasts may fire it earlier, by `tell_waiting`.
        """
        waiting: defer.Deferred[None] = defer.Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def tell_waiting(self) -> None:
        """Let those go on who wait for `attempt_ended`."""
        waiting, self._waiting = self._waiting, []
        for one in list(waiting):
            if not one.called:
                one.callback(None)

    async def _run(self, delay: float) -> None:
        if delay > 0:
            await self._sleep(delay)
        while True:
            self._began = self._clock.seconds()
            self._again = False
            self.is_attempting = True
            try:
                pause = await self._attempt()
            except Exception as error:
                if self._stopping:
                    raise
                pause = self._note_failure(error)
            else:
                self.note_success()
            finally:
                self.is_attempting = False
            self.tell_waiting()
            await self._sleep(0.0 if self._again else max(pause, 0.0))

    def _note_failure(self, error: Exception) -> float:
        """Log a failure; return the seconds to wait."""
        self._failures += 1
        self.problem = str(error) or type(error).__name__
        delay = self._delays[min(self._failures, len(self._delays)) - 1] * (1 + self._jitter())
        is_expected = isinstance(error, ProvdError | OSError)
        self._log.log(
            self._level(error, self._failures),
            "%s, next try in %.3g s: %s",
            self._name,
            delay,
            self.problem,
            exc_info=None if is_expected else error,
        )
        return delay

    def _default_level(self, _error: Exception, failures: int) -> int:
        return logging.DEBUG if failures > len(self._delays) else logging.WARNING

    async def _sleep(self, seconds: float) -> None:
        sleeping: defer.Deferred[None] = defer.Deferred()
        self._sleeping = sleeping
        call = self._clock.callLater(seconds, sleeping.callback, None)
        try:
            await sleeping
        finally:
            self._sleeping = None
            if call.active():
                call.cancel()
