"""The plugin repository: the list of what it offers, and the archives (contract: packages §1).

The last list is kept as `plugins.db` in the plugins directory, archives in the cache directory.
Everything here blocks, so it runs in a worker thread.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import ArchiveError, DownloadError, PluginError, PluginUnknown
from provd.plugin.archive import (
    Swap,
    check_bare_filename,
    check_plugin_id,
    extract_plugin,
    make_staging,
    swap_plugin,
)
from provd.plugin.download import download, verify
from provd.plugin.templates import write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

INDEX = "plugins.db"
_MAX_INDEX_BYTES = 64 * 1024 * 1024


@attrs.frozen
class Entry:
    """What the list says of one plugin."""

    plugin_id: str
    filename: str
    dsize: int
    sha1sum: str
    sha256sum: str | None
    info: dict[str, Any]
    """Everything else of the entry: version, description, capabilities and more."""

    def published(self) -> dict[str, Any]:
        """Return what the API shows: everything but the file name."""
        return {**self.info, "dsize": self.dsize, "sha1sum": self.sha1sum}


def parse_index(content: bytes, origin: str) -> dict[str, Entry]:
    """Return the usable entries of a list; ValueError if it is no JSON object."""
    document = json.loads(content)
    if not isinstance(document, dict):
        raise ValueError(f"{origin}: not a JSON object")  # noqa: TRY004
    entries = {}
    for plugin_id, value in document.items():
        try:
            entries[plugin_id] = _parse_entry(plugin_id, value)
        except (TypeError, ValueError, KeyError, ArchiveError, PluginError) as error:
            logger.warning("%s: the entry of plugin %r is left out: %s", origin, plugin_id, error)
    return entries


def _parse_entry(plugin_id: str, value: Any) -> Entry:
    if not isinstance(value, dict):
        raise TypeError("not a JSON object")
    info = dict(value)
    for key, kind in (("filename", str), ("dsize", int), ("sha1sum", str)):
        if not isinstance(info.get(key), kind):
            raise TypeError(f"{key} is missing or of the wrong type")
    for key in ("version", "description", "capabilities"):
        if key not in info:
            raise KeyError(f"{key} is missing")
    sha256sum = info.pop("sha256sum", None)
    return Entry(
        check_plugin_id(plugin_id),
        check_bare_filename(info.pop("filename")),
        info.pop("dsize"),
        info.pop("sha1sum"),
        sha256sum if isinstance(sha256sum, str) else None,
        info,
    )


class Repository:
    """What can be installed, and the steps of an installation."""

    def __init__(
        self, plugins_dir: str, cache_dir: str, proxies: Mapping[str, str], *, keep_archives: bool
    ) -> None:
        self._plugins_dir = plugins_dir
        self._cache_dir = cache_dir
        self._proxies = proxies
        self._keep_archives = keep_archives

    @property
    def _index(self) -> str:
        return os.path.join(self._plugins_dir, INDEX)

    def entries(self) -> dict[str, Entry]:
        """Return the last list; empty if none was fetched. DownloadError if it is damaged."""
        try:
            with open(self._index, "rb") as stream:
                return parse_index(stream.read(), self._index)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise DownloadError(f"{self._index}: {error}") from error

    def entry(self, plugin_id: str) -> Entry:
        """Return the entry of a plugin; PluginUnknown if the list has none."""
        try:
            return self.entries()[plugin_id]
        except KeyError:
            raise PluginUnknown(plugin_id) from None

    def is_cached(self, entry: Entry) -> bool:
        """Tell whether the archive of `entry` is in the cache, as announced."""
        try:
            verify(self._archive(entry), entry.dsize, entry.sha1sum, entry.sha256sum)
        except DownloadError:
            return False
        return True

    def _archive(self, entry: Entry) -> str:
        return os.path.join(self._cache_dir, entry.filename)

    def update(self, server: str, progress: Callable[[int], None]) -> None:
        """Fetch the list; the old one stays unless a usable one came."""

        def check(path: str) -> None:
            try:
                with open(path, "rb") as stream:
                    parse_index(stream.read(), _join(server, INDEX))
            except ValueError as error:
                raise DownloadError(f"{_join(server, INDEX)}: {error}") from error

        os.makedirs(self._plugins_dir, exist_ok=True)
        download(
            _join(server, INDEX),
            self._index,
            proxies=self._proxies,
            max_bytes=_MAX_INDEX_BYTES,
            progress=progress,
            check=check,
        )

    def fetch(self, entry: Entry, server: str, progress: Callable[[int], None]) -> None:
        """Fetch an archive into the cache."""
        download(
            _join(server, entry.filename),
            self._archive(entry),
            proxies=self._proxies,
            size=entry.dsize,
            sha1sum=entry.sha1sum,
            sha256sum=entry.sha256sum,
            progress=progress,
        )

    def read_archive(self, entry: Entry) -> bytes:
        """Return a cached archive."""
        with open(self._archive(entry), "rb") as stream:
            return stream.read()

    def store_archive(self, entry: Entry, content: bytes) -> None:
        """Put an archive into the cache."""
        os.makedirs(self._cache_dir, exist_ok=True)
        write_file(self._archive(entry), content)

    def put_in_place(self, entry: Entry) -> Swap:
        """Extract a cached archive and put it where the plugin belongs; `commit` makes it stay."""
        staging = make_staging(self._plugins_dir)
        try:
            extract_plugin(
                self._archive(entry), entry.plugin_id, staging, require=("plugin-info", "entry.py")
            )
            return swap_plugin(
                os.path.join(staging, entry.plugin_id),
                os.path.join(self._plugins_dir, entry.plugin_id),
            )
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def drop_archive(self, entry: Entry) -> None:
        """Remove an archive from the cache, unless archives are kept."""
        if not self._keep_archives:
            try:
                os.unlink(self._archive(entry))
            except OSError as error:
                logger.warning("the archive %s stays in the cache: %s", entry.filename, error)


def _join(server: str, name: str) -> str:
    return f"{server.rstrip('/')}/{name}"
