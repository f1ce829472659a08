"""Collections, indexes and their versions in a database of MongoDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bson import Int64

from provd.errors import StoreCorrupt
from provd.store.interface import COLLECTIONS

if TYPE_CHECKING:
    from provd.store.mongo.database import Database
    from provd.store.mongo.ownership import Ownership
    from provd.store.mongo.wire import Stored

SCHEMA_VERSION = 2
_DAY = 86400

_INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    # Many phones may share one address; among them, those without a MAC are asked for. How a
    # device came is asked of all devices of a tenant.
    "devices": (
        ("revision",),
        ("order",),
        ("mac", "order"),
        ("ip", "mac", "order"),
        ("sn", "order"),
        ("uuid", "order"),
        ("config", "order"),
        ("plugin", "order"),
        ("tenant_uuid", "order"),
        ("tenant_uuid", "added"),
    ),
    "configs": (
        ("revision",),
        ("order",),
        ("role", "order"),
        ("X_type", "order"),
        ("X_provisioning_code", "order"),
        ("tenant_uuid", "order"),
        ("parents",),
    ),
    "parameters": (("revision",),),
    "chunks": (("version", "number"),),
}


async def prepare_database(database: Database, ownership: Ownership) -> None:
    """Make or complete what is missing; StoreCorrupt or StoreUnavailable if it is not ours."""
    marks = await database.rows("meta", {"_id": "provd"})
    if not marks:
        for collection in COLLECTIONS:
            if await database.rows(collection, {"revision": {"$exists": False}}, limit=1):
                raise StoreCorrupt(
                    f"{database.server}: the database {database.name} is not one of provd"
                )
    elif marks[0]["schema"] > SCHEMA_VERSION:
        raise database.unavailable(
            f"the database {database.name} was written by a newer provd"
            f" (schema {marks[0]['schema']}, known {SCHEMA_VERSION})"
        )
    for name, indexes in _INDEXES.items():
        made: list[Stored] = [
            {"key": dict.fromkeys(keys, 1), "name": "_".join(keys)} for keys in indexes
        ]
        if name in COLLECTIONS:
            made += [
                {"key": {"odd": 1}, "name": "odd", "sparse": True},
                {"key": {"deleted": 1}, "name": "deleted", "expireAfterSeconds": _DAY},
            ]
        await database.create_indexes(name, made)
    await database.create_indexes(
        "claims", [{"key": {"expires": 1}, "name": "expires", "expireAfterSeconds": 60}]
    )
    if marks and marks[0]["schema"] < 2:
        await ownership.build()
    if not marks:
        await database.change(
            "counters",
            {"_id": "changes"},
            {"$setOnInsert": {"last": Int64(0)}},
            upsert=True,
        )
    if not marks or marks[0]["schema"] < SCHEMA_VERSION:
        await database.change(
            "meta", {"_id": "provd"}, {"$set": {"schema": SCHEMA_VERSION}}, upsert=True
        )
