"""Every model that the simulated phone can play boots from a daemon with all our plugins."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from provd.simphone.models import VENDORS
from tests.integration.harness import Daemon

COMMAND = Path(sys.executable).parent / "provd-phone"
PROTOCOLS = ("http", "tftp")


def is_told_apart(vendor, series, protocol):
    """Whether the requests of a phone say what it is.

    Over TFTP nobody sends a User-Agent. Files named after the address alone, of a vendor with
    several families or forms of files, leave that to the vendor class that DHCP passes on.
    """
    is_vague = vendor.key in {"cisco", "gigaset"} and any(
        step.file.lower() == "{mac}.xml" for step in series.steps
    )
    return protocol == "http" or not is_vague


def played(protocol):
    """Return vendor:model of all that speak a protocol and can be told apart over it."""
    return sorted(
        f"{vendor.key}:{model}"
        for vendor in VENDORS
        for series in vendor.series
        if protocol in series.protocols and is_told_apart(vendor, series, protocol)
        for model in series.models
    )


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    daemon = Daemon(tmp_path_factory.mktemp("daemon")).start()
    yield daemon
    daemon.stop()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_model_boots(daemon, protocol):
    models = played(protocol)
    server = {
        "http": f"--http=http://127.0.0.1:{daemon.http_port}",
        "tftp": f"--tftp=127.0.0.1:{daemon.tftp_port}",
    }
    ended = subprocess.run(
        [
            COMMAND,
            "boot",
            "--json",
            server[protocol],
            "--count",
            str(len(models)),
            "--mix",
            ",".join(f"{model}=1" for model in models),
            "--seed",
            {"http": "1", "tftp": "2"}[protocol],  # no address of another model before
            "--concurrency",
            "8",
            "--timeout",
            "30",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    reports = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    reports = [report for report in reports if "vendor" in report]  # the last one is a summary
    failed = {
        f"{report['vendor']}:{report['model']}: {report['failure']}"
        for report in reports
        if report.get("failure")
    }
    assert not failed, "\n".join(sorted(failed))
    assert {f"{report['vendor']}:{report['model']}" for report in reports} == set(models)
