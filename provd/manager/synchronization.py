"""Synchronisations, followed until the phone has come back.

That a message was sent means little: phones are off, behind NAT, or ignore it. So each one waits,
for a while, until the device fetches its trigger file, which is fresh by then; the device's history
tells what came of it. Many devices are told at a pace, and no more where too many fail.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet import defer, task

from provd.errors import ProvdError, describe
from provd.logs import log_failure
from provd.manager.history import SyncEntry
from provd.manager.sync_tally import SyncTally
from provd.model.operations import FAIL, PROGRESS, SUCCESS, Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from provd.manager.history import History
    from provd.manager.jobs import Jobs
    from provd.manager.manager import DeviceManager

logger = logging.getLogger(__name__)

SENT = "sent"
FETCHED = "fetched"
NOT_CONFIRMED = "not confirmed"
_AT_ONCE = 64
_MAX_LATE = 1.0


@attrs.define(eq=False)
class _Expected:
    """A phone that was told and should come."""

    trigger: str | None
    """The file name that proves it; None for any file."""
    came: defer.Deferred[None] = attrs.field(factory=defer.Deferred)


class Synchronizations:
    """Tells phones to load their configuration, and watches for them."""

    def __init__(
        self,
        *,
        clock: Any,
        manager: DeviceManager,
        history: History,
        jobs: Jobs,
        way: Callable[[], str],
        confirm_seconds: float,
        success_means: str = SENT,
    ) -> None:
        self._clock = clock
        self._manager = manager
        self._history = history
        self._jobs = jobs
        self._way = way
        self._confirm_seconds = confirm_seconds
        self._waits = success_means == FETCHED and confirm_seconds > 0
        self._expected: dict[str, list[_Expected]] = {}
        self.confirmed = 0
        self.not_confirmed = 0
        self.failed = 0

    @property
    def waiting(self) -> int:
        """How many devices were told and have not come yet."""
        return len(self._expected)

    def fetched(self, device_id: str, path: str) -> None:
        """Take note that a device was served a file; called for every one."""
        expected = self._expected.get(device_id)
        if not expected:
            return
        name = path.rsplit("/", 1)[-1]
        for one in [one for one in expected if one.trigger in {None, name}]:
            expected.remove(one)
            one.came.callback(None)
        if not expected:
            self._expected.pop(device_id, None)

    def begin(self, device_id: str) -> Operation:
        """Tell a phone; return the operation, whose end is that it was sent, or fetched."""
        operation = Operation(state=PROGRESS)
        self._jobs.start(f"synchronisation of device {device_id}", self._one(device_id, operation))
        return operation

    async def _one(self, device_id: str, operation: Operation) -> None:
        expected = await self._tell(device_id, operation)
        if expected is not None:
            await self._watch(device_id, expected, operation)

    async def _tell(self, device_id: str, operation: Operation) -> _Expected | None:
        """Tell a phone; end the operation unless success is its fetch; return what is expected."""
        try:
            expected = await self._send(device_id)
        except defer.CancelledError:
            operation.fail("the daemon stops")
            raise
        except ProvdError as error:
            logger.warning("the synchronisation of device %s failed: %s", device_id, error)
            operation.fail(str(error))
            return None
        except BaseException as error:
            logger.exception("the synchronisation of device %s failed", device_id)
            operation.fail(describe(error))
            if not isinstance(error, Exception):
                raise
            return None
        if expected is None or not self._waits:
            operation.state = SUCCESS
        return expected

    async def _watch(self, device_id: str, expected: _Expected, operation: Operation) -> None:
        """Wait for a phone that was told; end the operation if that has not ended."""
        try:
            has_come = await self._confirm(device_id, expected)
        except defer.CancelledError:
            if not operation.is_finished:
                operation.fail("the daemon stops")
            raise
        if operation.is_finished:
            return
        if has_come:
            operation.state = SUCCESS
        else:
            operation.fail(f"no fetch within {self._confirm_seconds:g} s")

    async def _send(self, device_id: str) -> _Expected | None:
        """Tell a phone; return what is expected of it, None where nothing can be."""
        expected = None
        if self._confirm_seconds > 0:
            # It may come before the message is known to have been sent.
            expected = _Expected(await self._manager.trigger_of(device_id))
            self._expected.setdefault(device_id, []).append(expected)
        try:
            await self._manager.synchronize_device(device_id)
        except BaseException as error:
            self.failed += 1
            if expected is not None:
                self._forget(device_id, expected)
            reason = "the daemon stops" if isinstance(error, defer.CancelledError) else str(error)
            self._note(device_id, f"not sent: {reason}", None)
            raise
        self._note(device_id, SENT, None)
        return expected

    async def _confirm(self, device_id: str, expected: _Expected) -> bool:
        """Wait until the phone fetches its file; return whether it did in time."""
        began = self._clock.seconds()
        try:
            await expected.came.addTimeout(self._confirm_seconds, self._clock)
        except defer.TimeoutError:
            self.not_confirmed += 1
            self._note(device_id, NOT_CONFIRMED, None)
            logger.warning(
                "device %s was told to reload and did not come within %g s",
                device_id,
                self._confirm_seconds,
            )
            return False
        finally:
            self._forget(device_id, expected)
        self.confirmed += 1
        self._note(device_id, FETCHED, self._clock.seconds() - began)
        return True

    def _forget(self, device_id: str, expected: _Expected) -> None:
        waiting = self._expected.get(device_id)
        if waiting is not None and expected in waiting:
            waiting.remove(expected)
            if not waiting:
                del self._expected[device_id]

    def _note(self, device_id: str, outcome: str, seconds: float | None) -> None:
        self._history.note(device_id, SyncEntry(time.time(), self._way(), outcome, seconds))

    # Many

    def begin_many(
        self, device_ids: Sequence[str], *, per_second: float, max_failures: int
    ) -> Operation:
        """Tell many phones, `per_second` of them, and stop when more than `max_failures` failed.

        The operation counts devices; it stops too when it is forgotten. Where success is a fetch,
        no more than 64 phones are awaited at one time: what harms them is to harm few.
        """
        operation = Operation(state=PROGRESS, current=0, end=len(device_ids))
        tally = SyncTally(operation)
        if device_ids and self._way() == "none":
            tally.impossible = "general.sync_service_type is none"
        work = self._many(device_ids, operation, tally, per_second, max_failures)
        self._jobs.start(
            f"synchronisation of {len(device_ids)} devices", work, operation, can_be_stopped=True
        )
        return operation

    async def _many(
        self,
        device_ids: Sequence[str],
        operation: Operation,
        tally: SyncTally,
        per_second: float,
        max_failures: int,
    ) -> None:
        slots = defer.DeferredSemaphore(_AT_ONCE)
        told = failures = 0
        running: set[defer.Deferred[None]] = set()

        async def one(device_id: str) -> None:
            nonlocal told, failures
            single = Operation(state=PROGRESS)
            try:
                expected = await self._tell(device_id, single)
                if expected is not None and self._waits:
                    await self._watch(device_id, expected, single)
                    expected = None
            finally:
                told += 1
                failures += single.state == FAIL
                tally.note(device_id, single, is_awaited=expected is not None, has_come=self._waits)
                if not operation.is_finished:
                    operation.current = told
                slots.release()  # last, as who waits for it goes on at once, and looks at these
            if expected is not None:
                # Success was the message: the phone is awaited, but nobody waits for that.
                tally.note_outcome(has_come=await self._confirm(device_id, expected))

        def start(device_id: str) -> None:
            work = defer.Deferred.fromCoroutine(one(device_id))
            running.add(work)
            work.addErrback(lambda failure: failure.trap(defer.CancelledError) and None)
            work.addErrback(log_failure, logger, "the synchronisation of device %s", device_id)
            work.addBoth(lambda _result: running.discard(work))

        due = self._clock.seconds()
        try:
            for device_id in device_ids:
                early = due - self._clock.seconds()
                if early > 0:
                    await task.deferLater(self._clock, early)
                await slots.acquire()
                if failures > max_failures or operation.is_forgotten or tally.is_hopeless:
                    slots.release()
                    break
                start(device_id)
                # What was late is made up for, but never by a burst.
                due = max(due, self._clock.seconds() - _MAX_LATE) + 1 / per_second
            if failures <= max_failures and not operation.is_forgotten and not tally.is_hopeless:
                for _ in range(_AT_ONCE):
                    await slots.acquire()
            if tally.is_hopeless:
                operation.fail(f"no phone can be told: {tally.impossible}")
                logger.warning("the synchronisation of devices: %s", operation.error)
            else:
                self._end_many(operation, told, failures, max_failures)
            await defer.DeferredList(list(running))
        except defer.CancelledError:
            if not operation.is_finished:
                operation.fail("the daemon stops")
            ending = list(running)
            for work in ending:
                work.cancel()
            await defer.DeferredList(ending)
            raise

    @staticmethod
    def _end_many(operation: Operation, told: int, failures: int, max_failures: int) -> None:
        if failures > max_failures:
            reason = f"{failures} of {told} devices failed, no more are told"
            logger.warning("the synchronisation of %d devices: %s", operation.end, reason)
            operation.fail(reason)
        elif operation.is_forgotten:
            logger.info("the synchronisation of devices was stopped after %d", told)
            operation.fail("stopped")
        else:
            logger.info("%d devices were told to reload, %d failed", told - failures, failures)
            if failures:
                operation.fail(f"{failures} of {told} devices failed")
            else:
                operation.state = SUCCESS
