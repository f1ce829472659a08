"""What is peculiar to SmartNode: ports as lines, servers that several of them share, ASCII."""

import os

import pytest

from provd.errors import RawConfigParamError
from provd.model.rawconfig import add_defaults
from tests.unit.plugins import vendor_plugins

LINE = {"username": "u1", "password": "p1", "proxy_ip": "10.0.0.10", "registrar_ip": "10.0.0.10"}
DEVICE = {"id": "d1", "mac": "00:a0:ba:12:34:56", "vendor": "Patton", "model": "SN4118"}
parse = vendor_plugins.parser("patton").parse


@pytest.fixture
def patton(load_plugin):
    return load_plugin("provd-patton")


def render(plugin, lines=None, **more):
    raw = {**vendor_plugins.BASE_RAW_CONFIG, "sip_lines": lines or {"1": LINE}, **more}
    add_defaults(raw)
    [file] = plugin.render(DEVICE, raw)
    return [value for _, value in parse(file.content)]


def test_lines_share_a_server_and_have_ports_of_their_own(patton):
    lines = {"1": {**LINE, "backup_proxy_ip": "b.example"}, "4": {**LINE, "username": "u4"}}
    settings = render(patton, lines)
    assert [one for one in settings if one.startswith("port fxs")] == [
        "port fxs 0 0",
        "port fxs 0 3",
    ]
    assert [one for one in settings if one.startswith("domain")] == [
        "domain 10.0.0.10",
        "domain b.example",
    ]
    # The first line registers with both, the other one with the first.
    assert [one for one in settings if one.startswith("identity")] == [
        "identity u1",
        "identity u4",
        "identity u1",
    ]


def test_a_username_is_on_one_port(patton):
    settings = render(patton, {"1": LINE, "2": LINE, "3": {**LINE, "username": ""}})
    assert [one for one in settings if one.startswith("port fxs")] == ["port fxs 0 0"]
    assert "line 2 is left out: another line has its username" in patton.notes_of("d1")
    assert "line 3 is left out: it has no username" in patton.notes_of("d1")


def test_a_server_with_two_ports_is_refused(patton):
    lines = {"1": LINE, "2": {**LINE, "username": "u2", "proxy_port": 5080}}
    with pytest.raises(RawConfigParamError, match=r"sip_lines\.2\.proxy_ip: .* 5060 and 5080"):
        render(patton, lines)


def test_tls_and_srtp_are_noted_and_the_port_is_that_of_udp(patton):
    settings = render(patton, sip_transport="tls", sip_srtp_mode="required")
    assert "remote 10.0.0.10 5060" in settings
    assert "registrar 10.0.0.10 5060" in settings
    assert "preferred-transport-protocol udp" in settings
    assert any("no TLS" in note for note in patton.notes_of("d1"))
    assert any("no SRTP" in note for note in patton.notes_of("d1"))


def test_words_are_quoted_and_other_letters_than_ascii_are_noted(patton):
    settings = render(patton, {"1": {**LINE, "password": 'a b"c\\d#é'}})
    assert 'username u1 password a b"c\\d#' in settings
    assert any(note.startswith("password of line 1 loses") for note in patton.notes_of("d1"))


def test_a_change_on_a_fixed_day_has_its_ordinal(patton, monkeypatch):
    from provd.plugin.phones import phone, zones

    changes = zones.Change(3, 7200, day=21), zones.Change(9, 9000, day=12)
    zone = zones.Zone("Test/Zone", -12600, zones.Dst(*changes, 3600))
    monkeypatch.setattr(phone, "zone_of", lambda _: zone)
    settings = render(patton, timezone="Test/Zone")
    assert "clock local default-offset -03:30" in settings
    expected = "clock local dst-rule DSTRULE -02:30 from 02:00 mar 21st until 02:30 sep 12th"
    assert expected in settings


def test_an_installed_package_is_loaded_by_its_script(patton):
    assert not any("PROVISIONING_FIRMWARE" in one for one in render(patton))
    directory = os.path.join(patton.installed.plugin_dir, "var", "installed")
    os.makedirs(directory, exist_ok=True)
    path = os.path.join(directory, "patton-sn4110-6.11")
    with open(path, "w", encoding="ascii") as stream:
        stream.write("6.11")
    try:
        assert "location 1 http://10.0.0.1:8667/sn4110/bw" in render(patton)
    finally:
        os.unlink(path)
