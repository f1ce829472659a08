"""`provd-plugin`: the tool of plugin authors, from sources to a repository."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from provd.errors import InvalidDocument, ProvdError
from provd.model.addresses import norm_mac
from provd.plugin import builder
from provd.plugin.archive import PLUGIN_INFO
from provd.plugin.compare import compare, lines_of, read_reasons
from provd.plugin.files import resolve
from provd.plugin.lint import lint, render
from provd.plugin.phones.family import FAMILY_FILE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from provd.plugin.sandbox import Quirk


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _find(directory: str, *markers: str) -> list[str]:
    """Return `directory` if it holds one of the files `markers`, else those below it that do."""

    def is_marked(path: str) -> bool:
        return any(os.path.isfile(os.path.join(path, marker)) for marker in markers)

    if is_marked(directory):
        return [directory]
    with os.scandir(directory) as entries:
        found = sorted(
            entry.path
            for entry in entries
            if not entry.name.startswith(".") and is_marked(entry.path)
        )
    if not found:
        names = " or ".join(markers)
        raise InvalidDocument(f"there is no {names} in {directory}, nor one level below")
    return found


def _build(sources: Sequence[str], dest: str) -> list[str]:
    families = [family for source in sources for family in _find(source, *builder.FAMILY_MARKERS)]
    declared: dict[str, str] = {}
    for family in families:
        for target in builder.read_targets(family):
            other = declared.setdefault(target.plugin_id, family)
            if other != family:
                raise InvalidDocument(
                    f"plugin {target.plugin_id!r} is declared in {other} and in {family}"
                )
    built = [path for family in families for path in builder.build(family, dest)]
    for path in built:
        _say(path)
    return built


def _package(directories: Sequence[str], dest: str) -> None:
    made: dict[str, str] = {}
    for directory in directories:
        for plugin_dir in _find(directory, PLUGIN_INFO):
            path = builder.package(plugin_dir, dest)
            other = made.setdefault(path, plugin_dir)
            if other != plugin_dir:
                raise InvalidDocument(f"{other} and {plugin_dir} both make {path}")
            _say(path)


def _index(repository: str, *, strict: bool) -> None:
    plugins = builder.index(repository, strict=strict)
    _say(f"{os.path.join(repository, builder.INDEX_FILE)}: {_count(len(plugins), 'plugin')}")


def _make(source: str, dest: str) -> None:
    repository = os.path.join(dest, "repository")
    _package(_build([source], os.path.join(dest, "plugins")), repository)
    _index(repository, strict=True)


@contextlib.contextmanager
def _built_plugins(directory: str) -> Iterator[list[str]]:
    """Give the plugins in a directory; those of a family are built elsewhere for the moment."""
    if not builder.is_family(directory):
        yield _find(directory, PLUGIN_INFO)
        return
    with tempfile.TemporaryDirectory(prefix="provd-plugin-") as scratch:
        yield builder.build(directory, scratch)


def _lint(directories: Sequence[str], quirk: Quirk | None) -> int:
    failed = 0
    for directory in directories:
        with _built_plugins(directory) as plugin_dirs:
            for plugin_dir in plugin_dirs:
                plugin_id = os.path.basename(os.path.realpath(plugin_dir))
                findings = lint(plugin_dir, quirk)
                for finding in findings:
                    _say(f"{plugin_id}: {finding}")
                errors = sum(finding.is_error for finding in findings)
                warnings = len(findings) - errors
                _say(f"{plugin_id}: {_count(errors, 'error')}, {_count(warnings, 'warning')}")
                failed += bool(errors)
    return 1 if failed else 0


def _read_object(path: str | None) -> dict[str, Any] | None:
    """Return the JSON object in a file."""
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            value = json.load(stream)
    except (ValueError, RecursionError) as error:
        raise InvalidDocument(f"{path}: not JSON in UTF-8: {error}") from error
    if not isinstance(value, dict):
        raise InvalidDocument(f"{path}: not a JSON object")
    return value


def _mac(text: str) -> str:
    """Return a MAC address as documents hold it, for the command line."""
    try:
        return norm_mac(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no MAC address") from None


def _try(options: argparse.Namespace, quirk: Quirk | None) -> None:
    rendered = render(
        options.directory,
        options.model,
        version=options.version,
        mac=options.mac,
        config=_read_object(options.config),
        settings=_read_object(options.settings),
        quirk=quirk,
    )
    files = {**rendered.common, **rendered.own} if options.common else rendered.own
    if options.output == "-":
        _show(files)
        return
    for name, content in files.items():
        path = resolve(options.output, name.split(os.sep))
        if path is None:
            raise InvalidDocument(f"the file {name} would be outside {options.output}")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(content)
        _say(path)


def _compare(options: argparse.Namespace, quirk: Quirk | None) -> int:
    reasons = read_reasons(options.reasons) if options.reasons else {}
    result = compare(options.left, options.right, quirk, options.models)
    result.explain(reasons)
    for line in lines_of(result):
        _say(line)
    if not result.models:
        _say("no model is known to both")
    return 1 if result.open() or not result.models else 0


def _show(files: Mapping[str, bytes]) -> None:
    out = sys.stdout.buffer
    for number, (name, content) in enumerate(files.items()):
        if len(files) > 1:
            out.write(b"\n" * bool(number) + f"==> {name} <==\n".encode())
        out.write(content)
    out.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="provd-plugin", description="Build, check, package and index plugins of provd."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("build", help="build plugins from their sources")
    command.add_argument(
        "sources",
        nargs="+",
        metavar="SRC",
        help=f"a family (a directory with a {FAMILY_FILE}), or a directory of families",
    )
    command.add_argument("--dest", default="build/plugins", help="default: %(default)s")

    command = commands.add_parser("package", help="pack built plugins into archives")
    command.add_argument(
        "directories",
        nargs="+",
        metavar="DIR",
        help=f"a plugin (a directory with a {PLUGIN_INFO}), or a directory of plugins",
    )
    command.add_argument("--dest", default="build/repository", help="default: %(default)s")

    command = commands.add_parser(
        "index", help=f"write the {builder.INDEX_FILE} of a directory of archives"
    )
    command.add_argument("repository", metavar="DIR")
    command.add_argument(
        "--strict", action="store_true", help="fail if an archive cannot be used, change nothing"
    )

    command = commands.add_parser("make", help="build, package and index in one go")
    command.add_argument("source", metavar="SRC", help="as for build")
    command.add_argument(
        "--dest",
        default="build",
        help="gets plugins/ and repository/; archives that are there stay (default: %(default)s)",
    )

    command = commands.add_parser("lint", help="check plugins, with every model they name")
    command.add_argument(
        "directories",
        nargs="+",
        metavar="DIR",
        help=f"a plugin, a directory of plugins, or a family with a {builder.BUILD_FILE}",
    )

    command = commands.add_parser("try", help="show the files that a plugin makes for a phone")
    command.add_argument("directory", metavar="DIR", help="a built plugin")
    command.add_argument("--model", required=True, help=f"such as in {PLUGIN_INFO}")
    command.add_argument("--version", help=f"of the firmware (default: that in {PLUGIN_INFO})")
    command.add_argument(
        "--mac", type=_mac, default="00:00:5e:00:53:01", help="default: %(default)s"
    )
    command.add_argument(
        "--config", metavar="FILE", help="JSON: a raw config (default: that of a new phone)"
    )
    command.add_argument(
        "--settings", metavar="FILE", help="JSON: what plugin_config holds for the plugin"
    )
    command.add_argument("--common", action="store_true", help="the files of all phones, too")
    command.add_argument(
        "--output", metavar="DIR", default="-", help="where files go; - is the standard output"
    )
    command = commands.add_parser(
        "compare", help="compare what plugins write for the same phones, setting by setting"
    )
    command.add_argument("left", metavar="A", help="a built plugin, or a directory of them")
    command.add_argument("right", metavar="B", help="the same; each model that both know counts")
    command.add_argument("--models", default="*", metavar="PATTERN", help="only these models")
    command.add_argument(
        "--reasons",
        metavar="FILE",
        help="TOML: [deliberate] patterns of keys (# for a number) and why they differ",
    )
    return parser


def main(argv: Sequence[str] | None = None, *, quirk: Quirk | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 1 failed, 2 wrong usage.

    `quirk` is what the daemon gives its plugin host for plugins of other origins.
    """
    options = _parser().parse_args(argv)
    logging.basicConfig(format="provd-plugin: %(message)s", level=logging.WARNING)
    try:
        match options.command:
            case "build":
                _build(options.sources, options.dest)
            case "package":
                _package(options.directories, options.dest)
            case "index":
                _index(options.repository, strict=options.strict)
            case "make":
                _make(options.source, options.dest)
            case "lint":
                return _lint(options.directories, quirk)
            case "try":
                _try(options, quirk)
            case "compare":
                return _compare(options, quirk)
    except (ProvdError, OSError) as exc:
        sys.stderr.write(f"provd-plugin: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
