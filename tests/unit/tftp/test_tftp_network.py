"""A transfer through a network that loses, repeats, delays and so reorders datagrams."""

import heapq
import io
import itertools
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.tftp import packet
from provd.tftp.transfer import Abort, Finish, Limits, ReadTransfer, Send


class Client:
    """The other side of a transfer: what a careful phone does, without sockets."""

    timeout = 1.0

    def __init__(self, *, acknowledges_copies=True):
        self.acknowledges_copies = acknowledges_copies
        self.content = b""
        self.blksize = 512
        self.windowsize = 1
        self.in_order = 0
        self.since_ack = 0
        self.has_answer = False
        self.is_done = False

    def received(self, datagram):
        """The datagrams to answer with."""
        match packet.parse(datagram):
            case packet.OptionAck(options):
                if self.in_order:
                    return []
                self.has_answer = True
                self.blksize = int(options.get(b"blksize", b"512"))
                self.windowsize = int(options.get(b"windowsize", b"1"))
                return [packet.ack(0)]
            case packet.Data(block, payload):
                self.has_answer = True
                if block != (self.in_order + 1) & 0xFFFF:
                    self.since_ack = 0
                    return [packet.ack(self.in_order)] if self.acknowledges_copies else []
                self.content += payload
                self.in_order += 1
                self.since_ack += 1
                self.is_done = len(payload) < self.blksize
                if self.is_done or self.since_ack == self.windowsize:
                    self.since_ack = 0
                    return [packet.ack(self.in_order)]
                return []
            case other:
                raise AssertionError(other)

    def timer_fired(self):
        # A client that has all goes on for a while, in case its last ACK was lost.
        self.since_ack = 0
        return [packet.ack(self.in_order)] if self.has_answer else []


class Network:
    """Carries datagrams both ways; `fate()` gives one delay for each copy that arrives."""

    def __init__(self, transfer, client, fate):
        self.transfer = transfer
        self.client = client
        self.fate = fate
        self.now = 0.0
        self.order = itertools.count()
        self.flying = []
        self.sent = Counter()
        self.outcome = None

    def post(self, to_client, datagrams):
        for datagram in datagrams:
            self.sent[to_client, datagram] += 1
            for delay in self.fate(self.sent[to_client, datagram]):
                event = (self.now + delay, next(self.order), to_client, datagram)
                heapq.heappush(self.flying, event)

    def act(self, action):
        match action:
            case Send(datagrams):
                self.post(True, datagrams)
            case Finish() | Abort():
                self.outcome = action

    def run(self):
        self.act(self.transfer.start(self.now))
        client_deadline = self.client.timeout
        while self.outcome is None:
            arrival = self.flying[0][0] if self.flying else float("inf")
            self.now = min(arrival, client_deadline, self.transfer.deadline)
            if self.now == arrival:
                _, _, to_client, datagram = heapq.heappop(self.flying)
                if to_client:
                    client_deadline = self.now + self.client.timeout
                    self.post(False, self.client.received(datagram))
                else:
                    block = packet.parse(datagram).block
                    self.act(self.transfer.ack_received(block, self.now))
            elif self.now == client_deadline:
                client_deadline = self.now + self.client.timeout
                self.post(False, self.client.timer_fired())
            else:
                self.act(self.transfer.timer_fired(self.now))
        return self.outcome


def transfer_of(content, options):
    return ReadTransfer(io.BytesIO(content).read, len(content), options, Limits())


options = st.fixed_dictionaries(
    {},
    optional={
        b"blksize": st.integers(8, 600).map(lambda n: b"%d" % n),
        b"windowsize": st.integers(1, 20).map(lambda n: b"%d" % n),
        b"timeout": st.integers(3, 9).map(lambda n: b"%d" % n),
        b"tsize": st.just(b"0"),
    },
)


