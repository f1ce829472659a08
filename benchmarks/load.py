"""Starts the generators of load, each a process of its own, and reads what they print."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
import threading
import time

import attrs

from benchmarks.daemon import ROOT, cpu_seconds

MILLISECONDS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000}


@attrs.frozen
class Load:
    """What a server did: requests a second, processor time for each, and the slowest per cent."""

    rate: float
    cpu_us: float
    p99_ms: float
    count: int = 0


def wrk(url, seconds, pid, script=None, connections=16):
    """Load `url` with wrk; the processor time is that of the process `pid`."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    if script is not None:
        command += ["-s", str(script)]
    before = cpu_seconds(pid)
    output = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    spent = cpu_seconds(pid) - before
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"wrk saw errors:\n{output}")
    count = int(re.search(r"(\d+) requests in", output)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    p99, unit = re.search(r"99%\s+([\d.]+)(us|ms|s|m)", output).groups()
    return Load(rate, spent / max(count, 1) * 1e6, float(p99) * MILLISECONDS[unit], count)


def median(loads):
    """Return the median of each figure."""
    return Load(
        *(
            statistics.median(getattr(load, field) for load in loads)
            for field in ("rate", "cpu_us", "p99_ms")
        ),
        sum(load.count for load in loads),
    )


PHONE = """\
  local a, b, c = math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256
  wrk.headers["X-Forwarded-For"] = string.format("10.%d.%d.%d", a, b, c)
  wrk.headers["User-Agent"] =
    string.format("Yealink SIP-T46S 66.86.0.15 00:15:65:%02x:%02x:%02x", a, b, c)
  return wrk.format("GET", string.format("/001565%02x%02x%02x.cfg", a, b, c))
end
"""


def known_phones(work, count):
    """Return a wrk script in which every request is of another known phone."""
    script = work / "phones.lua"
    step = f"local n = 0\nrequest = function()\n  n = (n * 7919 + 13) % {count}\n"
    script.write_text(step + PHONE)
    return script


def unknown_phones(work, first):
    """Return a wrk script in which every request is of a phone that never asked before."""
    script = work / "new-phones.lua"
    script.write_text(f"local n = {first - 1}\nrequest = function()\n  n = n + 1\n" + PHONE)
    return script


def with_token(work, token):
    """Return a wrk script that sends a token."""
    script = work / "token.lua"
    script.write_text(f'wrk.headers["X-Auth-Token"] = "{token}"\n')
    return script


def tftp(server, name, size, count, *, clients=32, blksize=512, windowsize=1, loss=0.0):
    """Return transfers a second; `server` has a host, a port and a pid."""
    command = [
        sys.executable, str(ROOT / "benchmarks/tftp_load.py"),
        "--host", server.host, "--port", str(server.port),
        "--file", name, "--size", str(size), "--count", str(count), "--clients", str(clients),
        "--blksize", str(blksize), "--windowsize", str(windowsize), "--loss", str(loss),
        "--seconds", "120",
    ]  # fmt: skip
    before = cpu_seconds(server.pid)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"TFTP transfers failed: {done.stdout}{done.stderr}")
    spent = cpu_seconds(server.pid) - before
    seconds = float(re.search(r"transfers in ([\d.]+) s", done.stdout)[1])
    p99 = float(re.search(r"p99 ([\d.]+) ms", done.stdout)[1])
    return Load(count / seconds, spent / count * 1e6, p99, count)


def boots(url, pid, count, seed):
    """Let `count` simulated phones boot for the first time."""
    command = [
        sys.executable, "-m", "provd.simphone", "boot", "--vendor", "yealink", "--model", "T46S",
        "--count", str(count), "--concurrency", "64", "--seed", str(seed), "--json",
        "--http", url, "--forwarded-for", "auto",
    ]  # fmt: skip
    before, began = cpu_seconds(pid), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    seconds = time.monotonic() - began
    if done.returncode:
        raise RuntimeError(f"boots failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Load(count / seconds, (cpu_seconds(pid) - before) / count * 1e6, 0.0, count)


def rest_writers(port, token, pid, count, writers, prefix):
    """Create `count` devices with a config each, by that many writers at once."""
    command = [
        sys.executable, str(ROOT / "benchmarks/rest_load.py"), "--port", str(port),
        "--count", str(count), "--writers", str(writers), "--prefix", prefix,
    ]  # fmt: skip
    before = cpu_seconds(pid)
    done = subprocess.run(command, input=token, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"writers failed: {done.stdout}{done.stderr[-2000:]}")
    spent = cpu_seconds(pid) - before
    figures = json.loads(done.stdout)
    return Load(count / figures["seconds"], spent / count * 1e6, figures["p99_ms"], count)


class Background(threading.Thread):
    """Repeats wrk until `finish` is called; keeps what each run gave."""

    def __init__(self, *arguments):
        super().__init__(daemon=True)
        self._arguments = arguments
        self._over = threading.Event()
        self._error = None
        self.loads = []

    def run(self):
        try:
            while not self._over.is_set():
                self.loads.append(wrk(*self._arguments))
        except Exception as error:  # noqa: BLE001 - raised again by finish
            self._error = error

    def finish(self):
        """Wait for the last run; return what all gave."""
        self._over.set()
        self.join()
        if self._error is not None:
            raise self._error
        return self.loads
