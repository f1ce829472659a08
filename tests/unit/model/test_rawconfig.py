import contextlib
import copy
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import RawConfigError, RawConfigParamError
from provd.model.rawconfig import (
    DtmfMode,
    FuncKeyType,
    Protocol,
    SrtpMode,
    SyslogLevel,
    Transport,
    add_defaults,
    check_base,
    validate_merged,
    validate_stored,
)

BASE = {"ip": "10.0.0.1", "http_port": 8667, "tftp_port": 69, "http_base_url": "http://10.0.0.1"}
LINE = {
    "proxy_ip": "10.0.0.2",
    "proxy_port": 5060,
    "backup_proxy_ip": "10.0.0.3",
    "backup_proxy_port": "5061",
    "registrar_ip": "10.0.0.2",
    "registrar_port": 5060,
    "backup_registrar_ip": "10.0.0.3",
    "backup_registrar_port": 5060,
    "outbound_proxy_ip": "10.0.0.4",
    "outbound_proxy_port": 5060,
    "username": "u",
    "auth_username": "a",
    "password": "p",
    "display_name": 'Ümit "U" & Co',
    "number": "1001",
    "dtmf_mode": "SIP-INFO",
    "srtp_mode": "required",
    "voicemail": "*98",
    "custom": {"any": None},
}
WHOLE = {
    **BASE,
    "dns_enabled": True,
    "dns_ip": "10.0.0.5",
    "ntp_enabled": "yes",
    "ntp_ip": "ntp.example.org",
    "vlan_enabled": 1,
    "vlan_id": 0,
    "vlan_priority": 7,
    "vlan_pc_port_id": "4094",
    "syslog_enabled": True,
    "syslog_ip": "10.0.0.6",
    "syslog_port": 514,
    "syslog_level": "info",
    "admin_username": "admin",
    "admin_password": 1234,
    "user_username": "user",
    "user_password": "pw",
    "timezone": "Europe/Paris",
    "locale": "fr_FR",
    "config_version": 1,
    "_comment": ["anything"],
    "protocol": "SIP",
    "sip_proxy_ip": "10.0.0.2",
    "sip_proxy_port": "5060",
    "sip_backup_proxy_ip": "10.0.0.3",
    "sip_backup_proxy_port": 5060,
    "sip_registrar_ip": "10.0.0.2",
    "sip_registrar_port": 5060,
    "sip_backup_registrar_ip": "10.0.0.3",
    "sip_backup_registrar_port": 5060,
    "sip_outbound_proxy_ip": "10.0.0.4",
    "sip_outbound_proxy_port": 5060,
    "sip_dtmf_mode": "RTP-in-band",
    "sip_srtp_mode": "preferred",
    "sip_transport": "tls",
    "sip_servers_root_and_intermediate_certificates": ["-----BEGIN CERTIFICATE-----"],
    "sip_local_root_and_intermediate_certificates": [],
    "sip_local_certificate": "-----BEGIN CERTIFICATE-----",
    "sip_local_key": "-----BEGIN PRIVATE KEY-----",
    "sip_subscribe_mwi": "off",
    "sip_lines": {"1": LINE, "two": {}, "3": {"username": None}},
    "sccp_call_managers": {"1": {"ip": "10.0.0.7", "port": 2000, "custom": 1}, "2": {"ip": "a"}},
    "exten_dnd": "*25",
    "exten_fwd_unconditional": "*21",
    "exten_fwd_no_answer": "*22",
    "exten_fwd_busy": "*23",
    "exten_fwd_disable_all": "*20",
    "exten_park": 700,
    "exten_pickup_group": "*8",
    "exten_pickup_call": "*8",
    "exten_voicemail": "*98",
    "funckeys": {
        "0": {"type": "park"},
        "1": {"type": "speeddial", "value": "100", "label": "Bob", "line": 1},
        "2": {"type": "blf", "value": 101, "line": "2", "label": None, "custom": True},
        "10": {"type": "park", "value": "701"},
    },
    "X_free": {"any": ["thing", None]},
    "X_xivo_phonebook_port": "not even a port",
}
SCALARS = [
    name
    for name, value in WHOLE.items()
    if not name.startswith(("_", "X_")) and not isinstance(value, dict)
]
PORTS = [name for name in SCALARS if name.endswith("_port")]
BOOLS = ["dns_enabled", "ntp_enabled", "vlan_enabled", "syslog_enabled", "sip_subscribe_mwi"]
TEXTS = [
    name
    for name in WHOLE
    if name.startswith("exten_")
    or name.endswith(("_ip", "_username", "_password", "_certificate", "_key"))
    or name in {"ip", "http_base_url"}
]
ENUMS = {
    "syslog_level": SyslogLevel,
    "protocol": Protocol,
    "sip_dtmf_mode": DtmfMode,
    "sip_srtp_mode": SrtpMode,
    "sip_transport": Transport,
}
PARTNERS = {
    "dns_enabled": "dns_ip",
    "ntp_enabled": "ntp_ip",
    "syslog_enabled": "syslog_ip",
    "vlan_enabled": "vlan_id",
}


