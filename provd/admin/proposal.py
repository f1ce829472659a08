"""Settings of wazo-provd as a proposal for ours; nothing that is there is overwritten."""

from __future__ import annotations

import filecmp
import os
from typing import TYPE_CHECKING, Any

import attrs
import yaml

from provd.admin.plugins import copy_file
from provd.errors import SettingsError
from provd.settings import PROVD, WAZO, Defaults, Settings, keys, load

if TYPE_CHECKING:
    from provd.admin.report import Report

PROPOSAL = "config.imported.yml"
_BASE_RAW_CONFIG = "base_raw_config.json"
_STAGES = ("info_extractor", "retriever", "updater")
# Where things are is the matter of the new installation; the key file's content is not to be shown.
_OURS = frozenset(
    {
        "config_file",
        "extra_config_files",
        "general.base_storage_dir",
        "general.cache_dir",
        "general.request_config_dir",
        "general.base_raw_config_file",
        "database.json_db_dir",
        "database.file",
        "logging.file",
        "logging.security_file",
        "auth.type",  # follows from the key file
        "auth.username",
        "auth.password",
    }
)


def _value(settings: Settings, name: str) -> Any:
    value: Any = settings
    for step in name.split("."):
        value = getattr(value, step)
    return value


def _field(name: str) -> Any:
    """Return the attrs field of a setting."""
    cls: Any = Settings
    *sections, last = name.split(".")
    for section in sections:
        cls = attrs.fields_dict(cls)[section].metadata["schema"]
    return attrs.fields_dict(cls)[last]


def _written(kind: Any, value: Any) -> Any:
    """Return how a settings file writes a value; the daemon keeps some in another form."""
    # All interfaces are a star, and a file's mode is a text of octal digits.
    for form in (value, "*", f"{value:04o}" if isinstance(value, int) else None):
        try:
            if kind.parse(form) == value:
                return form
        except (TypeError, ValueError):
            continue
    return value


def differing(directory: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the settings in `directory` that are not our defaults, by dotted name, and warnings.

    SettingsError if the daemon could not start with them.
    """
    config_file = os.path.join(directory, "config.yml")
    if not os.path.isfile(config_file):
        raise SettingsError(f"{config_file}: there is no such file")
    base_raw_config = os.path.join(directory, _BASE_RAW_CONFIG)
    values = {
        **WAZO.values,
        "config_file": config_file,
        "extra_config_files": os.path.join(directory, "conf.d"),
        "general": {
            **WAZO.values["general"],
            "request_config_dir": directory,
            "base_raw_config_file": base_raw_config if os.path.exists(base_raw_config) else None,
        },
    }
    theirs = load({"config_file": config_file}, defaults=Defaults(WAZO.name, values))
    result: dict[str, Any] = {}
    for name, default, _ in keys(PROVD):
        kind, value = _field(name).metadata["schema"].kind, _value(theirs, name)
        if name in _OURS or kind.relative_to == "storage":
            continue
        if value != kind.parse(default):
            result[name] = _written(kind, value)
    for section in ("plugin_config", "tenants"):
        if entries := getattr(theirs, section):
            result[section] = {key: dict(entry) for key, entry in entries.items()}
    return result, theirs.warnings


def import_settings(source: str, target: str, report: Report, *, apply: bool) -> list[str]:
    """Tell what differs, copy custom files that are not there, write the proposal.

    Returns the paths that were made.
    """
    try:
        values, warnings = differing(source)
    except SettingsError as error:
        report.problem("settings", str(error))
        return []
    report.notes += warnings
    report.lists["settings that differ from our defaults"] = [
        name if _is_hidden(name) else f"{name}: {value}" for name, value in values.items()
    ]
    made: list[str] = []
    tally = report.tally("files of settings")
    for name in _files(source):
        tally.found += 1
        theirs, ours = os.path.join(source, name), os.path.join(target, name)
        if os.path.lexists(ours):
            if filecmp.cmp(theirs, ours, shallow=False):
                tally.same += 1
            else:
                tally.different.append(name)
            continue
        tally.new += 1
        if apply:
            copy_file(theirs, ours)
            made.append(ours)
    if os.path.exists(os.path.join(source, _BASE_RAW_CONFIG)):
        values["general.base_raw_config_file"] = os.path.join(target, _BASE_RAW_CONFIG)
    values["general.request_config_dir"] = target
    if apply:
        os.makedirs(target, exist_ok=True)
        made.append(_write_proposal(values, os.path.join(target, PROPOSAL)))
        report.facts["settings"] = f"{made[-1]}: to be read, then renamed to config.yml"
    return made


def _is_hidden(name: str) -> bool:
    return name in {"plugin_config", "tenants"} or not _field(name).repr


def _files(directory: str) -> list[str]:
    return sorted(
        name
        for name in os.listdir(directory)
        if name == _BASE_RAW_CONFIG
        or any(name.startswith(f"{stage}.py.conf.") for stage in _STAGES)
    )


def _write_proposal(values: dict[str, Any], path: str) -> str:
    document: dict[str, Any] = {}
    for name, value in values.items():
        *sections, last = name.split(".")
        place = document
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    staged = f"{path}.partial"
    with open(staged, "w", encoding="utf-8", opener=_private) as stream:
        stream.write("# Settings taken over from wazo-provd: those that are not the defaults.\n")
        yaml.safe_dump(document, stream, allow_unicode=True, sort_keys=False)
    os.replace(staged, path)
    return path


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
