"""The steps of which an installation of firmware is made: what a `filter` reads and writes.

Every filter reads one directory and adds to another (contract: packages §2.4). Sources are plain
files and directories, or links to downloaded files, which are followed.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import stat
from typing import TYPE_CHECKING, Protocol

import attrs

from provd.errors import ArchiveError
from provd.plugin.archive import CHUNK
from provd.plugin.unpack import (
    Allowance,
    Unpacker,
    make_directory,
    make_file,
    read_chunks,
    un7z,
    unrar,
    untar,
    unzip,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_GZIP_MAGIC = b"\x1f\x8b"
_MAX_SIGNATURE = 512


class Filter(Protocol):
    """One way to make the files of a directory out of those of another."""

    def run(self, source: str, target: str, allowance: Allowance) -> None:
        """Read the directory `source` and add to `target`; ArchiveError says why not."""


def build_filter(name: str, arguments: Sequence[str]) -> Filter:
    """Return the filter of that name; ValueError if there is none, or for bad arguments."""
    try:
        build, least, most = _FILTERS[name]
    except KeyError:
        raise ValueError(f"unknown filter {name!r}, known are {', '.join(_FILTERS)}") from None
    if len(arguments) < least or (most is not None and len(arguments) > most):
        wanted = f"{'at least ' if most is None else ''}{least} argument{'s' * (least != 1)}"
        raise ValueError(f"{name} takes {wanted}, not {len(arguments)}")
    return build(arguments)


def _relative(name: str) -> str:
    """Return `name` if it stays in the directory; ValueError if not."""
    if os.path.isabs(name) or name.startswith("..") or ".." in name.split("/"):
        raise ValueError(f"{name!r} leads out of the directory")
    return name


def _find(directory: str, pattern: str) -> list[str]:
    """Return what matches a shell pattern, sorted; ArchiveError if nothing does.

    `**` stands for directories of any depth.
    """
    found = sorted(glob.glob(pattern, root_dir=directory, recursive=True))
    if not found and os.path.exists(os.path.join(directory, pattern)):
        found = [pattern]  # a name with brackets in it
    if not found:
        raise ArchiveError(f"nothing matches {pattern!r}")
    return [os.path.normpath(os.path.join(directory, name)) for name in found]


def _copy_file(source: str, target: str) -> None:
    status = os.stat(source)
    if not stat.S_ISREG(status.st_mode):
        raise ArchiveError(f"{os.path.basename(source)!r} is not a regular file")
    make_file(target, read_chunks(source), status.st_mode & 0o777)


def _copy(source: str, target: str) -> None:
    """Copy a file, or a directory with what is in it; existing directories are added to."""
    if not os.path.isdir(source):
        _copy_file(source, target)
        return
    make_directory(target)
    for name in sorted(os.listdir(source)):
        _copy(os.path.join(source, name), os.path.join(target, name))


@attrs.frozen
class Unpack:
    """Unpacks every archive that matches."""

    unpack: Callable[[str, Unpacker], None]
    pattern: str = attrs.field(converter=_relative)

    def run(self, source: str, target: str, allowance: Allowance) -> None:
        """Unpack into `target`."""
        for path in _find(source, self.pattern):
            self.unpack(path, Unpacker(target, allowance))


@attrs.frozen
class Unsign:
    """Strips the signature that Cisco puts before a gzip file."""

    pattern: str = attrs.field(converter=_relative)
    name: str = attrs.field(converter=_relative)

    def run(self, source: str, target: str, allowance: Allowance) -> None:  # noqa: ARG002
        """Write what follows the signature."""
        found = _find(source, self.pattern)
        if len(found) > 1:
            raise ArchiveError(f"{len(found)} files match {self.pattern!r}, where one is expected")
        with open(found[0], "rb") as stream:
            start = stream.read(_MAX_SIGNATURE).find(_GZIP_MAGIC)
            if start < 0:
                raise ArchiveError(f"{os.path.basename(found[0])} is not a signed gzip file")
            stream.seek(start)
            chunks = iter(lambda: stream.read(CHUNK), b"")
            make_file(os.path.join(target, self.name), chunks, 0o644)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


@attrs.frozen
class Include:
    """Keeps the entries of the top level that match a pattern, with all they contain."""

    patterns: tuple[str, ...]

    def run(self, source: str, target: str, allowance: Allowance) -> None:  # noqa: ARG002
        """Copy what is kept."""
        for name in sorted(os.listdir(source)):
            if _matches(name, self.patterns):
                _copy(os.path.join(source, name), os.path.join(target, name))


@attrs.frozen
class Exclude:
    """Drops the entries whose relative path matches a pattern, with all they contain."""

    patterns: tuple[str, ...]

    def run(self, source: str, target: str, allowance: Allowance) -> None:  # noqa: ARG002
        """Copy what is not dropped."""
        self._copy_rest(source, target, "")

    def _copy_rest(self, source: str, target: str, prefix: str) -> None:
        for name in sorted(os.listdir(os.path.join(source, prefix))):
            relative = prefix + name
            path = os.path.join(source, relative)
            if _matches(relative, self.patterns):
                continue
            if os.path.isdir(path):
                make_directory(os.path.join(target, relative))
                self._copy_rest(source, target, f"{relative}/")
            else:
                _copy_file(path, os.path.join(target, relative))


def _relative_all(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(_relative, names))


@attrs.frozen
class Copy:
    """Copies into a directory (`destination` ends by a slash) or to a name."""

    patterns: tuple[str, ...] = attrs.field(converter=_relative_all)
    destination: str = attrs.field(converter=_relative)

    def run(self, source: str, target: str, allowance: Allowance) -> None:  # noqa: ARG002
        """Copy everything that matches."""
        found = [path for pattern in self.patterns for path in _find(source, pattern)]
        destination = os.path.normpath(os.path.join(target, self.destination))
        if self.destination.endswith("/"):
            make_directory(destination)
            for path in found:
                # The entry "." stands for all of the source.
                name = "" if path == os.path.normpath(source) else os.path.basename(path)
                _copy(path, os.path.join(destination, name) if name else destination)
            return
        if len(found) > 1:
            raise ArchiveError(
                f"{len(found)} files are to be copied to {self.destination!r}; "
                "the name of a directory ends by '/'"
            )
        if os.path.isdir(destination):
            raise ArchiveError(f"{self.destination!r} is a directory")
        _copy(found[0], destination)


@attrs.frozen
class Null:
    """Produces nothing."""

    def run(self, source: str, target: str, allowance: Allowance) -> None:
        """Do nothing."""


# Name → how it is built, the least and the greatest number of arguments (None: any).
_FILTERS: dict[str, tuple[Callable[[Sequence[str]], Filter], int, int | None]] = {
    "unzip": (lambda args: Unpack(unzip, args[0]), 1, 1),
    "untar": (lambda args: Unpack(untar, args[0]), 1, 1),
    "unrar": (lambda args: Unpack(unrar, args[0]), 1, 1),
    "7z": (lambda args: Unpack(un7z, args[0]), 1, 1),
    "unsign": (lambda args: Unsign(args[0], args[1]), 2, 2),
    "include": (lambda args: Include(tuple(args)), 1, None),
    "exclude": (lambda args: Exclude(tuple(args)), 1, None),
    "cp": (lambda args: Copy(args[:-1], args[-1]), 2, None),
    "null": (lambda _args: Null(), 0, 0),
}
