"""Numbers of changes, and what anybody wrote since the last look."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from bson import Int64
from twisted.internet import defer
from twisted.python.failure import Failure

from provd.store.interface import COLLECTIONS, Changed
from provd.store.mongo.database import CONCERN, DUPLICATE_KEY, run_together

if TYPE_CHECKING:
    from provd.store.mongo.database import Database
    from provd.store.mongo.wire import Stored

_MOST_AT_ONCE = 32
# A writer gives up long before, so a number that is missing for so long is none that comes yet.
_GAP_SECONDS = 60
_MOST_CHANGES = 10_000
_FIRST_WINDOW = 1000
_LONGEST_ABSENCE = 23 * 3600
_FOLLOWED: tuple[Any, ...] = (*COLLECTIONS, "parameters")


class ChangeNumbers:
    """Reserves the numbers that writes bear."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[tuple[int, defer.Deferred[int]]] = deque()
        self._reserving = False

    async def reserve(self, count: int) -> int:
        """Return the first of so many change numbers; those who ask at one time share a trip."""
        reserved: defer.Deferred[int] = defer.Deferred()
        self._waiting.append((count, reserved))
        if not self._reserving:
            self._reserving = True
            self._database.run_in_background(self._serve())
        return await reserved

    async def _serve(self) -> None:
        try:
            while self._waiting:
                # Each of them goes on at once when it has its numbers, so not too many at a time.
                waiting = [
                    self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))
                ]
                total = sum(count for count, _ in waiting)
                try:
                    number = await self._count_up(total) - total + 1
                except Exception as error:  # noqa: BLE001 - all who wait learn of it
                    for _, reserved in waiting:
                        if not reserved.called:
                            reserved.errback(Failure(error))
                    continue
                for count, reserved in waiting:
                    if not reserved.called:
                        reserved.callback(number)
                    number += count
        finally:
            self._reserving = False

    async def _count_up(self, count: int) -> int:
        while True:
            reply, _ = await self._database.run(
                {
                    "findAndModify": "counters",
                    "query": {"_id": "changes"},
                    "update": {"$inc": {"last": Int64(count)}},
                    "upsert": True,
                    "new": True,
                    "fields": {"last": 1},
                    "writeConcern": CONCERN,
                },
                allow=DUPLICATE_KEY,  # two made the counter at one time
            )
            if reply.get("ok") and reply["value"]:
                last: int = reply["value"]["last"]
                return last

    async def void(self, numbers: list[int]) -> None:
        """Tell followers that no write with these numbers will come."""
        void = {"$each": [Int64(number) for number in numbers], "$slice": -200}
        await self._database.change("counters", {"_id": "changes"}, {"$push": {"void": void}})


class ChangeFollower:
    """Tells what anybody wrote, this process included."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._followers: list[defer.Deferred[list[Changed] | None]] = []
        self._following = False
        self._high: int | None = None
        self._gaps: dict[int, float] = {}
        self._followed = (0.0, 0.0)

    async def changes(self) -> list[Changed] | None:
        """Return what anybody wrote since the last call; see the interface."""
        asked: defer.Deferred[list[Changed] | None] = defer.Deferred()
        self._followers.append(asked)
        if not self._following:
            self._following = True
            self._database.run_in_background(self._answer_followers())
        return await asked

    async def _answer_followers(self) -> None:
        """Ask for those who wait now; who comes meanwhile waits for the next round."""
        try:
            while self._followers:
                followers, self._followers = self._followers, []
                outcome: Any
                try:
                    outcome = await self._follow()
                except Exception as error:  # noqa: BLE001 - all who wait learn of it
                    outcome = error
                for asked in followers:
                    if not asked.called:
                        asked.callback(
                            Failure(outcome) if isinstance(outcome, Exception) else outcome
                        )
        finally:
            self._following = False

    async def _follow(self) -> list[Changed] | None:
        now, wall = time.monotonic(), time.time()
        counters = await self._database.rows(
            "counters", {"_id": "changes"}, limit=1, singleBatch=True
        )
        last = counters[0]["last"] if counters else 0
        absence = max(now - self._followed[0], wall - self._followed[1])
        if self._high is None or last < self._high or absence > _LONGEST_ABSENCE:
            first = self._high is None
            await self._begin(last, now, wall)
            return [] if first else None
        gaps = self._gaps
        for number in counters[0].get("void", ()) if counters else ():
            gaps.pop(number, None)
        high = self._high
        if last == high and not gaps:
            self._followed = (now, wall)
            return []
        if last - high > _MOST_CHANGES or len(gaps) > _MOST_CHANGES:
            await self._begin(last, now, wall)
            return None
        rows = await run_together([self._written(name, high, sorted(gaps)) for name in _FOLLOWED])
        found = {
            row["revision"]: Changed(name, row["_id"], row["revision"])
            for name, part in zip(_FOLLOWED, rows, strict=True)
            for row in part
        }
        if len(found) > _MOST_CHANGES:
            await self._begin(last, now, wall)
            return None
        settled = set(found)
        for part in rows:
            for row in part:
                settled.update(row.get("was", ()))
        settled.update(counters[0].get("void", ()) if counters else ())
        high = max(last, *found) if found else last
        for number in range(self._high + 1, high + 1):
            gaps[number] = now
        self._gaps = {
            number: since
            for number, since in gaps.items()
            if number not in settled and now - since < _GAP_SECONDS
        }
        self._high = high
        self._followed = (now, wall)
        return [found[number] for number in sorted(found)]

    async def _written(self, collection: str, high: int, gaps: list[int]) -> list[Stored]:
        # Those that were missing first: one that is written again meanwhile moves up.
        more = {"projection": {"revision": 1, "was": 1}, "limit": _MOST_CHANGES + 1}
        rows: list[Stored] = []
        if gaps:
            rows = await self._database.rows(collection, {"revision": {"$in": gaps}}, **more)
        rows += await self._database.rows(
            collection, {"revision": {"$gt": high}}, sort={"revision": 1}, **more
        )
        return rows

    async def _begin(self, last: int, now: float, wall: float) -> None:
        """Follow from here; numbers just handed out that are not to be seen may still come."""
        start = max(last - _FIRST_WINDOW, 0)
        where = {"revision": {"$gt": start, "$lte": last}}
        numbers = {"revision": 1, "was": 1}
        rows = await run_together(
            [self._database.rows(name, where, projection=numbers) for name in _FOLLOWED]
        )
        seen = {row["revision"] for part in rows for row in part}
        seen.update(number for part in rows for row in part for number in row.get("was", ()))
        self._gaps = {n: now for n in range(start + 1, last + 1) if n not in seen}
        self._high = last
        self._followed = (now, wall)
