"""The promise that every document store keeps; `tests/contract/test_store.py` holds them to it.

Two collections of JSON documents, `devices` and `configs`, each document with a unique string `id`,
and a small map of named parameters. Every write gets a change number, larger than all before it in
that store; the number of the change that wrote a document is its revision.

Documents that go in or come out are shared, not copied: nobody may modify them afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from provd.store.query import Query

Collection = Literal["devices", "configs"]
COLLECTIONS: tuple[Collection, ...] = ("devices", "configs")
INDEXED: dict[Collection, tuple[str, ...]] = {
    "devices": ("mac", "ip", "sn", "uuid", "config", "plugin", "tenant_uuid", "added"),
    "configs": ("role", "X_type"),
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
    """Store a new document; DuplicateId if its id is taken."""

    collection: Collection
    document: dict[str, Any]


@attrs.frozen(slots=True)
class Replace:
    """Replace a document; RevisionConflict unless `revision` is the stored one.

    A document that is gone is a RevisionConflict too: another writer deleted it.
    """

    collection: Collection
    document: dict[str, Any]
    revision: int


@attrs.frozen(slots=True)
class Delete:
    """Delete a document; RevisionConflict unless `revision` is the stored one."""

    collection: Collection
    document_id: str
    revision: int


Write = Insert | Replace | Delete


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

    async def write(self, operations: Sequence[Write]) -> list[int]:
        """Do all `operations`, in order, or none; return the revision of each.

        When this returns, the writes survive a crash of the process and a loss of power, as far
        as the backend can. StoreFull if there is no room.
        """

    async def parameters(self) -> dict[str, Any]:
        """Return all parameters, by name."""

    async def set_parameter(self, name: str, value: Any) -> None:
        """Store one parameter durably; None is a value like any other."""
