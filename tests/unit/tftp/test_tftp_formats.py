import pytest

from provd.errors import PacketError
from provd.tftp import packet


def test_read_request_keeps_bytes_and_lowers_option_names():
    parsed = packet.parse(b"\0\1/A\xe9.cfg\0OcTeT\0BlkSize\x001428\0TSIZE\x000\0")
    assert parsed == packet.ReadRequest(
        b"/A\xe9.cfg", b"OcTeT", {b"blksize": b"1428", b"tsize": b"0"}
    )


def test_write_request_is_told_from_a_read_request():
    assert packet.parse(b"\0\2f\0octet\0") == packet.WriteRequest(b"f", b"octet", {})


@pytest.mark.parametrize(
    "datagram",
    [b"", b"\0\4\0", b"\0\0ab", b"\0\7ab", b"\1\1f\0octet\0"],
)
def test_datagrams_that_are_no_packet_raise_packet_error(datagram):
    with pytest.raises(PacketError):
        packet.parse(datagram)
    assert not packet.is_request(datagram)


@pytest.mark.parametrize(
    "datagram",
    [
        b"\0\1",
        b"\0\1f",
        b"\0\1file",
        b"\0\1file\0",
        b"\0\2file\0",
    ],
)
def test_rfc_1350_requests_without_a_mode_are_malformed_requests(datagram):
    with pytest.raises(PacketError):
        packet.parse(datagram)
    assert packet.is_request(datagram)


@pytest.mark.parametrize(
    ("tail", "options"),
    [
        (b"octet", {}),
        (b"octet\0\0\0\0\0\0\0", {}),
        (b"octet\0blksize", {}),
        (b"octet\0blksize\0", {}),
        (b"octet\0blksize\x001428", {b"blksize": b"1428"}),
        (b"octet\0blksize\x001428\0\0\0\0", {b"blksize": b"1428"}),
        (b"octet\0blksize\x001428\0\xff\xfe\x17", {b"blksize": b"1428"}),
        (b"octet\0blksize\x001428\0\xff\0\xfe\0", {b"blksize": b"1428", b"\xff": b"\xfe"}),
        (b"octet\0\0blksize\x001428\0", {b"blksize": b"1428"}),
        (b"octet\0x\0\0\0\0tsize\x000\0", {b"x": b"", b"tsize": b"0"}),
        (b"octet\0blksize\x001428\0BLKSIZE\x00512\0", {b"blksize": b"1428"}),
    ],
)
@pytest.mark.parametrize("opcode", [1, 2])
def test_rfc_2347_what_is_clear_of_a_padded_or_cut_request_is_taken(opcode, tail, options):
    kind = packet.ReadRequest if opcode == 1 else packet.WriteRequest
    assert packet.parse(b"\0%cfile\0" % opcode + tail) == kind(b"file", b"octet", options)


def test_option_acknowledgement_is_read_as_leniently():
    assert packet.parse(b"\0\6blksize\0") == packet.OptionAck({})
    assert packet.parse(b"\0\6tsize\x009\0\0\0") == packet.OptionAck({b"tsize": b"9"})


def test_only_an_ack_has_an_acknowledged_block():
    assert packet.ack_block(packet.ack(0x0102) + b"padding") == 0x0102
    for datagram in (b"", b"\0\4\0", packet.data(1, b"x"), packet.error(4, "x"), b"\1\4\0\1"):
        assert packet.ack_block(datagram) is None


def test_ack_may_have_bytes_after_the_block_number():
    assert packet.parse(b"\0\4\1\2padding") == packet.Ack(0x0102)


def test_error_message_needs_no_final_nul():
    assert packet.parse(b"\0\5\0\3full") == packet.Error(3, b"full")
    assert packet.parse(b"\0\5\0\3full\0junk") == packet.Error(3, b"full")
    assert packet.parse(b"\0\5\0\3") == packet.Error(3, b"")


def test_data_and_ack_carry_the_low_sixteen_bits_of_the_count():
    assert packet.data(65536, b"x") == b"\0\3\0\0x"
    assert packet.ack(65537) == b"\0\4\0\1"


def test_error_message_cannot_hold_nul():
    assert packet.error(1, "a\0b") == b"\0\5\0\1ab\0"
    assert packet.error(1, b"caf\xe9") == b"\0\5\0\1caf\xe9\0"


def test_option_acknowledgement_lists_names_and_values():
    assert packet.oack({b"blksize": b"8", b"tsize": b"0"}) == b"\0\6blksize\x008\0tsize\x000\0"
