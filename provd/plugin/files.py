"""Services that hand the files of a directory to phones, over HTTP and TFTP."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from twisted.web import resource, static

from provd.logs import escape
from provd.plugin.paths import is_inside, roots_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.web.server import Request

logger = logging.getLogger(__name__)

ERR_UNDEF = b"\x00\x00"
ERR_FNF = b"\x00\x01"


class TFTPResponse(Protocol):
    """How a TFTP service answers a read request; exactly one of the three, now or later."""

    def accept(self, fobj: BinaryIO) -> None:
        """Send the content of `fobj`; the server closes it."""

    def reject(self, errcode: bytes, errmsg: str | bytes) -> None:
        """Send an error packet."""

    def ignore(self) -> None:
        """Send nothing."""


def page(code: int, brief: str, detail: str) -> resource.Resource:
    """Return a page that answers every request with status `code`."""
    return resource._UnsafeErrorPage(code, brief, detail)  # noqa: SLF001


class _NotAllowed(resource.Resource):
    """Answers that nothing but GET and HEAD is allowed."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Return the page."""
        request.setHeader(b"Allow", b"GET, HEAD")
        body: bytes = page(405, "Method not allowed", "Method not allowed.").render(request)
        return body


class HTTPNoListingFileService(static.File):
    """Files below a directory; no listing (403), nothing but GET and HEAD (405)."""

    @property
    def plain_root(self) -> str | None:
        """The directory served, if nothing but the rules of this very class applies to it."""
        if type(self) is not HTTPNoListingFileService or self.ignoredExts or self.processors:
            return None
        root: str = self.path
        return root

    def getChild(self, path: bytes, request: Request) -> Any:
        """Return the resource of one more path segment."""
        if request.method not in {b"GET", b"HEAD"}:
            return _NotAllowed()
        # An encoded slash is no separator; static.File drops one at the end.
        if b"\0" in path or b"/" in path:
            return self.childNotFound
        return super().getChild(path, request)

    def directoryListing(self) -> Any:
        """Refuse: what lies in a directory is not shown."""
        return page(403, "Directory listing not permitted", "Directory listing not permitted.")


def resolve(root: str, segments: Sequence[str]) -> str | None:
    """Return the path of `segments` below `root`, or None where they would leave it."""
    pieces = [piece for piece in segments if piece not in {"", "."}]
    depth = 0
    for piece in pieces:
        depth += -1 if piece == ".." else 1
        if depth < 0:
            return None
    path = os.path.normpath(os.path.join(root, *pieces))
    base = os.path.normpath(root)
    if path != base and not path.startswith(base + os.sep):
        return None
    return path


class TFTPFileService:
    """Files below a directory, for TFTP read requests."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)

    @property
    def plain_root(self) -> str | None:
        """The directory served, if nothing but the rules of this very class applies to it."""
        return self._path if type(self) is TFTPFileService else None

    def handle_read_request(self, request: dict[str, Any], response: TFTPResponse) -> None:
        """Accept with the file, or reject with `Invalid filename` or `File not found`."""
        raw: bytes = request["packet"]["filename"]
        try:
            name = raw.decode("utf-8")
        except UnicodeDecodeError:
            response.reject(ERR_FNF, "Invalid filename")
            return
        path = None if "\0" in name else resolve(self._path, name.split("/"))
        if path is None:
            logger.info("TFTP file name %s leaves the served directory", escape(name))
            response.reject(ERR_FNF, "Invalid filename")
            return
        if not is_inside(path, roots_of(self._path)):
            logger.info("TFTP file name %s is a link out of the served directory", escape(name))
            response.reject(ERR_FNF, "File not found")
            return
        try:
            stream = open(path, "rb")  # noqa: SIM115 - the server closes it
        except OSError:
            response.reject(ERR_FNF, "File not found")
            return
        response.accept(stream)


class TFTPNullService:
    """Refuses every read request."""

    def __init__(self, errcode: bytes = ERR_FNF, errmsg: str = "File not found") -> None:
        self.errcode = errcode
        self.errmsg = errmsg

    def handle_read_request(self, request: dict[str, Any], response: TFTPResponse) -> None:  # noqa: ARG002
        """Reject with the code and message given at construction."""
        response.reject(self.errcode, self.errmsg)
