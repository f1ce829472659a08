import pytest

from provd.errors import RawConfigParamError
from provd.plugin.phones.sip import Server, SipCodes, accounts_of, is_autoprov
from provd.plugin.phones.values import Notes

CODES = SipCodes(
    {"udp": 0, "tcp": 1, "tls": 2, "default": 0},
    {"RTP-in-band": 0, "RTP-out-of-band": 1, "SIP-INFO": 2, "default": 1},
    {"disabled": 0, "preferred": 1, "required": 2},
)


def account(line=None, **shared):
    line = {"proxy_ip": "10.0.0.1", **(line or {})}
    return accounts_of({"sip_lines": {"1": line}, **shared}, None, CODES, Notes())[1]


def servers(line=None, **shared):
    found = account(line, **shared).servers
    return {
        name: str(server)
        for name in ("proxy", "backup_proxy", "registrar", "backup_registrar", "outbound_proxy")
        if (server := getattr(found, name)) is not None
    }


@pytest.mark.parametrize(
    ("line", "shared", "expected"),
    [
        ({}, {}, {"proxy": "10.0.0.1:5060", "registrar": "10.0.0.1:5060"}),
        ({"proxy_port": 5070}, {}, {"proxy": "10.0.0.1:5070", "registrar": "10.0.0.1:5070"}),
        # A port of the whole phone goes with its address only.
        ({}, {"sip_proxy_port": 5080}, {"proxy": "10.0.0.1:5060", "registrar": "10.0.0.1:5060"}),
        (
            {},
            {"sip_proxy_ip": "10.0.0.1", "sip_proxy_port": "5080"},
            {"proxy": "10.0.0.1:5080", "registrar": "10.0.0.1:5080"},
        ),
        (
            {"proxy_ip": None},
            {"sip_proxy_ip": "p", "sip_registrar_ip": "r", "sip_registrar_port": 5090},
            {"proxy": "p:5060", "registrar": "r:5090"},
        ),
        # A registrar of the same name is the proxy, port included.
        (
            {"proxy_port": 5070, "registrar_ip": "10.0.0.1"},
            {},
            {"proxy": "10.0.0.1:5070", "registrar": "10.0.0.1:5070"},
        ),
        (
            {"proxy_port": 5070, "registrar_ip": "10.0.0.1", "registrar_port": 5071},
            {},
            {"proxy": "10.0.0.1:5070", "registrar": "10.0.0.1:5071"},
        ),
        (
            {"backup_proxy_ip": "b", "backup_proxy_port": 5072},
            {},
            {
                "proxy": "10.0.0.1:5060",
                "registrar": "10.0.0.1:5060",
                "backup_proxy": "b:5072",
                "backup_registrar": "b:5072",
            },
        ),
        (
            {"backup_proxy_ip": "b", "backup_proxy_port": 5072, "backup_registrar_ip": "b"},
            {},
            {
                "proxy": "10.0.0.1:5060",
                "registrar": "10.0.0.1:5060",
                "backup_proxy": "b:5072",
                "backup_registrar": "b:5072",
            },
        ),
        (
            {"outbound_proxy_ip": "o"},
            {"sip_transport": "tls"},
            {"proxy": "10.0.0.1:5061", "registrar": "10.0.0.1:5061", "outbound_proxy": "o:5061"},
        ),
        (
            {},
            {"sip_transport": "tcp"},
            {"proxy": "10.0.0.1:5060", "registrar": "10.0.0.1:5060"},
        ),
    ],
)
def test_servers_of_a_line(line, shared, expected):
    assert servers(line, **shared) == expected


