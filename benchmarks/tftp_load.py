"""Load a TFTP server with many clients at once and print how fast it serves them.

    python benchmarks/tftp_load.py --port 6969 --file 8k.bin --size 8192 --count 20000
    python benchmarks/tftp_load.py --serve --port 6969 --root /srv/tftp

The clients live in one process, on one epoll loop, so that the server can have the other core.
They acknowledge, repeat a lost packet after a second, and give up after five. `--loss 0.01` throws
away that part of the blocks as if the network had lost them; the acknowledgement of a block before
a gap then asks for the rest of its window (RFC 7440). `--serve` runs our
server alone over a directory, with a handler that opens the file: what tftpd-hpa does.
"""

import argparse
import os
import random
import resource
import select
import socket
import statistics
import struct
import sys
import time

REPEAT_SECONDS = 1.0
TRIES = 5


class Client:
    """One transfer after the other, from a fresh port each."""

    __slots__ = (
        "acked",
        "blksize",
        "deadline",
        "gap_acked",
        "got",
        "last",
        "loses",
        "server",
        "sock",
        "started",
        "tries",
        "window",
        "window_end",
    )

    def __init__(self, server, loses):
        self.server = server
        self.loses = loses
        """Tells whether the next block is lost."""

    def begin(self, request, blksize, window, now):
        """Ask for the file."""
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self.blksize = blksize
        self.window = self.window_end = window
        self.acked = 0
        self.gap_acked = -1
        self.got = 0
        self.tries = 0
        self.started = now
        self.last = request
        self.deadline = now + REPEAT_SECONDS
        self.sock.sendto(request, self.server)

    def read(self, now):
        """Return None while the transfer runs, then whether it went well."""
        sock = self.sock
        while True:
            try:
                datagram, peer = sock.recvfrom(65536)
            except BlockingIOError:
                return None
            opcode = datagram[1]
            if opcode == 6:
                sock.connect(peer)
                self.blksize, self.window = negotiated(datagram)
                self.window_end = self.window
                self.send(b"\0\4\0\0", now)
                return None
            if opcode != 3:
                return False
            if self.loses is not None and self.loses():
                continue
            if not self.acked:
                sock.connect(peer)
            ahead = int.from_bytes(datagram[2:4], "big") - self.acked & 0xFFFF
            if ahead != 1:
                if 1 < ahead < 0x8000 and self.gap_acked != self.acked:
                    self.gap_acked = self.acked
                    self.window_end = self.acked + self.window
                    self.send(struct.pack("!HH", 4, self.acked & 0xFFFF), now)
                continue
            self.acked += 1
            self.got += len(datagram) - 4
            if len(datagram) - 4 < self.blksize:
                sock.send(b"\0\4" + datagram[2:4])
                return True
            if self.acked >= self.window_end:
                self.window_end = self.acked + self.window
                self.send(b"\0\4" + datagram[2:4], now)
                if self.window == 1:
                    return None

    def send(self, datagram, now):
        """Send what is to be repeated if no answer comes."""
        self.last = datagram
        self.tries = 0
        self.deadline = now + REPEAT_SECONDS
        self.sock.send(datagram)

    def repeat(self, now):
        """Return whether there is hope."""
        self.tries += 1
        self.deadline = now + REPEAT_SECONDS
        if self.last[1] == 4:
            self.window_end = self.acked + self.window
            self.last = struct.pack("!HH", 4, self.acked & 0xFFFF)
            self.sock.send(self.last)
        else:
            self.sock.sendto(self.last, self.server)
        return self.tries < TRIES


def negotiated(oack):
    fields = oack[2:].split(b"\0")
    options = dict(zip(fields[::2], fields[1::2], strict=False))
    return int(options.get(b"blksize", 512)), int(options.get(b"windowsize", 1))


