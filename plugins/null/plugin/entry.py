"""Refuses every device and serves nothing, for devices that provd must leave alone."""

from collections.abc import Mapping
from typing import Any

from provd.plugin.api import (
    BasePgAssociator,
    DeviceSupport,
    InvalidDocument,
    Plugin,
    TFTPNullService,
)


class Never(BasePgAssociator):
    """Never chosen by itself; an operator sets the plugin of a device."""

    def associate(self, dev_info: Mapping[str, Any]) -> int:  # noqa: ARG002
        """Return the lowest score, whatever the device."""
        return DeviceSupport.NONE


class NullPlugin(Plugin):
    """The plugin; without an HTTP service its devices get 404."""

    IS_PLUGIN = True

    def __init__(
        self, app: Any, plugin_dir: str, gen_cfg: dict[str, Any], spec_cfg: dict[str, Any]
    ) -> None:
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        self.pg_associator = Never()
        self.tftp_service = TFTPNullService()

    def configure(self, device: dict[str, Any], raw_config: dict[str, Any]) -> None:  # noqa: ARG002
        """Refuse, so that the device stays unconfigured."""
        raise InvalidDocument("the null plugin configures no device")
