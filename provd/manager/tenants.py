"""Deletes what belonged to tenants that are gone (contract: integration §6, documents §6.5).

An event tells of most; a comparison with all tenants now and then finds the others. Deleting by
mistake is far worse than deleting late, so a list of tenants is believed only if it is plausible,
and what it says of a device counts only if the device is older than the list.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from twisted.internet import defer

from provd.errors import AuthUnavailable, DeviceNotFound, ProvdError
from provd.retry import RetryLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable

    from provd.manager.jobs import Jobs
    from provd.manager.manager import DeviceManager
    from provd.manager.parameters import Parameters
    from provd.store.interface import Store

logger = logging.getLogger(__name__)

RETRY_SECONDS = 60.0
LEAST_RETRY_SECONDS = 0.05
"""Between attempts that fail, where the period is shorter."""
_TENANTS_AT_ONCE = 1000
_DELETIONS_AT_ONCE = 16


class TenantRemoval:
    """Deletes devices, several at once, as the store then makes one commit of several."""

    def __init__(
        self, store: Store, manager: DeviceManager, parameters: Parameters, jobs: Jobs
    ) -> None:
        self._store = store
        self._manager = manager
        self._parameters = parameters
        self._jobs = jobs

    async def forget(self, tenant: str) -> None:
        """Delete all devices of a tenant that is gone, and its provisioning key."""
        ids = await self._store.find_ids("devices", {"tenant_uuid": tenant})
        deleted = await self.delete(ids, lambda owner: owner == tenant)
        await self._parameters.remove_tenant(tenant)
        logger.info("tenant %s is gone: %d devices deleted", tenant, deleted[tenant])

    async def delete(
        self, device_ids: Iterable[str], is_gone: Callable[[str], bool]
    ) -> Counter[str]:
        """Delete those devices whose tenant is gone; return how many of each tenant.

        A device without a tenant stays, and so does one that moves to another in between.
        """
        deleted: Counter[str] = Counter()

        async def delete(device_id: str) -> None:
            try:
                tenant = (await self._manager.device(device_id)).get("tenant_uuid")
                if not isinstance(tenant, str) or not tenant or not is_gone(tenant):
                    return
                await self._manager.delete_device(device_id, {tenant})
            except DeviceNotFound:
                logger.debug("device %s is gone already, or moved", device_id)
            else:
                deleted[tenant] += 1

        shared = iter(device_ids)
        workers = [
            defer.Deferred.fromCoroutine(self._jobs.for_each(shared, delete))
            for _ in range(_DELETIONS_AT_ONCE)
        ]
        await defer.gatherResults(workers, consumeErrors=True)
        return deleted


class TenantSync:
    """Compares devices and provisioning keys with the tenants that exist, again and again.

    `list_tenants` gives all tenants, or None if they are not told.
    """

    def __init__(
        self,
        *,
        clock: Any,
        store: Store,
        manager: DeviceManager,
        parameters: Parameters,
        removal: TenantRemoval,
        list_tenants: Callable[[], Awaitable[Collection[str] | None]],
        start_seconds: float,
        interval_seconds: float,
        takes_turn: Callable[[float], Awaitable[bool]] | None = None,
    ) -> None:
        self._takes_turn = takes_turn
        """Where other nodes compare too: whether it is this one's turn for so many seconds."""
        self._clock = clock
        self._store = store
        self._manager = manager
        self._parameters = parameters
        self._removal = removal
        self._list_tenants = list_tenants
        self._start_seconds = start_seconds
        self._interval_seconds = interval_seconds
        self._seen: frozenset[str] = frozenset()
        """The tenants that the last list had which was believed."""
        self._due = float("-inf")
        self._trouble: str | None = None
        retry = max(min(interval_seconds, RETRY_SECONDS), LEAST_RETRY_SECONDS)
        self._loop = RetryLoop(
            clock,
            self._take_turn,
            name="tenants are not compared",
            delays=(retry,),
            level=self._level,
            log=logger,
        )

    def start(self) -> None:
        """Begin; the first comparison follows after the start time."""
        self._loop.start(self._start_seconds)

    async def stop(self) -> None:
        """End, in the middle of a comparison if need be."""
        await self._loop.stop()

    def compare_soon(self) -> None:
        """Do the next comparison at once, as an event may have been missed."""
        self._loop.hurry()

    async def _take_turn(self) -> float:
        """Compare if it is this node's turn; return how many seconds to wait then."""
        began = self._clock.seconds()
        # A timer that is late by a little must not make all later comparisons late.
        is_late = 0 <= began - self._due < self._interval_seconds / 2
        self._due = (self._due if is_late else began) + self._interval_seconds
        if self._takes_turn is None or await self._takes_turn(
            max(self._interval_seconds * 0.9, 1.0)
        ):
            await self.compare()
        if self._trouble is not None:
            logger.info("tenants are compared again")
        self._trouble = None
        return float(self._due - self._clock.seconds())

    def _level(self, error: Exception, _failures: int) -> int:
        """Return the level for a failed comparison; only the first of equal troubles is logged."""
        trouble, self._trouble = self._trouble, repr(error)
        if trouble == self._trouble:
            return logging.DEBUG
        return logging.WARNING if isinstance(error, ProvdError) else logging.ERROR

    async def compare(self) -> None:
        """Delete devices and keys of tenants that are gone; AuthUnavailable without a good list."""
        entries = self._parameters.tenants()
        known = await self._known_tenants()
        missing = (self._seen | {tenant.lower() for tenant in entries}) - known
        if missing:
            # Two lists in a row are believed. The second follows at once, as a tenant may be gone
            # for a moment only.
            again = await self._known_tenants()
            missing -= again
            known |= again
        deleted: Counter[str] = Counter()
        if missing:
            ids = await self._store.find_ids("devices", {"tenant_uuid": {"$in": sorted(missing)}})
            deleted += await self._removal.delete(ids, lambda tenant: tenant.lower() in missing)
        strays = await self._strays(known)
        if strays:
            # A stray may be of a tenant that was made after the lists; this one is newer than every
            # stray.
            newest = await self._known_tenants()
            known |= newest
            deleted += await self._removal.delete(
                strays, lambda tenant: tenant.lower() in missing or tenant.lower() not in newest
            )
        for tenant in entries:
            if tenant.lower() in missing:
                await self._parameters.remove_tenant(tenant)
                deleted.setdefault(tenant, 0)
        for tenant, count in deleted.items():
            logger.info("tenant %s is gone: %d devices deleted", tenant, count)
        self._seen = frozenset(known - missing)

    async def _known_tenants(self) -> set[str]:
        """Return all tenants, in lower case as clients may write a UUID either way."""
        listed = await self._list_tenants()
        if listed is None or not all(isinstance(tenant, str) for tenant in listed):
            raise AuthUnavailable("the tenants are not told")
        known = {tenant.lower() for tenant in listed}
        main = self._manager.main_tenant
        if main is None:
            raise AuthUnavailable("the main tenant is not known yet")
        if main.lower() not in known:
            raise AuthUnavailable(
                f"a list of {len(known)} tenants without the main one is not believed"
            )
        return known

    async def _strays(self, known: set[str]) -> list[str]:
        """Return the ids of devices that seem to be of no known tenant.

        Almost always there are none, which counting by an index tells; only else all devices are
        read.
        """
        names = sorted(known)
        unexplained = await self._store.count("devices", {})
        for start in range(0, len(names), _TENANTS_AT_ONCE):
            part = names[start : start + _TENANTS_AT_ONCE]
            unexplained -= await self._store.count("devices", {"tenant_uuid": {"$in": part}})
        if not unexplained:
            return []
        selector = {"tenant_uuid": {"$exists": True, "$nin": [*names, None]}}
        return await self._store.find_ids("devices", selector)
