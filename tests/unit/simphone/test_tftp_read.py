"""Rules of RFC 1350 and RFC 2347 to 2349, seen from the side that reads."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.simphone.fetch import FetchError
from provd.simphone.tftpclient import ReadTransfer, TransferError


def data(block, content=b""):
    return struct.pack("!HH", 3, block) + content


def ack(block):
    return struct.pack("!HH", 4, block)


def oack(**options):
    fields = b"".join(b"%s\0%s\0" % (k.encode(), str(v).encode()) for k, v in options.items())
    return b"\0\x06" + fields


def transfer(**options):
    received = bytearray()
    return ReadTransfer("001565123456.cfg", options, received.extend), received


def test_a_request_names_the_file_and_the_mode():
    read, _ = transfer()
    assert read.last_sent == b"\0\x01001565123456.cfg\0octet\0"


def test_options_follow_the_mode():
    read, _ = transfer(blksize=1428, tsize=0)
    assert read.last_sent == b"\0\x01001565123456.cfg\0octet\0blksize\x001428\0tsize\x000\0"


def test_a_short_block_ends_the_file():
    read, received = transfer()
    assert read.received(data(1, b"x" * 512)) == ack(1)
    assert not read.is_done
    assert read.received(data(2, b"end")) == ack(2)
    assert read.is_done
    assert received == b"x" * 512 + b"end"


def test_a_file_of_whole_blocks_ends_with_an_empty_one():
    read, received = transfer()
    read.received(data(1, b"x" * 512))
    assert read.received(data(2)) == ack(2)
    assert read.is_done
    assert len(received) == 512


def test_a_block_that_came_before_is_not_answered():
    # Else each duplicate would be doubled for ever: RFC 1123 section 4.2.3.1.
    read, received = transfer()
    read.received(data(1, b"x" * 512))
    assert read.received(data(1, b"x" * 512)) is None
    assert len(received) == 512
    assert read.last_sent == ack(1)


def test_a_block_from_the_future_is_not_taken():
    read, received = transfer()
    assert read.received(data(2, b"x")) is None
    assert not received


def test_block_numbers_go_on_with_zero():
    read, received = transfer(blksize=8)
    read.received(oack(blksize=8))
    for number in range(1, 65538):
        assert read.received(data(number & 0xFFFF, b"12345678")) == ack(number & 0xFFFF)
    assert len(received) == 65537 * 8


def test_an_accepted_block_size_is_used():
    read, _ = transfer(blksize=1428)
    assert read.received(oack(BLKSIZE=1024)) == ack(0)
    read.received(data(1, b"x" * 1024))
    assert not read.is_done
    read.received(data(2, b"x" * 512))
    assert read.is_done


def test_a_server_without_options_answers_with_data():
    read, _ = transfer(blksize=1428)
    assert read.received(data(1, b"x" * 512)) == ack(1)
    assert not read.is_done
    assert read.received(oack(blksize=1428)) is None


def test_a_repeated_option_packet_is_not_answered():
    read, _ = transfer(blksize=1428)
    read.received(oack(blksize=1428))
    assert read.received(oack(blksize=1428)) is None
    assert read.last_sent == ack(0)


@pytest.mark.parametrize(
    "answer",
    [
        oack(blksize=2000),
        oack(blksize=4),
        oack(windowsize=4),
        oack(blksize="x"),
        oack(timeout=9),
        b"\0\x06blksize\x008\0blksize\x008\0",
        b"\0\x06blksize",
        b"\0\x06blksize\0008",
    ],
)
def test_options_that_were_not_asked_for_are_refused_with_error_8(answer):
    read, _ = transfer(blksize=1428, timeout=2)
    with pytest.raises(TransferError, match="bad TFTP") as caught:
        read.received(answer)
    assert caught.value.farewell.startswith(b"\0\x05\0\x08")


def test_options_are_refused_when_none_was_asked_for():
    read, _ = transfer()
    with pytest.raises(TransferError, match="bad TFTP") as caught:
        read.received(oack(blksize=512))
    assert caught.value.farewell.startswith(b"\0\x05\0\x08")


def test_a_file_shorter_than_announced_is_truncated():
    read, _ = transfer(tsize=0)
    read.received(oack(tsize=100))
    with pytest.raises(TransferError, match="truncated: 3 bytes instead of 100"):
        read.received(data(1, b"abc"))


def test_an_error_tells_its_code_and_a_message_that_cannot_harm_a_terminal():
    read, _ = transfer()
    with pytest.raises(TransferError) as caught:
        read.received(b"\0\x05\0\x01gone\x1b[2J\r\n\0")
    assert caught.value.reason == "TFTP error 1"
    assert caught.value.detail == "gone?[2J??"
    assert caught.value.farewell == b""


def test_a_block_larger_than_agreed_is_refused():
    read, _ = transfer()
    with pytest.raises(TransferError, match="block too long"):
        read.received(data(1, b"x" * 513))


def test_a_full_disk_or_size_limit_is_told_to_the_server():
    def refuse(_data):
        raise FetchError("too large")

    read = ReadTransfer("a", {}, refuse)
    with pytest.raises(TransferError, match="too large") as caught:
        read.received(data(1, b"x"))
    assert caught.value.farewell.startswith(b"\0\x05\0\x03")


@given(
    options=st.sampled_from([{}, {"blksize": 1428}, {"tsize": 0, "timeout": 1}]),
    datagrams=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.builds(data, st.integers(0, 3), st.sampled_from([b"", b"x" * 512, b"x" * 600])),
            st.builds(lambda rest: b"\0\x06" + rest, st.binary(max_size=20)),
        ),
        max_size=8,
    ),
)
def test_any_datagram_is_answered_dropped_or_a_transfer_error(options, datagrams):
    read, _ = transfer(**options)
    for datagram in datagrams:
        if read.is_done:
            break
        try:
            reply = read.received(datagram)
        except TransferError:
            return
        assert reply is None or reply == read.last_sent


@given(
    content=st.binary(max_size=200),
    fates=st.lists(st.sampled_from(["pass", "lose", "double"]), max_size=60),
)
def test_a_file_arrives_once_whatever_is_lost_or_doubled(content, fates):
    """Both timers fire whenever nothing moves; the server answers as RFC 1350 tells."""
    read, received = transfer(blksize=16)
    blocks = [content[at : at + 16] for at in range(0, len(content) + 1, 16)]
    fate = iter(fates)
    acknowledged = -1  # -1: the request itself is not answered yet

    def deliver(packet):
        return {"lose": [], "double": [packet, packet]}.get(next(fate, "pass"), [packet])

    def answer():
        if acknowledged < 0:
            return oack(blksize=16)
        return data(acknowledged + 1, blocks[acknowledged]) if acknowledged < len(blocks) else None

    is_asked = False
    for _ in range(2 * len(fates) + 2 * len(blocks) + 4):
        for packet in deliver(read.last_sent):
            opcode, number = struct.unpack_from("!HH", packet)
            if opcode == 1:
                is_asked = True
            elif number == acknowledged + 1:
                acknowledged = number
        if is_asked and (packet := answer()) is not None:
            for copy in deliver(packet):
                if not read.is_done:
                    read.received(copy)
        if read.is_done:
            break
    assert read.is_done
    assert bytes(received) == content
