"""Plugins of one family see ISO weekdays, all others the classic ones."""

import pytest

from provd.compat import tzinform
from provd.compat.quirks import QUIRKS, quirk
from provd.plugin.host import PluginHost

ZONE = "Europe/Paris"


def days(module):
    dst = module.get_timezone_info(ZONE)["dst"]
    return dst["start"]["day"], dst["end"]["day"]


def run(plugin_id, source):
    namespace = {}
    exec(source, namespace)
    quirk(plugin_id, "common.py", source, namespace)
    return namespace


IMPORT = "from provd.compat import tzinform\n"


def test_a_yealink_plugin_that_writes_the_weekday_as_it_comes_gets_iso_ones():
    seen = run("wazo-yealink-v86", IMPORT)["tzinform"]
    assert days(seen) == ("W5.7", "W5.7")
    assert days(tzinform) == ("W5.1", "W5.1")


@pytest.mark.parametrize(
    "code",
    [
        "def f(day):\n    return tzinform.week_start_on_monday(day)",
        (
            "from provd.compat.tzinform import week_start_on_monday\n"
            "def f(day):\n    return week_start_on_monday(day)"
        ),
    ],
)
def test_an_older_one_that_converts_weekdays_by_itself_keeps_the_classic_form(code):
    assert run("wazo-yealink-v83", IMPORT + code)["tzinform"] is tzinform


def test_naming_the_conversion_without_calling_it_is_not_converting():
    code = "# week_start_on_monday() is not needed\nfrom provd.compat.tzinform import *\n"
    assert days(run("wazo-yealink-v86", IMPORT + code)["tzinform"]) == ("W5.7", "W5.7")


def test_any_other_plugin_sees_the_module_itself():
    for plugin_id in ("wazo-snom-v8", "yealink-v86", "xivo-yealink-v72"):
        assert run(plugin_id, IMPORT)["tzinform"] is tzinform


def test_a_function_imported_by_name_is_swapped_under_any_name():
    code = "from provd.compat.tzinform import get_timezone_info as zone\n"
    namespace = run("wazo-yealink-v86", code)
    assert namespace["zone"](ZONE)["dst"]["start"]["day"] == "W5.7"


def test_the_canonical_text_is_the_one_tables_were_made_with_before_the_swap():
    view = run("wazo-yealink-v86", IMPORT)["tzinform"]
    assert view.get_timezone_info(ZONE)["dst"]["as_string"] == "3/W5.1/7200;10/W5.1/10800;3600"


def test_the_view_has_all_else_that_the_module_has():
    view = run("wazo-yealink-v86", IMPORT)["tzinform"]
    assert view.TimezoneNotFoundError is tzinform.TimezoneNotFoundError
    assert view.Time is tzinform.Time
    assert view.get_timezone_info("Asia/Tokyo")["dst"] is None
    with pytest.raises(tzinform.TimezoneNotFoundError):
        view.get_timezone_info("Mars/Olympus")


def test_functions_of_an_executed_file_see_the_swap(tmp_path):
    directory = tmp_path / "wazo-yealink-v86"
    directory.mkdir()
    (directory / "plugin-info").write_text(
        '{"version": "1", "description": "", "capabilities": {}}'
    )
    (directory / "common.py").write_text(
        "from wazo_provd import tzinform\nfrom wazo_provd.plugins import StandardPlugin\n"
        "class Base(StandardPlugin):\n"
        "    def day(self):\n"
        f"        return tzinform.get_timezone_info('{ZONE}')['dst']['end']['day']\n"
    )
    (directory / "entry.py").write_text(
        "common = {}\nexecfile_('common.py', common)\n"
        "class Yealink(common['Base']):\n    IS_PLUGIN = True\n"
    )
    host = PluginHost(
        str(tmp_path), general_config={}, plugin_config={}, base_raw_config={}, quirk=quirk
    )
    assert host.load("wazo-yealink-v86").plugin.day() == "W5.7"


def test_every_quirk_says_why():
    assert all(len(entry.reason) > 40 for entry in QUIRKS)
