"""Plugin archives, extracted without trust, and installed plugins replaced without a gap.

Everything here blocks, so it runs in a worker thread. Operations on one plugin must not overlap.

**Extraction.** An archive is read once, forwards, and nothing in it is believed. Every member must
lie below one top directory that bears the plugin's id. Symbolic links are made last and nothing is
written through one, so that no order of members can lead a write outside. A refusal raises
ArchiveError and leaves nothing behind.

**Replacement.** A plugin `P` in the plugins directory is replaced by renames of hidden neighbours:

    1. `.P.new` is made of the new version and of the local files of `P/var` (hard links)
    2. `P` becomes `.P.old`
    3. `.P.new` becomes `P`
    4. on commit `.P.old` becomes rubbish; on roll-back `P` becomes rubbish and `.P.old` becomes `P`

Rubbish is renamed to `.P.<random>.trash` before it is deleted, so a half-deleted directory is never
taken for a plugin. What `recover` finds after a crash, and what it does (X = there):

    P  .P.new  .P.old   the crash came                       done
    X                   before, or after the end             nothing
    X    X              in step 1                            .P.new deleted
         X              in step 1 or 3 of a first install    .P.new deleted
         X       X      between steps 2 and 3                .P.old becomes P, .P.new deleted
    X            X      after step 3, before step 4          P deleted, .P.old becomes P
                 X      within the roll-back                 .P.old becomes P

So a replacement that was not committed did not happen.
"""

from __future__ import annotations

import bz2
import contextlib
import enum
import errno
import gzip
import logging
import lzma
import os
import re
import secrets
import shutil
import stat
import tarfile
import tempfile
import zlib
from typing import TYPE_CHECKING, BinaryIO, cast

import attrs

from provd.disk import sync
from provd.errors import ArchiveError, InvalidId, PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

logger = logging.getLogger(__name__)

PLUGIN_INFO = "plugin-info"
MAX_BYTES = 512 * 1024 * 1024
MAX_MEMBERS = 50_000
MAX_PATH = 1024
CHUNK = 256 * 1024

# Bytes of headers that one member, and all of them, may take.
_MEMBER_HEADERS = 16 * 1024
_ALL_HEADERS = 128 * 1024 * 1024
# GNU tar pads an archive with zeros to a multiple of its record, which is at most this in practice.
_MAX_PADDING = 1024 * 1024
_MAX_NAME = 255
_END_BLOCK = bytes(tarfile.BLOCKSIZE)

# tarfile looks for a charset record with an expression that takes quadratic time on a long run of
# digits, and holds the interpreter lock meanwhile (CVE-2024-6232, CPython before 3.11.10).
_DIGITS = re.compile(rb"\d{64}")

_PLUGIN_ID = re.compile(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,127}")
_LEFTOVER = re.compile(r"\.(?P<plugin_id>.+)\.(?P<role>new|old|trash|staging)")


def check_plugin_id(plugin_id: str) -> str:
    """Return `plugin_id` if it may name a directory; raises InvalidId."""
    if not _PLUGIN_ID.fullmatch(plugin_id):
        raise InvalidId(
            f"plugin id {plugin_id!r}: 1 to 128 letters, digits, '.', '_', '-' or '+' are allowed, "
            "and no '.' at the start"
        )
    return plugin_id


def check_bare_filename(name: str) -> str:
    """Return `name` if it names a visible file with no directory; raises ArchiveError."""
    if name.startswith(".") or "/" in name:
        raise ArchiveError(f"{name!r} is not a bare file name")
    return check_name(name)


def check_name(name: str) -> str:
    """Return `name` if it may be one part of a path; raises ArchiveError."""
    if not name or name == "..":
        raise ArchiveError(f"{name!r} is not a file name")
    # isprintable is false for control characters and for bytes that are not UTF-8.
    if not name.isprintable() or "\\" in name:
        raise ArchiveError(f"the name {name!r} holds a character that is not allowed")
    if len(name.encode()) > _MAX_NAME:
        raise ArchiveError(f"the name {name[:64]!r}… is longer than {_MAX_NAME} bytes")
    return name


