"""Notifying by SIP: with sipp as the phone, through a network that loses packets, and with none."""

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import attrs
import pytest
import pytest_twisted
from twisted.internet import defer, reactor, task
from twisted.internet.protocol import DatagramProtocol

from provd.errors import SynchronizeError
from provd.notify.interface import Phone as phone_at
from provd.notify.sip import SipNotifier

SIPP = shutil.which("sipp")
needs_sipp = pytest.mark.skipif(
    SIPP is None and os.environ.get("CI") != "true",
    reason="sipp is missing: apt-get install sip-tester",
)

SCENARIO = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="a phone that takes one NOTIFY">
  <recv request="NOTIFY">
    <action>
      <ereg regexp="^ *{event}$" search_in="hdr" header="Event:" check_it="true" assign_to="1"/>
      <ereg regexp="^ *terminated$" search_in="hdr" header="Subscription-State:" check_it="true" assign_to="2"/>
      <ereg regexp="^NOTIFY sip:abc@127.0.0.1" search_in="msg" check_it="true" assign_to="3"/>
    </action>
  </recv>
  <Reference variables="1,2,3"/>
  {provisional}
  <send>
    <![CDATA[
      SIP/2.0 {status}
      [last_Via:]
      [last_From:]
      [last_To:];tag=[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

    ]]>
  </send>
</scenario>
"""
TRYING = """<send><![CDATA[
      SIP/2.0 100 Trying
      [last_Via:]
      [last_From:]
      [last_To:]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

    ]]></send>
    <pause milliseconds="200"/>"""


def pause(seconds):
    return task.deferLater(reactor, seconds)


class Phone(DatagramProtocol):
    """A phone that notes what it gets, and answers what a test tells it to."""

    def __init__(self):
        self.received = []
        self.answers = ["200 OK"]
        self.lost = 0
        self.port = reactor.listenUDP(0, self, interface="127.0.0.1")

    @property
    def address(self):
        return f"127.0.0.1:{self.port.getHost().port}"

    def datagramReceived(self, datagram, addr):
        self.received.append(datagram)
        if len(self.received) <= self.lost:
            return
        for answer in self.answers:
            self.answer(answer, datagram, addr)

    def answer(self, answer, datagram, addr, alter=lambda text: text):
        kept = re.findall(r"(?m)^(?:Via|From|To|Call-ID|CSeq): .*\r\n", datagram.decode())
        text = f"SIP/2.0 {answer}\r\n{''.join(kept)}Content-Length: 0\r\n\r\n"
        self.transport.write(alter(text).encode(), addr)


@pytest.fixture
def phone():
    made = Phone()
    yield made
    pytest_twisted.blockon(defer.maybeDeferred(made.port.stopListening))


@pytest.fixture
def make():
    made = []

    def notifier(clock=None, **options):
        notifier = SipNotifier(
            Reactor(clock) if clock else reactor, interface="127.0.0.1", **options
        )
        notifier.start()
        made.append(notifier)
        return notifier

    yield notifier

    async def close():
        await pause(0)
        for notifier in made:
            await notifier.stop()

    pytest_twisted.blockon(defer.Deferred.fromCoroutine(close()))
    assert [call for call in reactor.getDelayedCalls() if call.active()] == []


class Reactor:
    """The real sockets with the time of a Clock."""

    def __init__(self, clock):
        self.callLater = clock.callLater
        self.listenUDP = reactor.listenUDP


def notify(notifier, address, event="check-sync", endpoint="abc", variables=()):
    phone = phone_at(account=endpoint, address=address)
    work = notifier.notify(phone, event=event, variables=variables)
    return defer.Deferred.fromCoroutine(work)


async def failure_of(work):
    with pytest.raises(SynchronizeError) as caught:
        await work
    return str(caught.value)


async def until(claim, seconds=5.0):
    end = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < end, "it did not happen"
        await pause(0.005)


# A real user agent


class Sipp:
    """sipp as the phone that is called; it fails if the NOTIFY is not what its scenario says."""

    def __init__(self, directory, event, status="200 OK", provisional=""):
        scenario = directory / "phone.xml"
        scenario.write_text(
            SCENARIO.format(event=event, status=status, provisional=provisional), encoding="ascii"
        )
        self.port = free_port()
        self.errors = directory / "errors.log"
        self.process = subprocess.Popen(
            [
                *(SIPP, "-sf", str(scenario), "-i", "127.0.0.1", "-p", str(self.port), "-m", "1"),
                *("-nostdin", "-timeout", "10s", "-timeout_error", "-trace_err"),
                *("-deadcall_wait", "0"),
                *("-error_file", str(self.errors), "-cp", str(free_port())),
            ],
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    async def bound(self):
        """Wait for its socket."""
        wanted = f":{self.port:04X} "
        while wanted not in Path("/proc/net/udp").read_text(encoding="ascii"):
            assert self.process.poll() is None
            await pause(0.01)

    async def ended(self):
        """Return its exit code: 0 if all went by its scenario."""
        await until(lambda: self.process.poll() is not None, 12)
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def sipp(tmp_path):
    started = []

    def start(*args, **options):
        started.append(Sipp(tmp_path, *args, **options))
        return started[-1]

    yield start
    for process in started:
        process.close()


@needs_sipp
@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("event", ["check-sync", "check-sync;reboot=true", "resync"])
@pytest.mark.parametrize("provisional", ["", TRYING])
async def test_a_real_user_agent_receives_the_event(make, sipp, event, provisional):
    agent = sipp(event, provisional=provisional)
    await agent.bound()
    await notify(make(), f"127.0.0.1:{agent.port}", event)
    assert await agent.ended() == 0, agent.errors.read_text(encoding="utf-8")


@needs_sipp
@pytest_twisted.ensureDeferred
async def test_a_real_user_agent_that_expects_another_event_notices(make, sipp):
    agent = sipp("check-sync;reboot=true")
    await agent.bound()
    work = notify(make(timeout=0.2), f"127.0.0.1:{agent.port}", "check-sync")
    # sipp answers all the same, but its exit code tells; else the tests above would prove nothing.
    work.addErrback(lambda failure: failure.trap(SynchronizeError))
    await work
    assert await agent.ended() != 0


@needs_sipp
@pytest_twisted.ensureDeferred
async def test_a_real_user_agent_that_refuses_is_told_of(make, sipp):
    agent = sipp("check-sync", status="489 Bad Event")
    await agent.bound()
    told = await failure_of(notify(make(), f"127.0.0.1:{agent.port}"))
    assert told.endswith("by SIP: the phone answered 489 Bad Event")
    assert await agent.ended() == 0


@needs_sipp
@pytest_twisted.ensureDeferred
async def test_a_real_user_agent_behind_a_network_that_loses_packets_is_reached(make, sipp):
    agent = sipp("check-sync")
    await agent.bound()
    lossy = LossyNetwork(agent.port, lost_requests=1, lost_responses=1)
    try:
        await notify(make(), lossy.address)
    finally:
        await lossy.close()
    assert lossy.requests == 3


class LossyNetwork(DatagramProtocol):
    """Forwards datagrams to a phone and back, but for the first ones."""

    def __init__(self, phone_port, *, lost_requests, lost_responses):
        self.phone = ("127.0.0.1", phone_port)
        self.lost_requests, self.lost_responses = lost_requests, lost_responses
        self.requests = self.responses = 0
        self.port = reactor.listenUDP(0, self, interface="127.0.0.1")
        self.address = f"127.0.0.1:{self.port.getHost().port}"
        self.sender = None
        self.last_response = None

    def datagramReceived(self, datagram, addr):
        if addr == self.phone:
            self.responses += 1
            self.last_response = datagram
            if self.responses > self.lost_responses:
                self.transport.write(datagram, self.sender)
        else:
            self.sender = addr
            self.requests += 1
            if self.requests > self.lost_requests:
                if self.last_response is None:
                    self.transport.write(datagram, self.phone)
                else:
                    # sipp has ended after its one call; a phone would say the same again.
                    self.transport.write(self.last_response, self.sender)

    async def close(self):
        await defer.maybeDeferred(self.port.stopListening)


# Time and loss


@pytest_twisted.ensureDeferred
async def test_a_lost_request_is_sent_again_and_the_same(make, phone):
    phone.lost = 3
    clock = task.Clock()
    work = notify(make(clock), phone.address)
    for number, delay in enumerate([0.5, 1.0, 2.0], start=1):
        await until(lambda expected=number: len(phone.received) == expected)
        clock.advance(delay - 0.01)
        await pause(0.01)
        assert len(phone.received) == number
        clock.advance(0.01)
    await work
    assert len(phone.received) == 4
    assert len(set(phone.received)) == 1
    assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_silence_ends_by_timer_f(make, phone):
    phone.answers = []
    clock = task.Clock()
    notifier = make(clock)
    work = notify(notifier, phone.address)
    clock.pump([0.5] * 64)
    assert await failure_of(work) == (
        f"NOTIFY 'check-sync' to 'abc' at '{phone.address}' by SIP: no answer in 32 s"
    )
    await until(lambda: len(phone.received) == 11)
    assert clock.getDelayedCalls() == []


@pytest_twisted.ensureDeferred
async def test_a_provisional_answer_waits_for_the_final_one(make, phone):
    phone.answers = ["100 Trying"]
    clock = task.Clock()
    notifier = make(clock)
    work = notify(notifier, phone.address)
    await until(lambda: len(phone.received) == 1)
    await pause(0.02)
    clock.advance(0.5)
    await until(lambda: len(phone.received) == 2)
    clock.advance(3.9)
    await pause(0.02)
    assert len(phone.received) == 2
    phone.answers = ["202 Accepted", "200 OK"]
    clock.advance(0.1)
    await work


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            "481 Call/Transaction Does Not Exist",
            "the phone answered 481 Call/Transaction Does Not Exist",
        ),
        ("401 Unauthorized", "asks for a password"),
        ("407 Proxy Authentication Required", "asks for a password"),
        ("302 Moved", "302 Moved"),
        ("503", "the phone answered 503"),
        ("486 Busy\x1b[2J", "486 Busy\\x1b[2J"),
    ],
)
async def test_any_other_final_answer_is_an_error(make, phone, answer, told):
    phone.answers = [answer]
    assert told in await failure_of(notify(make(), phone.address))


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "alter",
    [
        lambda text: re.sub("branch=[^;\r]+", "branch=z9hG4bKguessed", text),
        lambda text: text.replace("1 NOTIFY", "1 OPTIONS"),
        lambda text: "OPTIONS sip:x SIP/2.0" + text.removeprefix("SIP/2.0 200 OK"),
        lambda text: "\0" * 20,
    ],
)
async def test_what_is_no_answer_to_it_is_passed_over(make, phone, alter):
    phone.answers = []
    notifier = make()
    work = notify(notifier, phone.address)
    await until(lambda: phone.received)
    phone.answer("200 OK", phone.received[0], notifier.address, alter)
    await pause(0.05)
    assert not work.called
    phone.answer("200 OK", phone.received[0], notifier.address)
    await work


@pytest_twisted.ensureDeferred
async def test_many_phones_share_one_socket(make, phone):
    phone.answers = []
    notifier = make()
    works = [notify(notifier, phone.address, endpoint=str(number)) for number in range(50)]
    await until(lambda: len(phone.received) == 50)
    for datagram in reversed(phone.received):
        wanted = re.match(rb"NOTIFY sip:(\d+)@", datagram)[1].decode()
        answer = "200 OK" if int(wanted) % 2 else f"480 Number {wanted}"
        phone.answer(answer, datagram, notifier.address)
    for number, work in enumerate(works):
        if number % 2:
            await work
        else:
            assert f"480 Number {number}" in await failure_of(work)


@pytest_twisted.ensureDeferred
async def test_too_many_at_once_are_refused(make, phone, monkeypatch):
    monkeypatch.setattr("provd.notify.sip.MAX_TRANSACTIONS", 2)
    phone.answers = []
    notifier = make()
    works = [notify(notifier, phone.address) for _ in range(2)]
    assert "2 phones are being notified" in await failure_of(notify(notifier, phone.address))
    for work in works:
        work.cancel()
        with pytest.raises(defer.CancelledError):
            await work
    phone.answers = ["200 OK"]
    await notify(notifier, phone.address)


@pytest_twisted.ensureDeferred
async def test_a_host_for_from_and_a_port_of_phones_are_used(make, phone):
    port = phone.port.getHost().port
    await notify(make(from_host="pbx.example.org", phone_port=port), "127.0.0.1")
    assert b"\r\nFrom: <sip:provd@pbx.example.org>;tag=" in phone.received[0]
    assert phone.received[0].startswith(b"NOTIFY sip:abc@127.0.0.1:%d SIP/2.0\r\n" % port)


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("interface", ["", "0.0.0.0"])
async def test_on_all_interfaces_the_phone_is_told_the_one_it_sees(phone, interface):
    notifier = SipNotifier(reactor, interface=interface)
    notifier.start()
    try:
        await notify(notifier, phone.address)
    finally:
        await notifier.stop()
    assert b"\r\nVia: SIP/2.0/UDP 127.0.0.1:" in phone.received[0]
    assert b"\r\nContact: <sip:provd@127.0.0.1:" in phone.received[0]


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize(
    "address", [None, "", "::1", "10.0.0", "phone.example.org", "10.0.0.9:0", "10.0.0.9:x"]
)
async def test_an_address_that_cannot_be_sent_to_is_an_error(make, address):
    await failure_of(notify(make(), address))


@pytest_twisted.ensureDeferred
async def test_who_waits_when_it_stops_is_told(make, phone):
    phone.answers = []
    notifier = make()
    work = notify(notifier, phone.address)
    await notifier.stop()
    assert "stopped" in await failure_of(work)
    assert "stopped" in await failure_of(notify(notifier, phone.address))
    assert notifier.status == "stopped"


@pytest_twisted.ensureDeferred
async def test_a_port_that_is_taken_is_told_to_whoever_notifies(make, phone):
    notifier = make(port=phone.port.getHost().port)
    assert notifier.status.startswith("no socket")
    assert "in use" in await failure_of(notify(notifier, phone.address))


@pytest_twisted.ensureDeferred
async def test_one_of_several_phones_at_an_address_is_told_only_where_its_port_is_known(make):
    phone = Phone()
    host, _, port = phone.address.partition(":")
    known = phone_at(account="autoprov", address=host, is_shared=True, rivals=("other",))
    notifier = make()
    told = await failure_of(notifier.notify(known, event="check-sync"))
    assert "2 devices share its address, and its port is not known" in told
    assert phone.received == []
    await notifier.notify(attrs.evolve(known, port=int(port)), event="check-sync")
    assert len(phone.received) == 1
