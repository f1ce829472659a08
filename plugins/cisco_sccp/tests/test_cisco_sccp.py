"""What is peculiar to phones with SCCP."""

import pytest

from provd.errors import RawConfigParamError
from provd.plugin.api import DeviceSupport
from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.family_cases import BASE

PHONE = {"id": "d1", "mac": "00:08:a3:12:34:56", "vendor": "Cisco", "model": "7965G"}
MEMBERS = "/device/devicePool/callManagerGroup/members"


@pytest.fixture
def plugin(load_plugin):
    return load_plugin("provd-cisco-sccp")


def settings(plugin, raw_config, **device):
    [file] = plugin.render({**PHONE, **device}, {**BASE, "protocol": "SCCP", **raw_config})
    return dict(vendor_plugins.parser("cisco_sccp").parse(file.content))


def test_call_managers_have_the_priority_of_their_number_and_the_port_of_sccp(plugin):
    managers = {
        "10": {"ip": "10.0.0.10"},
        "2": {"ip": "10.0.0.2", "port": 2001},
        "1": {"ip": "10.0.0.1"},
    }
    found = settings(plugin, {"sccp_call_managers": managers})
    told = [(key, value) for key, value in found.items() if key.startswith(MEMBERS)]
    port, host = "callManager/ports/ethernetPhonePort", "callManager/processNodeName"
    assert told == [
        (f"{MEMBERS}/member[0]/{port}", "2000"),
        (f"{MEMBERS}/member[0]/{host}", "10.0.0.1"),
        (f"{MEMBERS}/member[1]/{port}", "2001"),
        (f"{MEMBERS}/member[1]/{host}", "10.0.0.2"),
        (f"{MEMBERS}/member[9]/{port}", "2000"),
        (f"{MEMBERS}/member[9]/{host}", "10.0.0.10"),
    ]


@pytest.mark.parametrize(
    ("managers", "message"),
    [
        ({"0": {"ip": "10.0.0.1"}}, r"sccp_call_managers\.0"),
        ({"x": {"ip": "10.0.0.1"}}, r"sccp_call_managers\.x"),
        ({"1": {"port": 2000}}, r"sccp_call_managers\.1\.ip"),
        ({"1": "10.0.0.1"}, r"sccp_call_managers\.1\.ip"),
        ({"1": {"ip": "10.0.0.1", "port": 70000}}, r"sccp_call_managers\.1\.port"),
        ({"1": {"ip": "10.0.0.1", "port": "sccp"}}, r"sccp_call_managers\.1\.port"),
    ],
)
def test_a_wrong_call_manager_is_refused_with_its_name(plugin, managers, message):
    with pytest.raises(RawConfigParamError, match=message):
        settings(plugin, {"sccp_call_managers": managers})


def test_lines_are_noted_as_the_server_s_and_a_phone_without_server_too(plugin):
    lines = {"1": {"username": "user1"}}
    settings(plugin, {"sip_lines": lines, "sccp_call_managers": {"1": {"ip": "10.0.0.1"}}})
    assert plugin.notes_of("d1") == ("sip_lines: the phone gets them from its SCCP server",)
    settings(plugin, {"sip_lines": lines})
    assert "nowhere to register" in " ".join(plugin.notes_of("d1"))


def test_the_load_is_named_without_its_suffix(load_plugin):
    firmware = {"7965G": "SCCP45.9-4-2SR3-1S.loads", "7920": "cmterm_7920.4.0-03-02.bin"}
    plugin = load_plugin("provd-cisco-sccp", {"firmware": firmware})
    load = "/device/loadInformation"
    assert settings(plugin, {})[load] == "SCCP45.9-4-2SR3-1S"
    assert settings(plugin, {}, model="7920")[load] == "cmterm_7920.4.0-03-02"
    assert load not in settings(plugin, {}, model="7960G")


def test_a_phone_cannot_be_told_to_reload_and_the_error_says_who_can(plugin):
    failures = []
    plugin.synchronize(PHONE, {}).addErrback(failures.append)
    [failure] = failures
    assert failure.check(NotImplementedError)
    assert "call manager" in failure.getErrorMessage()


def test_enterprise_phones_of_unknown_model_come_here_and_others_do_not(plugin, load_plugin):
    unknown = {"vendor": "Cisco"}
    sip, spa = load_plugin("provd-cisco-sip"), load_plugin("provd-cisco-spa")
    assert plugin.associate(unknown) > sip.associate(unknown) > spa.associate(unknown)
    for model, best in (("8945", sip), ("8851", spa), ("SPA599", spa), ("7999", plugin)):
        info = {"vendor": "Cisco", "model": model}
        assert max((plugin, sip, spa), key=lambda one: one.associate(info)) is best, model
    assert plugin.associate({"vendor": "Cisco", "model": "SPA504G"}) < DeviceSupport.PROBABLE
