"""Reading documents from MongoDB, as far as possible by its indexes."""

from __future__ import annotations

import heapq
import json
from itertools import islice
from typing import TYPE_CHECKING, Any

from twisted.internet.task import deferLater

from provd.model.selectors import compile_selector, sort_value
from provd.store.documents import is_storable
from provd.store.interface import INDEXED
from provd.store.mongo.database import BATCH
from provd.store.mongo.documents import LIVE, make_filter, make_record
from provd.store.planning import cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provd.model.selectors import Query
    from provd.store.interface import Collection, Record
    from provd.store.mongo.database import Database
    from provd.store.mongo.wire import Stored


class Reader:
    """Answers queries, in slices, so that nobody is held up."""

    def __init__(self, reactor: Any, database: Database) -> None:
        self._reactor = reactor
        self._database = database

    async def get(self, collection: Collection, document_id: str) -> Record | None:
        """Return the document of that id, or None."""
        if not is_storable(document_id):
            return None
        found = await self._database.collect(
            collection,
            {"_id": document_id, **LIVE},
            make_record,
            projection={"json": 1, "revision": 1},
            limit=1,
            singleBatch=True,
        )
        return found[0] if found else None

    async def find(self, collection: Collection, query: Query) -> list[Record]:
        """Return documents that match, sorted, skipped and limited."""
        matches = compile_selector(query.selector)
        place = make_filter(collection, query.selector)
        if place is None or (query.limit is not None and query.limit < 0):
            return []
        where, exact = place
        skip, limit = max(query.skip, 0), query.limit or 0
        sort = await self._sort(collection, query)
        more: Stored = {"sort": sort or {"order": 1}, "projection": {"json": 1, "revision": 1}}
        if exact and sort is not None:
            if skip:
                more["skip"] = min(skip, 2**53)
            if limit:
                more["limit"] = min(limit, 2**53)
                more["batchSize"] = min(limit, BATCH[collection])
            return await self._database.collect(collection, where, make_record, **more)

        def pick(row: Stored) -> Record | None:
            record = make_record(row)
            return record if exact or matches(record.document) else None

        if sort is not None:
            enough = skip + limit if limit else None
            found = await self._database.collect(collection, where, pick, enough=enough, **more)
            return cut(found, query)
        return await self._sorted(
            await self._database.collect(collection, where, pick, **more), query
        )

    async def _sort(self, collection: Collection, query: Query) -> Stored | None:
        """Return how MongoDB sorts as `query` says, None if it cannot."""
        if query.sort is None:
            return {"order": 1}
        key, direction = query.sort
        step = -1 if direction < 0 else 1
        if key == "id":
            return {"_id": step}
        if key not in INDEXED[collection] or await self._database.rows(
            collection, {"odd": True}, projection={"_id": 1}, limit=1
        ):
            return None
        return {key: step, "order": 1}

    async def _sorted(self, records: list[Record], query: Query) -> list[Record]:
        """Return `records` sorted and cut; short lists first, then merged, to hold up nobody."""
        assert query.sort is not None
        key, direction = query.sort
        reverse = direction < 0

        def text(record: Record) -> str:
            return sort_value(record.document, key)

        runs = []
        for start in range(0, len(records), 1000):
            runs.append(sorted(records[start : start + 1000], key=text, reverse=reverse))
            await deferLater(self._reactor, 0)
        merged = heapq.merge(*runs, key=text, reverse=reverse)
        wanted = max(query.skip, 0) + query.limit if query.limit else len(records)
        found: list[Record] = []
        while len(found) < wanted and (part := list(islice(merged, min(wanted - len(found), 500)))):
            found += part
            await deferLater(self._reactor, 0)
        return cut(found, query)

    async def find_ids(self, collection: Collection, selector: Mapping[str, Any]) -> list[str]:
        """Return the ids of all documents that match."""
        matches = compile_selector(selector)
        place = make_filter(collection, selector)
        if place is None:
            return []
        where, exact = place

        def pick(row: Stored) -> str | None:
            document_id: str = row["_id"]
            return document_id if exact or matches(json.loads(row["json"])) else None

        projection = {"_id": 1} if exact else {"json": 1}
        return await self._database.collect(
            collection, where, pick, projection=projection, sort={"order": 1}
        )

    async def descendants(self, config_id: str) -> list[str]:
        """Return the ids of all configs that reach this one, with one query a generation."""
        reached = {config_id: None}
        generation = [config_id] if is_storable(config_id) else []
        while generation:
            young: list[str] = []
            for start in range(0, len(generation), 1000):
                rows = await self._database.rows(
                    "configs",
                    {"parents": {"$in": generation[start : start + 1000]}},
                    projection={"_id": 1},
                )
                for row in rows:
                    if row["_id"] not in reached:
                        reached[row["_id"]] = None
                        young.append(row["_id"])
            generation = young
        return list(reached)[1:]

    async def count(self, collection: Collection, selector: Mapping[str, Any]) -> int:
        """Return how many documents match."""
        compile_selector(selector)
        place = make_filter(collection, selector)
        if place is None:
            return 0
        where, exact = place
        if not exact:
            return len(await self.find_ids(collection, selector))
        command: Stored = {"count": collection, "query": where}
        if self._database.session_support:
            command["readConcern"] = {"level": "majority"}
        reply, _ = await self._database.run(command)
        return int(reply["n"])

    async def parameters(self) -> dict[str, Any]:
        """Return all parameters, by name."""
        rows = await self._database.rows("parameters", {}, sort={"_id": 1})
        return {row["_id"]: json.loads(row["json"]) for row in rows}
