import asyncio
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.simphone import fleet
from provd.simphone.boot import BootReport, StepReport
from provd.simphone.cli import summary_lines
from provd.simphone.fleet import Tally, percentile
from provd.simphone.models import find_model
from provd.simphone.phone import Phone, Target
from provd.simphone.progress import progress_line

TARGET = Target("http", "127.0.0.1", 1, "127.0.0.1")


def phone(number=0):
    return Phone(find_model("yealink", "T46S"), mac=f"001565{number:06x}")


def step(problem=None, *, required=True, seconds=0.002, outcome="HTTP 200", answered=True):
    return StepReport(
        file="{mac}.cfg",
        path="/001565000000.cfg",
        protocol="http",
        is_required=required,
        outcome=outcome,
        is_answered=answered,
        problem=problem,
        size=100,
        seconds=seconds,
    )


def report(*steps, seconds=0.01):
    return BootReport(phone(), steps, seconds)


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([], 50, None),
        ([7.0], 50, 7.0),
        ([7.0], 99, 7.0),
        ([1.0, 2.0, 3.0], 50, 2.0),
        ([float(n) for n in range(1, 101)], 99, 99.0),
        ([float(n) for n in range(1, 201)], 99, 198.0),
    ],
)
def test_percentile_is_the_nearest_rank(values, percent, expected):
    assert percentile(values, percent) == expected


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(1, 100))
def test_at_least_that_percentage_of_the_values_is_not_above_a_percentile(values, percent):
    value = percentile(sorted(values), percent)
    assert value in values
    assert sum(v <= value for v in values) >= percent / 100 * len(values) - 1e-6


def test_a_boot_fails_for_its_first_required_file_only():
    fine = report(step("HTTP 404", required=False), step())
    bad = report(step("HTTP 404", required=False), step("HTTP 500"), step("empty"))
    assert fine.failure is None
    assert bad.failure == "{mac}.cfg: HTTP 500"


def test_a_tally_adds_up_what_happened():
    tally = Tally()
    tally.add(report(step(seconds=0.001), seconds=0.010))
    tally.add(report(step(seconds=0.003), seconds=0.030))
    tally.add(report(step("timeout", outcome="timeout", answered=False), seconds=10.0))
    tally.stop()
    summary = tally.summary()
    assert (summary.phones, summary.failed, summary.requests, summary.bytes) == (3, 1, 3, 300)
    assert summary.failures == {"{mac}.cfg: timeout": 1}
    assert summary.outcomes == {"HTTP 200": 2, "timeout": 1}
    # A timeout is no time of an answer, and a failed boot no time of a boot.
    assert (summary.boot_median, summary.boot_p99) == (0.010, 0.030)
    assert (summary.request_median, summary.request_p99) == (0.001, 0.003)


def test_a_summary_is_shown_as_text_and_as_json():
    tally = Tally()
    tally.add(report(step(seconds=0.0015), seconds=0.0125))
    tally.add(report(step("timeout", outcome="timeout", answered=False)))
    tally.late = 1
    tally.stop()
    text = "\n".join(summary_lines(tally.summary()))
    assert "2, 1 failed" in text
    assert "median 12.5 ms, p99 12.5 ms" in text
    assert "1  {mac}.cfg: timeout" in text
    assert "1 phones waited" in text
    as_json = json.loads(json.dumps(tally.summary().as_json()))
    assert as_json["boot_p99_ms"] == 12.5
    assert as_json["request_median_ms"] == 1.5
    assert as_json["failures"] == {"{mac}.cfg: timeout": 1}


def test_an_empty_summary_has_no_times():
    tally = Tally()
    tally.stop()
    assert "median -, p99 -" in "\n".join(summary_lines(tally.summary()))
    assert tally.summary().as_json()["boot_median_ms"] is None


def test_progress_shows_how_far_the_fleet_is():
    tally = Tally()
    tally.add(report(step()))
    assert progress_line(tally, 2, with_bar=True).startswith(f"[{'#' * 15}{'.' * 15}] 1/2 phones")
    assert progress_line(tally, 2, with_bar=False).startswith("1/2 phones, 0 failed")


class FakeBoot:
    """Takes the place of a boot: takes `seconds`, and notes who boots at one time."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.running = 0
        self.most_running = 0
        self.begun_at = []

    async def __call__(self, phone, _target):
        self.begun_at.append(asyncio.get_running_loop().time())
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        await asyncio.sleep(self.seconds)
        self.running -= 1
        return BootReport(phone, (step(),), self.seconds)


def run(monkeypatch, fake, count, **options):
    monkeypatch.setattr(fleet, "boot", fake)
    return asyncio.run(fleet.run([(phone(n), TARGET) for n in range(count)], **options))


def test_a_fleet_boots_every_phone_once_and_not_too_many_at_one_time(monkeypatch):
    fake = FakeBoot(0.002)
    macs = []
    summary = run(
        monkeypatch, fake, 25, concurrency=4, on_report=lambda report: macs.append(report.phone.mac)
    )
    assert summary.phones == 25
    assert len(set(macs)) == 25
    assert fake.most_running == 4


def test_a_rate_spaces_the_boots(monkeypatch):
    fake = FakeBoot(0)
    summary = run(monkeypatch, fake, 6, rate=50)
    assert all(b - a > 0.005 for a, b in itertools.pairwise(fake.begun_at))
    assert fake.begun_at[-1] - fake.begun_at[0] >= 0.095
    assert summary.late == 0


def test_phones_that_cannot_begin_in_time_are_counted(monkeypatch):
    summary = run(monkeypatch, FakeBoot(0.15), 4, rate=1000, concurrency=1)
    assert summary.late == 3


def test_a_reader_that_fails_stops_the_fleet(monkeypatch):
    def fail(_report):
        raise BrokenPipeError

    fake = FakeBoot(0.001)
    with pytest.raises(BrokenPipeError):
        run(monkeypatch, fake, 100, concurrency=3, on_report=fail)
    assert len(fake.begun_at) < 10
