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


def test_next_block_is_read_before_it_is_asked_for_in_lock_step():
    content = io.BytesIO(b"x" * 1500)
    transfer = ReadTransfer(content.read, None, {}, Limits())
    transfer.start(0)
    transfer.prepare()
    assert content.tell() == 512  # a client that never answered costs no more
    transfer.ack_received(1, 0)
    transfer.prepare()
    transfer.prepare()
    assert content.tell() == 1500
    assert sent(transfer.ack_received(2, 0)) == [packet.Data(3, b"x" * 476)]
    transfer.prepare()
    assert transfer.ack_received(3, 0) == Finish()
    assert transfer.bytes_acknowledged == 1500


def test_prepared_block_changes_nothing_but_the_time_of_reading():
    content = bytes(range(256)) * 20
    answers = []
    for prepares in (False, True):
        transfer = transfer_of(content)
        log = [transfer.start(0)]
        for event, now in [
            (1, 0.1),
            (1, 0.2),
            (None, 5),
            (2, 5.5),
            (3, 6),
            (2, 6),
            (None, 9),
            (4, 9),
        ]:
            if prepares:
                transfer.prepare()
            log.append(
                transfer.timer_fired(now) if event is None else transfer.ack_received(event, now)
            )
            log.append(transfer.deadline)
        answers.append(log)
    assert answers[0] == answers[1]


# RFC 1123 section 4.2.3.1


@pytest.mark.parametrize("options", [{}, {b"blksize": b"512"}, {b"windowsize": b"8"}])
def test_rfc_1123_every_acknowledgement_sent_twice_brings_each_block_once(options):
    transfer = transfer_of(b"x" * (512 * 50 + 1), options)
    flying = sent(transfer.start(0))
    blocks = []
    outcome = None
    while outcome is None:
        last = flying[-1]
        blocks += [each for each in flying if isinstance(each, packet.Data)]
        number = last.block if isinstance(last, packet.Data) else 0
        action = transfer.ack_received(number, 0)
        if isinstance(action, Finish):
            outcome = action
        else:
            flying = sent(action)
            assert transfer.ack_received(number, 0) is None
    assert [block.block for block in blocks] == list(range(1, 52))
    assert transfer.retransmissions == 0


def test_rfc_1123_repeated_acknowledgement_of_options_brings_nothing():
    transfer = transfer_of(b"x" * 2000, {b"tsize": b"0"}, size=2000)
    transfer.start(0)
    assert isinstance(transfer.ack_received(0, 0), Send)
    assert [transfer.ack_received(0, 0.5) for _ in range(5)] == [None] * 5


def test_rfc_1123_repeated_acknowledgement_of_a_window_brings_nothing():
    transfer = transfer_of(b"x" * 800, {b"blksize": b"8", b"windowsize": b"4"})
    transfer.start(0)
    transfer.ack_received(0, 0)
    window = transfer.ack_received(4, 0)
    assert [transfer.ack_received(4, 0.5) for _ in range(9)] == [None] * 9
    assert transfer.timer_fired(transfer.deadline) == window


def test_rfc_1123_acknowledgements_of_copies_bring_nothing():
    transfer = transfer_of(b"x" * 2000)
    transfer.start(0)
    transfer.ack_received(1, 0)
    transfer.timer_fired(transfer.deadline)
    assert isinstance(transfer.ack_received(2, 1), Send)
    assert transfer.ack_received(2, 1) is None
    assert transfer.ack_received(2, 1) is None


def test_repeated_acknowledgement_keeps_the_interval_short_because_the_client_waits():
    transfer = transfer_of(b"x" * 2000)
    transfer.start(0)
    transfer.ack_received(1, 0.001)
    assert transfer.deadline == pytest.approx(1.001)
    transfer.timer_fired(transfer.deadline)
    assert transfer.deadline == pytest.approx(3.001)
    transfer.ack_received(1, 1.5)
    assert transfer.deadline == pytest.approx(2.5)
    transfer.timer_fired(transfer.deadline)
    assert transfer.deadline == pytest.approx(3.5)


