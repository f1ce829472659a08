"""The HTTP site that phones talk to, behind a web front or directly.

Plain twisted.web, as it answers about twice as fast as Klein. A known phone that asks for a small
file is answered in one go: no Deferred, no thread, no copy of its document.
"""

from __future__ import annotations

import io
import logging
import os
import time
from collections import OrderedDict, deque
from contextlib import nullcontext
from functools import partial
from resource import RLIMIT_NOFILE, getrlimit
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from twisted.internet import defer, tcp
from twisted.internet.protocol import connectionDone
from twisted.protocols import basic
from twisted.web import resource, server, static
from twisted.web.error import UnsupportedMethod
from twisted.web.http import NOT_MODIFIED, HTTPChannel, datetimeToString

from provd.errors import ClientAddressError, StoreError, TooBusy
from provd.http.address import forwarded_address
from provd.http.conditions import HEADERS as CONDITIONS
from provd.http.conditions import failed_condition, last_modified, range_applies
from provd.http.fast import Heads, PlainRequest, parse
from provd.http.ranges import format_ranges, parse_ranges
from provd.http.target import file_name, origin_form
from provd.logs import escape
from provd.manager.journal import why_nowhere
from provd.model.documents import copy_json
from provd.model.requests import RequestType

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

    from provd.manager.files import CachedFile, Files
    from provd.manager.journal import Journal
    from provd.manager.parameters import Parameters
    from provd.manager.pipeline import Identified, Pipeline

logger = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024
REQUEST_SECONDS = 30
"""How long a connection may take from one answer, or its beginning, to the next whole request."""
_SLICE_SECONDS = 0.005
_LONGEST_SECONDS = 0.015
_NOWHERE = "Nowhere to route this request."
_LINK = "it is a link that leads out of the plugin's directory"
_READS = frozenset((b"GET", b"HEAD"))
_ENCODED = tuple(static.File.contentEncodings)


class PhoneHttpRequest(server.Request):
    """A request of a phone."""

    num_http_proxies: int | None = None
    prov_dev: dict[str, Any] | None = None
    tenant_uuid: str | None = None
    client_address: str = ""
    plugin_id: str | None = None
    started = 0.0
    is_whole = False
    is_dated = False
    """Whether Last-Modified and the conditions of the request were dealt with."""
    _body = 0

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Take a whole request; the host of an absolute target is the one that counts."""
        found = origin_form(path)
        if found is None:
            self.channel._respondToBadRequestAndDisconnect()  # noqa: SLF001
            return
        target, host = found
        if host is not None:
            self.requestHeaders.setRawHeaders(b"host", [host])
        super().requestReceived(command, target, version)

    def setLastModified(self, when: float) -> Any:
        """Take note of a date, unless the site told one; see the base class."""
        return None if self.is_dated else super().setLastModified(when)

    def joined_header(self, name: bytes) -> bytes | None:
        """Return the value of a header, several lines of it joined by commas."""
        values = self.requestHeaders.getRawHeaders(name)
        return None if values is None else b", ".join(values)

    def process(self) -> None:
        """Answer, now or when the site comes to it."""
        self.is_whole = True
        channel: Any = self.channel
        channel.site.admit(self)

    def answer(self) -> None:
        """Answer now."""
        super().process()

    def is_lost(self) -> bool:
        """Whether the client left."""
        return bool(self._disconnected)

    def gotLength(self, length: int | None) -> None:
        """Keep a body in memory, as it is small; refuse one that is announced as too large."""
        self.content = io.BytesIO()
        if length is not None and length > MAX_BODY:
            logger.warning("a client announces a body of %d bytes, it is refused", length)
            channel: Any = self.channel
            channel.transport.write(
                b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            channel.loseConnection()

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of a body; a client that sends too much is cut off."""
        self._body += len(data)
        if self._body > MAX_BODY:
            logger.warning("a client sends more than %d bytes, it is cut off", MAX_BODY)
            self.channel.forceAbortClient()
            return
        super().handleContentChunk(data)

    def write(self, data: Any) -> None:
        """Write a part of the body; a plugin that gives text means UTF-8."""
        super().write(data.encode() if isinstance(data, str) else data)

    @property
    def segments(self) -> list[bytes]:
        """The parts of the path that are not used up yet."""
        assert self.postpath is not None
        return self.postpath

    @segments.setter
    def segments(self, segments: list[bytes]) -> None:
        self.postpath = segments

    def getClientIP(self) -> str:
        """Return the address of the phone, proxies looked through."""
        return self.client_address or getattr(self.getClientAddress(), "host", "")


