"""A notifier in the shape that plugins know: a sync service of type `AsteriskAMI`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet import defer, threads
from twisted.python import threadable

from provd.errors import SynchronizeError
from provd.notify.interface import Phone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from provd.notify.interface import Notifier

    Neighbours = Callable[
        [Mapping[str, Any], str | None, bool], Awaitable[Sequence[Mapping[str, Any]]]
    ]

HEARD_SECONDS = 60.0


class SyncService:
    """Notifies phones through any notifier.

    Called in the reactor's thread, a method returns a Deferred. Called in another, as plugins
    call what blocks, it returns None once the NOTIFY is sent, and raises what went wrong.
    """

    TYPE = "AsteriskAMI"

    def __init__(
        self, reactor: Any, notifier: Notifier, neighbours: Neighbours | None = None
    ) -> None:
        """`neighbours` gives those that may run a device's account, which may be shared, too."""
        self._reactor = reactor
        self._notifier = notifier
        self._neighbours = neighbours
        self._heard: dict[str, tuple[float, Phone]] = {}

    def hear(self, device_id: str, phone: Phone) -> None:
        """Take note of where a device's phone is calling from; that holds for a minute."""
        now = self._reactor.seconds()
        recent = self._heard.items()
        self._heard = {known: (at, it) for known, (at, it) in recent if now - at < HEARD_SECONDS}
        self._heard[device_id] = now, phone

    def sip_notify_by_ip(
        self, ip: str, event: str, extra_vars: Iterable[str] | None = None
    ) -> defer.Deferred[None] | None:
        """Notify whoever is at `ip`; `extra_vars` are texts `Name=value`."""
        return self.sip_notify_device(None, ip, event, extra_vars)

    def sip_notify_by_peer(
        self, peer: str, event: str, extra_vars: Iterable[str] | None = None
    ) -> defer.Deferred[None] | None:
        """Notify the SIP account `peer`; `extra_vars` are texts `Name=value`."""
        return self.sip_notify_device(peer, None, event, extra_vars)

    sip_notify = sip_notify_by_ip

    def sip_notify_device(
        self, peer: str | None, ip: str | None, event: str, extra_vars: Iterable[str] | None = None
    ) -> defer.Deferred[None] | None:
        """Notify the SIP account `peer` if it is known, else whoever is at `ip`."""
        return self._start(lambda: _known(Phone(account=peer, address=ip)), event, extra_vars)

    def notify_device(
        self,
        device: Mapping[str, Any],
        event: str,
        extra_vars: Iterable[str] | None = None,
        *,
        is_shared: Callable[[str], bool],
    ) -> defer.Deferred[None] | None:
        """Notify the phone of a device; `is_shared` tells which accounts new phones share."""
        return self._start(lambda: self._phone(device, is_shared), event, extra_vars)

    def _start(
        self,
        phone: Callable[[], Awaitable[Phone]],
        event: str,
        extra_vars: Iterable[str] | None,
    ) -> defer.Deferred[None] | None:
        async def work() -> None:
            variables = _variables(extra_vars or ())
            await self._notifier.notify(await phone(), event=event, variables=variables)

        if not threadable.isInIOThread():
            begin: Any = defer.Deferred.fromCoroutine
            threads.blockingCallFromThread(self._reactor, lambda: begin(work()))
            return None
        return defer.Deferred.fromCoroutine(work())

    async def _phone(self, device: Mapping[str, Any], is_shared: Callable[[str], bool]) -> Phone:
        account = device.get("remote_state_sip_username") or None
        address = device.get("ip") or None
        port = None
        at, heard = self._heard.get(str(device.get("id")), (float("-inf"), Phone()))
        if self._reactor.seconds() - at < HEARD_SECONDS:
            # A call says more than what was once fetched.
            account, port = heard.account or account, heard.port
            address = heard.address or address
        shared = account is not None and is_shared(account)
        rivals: tuple[str, ...] = ()
        if self._neighbours is not None:
            # A device loses its address to the next one that asks from there.
            rivals = tuple(
                str(other.get("mac") or other.get("id"))
                for other in await self._neighbours(device, account, shared)
                if other.get("id") != device.get("id")
                and (not address or other.get("ip") in {None, "", address})
                and (account is None or other.get("remote_state_sip_username") in {None, account})
            )
        return Phone(account, address, device.get("mac") or None, port, shared, rivals)


async def _known(phone: Phone) -> Phone:
    return phone


def _variables(extra_vars: Iterable[str]) -> list[tuple[str, str]]:
    variables = []
    for text in extra_vars:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise SynchronizeError(f"{text!r:.80} is no Name=value")
        variables.append((name, value))
    return variables
