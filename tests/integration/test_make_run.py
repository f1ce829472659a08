"""What `make run` gives the daemon: where to listen, and what to do where a port is taken."""

import re
import socket
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("option", "kind", "variable"),
    [
        ("--rest-port", socket.SOCK_STREAM, "REST_PORT"),
        ("--http-port", socket.SOCK_STREAM, "HTTP_PORT"),
        ("--tftp-port", socket.SOCK_DGRAM, "TFTP_PORT"),
    ],
)
def test_a_port_that_is_taken_names_the_variable(make_daemon, option, kind, variable):
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        where = ["--hints", "--listen", "127.0.0.1", option, str(taken.getsockname()[1])]
        daemon = make_daemon(plugins="none", options=where)
        daemon.spawn()
        assert daemon.process.wait(30) != 0
        assert f"choose another port: make run {variable}=" in daemon.log
    assert re.search(rf"^{variable} \?=", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_third_command_of_the_readme_reads_the_file_of_the_phone_that_was_booted():
    readme = (ROOT / "README.md").read_text()
    mac = re.search(r"provd-phone boot .*--mac (\S+)", readme)[1]
    assert f"{mac.replace(':', '')}.cfg" in readme
    assert f"{mac}" in re.search(r"curl -s -A (.*)", readme)[1]
