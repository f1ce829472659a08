"""A phone's side of DHCP: `dhcp_client.py INTERFACE MAC CODES [OPTION=HEX…]` prints its lease.

CODES are the options asked for, with commas; the others are what the phone sends.
"""

import json
import os
import socket
import struct
import sys
import time

_HEADER = "!BBBB4sHH4s4s4s4s16s64s128s4s"
_COOKIE = b"\x63\x82\x53\x63"
_DISCOVER, _OFFER, _REQUEST, _ACK = 1, 2, 3, 5
_BROADCAST = 0x8000
_SECONDS = 15


def option(code, value):
    return bytes((code, len(value))) + value


def packet(kind, xid, mac, *options):
    header = struct.pack(
        _HEADER, 1, 1, 6, 0, xid, 0, _BROADCAST, b"", b"", b"", b"", mac, b"", b"", _COOKIE
    )
    return header + option(53, bytes((kind,))) + b"".join(options) + b"\xff"


def parse(datagram):
    fields = struct.unpack_from(_HEADER, datagram)
    options, position = {}, struct.calcsize(_HEADER)
    while position < len(datagram) and datagram[position] != 255:
        if datagram[position] == 0:
            position += 1
            continue
        code, length = datagram[position : position + 2]
        position += 2 + length
        options[code] = options.get(code, b"") + datagram[position - length : position]
    return {
        "xid": fields[4],
        "ip": socket.inet_ntoa(fields[8]),
        "siaddr": socket.inet_ntoa(fields[9]),
        "file": fields[13].rstrip(b"\0").decode(),
        "options": options,
    }


def ask(sock, kind, expected, xid, mac, *options):
    """Send until an answer comes: a server may still be starting."""
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        sock.sendto(packet(kind, xid, mac, *options), ("255.255.255.255", 67))
        wait = time.monotonic() + 1
        while time.monotonic() < wait:
            try:
                answer = parse(sock.recv(4096))
            except TimeoutError:
                break
            if answer["xid"] == xid and answer["options"].get(53) == bytes((expected,)):
                return answer
    raise SystemExit("no DHCP server answers")


def main(interface, mac, codes, *sent):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.bind(("", 68))
    sock.settimeout(0.3)
    xid, hardware = os.urandom(4), bytes.fromhex(mac.replace(":", ""))
    always = [option(55, bytes(map(int, codes.split(","))))]
    for text in sent:
        code, _, value = text.partition("=")
        always.append(option(int(code), bytes.fromhex(value)))
    offer = ask(sock, _DISCOVER, _OFFER, xid, hardware, *always)
    chosen = [option(50, socket.inet_aton(offer["ip"])), option(54, offer["options"][54])]
    lease = ask(sock, _REQUEST, _ACK, xid, hardware, *always, *chosen)
    lease["options"] = {code: value.hex() for code, value in lease["options"].items()}
    del lease["xid"]
    print(json.dumps(lease))


if __name__ == "__main__":
    main(*sys.argv[1:])
