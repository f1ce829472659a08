"""Codes of time zones for phones that know few of them."""

from provd.plugin.api import code_near
from provd.plugin.phones.zones import zone_of

CODES = {
    "Africa/Johannesburg": "South Africa",
    "Europe/Athens": "Athens",
    "Etc/GMT": "Greenwich",
    "Europe/Paris": "Paris",
}


def test_a_zone_with_the_same_rules_is_right():
    assert code_near(zone_of("Europe/Berlin"), CODES) == ("Paris", True)
    assert code_near(zone_of("Africa/Maputo"), CODES) == ("South Africa", True)


def test_a_zone_with_the_same_offset_will_do_first_one_with_summer_time_too():
    assert code_near(zone_of("Asia/Jerusalem"), CODES) == ("Athens", False)
    assert code_near(zone_of("Africa/Lagos"), CODES) == ("Paris", False)


def test_no_zone_of_the_same_offset_gives_none():
    assert code_near(zone_of("Asia/Kathmandu"), CODES) == (None, False)
