"""Other servers that do the same work in the same run; each gives None where it is missing."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time

import attrs

from benchmarks.daemon import harness

HTTP_SERVER = """\
import sys
from twisted.internet import reactor
from twisted.web import resource, server, static

port, kind, path = int(sys.argv[1]), sys.argv[2], sys.argv[3]

class Bare(resource.Resource):
    isLeaf = True

    def __init__(self):
        with open(path, "rb") as stream:
            self.content = stream.read()

    def render_GET(self, request):
        return self.content

root = static.File(path) if kind == "static" else Bare()
reactor.listenTCP(port, server.Site(root), interface="127.0.0.1")
reactor.callLater(1800, reactor.stop)
reactor.run()
"""


@attrs.frozen
class Server:
    """A server that runs: its port, and the process whose time counts."""

    port: int
    pid: int
    host: str = "127.0.0.1"


@contextlib.contextmanager
def _running(command, is_ready, port, host="127.0.0.1"):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        for _ in range(200):
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended at once")
            if is_ready(host, port):
                break
            time.sleep(0.05)
        else:
            raise RuntimeError(f"{command[0]} does not listen on port {port}")
        yield Server(port, process.pid, host)
    finally:
        process.kill()
        process.wait()


def _accepts(host, port):
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


def _is_bound(host, port):
    """Tell whether somebody has that UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _http_server(kind, path):
    port = harness.free_port()
    command = [sys.executable, "-c", HTTP_SERVER, str(port), kind, str(path)]
    return _running(command, _accepts, port)


def static_file(directory):
    """twisted.web's own static.File over `directory`."""
    return _http_server("static", directory)


def bare_resource(file):
    """A resource of twisted.web that gives the content of `file`, kept in memory, to everybody."""
    return _http_server("bare", file)


def _program(name):
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


TFTP_SERVERS = {"tftpd-hpa": ("in.tftpd", "tftpd-hpa"), "dnsmasq": ("dnsmasq", "dnsmasq-base")}


def why_no_tftp(name):
    """Return why that TFTP server cannot be a yardstick, None if it can."""
    program, package = TFTP_SERVERS[name]
    if _program(program) is None:
        return f"{name} is missing: apt-get install {package}"
    if os.getuid() != 0:
        return f"{name} is left out: it changes its root, or takes port 69, as only root may"
    return None


def tftp_server(name, directory):
    """tftpd-hpa or dnsmasq over `directory`, on loopback."""
    program = _program(TFTP_SERVERS[name][0])
    if name == "tftpd-hpa":
        port = harness.free_port(socket.SOCK_DGRAM)
        command = [program, "-L", "-a", f"127.0.0.1:{port}", "-s", str(directory)]
        return _running(command, _is_bound, port)
    # Its TFTP port cannot be chosen, so it gets an address of its own.
    number = os.getpid()
    host = f"127.77.{number >> 8 & 255}.{number & 255 or 1}"
    command = [
        program, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=root",
        "--port=0", f"--listen-address={host}", "--bind-interfaces", "--enable-tftp",
        f"--tftp-root={directory}", "--tftp-max=1000", "--quiet-tftp", "--log-facility=/dev/null",
    ]  # fmt: skip
    return _running(command, _is_bound, 69, host)