def test_repeated_acknowledgement_that_a_copy_explains_changes_no_deadline():
    transfer = transfer_of(b"x" * 2000)
    transfer.start(0)
    transfer.timer_fired(transfer.deadline)
    transfer.ack_received(1, 1.6)
    before = transfer.deadline
    transfer.ack_received(1, 1.7)
    assert transfer.deadline == before
    transfer.ack_received(1, 1.7)
    assert transfer.deadline == pytest.approx(2.7)


def test_repeated_acknowledgements_never_bring_the_deadline_forward_of_the_first_interval():
    transfer = transfer_of(b"x" * 2000)
    transfer.start(0)
    transfer.ack_received(1, 0.001)
    for time in (0.1, 0.5, 0.9):
        transfer.ack_received(1, time)
        assert transfer.deadline == pytest.approx(1.001)


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


def test_rfc_1123_interval_doubles_for_a_silent_client_that_gets_four_copies():
    transfer = transfer_of(b"x" * 2000)
    first = transfer.start(100)
    deadlines = [transfer.deadline]
    actions = []
    while not isinstance(action := transfer.timer_fired(transfer.deadline), Abort):
        actions.append(action)
        deadlines.append(transfer.deadline)
    assert actions == [first] * 3
    assert deadlines == [101, 103, 107, 115]
    assert action.datagram is None


def test_rfc_1123_interval_grows_to_a_bound_for_a_client_that_fell_silent():
    transfer = transfer_of(b"x" * 2000)
    transfer.start(0)
    transfer.ack_received(1, 0)
    times = [0.0, transfer.deadline]
    while isinstance(transfer.timer_fired(transfer.deadline), Send):
        times.append(transfer.deadline)
    intervals = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert intervals == [1, 2, 4, 8, 8, 8, 8, 8, 8, 8]


def test_nothing_happens_before_the_deadline():
    transfer = transfer_of(b"x")
    transfer.start(0)
    assert transfer.timer_fired(0.9) is None


@pytest.mark.parametrize("windowsize", [1, 8])
def test_rfc_6298_slow_client_is_given_a_second_after_fast_round_trips(windowsize):
    transfer = transfer_of(b"x" * 51200, {b"windowsize": b"%d" % windowsize})
    transfer.start(0)
    now = 0.0
    for block in range(0, 9 * windowsize, windowsize):
        transfer.ack_received(block, now)
        assert transfer.deadline >= now + 1
        now += 0.001
    assert transfer.retransmissions == 0


def test_rfc_6298_acknowledgement_of_a_copy_is_no_measure():
    transfer = transfer_of(b"x" * 5000)
    transfer.start(0)
    transfer.ack_received(1, 0.001)
    transfer.timer_fired(transfer.deadline)
    transfer.ack_received(2, 2.5)  # of the first one, or of the copy
    assert transfer.deadline - 2.5 == pytest.approx(2)
    transfer.ack_received(3, 2.501)  # of a block sent once
    assert transfer.deadline - 2.501 == pytest.approx(1, abs=0.01)


def test_acknowledgement_right_after_a_copy_shortens_the_interval_again():
    transfer = transfer_of(b"x" * 5000)
    transfer.start(0)
    transfer.ack_received(1, 0.002)
    transfer.timer_fired(transfer.deadline)
    transfer.ack_received(2, 1.004)
    assert transfer.deadline == pytest.approx(2.004)


@pytest.mark.parametrize("seconds", [1.5, 3, 7])
def test_rfc_6298_slow_client_is_soon_given_the_time_it_takes(seconds):
    transfer = transfer_of(b"x" * 512 * 20)
    transfer.start(0)
    now = 0.001
    transfer.ack_received(1, now)
    for block in range(2, 20):
        answered = now + seconds
        while transfer.deadline < answered:
            transfer.timer_fired(transfer.deadline)
        now = answered
        transfer.ack_received(block, now)
    assert transfer.retransmissions < 7


def test_client_that_writes_its_flash_for_most_of_a_minute_keeps_its_transfer():
    transfer = transfer_of(b"x" * 2000, {b"timeout": b"1"})
    transfer.start(0)
    transfer.ack_received(0, 0)
    while transfer.deadline < 55:
        assert isinstance(transfer.timer_fired(transfer.deadline), Send)
    assert isinstance(transfer.ack_received(1, 55), Send)


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
    assert transfer.timer_fired(1) == first


