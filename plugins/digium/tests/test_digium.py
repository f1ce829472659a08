"""What is peculiar to Digium: a password of digits, contacts as keys, firmware by its name."""

import pytest

from provd.model.rawconfig import add_defaults
from tests.unit.plugins import vendor_plugins

LINE = {"username": "u1", "password": "p1", "proxy_ip": "10.0.0.10", "registrar_ip": "10.0.0.10"}
DEVICE = {"id": "d1", "mac": "00:0f:d3:12:34:56", "vendor": "Digium", "model": "D65"}
parse = vendor_plugins.parser("digium").parse


def render(plugin, **more):
    raw = {**vendor_plugins.BASE_RAW_CONFIG, "sip_lines": {"1": LINE}, **more}
    add_defaults(raw)
    files = {file.name: dict(parse(file.content)) for file in plugin.render(DEVICE, raw)}
    return files["Digium/000fd3123456.cfg"], files["Digium/000fd3123456-contacts.xml"]


@pytest.mark.parametrize(
    ("password", "written"), [(None, "789"), ("0042", "0042"), ("secret", None), ("١٢٣", None)]
)
def test_the_password_of_the_menus_is_digits_or_left_as_it_is(load_plugin, password, written):
    plugin = load_plugin("provd-digium")
    settings, _ = render(plugin, **({"admin_password": password} if password else {}))
    assert settings.get("config/setting[id=login_password]@value") == written
    assert bool(plugin.notes_of("d1")) == (written is None)


def test_keys_watch_their_number_on_the_server_of_their_line(load_plugin):
    lines = {"1": LINE, "2": {**LINE, "proxy_ip": "b.example", "registrar_ip": "b.example"}}
    keys = {
        "1": {"type": "blf", "value": "1001", "line": 2},
        "2": {"type": "park", "value": "701", "line": 9},
        "3": {"type": "speeddial", "value": "0145"},
    }
    _, contacts = render(load_plugin("provd-digium"), sip_lines=lines, funckeys=keys)
    watched = [value for name, value in contacts.items() if name.endswith("@subscribe_to")]
    assert watched == ["sip:1001@b.example", "sip:701@10.0.0.10"]
    assert "0145" in contacts.values()


def test_lines_that_nobody_uses_are_turned_off(load_plugin):
    settings, _ = render(load_plugin("provd-digium"))
    states = [value for name, value in settings.items() if name.endswith("@status")]
    assert states == ["1", "0", "0", "0", "0", "0"]


def test_firmware_is_told_by_version_and_model_of_its_name(load_plugin):
    settings, _ = render(
        load_plugin("provd-digium", {"firmware": {"D65": "2_8_1_D65_firmware.eff"}})
    )
    told = {name.rsplit("/")[-1]: value for name, value in settings.items() if "firmware[" in name}
    assert told["firmware[model=D65]@version"] == "2_8_1"
    assert told["firmware[model=D65]@url"].endswith("/firmware/2_8_1_D65_firmware.eff")
    plugin = load_plugin("provd-digium", {"firmware": {"D65": "odd.bin"}})
    settings, _ = render(plugin)
    assert not any("firmware[" in name for name in settings)
    assert any("firmware is left out" in note for note in plugin.notes_of("d1"))


def test_a_phone_that_tells_no_address_yet_gets_no_file_and_no_complaint(load_plugin):
    raw = {**vendor_plugins.BASE_RAW_CONFIG, "sip_lines": {"1": LINE}}
    add_defaults(raw)
    plugin = load_plugin("provd-digium")
    assert list(plugin.render({"id": "d1", "vendor": "Digium"}, raw)) == []
    assert plugin.notes_of("d1") == ()
