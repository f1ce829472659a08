"""A file comes whole through a relay that loses datagrams in both directions."""

import random
import shutil
import socket
import subprocess
import threading

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from provd.tftp.server import TftpServer

CONTENT = random.Random(1).randbytes(60_000)


class Files:
    def handle_read_request(self, request, response):
        response.accept_bytes(CONTENT)


class LossyRelay:
    """Carries one client's datagrams to the server and back, and loses some of either.

    The first two of either side pass: how often a client asks is its own matter.
    """

    def __init__(self, server_port, loss, seed):
        self.client_side = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.client_side.bind(("127.0.0.1", 0))
        self.port = self.client_side.getsockname()[1]
        self.server_side = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server_side.bind(("127.0.0.1", 0))
        self.server = ("127.0.0.1", server_port)
        self.client = None
        self.loss = loss
        self.lost = 0
        self.passed = {True: 0, False: 0}
        self.dice = {True: random.Random(seed), False: random.Random(-seed - 1)}
        self.threads = [
            threading.Thread(target=self.carry, args=(to_server,)) for to_server in (True, False)
        ]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        for sock in (self.client_side, self.server_side):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
                waker.sendto(b"", sock.getsockname())
        for thread in self.threads:
            thread.join()
        self.client_side.close()
        self.server_side.close()

    def carry(self, to_server):
        source, target = self.client_side, self.server_side
        if not to_server:
            source, target = target, source
        while True:
            datagram, sender = source.recvfrom(65536)
            if not datagram:
                return
            if to_server:
                self.client = sender
            else:
                self.server = sender
            if self.passed[to_server] >= 2 and self.dice[to_server].random() < self.loss:
                self.lost += 1
                continue
            self.passed[to_server] += 1
            target.sendto(datagram, self.server if to_server else self.client)


@pytest.fixture
def tftp():
    server = TftpServer(reactor, 0, "127.0.0.1", Files())
    server.startService()
    yield server
    pytest_twisted.blockon(server.stopService())


def fetch(port):
    """What a careful client gets with windowsize 8: it acknowledges windows and gaps."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(30)
        peer = ("127.0.0.1", port)
        client.sendto(b"\0\1f\0octet\0blksize\0001428\0windowsize\0008\0", peer)
        assert client.recv(2048).startswith(b"\0\6")
        client.sendto(b"\0\4\0\0", peer)
        content = b""
        block = since_ack = 0
        while True:
            datagram = client.recv(2048)
            assert datagram.startswith(b"\0\3"), datagram
            if int.from_bytes(datagram[2:4], "big") == block + 1:
                block += 1
                since_ack += 1
                content += datagram[4:]
            else:
                since_ack = 8
            is_last = len(datagram) < 1432 and block == int.from_bytes(datagram[2:4], "big")
            if is_last or since_ack >= 8:
                since_ack = 0
                client.sendto(b"\0\4" + block.to_bytes(2, "big"), peer)
            if is_last:
                return content


@pytest.mark.parametrize(("loss", "seed"), [(0.05, 0), (0.1, 1), (0.2, 2)])
@pytest_twisted.ensureDeferred
async def test_rfc_7440_windows_of_eight_pass_a_lossy_relay(tftp, loss, seed):
    with LossyRelay(tftp.port, loss, seed) as relay:
        assert await deferToThread(fetch, relay.port) == CONTENT
        assert relay.lost


@pytest.mark.skipif(not shutil.which("atftp"), reason="atftp is not installed")
@pytest_twisted.ensureDeferred
async def test_rfc_7440_atftp_with_windows_of_eight_passes_a_lossy_relay(tftp, tmp_path):
    with LossyRelay(tftp.port, 0.05, 4) as relay:
        done = await deferToThread(
            subprocess.run,
            ["atftp", "--option", "windowsize 8", "--option", "blksize 1428", "--get",
             "--remote-file", "f", "--local-file", str(tmp_path / "got"), "127.0.0.1",
             str(relay.port)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "got").read_bytes() == CONTENT
        assert relay.lost
