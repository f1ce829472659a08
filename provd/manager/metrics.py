"""Numbers of the daemon, for Prometheus: counted here, and asked of the others when one looks.

Counting on the request path is a list element plus one: no lock and no look-up of labels, as all
of it happens on the reactor thread.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets of every duration, in seconds."""

Sample = tuple[str, str, dict[str, str], float]
"""Name, help, labels and value of a number that is asked for; a name on _total is a counter."""


class Histogram:
    """Durations in seconds, by bucket."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Add one duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return (upper bound, how many are not above it), the last one for all."""
        result = []
        so_far = 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self.counts, strict=True):
            so_far += count
            result.append((bound, float(so_far)))
        return result


class Metrics:
    """All numbers of one daemon; a collector in the sense of prometheus_client."""

    def __init__(self) -> None:
        self._requests: dict[tuple[str, bool], Histogram] = {
            (protocol, served): Histogram()
            for protocol in ("http", "tftp", "dhcp")
            for served in (True, False)
        }
        self._bytes = dict.fromkeys(("http", "tftp", "dhcp"), 0)
        self.identify = Histogram()
        self.render = Histogram()
        self.store_write = Histogram()
        self.store_read = Histogram()
        self._asked: list[Callable[[], Iterable[Sample]]] = []
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def ask(self, source: Callable[[], Iterable[Sample]]) -> None:
        """Ask `source` for samples whenever somebody looks; all of one name must be together."""
        self._asked.append(source)

    def request(self, protocol: str, served: bool, seconds: float, size: int) -> None:
        """Count a request of a phone that is answered."""
        self._requests[protocol, served].observe(seconds)
        self._bytes[protocol] += size

    def text(self) -> bytes:
        """Return all numbers in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Any]:
        """Yield all families of numbers."""
        requests = HistogramMetricFamily(
            "provd_request_seconds",
            "Requests of phones, from the first byte to the answer.",
            labels=("protocol", "result"),
        )
        for (protocol, served), histogram in self._requests.items():
            requests.add_metric(
                (protocol, "served" if served else "refused"),
                histogram.buckets(),
                histogram.total,
            )
        yield requests
        sent = CounterMetricFamily(
            "provd_sent_bytes", "Content sent to phones.", labels=("protocol",)
        )
        for protocol, size in self._bytes.items():
            sent.add_metric((protocol,), size)
        yield sent
        for name, text, histogram in (
            ("identify", "Recognising a phone that memory alone could not tell.", self.identify),
            ("render", "Writing the files of one device.", self.render),
            ("store_write", "Waiting for the store to make a write durable.", self.store_write),
            ("store_read", "Waiting for the store to answer.", self.store_read),
        ):
            family = HistogramMetricFamily(f"provd_{name}_seconds", text)
            family.add_metric((), histogram.buckets(), histogram.total)
            yield family
        for source in self._asked:
            yield from _families(source())


def _families(samples: Iterable[Sample]) -> Iterator[Any]:
    family: Any = None
    for name, text, labels, value in samples:
        if family is None or family.full_name != name:
            if family is not None:
                yield family
            is_counter = name.endswith("_total")
            kind: Any = CounterMetricFamily if is_counter else GaugeMetricFamily
            family = kind(name.removesuffix("_total"), text, labels=tuple(labels))
            family.full_name = name
        family.add_metric(tuple(labels.values()), value)
    if family is not None:
        yield family
