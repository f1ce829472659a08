"""What the TFTP server asks for each read request: which phone is it, and which file is that."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.python.failure import Failure

from provd.errors import StoreError, TooBusy
from provd.logs import escape
from provd.manager.journal import why_nowhere
from provd.model.documents import copy_json
from provd.model.requests import RequestType

if TYPE_CHECKING:
    from provd.manager.files import Files
    from provd.manager.journal import Journal
    from provd.manager.pipeline import Identified, Pipeline
    from provd.tftp.server import ReadResponse, TransferResult

logger = logging.getLogger(__name__)

ERR_UNDEF = b"\x00\x00"
ERR_FNF = b"\x00\x01"


class TftpFront:
    """Handler of read requests: pipeline, then the plugin's TFTP service."""

    def __init__(self, pipeline: Pipeline, files: Files, journal: Journal) -> None:
        self._pipeline = pipeline
        self._journal = journal
        self._files = files

    def handle_read_request(self, request: dict[str, Any], response: ReadResponse) -> None:
        """Answer a read request, now or later."""
        started = time.perf_counter()
        raw: bytes = request["packet"]["filename"]
        ip = request["address"][0]
        try:
            filename = raw.rsplit(b"/", 1)[-1].decode("ascii")
        except UnicodeDecodeError:
            response.reject(ERR_FNF, "Invalid filename")
            return
        identified = self._pipeline.identify_now(RequestType.TFTP, request, ip, filename)
        try:
            if identified is not None and self._serve_now(
                request, response, identified, filename, started
            ):
                return
        except BaseException:
            logger.debug("a TFTP request was not served at once", exc_info=True)
        serving = defer.Deferred.fromCoroutine(
            self._serve(request, response, identified, filename, started)
        )
        serving.addErrback(self._failed, response, raw)

    def _path(self, root: str | None, raw: bytes) -> str | None:
        if root is None:
            return None
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            return None
        return None if "\0" in name else self._files.resolve(root, name.split("/"))

    def _serve_now(
        self,
        request: dict[str, Any],
        response: ReadResponse,
        identified: Identified,
        filename: str,
        started: float,
    ) -> bool:
        loaded, device = identified.loaded, identified.device
        if loaded is None or device is None:
            return False
        root = getattr(loaded.plugin.tftp_service, "plain_root", None)
        path = self._path(root, request["packet"]["filename"])
        if root is None or path is None:
            return False
        file = self._files.find_now(path, device["id"])
        if file is None or file.content is None:
            return False
        if not self._files.is_inside(path, root, loaded):
            return False
        self._pipeline.log_if_sensitive(loaded, filename, request["address"][0])
        self._watch(request, response, identified, started)
        response.accept_bytes(file.content)
        return True

    async def _serve(
        self,
        request: dict[str, Any],
        response: ReadResponse,
        identified: Identified | None,
        filename: str,
        started: float,
    ) -> None:
        ip = request["address"][0]
        if identified is None:
            identified = await self._pipeline.identify(RequestType.TFTP, request, ip, filename)
        try:
            await self._hand_over(request, response, identified, filename, started)
        except BaseException:  # noqa: BLE001 - one plugin's failure is its own
            plugin_id = identified.loaded.id if identified.loaded is not None else None
            self._failed(Failure(), response, request["packet"]["filename"], plugin_id)

    async def _hand_over(
        self,
        request: dict[str, Any],
        response: ReadResponse,
        identified: Identified,
        filename: str,
        started: float,
    ) -> None:
        ip = request["address"][0]
        loaded, device = identified.loaded, identified.device
        service = loaded.plugin.tftp_service if loaded is not None else None
        if loaded is None or service is None:
            refused = why_nowhere(device, has_plugin=loaded is not None, protocol="TFTP")
            self._watch(request, response, identified, started, refused)
            response.reject(ERR_FNF, "Nowhere to route this request")
            return
        self._pipeline.log_if_sensitive(loaded, filename, ip)
        root = getattr(service, "plain_root", None)
        path = self._path(root, request["packet"]["filename"])
        self._watch(request, response, identified, started)
        if root is not None and path is not None:
            if not self._files.is_inside(path, root, loaded):
                logger.info("%s is a link out of plugin %s, it is not followed", path, loaded.id)
                response.reject(ERR_FNF, "File not found")
                return
            file = await self._files.find(path, device["id"] if device else None, loaded)
            if file is not None and file.content is not None:
                response.accept_bytes(file.content)
                return
        request["prov_dev"] = copy_json(device) if device is not None else None
        with loaded.measured("tftp_service"):
            service.handle_read_request(request, response)

    def _watch(
        self,
        request: dict[str, Any],
        response: ReadResponse,
        identified: Identified,
        started: float,
        refused: str | None = None,
    ) -> None:
        """Take note of the transfer when it is over."""

        def done(result: TransferResult) -> None:
            error = None if result.ok else result.error or "it failed"
            self._journal.answered(
                "tftp",
                request["address"][0],
                "RRQ",
                request["packet"]["filename"].decode("latin-1"),
                error or "ok",
                result.bytes_sent,
                time.perf_counter() - started,
                identified,
                served=result.ok,
                refused=refused or error,
            )

        response.on_done = done

    @staticmethod
    def _failed(
        failure: Any, response: ReadResponse, raw: bytes, plugin_id: str | None = None
    ) -> None:
        name = escape(raw.decode("latin-1"))
        if failure.check(StoreError, TooBusy):
            logger.error("the TFTP request for %s cannot be served now: %s", name, failure.value)
        else:
            logger.error(
                "the TFTP request for %s failed, plugin %s",
                name,
                plugin_id,
                exc_info=(failure.type, failure.value, failure.getTracebackObject()),
            )
        try:
            response.reject(ERR_UNDEF, "Internal processing error")
        except ValueError:
            logger.debug("the TFTP request for %s was answered before it failed", name)
