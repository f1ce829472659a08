"""Firmware packages of a plugin: what they are, and how they are installed and removed.

A plugin makes one `FetchfwPluginHelper` and offers it as its `install` service (contract: packages
§§2 to 4, plugin API §6.3). Methods are called in the reactor thread; all that blocks runs in a
worker thread, one package of a plugin after the other.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from twisted.internet import defer

from provd.errors import (
    DownloadError,
    OperationRunning,
    PluginError,
    PluginLoadError,
    ProvdError,
    describe,
)
from provd.model.operations import PROGRESS, SUCCESS, Operation
from provd.plugin.download import verify
from provd.plugin.downloaders import AuthDownloader, DefaultDownloader, LiveProxyHandler
from provd.plugin.filters import build_filter
from provd.plugin.localization import localize
from provd.plugin.pkgdefs import Package, PackageFile, compare_versions, read_packages
from provd.plugin.pkginstall import (
    Record,
    made_files,
    put_in_place,
    read_records,
    remove_paths,
    remove_record,
    write_record,
)
from provd.plugin.unpack import check_space
from provd.plugin.unpack import limits as unpack_limits

if TYPE_CHECKING:
    import urllib.request
    from collections.abc import Callable, Coroutine, Iterable, Mapping

    from provd.plugin.pkgdefs import FilterBuilder

__all__ = ["FetchfwPluginHelper", "compare_versions"]

logger = logging.getLogger(__name__)

T = TypeVar("T")


def _in_thread(function: Callable[[], T]) -> defer.Deferred[T]:
    # Late, as plugins make the helper themselves and have no reactor to hand in.
    from twisted.internet import threads

    return threads.deferToThread(function)


class FetchfwPluginHelper:
    """The firmware packages of the plugin in `plugin_dir`; usable as its `install` service.

    `downloaders` maps the names that definitions may use to objects with a method `download`, as
    `new_downloaders` makes them. Raises PluginLoadError if the definitions are wrong.
    """

    PKG_DIR: ClassVar[str] = "pkgs"
    CACHE_DIR: ClassVar[str] = os.path.join("var", "cache")
    INSTALLED_DIR: ClassVar[str] = os.path.join("var", "installed")
    TFTPBOOT_DIR: ClassVar[str] = os.path.join("var", "tftpboot")

    def __init__(
        self,
        plugin_dir: str,
        downloaders: Mapping[str, DefaultDownloader] | None = None,
        filter_builder: FilterBuilder | None = None,
    ) -> None:
        self.plugin_id = os.path.basename(os.path.abspath(plugin_dir))
        self.downloaders = self.new_downloaders() if downloaders is None else downloaders
        self.root_dir = os.path.join(plugin_dir, self.TFTPBOOT_DIR)
        """Where packages are installed; may be changed at any time."""
        self._cache_dir = os.path.join(plugin_dir, self.CACHE_DIR)
        self._installed_dir = os.path.join(plugin_dir, self.INSTALLED_DIR)
        try:
            self._packages = read_packages(
                os.path.join(plugin_dir, self.PKG_DIR),
                self.downloaders.keys(),
                filter_builder or build_filter,
            )
            os.makedirs(self._cache_dir, exist_ok=True)
            os.makedirs(self._installed_dir, exist_ok=True)
            self._installed = read_records(self._installed_dir)
        except (OSError, ValueError) as error:
            raise PluginLoadError(self.plugin_id, str(error)) from error
        self._lock = defer.DeferredLock()
        self._busy: set[str] = set()
        self._limits = unpack_limits.get()

    @classmethod
    def new_handlers(
        cls, proxies: Mapping[str, str] | None = None
    ) -> list[urllib.request.BaseHandler]:
        """Return URL handlers that use `proxies` as it is at the moment of a download."""
        return [LiveProxyHandler({} if proxies is None else proxies)]

    @classmethod
    def new_downloaders(
        cls, proxies: Mapping[str, str] | None = None
    ) -> dict[str, DefaultDownloader]:
        """Return the downloaders `default` and `auth`."""
        return cls.new_downloaders_from_handlers(cls.new_handlers(proxies))

    @classmethod
    def new_downloaders_from_handlers(
        cls, handlers: Iterable[urllib.request.BaseHandler] | None = None
    ) -> dict[str, DefaultDownloader]:
        """Return the downloaders `default` and `auth`, which use `handlers`."""
        own = list(handlers or ())
        return {"default": DefaultDownloader(own), "auth": AuthDownloader(own)}

    def services(self) -> dict[str, Any]:
        """Return what a plugin offers as its services."""
        return {"install": self}

    @property
    def is_busy(self) -> bool:
        """Whether something is written below the plugin's `var/`, or waits to be."""
        return bool(self._busy)

    def list_installable(self) -> dict[str, dict[str, Any]]:
        """Return package id → version, description, and the size of its downloads."""
        return {
            package_id: {**_summary(package.info), "dsize": package.size}
            for package_id, package in self._packages.items()
        }

    def list_installed(self) -> dict[str, dict[str, Any]]:
        """Return package id → version and description."""
        return {package_id: _summary(record) for package_id, record in self._installed.items()}

    def install(self, package_id: str) -> tuple[defer.Deferred[None], Operation]:
        """Begin to install a package, also if it is installed.

        Raises PluginError for an unknown package and OperationRunning if it is busy. The Deferred
        fails with PluginError; nothing depends on it, so it may be dropped.
        """
        if package_id not in self._packages:
            raise PluginError(self.plugin_id, "package not found")
        return self._begin_install(self._packages[package_id])

    def upgrade(self, package_id: str) -> tuple[defer.Deferred[None], Operation]:
        """Begin to replace an installed package; see `install`. On failure the old one stays."""
        self._check_installed(package_id)
        return self.install(package_id)

    def uninstall(self, package_id: str) -> defer.Deferred[None]:
        """Remove the files of a package and what is known of it.

        Raises PluginError if it is not installed and OperationRunning if it is busy. The Deferred
        fails with PluginError.
        """
        self._check_installed(package_id)

        async def remove() -> None:
            await _in_thread(lambda: self._remove(package_id))
            del self._installed[package_id]

        return self._start(package_id, remove)

    def _check_installed(self, package_id: str) -> None:
        if package_id not in self._installed:
            raise PluginError(self.plugin_id, "package not installed")

    def _begin_install(self, package: Package) -> tuple[defer.Deferred[None], Operation]:
        downloads, installation = Operation("download"), Operation("install")
        operation = Operation("install_pkg", children=[downloads, installation])

        async def install() -> None:
            operation.state = downloads.state = PROGRESS
            try:
                self._installed[package.id] = await _in_thread(
                    lambda: self._install(package, downloads, installation)
                )
            except BaseException as error:
                operation.fail(describe(error))
                raise
            operation.state = SUCCESS

        return self._start(package.id, install), operation

    def _start(
        self, package_id: str, work: Callable[[], Coroutine[Any, Any, None]]
    ) -> defer.Deferred[None]:
        if package_id in self._busy:
            raise OperationRunning(f"an operation on package {package_id} is already running")
        self._busy.add(package_id)

        async def run() -> None:
            await self._lock.acquire()
            try:
                await work()
            except (ProvdError, OSError) as error:
                raise PluginError(self.plugin_id, f"package {package_id}: {error}") from error
            finally:
                self._lock.release()
                self._busy.discard(package_id)

        # Not the Deferred of the work: whoever cancels it does not stop a thread.
        told: defer.Deferred[None] = defer.Deferred()
        defer.Deferred.fromCoroutine(run()).addCallbacks(told.callback, told.errback)
        return told

    # In a worker thread; no other work on a package of this plugin runs meanwhile.

    def _install(self, package: Package, downloads: Operation, installation: Operation) -> Record:
        self._fetch(package, downloads)
        installation.state = PROGRESS
        if package.steps:
            owner = f"{self.plugin_id}/{package.id}"
            with (
                made_files(package, self._cache_dir, self._limits) as result,
                put_in_place(result, self.root_dir, owner) as files,
            ):
                record = self._record(package, files)
        else:
            record = self._record(package, [])
        installation.state = SUCCESS
        return record

    def _record(self, package: Package, files: list[str]) -> Record:
        """Record what a package consists of now, and remove what only its old version had."""
        obsolete = self._own_paths(package.id).difference(files)
        if obsolete:
            # Recorded until they are removed, so that nothing is lost sight of.
            record = write_record(self._installed_dir, package, sorted(obsolete.union(files)))
            try:
                remove_paths(self.root_dir, obsolete)
            except OSError as error:
                logger.warning(
                    "plugin %s: a file of the old version of package %s stays: %s",
                    self.plugin_id,
                    package.id,
                    error,
                )
                return record
        return write_record(self._installed_dir, package, files)

    def _fetch(self, package: Package, downloads: Operation) -> None:
        missing = [
            (file, Operation(end=file.size))
            for file in dict.fromkeys(package.files)
            if not self._is_cached(file)
        ]
        downloads.children = [operation for _, operation in missing]
        check_space(self._cache_dir, sum(file.size for file, _ in missing if file.url))
        for file, operation in missing:
            if not file.url:
                raise DownloadError(
                    f"{file.filename} has no address to be fetched from: "
                    f"the right file must be put into {self._cache_dir}"
                )
            operation.current = 0
            operation.state = PROGRESS
            self.downloaders[file.downloader].download(
                file.url,
                self._cached(file),
                size=file.size,
                sha1sum=file.sha1sum,
                progress=_counter(operation),
            )
            operation.state = SUCCESS
        downloads.state = SUCCESS

    def _cached(self, file: PackageFile) -> str:
        return os.path.join(self._cache_dir, file.filename)

    def _is_cached(self, file: PackageFile) -> bool:
        path = self._cached(file)
        if not os.path.exists(path):
            return False
        try:
            verify(path, file.size, file.sha1sum)
        except DownloadError as error:
            logger.warning("plugin %s: the cached file is of no use: %s", self.plugin_id, error)
            return False
        return True

    def _remove(self, package_id: str) -> None:
        remove_paths(self.root_dir, self._own_paths(package_id))
        remove_record(self._installed_dir, package_id)

    def _own_paths(self, package_id: str) -> set[str]:
        """Return what the record of a package lists and no other does."""
        if package_id not in self._installed:
            return set()
        others = (
            record["files"]
            for other_id, record in self._installed.items()
            if other_id != package_id
        )
        return set(self._installed[package_id]["files"]).difference(*others)


def _summary(info: Mapping[str, Any]) -> dict[str, Any]:
    shown = localize(info)
    return {"version": shown["version"], "description": shown["description"]}


def _counter(operation: Operation) -> Callable[[int], None]:
    def count(done: int) -> None:
        operation.current = done

    return count
