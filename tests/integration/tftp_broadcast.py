"""Run in a network namespace of its own: ask a TFTP server by several addresses, print who answers.

The server listens on all addresses of an interface with 10.213.8.1/24.
"""

import json
import socket
import subprocess

from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from provd.tftp.server import TftpServer

DESTINATIONS = ("10.213.8.1", "127.0.0.1", "10.213.8.255", "255.255.255.255", "127.255.255.255")


class Files:
    def __init__(self):
        self.requests = 0

    def handle_read_request(self, request, response):
        self.requests += 1
        response.reject(1, "File not found")


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def ask(port):
    """The destinations that an answer comes from, after every datagram has been sent."""
    answered = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        client.settimeout(5)
        for destination in (*DESTINATIONS[2:], *DESTINATIONS[:2]):
            client.sendto(b"\0\1f\0octet\0", (destination, port))
        for _ in range(2):
            answered.append(client.recvfrom(2048)[1][0])
        client.settimeout(0.3)
        try:
            while True:
                answered.append(client.recvfrom(2048)[1][0])
        except TimeoutError:
            return answered


def main():
    ip("link", "set", "lo", "up")
    ip("link", "add", "lan", "type", "veth", "peer", "name", "phones")
    ip("link", "set", "phones", "up")
    ip("addr", "add", "10.213.8.1/24", "broadcast", "10.213.8.255", "dev", "lan")
    ip("link", "set", "lan", "up")
    ip("route", "add", "default", "dev", "lan")
    files = Files()
    server = TftpServer(reactor, 0, "0.0.0.0", files)
    server.startService()

    def done(answered):
        print(json.dumps({"answered": sorted(answered), "requests": files.requests}))
        return server.stopService()

    asking = deferToThread(ask, server.port)
    asking.addCallback(done)
    asking.addErrback(lambda failure: failure.printTraceback())
    asking.addBoth(lambda _: reactor.stop())
    reactor.run()


if __name__ == "__main__":
    main()
