"""The files that phones fetch: fresh, whole, and from memory where they are small.

A path is served only after the device it was rendered for is fresh, whoever asks. A file of ours
that somebody removed is written again.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

import attrs

from provd.plugin.files import resolve
from provd.plugin.paths import is_inside

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provd.manager.manager import DeviceManager
    from provd.plugin.host import LoadedPlugin

MAX_CACHED_FILE = 256 * 1024
_TICK_NS = 20_000_000
"""More than the step in which file systems keep time."""


@attrs.frozen(slots=True)
class CachedFile:
    """A regular file; `content` is None where it is too large to keep."""

    path: str
    size: int
    mtime_ns: int
    inode: int
    content: bytes | None
    ctime_ns: int = 0
    etag: bytes | None = None
    """A strong entity tag in quotes; None for a large file that was written just now."""
    real_path: str = ""
    """The path with symbolic links followed."""


def _entity_tag(status: os.stat_result, content: bytes | None) -> bytes | None:
    """Return what no other content of this name ever has; the same on all nodes if it is small."""
    if content is not None:
        return b'"%b"' % hashlib.sha256(content).hexdigest()[:32].encode()
    if not _is_settled(status):
        return None
    return b'"%x-%x-%x"' % (status.st_size, status.st_mtime_ns, status.st_ino)


def _is_settled(status: os.stat_result) -> bool:
    """Tell whether a change would show; a file just written may change again within one tick."""
    return time.time_ns() - status.st_mtime_ns > _TICK_NS


class FileCache:
    """Contents of small files, checked by `stat` at each use; bounded in bytes."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._files: OrderedDict[str, CachedFile] = OrderedDict()
        self._bytes = 0

    def get(self, path: str) -> CachedFile | None:
        """Return the file at `path`; None if there is no readable regular file."""
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return None
        known = self._files.get(path)
        if (
            known is not None
            and known.mtime_ns == status.st_mtime_ns
            and known.size == status.st_size
            and known.inode == status.st_ino
        ):
            self._files.move_to_end(path)
            return known
        if not stat.S_ISREG(status.st_mode):
            return None
        return self._read(path)

    def _read(self, path: str) -> CachedFile | None:
        self._drop(path)
        try:
            with open(path, "rb") as stream:
                status = os.fstat(stream.fileno())
                content = stream.read() if status.st_size <= MAX_CACHED_FILE else None
        except OSError:
            return None
        size = status.st_size if content is None else len(content)
        file = CachedFile(
            path,
            size,
            status.st_mtime_ns,
            status.st_ino,
            content,
            status.st_ctime_ns,
            _entity_tag(status, content),
            os.path.realpath(path),
        )
        if content is not None and len(content) == status.st_size and _is_settled(status):
            self._files[path] = file
            self._bytes += len(content)
            while self._bytes > self._max_bytes:
                _, oldest = self._files.popitem(last=False)
                self._bytes -= oldest.size
        return file

    def _drop(self, path: str) -> None:
        known = self._files.pop(path, None)
        if known is not None:
            self._bytes -= known.size


class Files:
    """Finds what a request asks for below a plugin's directory."""

    def __init__(self, manager: DeviceManager, cache: FileCache) -> None:
        self._manager = manager
        self._cache = cache

    @staticmethod
    def resolve(root: str, segments: Sequence[str]) -> str | None:
        """Return the path of `segments` below `root`, None where they would leave it."""
        return resolve(root, segments)

    def look_at(self, path: str) -> CachedFile | None:
        """Return the file at `path` as it is, whoever it is for; None if there is none."""
        return self._cache.get(path)

    @staticmethod
    def may_follow(file: CachedFile, root: str, loaded: LoadedPlugin) -> bool:
        """Tell whether a file lies below the served directory or its plugin's, links followed."""
        # Nearly always there is no link, and the lookup kept to the directory.
        return file.real_path == file.path or is_inside(file.real_path, (root, loaded.directory))

    @staticmethod
    def is_inside(path: str, root: str, loaded: LoadedPlugin) -> bool:
        """Tell whether no link leads from `path` out of `root` and the plugin's own directory."""
        return is_inside(path, (root, loaded.directory))

    def find_now(self, path: str, device_id: str | None) -> CachedFile | None:
        """Return the file if it may be served without waiting; `device_id` is known to be fresh."""
        owner = self._manager.owner(path)
        if owner is not None and owner != device_id:
            return None
        return self._cache.get(path)

    def is_surely_absent(self, path: str, loaded: LoadedPlugin) -> bool:
        """Tell whether there is no such file, nor one that could be written again."""
        return (
            self._manager.owner(path) is None
            and path not in loaded.common_files
            and not os.path.lexists(path)
        )

    async def is_open_to(self, path: str, tenant: str | None) -> bool:
        """Tell whether a phone of `tenant` may have the file, whichever device it says it is.

        Files of a device are for its own tenant while that device is not new.
        """
        owner = self._manager.owner(path)
        record = await self._manager.devices.get(owner) if owner is not None else None
        if record is None or record.document.get("is_new"):
            return True
        return bool(record.document.get("tenant_uuid") == tenant)

    async def find(
        self, path: str, device_id: str | None, loaded: LoadedPlugin
    ) -> CachedFile | None:
        """Return the file, fresh; None if there is none."""
        owner = self._manager.owner(path)
        if (
            owner is not None
            and owner != device_id
            and await self._manager.refresh_for_phone(owner) is None
        ):
            await self._manager.device_gone(owner)  # another node deleted it
        file = self._cache.get(path)
        if file is None and not os.path.lexists(path) and await self._manager.restore(path, loaded):
            file = self._cache.get(path)
        return file
