"""The store of several daemons: one MongoDB replica set, spoken to through txmongo's protocol.

Documents. `devices` and `configs` hold `{_id, revision, order, json, was, …}`: `json` is the
document as JSON text, so that any key and number survives; beside it are the texts of the keys that
look-ups use, and for configs `parents`. `order` is the number of the change that inserted it. An
indexed key with a value that is neither null nor a filled text sets `odd`. Selectors go to MongoDB
only as far as indexes answer them exactly; the rest is filtered here, in slices.

Change numbers come from one counter and are taken before the write that bears them. `was` holds
the numbers that a document bore before, so that a follower who never saw them knows they are done.
A deleted document leaves `{_id, revision, was, deleted}`, put in its place by the same update that
deletes it, and removed by a TTL index after a day. So each operation is one atomic update of one
document, insertion included (it may only take the place of a tombstone).

`identities` has `{_id: "kind:value", device}` for every MAC address, serial number and UUID: the
device that owns it, which a unique insert decides. What a device gains or loses is written in the
transaction of the device.

Several operations are one transaction on a replica set or through mongos. A standalone server has
none: there they are checked first, done in turn, and undone by new changes if one of them fails; a
daemon or server that dies in between leaves them half done. Identities are claimed before and freed
after the documents are written, so what a crash leaves is a claim without a device that has the
value; after some time it is nobody's.

Writes wait for a majority, reads ask the primary for what a majority has. While the network splits
the set, an old primary can answer for a few seconds before it steps down; it can acknowledge no
write, but a reader who hears only it sees what was acknowledged before.

Everything sent has a deadline. What is lost with a connection, or refused by a server that is no
primary any more, is sent again until then: reads as they are, writes with the session and number
by which the server knows them again; where it cannot, the stored revision tells.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from twisted.internet import defer

from provd.errors import SettingsError
from provd.store.mongo.address import parse_address
from provd.store.mongo.archives import Archives
from provd.store.mongo.changes import ChangeFollower, ChangeNumbers
from provd.store.mongo.claims import Claims
from provd.store.mongo.database import Database
from provd.store.mongo.ownership import Ownership
from provd.store.mongo.primary import Primary
from provd.store.mongo.reads import Reader
from provd.store.mongo.schema import prepare_database
from provd.store.mongo.writes import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provd.model.selectors import Query
    from provd.store.interface import Changed, Collection, Duplicate, Identity, Record, Write


class MongoStore:
    """The store in database `name` of the MongoDB servers that `uri` names; see the module.

    Of the options of a `mongodb://` address these have an effect: replicaSet, directConnection,
    authSource, authMechanism (SCRAM-SHA-256, SCRAM-SHA-1), tls (ssl), tlsCAFile,
    tlsCertificateKeyFile, tlsCertificateKeyFilePassword, connectTimeoutMS and maxPoolSize.
    tlsInsecure, tlsAllowInvalidCertificates and tlsAllowInvalidHostnames are refused, any other is
    warned of. Reads and writes always have the concern `majority`. `timeout`, in seconds, bounds
    every answer of the server; a listing is many answers. SettingsError if the address is unusable.
    """

    def __init__(self, reactor: Any, uri: str, name: str, *, timeout: float = 5) -> None:
        if not name or len(name.encode()) > 63 or any(c in '/\\. "$*<>:|?\0' for c in name):
            raise SettingsError(f"{name!r} is no name of a MongoDB database")
        self._reactor = reactor
        self._primary = Primary(reactor, parse_address(uri), timeout)
        self._database = Database(reactor, self._primary, name)
        self._ownership = Ownership(self._database)
        self._numbers = ChangeNumbers(self._database)
        self._reader = Reader(reactor, self._database)
        self._writer = Writer(reactor, self._database, self._numbers, self._ownership)
        self._follower = ChangeFollower(self._database)
        self._claims = Claims(self._database)
        self._archives = Archives(reactor, self._database)
        self._running = 0
        self._idle: defer.Deferred[None] | None = None

    # Life cycle

    async def open(self) -> None:
        """Connect and make indexes; StoreUnavailable or StoreCorrupt names the servers."""
        try:
            await self._primary.open()
            await prepare_database(self._database, self._ownership)
        except BaseException:
            await self._primary.close()
            raise

    async def close(self) -> None:
        """Let what was begun end, as far as the servers answer, then hang up."""
        if not self._primary.is_open:
            return
        if self._running:
            self._idle = defer.Deferred()
            waiting = self._idle.addTimeout(self._database.timeout, self._reactor)
            with contextlib.suppress(defer.TimeoutError):
                await waiting
            self._idle = None
        await self._primary.close()

    @contextlib.contextmanager
    def _work(self) -> Iterator[None]:
        """Count what `close` waits for."""
        if not self._primary.is_open or self._idle is not None:
            raise self._database.unavailable("the store is closed")
        self._running += 1
        try:
            yield
        finally:
            self._ended()

    def _ended(self) -> None:
        self._running -= 1
        if not self._running and self._idle is not None and not self._idle.called:
            self._idle.callback(None)

    # Reads

    async def get(self, collection: Collection, document_id: str) -> Record | None:
        """Return the document of that id, or None."""
        with self._work():
            return await self._reader.get(collection, document_id)

    async def find(self, collection: Collection, query: Query) -> list[Record]:
        """Return documents that match, sorted, skipped and limited."""
        with self._work():
            return await self._reader.find(collection, query)

    async def find_ids(self, collection: Collection, selector: Mapping[str, Any]) -> list[str]:
        """Return the ids of all documents that match."""
        with self._work():
            return await self._reader.find_ids(collection, selector)

    async def descendants(self, config_id: str) -> list[str]:
        """Return the ids of all configs that reach this one."""
        with self._work():
            return await self._reader.descendants(config_id)

    async def count(self, collection: Collection, selector: Mapping[str, Any]) -> int:
        """Return how many documents match."""
        with self._work():
            return await self._reader.count(collection, selector)

    async def identities(self, limit: int) -> list[Identity] | None:  # noqa: ARG002
        """Return None: other processes write too."""
        return None

    async def parameters(self) -> dict[str, Any]:
        """Return all parameters, by name."""
        with self._work():
            return await self._reader.parameters()

    async def owner(self, kind: str, value: str) -> str | None:
        """Return the id of the device that owns an identity."""
        with self._work():
            return await self._ownership.find_owner(kind, value)

    async def duplicates(self) -> list[Duplicate]:
        """Return every identity that several devices have."""
        with self._work():
            return await self._ownership.find_duplicates()

    # Writes

    async def write(self, operations: Sequence[Write]) -> list[int]:
        """Do all operations, or none; returns when a majority of the servers has them."""
        with self._work():
            return await self._writer.write(operations)

    async def set_parameter(self, name: str, value: Any) -> None:
        """Store one parameter durably."""
        with self._work():
            await self._writer.set_parameter(name, value)

    # What all nodes share

    async def changes(self) -> list[Changed] | None:
        """Return what anybody wrote since the last call; see the interface."""
        with self._work():
            return await self._follower.changes()

    async def claim(self, name: str, seconds: float) -> bool:
        """Take `name` for this process, for so long; the primary's clock decides."""
        with self._work():
            return await self._claims.claim(name, seconds)

    async def release(self, name: str) -> None:
        """Give a claimed name back, if it is held."""
        with self._work():
            await self._claims.release(name)

    async def put_archive(self, name: str, content: bytes) -> None:
        """Keep a file for all nodes."""
        with self._work():
            await self._archives.put(name, content)

    async def get_archive(self, name: str) -> bytes | None:
        """Return a kept file, None if there is none, or it is damaged."""
        with self._work():
            return await self._archives.get(name)

    async def archives(self) -> dict[str, str]:
        """Return the SHA-256 (hex) of every kept file, by name."""
        with self._work():
            return await self._archives.digests()

    async def delete_archive(self, name: str) -> None:
        """Forget a kept file, if there is one."""
        with self._work():
            await self._archives.delete(name)
