import io
import itertools

import pytest

from provd.tftp import packet
from provd.tftp.transfer import Abort, Finish, Limits, ReadTransfer, Send


def transfer_of(content, options=None, *, size=None, **limits):
    return ReadTransfer(io.BytesIO(content).read, size, options or {}, Limits(**limits))


def sent(action):
    """The packets of a Send."""
    assert isinstance(action, Send)
    return [packet.parse(datagram) for datagram in action.datagrams]


def agreed(options, **keywords):
    """The options of the first answer; None if that is a block."""
    (first,) = sent(transfer_of(b"x" * 600, options, **keywords).start(0))
    return first.options if isinstance(first, packet.OptionAck) else None


ILLEGAL_BLOCK = packet.error(4, "Illegal block number")


# RFC 1350


def test_first_answer_without_options_is_block_one():
    assert sent(transfer_of(b"abc").start(0)) == [packet.Data(1, b"abc")]


def test_each_block_waits_for_the_acknowledgement_of_the_one_before():
    transfer = transfer_of(b"a" * 512 + b"b" * 512 + b"c")
    assert sent(transfer.start(0)) == [packet.Data(1, b"a" * 512)]
    assert sent(transfer.ack_received(1, 0)) == [packet.Data(2, b"b" * 512)]
    assert sent(transfer.ack_received(2, 0)) == [packet.Data(3, b"c")]
    assert transfer.ack_received(3, 0) == Finish()


@pytest.mark.parametrize(
    ("size", "last"), [(0, 0), (1, 1), (511, 511), (512, 0), (513, 1), (1024, 0)]
)
def test_a_block_shorter_than_the_block_size_ends_the_file(size, last):
    transfer = transfer_of(b"x" * size)
    action = transfer.start(0)
    blocks = []
    while isinstance(action, Send):
        blocks += sent(action)
        action = transfer.ack_received(blocks[-1].block, 0)
    assert action == Finish()
    assert len(blocks) == size // 512 + 1
    assert len(blocks[-1].payload) == last
    assert b"".join(block.payload for block in blocks) == b"x" * size
    assert transfer.bytes_acknowledged == size
    assert transfer.blocks == len(blocks)


def test_block_numbers_wrap_to_zero():
    count = 65536 + 3
    transfer = transfer_of(b"12345678" * count, {b"blksize": b"8"})
    transfer.start(0)
    action = transfer.ack_received(0, 0)
    for block in range(1, count + 1):
        assert sent(action)[0].block == block & 0xFFFF
        action = transfer.ack_received(block & 0xFFFF, 0)
    assert sent(action) == [packet.Data(4, b"")]
    assert transfer.ack_received(4, 0) == Finish()
    assert transfer.bytes_acknowledged == 8 * count


def test_acknowledgement_of_a_block_not_sent_ends_the_transfer():
    transfer = transfer_of(b"x" * 2000)
    transfer.start(0)
    transfer.ack_received(1, 0)
    action = transfer.ack_received(3, 0)
    assert isinstance(action, Abort)
    assert action.datagram == ILLEGAL_BLOCK


@pytest.mark.parametrize("block", [65535, 32768, 1])
def test_no_block_but_zero_answers_an_option_acknowledgement(block):
    transfer = transfer_of(b"x" * 2000, {b"blksize": b"512"})
    transfer.start(0)
    assert transfer.ack_received(block, 0).datagram == ILLEGAL_BLOCK


def test_block_before_the_first_is_impossible():
    transfer = transfer_of(b"x" * 2000)
    transfer.start(0)
    assert transfer.ack_received(65535, 0).datagram == ILLEGAL_BLOCK


def test_error_of_the_client_ends_the_transfer_silently():
    action = transfer_of(b"x").error_received(3, b"disk \xff")
    assert action.datagram is None
    assert "error 3" in action.reason
    assert "disk" in action.reason


def test_reads_of_a_pipe_are_joined_to_whole_blocks():
    pieces = [b"a" * 100, b"b" * 412, b"c" * 10, b"d", b""]
    transfer = ReadTransfer(lambda _size: pieces.pop(0), None, {}, Limits())
    assert sent(transfer.start(0)) == [packet.Data(1, b"a" * 100 + b"b" * 412)]
    assert sent(transfer.ack_received(1, 0)) == [packet.Data(2, b"c" * 10 + b"d")]
    assert transfer.ack_received(2, 0) == Finish()


def test_errors_of_the_file_pass_through():
    def read(_size):
        raise OSError("bad disk")

    with pytest.raises(OSError, match="bad disk"):
        ReadTransfer(read, None, {}, Limits()).start(0)


# RFC 1123 section 4.2.3.1


def test_repeated_acknowledgement_resends_the_block_once():
    transfer = transfer_of(b"x" * 2000)
    transfer.start(0)
    second = transfer.ack_received(1, 0)
    assert transfer.ack_received(1, 0) == second
    assert transfer.ack_received(1, 0) is None
    assert transfer.ack_received(1, 0) is None


