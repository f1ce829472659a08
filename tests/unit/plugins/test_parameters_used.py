"""Which parameters a family uses, by what changes in its files, against the table in the model."""

import copy

import pytest

from provd.model.parameters import FUNCKEY, LINE, RAW_CONFIG
from tests.unit.plugins.vendor_plugins import BASE_RAW_CONFIG

PHONES = {
    "yealink": (
        "provd-yealink-v86",
        {"id": "d", "mac": "80:5e:c0:12:34:56", "model": "T46S", "version": "66.86.0.15"},
    ),
}
PEM = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----"
# Two values of each kind that must not come out alike.
VALUES = {
    "sip_dtmf_mode": ("RTP-in-band", "SIP-INFO"),
    "sip_srtp_mode": ("disabled", "required"),
    "sip_transport": ("udp", "tcp"),
    "syslog_level": ("critical", "debug"),
    "protocol": ("SIP", "SCCP"),
    "timezone": ("Europe/Paris", "America/Lima"),
    "locale": ("fr_FR", "de_DE"),
    "config_version": (1, 2),
    "vlan_priority": (1, 7),
    "sip_servers_root_and_intermediate_certificates": ([PEM.format("A")], [PEM.format("B")]),
    "sip_local_root_and_intermediate_certificates": ([PEM.format("A")], [PEM.format("B")]),
    "_comment": ("one", "two"),
    "dtmf_mode": ("RTP-in-band", "SIP-INFO"),
    "srtp_mode": ("disabled", "required"),
    "type": ("speeddial", "park"),
    "line": (1, 2),
    "http_base_url": ("http://10.0.0.1:8667", "http://10.0.0.2:8667"),
}
CONTAINERS = ("sip_lines", "sccp_call_managers", "funckeys")


def values(name):
    if name in VALUES:
        return VALUES[name]
    if name.endswith("_port"):
        return 5070, 5071
    if name.endswith("_id"):
        return 10, 20
    if name.endswith(("_enabled", "_mwi")):
        return True, False
    if name.endswith("_ip") or name == "ip":
        return "192.0.2.1", "192.0.2.2"
    return f"{name}1", f"{name}2"


def first(table):
    return {one.name: values(one.name)[0] for one in table if one.name not in CONTAINERS}


def full():
    """Return a raw config with all parameters; its second line has what is global."""
    return {
        **BASE_RAW_CONFIG,
        **first(RAW_CONFIG),
        "sip_lines": {"1": first(LINE), "2": {"username": "b", "password": "p"}},
        "sccp_call_managers": {"1": {"ip": "192.0.2.1"}},
        "funckeys": {"5": first(FUNCKEY), "6": {"type": "blf", "value": "1001"}},
    }


def places():
    for one in RAW_CONFIG:
        if one.name not in CONTAINERS:
            yield pytest.param((), one, id=one.name)
    for path, table in ((("sip_lines", "1"), LINE), (("funckeys", "5"), FUNCKEY)):
        for one in table:
            yield pytest.param(path, one, id=f"{path[0]}.{one.name}")


@pytest.mark.parametrize("family", PHONES)
@pytest.mark.parametrize(("path", "parameter"), list(places()))
def test_the_table_names_the_families_that_use_a_parameter(load_plugin, family, path, parameter):
    plugin_id, device = PHONES[family]
    plugin = load_plugin(plugin_id)
    raw_config = full()
    before = list(plugin.render(device, copy.deepcopy(raw_config)))
    members = raw_config
    for step in path:
        members = members[step]
    members[parameter.name] = values(parameter.name)[1]
    changes = list(plugin.render(device, raw_config)) != before
    assert changes == (family in parameter.families)


def test_every_family_of_the_table_is_tried():
    named = {family for one in (*RAW_CONFIG, *LINE, *FUNCKEY) for family in one.families}
    assert named == set(PHONES)
