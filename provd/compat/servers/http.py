"""Web services of plugins, and services around services (contract: plugin API §5.1)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.web import resource

from provd.plugin.files import HTTPNoListingFileService

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.web.server import Request

__all__ = [
    "BaseHTTPHookService",
    "HTTPAsyncHookService",
    "HTTPHookService",
    "HTTPLogService",
    "HTTPNoListingFileService",
    "IHTTPService",
]


class IHTTPService(resource.IResource):
    """A web resource that a plugin has as `http_service`.

    It may have a method `path_preprocess(request)`, which is called first and may rewrite
    `request.path` and `request.postpath`.
    """


class BaseHTTPHookService(resource.Resource):
    """Stands before another service; subclasses look at requests on their way to it."""

    def __init__(self, service: Any) -> None:
        super().__init__()
        self._service = service

    def _next_service(self, path: bytes, request: Request) -> Any:
        """Return the resource that `path` names below the service."""
        if self._service.isLeaf:
            # A leaf finds the whole path in postpath, so the step that led here is taken back.
            assert request.prepath is not None
            assert request.postpath is not None
            request.postpath.insert(0, request.prepath.pop())
            return self._service
        return self._service.getChildWithDefault(path, request)

    def getChildWithDefault(self, path: bytes, request: Request) -> Any:
        """Return a resource, or a Deferred of one."""
        return self._next_service(path, request)

    def render(self, request: Request) -> Any:
        """Answer a request whose path ends here."""
        return self._service.render(request)

    def path_preprocess(self, request: Request) -> None:
        """Let the service rewrite the path, if it wants to."""
        preprocess = getattr(self._service, "path_preprocess", None)
        if preprocess is not None:
            preprocess(request)


class HTTPHookService(BaseHTTPHookService):
    """Calls `_pre_handle` with each request before the service gets it."""

    def _pre_handle(self, path: bytes, request: Request) -> Any:
        """Look at a request; to be overridden."""

    def getChildWithDefault(self, path: bytes, request: Request) -> Any:
        """Return a resource, or a Deferred of one."""
        self._pre_handle(path, request)
        return self._next_service(path, request)


class HTTPAsyncHookService(HTTPHookService):
    """Waits for the Deferred of `_pre_handle`, whose value does not matter."""

    def getChildWithDefault(self, path: bytes, request: Request) -> defer.Deferred[Any]:
        """Return a Deferred of a resource."""
        waiting = defer.maybeDeferred(self._pre_handle, path, request)
        return waiting.addCallback(lambda _: self._next_service(path, request))


class HTTPLogService(HTTPHookService):
    """Writes a line for each request to `logger`, a logger or a function that takes text."""

    def __init__(self, logger: logging.Logger | Callable[[str], object], service: Any) -> None:
        super().__init__(service)
        self._log = logger.info if isinstance(logger, logging.Logger) else logger

    def _pre_handle(self, path: bytes, request: Request) -> None:  # noqa: ARG002
        self._log(f"{request.getClientIP()} {request.method!r} {request.path!r}")
