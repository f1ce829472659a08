#!/usr/bin/python3 -IS
"""Tells provd of a DHCP event: run by dhcpd (execute), Kea (run_script), dnsmasq (dhcp-script).

A DHCP server starts this for each lease and may wait for its end, so it imports next to nothing,
needs no other file, and never waits: where the daemon is not there, or has no room, the event is
lost and the exit status 1. `provd-dhcp hook` prints it with the constants below filled in.

    hook [--socket PATH] commit IP MAC [OPTION…]     dhcpd; an OPTION is 060 and 59.65.61
    hook [--socket PATH] expiry|release IP
    hook [--socket PATH] add|old|del MAC IP [NAME]   dnsmasq, which has more in the environment
    hook [--socket PATH] leases4_committed …         Kea, which has all in the environment
"""

import os
import sys

# The public module would take twice as long to load.
from _socket import AF_UNIX, SOCK_DGRAM, SOCK_NONBLOCK, socket

SOCKET = "/run/provd/dhcp.sock"
# Kea tells its scripts no option of the phone. Its generated configuration gives each known vendor
# class a lease time of its own instead: so many seconds, and that vendor class.
KEA_VENDOR_CLASSES: dict[int, str] = {}
MAX_BYTES = 2048

DHCPD = ("commit", "expiry", "release")
# What a script is told besides: nothing that concerns phones.
KEA_IGNORED = ("lease4_", "lease6_", "leases6_")
DNSMASQ_IGNORED = ("init", "tftp", "arp-add", "arp-del", "relay-snoop", "hosts")


def option(code: int, text: str) -> list[str]:
    """Return the line of an option in a list; nothing if the phone did not send it."""
    # What is not UTF-8 comes from the system as surrogates, and goes out as the bytes it was.
    value = os.fsencode(text)
    return [f"{code:03d}{value.hex('.')}"] if value else []


def from_dhcpd(arguments: list[str]) -> list[str]:
    """Return the lines of an event; an option that is absent is an empty argument."""
    arguments = [argument for argument in arguments if argument]
    needed = 3 if arguments[0] == "commit" else 2
    if len(arguments) < needed:
        raise ValueError(f"{arguments[0]} needs {needed - 1} more arguments")
    return arguments if needed == 3 else arguments[:2]


def from_dnsmasq(arguments: list[str]) -> list[str]:
    """Return the lines of an event, none for DHCPv6 and for hardware that is not Ethernet."""
    operation, mac, ip = arguments[:3]
    if "DNSMASQ_IAID" in os.environ or "-" in mac:
        return []
    if operation == "del":
        return ["expiry", ip]
    return [
        "commit",
        ip,
        mac,
        *option(60, os.environ.get("DNSMASQ_VENDOR_CLASS", "")),
        *option(77, os.environ.get("DNSMASQ_USER_CLASS0", "")),
        *option(12, os.environ.get("DNSMASQ_SUPPLIED_HOSTNAME", "")),
    ]


def from_kea(event: str) -> list[str]:
    """Return the lines of an event, none where no lease was given."""
    env = os.environ
    if event == "lease4_expire":
        return ["expiry", env["LEASE4_ADDRESS"]]
    if event == "lease4_release":
        return ["release", env["LEASE4_ADDRESS"]]
    if event != "leases4_committed" or env.get("LEASES4_SIZE") == "0":
        return []
    lifetime = env.get("LEASES4_AT0_VALID_LIFETIME", "")
    vendor_class = KEA_VENDOR_CLASSES.get(int(lifetime), "") if lifetime.isdigit() else ""
    return [
        "commit",
        env["LEASES4_AT0_ADDRESS"],
        env["LEASES4_AT0_HWADDR"],
        *option(60, vendor_class),
        *option(12, env.get("LEASES4_AT0_HOSTNAME", "")),
    ]


def lines_of(arguments: list[str]) -> list[str]:
    """Return the lines to send; none if the event says nothing of phones. ValueError, KeyError."""
    operation = arguments[0] if arguments else ""
    if operation in DHCPD:
        return from_dhcpd(arguments)
    if operation in {"add", "old", "del"}:
        return from_dnsmasq(arguments)
    if operation == "leases4_committed" or operation.startswith(KEA_IGNORED):
        return from_kea(operation)
    if operation in DNSMASQ_IGNORED:
        return []
    raise ValueError(f"{operation!r} is not an operation")


def datagram_of(lines: list[str]) -> bytes:
    """Return the datagram, with as many of the options as it has room for."""
    while len(datagram := "".join(f"{line}\n" for line in lines).encode()) > MAX_BYTES:
        lines = lines[:-1]
    return datagram


def main(arguments: list[str]) -> int:
    """Send the event that `arguments` and environment tell of; return the exit status."""
    path = SOCKET
    if arguments[:1] == ["--socket"]:
        path, arguments = "".join(arguments[1:2]), arguments[2:]
    try:
        lines = lines_of(arguments)
        if lines:
            client = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK)
            client.sendto(datagram_of(lines), path)
    except KeyError as error:
        reason = f"{error.args[0]} is not in the environment"
    except (OSError, ValueError) as error:
        reason = f"{path}: {error}" if isinstance(error, OSError) else str(error)
    else:
        return 0
    sys.stderr.write(f"provd-dhcp-hook: {reason}\n")
    return 1


def console() -> int:
    """Run as the command `provd-dhcp-hook`."""
    return main(sys.argv[1:])


if __name__ == "__main__":
    # Nothing needs to be cleaned up, and the interpreter would take its time to end.
    STATUS = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(STATUS)
