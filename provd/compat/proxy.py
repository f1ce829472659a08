"""A proxy handler for urllib that follows the daemon's parameters."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class DynProxyHandler(urllib.request.ProxyHandler):
    """Looks into `proxies` (keys http, https, ftp) at each request; the map may change."""

    def __init__(self, proxies: Mapping[str, str]) -> None:
        super().__init__({})  # an empty map, as None would mean the environment's proxies
        self._proxies = proxies

    def _open(self, request: urllib.request.Request, protocol: str) -> Any:
        proxy = self._proxies.get(protocol)
        return self.proxy_open(request, proxy, protocol) if proxy else None

    def http_open(self, request: urllib.request.Request) -> Any:
        return self._open(request, "http")

    def https_open(self, request: urllib.request.Request) -> Any:
        return self._open(request, "https")

    def ftp_open(self, request: urllib.request.Request) -> Any:
        return self._open(request, "ftp")
