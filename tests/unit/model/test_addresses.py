import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.model.addresses import (
    decode_bytes,
    decode_value,
    encode_bytes,
    format_mac,
    from_ip,
    from_mac,
    is_normed_ip,
    is_normed_mac,
    is_normed_uuid,
    norm_ip,
    norm_mac,
    norm_uuid,
    to_ip,
    to_mac,
)

NOT_MACS = [
    "",
    "0011.2233.4455",
    "7C2F80CA21E",
    "7C2F80CA21E4a",
    "7c:2f:80-ca-21-e4",
    "7c:2f:80:ca:21",
    "7c:2f:80:ca:21:e4:00",
    "7c:2f:80:ca:21:",
    "7c:2f:80:ca:21:e4\n",
    " 7c2f80ca21e4",
    "7g:2f:80:ca:21:e4",
    "\uff17c:2f:80:ca:21:e4",
    "001:2f:80:ca:21:e4",
    None,
    0x7C2F80CA21E4,
]
NOT_UUIDS = [
    "",
    "12345678123456781234567812345678",
    "12345678-1234-1234-1234-12345678901",
    "12345678-1234-1234-1234-12345678901g",
    "{12345678-1234-1234-1234-123456789012}",
    "12345678-1234-1234-1234-123456789012\n",
    None,
]

packed_macs = st.binary(min_size=6, max_size=6)


@pytest.mark.parametrize(
    ("text", "normed"),
    [
        ("7C:2F:80:ca:21:E4", "7c:2f:80:ca:21:e4"),
        ("7c-2f-80-ca-21-e4", "7c:2f:80:ca:21:e4"),
        ("7C2F80CA21E4", "7c:2f:80:ca:21:e4"),
        ("0:a:b:c:d:5", "00:0a:0b:0c:0d:05"),
        ("0-a-b-c-d-5", "00:0a:0b:0c:0d:05"),
    ],
)
def test_mac_addresses_are_normalised(text, normed):
    assert norm_mac(text) == normed


@pytest.mark.parametrize("text", NOT_MACS)
def test_what_is_no_mac_address_is_refused(text):
    for function in (norm_mac, format_mac, to_mac):
        with pytest.raises(ValueError, match="not a MAC address"):
            function(text)
    assert not is_normed_mac(text)


@pytest.mark.parametrize("text", ["7C:2f:80:ca:21:e4", "7c-2f-80-ca-21-e4", "7c2f80ca21e4"])
def test_only_lower_case_with_colons_is_normed(text):
    assert not is_normed_mac(text)
    assert is_normed_mac(norm_mac(text))


@pytest.mark.parametrize(
    ("options", "formatted"),
    [
        ({}, "00:11:22:33:44:aa"),
        ({"separator": "", "uppercase": True}, "0011223344AA"),
        ({"separator": "-"}, "00-11-22-33-44-aa"),
        ({"separator": "%"}, "00%11%22%33%44%aa"),
        ({"uppercase": True}, "00:11:22:33:44:AA"),
    ],
)
def test_mac_addresses_are_written_as_phones_want_them(options, formatted):
    assert format_mac("00:11:22:33:44:aa", **options) == formatted


def test_packed_mac_addresses_are_text_of_one_character_per_byte():
    assert to_mac("00:11:22:33:44:ff") == '\x00\x11"3D\xff'


@pytest.mark.parametrize("packed", [b"", b"12345", b"1234567", "12345", "12345\u0100"])
def test_mac_addresses_have_six_bytes(packed):
    with pytest.raises(ValueError):
        from_mac(packed)


@given(packed_macs, st.sampled_from(["", ":", "-"]), st.booleans())
def test_any_written_mac_address_reads_back(packed, separator, uppercase):
    written = from_mac(packed, separator, uppercase)
    assert to_mac(written) == packed.decode("latin-1")
    assert from_mac(to_mac(written), separator, uppercase) == written
    assert is_normed_mac(norm_mac(written))


@pytest.mark.parametrize(
    ("text", "normed"),
    [
        ("10.1", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.1"),
        ("010.0.0.1", "8.0.0.1"),
        ("0x7f000001", "127.0.0.1"),
        ("10.1.2", "10.1.0.2"),
    ],
)
def test_ip_addresses_are_normalised(text, normed):
    assert norm_ip(text) == normed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "::1",
        "10.0.0.256",
        "10.0.0.1 x",
        " 10.0.0.1",
        "10.0.0.1\n",
        "10.0.0.1\0",
        "a",
        "é",
        None,
    ],
)
def test_what_is_no_ipv4_address_is_refused(text):
    for function in (norm_ip, to_ip):
        with pytest.raises(ValueError, match="not an IPv4 address"):
            function(text)


@pytest.mark.parametrize(
    "text",
    [
        "10.1",
        "+10.0.0.1",
        "10.0.0. 1",
        "10.0.0.01",
        "010.0.0.1",
        "10.0.0.256",
        "10.0.0.1.2",
        "10.0.0.1\n",
        "10.0.0.\u0661",
        "::1",
        "",
        None,
        167772161,
    ],
)
def test_only_strict_dotted_quads_are_normed(text):
    assert not is_normed_ip(text)


@given(st.binary(min_size=4, max_size=4))
def test_every_address_has_one_normed_form(packed):
    text = from_ip(packed)
    assert is_normed_ip(text)
    assert norm_ip(text) == text
    assert to_ip(text) == packed
    assert from_ip(packed.decode("latin-1")) == text


@given(st.text(alphabet="0123456789.", max_size=16))
def test_normed_addresses_are_what_the_strict_parser_takes(text):
    try:
        socket.inet_pton(socket.AF_INET, text)
    except OSError:
        assert not is_normed_ip(text)
    else:
        assert is_normed_ip(text)


@pytest.mark.parametrize("packed", [b"", b"123", b"12345", "123"])
def test_ip_addresses_have_four_bytes(packed):
    with pytest.raises(ValueError):
        from_ip(packed)


def test_uuids_are_put_in_lower_case():
    text = "ABCDEF78-1234-1234-1234-1234567890ab"
    assert norm_uuid(text) == text.lower()
    assert not is_normed_uuid(text)
    assert is_normed_uuid(text.lower())


@pytest.mark.parametrize("text", NOT_UUIDS)
def test_what_is_no_hyphenated_uuid_is_refused(text):
    with pytest.raises(ValueError, match="not a UUID"):
        norm_uuid(text)
    assert not is_normed_uuid(text)


def test_bytes_become_text_at_any_depth():
    value = {b"a": [b"b", {"c": b"\xc3\xa9"}, 1, None], "d": "e"}
    assert decode_value(value) == {"a": ["b", {"c": "é"}, 1, None], "d": "e"}


def test_bytes_that_are_no_utf8_never_fail():
    assert decode_bytes(b"a\xff") == "a\ufffd"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_text_survives_encoding(text):
    assert decode_bytes(encode_bytes(text)) == text
    assert decode_bytes(text) == text
    assert encode_bytes(text.encode()) == text.encode()
