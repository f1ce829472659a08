"""The hook, run as servers run it: as a program of its own, with their arguments and environment."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest

from provd.dhcp import cli, hook, message
from provd.model.dhcpinfo import DhcpInfo

PYTHON = shutil.which("python3", path="/usr/bin") or sys.executable
IP = "10.0.0.9"
MAC = "00:15:65:0a:0b:0c"


@pytest.fixture
def listener(tmp_path):
    """A socket in the place of the daemon's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "dhcp.sock"))
        bound.settimeout(5)
        yield bound


def run(tmp_path, *arguments, environment=None, program=hook.__file__):
    command = [PYTHON, "-IS", program, "--socket", str(tmp_path / "dhcp.sock"), *arguments]
    environment = {"PATH": os.environ["PATH"], **(environment or {})}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, check=False, timeout=10
    )


def received(listener):
    return message.parse(listener.recv(4096))


def is_silent(listener):
    listener.setblocking(False)
    try:
        listener.recv(1)
    except BlockingIOError:
        return True
    return False


def test_a_commit_of_dhcpd_arrives_byte_for_byte(tmp_path, listener):
    done = run(tmp_path, "commit", IP, "0:11:22:a:b:c", "06059.65.61", "", "01261")
    assert (done.returncode, done.stderr) == (0, "")
    assert listener.recv(4096) == b"commit\n10.0.0.9\n0:11:22:a:b:c\n06059.65.61\n01261\n"


