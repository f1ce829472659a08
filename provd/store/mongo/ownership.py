"""Which device owns which identity, in the collection `identities`."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import IdentityTaken, StoreError
from provd.model.identities import KINDS, elect, identities, is_unclaimed
from provd.store.documents import is_storable
from provd.store.interface import Delete, Duplicate, Insert
from provd.store.mongo.documents import LIVE
from provd.store.mongo.operations import STATEMENTS, find_present, group, simulate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provd.store.interface import Collection, Write
    from provd.store.mongo.database import Database
    from provd.store.mongo.operations import Operation
    from provd.store.mongo.wire import Stored

logger = logging.getLogger(__name__)

# A claim on an identity may wait so long for its document, where there are no transactions.
_CLAIM_SECONDS = 60


@attrs.frozen
class Claim:
    """A statement that makes a device the owner of an identity, and who that was before."""

    place: str
    device_id: str
    before: str | None

    @property
    def statement(self) -> Stored:
        """The update, which fits only if that owner is still there."""
        owner: Any = {"$exists": False} if self.before is None else self.before
        return {
            "q": {"_id": self.place, "device": owner},
            "u": {"$set": {"device": self.device_id}, "$currentDate": {"since": True}},
            "upsert": self.before is None,
        }


@attrs.define
class OwnershipChanges:
    """What a write changes of who owns what."""

    claims: list[Claim] = attrs.field(factory=list)
    releases: list[Stored] = attrs.field(factory=list)


def list_places(held: Mapping[str, str]) -> list[str]:
    """Return the ids in `identities` of what a device has."""
    return [f"{kind}:{value}" for kind, value in held.items()]


def plan_plain_claims(operations: list[Operation]) -> OwnershipChanges | None:
    """Return the claims of devices that are all new and may share nothing; None for others."""
    changes = OwnershipChanges()
    for op in operations:
        asked = op.asked
        if asked.collection == "configs":
            continue
        if not isinstance(asked, Insert) or asked.shares:
            return None
        changes.claims += [
            Claim(place, op.id, None) for place in list_places(identities(asked.document))
        ]
    return changes


def _compare_owners(before: Mapping[str, Stored], owners: Mapping[str, str]) -> OwnershipChanges:
    changes = OwnershipChanges()
    for place, owner in owners.items():
        known = before[place]["device"] if place in before else None
        if known != owner:
            changes.claims.append(Claim(place, owner, known))
    for place in before.keys() - owners.keys():
        changes.releases.append(
            {"q": {"_id": place, "device": before[place]["device"]}, "limit": 1}
        )
    return changes


def make_commands(
    operations: list[Operation], changes: OwnershipChanges
) -> Iterator[tuple[str, str, list[Stored]]]:
    """Give the commands of a transaction: verb, collection and statements."""
    claims = [claim.statement for claim in changes.claims]
    for start in range(0, len(claims), STATEMENTS):
        yield "update", "identities", claims[start : start + STATEMENTS]
    for collection, part in group(operations):
        yield "update", collection, [op.statement for op in part]
    for start in range(0, len(changes.releases), STATEMENTS):
        yield "delete", "identities", changes.releases[start : start + STATEMENTS]


class Ownership:
    """Finds, plans and claims owners."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_owner(self, kind: str, value: str) -> str | None:
        """Return the id of the device that owns an identity."""
        if not is_storable(value):
            return None
        rows = await self._database.rows("identities", {"_id": f"{kind}:{value}"}, limit=1)
        return rows[0]["device"] if rows else None

    async def find_duplicates(self) -> list[Duplicate]:
        """Return every identity that several devices have."""
        shared = {place: ids for place, ids in (await self._held()).items() if len(ids) > 1}
        owners: dict[str, str] = {}
        places = sorted(shared)
        for start in range(0, len(places), 1000):
            where = {"_id": {"$in": places[start : start + 1000]}}
            owners.update(
                {
                    row["_id"]: row["device"]
                    for row in await self._database.rows("identities", where)
                }
            )
        found = []
        for place in places:
            kind, _, value = place.partition(":")
            owner = owners.get(place, shared[place][0])
            others = tuple(one for one in shared[place] if one != owner)
            found.append(Duplicate(kind, value, owner, others))
        return found

    async def _held(self) -> dict[str, list[str]]:
        """Return every identity with the ids of all devices that have it, oldest first."""
        held: dict[str, list[str]] = {}
        rows = await self._database.rows(
            "devices", LIVE, sort={"order": 1}, projection=dict.fromkeys(KINDS, 1)
        )
        for row in rows:
            for place in list_places(identities(row)):
                held.setdefault(place, []).append(row["_id"])
        return held

    async def build(self) -> None:
        """Note who owns what in a database of an earlier version."""
        logger.info("%s: the owners of identities are noted", self._database.server)
        statements: list[Stored] = []
        for place, ids in (await self._held()).items():
            owner: str | None = ids[0]
            if len(ids) > 1:
                kind, _, value = place.partition(":")
                owner = await self._successor(kind, value, {})
            fields = {"$setOnInsert": {"device": owner}}
            statements.append({"q": {"_id": place}, "u": fields, "upsert": True})
        for start in range(0, len(statements), STATEMENTS):
            await self._database.update("identities", statements[start : start + STATEMENTS])

    async def plan(
        self,
        operations: list[Operation],
        present: Mapping[tuple[Collection, str], Stored] | None = None,
    ) -> OwnershipChanges:
        """Return what `operations` change of who owns what; raise what doing them would raise."""
        if all(op.asked.collection == "configs" for op in operations):
            return OwnershipChanges()
        if present is None:
            present = await find_present(self._database, operations)
        simulate(operations, present)
        held = {
            device_id: identities(row) if "order" in row else {}
            for (collection, device_id), row in present.items()
            if collection == "devices"
        }
        places = {place for each in held.values() for place in list_places(each)}
        for op in operations:
            if op.asked.collection == "devices" and not isinstance(op.asked, Delete):
                places.update(list_places(identities(op.asked.document)))
        rows = (
            await self._database.rows("identities", {"_id": {"$in": sorted(places)}})
            if places
            else []
        )
        before = {row["_id"]: row for row in rows}
        owners: dict[str, str] = {place: row["device"] for place, row in before.items()}
        written: dict[str, Mapping[str, Any] | None] = {}
        for op in operations:
            if op.asked.collection == "devices":
                await self._apply(op.asked, op.id, held, owners, before, written)
        return _compare_owners(before, owners)

    async def _apply(
        self,
        asked: Write,
        device_id: str,
        held: dict[str, dict[str, str]],
        owners: dict[str, str],
        before: Mapping[str, Stored],
        written: dict[str, Mapping[str, Any] | None],
    ) -> None:
        """Change `owners`, and what devices `held`, as one operation does."""
        document = None if isinstance(asked, Delete) else asked.document
        old, new = held.get(device_id, {}), identities(document)
        held[device_id] = new
        written[device_id] = document
        for kind, value in old.items() - new.items():
            place = f"{kind}:{value}"
            if owners.get(place) == device_id:
                successor = await self._successor(kind, value, written)
                if successor is None:
                    del owners[place]
                else:
                    owners[place] = successor
        for kind, value in new.items():
            place = f"{kind}:{value}"
            owner = owners.setdefault(place, device_id)
            if owner == device_id or old.get(kind) == value:
                continue
            holder = await self._holder(owner, kind, value, written, before.get(place, {}))
            if holder is None:
                owners[place] = device_id
            elif isinstance(asked, Delete) or not asked.shares:
                raise IdentityTaken(kind, value, owner)
            elif await self._is_unclaimed(holder):
                owners[place] = await self._successor(kind, value, written) or owner

    async def _holder(
        self,
        owner: str,
        kind: str,
        value: str,
        written: Mapping[str, Mapping[str, Any] | None],
        claim: Stored,
    ) -> Mapping[str, Any] | None:
        """Return the device that owns an identity; None if it has not got it, after a crash."""
        if owner in written:
            device = written[owner]
        else:
            rows = await self._database.rows("devices", {"_id": owner, **LIVE})
            device = json.loads(rows[0]["json"]) if rows else None
        if device is not None and identities(device).get(kind) == value:
            return device
        if self._database.session_support or "since" not in claim:
            return None
        # Its document may be under way.
        reply, _ = await self._database.run({"hello": 1}, database="admin", timed=False)
        age = (reply["localTime"] - claim["since"]).total_seconds()
        return None if age > _CLAIM_SECONDS else {"id": owner}

    async def _successor(
        self, kind: str, value: str, written: Mapping[str, Mapping[str, Any] | None]
    ) -> str | None:
        """Return who is to own an identity, when devices are as stored but for those `written`."""
        rows = await self._database.rows("devices", {kind: value, **LIVE}, sort={"order": 1})
        devices = {row["_id"]: json.loads(row["json"]) for row in rows}
        known = {**devices, **written}
        holders = [
            device for device in known.values() if identities(device).get(kind) == value and device
        ]
        configs = await self._configs_of(holders)
        return elect(holders, lambda device: configs.get(device.get("config") or ""))

    async def _configs_of(self, devices: Iterable[Mapping[str, Any]]) -> dict[str, Stored]:
        ids = [c for d in devices if isinstance(c := d.get("config"), str) and is_storable(c)]
        rows = await self._database.rows("configs", {"_id": {"$in": ids}, **LIVE}) if ids else []
        return {row["_id"]: json.loads(row["json"]) for row in rows}

    async def _is_unclaimed(self, device: Mapping[str, Any]) -> bool:
        configs = await self._configs_of([device])
        return is_unclaimed(device, configs.get(device.get("config") or ""))

    # On a server without transactions

    async def claim(self, changes: OwnershipChanges) -> None:
        """Claim all, or none and raise IdentityTaken."""
        for count, claim in enumerate(changes.claims):
            reply, _ = await self._database.update("identities", [claim.statement])
            if reply["n"] != 1 or reply.get("writeErrors"):
                rows = await self._database.rows("identities", {"_id": claim.place})
                if rows and rows[0]["device"] == claim.device_id:
                    continue
                await self.unclaim(changes.claims[:count])
                kind, _, value = claim.place.partition(":")
                raise IdentityTaken(kind, value, rows[0]["device"] if rows else "")

    async def unclaim(self, claims: Iterable[Claim]) -> None:
        """Give claims back to whoever had them before."""
        for claim in claims:
            where = {"_id": claim.place, "device": claim.device_id}
            try:
                if claim.before is None:
                    await self._database.delete("identities", where)
                else:
                    await self._database.change(
                        "identities", where, {"$set": {"device": claim.before}}
                    )
            except StoreError as error:
                logger.error("the claim on %s is left to expire: %s", claim.place, error)
