import contextlib
import errno
import io
import logging
import os
import select
import socket
import struct

import pytest
from twisted.internet.error import CannotListenError
from twisted.internet.task import Clock

from provd.tftp import packet, server
from provd.tftp.server import TftpServer
from provd.tftp.transfer import Limits

OCTET = b"octet"


class LoopbackReactor(Clock):
    """Time that a test moves, and readers that run when a test says so."""

    def __init__(self):
        super().__init__()
        self.readers = []

    def addReader(self, reader):
        self.readers.append(reader)

    def removeReader(self, reader):
        self.readers.remove(reader)

    def run_readers(self):
        """Let readers run until none has anything to read."""
        for _ in range(1000):
            poller = select.poll()
            by_descriptor = {reader.fileno(): reader for reader in self.readers}
            for descriptor in by_descriptor:
                poller.register(descriptor, select.POLLIN)
            ready = poller.poll(0)
            if not ready:
                return
            for descriptor, _ in ready:
                by_descriptor[descriptor].doRead()
        raise AssertionError("readers never rest")

    def pass_time(self, seconds):
        self.pump([0.05] * round(seconds / 0.05))
        self.run_readers()


class Files:
    """A handler that remembers, and answers with `content` unless `answer` is replaced."""

    def __init__(self, content=b"content"):
        self.content = content
        self.requests = []
        self.responses = []
        self.results = []

    def handle_read_request(self, request, response):
        self.requests.append(request)
        self.responses.append(response)
        response.on_done = self.results.append
        self.answer(response)

    def answer(self, response):
        response.accept_bytes(self.content)

    def later(self, response):
        """An answer for tests that give it themselves."""


class File(io.BytesIO):
    """A file that fails after some reads."""

    def __init__(self, content, good_reads=1000):
        super().__init__(content)
        self.good_reads = good_reads

    def read(self, size=-1):
        if not self.good_reads:
            raise OSError(errno.EIO, "bad disk")
        self.good_reads -= 1
        return super().read(size)


class Phone:
    """A socket on loopback that runs the server before it looks for an answer."""

    def __init__(self, reactor, tftp, address="127.0.0.1"):
        self.reactor = reactor
        self.server = ("127.0.0.1", tftp.port)
        self.tid = None
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind((address, 0))

    def send(self, datagram, to=None):
        self.sock.sendto(datagram, to or self.tid or self.server)
        self.reactor.run_readers()

    def ask(self, filename=b"f", options=None, mode=OCTET):
        self.send(packet.request(packet.Opcode.RRQ, filename, mode, options), self.server)
        return self.received()

    def received(self):
        """The next packet, None if there is none."""
        try:
            datagram, self.tid = self.sock.recvfrom(65536)
        except BlockingIOError:
            return None
        return packet.parse(datagram)

    def fetch(self, filename=b"f", options=None, blksize=512):
        """The content of a file, or the error packet."""
        content = b""
        answer = self.ask(filename, options)
        if isinstance(answer, packet.OptionAck):
            blksize = int(answer.options.get(b"blksize", blksize))
            self.send(packet.ack(0))
            answer = self.received()
        while isinstance(answer, packet.Data):
            content += answer.payload
            self.send(packet.ack(answer.block))
            if len(answer.payload) < blksize:
                return content
            answer = self.received()
        return answer


def open_descriptors():
    """How many UDP sockets and epoll sets this process has; the test runner may open others."""
    with open("/proc/net/udp") as table:
        inodes = {line.split()[9] for line in list(table)[1:]}
    count = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(f"/proc/self/fd/{descriptor}")
            count += "eventpoll" in target or target[8:-1] in inodes
    return count


@pytest.fixture
def reactor():
    return LoopbackReactor()


@pytest.fixture
def start(reactor):
    """Start servers that are stopped, and found clean, when the test ends."""
    before = open_descriptors()
    started = []

    def start(handler, **keywords):
        tftp = TftpServer(reactor, 0, "127.0.0.1", handler, **keywords)
        tftp.privilegedStartService()
        tftp.startService()
        started.append(tftp)
        return tftp

    yield start
    for tftp in started:
        stopped = tftp.stopService()
        reactor.advance(10)
        assert stopped.called
    assert reactor.getDelayedCalls() == []
    assert reactor.readers == []
    assert open_descriptors() == before


@pytest.fixture
def phone(reactor, start):
    """Make phones; the last server started before is theirs."""
    phones = []

    def phone(tftp, address="127.0.0.1"):
        phones.append(Phone(reactor, tftp, address))
        return phones[-1]

    yield phone
    for each in phones:
        each.sock.close()


def error(code, message):
    return packet.Error(code, message)


# Requests


