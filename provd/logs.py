"""Logging: the standard library's, to stderr or a file; Twisted's events are bridged into it."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import threading
import time
from collections import deque
from typing import IO, TYPE_CHECKING, Any

from twisted.logger import ILogObserver, STDLibLogObserver
from zope.interface import provider

if TYPE_CHECKING:
    from twisted.python.failure import Failure

security_logger = logging.getLogger("provd.security_events")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_LINE = "%(asctime)s [%(levelname)s] (%(name)s): %(message)s"


def escape(text: str) -> str:
    r"""Return `text` with control characters as `\xNN`, so that it stays on one log line."""
    if text.isprintable():
        return text
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)


def log_failure(failure: Failure, logger: logging.Logger, message: str, *args: object) -> None:
    """Log `message` and the traceback of `failure` as an error; for `Deferred.addErrback`."""
    logger.error(
        message,
        *args,
        exc_info=(failure.type, failure.value, failure.getTracebackObject()),  # type: ignore[arg-type]
    )


def log_security(message: str, *args: object) -> None:
    """Write one line for fail2ban; control characters in `args` are escaped."""
    security_logger.info(message, *(escape(arg) if isinstance(arg, str) else arg for arg in args))


class LineFormatter(logging.Formatter):
    """Formats the time of a line, local and with milliseconds, once a second."""

    def __init__(self, layout: str) -> None:
        super().__init__(layout)
        self._second = -1
        self._text = ""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002
        """Return a text such as `2026-01-31 10:20:30,123`."""
        second = int(record.created)
        if second != self._second:
            self._text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))
            self._second = second
        return f"{self._text},{int(record.msecs):03}"


class LineHandler(logging.Handler):
    """Writes what comes within a moment in one go, from a thread of its own.

    A warning, and all before it, is written at once; so kill -9 costs `DELAY` seconds of lines
    below that. A disk or a journal that stands still holds nobody up before a warning does.
    """

    DELAY = 0.05
    _MOST = 5000

    def __init__(self, stream: IO[str], *, closes: bool) -> None:
        super().__init__()
        self._stream = stream
        self._closes = closes
        self._lines: deque[str] = deque()
        self._wake = threading.Event()
        self._begin()
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        """Have neither thread nor lock, at first and after a fork, as twistd may do."""
        self._writing = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def createLock(self) -> None:
        """Have no lock for all: lines are kept in a queue that needs none."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        try:
            self._lines.append(self.format(record))
            if record.levelno >= logging.WARNING or len(self._lines) > self._MOST or self._closed:
                self.flush()
            elif self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                self._thread.start()
            elif not self._wake.is_set():
                self._wake.set()
        except Exception:  # noqa: BLE001 - as every handler of the standard library
            self.handleError(record)

    def _run(self) -> None:
        while not self._closed:
            self._wake.clear()
            with contextlib.suppress(OSError, ValueError):
                self.flush()
            self._wake.wait()
            threading.Event().wait(self.DELAY)

    def flush(self) -> None:
        """Write all lines that wait."""
        with self._writing:
            lines = []
            while self._lines:
                lines.append(self._lines.popleft())
            if lines:
                lines.append("")
                self._stream.write("\n".join(lines))
                self._stream.flush()

    def close(self) -> None:
        """Write all lines and end the thread; lines that come later are written at once."""
        with contextlib.suppress(OSError, ValueError):
            self.flush()
        self._closed = True
        self._wake.set()
        if self._closes:
            self._stream.close()
        super().close()


def _to_file(path: str) -> LineHandler:
    return LineHandler(open(path, "a", encoding="utf-8", errors="backslashreplace"), closes=True)


def setup(*, verbose: bool, log_file: str | None, security_log_file: str | None) -> None:
    """Send records to stderr, or to `log_file`, and security lines to their own file too.

    Files are opened in append mode, so that logrotate's copytruncate works. Raises OSError if one
    cannot be opened.
    """
    # Nothing below shows who logged from where; not asking saves a third of each line's cost.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 - as its HOWTO advises
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
    handler = _to_file(log_file) if log_file else LineHandler(sys.stderr, closes=False)
    handler.setFormatter(LineFormatter(_LINE))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger("twisted").setLevel(logging.INFO if verbose else logging.WARNING)
    for old in list(security_logger.handlers):
        security_logger.removeHandler(old)
        old.close()
    if security_log_file:
        security = _to_file(security_log_file)
        security.setFormatter(LineFormatter("[%(asctime)s] %(message)s"))
        security_logger.addHandler(security)
    security_logger.setLevel(logging.INFO)


@provider(ILogObserver)
def _observe(event: Any) -> None:
    _bridge(event)


_bridge = STDLibLogObserver("twisted")


def observer() -> Any:
    """Return the observer for `twistd --logger provd.logs.observer`."""
    return _observe
