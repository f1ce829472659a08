"""Loads the installed plugins, runs their code and keeps what it does to itself.

Every call into a plugin goes through `LoadedPlugin.measured`: it measures, and names a plugin that
held the loop, that raised, or that changed files outside of its directory. Whatever a plugin raises
is a failure of that plugin, KeyboardInterrupt, SystemExit and GeneratorExit included: nothing that
a plugin does may end the daemon or leave an operation without an end.

Plugins are executed as the plugin API says (contract: plugin API §2): `entry.py` in a fresh
dictionary that holds `execfile_`, no import.
"""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import inspect
import json
import logging
import os
import time
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from provd.errors import PluginError, PluginLoadError, PluginNotInstalled, PluginNotLoaded
from provd.plugin import templates, unpack
from provd.plugin.base import AbstractPlugin, Plugin, RequestType
from provd.plugin.localization import localize
from provd.plugin.phones.plugin import FamilyPlugin
from provd.plugin.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

logger = logging.getLogger(__name__)

T = TypeVar("T")

INTERFACE_VERSION = 0.2
SLOW_CALL_SECONDS = 1.0
_STAMP_SECONDS = 1.0
_MAX_NAMED_PATHS = 20
_EXTRACTORS = {
    RequestType.HTTP: "http_dev_info_extractor",
    RequestType.TFTP: "tftp_dev_info_extractor",
    RequestType.DHCP: "dhcp_dev_info_extractor",
}


@attrs.define(slots=True)
class PluginStats:
    """What a plugin cost since it was loaded."""

    calls: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    errors: int = 0
    slow_calls: int = 0
    last_slow: str | None = None
    last_error: str | None = None
    outside_writes: int = 0
    last_outside_write: str | None = None
    named_paths: set[str] = attrs.field(factory=set)
    """Paths outside that the log named; each is named once."""


class _Call(Watch):
    """A stretch of a plugin's code: what it cost, and what it did that it should not."""

    __slots__ = ("_id", "_started", "_stats", "_what")

    def __init__(self, plugin_id: str, directory: str, stats: PluginStats, what: str) -> None:
        super().__init__(directory)
        self._id = plugin_id
        self._stats = stats
        self._what = what
        self._started = 0.0

    def __enter__(self) -> None:
        super().__enter__()
        self._started = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        spent = time.perf_counter() - self._started
        super().__exit__(kind, error, trace)
        stats = self._stats
        stats.calls += 1
        stats.seconds += spent
        stats.slowest = max(stats.slowest, spent)
        if spent > SLOW_CALL_SECONDS:
            stats.slow_calls += 1
            stats.last_slow = f"{self._what}: {spent:.1f} s"
            logger.warning("plugin %s held the loop for %.1f s in %s", self._id, spent, self._what)
        if error is not None:
            stats.errors += 1
            stats.last_error = f"{self._what}: {type(error).__name__}: {error}"

    def changed(self, path: str, line: str | None) -> None:
        stats = self._stats
        where = f"{self._what} ({line})" if line else self._what
        stats.outside_writes += 1
        stats.last_outside_write = f"{where}: {path}"
        if path not in stats.named_paths and len(stats.named_paths) < _MAX_NAMED_PATHS:
            stats.named_paths.add(path)
            logger.warning(
                "plugin %s writes outside of its directory in %s: %s", self._id, where, path
            )


@attrs.define(slots=True, eq=False, weakref_slot=True)
class LoadedPlugin:
    """A live plugin instance and what the host knows of it."""

    id: str
    plugin: Plugin
    directory: str
    info: dict[str, Any]
    code_digest: str
    templates: list[templates.TemplatePluginHelper] = attrs.field(factory=list)
    stats: PluginStats = attrs.field(factory=PluginStats)
    common_files: tuple[str, ...] = ()
    damage: str | None = None
    """Why it could not write all its common files; it serves what there is."""
    sensitive: dict[str, bool] = attrs.field(factory=dict)
    """What the plugin said of file names."""
    _stamp: str = ""
    _stamp_until: float = 0.0

    def measured(self, what: str) -> contextlib.AbstractContextManager[None]:
        """Give a context for code of the plugin: its time, errors and writes count as the plugin's.

        Nothing may be awaited in it. What the code raises goes on.
        """
        return _Call(self.id, self.directory, self.stats, what)

    def stamp(self) -> str:
        """Return what changes whenever the same device could be rendered otherwise.

        Covers code, version and templates. Template directories are looked at once a second at
        most.
        """
        now = time.monotonic()
        if now >= self._stamp_until:
            self._stamp = f"{self.code_digest}:{_template_stamp(self.directory)}"
            if isinstance(self.plugin, FamilyPlugin):
                self._stamp += f":{self.plugin.stamp}"
            self._stamp_until = now + _STAMP_SECONDS
        return self._stamp


