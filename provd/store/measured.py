"""Any store, with the time measured that callers wait for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from provd.model.selectors import Query
    from provd.store.interface import Collection, Duplicate, Identity, Record, Store, Write

    Observe = Callable[[float], None]


class MeasuredStore:
    """A store that tells `read` and `write` the seconds of each call; the rest is the store's."""

    def __init__(self, store: Store, read: Observe, write: Observe) -> None:
        self._store = store
        self._observe_read = read
        self._observe_write = write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def _timed(self, observe: Observe, work: Awaitable[Any]) -> Any:
        started = time.perf_counter()
        try:
            return await work
        finally:
            observe(time.perf_counter() - started)

    async def open(self) -> None:
        """Open the store."""
        await self._store.open()

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    async def get(self, collection: Collection, document_id: str) -> Record | None:
        """Return the document of that id, or None."""
        found: Record | None = await self._timed(
            self._observe_read, self._store.get(collection, document_id)
        )
        return found

    async def find(self, collection: Collection, query: Query) -> list[Record]:
        """Return the documents that match."""
        found: list[Record] = await self._timed(
            self._observe_read, self._store.find(collection, query)
        )
        return found

    async def find_ids(self, collection: Collection, selector: Mapping[str, Any]) -> list[str]:
        """Return the ids of all documents that match."""
        found: list[str] = await self._timed(
            self._observe_read, self._store.find_ids(collection, selector)
        )
        return found

    async def identities(self, limit: int) -> list[Identity] | None:
        """Return what tells devices apart, of all of them."""
        return await self._store.identities(limit)

    async def descendants(self, config_id: str) -> list[str]:
        """Return the ids of all configs below this one."""
        found: list[str] = await self._timed(self._observe_read, self._store.descendants(config_id))
        return found

    async def count(self, collection: Collection, selector: Mapping[str, Any]) -> int:
        """Return how many documents match."""
        number: int = await self._timed(self._observe_read, self._store.count(collection, selector))
        return number

    async def owner(self, kind: str, value: str) -> str | None:
        """Return the id of the device that owns an identity."""
        found: str | None = await self._timed(self._observe_read, self._store.owner(kind, value))
        return found

    async def duplicates(self) -> list[Duplicate]:
        """Return every identity that several devices have."""
        return await self._store.duplicates()

    async def write(self, operations: Sequence[Write]) -> list[int]:
        """Do all operations or none."""
        revisions: list[int] = await self._timed(self._observe_write, self._store.write(operations))
        return revisions

    async def parameters(self) -> dict[str, Any]:
        """Return all parameters."""
        return await self._store.parameters()

    async def set_parameter(self, name: str, value: Any) -> None:
        """Store one parameter."""
        await self._timed(self._observe_write, self._store.set_parameter(name, value))
