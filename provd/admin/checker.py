"""Examine what is stored: the file, each record, and what documents say of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.admin.documents import every
from provd.model.config import is_transient
from provd.store.sqlite.maintenance import Findings, examine

if TYPE_CHECKING:
    from provd.admin.places import Place
    from provd.admin.report import Report
    from provd.store.interface import Store


def check_file(place: Place, report: Report) -> Findings | None:
    """Examine a SQLite file; None for other stores."""
    if place.path is None:
        return None
    findings = examine(place.path)
    report.problems += [f"{place.path}: {line}" for line in findings.damage]
    report.problems += [
        f"{fault.name}: cannot be used: {fault.reason}" for fault in findings.faults
    ]
    report.problems += findings.mismatches
    report.facts.update(findings.documents)
    if findings.quarantined:
        report.lists["in quarantine"] = findings.quarantined
    return findings


async def check_relations(store: Store, report: Report, plugins: set[str]) -> None:
    """Note what documents name and is not there, and configs made for devices that are gone."""
    parents: dict[str, list[str]] = {}
    transient: set[str] = set()
    async for config in every(store, "configs"):
        listed = config.get("parent_ids")
        parents[config["id"]] = (
            [p for p in listed if isinstance(p, str)] if isinstance(listed, list) else []
        )
        if is_transient(config):
            transient.add(config["id"])
    no_config: list[str] = []
    no_plugin: dict[str, int] = {}
    async for device in every(store, "devices"):
        used = device.get("config")
        if isinstance(used, str) and used:
            transient.discard(used)
            if used not in parents:
                no_config.append(f"{device['id']}: {used}")
        _count(no_plugin, device.get("plugin"), plugins)
    report.facts["configs"], report.facts["devices"] = (
        len(parents),
        await store.count("devices", {}),
    )
    found = {
        "configs with a parent that is not there": [
            f"{config}: {parent}"
            for config, names in parents.items()
            for parent in names
            if parent not in parents
        ],
        "configs made for a device that is gone": sorted(transient),
        "devices with a config that is not there": no_config,
        "plugins that devices want and that are not installed": [
            f"{plugin}: {count} devices" for plugin, count in sorted(no_plugin.items())
        ],
        "identities of several devices": [
            f"{one.kind} {one.value}: {one.owner} is served, not {', '.join(one.others)}"
            for one in await store.duplicates()
        ],
    }
    report.lists.update({name: values for name, values in found.items() if values})


def _count(numbers: dict[str, int], value: Any, known: set[str] | frozenset[str]) -> None:
    if isinstance(value, str) and value and value not in known:
        numbers[value] = numbers.get(value, 0) + 1
