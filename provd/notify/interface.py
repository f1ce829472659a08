"""What every way to notify a phone promises."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Protocol

import attrs

from provd.errors import SynchronizeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# Lone surrogates are no characters: they cannot be encoded.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


@attrs.frozen
class Phone:
    """What is known of a phone that is to be notified."""

    account: str | None = None
    """The SIP account that it runs."""
    address: str | None = None
    """Its IPv4 address; `:port` may follow."""
    mac: str | None = None
    port: int | None = None
    """The port of its SIP socket, where it was heard in a call."""
    is_shared: bool = False
    """Whether `account` is that of all new phones."""
    rivals: tuple[str, ...] = ()
    """MACs, else ids, of other devices that may run the same account at the same address."""

    @property
    def name(self) -> str:
        """How messages name it."""
        return repr((None if self.is_shared else self.account) or self.address or self.account)[:80]


class Notifier(Protocol):
    """Sends SIP NOTIFY to phones. Every call is bounded in time."""

    @property
    def status(self) -> str:
        """`ok`, or in words why phones cannot be notified now."""

    def start(self) -> None:
        """Begin; does not wait for a server that is away."""

    async def stop(self) -> None:
        """End all that is under way; what waits fails."""

    async def notify(
        self, phone: Phone, *, event: str, variables: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Notify this phone and no other.

        `variables` are headers; those named `Content` are the lines of the body. SynchronizeError
        says what could not be sent, where to and why.
        """


def check_fields(what: str, fields: Iterable[tuple[str, str]]) -> None:
    """Raise SynchronizeError if a name or value could end the line that it becomes.

    The message has no value: it may be a password.
    """
    for name, value in fields:
        for text in (name, value):
            if _CONTROL.search(text):
                raise SynchronizeError(f"{what}: {name!r:.80} holds a control character")


def check_content(variables: Iterable[tuple[str, str]]) -> None:
    """Raise SynchronizeError if a body has no type: Asterisk would drop it in silence."""
    names = {name.lower() for name, _ in variables}
    if "content" in names and "content-type" not in names:
        raise SynchronizeError("a NOTIFY with Content needs a Content-Type")


def parse_address(address: str) -> tuple[str, int | None]:
    """Return the IPv4 address and the port, if one follows; SynchronizeError."""
    host, colon, port = address.partition(":")
    try:
        ipaddress.IPv4Address(host)
        if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError(port)
    except ValueError as error:
        raise SynchronizeError(f"{address!r:.80} is no IPv4 address that can be sent to") from error
    return host, int(port) if colon else None