def test_handler_gets_the_request_as_plugins_know_it(start, phone):
    files = Files()
    client = phone(start(files))
    client.ask(b"/a\xff.cfg", {b"TSIZE": b"0", b"x": b""}, b"OCTET")
    assert files.requests == [
        {
            "address": client.sock.getsockname(),
            "packet": {
                "opcode": b"\0\1",
                "filename": b"/a\xff.cfg",
                "mode": b"OCTET",
                "options": {b"tsize": b"0", b"x": b""},
            },
        }
    ]


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, 5120])
def test_file_arrives_and_is_closed(start, phone, size):
    files = Files()
    file = File(bytes(size))
    files.answer = lambda response: response.accept(file)
    tftp = start(files)
    assert phone(tftp).fetch() == bytes(size)
    assert file.closed
    (result,) = files.results
    assert (result.ok, result.error) == (True, None)
    assert (result.bytes_sent, result.blocks) == (size, size // 512 + 1)
    assert (tftp.transfers_started, tftp.transfers_finished, tftp.transfers_failed) == (1, 1, 0)
    assert (tftp.bytes_sent, tftp.retransmissions, tftp.active) == (size, 0, 0)


def test_nothing_follows_the_last_acknowledgement(start, phone, reactor):
    client = phone(start(Files(b"")))
    assert client.fetch() == b""
    reactor.pass_time(20)
    assert client.received() is None


def test_options_are_agreed_with_the_size_of_what_remains_of_a_file(start, phone):
    files = Files()
    file = io.BytesIO(b"skipped" + bytes(3000))
    file.seek(7)
    files.answer = lambda response: response.accept(file)
    client = phone(start(files))
    options = {b"blksize": b"1428", b"tsize": b"0", b"timeout": b"2"}
    assert client.ask(b"f", options) == packet.OptionAck({**options, b"tsize": b"3000"})
    client.send(packet.ack(0))
    assert client.received() == packet.Data(1, bytes(1428))


def test_size_of_a_stream_is_not_told(start, phone):
    class Stream:
        read = io.BytesIO(b"abc").read

        def close(self):
            pass

    files = Files()
    files.answer = lambda response: response.accept(Stream())
    assert phone(start(files)).ask(b"f", {b"tsize": b"0"}) == packet.Data(1, b"abc")


def test_window_is_sent_at_once(start, phone):
    client = phone(start(Files(bytes(5000))))
    client.ask(b"f", {b"windowsize": b"4"})
    client.send(packet.ack(0))
    assert [client.received().block for _ in range(4)] == [1, 2, 3, 4]
    assert client.received() is None


def test_settings_bound_what_is_agreed(start, phone):
    client = phone(start(Files(), limits=Limits(max_blksize=1024)))
    answer = client.ask(b"f", {b"blksize": b"1428"})
    assert answer == packet.OptionAck({b"blksize": b"1024"})


def test_each_transfer_has_a_port_of_its_own(start, phone):
    tftp = start(Files())
    first, second = phone(tftp), phone(tftp)
    first.ask()
    second.ask()
    assert len({first.tid[1], second.tid[1], tftp.port}) == 3


def test_answer_comes_from_the_address_that_was_asked(reactor, start, phone):
    tftp = TftpServer(reactor, 0, "", Files())
    tftp.startService()
    client = phone(tftp)
    client.server = ("127.0.0.9", tftp.port)
    client.ask()
    assert client.tid[0] == "127.0.0.9"
    client.send(packet.request(packet.Opcode.WRQ, b"f", OCTET), client.server)
    client.received()
    assert client.tid == client.server
    tftp.stopService()
    reactor.advance(3)


def test_rejection_is_sent_from_the_port_of_requests(start, phone):
    files = Files()
    files.answer = lambda response: response.reject(b"\0\1", "File not found")
    client = phone(start(files))
    assert client.ask() == error(1, b"File not found")
    assert client.tid == client.server
    assert [result.error for result in files.results] == ["rejected: File not found"]


def test_rejection_takes_numbers_and_bytes(start, phone):
    files = Files()
    files.answer = lambda response: response.reject(2, b"no \xff")
    assert phone(start(files)).ask() == error(2, b"no \xff")


def test_ignored_request_gets_nothing(start, phone, reactor):
    files = Files()
    files.answer = lambda response: response.ignore()
    tftp = start(files)
    assert phone(tftp).ask() is None
    assert tftp.active == 0
    assert [result.error for result in files.results] == ["ignored"]


def test_second_answer_raises_and_closes_the_file(start, phone):
    files = Files()
    phone(start(files)).ask()
    (response,) = files.responses
    file = io.BytesIO()
    with pytest.raises(ValueError, match="answered"):
        response.accept(file)
    assert file.closed
    for answer in (
        lambda: response.accept_bytes(b""),
        lambda: response.reject(1, ""),
        response.ignore,
    ):
        with pytest.raises(ValueError, match="answered"):
            answer()


def test_answer_may_come_later(start, phone, reactor):
    files = Files()
    files.answer = files.later
    client = phone(start(files))
    assert client.ask() is None
    reactor.pass_time(25)
    files.responses[0].accept_bytes(b"late")
    assert client.received() == packet.Data(1, b"late")


def test_request_without_an_answer_is_dropped(start, phone, reactor):
    files = Files()
    files.answer = files.later
    tftp = start(files)
    client = phone(tftp)
    client.ask()
    reactor.pass_time(31)
    assert tftp.active == 0
    assert [result.error for result in files.results] == ["no answer from the handler"]
    file = io.BytesIO(b"too late")
    files.responses[0].accept(file)
    assert file.closed
    assert client.received() is None


# Errors


def test_without_a_handler_the_service_is_unavailable(start, phone):
    tftp = start(None)
    client = phone(tftp)
    assert client.ask() == error(0, b"service unavailable")
    tftp.handler = Files()
    assert client.fetch() == b"content"


def test_write_requests_are_refused(start, phone):
    client = phone(start(Files()))
    client.send(packet.request(packet.Opcode.WRQ, b"f", OCTET))
    assert client.received() == error(0, b"WRQ not supported")


@pytest.mark.parametrize("mode", [b"mail", b"", b"binary"])
def test_other_modes_are_refused(start, phone, mode):
    assert phone(start(Files())).ask(mode=mode) == error(0, b"mode not supported")


@pytest.mark.parametrize("mode", [b"netascii", b"NetASCII"])
def test_rfc_1350_netascii_content_without_line_ends_goes_as_it_is(start, phone, mode):
    content = bytes(set(range(256)) - {10, 13})
    assert phone(start(Files(content))).ask(mode=mode) == packet.Data(1, content)


def test_rfc_764_netascii_line_ends_are_translated(start, phone):
    client = phone(start(Files(b"a\nb\r\nc\r")))
    assert client.ask(mode=b"netascii") == packet.Data(1, b"a\r\nb\r\0\r\nc\r\0")


@pytest.mark.parametrize("size", [255, 256, 257, 5000])
def test_rfc_764_netascii_blocks_are_cut_after_translation(start, phone, size):
    files = Files()
    file = File(b"\n" * size)
    files.answer = lambda response: response.accept(file)
    client = phone(start(files))
    content = b""
    answer = client.ask(mode=b"netascii")
    while answer is not None:
        content += answer.payload
        client.send(packet.ack(answer.block))
        answer = client.received()
    assert content == b"\r\n" * size
    assert file.closed
    assert files.results[0].ok
    assert files.results[0].bytes_sent == 2 * size


def test_rfc_2349_netascii_size_is_that_of_what_is_sent(start, phone):
    client = phone(start(Files(b"a\nb\n")))
    assert client.ask(options={b"tsize": b"0"}, mode=b"netascii") == packet.OptionAck(
        {b"tsize": b"6"}
    )
    client.send(packet.ack(0))
    assert client.received() == packet.Data(1, b"a\r\nb\r\n")


def test_rfc_2349_netascii_size_of_a_large_file_is_not_told(start, phone):
    content = b"\n" * (server._MAX_BYTES_TO_COUNT + 1)
    client = phone(start(Files(content)))
    answer = client.ask(options={b"tsize": b"0", b"blksize": b"1024"}, mode=b"netascii")
    assert answer == packet.OptionAck({b"blksize": b"1024"})
    client.send(packet.ack(0))
    assert client.received() == packet.Data(1, b"\r\n" * 512)


def test_netascii_file_that_cannot_be_read_is_an_internal_error(start, phone, caplog):
    files = Files()
    file = File(b"\n" * 2000, good_reads=0)
    files.answer = lambda response: response.accept(file)
    client = phone(start(files))
    answer = client.ask(options={b"tsize": b"0"}, mode=b"netascii")
    assert answer == error(0, b"Internal processing error")
    assert file.closed


def test_failing_handler_is_an_internal_error(start, phone, caplog):
    files = Files()
    files.answer = lambda response: 1 / 0
    assert phone(start(files)).ask() == error(0, b"Internal processing error")
    assert "ZeroDivisionError" in caplog.text


def test_handler_that_fails_after_its_answer_changes_nothing(start, phone, caplog):
    files = Files()

    def answer(response):
        response.accept_bytes(b"good")
        raise RuntimeError("afterwards")

    files.answer = answer
    assert phone(start(files)).fetch() == b"good"
    assert "afterwards" in caplog.text


@pytest.mark.parametrize("good_reads", [0, 1])
def test_file_that_cannot_be_read_is_an_internal_error(start, phone, caplog, good_reads):
    files = Files()
    file = File(bytes(2000), good_reads)
    files.answer = lambda response: response.accept(file)
    assert phone(start(files)).fetch() == error(0, b"Internal processing error")
    assert file.closed
    assert "bad disk" in caplog.text
    assert [result.error for result in files.results] == ["reading the file failed"]


def test_file_that_cannot_be_closed_is_logged(start, phone, caplog):
    class Stuck(io.BytesIO):
        def close(self):
            raise OSError("stuck")

    files = Files()
    files.answer = lambda response: response.accept(Stuck(b"x"))
    assert phone(start(files)).fetch() == b"x"
    assert files.results[0].ok
    assert "stuck" in caplog.text


def test_failing_on_done_is_logged(start, phone, caplog):
    files = Files()
    tftp = start(files)
    client = phone(tftp)
    client.ask()
    files.responses[0].on_done = lambda result: 1 / 0
    client.send(packet.ack(1))
    assert tftp.active == 0
    assert "ZeroDivisionError" in caplog.text


def test_malformed_datagrams_are_logged_once_a_second_for_each_source(
    start, phone, reactor, caplog
):
    caplog.set_level(logging.INFO)
    tftp = start(Files())
    client, other = phone(tftp), phone(tftp, "127.0.0.2")
    for _ in range(5):
        client.send(b"\0\7nonsense")
    other.send(packet.ack(3))
    assert [record.args[0] for record in caplog.records] == ["127.0.0.1", "127.0.0.2"]
    reactor.pass_time(1)
    client.send(b"\0\7" + bytes(3000))
    assert len(caplog.records) == 3
    assert client.received() is None
    assert other.received() is None


@pytest.mark.parametrize(
    "datagram", [b"\0\1", b"\0\1f", b"\0\1file\0", b"\0\2file", b"\0\1" + b"x" * 3000]
)
def test_rfc_1350_malformed_request_is_answered_with_an_error(start, phone, datagram):
    files = Files()
    client = phone(start(files))
    client.send(datagram)
    answer = client.received()
    assert answer.code == packet.ErrorCode.ILLEGAL_OPERATION
    assert answer.message.startswith(b"Malformed request: ")
    assert client.tid == client.server
    assert files.requests == []


@pytest.mark.parametrize(
    "tail",
    [b"octet", b"octet" + bytes(500), b"octet\0\xff\xfe", b"octet" + bytes(5000)],
    ids=["no last NUL", "padded", "rubbish", "padded beyond what is read"],
)
def test_rfc_1350_padded_or_cut_request_is_served(start, phone, tail):
    client = phone(start(Files()))
    client.send(b"\0\1f\0" + tail)
    assert client.received() == packet.Data(1, b"content")


@pytest.mark.parametrize(
    "tail",
    [
        b"blksize\x001024",
        b"blksize\x001024\0\0\0\0",
        b"blksize\x001024\0rubbish",
        b"\0\0blksize\x001024\0",
        b"blksize\x001024\0BLKSIZE\x00512\0",
        b"blksize\x001024\0" + b"x" * 5000,
    ],
    ids=["no last NUL", "padded", "rubbish", "padded before", "named twice", "too long"],
)
def test_rfc_2347_options_that_are_clear_are_agreed(start, phone, tail):
    client = phone(start(Files()))
    client.send(b"\0\1f\0octet\0" + tail)
    assert client.received() == packet.OptionAck({b"blksize": b"1024"})


def test_rfc_1123_request_to_a_broadcast_address_is_ignored(reactor, start, phone, caplog):
    caplog.set_level(logging.INFO)
    files = Files()
    tftp = TftpServer(reactor, 0, "", files)
    tftp.startService()
    client = phone(tftp)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    broadcast = ("127.255.255.255", tftp.port)
    for datagram in (
        packet.request(packet.Opcode.RRQ, b"f", OCTET),
        packet.request(packet.Opcode.WRQ, b"f", OCTET),
        b"\0\1malformed",
    ):
        client.send(datagram, broadcast)
        assert client.received() is None
    assert files.requests == []
    assert "broadcast" in caplog.text
    assert client.fetch() == b"content"
    tftp.stopService()


@pytest.mark.parametrize(
    ("local", "header", "answer"),
    [
        ("192.0.2.1", "192.0.2.1", ("192.0.2.1", False)),
        ("192.0.2.1", "192.0.2.255", ("192.0.2.1", True)),
        ("192.0.2.1", "255.255.255.255", ("192.0.2.1", True)),
        ("192.0.2.1", "224.0.1.75", ("192.0.2.1", True)),
    ],
)
def test_rfc_1123_broadcast_is_told_from_the_destination_of_the_header(local, header, answer):
    content = struct.pack("=I4s4s", 2, socket.inet_aton(local), socket.inet_aton(header))
    assert server._destination([(socket.IPPROTO_IP, 8, content)]) == answer


def test_unknown_destination_is_served_from_the_address_that_the_kernel_picks():
    assert server._destination([]) == ("0.0.0.0", False)


def test_noise_of_many_sources_takes_bounded_memory():
    noise = server._OncePerSecond()
    allowed = sum(noise.allows(f"source {number}", 0.0) for number in range(5000))
    assert allowed == len(noise._quiet_until) == server._MAX_NOISY_SOURCES
    assert noise.allows("later", 1.0)
    assert len(noise._quiet_until) == 1


def test_stranger_gets_an_error_and_the_transfer_goes_on(start, phone):
    tftp = start(Files(bytes(600)))
    client, stranger = phone(tftp), phone(tftp)
    assert client.ask() == packet.Data(1, bytes(512))
    stranger.send(packet.ack(1), client.tid)
    assert stranger.received() == error(5, b"Unknown TID")
    stranger.send(packet.error(0, "x"), client.tid)
    assert stranger.received() is None
    client.send(packet.ack(1))
    assert client.received() == packet.Data(2, bytes(88))


def test_impossible_acknowledgement_closes_the_transfer(start, phone):
    files = Files(bytes(2000))
    tftp = start(files)
    client = phone(tftp)
    client.ask()
    client.send(packet.ack(7))
    assert client.received() == error(4, b"Illegal block number")
    assert tftp.transfers_failed == 1


def test_error_of_the_client_closes_the_transfer(start, phone):
    files = Files(bytes(2000))
    tftp = start(files)
    client = phone(tftp)
    client.ask()
    client.send(packet.error(8, "no options please"))
    assert client.received() is None
    assert tftp.active == 0
    assert "no options please" in files.results[0].error


def test_garbage_and_other_packets_do_not_disturb_a_transfer(start, phone):
    client = phone(start(Files(bytes(600))))
    client.ask()
    for datagram in (b"", b"\0", packet.data(1, b""), packet.oack({b"a": b"b"})):
        client.send(datagram)
    assert client.received() is None
    client.send(packet.ack(1))
    assert client.received() == packet.Data(2, bytes(88))


# Time


def test_silent_client_gets_four_copies_and_is_given_up(start, phone, reactor):
    files = Files(bytes(2000))
    file = File(bytes(2000))
    files.answer = lambda response: response.accept(file)
    tftp = start(files)
    client = phone(tftp)
    copies = [client.ask()]
    reactor.pass_time(16)
    while (answer := client.received()) is not None:
        copies.append(answer)
    assert copies == [packet.Data(1, bytes(512))] * 4
    assert file.closed
    assert tftp.active == 0
    (result,) = files.results
    assert (result.ok, result.retransmissions, result.bytes_sent) == (False, 3, 0)
    assert 15 <= result.seconds <= 15.5
    assert tftp.retransmissions == 3


def arrivals(client, reactor, seconds):
    """When datagrams came to the client, to a tenth of a second."""
    times = []
    for _ in range(round(seconds * 10)):
        reactor.pass_time(0.1)
        while client.received() is not None:
            times.append(round(reactor.seconds(), 1))
    return times


def assert_about(times, expected):
    """Each time may be two ticks late, as may all after it."""
    assert len(times) == len(expected)
    for time, sooner in zip(times, expected, strict=True):
        assert sooner <= time <= sooner + 0.2 * len(times)


def test_rfc_1123_interval_of_retransmission_doubles(start, phone, reactor):
    client = phone(start(Files(bytes(2000))))
    client.ask()
    client.send(packet.ack(1))
    assert client.received().block == 2
    assert_about(arrivals(client, reactor, 25), [1, 3, 7, 15, 23])


@pytest.mark.parametrize("seconds", [1, 3, 5])
def test_rfc_2349_agreed_timeout_rules_copies_of_the_option_acknowledgement_and_of_blocks(
    start, phone, reactor, seconds
):
    client = phone(start(Files(bytes(2000))))
    options = {b"timeout": b"%d" % seconds}
    assert client.ask(b"f", options) == packet.OptionAck(options)
    (first,) = arrivals(client, reactor, seconds + 0.5)
    assert seconds <= first <= seconds + 0.2
    client.send(packet.ack(0))
    client.received()
    client.send(packet.ack(1))
    client.received()
    acknowledged = reactor.seconds()
    (copy,) = arrivals(client, reactor, seconds + 0.5)
    assert seconds <= copy - acknowledged <= seconds + 0.3


def test_rfc_6298_window_is_not_sent_again_to_a_client_that_is_merely_slow(start, phone, reactor):
    client = phone(start(Files(bytes(512 * 30))))
    client.ask(b"f", {b"windowsize": b"8"})
    client.send(packet.ack(0))
    for last in (8, 16, 24):
        assert [client.received().block for _ in range(8)] == list(range(last - 7, last + 1))
        assert arrivals(client, reactor, 0.9) == []
        client.send(packet.ack(last))


@pytest.mark.parametrize("options", [None, {b"blksize": b"512"}, {b"windowsize": b"8"}])
def test_rfc_1123_every_acknowledgement_sent_twice_brings_each_block_once(start, phone, options):
    files = Files(bytes(512 * 50 + 1))
    client = phone(start(files))
    answer = client.ask(b"f", options)
    blocks = []
    while answer is not None:
        number = 0 if isinstance(answer, packet.OptionAck) else answer.block
        blocks.append(number)
        if number == 51 or (number % 8 == 0 or b"windowsize" not in (options or {})):
            client.sock.sendto(packet.ack(number), client.tid)
            client.send(packet.ack(number))
        answer = client.received()
    assert blocks == ([0] if options else []) + list(range(1, 52))
    assert [(result.ok, result.retransmissions) for result in files.results] == [(True, 0)]


def test_rfc_1123_old_acknowledgements_bring_nothing(start, phone):
    client = phone(start(Files(bytes(512 * 40))))
    client.ask(b"f", {b"windowsize": b"4"})
    for last in (0, 4, 8, 12):
        client.send(packet.ack(last))
        assert [client.received().block for _ in range(4)] == list(range(last + 1, last + 5))
    for block in range(13):
        client.send(packet.ack(block))
    assert client.received() is None


def test_rfc_7440_gap_in_a_window_is_filled_at_once(start, phone):
    client = phone(start(Files(bytes(512 * 40))))
    client.ask(b"f", {b"windowsize": b"8"})
    client.send(packet.ack(0))
    assert [client.received().block for _ in range(8)] == list(range(1, 9))
    client.send(packet.ack(3))
    assert [client.received().block for _ in range(8)] == list(range(4, 12))


def test_no_timer_runs_without_requests(start, phone, reactor):
    client = phone(start(Files()))
    assert reactor.getDelayedCalls() == []
    client.fetch()
    reactor.pass_time(0.2)
    assert reactor.getDelayedCalls() == []


def test_repeated_request_is_ignored_while_it_waits(start, phone, reactor):
    files = Files()
    files.answer = files.later
    client = phone(start(files))
    for _ in range(3):
        assert client.ask() is None
    assert len(files.requests) == 1


def test_repeated_request_is_ignored_until_the_answer_is_acknowledged(start, phone):
    files = Files(bytes(2000))
    client = phone(start(files))
    assert client.ask() == packet.Data(1, bytes(512))
    assert client.ask() is None
    assert len(files.requests) == 1


def test_same_request_after_an_acknowledgement_is_a_new_one(start, phone):
    files = Files(bytes(2000))
    tftp = start(files)
    client = phone(tftp)
    client.ask()
    client.send(packet.ack(1))
    assert client.received().block == 2
    old = client.tid
    assert client.ask() == packet.Data(1, bytes(512))
    assert client.tid != old
    client.send(packet.error(5, "Unknown TID"), old)
    assert tftp.active == 1


def test_one_port_may_ask_for_two_files(start, phone):
    files = Files()
    client = phone(start(files))
    client.ask(b"a")
    client.ask(b"b")
    assert [request["packet"]["filename"] for request in files.requests] == [b"a", b"b"]


# Limits


def test_source_over_its_limit_waits_and_others_do_not(start, phone, caplog):
    caplog.set_level(logging.INFO)
    tftp = start(Files(), max_transfers_per_source=2)
    clients = [phone(tftp) for _ in range(3)]
    for client in clients[:2]:
        assert isinstance(client.ask(), packet.Data)
    assert clients[2].ask() is None
    assert "2 requests are open already" in caplog.text
    assert isinstance(phone(tftp, "127.0.0.2").ask(), packet.Data)
    clients[0].send(packet.ack(1))
    assert isinstance(clients[2].ask(), packet.Data)


def test_two_thousand_abandoned_reads_keep_no_other_source_from_being_served(start, phone, reactor):
    tftp = start(Files(bytes(2000)))
    hostile, other, local = phone(tftp), phone(tftp, "127.0.0.2"), phone(tftp)
    for number in range(2000):
        hostile.send(packet.request(packet.Opcode.RRQ, b"%d" % number, OCTET), hostile.server)
        if number % 100 == 0:
            assert len(other.fetch()) == 2000
    assert tftp.active == 256
    reactor.pass_time(1)
    assert len(local.fetch()) == 2000  # behind the same address
    assert len(other.fetch()) == 2000


def test_abandoned_reads_make_room_one_by_one_and_running_ones_stay(start, phone, reactor):
    files = Files(bytes(2000))
    tftp = start(files, max_transfers_per_source=3)
    running, abandoned, stalled, late = (phone(tftp) for _ in range(4))
    stalled.ask()
    stalled.send(packet.ack(1))
    running.ask()
    abandoned.ask()
    running.send(packet.ack(1))
    reactor.pass_time(0.5)
    assert late.ask() is None
    reactor.pass_time(0.6)
    assert isinstance(late.ask(), packet.Data)
    late.send(packet.ack(1))
    assert [result.error for result in files.results] == ["given up for a newer request"]
    running.send(packet.ack(2))
    reactor.pass_time(9)
    running.send(packet.ack(3))
    assert isinstance(phone(tftp).ask(), packet.Data)
    assert [result.blocks for result in files.results] == [0, 1]  # `running` has three
    running.send(packet.ack(4))
    assert files.results[-1].ok


def test_waiting_handlers_are_never_ended_for_another(start, phone, reactor):
    files = Files()
    files.answer = files.later
    tftp = start(files, max_transfers_per_source=1)
    phone(tftp).ask()
    reactor.pass_time(20)
    phone(tftp).ask()
    assert len(files.requests) == 1


def test_full_server_ends_an_abandoned_read_of_the_source_that_has_most(start, phone, reactor):
    files = Files(bytes(2000))
    tftp = start(files, max_transfers=3)
    for address in ("127.0.0.2", "127.0.0.3", "127.0.0.2"):
        phone(tftp, address).ask()
    reactor.pass_time(1)
    assert isinstance(phone(tftp, "127.0.0.4").ask(), packet.Data)
    (gone,) = files.results
    assert gone.error == "given up for a newer request"
    assert sorted(tftp._by_source) == ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    reactor.pass_time(1)
    assert phone(tftp, "127.0.0.2").ask() is None  # it has one already, and nobody has more
    assert isinstance(phone(tftp, "127.0.0.5").ask(), packet.Data)


def test_acknowledgements_are_read_before_new_requests(reactor, start, phone):
    tftp = start(Files(), max_transfers_per_source=1)
    first, second = phone(tftp), phone(tftp)
    first.ask()
    second.sock.sendto(packet.request(packet.Opcode.RRQ, b"f", OCTET), second.server)
    first.sock.sendto(packet.ack(1), first.tid)
    reactor.run_readers()
    assert isinstance(second.received(), packet.Data)


def test_full_server_is_silent_until_there_is_room(start, phone, caplog):
    tftp = start(Files(), max_transfers=2)
    clients = [phone(tftp) for _ in range(3)]
    for client in clients[:2]:
        client.ask()
    assert clients[2].ask() is None
    assert clients[2].ask() is None
    assert len(caplog.records) == 1
    clients[0].send(packet.ack(1))
    assert isinstance(clients[2].ask(), packet.Data)


def test_without_descriptors_the_client_is_told_and_the_server_goes_on(
    start, phone, monkeypatch, caplog
):
    files = Files()
    file = io.BytesIO(b"x")
    files.answer = lambda response: response.accept(file)
    tftp = start(files)
    client, other = phone(tftp), phone(tftp)

    def no_socket(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(server.socket, "socket", no_socket)
        assert client.ask() == error(0, b"too many transfers")
        assert other.ask() == error(0, b"too many transfers")
    assert file.closed
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    files.answer = lambda response: response.accept_bytes(b"again")
    assert client.fetch() == b"again"


@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.EAGAIN, errno.ECONNREFUSED, errno.EPERM])
def test_failed_send_is_a_lost_datagram(start, phone, reactor, monkeypatch, code):
    class Socket(socket.socket):
        fails = True

        def sendto(self, *arguments):
            if self.fails:
                raise OSError(code, os.strerror(code))
            return super().sendto(*arguments)

    tftp = start(Files())
    client = phone(tftp)
    monkeypatch.setattr(server.socket, "socket", Socket)
    assert client.ask() is None
    Socket.fails = False
    reactor.pass_time(1.2)
    assert client.received() == packet.Data(1, b"content")


