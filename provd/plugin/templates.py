"""Jinja2 templates of a plugin, the administrator's own before the shipped ones.

A change, addition or removal of a template file is seen at the next fetch. That costs two `stat`
calls for each template fetched: one of the file in use, one of the place where an administrator's
file would hide it. No directory is walked.
"""

from __future__ import annotations

import contextlib
import contextvars
import hashlib
import importlib.util
import itertools
import logging
import marshal
import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import jinja2

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Mapping, Sequence

logger = logging.getLogger(__name__)

written: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("written", default=None)
"""Where `write_file` notes the paths it wrote, while the host listens."""

helpers: contextvars.ContextVar[list[TemplatePluginHelper] | None] = contextvars.ContextVar(
    "helpers", default=None
)
"""Where template helpers note themselves, while the host makes a plugin."""

_temporary_numbers = itertools.count()


def _signature(path: str) -> tuple[int, int, int] | None:
    """Return what changes when the file at `path` does; None if there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _is_current(path: str, signature: tuple[int, int, int], hidden_by: tuple[str, ...]) -> bool:
    """Tell whether the file at `path` is unchanged, and nothing came to hide it."""
    return _signature(path) == signature and all(_signature(other) is None for other in hidden_by)


class SearchPathLoader(jinja2.BaseLoader):
    """Finds a template in the first of several directories that has it."""

    def __init__(self, searchpath: Sequence[str] | str, encoding: str = "utf-8") -> None:
        self._searchpath = [searchpath] if isinstance(searchpath, str) else list(searchpath)
        self._encoding = encoding

    def get_source(
        self,
        environment: jinja2.Environment,  # noqa: ARG002
        template: str,
    ) -> tuple[str, str, Callable[[], bool]]:
        """Return source, file name and a test of freshness; raises TemplateNotFound."""
        pieces = jinja2.loaders.split_template_path(template)
        hidden_by: list[str] = []
        for directory in self._searchpath:
            path = os.path.join(directory, *pieces)
            signature = _signature(path)
            if signature is None:
                hidden_by.append(path)
                continue
            try:
                with open(path, encoding=self._encoding) as stream:
                    source = stream.read()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                hidden_by.append(path)
                continue

            return source, path, partial(_is_current, path, signature, tuple(hidden_by))
        raise jinja2.TemplateNotFound(template)

    def has(self, template: str) -> bool:
        """Tell whether there may be such a template; where none is, that takes half the time."""
        pieces = jinja2.loaders.split_template_path(template)
        return any(_signature(os.path.join(path, *pieces)) for path in self._searchpath)

    def list_templates(self) -> list[str]:
        """Return the names of all templates, sorted."""
        found: set[str] = set()
        for directory in self._searchpath:
            for root, _, names in os.walk(directory):
                relative = os.path.relpath(root, directory)
                prefix = "" if relative == "." else relative.replace(os.sep, "/") + "/"
                found.update(prefix + name for name in names)
        return sorted(found)


def write_file(path: str, content: bytes) -> None:
    """Replace the file at `path` by `content` in one step; on error the old file stays.

    The directory must exist. The file is readable by all, as the servers of an installation may
    run under other users. One that holds `content` already is left alone.
    """
    if not _holds(path, content):
        _write_file(path, content)
    if (paths := written.get()) is not None:
        paths.append(path)


def _holds(path: str, content: bytes) -> bool:
    """Tell whether `path` is what writing `content` to it would make of it.

    To replace a file takes many times as long as to read it: file systems write it out.
    """
    try:
        status = os.lstat(path)
        if status.st_size != len(content) or not content:
            return False
        if not stat.S_ISREG(status.st_mode) or not status.st_mode & stat.S_IROTH:
            return False
        with open(path, "rb", buffering=0) as stream:
            return stream.read() == content
    except OSError:
        return False


def _write_file(path: str, content: bytes) -> None:
    directory, name = os.path.split(path)
    unique = f".{name[:64]}.{os.getpid()}.{next(_temporary_numbers)}.tmp"
    temporary = os.path.join(directory, unique)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


class CompiledCode:
    """The compiled Python files of a plugin on disk, as to compile them is most of a start.

    Each is good for one content of one path, and for one version of Python. Nothing is kept before
    the plugin has a directory `var`, which it may want to make itself.
    """

    def __init__(self, plugin_dir: str) -> None:
        var = os.path.join(plugin_dir, "var")
        self._directory = os.path.join(var, "cache", ".code")
        self._is_kept = os.path.isdir(var)

    def compile(self, path: str, source: bytes) -> types.CodeType:
        """Return the code of the file `path` that holds `source`; what `compile` raises."""
        encoded = path.encode(errors="surrogateescape")
        name = hashlib.sha1(encoded, usedforsecurity=False).hexdigest()
        made_of = _digest(importlib.util.MAGIC_NUMBER, encoded, source)
        kept = os.path.join(self._directory, name)
        with contextlib.suppress(OSError):
            with open(kept, "rb") as stream:
                content = stream.read()
            dumped = content[_KEY:]
            # Damage that `marshal` reads could end the process.
            if content[:_KEY] == made_of + _digest(made_of, dumped):
                code: types.CodeType = marshal.loads(dumped)  # noqa: S302 - as good as the plugin
                return code
        code = compile(source, path, "exec")
        if not self._is_kept:
            return code
        dumped = marshal.dumps(code)
        with contextlib.suppress(OSError):
            os.makedirs(self._directory, exist_ok=True)
            _write_file(kept, made_of + _digest(made_of, dumped) + dumped)
        return code


_KEY = 2 * 20


def _digest(*parts: bytes) -> bytes:
    digest = hashlib.sha1(usedforsecurity=False)
    for part in parts:
        digest.update(b"%d:" % len(part) + part)
    return digest.digest()


class CompiledTemplates(jinja2.BytecodeCache):
    """Compiled templates on disk, as compiling a large one would hold the loop for 50 ms and more.

    They are good for the plugin's code and the kind of environment they were made by, both part of
    the file name; Jinja2 itself checks its version and the source.
    """

    def __init__(self, plugin_dir: str, kind: str) -> None:
        self._directory = os.path.join(plugin_dir, "var", "cache", ".templates")
        self._kind = f"{kind}-{_code_stamp(plugin_dir)}"

    def _path(self, bucket: jinja2.bccache.Bucket) -> str:
        name = hashlib.sha1(f"{self._kind}-{bucket.key}".encode(), usedforsecurity=False)
        return os.path.join(self._directory, name.hexdigest())

    def load_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        """Fill `bucket` if there is something good."""
        try:
            with open(self._path(bucket), "rb") as stream:
                bucket.load_bytecode(stream)
        except OSError:
            return
        except Exception as error:  # noqa: BLE001 - whatever damage may raise
            logger.info("a compiled template is damaged, it is compiled again: %r", error)
            bucket.reset()

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        """Keep what `bucket` holds; without a place for it, do without."""
        try:
            os.makedirs(self._directory, exist_ok=True)
            _write_file(self._path(bucket), bucket.bytecode_to_string())
        except OSError as error:
            logger.info("a compiled template is not kept: %s", error)


def _code_stamp(plugin_dir: str) -> str:
    """Return what changes when the plugin's Python files do."""
    with contextlib.suppress(OSError):
        with os.scandir(plugin_dir) as entries:
            files = sorted(
                (entry.name, entry.stat().st_mtime_ns, entry.stat().st_size)
                for entry in entries
                if entry.name.endswith(".py")
            )
        return hashlib.sha1(repr(files).encode(), usedforsecurity=False).hexdigest()
    return ""


