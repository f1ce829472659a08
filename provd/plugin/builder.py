"""From plugin sources to a repository: build directories, package them, index the packages.

A family is a directory with a `build.toml`, which lists the plugins made from it:

    [[plugin]]
    id = "provd-acme-v2"
    sources = ["common", "v2"]    # directories of the family; a later one's files win

    [[dhcp]]                      # what DHCP servers are to tell the phones, for all its plugins:
    name = "acme"                 # goes into their `plugin-info` as it is
    ouis = ["00:11:22"]
    options = { 66 = "{base_url}" }

A family of phones that is described by a `family.toml` (see `provd.plugin.phones.family`) needs
none: its one plugin is made of that file, `format.py` and `templates/`; `entry.py`, `plugin-info`
and the definitions of packages are written here.

All results are the same, byte for byte, whenever and wherever they are made.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import itertools
import json
import logging
import os
import shutil
import tarfile
import tempfile
import tomllib
from typing import TYPE_CHECKING, Any, NoReturn

import attrs

from provd.errors import ArchiveError, InvalidDocument
from provd.plugin.archive import (
    PLUGIN_INFO,
    check_bare_filename,
    check_plugin_id,
    extract_plugin,
    read_plugin_info,
)
from provd.plugin.phones.family import FAMILY_FILE, Family, read_family
from provd.plugin.phones.packages import to_definitions
from provd.plugin.templates import write_file

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

BUILD_FILE = "build.toml"
FAMILY_MARKERS = (BUILD_FILE, FAMILY_FILE)
INDEX_FILE = "plugins.db"
DHCP_KEY = "dhcp"
ARCHIVE_SUFFIX = ".tar.bz2"
STANDARD_DIRECTORIES = ("var", "var/cache", "var/installed", "var/templates", "var/tftpboot")

_ENTRY = '''"""Loads the family of phones that family.toml describes."""

execfile_("format.py", globals())  # the host gives it
'''
_SKIPPED_DIRECTORIES = frozenset({"__pycache__", "tests"})
_SKIPPED_SUFFIXES = (".pyc", "~")


@attrs.frozen
class Target:
    """One plugin that a family declares; `sources` are absolute directories, in order."""

    plugin_id: str
    sources: tuple[str, ...]
    dhcp: tuple[dict[str, Any], ...] = ()
    """Rules for DHCP servers; those who make configurations of them check their content."""
    family: Family | None = None
    """The phones that `family.toml` describes, if that is what declares the plugin."""


def is_family(directory: str) -> bool:
    """Tell whether a directory holds the sources of plugins."""
    return any(os.path.isfile(os.path.join(directory, name)) for name in FAMILY_MARKERS)


def read_targets(family_dir: str) -> list[Target]:
    """Return the plugins that a family declares; raises InvalidDocument if that is not sound."""
    path = os.path.join(family_dir, FAMILY_FILE)
    if os.path.isfile(path):
        family = read_family(path)
        with _located(path):
            check_plugin_id(family.id)
        return [Target(family.id, (family_dir,), family.dhcp, family)]
    path = os.path.join(family_dir, BUILD_FILE)

    def refuse(reason: str) -> NoReturn:
        raise InvalidDocument(f"{path}: {reason}")

    try:
        with open(path, "rb") as stream:
            document = tomllib.load(stream)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise InvalidDocument(f"{path}: {exc}") from exc
    except OSError as exc:
        raise InvalidDocument(f"{path} cannot be read: {exc.strerror}") from exc

    tables = document.pop("plugin", None)
    if not isinstance(tables, list) or not tables:
        refuse("one [[plugin]] table at least is needed")
    rules = document.pop(DHCP_KEY, [])
    if not isinstance(rules, list) or not all(isinstance(rule, dict) for rule in rules):
        refuse(f"{DHCP_KEY!r} must be written as [[{DHCP_KEY}]] tables")
    if document:
        refuse(f"unknown key {min(document)!r}")
    targets: dict[str, Target] = {}
    for table in tables:
        if not isinstance(table, dict) or table.keys() != {"id", "sources"}:
            refuse("a [[plugin]] table has exactly the keys 'id' and 'sources'")
        plugin_id, sources = table["id"], table["sources"]
        if not isinstance(plugin_id, str):
            refuse("'id' must be a string")
        with _located(path):
            check_plugin_id(plugin_id)
        if plugin_id in targets:
            refuse(f"plugin {plugin_id!r} is declared twice")
        if (
            not isinstance(sources, list)
            or not sources
            or not all(isinstance(source, str) and source for source in sources)
        ):
            refuse(f"plugin {plugin_id!r}: 'sources' must be a list of directory names")
        directories = []
        for source in sources:
            if os.path.isabs(source) or ".." in source.split("/"):
                refuse(f"plugin {plugin_id!r}: source {source!r} leaves the family's directory")
            directory = os.path.normpath(os.path.join(family_dir, source))
            if not os.path.isdir(directory):
                refuse(f"plugin {plugin_id!r}: {directory} is not a directory")
            directories.append(directory)
        targets[plugin_id] = Target(plugin_id, tuple(directories), tuple(rules))
    return list(targets.values())


@contextlib.contextmanager
def _located(place: str) -> Iterator[None]:
    """Put `place` in front of the message of InvalidDocument."""
    try:
        yield
    except InvalidDocument as exc:
        raise InvalidDocument(f"{place}: {exc}") from exc


def build(family_dir: str, dest: str) -> list[str]:
    """Build all plugins of a family as `<dest>/<plugin id>`, replacing what is there.

    Returns their directories. Tests, caches, editors' backups and hidden files are left out.
    Raises InvalidDocument where a declaration, a `plugin-info` or a source file is not sound.
    """
    os.makedirs(dest, exist_ok=True)
    built = []
    for target in read_targets(family_dir):
        final = os.path.join(dest, target.plugin_id)
        with tempfile.TemporaryDirectory(prefix=".", suffix=".build", dir=dest) as scratch:
            directory = os.path.join(scratch, target.plugin_id)
            _make_directory(directory)
            if target.family is not None and target.family.like is not None:
                _copy_format(os.path.join(family_dir, os.pardir, target.family.like), directory)
            for source in target.sources:
                _copy_tree(source, directory)
            for name in STANDARD_DIRECTORIES:
                _make_directory(os.path.join(directory, name))
            if target.family is not None:
                _write_family(target.family, directory)
            _check_built(target.plugin_id, directory)
            if target.dhcp and target.family is None:
                _add_to_info(directory, DHCP_KEY, target.dhcp)
            if os.path.lexists(final):
                shutil.rmtree(final)
            os.rename(directory, final)
        built.append(final)
    return built


def _copy_format(source: str, directory: str) -> None:
    """Copy what makes the files of another family, for one of a twin of its phones."""
    templates = os.path.join(directory, "templates")
    _make_directory(templates)
    try:
        shutil.copyfile(os.path.join(source, "format.py"), os.path.join(directory, "format.py"))
        _copy_tree(os.path.join(source, "templates"), templates)
    except OSError as exc:
        raise InvalidDocument(f"{source} is no family to be like: {exc.strerror}") from exc


def _write_family(family: Family, directory: str) -> None:
    """Write what follows from `family.toml`: entry.py, plugin-info, definitions of packages."""
    path = os.path.join(directory, "entry.py")
    if not os.path.exists(path):
        write_file(path, _ENTRY.encode())
    info = json.dumps(family.plugin_info(), ensure_ascii=False, indent=2)
    write_file(os.path.join(directory, PLUGIN_INFO), f"{info}\n".encode())
    if family.packages:
        _make_directory(os.path.join(directory, "pkgs"))
        path = os.path.join(directory, "pkgs", "pkgs.db")
        write_file(path, to_definitions(family.packages).encode())


def _check_built(plugin_id: str, directory: str) -> None:
    for name in (PLUGIN_INFO, "entry.py"):
        if not os.path.isfile(os.path.join(directory, name)):
            raise InvalidDocument(f"plugin {plugin_id}: no source holds a file {name}")
    with (
        open(os.path.join(directory, PLUGIN_INFO), "rb") as stream,
        _located(f"{PLUGIN_INFO} of plugin {plugin_id}"),
    ):
        parse_info(stream.read())


def _add_to_info(directory: str, key: str, value: object) -> None:
    path = os.path.join(directory, PLUGIN_INFO)
    info = read_info(directory)
    if key in info:
        raise InvalidDocument(f"{path}: {key!r} is in {BUILD_FILE} too")
    try:
        content = json.dumps({**info, key: value}, ensure_ascii=False, indent=2)
    except TypeError as exc:  # TOML has dates, JSON has not
        raise InvalidDocument(f"{BUILD_FILE}: {key}: {exc}") from exc
    write_file(path, f"{content}\n".encode())


def _make_directory(path: str) -> None:
    if not os.path.isdir(path):
        os.mkdir(path)
        os.chmod(path, 0o755)  # noqa: S103 - plugins are readable by all, whatever the umask


def _copy_tree(source: str, target: str) -> None:
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith(".") or entry.name.endswith(_SKIPPED_SUFFIXES):
                continue
            path = os.path.join(target, entry.name)
            if entry.is_symlink():
                raise InvalidDocument(f"{entry.path} is a symbolic link; sources hold plain files")
            if entry.is_dir():
                if entry.name in _SKIPPED_DIRECTORIES:
                    continue
                if os.path.isfile(path):
                    raise InvalidDocument(f"{entry.path} is a file in an earlier source")
                _make_directory(path)
                _copy_tree(entry.path, path)
            else:
                if os.path.isdir(path):
                    raise InvalidDocument(f"{entry.path} is a directory in an earlier source")
                shutil.copyfile(entry.path, path)
                os.chmod(path, _file_mode(entry.stat().st_mode))


def _file_mode(mode: int) -> int:
    return 0o755 if mode & 0o111 else 0o644


def parse_info(content: bytes) -> dict[str, Any]:
    """Return a `plugin-info` document; raises InvalidDocument if it lacks what an index needs."""

    def refuse_constant(name: str) -> NoReturn:
        raise InvalidDocument(f"{name} is not JSON")

    try:
        info = json.loads(content.decode("utf-8"), parse_constant=refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise InvalidDocument(f"not JSON in UTF-8: {exc}") from exc
    if not isinstance(info, dict):
        raise InvalidDocument("not a JSON object")
    for key, kind, words in (
        ("version", str, "a text"),
        ("description", str, "a text"),
        ("capabilities", dict, "an object"),
    ):
        if not isinstance(info.get(key), kind):
            raise InvalidDocument(f"{key!r} must be {words}")
    if not info["version"]:
        raise InvalidDocument("'version' must not be empty")
    try:
        _dump(info)
    except (ValueError, RecursionError) as exc:  # lone surrogates, numbers such as 1e999
        raise InvalidDocument(f"a value cannot be written as JSON: {exc}") from exc
    return info


def read_info(plugin_dir: str) -> dict[str, Any]:
    """Return the `plugin-info` of a plugin directory; raises InvalidDocument if it is not sound."""
    path = os.path.join(plugin_dir, PLUGIN_INFO)
    try:
        with open(path, "rb") as stream:
            content = stream.read()
    except OSError as exc:
        raise InvalidDocument(f"{path} cannot be read: {exc.strerror}") from exc
    with _located(path):
        return parse_info(content)


def archive_name(plugin_id: str, version: str) -> str:
    """Return the file name of a package; raises ArchiveError if `version` cannot be part of one."""
    return check_bare_filename(f"{plugin_id.replace('_', '-')}-{version}{ARCHIVE_SUFFIX}")


def package(plugin_dir: str, dest_dir: str) -> str:
    """Pack a plugin directory into `dest_dir` and return the path of the archive.

    All that lies in the directory is packed, `var/` included, so it should be a built plugin and
    not an installed one. Files are dated SOURCE_DATE_EPOCH (0 if that is not set). Raises
    InvalidDocument for a bad `plugin-info`, ArchiveError if the daemon would refuse the archive.
    """
    plugin_dir = os.path.abspath(plugin_dir)
    plugin_id = check_plugin_id(os.path.basename(plugin_dir))
    path = os.path.join(dest_dir, archive_name(plugin_id, read_info(plugin_dir)["version"]))
    mtime = _source_date()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:bz2", format=tarfile.PAX_FORMAT) as tar:

        def normalise(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
            name = os.path.basename(info.name)
            if name == "__pycache__" or name.endswith(".pyc"):
                return None
            info.mtime = mtime
            info.uid = info.gid = 0
            info.uname = info.gname = "root"
            info.mode = 0o755 if info.isdir() else _file_mode(info.mode)
            return info

        # The library adds what a directory holds in the order of names.
        tar.add(plugin_dir, plugin_id, filter=normalise)
    os.makedirs(dest_dir, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", suffix=".package", dir=dest_dir) as scratch:
        candidate = os.path.join(scratch, os.path.basename(path))
        write_file(candidate, buffer.getvalue())
        extract_plugin(candidate, plugin_id, os.path.join(scratch, "extracted"))
        os.rename(candidate, path)
    return path


def _source_date() -> int:
    """Return the date of all packed files, in seconds since 1970."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not (text.isascii() and text.isdigit()):
        raise InvalidDocument(f"SOURCE_DATE_EPOCH is {text!r}, not a number of seconds")
    return int(text)


