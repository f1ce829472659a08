"""TFTP: a packet read, one step of a transfer, a transfer."""

from provd.tftp import packet
from provd.tftp.transfer import Finish, Limits, ReadTransfer, Send

RRQ = packet.request(
    packet.Opcode.RRQ,
    b"001565123456.cfg",
    b"octet",
    {b"blksize": b"1428", b"windowsize": b"16", b"timeout": b"5", b"tsize": b"0"},
)
LIMITS = Limits()
BLOCK = bytes(512)


def test_read_a_request_with_options(benchmark):
    assert benchmark(packet.parse, RRQ).options[b"blksize"] == b"1428"


def test_read_an_acknowledgement(benchmark):
    assert benchmark(packet.parse, b"\0\4\0\7") == packet.Ack(7)


def test_one_step_of_a_transfer(benchmark):
    transfer = ReadTransfer(lambda count: BLOCK[:count], None, {}, LIMITS)
    transfer.start(0.0)
    block = 0

    def step():
        nonlocal block
        block += 1
        return transfer.ack_received(block & 0xFFFF, block * 0.001)

    assert isinstance(benchmark(step), Send)


def test_a_transfer_of_8_kb(benchmark):
    def run():
        left = 8192

        def read(count):
            nonlocal left
            count = min(count, left)
            left -= count
            return BLOCK[:count]

        transfer = ReadTransfer(read, 8192, {}, LIMITS)
        action = transfer.start(0.0)
        block = 0
        while isinstance(action, Send):
            block += 1
            action = transfer.ack_received(block, block * 0.001)
        return action

    assert isinstance(benchmark(run), Finish)
