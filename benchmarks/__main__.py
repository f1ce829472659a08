"""Measures the daemon on loopback and compares it with yardsticks measured in the same run.

    python -m benchmarks --devices 10000 --seconds 5

Load comes from other processes (wrk, `tftp_load.py`, the simulated phones), so that on two cores
the daemon has one for itself. Everything is bounded and stops by itself. The table goes to standard
output, the figures to `build/benchmark.json`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHON = sys.executable
AGENT = "Yealink SIP-T46S 66.86.0.15 {mac}"

_spec = importlib.util.spec_from_file_location("harness", ROOT / "tests/integration/harness.py")
harness = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(harness)


class Results:
    """Rows of the table, kept for JSON."""

    def __init__(self):
        self.rows = []

    def add(self, scenario, value, unit, yardstick=None, yardstick_value=None):
        row = {"scenario": scenario, "value": value, "unit": unit}
        text = f"{scenario:46} {value:>10.1f} {unit}"
        if yardstick_value:
            ratio = value / yardstick_value
            row |= {"yardstick": yardstick, "yardstick_value": yardstick_value, "ratio": ratio}
            text += f"   {yardstick} {yardstick_value:.1f}, ratio {ratio:.2f}"
        self.rows.append(row)
        print(text, flush=True)


def seed(directory, count):
    """Write an old installation with `count` devices of an own config each, to be imported."""
    devices, configs = directory / "jsondb/devices", directory / "jsondb/configs"
    devices.mkdir(parents=True)
    configs.mkdir()

    def config(name, parents, raw_config, **more):
        document = {"id": name, "parent_ids": parents, "raw_config": raw_config, **more}
        (configs / name).write_text(json.dumps(document))

    line = {"username": "u", "password": "p", "display_name": "d", "proxy_ip": "192.0.2.1"}
    config("base", [], {"ntp_enabled": True, "ntp_ip": "192.0.2.2"})
    config("defaultconfigdevice", [], {"locale": "fr_FR"})
    config(
        "autoprov", ["base", "defaultconfigdevice"], {"sip_lines": {"1": line}}, role="autocreate"
    )
    for number in range(count):
        name = f"d{number:07}"
        config(
            name, ["base", "defaultconfigdevice"], {"sip_lines": {"1": {**line, "username": name}}}
        )
        device = {
            "id": name,
            "mac": mac_of(number),
            "ip": address_of(number),
            "vendor": "Yealink",
            "model": "T46S",
            "version": "66.86.0.15",
            "plugin": "provd-yealink-v86",
            "config": name,
            "configured": False,
        }
        (devices / name).write_text(json.dumps(device))


def mac_of(number):
    return f"00:15:65:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def address_of(number):
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def wrk(url, seconds, script=None, connections=16):
    """Return requests a second and the p99 in milliseconds."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    if script is not None:
        command += ["-s", str(script)]
    output = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in output:
        raise RuntimeError(f"wrk saw errors:\n{output}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])
    p99, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", output).groups()
    return rate, float(p99) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def wrk_phones(work, count):
    """Return a wrk script in which every request is of another known phone."""
    script = work / "phones.lua"
    script.write_text(
        f"""
local count = {count}
local n = 0
request = function()
  n = (n * 7919 + 13) % count
  local a, b, c = math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256
  wrk.headers["X-Forwarded-For"] = string.format("10.%d.%d.%d", a, b, c)
  wrk.headers["User-Agent"] =
    string.format("Yealink SIP-T46S 66.86.0.15 00:15:65:%02x:%02x:%02x", a, b, c)
  return wrk.format("GET", string.format("/001565%02x%02x%02x.cfg", a, b, c))
end
"""
    )
    return script


@contextlib.contextmanager
def static_file_server(directory):
    """twisted.web's own static.File over `directory`."""
    port = harness.free_port()
    code = (
        "import sys; from twisted.internet import reactor; from twisted.web import server, static;"
        "reactor.listenTCP(int(sys.argv[1]), server.Site(static.File(sys.argv[2])),"
        " interface='127.0.0.1'); reactor.callLater(600, reactor.stop); reactor.run()"
    )
    process = subprocess.Popen([PYTHON, "-c", code, str(port), str(directory)])
    try:
        wait_for_port(port)
        yield port
    finally:
        process.kill()
        process.wait()


def wait_for_port(port):
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


@contextlib.contextmanager
def tftpd_hpa(directory):
    """Debian's tftpd-hpa over `directory`; gives None where it is not installed."""
    program = shutil.which("in.tftpd") or shutil.which("in.tftpd", path="/usr/sbin")
    if program is None or os.getuid() != 0:
        yield None
        return
    port = harness.free_port(socket.SOCK_DGRAM)
    process = subprocess.Popen([program, "-L", "-a", f"127.0.0.1:{port}", "-s", str(directory)])
    try:
        time.sleep(0.3)
        yield port
    finally:
        process.kill()
        process.wait()


def tftp_rate(port, name, size, count):
    """Return transfers a second of 32 clients, lock step, 512-byte blocks."""
    command = [PYTHON, str(ROOT / "benchmarks/tftp_load.py"), "--port", str(port), "--file", name]
    command += ["--size", str(size), "--count", str(count), "--clients", "32"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(re.search(r"([\d.]+) transfers/s", output)[1])


def memory_mb(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def measure(options, work):
    results = Results()
    state = work / "state"
    seed(state, options.devices)
    daemon = harness.Daemon(
        state,
        settings={
            "database": {"type": "json"},
            "general": {"http_listen_port": None},
            "limits": {"creation_rate_per_source": 10**9, "creation_rate": 10**6},
        },
    )
    daemon.start()
    # The comparison at start renders all imported devices; the measurements want it over.
    daemon.wait_for(lambda: not daemon.get("/status").json["jobs"], "the first rendering", 600)
    starts = []
    for _ in range(3):
        daemon.stop()
        began = time.monotonic()
        daemon.spawn()
        while True:
            with contextlib.suppress(OSError):
                if daemon.get("/status").status == 200:
                    break
            time.sleep(0.01)
        starts.append(time.monotonic() - began)
        daemon.wait_for(lambda: not daemon.get("/status").json["jobs"], "the comparison", 120)
    results.add(
        f"start until REST answers, {options.devices} devices", statistics.median(starts), "s"
    )
    file = state / "plugins/provd-yealink-v86/var/tftpboot" / "001565000001.cfg"

    script = wrk_phones(work, options.devices)
    url = f"http://127.0.0.1:{daemon.proxied_port}/"
    wrk(url, options.seconds, script)  # every phone is known to memory then
    rate, p99 = wrk(url, options.seconds, script)
    with static_file_server(file.parent) as port:
        yardstick, _ = wrk(f"http://127.0.0.1:{port}/{file.name}", options.seconds)
    results.add("known phones over HTTP", rate, "requests/s", "static.File", yardstick)
    results.add("  their p99", p99, "ms")

    token = work / "token.lua"
    token.write_text(f'wrk.headers["X-Auth-Token"] = "{daemon.token}"\n')
    rest = f"http://127.0.0.1:{daemon.rest_port}/0.2/dev_mgr/devices"
    rate, p99 = wrk(f"{rest}/d0000042", options.seconds, token)
    results.add("REST read of one device", rate, "requests/s")
    rate, p99 = wrk(f"{rest}?q=%7B%22mac%22%3A%22{mac_of(42)}%22%7D", options.seconds, token)
    results.add("REST list by MAC", rate, "requests/s")

    content = os.urandom(8192)
    (file.parent / "00156500002a-8k.bin").write_bytes(content)
    device = daemon.get("/dev_mgr/devices/d0000042").json["device"]
    daemon.put("/dev_mgr/devices/d0000042", {"device": {**device, "ip": "127.0.0.1"}})
    name = "00156500002a-8k.bin"
    ours = tftp_rate(daemon.tftp_port, name, len(content), options.transfers)
    with tftpd_hpa(file.parent) as port:
        theirs = tftp_rate(port, name, len(content), options.transfers) if port else None
    results.add("TFTP, 8 KB file, 32 clients", ours, "transfers/s", "tftpd-hpa", theirs)

    seconds = new_phones(daemon, options.phones)
    results.add("phones never seen before", options.phones / seconds, "phones/s")

    base = daemon.get("/cfg_mgr/configs/base").json["config"]
    base["raw_config"]["ntp_ip"] = "192.0.2.77"
    began = time.monotonic()
    assert daemon.put("/cfg_mgr/configs/base", {"config": base}).status == 204
    results.add("change of a config all inherit, answered", time.monotonic() - began, "s")
    rate, p99 = wrk(url, options.seconds, script)
    results.add("  p99 of phones meanwhile", p99, "ms")
    results.add("memory", memory_mb(daemon.process), "MB")
    results.add("stalls logged", len(daemon.stalls()), "")
    daemon.stop()
    return results


def new_phones(daemon, count):
    """Let `count` phones ask for their file for the first time; return the seconds it took."""
    command = [
        PYTHON, "-m", "provd.simphone", "boot", "--vendor", "yealink", "--model", "T46S",
        "--count", str(count), "--concurrency", "64", "--json",
        "--http", f"http://127.0.0.1:{daemon.proxied_port}", "--forwarded-for", "auto",
    ]  # fmt: skip
    began = time.monotonic()
    subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    return time.monotonic() - began


def main():
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--devices", type=int, default=2000, help="devices already there")
    parser.add_argument("--seconds", type=int, default=4, help="of each HTTP measurement")
    parser.add_argument("--transfers", type=int, default=8000, help="TFTP transfers")
    parser.add_argument("--phones", type=int, default=500, help="new phones")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk (and tftpd-hpa for its yardstick)")
    import twisted

    print(
        f"Python {platform.python_version()}, Twisted {twisted.__version__}, "
        f"{os.cpu_count()} cores, {platform.machine()}, {options.devices} devices"
    )
    with tempfile.TemporaryDirectory(prefix="provd-bench-") as work:
        results = measure(options, Path(work))
    target = ROOT / "build/benchmark.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(results.rows, indent=2))
    print(f"written to {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
