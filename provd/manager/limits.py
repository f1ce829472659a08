"""Bounds on what strangers may cause."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

_MAX_SOURCES = 20_000


class TokenBucket:
    """Allows `rate` events a second on average and `burst` at once."""

    __slots__ = ("_burst", "_rate", "_since", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._since = now

    def take(self, now: float) -> bool:
        """Return whether one more event is allowed, and count it."""
        # The reactor's clock is the wall clock, which may be set back.
        passed = max(now - self._since, 0)
        self._tokens = min(self._burst, self._tokens + passed * self._rate)
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class CreationLimits:
    """How many devices may be created automatically: overall and for each source address."""

    def __init__(self, clock: Any, rate: float, rate_per_source_per_minute: float) -> None:
        self._clock = clock
        self._per_minute = rate_per_source_per_minute
        self._overall = TokenBucket(rate, max(rate * 5, 1), clock.seconds())
        self._sources: OrderedDict[str, TokenBucket] = OrderedDict()
        self.refused = 0

    def allow(self, source: str) -> str | None:
        """Return None if a device may be created now, else why not."""
        now = self._clock.seconds()
        bucket = self._sources.get(source)
        if bucket is None:
            bucket = TokenBucket(self._per_minute / 60, max(self._per_minute, 1), now)
            self._sources[source] = bucket
            if len(self._sources) > _MAX_SOURCES:
                self._sources.popitem(last=False)
        else:
            self._sources.move_to_end(source)
        if not bucket.take(now):
            self.refused += 1
            return f"{source} creates more than {self._per_minute:g} devices a minute"
        if not self._overall.take(now):
            self.refused += 1
            return "too many devices are being created"
        return None