def split_name(name: str) -> list[str]:
    """Return the parts of a member's name, none of which leads up; raises ArchiveError."""
    if name.startswith("/"):
        raise ArchiveError(f"member {name!r} has an absolute name")
    if len(name) > MAX_PATH:
        raise ArchiveError(f"member {name[:64]!r}… has a name longer than {MAX_PATH} characters")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise ArchiveError(f"member {name!r} has '..' in its name")
    for part in parts:
        check_name(part)
    return parts


class MemberKind(enum.Enum):
    """What a member of an archive may be."""

    FILE = "file"
    COPY = "hard link"
    DIRECTORY = "directory"
    SYMLINK = "symbolic link"


@attrs.frozen
class _Member:
    """One checked thing to create; `path` starts with the plugin id and is normal."""

    path: str
    kind: MemberKind
    size: int = 0
    is_executable: bool = False
    target: str = ""


class ArchiveStream:
    """A decompressed archive, read forwards only; tarfile reads the headers, within limits."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._position = 0
        self._member_headers = 0
        self._all_headers = _ALL_HEADERS
        self.last_header = b""

    def start_member(self) -> None:
        """Allow the headers of one more member."""
        self._member_headers = _MEMBER_HEADERS

    def read(self, size: int) -> bytes:
        """Return `size` bytes of headers, fewer at the end; for tarfile."""
        if not 0 <= size <= min(self._member_headers, self._all_headers):
            raise ArchiveError("the headers are too large")
        data = self.last_header = self.take(size)
        self._member_headers -= size
        self._all_headers -= size
        if size > tarfile.BLOCKSIZE and _DIGITS.search(data):
            raise ArchiveError("a header is malformed")
        return data

    def tell(self) -> int:
        """Return how many bytes were read; for tarfile."""
        return self._position

    def seek(self, position: int) -> None:
        """Skip the padding of a member; for tarfile."""
        if not 0 <= position - self._position <= tarfile.BLOCKSIZE:
            raise ArchiveError("the archive is damaged: a member has no sound size")
        self.take(position - self._position)

    def take(self, size: int) -> bytes:
        """Return `size` bytes, fewer at the end."""
        try:
            data = self._source.read(size)
        except (EOFError, OSError, zlib.error, lzma.LZMAError) as exc:
            raise ArchiveError(f"the archive is damaged: {exc}") from exc
        self._position += len(data)
        return data

    def content(self, size: int) -> Iterator[bytes]:
        """Yield exactly `size` bytes in chunks."""
        while size:
            chunk = self.take(min(size, CHUNK))
            if not chunk:
                raise ArchiveError("the archive is cut short")
            size -= len(chunk)
            yield chunk

    def finish(self) -> None:
        """Check that the archive ended properly, and that the compressed data did as well."""
        if self.last_header != _END_BLOCK:
            raise ArchiveError("the archive is cut short or damaged")
        padding = self.take(_MAX_PADDING + 1)
        if len(padding) > _MAX_PADDING or padding.strip(b"\0"):
            raise ArchiveError("the archive goes on after its end")


@contextlib.contextmanager
def decompressed(path: str) -> Iterator[ArchiveStream]:
    """Open the archive at `path`, whatever its compression."""
    try:
        raw = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError as exc:
        raise ArchiveError(f"the archive cannot be read: {exc}") from exc
    with raw:
        magic = raw.peek(6)
        source: BinaryIO
        if magic.startswith(b"BZh"):
            source = cast("BinaryIO", bz2.BZ2File(raw))
        elif magic.startswith(b"\x1f\x8b"):
            source = cast("BinaryIO", gzip.GzipFile(fileobj=raw))
        elif magic.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")):
            source = cast("BinaryIO", lzma.LZMAFile(raw))  # noqa: SIM115 - as above
        else:
            source = raw
        with source:
            yield ArchiveStream(source)


def headers(stream: ArchiveStream) -> Iterator[tarfile.TarInfo]:
    """Yield the headers of an archive; the caller takes the content of a file before it goes on."""
    tar: tarfile.TarFile | None = None
    while True:
        stream.start_member()
        try:
            if tar is None:
                tar = tarfile.TarFile(fileobj=cast("BinaryIO", stream))
            info = tar.next()
        except (tarfile.TarError, ArithmeticError, LookupError, ValueError) as exc:
            raise ArchiveError(f"the archive is damaged: {exc}") from exc
        if info is None:
            return
        # A header of an earlier member is of no use, and tens of thousands take much memory.
        tar.members.clear()  # type: ignore[attr-defined]
        yield info


def member_kind(info: tarfile.TarInfo) -> MemberKind:
    """Return what the header of a tar stands for; raises ArchiveError for devices and the like."""
    if info.isdir():
        return MemberKind.DIRECTORY
    if info.issym():
        return MemberKind.SYMLINK
    if info.islnk():
        return MemberKind.COPY
    if info.issparse() or not info.isreg():
        raise ArchiveError(
            f"member {info.name!r} is neither a file, a directory nor a link (type {info.type!r})"
        )
    return MemberKind.FILE


class _Checker:
    """Judges the members of one archive in their order, and remembers what lies where."""

    def __init__(self, plugin_id: str | None, max_bytes: int, max_members: int) -> None:
        self.plugin_id = plugin_id
        self._bytes_left = max_bytes
        self._max_bytes = max_bytes
        self._max_members = max_members
        self._kinds: dict[str, MemberKind] = {}
        self._sizes: dict[str, int] = {}
        self._links: dict[str, str] = {}

    def has_file(self, path: str) -> bool:
        """Tell whether a regular file was seen at `path`."""
        return path in self._sizes

    def check(self, info: tarfile.TarInfo) -> Iterator[_Member]:
        """Yield what to create for a header, missing parents first; symbolic links come later."""
        parts = self._check_place(info.name)
        if not parts:
            return
        kind = member_kind(info)
        path = "/".join(parts)
        for end in range(1, len(parts)):
            parent = "/".join(parts[:end])
            parent_kind = self._kinds.get(parent)
            if parent_kind is None:
                self._note(parent, MemberKind.DIRECTORY)
                yield _Member(parent, MemberKind.DIRECTORY)
            elif parent_kind is not MemberKind.DIRECTORY:
                raise ArchiveError(
                    f"member {info.name!r} lies below the {parent_kind.value} {parent!r}"
                )
        if len(parts) == 1 and kind is not MemberKind.DIRECTORY:
            raise ArchiveError(f"member {info.name!r} is not a directory but a {kind.value}")

        noted = MemberKind.FILE if kind is MemberKind.COPY else kind
        earlier = self._kinds.get(path)
        if earlier not in {None, noted}:
            raise ArchiveError(f"member {info.name!r} comes twice, once as a {earlier.value}")
        if earlier is None:
            self._note(path, noted)
        match kind:
            case MemberKind.DIRECTORY:
                if earlier is None:
                    yield _Member(path, kind)
            case MemberKind.SYMLINK:
                self._links[path] = info.linkname
            case MemberKind.COPY:
                target = "/".join(self._check_place(info.linkname))
                if target == path or not self.has_file(target):
                    raise ArchiveError(
                        f"member {info.name!r} is a hard link to {info.linkname!r}, "
                        "which is no earlier file of the archive"
                    )
                self._count(path, self._sizes[target])
                yield _Member(path, kind, target=target)
            case MemberKind.FILE:
                self._count(path, info.size)
                yield _Member(path, kind, info.size, is_executable=bool(info.mode & 0o111))

    def links(self) -> Iterator[_Member]:
        """Yield the symbolic links; to be called when all members were seen."""
        for path, target in self._links.items():
            self._check_target(path, target)
            yield _Member(path, MemberKind.SYMLINK, target=target)

    def _check_place(self, name: str) -> list[str]:
        parts = split_name(name)
        if parts:
            if self.plugin_id is None:
                self.plugin_id = check_plugin_id(parts[0])
            if parts[0] != self.plugin_id:
                raise ArchiveError(f"member {name!r} lies outside {self.plugin_id!r}")
        return parts

    def _note(self, path: str, kind: MemberKind) -> None:
        self._kinds[path] = kind
        if len(self._kinds) > self._max_members:
            raise ArchiveError(f"more than {self._max_members} members")

    def _count(self, path: str, size: int) -> None:
        if not 0 <= size <= self._bytes_left:
            raise ArchiveError(
                f"with member {path!r} the content is larger than {self._max_bytes} bytes"
            )
        self._bytes_left -= size
        self._sizes[path] = size

    def _check_target(self, path: str, target: str) -> None:
        """Refuse a link that leaves the plugin, by itself or with the help of another link."""
        if target.startswith("/"):
            raise ArchiveError(f"member {path!r} is a link to the absolute name {target!r}")
        if not target or len(target) > MAX_PATH:
            raise ArchiveError(f"member {path!r} is a link with no sound target")
        here = path.split("/")[:-1]
        for part in target.split("/"):
            if part in {"", "."}:
                continue
            # As no directory passed on the way is a link, this walk and the kernel's agree.
            if "/".join(here) in self._links:
                raise ArchiveError(f"member {path!r} is a link through the link {'/'.join(here)!r}")
            if part != "..":
                here.append(check_name(part))
            elif len(here) > 1:
                here.pop()
            else:
                raise ArchiveError(f"member {path!r} is a link that leaves the plugin: {target!r}")


def _create(member: _Member, content: Iterator[bytes], destination: str) -> None:
    path = os.path.join(destination, member.path)
    if member.kind is MemberKind.DIRECTORY:
        os.mkdir(path)
        os.chmod(path, 0o755)  # noqa: S103 - whatever the umask is
        return
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # as with tar, the last of two members of one name wins
    if member.kind is MemberKind.SYMLINK:
        os.symlink(member.target, path)
    elif member.kind is MemberKind.COPY:
        # Not a link: both names would change when one is written in place.
        target = os.path.join(destination, member.target)
        shutil.copyfile(target, path)
        shutil.copymode(target, path)
    else:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(path, flags, 0o600), "wb") as stream:
            stream.writelines(content)
            os.fchmod(stream.fileno(), 0o755 if member.is_executable else 0o644)


def extract_plugin(
    archive_path: str,
    plugin_id: str,
    destination: str,
    *,
    max_bytes: int = MAX_BYTES,
    max_members: int = MAX_MEMBERS,
    require: Sequence[str] = (PLUGIN_INFO,),
) -> None:
    """Extract an archive to `<destination>/<plugin_id>`; `destination` is empty or absent before.

    `max_bytes` bounds the content of all files, `max_members` the files, links and directories;
    `require` names regular files that the plugin must have. Raises ArchiveError when the archive is
    refused, InvalidId for a bad id, OSError when the disk fails; then `destination` is gone.
    """
    checker = _Checker(check_plugin_id(plugin_id), max_bytes, max_members)
    _extract(archive_path, checker, destination, require)


def _extract(
    archive_path: str, checker: _Checker, destination: str, require: Sequence[str]
) -> None:
    os.makedirs(destination, exist_ok=True)
    if os.listdir(destination):
        raise FileExistsError(errno.EEXIST, "not empty", destination)
    try:
        with decompressed(archive_path) as stream:
            for info in headers(stream):
                content = stream.content(info.size)
                for member in checker.check(info):
                    _create(member, content, destination)
            stream.finish()
        for link in checker.links():
            _create(link, iter(()), destination)
        top = checker.plugin_id or "<plugin id>"
        for name in require:
            if not checker.has_file(f"{top}/{name}"):
                raise ArchiveError(f"the archive has no file {top}/{name}")
    except BaseException as exc:
        shutil.rmtree(destination, ignore_errors=True)
        if isinstance(exc, ArchiveError | InvalidId):
            raise ArchiveError(f"{os.path.basename(archive_path)}: {exc}") from exc
        raise


def read_plugin_info(archive_path: str) -> tuple[str, bytes]:
    """Return plugin id and `plugin-info` of an archive; raises ArchiveError if it is refused.

    The archive is extracted for that, so that what is accepted here is accepted everywhere.
    """
    checker = _Checker(None, MAX_BYTES, MAX_MEMBERS)
    with tempfile.TemporaryDirectory() as scratch:
        _extract(archive_path, checker, scratch, (PLUGIN_INFO,))
        assert checker.plugin_id is not None
        with open(os.path.join(scratch, checker.plugin_id, PLUGIN_INFO), "rb") as stream:
            return checker.plugin_id, stream.read()


def _sync_tree(root: str) -> None:
    for directory, _, names in os.walk(root):
        for name in names:
            path = os.path.join(directory, name)
            if not os.path.islink(path):
                sync(path)
        sync(directory)


def _rename(source: str, target: str) -> None:
    os.rename(source, target)
    sync(os.path.dirname(target))


def _neighbour(installed_dir: str, role: str) -> str:
    directory, plugin_id = os.path.split(installed_dir)
    return os.path.join(directory, f".{plugin_id}.{role}")


def remove_plugin(installed_dir: str) -> None:
    """Remove a plugin in one step; what cannot be deleted now is tried again by `recover`."""
    path = os.path.abspath(installed_dir)
    name = f".{os.path.basename(path).lstrip('.')}.{secrets.token_hex(4)}.trash"
    trash = os.path.join(os.path.dirname(path), name)
    _rename(path, trash)
    _delete(trash)


def _delete(path: str) -> None:
    try:
        if os.path.islink(path):
            os.unlink(path)
        else:
            shutil.rmtree(path)
    except OSError as exc:
        # Such as what another user put into var/; it is in nobody's way.
        logger.warning("%s cannot be deleted: %s", path, exc)


def make_staging(plugins_dir: str) -> str:
    """Return a new hidden directory to extract to; `recover` removes it after a crash."""
    return tempfile.mkdtemp(prefix=".", suffix=".staging", dir=plugins_dir)


# What os.link answers where links are not possible or not allowed: then a copy has to do.
_NO_LINKS = frozenset({errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS})


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as exc:
        if exc.errno not in _NO_LINKS:
            raise
        shutil.copy2(source, target)
        sync(target)


def _copy_status(source: str, target: str) -> None:
    shutil.copystat(source, target)
    status = os.stat(source)
    with contextlib.suppress(PermissionError):
        os.chown(target, status.st_uid, status.st_gid)


def _holds_files(directory: str) -> bool:
    return any(
        names or any(os.path.islink(os.path.join(root, name)) for name in directories)
        for root, directories, names in os.walk(directory)
    )


def _carry_over(path: str, target: str) -> None:
    """Put the local file, link or directory `path` of the old version at `target` in the new one.

    Where the new version has a file of that name it wins; a directory and a file of one name cannot
    be reconciled and raise ArchiveError.
    """
    there = os.lstat(target).st_mode if os.path.lexists(target) else None
    if os.path.islink(path):
        if there is not None and stat.S_ISDIR(there):
            # An administrator moved a standard directory elsewhere.
            if not os.path.isdir(path) or _holds_files(target):
                raise ArchiveError(
                    f"{path} is a link here, and a directory with files in the archive"
                )
            shutil.rmtree(target)
            there = None
        if there is None:
            os.symlink(os.readlink(path), target)
    elif os.path.isdir(path):
        if there is None:
            os.mkdir(target)
        elif not stat.S_ISDIR(there):
            raise ArchiveError(f"{path} is a directory here, and a file in the archive")
        for name in os.listdir(path):
            _carry_over(os.path.join(path, name), os.path.join(target, name))
        _copy_status(path, target)
        sync(target)
    elif there is None:
        _link_or_copy(path, target)
    elif stat.S_ISDIR(there):
        raise ArchiveError(f"{path} is a file here, and a directory in the archive")


@attrs.define
class Swap:
    """A plugin that was replaced: exactly one of the two methods ends it."""

    installed_dir: str
    _old: str | None
    _is_settled: bool = attrs.field(default=False, init=False)

    def commit(self) -> None:
        """Keep the new version."""
        self._check_open()
        if self._old is not None:
            remove_plugin(self._old)
        self._is_settled = True

    def rollback(self) -> None:
        """Put the old version back with the `var/` it had; after a first install, nothing stays.

        Files that the new version added below `var/` go with it. A file that it wrote in place,
        and did not replace, keeps what was written.
        """
        self._check_open()
        if os.path.lexists(self.installed_dir):
            remove_plugin(self.installed_dir)
        if self._old is not None:
            _rename(self._old, self.installed_dir)
        self._is_settled = True

    def _check_open(self) -> None:
        if self._is_settled:
            raise RuntimeError("the replacement was committed or rolled back before")


def swap_plugin(staged_plugin_dir: str, installed_dir: str) -> Swap:
    """Install the extracted plugin at `installed_dir`, keeping the local files of `var/` there.

    Everything else of an older version goes. Both directories are on one file system, and nothing
    writes below `installed_dir` meanwhile. The staged directory is used up, also on failure, when
    the old version stays. Raises ArchiveError where the two `var/` do not fit together, and
    PluginError while an earlier replacement is neither committed nor rolled back.
    """
    installed_dir = os.path.abspath(installed_dir)
    old, new = _neighbour(installed_dir, "old"), _neighbour(installed_dir, "new")
    if os.path.lexists(old):
        plugin_id = os.path.basename(installed_dir)
        raise PluginError(plugin_id, f"an earlier upgrade of plugin {plugin_id} is not finished")
    if os.path.lexists(new):
        remove_plugin(new)
    has_old = os.path.lexists(installed_dir)
    try:
        _sync_tree(staged_plugin_dir)
        os.rename(staged_plugin_dir, new)
        local_files = os.path.join(installed_dir, "var")
        if os.path.lexists(local_files):
            _carry_over(local_files, os.path.join(new, "var"))
            sync(new)
        if has_old:
            _rename(installed_dir, old)
        _rename(new, installed_dir)
    except BaseException:
        if not has_old or os.path.lexists(old):
            Swap(installed_dir, old if has_old else None).rollback()
        for leftover in (new, staged_plugin_dir):
            if os.path.lexists(leftover):
                remove_plugin(leftover)
        raise
    return Swap(installed_dir, old if has_old else None)


def recover(plugins_dir: str) -> list[str]:
    """Undo what a crash left half-done, before any plugin is loaded; see the table above.

    Returns the ids of the plugins whose old version was put back.
    """
    restored: list[str] = []
    try:
        names = sorted(os.listdir(plugins_dir))
    except FileNotFoundError:
        return restored
    for match in filter(None, map(_LEFTOVER.fullmatch, names)):
        path = os.path.join(plugins_dir, match.group())
        plugin_id = match["plugin_id"]
        try:
            match match["role"]:
                case "old":
                    installed_dir = os.path.join(plugins_dir, plugin_id)
                    Swap(os.path.abspath(installed_dir), path).rollback()
                    logger.warning("an upgrade of plugin %s was cut short and is undone", plugin_id)
                    restored.append(plugin_id)
                case "new":
                    remove_plugin(path)
                case _:
                    _delete(path)
        except OSError:  # must not stop the daemon, nor the recovery of other plugins
            logger.exception("%s cannot be cleared away", path)
    return restored
