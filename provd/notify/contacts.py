"""Which of the contacts that a SIP server knows is a phone's, without I/O.

A NOTIFY restarts whoever gets it, so that a contact must be known to be the phone's. In this order:

1. The account: where the phone's is known, only its contacts count. One that names another MAC than
   the phone's, in the User-Agent that the phone registered with, is another phone's.
2. The MAC, in that User-Agent or in the contact itself.
3. The port, where the phone was heard in a call, and the address.

By the address alone a contact is the phone's only if it is the only one there, and no other device
at the address could be meant.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

import attrs

from provd.errors import SynchronizeError
from provd.notify.interface import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from provd.notify.interface import Phone

_MAC = re.compile(r"(?<![0-9a-z])[0-9a-f]{2}(?:([:-]?)[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}(?![0-9a-z])")
_URI = re.compile(
    r"sips?:(?:[^@]*@)?(\[[0-9a-f:.]+\]|[^\[\]:;?>@]+)(?::([0-9]{1,5}))?", re.IGNORECASE
)
_MULTICAST = 0x01


def find_mac(text: str) -> str | None:
    """Return the first MAC in a text as 12 digits in lower case; None if there is none."""
    for match in _MAC.finditer(text.lower()):
        digits = re.sub("[:-]", "", match[0])
        if not int(digits[:2], 16) & _MULTICAST:
            return digits
    return None


def _digits(text: str) -> str:
    return re.sub("[:-]", "", text.lower())


@attrs.frozen
class Contact:
    """Where a SIP server reaches a phone that has registered."""

    account: str
    uri: str
    via_host: str
    via_port: int | None
    user_agent: str

    @property
    def host(self) -> str:
        """The host of the URI."""
        match = _URI.match(self.uri)
        return match[1].strip("[]") if match is not None else ""

    @property
    def ports(self) -> frozenset[int]:
        """The ports that the phone may be heard from."""
        match = _URI.match(self.uri)
        port = int(match[2] or 5060) if match is not None else None
        return frozenset(port for port in (port, self.via_port) if port is not None)

    @property
    def mac(self) -> str | None:
        """The MAC in the User-Agent."""
        return find_mac(self.user_agent)

    def names(self, mac: str) -> bool:
        """Tell whether the phone gave this MAC when it registered."""
        wanted = _digits(mac)
        if len(wanted) != 12:
            return False
        texts = (self.user_agent, unquote(self.uri))
        return any(wanted in _digits(text) for text in texts)


def parse_contacts(items: Iterable[Mapping[str, str]]) -> list[Contact]:
    """Return the contacts of a list that `PJSIPShowContacts` answered."""
    contacts = []
    for item in items:
        if item.get("event", "").lower() != "contactlist":
            continue
        # Contacts that are configured, not registered, may have no endpoint but in their name.
        name = re.split("[;@]@", item.get("objectname", ""), maxsplit=1)[0]
        port = item.get("viaport", "")
        contacts.append(
            Contact(
                item.get("endpoint") or name,
                item.get("uri", ""),
                item.get("viaaddr", "").strip("[]"),
                int(port) if port.isdecimal() and int(port) > 0 else None,
                item.get("useragent", ""),
            )
        )
    return contacts


def choose_contact(contacts: Sequence[Contact], phone: Phone) -> Contact:
    """Return the contact that is known to be the phone's; SynchronizeError says why none is."""
    if phone.account is not None:
        contacts = [contact for contact in contacts if contact.account == phone.account]
        if not contacts:
            raise SynchronizeError(f"account {phone.account!r:.80} has no registered contact")
    rivals = [rival for rival in phone.rivals if not any(c.names(rival) for c in contacts)]
    if phone.mac is not None:
        named = [contact for contact in contacts if contact.names(phone.mac)]
        if named:
            # All are this phone's: the one where it was last seen is the best guess.
            return (_at(named, phone) or named)[-1]
        contacts = [contact for contact in contacts if contact.mac is None]
        if not contacts:
            raise SynchronizeError(f"the registered phones of {_whose(phone)} have other MACs")
    if phone.address is None:
        if phone.account is None or phone.is_shared or rivals:
            raise SynchronizeError(
                f"none of the {len(contacts)} contacts of {_whose(phone)} names the phone's MAC, "
                "and its address is not known"
            )
        return _only(contacts, phone)
    here = _at(contacts, phone)
    if not here:
        raise SynchronizeError(
            f"no contact of {_whose(phone)} is registered from {_place(phone)}"
            + (f", but from {_hosts(contacts)}" if phone.account is not None else "")
        )
    if phone.port is not None:
        # It was heard from there, which tells it from all others.
        return _only(here, phone)
    if rivals:
        raise SynchronizeError(
            f"{len(rivals) + 1} devices may be at {_place(phone)}, and none of its contacts tells "
            "which is this one's"
        )
    return _only(here, phone)


def _at(contacts: Sequence[Contact], phone: Phone) -> list[Contact]:
    if phone.address is None:
        return []
    host, port = parse_address(phone.address)
    port = port or phone.port
    at_port = [contact for contact in contacts if port is None or port in contact.ports]
    by_uri = [contact for contact in at_port if contact.host == host]
    return by_uri or [contact for contact in at_port if contact.via_host == host]


def _only(contacts: Sequence[Contact], phone: Phone) -> Contact:
    if len({contact.uri for contact in contacts}) > 1:
        raise SynchronizeError(
            f"{_whose(phone)} has {len(contacts)} contacts, and none tells which is this phone's"
        )
    return contacts[0]


def _whose(phone: Phone) -> str:
    return "any account" if phone.account is None else f"account {phone.account!r:.80}"


def _place(phone: Phone) -> str:
    port = f" port {phone.port}" if phone.port is not None else ""
    return f"{phone.address}{port}"


def _hosts(contacts: Sequence[Contact]) -> str:
    hosts = sorted({contact.host or contact.via_host for contact in contacts})
    return ", ".join(hosts[:3]) + (f" and {len(hosts) - 3} others" if len(hosts) > 3 else "")