def test_repeated_acknowledgement_of_options_resends_block_one_once():
    transfer = transfer_of(b"x" * 2000, {b"tsize": b"0"}, size=2000)
    transfer.start(0)
    first = transfer.ack_received(0, 0)
    assert transfer.ack_received(0, 0) == first
    assert transfer.ack_received(0, 0) is None


def test_one_repeated_acknowledgement_does_not_double_what_follows():
    transfer = transfer_of(b"x" * 5000)
    transfer.start(0)
    transfer.ack_received(1, 0)
    transfer.ack_received(1, 0)  # block 2 goes out again, so the client acknowledges it twice
    for block in range(2, 10):
        assert isinstance(transfer.ack_received(block, 0), Send)
        assert transfer.ack_received(2, 0) is None
    assert transfer.retransmissions == 1


def test_acknowledgement_of_a_resent_block_may_come_twice():
    transfer = transfer_of(b"x" * 2000)
    transfer.start(0)
    transfer.ack_received(1, 0)
    transfer.timer_fired(transfer.deadline)
    assert isinstance(transfer.ack_received(2, 5), Send)
    assert transfer.ack_received(2, 5) is None  # of the copy
    assert isinstance(transfer.ack_received(2, 5), Send)  # the client waits


def test_late_acknowledgements_are_ignored():
    transfer = transfer_of(b"x" * 5000)
    transfer.start(0)
    for block in range(1, 6):
        transfer.ack_received(block, 0)
    assert [transfer.ack_received(block, 0) for block in range(5)] == [None] * 5


def test_late_acknowledgement_across_the_wrap_is_ignored():
    transfer = transfer_of(b"12345678" * 65540, {b"blksize": b"8"})
    transfer.start(0)
    for block in range(65538):
        transfer.ack_received(block & 0xFFFF, 0)
    assert transfer.ack_received(65535, 0) is None
    assert transfer.ack_received(5, 0).datagram == ILLEGAL_BLOCK


# Timers


def test_silence_gets_four_copies_and_then_the_end():
    transfer = transfer_of(b"x" * 2000)
    first = transfer.start(100)
    deadlines = [transfer.deadline]
    actions = []
    while not isinstance(action := transfer.timer_fired(transfer.deadline), Abort):
        actions.append(action)
        deadlines.append(transfer.deadline)
    assert actions == [first] * 3
    assert deadlines == [104, 108, 112, 116]
    assert action.datagram is None


def test_nothing_happens_before_the_deadline():
    transfer = transfer_of(b"x")
    transfer.start(0)
    assert transfer.timer_fired(3.9) is None


def test_after_a_measured_round_trip_copies_go_out_early_and_patience_stays():
    transfer = transfer_of(b"x" * 2000)
    transfer.start(0)
    transfer.ack_received(1, 0.001)
    times = []
    while isinstance(transfer.timer_fired(transfer.deadline), Send):
        times.append(transfer.deadline)
    assert times[0] < 1
    assert all(later - sooner <= 4 for sooner, later in itertools.pairwise(times))
    assert times[-1] == pytest.approx(16.001)


def test_acknowledgement_of_a_resent_block_is_no_measure():
    transfer = transfer_of(b"x" * 5000)
    transfer.start(0)
    transfer.ack_received(1, 0.001)
    transfer.timer_fired(transfer.deadline)
    transfer.ack_received(2, 3.0)
    patient = transfer.deadline - 3.0
    transfer.ack_received(3, 3.001)
    assert patient == pytest.approx(0.5)
    assert transfer.deadline - 3.001 < patient


def test_slow_client_is_soon_given_the_time_it_takes():
    transfer = transfer_of(b"x" * 512 * 20)
    transfer.start(0)
    now = 0.001
    transfer.ack_received(1, now)
    for block in range(2, 20):
        answered = now + 1.5
        while transfer.deadline < answered:
            transfer.timer_fired(transfer.deadline)
        now = answered
        transfer.ack_received(block, now)
    assert transfer.retransmissions < 5


# RFC 2347, 2348, 2349, 7440


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({b"blksize": b"8"}, {b"blksize": b"8"}),
        ({b"blksize": b"65464"}, {b"blksize": b"65464"}),
        ({b"blksize": b"7"}, None),
        ({b"blksize": b"65465"}, None),
        ({b"blksize": b"-8"}, None),
        ({b"blksize": b"1e3"}, None),
        ({b"blksize": b" 512"}, None),
        ({b"blksize": b""}, None),
        ({b"blksize": b"9" * 5000}, None),
        ({b"timeout": b"1"}, {b"timeout": b"1"}),
        ({b"timeout": b"255"}, {b"timeout": b"255"}),
        ({b"timeout": b"0"}, None),
        ({b"timeout": b"256"}, None),
        ({b"tsize": b"0"}, {b"tsize": b"600"}),
        ({b"windowsize": b"4"}, {b"windowsize": b"4"}),
        ({b"windowsize": b"65535"}, {b"windowsize": b"64"}),
        ({b"windowsize": b"0"}, None),
        ({b"windowsize": b"65536"}, None),
        ({b"multicast": b""}, None),
        ({b"multicast": b"", b"blksize": b"1428"}, {b"blksize": b"1428"}),
        (
            {b"tsize": b"0", b"blksize": b"1024", b"timeout": b"3", b"windowsize": b"2"},
            {b"tsize": b"600", b"blksize": b"1024", b"timeout": b"3", b"windowsize": b"2"},
        ),
    ],
)
def test_options_are_agreed_or_left_out(options, answer):
    assert agreed(options, size=600) == answer


