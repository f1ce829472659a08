"""The downloaders that firmware packages name: `default`, and `auth` for sites with passwords."""

from __future__ import annotations

import contextlib
import os
import urllib.request
from typing import TYPE_CHECKING, Any

from provd.errors import DownloadError
from provd.plugin.download import download

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_SCHEMES = frozenset({"http", "https", "ftp"})


class LiveProxyHandler(urllib.request.ProxyHandler):
    """Uses the proxies of a mapping (keys http, https, ftp) as it is when a URL is opened."""

    def __init__(self, proxies: Mapping[str, str]) -> None:
        super().__init__({})
        self._live = proxies

    def http_open(self, request: urllib.request.Request) -> Any:
        """Send an http request to its proxy, if there is one."""
        return self._open(request, "http")

    def https_open(self, request: urllib.request.Request) -> Any:
        """Send an https request to its proxy, if there is one."""
        return self._open(request, "https")

    def ftp_open(self, request: urllib.request.Request) -> Any:
        """Send an ftp request to its proxy, if there is one."""
        return self._open(request, "ftp")

    def _open(self, request: urllib.request.Request, scheme: str) -> Any:
        proxy = self._live.get(scheme)
        return self.proxy_open(request, proxy, scheme) if proxy else None


class _Passwords(urllib.request.HTTPPasswordMgr):
    """Passwords by realm and address; for either, None stands for all."""

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[str | None, str | None], tuple[str, str]] = {}

    def set(
        self, realm: str | None, uri: str | None, user: str | None, password: str | None
    ) -> None:
        """Set a password; without a user or a password, forget what is known instead."""
        if user is not None and password is not None:
            self._known[realm, uri] = (user, password)
            return
        self._known = {
            key: value
            for key, value in self._known.items()
            if realm not in {None, key[0]} or uri not in {None, key[1]}
        }

    def find_user_password(self, realm: str, authuri: str) -> tuple[str | None, str | None]:
        """Return the password that fits best: this realm before all, this address before all."""
        for wanted in (realm, None):
            found = [
                (len(uri or ""), credentials)
                for (known_realm, uri), credentials in self._known.items()
                if known_realm == wanted and (uri is None or _covers(uri, authuri))
            ]
            if found:
                return max(found)[1]
        return None, None


def _covers(uri: str, other: str) -> bool:
    """Tell whether `other` is at or below `uri`, by the rules of the standard library."""
    manager = urllib.request.HTTPPasswordMgr()
    manager.add_password("", uri, "user", "password")
    return manager.find_user_password("", other)[0] is not None


class _BasicAuthHandler(urllib.request.HTTPBasicAuthHandler):
    """Leaves to others what is not Basic, which the standard library takes for an error."""

    def http_error_401(self, *args: Any) -> Any:
        """Ask again with the password, if there is one."""
        with contextlib.suppress(ValueError):
            return super().http_error_401(*args)
        return None


class _DigestAuthHandler(urllib.request.HTTPDigestAuthHandler):
    """Leaves to others what is not Digest, likewise."""

    def http_error_401(self, *args: Any) -> Any:
        """Ask again with the password, if there is one."""
        with contextlib.suppress(ValueError):
            return super().http_error_401(*args)
        return None


class DefaultDownloader:
    """Fetches files through the given URL handlers."""

    def __init__(self, handlers: Iterable[urllib.request.BaseHandler] = ()) -> None:
        self._handlers = list(handlers)

    def handlers(self) -> list[urllib.request.BaseHandler]:
        """Return the handlers for one download."""
        return list(self._handlers)

    def download(
        self, url: str, path: str, *, size: int, sha1sum: str, progress: Callable[[int], None]
    ) -> None:
        """Fetch `url` into the file `path`; DownloadError says why not, and leaves `path` alone."""
        scheme = url.partition(":")[0]
        if scheme.lower() not in _SCHEMES:
            raise DownloadError(f"{os.path.basename(path)}: its address is not http, https or ftp")
        download(
            url,
            path,
            proxies={},
            size=size,
            sha1sum=sha1sum,
            progress=progress,
            handlers=self.handlers(),
        )


class AuthDownloader(DefaultDownloader):
    """Fetches files from sites that ask for a password, by Basic or Digest authentication."""

    def __init__(self, handlers: Iterable[urllib.request.BaseHandler] = ()) -> None:
        super().__init__(handlers)
        self._passwords = _Passwords()

    def add_password(
        self,
        realm: str | None = None,
        uri: str | None = None,
        user: str | None = None,
        password: str | None = None,
    ) -> None:
        """Set the password for a realm at an address and below it; None stands for all of them.

        Without a user or a password, what was set for that realm and address is forgotten.
        """
        self._passwords.set(realm, uri, user, password)

    def handlers(self) -> list[urllib.request.BaseHandler]:
        """Return the handlers for one download; those for passwords remember failures."""
        return [
            *super().handlers(),
            _BasicAuthHandler(self._passwords),
            _DigestAuthHandler(self._passwords),
        ]