@pytest.mark.parametrize("port", ["x", "70000", 65536, -1, "5060 ", "9" * 5000])
def test_port_that_is_none_is_refused_with_its_name(port):
    with pytest.raises(RawConfigParamError, match="is not a port from 1 to 65535"):
        account({"proxy_port": port})
    with pytest.raises(RawConfigParamError, match=r"^sip_lines.1.backup_proxy_port: "):
        account({"backup_proxy_ip": "b", "backup_proxy_port": port})
    with pytest.raises(RawConfigParamError, match=r"^sip_proxy_port: "):
        account({"proxy_ip": ""}, sip_proxy_ip="p", sip_proxy_port=port)


def test_line_without_a_proxy_is_refused():
    with pytest.raises(
        RawConfigParamError, match=r"sip_lines.1: neither proxy_ip nor sip_proxy_ip"
    ):
        account({"proxy_ip": None})


@pytest.mark.parametrize(
    ("line", "shared", "name", "expected"),
    [
        ({}, {}, "transport", 0),
        ({}, {"sip_transport": "tls"}, "transport", 2),
        ({}, {"sip_transport": "tls"}, "transport_name", "tls"),
        ({}, {}, "dtmf", 1),
        ({}, {}, "dtmf_mode", None),
        ({}, {"sip_dtmf_mode": "SIP-INFO"}, "dtmf", 2),
        ({"dtmf_mode": "RTP-in-band"}, {"sip_dtmf_mode": "SIP-INFO"}, "dtmf", 0),
        ({}, {}, "srtp", 0),
        ({}, {"sip_srtp_mode": "required"}, "srtp", 2),
        ({"srtp_mode": "preferred"}, {"sip_srtp_mode": "required"}, "srtp", 1),
        ({"username": "u"}, {}, "auth_username", "u"),
        ({"username": "u", "auth_username": "a"}, {}, "auth_username", "a"),
        ({"password": ""}, {}, "password", None),
        ({"username": "u"}, {}, "name", "u"),
        ({"username": "u", "number": "1"}, {}, "name", "1"),
        ({"username": "u", "number": "1", "display_name": "D"}, {}, "name", "D"),
        ({"number": 1001}, {}, "extension", "1001"),
        ({}, {"exten_voicemail": "*98"}, "voicemail", "*98"),
        ({"voicemail": "*99"}, {"exten_voicemail": "*98"}, "voicemail", "*99"),
    ],
)
def test_values_of_a_line_go_before_those_of_the_phone_and_defaults(line, shared, name, expected):
    assert getattr(account(line, **shared), name) == expected


@pytest.mark.parametrize(
    ("line", "shared", "where"),
    [
        ({}, {"sip_transport": "sctp"}, "sip_transport"),
        ({"dtmf_mode": "x"}, {}, "sip_lines.1.dtmf_mode"),
        ({}, {"sip_srtp_mode": "x"}, "sip_lines.1.srtp_mode"),
    ],
)
def test_value_that_the_phone_does_not_know_is_refused_with_its_name(line, shared, where):
    with pytest.raises(RawConfigParamError, match=rf"^{where}: "):
        account(line, **shared)


def test_lines_above_the_limit_are_left_out_and_noted_even_if_they_are_not_sound():
    notes = Notes()
    lines = {"1": {"proxy_ip": "p"}, "3": {}, "2": {"proxy_ip": "p"}}
    assert list(accounts_of({"sip_lines": lines}, 2, CODES, notes)) == [1, 2]
    assert notes.texts == ["line 3 is left out: the phone has 2"]
    assert accounts_of({}, 2, CODES, notes) == {}
    assert accounts_of({"sip_lines": None}, 2, CODES, notes) == {}


@pytest.mark.parametrize(
    ("username", "expected"),
    [
        ("autoprov", True),
        ("ap12345678", True),
        ("ap1234567", False),
        ("ap123456789", False),
        ("alice", False),
        (None, False),
    ],
)
def test_account_of_a_phone_that_is_nobody_s_is_told_by_its_name(username, expected):
    assert is_autoprov(username) is expected
    assert account({"username": username}).is_autoprov is expected


def test_server_is_written_with_its_port():
    assert str(Server("host", 5060)) == "host:5060"