class PhoneChannel(HTTPChannel):
    """A connection of a phone; its whole request must come in time, not only the next byte.

    Empty lines before a request are ignored, and lines may end by LF alone (RFC 9112 section 2.2):
    all lines of a request whose first line does, so that a header cannot hide another one.
    """

    site: PhoneSite
    delimiter = b"\n"
    _in_headers = False

    def connectionMade(self) -> None:
        """Take a place among the connections."""
        super().connectionMade()
        self.site.connections[self] = None
        self.site.make_room()

    def dataReceived(self, data: bytes) -> None:
        """Take bytes; unlike the base class, this does not start the timeout again."""
        # Between two requests, with nothing left of the last one.
        if self.requests or self._buffer or not self.site.answers_at_once(self, data):
            basic.LineReceiver.dataReceived(self, data)

    def lineReceived(self, line: bytes) -> None:
        """Take a line; the first one of a request shows how its lines end."""
        if self.delimiter == b"\n" and line.endswith(b"\r"):
            line = line[:-1]
            if not self._in_headers and line:
                self.delimiter = b"\r\n"
        if not self._in_headers:
            if not line:
                return
            self._in_headers = True
        super().lineReceived(line)

    def allHeadersReceived(self) -> None:
        """Go on to the body, and to the next request."""
        self.delimiter, self._in_headers = PhoneChannel.delimiter, False
        super().allHeadersReceived()

    def send(self, answer: bytes, *, closes: bool) -> None:
        """Send a whole answer, at once where the socket takes it."""
        transport: Any = self.transport
        # The reactor's own way takes a round of its loop and three system calls more.
        if isinstance(transport, tcp.Server) and not (
            transport.dataBuffer or transport._tempDataBuffer  # noqa: SLF001
        ):
            sent = transport.writeSomeData(answer)
            if not isinstance(sent, int):
                transport.abortConnection()
                return
            if sent < len(answer):
                transport.write(memoryview(answer)[sent:].tobytes())
        else:
            transport.write(answer)
        if closes:
            transport.loseConnection()
        else:
            self.resetTimeout()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Give the place back."""
        self.site.connections.pop(self, None)
        super().connectionLost(reason)


class PhoneSite(server.Site):
    """Serves `PhoneResource`; failures show no traceback to clients.

    A storm of requests is answered in slices, so that timers and the other listeners have their
    turn. Where connections take too many descriptors, the one that has been waiting for a request
    longest is closed for the newest.
    """

    protocol = PhoneChannel  # type: ignore[assignment]  # not the wrapper that adds HTTP/2
    requestFactory = PhoneHttpRequest
    noisy = False
    displayTracebacks = False

    def __init__(self, root: PhoneResource, reactor: Any) -> None:
        super().__init__(root, timeout=REQUEST_SECONDS, reactor=reactor)
        self._phones = root
        self.active = 0
        """How many requests are being answered."""
        self.connections: OrderedDict[PhoneChannel, None] = OrderedDict()
        self._max_connections = getrlimit(RLIMIT_NOFILE)[0] // 2
        self._waiting: deque[PhoneHttpRequest] = deque()
        self._until = 0.0
        self._slice: Any = None

    def make_room(self) -> None:
        """Close the connection that has waited for a request longest, if there are too many."""
        if len(self.connections) <= self._max_connections:
            return
        for channel in self.connections:
            if not channel.requests or not channel.requests[0].is_whole:
                logger.warning(
                    "more than %d connections, the oldest is closed", self._max_connections
                )
                del self.connections[channel]
                transport: Any = channel.transport
                transport.abortConnection()
                return

    def admit(self, request: PhoneHttpRequest) -> None:
        """Answer a request now, or after those that came before it."""
        self.active += 1
        request.notifyFinish().addBoth(self.one_less)
        channel: Any = request.channel
        if channel in self.connections:
            self.connections.move_to_end(channel)
        left = self._left()
        if left > 0 and not self._waiting:
            request.answer()
        else:
            self._waiting.append(request)

    def _left(self) -> float:
        """Return the seconds left of this slice, which begins here if there is none."""
        if self._slice is None:
            self._slice = self.reactor.callLater(0, self._next_slice)
            self._until = time.perf_counter() + _SLICE_SECONDS
            return _SLICE_SECONDS
        return self._until - time.perf_counter()

    def answers_at_once(self, channel: PhoneChannel, data: bytes) -> bool:
        """Answer `data` if it is a plain request of a known phone for a small file."""
        # Cheaper than to make them wait, as long as nobody notices.
        if self._left() < -_LONGEST_SECONDS:
            return False
        request = parse(data)
        if request is None:
            return False
        transport: Any = channel.transport
        if transport.disconnecting:
            return False
        answer = self._phones.at_once(request, getattr(transport.getPeer(), "host", ""))
        if answer is None:
            return False
        self.connections.move_to_end(channel)
        channel.send(answer, closes=request.closes)
        return True

    def _next_slice(self) -> None:
        self._slice = None
        if not self._waiting:
            return
        self._slice = self.reactor.callLater(0, self._next_slice)
        self._until = time.perf_counter() + _SLICE_SECONDS
        while self._waiting and time.perf_counter() < self._until:
            request = self._waiting.popleft()
            if not request.is_lost():
                request.answer()

    def log(self, request: Any) -> None:
        """Write nothing: `PhoneResource` has its own line for each request."""

    def one_less(self, _result: Any) -> None:
        """Count a request that is over."""
        self.active -= 1


class Accel:
    """Where the web server in front finds files: `prefix` is its internal location for `root`."""

    def __init__(self, prefix: str, root: str) -> None:
        self._prefix = prefix.rstrip("/")
        self._root = os.path.realpath(root) + os.sep

    def location(self, path: str) -> bytes | None:
        """Return the value of X-Accel-Redirect for a file; None if it lies elsewhere."""
        real = os.path.realpath(path)
        if not real.startswith(self._root):
            return None
        return f"{self._prefix}/{quote(real[len(self._root) :])}".encode("ascii")


_REFUSALS = {
    403: "a directory is not listed",
    404: "there is no such file",
    405: "the method is not allowed",
    416: "the file has no such range",
}


def _cancel(_failure: Any, waiting: defer.Deferred[Any]) -> None:
    waiting.cancel()


def _page(code: int, brief: str, detail: str) -> Any:
    return resource._UnsafeErrorPage(code, brief, detail)  # noqa: SLF001


class PhoneResource(resource.Resource):
    """Every path of the site: identifies the phone and hands over to its plugin."""

    isLeaf = True

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        files: Files,
        parameters: Parameters,
        journal: Journal,
        trusted_proxies: int,
        url_key: bool,
        accel: Accel | None = None,
    ) -> None:
        super().__init__()
        self._accel = accel
        self._journal = journal
        self._pipeline = pipeline
        self._files = files
        self._parameters = parameters
        self._trusted_proxies = trusted_proxies
        self._url_key = url_key
        self._types: dict[str, bytes | None] = {}
        self._heads = Heads()

    def at_once(self, request: PlainRequest, peer: str) -> bytes | None:
        """Return the whole answer to a known phone that asks for a small file, else None.

        Then nothing was done, and `render` is to be asked.
        """
        try:
            if self._trusted_proxies:
                address = forwarded_address(request.forwarded, self._trusted_proxies)
            else:
                address = peer
            request.client_address = address
            if self._url_key and not self._take_key(request):
                return None
            filename = request.segments[-1].decode("utf-8")
            identified = self._pipeline.identify_now(RequestType.HTTP, request, address, filename)
            if identified is None:
                return None
            loaded, device = identified.loaded, identified.device
            if loaded is None or device is None or not self._may_see(request, identified):
                return None
            service = loaded.plugin.http_service
            path = self._plain_path(service, request)
            file = self._files.find_now(path, device["id"]) if path is not None else None
            if file is None or file.content is None:
                return None
            if not self._files.may_follow(file, service.plain_root, loaded):
                return None
            name = os.path.basename(file.path)
            content_type = self._content_type(service, name)
            if content_type is None:
                return None
            self._pipeline.log_if_sensitive(loaded, name, address)
        except ClientAddressError:
            return None
        except BaseException:
            logger.debug("a request was not answered at once", exc_info=True)
            return None
        content = file.content
        answer = self._heads.head(file, content_type, closes=request.closes) + content
        self._journal.answered(
            "http",
            address,
            "GET",
            request.path.decode("latin-1"),
            "200",
            len(content),
            time.perf_counter() - request.started,
            identified,
            served=True,
        )
        return answer

    def render(self, request: PhoneHttpRequest) -> Any:
        """Answer a request of any method."""
        request.started = time.perf_counter()
        request.num_http_proxies = self._trusted_proxies
        if self._trusted_proxies:
            values = request.requestHeaders.getRawHeaders(b"x-forwarded-for")
            try:
                request.client_address = forwarded_address(values, self._trusted_proxies)
            except ClientAddressError as error:
                logger.warning("a request is refused: %s", error)
                code = 400 if values and any(values) else 500
                return self._answer(
                    request,
                    _page(code, "Refused", "The client is not known."),
                    "the client's address is not known",
                )
        else:
            request.client_address = request.getClientIP()
        if self._url_key and not self._take_key(request):
            request.path = b"(without a valid key)"  # for the log: it may be nearly one
            return self._answer(
                request, _page(404, "Not Found", _NOWHERE), "no valid provisioning key"
            )
        try:
            request.path.decode("ascii")
            for segment in request.segments:
                segment.decode("utf-8")
            filename = request.segments[-1].decode("utf-8") if request.segments else ""
            identified = self._pipeline.identify_now(
                RequestType.HTTP, request, request.client_address, filename
            )
        except UnicodeDecodeError:
            return self._answer(request, _page(404, "Not Found", "No such file."))
        try:
            served = identified and self._serve_now(request, identified)
        except BaseException:
            logger.debug("a request was not served at once", exc_info=True)
            served = None
        if served is not None:
            if request.method == b"HEAD" or request.code == NOT_MODIFIED:
                request.write(b"")
                request.finish()
                return server.NOT_DONE_YET
            return served
        # It goes on though the client leaves: a write that is under way must be taken note of.
        serving = defer.Deferred.fromCoroutine(self._serve(request, identified, filename))
        serving.addErrback(self._failed, request)
        return server.NOT_DONE_YET

    # Provisioning keys

    def _take_key(self, request: PhoneHttpRequest | PlainRequest) -> bool:
        """Remove the provisioning key from the path; return whether it is one."""
        key, _, rest = request.path[1:].partition(b"/")
        name = unquote_to_bytes(key).decode("utf-8", "surrogateescape")
        tenant = self._parameters.tenant_of_key(name) if name else None
        if tenant is None:
            return False
        request.tenant_uuid = tenant
        query = request.uri.partition(b"?")
        request.path = b"/" + rest
        request.uri = request.path + query[1] + query[2]
        request.segments = request.segments[1:]
        return True

    def _may_see(self, request: PhoneHttpRequest | PlainRequest, identified: Identified) -> bool:
        """Tell whether the key's tenant may be served this device's files."""
        device = identified.device
        if not self._url_key or device is None:
            return True
        return bool(device.get("is_new")) or device.get("tenant_uuid") == request.tenant_uuid

    async def _may_open(self, request: PhoneHttpRequest, service: Any) -> bool:
        """Tell whether the key's tenant may be served the file, whoever the phone says it is."""
        root = getattr(service, "plain_root", None)
        path = self._path(root, request) if self._url_key and root is not None else None
        return path is None or await self._files.is_open_to(path, request.tenant_uuid)

    # Serving

    def _serve_now(self, request: PhoneHttpRequest, identified: Identified) -> Any | None:
        """Answer with a small file of a known phone; None if it takes more than that."""
        loaded, device = identified.loaded, identified.device
        if loaded is None or device is None or not self._may_see(request, identified):
            return None
        service = loaded.plugin.http_service
        path = self._plain_path(service, request)
        if path is None:
            return None
        file = self._files.find_now(path, device["id"])
        if file is None and not self._files.is_surely_absent(path, loaded):
            return None
        if file is not None and not self._files.may_follow(file, service.plain_root, loaded):
            return None
        body = self._plain_body(service, request, file)
        if body is None:
            return None
        self._pipeline.log_if_sensitive(loaded, os.path.basename(path), request.client_address)
        is_head = request.method == b"HEAD"
        if is_head and not request.responseHeaders.hasHeader(b"content-length"):
            self._set_length(request, len(body))
        self._log(request, identified, 0 if is_head else len(body))
        return body

    def _plain_path(self, service: Any, request: PhoneHttpRequest | PlainRequest) -> str | None:
        """Return the path of a GET or HEAD of a file below a plain directory, else None."""
        root = getattr(service, "plain_root", None)
        if root is None or request.method not in _READS or hasattr(service, "path_preprocess"):
            return None
        return self._path(root, request)

    def _plain_body(
        self, service: Any, request: PhoneHttpRequest, file: CachedFile | None
    ) -> bytes | None:
        """Return the body, headers set; None for what must be streamed or needs more headers."""
        if file is None:
            not_found: bytes = service.childNotFound.render(request)
            return not_found
        content_type = self._content_type(service, os.path.basename(file.path))
        if file.content is None or content_type is None:
            return None
        if not self._is_wanted(request, file):
            return b""
        if request.requestHeaders.hasHeader(b"range"):
            return None
        headers = request.responseHeaders
        headers.setRawHeaders(b"content-type", [content_type])
        headers.setRawHeaders(b"content-length", [b"%d" % len(file.content)])
        headers.setRawHeaders(b"accept-ranges", [b"bytes"])
        return file.content

    @staticmethod
    def _is_wanted(request: PhoneHttpRequest, file: CachedFile) -> bool:
        """Set validators, and the status if a condition of the request fails; then return False.

        Afterwards the request has no condition any more, and no range but in its simplest form.
        """
        if request.is_dated:
            return True
        request.is_dated = True
        now = time.time()
        headers = request.responseHeaders
        headers.setRawHeaders(b"last-modified", [datetimeToString(last_modified(file, now))])
        if file.etag is not None:
            headers.setRawHeaders(b"etag", [file.etag])
        status = failed_condition(request.method, request.joined_header, file, now)
        wanted = request.joined_header(b"range")
        applies = range_applies(request.joined_header(b"if-range"), file, now)
        for name in (*CONDITIONS, b"range"):
            request.requestHeaders.removeHeader(name)
        if status is not None:
            request.setResponseCode(status)
            return False
        if wanted is not None and applies and request.method == b"GET":
            ranges = parse_ranges(wanted, file.size)
            if ranges == []:
                request.requestHeaders.setRawHeaders(b"range", [b"bytes=%d-" % file.size])
            elif ranges is not None:
                request.requestHeaders.setRawHeaders(b"range", [format_ranges(ranges)])
        return True

    def _path(self, root: str, request: PhoneHttpRequest | PlainRequest) -> str | None:
        try:
            segments = [segment.decode("utf-8") for segment in request.segments]
        except UnicodeDecodeError:
            return None
        if any("\0" in segment or "/" in segment for segment in segments):
            return None
        # A path that ends by a slash names a directory, which is static.File's business.
        if not segments or not segments[-1]:
            return None
        return self._files.resolve(root, segments)

    def _content_type(self, service: Any, filename: str) -> bytes | None:
        """Return the type by extension; None for a compressed file, which needs more headers."""
        extension = filename.rpartition(".")[2].lower() if "." in filename else ""
        if extension not in self._types:
            if f".{extension}" in _ENCODED:
                self._types[extension] = None
            else:
                kind = service.contentTypes.get(f".{extension}", service.defaultType)
                self._types[extension] = kind.encode("ascii")
            if len(self._types) > 1000:
                self._types.clear()
                return None
        return self._types[extension]

    async def _serve(
        self, request: PhoneHttpRequest, identified: Identified | None, filename: str
    ) -> None:
        if identified is None:
            identified = await self._identify(request, filename)
        if request.is_lost():
            return
        if identified is None:
            request.setHeader(b"Allow", b"GET")
            page = _page(405, "Method not allowed", "Method not allowed.")
            self._finish(request, page, None, "phones cannot be looked up without making devices")
            return
        loaded = identified.loaded
        request.plugin_id = loaded.id if loaded is not None else None
        device = identified.device
        service = loaded.plugin.http_service if loaded is not None else None
        refused = None
        if loaded is None or service is None:
            refused = why_nowhere(device, has_plugin=loaded is not None, protocol="HTTP")
        elif not self._may_see(request, identified):
            refused = "the provisioning key is not that of the device's tenant"
        elif not await self._may_open(request, service):
            refused = "the file is another tenant's"
        if loaded is None or service is None or refused is not None:
            self._finish(request, _page(404, "Not Found", _NOWHERE), identified, refused)
            return
        request.prov_dev = copy_json(device) if device is not None else None
        path = self._plain_path(service, request)
        name = file_name(request.segments) if path is None else os.path.basename(path)
        self._pipeline.log_if_sensitive(loaded, name, request.client_address)
        if path is not None and await self._serve_plain(request, path, service, identified):
            return
        preprocess = getattr(service, "path_preprocess", None)
        if preprocess is not None:
            with loaded.measured("path_preprocess"):
                preprocess(request)
            segments: list[Any] = list(request.segments)  # a plugin may have put text there
            request.postpath = [s.encode() if isinstance(s, str) else s for s in segments]
        passed = [service]
        measured = partial(loaded.measured, "http_service")
        target = await self._child(service, request, measured, passed)
        if request.is_lost():
            return
        if isinstance(target, static.File):
            root = next(item.path for item in passed if isinstance(item, static.File))
            if await self._serve_file(request, target, root, identified, name):
                return
        with loaded.measured("http_service"):
            self._finish(request, target, identified)

    async def _serve_plain(
        self, request: PhoneHttpRequest, path: str, service: Any, identified: Identified
    ) -> bool:
        """Answer for a path below a plain directory, unless its service has to stream it."""
        loaded, device = identified.loaded, identified.device
        assert loaded is not None
        # Whoever asks: what is served is fresh, and what was removed is back.
        file = await self._files.find(path, device["id"] if device else None, loaded)
        if request.is_lost():
            return True
        if file is not None and not self._files.may_follow(file, service.plain_root, loaded):
            self._finish(request, service.childNotFound, identified, _LINK)
            return True
        if file is not None and self._hand_to_front(request, file, service):
            self._send(request, b"", identified, size=file.size)
            return True
        if file is not None:
            # The way to just this file, however it was spelled.
            below = os.path.relpath(path, service.plain_root)
            request.segments = [os.fsencode(part) for part in below.split(os.sep)]
        if file is not None or not os.path.lexists(path):
            body = self._plain_body(service, request, file)
            if body is not None:
                self._send(request, body, identified)
                return True
        return False

    async def _identify(self, request: PhoneHttpRequest, filename: str) -> Identified | None:
        """Tell whose request it is; None for a HEAD where that could make a device."""
        ip = request.client_address
        if request.method != b"HEAD":
            return await self._pipeline.identify(RequestType.HTTP, request, ip, filename)
        if not self._pipeline.can_look_up:
            return None
        return await self._pipeline.look_up(RequestType.HTTP, request, ip)

    async def _serve_file(
        self,
        request: PhoneHttpRequest,
        target: static.File,
        root: str,
        identified: Identified,
        name: str,
    ) -> bool:
        """Answer a request that came to a file where that needs none of its content.

        `root` is the directory it was found below, `name` what was said of it in the security log.
        """
        loaded = identified.loaded
        assert loaded is not None
        path: str = target.path
        if (own := os.path.basename(path)) != name:
            self._pipeline.log_if_sensitive(loaded, own, request.client_address)
        file = self._files.look_at(path)
        if file is None:
            return False
        refused = None
        if not self._files.may_follow(file, root, loaded):
            refused = _LINK
        elif self._url_key and not await self._files.is_open_to(path, request.tenant_uuid):
            refused = "the file is another tenant's"
        if refused is not None:
            self._finish(request, _page(404, "Not Found", "No such resource."), identified, refused)
            return True
        if request.method in _READS and not self._is_wanted(request, file):
            self._send(request, b"", identified)
            return True
        return False

    def _hand_to_front(self, request: PhoneHttpRequest, file: CachedFile, service: Any) -> bool:
        """Let the web server in front send a large file; return whether it will."""
        if self._accel is None or file.content is not None:
            return False
        location = self._accel.location(file.path)
        content_type = self._content_type(service, os.path.basename(file.path))
        if location is None or content_type is None:
            return False
        request.responseHeaders.setRawHeaders(b"content-type", [content_type])
        request.responseHeaders.setRawHeaders(b"x-accel-redirect", [location])
        return True

    @staticmethod
    async def _child(
        service: Any,
        request: PhoneHttpRequest,
        measured: Callable[[], Any] = nullcontext,
        passed: list[Any] | None = None,
    ) -> Any:
        """Walk down the remaining path; a step may be a Deferred. `passed` takes each resource."""
        current = service
        while request.segments and not current.isLeaf:
            segment = request.segments.pop(0)
            request.prepath = [*(request.prepath or ()), segment]
            if isinstance(current, static.File) and b"/" in segment:
                return current.childNotFound
            with measured():
                current = current.getChildWithDefault(segment, request)
            if isinstance(current, defer.Deferred):
                request.notifyFinish().addErrback(_cancel, current)
                current = await current
            if passed is not None:
                passed.append(current)
        return current

    def _answer(self, request: PhoneHttpRequest, page: Any, refused: str | None = None) -> Any:
        body = page.render(request)
        self._log(request, None, len(body), refused)
        if request.method == b"HEAD":
            self._set_length(request, len(body))
            return b""
        return body

    @staticmethod
    def _set_length(request: PhoneHttpRequest, length: int) -> None:
        """Set the length of the body, which is not told where nothing changed."""
        if request.code != NOT_MODIFIED:
            request.responseHeaders.setRawHeaders(b"content-length", [b"%d" % length])

    def _finish(
        self,
        request: PhoneHttpRequest,
        target: Any,
        identified: Identified | None,
        refused: str | None = None,
    ) -> None:
        try:
            body = target.render(request)
        except UnsupportedMethod as failure:
            request.setHeader(b"Allow", b", ".join(sorted(failure.allowedMethods)))
            body = _page(405, "Method not allowed", "Method not allowed.").render(request)
        if body is server.NOT_DONE_YET:
            request.notifyFinish().addBoth(lambda _: self._log(request, identified, None))
            return
        if isinstance(body, str):
            body = body.encode()
        self._send(request, body, identified, refused)

    def _send(
        self,
        request: PhoneHttpRequest,
        body: bytes,
        identified: Identified | None,
        refused: str | None = None,
        size: int | None = None,
    ) -> None:
        """Send an answer; `size` in bytes for the log, where another server sends the content."""
        is_head = request.method == b"HEAD"
        if not is_head or not request.responseHeaders.hasHeader(b"content-length"):
            self._set_length(request, len(body))
        request.write(body)
        if size is None:
            size = 0 if is_head else len(body)
        self._log(request, identified, size, refused)
        request.finish()

    def _failed(self, failure: Any, request: PhoneHttpRequest) -> None:
        if failure.check(defer.CancelledError):
            return
        code, text = 500, "Internal processing error"
        if failure.check(StoreError, TooBusy):
            logger.error("a request cannot be served now: %s", failure.value)
            code, text = 503, "The service is not available now, try again."
        else:
            logger.error(
                "a request failed: %s %s, plugin %s",
                request.method.decode("latin-1"),
                escape(request.path.decode("latin-1")),
                request.plugin_id,
                exc_info=(failure.type, failure.value, failure.getTracebackObject()),
            )
        if request.finished or request.is_lost():
            return
        if request.startedWriting:
            request.channel.loseConnection()
            return
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        body = _page(code, "Error", text).render(request)
        request.setHeader(b"content-length", b"%d" % len(body))
        request.write(body)
        self._log(request, None, len(body), "it failed, see the log")
        request.finish()

    def _log(
        self,
        request: PhoneHttpRequest,
        identified: Identified | None,
        size: int | None,
        refused: str | None = None,
    ) -> None:
        code = request.code
        if refused is None and code >= 400:
            refused = _REFUSALS.get(code, "the plugin's service refuses it")
        self._journal.answered(
            "http",
            request.client_address,
            request.method.decode("latin-1"),
            request.path.decode("latin-1"),
            str(code),
            request.sentLength if size is None else size,
            time.perf_counter() - request.started,
            identified,
            served=code < 400,
            refused=refused,
        )