def test_failed_sends_are_named_in_the_result(start, phone, reactor, monkeypatch):
    class Socket(socket.socket):
        def sendto(self, *_):
            raise OSError(errno.EHOSTUNREACH, "No route to host")

    files = Files()
    tftp = start(files)
    client = phone(tftp)
    monkeypatch.setattr(server.socket, "socket", Socket)
    client.ask()
    reactor.pass_time(17)
    assert "no answer" in files.results[0].error
    assert "No route to host" in files.results[0].error


def test_many_transfers_leave_no_descriptor(start, phone):
    tftp = start(Files(bytes(1000)), max_transfers_per_source=300)
    client = phone(tftp)
    client.fetch()
    before = open_descriptors()
    for _ in range(200):
        assert len(client.fetch()) == 1000
    assert open_descriptors() == before
    assert tftp._latest == {}
    assert tftp._by_source == {}


def test_a_failure_while_reading_one_socket_spares_the_others(start, phone, monkeypatch, caplog):
    tftp = start(Files(bytes(600)))
    client, other = phone(tftp), phone(tftp)
    client.ask()
    monkeypatch.setattr(tftp, "_datagram_received", lambda *_: 1 / 0)
    other.ask()
    assert "ZeroDivisionError" in caplog.text
    client.send(packet.ack(1))
    assert client.received() == packet.Data(2, bytes(88))


