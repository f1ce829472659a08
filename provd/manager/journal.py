"""One place that is told of every request of a phone: log line, history of the device, numbers."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from provd.logs import escape
from provd.manager.history import RequestEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provd.manager.history import History
    from provd.manager.metrics import Metrics
    from provd.manager.pipeline import Identified

logger = logging.getLogger(__name__)

_MAX_NAME = 200
"""Characters of a file name that are kept: it comes from the network."""


class Journal:
    """Takes note of requests that are answered."""

    def __init__(self, history: History, metrics: Metrics) -> None:
        self.history = history
        self._metrics = metrics
        self.fetched: Callable[[str, str], None] = lambda _device_id, _file: None
        """Called with device id and file of every request of a device that was served."""

    def answered(
        self,
        protocol: str,
        peer: str,
        method: str,
        file: str,
        status: str,
        size: int,
        seconds: float,
        identified: Identified | None,
        *,
        served: bool,
        refused: str | None = None,
    ) -> None:
        """Take note of an answer; `file` comes from the network, and `refused` says why none was.

        `size` is in bytes; `served` tells a file from an error. A HEAD is no fetch of a file.
        """
        self._metrics.request(protocol, served, seconds, size)
        name = file
        if len(file) > _MAX_NAME:
            name = f"{file[:_MAX_NAME]}… ({len(file)} characters)"
        record = identified.record if identified is not None else None
        loaded = identified.loaded if identified is not None else None
        plugin = loaded.id if loaded is not None else None
        if record is not None:
            assert identified is not None
            self.history.note(
                record.id,
                RequestEntry(
                    time.time(),
                    protocol,
                    peer,
                    name,
                    status,
                    size,
                    seconds,
                    identified.found_by,
                    identified.info,
                    plugin,
                    refused,
                ),
            )
            if served and protocol != "dhcp" and method != "HEAD":
                self.fetched(record.id, file)
        if logger.isEnabledFor(logging.INFO):
            logger.info(
                "<%d> %s %s %s %s: %s, %d bytes in %.1f ms, device %s, mac %s, plugin %s%s%s",
                identified.number if identified is not None else 0,
                protocol,
                peer,
                method,
                escape(name),
                status,
                size,
                seconds * 1000,
                record.id if record is not None else None,
                record.document.get("mac") if record is not None else None,
                plugin,
                f", found by {identified.found_by}" if identified and identified.found_by else "",
                f" ({refused})" if refused else "",
            )


def why_nowhere(device: Mapping[str, Any] | None, *, has_plugin: bool, protocol: str) -> str:
    """Return why a phone's request has no plugin's service to go to."""
    if device is None:
        return "there is no device for this phone"
    plugin = device.get("plugin")
    if has_plugin:
        return f"plugin {plugin} serves nothing over {protocol}"
    return f"plugin {plugin} is not loaded" if plugin else "no plugin knows this phone"
