"""The files of firmware packages: made by the steps, put in place, recorded, removed.

Everything here blocks, so it runs in a worker thread.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import shutil
import stat
import tempfile
from typing import TYPE_CHECKING, Any

from provd.errors import ArchiveError
from provd.plugin.pkgdefs import SOURCE_NODE, Package, check_package_id
from provd.plugin.templates import write_file
from provd.plugin.unpack import Allowance, UnpackLimits, check_space

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

logger = logging.getLogger(__name__)

Record = dict[str, Any]

# What says that a directory is still in use, or is not ours to remove.
_KEPT = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR, errno.EBUSY})


@contextlib.contextmanager
def made_files(
    package: Package, cache_dir: str, limits: UnpackLimits | None = None
) -> Iterator[str]:
    """Run the steps of a package; the directory with the result goes away in the end.

    What comes out of its archives is bounded by `limits` and by the room on the disk.
    """
    with tempfile.TemporaryDirectory(prefix="provd-") as scratch:
        result = os.path.join(scratch, "result")
        os.mkdir(result)
        nodes = {
            step.target: os.path.join(scratch, f"node-{step.target}") for step in package.steps
        }
        nodes[SOURCE_NODE] = os.path.join(scratch, f"node-{SOURCE_NODE}")
        for path in nodes.values():
            os.mkdir(path)
        for name in {file.filename for file in package.files}:
            os.symlink(
                os.path.abspath(os.path.join(cache_dir, name)),
                os.path.join(nodes[SOURCE_NODE], name),
            )
        nodes |= dict.fromkeys(package.result_nodes(), result)
        packed = sum(os.path.getsize(entry) for entry in os.scandir(nodes[SOURCE_NODE]))
        allowance = Allowance.of(limits or UnpackLimits(), packed, scratch)
        for step in package.steps:
            try:
                step.filter.run(nodes[step.source], nodes[step.target], allowance)
            except ArchiveError as error:
                raise ArchiveError(f"{step.origin}: {error}") from error
        yield result


@contextlib.contextmanager
def put_in_place(source: str, root: str, owner: str) -> Iterator[list[str]]:
    """Copy what is in `source` into `root`; on failure, what was not there before is removed.

    A failure within the context counts as well. Files are replaced in one step each, after all of
    them were copied next to their places. `owner` goes into their names until then, so that two
    owners do not meet, and a second try overwrites what a crash left. Yields the paths below
    `root`, sorted; those of directories end by "/".
    """
    paths: list[str] = []
    pending: list[tuple[str, str]] = []
    made: list[str] = []
    os.makedirs(root, exist_ok=True)
    check_space(root, _size(source))
    try:
        for path, is_directory in _walk(source):
            paths.append(path)
            target = os.path.join(root, path.rstrip("/"))
            if is_directory:
                if not os.path.isdir(target):
                    _make_directory(os.path.join(source, path), target)
                    made.append(target)
            elif os.path.isdir(target):
                raise ArchiveError(f"{target} is a directory")
            else:
                temporary = _temporary_name(target, owner)
                pending.append((temporary, target))
                _copy(os.path.join(source, path), temporary)
        while pending:
            temporary, target = pending[-1]
            is_new = not os.path.lexists(target)
            os.rename(temporary, target)
            pending.pop()
            if is_new:
                made.append(target)
        yield sorted(paths)
    except BaseException:
        for path in [temporary for temporary, _ in pending] + made[::-1]:
            with contextlib.suppress(OSError):
                _remove(path)
        raise


def _size(root: str) -> int:
    return sum(
        os.path.getsize(os.path.join(root, path))
        for path, is_directory in _walk(root)
        if not is_directory
    )


def _remove(path: str) -> None:
    if os.path.isdir(path):
        os.rmdir(path)
    else:
        os.unlink(path)


def _walk(root: str) -> Iterator[tuple[str, bool]]:
    """Yield relative path and whether it is a directory, parents first."""
    pending = [""]
    while pending:
        prefix = pending.pop()
        for entry in sorted(os.scandir(os.path.join(root, prefix)), key=lambda entry: entry.name):
            path = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield f"{path}/", True
                pending.append(f"{path}/")
            elif entry.is_file(follow_symlinks=False):
                yield path, False
            else:
                raise ArchiveError(f"{path!r} is neither a file nor a directory")


def _make_directory(source: str, target: str) -> None:
    try:
        os.mkdir(target)
    except FileExistsError:
        raise ArchiveError(f"{target} is a file") from None
    shutil.copymode(source, target)


def _temporary_name(target: str, owner: str) -> str:
    directory, name = os.path.split(target)
    digest = hashlib.sha1(f"{owner}/{name}".encode(errors="surrogateescape"), usedforsecurity=False)
    return os.path.join(directory, f".{digest.hexdigest()}.tmp")


def _copy(source: str, target: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target)
    with open(source, "rb") as stream, open(target, "xb") as output:
        shutil.copyfileobj(stream, output, 1024 * 1024)
        os.fchmod(output.fileno(), stat.S_IMODE(os.fstat(stream.fileno()).st_mode))
        output.flush()
        os.fsync(output.fileno())


def remove_paths(root: str, paths: Iterable[str]) -> None:
    """Remove files and empty directories below `root`; what is gone already is no error."""
    # In reverse order, what is in a directory comes before it.
    for path in sorted(paths, reverse=True):
        if not path or path.startswith("/") or ".." in path.split("/"):
            logger.warning("%r is not removed: it leads out of %s", path, root)
            continue
        target = os.path.join(root, path.rstrip("/"))
        try:
            if path.endswith("/"):
                os.rmdir(target)
            else:
                os.unlink(target)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if not path.endswith("/") or error.errno not in _KEPT:
                raise


def read_records(directory: str) -> dict[str, Record]:
    """Return package id → record of all installed packages; a broken record is logged, and left."""
    records = {}
    for name in sorted(os.listdir(directory)):
        if name.startswith("."):
            continue
        path = os.path.join(directory, name)
        try:
            with open(path, encoding="utf-8") as stream:
                records[name] = _check_record(name, json.load(stream))
        except (OSError, ValueError) as error:
            logger.error("%s: the package is taken as not installed: %s", path, error)
    return records


def _check_record(package_id: str, record: Any) -> Record:
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - callers treat all faults alike
    kinds = {"id": str, "version": str, "description": str, "files": list, "explicit_install": bool}
    wrong = [key for key, kind in kinds.items() if not isinstance(record.get(key), kind)]
    if wrong:
        raise ValueError(f"missing, or of the wrong type: {', '.join(wrong)}")
    if record["id"] != check_package_id(package_id):
        raise ValueError(f"it is the record of {record['id']!r}")
    if not all(isinstance(path, str) for path in record["files"]):
        raise ValueError("files is not a list of names")
    return {"depends": [], **record}


def write_record(directory: str, package: Package, files: list[str]) -> Record:
    """Write and return the record of a package that was installed."""
    record = {**package.info, "id": package.id, "explicit_install": True, "files": files}
    content = json.dumps(record, sort_keys=True, separators=(",", ":"))
    write_file(os.path.join(directory, package.id), content.encode())
    return record


def remove_record(directory: str, package_id: str) -> None:
    """Forget that a package is installed."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, package_id))
