"""A small HTTP/1.1 client, on asyncio alone: light enough to load a server from one core.

`ResponseParser` holds the rules (RFC 9112) and no socket; `HttpClient` is the adapter of one phone.
A phone keeps one connection for its whole boot, if the server lets it. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import enum
import re
import socket
import urllib.parse
from typing import TYPE_CHECKING

from provd.simphone.fetch import FetchError, as_fetch_error, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from provd.simphone.phone import Phone, Target

MAX_HEAD = 64 * 1024
MAX_CHUNK_LINE = 4096

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: .*)?\Z", re.DOTALL)
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?\Z", re.DOTALL)
_LENGTH = re.compile(rb"[0-9]{1,18}\Z")


class _State(enum.Enum):
    HEAD = enum.auto()
    LENGTH = enum.auto()
    UNTIL_CLOSE = enum.auto()
    CHUNK_SIZE = enum.auto()
    CHUNK = enum.auto()
    CHUNK_END = enum.auto()
    TRAILER = enum.auto()
    DONE = enum.auto()


class ResponseParser:
    """Reads one response; hands its body to `write` as it comes."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self.status = 0
        self.keeps_connection = False
        self._write = write
        self._buffer = bytearray()
        self._state = _State.HEAD
        self._remaining = 0
        self._trailer_size = 0

    @property
    def is_done(self) -> bool:
        """Whether the whole response was read."""
        return self._state is _State.DONE

    @property
    def has_begun(self) -> bool:
        """Whether any byte of the response was read."""
        return self.status != 0 or bool(self._buffer)

    def feed(self, data: bytes) -> None:
        """Read what came; raises FetchError if it is no HTTP response."""
        self._buffer += data
        while self._advance():
            pass
        if self.is_done and self._buffer:
            # An answer to a question not asked: the connection is out of step.
            self.keeps_connection = False

    def end(self) -> None:
        """Note that the server closed the connection; raises FetchError if that was too early."""
        self.keeps_connection = False
        if self._state is _State.UNTIL_CLOSE:
            self._state = _State.DONE
        elif self._state is not _State.DONE:
            raise FetchError("truncated" if self.has_begun else "no answer")

    def _advance(self) -> bool:
        """Make one step; False when more data is needed, or when all is read."""
        match self._state:
            case _State.HEAD:
                return self._read_head()
            case _State.LENGTH | _State.UNTIL_CLOSE | _State.CHUNK:
                return self._read_body()
            case _State.CHUNK_SIZE:
                line = self._take_line(MAX_CHUNK_LINE)
                if line is None:
                    return False
                size = _CHUNK_SIZE.match(line)
                if size is None:
                    raise FetchError("bad HTTP", "chunk size")
                self._remaining = int(size[1], 16)
                self._state = _State.CHUNK if self._remaining else _State.TRAILER
                return True
            case _State.CHUNK_END:
                line = self._take_line(2)
                if line:
                    raise FetchError("bad HTTP", "chunk without its end")
                if line is not None:
                    self._state = _State.CHUNK_SIZE
                return line is not None
            case _State.TRAILER:
                line = self._take_line(MAX_CHUNK_LINE)
                if line is None:
                    return False
                self._trailer_size += len(line)
                if self._trailer_size > MAX_HEAD:
                    raise FetchError("bad HTTP", "trailer too long")
                if not line:
                    self._state = _State.DONE
                return True
            case _State.DONE:
                return False

    def _take_line(self, limit: int) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, limit + 2)
        if end < 0:
            if len(self._buffer) >= limit + 2:
                raise FetchError("bad HTTP", "line too long")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _read_body(self) -> bool:
        if not self._buffer:
            return False
        if self._state is _State.UNTIL_CLOSE:
            self._write(bytes(self._buffer))
            self._buffer.clear()
            return False
        part = bytes(self._buffer[: self._remaining])
        del self._buffer[: len(part)]
        self._write(part)
        self._remaining -= len(part)
        if self._remaining:
            return False
        self._state = _State.CHUNK_END if self._state is _State.CHUNK else _State.DONE
        return True

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD)
        if end < 0:
            if len(self._buffer) >= MAX_HEAD:
                raise FetchError("bad HTTP", "head too long")
            if self._buffer and not b"HTTP/1.".startswith(self._buffer[:7]):
                raise FetchError("bad HTTP", printable(self._buffer[:40].decode("latin-1")))
            return False
        lines = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        status_line = _STATUS_LINE.match(lines[0])
        if status_line is None:
            raise FetchError("bad HTTP", printable(lines[0].decode("latin-1")))
        status = int(status_line[2])
        if status < 200:
            # 100 Continue and its like come before the response.
            return True
        self.status = status
        self._choose_body(lines[1:], is_http_1_1=status_line[1] == b"1")
        return True

    def _choose_body(self, lines: list[bytes], *, is_http_1_1: bool) -> None:
        lengths: set[bytes] = set()
        encoding = b""
        connection = b""
        for line in lines:
            name, colon, value = line.partition(b":")
            if not colon:
                raise FetchError("bad HTTP", "header line")
            match name.lower():
                case b"content-length":
                    lengths.add(value.strip())
                case b"transfer-encoding":
                    encoding = value.strip().lower()
                case b"connection":
                    connection += b"," + value.lower()
        words = {word.strip() for word in connection.split(b",")}
        self.keeps_connection = (is_http_1_1 or b"keep-alive" in words) and b"close" not in words
        if self.status in {204, 304}:
            self._state = _State.DONE
        elif encoding == b"chunked":
            self._state = _State.CHUNK_SIZE
        elif encoding:
            raise FetchError("bad HTTP", "transfer encoding")
        elif lengths:
            length = lengths.pop()
            if lengths or not _LENGTH.match(length):
                raise FetchError("bad HTTP", "content length")
            self._remaining = int(length)
            self._state = _State.LENGTH if self._remaining else _State.DONE
        else:
            self.keeps_connection = False
            self._state = _State.UNTIL_CLOSE


