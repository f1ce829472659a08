"""Time zones as phones want them: an offset, and two yearly rules where there is summer time.

The data is the POSIX TZ rule that ends each compiled zone file (RFC 8536 section 3.3), such as
`CET-1CEST,M3.5.0,M10.5.0/3`. Its signs are those of POSIX: what is added to local time to get UTC.
Zone files are read at first use, from the `tzdata` package, which has the old names that some
distributions leave out, else from the system's directories.
"""

from __future__ import annotations

import contextlib
import re
import zoneinfo
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import ProvdError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME = re.compile(r"[A-Za-z0-9_+-]{1,64}(?:/[A-Za-z0-9_+-]{1,64}){0,3}")
# Where systems keep copies of zones, and one zone that is theirs.
_NOT_OLSON = frozenset({"posix", "right", "posixrules", "localtime"})
_ABBREVIATION = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]+>)"
_HOURS = r"[+-]?[0-9]{1,3}(?::[0-9]{2}){0,2}"
_RULE = re.compile(
    rf"{_ABBREVIATION}(?P<std>{_HOURS})"
    rf"(?P<summer>{_ABBREVIATION}(?P<dst>{_HOURS})?(?:,(?P<start>[^,]+),(?P<end>[^,]+))?)?"
)
_MONTH_DAY = re.compile(r"M(?P<month>[0-9]{1,2})\.(?P<week>[1-5])\.(?P<weekday>[0-6])")
_YEAR_DAY = re.compile(r"(?P<julian>J?)(?P<day>[0-9]{1,3})")
_MONTH_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_DEFAULT_CHANGES = ("M3.2.0", "M11.1.0")  # what the C library takes where a rule gives none
_DEFAULT_TIME = "2"
_HOUR = 3600


class TimezoneNotFoundError(ProvdError):
    """No time zone has that name."""


@attrs.frozen
class Time:
    """A signed number of seconds, and its parts."""

    as_seconds: int

    @property
    def as_minutes(self) -> int:
        """Whole minutes, rounded down."""
        return self.as_seconds // 60

    @property
    def as_hours(self) -> int:
        """Whole hours, rounded down."""
        return self.as_seconds // _HOUR

    @property
    def as_hms(self) -> list[int]:
        """Hours, minutes, seconds; of a negative time, the first that is not 0 bears the sign."""
        minutes, seconds = divmod(abs(self.as_seconds), 60)
        parts = [*divmod(minutes, 60), seconds]
        if self.as_seconds < 0:
            first = next(index for index, part in enumerate(parts) if part)
            parts[first] = -parts[first]
        return parts


@attrs.frozen
class _Change:
    """A yearly change of the clock; `weekday` is 0 for Sunday and None for a fixed day."""

    month: int
    day_or_week: int
    weekday: int | None
    seconds: int

    def day(self, iso: bool) -> str:
        if self.weekday is None:
            return f"D{self.day_or_week}"
        weekday = (self.weekday or 7) if iso else self.weekday + 1
        return f"W{self.day_or_week}.{weekday}"


@attrs.frozen
class _Zone:
    utcoffset: int
    save: int = 0
    start: _Change | None = None
    end: _Change | None = None


def get_timezone_info(name: str) -> dict[str, Any]:
    """Return the `utcoffset` (a Time) and the `dst` (an object or None) of a zone.

    `dst` holds `start`, `end`, `save` and `as_string`, which is equal for equal rules. A weekday
    in a `day` counts from 1 for Sunday. The result is the caller's to change. Raises
    TimezoneNotFoundError.
    """
    return _timezone_info(name, iso=False)


def get_timezone_info_iso(name: str) -> dict[str, Any]:
    """Return what `get_timezone_info` does, but with weekdays from 1 for Monday to 7 for Sunday."""
    return _timezone_info(name, iso=True)


def is_known_timezone(name: str) -> bool:
    """Tell whether `name` is an Olson name, such as `Europe/Paris` or an old link name."""
    return _zone(name) is not None


def week_start_on_monday(weekday: int) -> int:
    """Return the ISO weekday (Monday is 1) of a weekday that counts from 1 for Sunday."""
    return (weekday - 2) % 7 + 1


