"""Time zones, under the names of the plugin API (contract: plugin API §11)."""

from __future__ import annotations

from typing import Any

from provd.model.timezones import (
    Time,
    TimezoneNotFoundError,
    get_timezone_info,
    week_start_on_monday,
)

__all__ = [
    "DefaultTimezoneInfoDB",
    "NativeTimezoneInfoDB",
    "TextTimezoneInfoDB",
    "Time",
    "TimezoneNotFoundError",
    "get_timezone_info",
    "week_start_on_monday",
]


class NativeTimezoneInfoDB:
    """The zones that this system knows, as an object."""

    def get_timezone_info(self, timezone_name: str) -> dict[str, Any]:
        """Return what the function of that name does."""
        return get_timezone_info(timezone_name)


TextTimezoneInfoDB = NativeTimezoneInfoDB


class DefaultTimezoneInfoDB:
    """Answers for a default zone where another database knows none; that one must be known."""

    def __init__(self, default_tz: str, db: Any) -> None:
        db.get_timezone_info(default_tz)
        self._default = default_tz
        self._db = db

    def get_timezone_info(self, timezone_name: str) -> dict[str, Any]:
        """Return the zone of that name, or else the default one."""
        info: dict[str, Any]
        try:
            info = self._db.get_timezone_info(timezone_name)
        except TimezoneNotFoundError:
            info = self._db.get_timezone_info(self._default)
        return info
