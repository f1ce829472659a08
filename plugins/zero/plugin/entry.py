"""Serves whatever lies in its var/tftpboot directory, and configures nothing.

For devices whose files somebody else writes: provd knows them and counts them as configured.
"""

from collections.abc import Mapping
from typing import Any

from provd.plugin.api import (
    BasePgAssociator,
    DeviceSupport,
    HTTPNoListingFileService,
    StandardPlugin,
    TFTPFileService,
)


class LastResort(BasePgAssociator):
    """Never chosen by itself; an operator sets the plugin of a device."""

    def associate(self, dev_info: Mapping[str, Any]) -> int:  # noqa: ARG002
        """Return a score that is too low to win, whatever the device."""
        return DeviceSupport.IMPROBABLE


class ZeroPlugin(StandardPlugin):
    """The plugin."""

    IS_PLUGIN = True

    def __init__(
        self, app: Any, plugin_dir: str, gen_cfg: dict[str, Any], spec_cfg: dict[str, Any]
    ) -> None:
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        self.pg_associator = LastResort()
        self.http_service = HTTPNoListingFileService(self._tftpboot_dir)
        self.tftp_service = TFTPFileService(self._tftpboot_dir)