def refusal(raw_config, validate=validate_stored):
    with pytest.raises(RawConfigParamError) as caught:
        validate(raw_config)
    return str(caught.value)


def test_a_config_with_every_parameter_passes_and_is_not_rewritten():
    before = copy.deepcopy(WHOLE)
    validate_stored(WHOLE)
    validate_merged(WHOLE)
    check_base(WHOLE)
    assert before == WHOLE
    assert isinstance(WHOLE["sip_proxy_port"], str)


def test_an_empty_config_may_be_stored():
    validate_stored({})


@pytest.mark.parametrize("value", [None, [], "text", 1])
@pytest.mark.parametrize("validate", [validate_stored, validate_merged, check_base])
def test_a_raw_config_is_an_object(validate, value):
    with pytest.raises(RawConfigError, match="not an object"):
        validate(value)


@pytest.mark.parametrize(
    "name", ["unknown", "sip_proxy", "exten_foo", "x_a", "Ip", "", "_comments"]
)
def test_unknown_parameters_are_refused(name):
    message = refusal({name: 1})
    assert message == f"{name}: unknown parameter. Custom fields must start with X_"


@pytest.mark.parametrize("validate", [validate_stored, validate_merged, check_base])
def test_parameters_of_plugins_are_refused(validate):
    assert refusal({**BASE, "XX_url": "a"}, validate).startswith("XX_url: ")


@pytest.mark.parametrize("name", [name for name in SCALARS if name != "syslog_port"])
def test_scalars_may_be_null(name):
    switches = dict.fromkeys(PARTNERS, False)
    validate_stored({**WHOLE, **switches, name: None})


@pytest.mark.parametrize("name", ["sip_lines", "funckeys", "sccp_call_managers", "syslog_port"])
def test_containers_and_the_syslog_port_may_not_be_null(name):
    assert refusal({name: None}).startswith(f"{name}: None is not allowed")


@pytest.mark.parametrize("name", ["sip_lines", "funckeys", "sccp_call_managers"])
@pytest.mark.parametrize("value", [[], "a", 1, True])
def test_containers_are_objects(name, value):
    assert refusal({name: value}).endswith("it must be an object")


@pytest.mark.parametrize(("switch", "partner"), PARTNERS.items())
def test_a_switch_that_is_on_needs_its_partner(switch, partner):
    for on in (True, 1, "true", "yes", "on"):
        for raw_config in ({switch: on}, {switch: on, partner: None}):
            assert refusal(raw_config) == f"{partner}: required where {switch} is true"
            assert refusal({**BASE, **raw_config}, validate_merged).startswith(f"{partner}: ")
    for off in (False, 0, "false", "no", "off", None):
        validate_stored({switch: off})