# Start and stop


def test_taken_port_cannot_be_listened_to(start, reactor):
    tftp = start(Files())
    with pytest.raises(CannotListenError):
        TftpServer(reactor, tftp.port, "127.0.0.1", None).startService()


def test_idle_server_stops_at_once_and_starts_again(start, phone):
    tftp = start(Files())
    assert tftp.stopService().called
    tftp.startService()
    assert phone(tftp).fetch() == b"content"


def test_stopping_waits_for_running_transfers(start, phone):
    tftp = start(Files(bytes(600)))
    client, late = phone(tftp), phone(tftp)
    client.ask()
    stopped = tftp.stopService()
    assert late.ask() is None
    assert not stopped.called
    client.send(packet.ack(1))
    assert client.received() == packet.Data(2, bytes(88))
    client.send(packet.ack(2))
    assert stopped.called


def test_stopping_ends_what_does_not_end_itself(start, phone, reactor):
    files = Files(bytes(600))
    tftp = start(files, drain_seconds=2)
    client = phone(tftp)
    client.ask()
    stopped = tftp.stopService()
    reactor.pass_time(1.9)
    assert not stopped.called
    reactor.pass_time(0.2)
    assert stopped.called
    assert client.received() == packet.Data(1, bytes(512))  # sent again meanwhile
    assert client.received() == error(0, b"service unavailable")
    assert [result.error for result in files.results] == ["the server stops"]