@pytest.mark.parametrize("operation", ["expiry", "release"])
def test_the_end_of_a_lease_of_dhcpd_has_the_address_only(tmp_path, listener, operation):
    assert run(tmp_path, operation, IP, "ignored").returncode == 0
    assert listener.recv(4096) == f"{operation}\n{IP}\n".encode()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ((), "'' is not an operation"),
        (("offer", IP), "'offer' is not an operation"),
        (("commit", IP), "commit needs 2 more arguments"),
        (("commit", IP, ""), "commit needs 2 more arguments"),
        (("expiry",), "expiry needs 1 more arguments"),
        (("add", MAC), "not enough values"),
        (("leases4_committed",), "LEASES4_AT0_ADDRESS is not in the environment"),
    ],
)
def test_what_is_no_event_is_refused_on_stderr(tmp_path, listener, arguments, reason):
    done = run(tmp_path, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("provd-dhcp-hook: ")
    assert reason in done.stderr
    assert is_silent(listener)


@pytest.mark.parametrize("operation", ["add", "old"])
def test_dnsmasq_tells_the_rest_in_the_environment(tmp_path, listener, operation):
    environment = {
        "DNSMASQ_VENDOR_CLASS": "snomD785",
        "DNSMASQ_USER_CLASS0": "phones",
        "DNSMASQ_SUPPLIED_HOSTNAME": "desk",
    }
    assert run(tmp_path, operation, MAC, IP, "desk", environment=environment).returncode == 0
    options = {60: "snomD785", 77: "phones", 12: "desk"}
    assert received(listener) == DhcpInfo("commit", IP, MAC, options)


def test_dnsmasq_tells_of_the_end_of_a_lease(tmp_path, listener):
    assert run(tmp_path, "del", MAC, IP).returncode == 0
    assert received(listener) == DhcpInfo("expiry", IP)


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("add", "00:01:00:01:2c:aa", "2001:db8::1"), {"DNSMASQ_IAID": "1"}),
        (("add", "06-00:15:65:0a:0b:0c", IP), {}),
        (("init",), {}),
        (("tftp", "100", IP, "/x"), {}),
        (("lease4_renew",), {}),
        (("leases6_committed",), {}),
        (("leases4_committed",), {"LEASES4_SIZE": "0"}),
    ],
)
def test_what_concerns_no_phone_is_passed_over(tmp_path, listener, arguments, environment):
    done = run(tmp_path, *arguments, environment=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert is_silent(listener)


KEA = {
    "LEASES4_SIZE": "1",
    "LEASES4_AT0_ADDRESS": IP,
    "LEASES4_AT0_HWADDR": MAC,
    "LEASES4_AT0_HOSTNAME": "desk",
    "LEASES4_AT0_VALID_LIFETIME": "3602",
}


def test_kea_tells_all_in_the_environment_but_no_vendor_class(tmp_path, listener):
    assert run(tmp_path, "leases4_committed", environment=KEA).returncode == 0
    assert received(listener) == DhcpInfo("commit", IP, MAC, {12: "desk"})


@pytest.mark.parametrize(("seconds", "vendor_class"), [("3602", {60: "b\0"}), ("3603", {})])
def test_the_printed_hook_knows_vendor_classes_of_kea_by_their_lease_time(
    tmp_path, listener, seconds, vendor_class
):
    program = tmp_path / "hook"
    socket_path = str(tmp_path / "dhcp.sock")
    program.write_text(cli.hook_program(socket_path, PYTHON, {3601: "a", 3602: "b\0"}))
    program.chmod(0o755)
    environment = {**KEA, "LEASES4_AT0_VALID_LIFETIME": seconds}
    # As servers do: no interpreter is named, and the socket is that of the program.
    done = subprocess.run(
        [str(program), "leases4_committed"], env=environment, check=False, timeout=10
    )
    assert done.returncode == 0
    assert received(listener) == DhcpInfo("commit", IP, MAC, {**vendor_class, 12: "desk"})


@pytest.mark.parametrize(
    ("event", "operation"), [("lease4_release", "release"), ("lease4_expire", "expiry")]
)
def test_kea_tells_of_the_end_of_a_lease(tmp_path, listener, event, operation):
    assert run(tmp_path, event, environment={"LEASE4_ADDRESS": IP}).returncode == 0
    assert received(listener) == DhcpInfo(operation, IP)


def test_options_that_a_datagram_has_no_room_for_are_left_out(tmp_path, listener):
    long = "060" + ".".join(["41"] * 800)
    assert run(tmp_path, "commit", IP, MAC, "01261", long).returncode == 0
    assert received(listener) == DhcpInfo("commit", IP, MAC, {12: "a"})


def test_a_daemon_that_is_away_is_an_error_at_once(tmp_path):
    started = time.monotonic()
    done = run(tmp_path, "commit", IP, MAC)
    assert done.returncode == 1
    assert f"{tmp_path / 'dhcp.sock'}: " in done.stderr
    assert time.monotonic() - started < 3


def test_a_daemon_that_does_not_read_makes_nobody_wait(tmp_path, listener):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.setblocking(False)
        other.connect(str(tmp_path / "dhcp.sock"))
        sent = 0
        with contextlib.suppress(BlockingIOError):
            while sent < 10_000:
                sent += other.send(b"x")
        assert sent < 10_000
        done = run(tmp_path, "commit", IP, MAC)
    assert done.returncode == 1
    assert "temporarily unavailable" in done.stderr


def test_the_hook_imports_next_to_nothing():
    code = (
        "import sys; before = set(sys.modules); sys.argv = ['hook']; "
        f"sys.path.insert(0, {os.path.dirname(hook.__file__)!r}); import hook; "
        "print(*sorted(set(sys.modules) - before))"
    )
    printed = subprocess.run(
        [PYTHON, "-IS", "-c", code], capture_output=True, text=True, check=True, timeout=10
    ).stdout
    assert "_socket" in printed.split()
    assert not {"socket", "enum", "re", "site", "typing", "provd"} & set(printed.split())


def test_as_a_command_it_takes_the_same_arguments(tmp_path, listener, monkeypatch):
    path = str(tmp_path / "dhcp.sock")
    monkeypatch.setattr(sys, "argv", ["provd-dhcp-hook", "--socket", path, "expiry", IP])
    assert hook.console() == 0
    assert received(listener) == DhcpInfo("expiry", IP)
