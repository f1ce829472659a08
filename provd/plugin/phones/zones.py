"""Time zones in the forms that phones take: an offset, and when summer time begins and ends.

Zone rules may name a time outside the day: Gaza's is «the fourth Thursday, 50 hours after its
midnight». Phones know hours 0 to 23, so such a change moves to the day on which it falls. Which
week of the month that is depends on the year; the week that is right most often in the 28 years
after which weekdays and dates repeat is given.
"""

from __future__ import annotations

import calendar
import datetime as dt
import functools
from typing import TYPE_CHECKING, Any

import attrs

from provd.model.timezones import (
    TimezoneNotFoundError,
    get_timezone_info_iso,
    is_known_timezone,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_DAY = 24 * 3600
_YEARS = range(2024, 2052)
LAST_WEEK = 5
_ENGLISH_MONTHS = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]
_ENGLISH_DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


@attrs.frozen
class Change:
    """When clocks change each year, in local time before the change, at hour 0 to 23.

    Either `day`, of the month, or `week` (1 to 4, 5 for the last one) and `weekday` (1 for Monday,
    7 for Sunday) are set.
    """

    month: int
    seconds: int
    day: int | None = None
    week: int | None = None
    weekday: int | None = None

    @property
    def hour(self) -> int:
        """Hour of the day, 0 to 23."""
        return self.seconds // 3600

    @property
    def minute(self) -> int:
        """Minute of the hour."""
        return self.seconds // 60 % 60

    @property
    def is_last_week(self) -> bool:
        """Whether it is the last such weekday of the month."""
        return self.week == LAST_WEEK

    @property
    def sunday_first(self) -> int:
        """Weekday from 1 for Sunday to 7 for Saturday; 0 for a fixed day."""
        return 0 if self.weekday is None else self.weekday % 7 + 1

    @property
    def month_name(self) -> str:
        """English name of the month, three letters."""
        return _ENGLISH_MONTHS[self.month - 1]

    @property
    def weekday_name(self) -> str:
        """English name of the weekday, three letters; empty for a fixed day."""
        return "" if self.weekday is None else _ENGLISH_DAYS[self.weekday - 1]

    def date(self, year: int) -> dt.date:
        """Return the day of the change in a year."""
        if self.day is not None:
            last = calendar.monthrange(year, self.month)[1]
            return dt.date(year, self.month, min(self.day, last))
        assert self.week is not None
        assert self.weekday is not None
        return _nth_weekday(year, self.month, self.week, self.weekday)

    @property
    def earliest_day(self) -> int:
        """First day of the month on which the week can begin: 8 for the second, 1 for a fixed day.

        Of the last week, the day from which on the weekday is surely the last of the month.
        """
        if self.week is None:
            return self.day or 1
        if self.week == LAST_WEEK:
            return calendar.monthrange(2023, self.month)[1] - 6
        return (self.week - 1) * 7 + 1

    def to_posix(self) -> str:
        """Return the change as a POSIX TZ rule has it, such as `M3.5.0/2`."""
        hours, rest = divmod(self.seconds, 3600)
        time = f"{hours}" if not rest else f"{hours}:{rest // 60:02d}"
        if self.day is not None:
            days = sum(calendar.monthrange(2023, month)[1] for month in range(1, self.month))
            return f"J{days + self.day}/{time}"
        assert self.weekday is not None
        return f"M{self.month}.{self.week}.{self.weekday % 7}/{time}"


@attrs.frozen
class Dst:
    """Summer time: from `start`, clocks are `save` seconds ahead until `end`."""

    start: Change
    end: Change
    save: int

    @property
    def is_by_week(self) -> bool:
        """Whether both changes are on a weekday, not on a fixed day."""
        return self.start.weekday is not None and self.end.weekday is not None

    @property
    def is_mixed(self) -> bool:
        """Whether one change is on a weekday and the other on a fixed day."""
        return (self.start.weekday is None) != (self.end.weekday is None)


