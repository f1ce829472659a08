import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import RawConfigParamError
from provd.plugin.phones.values import Notes, Values, numbered, to_code

CODES = {"udp": 0, "tls": 2, "default": 0}


def read(method, value, *arguments):
    """Return what a reader makes of a value, and what it noted."""
    notes = Notes()
    return getattr(Values({"x": value}, notes), method)("x", *arguments), notes.texts


def test_a_text_is_noted_once():
    notes = Notes()
    for text in ("one", "two", "one"):
        notes.add(text)
    assert notes.texts == ["one", "two"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), ("", None), (" a ", " a "), (5, "5"), (0, "0"), (False, "False")],
)
def test_text_is_none_where_there_is_none(value, expected):
    assert read("text", value) == (expected, [])
    assert Values({}, Notes()).text("x") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [("10.0.0.1", "10.0.0.1"), (None, None), ("", None)],
)
def test_ipv4_address_is_taken(value, expected):
    assert read("ipv4", value) == (expected, [])


@pytest.mark.parametrize("value", ["host.example.org", "10.0.0.256", "2001:db8::1", "10.0.0.1 "])
def test_what_is_no_ipv4_address_is_left_out_and_noted(value):
    found, [note] = read("ipv4", value)
    assert found is None
    assert note == f"x is left out: the phone wants an IPv4 address, not {value!r}"


@pytest.mark.parametrize(("value", "expected"), [(1, 1), ("10", 10), ("007", 7), (None, None)])
def test_integer_in_its_range_is_taken(value, expected):
    assert read("integer", value, 1, 10) == (expected, [])


@pytest.mark.parametrize("value", [0, 11, "x", "-1", "1.5", "٣", True, "9" * 5000])
def test_integer_out_of_its_range_is_left_out_and_noted(value):
    found, [note] = read("integer", value, 1, 10)
    assert found is None
    assert note.startswith("x is left out: the phone wants 1 to 10 there, not ")


@given(st.none() | st.booleans() | st.integers() | st.text() | st.floats())
def test_no_scalar_makes_a_reader_fail(value):
    assert read("integer", value, 1, 10)[0] in {None, *range(1, 11)}
    assert read("ipv4", value)[0] is None or value.count(".") == 3
    assert read("flag", value)[0] in {True, False}


@pytest.mark.parametrize(("value", "code"), [("udp", 0), ("tls", 2), (None, 0), ("", 0)])
def test_code_of_a_standard_value(value, code):
    assert to_code(CODES, value, "sip_transport") == code


def test_absent_value_without_default_has_no_code():
    assert to_code({"udp": 0}, None, "sip_transport") is None


@pytest.mark.parametrize("value", ["sctp", "default", "UDP", 5])
def test_value_without_a_code_is_refused_with_what_is_allowed(value):
    with pytest.raises(RawConfigParamError) as caught:
        to_code(CODES, value, "sip_transport")
    assert str(caught.value) == (
        f"sip_transport: {value!r} is not known to this phone; it must be tls or udp"
    )


def test_members_come_in_the_order_of_their_numbers():
    section = {"10": {"a": 1}, "2": {"a": 2}, "1": {"a": 3}}
    assert list(numbered(section, "funckeys")) == [(1, {"a": 3}), (2, {"a": 2}), (10, {"a": 1})]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"0": {}}, "funckeys: '0' is not a number from 1"),
        ({"-1": {}}, "funckeys: '-1' is not a number from 1"),
        ({"one": {}}, "funckeys: 'one' is not a number from 1"),
        ({"²": {}}, "funckeys: '²' is not a number from 1"),
        ({"9" * 5000: {}}, "is not a number from 1"),
        ({"1": "x"}, "funckeys.1: 'x' is not an object"),
        ({"1": {}, "01": {}}, "funckeys: 1 is there twice"),
    ],
)
def test_section_that_is_not_numbered_is_refused(section, message):
    with pytest.raises(RawConfigParamError) as caught:
        list(numbered(section, "funckeys"))
    assert message in str(caught.value)
