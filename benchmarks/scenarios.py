"""What is measured: one function for each scenario, which yields rows.

Scenarios share one daemon and run in the order of this page; those that change much come last.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import attrs

from benchmarks import load, yardsticks
from benchmarks.daemon import config_name, mac_of
from benchmarks.report import Budget, Row, Yardstick

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL, LARGE, LOSSY = 8192, 20 * 1024 * 1024, 4 * 1024 * 1024


@attrs.frozen
class Scenario:
    """Something to measure; `budgets` are what its rows must reach, by row."""

    name: str
    summary: str
    run: Callable
    budgets: dict[str, Budget]
    needs_wrk: bool = False


SCENARIOS: list[Scenario] = []


def scenario(name, summary, *, needs_wrk=False, **budgets):
    """Add the decorated function: it takes the bench, its budgets by name, and yields rows."""

    def add(run):
        SCENARIOS.append(Scenario(name, summary, run, budgets, needs_wrk))
        return run

    return add


@scenario("start", "start until REST answers", seconds=Budget(most=2))
def start(bench, seconds):
    times = []
    for _ in range(3):
        times.append(bench.restart())
        bench.settle()
    yield Row("start", "start until REST answers", statistics.median(times), "s", budget=seconds)


@scenario(
    "known-phones",
    "known phones over HTTP, beside static.File and a resource that gives bytes in memory",
    needs_wrk=True,
    rate=Budget(least=1, of="static.File"),
)
def known_phones(bench, rate):
    file = bench.files / config_name(1)
    script = load.known_phones(bench.work, bench.options.devices)
    with yardsticks.static_file(bench.files) as static, yardsticks.bare_resource(file) as bare:
        servers = {
            "provd": (bench.phone_url, bench.daemon.process.pid),
            "static.File": (f"http://127.0.0.1:{static.port}/", static.pid),
            "bare resource": (f"http://127.0.0.1:{bare.port}/", bare.pid),
        }
        url, pid = servers["provd"]
        load.wrk(url, bench.options.seconds, pid, script)  # every phone is in memory then
        measured = {name: [] for name in servers}
        # In turn, so that whatever else the machine does falls on all.
        for _ in range(bench.options.rounds):
            for name, (url, pid) in servers.items():
                measured[name].append(load.wrk(url, bench.options.seconds, pid, script))
    loads = {name: load.median(each) for name, each in measured.items()}
    ours = loads.pop("provd")
    yield Row(
        "known-phones",
        f"known phones over HTTP, {file.stat().st_size / 1000:.0f} KB",
        ours.rate,
        "requests/s",
        cpu_us=ours.cpu_us,
        yardsticks=tuple(Yardstick(name, each.rate, each.cpu_us) for name, each in loads.items()),
        budget=rate,
    )
    yield Row("known-phones", "  their p99, 16 connections", ours.p99_ms, "ms")


def _rest(bench, name, what, path, budget=None):
    script = load.with_token(bench.work, bench.daemon.token)
    pid = bench.daemon.process.pid
    measured = load.wrk(bench.rest_url(path), bench.options.seconds, pid, script)
    note = f"p99 {measured.p99_ms:.1f} ms"
    return Row(
        name, what, measured.rate, "requests/s", cpu_us=measured.cpu_us, budget=budget, note=note
    )


@scenario("rest-read", "REST: one device", needs_wrk=True, rate=Budget(least=1000))
def rest_read(bench, rate):
    number = bench.options.devices // 2
    path = f"/dev_mgr/devices/d{number:07}"
    yield _rest(bench, "rest-read", "REST read of one device", path, rate)


@scenario("rest-list", "REST: look-up of a device by its MAC", needs_wrk=True)
def rest_list(bench):
    selector = quote(f'{{"mac":"{mac_of(bench.options.devices // 2)}"}}')
    yield _rest(bench, "rest-list", "REST list by MAC", f"/dev_mgr/devices?q={selector}")


@scenario("rest-page", "REST: a page of 100 devices out of all, sorted", needs_wrk=True)
def rest_page(bench):
    skip = max(bench.options.devices // 2 - 50, 0)
    for key in ("mac", "description"):
        path = f"/dev_mgr/devices?sort={key}&skip={skip}&limit=100"
        yield _rest(bench, "rest-page", f"REST page of 100, sorted by {key}", path)


def _tftp_yardsticks(bench, measure):
    """Measure the TFTP servers that are there; tell of the others."""
    for name in yardsticks.TFTP_SERVERS:
        why = yardsticks.why_no_tftp(name)
        if why is not None:
            bench.left_out(why)
            continue
        with yardsticks.tftp_server(name, bench.files) as server:
            measured = measure(server)
        # tftpd-hpa has a process for each transfer, whose time nobody keeps.
        yield Yardstick(name, measured.rate, None if name == "tftpd-hpa" else measured.cpu_us)


@contextlib.contextmanager
def _tftp_file(bench, size):
    """Lay a file beside those of a device that TFTP clients on loopback are taken for."""
    file = bench.files / f"{bench.expect_tftp()}-{size}.bin"
    file.write_bytes(os.urandom(size))
    try:
        yield file.name
    finally:
        file.unlink()


def _provd_tftp(bench):
    return yardsticks.Server(bench.daemon.tftp_port, bench.daemon.process.pid)


@scenario(
    "tftp-small",
    "TFTP: 8 KB in blocks of 512 bytes to 32 clients, beside tftpd-hpa and dnsmasq",
    rate=Budget(least=1, of="tftpd-hpa"),
)
def tftp_small(bench, rate):
    count = bench.options.transfers
    with _tftp_file(bench, SMALL) as name:

        def measure(server):
            return load.tftp(server, name, SMALL, count)

        measure(_provd_tftp(bench))
        theirs = list(_tftp_yardsticks(bench, measure))
        ours = measure(_provd_tftp(bench))
    yield Row(
        "tftp-small",
        "TFTP, 8 KB, 512-byte blocks, 32 clients",
        ours.rate,
        "transfers/s",
        cpu_us=ours.cpu_us,
        yardsticks=tuple(theirs),
        budget=rate,
        note=f"p99 {ours.p99_ms:.1f} ms",
    )


def _windows(bench, size, count, loss):
    with _tftp_file(bench, size) as name:
        for windowsize in (16, 1):
            yield load.tftp(
                _provd_tftp(bench), name, size, count, clients=1, blksize=1428,
                windowsize=windowsize, loss=loss,
            )  # fmt: skip


def _window_row(name, what, loads, size, budget=None):
    windowed, lock_step = loads
    megabytes = size / 1e6
    return Row(
        name,
        what,
        windowed.rate * megabytes,
        "MB/s",
        cpu_us=windowed.cpu_us,
        yardsticks=(Yardstick("lock step", lock_step.rate * megabytes, lock_step.cpu_us),),
        budget=budget,
    )


@scenario(
    "tftp-window",
    "TFTP: 20 MB, blksize 1428 windowsize 16, beside lock step",
    rate=Budget(least=3, of="lock step"),
)
def tftp_window(bench, rate):
    loads = _windows(bench, LARGE, 5, 0)
    yield _window_row("tftp-window", "TFTP, 20 MB, blksize 1428, windowsize 16", loads, LARGE, rate)


@scenario("tftp-loss", "TFTP: the same, 4 MB with 1 % of the blocks lost, beside lock step")
def tftp_loss(bench):
    loads = _windows(bench, LOSSY, 2, 0.01)
    yield _window_row("tftp-loss", "TFTP, 4 MB, the same with 1 % loss", loads, LOSSY)


@scenario(
    "new-phones",
    "phones never seen before: device, autocreated config and rendered file for each request",
    needs_wrk=True,
    rate=Budget(least=800),
)
def new_phones(bench, rate):
    seconds = bench.options.seconds
    pid = bench.daemon.process.pid
    script = load.unknown_phones(bench.work, bench.fresh_phones(seconds * 20_000))
    before = bench.device_count()
    measured = load.wrk(bench.phone_url, seconds, pid, script)
    created = bench.device_count() - before
    if created < measured.count:
        raise RuntimeError(f"{measured.count} phones were answered, {created} devices created")
    yield Row(
        "new-phones",
        "phones never seen before, one request each",
        measured.rate,
        "phones/s",
        cpu_us=measured.cpu_us,
        budget=rate,
        note=f"p99 {measured.p99_ms:.1f} ms, {created} devices created",
    )


@scenario("new-boots", "phones never seen before: whole boots, played by provd-phone")
def new_boots(bench):
    pid = bench.daemon.process.pid
    measured = load.boots(bench.phone_url.rstrip("/"), pid, bench.options.phones, seed=pid)
    yield Row(
        "new-boots",
        "phones never seen before, whole boots",
        measured.rate,
        "phones/s",
        cpu_us=measured.cpu_us,
        note="the simulated phones may be the limit: see the CPU",
    )


@scenario("rest-create", "REST: 8 writers create devices with a config each")
def rest_create(bench):
    daemon = bench.daemon
    prefix = f"created{bench.fresh_phones(1):x}-"
    measured = load.rest_writers(
        daemon.rest_port, daemon.token, daemon.process.pid, bench.options.created, 8, prefix
    )
    yield Row(
        "rest-create",
        "REST create of a config and its device, 8 writers",
        measured.rate,
        "pairs/s",
        cpu_us=measured.cpu_us,
        note=f"p99 of a pair {measured.p99_ms:.1f} ms",
    )


@scenario(
    "mass-change",
    "change of a config that all devices inherit, and known phones during it",
    needs_wrk=True,
    answered=Budget(most=1),
    p99=Budget(most=50),
)
def mass_change(bench, answered, p99):
    daemon = bench.daemon
    script = load.known_phones(bench.work, bench.options.devices)
    arguments = (bench.phone_url, bench.options.seconds, daemon.process.pid, script)
    before = load.wrk(*arguments)
    base = daemon.get("/cfg_mgr/configs/base").json["config"]
    base["raw_config"]["ntp_ip"] = f"192.0.2.{int(time.time()) % 200 + 1}"
    phones = load.Background(*arguments)
    phones.start()
    time.sleep(0.5)
    began = time.monotonic()
    answer = daemon.put("/cfg_mgr/configs/base", {"config": base})
    seconds = time.monotonic() - began
    assert answer.status == 204, answer
    bench.settle()
    all_rendered = time.monotonic() - began
    during = phones.finish()
    yield Row(
        "mass-change", "change of a config that all inherit, answered", seconds, "s",
        budget=answered,
    )  # fmt: skip
    yield Row(
        "mass-change",
        "  p99 of phones during it",
        max(each.p99_ms for each in during),
        "ms",
        yardsticks=(Yardstick("before it", before.p99_ms),),
        budget=p99,
        note=f"{min(each.rate for each in during):.0f} requests/s or more",
    )
    yield Row("mass-change", "  until all devices are rendered", all_rendered, "s")


@scenario("memory", "resident memory of the daemon", megabytes=Budget(most=250))
def memory(bench, megabytes):
    count = bench.device_count()
    yield Row(
        "memory",
        "memory after all of the above",
        bench.memory_mb(),
        "MB",
        budget=megabytes,
        note=f"{count} devices; {bench.first_memory:.0f} MB before the load",
    )


@scenario(
    "stalls", "how often the daemon's log says that its loop stood still", count=Budget(most=0)
)
def stalls(bench, count):
    logged = [int(text) for text in bench.daemon.stalls()[bench.first_stalls :]]
    note = f"longest {max(logged)} ms" if logged else ""
    yield Row(
        "stalls", "stalls of 50 ms or more in the log", len(logged), "", budget=count, note=note
    )
