import datetime as dt
import zoneinfo
from importlib import resources

import pytest

from provd.plugin.phones.zones import Change, nearest_code_of, zone_of

YEARS = range(2025, 2038)
NAMES = resources.files("tzdata").joinpath("zones").read_text().split()


def load(name):
    """Return a zone of the data that our rules come from, not of the system's."""
    path = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    with path.open("rb") as stream:
        return zoneinfo.ZoneInfo.from_file(stream, key=name)


def offset_at(zone, moment):
    return zone.utcoffset(moment.astimezone(zone)).total_seconds()


def changes_when_it_says(zone, truth, year, *, is_start):
    """Tell whether clocks change at the minute of the rule, from and to the offsets it gives."""
    change = zone.dst.start if is_start else zone.dst.end
    summer, winter = zone.offset + zone.dst.save, zone.offset
    before, after = (winter, summer) if is_start else (summer, winter)
    local = dt.datetime.combine(change.date(year), dt.time(change.hour, change.minute), dt.UTC)
    moment = local - dt.timedelta(seconds=before)
    minute = dt.timedelta(minutes=1)
    return (offset_at(truth, moment - minute), offset_at(truth, moment)) == (before, after)


@pytest.mark.parametrize("name", NAMES)
def test_changes_fall_on_the_right_minute_in_most_years(name):
    zone, truth = zone_of(name), load(name)
    if zone.dst is None:
        for month in (1, 4, 7, 10):
            last = dt.datetime(YEARS[-1], month, 15, tzinfo=dt.UTC)
            assert offset_at(truth, last) == zone.offset
        return
    for is_start in (True, False):
        change = zone.dst.start if is_start else zone.dst.end
        assert 0 <= change.hour <= 23
        right = [
            year for year in YEARS if changes_when_it_says(zone, truth, year, is_start=is_start)
        ]
        assert len(right) > len(YEARS) / 2, (change, right)


@pytest.mark.parametrize(
    ("name", "start", "end"),
    [
        ("Europe/Paris", Change(3, 7200, None, 5, 7), Change(10, 10800, None, 5, 7)),
        ("America/New_York", Change(3, 7200, None, 2, 7), Change(11, 7200, None, 1, 7)),
        # Fourth Thursday and 50 hours: a Saturday.
        ("Asia/Gaza", Change(3, 7200, None, 5, 6), Change(10, 7200, None, 5, 6)),
        # The last Sunday, an hour before it begins: a Saturday.
        ("America/Nuuk", Change(3, 82800, None, 5, 6), Change(10, 0, None, 5, 7)),
        # The first Saturday at 24: a Sunday.
        ("America/Santiago", Change(9, 0, None, 1, 7), Change(4, 0, None, 1, 7)),
    ],
)
def test_rules_whose_hour_is_outside_the_day_move_to_the_day_on_which_they_fall(name, start, end):
    dst = zone_of(name).dst
    assert (dst.start, dst.end) == (start, end)


@pytest.mark.parametrize("name", ["", "Mars/Phobos", "../etc/passwd", "Europe", "localtime"])
def test_other_names_are_no_zones(name):
    assert zone_of(name) is None


@pytest.mark.parametrize(
    ("change", "year", "date"),
    [
        (Change(3, 0, None, 5, 7), 2026, "2026-03-29"),
        (Change(2, 0, None, 5, 7), 2026, "2026-02-22"),
        (Change(2, 0, None, 5, 4), 2024, "2024-02-29"),
        (Change(11, 0, None, 1, 7), 2026, "2026-11-01"),
        (Change(2, 0, 29), 2026, "2026-02-28"),
        (Change(10, 0, 15), 2026, "2026-10-15"),
    ],
)
def test_day_of_a_change_in_a_year(change, year, date):
    assert change.date(year).isoformat() == date


def test_change_in_the_forms_that_phones_take():
    change = Change(3, 7200 + 1800, None, 5, 7)
    assert (change.hour, change.minute, change.is_last_week) == (2, 30, True)
    assert (change.sunday_first, change.weekday_name, change.month_name) == (1, "Sun", "Mar")
    assert change.earliest_day == 25
    assert change.to_posix() == "M3.5.0/2:30"
    second = Change(11, 0, None, 2, 6)
    assert (second.earliest_day, second.sunday_first, second.is_last_week) == (8, 7, False)
    fixed = Change(3, 0, 22)
    assert (fixed.earliest_day, fixed.sunday_first, fixed.weekday_name) == (22, 0, "")
    assert fixed.to_posix() == "J81/0"


@pytest.mark.parametrize(
    ("name", "posix", "offset"),
    [
        ("Europe/Paris", "STD-1DST-2,M3.5.0/2,M10.5.0/3", "+1:00"),
        ("America/St_Johns", "STD3:30DST2:30,M3.2.0/2,M11.1.0/2", "-3:30"),
        ("Asia/Kathmandu", "STD-5:45", "+5:45"),
        ("UTC", "STD0", "+0:00"),
    ],
)
def test_zone_as_posix_rule_and_offset(name, posix, offset):
    zone = zone_of(name)
    assert zone.to_posix() == posix
    assert zone.format_offset() == offset
    assert zone.minutes == zone.hours * 60


def test_offset_may_have_another_form():
    zone = zone_of("America/St_Johns")
    assert zone.format_offset("GMT{sign}{hours:02d}{minutes:02d}") == "GMT-0330"
    assert zone_of("Asia/Tokyo").format_offset(plus="") == "9:00"


def test_zones_by_week_are_told():
    assert zone_of("Europe/Paris").dst.is_by_week


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Europe/Madrid", "paris"),  # the same rules
        ("Africa/Tunis", "lagos"),  # the same offset, without summer time too
        ("Asia/Gaza", "athens"),  # the same offset, summer time at another day
        ("Africa/Johannesburg", "athens"),  # nothing but the offset
        ("Asia/Kolkata", "karachi"),  # half an hour less
        ("Asia/Kathmandu", None),  # 45 minutes are too far
    ],
)
def test_zone_gets_the_code_of_the_nearest_one(name, code):
    codes = {
        "Europe/Paris": "paris",
        "Africa/Lagos": "lagos",
        "Europe/Athens": "athens",
        "Asia/Karachi": "karachi",
        "No/Zone": "none",
    }
    assert nearest_code_of(zone_of(name), codes, (30, -30)) == code
