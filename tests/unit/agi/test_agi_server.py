"""The FastAGI listener, with a dialplan on the other end of a real socket."""

import time

import pytest
import pytest_twisted
from twisted.internet import defer, reactor, task
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol

from provd.agi.server import COMMAND_SECONDS, HANDLER_SECONDS, START_SECONDS, AgiFactory

HEAD = (
    b"agi_network: yes\nagi_request: agi://127.0.0.1:4573/%s\n"
    b"agi_channel: PJSIP/ap12345678-00000003\nagi_type: PJSIP\nagi_accountcode: \n"
)


def call(script=b"provision", *args):
    lines = [b"agi_arg_%d: %s\n" % (number, arg) for number, arg in enumerate(args, start=1)]
    return HEAD % script + b"".join(lines) + b"\n"


GOOD = call(b"provision", b"1234", b"10.0.0.9:5060")


class Asterisk(Protocol):
    """The side of Asterisk: obeys `SET VARIABLE`, and notes it."""

    def __init__(self):
        self.received = b""
        self.is_lost = False
        self.reply = b"200 result=1\n"

    def dataReceived(self, data):
        self.received += data
        if self.reply and data.endswith(b"\n"):
            self.transport.write(self.reply)

    def connectionLost(self, reason):
        self.is_lost = True
        self.reason = reason


def pause(seconds):
    return task.deferLater(reactor, seconds)


async def until(claim, seconds=5.0):
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it did not happen"
        await pause(0.005)


class Setup:
    def __init__(self):
        self.clock = task.Clock()
        self.calls = []
        self.answer = lambda: defer.succeed("success")
        self.factory = AgiFactory(self.clock, self.handle, max_sessions=3)
        self.port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.clients = []

    async def handle(self, arguments, source_ip):
        self.calls.append((arguments, source_ip))
        return await self.answer()

    async def dial(self, data=b""):
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        client = await endpoint.connect(Factory.forProtocol(Asterisk))
        client.transport.setTcpNoDelay(True)
        self.clients.append(client)
        client.transport.write(data)
        return client

    async def result(self, data=GOOD):
        client = await self.dial(data)
        await until(lambda: client.is_lost)
        return client.received

    async def close(self):
        await pause(0)
        await defer.maybeDeferred(self.port.stopListening)
        await self.factory.stop()
        for client in self.clients:
            client.transport.abortConnection()
            await until(lambda gone=client: gone.is_lost)


@pytest.fixture
def setup():
    made = Setup()
    yield made
    pytest_twisted.blockon(defer.Deferred.fromCoroutine(made.close()))
    assert made.factory.session_count == 0
    assert made.clock.getDelayedCalls() == []


def told(result):
    return b'SET VARIABLE "PROVD_RESULT" "%s"\n' % result


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "result", ["success", "unknown_code", "unknown_phone", "refused", "failed"]
)
async def test_the_result_is_set_and_the_dialplan_goes_on(setup, result):
    setup.answer = lambda: defer.succeed(result)
    assert await setup.result() == told(result.encode())
    # A reset would make Asterisk doubt the result.
    assert setup.clients[0].reason.check(ConnectionDone)
    ((arguments, source_ip),) = setup.calls
    assert (arguments["code"], arguments["ip"], source_ip) == ("1234", "10.0.0.9", "127.0.0.1")
    assert arguments["agi_channel"] == "PJSIP/ap12345678-00000003"
    assert (arguments["account"], arguments["port"]) == ("ap12345678", "5060")
    assert "name_mac" not in arguments


@pytest_twisted.ensureDeferred
async def test_a_mac_for_a_display_name_is_enough(setup):
    data = call(b"provision", b"1234").replace(
        b"agi_type", b"agi_calleridname: 001122AABBCC\nagi_type"
    )
    assert await setup.result(data) == told(b"success")
    assert setup.calls[0][0]["name_mac"] == "00:11:22:aa:bb:cc"


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("data", "result"),
    [
        (call(b"provision", b"", b"10.0.0.9"), b"unknown_code"),
        (call(b"provision", b"1234"), b"unknown_phone"),
        (call(b"elsewhere", b"1234", b"10.0.0.9"), b"failed"),
    ],
)
async def test_a_call_that_says_too_little_is_not_handled(setup, data, result):
    assert await setup.result(data) == told(result)
    assert setup.calls == []


@pytest_twisted.ensureDeferred
async def test_a_code_in_the_url_and_a_mac_are_enough(setup):
    assert await setup.result(call(b"provision?code=77&mac=001122aabbcc")) == told(b"success")
    assert setup.calls[0][0]["mac"] == "00:11:22:aa:bb:cc"


