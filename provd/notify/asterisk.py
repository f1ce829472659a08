"""What is asked of an Asterisk so that one phone, and no other, gets a NOTIFY.

The registered contacts are listed first. That proves that Asterisk is awake, too: of a NOTIFY that
it is given and does not answer nobody knows whether it is sent later.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from twisted.internet import defer, task

from provd.errors import SynchronizeError
from provd.logs import escape
from provd.notify.contacts import Contact, choose_contact, parse_contacts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from provd.notify.amiprotocol import Answered
    from provd.notify.interface import Phone

    Request = Callable[[str, Iterable[tuple[str, str]]], Awaitable[Answered]]

logger = logging.getLogger(__name__)

RETRY_SECONDS = 0.5
AGE_PER_CONTACT = 0.0002
"""So many seconds for each contact a list serves several phones: of 10 000 phones it has 5 MB."""
_SYSTEM = re.compile(r"\(Priv: system,all\)")
_DEFAULT_ENDPOINT = "default_outbound_endpoint"
_DEFAULT_LINE = re.compile(rf"{_DEFAULT_ENDPOINT}\s*=>?\s*(\S+)")


class _NotReady(SynchronizeError):
    """Asterisk does not know a command; just after a start it may, soon."""


class Asterisk:
    """One Asterisk, through `request`, which sends an AMI action and returns the answer."""

    def __init__(self, clock: Any, request: Request, timeout: float) -> None:
        """`timeout` is how long an Asterisk that has just started is waited for."""
        self._clock = clock
        self._request = request
        self._timeout = timeout
        self._commands: frozenset[str] = frozenset()
        self.may_notify = False
        """Whether the AMI user has write=system."""
        self._contacts: list[Contact] = []
        self._listed_at = float("-inf")
        self._listing = defer.DeferredLock()

    def learn(self, answer: Answered) -> None:
        """Take the answer to `ListCommands`, which names what this user may do."""
        self._commands = frozenset(answer.fields)
        self.may_notify = any(_SYSTEM.search(value) for value in answer.fields.values())
        self._listed_at = float("-inf")

    async def notify(self, phone: Phone, variables: Sequence[tuple[str, str]]) -> str:
        """Notify the phone, and return where it is; SynchronizeError."""
        began = self._clock.seconds()
        while True:
            try:
                return await self._notify(phone, variables)
            except _NotReady:
                if self._clock.seconds() - began + RETRY_SECONDS >= self._timeout:
                    raise
            await task.deferLater(self._clock, RETRY_SECONDS)
            self.learn(await self._request("ListCommands", ()))

    async def find(self, phone: Phone) -> Contact:
        """Return the phone's contact; SynchronizeError says why there is none."""
        contact, _ = await self._find(phone)
        return contact

    async def _notify(self, phone: Phone, variables: Sequence[tuple[str, str]]) -> str:
        if self._has_chan_sip_only:
            contact = choose_contact([await self._peer(phone.account)], phone)
            await self._act("SIPnotify", [("Channel", contact.account), *variables])
            return contact.uri
        contact, is_alone = await self._find(phone)
        if is_alone and contact.account:
            # Asterisk then sends it as it sends calls: by the endpoint's transport, path and proxy.
            target = "Endpoint", contact.account
        else:
            await self._check_default_endpoint()
            target = "URI", contact.uri
        await self._act("PJSIPNotify", [target, *variables])
        return contact.uri

    @property
    def _has_chan_sip_only(self) -> bool:
        return "sipnotify" in self._commands and "pjsipnotify" not in self._commands

    async def _find(self, phone: Phone) -> tuple[Contact, bool]:
        """Return the phone's contact, and whether its account has no other."""
        contacts = await self._list(AGE_PER_CONTACT * len(self._contacts))
        try:
            contact = choose_contact(contacts, phone)
        except SynchronizeError:
            # It may have registered a moment ago.
            contacts = await self._list(min(RETRY_SECONDS, AGE_PER_CONTACT * len(contacts)))
            contact = choose_contact(contacts, phone)
        return contact, sum(other.account == contact.account for other in contacts) == 1

    async def _list(self, max_age: float) -> list[Contact]:
        await self._listing.acquire()
        try:
            if self._clock.seconds() - self._listed_at > max_age:
                await self._list_anew()
                return self._contacts
        finally:
            self._listing.release()
        # An Asterisk that fell asleep since then must not get a NOTIFY.
        await self._act("Ping", ())
        return self._contacts

    async def _list_anew(self) -> None:
        began = self._clock.seconds()
        answer = await self._request("PJSIPShowContacts", ())
        if answer.error is None or "no contacts" not in answer.error.lower():
            _check("PJSIPShowContacts", answer)
        self._contacts = parse_contacts(answer.items)
        self._listed_at = began

    async def _peer(self, account: str | None) -> Contact:
        """Return the contact of an account of chan_sip, which has one at most."""
        if account is None:
            raise SynchronizeError("chan_sip needs the phone's account, which is not known")
        fields = (await self._act("SIPshowpeer", [("Peer", account)])).fields
        host, port = fields.get("address-ip", ""), fields.get("address-port", "")
        if not re.match("[0-9a-f]", host) or port in {"", "0"}:
            raise SynchronizeError(f"account {account!r:.80} has no registered contact")
        uri = fields.get("reg-contact") or f"sip:{account}@{host}:{port}"
        return Contact(account, uri, host, int(port), fields.get("sip-useragent", ""))

    async def _check_default_endpoint(self) -> None:
        """Raise SynchronizeError if Asterisk has no endpoint by which a NOTIFY to a URI leaves."""
        wanted = ("Filename", "pjsip.conf"), ("Filter", "type=^global$")
        answer = await self._request("GetConfig", wanted)
        if answer.error is not None:
            return  # its configuration comes from elsewhere
        lines = (_DEFAULT_LINE.fullmatch(value) for value in answer.fields.values())
        name = next((line[1] for line in lines if line is not None), _DEFAULT_ENDPOINT)
        answer = await self._request("PJSIPShowEndpoint", [("Endpoint", name)])
        if answer.error is not None:
            raise SynchronizeError(
                f"its account has several contacts, and Asterisk has no endpoint {name!r:.80} to "
                "notify one of them by: set default_outbound_endpoint in [global] of pjsip.conf"
            )

    async def _act(self, name: str, arguments: Iterable[tuple[str, str]]) -> Answered:
        answer = await self._request(name, arguments)
        _check(name, answer)
        return answer


def _check(name: str, answer: Answered) -> None:
    if answer.error is None:
        return
    if "unknown command" in answer.error.lower():
        raise _NotReady(f"Asterisk has no {name}: {escape(answer.error)}")
    raise SynchronizeError(escape(answer.error))