def test_stopping_drops_requests_that_wait_for_their_handler(start, phone, reactor):
    files = Files()
    files.answer = files.later
    tftp = start(files)
    phone(tftp).ask()
    assert tftp.stopService().called
    files.responses[0].reject(1, "too late")
    assert [result.error for result in files.results] == ["the server stops"]


def test_stopping_twice_and_before_the_start_is_harmless(reactor, start, phone):
    assert TftpServer(reactor, 0, "127.0.0.1", None).stopService().called
    tftp = start(Files(bytes(600)))
    phone(tftp).ask()
    first, second = tftp.stopService(), tftp.stopService()
    reactor.pass_time(3.1)
    assert first.called
    assert second.called


# Many transfers, one reader


class EpollReactor(LoopbackReactor):
    """As Twisted's, it watches its readers, and what else it has, by an epoll set."""

    def __init__(self):
        super().__init__()
        self._poller = select.epoll()

    def addReader(self, reader):
        super().addReader(reader)
        self._poller.register(reader.fileno(), select.EPOLLIN)

    def removeReader(self, reader):
        super().removeReader(reader)
        self._poller.unregister(reader.fileno())


@pytest.fixture
def reading():
    """An epoll reactor, a set of TFTP sockets on it, and a way to make sockets with a reader."""
    reactor = EpollReactor()
    sockets = server._SocketSet(reactor)
    opened = []

    def add(read, **keywords):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.append(sock)
        sock.bind(("127.0.0.1", 0))
        sockets.add(sock, lambda now: read(sock.recv(100), sock.getsockname(), now), **keywords)
        return sock.getsockname()

    yield reactor, sockets, add
    sockets.close()
    reactor._poller.close()
    for sock in opened:
        sock.close()