def load(arguments):
    options = []
    if arguments.blksize != 512:
        options += ["blksize", str(arguments.blksize)]
    if arguments.windowsize != 1:
        options += ["windowsize", str(arguments.windowsize)]
    request = b"\0\1" + "\0".join([arguments.file, "octet", *options, ""]).encode()
    poller = select.epoll()
    running = {}
    started = failed = repeats = received = 0
    times = []
    loses = None
    if arguments.loss:
        dice = random.Random(1)
        loses = lambda: dice.random() < arguments.loss  # noqa: E731

    def begin(client, now):
        nonlocal started
        started += 1
        client.begin(request, 512, 1, now)
        descriptor = client.sock.fileno()
        running[descriptor] = client
        poller.register(descriptor, select.EPOLLIN)

    def finish(descriptor, good, now):
        nonlocal failed, received
        client = running.pop(descriptor)
        poller.unregister(descriptor)
        client.sock.close()
        received += client.got
        if good and client.got == arguments.size:
            times.append(now - client.started)
        else:
            failed += 1
        if started < arguments.count:
            begin(client, now)

    begun = time.monotonic()
    for _ in range(min(arguments.clients, arguments.count)):
        begin(Client((arguments.host, arguments.port), loses), begun)
    checked = begun
    while running:
        events = poller.poll(0.1)
        now = time.monotonic()
        for descriptor, _ in events:
            try:
                good = running[descriptor].read(now)
            except OSError:
                good = False
            if good is not None:
                finish(descriptor, good, now)
        if now - checked >= 0.1:
            checked = now
            for descriptor, client in list(running.items()):
                if now >= client.deadline:
                    repeats += 1
                    if not client.repeat(now):
                        finish(descriptor, False, now)
        if now - begun > arguments.seconds:
            failed += len(running)
            break
    seconds = time.monotonic() - begun
    usage = resource.getrusage(resource.RUSAGE_SELF)
    done = len(times)
    times.sort()
    print(
        f"{done} transfers in {seconds:.2f} s: {done / seconds:.0f} transfers/s,"
        f" {received / seconds / 1e6:.2f} MB/s, {failed} failed, {repeats} repeats;"
        f" median {statistics.median(times or [0]) * 1000:.2f} ms,"
        f" p99 {(times or [0])[int(done * 0.99)] * 1000 if done else 0:.2f} ms;"
        f" generator {(usage.ru_utime + usage.ru_stime) / seconds:.0%} of a core"
    )
    return 1 if failed else 0


def serve(arguments):
    from twisted.internet import reactor

    from provd.tftp.server import TftpServer

    class Files:
        def handle_read_request(self, request, response):
            name = request["packet"]["filename"].lstrip(b"/")
            try:
                file = open(os.path.join(arguments.root.encode(), name), "rb")  # noqa: SIM115
            except OSError:
                response.reject(1, "File not found")
            else:
                response.accept(file)

    server = TftpServer(reactor, arguments.port, arguments.host, Files())
    server.startService()
    reactor.addSystemEventTrigger("before", "shutdown", server.stopService)
    print(f"serving {arguments.root} on {arguments.host}:{server.port}", flush=True)
    reactor.run()
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=6969)
    parser.add_argument("--file", default="8k.bin", help="name to ask for")
    parser.add_argument("--size", type=int, default=8192, help="bytes that must come")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--count", type=int, default=10000, help="transfers in all")
    parser.add_argument("--blksize", type=int, default=512)
    parser.add_argument("--windowsize", type=int, default=1)
    parser.add_argument("--loss", type=float, default=0.0, help="part of the blocks to throw away")
    parser.add_argument("--seconds", type=float, default=60, help="stop after this time")
    parser.add_argument("--serve", action="store_true", help="be the server instead")
    parser.add_argument("--root", default=".", help="directory to serve")
    arguments = parser.parse_args()
    return serve(arguments) if arguments.serve else load(arguments)


if __name__ == "__main__":
    sys.exit(main())