def _timezone_info(name: str, iso: bool) -> dict[str, Any]:
    zone = _zone(name) if isinstance(name, str) else None
    if zone is None:
        raise TimezoneNotFoundError(name)
    info: dict[str, Any] = {"utcoffset": Time(zone.utcoffset), "dst": None}
    if zone.start is not None and zone.end is not None:
        start, end = (
            {"month": change.month, "day": change.day(iso), "time": Time(change.seconds)}
            for change in (zone.start, zone.end)
        )
        info["dst"] = {
            "start": start,
            "end": end,
            "save": Time(zone.save),
            "as_string": (
                f"{zone.start.month}/{start['day']}/{zone.start.seconds};"
                f"{zone.end.month}/{end['day']}/{zone.end.seconds};{zone.save}"
            ),
        }
    return info


@lru_cache(maxsize=2048)
def _zone(name: str) -> _Zone | None:
    # No dot passes, so no name leaves the directories.
    if not _NAME.fullmatch(name) or name.split("/", maxsplit=1)[0] in _NOT_OLSON:
        return None
    for data in _zone_files(name):
        # Only format version 2 and later has the footer, a line of its own after the tables.
        if data.startswith(b"TZif") and data.endswith(b"\n"):
            footer = data[:-1].rpartition(b"\n")[2]
            zone = _parse_rule(footer.decode("ascii", "replace"))
            if zone is not None:
                return zone
    return None


def _zone_files(name: str) -> Iterator[bytes]:
    steps = name.split("/")
    with contextlib.suppress(ImportError, OSError):
        yield resources.files("tzdata").joinpath("zoneinfo", *steps).read_bytes()
    for directory in zoneinfo.TZPATH:
        try:
            yield Path(directory, *steps).read_bytes()
        except OSError:
            continue


def _parse_rule(text: str) -> _Zone | None:
    """Return the zone that a POSIX TZ rule describes, None if it is not one."""
    match = _RULE.fullmatch(text)
    if match is None:
        return None
    standard = -_seconds(match["std"])
    if match["summer"] is None:
        return _Zone(standard)
    summer = -_seconds(match["dst"]) if match["dst"] else standard + _HOUR
    start = _parse_change(match["start"] or _DEFAULT_CHANGES[0])
    end = _parse_change(match["end"] or _DEFAULT_CHANGES[1])
    if start is None or end is None:
        return None
    save = summer - standard
    if _is_whole_year(start, end, save):
        return _Zone(summer)
    if save == 0:
        return _Zone(standard)
    # Ireland's law calls the winter time the exception: a negative saving, in winter. Phones know
    # summer time only. Each change keeps its time, as that counts on the clock before the change.
    if save < 0:
        return _Zone(summer, -save, start=end, end=start)
    return _Zone(standard, save, start, end)


def _parse_change(text: str) -> _Change | None:
    date, _, time = text.partition("/")
    if not re.fullmatch(_HOURS, time or _DEFAULT_TIME):
        return None
    seconds = _seconds(time or _DEFAULT_TIME)
    if match := _MONTH_DAY.fullmatch(date):
        month, week, weekday = (int(part) for part in match.groups())
        return _Change(month, week, weekday, seconds) if 1 <= month <= 12 else None
    if match := _YEAR_DAY.fullmatch(date):
        # J1 is 1 January as 0 is; the latter counts 29 February, but a phone has no place for that.
        day = int(match["day"]) - bool(match["julian"])
        for month, length in enumerate(_MONTH_LENGTHS, 1):
            if 0 <= day < length:
                return _Change(month, day + 1, None, seconds)
            day -= length
        if not match["julian"] and day == 0:
            return _Change(12, 31, None, seconds)
    return None


def _is_whole_year(start: _Change, end: _Change, save: int) -> bool:
    """Tell whether summer time never ends: how a rule says that in RFC 8536 section 3.3.1."""
    return start == _Change(1, 1, None, 0) and end == _Change(12, 31, None, 24 * _HOUR + save)


def _seconds(text: str) -> int:
    """Return the seconds of `[+-]h[:mm[:ss]]`."""
    hours, minutes, seconds = ([int(part) for part in text.lstrip("+-").split(":")] + [0, 0])[:3]
    total = hours * _HOUR + minutes * 60 + seconds
    return -total if text.startswith("-") else total