@attrs.frozen
class Zone:
    """A time zone; `offset` is added to UTC, in seconds."""

    name: str
    offset: int
    dst: Dst | None

    @property
    def minutes(self) -> int:
        """The offset in whole minutes."""
        return self.offset // 60

    @property
    def hours(self) -> float:
        """The offset in hours."""
        return self.offset / 3600

    def format_offset(self, pattern: str = "{sign}{hours}:{minutes:02d}", plus: str = "+") -> str:
        """Return the offset as `pattern` says, of `sign`, `hours` and `minutes`."""
        hours, minutes = divmod(abs(self.minutes), 60)
        return pattern.format(sign="-" if self.offset < 0 else plus, hours=hours, minutes=minutes)

    def to_posix(self, standard: str = "STD", summer: str = "DST") -> str:
        """Return a POSIX TZ string, such as `STD-1DST-2,M3.5.0/2,M10.5.0/3`."""

        def west_of_utc(seconds: int) -> str:
            hours, minutes = divmod(abs(seconds) // 60, 60)
            text = f"{hours}" if not minutes else f"{hours}:{minutes:02d}"
            return f"-{text}" if seconds > 0 else text

        text = f"{standard}{west_of_utc(self.offset)}"
        if self.dst is None:
            return text
        start, end = self.dst.start.to_posix(), self.dst.end.to_posix()
        return f"{text}{summer}{west_of_utc(self.offset + self.dst.save)},{start},{end}"


@functools.lru_cache(maxsize=1024)
def zone_of(name: str) -> Zone | None:
    """Return a time zone by its Olson name, None if there is none of that name."""
    if not is_known_timezone(name):
        return None
    try:
        info = get_timezone_info_iso(name)
    except TimezoneNotFoundError:
        return None
    dst = info["dst"]
    if dst is not None:
        dst = Dst(_change(dst["start"]), _change(dst["end"]), dst["save"].as_seconds)
    return Zone(name, info["utcoffset"].as_seconds, dst)


def _change(rule: dict[str, Any]) -> Change:
    """Return a change of the zone data, moved to the day on which it falls."""
    days, seconds = divmod(rule["time"].as_seconds, _DAY)
    form, _, rest = rule["day"][:1], None, rule["day"][1:]
    if form == "D":
        if not days:
            return Change(rule["month"], seconds, day=int(rest))
        moved = dt.date(2023, rule["month"], int(rest)) + dt.timedelta(days)
        return Change(moved.month, seconds, day=moved.day)
    week, weekday = map(int, rest.split("."))
    change = Change(rule["month"], seconds, week=week, weekday=weekday)
    return change if not days else _moved(change, days)


def _moved(change: Change, days: int) -> Change:
    """Return the week and weekday that are `days` after `change` in most years."""
    delta = dt.timedelta(days)
    dates = [change.date(year) + delta for year in _YEARS]
    weekday = dates[0].isoweekday()
    candidates = [
        Change(month, change.seconds, week=week, weekday=weekday)
        for month in sorted({date.month for date in dates})
        for week in range(1, LAST_WEEK + 1)
    ]
    return max(
        candidates,
        key=lambda candidate: sum(date == candidate.date(date.year) for date in dates),
    )


def _nth_weekday(year: int, month: int, week: int, weekday: int) -> dt.date:
    first = dt.date(year, month, 1)
    day = 1 + (weekday - first.isoweekday()) % 7 + 7 * (week - 1)
    last = calendar.monthrange(year, month)[1]
    while day > last:
        day -= 7
    return dt.date(year, month, day)


def code_of(zone: Zone, codes: Mapping[str, Any]) -> Any:
    """Return the vendor's code of a zone, by a table of zone name → code.

    A zone that the table lacks gets the code of one with the same rules, so that all of Europe's
    central time finds `Europe/Paris`; None if there is none such.
    """
    if zone.name in codes:
        return codes[zone.name]
    for name, code in codes.items():
        other = zone_of(name)
        if other is not None and other.offset == zone.offset and other.dst == zone.dst:
            return code
    return None


def nearest_code_of(zone: Zone, codes: Mapping[str, Any], apart: tuple[int, ...] = ()) -> Any:
    """Return the vendor's code of a zone, else that of the zone that comes nearest to it.

    After the same rules (see `code_of`) come the same offset, with summer time where the zone has
    it and without where it has none, then the same offset, then the offsets that are so many
    minutes `apart`, in that order; None if nothing is so near.
    """
    code = code_of(zone, codes)
    if code is not None:
        return code
    known = [(other, code) for name, code in codes.items() if (other := zone_of(name)) is not None]
    for minutes in (0, *apart):
        near = [one for one in known if one[0].offset == zone.offset + minutes * 60]
        like = [one for one in near if (one[0].dst is None) == (zone.dst is None)]
        for _, code in like or near:
            return code
    return None
