"""Definitions of firmware packages, as plugins have them in `pkgs/` (contract: packages §2).

Three kinds of sections, in INI files that are read together:

    [pkg_<id>]      version, description, files: <file id>…, install: <install id> <argument>…
    [file_<id>]     url, size, sha1sum, filename, downloader
    [install_<id>]  <source node>-<target node>: <filter> <argument>…

An install section is a graph. Its node `a` holds the files of the package; every other node is
filled by one filter; what the nodes that feed no other hold is the result.
"""

from __future__ import annotations

import configparser
import logging
import os
import re
from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import ArchiveError
from provd.plugin.archive import check_bare_filename

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from provd.plugin.filters import Filter

    FilterBuilder = Callable[[str, Sequence[str]], Filter]

logger = logging.getLogger(__name__)

SOURCE_NODE = "a"

_STEP = re.compile(r"(\w+)-(\w+)")
_VARIABLE = re.compile(r"\\\$|\$(?:(\w+)|\{([^}]*)\})?")
_SHA1 = re.compile(r"[0-9a-fA-F]{40}")
_LOCALIZED = re.compile(r"(description_[a-z]{2,3}_)([a-z]{2,3})")
_VERSION = re.compile(r"(?:(\d+):)?(.*?)(?:-(\d+))?", re.DOTALL)


@attrs.frozen
class PackageFile:
    """A file to download; `filename` is its name in the cache."""

    filename: str
    url: str
    size: int
    sha1sum: str
    downloader: str


@attrs.frozen
class Step:
    """A filter that fills the node `target` from the node `source`."""

    source: str
    target: str
    filter: Filter
    origin: str
    """Where the step is written, for messages."""


@attrs.frozen
class Package:
    """What a package is made of; `steps` are in an order in which they can be run."""

    id: str
    info: dict[str, Any]
    """Version, description, depends, and what else the section says."""
    files: tuple[PackageFile, ...]
    steps: tuple[Step, ...]

    @property
    def size(self) -> int:
        """The sizes of all files, added up."""
        return sum(file.size for file in self.files)

    def result_nodes(self) -> frozenset[str]:
        """Return the nodes that make up the result."""
        return frozenset(step.target for step in self.steps) - {step.source for step in self.steps}


def check_package_id(package_id: str) -> str:
    """Return `package_id` if it may name a record; ValueError if not."""
    try:
        return check_bare_filename(package_id)
    except ArchiveError as error:
        raise ValueError(f"a package id must be a file name: {error}") from None


def compare_versions(one: str, other: str) -> int:
    """Return -1, 0 or 1 as version `one` is older than, the same as, or newer than `other`.

    The form is `[epoch:]a.b.c[-release]`. Numbers are compared as such and are newer than text.
    """
    first, second = _version_key(one), _version_key(other)
    return (first > second) - (first < second)


def _version_key(version: str) -> tuple[int, list[tuple[bool, int, str]], int]:
    match = _VERSION.fullmatch(version)
    assert match is not None
    epoch, pieces, release = match.groups()
    return (
        int(epoch or 0),
        [
            (True, int(piece), "") if piece.isdecimal() else (False, 0, piece)
            for piece in pieces.split(".")
        ],
        int(release or 0),
    )


@attrs.frozen
class _Section:
    """The keys of a section, and what to say of it."""

    path: str
    name: str
    values: Mapping[str, str]

    def error(self, message: str, key: str | None = None) -> ValueError:
        place = f"{self.path}: [{self.name}]" + (f" {key}" if key else "")
        return ValueError(f"{place}: {message}")

    def require(self, key: str) -> str:
        try:
            return self.values[key]
        except KeyError:
            raise self.error("is missing", key) from None


def read_packages(
    directory: str, downloaders: Collection[str], build_filter: FilterBuilder
) -> dict[str, Package]:
    """Return package id → package of all definitions in `directory`; none if it does not exist.

    `downloaders` are the names that a file may ask for. ValueError names file, section and key.
    """
    sections = _read_sections(directory)
    files = {
        file_id: _parse_file(section, downloaders) for file_id, section in sections["file"].items()
    }
    _check_filenames(sections["file"], files)
    for section in sections["install"].values():
        # A section that no package uses is checked as well, as far as that can be done.
        _build_steps(section, None, build_filter)
    packages = {}
    for package_id, section in sections["pkg"].items():
        try:
            check_package_id(package_id)
        except ValueError as error:
            raise section.error(str(error)) from None
        packages[package_id] = _parse_package(
            package_id, section, files, sections["install"], build_filter
        )
    return packages


def _read_sections(directory: str) -> dict[str, dict[str, _Section]]:
    """Return kind → id → section."""
    found: dict[str, dict[str, _Section]] = {"pkg": {}, "file": {}, "install": {}}
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return found
    for name in names:
        path = os.path.join(directory, name)
        if name.startswith(".") or not os.path.isfile(path):
            continue
        for section in _parse_file_sections(path):
            kind, separator, section_id = section.name.partition("_")
            if kind not in found or not separator or not section_id:
                raise section.error("is not a section name: pkg_…, file_… or install_… is expected")
            if (earlier := found[kind].get(section_id)) is not None:
                raise section.error(f"is in {earlier.path} too")
            found[kind][section_id] = section
    return found


