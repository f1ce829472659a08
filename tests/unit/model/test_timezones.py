import sys
import zoneinfo
from datetime import UTC, datetime, timedelta
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.model import timezones
from provd.model.timezones import (
    Time,
    TimezoneNotFoundError,
    get_timezone_info,
    get_timezone_info_iso,
    is_known_timezone,
    week_start_on_monday,
)

ALL_ZONES = resources.files("tzdata").joinpath("zones").read_text().split()
DST_ZONES = ["Europe/Paris", "America/New_York", "Australia/Sydney", "Europe/Dublin"]


@pytest.fixture
def empty_cache():
    timezones._zone.cache_clear()
    yield
    timezones._zone.cache_clear()


@pytest.fixture
def only_zone_file(tmp_path, monkeypatch, empty_cache):
    """Give a function that makes one file, of the given footer, the whole time zone data."""
    monkeypatch.setitem(sys.modules, "tzdata", None)
    monkeypatch.setattr(zoneinfo, "TZPATH", (str(tmp_path / "missing"), str(tmp_path)))

    def write(footer, name="Test", head=b"TZif2" + bytes(39)):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(head + b"\n" + footer + b"\n")

    return write


def rules(info):
    dst = info["dst"]
    if dst is None:
        return info["utcoffset"].as_seconds, None
    changes = [
        (change["month"], change["day"], change["time"].as_seconds)
        for change in (dst["start"], dst["end"])
    ]
    return info["utcoffset"].as_seconds, (*changes, dst["save"].as_seconds)


@pytest.mark.parametrize(
    ("name", "offset", "dst"),
    [
        ("Europe/Paris", 3600, ((3, "W5.1", 7200), (10, "W5.1", 10800), 3600)),
        ("America/New_York", -18000, ((3, "W2.1", 7200), (11, "W1.1", 7200), 3600)),
        ("Australia/Sydney", 36000, ((10, "W1.1", 7200), (4, "W1.1", 10800), 3600)),
        ("Asia/Tokyo", 32400, None),
        ("UTC", 0, None),
        ("Etc/GMT+5", -18000, None),
        ("Europe/Dublin", 0, ((3, "W5.1", 3600), (10, "W5.1", 7200), 3600)),
        ("Australia/Lord_Howe", 37800, ((10, "W1.1", 7200), (4, "W1.1", 7200), 1800)),
        ("America/Nuuk", -7200, ((3, "W5.1", -3600), (10, "W5.1", 0), 3600)),
        ("Asia/Kolkata", 19800, None),
    ],
)
def test_zones_have_their_rules(name, offset, dst):
    assert rules(get_timezone_info(name)) == (offset, dst)


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("US/Eastern", "America/New_York"),
        ("US/Mountain", "America/Denver"),
        ("Canada/Atlantic", "America/Halifax"),
        ("Australia/ACT", "Australia/Sydney"),
    ],
)
def test_old_link_names_exist(alias, name):
    assert get_timezone_info(alias) == get_timezone_info(name)


@pytest.mark.parametrize(
    "name", ["Etc/GMT+12", "Etc/GMT-14", "GMT", "EST5EDT", "America/Argentina/Buenos_Aires"]
)
def test_unusual_names_exist(name):
    assert is_known_timezone(name)
    assert get_timezone_info(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Europe",
        "Europe/",
        "/Europe/Paris",
        "Europe/Nowhere",
        "europe paris",
        "../zoneinfo/Europe/Paris",
        "Europe/../Europe/Paris",
        "Europe//Paris",
        "./UTC",
        "/etc/localtime",
        "localtime",
        "posixrules",
        "posix/Europe/Paris",
        "right/Europe/Paris",
        "UTC\0",
        "UTC\n",
        "leapseconds",
        "tzdata.zi",
        "zone.tab",
        "__init__.py",
        "a" * 5000,
        "CET-1CEST,M3.5.0,M10.5.0/3",
    ],
)
def test_other_names_are_unknown(name):
    assert not is_known_timezone(name)
    with pytest.raises(TimezoneNotFoundError) as caught:
        get_timezone_info(name)
    assert caught.value.args == (name,)


