"""The base of our own vendor plugins: pure functions in, files out.

A vendor says what a request tells (`extract`), how well it supports a device (`associate`), and
which files a device gets (`render`); this class does the rest: it writes the files, removes those
that a device no longer has, serves them, and asks the phone to load them again.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from typing import TYPE_CHECKING, Any

import attrs
import jinja2
import markupsafe
from jinja2.compiler import CodeGenerator
from twisted.internet import defer

from provd.errors import InvalidDocument
from provd.plugin.base import BasePgAssociator, Document, RequestType, StandardPlugin
from provd.plugin.files import HTTPNoListingFileService, TFTPFileService, resolve
from provd.plugin.templates import CompiledTemplates, TemplatePluginHelper, write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

logger = logging.getLogger(__name__)

DeviceInfo = dict[str, Any]


@attrs.frozen
class PhoneRequest:
    """What a request tells about the phone that sent it, the same for all three protocols."""

    kind: RequestType
    path: str = ""
    """HTTP path (percent-encoded, leading slash) or TFTP file name; empty for DHCP."""
    user_agent: str | None = None
    query: str = ""
    """What follows the question mark of an HTTP request, percent-encoded."""
    form: Mapping[str, str] = attrs.field(factory=dict)
    """Fields of a form that came by POST, and arguments of its query; the first of each name."""
    options: Mapping[int, str] = attrs.field(factory=dict)
    """DHCP options, one character a byte; empty for the other protocols."""
    mac: str | None = None
    """Hardware address, known for DHCP only."""

    @property
    def filename(self) -> str:
        """The last part of the path."""
        return self.path.rsplit("/", 1)[-1]


@attrs.frozen
class RenderedFile:
    """A file for phones; `name` is relative to the served directory, with `/` between parts."""

    name: str
    content: bytes


class _CodeGenerator(CodeGenerator):
    """Prints what `finalize` gives as it is: escaping that once more would take as long again."""

    def _output_child_pre(self, node: Any, frame: Any, finalize: Any) -> None:  # noqa: ARG002
        self.write(f"({finalize.src}")


class VendorTemplates(TemplatePluginHelper):
    """Templates in which nothing is printed raw: every value goes through the vendor's `escape`.

    That holds for administrators' own templates too; what macros and blocks give, and `Markup`, is
    printed as it is. A name that does not exist is an error, a line with only a tag on it leaves
    no trace, and the last newline stays. The filter `for_each` repeats a piece of text, much faster
    than a loop does: `{% filter for_each(numbers) %}account.@.enable = 0 {% endfilter %}`.
    """

    def __init__(self, plugin_dir: str, escape: Callable[[Any], str]) -> None:
        super().__init__(plugin_dir)

        def finalize(value: Any) -> str:
            if isinstance(value, markupsafe.Markup):
                return value
            if isinstance(value, jinja2.Undefined):
                str(value)  # raises, with the name
            return escape(value)

        # Automatic escaping is what makes Jinja2 tell its own output from values.
        self._env = jinja2.Environment(
            loader=self._env.loader,
            bytecode_cache=CompiledTemplates(plugin_dir, "vendor-2"),
            autoescape=True,
            finalize=finalize,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._env.code_generator_class = _CodeGenerator
        self._env.filters["for_each"] = _for_each


def _for_each(text: str, values: Iterable[Any]) -> markupsafe.Markup:
    """Return `text` once for each of `values`, each put in place of `@`; values are not escaped."""
    return _repeated(str(text), tuple(map(str, values)))


@functools.lru_cache(maxsize=64)  # phones of one model mostly want the same
def _repeated(text: str, values: tuple[str, ...]) -> markupsafe.Markup:
    parts = text.split("@")
    return markupsafe.Markup("".join([value.join(parts) for value in values]))  # noqa: S704


def to_phone_request(kind: RequestType, request: Any) -> PhoneRequest:
    """Return a request as our plugins see it; the host's request objects remember that."""
    parsed: PhoneRequest | None = getattr(request, "phone_request", None)
    if parsed is not None:
        return parsed
    if kind is RequestType.HTTP:
        agent = request.getHeader(b"User-Agent")
        parsed = PhoneRequest(
            kind,
            path=request.path.decode("latin-1"),
            query=request.uri.partition(b"?")[2].decode("latin-1"),
            user_agent=None if agent is None else agent.decode("latin-1"),
            form=_form(request) if request.method == b"POST" else {},
        )
    elif kind is RequestType.TFTP:
        parsed = PhoneRequest(kind, path=request["packet"]["filename"].decode("latin-1"))
    else:
        parsed = PhoneRequest(kind, options=request.get("options", {}), mac=request.get("mac"))
    with contextlib.suppress(AttributeError):
        request.phone_request = parsed
    return parsed


