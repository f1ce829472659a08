"""Vendors' archives, unpacked without trust into a directory of their own.

Whatever the format, members go through `Unpacker`. It refuses names that lead outside and anything
but files, directories and links, and it counts what comes. It makes no link: a link to a file of
the archive becomes a copy of that file, any other link that stays inside is left out. So a
directory filled here holds plain files and directories only, and may be copied without a check.
Everything blocks, so it runs in a worker thread; a refusal raises ArchiveError and leaves what was
unpacked so far to the caller.
"""

from __future__ import annotations

import contextvars
import ctypes
import logging
import lzma
import os
import stat
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import ArchiveError
from provd.plugin.archive import (
    CHUNK,
    MAX_MEMBERS,
    MAX_PATH,
    MemberKind,
    check_name,
    decompressed,
    headers,
    member_kind,
    split_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

logger = logging.getLogger(__name__)

_MAX_LINKS = 40
# Text of many blanks may well be a thousand times larger than its archive, as long as it is small.
_HARMLESS_BYTES = 1024 * 1024
# Others write to the same disk.
_DISK_RESERVE = 64 * 1024 * 1024


@attrs.frozen
class UnpackLimits:
    """How much firmware archives may yield: in bytes, and in multiples of their own size."""

    # The largest firmware sets known are of one gigabyte.
    max_bytes: int = 2 * 1024 * 1024 * 1024
    max_ratio: int = 200

    def most(self, packed: int) -> int:
        """Return how many bytes may come out of archives that have `packed` bytes."""
        return max(self.max_ratio * packed, _HARMLESS_BYTES)


DEFAULT_LIMITS = UnpackLimits()
limits: contextvars.ContextVar[UnpackLimits] = contextvars.ContextVar(
    "limits", default=DEFAULT_LIMITS
)
"""What applies to packages of the plugin that is being made."""


def free_bytes(directory: str) -> int:
    """Return how much may be written to the disk of `directory`, with some left for others."""
    status = os.statvfs(directory)
    free = status.f_bavail * status.f_frsize
    return free - min(_DISK_RESERVE, free // 10)


def check_space(directory: str, needed: int) -> None:
    """Raise ArchiveError if there is no room for `needed` bytes in `directory`."""
    free = free_bytes(directory)
    if needed > free:
        raise ArchiveError(
            f"not enough disk space in {directory}: {needed} bytes are needed, {free} are available"
        )


@attrs.define
class Allowance:
    """How much the archives of one installation may still yield, all together."""

    bytes_left: int = DEFAULT_LIMITS.max_bytes
    members_left: int = MAX_MEMBERS
    limits: UnpackLimits = DEFAULT_LIMITS
    refusal: str = "the archives of the package are too large when unpacked"
    """What to say when `bytes_left` is used up."""
    _archive_left: int = attrs.field(init=False)

    @_archive_left.default
    def _before_any_archive(self) -> int:
        return self.bytes_left

    @classmethod
    def of(cls, limits: UnpackLimits, packed: int, directory: str) -> Allowance:
        """Return what archives of `packed` bytes may yield in `directory`, as its disk has room."""
        largest, most, free = limits.max_bytes, limits.most(packed), free_bytes(directory)
        made = cls(min(largest, most, free), limits=limits)
        if free <= min(largest, most):
            made.refusal = f"not enough disk space in {directory}: {free} bytes are available"
        elif most < largest:
            made.refusal += f": more than {most} bytes ({limits.max_ratio} times their own size)"
        else:
            made.refusal += f": more than {largest} bytes"
        return made

    def start_archive(self, path: str, unpacked: int = 0) -> None:
        """Begin an archive; ArchiveError if the `unpacked` bytes that it announces are too many."""
        self._archive_left = self.limits.most(os.path.getsize(path))
        if unpacked > self.bytes_left:
            raise ArchiveError(self.refusal)
        if unpacked > self._archive_left:
            raise self._ratio_error()

    def _ratio_error(self) -> ArchiveError:
        return ArchiveError(
            f"it is more than {self.limits.max_ratio} times as large when unpacked "
            "(limits.firmware_ratio)"
        )

    def take_member(self) -> None:
        """Count one member."""
        self.members_left -= 1
        if self.members_left < 0:
            raise ArchiveError("the archives of the package have too many members")

    def take_bytes(self, count: int) -> None:
        """Count content that is about to be written."""
        self.bytes_left -= count
        self._archive_left -= count
        if self.bytes_left < 0:
            raise ArchiveError(self.refusal)
        if self._archive_left < 0:
            raise self._ratio_error()


def make_directory(path: str) -> None:
    """Make the directory `path` and its parents, readable by all; existing ones stay."""
    if os.path.isdir(path):
        return
    make_directory(os.path.dirname(path))
    try:
        os.mkdir(path)
    except FileExistsError:
        raise ArchiveError(f"{os.path.basename(path)!r} is both a file and a directory") from None
    os.chmod(path, 0o755)  # noqa: S103 - whatever the umask is


def make_file(path: str, chunks: Iterable[bytes], mode: int) -> None:
    """Write a new file at `path`, which replaces a file there; its directory is made."""
    make_directory(os.path.dirname(path))
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except (IsADirectoryError, PermissionError):
        if not os.path.isdir(path):
            raise
        raise ArchiveError(f"{os.path.basename(path)!r} is both a file and a directory") from None
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with open(os.open(path, flags, 0o600), "wb") as stream:
        stream.writelines(chunks)
        os.fchmod(stream.fileno(), mode)


def read_chunks(path: str) -> Iterator[bytes]:
    """Yield the content of a file."""
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


class Unpacker:
    """Puts the members of one archive into the directory `destination`, which exists."""

    def __init__(self, destination: str, allowance: Allowance) -> None:
        self._destination = destination
        self._allowance = allowance
        self._links: dict[str, str] = {}

    def start(self, path: str, unpacked: int = 0) -> None:
        """Begin the archive at `path`, which announces `unpacked` bytes, 0 if it announces none."""
        self._allowance.start_archive(path, unpacked)

    def add_directory(self, name: str) -> None:
        """Make a directory."""
        self._allowance.take_member()
        make_directory(self._path(split_name(name)))

    def add_file(self, name: str, chunks: Iterable[bytes], *, is_executable: bool = False) -> None:
        """Make a file; of two members of one name the last wins."""
        self._allowance.take_member()
        parts = split_name(name)
        if not parts:
            raise ArchiveError(f"{name!r} is not a file name")
        self._links.pop("/".join(parts), None)
        make_file(self._path(parts), self._counted(chunks), 0o755 if is_executable else 0o644)

    def add_copy(self, name: str, target: str) -> None:
        """Make a copy of an earlier file of the archive, which a hard link stands for."""
        source = self._path(split_name(target))
        if split_name(target) == split_name(name) or not os.path.isfile(source):
            raise ArchiveError(f"member {name!r} is a hard link to {target!r}, which is no file")
        self._copy(source, name)

    def add_link(self, name: str, target: str) -> None:
        """Note a symbolic link, to be replaced by a copy when all members are there."""
        self._allowance.take_member()
        self._links["/".join(split_name(name))] = target

    def finish(self) -> None:
        """Make the copies that symbolic links stand for."""
        links = self._links.copy()
        for name in links:
            source = self._resolve(name, links)
            if source is None:
                logger.warning("the link %r to %r is left out", name, links[name])
            else:
                self._copy(source, name)

    def _path(self, parts: list[str]) -> str:
        return os.path.join(self._destination, *parts)

    def _counted(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._allowance.take_bytes(len(chunk))
            yield chunk

    def _copy(self, source: str, name: str) -> None:
        is_executable = bool(os.stat(source).st_mode & 0o111)
        self.add_file(name, read_chunks(source), is_executable=is_executable)

    def _resolve(self, name: str, links: dict[str, str]) -> str | None:
        """Return the file that a link leads to, None if it leads to none; refuse to go outside.

        Names are compared, not looked up: as no link is ever made, no other way leads to a file.
        """
        first = name
        for _ in range(_MAX_LINKS):
            target = links[name]
            here = name.split("/")[:-1]
            if target.startswith("/") or not target or len(target) > MAX_PATH:
                raise ArchiveError(f"member {first!r} is a link to {target[:64]!r}")
            for part in target.split("/"):
                if part == ".." and not here:
                    raise ArchiveError(f"member {first!r} is a link that leads outside: {target!r}")
                if part == "..":
                    here.pop()
                elif part not in {"", "."}:
                    here.append(check_name(part))
            name = "/".join(here)
            if name not in links:
                path = self._path(here)
                return path if os.path.isfile(path) else None
        return None


def unzip(path: str, unpacker: Unpacker) -> None:
    """Unpack a ZIP archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            unpacker.start(path, sum(info.file_size for info in members))
            for info in members:
                _unzip_member(archive, info, unpacker)
        unpacker.finish()
    except (
        EOFError,
        RuntimeError,  # encrypted; NotImplementedError: an unusual compression
        ValueError,
        lzma.LZMAError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
    ) as exc:
        raise ArchiveError(f"{os.path.basename(path)}: {exc}") from exc


def _unzip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, unpacker: Unpacker) -> None:
    # Some archivers for Windows separate names by backslashes, which the format forbids.
    name = info.filename.replace("\\", "/")
    mode = info.external_attr >> 16
    kind = stat.S_IFMT(mode)
    if name.endswith("/"):
        unpacker.add_directory(name)
    elif kind == stat.S_IFLNK:
        with archive.open(info) as stream:
            unpacker.add_link(name, os.fsdecode(stream.read(MAX_PATH + 1)))
    elif kind in {0, stat.S_IFREG}:
        with archive.open(info) as stream:
            chunks = iter(lambda: stream.read(CHUNK), b"")
            unpacker.add_file(name, chunks, is_executable=bool(mode & 0o111))
    else:
        raise ArchiveError(f"member {name!r} is neither a file, a directory nor a link")


def untar(path: str, unpacker: Unpacker) -> None:
    """Unpack a tar archive; how it is compressed is detected."""
    try:
        unpacker.start(path)
        with decompressed(path) as stream:
            for info in headers(stream):
                match member_kind(info):
                    case MemberKind.DIRECTORY:
                        unpacker.add_directory(info.name)
                    case MemberKind.SYMLINK:
                        unpacker.add_link(info.name, info.linkname)
                    case MemberKind.COPY:
                        unpacker.add_copy(info.name, info.linkname)
                    case MemberKind.FILE:
                        unpacker.add_file(
                            info.name,
                            stream.content(info.size),
                            is_executable=bool(info.mode & 0o111),
                        )
        unpacker.finish()
    except ArchiveError as exc:
        raise ArchiveError(f"{os.path.basename(path)}: {exc}") from exc


def unrar(path: str, unpacker: Unpacker) -> None:
    """Unpack the files of a RAR archive, whose directories are dropped."""
    _unpack_flat(path, unpacker, "rar", "rar5")


def un7z(path: str, unpacker: Unpacker) -> None:
    """Unpack the files of a 7z archive, whose directories are dropped."""
    _unpack_flat(path, unpacker, "7zip")


def _libarchive() -> tuple[Any, Any]:
    try:
        from libarchive import ffi, read  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except (ImportError, OSError, AttributeError, TypeError) as exc:
        # The binding looks for the C library when it is imported, and fails in several ways.
        raise ArchiveError(
            "RAR and 7z archives need the Python package libarchive-c and the library libarchive "
            f"(Debian: libarchive13): {exc}"
        ) from exc
    return ffi, read


def _unpack_flat(path: str, unpacker: Unpacker, *formats: str) -> None:
    ffi, read = _libarchive()
    name = os.path.basename(path)
    try:
        unpacker.start(path)
        # No filter: some of them run external programs.
        with open(path, "rb") as stream, read.new_archive_read(formats[0], "none") as archive:
            for other in formats[1:]:
                ffi.get_read_format_function(other)(archive)
            ffi.read_open_fd(archive, stream.fileno(), CHUNK)
            for entry in read.ArchiveRead(archive):
                _unpack_entry(entry, _content(ffi, archive), unpacker)
    except (ffi.ArchiveError, ArchiveError) as exc:
        raise ArchiveError(f"{name}: {getattr(exc, 'msg', exc)}") from exc


def _content(ffi: Any, archive: Any) -> Iterator[bytes]:
    """Yield the content of the member at hand.

    The binding's own method takes the negative answer to a wrong checksum for a length.
    """
    buffer = ctypes.create_string_buffer(CHUNK)
    while (count := ffi.read_data(archive, buffer, CHUNK)) > 0:
        yield ctypes.string_at(buffer, count)
    if count < 0:
        raise ArchiveError("the content of a member is damaged")


def _unpack_entry(entry: Any, content: Iterator[bytes], unpacker: Unpacker) -> None:
    name = entry.pathname
    if not isinstance(name, str):
        raise ArchiveError(f"the name of member {name!r} cannot be read")
    parts = split_name(name.replace("\\", "/"))
    if entry.isdir:
        return
    if not entry.isreg or entry.islnk:
        raise ArchiveError(f"member {name!r} is neither a file nor a directory")
    unpacker.add_file("/".join(parts[-1:]), content)
