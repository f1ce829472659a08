"""The classes that every plugin derives from, ours and third parties' (contract: plugin API §3)."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.internet import defer

from provd.model.requests import DeviceSupport, RequestType
from provd.plugin.localization import localize

if TYPE_CHECKING:
    from collections.abc import Mapping

Document = dict[str, Any]

__all__ = [
    "AbstractPlugin",
    "BasePgAssociator",
    "DeviceSupport",
    "Document",
    "Plugin",
    "RequestType",
    "StandardPlugin",
]


class BasePgAssociator:
    """Tells how well a plugin supports a device, from what a request said of it."""

    def associate(self, dev_info: Mapping[str, Any]) -> int:
        """Return a score; without a vendor nothing can be said."""
        vendor = dev_info.get("vendor")
        if vendor is None:
            return DeviceSupport.UNKNOWN
        return self._do_associate(vendor, dev_info.get("model"), dev_info.get("version"))

    def _do_associate(self, vendor: str, model: str | None, version: str | None) -> int:
        raise NotImplementedError


class AbstractPlugin:
    """Empty base of `Plugin`, kept because plugins of older generations name it."""

    id: str | None = None


class Plugin(AbstractPlugin):
    """A plugin: recognises requests, writes the files of its devices and serves them.

    All methods run in the reactor thread, never two at a time for one plugin. `device` and
    `raw_config` are private copies. A method that raises hurts only the device at hand.
    """

    http_dev_info_extractor: Any = None
    tftp_dev_info_extractor: Any = None
    dhcp_dev_info_extractor: Any = None
    http_service: Any = None
    tftp_service: Any = None
    pg_associator: Any = None

    def __init__(
        self,
        app: Any,
        plugin_dir: str,
        gen_cfg: dict[str, Any],  # noqa: ARG002 - for subclasses
        spec_cfg: dict[str, Any],  # noqa: ARG002
    ) -> None:
        self._app = app
        self._plugin_dir = plugin_dir
        self._services: dict[str, Any] = {}

    @property
    def services(self) -> dict[str, Any]:
        """The services offered: `install` (firmware packages) and `configure` (parameters)."""
        return self._services

    @services.setter
    def services(self, value: dict[str, Any]) -> None:
        self._services = value

    @property
    def info(self) -> dict[str, Any]:
        """The content of `plugin-info`, its description in the current language."""
        with open(os.path.join(self._plugin_dir, "plugin-info"), encoding="utf-8") as stream:
            return localize(json.load(stream))

    def configure_common(self, raw_config: Document) -> None:
        """Write the files that all devices share; gets the base raw config only."""

    def configure(self, device: Document, raw_config: Document) -> None:
        """Write the files of a device, or raise to refuse it."""

    def deconfigure(self, device: Document) -> None:
        """Remove the files of a device; may be called more than once."""

    def synchronize(self, device: Document, raw_config: Document) -> defer.Deferred[Any]:  # noqa: ARG002
        """Make the phone load its configuration again."""
        return defer.fail(NotImplementedError("operation not supported"))

    def get_remote_state_trigger_filename(self, device: Document) -> str | None:  # noqa: ARG002
        """Return the base name whose download proves that the phone runs its configuration."""
        return None

    def is_sensitive_filename(self, filename: str) -> bool:  # noqa: ARG002
        """Tell whether a file of that base name may hold secrets."""
        return False

    def close(self) -> None:
        """Free what the plugin holds; nothing is called after it."""


class StandardPlugin(Plugin):
    """A plugin whose files lie in `var/tftpboot` below its directory."""

    TFTPBOOT_DIR: ClassVar[str] = os.path.join("var", "tftpboot")

    def __init__(
        self, app: Any, plugin_dir: str, gen_cfg: dict[str, Any], spec_cfg: dict[str, Any]
    ) -> None:
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        self._tftpboot_dir = os.path.join(plugin_dir, self.TFTPBOOT_DIR)
