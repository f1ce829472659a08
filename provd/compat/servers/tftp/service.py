"""What answers TFTP read requests, and services around services (contract: plugin API §5.2)."""

from __future__ import annotations

import abc
import io
import logging
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from provd.plugin.files import TFTPFileService, TFTPNullService

if TYPE_CHECKING:
    from collections.abc import Callable

    from provd.compat.servers.tftp.packet import Packet
    from provd.plugin.files import TFTPResponse

__all__ = [
    "AbstractTFTPReadService",
    "TFTPFileService",
    "TFTPHookService",
    "TFTPLogService",
    "TFTPNullService",
    "TFTPRequest",
    "TFTPStringService",
]


class TFTPRequest(TypedDict):
    """A read request, and after routing the device it came from."""

    address: tuple[str, int]
    packet: Packet
    prov_dev: NotRequired[dict[str, Any] | None]


class AbstractTFTPReadService(abc.ABC):
    """Answers read requests."""

    @abc.abstractmethod
    def handle_read_request(self, request: Any, response: TFTPResponse) -> None:
        """Call `accept`, `reject` or `ignore` of `response`, once, now or later."""


AbstractTFTPReadService.register(TFTPFileService)
AbstractTFTPReadService.register(TFTPNullService)


class TFTPStringService(AbstractTFTPReadService):
    """Answers every read request with the same content."""

    def __init__(self, msg: str | bytes) -> None:
        self._content = msg.encode() if isinstance(msg, str) else msg

    def handle_read_request(self, request: Any, response: TFTPResponse) -> None:  # noqa: ARG002
        response.accept(io.BytesIO(self._content))


class TFTPHookService(AbstractTFTPReadService):
    """Calls `_pre_handle` with each request before another service gets it."""

    def __init__(self, service: Any) -> None:
        self._service = service

    def _pre_handle(self, request: Any) -> None:
        """Look at a request; to be overridden."""

    def handle_read_request(self, request: Any, response: TFTPResponse) -> None:
        self._pre_handle(request)
        self._service.handle_read_request(request, response)


class TFTPLogService(TFTPHookService):
    """Writes a line for each request to `logger`, a logger or a function that takes text."""

    def __init__(self, logger: logging.Logger | Callable[[str], object], service: Any) -> None:
        super().__init__(service)
        self._log = logger.info if isinstance(logger, logging.Logger) else logger

    def _pre_handle(self, request: Any) -> None:
        self._log(f"{request['address'][0]} RRQ {request['packet']['filename']!r}")
