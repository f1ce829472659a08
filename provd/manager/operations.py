"""Long operations that a client may watch: their state, their children, and their status text.

Grammar of the text: `[label|]state[;current[/end]](child)…` (contract: REST API §1.10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.errors import OperationNotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

WAITING = "waiting"
PROGRESS = "progress"
SUCCESS = "success"
FAIL = "fail"

EXPIRY_SECONDS = 3600.0
MAX_OPERATIONS = 1000


class Operation:
    """An operation in progress; `current` and `end` count whatever the operation counts."""

    def __init__(
        self,
        label: str | None = None,
        state: str = WAITING,
        current: int | None = None,
        end: int | None = None,
        children: Iterable[Operation] = (),
    ) -> None:
        self.label = label
        self.state = state
        self.current = current
        self.end = end
        self.children = list(children)
        self.error: str | None = None

    @property
    def is_finished(self) -> bool:
        """Whether it ended, well or not."""
        return self.state in {SUCCESS, FAIL}

    def format(self) -> str:
        """Return the status text."""
        text = f"{self.label}|" if self.label else ""
        text += self.state
        if self.current is not None:
            text += f";{self.current}"
            if self.end:
                text += f"/{self.end}"
        return text + "".join(f"({child.format()})" for child in self.children)

    def fail(self, error: str) -> None:
        """End badly, and all unfinished children too."""
        for child in self.children:
            if not child.is_finished:
                child.fail(error)
        self.error = error
        self.state = FAIL


class Operations:
    """The operations of one collection, numbered from 1.

    Finished ones are forgotten an hour after they were first seen finished; of more than a thousand
    the oldest finished go first.
    """

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._last = 0
        self._operations: dict[str, Operation] = {}
        self._finished: dict[str, float] = {}

    def add(self, operation: Operation) -> str:
        """Keep `operation`; return its number as text."""
        self._expire()
        self._last += 1
        number = str(self._last)
        self._operations[number] = operation
        return number

    def get(self, number: str) -> Operation:
        """Return the operation of that number; OperationNotFound if there is none."""
        self._expire()
        try:
            return self._operations[number]
        except KeyError:
            raise OperationNotFound(f"no operation {number}") from None

    def forget(self, number: str) -> None:
        """Stop keeping an operation; it is not cancelled. OperationNotFound if there is none."""
        self.get(number)
        del self._operations[number]
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
            self._finished.pop(number, None)
