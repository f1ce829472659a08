"""provd-admin resync and provision, as commands against a running daemon."""

import json
import os
import pty
import signal
import subprocess
import sys

import pytest
from harness import ROOT

from tests.integration.test_rest_synchronize import (
    Phones,
    add_config,
    add_user,
    fetch,
    outcomes,
    start,
)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    running = start(tmp_path_factory.mktemp("provd"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def phones():
    return Phones()


def command(daemon, verb, *arguments):
    token_file = daemon.state / "token"
    token_file.write_text(f"{daemon.token}\n")
    where = ["--rest", f"http://127.0.0.1:{daemon.rest_port}", "--token-file", str(token_file)]
    return [sys.executable, "-m", "provd.admin", verb, *where, *arguments]


def admin(daemon, verb, *arguments):
    return subprocess.run(
        command(daemon, verb, *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def sent(daemon, some):
    return sum(outcomes(daemon, phone).count("sent") for phone in some)


def test_phones_are_told_and_counted(daemon, phones):
    some = [phones.add(daemon, model="Told") for _ in range(3)]
    phones.add(daemon, model="NotTold")
    done = admin(daemon, "resync", "--model", "Told", "--per-second", "50")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "3 of 3 devices were told to reload\n"
    assert sent(daemon, some) == 3
    done = admin(
        daemon, "resync", "--json", "--plugin", "test-told", "--selector", '{"model": "Told"}'
    )
    assert json.loads(done.stdout)["title"] == "3 of 3 devices were told to reload"
    done = admin(daemon, "resync", "--config", "nothing")
    assert (done.returncode, done.stdout) == (0, "0 of 0 devices were told to reload\n")


def test_a_terminal_shows_the_progress_on_one_line(daemon, phones):
    for _ in range(3):
        phones.add(daemon, model="Watched")
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            command(daemon, "resync", "--model", "Watched", "--per-second", "2"),
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=theirs,
            timeout=60,
            check=True,
        )
        os.close(theirs)
        shown = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
    assert shown.startswith("\r1 of 3 devices told")
    assert "\r3 of 3 devices told" in shown
    assert shown.count("\n") == 1
    assert shown.endswith("\n")


def test_too_many_failures_are_a_failure(daemon, phones):
    add_config(daemon, "busy", raw_config={"X_refuses": True})
    for _ in range(4):
        phones.add(daemon, model="Busy", config="busy")
    done = admin(daemon, "resync", "--model", "Busy", "--per-second", "100", "--max-failures", "1")
    assert done.returncode == 1
    assert "0 of 4 devices were told" in done.stdout
    assert "2 of 2 devices failed, no more are told" in done.stdout


def test_control_c_stops_it(daemon, phones):
    some = [phones.add(daemon, model="Saved") for _ in range(5)]
    with subprocess.Popen(
        command(daemon, "resync", "--model", "Saved", "--per-second", "1"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            daemon.wait_for(lambda: sent(daemon, some) == 1, "the first phone")
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=20)
        finally:
            running.kill()
    assert (running.returncode, out, err) == (130, "Stopped, no more devices are told\n", "")
    daemon.wait_for(lambda: "the synchronisation of devices was stopped" in daemon.log, "the stop")
    assert sent(daemon, some) < 3


def test_a_code_gives_a_phone_its_user(daemon, phones):
    add_user(daemon, "alice", "734512")
    phone = phones.add(daemon)
    mac = daemon.device(id=phone)["mac"]
    done = admin(daemon, "provision", "--code", "734512", "--mac", mac)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Device {phone} has config alice\n")
    assert fetch(daemon, phone) == "alice"
    done = admin(daemon, "provision", "--code", "autoprov", "--id", phone)
    assert done.returncode == 0
    assert fetch(daemon, phone) == "autoprov"


def test_a_phone_that_cannot_be_told_is_a_problem(daemon, phones):
    line = {"username": "bob", "password": "x", "proxy_ip": "10.1.1.1"}
    raw_config = {"sip_lines": {"1": line}, "X_refuses": True}
    add_config(daemon, "bob", ["base"], raw_config=raw_config, X_provisioning_code="881102")
    phone = phones.add(daemon)
    done = admin(daemon, "provision", "--code", "881102", "--id", phone)
    assert done.returncode == 1
    assert f"Device {phone} has config bob" in done.stdout
    assert "could not be told" in done.stdout


def test_what_the_daemon_refuses_is_said_in_its_words(daemon, phones):
    phone = phones.add(daemon)
    done = admin(daemon, "provision", "--code", "nobody's", "--id", phone)
    assert done.returncode == 1
    assert done.stderr == (
        "provd-admin: the daemon answered 400: no config has this provisioning code\n"
    )
    done = admin(daemon, "provision", "--code", "autoprov", "--ip", "10.9.9.9")
    assert done.returncode == 1
    assert "10.9.9.9" in done.stderr
    done = admin(daemon, "resync", "--selector", '{"$or": []}')
    assert done.returncode == 1
    assert "the daemon answered 400: $or" in done.stderr
    token = daemon.make_token("reader", "provd.status.read")
    (daemon.state / "weak").write_text(token)
    done = admin(daemon, "resync", "--model", "x", "--token-file", str(daemon.state / "weak"))
    assert done.returncode == 1
    assert done.stderr == "provd-admin: the daemon answered 401: Unauthorized\n"
