"""Values of a raw config in the types that phones take, and what to do where they do not fit.

A raw config is checked when it is stored (contract: documents §4), but loosely: `dns_ip` may be a
name there, and a phone may want an address. What a phone cannot take is left out, and noted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import RawConfigParamError
from provd.model.addresses import is_normed_ip
from provd.model.documents import as_bool, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@attrs.define
class Notes:
    """What a phone could not take of its configuration, one sentence each."""

    texts: list[str] = attrs.field(factory=list)

    def add(self, text: str) -> None:
        """Note `text`, once."""
        if text not in self.texts:
            self.texts.append(text)


@attrs.frozen
class Values:
    """Reads parameters by type; None stands for one that is absent or does not fit."""

    raw: Mapping[str, Any]
    notes: Notes

    def text(self, name: str) -> str | None:
        """Return a parameter as text; white space at the ends is kept."""
        value = self.raw.get(name)
        return None if value is None or value == "" else str(value)

    def flag(self, name: str) -> bool:
        """Return whether a switch is on; one that is absent is off."""
        return as_bool(self.raw.get(name))

    def ipv4(self, name: str) -> str | None:
        """Return an IPv4 address, for phones that take no host name there."""
        value = self.text(name)
        if value is None or is_normed_ip(value):
            return value
        self.notes.add(f"{name} is left out: the phone wants an IPv4 address, not {shown(value)}")
        return None

    def integer(self, name: str, low: int, high: int) -> int | None:
        """Return a whole number from `low` to `high`."""
        value = self.text(name)
        if value is None:
            return None
        number = to_number(value)
        if number is not None and low <= number <= high:
            return number
        self.notes.add(
            f"{name} is left out: the phone wants {low} to {high} there, not {shown(value)}"
        )
        return None


def to_number(text: str) -> int | None:
    """Return the number that a text of decimal digits stands for, None for any other text.

    More than 12 digits are no number that a phone knows, and Python refuses some thousands of them.
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None


def to_code(codes: Mapping[str, Any], value: object, parameter: str) -> Any:
    """Return the vendor's code of a standard value.

    An absent value gives the code of `default`, None if there is none. RawConfigParamError names
    the parameter and what is allowed.
    """
    if value is None or value == "":
        return codes.get("default")
    code = codes.get(str(value)) if value != "default" else None
    if code is None:
        allowed = " or ".join(sorted(codes.keys() - {"default"}))
        raise RawConfigParamError(
            f"{parameter}: {shown(value)} is not known to this phone; it must be {allowed}"
        )
    return code


def numbered(section: Mapping[str, Any], name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the members of `sip_lines` or `funckeys` in the order of their numbers, from 1.

    RawConfigParamError if a key is no such number, or the number of another one (`1` and `01`), or
    a member no object.
    """
    members: dict[int, dict[str, Any]] = {}
    for key, value in section.items():
        number = to_number(key)
        if not number:
            raise RawConfigParamError(f"{name}: {shown(key)} is not a number from 1")
        if not isinstance(value, dict):
            raise RawConfigParamError(f"{name}.{key}: {shown(value)} is not an object")
        if number in members:
            raise RawConfigParamError(f"{name}: {number} is there twice")
        members[number] = value
    yield from sorted(members.items())
