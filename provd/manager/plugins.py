"""Plugins over their life: installed, upgraded, reloaded and removed while phones are served."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet import defer

from provd.errors import (
    DownloadError,
    OperationRunning,
    PluginAlreadyInstalled,
    PluginError,
    PluginLoadError,
    PluginNotInstalled,
    ProvdError,
    describe,
)
from provd.manager.operations import PROGRESS, SUCCESS, Operation
from provd.plugin.archive import remove_plugin
from provd.plugin.localization import localize

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from provd.manager.jobs import Jobs
    from provd.manager.manager import DeviceManager
    from provd.manager.parameters import Parameters
    from provd.manager.shared_plugins import SharedPlugins
    from provd.plugin.host import PluginHost
    from provd.plugin.repository import Entry, Repository

logger = logging.getLogger(__name__)

T = TypeVar("T")


class PluginManager:
    """One asynchronous method for each thing an operator does with plugins.

    `in_thread(function, *args)` runs blocking work in a worker thread.
    """

    def __init__(
        self,
        *,
        host: PluginHost,
        repository: Repository,
        devices: DeviceManager,
        parameters: Parameters,
        jobs: Jobs,
        in_thread: Callable[..., defer.Deferred[Any]],
    ) -> None:
        self._host = host
        self._repository = repository
        self._devices = devices
        self._parameters = parameters
        self._jobs = jobs
        self._in_thread = in_thread
        self._busy: set[str] = set()
        self._updating = False
        self.shared: SharedPlugins | None = None
        """Where other nodes have the same plugins."""

    @property
    def host(self) -> PluginHost:
        """The loaded plugins."""
        return self._host

    def installed(self) -> dict[str, dict[str, Any]]:
        """Return plugin id → info of all installed plugins, loaded or not."""
        return self._host.installed()

    async def installable(self) -> dict[str, dict[str, Any]]:
        """Return plugin id → info of what the repository list offers."""
        entries: dict[str, Entry] = await self._in_thread(self._repository.entries)
        return {plugin_id: localize(entry.published()) for plugin_id, entry in entries.items()}

    # Repository

    def _server(self) -> str:
        server = self._parameters.plugin_server
        if not server:
            raise DownloadError("no plugin server is set")
        return server

    async def update(self) -> Operation:
        """Begin to fetch the list of plugins; OperationRunning, DownloadError."""
        if self._updating:
            raise OperationRunning("an update is already running")
        server = self._server()
        operation = Operation("update", PROGRESS, 0)

        async def work() -> None:
            await self._in_thread(self._repository.update, server, _counter(operation))

        def done() -> None:
            self._updating = False

        self._updating = True
        self._run(operation, work(), done)
        return operation

    async def install(self, plugin_id: str, version: str | None = None) -> Operation:
        """Begin to install a plugin, of that version; the error says why it cannot even begin."""
        self._claim(plugin_id)
        try:
            if self._host.is_installed(plugin_id):
                raise PluginAlreadyInstalled(plugin_id)
            return await self._begin(plugin_id, "install", version)
        except BaseException:
            self._busy.discard(plugin_id)
            raise

    async def upgrade(self, plugin_id: str, version: str | None = None) -> Operation:
        """Begin to replace an installed plugin by the listed version, be it an older one.

        PluginError if `version` is another one; the error says why it cannot even begin.
        """
        self._claim(plugin_id)
        try:
            if not self._host.is_installed(plugin_id):
                raise PluginNotInstalled(plugin_id, f"plugin {plugin_id} is not already installed")
            return await self._begin(plugin_id, "upgrade", version)
        except BaseException:
            self._busy.discard(plugin_id)
            raise

    def _claim(self, plugin_id: str) -> None:
        if plugin_id in self._busy:
            raise OperationRunning(f"an operation on plugin {plugin_id} is already running")
        loaded = self._host.get(plugin_id)
        if loaded is not None and any(
            getattr(service, "is_busy", False) for service in loaded.plugin.services.values()
        ):
            raise OperationRunning(f"a package of plugin {plugin_id} is being installed")
        self._busy.add(plugin_id)

    async def _begin(self, plugin_id: str, label: str, version: str | None) -> Operation:
        entry: Entry = await self._in_thread(self._repository.entry, plugin_id)
        check_version(plugin_id, entry.info["version"], version)
        cached = await self._in_thread(self._repository.is_cached, entry)
        server = None if cached else self._server()
        operation = Operation(label, PROGRESS)
        child = None
        if server is not None:
            child = Operation("download", PROGRESS, 0, entry.dsize)
            operation.children.append(child)

        async def work() -> None:
            if server is not None and child is not None:
                await self._in_thread(self._repository.fetch, entry, server, _counter(child))
                child.state = SUCCESS
            await self._put_in_place(entry)

        self._run(operation, work(), lambda: self._busy.discard(plugin_id))
        return operation

    async def _put_in_place(self, entry: Entry, *, publishes: bool = True) -> None:
        """Swap the new version in, load it and configure its devices.

        The old version comes back if the new one does not load. Without `publishes`, the other
        nodes of a cluster are not told.
        """
        plugin_id = entry.plugin_id
        was_loaded = plugin_id in self._host
        swap = await self._in_thread(self._repository.put_in_place, entry)
        if plugin_id in self._host:
            self._host.unload(plugin_id)
        try:
            self._host.load(plugin_id)
        except PluginLoadError:
            await self._in_thread(swap.rollback)
            if was_loaded:
                logger.warning(
                    "the new version of plugin %s does not load, the old is back", plugin_id
                )
                self._host.load(plugin_id)
                await self._configure_devices(plugin_id)
            raise
        await self._in_thread(swap.commit)
        if self.shared is not None and publishes:
            content = await self._in_thread(self._repository.read_archive, entry)
            await self.shared.publish(plugin_id, content)
        await self._in_thread(self._host.compile_templates, plugin_id)
        await self._in_thread(self._repository.drop_archive, entry)
        await self._configure_devices(plugin_id)

    async def compile_templates(self) -> None:
        """Compile the templates of all plugins that were not compiled yet; for a start."""
        for loaded in self._host:
            await self._in_thread(self._host.compile_templates, loaded.id)

    async def _configure_devices(self, plugin_id: str) -> None:
        async def refresh(device_id: str) -> None:
            await self._devices.refresh(device_id, force=True)

        await self._jobs.for_each(await self._devices.device_ids_of_plugin(plugin_id), refresh)

    def _run(
        self, operation: Operation, work: Coroutine[Any, Any, None], done: Callable[[], None]
    ) -> None:
        async def run() -> None:
            try:
                await work
            except defer.CancelledError:
                operation.fail("the daemon stops")
                raise
            except ProvdError as error:
                logger.error("%s failed: %s", operation.label, error)
                operation.fail(str(error))
            except BaseException as error:
                logger.exception("%s failed", operation.label)
                operation.fail(describe(error))
                if not isinstance(error, Exception):
                    raise
            else:
                operation.state = SUCCESS
            finally:
                done()

        self._jobs.start(operation.label or "operation", run(), operation)

    # Several nodes

    def is_busy(self, plugin_id: str) -> bool:
        """Tell whether an operation on a plugin is running here."""
        return plugin_id in self._busy

    async def put_shared(self, entry: Entry) -> None:
        """Install or upgrade a plugin that another node has; its archive is in the cache."""
        self._claim(entry.plugin_id)
        try:
            await self._put_in_place(entry, publishes=False)
        finally:
            self._busy.discard(entry.plugin_id)

    async def uninstall(self, plugin_id: str) -> None:
        """Remove a plugin with everything in its directory; PluginNotInstalled."""
        await self._remove(plugin_id, withdraws=True)

    async def remove_local(self, plugin_id: str) -> None:
        """Remove a plugin from this node only."""
        await self._remove(plugin_id, withdraws=False)

    async def _remove(self, plugin_id: str, *, withdraws: bool) -> None:
        if "/" in plugin_id or not self._host.is_installed(plugin_id):
            raise PluginNotInstalled(plugin_id, "plugin not found")
        self._claim(plugin_id)
        try:
            if withdraws and self.shared is not None:
                await self.shared.withdraw(plugin_id)
            # First the instance, which could write into the directory again.
            if plugin_id in self._host:
                self._host.unload(plugin_id)
            await self._in_thread(remove_plugin, self._host.directory(plugin_id))
            self._host.load_errors.pop(plugin_id, None)
            await self._devices.soft_deconfigure(plugin_id)
        finally:
            self._busy.discard(plugin_id)

    async def reload(self, plugin_id: str) -> None:
        """Load a plugin's code again and configure its devices; PluginLoadError says why not.

        If it does not load, its devices are not configured any more.
        """
        if "/" in plugin_id or not self._host.is_installed(plugin_id):
            raise PluginNotInstalled(plugin_id, f"plugin {plugin_id} is not installed")
        self._claim(plugin_id)
        try:
            ids = await self._devices.device_ids_of_plugin(plugin_id)
            if plugin_id in self._host:
                # What the old code wrote, only the old code knows how to remove.
                await self._jobs.for_each(ids, self._devices.remove_files)
                self._host.unload(plugin_id)
            try:
                self._host.load(plugin_id)
            except PluginLoadError:
                await self._devices.soft_deconfigure(plugin_id)
                raise
            await self._devices.refresh_many(ids, f"reload of plugin {plugin_id}", force=True)
        finally:
            self._busy.discard(plugin_id)

    async def install_all(self) -> None:
        """Fetch the list and install all of it that is not installed; for a first start."""
        await self._in_thread(self._repository.update, self._server(), lambda _count: None)
        entries: dict[str, Entry] = await self._in_thread(self._repository.entries)
        for plugin_id, entry in entries.items():
            if self._host.is_installed(plugin_id) or plugin_id in self._busy:
                continue
            self._busy.add(plugin_id)
            try:
                if not await self._in_thread(self._repository.is_cached, entry):
                    await self._in_thread(
                        self._repository.fetch, entry, self._server(), lambda _count: None
                    )
                await self._put_in_place(entry)
            except (ProvdError, PluginError) as error:
                logger.error("plugin %s is not installed: %s", plugin_id, error)
            finally:
                self._busy.discard(plugin_id)


def check_version(name: str, offered: object, asked: str | None) -> None:
    """Raise PluginError unless the version that is offered is the one asked for, if any is."""
    if asked is not None and asked != str(offered):
        raise PluginError(
            name, f"version {asked} of {name} is not offered; the repository has {offered}"
        )


def _counter(operation: Operation) -> Callable[[int], None]:
    """Return what sets the byte count; one assignment, so it may come from a worker thread."""

    def progress(count: int) -> None:
        operation.current = count

    return progress
