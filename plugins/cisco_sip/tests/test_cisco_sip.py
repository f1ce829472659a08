"""What is peculiar to enterprise phones with SIP."""

import pytest

from provd.errors import RawConfigError
from provd.plugin.api import DeviceSupport
from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.family_cases import AUTOPROV, BASE, LINE

PHONE = {"id": "d1", "mac": "00:08:a3:12:34:56", "vendor": "Cisco", "model": "8945"}
ADAPTER = {**PHONE, "model": "ATA190"}
SECOND = {**LINE, "username": "user2", "number": "1002"}


class FakeApp:
    def __init__(self):
        self.sent = []

    def sip_notify(self, device, event, extra_vars=None):
        self.sent.append((device["model"], event, extra_vars))


@pytest.fixture
def plugin(load_plugin):
    return load_plugin("provd-cisco-sip")


def files(plugin, device, raw_config):
    parse = vendor_plugins.parser("cisco_sip").parse
    return {file.name: dict(parse(file.content)) for file in plugin.render(device, raw_config)}


def test_each_line_of_an_adapter_has_a_file_of_its_own(plugin):
    both = files(plugin, ADAPTER, {**BASE, "sip_lines": {"1": LINE, "2": SECOND}})
    line = "/device/sipProfile/sipLines/line/name"
    assert {name: settings[line] for name, settings in both.items()} == {
        "ATA0008A3123456.cnf.xml": "user1",
        "ATA08A312345601.cnf.xml": "user2",
    }
    assert list(files(plugin, ADAPTER, AUTOPROV)) == ["ATA0008A3123456.cnf.xml"]


def test_files_of_both_kinds_are_removed_with_a_device_whatever_it_was_taken_for(plugin):
    names = set(plugin.file_names(PHONE))
    assert names == set(plugin.file_names(ADAPTER))
    assert plugin.get_remote_state_trigger_filename(PHONE) == "SEP0008A3123456.cnf.xml"
    assert plugin.get_remote_state_trigger_filename(ADAPTER) == "ATA0008A3123456.cnf.xml"
    assert all(plugin.is_sensitive_filename(name) for name in names)


def test_a_device_without_mac_is_refused(plugin):
    with pytest.raises(RawConfigError, match="MAC"):
        files(plugin, {"id": "d1", "model": "8945"}, AUTOPROV)


def test_a_line_with_another_proxy_than_the_first_names_it(plugin):
    lines = {"1": LINE, "2": {**SECOND, "proxy_ip": "10.9.9.9", "proxy_port": 5070}, "3": SECOND}
    [settings] = files(plugin, PHONE, {**BASE, "sip_lines": lines}).values()
    prefix = "/device/sipProfile/sipLines/line"
    assert settings[f"{prefix}[1]/proxy"] == "USECALLMANAGER"
    assert settings[f"{prefix}[2]/proxy"] == "10.9.9.9"
    assert settings[f"{prefix}[2]/port"] == "5070"
    assert settings[f"{prefix}[3]/proxy"] == "USECALLMANAGER"


def test_a_key_that_a_line_has_already_is_left_out_and_noted(plugin):
    keys = {
        "1": {"type": "blf", "value": "2001", "label": "Bob"},
        "3": {"type": "blf", "value": "2003", "label": "Carol"},
    }
    raw_config = {**BASE, "sip_lines": {"1": LINE}, "funckeys": keys}
    [settings] = files(plugin, PHONE, raw_config).values()
    prefix = "/device/sipProfile/sipLines/line"
    assert settings[f"{prefix}[1]/name"] == "user1"
    assert settings[f"{prefix}[3]/speedDialNumber"] == "2003"
    assert settings[f"{prefix}[3]@lineIndex"] == "2"
    assert "function key 1 is left out" in " ".join(plugin.notes_of("d1"))


@pytest.mark.parametrize(
    ("zone", "name"),
    [
        ("Europe/Berlin", "Central Europe Standard/Daylight Time"),
        ("America/Sao_Paulo", "SA Eastern Standard Time"),
        ("America/Mexico_City", "Canada Central Standard Time"),
        ("Australia/Melbourne", "AUS Eastern Standard/Daylight Time"),
        ("Asia/Kathmandu", None),
    ],
)
def test_zones_are_told_by_what_the_clock_does(plugin, zone, name):
    [settings] = files(plugin, PHONE, {**AUTOPROV, "timezone": zone}).values()
    assert settings.get("/device/devicePool/dateTimeSetting/timeZone") == name


def test_a_phone_restarts_by_the_event_of_a_call_manager(plugin):
    plugin._app = app = FakeApp()
    plugin.synchronize(PHONE, {})
    plugin.synchronize(ADAPTER, {})
    [(_, event, variables), (_, adapter_event, none)] = app.sent
    assert event == "service-control"
    assert variables[:2] == ["Content-type=text/plain", "Content=action=restart"]
    assert (adapter_event, none) == ("check-sync", None)


def test_phones_of_other_formats_are_left_to_their_plugin(plugin):
    for model in ("SPA504G", "ATA191", "PAP2T", "9811-3PCC"):
        assert plugin.associate({"vendor": "Cisco", "model": model}) < DeviceSupport.PROBABLE
    assert plugin.associate({"vendor": "Cisco"}) > DeviceSupport.PROBABLE