@settings(max_examples=150, deadline=None)
@given(
    size=st.integers(0, 3000) | st.sampled_from([0, 8, 512, 1024, 1536]),
    asked=options,
    loss=st.floats(0, 0.4),
    duplication=st.floats(0, 0.3),
    jitter=st.sampled_from([0.0, 0.002, 0.1, 0.6]),
    acknowledges_copies=st.booleans(),
    dice=st.randoms(use_true_random=False),
)
def test_any_file_arrives_once_through_any_network(
    size, asked, loss, duplication, jitter, acknowledges_copies, dice
):
    def fate(times_sent):
        if dice.random() < loss and times_sent <= 2:
            return []
        copies = 2 if dice.random() < duplication else 1
        return [0.001 + jitter * dice.random() for _ in range(copies)]

    content = bytes(dice.getrandbits(8) for _ in range(size))
    transfer = transfer_of(content, asked)
    client = Client(acknowledges_copies=acknowledges_copies)
    assert Network(transfer, client, fate).run() == Finish()
    assert client.content == content
    assert transfer.bytes_acknowledged == size


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(0, 5000),
    asked=options,
    repeated=st.sets(st.integers(0, 40), max_size=5),
)
def test_repeated_datagrams_cost_at_most_one_window_each(size, asked, repeated):
    count = itertools.count()
    transfer = transfer_of(bytes(size), asked)
    client = Client()
    network = Network(
        transfer, client, lambda _: [0.001, 0.001] if next(count) in repeated else [0.001]
    )
    assert network.run() == Finish()
    assert client.content == bytes(size)
    assert transfer.retransmissions <= len(repeated) * 2 * transfer.windowsize


def test_a_clean_network_carries_each_datagram_once():
    transfer = transfer_of(bytes(9000), {b"windowsize": b"4"})
    network = Network(transfer, Client(), lambda _: [0.001])
    assert network.run() == Finish()
    assert set(network.sent.values()) == {1}


def test_a_client_that_vanishes_is_given_up():
    transfer = transfer_of(bytes(9000), {})
    network = Network(transfer, Client(), lambda _: [0.001] if network.now < 0.01 else [])
    assert isinstance(network.run(), Abort)
    assert network.now < 70


class ImpatientClient(Client):
    """A boot ROM: it repeats its last ACK after a second, and gives up after five of them."""

    tries = 5

    def __init__(self, **keywords):
        super().__init__(**keywords)
        self.silent = 0

    def received(self, datagram):
        self.silent = 0
        return super().received(datagram)

    def timer_fired(self):
        self.silent += 1
        assert self.silent < self.tries or self.is_done, "the client gives up"
        return super().timer_fired()


class MuteClient(ImpatientClient):
    """As lwIP's and others: it acknowledges whole windows, and gaps, but never repeats itself."""

    timeout = 30.0

    def timer_fired(self):
        self.silent += 1
        assert self.silent < 3 or self.is_done, "the client gives up"
        return []


class CountingClient(Client):
    """It acknowledges every block whose number is a multiple of the window size, and gaps."""

    def received(self, datagram):
        answers = super().received(datagram)
        self.since_ack = self.in_order % self.windowsize
        if not answers and self.has_answer and not self.since_ack:
            return [packet.ack(self.in_order)]
        return answers


@pytest.mark.parametrize("loss", [0.05, 0.1, 0.2])
@pytest.mark.parametrize(
    ("make", "acknowledges_copies", "windowsize"),
    [
        (Client, True, 1),
        (Client, True, 8),
        (Client, False, 1),
        (Client, False, 8),
        (ImpatientClient, True, 8),
        (ImpatientClient, True, 32),
        (MuteClient, True, 1),
        (MuteClient, True, 8),
        (MuteClient, True, 32),
        (CountingClient, True, 8),
        (CountingClient, True, 32),
    ],
)
def test_rfc_7440_ten_of_ten_files_pass_a_lossy_link(loss, windowsize, make, acknowledges_copies):
    for seed in range(10):
        dice = random.Random(seed)
        content = dice.randbytes(100_000)
        transfer = transfer_of(content, {b"windowsize": b"%d" % windowsize, b"blksize": b"1428"})
        client = make(acknowledges_copies=acknowledges_copies)

        def fate(_, transfer=transfer, dice=dice):
            # Before its first ACK the client would ask again, which is not the transfer's matter.
            return [] if transfer.blocks and dice.random() < loss else [0.001]

        Network(transfer, client, fate).run()
        assert client.content == content
        assert client.is_done
