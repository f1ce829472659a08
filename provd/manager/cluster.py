"""Several daemons on one database: what one node must know of the others.

A node that is about to answer first asks what was written past the last change number it saw, by
whomever; usually nothing. So a phone that node A told to reload gets the new file from node B. What
was rendered stays a node's own: a document that another node changed makes the files of its devices
stale here, and they are rendered when they are asked for.
"""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from twisted.internet import defer, task
from twisted.python.failure import Failure

from provd.errors import ProvdError, StoreError, TooBusy
from provd.manager.locks import KeyedLocks
from provd.model.selectors import Query

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Hashable

    from provd.manager.cache import DocumentCache
    from provd.manager.jobs import Jobs
    from provd.manager.manager import DeviceManager
    from provd.manager.parameters import Parameters
    from provd.store.interface import Changed, SharedStore

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
CLAIM_SECONDS = 30.0
_CLAIM_PAUSE = 0.05
_DOCUMENTS_AT_ONCE = 500
_SLICE_SECONDS = 0.005


class Cluster:
    """The part of this node in the cluster."""

    def __init__(
        self,
        *,
        clock: Any,
        store: SharedStore,
        manager: DeviceManager,
        parameters: Parameters,
        jobs: Jobs,
    ) -> None:
        self._clock = clock
        self._store = store
        self._manager = manager
        self._parameters = parameters
        self._jobs = jobs
        self._waiting: list[defer.Deferred[None]] = []
        self._is_asking = False
        self._unapplied: list[Changed] | None = []
        """What others wrote and is not taken note of; None for anything."""
        self._own_locks = KeyedLocks(clock)
        self._polling: task.LoopingCall | None = None
        self._is_away = False
        self.plugins_changed: Callable[[], Awaitable[None]] | None = None
        """Called when the set of installed plugins may have changed."""
        self.foreign_changes = 0

    # Following the others

    async def start(self) -> None:
        """Begin to follow; before anything is read through a cache."""
        await self._store.changes()

    def poll(self) -> None:
        """Look regularly, too, so that what nobody asks for is followed as well."""
        self._polling = task.LoopingCall(self._poll)
        self._polling.clock = self._clock
        self._polling.start(POLL_SECONDS, now=False)

    async def _poll_now(self) -> None:
        try:
            await self.catch_up()
        except StoreError as error:
            logger.debug("the other nodes cannot be followed: %s", error)

    def _poll(self) -> defer.Deferred[None]:
        def failed(failure: Any) -> None:
            if not failure.check(defer.CancelledError):
                logger.error("following the other nodes failed: %s", failure.getTraceback())

        return defer.Deferred.fromCoroutine(self._poll_now()).addErrback(failed)

    def stop(self) -> None:
        """Stop looking."""
        if self._polling is not None and self._polling.running:
            self._polling.stop()

    async def catch_up(self) -> None:
        """Take note of every write that was acknowledged before this call; StoreUnavailable.

        All who call while a question is under way share the next one.
        """
        waiting: defer.Deferred[None] = defer.Deferred()
        self._waiting.append(waiting)
        if not self._is_asking:
            self._is_asking = True
            defer.Deferred.fromCoroutine(self._ask())
        await waiting

    async def _ask(self) -> None:
        """Ask as long as somebody waits who was not there when the last question was put."""
        while self._waiting:
            asked, self._waiting = self._waiting, []
            outcome: Any = None
            try:
                await self._follow()
                self._is_away = False
            except Exception as error:  # noqa: BLE001 - handed to whoever waits
                outcome = Failure()
                if not self._is_away:
                    self._is_away = True
                    logger.warning("phones may get files without the newest changes: %s", error)
            await self._tell(asked, outcome)
        self._is_asking = False

    async def _tell(self, asked: list[defer.Deferred[None]], outcome: Any) -> None:
        """Let those who waited go on, in slices: each may answer a phone at once."""
        until = time.perf_counter() + _SLICE_SECONDS
        for waiting in asked:
            if time.perf_counter() > until:
                await self._jobs.pause()
                until = time.perf_counter() + _SLICE_SECONDS
            if not waiting.called:
                waiting.callback(outcome)

    async def _follow(self) -> None:
        """Ask what is new and apply it; what could not be applied is applied the next time."""
        changed = await self._store.changes()
        if changed is None:
            self._unapplied = None
        elif self._unapplied is not None:
            self._unapplied = [*self._unapplied, *changed]
        if self._unapplied is None or self._unapplied:
            await self._apply(self._unapplied)
            self._unapplied = []

    async def _apply(self, changed: list[Changed] | None) -> None:
        if changed is None:
            logger.warning("too much was written elsewhere; all that is remembered is in doubt")
            self._manager.forget_everything()
            await self._parameters_changed()
            return
        foreign: dict[str, list[str]] = {"devices": [], "configs": []}
        parameters = False
        for change in changed:
            if change.collection == "parameters":
                parameters = True
                continue
            known = self._cache(change.collection).peek(change.id)
            if known is None or known.revision < change.revision:
                foreign[change.collection].append(change.id)
        # All out of memory before the first wait: what is remembered may be older.
        for collection, ids in foreign.items():
            self._cache(collection).forget(ids)
        for collection, ids in foreign.items():
            for start in range(0, len(ids), _DOCUMENTS_AT_ONCE):
                part = ids[start : start + _DOCUMENTS_AT_ONCE]
                found = await self._store.find(
                    collection,  # type: ignore[arg-type]
                    Query(selector={"id": {"$in": part}}),
                )
                self._cache(collection).changed_elsewhere(part, found)
                if collection == "devices":
                    gone = sorted(set(part) - {record.id for record in found})
                    if gone:
                        self._jobs.start("files of deleted devices", self._remove_files(gone))
        self.foreign_changes += len(foreign["devices"]) + len(foreign["configs"])
        if parameters:
            await self._parameters_changed()

    def _cache(self, collection: str) -> DocumentCache:
        manager = self._manager
        return manager.devices if collection == "devices" else manager.configs.cache

    async def _remove_files(self, device_ids: list[str]) -> None:
        await self._jobs.for_each(device_ids, self._manager.device_gone)

    async def _parameters_changed(self) -> None:
        if await self._parameters.reload():
            self._manager.settings_changed()
        if self.plugins_changed is not None:
            self._jobs.start("plugins of the cluster", _awaited(self.plugins_changed()))

    # Work for one node

    @asynccontextmanager
    async def alone(self, name: str, seconds: float = CLAIM_SECONDS) -> AsyncIterator[None]:
        """Hold a name that nobody holds meanwhile, here or elsewhere; TooBusy after a while."""
        # A claim is this process's, so those who want it here take turns first.
        async with self._own_locks.hold(name):
            deadline = self._clock.seconds() + seconds
            while not await self._store.claim(name, seconds):
                if self._clock.seconds() >= deadline:
                    raise TooBusy(f"another node holds {name}")
                await task.deferLater(self._clock, _CLAIM_PAUSE)
            try:
                yield
            finally:
                try:
                    await self._store.release(name)
                except StoreError as error:
                    logger.warning("the claim %s is left to expire: %s", name, error)

    async def takes_turn(self, name: str, seconds: float) -> bool:
        """Tell whether this node is the one that does a regular work, for so many seconds."""
        return await self._store.claim(name, seconds)

    @asynccontextmanager
    async def creating(self, phone: tuple[Hashable, ...]) -> AsyncIterator[None]:
        """Be the one node that may make a device for a phone; see what the others made before."""
        async with self.alone("new:" + ":".join(map(str, phone))):
            await self.catch_up()
            yield


async def _awaited(work: Awaitable[None]) -> None:
    try:
        await work
    except ProvdError as error:
        logger.error("the plugins of the cluster are not followed: %s", error)
