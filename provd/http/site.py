"""The HTTP site that phones talk to, behind a web front or directly.

Plain twisted.web, as it answers about twice as fast as Klein. A known phone that asks for a small
file is answered in one go: no Deferred, no thread, no copy of its document.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from twisted.internet import defer
from twisted.web import resource, server, static
from twisted.web.http import NOT_MODIFIED

from provd.errors import ClientAddressError, StoreError, TooBusy
from provd.http.address import forwarded_address
from provd.logs import escape
from provd.model.documents import copy_json
from provd.model.requests import RequestType

if TYPE_CHECKING:
    from provd.manager.files import CachedFile, Files
    from provd.manager.parameters import Parameters
    from provd.manager.pipeline import Identified, Pipeline

logger = logging.getLogger(__name__)

MAX_BODY = 1024 * 1024
KEEP_ALIVE_SECONDS = 60
_NOWHERE = "Nowhere to route this request."
_ENCODED = tuple(static.File.contentEncodings)


class PhoneHttpRequest(server.Request):
    """A request of a phone."""

    num_http_proxies: int | None = None
    prov_dev: dict[str, Any] | None = None
    tenant_uuid: str | None = None
    client_address: str = ""
    started = 0.0
    _body = 0

    def process(self) -> None:
        """Answer; the site counts it until it is finished or lost."""
        channel: Any = self.channel
        site = channel.site
        site.active += 1
        self.notifyFinish().addBoth(site.one_less)
        super().process()

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

    def getClientIP(self) -> str:
        """Return the address of the phone, proxies looked through."""
        return self.client_address or super().getClientIP() or ""


class PhoneSite(server.Site):
    """Serves `PhoneResource`; failures show no traceback to clients."""

    requestFactory = PhoneHttpRequest
    noisy = False
    displayTracebacks = False

    def __init__(self, root: resource.Resource, reactor: Any) -> None:
        super().__init__(root, timeout=KEEP_ALIVE_SECONDS, reactor=reactor)
        self.active = 0
        """How many requests are being answered."""

    def log(self, request: Any) -> None:
        """Write nothing: `PhoneResource` has its own line for each request."""

    def one_less(self, _result: Any) -> None:
        """Count a request that is over."""
        self.active -= 1


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
        trusted_proxies: int,
        url_key: bool,
    ) -> None:
        super().__init__()
        self._pipeline = pipeline
        self._files = files
        self._parameters = parameters
        self._trusted_proxies = trusted_proxies
        self._url_key = url_key
        self._types: dict[str, bytes | None] = {}

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
                return self._answer(request, _page(code, "Refused", "The client is not known."))
        else:
            request.client_address = request.getClientIP()
        if self._url_key and not self._take_key(request):
            return self._answer(request, _page(404, "Not Found", _NOWHERE))
        try:
            filename = request.path.rsplit(b"/", 1)[-1].decode("ascii")
            identified = self._pipeline.identify_now(
                RequestType.HTTP, request, request.client_address, filename
            )
        except UnicodeDecodeError:
            return self._answer(request, _page(404, "Not Found", "No such file."))
        if identified is not None:
            served = self._serve_now(request, identified, filename)
            if served is not None:
                return served
        serving = defer.Deferred.fromCoroutine(self._serve(request, identified, filename))
        serving.addErrback(self._failed, request)
        request.notifyFinish().addErrback(lambda _: serving.cancel())
        return server.NOT_DONE_YET

    # Provisioning keys

    def _take_key(self, request: PhoneHttpRequest) -> bool:
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
        request.postpath = request.segments[1:]
        return True

    def _may_see(self, request: PhoneHttpRequest, identified: Identified) -> bool:
        """Tell whether the key's tenant may be served this device's files."""
        device = identified.device
        if not self._url_key or device is None:
            return True
        return bool(device.get("is_new")) or device.get("tenant_uuid") == request.tenant_uuid

    # Serving

    def _serve_now(
        self, request: PhoneHttpRequest, identified: Identified, filename: str
    ) -> Any | None:
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
        body = self._plain_body(service, request, file, filename)
        if body is None:
            return None
        self._pipeline.log_if_sensitive(loaded, filename, request.client_address)
        self._log(request, identified, len(body))
        return body

    def _plain_path(self, service: Any, request: PhoneHttpRequest) -> str | None:
        """Return the path of a plain GET of a file below a plain directory, else None."""
        root = getattr(service, "plain_root", None)
        if (
            root is None
            or request.method != b"GET"
            or request.requestHeaders.hasHeader(b"range")
            or hasattr(service, "path_preprocess")
        ):
            return None
        return self._path(root, request)

    def _plain_body(
        self, service: Any, request: PhoneHttpRequest, file: CachedFile | None, filename: str
    ) -> bytes | None:
        """Return the body, headers set; None for what must be streamed or needs more headers."""
        if file is None:
            not_found: bytes = service.childNotFound.render(request)
            return not_found
        content_type = self._content_type(service, filename)
        if file.content is None or content_type is None:
            return None
        return self._write_head(request, file, content_type)

    def _path(self, root: str, request: PhoneHttpRequest) -> str | None:
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

    @staticmethod
    def _write_head(request: PhoneHttpRequest, file: CachedFile, content_type: bytes) -> bytes:
        content = file.content
        assert content is not None
        if request.setLastModified(file.mtime_ns / 1e9) is not None:
            return b""
        headers = request.responseHeaders
        headers.setRawHeaders(b"content-type", [content_type])
        headers.setRawHeaders(b"content-length", [b"%d" % len(content)])
        headers.setRawHeaders(b"accept-ranges", [b"bytes"])
        return content

    async def _serve(
        self, request: PhoneHttpRequest, identified: Identified | None, filename: str
    ) -> None:
        if identified is None:
            identified = await self._pipeline.identify(
                RequestType.HTTP, request, request.client_address, filename
            )
        loaded = identified.loaded
        device = identified.device
        service = loaded.plugin.http_service if loaded is not None else None
        if loaded is None or service is None or not self._may_see(request, identified):
            self._finish(request, _page(404, "Not Found", _NOWHERE), identified)
            return
        request.prov_dev = copy_json(device) if device is not None else None
        self._pipeline.log_if_sensitive(loaded, filename, request.client_address)
        path = self._plain_path(service, request)
        if path is not None:
            # Whoever asks: what is served is fresh, and what was removed is back.
            file = await self._files.find(path, device["id"] if device else None, loaded)
            if file is not None or not os.path.lexists(path):
                body = self._plain_body(service, request, file, filename)
                if body is not None:
                    self._send(request, body, identified)
                    return
        preprocess = getattr(service, "path_preprocess", None)
        if preprocess is not None:
            preprocess(request)
            segments: list[Any] = list(request.segments)  # a plugin may have put text there
            request.postpath = [s.encode() if isinstance(s, str) else s for s in segments]
        self._finish(request, await self._child(service, request), identified)

    @staticmethod
    async def _child(service: Any, request: PhoneHttpRequest) -> Any:
        """Walk down the remaining path; a step may be a Deferred."""
        current = service
        while request.segments and not current.isLeaf:
            segment = request.segments.pop(0)
            request.prepath = [*(request.prepath or ()), segment]
            current = current.getChildWithDefault(segment, request)
            if isinstance(current, defer.Deferred):
                current = await current
        return current

    def _answer(self, request: PhoneHttpRequest, page: Any) -> Any:
        body = page.render(request)
        self._log(request, None, len(body))
        return body

    def _finish(self, request: PhoneHttpRequest, target: Any, identified: Identified) -> None:
        body = target.render(request)
        if body is server.NOT_DONE_YET:
            request.notifyFinish().addBoth(lambda _: self._log(request, identified, None))
            return
        if isinstance(body, str):
            body = body.encode()
        self._send(request, body, identified)

    def _send(self, request: PhoneHttpRequest, body: bytes, identified: Identified) -> None:
        if request.code != NOT_MODIFIED:
            request.responseHeaders.setRawHeaders(b"content-length", [b"%d" % len(body)])
        request.write(body)
        self._log(request, identified, len(body))
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
                "a request failed: %s %s",
                request.method.decode("latin-1"),
                escape(request.path.decode("latin-1")),
                exc_info=(failure.type, failure.value, failure.getTracebackObject()),
            )
        if request.finished or getattr(request, "_disconnected", False):
            return
        if request.startedWriting:
            request.channel.loseConnection()
            return
        request.setHeader(b"content-type", b"text/html; charset=utf-8")
        body = _page(code, "Error", text).render(request)
        request.setHeader(b"content-length", b"%d" % len(body))
        request.write(body)
        self._log(request, None, len(body))
        request.finish()

    @staticmethod
    def _log(request: PhoneHttpRequest, identified: Identified | None, size: int | None) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        device = identified.device if identified is not None else None
        device = device or {}
        logger.info(
            "<%d> http %s %s %s: %d, %s bytes in %.1f ms, device %s, mac %s, plugin %s",
            identified.number if identified is not None else 0,
            request.client_address,
            request.method.decode("latin-1"),
            escape(request.path.decode("latin-1")),
            request.code,
            request.sentLength if size is None else size,
            (time.perf_counter() - request.started) * 1000,
            device.get("id"),
            device.get("mac"),
            identified.loaded.id if identified is not None and identified.loaded else None,
        )