class _Connection(asyncio.Protocol):
    """One connection: one exchange at a time."""

    def __init__(self) -> None:
        self.is_open = False
        self._transport: asyncio.Transport | None = None
        self._parser: ResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.is_open = True

    async def exchange(self, request: bytes, parser: ResponseParser) -> None:
        """Send a request and return once `parser` has read the response."""
        assert self._transport is not None
        self._parser = parser
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            await self._waiter
        finally:
            self._parser = self._waiter = None
            if not (parser.is_done and parser.keeps_connection):
                self.close()

    def data_received(self, data: bytes) -> None:
        if self._parser is None:
            self.close()
            return
        try:
            self._parser.feed(data)
        except (FetchError, OSError) as exc:
            self._finish(exc)
        else:
            if self._parser.is_done:
                self._finish(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._parser is None:
            return
        if isinstance(exc, OSError) and not self._parser.is_done:
            self._finish(exc)
            return
        try:
            self._parser.end()
        except FetchError as error:
            self._finish(error)
        else:
            self._finish(None)

    def _finish(self, error: Exception | None) -> None:
        if self._waiter is None or self._waiter.done():
            return
        if error is None:
            self._waiter.set_result(None)
        else:
            self._waiter.set_exception(error)

    def close(self) -> None:
        """Close without waiting for the other side."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()


class HttpClient:
    """The HTTP side of one phone."""

    def __init__(self, phone: Phone, target: Target) -> None:
        self._phone = phone
        self._target = target
        self._connection: _Connection | None = None
        user_agent = phone.user_agent
        default_port = 443 if target.tls else 80
        host = f"[{target.host}]" if ":" in target.host else target.host
        lines = [
            f"Host: {host}" if target.port == default_port else f"Host: {host}:{target.port}",
            "Accept: */*",
        ]
        if user_agent is not None:
            lines.append(f"User-Agent: {user_agent}")
        if phone.forwarded_for is not None:
            lines.append(f"X-Forwarded-For: {phone.forwarded_for}")
        self._headers = "\r\n".join(lines)
        self._root = target.prefix + (f"/{target.key}" if target.key else "")

    async def fetch(self, path: str, form: str, write: Callable[[bytes], None]) -> int:
        """Return the status of a GET, or of a POST of `form`; raises FetchError or OSError."""
        request = self._request(path, form)
        if self._connection is not None and self._connection.is_open:
            parser = ResponseParser(write)
            try:
                await self._connection.exchange(request, parser)
            except (FetchError, ConnectionError):
                # The server may close an idle connection at the very moment we use it (RFC 9112
                # section 9.3.1): only then the request is sent again.
                if parser.has_begun:
                    raise
            else:
                return parser.status
        self._connection = await self._connect()
        parser = ResponseParser(write)
        await self._connection.exchange(request, parser)
        return parser.status

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()

    def _request(self, path: str, form: str) -> bytes:
        where = urllib.parse.quote(f"{self._root}/{path}", safe="/?=&%$~:;,@+!*'()")
        if not form:
            text = f"GET {where} HTTP/1.1\r\n{self._headers}\r\n\r\n"
        else:
            text = (
                f"POST {where} HTTP/1.1\r\n{self._headers}\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n"
                f"Content-Length: {len(form)}\r\n\r\n{form}"
            )
        # One vendor's User-Agent has a byte above 127.
        return text.encode("latin-1")

    async def _connect(self) -> _Connection:
        target = self._target
        loop = asyncio.get_running_loop()
        sock = socket.socket(target.family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._phone.source_ip is not None:
                sock.bind((self._phone.source_ip, 0))
            await loop.sock_connect(sock, (target.address, target.port))
            _, connection = await loop.create_connection(
                _Connection,
                sock=sock,
                ssl=target.tls,
                server_hostname=target.host if target.tls else None,
            )
        except OSError as exc:
            sock.close()
            raise as_fetch_error(exc) from exc
        except BaseException:
            sock.close()
            raise
        return connection
