"""A phone to play, the server it asks, and how fleets get their MACs and addresses."""

from __future__ import annotations

import ipaddress
import math
import socket
import ssl
import urllib.parse
import uuid
from typing import TYPE_CHECKING

import attrs

from provd.errors import InvalidParameter

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Iterator, Mapping

    from provd.simphone.models import Model, Protocol, Step

MAX_FILE_SIZE = 256 * 1024 * 1024
DEFAULT_PORTS: Mapping[Protocol, int] = {"http": 8667, "tftp": 69}
MACS_PER_OUI = 1 << 24


def parse_mac(text: str) -> str:
    """Return a MAC as `00:15:65:12:34:56`, from any usual spelling; raises InvalidParameter."""
    digits = text.strip().lower().translate(str.maketrans("", "", ":-. "))
    if len(digits) != 12 or not set(digits) <= set("0123456789abcdef"):
        raise InvalidParameter(f"{text!r} is not a MAC address")
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


def consecutive_macs(first: str) -> Iterator[str]:
    """Yield `first` and the MACs that follow it; raises InvalidParameter when none is left."""
    for number in range(int(first.replace(":", ""), 16), 1 << 48):
        yield parse_mac(f"{number:012x}")
    raise InvalidParameter(f"there are not so many MAC addresses from {first} on")


class MacPool:
    """Gives MACs inside a model's OUIs at random, and none of them twice."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._used: dict[str, set[int]] = {}

    def take(self, ouis: Collection[str]) -> str:
        """Return a MAC that was not given before; raises InvalidParameter when none is left."""
        free = [oui for oui in ouis if len(self._used.get(oui, ())) < MACS_PER_OUI]
        if not free:
            raise InvalidParameter(f"all MAC addresses of {', '.join(ouis)} are used")
        oui = self._rng.choice(free)
        used = self._used.setdefault(oui, set())
        while (number := self._rng.randrange(MACS_PER_OUI)) in used:
            pass
        used.add(number)
        return parse_mac(f"{oui}{number:06x}")


def fleet_address(network: int, index: int) -> str:
    """Return the address of the phone with that number, counted from 0, in `network`.0.0.0/8.

    The last number is never 0 nor 255: some servers refuse such a peer.
    """
    high, low = divmod(index, 254)
    top, middle = divmod(high, 256)
    if not 0 <= top < 254:
        raise InvalidParameter(f"{network}.0.0.0/8 has not so many addresses")
    return f"{network}.{top + 1}.{middle}.{low + 1}"


@attrs.frozen
class PlannedStep:
    """A step of one phone's boot: its file with every placeholder filled in."""

    step: Step
    path: str
    form: str


@attrs.frozen
class Phone:
    """One phone: what it is, and where it says it is."""

    model: Model
    mac: str = attrs.field(converter=parse_mac)
    version: str = ""
    """Empty: the newest version that is known of the model."""
    source_ip: str | None = None
    """The address to ask from; None leaves it to the system."""
    forwarded_for: str | None = None
    """The value of an X-Forwarded-For header, as a front proxy would add it."""

    def words(self) -> dict[str, str]:
        """Return what fills the placeholders of `provd.simphone.models`."""
        series, name = self.model.series, self.model.name
        mac = self.mac.replace(":", "")
        version = self.firmware
        return {
            "mac": mac,
            "MAC": mac.upper(),
            "mac_colons": self.mac,
            "MAC_colons": self.mac.upper(),
            "MAC_dashes": self.mac.upper().replace(":", "-"),
            "mac_underscores": self.mac.replace(":", "_"),
            "model": name,
            "version": version,
            "platform": version.partition(".")[0],
            "reported": series.reported(name),
            "common": series.common(name),
            "serial": f"SIM{mac[4:].upper()}",
            "uuid": str(uuid.UUID(int=int(mac, 16))),
        }

    @property
    def firmware(self) -> str:
        """The version it reports."""
        return self.version or self.model.versions[-1]

    @property
    def user_agent(self) -> str | None:
        """The User-Agent header, or None if the phone sends none."""
        template = self.model.series.user_agent
        return None if template is None else template.format_map(self.words())

    def steps(self) -> list[PlannedStep]:
        """Return its boot, in order."""
        words = self.words()
        numbers = words["version"].split(".")
        position = self.model.series.generation
        # A version without that number is a new scheme, so count it as newer than all others.
        known = len(numbers) > position and numbers[position].isdecimal()
        generation = int(numbers[position]) if known else math.inf
        return [
            PlannedStep(step, step.file.format_map(words), step.form.format_map(words))
            for step in self.model.series.steps
            if step.since <= generation
            and (step.before is None or generation < step.before)
            and (words["common"] or "{common}" not in step.file)
        ]


