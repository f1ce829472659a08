"""A plugin's copy in a temporary directory, loaded as the daemon loads it.

What it does there stays there: for trying a plugin out, and for showing what it would write.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.internet import defer

from provd.model.documents import copy_json
from provd.plugin import builder
from provd.plugin.host import LoadedPlugin, PluginHost, is_below
from provd.settings import keys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Quirk = Callable[[str, str, str, dict[str, Any]], None]
Document = dict[str, Any]

BASE_RAW_CONFIG: Document = {
    "ip": "192.0.2.1",
    "http_port": 8667,
    "tftp_port": 69,
    "http_base_url": "http://192.0.2.1:8667",
}
_MAX_COPIED = 1024 * 1024


class App:
    """What plugins get as `app`; there are no devices, and nothing is sent."""

    pg_mgr: ClassVar[dict[str, Any]] = {}

    def __init__(self, nat: int = 0, proxies: Mapping[str, str] | None = None) -> None:
        self.nat = nat
        self.proxies = dict(proxies or {})

    def dev_update(self, device: Document) -> defer.Deferred[None]:  # noqa: ARG002
        """Change nothing."""
        return defer.succeed(None)

    def sip_notify(self, *args: Any) -> defer.Deferred[None]:  # noqa: ARG002
        """Send nothing."""
        return defer.succeed(None)


@contextlib.contextmanager
def copied(plugin_dir: str, *, served: bool = True) -> Iterator[str]:
    """Give the path of a copy of a plugin; its download cache and its firmware are left out.

    Without `served`, of the directory that phones are served from only its directories are copied.
    """
    source = os.path.realpath(plugin_dir)
    cache = os.path.join(source, "var", "cache")
    variable = os.path.join(source, "var", "")
    tftpboot = os.path.join(variable, "tftpboot")

    def leave_out(directory: str, names: list[str]) -> list[str]:
        if directory == cache:
            return names
        if not served and (directory == tftpboot or directory.startswith(tftpboot + os.sep)):
            return [name for name in names if not os.path.isdir(os.path.join(directory, name))]
        if not directory.startswith(variable):
            return []
        paths = ((name, os.path.join(directory, name)) for name in names)
        return [
            name
            for name, path in paths
            if os.path.isfile(path) and os.path.getsize(path) > _MAX_COPIED
        ]

    with tempfile.TemporaryDirectory(prefix="provd-plugin-") as scratch:
        copy = os.path.join(os.path.realpath(scratch), os.path.basename(source))
        shutil.copytree(source, copy, ignore=leave_out)
        for name in builder.STANDARD_DIRECTORIES:
            os.makedirs(os.path.join(copy, name), exist_ok=True)
        yield copy


@contextlib.contextmanager
def loadable(
    copy: str,
    settings: Document,
    quirk: Quirk | None,
    *,
    app: App | None = None,
    general_config: Document | None = None,
    base_raw_config: Document | None = None,
) -> Iterator[PluginHost]:
    """Give a host that can load the copy; without `general_config`, the defaults are that."""
    directory, plugin_id = os.path.split(copy)
    app = app or App()
    general = {
        name.removeprefix("general."): default
        for name, default, _ in keys()
        if name.startswith("general.")
    }
    host = PluginHost(
        directory,
        general_config={**general, **(general_config or {}), "proxies": app.proxies},
        plugin_config={plugin_id: settings},
        base_raw_config=base_raw_config or BASE_RAW_CONFIG,
        quirk=quirk,
    )
    host.app = app
    try:
        yield host
    finally:
        host.close()


def marks(copy: str) -> dict[str, tuple[int, ...]]:
    """Return the paths below `var` of a plugin, with what changes when they are written."""
    found: dict[str, tuple[int, ...]] = {}
    for root, directories, names in os.walk(os.path.join(copy, "var")):
        if root == os.path.join(copy, "var"):
            directories[:] = [name for name in directories if name != "cache"]
        for name in names:
            path = os.path.join(root, name)
            status = os.lstat(path)
            found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def configure(
    host: PluginHost, loaded: LoadedPlugin, device: Document, raw_config: Document
) -> dict[str, bytes]:
    """Return path -> content of the files that a device gets; PluginError if it is refused."""
    before = marks(loaded.directory)
    paths = host.recorded(loaded, "configure", copy_json(device), copy_json(raw_config))
    after = marks(loaded.directory)
    changed = {path for path, mark in after.items() if before.get(path) != mark}
    contents = {}
    for path in sorted(filter(os.path.isfile, {*paths, *changed})):
        with open(path, "rb") as stream:
            contents[path] = stream.read()
    return contents


def served_name(loaded: LoadedPlugin, path: str) -> str:
    """Return a path as phones ask for it, where they can."""
    served = os.path.join(loaded.directory, "var", "tftpboot")
    return os.path.relpath(path, served if is_below(served, path) else loaded.directory)
