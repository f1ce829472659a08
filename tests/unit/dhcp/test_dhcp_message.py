import pytest

from provd.dhcp.message import MAX_BYTES, build, parse
from provd.errors import InvalidDocument
from provd.model.dhcpinfo import DhcpInfo

COMMIT = b"commit\n10.0.0.9\n0:11:22:a:b:c\n06059.65.61\n"


def test_a_commit_has_mac_and_options_in_their_normal_forms():
    assert parse(COMMIT) == DhcpInfo("commit", "10.0.0.9", "00:11:22:0a:0b:0c", {60: "Yea"})


def test_a_commit_may_come_without_options_and_without_the_last_newline():
    expected = DhcpInfo("commit", "10.0.0.9", "00:11:22:0a:0b:0c")
    assert parse(b"commit\n10.0.0.9\n0:11:22:a:b:c") == expected


def test_empty_lines_are_ignored():
    assert parse(b"\n" + COMMIT.replace(b"\n", b"\n\n")) == parse(COMMIT)


def test_an_expiry_and_a_release_take_the_address_only():
    assert parse(b"expiry\n10.0.0.9\n") == DhcpInfo("expiry", "10.0.0.9")
    assert parse(b"release\n10.0.0.9\n") == DhcpInfo("release", "10.0.0.9")


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "an operation and an IP address"),
        (b"commit\n", "an operation and an IP address"),
        (b"commit\n10.0.0.9\n", "needs a MAC"),
        (b"offer\n10.0.0.9\n0:11:22:a:b:c\n", "operation"),
        (b"commit\n::1\n0:11:22:a:b:c\n", "ip: not an IPv4"),
        (b"commit\n10.0.0.9\n0:11:22\n", "mac: not a MAC"),
        (COMMIT + b"60\n", "three decimal digits"),
        (COMMIT + b"25659\n", "256 is not an option code"),
        (COMMIT + b"060xy\n", "hexadecimal"),
        (b"commit\n10.0.0.9\n\xff\n", "UTF-8"),
        (COMMIT + b"\n" * MAX_BYTES, "longer than 2048"),
    ],
)
def test_what_is_no_event_is_refused_with_the_reason(datagram, reason):
    with pytest.raises(InvalidDocument, match=reason):
        parse(datagram)


def test_building_gives_what_the_receiver_of_the_format_expects():
    assert build(parse(COMMIT)) == b"commit\n10.0.0.9\n00:11:22:0a:0b:0c\n06059.65.61\n"
