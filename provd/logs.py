"""Logging: the standard library's, to stderr or a file; Twisted's events are bridged into it."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import TYPE_CHECKING, Any

from twisted.logger import ILogObserver, STDLibLogObserver
from zope.interface import provider

if TYPE_CHECKING:
    from twisted.python.failure import Failure

security_logger = logging.getLogger("provd.security_events")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_LINE = "%(asctime)s [%(levelname)s] (%(name)s): %(message)s"


def escape(text: str) -> str:
    r"""Return `text` with control characters as `\xNN`, so that it stays on one log line."""
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
    handler = (
        logging.FileHandler(log_file, encoding="utf-8")
        if log_file
        else logging.StreamHandler(sys.stderr)
    )
    handler.setFormatter(logging.Formatter(_LINE))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    logging.getLogger("twisted").setLevel(logging.INFO if verbose else logging.WARNING)
    for old in list(security_logger.handlers):
        security_logger.removeHandler(old)
        old.close()
    if security_log_file:
        security = logging.FileHandler(security_log_file, encoding="utf-8")
        formatter = logging.Formatter("[%(asctime)s] %(message)s")
        formatter.converter = time.localtime
        security.setFormatter(formatter)
        security_logger.addHandler(security)
    security_logger.setLevel(logging.INFO)


@provider(ILogObserver)
def _observe(event: Any) -> None:
    _bridge(event)


_bridge = STDLibLogObserver("twisted")


def observer() -> Any:
    """Return the observer for `twistd --logger provd.logs.observer`."""
    return _observe
