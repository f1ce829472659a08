"""The consumer connects again for ever, at growing distances, and deals with one event at a time."""

import json
import logging

import pytest
from twisted.internet import defer, task

from provd.bus.consumer import RETRY_SECONDS, BusConsumer
from provd.bus.events import Message
from provd.errors import InvalidDocument


class Connection:
    """A connection that a test feeds and ends."""

    def __init__(self):
        self.is_open = True
        self.messages = defer.DeferredQueue()
        self.acknowledged = []
        self.closing = defer.succeed(None)
        self.closed = False

    async def receive(self):
        message = await self.messages.get()
        if isinstance(message, Exception):
            raise message
        return message

    def acknowledge(self, message):
        if not self.is_open:
            raise ConnectionError("closed")
        self.acknowledged.append(message.tag)

    async def close(self):
        self.is_open = False
        await self.closing
        self.closed = True

    def deliver(self, tag, name="event", data=None, body=None):
        body = body if body is not None else json.dumps({"data": data or {}}).encode()
        self.messages.put(Message({"name": name}, body, tag))

    def end(self):
        self.is_open = False
        self.messages.put(ConnectionError("the broker is gone"))


class Bus:
    """A consumer on a Clock; `attempts` holds what each attempt to connect waits for."""

    def __init__(self):
        self.clock = task.Clock()
        self.attempts = []
        self.handled = []
        self.missed = 0
        self.answer = lambda data: defer.succeed(None)
        self.consumer = BusConsumer(
            self.clock, self.connect, {"event": self.handle}, self.note_missed
        )

    async def connect(self):
        attempt = defer.Deferred()
        self.attempts.append(attempt)
        return await attempt

    async def handle(self, data):
        self.handled.append(data)
        await self.answer(data)

    def note_missed(self):
        self.missed += 1

    def accept(self):
        connection = Connection()
        self.attempts[-1].callback(connection)
        return connection

    def refuse(self, error=None):
        self.attempts[-1].errback(error or ConnectionError("refused"))

    def stop(self):
        ended = []
        defer.Deferred.fromCoroutine(self.consumer.stop()).addBoth(ended.append)
        return ended


@pytest.fixture
def bus():
    made = Bus()
    made.consumer.start()
    yield made
    made.stop()
    assert made.clock.getDelayedCalls() == []


def test_the_distance_of_attempts_doubles_up_to_half_a_minute(bus):
    distances = []
    for number in range(1, 10):
        assert len(bus.attempts) == number
        bus.refuse()
        began = bus.clock.seconds()
        while len(bus.attempts) == number:
            bus.clock.advance(0.5)
        distances.append(bus.clock.seconds() - began)
    assert distances == [1, 2, 4, 8, 16, 32, 32, 32, 32]


def test_after_a_connection_that_worked_distances_begin_anew(bus):
    bus.refuse()
    bus.clock.advance(1)
    bus.refuse()
    bus.clock.advance(2)
    bus.accept().end()
    assert not bus.consumer.connected
    bus.clock.advance(1)
    bus.refuse()
    bus.clock.advance(1.9)
    assert len(bus.attempts) == 4
    bus.clock.advance(0.1)
    assert len(bus.attempts) == 5


def test_an_error_nobody_thought_of_is_no_end(bus, caplog):
    bus.refuse(KeyError("surprise"))
    assert "surprise" in caplog.text
    bus.clock.advance(1)
    connection = bus.accept()
    connection.messages.put(ZeroDivisionError())
    bus.clock.advance(1)
    bus.accept().deliver(1)
    assert bus.handled == [{}]


def test_a_broker_that_stays_away_is_not_warned_of_for_ever(bus, caplog):
    caplog.set_level(logging.DEBUG, "provd.bus")
    for _ in range(20):
        bus.refuse()
        bus.clock.advance(32)
    levels = [record.levelno for record in caplog.records]
    assert levels.count(logging.WARNING) == len(RETRY_SECONDS)
    assert levels.count(logging.DEBUG) == 20 - len(RETRY_SECONDS)


def test_it_is_connected_from_acceptance_to_the_end(bus):
    assert not bus.consumer.connected
    connection = bus.accept()
    assert bus.consumer.connected
    connection.is_open = False
    assert not bus.consumer.connected


def test_events_may_have_been_missed_after_any_time_without_connection(bus):
    first = bus.accept()
    assert bus.missed == 0
    first.end()
    bus.clock.advance(1)
    assert bus.missed == 0
    bus.accept()
    assert bus.missed == 1


def test_a_first_connection_that_took_several_attempts_may_have_missed_events(bus):
    bus.refuse()
    bus.clock.advance(1)
    bus.accept()
    assert bus.missed == 1


def test_an_event_is_acknowledged_after_it_was_handled_and_before_the_next(bus):
    answers = [defer.Deferred(), defer.Deferred()]
    bus.answer = lambda data: answers[data["n"]]
    connection = bus.accept()
    connection.deliver(1, data={"n": 0})
    connection.deliver(2, data={"n": 1})
    assert (bus.handled, connection.acknowledged) == ([{"n": 0}], [])
    answers[0].callback(None)
    assert (bus.handled, connection.acknowledged) == ([{"n": 0}, {"n": 1}], [1])
    answers[1].callback(None)
    assert connection.acknowledged == [1, 2]


@pytest.mark.parametrize(
    "error", [InvalidDocument("not so"), KeyError("a bug"), defer.CancelledError()]
)
def test_an_event_whose_handling_fails_is_acknowledged_and_told(bus, caplog, error):
    bus.answer = lambda data: defer.fail(error)
    connection = bus.accept()
    connection.deliver(1)
    assert connection.acknowledged == [1]
    assert caplog.records
    bus.answer = lambda data: defer.succeed(None)
    connection.deliver(2)
    assert connection.acknowledged == [1, 2]


def test_a_bad_message_and_an_event_of_others_are_acknowledged(bus):
    connection = bus.accept()
    connection.deliver(1, body=b"nonsense")
    connection.deliver(2, name="something_else")
    assert connection.acknowledged == [1, 2]
    assert bus.handled == []


def test_a_connection_that_ends_while_an_event_is_handled_is_replaced(bus):
    bus.answer = lambda data: answer
    answer = defer.Deferred()
    connection = bus.accept()
    connection.deliver(1)
    connection.end()
    assert not bus.consumer.connected
    answer.callback(None)
    assert connection.closed
    bus.clock.advance(1)
    assert len(bus.attempts) == 2


@pytest.mark.parametrize("state", ["connecting", "waiting", "connected", "handling"])
def test_it_stops_in_every_state(state):
    bus = Bus()
    bus.consumer.start()
    connection = None
    if state == "waiting":
        bus.refuse()
    elif state in {"connected", "handling"}:
        connection = bus.accept()
    if state == "handling":
        bus.answer = lambda data: defer.Deferred()
        connection.deliver(1)
    assert bus.stop() == [None]
    assert bus.clock.getDelayedCalls() == []
    assert not bus.consumer.connected
    if connection is not None:
        assert connection.closed
        assert connection.acknowledged == []
    bus.clock.advance(100)
    assert len(bus.attempts) == 1


def test_the_stop_waits_until_the_connection_is_closed(bus):
    connection = bus.accept()
    connection.closing = defer.Deferred()
    ended = bus.stop()
    assert ended == []
    connection.closing.callback(None)
    assert ended == [None]


def test_stopping_what_was_not_started_is_fine():
    assert Bus().stop() == [None]
