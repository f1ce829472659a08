"""What came of a synchronisation of many devices: how many were told, failed and came, and why not.

The operation shows it as its `details`, also after its end, as phones come later.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from provd.errors import NoWayToNotify
from provd.model.operations import FAIL

if TYPE_CHECKING:
    from provd.model.operations import Operation

_MAX_REASONS = 20
_OTHER = "other reasons"
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b")
_QUOTED = re.compile(r"'[^']*'")


class SyncTally:
    """Counts devices into the details of an operation."""

    def __init__(self, operation: Operation) -> None:
        self._reasons: dict[str, dict[str, Any]] = {}
        self._details: dict[str, Any] = {
            "told": 0,
            "failed": 0,
            "confirmed": 0,
            "awaited": 0,
            "reasons": [],
        }
        operation.details = self._details
        self.impossible: str | None = None
        """Why no phone can be told by SIP; plugins may have a way of their own."""

    @property
    def is_hopeless(self) -> bool:
        """Whether there is no way to tell phones, and the first plugin had none of its own."""
        no_way = str(NoWayToNotify())
        return self.impossible is not None and any(no_way in reason for reason in self._reasons)

    def note(self, device_id: str, single: Operation, *, is_awaited: bool, has_come: bool) -> None:
        """Count a device that was told, or could not be."""
        if single.state == FAIL:
            self._details["failed"] += 1
            self._count_reason(device_id, single.error or "unknown")
            return
        self._details["told"] += 1
        self._details["awaited"] += is_awaited
        self._details["confirmed"] += has_come

    def note_outcome(self, *, has_come: bool) -> None:
        """Count a phone that was awaited and came, or did not."""
        self._details["awaited"] -= 1
        if has_come:
            self._details["confirmed"] += 1

    def _count_reason(self, device_id: str, reason: str) -> None:
        text = _grouped(device_id, reason)
        if text not in self._reasons and len(self._reasons) >= _MAX_REASONS:
            text = _OTHER
        if text not in self._reasons:
            self._reasons[text] = {"reason": text, "devices": 0, "example": device_id}
            self._details["reasons"].append(self._reasons[text])
        self._reasons[text]["devices"] += 1


def _grouped(device_id: str, reason: str) -> str:
    """Return a reason without what differs from device to device."""
    text = reason.removeprefix(f"device {device_id}").lstrip(": ").replace(device_id, "…")
    return _QUOTED.sub("…", _ADDRESS.sub("…", text))
