"""Function keys: which key of a raw config goes to which slot of a model.

`funckeys` are numbered through all keys of a phone, then those of its expansion modules. A slot is
one key of a model; its name is what the vendor calls it, such as `linekey.3`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import RawConfigParamError
from provd.model.documents import shown
from provd.plugin.phones.values import numbered, to_code, to_number

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from provd.plugin.phones.sip import Account
    from provd.plugin.phones.values import Notes

LINE = "line"
"""The type of a key that stands for an account."""


@attrs.frozen
class KeyGroup:
    """Keys of one kind on a model; `slot` is the vendor's name of one, `{}` its number from 1."""

    name: str
    count: int
    slot: str
    first: int = 1
    """What the vendor calls the first one."""


@attrs.frozen
class Slot:
    """One key of a model."""

    name: str
    group: str
    """Name of its group, or `module`."""
    index: int
    """Number within the group or module, as the vendor counts."""
    module: int | None = None
    """Number of the expansion module, from 1."""


@attrs.frozen
class Key:
    """A function key in use."""

    slot: Slot
    number: int
    """Of the function key, from 1."""
    type: str
    """`speeddial`, `blf`, `park` or `line`."""
    code: Any
    """The vendor's code of the type."""
    line: int
    value: str
    label: str
    pickup: str | None = None
    """What to dial before the value to pick up a call; for `blf` only."""

    @property
    def name(self) -> str:
        """Name of its slot."""
        return self.slot.name


@functools.lru_cache(maxsize=512)
def slots_of(
    groups: tuple[KeyGroup, ...], modules: int, module_keys: int, module_slot: str, first: int = 1
) -> tuple[Slot, ...]:
    """Return all slots of a model in the order in which function keys are numbered."""
    own = [
        Slot(group.slot.format(number), group.name, number)
        for group in groups
        for number in range(group.first, group.first + group.count)
    ]
    added = [
        Slot(module_slot.format(module, number), "module", number, module)
        for module in range(1, modules + 1)
        for number in range(first, first + module_keys)
    ]
    return (*own, *added)


def _to_key(
    slot: Slot, number: int, document: Mapping[str, Any], codes: Mapping[str, Any], pickup: Any
) -> Key:
    where = f"funckeys.{number}"
    kind = document.get("type")
    if not kind:
        raise RawConfigParamError(f"{where}.type: required")
    code = to_code(codes, kind, f"{where}.type")
    line = to_number(str(document.get("line") or 1))
    if line is None:
        raise RawConfigParamError(f"{where}.line: {shown(document['line'])} is not a number")
    value = document.get("value")
    value = "" if value is None else str(value)
    label = document.get("label")
    return Key(
        slot,
        number,
        str(kind),
        code,
        line,
        value,
        str(label) if label else value,
        str(pickup) if pickup and kind == "blf" else None,
    )


def keys_of(
    raw_config: Mapping[str, Any],
    slots: tuple[Slot, ...],
    codes: Mapping[str, Any],
    accounts: Mapping[int, Account],
    line_slots: int,
    notes: Notes,
) -> tuple[list[Key], list[Slot]]:
    """Return the keys in use, in order, and the slots that are free.

    An account takes the key of its number where that is among the first `line_slots` and nothing
    else is asked for. Keys beyond the last slot, and of types that phones of the family have not
    (code False), are left out and noted. RawConfigParamError for a type or a line that cannot be.
    """
    wanted = dict(numbered(raw_config.get("funckeys") or {}, "funckeys"))
    pickup = raw_config.get("exten_pickup_call")
    lines = {number for number in accounts if number <= min(line_slots, len(slots))}
    used: list[Key] = []
    taken: set[int] = set()
    for number in sorted(wanted.keys() | lines):
        if number > len(slots):
            break
        slot = slots[number - 1]
        document = wanted.get(number)
        if document is None:
            account = accounts[number]
            value = account.extension or account.username or ""
            used.append(
                Key(slot, number, LINE, codes.get(LINE), number, value, account.name or value)
            )
        elif codes.get(str(document.get("type")), "") is False:
            notes.add(f"function key {number} is left out: the phone has no {document['type']} key")
            continue
        else:
            used.append(_to_key(slot, number, document, codes, pickup))
        taken.add(number)
    _note_left_out(wanted, len(slots), notes)
    return used, [slot for number, slot in enumerate(slots, 1) if number not in taken]


def _note_left_out(wanted: Collection[int], count: int, notes: Notes) -> None:
    left_out = sorted(number for number in wanted if number > count)
    if left_out:
        numbers = ", ".join(map(str, left_out[:20])) + (", …" if len(left_out) > 20 else "")
        notes.add(f"function keys {numbers} are left out: the phone has {count}")
