"""What is peculiar to Panasonic: keys for lines that must stay, versions beside firmware."""

import os
import shutil

import pytest

from provd.errors import RawConfigParamError
from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.vendor_plugins import BASE_RAW_CONFIG

LINE = {"proxy_ip": "10.0.0.1", "username": "user1", "password": "secret1"}


@pytest.fixture
def plugin(load_plugin):
    plugin = load_plugin("provd-panasonic")
    yield plugin
    shutil.rmtree(os.path.join(plugin.installed.plugin_dir, "var", "installed"), ignore_errors=True)


def settings(plugin, model="KX-UT136", **raw_config):
    device = {"id": "d1", "mac": "00:80:f0:c8:c3:81", "model": model, "version": "01.133"}
    raw_config = {**BASE_RAW_CONFIG, "sip_lines": {"1": LINE}, "funckeys": {}, **raw_config}
    [file] = plugin.render(device, raw_config)
    return dict(vendor_plugins.parser("panasonic").parse(file.content))


def test_a_phone_with_one_line_keeps_its_second_line_key(plugin):
    given = settings(plugin)
    assert given["FLEX_BUTTON_FACILITY_ACT1"] == "X_PANASONIC_IPTEL_DN"
    assert "FLEX_BUTTON_FACILITY_ACT2" not in given
    assert given["FLEX_BUTTON_FACILITY_ACT3"] == ""


def test_firmware_comes_with_its_version(plugin):
    assert "FIRM_VERSION" not in settings(plugin)
    directory = os.path.join(plugin.installed.plugin_dir, "var", "installed")
    os.makedirs(directory, exist_ok=True)
    open(os.path.join(directory, "KX-UT136-fw-01.133"), "w").close()
    given = settings(plugin)
    assert given["FIRM_VERSION"] == "01.133"
    assert given["FIRM_FILE_PATH"].endswith("/firmware/UT13x-01.133_HW1.fw")
    assert "FIRM_VERSION" not in settings(plugin, "KX-UT123")


def test_firmware_whose_name_tells_no_version_is_left_out_and_noted(load_plugin):
    plugin = load_plugin("provd-panasonic", {"firmware": {"KX-UT136": "https://h/new.fw"}})
    assert "FIRM_VERSION" not in settings(plugin)
    assert plugin.notes_of("d1") == ("firmware is left out: the name of the file tells no version",)


def test_a_name_is_cut_to_what_a_line_can_hold_at_a_whole_character(plugin):
    name = settings(plugin, sip_lines={"1": {**LINE, "display_name": "電" * 400}})["DISPLAY_NAME_1"]
    assert name == "電" * 160


def test_a_password_that_a_line_cannot_hold_is_refused(plugin):
    with pytest.raises(RawConfigParamError, match=r"sip_lines\.1\.password"):
        settings(plugin, sip_lines={"1": {**LINE, "password": "x" * 481}})
