"""Time zones."""

# ruff: noqa: F821 - the loader and entry.py give names

from wazo_provd import tzinform

AT_IMPORT = [
    tzinform.get_timezone_info(name)
    for name in ("US/Eastern", "Canada/Atlantic", "Etc/GMT+12", "US/Mountain", "Australia/ACT")
]


def change(one):
    return one["month"], one["day"], one["time"].as_seconds


@row("11.zones")
def zones(plugin):
    for name, offset, start, end in (
        ("Europe/Paris", 3600, (3, "W5.1", 7200), (10, "W5.1", 10800)),
        ("America/New_York", -18000, (3, "W2.1", 7200), (11, "W1.1", 7200)),
        ("Australia/Sydney", 36000, (10, "W1.1", 7200), (4, "W1.1", 10800)),
    ):
        info = tzinform.get_timezone_info(name)
        assert info["utcoffset"].as_seconds == offset
        assert change(info["dst"]["start"]) == start
        assert change(info["dst"]["end"]) == end
        assert info["dst"]["save"].as_seconds == 3600


@row("11.zones_without_dst")
def zones_without_dst(plugin):
    for name, offset in (("Asia/Tokyo", 32400), ("UTC", 0), ("Etc/GMT+5", -18000)):
        info = tzinform.get_timezone_info(name)
        assert (info["utcoffset"].as_seconds, info["dst"]) == (offset, None)


@row("11.as_string")
def as_string(plugin):
    paris, rome, sydney = (
        tzinform.get_timezone_info(name)["dst"]["as_string"]
        for name in ("Europe/Paris", "Europe/Rome", "Australia/Sydney")
    )
    assert paris == rome != sydney


@row("11.unknown_zone")
def unknown_zone(plugin):
    try:
        tzinform.get_timezone_info("Europe/Nowhere")
    except tzinform.TimezoneNotFoundError:
        return
    raise AssertionError


@row("11.week_start_on_monday")
def week_start_on_monday(plugin):
    assert [tzinform.week_start_on_monday(day) for day in range(1, 8)] == [7, 1, 2, 3, 4, 5, 6]


@row("11.time")
def time(plugin):
    assert tzinform.Time(-3602).as_hms == [-1, 0, 2]
    assert tzinform.Time(-2).as_hms == [0, 0, -2]
    one = tzinform.Time(9000)
    assert (one.as_seconds, one.as_minutes, one.as_hours) == (9000, 150, 2)
    assert one == tzinform.Time(9000)


@row("11.negative_dst")
def negative_dst(plugin):
    info = tzinform.get_timezone_info("Europe/Dublin")
    assert (info["utcoffset"].as_seconds, info["dst"]["save"].as_seconds) == (0, 3600)
    assert (info["dst"]["start"]["month"], info["dst"]["end"]["month"]) == (3, 10)


@row("11.aliases_at_import")
def aliases_at_import(plugin):
    assert [info["utcoffset"].as_hours for info in AT_IMPORT] == [-5, -4, -12, -7, 10]


@row("11.databases")
def databases(plugin):
    db = tzinform.DefaultTimezoneInfoDB("UTC", tzinform.TextTimezoneInfoDB())
    assert db.get_timezone_info("Europe/Nowhere")["utcoffset"].as_seconds == 0
    assert tzinform.TextTimezoneInfoDB is tzinform.NativeTimezoneInfoDB
