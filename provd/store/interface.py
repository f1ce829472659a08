"""The promise that every document store keeps; `tests/contract/test_store.py` holds them to it.

Two collections of JSON documents, `devices` and `configs`, each document with a unique string `id`,
and a small map of named parameters. Every write gets a change number, larger than all before it in
that store; the number of the change that wrote a document is its revision.

An identity of a device (its `mac`, `sn` or `uuid`) has one owner, a device that has it. Whichever
of several writers gains it first, on whatever node, is the owner; the others fail.

Documents that go in or come out are shared, not copied: nobody may modify them afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provd.model.selectors import Query

Collection = Literal["devices", "configs"]
COLLECTIONS: tuple[Collection, ...] = ("devices", "configs")
INDEXED: dict[Collection, tuple[str, ...]] = {
    "devices": (
        "mac",
        "ip",
        "sn",
        "uuid",
        "config",
        "plugin",
        "tenant_uuid",
        "added",
        "vendor",
        "model",
        "version",
        "description",
    ),
    "configs": ("role", "X_type", "X_provisioning_code", "tenant_uuid"),
}


@attrs.frozen(slots=True)
class Record:
    """A stored document and its revision."""

    document: dict[str, Any]
    revision: int

    @property
    def id(self) -> str:
        """The document's id."""
        document_id: str = self.document["id"]
        return document_id


@attrs.frozen(slots=True)
class Insert:
    """Store a new document; DuplicateId if its id is taken.

    IdentityTaken if it is a device that would gain an identity of another one. With `shares`, which
    is for documents that come from elsewhere, it is stored all the same: then the oldest device
    that somebody claimed owns the identity.
    """

    collection: Collection
    document: dict[str, Any]
    shares: bool = False


@attrs.frozen(slots=True)
class Replace:
    """Replace a document; RevisionConflict unless `revision` is the stored one.

    A document that is gone is a RevisionConflict too: another writer deleted it. IdentityTaken as
    for Insert; what a device had before may be kept, whoever owns it.
    """

    collection: Collection
    document: dict[str, Any]
    revision: int
    shares: bool = False


@attrs.frozen(slots=True)
class Delete:
    """Delete a document; RevisionConflict unless `revision` is the stored one."""

    collection: Collection
    document_id: str
    revision: int


Write = Insert | Replace | Delete


@attrs.frozen(slots=True)
class Duplicate:
    """An identity that several devices have: its owner, and the others, oldest first."""

    kind: str
    value: str
    owner: str
    others: tuple[str, ...]


Identity = tuple[str, str | None, str | None, str | None, str | None]
"""Id of a device, and its `mac`, `ip`, `sn` and `uuid`."""
IDENTITY_KEYS = ("mac", "ip", "sn", "uuid")


class Store(Protocol):
    """A document store. Reads see every write acknowledged before they began.

    Every method raises StoreUnavailable when the store cannot be reached in time.
    """

    async def open(self) -> None:
        """Make ready; StoreCorrupt or StoreUnavailable, with the file or address, if impossible."""

    async def close(self) -> None:
        """Finish what was begun and release everything; may be called twice."""

    async def get(self, collection: Collection, document_id: str) -> Record | None:
        """Return the document of that id, or None."""

    async def find(self, collection: Collection, query: Query) -> list[Record]:
        """Return whole documents that match, sorted, skipped and limited as `query` says.

        Without a sort key the order is that of insertion. `query.fields` is left to the caller.
        InvalidSelector if the selector is malformed.
        """

    async def find_ids(self, collection: Collection, selector: Mapping[str, Any]) -> list[str]:
        """Return the ids of all documents that match."""

    async def descendants(self, config_id: str) -> list[str]:
        """Return the ids of all configs that reach this one through `parent_ids`, without it.

        Cycles are fine.
        """

    async def count(self, collection: Collection, selector: Mapping[str, Any]) -> int:
        """Return how many documents match."""

    async def identities(self, limit: int) -> list[Identity] | None:
        """Return what tells devices apart, of all of them, in order of insertion.

        None if there are more than `limit`, or if other processes may write.
        """

    async def owner(self, kind: str, value: str) -> str | None:
        """Return the id of the device that owns an identity; None if no device has it."""

    async def duplicates(self) -> list[Duplicate]:
        """Return every identity that several devices have, by kind and value."""

    async def write(self, operations: Sequence[Write]) -> list[int]:
        """Do all `operations`, in order, or none; return the revision of each.

        A device that is deleted, or loses an identity, frees it for the operations after it.
        Where other devices have it too, the oldest claimed of them owns it then, else the oldest.

        When this returns, the writes survive a crash of the process and a loss of power, as far
        as the backend can. StoreFull if there is no room.
        """

    async def parameters(self) -> dict[str, Any]:
        """Return all parameters, by name."""

    async def set_parameter(self, name: str, value: Any) -> None:
        """Store one parameter durably; None is a value like any other."""


@attrs.frozen(slots=True)
class Changed:
    """Something that was written: a document, now perhaps gone, or a parameter."""

    collection: Collection | Literal["parameters"]
    id: str
    revision: int


class SharedStore(Store, Protocol):
    """A store that other processes, on any machine, write as well.

    Change numbers are given out before the writes that bear them can be read, so a number may
    become readable after a larger one. `changes` never misses one for that.
    """

    async def changes(self) -> list[Changed] | None:
        """Return what anybody wrote since the last call, oldest first, this process included.

        Every write that was acknowledged, to whomever, before this call began is in this answer or
        in an earlier one. None when that cannot be told any more, after a long absence or for too
        many writes: then everything remembered is in doubt. The first call returns an empty list.
        """

    async def claim(self, name: str, seconds: float) -> bool:
        """Take `name` for this process, for so long; False while another process holds it.

        Claiming again what this process holds extends it. The database's clock decides.
        """

    async def release(self, name: str) -> None:
        """Give a claimed name back; nothing happens if it is not held any more."""

    async def put_archive(self, name: str, content: bytes) -> None:
        """Keep a file for all nodes, in place of an older one of that name."""

    async def get_archive(self, name: str) -> bytes | None:
        """Return a kept file, None if there is none, or it is damaged."""

    async def archives(self) -> dict[str, str]:
        """Return the SHA-256 (hex) of every kept file, by name."""

    async def delete_archive(self, name: str) -> None:
        """Forget a kept file, if there is one."""
