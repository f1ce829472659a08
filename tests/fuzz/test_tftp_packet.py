from hypothesis import given
from hypothesis import strategies as st

from provd.errors import PacketError
from provd.tftp import packet
from provd.tftp.transfer import Abort, Finish, Limits, ReadTransfer

field = st.binary(max_size=40).map(lambda value: value.replace(b"\0", b""))
options = st.dictionaries(field.map(bytes.lower).filter(bool), field, max_size=5)
datagrams = st.one_of(
    st.binary(max_size=600),
    st.builds(lambda opcode, rest: b"\0%c" % opcode + rest, st.integers(0, 8), st.binary()),
    st.builds(
        lambda opcode, fields: b"\0%c" % opcode + b"\0".join(fields),
        st.integers(1, 6),
        st.lists(field, max_size=9),
    ),
)


@given(datagrams)
def test_any_bytes_give_a_packet_or_a_packet_error(datagram):
    try:
        parsed = packet.parse(datagram)
    except PacketError:
        return
    assert isinstance(parsed, packet.Packet)


@given(datagrams, st.binary(max_size=40))
def test_padding_changes_nothing_that_a_request_said(datagram, padding):
    try:
        parsed = packet.parse(datagram)
    except PacketError:
        return
    if isinstance(parsed, packet.ReadRequest) and datagram.endswith(b"\0"):
        padded = packet.parse(datagram + b"\0" + padding)
        assert (padded.filename, padded.mode) == (parsed.filename, parsed.mode)
        assert parsed.options.items() <= padded.options.items()


@given(field, field, options)
def test_requests_survive_building_and_parsing(filename, mode, asked):
    assert packet.parse(
        packet.request(packet.Opcode.RRQ, filename, mode, asked)
    ) == packet.ReadRequest(filename, mode, asked)
    assert packet.parse(
        packet.request(packet.Opcode.WRQ, filename, mode, asked)
    ) == packet.WriteRequest(filename, mode, asked)


@given(st.integers(0, 0xFFFF), st.binary(max_size=600), st.text(), options)
def test_other_packets_survive_building_and_parsing(number, payload, text, agreed):
    assert packet.parse(packet.data(number, payload)) == packet.Data(number, payload)
    assert packet.parse(packet.ack(number)) == packet.Ack(number)
    message = text.replace("\0", "").encode("utf-8", "replace")
    assert packet.parse(packet.error(number, text)) == packet.Error(number, message)
    if agreed:
        assert packet.parse(packet.oack(agreed)) == packet.OptionAck(agreed)


@given(
    content=st.binary(max_size=3000),
    asked=st.dictionaries(
        st.sampled_from([b"blksize", b"timeout", b"tsize", b"windowsize", b"other"]),
        st.one_of(st.integers(-1, 70000).map(lambda n: b"%d" % n), st.binary(max_size=12)),
    ),
    events=st.lists(
        st.tuples(st.booleans(), st.integers(0, 12) | st.integers(0, 0xFFFF), st.floats(0, 20)),
        max_size=60,
    ),
)
def test_no_sequence_of_events_breaks_a_transfer(content, asked, events):
    position = 0

    def read(size):
        nonlocal position
        position += size
        return content[position - size : position]

    transfer = ReadTransfer(read, len(content), asked, Limits())
    now = 0.0
    action = transfer.start(now)
    for is_ack, block, seconds in events:
        now += seconds
        action = transfer.ack_received(block, now) if is_ack else transfer.timer_fired(now)
        if isinstance(action, Finish | Abort):
            break
    assert transfer.bytes_acknowledged <= len(content)
    if isinstance(action, Finish):
        assert transfer.bytes_acknowledged == len(content)
