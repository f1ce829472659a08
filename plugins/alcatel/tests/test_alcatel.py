"""What is peculiar to Alcatel-Lucent phones."""

import datetime as dt

import pytest

from provd.errors import RawConfigParamError
from provd.plugin.api import DeviceSupport
from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.vendor_plugins import BASE_RAW_CONFIG

LINE = {"proxy_ip": "10.0.0.2", "username": "user1", "password": "secret1"}


@pytest.fixture
def plugin(load_plugin):
    return load_plugin("provd-alcatel")


def settings(plugin, model, version=None, **raw_config):
    device = {"id": "d1", "mac": "00:80:9f:12:34:56", "model": model, "version": version}
    raw = {**BASE_RAW_CONFIG, "sip_lines": {"1": LINE}, "funckeys": {}, **raw_config}
    [file] = plugin.render(device, raw)
    return dict(vendor_plugins.parser("alcatel").parse(file.content))


@pytest.mark.parametrize("vendor", ["Alcatel", "Alcatel-Lucent"])
def test_both_names_of_the_vendor_score_alike(plugin, vendor):
    info = {"vendor": vendor, "model": "M3", "version": "2.13.02"}
    assert plugin.associate(info) == DeviceSupport.EXACT
    assert plugin.associate({"vendor": vendor}) == DeviceSupport.PROBABLE


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("M3", "config.00809f123456.xml"),
        ("8028s-GE", "config.00809f123456.xml"),
        ("8058s-GE", "config.00809f123456.xml"),
        ("4018", "sipconfig-00809f123456.txt"),
        ("4039", "sipconfig-00809f123456.txt"),
    ],
)
def test_the_name_of_the_file_follows_the_model(plugin, model, name):
    device = {"id": "d1", "mac": "00:80:9f:12:34:56", "model": model}
    assert plugin.get_remote_state_trigger_filename(device) == name
    raw_config = {**BASE_RAW_CONFIG, "sip_lines": {"1": LINE}}
    assert [file.name for file in plugin.render(device, raw_config)] == [name]


def test_a_phone_of_which_only_the_address_is_known_gets_both_files(plugin):
    device = {"id": "d1", "mac": "00:80:9f:12:34:56", "vendor": "Alcatel"}
    files = list(plugin.render(device, {**BASE_RAW_CONFIG, "sip_lines": {"1": LINE}}))
    assert [file.name for file in files] == [
        "config.00809f123456.xml",
        "sipconfig-00809f123456.txt",
    ]
    parse = vendor_plugins.parser("alcatel").parse
    assert dict(parse(files[0].content))["Account1UserName"] == "user1"
    assert dict(parse(files[1].content))["sip.user_name"] == "user1"


def test_a_phone_that_speaks_noe_is_told_to_speak_sip(plugin):
    files = {file.name: file.content for file in plugin.render_common(dict(BASE_RAW_CONFIG))}
    assert files["lanpbx.cfg"] == b"APPLICATION_TYPE=APPL_SIP\n"
    assert "config.M3.xml" in files
    assert "config.4018.xml" not in files


@pytest.mark.parametrize(
    ("version", "mode"),
    [(None, "0"), ("2.00.20", "0"), ("2.00.30", "1"), ("2.00.80", "1"), ("2.01.10", "0")],
)
def test_some_binaries_have_the_modes_swapped(plugin, version, mode):
    assert settings(plugin, "4008", version)["init.application_mode"] == mode


@pytest.mark.parametrize(
    ("today", "zone", "expected"),
    [
        ("2026-01-10", "Europe/Paris", "UT::60:032902:102503"),
        ("2026-04-03", "Europe/Paris", "UT::60:032902:102503"),
        ("2026-07-01", "Europe/Paris", "UT::60:032802:102503"),
        ("2026-10-28", "Europe/Paris", "UT::60:032802:102503"),
        ("2026-11-15", "Europe/Paris", "UT::60:032802:103103"),
        ("2026-07-01", "Asia/Kolkata", "UT::330:000000:000000"),
        ("2026-07-01", "America/St_Johns", "UT::-210:031402:110102"),
    ],
)
def test_touch_phones_get_the_dates_of_the_next_changes(plugin, monkeypatch, today, zone, expected):
    module = plugin.read.__func__.__globals__
    monkeypatch.setitem(module, "today", lambda: dt.date.fromisoformat(today))
    assert settings(plugin, "4018", timezone=zone)["sntp.timezone"] == expected


@pytest.mark.parametrize(
    ("raw_config", "address"),
    [
        ({"dns_enabled": True, "dns_ip": "10.0.0.53"}, "10.0.0.53"),
        ({}, "10.0.0.2"),
        ({"sip_lines": {"1": {**LINE, "proxy_ip": "sip.example.org"}}}, "10.0.0.1"),
        ({"sip_lines": {}}, "10.0.0.1"),
    ],
)
def test_touch_phones_always_have_a_name_server(plugin, raw_config, address):
    assert settings(plugin, "4018", **raw_config)["dns.dns_addr"] == address


def test_touch_passwords_are_digits(plugin, caplog):
    assert settings(plugin, "4018", admin_password="4321")["appl.admin_password"] == "4321"
    found = settings(plugin, "4018", admin_password="word")
    assert "appl.admin_password" not in found
    assert "admin_password is left out: the phone takes digits only" in caplog.text


def test_touch_phones_refuse_a_password_that_a_line_cannot_hold(plugin):
    with pytest.raises(RawConfigParamError, match=r"sip_lines\.1\.password"):
        settings(plugin, "4018", sip_lines={"1": {**LINE, "password": "a\nb"}})
    assert settings(plugin, "M3", sip_lines={"1": {**LINE, "password": "a\nb"}})


def test_what_a_phone_cannot_do_is_noted(plugin, caplog):
    found = settings(plugin, "4018", sip_transport="tls", sip_srtp_mode="required")
    assert found["sip.sip_transport_mode"] == "2"
    assert "the phone has no TLS" in caplog.text
    assert "sip_srtp_mode is left out" in caplog.text


def test_keys_follow_that_of_the_line(plugin, caplog):
    keys = {str(n): {"type": "blf", "value": f"100{n}", "label": f"K{n}"} for n in (1, 5, 6)}
    found = settings(plugin, "M5", funckeys=keys)
    assert (found["ProgramKey2Type"], found["ProgramKey2Value"]) == ("59", "1001")
    assert found["ProgramKey29Value"] == ""
    found = settings(plugin, "8028s-GE", funckeys=keys)
    assert (found["SIPUseDeviceKey2"], found["SIPUseDeviceKey6"]) == ("1001", "1005")
    assert "SIPUseDeviceKey7" not in found
    assert "function key 6 is left out" in caplog.text
    assert "BLF keys only dial" in caplog.text
