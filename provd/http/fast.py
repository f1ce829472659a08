"""The plainest requests, without Twisted's parser and request object, which cost three times more.

A request that comes in one piece, is a GET without a body, and holds nothing but ordinary headers
is understood here; everything else is left to `HTTPChannel`, which knows all of HTTP. What is
understood here is understood the same way there: `tests/fuzz/test_http_front.py` compares them.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from twisted.web.http import datetimeToString
from twisted.web.server import version

from provd.http.conditions import last_modified

if TYPE_CHECKING:
    from provd.manager.files import CachedFile

_MAX_REQUEST = 4096
_LINE = re.compile(rb"GET (/[!-~]*) HTTP/1\.1")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([ -~\t\x80-\xff]*)")
_UNPLAIN = frozenset(
    (
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"upgrade",
        b"http2-settings",
        b"range",
    )
)


class PlainRequest:
    """What identification and serving read of a request."""

    __slots__ = (
        "_headers",
        "client_address",
        "closes",
        "forwarded",
        "path",
        "segments",
        "started",
        "tenant_uuid",
        "uri",
    )

    method = b"GET"

    def __init__(
        self, uri: bytes, headers: dict[bytes, bytes], forwarded: list[bytes], *, closes: bool
    ) -> None:
        self.started = time.perf_counter()
        self.uri = uri
        self.path = uri.partition(b"?")[0]
        self.segments = [unquote_to_bytes(part) for part in self.path[1:].split(b"/")]
        self._headers = headers
        self.forwarded = forwarded
        """Values of all X-Forwarded-For lines, in order."""
        self.closes = closes
        self.client_address = ""
        self.tenant_uuid: str | None = None

    def getHeader(self, name: bytes) -> bytes | None:
        """Return the last value of a header by its name in lower case."""
        return self._headers.get(name)


def parse(data: bytes) -> PlainRequest | None:
    """Return the request if `data` is exactly one plain request, else None."""
    if len(data) > _MAX_REQUEST or not data.endswith(b"\r\n\r\n"):
        return None
    first, *lines = data[:-4].split(b"\r\n")
    match = _LINE.fullmatch(first)
    if match is None:
        return None
    headers: dict[bytes, bytes] = {}
    forwarded: list[bytes] = []
    closes = False
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            return None
        name, value = header[1].lower(), header[2].strip(b" \t")
        if name in _UNPLAIN or name.startswith(b"if-"):
            return None
        if name == b"x-forwarded-for":
            forwarded.append(value)
        elif name == b"connection":
            if b"connection" in headers or value.lower() not in {b"close", b"keep-alive"}:
                return None
            closes = value.lower() == b"close"
        headers[name] = value
    return PlainRequest(match[1], headers, forwarded, closes=closes)


class Heads:
    """Heads of answers, with what stays the same for a second remembered."""

    def __init__(self) -> None:
        self._second = 0
        self._date = b""

    def head(self, file: CachedFile, content_type: bytes, *, closes: bool) -> bytes:
        """Return status line and headers of a whole file, to the empty line."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._date = datetimeToString(now)
        assert file.content is not None
        assert file.etag is not None
        return b"".join(
            (
                b"HTTP/1.1 200 OK\r\nServer: ",
                version,
                b"\r\nDate: ",
                self._date,
                b"\r\nLast-Modified: ",
                datetimeToString(last_modified(file, now)),
                b"\r\nETag: ",
                file.etag,
                b"\r\nContent-Type: ",
                content_type,
                b"\r\nContent-Length: %d\r\nAccept-Ranges: bytes\r\n" % len(file.content),
                b"Connection: close\r\n\r\n" if closes else b"\r\n",
            )
        )
