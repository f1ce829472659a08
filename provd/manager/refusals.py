"""Why devices are not configured: what their plugin said last, or what is missing."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from provd.manager.manager import DeviceManager

_MAX = 10_000


class Refusals:
    """What the last rendering of a device failed for, for the last ten thousand of them."""

    def __init__(self) -> None:
        self._reasons: OrderedDict[str, str] = OrderedDict()

    def note(self, device_id: str, reason: str) -> None:
        """Keep the reason."""
        self._reasons[device_id] = reason
        self._reasons.move_to_end(device_id)
        if len(self._reasons) > _MAX:
            self._reasons.popitem(last=False)

    def forget(self, device_id: str) -> None:
        """Drop the reason, as the device is rendered again."""
        self._reasons.pop(device_id, None)

    def get(self, device_id: str) -> str | None:
        """Return the reason, if there is one."""
        return self._reasons.get(device_id)


async def explain(manager: DeviceManager, device_id: str) -> str | None:
    """Return why a device is not configured, None if it is; DeviceNotFound."""
    # Most are configured, and what they would be rendered from is dear.
    if (await manager.device(device_id)).get("configured"):
        return None
    device, plan = await manager.planned(device_id)
    if device.get("configured"):  # meanwhile
        return None
    plugin = device.get("plugin")
    if not plugin:
        return "it has no plugin"
    if plan.loaded is None:
        return f"plugin {plugin} is not loaded"
    config = device.get("config")
    if not config:
        return "it has no config"
    if plan.raw_config is None:
        if await manager.configs.get(config) is None:
            return f"there is no config {config}"
        return plan.refused
    return manager.refusals.get(device_id) or f"plugin {plugin} refuses it; the log says why"
