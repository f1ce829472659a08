"""A long operation that a client may watch: its state, its children, and its status text.

Grammar of the text: `[label|]state[;current[/end]](child)…` (contract: REST API §1.10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

WAITING = "waiting"
PROGRESS = "progress"
SUCCESS = "success"
FAIL = "fail"


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
        """Why it failed, in words."""
        self.details: dict[str, Any] | None = None
        """What else there is to tell; REST shows it beside the status."""
        self.is_forgotten = False
        """Whether nobody can ask for it any more; what it does may stop then."""

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
