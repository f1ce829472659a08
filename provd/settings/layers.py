"""From sources, one above the other, to checked values of the schema."""

from __future__ import annotations

import difflib
import os.path
import uuid
from typing import TYPE_CHECKING, Any

from provd.errors import SettingsError
from provd.settings.kinds import PROVISIONING, wrong_value
from provd.settings.schema import Key, keys, read_schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provd.settings.files import Layer


def collect(cls: type, prefix: str, layers: list[Layer], warnings: list[str]) -> dict[str, Any]:
    """Return the checked values of a section, layer by layer from the highest."""
    schema = read_schema(cls)
    for layer in layers:
        warnings.extend(
            _unknown(layer.origin, prefix, str(name), schema)
            for name in layer.values
            if name not in schema
        )
    values: dict[str, Any] = {}
    for name, entry in schema.items():
        path = prefix + name
        if isinstance(entry, Key):
            values[name] = find_value(entry, path, layers)
            continue
        parts = [part for layer in layers if (part := layer.section(name, path))]
        if entry is not None:
            values[name] = collect(entry, f"{path}.", parts, warnings)
        elif name == "tenants":
            values[name] = _collect_tenants(parts, warnings)
        else:
            values[name] = _collect_free(path, parts)
    return values


def find_value(key: Key, path: str, layers: Iterable[Layer]) -> object:
    """Return the checked value of the highest layer that has the key, else the default."""
    name = path.rpartition(".")[2]
    for layer in layers:
        if name in layer.values:
            value = layer.values[name]
            try:
                return key.kind.parse(value)
            except (TypeError, ValueError):
                raise wrong_value(
                    layer.origin,
                    path,
                    value,
                    key.kind.name,
                    key.kind.allowed,
                    secret=key.secret,
                ) from None
    return key.kind.parse(key.default)


def _unknown(origin: str, prefix: str, name: str, schema: Iterable[str]) -> str:
    message = f"{origin}: unknown key {prefix}{name}"
    near = [prefix + close for close in difflib.get_close_matches(name, schema, n=1)]
    if not near:
        by_name = {path.rpartition(".")[2]: path for path, _, _ in keys()}
        near = [by_name[close] for close in difflib.get_close_matches(name, by_name, n=1)]
    return f"{message}; did you mean {near[0]}?" if near else f"{message} is ignored"


def _collect_free(path: str, layers: list[Layer]) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for layer in reversed(layers):
        for name in layer.values:
            part = layer.section(name, f"{path}.{name}")
            result[str(name)] = merge(result.get(str(name), {}), part.values if part else {})
    return result


def merge(low: Mapping[Any, Any], high: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return `high` over `low`, key by key."""
    merged = dict(low)
    for name, value in high.items():
        below = merged.get(name)
        merged[name] = (
            merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged


def _collect_tenants(layers: list[Layer], warnings: list[str]) -> dict[str, dict[str, Any]]:
    key = Key(PROVISIONING.or_null(), None, secret=True)
    result: dict[str, dict[str, Any]] = {}
    owners: dict[str, str] = {}
    names = dict.fromkeys(name for layer in layers for name in layer.values)
    for name in names:
        path = f"tenants.{name}"
        parts = [part for layer in layers if (part := layer.section(name, path))]
        try:
            tenant_uuid = str(uuid.UUID(name))
        except (ValueError, AttributeError, TypeError):
            origin = next(layer.origin for layer in layers if name in layer.values)
            raise wrong_value(origin, "tenants", name, "a tenant", "UUID") from None
        warnings.extend(
            _unknown(part.origin, f"{path}.", str(unknown), ["provisioning_key"])
            for part in parts
            for unknown in part.values
            if unknown != "provisioning_key"
        )
        value = find_value(key, f"{path}.provisioning_key", parts)
        if isinstance(value, str) and owners.setdefault(value, tenant_uuid) != tenant_uuid:
            raise SettingsError(
                f"{parts[0].origin}: {path}.provisioning_key: tenant {owners[value]} has this key"
            )
        # The highest source comes first: it wins over another spelling of the same UUID.
        result.setdefault(tenant_uuid, {"provisioning_key": value})
    return result


def resolve_paths(cls: type, values: dict[str, Any], bases: Mapping[str, str]) -> None:
    """Make every path absolute, by the base of its kind."""
    for name, entry in read_schema(cls).items():
        if isinstance(entry, Key):
            if entry.kind.relative_to and isinstance(values[name], str):
                base = bases[entry.kind.relative_to]
                values[name] = os.path.normpath(os.path.join(base, values[name]))
        elif entry is not None:
            resolve_paths(entry, values[name], bases)


def build(cls: type, values: Mapping[str, Any]) -> Any:
    """Return an instance of a section's class, with its sections."""
    schema = read_schema(cls)
    built = {}
    for name, value in values.items():
        entry = schema.get(name)
        built[name] = build(entry, value) if isinstance(entry, type) else value
    return cls(**built)