@pytest.mark.parametrize("partner", ["dns_ip", "ntp_ip", "syslog_ip"])
def test_empty_text_is_no_partner(partner):
    switch = partner.replace("_ip", "_enabled")
    assert refusal({switch: True, partner: ""}) == f"{partner}: required where {switch} is true"


def test_vlan_zero_is_a_vlan():
    validate_stored({"vlan_enabled": True, "vlan_id": 0})


@pytest.mark.parametrize(
    ("name", "high"), [("vlan_id", 4094), ("vlan_priority", 7), ("vlan_pc_port_id", 4094)]
)
def test_vlan_ranges(name, high):
    for value in (0, high, str(high)):
        validate_stored({name: value})
    for value in (-1, high + 1, str(high + 1), "-1", "a", "", True, 1.5, []):
        assert refusal({name: value}).endswith(f"it must be an integer from 0 to {high}")


@pytest.mark.parametrize("name", PORTS)
def test_ports_are_integers_or_numeric_text_in_range(name):
    for value in (1, 65535, "1", "65535"):
        validate_stored({name: value})
    for value in (
        0,
        65536,
        -1,
        "0",
        "70000",
        "",
        "5060x",
        " 5060",
        "\u0665",
        True,
        5060.0,
        "9" * 5000,
        {},
    ):
        assert refusal({name: value}).endswith("it must be an integer from 1 to 65535")


@pytest.mark.parametrize("name", BOOLS)
def test_switches_are_bool_like(name):
    for value in (True, False, 0, 1, "true", "False", "yes", "no", "on", "off"):
        validate_stored({**WHOLE, name: value})
    for value in ("maybe", "", 2, [], {}):
        assert refusal({name: value}).endswith("it must be true or false")


@pytest.mark.parametrize(("name", "choices"), ENUMS.items())
def test_enums_are_exact(name, choices):
    for choice in choices:
        validate_stored({name: choice.value})
        assert refusal({name: choice.value.swapcase()}).startswith(f"{name}: ")
    for value in ("", "other", 1, [], {}, f"{choice.value} "):
        assert refusal({name: value}).endswith(" or ".join(choices))


def test_values_of_enums_are_those_of_the_contract():
    assert set(SyslogLevel) == {"critical", "error", "warning", "info", "debug"}
    assert set(DtmfMode) == {"RTP-in-band", "RTP-out-of-band", "SIP-INFO"}
    assert set(SrtpMode) == {"disabled", "preferred", "required"}
    assert set(Transport) == {"udp", "tcp", "tls"}
    assert set(FuncKeyType) == {"speeddial", "blf", "park"}
    assert set(Protocol) == {"SIP", "SCCP"}


@pytest.mark.parametrize("name", TEXTS)
def test_text_may_be_a_number_but_nothing_else(name):
    for value in ("", "é", "a.example", 1001):
        validate_stored({name: value})
    for value in (True, [], {}, ["a"]):
        assert refusal({name: value}).endswith("it must be text")


@pytest.mark.parametrize("value", ["Nowhere/City", "../../etc/passwd", "/etc/localtime", "", 1, []])
def test_timezone_must_be_known(value):
    assert refusal({"timezone": value}).startswith("timezone: ")


def test_locale_is_looked_at_where_it_starts():
    for value in ("fr_FR", "fr_CA.UTF-8", "fr"):
        validate_stored({"locale": value})
    for value in ("FR_fr", "xfr_FR", "fr-FR", "", 1, []):
        assert refusal({"locale": value}).startswith("locale: ")


@pytest.mark.parametrize("value", ["1", True, 1.5, []])
def test_config_version_is_a_true_integer(value):
    assert refusal({"config_version": value}).endswith("it must be an integer")


