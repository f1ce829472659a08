"""`/metrics` for Prometheus, on a port of its own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from prometheus_client import CONTENT_TYPE_LATEST
from twisted.internet import defer
from twisted.web import resource, server

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)


class MetricsResource(resource.Resource):
    """Answers `GET /metrics` with what `text` gives."""

    def __init__(self, text: Callable[[], Awaitable[bytes]]) -> None:
        super().__init__()
        self.putChild(b"metrics", _Metrics(text))


class _Metrics(resource.Resource):
    isLeaf = True

    def __init__(self, text: Callable[[], Awaitable[bytes]]) -> None:
        super().__init__()
        self._text = text

    def render_GET(self, request: server.Request) -> int:
        """Answer when the numbers are gathered."""
        lost: list[Any] = []
        request.notifyFinish().addErrback(lost.append)

        async def answer() -> None:
            text = await self._text()
            if not lost:
                request.setHeader(b"content-type", CONTENT_TYPE_LATEST.encode("ascii"))
                request.setHeader(b"content-length", b"%d" % len(text))
                request.write(text)
                request.finish()

        def failed(failure: Any) -> None:
            logger.error("the metrics cannot be gathered: %s", failure.value)
            if not lost:
                request.setResponseCode(503)
                request.finish()

        defer.Deferred.fromCoroutine(answer()).addErrback(failed)
        return server.NOT_DONE_YET


class MetricsSite(server.Site):
    """Serves `MetricsResource`, silently."""

    noisy = False
    displayTracebacks = False

    def log(self, request: Any) -> None:
        """Write nothing."""