def _parse_file_sections(path: str) -> list[_Section]:
    parser = configparser.RawConfigParser(
        delimiters=("=", ":"),
        comment_prefixes=("#", ";"),
        inline_comment_prefixes=None,
        strict=True,
        # No section may give defaults to others; this name cannot be written.
        default_section="",
    )
    try:
        with open(path, encoding="utf-8") as stream:
            parser.read_file(stream, path)
    except (configparser.Error, UnicodeError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
    return [_Section(path, name, dict(parser.items(name))) for name in parser.sections()]


def _parse_file(section: _Section, downloaders: Collection[str]) -> PackageFile:
    url = section.require("url")
    try:
        size = int(section.require("size"))
    except ValueError as error:
        if "size" not in section.values:
            raise
        raise section.error(str(error), "size") from None
    if size < 0:
        raise section.error("is negative", "size")
    sha1sum = section.require("sha1sum")
    if not _SHA1.fullmatch(sha1sum):
        # An official plugin has such a line; its other packages are none the worse for it.
        mistake = section.error(f"{sha1sum!r} is not 40 hexadecimal digits", "sha1sum")
        logger.warning("%s; this file cannot be installed", mistake)
    downloader = section.values.get("downloader", "default")
    if downloader not in downloaders:
        known = ", ".join(sorted(downloaders))
        raise section.error(f"{downloader!r} is unknown, known are {known}", "downloader")
    filename = section.values.get("filename", url.rpartition("/")[2])
    try:
        check_bare_filename(filename)
    except ArchiveError as error:
        raise section.error(
            str(error), "filename" if "filename" in section.values else "url"
        ) from None
    return PackageFile(filename, url, size, sha1sum, downloader)


def _check_filenames(sections: Mapping[str, _Section], files: Mapping[str, PackageFile]) -> None:
    owners: dict[str, str] = {}
    for file_id, file in files.items():
        if (owner := owners.setdefault(file.filename, file_id)) != file_id:
            raise sections[file_id].error(
                f"has the file name {file.filename!r}, as [file_{owner}] has"
            )


def _parse_package(
    package_id: str,
    section: _Section,
    files: Mapping[str, PackageFile],
    installs: Mapping[str, _Section],
    build_filter: FilterBuilder,
) -> Package:
    for key in ("version", "description"):
        section.require(key)
    if "id" in section.values:
        raise section.error("is not allowed", "id")
    info: dict[str, Any] = {
        _localized(key): value
        for key, value in section.values.items()
        if key not in {"files", "install", "depends"}
    }
    info["depends"] = section.values.get("depends", "").split()
    own_files = []
    for file_id in section.values.get("files", "").split():
        if file_id not in files:
            raise section.error(f"there is no section [file_{file_id}]", "files")
        own_files.append(files[file_id])

    steps: tuple[Step, ...] = ()
    if "install" in section.values:
        install_id, *arguments = section.values["install"].split() or [""]
        if install_id not in installs:
            raise section.error(f"there is no section [install_{install_id}]", "install")
        variables = {f"FILE{n}": file.filename for n, file in enumerate(own_files, 1)}
        variables |= {f"ARG{n}": argument for n, argument in enumerate(arguments, 1)}
        try:
            steps = _build_steps(installs[install_id], variables, build_filter)
        except ValueError as error:
            raise section.error(str(error), "install") from error
    return Package(package_id, info, tuple(own_files), steps)


def _localized(key: str) -> str:
    """Give back to `description_fr_ca` the capitals that reading took away."""
    match = _LOCALIZED.fullmatch(key)
    return match[1] + match[2].upper() if match else key


def _substitute(argument: str, variables: Mapping[str, str]) -> str:
    r"""Return `argument` with `$NAME` and `${NAME}` replaced; `\$` is a dollar."""

    def value(match: re.Match[str]) -> str:
        if match[0] == r"\$":
            return "$"
        name = match[1] or match[2]
        if not name:
            raise ValueError(f"{argument!r} has a '$' without a name")
        if name not in variables:
            known = ", ".join(variables) or "none"
            raise ValueError(f"the variable {name!r} is not defined; defined are: {known}")
        return variables[name]

    return _VARIABLE.sub(value, argument)


def _build_steps(
    section: _Section, variables: Mapping[str, str] | None, build_filter: FilterBuilder
) -> tuple[Step, ...]:
    """Return the steps of an install section in order of execution.

    Without `variables`, what stands for them is left as it is.
    """
    steps = []
    for key, value in section.values.items():
        match = _STEP.fullmatch(key)
        if match is None:
            raise section.error("is not of the form <node>-<node>", key)
        words = value.split()
        if not words:
            raise section.error("has no filter", key)
        try:
            arguments = (
                words[1:]
                if variables is None
                else [_substitute(word, variables) for word in words[1:]]
            )
            step_filter = build_filter(words[0], arguments)
        except ValueError as error:
            raise section.error(str(error), key) from error
        steps.append(Step(match[1], match[2], step_filter, f"[{section.name}] {key}"))
    return _in_order(section, steps)


def _in_order(section: _Section, steps: Sequence[Step]) -> tuple[Step, ...]:
    """Return `steps` so that every node is filled before it is read, else in their own order."""
    targets: set[str] = set()
    for step in steps:
        if step.target == SOURCE_NODE:
            raise section.error(f"node {SOURCE_NODE!r} holds the files and cannot be filled")
        if step.target in targets:
            raise section.error(f"node {step.target!r} is filled twice")
        targets.add(step.target)
    for step in steps:
        if step.source not in targets | {SOURCE_NODE}:
            raise section.error(f"nothing fills node {step.source!r}")
    if not any(step.source == SOURCE_NODE for step in steps):
        raise section.error(f"nothing reads node {SOURCE_NODE!r}")

    ordered: list[Step] = []
    filled = {SOURCE_NODE}
    waiting = list(steps)
    while waiting:
        ready = next((step for step in waiting if step.source in filled), None)
        if ready is None:
            nodes = ", ".join(sorted(step.target for step in waiting))
            raise section.error(f"these nodes wait for one another: {nodes}")
        waiting.remove(ready)
        ordered.append(ready)
        filled.add(ready.target)
    return tuple(ordered)
