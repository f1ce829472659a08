"""Hundreds of phones boot at once: nobody fails, and the loop stands still for nobody."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness import descriptors

PHONES = 400
# Beside other work on a small machine a stall or two are not the daemon's doing, even with processor
# time of its own: the kernel counts in ticks, and memory is shared. Many, or a long one, are.
ALLOWED_STALLS = 3
LONGEST_SECONDS = 0.25


def boot_fleet(daemon, *options, count=PHONES, seed=1):
    """Boot a fleet of all models that we have plugins for; return its figures."""
    program = Path(sys.executable).parent / "provd-phone"
    result = subprocess.run(
        [str(program), "boot", "--mix", "yealink", "--count", str(count), "--concurrency", str(count),
         "--seed", str(seed), "--json", *options],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    summary = lines[-1].get("summary", lines[-1])
    assert "failed" in summary, result.stdout[-500:] + result.stderr[-500:]
    return summary


def busy_stalls(daemon, since=0):
    """Return the stalls, in milliseconds, during which the daemon itself was at work."""
    found = re.findall(
        r"the loop stood still for (\d+) ms \((\d+) ms of processor time\)", daemon.log[since:]
    )
    return [int(stood) for stood, worked in found if int(worked) > 50]


def check_quiet(daemon, since, figures):
    print(figures, "stalls:", busy_stalls(daemon, since))
    stalls = busy_stalls(daemon, since)
    assert len(stalls) <= ALLOWED_STALLS, stalls
    assert not [stood for stood in stalls if stood > LONGEST_SECONDS * 1000]
    assert "Traceback" not in daemon.log[since:]


@pytest.fixture(scope="module")
def protocols(daemon):
    """How a fleet reaches the daemon: through a proxy, each phone with an address of its own."""
    return (
        "--http", f"http://127.0.0.1:{daemon.proxied_port}", "--forwarded-for", "auto",
        "--tftp", f"127.0.0.1:{daemon.tftp_port}",
    )  # fmt: skip


def test_400_phones_never_seen_before_boot_at_once(daemon, protocols):
    before, since = descriptors(daemon.process), len(daemon.log)
    figures = boot_fleet(daemon, *protocols)
    assert figures["failed"] == 0, figures
    assert figures["phones"] == PHONES
    devices = daemon.devices()
    assert len(devices) == PHONES
    assert len({device["mac"] for device in devices}) == PHONES
    assert all(device["configured"] for device in devices)
    check_quiet(daemon, since, figures)
    daemon.wait_for(
        lambda: descriptors(daemon.process) <= before + 5, "the release of descriptors", 30
    )


def test_400_known_phones_boot_again_and_cost_nothing(daemon, protocols):
    since = len(daemon.log)
    renders = daemon.get("/status").json["renders"]
    figures = boot_fleet(daemon, *protocols)
    assert figures["failed"] == 0, figures
    assert len(daemon.devices()) == PHONES
    assert daemon.get("/status").json["renders"] - renders <= PHONES // 20
    check_quiet(daemon, since, figures)


def test_phones_boot_while_a_config_that_all_inherit_changes(daemon, protocols):
    since = len(daemon.log)
    program = Path(sys.executable).parent / "provd-phone"
    fleet = subprocess.Popen(
        [str(program), "boot", "--mix", "yealink", "--count", str(PHONES), "--concurrency", "100",
         "--seed", "1", "--json", *protocols],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    base = daemon.get("/cfg_mgr/configs/base").json["config"]
    number = 0
    while fleet.poll() is None and number < 4:
        base["raw_config"]["ntp_enabled"] = True
        base["raw_config"]["ntp_ip"] = f"192.0.2.{number}"
        assert daemon.put("/cfg_mgr/configs/base", {"config": base}).status == 204
        number += 1
        time.sleep(0.3)
    output, _ = fleet.communicate(timeout=120)
    figures = json.loads(output.splitlines()[-1])
    figures = figures.get("summary", figures)
    assert figures["failed"] == 0, figures
    assert number > 1
    assert "Traceback" not in daemon.log[since:]


@pytest.mark.slow
def test_phones_behind_one_address_boot_at_once(make_daemon):
    """Each takes the address from the one before; that must not cost a change for each pair."""
    running = make_daemon(plugins="all").start()
    figures = boot_fleet(
        running, "--http", f"http://127.0.0.1:{running.http_port}", "--source-ip", "127.0.0.1",
        "--tftp", f"127.0.0.1:{running.tftp_port}", count=100,
    )  # fmt: skip
    print(figures, "stalls:", busy_stalls(running))
    assert figures["failed"] == 0, figures
    assert len(running.devices()) == 100
