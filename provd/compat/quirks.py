"""What single families of plugins need to be told otherwise than all the rest.

A quirk is applied to the globals of each file of a plugin right after the file was executed.
"""

from __future__ import annotations

import ast
import types
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import attrs

from provd.compat import tzinform
from provd.model import timezones

if TYPE_CHECKING:
    from collections.abc import Callable


def _get_timezone_info_iso(name: str) -> dict[str, Any]:
    """Return a zone with ISO weekdays; `as_string` stays the one that all plugins see.

    A plugin may have made a table with `as_string` as keys while its file was executed, before
    the quirk could apply.
    """
    info = timezones.get_timezone_info_iso(name)
    if info["dst"] is not None:
        info["dst"]["as_string"] = timezones.get_timezone_info(name)["dst"]["as_string"]
    return info


def _iso_view() -> types.ModuleType:
    view = types.ModuleType(tzinform.__name__, tzinform.__doc__)
    view.__dict__.update(vars(tzinform))
    view.__dict__["get_timezone_info"] = _get_timezone_info_iso
    return view


_ISO_TZINFORM = _iso_view()


def _calls(source: str, function: str) -> bool:
    """Tell whether the code calls `function`, by its name or as an attribute."""
    return any(
        isinstance(node, ast.Call)
        and function in {getattr(node.func, "id", None), getattr(node.func, "attr", None)}
        for node in ast.walk(ast.parse(source))
    )


def iso_weekdays(source: str, namespace: dict[str, Any]) -> None:
    """Make the file see weekdays from 1 for Monday, unless it converts them by itself."""
    swaps = (
        (tzinform, _ISO_TZINFORM),
        (timezones.get_timezone_info, _get_timezone_info_iso),
    )
    found = [(name, new) for name, value in namespace.items() for old, new in swaps if value is old]
    if found and not _calls(source, "week_start_on_monday"):
        namespace.update(found)


@attrs.frozen
class Quirk:
    """What to do to the plugins whose ids match a shell pattern, and why."""

    plugin_ids: str
    apply: Callable[[str, dict[str, Any]], None]
    reason: str


QUIRKS = (
    Quirk(
        "wazo-yealink-*",
        iso_weekdays,
        "since 2025-09 these write the weekday as it comes, and the phones count Sunday as 7; "
        "older releases convert it with week_start_on_monday and need Sunday as 1",
    ),
)


def quirk(plugin_id: str, path: str, source: str, namespace: dict[str, Any]) -> None:  # noqa: ARG001
    """Apply the quirks of a plugin to a file of it, just executed in `namespace`."""
    for entry in QUIRKS:
        if fnmatchcase(plugin_id, entry.plugin_ids):
            entry.apply(source, namespace)
