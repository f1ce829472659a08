"""Work in the background, in slices."""

import logging

import pytest
from twisted.internet import defer, task

from provd.errors import InvalidParameter, OperationNotFound
from provd.manager import jobs as jobs_module
from provd.manager.jobs import Jobs
from provd.model.operations import PROGRESS, Operation
from tests.unit.manager.core import later, result


class StepClock(task.Clock):
    """A clock on which a pause of no time ends at the next step, as on a reactor."""

    def callLater(self, when, what, *args, **kwargs):
        return super().callLater(max(when, 1e-6), what, *args, **kwargs)

    def step(self):
        self.advance(1e-6)


@pytest.fixture
def clock():
    return StepClock()


@pytest.fixture
def jobs(clock):
    return Jobs(clock)


async def wait_for(deferred, log=None):
    try:
        await deferred
    finally:
        if log is not None:
            log.append("ended")


def test_a_running_job_has_a_name_until_it_ends(jobs):
    gate = defer.Deferred()
    jobs.start("sweeping", wait_for(gate))
    assert jobs.names == ["sweeping"]
    gate.callback(None)
    assert jobs.names == []


@pytest.mark.parametrize("at_once", [True, False])
def test_a_job_that_fails_is_logged_by_its_name(jobs, caplog, at_once):
    gate = defer.fail(ValueError("dust")) if at_once else defer.Deferred()
    jobs.start("sweeping", wait_for(gate))
    if not at_once:
        gate.errback(ValueError("dust"))
    assert jobs.names == []
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert record.getMessage() == "the job sweeping failed"
    assert isinstance(record.exc_info[1], ValueError)


def test_stop_cancels_every_job_and_waits_until_each_has_ended(jobs, clock, caplog):
    caplog.set_level(logging.INFO)
    log = []
    cleaning = defer.Deferred()

    async def slow_end():
        try:
            await defer.Deferred()
        finally:
            await cleaning
            log.append("clean")

    jobs.start("one", wait_for(defer.Deferred(), log))
    jobs.start("two", slow_end())
    stopping = later(jobs.stop())
    clock.step()
    assert log == ["ended"]
    assert not stopping.called
    cleaning.callback(None)
    clock.step()
    result(stopping)
    assert log == ["ended", "clean"]
    assert "the job one was stopped before its end" in caplog.text
    assert clock.getDelayedCalls() == []


def test_stop_without_jobs_returns_at_once(jobs):
    assert result(jobs.stop()) is None


def test_a_loop_over_items_yields_when_its_slice_is_used_up(jobs, clock, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(jobs_module, "SLICE_SECONDS", 0.005)
    monkeypatch.setattr(jobs_module.time, "perf_counter", lambda: now[0])
    done = []

    async def work(item):
        now[0] += 0.002
        done.append(item)

    running = later(jobs.for_each(range(10), work))
    sizes = [len(done)]
    for _ in range(3):
        clock.step()
        sizes.append(len(done))
    result(running)
    assert sizes == [3, 6, 9, 10]
    assert done == list(range(10))


def test_an_item_that_fails_is_logged_and_the_others_are_done(jobs, caplog):
    done = []

    async def work(item):
        if item == 1:
            raise ValueError("bad item")
        done.append(item)

    result(jobs.for_each([0, 1, 2], work))
    assert done == [0, 2]
    assert "1 could not be dealt with" in caplog.text


def test_a_cancelled_loop_ends_where_it_is(jobs, clock):
    done = []
    gate = defer.Deferred()

    async def work(item):
        done.append(item)
        if item == 1:
            await gate

    running = later(jobs.for_each([0, 1, 2], work))
    running.cancel()
    with pytest.raises(defer.CancelledError):
        result(running)
    assert done == [0, 1]


def test_items_are_taken_as_they_come(jobs):
    taken = []

    def items():
        for number in range(3):
            taken.append(number)
            yield number

    gate = defer.Deferred()

    async def work(item):
        if item == 0:
            await gate

    running = later(jobs.for_each(items(), work))
    assert taken == [0]
    gate.callback(None)
    result(running)
    assert taken == [0, 1, 2]


def test_a_job_tells_how_far_it_is_and_can_be_stopped():
    clock = task.Clock()
    jobs = Jobs(clock)
    operation = Operation(state=PROGRESS, current=0, end=3)
    waiting = [defer.Deferred() for _ in range(3)]
    jobs.start(
        "work", jobs.for_each(waiting, lambda item: item, operation), operation, can_be_stopped=True
    )
    [job] = jobs.all
    assert (job.name, job.operation.format()) == ("work", "progress;0/3")
    waiting[0].callback(None)
    assert jobs.get(job.id).operation.format() == "progress;1/3"
    jobs.cancel(job.id)
    assert jobs.all == []
    for name in (jobs.get, jobs.cancel):
        with pytest.raises(OperationNotFound):
            name(job.id)


def test_a_job_that_would_leave_something_half_done_is_not_stopped():
    jobs = Jobs(task.Clock())
    waiting = defer.Deferred()
    jobs.start("upgrade", jobs.for_each([waiting], lambda item: item))
    with pytest.raises(InvalidParameter):
        jobs.cancel(jobs.all[0].id)
    assert jobs.names == ["upgrade"]
    waiting.callback(None)
    assert jobs.names == []
