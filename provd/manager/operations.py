"""The operations of a collection, kept so that clients can watch them."""

from __future__ import annotations

from typing import Any

from provd.errors import OperationNotFound
from provd.model.operations import FAIL, PROGRESS, SUCCESS, WAITING, Operation

__all__ = ["FAIL", "PROGRESS", "SUCCESS", "WAITING", "Operation", "Operations"]

EXPIRY_SECONDS = 3600.0
MAX_OPERATIONS = 1000


class Operations:
    """The operations of one collection, numbered from 1.

    Finished ones are forgotten an hour after they were first seen finished; of more than a thousand
    the oldest finished go first.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._last = 0
        self._operations: dict[str, Operation] = {}
        self._tenants: dict[str, str | None] = {}
        self._finished: dict[str, float] = {}

    def add(self, operation: Operation, tenant: str | None = None) -> str:
        """Keep `operation`, which `tenant` began; return its number as text."""
        self._expire()
        self._last += 1
        number = str(self._last)
        self._operations[number] = operation
        self._tenants[number] = tenant
        return number

    def tenant_of(self, number: str) -> str | None:
        """Return the tenant that began an operation; OperationNotFound."""
        self.get(number)
        return self._tenants[number]

    def get(self, number: str) -> Operation:
        """Return the operation of that number; OperationNotFound if there is none."""
        self._expire()
        try:
            return self._operations[number]
        except KeyError:
            raise OperationNotFound(f"no operation {number}") from None

    def forget(self, number: str) -> None:
        """Stop keeping an operation, which it is told. OperationNotFound if there is none."""
        self.get(number).is_forgotten = True
        del self._operations[number]
        del self._tenants[number]
        self._finished.pop(number, None)

    def _expire(self) -> None:
        now = self._clock.seconds()
        for number, operation in self._operations.items():
            if operation.is_finished:
                self._finished.setdefault(number, now)
        expired = [n for n, since in self._finished.items() if now - since >= EXPIRY_SECONDS]
        excess = len(self._operations) - len(expired) - MAX_OPERATIONS + 1
        if excess > 0:
            oldest = [n for n in self._finished if n not in set(expired)]
            expired += oldest[:excess]
        for number in expired:
            self._operations.pop(number, None)
            self._tenants.pop(number, None)
            self._finished.pop(number, None)
