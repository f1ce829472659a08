"""Names that one process holds for some time: the collection `claims`."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from provd.store.mongo.database import CONCERN, DUPLICATE_KEY

if TYPE_CHECKING:
    from provd.store.mongo.database import Database


class Claims:
    """What this process claims."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._owner = uuid.uuid4().hex

    async def claim(self, name: str, seconds: float) -> bool:
        """Take `name` for this process, for so long; the primary's clock decides."""
        milliseconds = max(int(seconds * 1000), 1)
        now = {"$toLong": "$$NOW"}
        free = {
            "$or": [
                {"$eq": ["$owner", self._owner]},
                {"$lte": [{"$ifNull": ["$until", 0]}, now]},
            ]
        }
        fields = {
            "owner": {"$cond": [free, self._owner, "$owner"]},
            "until": {"$cond": [free, {"$add": [now, milliseconds]}, "$until"]},
            # For the index that removes what nobody claims any more.
            "expires": {"$cond": [free, {"$add": ["$$NOW", milliseconds]}, "$expires"]},
        }
        while True:
            reply, _ = await self._database.run(
                {
                    "findAndModify": "claims",
                    "query": {"_id": name},
                    "update": [{"$set": fields}],
                    "upsert": True,
                    "new": True,
                    "writeConcern": CONCERN,
                },
                allow=DUPLICATE_KEY,  # two claimed it for the first time at one time
            )
            if reply.get("ok") and reply["value"]:
                return bool(reply["value"]["owner"] == self._owner)

    async def release(self, name: str) -> None:
        """Give a claimed name back, if it is held."""
        await self._database.delete("claims", {"_id": name, "owner": self._owner})
