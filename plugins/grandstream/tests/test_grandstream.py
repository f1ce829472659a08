"""What tables cannot say of Grandstream: the binary file, ports, zones, folders of firmware."""

import pytest

from provd.errors import InvalidDocument
from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.vendor_plugins import BASE_RAW_CONFIG

LINE = {"proxy_ip": "10.0.0.1", "username": "user1", "password": "secret1"}


def settings_of(plugin, model, **raw_config):
    device = {"id": "d1", "mac": "00:0b:82:12:34:56", "vendor": "Grandstream", "model": model}
    document = {**BASE_RAW_CONFIG, "sip_lines": {"1": LINE}, "funckeys": {}, **raw_config}
    [file] = plugin.render(device, document)
    return dict(vendor_plugins.parser("grandstream").parse(file.content))


@pytest.fixture
def plugin(load_plugin):
    return load_plugin("provd-grandstream")


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("America/New_York", ("420", "1", "3,2,7,2,0;11,1,7,2,0;60")),
        ("Europe/Paris", ("780", "1", "3,-1,7,2,0;10,-1,7,3,0;60")),
        ("Asia/Kolkata", ("1050", "0", "")),
    ],
)
def test_the_oldest_phone_has_minutes_and_a_rule_of_its_own(plugin, zone, expected):
    settings = settings_of(plugin, "GXP2000", timezone=zone)
    assert (settings["P64"], settings["P75"], settings["P246"]) == expected


def test_a_zone_is_named_where_the_phone_has_a_name_for_it_and_described_elsewhere(plugin):
    assert settings_of(plugin, "GXP2135", timezone="Europe/Berlin")["dateTime.timezone"] == (
        "CET-1CEST-2,M3.5.0/02:00:00,M10.5.0/03:00:00"
    )
    described = settings_of(plugin, "GXP2135", timezone="Asia/Kolkata")
    assert described["dateTime.timezone"] == "customize"
    assert described["dateTime.timezone.custom"] == "STD-5:30"
    assert settings_of(plugin, "GXV3275", timezone="Asia/Kolkata")["P64"] == "STD-5:30"


def test_only_the_binary_file_goes_to_the_oldest_phone(plugin):
    device = {"mac": "00:0b:82:12:34:56", "model": "GXP2000"}
    assert plugin.get_remote_state_trigger_filename(device) == "cfg000b82123456"
    device["model"] = "GXP2135"
    assert plugin.get_remote_state_trigger_filename(device) == "cfg000b82123456.xml"
    assert plugin.is_sensitive_filename("cfg000b82123456")


def test_tls_is_noted_where_the_phone_has_none(plugin, caplog):
    assert "P130" not in settings_of(plugin, "GXP2000", sip_transport="tls")
    assert "it has no TLS" in caplog.text


def test_the_name_of_port_21_does_not_take_the_code_of_the_dial_plan(plugin):
    lines = {str(n): {**LINE, "display_name": f"Port {n}"} for n in range(1, 25)}
    settings = settings_of(plugin, "GXW4224", sip_lines=lines)
    assert settings["P4200"] == "{ [*x]+ }"
    assert [settings[f"P{code}"] for code in (4180, 4199, 4252, 4255)] == [
        "Port 1",
        "Port 20",
        "Port 21",
        "Port 24",
    ]


def test_ports_with_another_server_than_the_first_are_noted(plugin, caplog):
    lines = {"1": LINE, "2": {**LINE, "proxy_ip": "10.0.0.9"}}
    settings_of(plugin, "HT818", sip_lines=lines)
    assert "line 2: its servers are those of line 1" in caplog.text


def test_accounts_have_the_hundreds_of_the_vendor(plugin):
    lines = {str(n): {**LINE, "username": f"user{n}"} for n in range(1, 7)}
    settings = settings_of(plugin, "GAC2500", sip_lines=lines)
    codes = ("P35", "P404", "P504", "P604", "P1704", "P1804")
    assert [settings[code] for code in codes] == [f"user{n}" for n in range(1, 7)]
    assert settings_of(plugin, "GDS3710")["P404"] == "user1"


def test_the_name_server_is_written_as_four_numbers(plugin):
    dns = {"dns_enabled": True, "dns_ip": "192.0.2.53"}
    settings = settings_of(plugin, "GXP2135", **dns)
    items = [settings[f"network.dns.preferred.ip.{n}"] for n in (1, 2, 3, 4)]
    assert items == ["192", "0", "2", "53"]


def test_firmware_is_served_from_the_folder_that_holds_it(plugin, monkeypatch, tmp_path):
    from provd.plugin.phones.phone import Phone

    monkeypatch.setattr(plugin, "_tftpboot_dir", str(tmp_path))
    folder = tmp_path / "firmware" / "GXP2135-1" / "Release"
    folder.mkdir(parents=True)
    (folder / "gxp2135fw.bin").touch()
    raw_config = {**BASE_RAW_CONFIG, "sip_lines": {}}
    phone = Phone(plugin.family, {}, raw_config, plugin.family.models["GXP2135"])
    base = raw_config["http_base_url"]
    assert plugin.served_url("GXP2135-1/", phone) == f"{base}/firmware/GXP2135-1/Release/"
    assert plugin.served_url("absent/", phone) == f"{base}/firmware/absent/"


def test_a_phonebook_that_is_no_url_is_refused(plugin):
    with pytest.raises(InvalidDocument, match="'phonebook' is the URL of a directory"):
        plugin.check_settings({"phonebook": "books"})


def test_a_phone_that_has_not_told_its_model_finds_p_codes_in_both_forms(plugin):
    device = {"id": "d1", "mac": "00:0b:82:12:34:56", "vendor": "Grandstream"}
    files = plugin.render(device, {**BASE_RAW_CONFIG, "sip_lines": {"1": LINE}, "funckeys": {}})
    parse = vendor_plugins.parser("grandstream").parse
    parsed = {file.name: dict(parse(file.content)) for file in files}
    assert sorted(parsed) == ["Grandstream/cfg000b82123456", "Grandstream/cfg000b82123456.xml"]
    assert all(settings["P35"] == "user1" for settings in parsed.values())
