import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import InvalidDocument
from provd.model.requests import RequestType
from provd.plugin.phones.family import read_family
from provd.plugin.phones.match import mac_of_query, read_rule
from provd.plugin.vendor import PhoneRequest
from tests.unit.plugin.phones import acme

MAC = "00:11:22:33:44:55"


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return read_family(acme.write(tmp_path_factory.mktemp("acme"))).identification


def http(path="/", agent=None, query=""):
    return PhoneRequest(RequestType.HTTP, path=path, user_agent=agent, query=query)


def dhcp(vendor_class=None, mac=MAC):
    options = {} if vendor_class is None else {60: vendor_class}
    return PhoneRequest(RequestType.DHCP, options=options, mac=mac)


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (http(agent="Acme P1 1.0 001122334455"), {"model": "P1", "version": "1.0", "mac": MAC}),
        (http(agent="Acme P-One 1.0"), {"model": "P1", "version": "1.0"}),
        (http(agent="Acme P1 1.0 nonsense"), {"model": "P1", "version": "1.0"}),
        # With a User-Agent, any address will do; it goes before the path.
        (http("/ffffffffff00.cfg", "Acme P1 1.0"), {"model": "P1", "version": "1.0", "mac": "ff:ff:ff:ff:ff:00"}),
        (http("/x/001122334466.cfg", f"Acme P1 1.0 {MAC}"), {"model": "P1", "version": "1.0", "mac": MAC}),
        (http("/x", "Acme P1 1.0", "a=1&mac=00-11-22-33-44-55"), {"model": "P1", "version": "1.0", "mac": MAC}),
        (http("/x", "Acme P1 1.0", "mac=x"), {"model": "P1", "version": "1.0"}),
        (http("/001122334455.cfg"), {"mac": MAC}),
        (http("/deep/001122334455.cfg"), {"mac": MAC}),
        (http("/001122334455.cfg", "curl/8"), {"mac": MAC}),
        (http("/acme/P2/ff1122334455.xml"), {"model": "P2", "mac": "ff:11:22:33:44:55"}),
        (dhcp("acme-P2", None), {"model": "P2"}),
        (dhcp("acme\0"), {"mac": MAC}),
        (dhcp("other"), {"mac": MAC}),
        (dhcp(), {"mac": MAC}),
    ],
)  # fmt: skip
def test_request_of_the_vendor_is_told_with_what_it_says(tables, request_, told):
    assert tables.extract(request_) == {"vendor": "Acme", **told}


@pytest.mark.parametrize(
    "request_",
    [
        http("/ff1122334455.cfg"),
        http("/001122334455.cfg.bak"),
        http("/P2/001122334455.xml"),
        http("/more/acme/P2/001122334455.xml"),
        http("/x", "my Acme P1 1.0"),
        PhoneRequest(RequestType.TFTP, path="acme/P2/001122334455.xml"),
        dhcp("acme-", None),
        dhcp("other", "ff:11:22:33:44:55"),
        dhcp("other", "nonsense"),
        dhcp("other", None),
    ],
)
def test_other_requests_tell_nothing(tables, request_):
    assert tables.extract(request_) is None


def test_address_alone_counts_only_without_a_class_where_the_family_says_so(tmp_path):
    text = "oui_alone = false\n" + acme.FAMILY
    tables = read_family(acme.write(tmp_path, text)).identification
    assert tables.extract(dhcp()) == {"vendor": "Acme", "mac": MAC}
    assert tables.extract(dhcp("other")) is None


def test_models_may_be_put_in_capitals_before_their_alias_is_looked_up(tmp_path):
    text = 'upper_models = true\naliases = { "P-ONE" = "P1" }\n' + acme.FAMILY.replace(
        'aliases = { "P-One" = "P1" }', ""
    )
    tables = read_family(acme.write(tmp_path, text)).identification
    assert [tables.model_name(name) for name in ("p1", "p-one", "x")] == ["P1", "P1", "X"]


@given(
    kind=st.sampled_from(RequestType),
    path=st.text() | st.from_regex(r"/?[0-9a-f]{11,13}\.cfg", fullmatch=True),
    agent=st.none() | st.text() | st.text().map("Acme {}".format),
    query=st.text() | st.text().map("mac={}".format),
    vendor_class=st.text(),
    mac=st.none() | st.text(),
)
def test_no_request_makes_the_extractor_fail(tables, kind, path, agent, query, vendor_class, mac):
    info = tables.extract(
        PhoneRequest(kind, path, agent, query, options={60: vendor_class}, mac=mac)
    )
    assert info is None or info["vendor"] == "Acme"
    assert info is None or re.fullmatch("..(:..){5}", info.get("mac", MAC))


@pytest.mark.parametrize(
    ("query", "mac"),
    [
        ("mac=001122334455", MAC),
        ("mac=00%3A11%3A22%3A33%3A44%3A55", MAC),
        ("mac=x&mac=001122334455", None),
        ("other=001122334455", None),
        ("", None),
    ],
)
def test_mac_of_a_query(query, mac):
    assert mac_of_query(query, "mac") == mac


def test_query_of_very_many_arguments_tells_nothing():
    assert mac_of_query("&".join(["mac=001122334455"] * 1000), "mac") is None


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({}, "here: a pattern is needed"),
        ({"pattern": "("}, "here: '(': missing )"),
        ({"pattern": "x", "odd": 1}, "here: unknown key 'odd'"),
        ({"pattern": "(?P<serial>x)"}, "here: a group is called 'serial'"),
        ({"pattern": 5}, "here: the pattern must be a text"),
    ],
)
def test_rule_that_is_not_sound_is_refused(table, reason):
    with pytest.raises(InvalidDocument) as caught:
        read_rule(table, "here")
    assert str(caught.value).startswith(reason)