@pytest.mark.parametrize(
    "name",
    [
        "sip_servers_root_and_intermediate_certificates",
        "sip_local_root_and_intermediate_certificates",
    ],
)
def test_certificates_are_lists_of_text(name):
    for value in ("-----BEGIN", {}, [1], [None], 1):
        assert refusal({name: value}).endswith("it must be a list of text")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proxy_port", "abc"),
        ("backup_proxy_port", 0),
        ("registrar_port", 65536),
        ("backup_registrar_port", True),
        ("outbound_proxy_port", ""),
        ("username", []),
        ("proxy_ip", {}),
        ("dtmf_mode", "sip-info"),
        ("srtp_mode", "on"),
        ("voicemail", True),
    ],
)
def test_an_error_in_a_line_is_named_by_its_path(name, value):
    assert refusal({"sip_lines": {"1": {}, "12": {name: value}}}).startswith(
        f"sip_lines.12.{name}: "
    )


@pytest.mark.parametrize("line", [None, [], "a", 1])
@pytest.mark.parametrize("container", ["sip_lines", "sccp_call_managers", "funckeys"])
def test_members_of_containers_are_objects(container, line):
    assert refusal({container: {"1": line}}).startswith(f"{container}.1: ")


@pytest.mark.parametrize("container", ["sccp_call_managers", "funckeys"])
@pytest.mark.parametrize("key", ["", "a", "-1", "1a", "1\n", "\u0663", " 1"])
def test_keys_of_numbered_containers_are_digits(container, key):
    member = {"ip": "a", "type": "park"}
    assert refusal({container: {key: member}}) == f"{container}.{key}: the key is not a number"


@pytest.mark.parametrize("manager", [{}, {"ip": None}, {"ip": ""}, {"port": 2000}])
def test_a_call_manager_has_an_address(manager):
    assert refusal({"sccp_call_managers": {"1": manager}}) == "sccp_call_managers.1.ip: required"


def test_the_port_of_a_call_manager_is_a_port():
    message = refusal({"sccp_call_managers": {"1": {"ip": "a", "port": 0}}})
    assert message.startswith("sccp_call_managers.1.port: ")


@pytest.mark.parametrize(
    ("funckey", "name"),
    [
        ({}, "type"),
        ({"type": None}, "type"),
        ({"type": "user", "value": "1"}, "type"),
        ({"type": "BLF", "value": "1"}, "type"),
        ({"type": "speeddial"}, "value"),
        ({"type": "speeddial", "value": ""}, "value"),
        ({"type": "blf", "value": None}, "value"),
        ({"type": "blf", "value": ["1"]}, "value"),
        ({"type": "park", "label": []}, "label"),
        ({"type": "park", "line": "one"}, "line"),
        ({"type": "park", "line": True}, "line"),
    ],
)
def test_rules_of_function_keys(funckey, name):
    assert refusal({"funckeys": {"7": funckey}}).startswith(f"funckeys.7.{name}: ")


@pytest.mark.parametrize("name", ["ip", "http_port", "tftp_port"])
@pytest.mark.parametrize("validate", [validate_merged, check_base])
def test_server_parameters_are_required_before_use(validate, name):
    without = {key: value for key, value in BASE.items() if key != name}
    for raw_config in (without, {**BASE, name: None}):
        assert refusal(raw_config, validate).startswith(f"{name}: required")
    validate_stored(without)


def test_base_may_leave_the_partner_of_a_switch_to_configs():
    check_base({**BASE, "ntp_enabled": True})
    assert refusal({**BASE, "ntp_port": 123}, check_base).startswith("ntp_port: unknown")
    assert refusal({**BASE, "http_port": "x"}, check_base).startswith("http_port: ")


@pytest.mark.parametrize(
    "raw_config",
    [
        {"admin_password": ["hunter2"]},
        {"user_password": {"a": "hunter2"}},
        {"sip_local_key": ["hunter2"]},
        {"sip_lines": {"1": {"password": ["hunter2"]}}},
        {"sip_lines": {"password": "hunter2"}},
        {"sip_lines": [{"password": "hunter2"}]},
        {"sip_lines": {"1": [{"password": "hunter2"}]}},
    ],
)
def test_secrets_do_not_show(raw_config):
    assert "hunter2" not in refusal(raw_config)


