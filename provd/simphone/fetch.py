"""What both clients share: why a file was not got, and where its bytes go."""

from __future__ import annotations

import contextlib
import errno
import os
import ssl
from typing import TYPE_CHECKING, BinaryIO, Self

from provd.errors import ProvdError

if TYPE_CHECKING:
    from types import TracebackType

    from provd.simphone.phone import Phone, Target

HEAD_SIZE = 64


class FetchError(ProvdError):
    """A file was not got: `reason` is short and the same for all phones, `detail` may tell more."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


_REASONS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.EADDRNOTAVAIL: "source address not usable here",
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTUNREACH: "host unreachable",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
}


def as_fetch_error(exc: OSError) -> FetchError:
    """Return a system's error in our words."""
    if isinstance(exc, TimeoutError):
        return FetchError("timeout")
    if isinstance(exc, ssl.SSLError):
        return FetchError("TLS failed", exc.reason or str(exc))
    reason = _REASONS.get(exc.errno) if exc.errno is not None else None
    return FetchError(reason or exc.strerror or type(exc).__name__)


def printable(text: str, limit: int = 80) -> str:
    """Return a peer's text cut and without control characters: it goes to a terminal."""
    kept = "".join(character if character.isprintable() else "?" for character in text[:limit])
    return f"{kept}…" if len(text) > limit else kept


class Sink:
    """Takes a file's bytes: counts them, keeps the first ones, and saves all if told where.

    A saved file appears under its name only when `keep` was called, so none is ever half there.
    """

    def __init__(self, limit: int, path: str | None = None) -> None:
        self.size = 0
        self.head = b""
        self._limit = limit
        self._path = path
        self._file: BinaryIO | None = None

    @classmethod
    def of(cls, phone: Phone, target: Target, path: str) -> Sink:
        """Return the sink of one file of a phone."""
        if target.save is None:
            return cls(target.max_size)
        name = path.partition("?")[0]
        return cls(target.max_size, os.path.join(target.save, phone.mac.replace(":", ""), name))

    def write(self, data: bytes) -> None:
        """Take the next bytes; raises FetchError when the file becomes too large."""
        self.size += len(data)
        if self.size > self._limit:
            raise FetchError("too large", f"more than {self._limit} bytes")
        if len(self.head) < HEAD_SIZE:
            self.head = (self.head + data)[:HEAD_SIZE]
        if self._path is not None:
            self._open().write(data)

    def keep(self) -> None:
        """Save the file under its name: it is complete."""
        if self._path is not None:
            self._open().close()
            os.replace(f"{self._path}.part", self._path)
            self._path = None

    def _open(self) -> BinaryIO:
        if self._file is None:
            os.makedirs(os.path.dirname(f"{self._path}"), exist_ok=True)
            self._file = open(f"{self._path}.part", "wb")  # noqa: SIM115 - closed by __exit__
        return self._file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
            with contextlib.suppress(FileNotFoundError):
                os.remove(f"{self._file.name}")
