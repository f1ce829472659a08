"""A notifier in the shape that plugins know: a sync service of type `AsteriskAMI`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet import defer, threads
from twisted.python import threadable

from provd.errors import SynchronizeError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provd.notify.interface import Notifier


class SyncService:
    """Notifies phones through any notifier.

    Called in the reactor's thread, a method returns a Deferred. Called in another, as plugins
    call what blocks, it returns None once the NOTIFY is sent, and raises what went wrong.
    """

    TYPE = "AsteriskAMI"

    def __init__(self, reactor: Any, notifier: Notifier) -> None:
        self._reactor = reactor
        self._notifier = notifier

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
        if not threadable.isInIOThread():
            begin: Any = self._begin
            threads.blockingCallFromThread(self._reactor, begin, peer, ip, event, extra_vars)
            return None
        return self._begin(peer, ip, event, extra_vars)

    def _begin(
        self, peer: str | None, ip: str | None, event: str, extra_vars: Iterable[str] | None
    ) -> defer.Deferred[None]:
        async def work() -> None:
            await self._notifier.notify(
                endpoint=peer, address=ip, event=event, variables=_variables(extra_vars or ())
            )

        return defer.Deferred.fromCoroutine(work())


def _variables(extra_vars: Iterable[str]) -> list[tuple[str, str]]:
    variables = []
    for text in extra_vars:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise SynchronizeError(f"{text!r:.80} is no Name=value")
        variables.append((name, value))
    return variables