@pytest_twisted.ensureDeferred
async def test_bytes_may_come_one_by_one(setup):
    client = await setup.dial()
    for index in range(len(GOOD)):
        client.transport.write(GOOD[index : index + 1])
        if index % 10 == 0:
            await pause(0)
    await until(lambda: client.is_lost)
    assert client.received == told(b"success")


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "answer", [lambda: defer.fail(RuntimeError("broken")), lambda: defer.succeed("great")]
)
async def test_a_handler_that_breaks_is_a_failure(setup, answer, caplog):
    setup.answer = answer
    assert await setup.result() == told(b"failed")
    assert any(record.levelname == "ERROR" for record in caplog.records)


@pytest_twisted.ensureDeferred
async def test_a_handler_that_takes_too_long_is_given_up(setup):
    waiting = defer.Deferred()
    setup.answer = lambda: waiting
    client = await setup.dial(GOOD)
    await until(lambda: setup.calls)
    setup.clock.advance(HANDLER_SECONDS)
    await until(lambda: client.is_lost)
    assert client.received == told(b"failed")


@pytest_twisted.ensureDeferred
async def test_a_caller_who_hangs_up_does_not_stop_it(setup):
    waiting, done = defer.Deferred(), []
    waiting.addCallback(lambda result: done.append(result) or result)
    setup.answer = lambda: waiting
    client = await setup.dial(GOOD + b"HANGUP\n")
    await until(lambda: setup.calls)
    client.transport.abortConnection()
    await until(lambda: client.is_lost)
    await pause(0.02)
    assert setup.factory.session_count == 1
    waiting.callback("success")
    await until(lambda: setup.factory.session_count == 0)
    assert done == ["success"]


@pytest_twisted.ensureDeferred
async def test_a_dead_channel_still_gets_the_result(setup):
    waiting = defer.Deferred()
    setup.answer = lambda: waiting
    client = await setup.dial(GOOD)
    await until(lambda: setup.calls)
    client.transport.write(b"HANGUP\n")
    await pause(0.02)
    waiting.callback("success")
    await until(lambda: client.is_lost)
    assert client.received == told(b"success")


@pytest_twisted.ensureDeferred
async def test_a_command_that_is_refused_ends_the_session(setup, caplog):
    client = await setup.dial()
    client.reply = b"510 Invalid or unknown command\n"
    client.transport.write(GOOD)
    await until(lambda: client.is_lost)
    assert "SET VARIABLE failed: 510" in caplog.text


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("data", [b"", GOOD[:50]])
async def test_a_call_that_says_nothing_is_given_up(setup, data):
    client = await setup.dial(data)
    await until(lambda: setup.factory.session_count == 1)
    await pause(0.02)
    setup.clock.advance(START_SECONDS)
    await until(lambda: client.is_lost)
    assert setup.calls == []


@pytest_twisted.ensureDeferred
async def test_an_asterisk_that_does_not_answer_is_given_up(setup):
    client = await setup.dial()
    client.reply = b""
    client.transport.write(GOOD)
    await until(lambda: client.received)
    setup.clock.advance(COMMAND_SECONDS)
    await until(lambda: client.is_lost)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"x" * 20000, GOOD + b"what\n"]
)
async def test_another_protocol_is_cut_off(setup, data):
    waiting = defer.Deferred()
    setup.answer = lambda: waiting
    client = await setup.dial(data)
    await until(lambda: client.is_lost)
    assert client.received == b""
    waiting.callback("success")


@pytest_twisted.ensureDeferred
async def test_too_many_sessions_are_refused(setup):
    for _ in range(3):
        await setup.dial()
    await until(lambda: setup.factory.session_count == 3)
    refused = await setup.dial(GOOD)
    await until(lambda: refused.is_lost)
    setup.clients[0].transport.abortConnection()
    await until(lambda: setup.factory.session_count == 2)
    assert await setup.result() == told(b"success")


@pytest_twisted.ensureDeferred
async def test_a_stop_gives_up_what_is_under_way(setup):
    cancelled = []
    setup.answer = lambda: defer.Deferred(cancelled.append)
    working, silent = await setup.dial(GOOD), await setup.dial()
    await until(lambda: setup.calls and setup.factory.session_count == 2)
    await setup.factory.stop()
    assert len(cancelled) == 1
    await until(lambda: working.is_lost and silent.is_lost)
    late = await setup.dial(GOOD)
    await until(lambda: late.is_lost)
    assert len(setup.calls) == 1
