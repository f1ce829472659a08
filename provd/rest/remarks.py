"""What an answer to a change says beyond its status: is it configured, what looks like a mistake.

A body has it as members. An answer without one, such as 204, has it as headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from provd.rest.audit import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIGURED = "provd-configured"
REASON = "provd-reason"
WARNINGS = "provd-warnings"
_MAX_HEADER = 1000


@attrs.frozen
class Remarks:
    """Remarks on a document that was stored."""

    warnings: Sequence[str] = ()
    is_configured: bool | None = attrs.field(default=None, kw_only=True)
    """Of a device; None for a config."""
    reason: str | None = attrs.field(default=None, kw_only=True)
    """Why it is not configured."""

    def members(self) -> dict[str, Any]:
        """Return the members of a body."""
        members: dict[str, Any] = {}
        if self.is_configured is not None:
            members["configured"] = self.is_configured
            if self.reason is not None:
                members["reason"] = self.reason
        if self.warnings:
            members["warnings"] = list(self.warnings)
        return members

    def headers(self) -> dict[str, str]:
        """Return the headers of any answer."""
        headers = {}
        if self.is_configured is not None:
            headers[CONFIGURED] = "true" if self.is_configured else "false"
            if self.reason is not None:
                headers[REASON] = _header(self.reason)
        if self.warnings:
            headers[WARNINGS] = _header("; ".join(self.warnings))
        return headers

    def text(self) -> str:
        """Return one line for the log."""
        parts = []
        if self.reason is not None:
            parts.append(f"not configured: {self.reason}")
        parts += self.warnings
        return ", ".join(parts)


def _header(text: str) -> str:
    return shorten(text, _MAX_HEADER).encode("ascii", "backslashreplace").decode("ascii")
