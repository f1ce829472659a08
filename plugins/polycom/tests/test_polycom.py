"""What is peculiar to Polycom: versions in User-Agents, SIP 3 beside UC Software, shared settings."""

import os

import pytest

from provd.model.rawconfig import add_defaults
from tests.unit.plugins import vendor_plugins

LINE = {"username": "u1", "password": "p1", "proxy_ip": "10.0.0.10", "registrar_ip": "10.0.0.10"}
DEVICE = {"id": "d1", "mac": "00:04:f2:12:34:56", "vendor": "Polycom"}
parse = vendor_plugins.parser("polycom").parse


@pytest.fixture
def polycom(load_plugin):
    return load_plugin("provd-polycom")


def raw_config(lines=None, **more):
    raw = {**vendor_plugins.BASE_RAW_CONFIG, "sip_lines": lines or {"1": LINE}, **more}
    add_defaults(raw)
    return raw


def render(plugin, model, version=None, raw=None):
    device = {**DEVICE, "model": model, "version": version}
    files = {file.name: file for file in plugin.render(device, raw or raw_config())}
    settings = dict(parse(files["0004f2123456-user.cfg"].content))
    return settings, dict(parse(files["0004f2123456.cfg"].content)), files


@pytest.mark.parametrize(
    ("model", "version", "root"),
    [
        ("SPIP550", "3.2.4.0267", b"<config\n"),
        ("SPIP550", "4.0.11", b"<polycomConfig\n"),
        ("SPIP550", None, b"<polycomConfig\n"),
        ("SPIP301", None, b"<config\n"),
        ("VVX9999", None, b"<polycomConfig\n"),
    ],
)
def test_the_root_element_follows_the_software_that_the_phone_runs(polycom, model, version, root):
    _, _, files = render(polycom, model, version)
    assert root in files["0004f2123456-user.cfg"].content


def test_a_proxy_that_is_not_the_registrar_is_the_way_to_it(polycom):
    lines = {"1": {**LINE, "registrar_ip": "reg.example", "proxy_ip": "proxy.example"}}
    settings, _, _ = render(polycom, "VVX450", raw=raw_config(lines))
    assert settings["reg.1.server.1.address"] == "reg.example"
    assert settings["reg.1.outboundProxy.address"] == "proxy.example"
    settings, _, _ = render(polycom, "VVX450")
    assert settings["reg.1.server.1.address"] == "10.0.0.10"
    assert "reg.1.outboundProxy.address" not in settings


def test_the_dtmf_mode_is_that_of_the_first_line_and_another_one_is_noted(polycom):
    lines = {"1": {**LINE, "dtmf_mode": "SIP-INFO"}, "2": {**LINE, "dtmf_mode": "RTP-in-band"}}
    settings, _, _ = render(polycom, "VVX450", raw=raw_config(lines))
    assert settings["voIpProt.SIP.dtmfViaSignaling.rfc2976"] == "1"
    assert any(note.startswith("dtmf_mode of line 2") for note in polycom.notes_of("d1"))


def test_what_the_phone_cannot_take_is_noted(polycom):
    raw = raw_config(
        sip_servers_root_and_intermediate_certificates=[f"PEM {n}" for n in range(8)],
        funckeys={"1": {"type": "blf", "value": "1002", "line": 2}},
        timezone="Australia/Lord_Howe",
    )
    settings, _, _ = render(polycom, "VVX450", raw=raw)
    assert "sec.TLS.customCaCert.6" in settings
    assert "sec.TLS.customCaCert.7" not in settings
    notes = " ".join(polycom.notes_of("d1"))
    assert "certificates from number 7 on" in notes
    assert "function key 1 watches through line 1" in notes
    assert "Australia/Lord_Howe" in notes


def test_sip_3_takes_no_certificate(polycom):
    raw = raw_config(sip_servers_root_and_intermediate_certificates=["PEM"])
    settings, _, _ = render(polycom, "SPIP301", raw=raw)
    assert not any(name.startswith("sec.TLS") for name in settings)


def test_a_change_on_a_fixed_day_is_told_as_such(polycom, monkeypatch):
    from provd.plugin.phones import phone, zones

    change = zones.Change(3, 7200, day=21)
    zone = zones.Zone("Test/Zone", 3600, zones.Dst(change, zones.Change(9, 7200, day=21), 3600))
    monkeypatch.setattr(phone, "zone_of", lambda name: zone if name == "Test/Zone" else None)
    settings, _, _ = render(polycom, "VVX450", raw=raw_config(timezone="Test/Zone"))
    prefix = "tcpIpApp.sntp.daylightSavings"
    assert settings[f"{prefix}.fixedDayEnable"] == "1"
    assert settings[f"{prefix}.start.date"] == "21"
    assert f"{prefix}.start.dayOfWeek" not in settings


def test_an_installed_package_is_what_phones_of_its_models_load(polycom):
    _, master, _ = render(polycom, "VVX450")
    assert master["APP_FILE_PATH"] == ""
    directory = os.path.join(polycom.installed.plugin_dir, "var", "installed")
    os.makedirs(directory, exist_ok=True)
    names = ["polycom-fw-5.9.2", "polycom-fw-3.1.6.0017"]
    try:
        for name in names:
            with open(os.path.join(directory, name), "w", encoding="ascii") as stream:
                stream.write("1")
        _, master, _ = render(polycom, "VVX450", "5.8.2")
        assert master["APP_FILE_PATH"] == "http://10.0.0.1:8667/firmware/uc-5.9.2/sip.ld"
        assert master["CONFIG_FILES"] == "0004f2123456-user.cfg, common.cfg"
        _, master, _ = render(polycom, "SPIP301")
        # SIP 3 has its defaults in files that come with it.
        firmware = "http://10.0.0.1:8667/firmware/sip-3.1.6.0017"
        assert master["APP_FILE_PATH"] == f"{firmware}/sip.ld"
        assert master["CONFIG_FILES"].endswith(f"{firmware}/phone1.cfg, {firmware}/sip.cfg")
    finally:
        for name in names:
            os.unlink(os.path.join(directory, name))