@pytest.mark.parametrize("name", [None, 1, ["UTC"]])
def test_what_is_no_name_is_an_unknown_zone(name):
    with pytest.raises(TimezoneNotFoundError):
        get_timezone_info(name)


def test_every_zone_of_the_data_is_understood():
    unknown = [name for name in ALL_ZONES if not is_known_timezone(name)]
    assert unknown == []


def test_canonical_text_of_a_rule():
    assert get_timezone_info("Europe/Paris")["dst"]["as_string"] == "3/W5.1/7200;10/W5.1/10800;3600"


def test_equal_rules_have_equal_text_and_others_do_not():
    texts = {name: get_timezone_info(name)["dst"]["as_string"] for name in DST_ZONES}
    assert len(set(texts.values())) == len(DST_ZONES)
    assert get_timezone_info("Europe/Berlin")["dst"]["as_string"] == texts["Europe/Paris"]


def test_callers_may_change_what_they_get():
    expected = get_timezone_info("Europe/Paris")
    get_timezone_info("Europe/Paris")["dst"]["start"].clear()
    assert get_timezone_info("Europe/Paris") == expected


def last_sundays(start, end):
    for change in (start, end):
        week, weekday = change["day"][1:].split(".")
        yield f"{change['month']}/{week}/{weekday}/{change['time'].as_hours}"


def test_iso_view_has_sunday_as_seven():
    dst = get_timezone_info_iso("Europe/Paris")["dst"]
    assert list(last_sundays(dst["start"], dst["end"])) == ["3/5/7/2", "10/5/7/3"]
    assert dst["as_string"] == "3/W5.7/7200;10/W5.7/10800;3600"


def test_iso_view_is_the_classic_one_with_weekdays_converted():
    for name in ALL_ZONES:
        classic, iso = get_timezone_info(name)["dst"], get_timezone_info_iso(name)["dst"]
        if classic is None:
            assert iso is None
            continue
        for change in ("start", "end"):
            week, weekday = classic[change]["day"].split(".")
            assert iso[change]["day"] == f"{week}.{week_start_on_monday(int(weekday))}"


@pytest.mark.parametrize(
    ("sunday_first", "monday_first"), [(1, 7), (2, 1), (3, 2), (4, 3), (5, 4), (6, 5), (7, 6)]
)
def test_weeks_that_start_on_monday(sunday_first, monday_first):
    assert week_start_on_monday(sunday_first) == monday_first


@pytest.mark.parametrize(
    ("seconds", "hms"),
    [
        (0, [0, 0, 0]),
        (3602, [1, 0, 2]),
        (-3602, [-1, 0, 2]),
        (-62, [0, -1, 2]),
        (-2, [0, 0, -2]),
        (180000, [50, 0, 0]),
    ],
)
def test_time_in_hours_minutes_and_seconds(seconds, hms):
    assert Time(seconds).as_hms == hms


def test_time_rounds_down():
    time = Time(-5400)
    assert (time.as_seconds, time.as_minutes, time.as_hours) == (-5400, -90, -2)
    assert (Time(5459).as_minutes, Time(5459).as_hours) == (90, 1)


@given(st.integers(-700_000, 700_000))
def test_parts_of_a_time_add_up(seconds):
    hours, minutes, rest = (abs(part) for part in Time(seconds).as_hms)
    assert hours * 3600 + minutes * 60 + rest == abs(seconds)
    assert sum(part < 0 for part in Time(seconds).as_hms) == (seconds < 0)


def test_times_are_equal_by_value():
    assert Time(7200) == Time(7200)
    assert len({Time(7200), Time(7200), Time(0)}) == 2