@attrs.frozen
class Target:
    """A server to ask, over one protocol; make one with `from_url`."""

    protocol: Protocol
    host: str
    port: int
    address: str
    """The host's numeric address: each phone of a fleet would else look it up again."""
    prefix: str = ""
    """The path below which the files are, without a slash at its end."""
    key: str = attrs.field(default="", repr=False)
    """The provisioning key that comes first in each path; never shown."""
    tls: ssl.SSLContext | None = attrs.field(default=None, repr=False)
    timeout: float = 10.0
    """For each file, in seconds."""
    retransmit: float = 1.0
    """TFTP: seconds of silence before the last packet is sent again."""
    tftp_options: Mapping[str, int] = attrs.field(factory=dict)
    """Which of blksize, timeout and tsize a TFTP request carries."""
    save: str | None = None
    """A directory for what was got: `<mac>/<path>`."""
    max_size: int = MAX_FILE_SIZE

    @classmethod
    def from_url(cls, url: str, *, verify: bool = True) -> Target:
        """Return the target of a URL such as `http://127.0.0.1:8667` or `tftp://127.0.0.1:69`.

        `verify` off accepts any certificate of an https server. Raises InvalidParameter if the
        URL is wrong or its host is unknown.
        """
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError as exc:
            raise InvalidParameter(f"{url!r} is not a URL: {exc}") from exc
        protocol: Protocol
        match parts.scheme:
            case "http" | "https":
                protocol = "http"
            case "tftp":
                protocol = "tftp"
            case _:
                raise InvalidParameter(f"{url!r} does not begin with http://, https:// or tftp://")
        if not parts.hostname or parts.query or parts.fragment or parts.username:
            raise InvalidParameter(f"{url!r} is more or less than a host, a port and a path")
        if port is None:
            port = {"http": 80, "https": 443, "tftp": 69}[parts.scheme]
        tls = None
        if parts.scheme == "https":
            tls = ssl.create_default_context()
            if not verify:
                tls.check_hostname = False
                tls.verify_mode = ssl.CERT_NONE
        return cls(
            protocol=protocol,
            host=parts.hostname,
            port=port,
            address=_resolve(parts.hostname),
            prefix=parts.path.rstrip("/"),
            tls=tls,
        )

    @property
    def family(self) -> socket.AddressFamily:
        """The address family of its sockets."""
        return socket.AF_INET6 if ":" in self.address else socket.AF_INET

    @property
    def is_loopback(self) -> bool:
        """Whether each phone can have an address of its own in 127.0.0.0/8."""
        return self.family is socket.AF_INET and ipaddress.ip_address(self.address).is_loopback

    def __str__(self) -> str:
        """Give its URL, without the key."""
        scheme = "https" if self.tls else self.protocol
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}{self.prefix}"


def _resolve(host: str) -> str:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise InvalidParameter(f"cannot find the address of {host!r}: {exc}") from exc
    # Phones speak IPv4, and so does provd; IPv6 is for a server that has nothing else.
    ordered = sorted(found, key=lambda entry: entry[0] != socket.AF_INET)
    return str(ordered[0][4][0])