def compare_versions(left: str, right: str) -> int:
    """Return -1, 0 or 1 as `left` is lower than, the same as, or higher than `right`.

    This is the order of plugin repositories: the part before the last `-` counts first, piece by
    piece at its dots, and pieces are compared as texts (so `10` is lower than `9`), a missing one
    being `0`. Then comes the part after it: `dev…` is lower than none, and others are texts.
    """
    left_base, left_suffix = _split_version(left)
    right_base, right_suffix = _split_version(right)
    for pieces in itertools.zip_longest(left_base.split("."), right_base.split("."), fillvalue="0"):
        if pieces[0] != pieces[1]:
            return -1 if pieces[0] < pieces[1] else 1
    left_key = (not left_suffix.startswith("dev"), left_suffix)
    right_key = (not right_suffix.startswith("dev"), right_suffix)
    return (left_key > right_key) - (left_key < right_key)


def _split_version(version: str) -> tuple[str, str]:
    base, dash, suffix = version.rpartition("-")
    return (base, suffix) if dash else (version, "")


_version_key = functools.cmp_to_key(compare_versions)


def index(repository_dir: str, *, strict: bool = False) -> dict[str, Any]:
    """Write the `plugins.db` of a directory of `*.tar.bz2` files, and return what it says.

    Of several versions of a plugin the highest counts. A file that is no plugin archive, or that
    the daemon would refuse, is logged and left out; with `strict` it raises ArchiveError instead,
    and the old `plugins.db` stays.
    """
    chosen: dict[str, dict[str, Any]] = {}
    for filename in sorted(os.listdir(repository_dir)):
        if filename.startswith(".") or not filename.endswith(ARCHIVE_SUFFIX):
            continue
        try:
            plugin_id, entry = _index_entry(os.path.join(repository_dir, filename))
        except ArchiveError as exc:
            if strict:
                raise
            logger.error("left out of the index: %s", exc)
            continue
        best = chosen.get(plugin_id)
        if best is None or _version_key(entry["version"]) >= _version_key(best["version"]):
            chosen[plugin_id] = entry
    write_file(os.path.join(repository_dir, INDEX_FILE), _dump(chosen))
    return chosen


def _index_entry(path: str) -> tuple[str, dict[str, Any]]:
    filename = check_bare_filename(os.path.basename(path))
    plugin_id, content = read_plugin_info(path)
    try:
        info = parse_info(content)
    except InvalidDocument as exc:
        raise ArchiveError(f"{filename}: {plugin_id}/{PLUGIN_INFO}: {exc}") from exc
    with open(path, "rb") as stream:
        # SHA-1 is what readers of this format check; ours check the other as well.
        sha1sum = hashlib.file_digest(stream, lambda: hashlib.sha1(usedforsecurity=False))
        size = stream.tell()
        stream.seek(0)
        sha256sum = hashlib.file_digest(stream, "sha256")
    return plugin_id, {
        **info,
        "filename": filename,
        "dsize": size,
        "sha1sum": sha1sum.hexdigest(),
        "sha256sum": sha256sum.hexdigest(),
    }


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(
        document, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False
    ).encode()