def test_errors_stay_short():
    long = "x" * 10_000
    for raw_config in ({"locale": long}, {long: 1}, {"sip_lines": {long: {"proxy_port": long}}}):
        assert len(refusal(raw_config)) < 400


def test_defaults_of_an_empty_config():
    raw_config = {}
    add_defaults(raw_config)
    assert raw_config == {
        "sip_srtp_mode": "disabled",
        "sip_transport": "udp",
        "sip_lines": {},
        "sccp_call_managers": {},
        "funckeys": {},
    }
    assert all(type(raw_config[key]) is str for key in ("sip_srtp_mode", "sip_transport"))


def test_defaults_of_syslog_come_only_where_it_is_on():
    for on in (True, "yes"):
        raw_config = {"syslog_enabled": on}
        add_defaults(raw_config)
        assert (raw_config["syslog_port"], raw_config["syslog_level"]) == (514, "warning")
    for off in ({}, {"syslog_enabled": False}, {"syslog_enabled": "no"}):
        add_defaults(off)
        assert "syslog_port" not in off


def test_registrar_is_the_proxy_by_default():
    raw_config = {
        "sip_proxy_ip": "a",
        "sip_lines": {"1": {"proxy_ip": "b", "username": "u"}, "2": {"display_name": "c"}},
    }
    add_defaults(raw_config)
    assert raw_config["sip_registrar_ip"] == "a"
    assert raw_config["sip_lines"] == {
        "1": {"proxy_ip": "b", "registrar_ip": "b", "username": "u", "auth_username": "u"},
        "2": {"display_name": "c"},
    }


def test_null_is_no_source_of_a_default():
    raw_config = {"sip_proxy_ip": None, "sip_lines": {"1": {"proxy_ip": None, "username": None}}}
    add_defaults(raw_config)
    assert "sip_registrar_ip" not in raw_config
    assert raw_config["sip_lines"] == {"1": {"proxy_ip": None, "username": None}}


def test_defaults_never_replace():
    before = copy.deepcopy(WHOLE)
    raw_config = copy.deepcopy(WHOLE)
    raw_config["sip_lines"]["4"] = {"proxy_ip": "a", "registrar_ip": None}
    add_defaults(raw_config)
    assert raw_config["sip_lines"].pop("4") == {"proxy_ip": "a", "registrar_ip": None}
    assert raw_config == before


@pytest.mark.parametrize("lines", [None, [], "a", {"1": None}, {"1": "a"}])
def test_defaults_leave_what_is_broken_to_validation(lines):
    raw_config = {**BASE, "sip_lines": lines}
    add_defaults(raw_config)
    assert raw_config["sip_lines"] == lines
    refusal(raw_config, validate_merged)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)
members = st.dictionaries(st.sampled_from([*LINE, "type", "value", "ip"]), json_values, max_size=4)
containers = st.dictionaries(st.sampled_from(["1", "a"]), members, max_size=3)


@given(st.dictionaries(st.sampled_from([*WHOLE, "bad"]), json_values | containers, max_size=6))
def test_any_object_passes_or_is_refused_properly_and_is_never_changed(raw_config):
    before = copy.deepcopy(raw_config)
    with contextlib.suppress(RawConfigError):
        validate_merged(raw_config)
    assert repr(raw_config) == repr(before)
    add_defaults(raw_config)


def test_a_thousand_lines_validate_fast():
    raw_config = {**WHOLE, "sip_lines": {str(number): dict(LINE) for number in range(1, 1025)}}
    validate_merged(raw_config)
    best = min(timed(validate_merged, raw_config) for _ in range(5))
    assert best < 0.05


def timed(function, *args):
    start = time.perf_counter()
    function(*args)
    return time.perf_counter() - start
