"""Real TFTP clients fetch files from our server."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor, task
from twisted.internet.threads import deferToThread

from provd.tftp.server import TftpServer
from provd.tftp.transfer import Limits

SIZES = [0, 511, 512, 513, 1_000_000]
needs_tftp = pytest.mark.skipif(not shutil.which("tftp"), reason="tftp-hpa is not installed")
needs_atftp = pytest.mark.skipif(not shutil.which("atftp"), reason="atftp is not installed")


def content_of(size):
    """Bytes that differ from block to block."""
    return b"".join(b"%08d" % number for number in range(size // 8 + 1))[:size]


class Files:
    def __init__(self):
        self.results = []
        self.text = b""

    def handle_read_request(self, request, response):
        response.on_done = self.results.append
        name = request["packet"]["filename"].decode()
        if name.isdecimal():
            response.accept_bytes(content_of(int(name)))
        elif name == "text":
            response.accept_bytes(self.text)
        else:
            response.reject(1, "File not found")


@pytest.fixture
def files():
    return Files()


@pytest.fixture
def tftp(files):
    server = TftpServer(reactor, 0, "127.0.0.1", files, limits=Limits())
    server.startService()
    yield server
    pytest_twisted.blockon(server.stopService())


async def run(*command, seconds=60):
    return await deferToThread(
        subprocess.run, command, capture_output=True, text=True, timeout=seconds, check=False
    )


async def fetch_with_tftp(server, name, target, *options, seconds=60):
    return await run(
        "tftp", "-4", "-m", "binary", *options, "127.0.0.1", str(server.port),
        "-c", "get", str(name), str(target), seconds=seconds,
    )  # fmt: skip


async def fetch_with_atftp(server, name, target, *options):
    return await run(
        "atftp", *options, "--get", "--remote-file", str(name), "--local-file", str(target),
        "127.0.0.1", str(server.port),
    )  # fmt: skip


async def outcomes(files):
    """Return how the transfers ended; the last packet may arrive after the client is gone."""
    for _ in range(200):
        if files.results:
            break
        await task.deferLater(reactor, 0.01)
    return files.results


@needs_tftp
@pytest.mark.parametrize("size", SIZES)
@pytest_twisted.ensureDeferred
async def test_tftp_hpa_fetches_a_file(tftp, files, tmp_path, size):
    await fetch_with_tftp(tftp, size, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == content_of(size)
    assert [(result.ok, result.retransmissions) for result in await outcomes(files)] == [(True, 0)]


@needs_tftp
@pytest.mark.parametrize("content", [b"no line end", b"a\nb\r\nc\rd" * 1000, bytes(range(256)) * 9])
@pytest_twisted.ensureDeferred
async def test_tftp_hpa_fetches_a_file_in_its_default_mode(tftp, files, tmp_path, content):
    files.text = content
    await run("tftp", "-4", "127.0.0.1", str(tftp.port), "-c", "get", "text", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == content
    assert [result.ok for result in await outcomes(files)] == [True]


@needs_atftp
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["blksize 1428"],
        ["blksize 512", "tsize 0", "timeout 2"],
        ["blksize 8"],
        ["blksize 65464"],
        ["windowsize 8"],
        ["blksize 1428", "windowsize 64", "tsize 0"],
    ],
    ids="_".join,
)
@pytest_twisted.ensureDeferred
async def test_atftp_fetches_a_file_with_options(tftp, files, tmp_path, size, options):
    size = min(size, 50_000) if options == ["blksize 8"] else size
    arguments = [word for option in options for word in ("--option", option)]
    done = await fetch_with_atftp(tftp, size, tmp_path / "got", *arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got").read_bytes() == content_of(size)
    assert [(result.ok, result.bytes_sent) for result in await outcomes(files)] == [(True, size)]


@needs_tftp
@pytest_twisted.ensureDeferred
async def test_tftp_hpa_shows_our_error_message(tftp, tmp_path):
    done = await fetch_with_tftp(tftp, "absent", tmp_path / "got")
    assert "Error code 1: File not found" in done.stdout + done.stderr


@needs_tftp
@pytest_twisted.ensureDeferred
async def test_tftp_hpa_is_not_allowed_to_write(tftp, tmp_path):
    source = tmp_path / "source"
    source.write_bytes(b"x")
    done = await run(
        "tftp", "-4", "-m", "binary", "127.0.0.1", str(tftp.port), "-c", "put", str(source), "f"
    )
    assert "WRQ not supported" in done.stdout + done.stderr


def test_rfc_1123_requests_to_broadcast_addresses_of_a_network_are_ignored():
    namespace = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*namespace, "ip", "link"], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces need root, or user namespaces, and iproute2")
    done = subprocess.run(
        [*namespace, sys.executable, Path(__file__).with_name("tftp_broadcast.py")],
        capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    assert told == {"answered": ["10.213.8.1", "127.0.0.1"], "requests": 2}


@needs_tftp
@pytest.mark.slow
@pytest_twisted.ensureDeferred
async def test_block_numbers_wrap_for_tftp_hpa(tftp, files, tmp_path):
    size = 512 * 65536 + 100
    await fetch_with_tftp(tftp, size, tmp_path / "got", seconds=120)
    assert (tmp_path / "got").read_bytes() == content_of(size)
    assert [(result.ok, result.blocks) for result in await outcomes(files)] == [(True, 65537)]


@needs_atftp
@pytest_twisted.ensureDeferred
async def test_block_numbers_wrap_inside_windows_for_atftp(tftp, files, tmp_path):
    size = 64 * 65536 * 2 + 10
    arguments = ["--option", "blksize 64", "--option", "windowsize 32"]
    done = await fetch_with_atftp(tftp, size, tmp_path / "got", *arguments)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "got").read_bytes() == content_of(size)
    assert [(result.ok, result.blocks) for result in await outcomes(files)] == [(True, 131073)]
