"""Firmware and language packages of a family, and what an installed one serves to which models.

A package is a table of `family.toml`, or of a file `packages.toml` beside it:

    [[package]]
    id = "T46S-fw"
    version = "66.86.0.15"
    description = "Firmware of T41S, T42S, T46S, T48S"
    models = "T41S T42S T46S T48S"        # those whose file points to `serves`; may be left out;
                                          # a list where names hold blanks: ["N510 IP PRO"]
    serves = "T46S-66.86.0.15.rom"        # below firmware/; may be left out
    install = ["unzip $FILE1", "cp *.rom firmware/"]      # filters, one after the other
    [[package.files]]
    url = "https://…"                     # empty: the operator puts the file into var/cache
    name = "T46S-66.86.0.15.zip"          # in the cache; the last part of the URL by default
    size = 123
    sha1 = "…"

The build writes them as `pkgs/pkgs.db` in the form that every plugin uses (contract: packages §2).
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FIRMWARE_DIRECTORY = "firmware"
INSTALLED_DIRECTORY = os.path.join("var", "installed")
_KEYS = frozenset(
    {"id", "version", "description", "description_fr", "models", "serves", "install", "files"}
)
_NODES = "abcdefghijklmnop"
_MAX_STEPS = len(_NODES) - 1
_FILE_KEYS = frozenset({"url", "name", "size", "sha1", "sha256", "downloader"})


def check_packages(packages: Iterable[Mapping[str, Any]], models: Iterable[str]) -> None:
    """Raise InvalidDocument if a table is not sound, or names a model that does not exist."""
    known = set(models)
    seen: set[str] = set()
    files: dict[str, Mapping[str, Any]] = {}
    for package in packages:
        where = f"package {package.get('id')!r}"
        if unknown := package.keys() - _KEYS:
            raise InvalidDocument(f"{where}: unknown key {min(unknown)!r}")
        for key in ("id", "version", "description", "files"):
            if not package.get(key):
                raise InvalidDocument(f"{where}: {key!r} is missing")
        if package["id"] in seen:
            raise InvalidDocument(f"{where} is there twice")
        seen.add(package["id"])
        if unknown := set(names_of(package.get("models", ""))) - known:
            raise InvalidDocument(f"{where} is for an unknown model {min(unknown)!r}")
        if len(package.get("install") or ()) > _MAX_STEPS:
            raise InvalidDocument(f"{where}: more than {_MAX_STEPS} steps to install")
        for file in package["files"]:
            if unknown := file.keys() - _FILE_KEYS:
                raise InvalidDocument(f"{where}: unknown key {min(unknown)!r} of a file")
            if not {"size", "sha1"} <= file.keys() or not (file.get("url") or file.get("name")):
                raise InvalidDocument(f"{where}: a file needs size, sha1, and a url or a name")
            name = _name_of(file)
            if files.setdefault(name, file) != file:
                raise InvalidDocument(f"{where}: another file is called {name!r} too")


def names_of(value: Any) -> list[str]:
    """Return the models that a text names, apart by blanks, or a list; InvalidDocument for else."""
    if isinstance(value, str):
        return value.split()
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InvalidDocument(f"models must be a text or a list of texts, not {value!r}")
    return value


def _name_of(file: Mapping[str, Any]) -> str:
    """Return the name of a file in the cache."""
    return str(file.get("name") or file["url"].rpartition("/")[2])


def to_definitions(packages: Iterable[Mapping[str, Any]]) -> str:
    """Return the text of a `pkgs.db` for packages."""
    lines: list[str] = []
    files: dict[str, str] = {}
    steps: dict[tuple[str, ...], str] = {}
    for package in packages:
        ids = []
        for file in package["files"]:
            name = _name_of(file)
            if name not in files:
                files[name] = f"f{len(files) + 1}"
                lines += _file_section(files[name], name, file)
            ids.append(files[name])
        install = tuple(package.get("install") or (f"cp $FILE1 {FIRMWARE_DIRECTORY}/",))
        if install not in steps:
            steps[install] = f"i{len(steps) + 1}"
            lines += [f"[install_{steps[install]}]"]
            nodes = _NODES
            lines += [f"{nodes[n]}-{nodes[n + 1]}: {step}" for n, step in enumerate(install)]
            lines += [""]
        lines += [f"[pkg_{package['id']}]"]
        lines += [
            f"{key}: {package[key]}"
            for key in ("version", "description", "description_fr")
            if key in package
        ]
        lines += [f"files: {' '.join(ids)}", f"install: {steps[install]}", ""]
    return "\n".join(lines)


def _file_section(file_id: str, name: str, file: Mapping[str, Any]) -> list[str]:
    lines = [f"[file_{file_id}]", f"url: {file.get('url', '')}", f"filename: {name}"]
    lines += [f"size: {file['size']}", f"sha1sum: {file['sha1']}"]
    if "downloader" in file:
        lines += [f"downloader: {file['downloader']}"]
    return [*lines, ""]


@attrs.define
class InstalledPackages:
    """Which packages are installed, newest installation first; looked at when that changes."""

    plugin_dir: str
    packages: tuple[Mapping[str, Any], ...]
    _signature: int = -1
    _order: list[str] = attrs.field(factory=list)

    def ids(self) -> list[str]:
        """Return the ids of installed packages, the one installed last first."""
        directory = os.path.join(self.plugin_dir, INSTALLED_DIRECTORY)
        try:
            signature = os.stat(directory).st_mtime_ns
        except OSError:
            return []
        if signature != self._signature:
            found: list[tuple[int, str]] = []
            with contextlib.suppress(OSError), os.scandir(directory) as entries:
                found = [(entry.stat().st_mtime_ns, entry.name) for entry in entries]
            self._order = [name for _, name in sorted(found, reverse=True)]
            self._signature = signature
        return self._order

    def firmware(self, model: str) -> Mapping[str, Any] | None:
        """Return the package, installed last, that serves firmware for a model."""
        by_id = {package["id"]: package for package in self.packages}
        for package_id in self.ids():
            package = by_id.get(package_id)
            if package and package.get("serves") and model in names_of(package.get("models", "")):
                return package
        return None

    def has(self, package_id: str) -> bool:
        """Tell whether a package is installed."""
        return package_id in self.ids()
