"""Base classes and helpers of plugins (contract: plugin API §§3, 4, 6.3, 8)."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from twisted.internet import defer

from provd.compat.operation import operation_in_progres_from_deferred
from provd.errors import OperationRunning
from provd.errors import PluginNotLoaded as PluginNotLoadedError
from provd.plugin.base import Plugin, StandardPlugin
from provd.plugin.firmware import FetchfwPluginHelper
from provd.plugin.host import PluginHost as PluginManager
from provd.plugin.phonebook import (
    add_wazo_phoned_user_service_url,
    add_xivo_phonebook_url,
    add_xivo_phonebook_url_from_format,
)
from provd.plugin.templates import TemplatePluginHelper

if TYPE_CHECKING:
    from collections.abc import Callable

    from provd.compat.operation import OperationInProgress

__all__ = [
    "AbstractPluginManagerObserver",
    "AsyncInstallerController",
    "BasePluginManagerObserver",
    "FetchfwPluginHelper",
    "Plugin",
    "PluginManager",
    "PluginNotLoadedError",
    "StandardPlugin",
    "TemplatePluginHelper",
    "add_wazo_phoned_user_service_url",
    "add_xivo_phonebook_url",
    "add_xivo_phonebook_url_from_format",
]


class AbstractPluginManagerObserver(abc.ABC):
    """Told of plugins that come and go, if attached to `app.pg_mgr`, which refers to it weakly."""

    @abc.abstractmethod
    def pg_load(self, pg_id: str) -> None:
        """Take note of a plugin that was loaded."""

    @abc.abstractmethod
    def pg_unload(self, pg_id: str) -> None:
        """Take note of a plugin that was unloaded."""


class BasePluginManagerObserver(AbstractPluginManagerObserver):
    """Calls two functions, or does nothing where one is None."""

    def __init__(
        self,
        pg_load: Callable[[str], object] | None = None,
        pg_unload: Callable[[str], object] | None = None,
    ) -> None:
        self._pg_load = pg_load
        self._pg_unload = pg_unload

    def pg_load(self, pg_id: str) -> None:
        if self._pg_load is not None:
            self._pg_load(pg_id)

    def pg_unload(self, pg_id: str) -> None:
        if self._pg_unload is not None:
            self._pg_unload(pg_id)


class AsyncInstallerController:
    """Runs an installation as an operation, never two for the same thing at a time."""

    def __init__(self) -> None:
        self._running: set[str] = set()

    def run(
        self, pkg_id: str, label: str, function: Callable[..., Any], *args: Any
    ) -> tuple[defer.Deferred[Any], OperationInProgress]:
        """Call `function`, which may return a Deferred; OperationRunning if `pkg_id` is busy."""
        if pkg_id in self._running:
            raise OperationRunning(f"an operation on {pkg_id} is already running")
        self._running.add(pkg_id)

        def done(result: Any) -> Any:
            self._running.discard(pkg_id)
            return result

        running = defer.maybeDeferred(function, *args).addBoth(done)
        return running, operation_in_progres_from_deferred(running, label)