@pytest.mark.parametrize("seconds", [1, 3, 20, 255])
def test_rfc_2349_agreed_timeout_rules_the_option_acknowledgement_and_the_blocks(seconds):
    transfer = transfer_of(b"x" * 2000, {b"timeout": b"%d" % seconds})
    first = transfer.start(0)
    assert transfer.deadline == seconds
    assert transfer.timer_fired(seconds - 0.1) is None
    assert transfer.timer_fired(seconds) == first
    transfer.ack_received(0, 1000)
    transfer.ack_received(1, 1000.001)
    assert transfer.deadline == pytest.approx(1000 + seconds, abs=0.01)


def test_rfc_1123_interval_doubles_from_the_agreed_timeout():
    transfer = transfer_of(b"x" * 2000, {b"timeout": b"10"})
    transfer.start(0)
    deadlines = [transfer.deadline]
    while isinstance(transfer.timer_fired(transfer.deadline), Send):
        deadlines.append(transfer.deadline)
    assert deadlines == [10, 30, 50, 70]


def test_rfc_2349_agreed_timeout_is_not_changed_by_fast_or_slow_round_trips():
    transfer = transfer_of(b"x" * 20000, {b"timeout": b"3"})
    transfer.start(0)
    now = 0.0
    for block, seconds in enumerate([0.001, 0.001, 2.9, 2.9, 2.9, 0.5]):
        now += seconds
        transfer.ack_received(block, now)
        assert transfer.deadline == pytest.approx(now + 3)


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


def test_rfc_7440_acknowledgement_inside_what_was_sent_twice_starts_anew_twice_at_most():
    transfer = transfer_of(b"x" * 800, {b"blksize": b"8", b"windowsize": b"8"})
    transfer.start(0)
    transfer.ack_received(0, 0)
    numbers = [
        [block.block for block in sent(transfer.ack_received(block, 0))] for block in range(1, 8)
    ]
    assert numbers == [
        list(range(2, 10)),  # block 2 was lost
        list(range(3, 11)),  # its copy went through, block 3 was lost again
        list(range(4, 12)),
        [12],  # by now the client seems to acknowledge each block by itself
        [13],
        [14],
        [15],
    ]


def test_rfc_7440_whole_window_lets_windows_start_anew_again():
    transfer = transfer_of(b"x" * 800, {b"blksize": b"8", b"windowsize": b"4"})
    transfer.start(0)
    transfer.ack_received(0, 0)
    for block in (1, 2, 3, 7):
        action = transfer.ack_received(block, 0)
    assert [block.block for block in sent(action)] == [8, 9, 10, 11]
    for block in (8, 9, 10):
        assert len(sent(transfer.ack_received(block, 0))) == 4


def test_copies_of_a_window_are_acknowledged_once_each_and_answered_never():
    transfer = transfer_of(b"x" * 800, {b"blksize": b"8", b"windowsize": b"4"})
    transfer.start(0)
    transfer.ack_received(0, 0)
    transfer.timer_fired(transfer.deadline)
    assert isinstance(transfer.ack_received(4, 1), Send)
    assert [transfer.ack_received(4, 1) for _ in range(9)] == [None] * 9


def test_rfc_7440_late_acknowledgements_of_earlier_windows_are_ignored():
    transfer = transfer_of(b"x" * 800, {b"blksize": b"8", b"windowsize": b"4"})
    transfer.start(0)
    for block in (0, 4, 8, 12):
        transfer.ack_received(block, 0)
    deadline = transfer.deadline
    assert [transfer.ack_received(block, 0.5) for block in range(12)] == [None] * 12
    assert transfer.deadline == deadline


def test_loss_of_the_first_block_of_a_window_is_mended_by_the_clock():
    transfer = transfer_of(b"x" * 800, {b"blksize": b"8", b"windowsize": b"4"})
    transfer.start(0)
    transfer.ack_received(0, 0)
    window = transfer.ack_received(4, 0)
    assert transfer.ack_received(4, 0.001) is None
    assert transfer.timer_fired(0.9) is None
    assert transfer.timer_fired(1) == window
