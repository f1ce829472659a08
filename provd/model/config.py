"""Rules of config documents: cleaning, validation, inheritance, automatic creation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.errors import InvalidDocument
from provd.model.documents import as_bool, check_depth, copy_json, is_bool_like, shown
from provd.model.ids import autocreated_id
from provd.model.parameters import unknown_names, unknown_parameters
from provd.model.rawconfig import validate_stored
from provd.model.shapes import Config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


def clean_config(document: dict[str, Any]) -> dict[str, Any]:
    """Return `document` without the null members of its objects if its `X_type` is `device`.

    Plugins test `key in raw_config`, so null must mean absent. Null elements of lists stay.
    The result is `document` itself if there is nothing to remove; it is never modified.
    """
    if document.get("X_type") != "device":
        return document
    check_depth(document)
    cleaned: dict[str, Any] = _without_nulls(document)
    return cleaned


def _without_nulls(value: Any) -> Any:
    """Return `value` itself if it holds no null member, else a copy of what differs."""
    if isinstance(value, dict):
        members = {
            key: _without_nulls(member) if isinstance(member, (dict, list)) else member
            for key, member in value.items()
            if member is not None
        }
        if len(members) == len(value) and all(members[key] is value[key] for key in members):
            return value
        return members
    if isinstance(value, list):
        elements = [_without_nulls(element) for element in value]
        if all(new is old for new, old in zip(elements, value, strict=True)):
            return value
        return elements
    return value


def validate_config(document: Mapping[str, Any]) -> None:
    """Raise InvalidDocument if `document` may not be stored as a config.

    A null `role`, `transient` or `deletable` counts as absent.
    """
    for key in ("parent_ids", "raw_config"):
        if key not in document:
            raise InvalidDocument(f'missing "{key}" field in config')
    parent_ids = document["parent_ids"]
    if not isinstance(parent_ids, list):
        raise InvalidDocument(f"parent_ids: {shown(parent_ids)} is not a list in config")
    for parent_id in parent_ids:
        if not isinstance(parent_id, str):
            raise InvalidDocument(f"parent_ids: {shown(parent_id)} is not text in config")
    for key in ("id", "role"):
        value = document.get(key)
        if value is not None and not isinstance(value, str):
            raise InvalidDocument(f"{key}: {shown(value)} is not text in config")
    for key in ("transient", "deletable"):
        value = document.get(key)
        if value is not None and not is_bool_like(value):
            raise InvalidDocument(f"{key}: {shown(value)} is not a boolean in config")
    check_depth(document)
    validate_stored(document["raw_config"])


def config_warnings(document: Mapping[str, Any]) -> list[str]:
    """Return a warning for each member or parameter that nobody knows, at every depth."""
    members = list(unknown_names("config", document, Config.__annotations__, "member"))[:50]
    return [*members, *unknown_parameters(document.get("raw_config"))]


def is_transient(document: Mapping[str, Any]) -> bool:
    """Tell whether the config goes away with the last device that uses it."""
    return as_bool(document.get("transient"))


def is_deletable(document: Mapping[str, Any]) -> bool:
    """Tell whether operators may delete the config; yes unless it says otherwise."""
    return as_bool(document.get("deletable"), default=True)


AUTOCREATE = "autocreate"
"""The role of the template of configs for new phones."""
TENANT = "tenant_uuid"
"""The member that tells whose config it is; kept by the daemon, never shown, never taken."""


def owner_of(config: Mapping[str, Any], main_tenant: str | None) -> str | None:
    """Return the tenant that owns a config, in lower case; None for the main tenant.

    What no tenant owns, such as a config of an older version, is the main tenant's.
    """
    owner = config.get(TENANT)
    if not isinstance(owner, str) or not owner or owner.lower() == (main_tenant or "").lower():
        return None
    return owner.lower()


def without_owner(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config as clients see it."""
    return {key: value for key, value in config.items() if key != TENANT}


def overlay(base: dict[str, Any], top: Mapping[str, Any]) -> None:
    """Lay `top` over `base` in place: objects merge, anything else replaces.

    `base` receives copies, so that a later change of it never reaches `top`.
    """
    for key, value in top.items():
        if isinstance(value, dict):
            below = base.get(key)
            if isinstance(below, dict):
                overlay(below, value)
                continue
        base[key] = copy_json(value)


def flatten(
    config_id: str,
    lookup: Callable[[str], Mapping[str, Any] | None],
    base_raw_config: Mapping[str, Any],
) -> dict[str, Any] | None:
    """Return a fresh raw config: base, then ancestors, then the config; None if it is unknown.

    Parents are laid depth-first in their order, each config once, at its first encounter.
    Unknown parents are skipped. Chains may be longer than Python's stack.
    """
    config = lookup(config_id)
    if config is None:
        return None
    raw_config: dict[str, Any] = {}
    overlay(raw_config, base_raw_config)
    visited = {config_id}
    pending = [(config, _parents(config))]
    while pending:
        config, parent_ids = pending[-1]
        for parent_id in parent_ids:
            if parent_id not in visited:
                visited.add(parent_id)
                parent = lookup(parent_id)
                if parent is not None:
                    pending.append((parent, _parents(parent)))
                    break
        else:
            pending.pop()
            overlay(raw_config, config["raw_config"])
    return raw_config


def _parents(config: Mapping[str, Any]) -> Iterator[str]:
    return iter(config["parent_ids"])


def build_autocreate(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a new transient config made from the autocreate config, or None.

    None means that its own raw config lacks SIP line 1, without which a new phone is useless.
    """
    raw_config = config["raw_config"]
    if "1" not in raw_config.get("sip_lines", ()):
        return None
    return {
        "id": autocreated_id(config["id"]),
        "parent_ids": [config["id"]],
        "raw_config": copy_json(raw_config),
        "transient": True,
    }
