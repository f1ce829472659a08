"""Downloads: blocking, for worker threads; what came is checked before it takes its name."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from provd.errors import DownloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

logger = logging.getLogger(__name__)

USER_AGENT = "provd/1.0"
TIMEOUT = 15.0
_BLOCK = 64 * 1024


def shown_url(url: str) -> str:
    """Return `url` without user name and password, for logs and messages."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the URL"  # it may hold a password anywhere
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def open_url(
    url: str, proxies: Mapping[str, str], handlers: Sequence[urllib.request.BaseHandler] = ()
) -> Any:
    """Open `url` (http, https, ftp, file) through `proxies`; DownloadError says why not.

    `proxies` has keys http, ftp and https; proxies of the environment are not used.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler(dict(proxies)), *handlers)
    opener.addheaders = [("User-Agent", USER_AGENT)]
    try:
        return opener.open(url, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 401:
            raise DownloadError(f"{shown_url(url)}: invalid credentials") from None
        raise DownloadError(f"{shown_url(url)}: {error.code} {error.reason}") from None
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise DownloadError(f"{shown_url(url)}: {reason}") from error


def verify(path: str, size: int | None, sha1sum: str | None, sha256sum: str | None = None) -> None:
    """Raise DownloadError unless the file has that size and those checksums, where given."""
    digests = {
        name: (hashlib.new(name, usedforsecurity=False), wanted)
        for name, wanted in (("sha1", sha1sum), ("sha256", sha256sum))
        if wanted
    }
    name = os.path.basename(path)
    try:
        with open(path, "rb") as stream:
            actual = os.fstat(stream.fileno()).st_size
            if size is not None and actual != size:
                raise DownloadError(f"{name}: {actual} bytes came, {size} were announced")
            while block := stream.read(_BLOCK):
                for digest, _ in digests.values():
                    digest.update(block)
    except OSError as error:
        raise DownloadError(f"{path}: {error}") from error
    for kind, (digest, wanted) in digests.items():
        if digest.hexdigest() != wanted.lower():
            raise DownloadError(f"{name}: the {kind} checksum is not the announced one")


def download(
    url: str,
    path: str,
    *,
    proxies: Mapping[str, str],
    size: int | None = None,
    sha1sum: str | None = None,
    sha256sum: str | None = None,
    max_bytes: int | None = None,
    progress: Callable[[int], None] = lambda _count: None,
    check: Callable[[str], None] = lambda _path: None,
    handlers: Sequence[urllib.request.BaseHandler] = (),
) -> None:
    """Fetch `url` into the file `path`, which is replaced only by a complete, checked file.

    `progress` is told how many bytes came so far; `check` may raise to refuse the finished file.
    """
    limit = size if size is not None else max_bytes
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(
        prefix=f".{os.path.basename(path)[:64]}.", suffix=".tmp", dir=os.path.dirname(path) or "."
    )
    try:
        with os.fdopen(descriptor, "wb") as output:
            with contextlib.closing(open_url(url, proxies, handlers)) as source:
                count = 0
                try:
                    while block := source.read(_BLOCK):
                        count += len(block)
                        if limit is not None and count > limit:
                            raise DownloadError(
                                f"{shown_url(url)}: more than the {limit} bytes allowed"
                            )
                        output.write(block)
                        progress(count)
                except (OSError, HTTPException) as error:
                    raise DownloadError(f"{shown_url(url)}: {error}") from error
            output.flush()
            os.fsync(output.fileno())
        verify(temporary, size, sha1sum, sha256sum)
        check(temporary)
        os.chmod(temporary, 0o644)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
