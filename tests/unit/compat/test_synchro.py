"""Many readers or one writer hold the lock, in the order they asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import defer

from provd.compat.synchro import DeferredRWLock, InvalidLockUsage


@pytest.fixture
def lock():
    return DeferredRWLock()


def test_readers_hold_the_lock_together(lock):
    assert lock.read_lock.acquire().called
    assert lock.read_lock.acquire().called


def test_a_writer_waits_for_all_readers_before_it_and_later_readers_for_the_writer(lock):
    lock.read_lock.acquire()
    lock.read_lock.acquire()
    writer, reader = lock.write_lock.acquire(), lock.read_lock.acquire()
    lock.read_lock.release()
    assert not writer.called
    lock.read_lock.release()
    assert (writer.called, reader.called) == (True, False)
    lock.write_lock.release()
    assert reader.called


def test_the_deferred_fires_with_the_side_that_is_held(lock):
    assert lock.write_lock.acquire().result is lock.write_lock


def test_releasing_what_nobody_holds_is_refused(lock):
    for side in (lock.read_lock, lock.write_lock):
        with pytest.raises(InvalidLockUsage):
            side.release()
    lock.read_lock.acquire()
    with pytest.raises(InvalidLockUsage):
        lock.write_lock.release()


def test_who_gives_up_waiting_holds_up_nobody(lock):
    lock.read_lock.acquire()
    writer, reader = lock.write_lock.acquire(), lock.read_lock.acquire()
    writer.addErrback(lambda failure: failure.trap(defer.CancelledError))
    writer.cancel()
    assert reader.called


def test_run_holds_the_lock_until_the_result_is_there(lock):
    pending = defer.Deferred()
    running = lock.write_lock.run(lambda: pending)
    waiting = lock.read_lock.acquire()
    assert not waiting.called
    pending.callback("result")
    assert running.result == "result"
    assert waiting.called


def test_run_releases_the_lock_after_an_error(lock):
    running = lock.write_lock.run(lambda: 1 / 0)
    running.addErrback(lambda failure: failure.trap(ZeroDivisionError))
    assert lock.write_lock.acquire().called


def test_thousands_of_waiting_calls_run_one_after_the_other(lock):
    lock.write_lock.acquire()
    ran = []
    for number in range(5000):
        lock.write_lock.run(ran.append, number)
    lock.write_lock.release()
    assert ran == list(range(5000))


@given(st.lists(st.sampled_from(["read", "write", "release", "cancel"])))
def test_readers_and_writers_never_meet_and_nobody_is_forgotten(actions):
    lock = DeferredRWLock()
    held, waiting = [], []

    def asked(kind):
        side = lock.read_lock if kind == "read" else lock.write_lock
        place = (kind, side.acquire())
        waiting.append(place)
        place[1].addCallbacks(
            lambda _: (waiting.remove(place), held.append(kind)), lambda _: waiting.remove(place)
        )

    def release():
        kind = held.pop()
        (lock.read_lock if kind == "read" else lock.write_lock).release()

    for action in actions:
        if action in {"read", "write"}:
            asked(action)
        elif action == "release" and held:
            release()
        elif action == "cancel" and waiting:
            waiting[0][1].cancel()
        assert held.count("write") <= 1
        assert not ("write" in held and "read" in held)
        assert held or not waiting
    while held:
        release()
    assert waiting == []