class TemplatePluginHelper:
    """Fetches and renders the templates of one plugin (contract: plugin API §4)."""

    DEFAULT_TPL_DIR: ClassVar[str] = "templates"
    CUSTOM_TPL_DIR: ClassVar[str] = os.path.join("var", "templates")

    def __init__(self, plugin_dir: str) -> None:
        self._directory = os.path.abspath(plugin_dir)
        self._loader = SearchPathLoader(
            [
                os.path.join(plugin_dir, self.CUSTOM_TPL_DIR),
                os.path.join(plugin_dir, self.DEFAULT_TPL_DIR),
            ]
        )
        # Default options on purpose: third-party templates escape by themselves.
        self._env = jinja2.Environment(  # noqa: S701
            loader=self._loader, bytecode_cache=CompiledTemplates(plugin_dir, "plain")
        )
        if (made := helpers.get()) is not None:
            made.append(self)

    def compile_all(self) -> int:
        """Compile what was not compiled yet, for later; return how many templates there are.

        Blocks, may run in a worker thread, and keeps nothing in memory.
        """
        names = self._loader.list_templates()
        for name in names:
            try:
                self._loader.load(self._env, name)
            except (jinja2.TemplateError, OSError, UnicodeDecodeError) as error:
                logger.debug("the template %s cannot be compiled: %s", name, error)
        return len(names)

    def get_dev_template(self, filename: str, device: Mapping[str, Any]) -> jinja2.Template:
        """Return the template of a device: by file name, else by model, else `base.tpl`."""
        names = [f"{filename}.tpl"] if filename else []
        if device.get("model"):
            names.append(f"{device['model']}.tpl")
        for name in names:
            try:
                if self._loader.has(name):
                    return self._env.get_template(name)
            except jinja2.TemplateNotFound as error:
                if error.name != name:
                    raise
        return self._env.get_template("base.tpl")

    def get_template(self, name: str) -> jinja2.Template:
        """Return the template of that name, such as `common/model.cfg.tpl`."""
        return self._env.get_template(name)

    def dump(
        self,
        template: jinja2.Template,
        context: Mapping[str, Any],
        filename: str,
        encoding: str = "UTF-8",
        errors: str = "strict",
    ) -> None:
        """Render into the file `filename`, replaced in one step.

        A directory of the plugin that is missing is made.
        """
        content = template.render(context).encode(encoding, errors)
        try:
            write_file(filename, content)
        except FileNotFoundError:
            folder = os.path.dirname(os.path.abspath(filename))
            if not folder.startswith(self._directory + os.sep):
                raise
            os.makedirs(folder, exist_ok=True)
            write_file(filename, content)

    def render(
        self,
        template: jinja2.Template,
        context: Mapping[str, Any],
        encoding: str = "UTF-8",
        errors: str = "replace",
    ) -> bytes:
        """Return the rendered bytes."""
        return template.render(context).encode(encoding, errors)
