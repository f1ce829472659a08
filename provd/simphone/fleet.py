"""Many phones that boot at one server, and the figures of it."""

from __future__ import annotations

import array
import asyncio
import collections
import math
import time
from typing import TYPE_CHECKING, Any

import attrs

from provd.simphone.boot import boot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from provd.simphone.boot import BootReport
    from provd.simphone.phone import Phone, Target

LATE_SECONDS = 0.1


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """Return the nearest-rank percentile of sorted values; None if there is no value."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


@attrs.frozen
class Summary:
    """The figures of a fleet. Times are in seconds, and None where nothing could be measured."""

    phones: int
    failed: int
    requests: int
    bytes: int
    seconds: float
    late: int
    """Phones that began late because too many others were still booting."""
    failures: dict[str, int]
    outcomes: dict[str, int]
    boot_median: float | None
    boot_p99: float | None
    request_median: float | None
    request_p99: float | None

    @property
    def requests_per_second(self) -> float:
        """The rate over the whole run."""
        return self.requests / self.seconds if self.seconds else 0.0

    @property
    def phones_per_second(self) -> float:
        """The rate over the whole run."""
        return self.phones / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object, with times in milliseconds."""
        times = {
            name: None if value is None else round(value * 1000, 3)
            for name, value in (
                ("boot_median_ms", self.boot_median),
                ("boot_p99_ms", self.boot_p99),
                ("request_median_ms", self.request_median),
                ("request_p99_ms", self.request_p99),
            )
        }
        return {
            "phones": self.phones,
            "failed": self.failed,
            "requests": self.requests,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 3),
            "late": self.late,
            "failures": self.failures,
            "outcomes": self.outcomes,
            **times,
            "requests_per_second": round(self.requests_per_second, 1),
            "phones_per_second": round(self.phones_per_second, 1),
        }


class Tally:
    """Adds up reports while a fleet boots; it can be asked at any time."""

    def __init__(self) -> None:
        self.phones = 0
        self.failed = 0
        self.requests = 0
        self.late = 0
        self._bytes = 0
        self._failures: collections.Counter[str] = collections.Counter()
        self._outcomes: collections.Counter[str] = collections.Counter()
        # A list of a million floats would take four times the memory.
        self._boots = array.array("d")
        self._requests = array.array("d")
        self._started = time.perf_counter()
        self._seconds: float | None = None

    def start(self) -> None:
        """Begin to measure the time of the whole run."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Stop measuring it."""
        self._seconds = self.elapsed

    @property
    def elapsed(self) -> float:
        """Seconds of the whole run, up to now or to its end."""
        return self._seconds if self._seconds is not None else time.perf_counter() - self._started

    def add(self, report: BootReport) -> None:
        """Count one boot."""
        self.phones += 1
        self.requests += len(report.steps)
        failure = report.failure
        if failure is None:
            self._boots.append(report.seconds)
        else:
            self.failed += 1
            self._failures[failure] += 1
        for step in report.steps:
            self._bytes += step.size
            self._outcomes[step.outcome] += 1
            if step.is_answered:
                self._requests.append(step.seconds)

    def summary(self) -> Summary:
        """Return the figures: boot times of boots that succeeded, times of requests answered."""
        boots = sorted(self._boots)
        requests = sorted(self._requests)
        return Summary(
            phones=self.phones,
            failed=self.failed,
            requests=self.requests,
            bytes=self._bytes,
            seconds=self.elapsed,
            late=self.late,
            failures=dict(self._failures.most_common()),
            outcomes=dict(self._outcomes.most_common()),
            boot_median=percentile(boots, 50),
            boot_p99=percentile(boots, 99),
            request_median=percentile(requests, 50),
            request_p99=percentile(requests, 99),
        )


async def run(
    phones: Iterable[tuple[Phone, Target]],
    *,
    rate: float | None = None,
    concurrency: int = 100,
    tally: Tally | None = None,
    on_report: Callable[[BootReport], None] | None = None,
) -> Summary:
    """Boot every phone at its target and return the figures.

    `rate` is how many phones begin each second, whether or not the server keeps up; None: as many
    as `concurrency` allows. At most `concurrency` phones boot at one time; those that had to wait
    for that are counted as late. `tally` is where the figures grow meanwhile.
    """
    tally = tally or Tally()
    numbered = enumerate(phones)
    tally.start()
    started = time.perf_counter()

    async def play_next_ones() -> None:
        for number, (phone, target) in numbered:
            if rate is not None:
                delay = started + number / rate - time.perf_counter()
                if delay > 0:
                    await asyncio.sleep(delay)
                elif delay < -LATE_SECONDS:
                    tally.late += 1
            report = await boot(phone, target)
            tally.add(report)
            if on_report is not None:
                on_report(report)

    players = [asyncio.ensure_future(play_next_ones()) for _ in range(concurrency)]
    try:
        await asyncio.gather(*players)
    finally:
        for player in players:
            player.cancel()
        await asyncio.gather(*players, return_exceptions=True)
        tally.stop()
    return tally.summary()