@pytest.mark.parametrize(
    ("footer", "expected"),
    [
        (b"<+0545>-5:45", (20700, None)),
        (b"AAA-1:00:01", (3601, None)),
        (b"AAA+3", (-10800, None)),
        (b"AAA5BBB", (-18000, ((3, "W2.1", 7200), (11, "W1.1", 7200), 3600))),
        (b"AAA3BBB2:30,M3.5.6,M10.1.3", (-10800, ((3, "W5.7", 7200), (10, "W1.4", 7200), 1800))),
        (b"AAA0BBB,J60/0,J365/24", (0, ((3, "D1", 0), (12, "D31", 86400), 3600))),
        (b"AAA0BBB,59,364", (0, ((3, "D1", 7200), (12, "D31", 7200), 3600))),
        (b"AAA0BBB,0,365", (0, ((1, "D1", 7200), (12, "D31", 7200), 3600))),
        (
            b"AAA-2BBB,M3.4.4/50,M10.4.4/-167:59:59",
            (7200, ((3, "W4.5", 180000), (10, "W4.5", -604799), 3600)),
        ),
        (b"BBB-1AAA0,M10.5.0,M3.5.0/1", (0, ((3, "W5.1", 3600), (10, "W5.1", 7200), 3600))),
        (b"AAA0BBB0,M3.5.0,M10.5.0", (0, None)),
        (b"AAA3BBB,0/0,J365/25", (-7200, None)),
    ],
)
def test_forms_of_a_rule(only_zone_file, footer, expected):
    only_zone_file(footer)
    assert rules(get_timezone_info("Test")) == expected


@pytest.mark.parametrize(
    "footer",
    [
        b"",
        b"A5",
        b"AAA",
        b"AAA5BBB,M3.2.0",
        b"AAA5BBB,M13.2.0,M11.1.0",
        b"AAA5BBB,M3.6.0,M11.1.0",
        b"AAA5BBB,J0,J9",
        b"AAA5BBB,J366,J9",
        b"AAA5BBB,366,9",
        b"AAA5BBB,J1/x,J9",
        b"AAA5BBB,J1/1/1,J9",
        b"\xff\xff",
    ],
)
def test_a_file_with_a_broken_rule_is_no_zone(only_zone_file, footer):
    only_zone_file(footer)
    assert not is_known_timezone("Test")


def test_a_file_of_another_kind_is_no_zone(only_zone_file):
    only_zone_file(b"AAA5", head=b"#!/bin/sh")
    assert not is_known_timezone("Test")


def test_system_directories_serve_when_the_package_is_missing(only_zone_file):
    only_zone_file(b"AAA-4", name="Area/City")
    assert rules(get_timezone_info("Area/City")) == (14400, None)
    assert not is_known_timezone("Europe/Paris")


def nth_weekday(year, month, day):
    """Return the start of the date that a `W<week>.<weekday>` means."""
    week, weekday = (int(part) for part in day[1:].split("."))
    first = datetime(year, month, 1, tzinfo=UTC)
    date = first + timedelta(days=(weekday - 1 - first.isoweekday()) % 7 + 7 * (week - 1))
    while date.month != month:
        date -= timedelta(days=7)
    return date


@pytest.mark.parametrize("name", DST_ZONES)
def test_clocks_change_when_the_rule_says(name):
    zone = zoneinfo.ZoneInfo(name)
    info = get_timezone_info(name)
    standard, save = info["utcoffset"].as_seconds, info["dst"]["save"].as_seconds
    for change, before, after in (("start", 0, save), ("end", save, 0)):
        rule = info["dst"][change]
        local = nth_weekday(2027, rule["month"], rule["day"])
        local += timedelta(seconds=rule["time"].as_seconds)
        instant = local - timedelta(seconds=standard + before)
        for moment, saving in ((instant - timedelta(seconds=1), before), (instant, after)):
            assert moment.astimezone(zone).utcoffset() == timedelta(seconds=standard + saving)
