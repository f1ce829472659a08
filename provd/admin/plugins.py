"""Plugins of another installation, and the templates that operators put into them."""

from __future__ import annotations

import filecmp
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from provd.errors import ProvdError
from provd.plugin.archive import make_staging, remove_plugin, swap_plugin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provd.admin.report import Report

TEMPLATES = os.path.join("var", "templates")
_CACHE = os.path.join("var", "cache")
_LOCAL = "plugins.db"


def installed(directory: str) -> list[str]:
    """Return the ids of the plugins in a directory, sorted."""
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [
        name
        for name in names
        if not name.startswith(".") and os.path.isdir(os.path.join(directory, name))
    ]


def _templates(plugin_dir: str) -> Iterator[str]:
    root = os.path.join(plugin_dir, TEMPLATES)
    for folder, _, files in os.walk(root):
        for name in files:
            yield os.path.relpath(os.path.join(folder, name), root)


def import_plugins(
    source: str,
    target: str,
    report: Report,
    *,
    apply: bool,
    replace: bool,
    with_cache: bool,
) -> list[str]:
    """Copy what is not there of plugins and custom templates; return the paths that were made."""
    tally, templates = report.tally("plugins"), report.tally("custom templates")
    made: list[str] = []
    if apply and not os.path.isdir(target):
        os.makedirs(target)
        made.append(target)
    for plugin_id in installed(source):
        tally.found += 1
        theirs, ours = os.path.join(source, plugin_id), os.path.join(target, plugin_id)
        if not os.path.isfile(os.path.join(theirs, "plugin-info")):
            report.problem(theirs, "left out: there is no plugin-info")
            continue
        try:
            if os.path.lexists(ours):
                tally.same += 1
                made += _import_templates(theirs, ours, report, apply=apply, replace=replace)
                continue
            names = list(_templates(theirs))
            if apply:
                _copy(theirs, ours, with_cache=with_cache)
                made.append(ours)
        except (OSError, shutil.Error, ProvdError) as error:
            report.problem(theirs, f"not copied: {error}")
            continue
        tally.new += 1
        templates.found += len(names)
        templates.new += len(names)
    _import_list(source, target, made, apply=apply)
    return made


def _copy(theirs: str, ours: str, *, with_cache: bool) -> None:
    """Copy a whole plugin, to appear at once or not at all."""
    cache = os.path.join(theirs, _CACHE)

    def left_out(folder: str, names: list[str]) -> list[str]:
        return [] if with_cache or folder != cache else names

    staging = make_staging(os.path.dirname(ours))
    try:
        staged = os.path.join(staging, os.path.basename(ours))
        shutil.copytree(theirs, staged, symlinks=True, ignore=left_out)
        swap_plugin(staged, ours).commit()
    finally:
        remove_plugin(staging)


def _import_templates(
    theirs: str, ours: str, report: Report, *, apply: bool, replace: bool
) -> list[str]:
    """Add the custom templates of a plugin that is there already."""
    tally = report.tally("custom templates")
    made = []
    for name in sorted(_templates(theirs)):
        tally.found += 1
        source, target = (os.path.join(plugin, TEMPLATES, name) for plugin in (theirs, ours))
        if os.path.lexists(target):
            if filecmp.cmp(source, target, shallow=False):
                tally.same += 1
                continue
            if not replace:
                tally.different.append(os.path.join(os.path.basename(ours), TEMPLATES, name))
                continue
            tally.replaced += 1
        else:
            tally.new += 1
        if apply:
            copy_file(source, target)
            made.append(os.path.join(ours, TEMPLATES))
    return made


def copy_file(source: str, target: str) -> None:
    """Copy a file with its mode, to appear at once or not at all."""
    directory = os.path.dirname(target)
    os.makedirs(directory, exist_ok=True)
    descriptor, staged = tempfile.mkstemp(prefix=".", dir=directory)
    os.close(descriptor)
    try:
        shutil.copy(source, staged)
        os.replace(staged, target)
    except BaseException:
        os.unlink(staged)
        raise


def _import_list(source: str, target: str, made: list[str], *, apply: bool) -> None:
    """Take over the last list of the repository where there is none."""
    theirs, ours = os.path.join(source, _LOCAL), os.path.join(target, _LOCAL)
    if apply and os.path.isfile(theirs) and not os.path.lexists(ours):
        copy_file(theirs, ours)
        made.append(ours)
