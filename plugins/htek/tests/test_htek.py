"""What tables cannot say of Htek: profiles, zones by offset."""

import pytest

from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.vendor_plugins import BASE_RAW_CONFIG

LINE = {"proxy_ip": "10.0.0.1", "username": "user1", "password": "secret1"}


@pytest.fixture
def plugin(load_plugin):
    return load_plugin("provd-htek")


def settings_of(plugin, **raw_config):
    device = {"id": "d1", "mac": "00:1f:c1:12:34:56", "vendor": "Htek", "model": "UC926"}
    document = {**BASE_RAW_CONFIG, "sip_lines": {"1": LINE}, "funckeys": {}, **raw_config}
    [file] = plugin.render(device, document)
    return dict(vendor_plugins.parser("htek").parse(file.content))


def test_an_account_takes_the_first_profile_with_its_servers(plugin):
    other = {**LINE, "proxy_ip": "10.0.0.2"}
    lines = {"1": LINE, "2": other, "3": LINE, "7": other, "8": LINE}
    settings = settings_of(plugin, sip_lines=lines)
    assert [settings[f"P{code}"] for code in (24082, 24083, 24084, 24088, 24089)] == list("01010")
    assert settings["P47"] == "10.0.0.1:5060"
    assert settings["P747"] == "10.0.0.2:5060"


def test_a_seventh_server_is_noted(plugin, caplog):
    lines = {str(n): {**LINE, "proxy_ip": f"10.0.0.{n}"} for n in range(1, 8)}
    assert settings_of(plugin, sip_lines=lines)["P24088"] == "0"
    assert "line 7 gets the servers of line 1" in caplog.text


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Paris", ("49", "2")),
        ("Asia/Kolkata", ("84", "0")),
        ("America/St_Johns", ("26", "2")),
        ("Asia/Kathmandu", None),
    ],
)
def test_a_zone_is_told_by_its_offset(plugin, caplog, zone, expected):
    settings = settings_of(plugin, timezone=zone)
    if expected is None:
        assert "P64" not in settings
        assert f"timezone {zone}: the phone has no such zone" in caplog.text
    else:
        assert (settings["P64"], settings["P75"]) == expected


def test_calls_go_to_the_proxy_where_the_registrar_is_another_server(plugin):
    settings = settings_of(plugin, sip_lines={"1": {**LINE, "registrar_ip": "10.0.0.9"}})
    assert (settings["P47"], settings["P48"]) == ("10.0.0.9:5060", "10.0.0.1:5060")