def _form(request: Any) -> dict[str, str]:
    return {
        name.decode("latin-1"): values[0].decode("latin-1")
        for name, values in (request.args or {}).items()
    }


class _Extractor:
    """Presents a request of one protocol to `VendorPlugin.extract`."""

    def __init__(self, plugin: VendorPlugin, kind: RequestType) -> None:
        self._plugin = plugin
        self._kind = kind

    def extract(self, request: Any, request_type: Any) -> defer.Deferred[Any]:  # noqa: ARG002
        return defer.succeed(self._plugin.extract(to_phone_request(self._kind, request)))


class _Associator(BasePgAssociator):
    def __init__(self, plugin: VendorPlugin) -> None:
        self._plugin = plugin

    def associate(self, dev_info: Mapping[str, Any]) -> int:
        return self._plugin.associate(dev_info)


class VendorPlugin(StandardPlugin):
    """Base class of a vendor plugin; subclasses set `IS_PLUGIN = True` and override the first few.

    Only `extract`, `associate`, `render` and, where the vendor has common files, `render_common`
    need a body. They read their arguments and return values; they write nothing.
    """

    sync_event = "check-sync"

    def __init__(
        self, app: Any, plugin_dir: str, gen_cfg: dict[str, Any], spec_cfg: dict[str, Any]
    ) -> None:
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        os.makedirs(self._tftpboot_dir, exist_ok=True)
        self._root = os.path.join(os.path.normpath(self._tftpboot_dir), "")
        # What is there, so that removing the files of a device asks only for those that exist.
        self._present = {
            os.path.join(root, name)
            for root, _, names in os.walk(os.path.normpath(self._tftpboot_dir))
            for name in names
        }
        self.templates = VendorTemplates(plugin_dir, self.escape)
        self.settings = spec_cfg
        self.http_dev_info_extractor = _Extractor(self, RequestType.HTTP)
        self.tftp_dev_info_extractor = _Extractor(self, RequestType.TFTP)
        self.dhcp_dev_info_extractor = _Extractor(self, RequestType.DHCP)
        self.pg_associator = _Associator(self)
        self.http_service = HTTPNoListingFileService(self._tftpboot_dir)
        self.tftp_service = TFTPFileService(self._tftpboot_dir)

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as the vendor's file format holds it; XML and HTML unless overridden."""
        return str(markupsafe.escape(value))

    def extract(self, request: PhoneRequest) -> DeviceInfo | None:
        """Return what `request` tells: any of mac, sn, uuid, vendor, model, version; or None."""
        raise NotImplementedError

    def associate(self, info: Mapping[str, Any]) -> int:
        """Return how well this plugin supports the device that `info` tells of."""
        raise NotImplementedError

    def render(self, device: Document, raw_config: Document) -> Iterable[RenderedFile]:
        """Return the files of a device; raise InvalidDocument (or any error) to refuse it."""
        raise NotImplementedError

    def render_common(self, raw_config: Document) -> Iterable[RenderedFile]:  # noqa: ARG002
        """Return the files that all devices share."""
        return ()

    def file_names(self, device: Document) -> Iterable[str]:
        """Return the names that `render` may give for `device`, so that they can be removed."""
        raise NotImplementedError

    def path_of(self, name: str) -> str:
        """Return the path of a served file; raises InvalidDocument if it leaves the directory."""
        path = None if "\0" in name else resolve(self._tftpboot_dir, name.split("/"))
        if path is None or path == self._root[:-1]:
            raise InvalidDocument(f"file name {name!r} leaves the served directory")
        return path

    def _write(self, files: Iterable[RenderedFile]) -> None:
        for file in files:
            path = self.path_of(file.name)
            try:
                write_file(path, file.content)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                write_file(path, file.content)
            self._present.add(path)

    def configure_common(self, raw_config: Document) -> None:
        """Write what `render_common` gives."""
        self._write(self.render_common(raw_config))

    def configure(self, device: Document, raw_config: Document) -> None:
        """Write what `render` gives, and remove what it no longer gives."""
        files = list(self.render(device, raw_config))
        self._write(files)
        self._remove(device, {self.path_of(file.name) for file in files})

    def deconfigure(self, device: Document) -> None:
        """Remove the files of the device."""
        self._remove(device, set())

    def _remove(self, device: Document, kept: set[str]) -> None:
        for name in self.file_names(device):
            path = self._root + name
            if path not in self._present:
                if "/" not in name and not name.startswith("."):
                    continue
                path = self.path_of(name)  # the name may be another way to say it
            if path in self._present and path not in kept:
                self._present.discard(path)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)

    def synchronize(self, device: Document, raw_config: Document) -> defer.Deferred[Any]:  # noqa: ARG002
        """Send a SIP NOTIFY with `sync_event` to the phone."""
        return defer.maybeDeferred(self._app.sip_notify, device, self.sync_event)