def test_unknown_size_is_not_answered():
    assert agreed({b"tsize": b"0"}) is None


def test_settings_lower_block_and_window_size():
    options = {b"blksize": b"8192", b"windowsize": b"16"}
    answer = {b"blksize": b"1428", b"windowsize": b"8"}
    assert agreed(options, max_blksize=1428, max_windowsize=8) == answer


def test_a_window_of_large_blocks_is_bounded_in_bytes():
    answer = agreed({b"windowsize": b"64", b"blksize": b"65464"})
    assert int(answer[b"windowsize"]) * 65464 <= 128 * 1024


def test_limits_outside_the_protocol_are_refused():
    for keywords in [{"max_blksize": 7}, {"max_blksize": 65465}, {"max_windowsize": 0}]:
        with pytest.raises(ValueError):
            Limits(**keywords)


def test_block_one_waits_for_the_acknowledgement_of_the_options():
    transfer = transfer_of(b"abcdefghij", {b"blksize": b"8"})
    assert sent(transfer.start(0)) == [packet.OptionAck({b"blksize": b"8"})]
    assert not transfer.is_acknowledged
    assert sent(transfer.ack_received(0, 0)) == [packet.Data(1, b"abcdefgh")]
    assert transfer.is_acknowledged
    assert sent(transfer.ack_received(1, 0)) == [packet.Data(2, b"ij")]
    assert transfer.ack_received(2, 0) == Finish()


def test_option_acknowledgement_is_resent_like_a_block():
    transfer = transfer_of(b"abc", {b"tsize": b"0"}, size=3)
    first = transfer.start(0)
    assert transfer.timer_fired(4) == first


def test_agreed_timeout_rules_once_the_client_has_it():
    transfer = transfer_of(b"x" * 2000, {b"timeout": b"20"})
    transfer.start(0)
    assert transfer.deadline == 4
    transfer.timer_fired(4)  # a resent OACK gives no measure of the round trip
    transfer.ack_received(0, 5)
    while isinstance(transfer.timer_fired(transfer.deadline), Send):
        pass
    assert transfer.deadline == 5 + 4 * 20


def test_short_agreed_timeout_bounds_every_wait():
    transfer = transfer_of(b"x" * 2000, {b"timeout": b"1"})
    transfer.start(0)
    transfer.timer_fired(4)
    transfer.ack_received(0, 5)
    assert transfer.deadline == 6


def test_a_window_is_sent_at_once_and_acknowledged_by_its_last_block():
    transfer = transfer_of(b"x" * 40, {b"blksize": b"8", b"windowsize": b"3"})
    transfer.start(0)
    assert [block.block for block in sent(transfer.ack_received(0, 0))] == [1, 2, 3]
    assert [block.block for block in sent(transfer.ack_received(3, 0))] == [4, 5, 6]
    assert transfer.ack_received(6, 0) == Finish()


def test_acknowledgement_inside_a_window_starts_it_anew_after_that_block():
    transfer = transfer_of(b"x" * 80, {b"blksize": b"8", b"windowsize": b"4"})
    transfer.start(0)
    transfer.ack_received(0, 0)
    assert [block.block for block in sent(transfer.ack_received(2, 0))] == [3, 4, 5, 6]
    assert transfer.retransmissions == 2


def test_acknowledgement_of_a_copy_inside_a_window_repeats_nothing():
    transfer = transfer_of(b"x" * 80, {b"blksize": b"8", b"windowsize": b"4"})
    transfer.start(0)
    transfer.ack_received(0, 0)
    transfer.ack_received(1, 0)  # blocks 2 to 4 go out again, and 5
    assert [block.block for block in sent(transfer.ack_received(4, 0))] == [6, 7, 8]
    assert isinstance(transfer.ack_received(8, 0), Send)
    assert transfer.retransmissions == 3


def test_copies_of_a_window_are_acknowledged_once_each_and_answered_never():
    transfer = transfer_of(b"x" * 800, {b"blksize": b"8", b"windowsize": b"4"})
    transfer.start(0)
    transfer.ack_received(0, 0)
    transfer.timer_fired(transfer.deadline)
    assert isinstance(transfer.ack_received(4, 1), Send)
    assert [transfer.ack_received(4, 1) for _ in range(4)] == [None] * 4
    assert isinstance(transfer.ack_received(4, 1), Send)
    assert transfer.ack_received(4, 1) is None


def test_loss_of_the_first_block_of_a_window_resends_the_window():
    transfer = transfer_of(b"x" * 800, {b"blksize": b"8", b"windowsize": b"4"})
    transfer.start(0)
    transfer.ack_received(0, 0)
    window = transfer.ack_received(4, 0)
    assert transfer.ack_received(4, 0) == window
