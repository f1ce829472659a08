"""What a command did or would do, for people and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOST = 20


@attrs.define
class Tally:
    """How many things of a kind there are, and what becomes of them."""

    found: int = 0
    new: int = 0
    same: int = 0
    replaced: int = 0
    different: list[str] = attrs.field(factory=list)
    """Those that are there already, say something else, and are left as they are."""

    def line(self) -> str:
        """Return it as one line."""
        parts = {
            "found": self.found,
            "new": self.new,
            "already there": self.same,
            "replaced": self.replaced,
            "different and left as they are": len(self.different),
        }
        return ", ".join(f"{n} {what}" for what, n in parts.items() if n or what == "found")


@attrs.define
class Report:
    """Facts in sections; `problems` make the exit status 1, `notes` do not."""

    title: str
    facts: dict[str, Any] = attrs.field(factory=dict)
    tallies: dict[str, Tally] = attrs.field(factory=dict)
    lists: dict[str, list[str]] = attrs.field(factory=dict)
    notes: list[str] = attrs.field(factory=list)
    problems: list[str] = attrs.field(factory=list)

    def tally(self, name: str) -> Tally:
        """Return the tally of that name, made if need be."""
        return self.tallies.setdefault(name, Tally())

    def problem(self, path: str, reason: str) -> None:
        """Add a problem with a file or record."""
        self.problems.append(f"{path}: {reason}")

    def as_json(self) -> dict[str, Any]:
        """Return all of it; lists are whole."""
        return attrs.asdict(self)

    def lines(self) -> Iterator[str]:
        """Give the text for people; of a long list, the beginning."""
        yield self.title
        for name, value in self.facts.items():
            yield f"  {name}: {value}"
        for name, tally in self.tallies.items():
            yield f"  {name}: {tally.line()}"
            yield from _some(tally.different)
        for name, values in self.lists.items():
            if not values:
                continue
            yield f"  {name}: {len(values)}"
            yield from _some(values)
        if self.notes:
            yield "Notes"
            yield from _some(self.notes, "  ")
        if self.problems:
            yield "Problems"
            yield from _some(self.problems, "  ")


def _some(values: Iterable[str], indent: str = "    ") -> Iterator[str]:
    values = list(values)
    for value in values[:_MOST]:
        yield indent + value
    if len(values) > _MOST:
        yield f"{indent}and {len(values) - _MOST} more; --json has them all"
