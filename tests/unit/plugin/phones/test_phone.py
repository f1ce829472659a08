import pytest

from provd.errors import RawConfigError, RawConfigParamError
from provd.plugin.phones.family import read_family
from provd.plugin.phones.phone import Login, Phone, Syslog, Vlan, version_of
from tests.unit.plugin.phones import acme

LINES = {str(n): {"proxy_ip": "p", "username": f"u{n}"} for n in (1, 3)}


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return read_family(acme.write(tmp_path_factory.mktemp("acme")))


@pytest.fixture
def make(family):
    def make(model="P1", device=None, **raw):
        return Phone(family, device or {"id": "d1"}, raw, family.models[model])

    return make


def test_device_is_read_as_phones_want_it(make):
    phone = make(device={"mac": "00:11:22:33:44:55", "version": "1.2-3", "options": {"a": True}})
    assert (phone.mac, phone.version) == ("001122334455", (1, 2, 3))
    assert phone.option("a")
    assert not phone.option("b")
    nobody = make(device={"options": 5})
    assert (nobody.mac, nobody.version, nobody.option("a")) == (None, (), False)


def test_accounts_and_keys_are_worked_out_once_for_the_model(make):
    phone = make("P1", sip_lines=LINES)
    assert phone.accounts is phone.accounts
    assert list(phone.accounts) == [1]
    assert phone.first_account.username == "u1"
    assert phone.free_lines == [2]
    assert [key.name for key in phone.keys] == ["key.1"]
    assert [slot.name for slot in phone.free_slots] == ["key.2", "key.3", "key.4"]
    assert phone.notes.texts == ["line 3 is left out: the phone has 2"]
    assert make().first_account is None


@pytest.mark.parametrize(
    ("name", "raw", "expected", "notes"),
    [
        ("ntp", {"ntp_enabled": True, "ntp_ip": "n"}, "n", 0),
        ("ntp", {"ntp_enabled": False, "ntp_ip": "n"}, None, 0),
        ("ntp", {"ntp_enabled": True}, None, 0),
        ("dns", {"dns_enabled": True, "dns_ip": "10.0.0.1"}, "10.0.0.1", 0),
        ("dns", {"dns_enabled": True, "dns_ip": "name"}, None, 1),
        ("dns", {"dns_ip": "10.0.0.1"}, None, 0),
        ("vlan", {"vlan_enabled": True, "vlan_id": 5}, Vlan(5, 0, None), 0),
        (
            "vlan",
            {"vlan_enabled": True, "vlan_id": 5, "vlan_priority": 6, "vlan_pc_port_id": 7},
            Vlan(5, 6, 7),
            0,
        ),
        ("vlan", {"vlan_enabled": True, "vlan_id": 5000}, None, 1),
        ("vlan", {"vlan_enabled": True, "vlan_id": 5, "vlan_priority": 9}, Vlan(5, 0, None), 1),
        ("vlan", {"vlan_enabled": True}, None, 0),
        ("vlan", {"vlan_id": 5}, None, 0),
        (
            "syslog",
            {"syslog_enabled": True, "syslog_ip": "s"},
            Syslog("s", 514, "warning", "warning"),
            0,
        ),
        (
            "syslog",
            {"syslog_enabled": True, "syslog_ip": "s", "syslog_port": 5, "syslog_level": "info"},
            Syslog("s", 5, "info", "info"),
            0,
        ),
        ("syslog", {"syslog_enabled": True}, None, 0),
        ("syslog", {"syslog_ip": "s"}, None, 0),
        ("zone", {}, None, 0),
        ("zone", {"timezone": "Mars/Phobos"}, None, 1),
        ("server", {"ip": "10.0.0.1"}, "10.0.0.1", 0),
        ("server", {}, "", 0),
        ("base_url", {"http_base_url": "http://h"}, "http://h", 0),
        ("certificates", {}, [], 0),
        ("certificates", {"sip_servers_root_and_intermediate_certificates": [" a\n"]}, ["a"], 0),
        ("language", {}, None, 0),
        ("language", {"locale": "fr_FR.UTF-8"}, "French", 0),
        ("language", {"locale": "fr_CA@x"}, "Canadian", 0),
        ("language", {"locale": "eo"}, None, 1),
        ("country", {"locale": "fr_FR"}, "France", 0),
        ("country", {"locale": "fr_CA"}, None, 0),
        ("country", {"locale": "fr"}, None, 0),
    ],
)
def test_parameter_is_read_or_left_out_and_noted(make, name, raw, expected, notes):
    phone = make(**raw)
    assert getattr(phone, name) == expected
    assert len(phone.notes.texts) == notes


def test_what_no_phone_of_the_family_can_take_is_refused(make):
    with pytest.raises(RawConfigError, match="http_base_url is missing"):
        _ = make().base_url
    with pytest.raises(RawConfigParamError, match="syslog_level: 'loud'"):
        _ = make(syslog_enabled=True, syslog_ip="s", syslog_level="loud").syslog
    assert str(make().refuse("x", "no")) == "x: no"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({}, None),
        ({"admin_username": "a"}, Login("admin", "a", None)),
        ({"admin_password": "p"}, Login("admin", "root", "p")),
        ({"admin_username": "a", "admin_password": "p"}, Login("admin", "a", "p")),
    ],
)
def test_login_has_the_phone_s_own_name_where_none_is_given(make, raw, expected):
    assert make(**raw).login("admin", "root") == expected


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("10.1.33", (10, 1, 33)),
        ("v2-b03", (2, 3)),
        ("", ()),
        (None, ()),
        (5, ()),
        ("9" * 5000, (999_999_999,)),
    ],
)
def test_version_as_numbers(version, numbers):
    assert version_of(version) == numbers
