"""Files that all nodes share, in parts: the collections `archives` and `chunks`."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
import uuid
from typing import TYPE_CHECKING, Any

from twisted.internet.task import deferLater

if TYPE_CHECKING:
    from provd.store.mongo.database import Database

logger = logging.getLogger(__name__)

_CHUNK = 512 * 1024


class Archives:
    """Keeps files."""

    def __init__(self, reactor: Any, database: Database) -> None:
        self._reactor = reactor
        self._database = database

    async def put(self, name: str, content: bytes) -> None:
        """Keep a file: its parts first, then the entry that names them."""
        version = uuid.uuid4().hex
        digest = hashlib.sha256()
        for number, start in enumerate(range(0, len(content), _CHUNK)):
            part = content[start : start + _CHUNK]
            digest.update(part)
            await self._database.change(
                "chunks",
                {"_id": f"{version}/{number}"},
                {
                    "$set": {"version": version, "number": number, "data": part},
                    "$currentDate": {"stored": True},
                },
                upsert=True,
            )
        entry = {"version": version, "sha256": digest.hexdigest(), "size": len(content)}
        await self._database.change("archives", {"_id": name}, {"$set": entry}, upsert=True)
        await self._sweep()

    async def _sweep(self) -> None:
        """Remove parts that no entry names; new ones may be of a file that is being put."""
        rows = await self._database.rows("archives", {}, projection={"version": 1})
        reply, _ = await self._database.run({"hello": 1}, database="admin", timed=False)
        old = reply["localTime"] - dt.timedelta(hours=1)
        await self._database.delete(
            "chunks",
            {
                "version": {"$nin": [row["version"] for row in rows]},
                "stored": {"$lt": old},
            },
        )

    async def get(self, name: str) -> bytes | None:
        """Return a kept file, None if there is none, or it is damaged."""
        for _attempt in range(3):
            entries = await self._database.rows("archives", {"_id": name})
            if not entries:
                return None
            parts = await self._database.rows(
                "chunks",
                {"version": entries[0]["version"]},
                sort={"version": 1, "number": 1},
                batchSize=4,
            )
            digest = hashlib.sha256()
            for part in parts:
                digest.update(part["data"])
                await deferLater(self._reactor, 0)
            if digest.hexdigest() == entries[0]["sha256"]:
                return b"".join(part["data"] for part in parts)
            # Perhaps it was put anew while it was read.
        logger.error("%s: the archive %s is damaged", self._database.server, name)
        return None

    async def digests(self) -> dict[str, str]:
        """Return the SHA-256 (hex) of every kept file, by name."""
        rows = await self._database.rows("archives", {}, sort={"_id": 1})
        return {row["_id"]: row["sha256"] for row in rows}

    async def delete(self, name: str) -> None:
        """Forget a kept file, if there is one."""
        entries = await self._database.rows("archives", {"_id": name})
        await self._database.delete("archives", {"_id": name})
        for entry in entries:
            await self._database.delete("chunks", {"version": entry["version"]})
