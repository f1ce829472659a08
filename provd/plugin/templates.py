"""Jinja2 templates of a plugin, the administrator's own before the shipped ones.

A change, addition or removal of a template file is seen at the next fetch. That costs two `stat`
calls for each template fetched: one of the file in use, one of the place where an administrator's
file would hide it. No directory is walked.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import tempfile
from typing import TYPE_CHECKING, Any, ClassVar

import jinja2

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
written: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("written", default=None)
"""Where `write_file` notes the paths it wrote, while the host listens."""


def _signature(path: str) -> tuple[int, int, int] | None:
    """Return what changes when the file at `path` does; None if there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class SearchPathLoader(jinja2.BaseLoader):
    """Finds a template in the first of several directories that has it."""

    def __init__(self, searchpath: Sequence[str] | str, encoding: str = "utf-8") -> None:
        self._searchpath = [searchpath] if isinstance(searchpath, str) else list(searchpath)
        self._encoding = encoding

    def get_source(
        self, environment: jinja2.Environment, template: str  # noqa: ARG002
    ) -> tuple[str, str, Callable[[], bool]]:
        """Return source, file name and a test of freshness; raises TemplateNotFound."""
        pieces = jinja2.loaders.split_template_path(template)
        hidden_by: list[str] = []
        for directory in self._searchpath:
            path = os.path.join(directory, *pieces)
            signature = _signature(path)
            try:
                with open(path, encoding=self._encoding) as stream:
                    source = stream.read()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                hidden_by.append(path)
                continue

            def up_to_date() -> bool:
                return _signature(path) == signature and not any(
                    os.path.isfile(other) for other in hidden_by
                )

            return source, path, up_to_date
        raise jinja2.TemplateNotFound(template)

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
    run under other users.
    """
    directory, name = os.path.split(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{name[:64]}.", suffix=".tmp", dir=directory or ".")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), 0o644)
        os.rename(temporary, path)
        if (paths := written.get()) is not None:
            paths.append(path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


class TemplatePluginHelper:
    """Fetches and renders the templates of one plugin (contract: plugin API §4)."""

    DEFAULT_TPL_DIR: ClassVar[str] = "templates"
    CUSTOM_TPL_DIR: ClassVar[str] = os.path.join("var", "templates")

    def __init__(self, plugin_dir: str) -> None:
        loader = SearchPathLoader(
            [
                os.path.join(plugin_dir, self.CUSTOM_TPL_DIR),
                os.path.join(plugin_dir, self.DEFAULT_TPL_DIR),
            ]
        )
        # Default options on purpose: third-party templates escape by themselves.
        self._env = jinja2.Environment(loader=loader)  # noqa: S701

    def get_dev_template(self, filename: str, device: Mapping[str, Any]) -> jinja2.Template:
        """Return the template of a device: by file name, else by model, else `base.tpl`."""
        names = [f"{filename}.tpl"] if filename else []
        if device.get("model"):
            names.append(f"{device['model']}.tpl")
        names.append("base.tpl")
        for name in names:
            try:
                return self._env.get_template(name)
            except jinja2.TemplateNotFound as error:
                if error.name != name:
                    raise
        raise jinja2.TemplateNotFound("base.tpl")

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
        """Render into the file `filename`, replaced in one step."""
        write_file(filename, template.render(context).encode(encoding, errors))

    def render(
        self,
        template: jinja2.Template,
        context: Mapping[str, Any],
        encoding: str = "UTF-8",
        errors: str = "replace",
    ) -> bytes:
        """Return the rendered bytes."""
        return template.render(context).encode(encoding, errors)