def test_acknowledgement_that_comes_at_once_is_read_in_the_same_turn(reading):
    _reactor, sockets, add = reading
    seen = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def read(datagram, address, now):
            seen.append(datagram)
            if len(seen) < 5:
                sender.sendto(b"%d" % len(seen), address)

        sender.sendto(b"0", add(read))
        sockets.doRead()
    assert seen == [b"0", b"1", b"2", b"3", b"4"]


def test_turn_ends_in_time_for_timers_however_many_acknowledgements_come(reading):
    reactor, sockets, add = reading
    seen = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def read(datagram, address, now):
            seen.append(now)
            reactor.advance(0.0005)
            sender.sendto(b"again", address)

        sender.sendto(b"first", add(read))
        sockets.doRead()
    assert 1 < len(seen) <= 5
    assert seen[-1] < server._TURN_SECONDS


def test_turn_ends_when_something_else_of_the_reactor_is_ready(reading):
    reactor, sockets, add = reading
    seen = []
    reader, writer = os.pipe()
    try:
        reactor._poller.register(reader, select.EPOLLIN)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"0", add(lambda datagram, *_: seen.append(datagram)))
            os.write(writer, b"x")
            sockets.doRead()
        assert seen == [b"0"]
        assert reactor._poller.poll(0) == [(reader, select.EPOLLIN)]
        reactor._poller.unregister(reader)
    finally:
        os.close(reader)
        os.close(writer)


def test_turn_ends_after_requests_whose_handlers_may_have_something_to_do(reading):
    _reactor, sockets, add = reading
    seen = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:

        def read(datagram, address, now):
            seen.append(datagram)
            sender.sendto(b"next", address)

        sender.sendto(b"first", add(read, is_last=True))
        sockets.doRead()
        assert seen == [b"first"]
        sockets.doRead()
    assert seen == [b"first", b"next"]


def test_repeated_acknowledgement_brings_the_next_copy_after_a_second(start, phone, reactor):
    client = phone(start(Files(bytes(2000))))
    client.ask()
    client.send(packet.ack(1))
    assert client.received().block == 2
    assert len(arrivals(client, reactor, 1.5)) == 1
    client.send(packet.ack(1))
    assert_about(arrivals(client, reactor, 1.2), [2.5])
