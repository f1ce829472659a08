"""The set of installed plugins that all nodes of a cluster share.

It is a parameter of the store, `{plugin id: {"version", "archive"}}`, beside the archives
themselves. Whoever installs, upgrades or removes a plugin changes the set; every node converges to
it, and packages (firmware) stay each node's own.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import tarfile
from typing import TYPE_CHECKING, Any

from twisted.internet import defer

from provd.errors import PluginLoadError, ProvdError
from provd.plugin.host import read_plugin_info
from provd.plugin.repository import Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from provd.manager.cluster import Cluster
    from provd.manager.plugins import PluginManager
    from provd.plugin.host import PluginHost
    from provd.plugin.repository import Repository
    from provd.store.interface import SharedStore

logger = logging.getLogger(__name__)

PARAMETER = "plugins"
_CLAIM = "plugins"


class SharedPlugins:
    """Keeps this node's plugins and those of the cluster the same."""

    def __init__(
        self,
        *,
        store: SharedStore,
        cluster: Cluster,
        host: PluginHost,
        repository: Repository,
        plugins: PluginManager,
        in_thread: Callable[..., defer.Deferred[Any]],
    ) -> None:
        self._store = store
        self._cluster = cluster
        self._host = host
        self._repository = repository
        self._plugins = plugins
        self._in_thread = in_thread
        self._converging = defer.DeferredLock()
        self._troubles: dict[str, str] = {}

    async def _wanted(self) -> dict[str, dict[str, Any]] | None:
        value = (await self._store.parameters()).get(PARAMETER)
        return value if isinstance(value, dict) else None

    def _version(self, plugin_id: str) -> Any:
        """Return the version of an installed plugin; None if it cannot be told."""
        try:
            return read_plugin_info(self._host.directory(plugin_id)).get("version")
        except PluginLoadError:
            return None

    async def publish(self, plugin_id: str, archive: bytes | None = None) -> None:
        """Tell the cluster of a plugin that was installed or upgraded here."""
        version = self._version(plugin_id)
        if version is None:
            raise ProvdError(f"plugin {plugin_id} is not there, or broken, and is not shared")
        if archive is None:
            archive = await self._in_thread(_pack, self._host.directory(plugin_id))
        name = f"{plugin_id}-{version}-{hashlib.sha256(archive).hexdigest()[:12]}.tar.gz"
        await self._store.put_archive(name, archive)
        async with self._cluster.alone(_CLAIM):
            wanted = await self._wanted() or {}
            old = wanted.get(plugin_id, {}).get("archive")
            wanted[plugin_id] = {"version": version, "archive": name}
            await self._store.set_parameter(PARAMETER, wanted)
        if old and old != name:
            await self._store.delete_archive(old)

    async def withdraw(self, plugin_id: str) -> None:
        """Tell the cluster of a plugin that was removed here."""
        async with self._cluster.alone(_CLAIM):
            wanted = await self._wanted() or {}
            entry = wanted.pop(plugin_id, None)
            await self._store.set_parameter(PARAMETER, wanted)
        if entry and entry.get("archive"):
            await self._store.delete_archive(entry["archive"])

    async def converge(self) -> None:
        """Install, upgrade and remove what differs here; the first node makes the set."""
        async with self._converging:
            wanted = await self._wanted()
            if wanted is None:
                for plugin_id in self._host.installed_ids():
                    try:
                        await self.publish(plugin_id)
                    except (ProvdError, OSError) as error:
                        logger.error("plugin %s is not shared: %s", plugin_id, error)
                return
            for plugin_id in [*wanted, *self._host.installed_ids()]:
                await self._attempt(plugin_id)

    async def _attempt(self, plugin_id: str) -> None:
        """Make one plugin what the cluster has now; the same trouble is logged once."""
        try:
            # The set may have changed since: bringing a plugin takes a while.
            entry = (await self._wanted() or {}).get(plugin_id)
            if entry is not None:
                await self._bring(plugin_id, entry)
            elif self._host.is_installed(plugin_id):
                await self._drop(plugin_id)
            self._troubles.pop(plugin_id, None)
        except (ProvdError, OSError) as error:
            if self._troubles.get(plugin_id) != str(error):
                logger.error("plugin %s is not as on the other nodes: %s", plugin_id, error)
            self._troubles[plugin_id] = str(error)

    async def _bring(self, plugin_id: str, wanted: dict[str, Any]) -> None:
        if self._plugins.is_busy(plugin_id):
            return
        if self._host.is_installed(plugin_id) and self._version(plugin_id) == wanted["version"]:
            return
        name = wanted.get("archive")
        content = await self._store.get_archive(name) if name else None
        if content is None:
            raise ProvdError(f"its archive {name} is not in the database")
        entry = Entry(
            plugin_id,
            str(name),
            len(content),
            hashlib.sha1(content, usedforsecurity=False).hexdigest(),
            hashlib.sha256(content).hexdigest(),
            {"version": wanted["version"], "description": "", "capabilities": {}},
        )
        await self._in_thread(self._repository.store_archive, entry, content)
        await self._plugins.put_shared(entry)
        logger.info(
            "plugin %s, version %s, was brought from the cluster", plugin_id, wanted["version"]
        )

    async def _drop(self, plugin_id: str) -> None:
        if self._plugins.is_busy(plugin_id):
            return
        logger.info("plugin %s is removed, as the cluster does not have it", plugin_id)
        await self._plugins.remove_local(plugin_id)


def _pack(directory: str) -> bytes:
    """Return a plugin's directory as an archive, without what it gathered in `var`."""
    root = os.path.basename(directory)

    def chosen(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        parts = info.name.split("/")
        if len(parts) > 1 and (parts[1] == "var" or parts[-1] == "__pycache__"):
            return None
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        return info

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(directory, root, filter=chosen)
    return buffer.getvalue()
