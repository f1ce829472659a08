"""Bounds on automatic creation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import task

from provd.manager import limits
from provd.manager.limits import CreationLimits, TokenBucket


def test_a_burst_is_allowed_and_then_the_rate():
    bucket = TokenBucket(rate=2, burst=3, now=0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(0.4)
    assert bucket.take(0.5)
    assert [bucket.take(100) for _ in range(4)] == [True, True, True, False]


@given(
    st.floats(0.1, 100),
    st.integers(1, 50),
    st.lists(st.floats(0, 5), min_size=1, max_size=100),
)
def test_never_more_than_burst_and_rate_allow(rate, burst, pauses):
    bucket = TokenBucket(rate, burst, 0)
    now = taken = 0.0
    for pause in pauses:
        now += pause
        taken += bucket.take(now)
    assert taken <= burst + rate * now + 1e-6


def test_a_clock_set_back_does_not_stop_creation():
    bucket = TokenBucket(rate=1, burst=2, now=10_000)
    assert bucket.take(10_000)
    assert bucket.take(100)
    assert not bucket.take(100)
    assert bucket.take(101)


def test_each_source_has_its_own_limit_below_the_common_one():
    clock = task.Clock()
    creation = CreationLimits(clock, 1, 3)
    assert [creation.allow("a") is None for _ in range(4)] == [True, True, True, False]
    assert [creation.allow("b") is None for _ in range(3)] == [True, True, False]
    assert "a creates more than 3 devices a minute" in creation.allow("a")
    assert creation.allow("c") == "too many devices are being created"
    assert creation.refused == 4
    clock.advance(60)
    assert creation.allow("a") is None


def test_the_number_of_sources_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(limits, "_MAX_SOURCES", 3)
    creation = CreationLimits(task.Clock(), 1000, 1)
    for source in "abcd":
        assert creation.allow(source) is None
    assert list(creation._sources) == ["b", "c", "d"]
    assert creation.allow("b") is not None
    assert creation.allow("e") is None
    assert list(creation._sources) == ["d", "b", "e"]


@pytest.mark.parametrize("rate", [0.01, 0.5])
def test_a_rate_below_one_still_allows_one_at_a_time(rate):
    clock = task.Clock()
    creation = CreationLimits(clock, rate, rate)
    assert creation.allow("a") is None
    assert creation.allow("a") is not None
    clock.advance(60 / rate)
    assert creation.allow("a") is None
