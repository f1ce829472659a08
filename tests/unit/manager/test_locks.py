"""Locks by key."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import defer, task

from provd.errors import TooBusy
from provd.manager.locks import KeyedLocks, finish
from tests.unit.manager.core import later, result


@pytest.fixture
def clock():
    return task.Clock()


@pytest.fixture
def locks(clock):
    return KeyedLocks(clock, timeout=5)


async def hold(locks, key, until, log=None, name=None):
    async with locks.hold(key):
        if log is not None:
            log.append(name)
        await until


def test_a_second_holder_waits_for_the_first(locks):
    first, second = defer.Deferred(), defer.Deferred()
    log = []
    one = later(hold(locks, "k", first, log, 1))
    two = later(hold(locks, "k", second, log, 2))
    assert log == [1]
    first.callback(None)
    assert log == [1, 2]
    second.callback(None)
    result(one)
    result(two)


def test_different_keys_do_not_wait_and_take_no_memory_afterwards(locks):
    gate = defer.Deferred()
    log = []
    running = [later(hold(locks, key, gate, log, key)) for key in ("a", "b", ("a", "b"))]
    assert log == ["a", "b", ("a", "b")]
    assert len(locks) == 3
    gate.callback(None)
    for each in running:
        result(each)
    assert len(locks) == 0


def test_a_wait_ends_with_too_busy_and_the_lock_still_works(locks, clock):
    gate = defer.Deferred()
    log = []
    first = later(hold(locks, "k", gate, log, 1))
    second = later(hold(locks, "k", defer.succeed(None), log, 2))
    clock.advance(5)
    with pytest.raises(TooBusy, match="5 s"):
        result(second)
    third = later(hold(locks, "k", defer.succeed(None), log, 3))
    gate.callback(None)
    result(first)
    result(third)
    assert log == [1, 3]
    assert len(locks) == 0
    assert clock.getDelayedCalls() == []


def test_a_waiter_that_is_cancelled_gives_up_its_place(locks, clock):
    gate = defer.Deferred()
    log = []
    first = later(hold(locks, "k", gate, log, 1))
    second = later(hold(locks, "k", defer.succeed(None), log, 2))
    third = later(hold(locks, "k", defer.succeed(None), log, 3))
    second.cancel()
    with pytest.raises(defer.CancelledError):
        result(second)
    gate.callback(None)
    result(first)
    result(third)
    assert log == [1, 3]
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize("how", ["fails", "is cancelled"])
def test_a_holder_that_ends_badly_frees_the_lock(locks, how):
    gate = defer.Deferred()
    first = later(hold(locks, "k", gate))
    if how == "fails":
        gate.errback(ValueError())
    else:
        first.cancel()
    with pytest.raises((ValueError, defer.CancelledError)):
        result(first)
    assert len(locks) == 0
    result(hold(locks, "k", defer.succeed(None)))


def test_many_waiters_that_have_little_to_do_follow_one_another_without_recursion(locks):
    gate = defer.Deferred()
    log = []
    running = [later(hold(locks, "k", gate, log, 0))]
    running += [later(hold(locks, "k", defer.succeed(None), log, n)) for n in range(1, 3000)]
    gate.callback(None)
    for each in running:
        result(each)
    assert log == list(range(3000))
    assert len(locks) == 0


@settings(deadline=None)
@given(st.data())
def test_never_two_holders_of_a_key_and_always_first_come_first_served(data):
    clock = task.Clock()
    locks = KeyedLocks(clock, timeout=1000)
    inside = {"a": 0, "b": 0}
    order = {"a": [], "b": []}
    gates = []

    async def work(key, number):
        async with locks.hold(key):
            inside[key] += 1
            assert inside[key] == 1
            order[key].append(number)
            gate = defer.Deferred()
            gates.append(gate)
            await gate
            inside[key] -= 1

    running = []
    for number in range(data.draw(st.integers(1, 12))):
        running.append(later(work(data.draw(st.sampled_from("ab")), number)))
        if gates and data.draw(st.booleans()):
            gates.pop(data.draw(st.integers(0, len(gates) - 1))).callback(None)
    while gates:
        gates.pop(data.draw(st.integers(0, len(gates) - 1))).callback(None)
    for each in running:
        result(each)
    assert order["a"] == sorted(order["a"])
    assert order["b"] == sorted(order["b"])
    assert len(locks) == 0
    assert clock.getDelayedCalls() == []


# Work that goes on


def test_finished_work_gives_its_result_or_its_error():
    async def work(value):
        if isinstance(value, Exception):
            raise value
        return value

    assert result(finish(work(3))) == 3
    with pytest.raises(ValueError, match="no"):
        result(finish(work(ValueError("no"))))


@pytest.mark.parametrize("ends_well", [True, False])
def test_work_goes_on_when_nobody_waits_for_it_any_more(caplog, ends_well):
    gate = defer.Deferred()
    log = []

    async def work():
        await gate
        log.append("done")
        if not ends_well:
            raise ValueError("late")

    waiting = later(finish(work()))
    waiting.cancel()
    with pytest.raises(defer.CancelledError):
        result(waiting)
    assert log == []
    gate.callback(None)
    assert log == ["done"]
    assert ("failed" in caplog.text) is not ends_well