def _template_stamp(directory: str) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    pending = [os.path.join(directory, part) for part in ("var/templates", "templates")]
    while pending:
        path = pending.pop()
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            try:
                if entry.is_dir():
                    pending.append(entry.path)
                    continue
                status = entry.stat()
            except OSError:
                continue
            digest.update(
                f"{entry.path}\0{status.st_mtime_ns}\0{status.st_size}\0".encode(
                    errors="surrogateescape"
                )
            )
    return digest.hexdigest()


def _code_digest(directory: str, info: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Digest of a plugin's version, settings and Python files."""
    digest = hashlib.sha1(str(info.get("version")).encode(), usedforsecurity=False)
    digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
    for name in sorted(os.listdir(directory)):
        if name.endswith(".py"):
            with open(os.path.join(directory, name), "rb") as stream:
                digest.update(name.encode(errors="surrogateescape") + b"\0" + stream.read())
    return digest.hexdigest()


def read_plugin_info(directory: str) -> dict[str, Any]:
    """Return the content of `plugin-info`; PluginLoadError says what is wrong with it."""
    plugin_id = os.path.basename(directory)
    path = os.path.join(directory, "plugin-info")
    try:
        with open(path, encoding="utf-8") as stream:
            info = json.load(stream)
    except (OSError, ValueError, RecursionError) as error:
        raise PluginLoadError(plugin_id, f"{path}: {error}") from error
    if not isinstance(info, dict):
        raise PluginLoadError(plugin_id, f"{path}: not a JSON object")
    for key in ("version", "description", "capabilities"):
        if key not in info:
            raise PluginLoadError(plugin_id, f"{path}: the key {key!r} is missing")
    return info


class PluginHost:
    """The loaded plugins, in load order; a mapping from plugin id to plugin."""

    def __init__(
        self,
        plugins_dir: str,
        *,
        general_config: dict[str, Any],
        plugin_config: Mapping[str, dict[str, Any]],
        base_raw_config: dict[str, Any],
        quirk: Callable[[str, str, str, dict[str, Any]], None] | None = None,
        unpack_limits: unpack.UnpackLimits = unpack.DEFAULT_LIMITS,
        preference: Sequence[str] = (),
    ) -> None:
        """`preference` are patterns of plugin ids, those that operators want first."""
        self._preference = tuple(preference)
        self._unpack_limits = unpack_limits
        self.plugins_dir = os.path.abspath(plugins_dir)
        self.app: Any = None
        self._general_config = general_config
        self._plugin_config = plugin_config
        self._base_raw_config = base_raw_config
        self._quirk = quirk
        self._loaded: dict[str, LoadedPlugin] = {}
        self._observers: weakref.WeakSet[Any] = weakref.WeakSet()
        self.generation = 0
        """Grows whenever the set of loaded plugins changes."""
        self.load_errors: dict[str, str] = {}

    # The mapping

    def get(self, plugin_id: str | None) -> LoadedPlugin | None:
        """Return the loaded plugin of that id, or None."""
        return None if plugin_id is None else self._loaded.get(plugin_id)

    def require(self, plugin_id: str) -> LoadedPlugin:
        """Return the loaded plugin of that id; PluginNotLoaded if there is none."""
        loaded = self._loaded.get(plugin_id)
        if loaded is None:
            raise PluginNotLoaded(plugin_id)
        return loaded

    def __contains__(self, plugin_id: object) -> bool:
        return plugin_id in self._loaded

    def __iter__(self) -> Iterator[LoadedPlugin]:
        return iter(list(self._loaded.values()))

    def __len__(self) -> int:
        return len(self._loaded)

    def rank(self, plugin_id: str) -> int:
        """Return how far down the operator's preference a plugin is, 0 for the first."""
        for rank, pattern in enumerate(self._preference):
            if fnmatch.fnmatchcase(plugin_id, pattern):
                return rank
        return len(self._preference)

    def attach(self, observer: Any) -> None:
        """Tell `observer.pg_load(id)` and `.pg_unload(id)`; it is weakly referenced."""
        self._observers.add(observer)

    def detach(self, observer: Any) -> None:
        """Stop telling `observer`."""
        self._observers.discard(observer)

    def _notify(self, event: str, plugin_id: str) -> None:
        for observer in list(self._observers):
            try:
                getattr(observer, event)(plugin_id)
            except BaseException:
                logger.exception("an observer failed at %s of plugin %s", event, plugin_id)

    def compile_templates(self, plugin_id: str) -> None:
        """Compile the templates of a loaded plugin for later; blocks, for a worker thread."""
        loaded = self.get(plugin_id)
        for helper in loaded.templates if loaded is not None else ():
            helper.compile_all()

    # What is installed

    def directory(self, plugin_id: str) -> str:
        """Return the directory of a plugin."""
        return os.path.join(self.plugins_dir, plugin_id)

    def installed_ids(self) -> list[str]:
        """Return the ids of all directories that look like a plugin, sorted."""
        try:
            names = sorted(os.listdir(self.plugins_dir))
        except FileNotFoundError:
            return []
        return [
            name
            for name in names
            if not name.startswith(".")
            and os.path.isfile(os.path.join(self.plugins_dir, name, "plugin-info"))
        ]

    def is_installed(self, plugin_id: str) -> bool:
        """Tell whether that plugin is installed, loaded or not."""
        return plugin_id in self.installed_ids()

    def installed(self) -> dict[str, dict[str, Any]]:
        """Return plugin id → localised plugin info; broken ones are left out, with a warning."""
        result = {}
        for plugin_id in self.installed_ids():
            try:
                result[plugin_id] = localize(read_plugin_info(self.directory(plugin_id)))
            except PluginLoadError as error:
                logger.warning("plugin %s is broken: %s", plugin_id, error)
        return result

    # Load and unload

    def load(self, plugin_id: str) -> LoadedPlugin:
        """Load an installed plugin and write its common files.

        PluginNotInstalled or PluginLoadError, with the reason; then nothing of it stays loaded. One
        that cannot write its common files is damaged, and serves its devices all the same.
        """
        if plugin_id in self._loaded:
            raise PluginLoadError(plugin_id, f"plugin {plugin_id} is already loaded")
        directory = self.directory(plugin_id)
        is_name = plugin_id and not plugin_id.startswith(".") and "/" not in plugin_id
        if not is_name or not os.path.isdir(directory):
            raise PluginNotInstalled(plugin_id, f"plugin {plugin_id} is not installed")
        try:
            loaded = self._instantiate(plugin_id, directory)
        except PluginLoadError as error:
            self.load_errors[plugin_id] = str(error)
            raise
        except BaseException as error:
            message = f"plugin {plugin_id} cannot be loaded: {type(error).__name__}: {error}"
            self.load_errors[plugin_id] = message
            logger.exception("plugin %s cannot be loaded", plugin_id)
            raise PluginLoadError(plugin_id, message) from error
        self._loaded[plugin_id] = loaded
        self.generation += 1
        self.load_errors.pop(plugin_id, None)
        self._notify("pg_load", plugin_id)
        try:
            self.configure_common(loaded)
        except PluginError as error:
            logger.error(
                "plugin %s is damaged: it cannot write its common files: %s", plugin_id, error
            )
        logger.info("plugin %s loaded, version %s", plugin_id, loaded.info.get("version"))
        return loaded

    def load_all(self) -> None:
        """Load every installed plugin; one that fails is logged and skipped."""
        for plugin_id in self.installed_ids():
            self.load_one_of_all(plugin_id)

    def load_one_of_all(self, plugin_id: str) -> None:
        """Load one plugin of a start-up; a failure is logged, not raised."""
        try:
            self.load(plugin_id)
        except PluginError as error:
            logger.error("%s", error)

    def unload(self, plugin_id: str) -> None:
        """Close a loaded plugin and forget it."""
        loaded = self.require(plugin_id)
        del self._loaded[plugin_id]
        self.generation += 1
        self._notify("pg_unload", plugin_id)
        with contextlib.suppress(PluginError):
            self.call(loaded, "close")

    def close(self) -> None:
        """Close every plugin."""
        for plugin_id in list(self._loaded):
            self.unload(plugin_id)

    def _check_interface(self, plugin_id: str, info: Mapping[str, Any]) -> None:
        checks = (
            (
                "plugin_iface_version_min",
                "check_compat_min",
                lambda wanted: wanted > INTERFACE_VERSION,
            ),
            (
                "plugin_iface_version_max",
                "check_compat_max",
                lambda wanted: wanted < INTERFACE_VERSION,
            ),
        )
        for key, setting, refuses in checks:
            wanted = info.get(key)
            if wanted is None or not self._general_config.get(setting, True):
                continue
            if not isinstance(wanted, int | float) or refuses(wanted):
                raise PluginLoadError(
                    plugin_id,
                    f"plugin {plugin_id} wants {key} {wanted!r}; this is {INTERFACE_VERSION}",
                )

    def _instantiate(self, plugin_id: str, directory: str) -> LoadedPlugin:
        info = read_plugin_info(directory)
        self._check_interface(plugin_id, info)
        settings = dict(self._plugin_config.get(plugin_id, {}))
        digest = _code_digest(directory, info, settings)
        made: list[templates.TemplatePluginHelper] = []
        stats = PluginStats()
        token = templates.helpers.set(made)
        limits_token = unpack.limits.set(self._unpack_limits)
        try:
            with _Call(plugin_id, directory, stats, "load"):
                factory = self._plugin_class(plugin_id, directory)
                plugin: Plugin = factory(self.app, directory, dict(self._general_config), settings)
        finally:
            unpack.limits.reset(limits_token)
            templates.helpers.reset(token)
        plugin.id = plugin_id
        return LoadedPlugin(plugin_id, plugin, directory, info, digest, made, stats)

    def _plugin_class(self, plugin_id: str, directory: str) -> Any:
        for value in self._execute(plugin_id, directory).values():
            if (
                inspect.isclass(value)
                and issubclass(value, AbstractPlugin)
                and getattr(value, "IS_PLUGIN", False)
            ):
                return value
        raise PluginLoadError(plugin_id, f"plugin {plugin_id} has no class with IS_PLUGIN = True")

    def _execute(self, plugin_id: str, directory: str) -> dict[str, Any]:
        entry: dict[str, Any] = {}
        compiled = templates.CompiledCode(directory)

        def run(path: str, *scopes: dict[str, Any]) -> None:
            with open(path, "rb") as stream:
                source = stream.read()
            target = scopes[0]
            target.setdefault("execfile_", execfile_)
            target.setdefault("__file__", path)
            target.setdefault("__name__", f"provd_plugin.{plugin_id}")
            exec(compiled.compile(path, source), *scopes)  # noqa: S102 - that is what a plugin is
            if self._quirk is not None:
                self._quirk(plugin_id, path, source.decode("utf-8", "replace"), target)

        def execfile_(filename: str, *scopes: dict[str, Any]) -> None:
            """Execute a file of the plugin; a relative name starts at the plugin's directory."""
            run(os.path.join(directory, filename), *(scopes or (entry,)))

        run(os.path.join(directory, "entry.py"), entry)
        return entry

    # Calls into plugins

    def call(self, loaded: LoadedPlugin, method: str, *args: Any, may_refuse: bool = False) -> Any:
        """Call a method of a plugin; PluginError, logged with its id, if it raises.

        With `may_refuse` that is nothing unusual, and left to the caller to log.
        """
        function = getattr(loaded.plugin, method)
        return self.run(loaded, method, function, *args, may_refuse=may_refuse)

    def run(
        self,
        loaded: LoadedPlugin,
        what: str,
        function: Callable[..., T],
        *args: Any,
        may_refuse: bool = False,
    ) -> T:
        """Call a function that belongs to a plugin, measured and guarded as `call` does."""
        try:
            with loaded.measured(what):
                return function(*args)
        except BaseException as error:
            level = logging.DEBUG if may_refuse else logging.WARNING
            logger.log(level, "plugin %s failed in %s", loaded.id, what, exc_info=True)
            raise PluginError(loaded.id, f"{type(error).__name__}: {error}") from error

    def recorded(
        self, loaded: LoadedPlugin, method: str, *args: Any, may_refuse: bool = False
    ) -> tuple[str, ...]:
        """Call a method that writes files; return the paths it wrote, as far as they are known."""
        with _noting_writes() as written:
            self.call(loaded, method, *args, may_refuse=may_refuse)
        return _normalized(written)

    def configure_common(self, loaded: LoadedPlugin) -> None:
        """Write the files that all devices of a plugin share; PluginError, and it is damaged."""
        loaded.damage = None
        with _noting_writes() as written:
            try:
                self.call(loaded, "configure_common", _private_copy(self._base_raw_config))
            except PluginError as error:
                loaded.damage = str(error)
                raise
            finally:
                loaded.common_files = _normalized(written)

    def extractors(self, kind: RequestType) -> list[tuple[LoadedPlugin, Any]]:
        """Return the extractors for a kind of request, in load order."""
        found = []
        for loaded in self._loaded.values():
            try:
                extractor = self.run(loaded, _EXTRACTORS[kind], _attribute, loaded, kind)
            except PluginError:
                continue
            if extractor is not None:
                found.append((loaded, extractor))
        return found


def _attribute(loaded: LoadedPlugin, kind: RequestType) -> Any:
    """Return the extractor of a plugin, which may be computed by it."""
    return getattr(loaded.plugin, _EXTRACTORS[kind], None)


@contextlib.contextmanager
def _noting_writes() -> Iterator[list[str]]:
    """Give a list that fills with the paths that plugin code writes meanwhile."""
    written: list[str] = []
    token = templates.written.set(written)
    try:
        yield written
    finally:
        templates.written.reset(token)


def _normalized(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(os.path.normpath(path) for path in paths)


def _private_copy(document: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(json.dumps(document))
    return result


def is_below(directory: str, path: str) -> bool:
    """Tell whether `path` lies in `directory`, by its name."""
    return os.path.normpath(path).startswith(directory + os.sep)
