"""What is tried again and again: after which delays, in what words, and how it is hurried."""

import logging

import pytest
from twisted.internet import defer, task

from provd.errors import StoreError
from provd.retry import RetryLoop


class Attempts:
    """A loop whose attempts end as a test says."""

    def __init__(self, **options):
        self.clock = task.Clock()
        self.began = []
        self.current = None
        given = {"name": "the door is shut", "delays": (1, 2, 4), **options}
        self.loop = RetryLoop(self.clock, self.attempt, **given)

    async def attempt(self):
        self.began.append(self.clock.seconds())
        self.current = defer.Deferred()
        return await self.current

    def fail(self, error=None):
        self.current.errback(error or StoreError("no"))

    def stop(self):
        ended = []
        defer.Deferred.fromCoroutine(self.loop.stop()).addBoth(ended.append)
        assert ended == [None]
        assert self.clock.getDelayedCalls() == []


@pytest.fixture
def make():
    made = []

    def build(**options):
        made.append(Attempts(**options))
        return made[-1]

    yield build
    for attempts in made:
        attempts.stop()


def test_delays_grow_up_to_the_last_and_begin_anew_after_a_success(make):
    attempts = make()
    attempts.loop.start()
    for delay in (1, 2, 4, 4):
        attempts.fail()
        attempts.clock.advance(delay - 0.01)
        number = len(attempts.began)
        attempts.clock.advance(0.01)
        assert len(attempts.began) == number + 1
    attempts.current.callback(10)
    attempts.clock.advance(10)
    attempts.fail()
    attempts.clock.advance(1)
    assert attempts.began == pytest.approx([0, 1, 3, 7, 11, 21, 22])


def test_jitter_makes_a_delay_longer(make):
    attempts = make(jitter=lambda: 0.5)
    attempts.loop.start()
    attempts.fail()
    attempts.clock.advance(1.4)
    assert len(attempts.began) == 1
    attempts.clock.advance(0.1)
    assert len(attempts.began) == 2


def test_failures_are_warnings_until_the_last_delay_and_a_bug_has_a_traceback(make, caplog):
    caplog.set_level(logging.DEBUG)
    attempts = make()
    attempts.loop.start()
    for _ in range(5):
        attempts.fail()
        attempts.clock.advance(4)
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.WARNING] * 3 + [logging.DEBUG] * 2
    assert caplog.messages[0] == "the door is shut, next try in 1 s: no"
    assert caplog.records[0].exc_info is None
    attempts.fail(KeyError("a bug"))
    assert caplog.records[-1].exc_info is not None


def test_the_level_of_the_line_may_be_chosen(make, caplog):
    attempts = make(level=lambda error, failures: logging.ERROR + failures)
    attempts.loop.start()
    attempts.fail()
    assert caplog.records[0].levelno == logging.ERROR + 1


def test_who_hurries_has_the_next_attempt_now_but_not_within_the_least_time(make):
    attempts = make(delays=(60,))
    attempts.loop.start()
    attempts.fail()
    assert not attempts.loop.hurry(1)
    assert len(attempts.began) == 1
    attempts.clock.advance(1)
    assert attempts.loop.hurry(1)
    assert len(attempts.began) == 2


def test_an_attempt_that_is_hurried_while_it_runs_is_followed_by_another(make):
    attempts = make(delays=(60,))
    attempts.loop.start()
    attempts.loop.hurry()
    attempts.current.callback(3600)
    attempts.clock.advance(0)
    assert attempts.began == [0, 0]


def test_who_waits_for_the_end_of_an_attempt_is_told_and_may_leave(make):
    attempts = make()
    attempts.loop.start()
    told = []
    attempts.loop.attempt_ended().addCallback(told.append)
    leaving = attempts.loop.attempt_ended()
    leaving.addErrback(lambda failure: failure.trap(defer.CancelledError))
    leaving.cancel()
    attempts.fail()
    assert told == [None]
    assert attempts.loop.problem == "no"
    assert not attempts.loop.is_attempting


def test_it_starts_late_and_stops_at_any_time(make):
    attempts = make()
    attempts.loop.start(5)
    attempts.clock.advance(4)
    assert attempts.began == []
    attempts.stop()
    attempts.loop.start(5)
    attempts.clock.advance(5)
    assert attempts.loop.is_running
    attempts.stop()
    assert not attempts.loop.is_running
    attempts.clock.advance(100)
    assert len(attempts.began) == 1


def test_an_attempt_that_is_cancelled_by_itself_is_a_failure_like_others(make):
    attempts = make()
    attempts.loop.start()
    attempts.fail(defer.CancelledError())
    attempts.clock.advance(1)
    assert len(attempts.began) == 2
