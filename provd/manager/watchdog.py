"""Notices when the reactor stands still, and says where.

The loop sets a mark many times a second; a thread of its own looks at the mark. When it is too old,
the thread notes what the reactor thread is doing at that moment; when the loop goes on, one warning
tells how long it stood still, how much of that the processor worked for it, and where.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from typing import Any

logger = logging.getLogger(__name__)

_STACK_LINES = 12


class StallWatchdog:
    """Watches one reactor; `threshold` in seconds."""

    def __init__(self, reactor: Any, threshold: float) -> None:
        self._reactor = reactor
        self._threshold = threshold
        self._period = threshold / 2
        self._mark = 0.0
        self._cpu = 0.0
        self._where: str | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._call: Any = None
        self._loop_thread = 0
        self.stalls = 0
        self.longest = 0.0

    def start(self) -> None:
        """Begin; called in the reactor thread."""
        self._loop_thread = threading.get_ident()
        self._mark = time.monotonic()
        self._cpu = time.thread_time()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()
        self._beat()

    def stop(self) -> None:
        """End."""
        self._stopping.set()
        if self._call is not None and self._call.active():
            self._call.cancel()
        if self._thread is not None:
            self._thread.join(1)
            self._thread = None

    def _beat(self) -> None:
        now, cpu = time.monotonic(), time.thread_time()
        stood = now - self._mark - self._period
        if self._call is not None and stood > self._threshold:
            self.stalls += 1
            self.longest = max(self.longest, stood)
            logger.warning(
                "the loop stood still for %.0f ms (%.0f ms of processor time)%s",
                stood * 1000,
                (cpu - self._cpu) * 1000,
                f", in:\n{self._where}" if self._where else "",
            )
        self._mark, self._cpu, self._where = now, cpu, None
        self._call = self._reactor.callLater(self._period, self._beat)

    def _watch(self) -> None:
        while not self._stopping.wait(self._period):
            if (
                self._where is None
                and time.monotonic() - self._mark > self._period + self._threshold
            ):
                frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001
                if frame is not None:
                    lines = traceback.format_stack(frame)[-_STACK_LINES:]
                    self._where = "".join(lines).rstrip()
