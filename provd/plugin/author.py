"""`provd-plugin`: the tool of plugin authors, from sources to a repository."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import TYPE_CHECKING

from provd.errors import InvalidDocument, ProvdError
from provd.plugin import builder
from provd.plugin.archive import PLUGIN_INFO

if TYPE_CHECKING:
    from collections.abc import Sequence


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _find(directory: str, marker: str) -> list[str]:
    """Return `directory` if it holds a file `marker`, else those directly below it that do."""
    if os.path.isfile(os.path.join(directory, marker)):
        return [directory]
    with os.scandir(directory) as entries:
        found = sorted(
            entry.path
            for entry in entries
            if not entry.name.startswith(".") and os.path.isfile(os.path.join(entry.path, marker))
        )
    if not found:
        raise InvalidDocument(f"there is no {marker} in {directory}, nor one level below")
    return found


def _build(sources: Sequence[str], dest: str) -> list[str]:
    families = [family for source in sources for family in _find(source, builder.BUILD_FILE)]
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
    noun = "plugin" if len(plugins) == 1 else "plugins"
    _say(f"{os.path.join(repository, builder.INDEX_FILE)}: {len(plugins)} {noun}")


def _make(source: str, dest: str) -> None:
    repository = os.path.join(dest, "repository")
    _package(_build([source], os.path.join(dest, "plugins")), repository)
    _index(repository, strict=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="provd-plugin", description="Build, package and index plugins of provd."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    command = commands.add_parser("build", help="build plugins from their sources")
    command.add_argument(
        "sources",
        nargs="+",
        metavar="SRC",
        help=f"a family (a directory with a {builder.BUILD_FILE}), or a directory of families",
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
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 1 failed, 2 wrong usage."""
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
    except (ProvdError, OSError) as exc:
        sys.stderr.write(f"provd-plugin: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
