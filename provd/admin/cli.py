"""The command line of `provd-admin`.

Exit status: 0 done, 1 there are problems, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.internet import defer, task

from provd.admin import checker, exporter, importer, owners, plugins, proposal, remote
from provd.admin.documents import every, merge, merge_parameters
from provd.admin.places import parse_place, place_of
from provd.admin.report import Report
from provd.errors import ProvdError, SettingsError
from provd.settings import PROVD, WAZO, Settings, load
from provd.store.interface import COLLECTIONS
from provd.store.sqlite import maintenance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provd.store.interface import Store


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("-f", "--config-file", metavar="FILE", help="the daemon's settings file")
    common.add_argument("--wazo", action="store_true", help="use the defaults of wazo-provd")
    common.add_argument("--state-dir", metavar="DIR", help="as the daemon's option")
    common.add_argument("--json", action="store_true", help="print the report as JSON")

    parser = argparse.ArgumentParser(prog="provd-admin", description="The state of a provd daemon.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def add(
        name: str, text: str, parent: argparse.ArgumentParser = common
    ) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=text, description=f"{text}.", parents=[parent])

    def add_writing(verb: argparse.ArgumentParser) -> None:
        verb.add_argument(
            "--apply", action="store_true", help="do it; without this, only tell what would be done"
        )
        verb.add_argument(
            "--replace", action="store_true", help="replace what is there and differs"
        )

    verb = add("import", "take over an installation of wazo-provd")
    verb.add_argument("--from", dest="source", metavar="DIR", help="such as /var/lib/wazo-provd")
    verb.add_argument("--settings-from", metavar="DIR", help="such as /etc/wazo-provd")
    verb.add_argument("--settings-to", metavar="DIR", help="default: where our settings file is")
    verb.add_argument("--tenant", metavar="UUID", help="the tenant of devices that have none")
    verb.add_argument(
        "--with-cache", action="store_true", help="copy firmware that was downloaded as well"
    )
    add_writing(verb)

    verb = add("export", "write all documents as wazo-provd keeps them")
    verb.add_argument("--to", dest="target", metavar="DIR", required=True)
    verb.add_argument("--replace", action="store_true", help="write over an export in DIR")

    verb = add("copy", "bring all documents of one store into another")
    verb.add_argument(
        "--from",
        dest="source",
        metavar="STORE",
        help="a file, or mongodb://[user:password@]host/name (default: that of the settings)",
    )
    verb.add_argument("--to", dest="target", metavar="STORE", required=True)
    add_writing(verb)

    verb = add("backup", "copy the database of a daemon that may be running")
    verb.add_argument("file", metavar="FILE")

    verb = add("restore", "put a backup in place of the database of a stopped daemon")
    verb.add_argument("file", metavar="FILE")

    verb = add("check", "examine the database")
    verb.add_argument(
        "--compact", action="store_true", help="make the file smaller; the daemon must be stopped"
    )
    verb.add_argument(
        "--quarantine",
        action="store_true",
        help="move records that cannot be used aside; the daemon must be stopped",
    )

    rest = argparse.ArgumentParser(add_help=False)
    rest.add_argument(
        "--rest", metavar="URL", required=True, help="of the daemon: http://127.0.0.1:8666"
    )
    rest.add_argument("--token-file", metavar="FILE", required=True, help="holds an access token")
    rest.add_argument("--json", action="store_true", help="print the report as JSON")

    verb = add("resync", "make many phones of a running daemon reload, at a pace", rest)
    verb.add_argument("--plugin", metavar="ID", help="of devices to choose")
    verb.add_argument("--model", metavar="MODEL", help="of devices to choose")
    verb.add_argument("--config", metavar="ID", help="of devices to choose, or above theirs")
    verb.add_argument("--tenant", metavar="UUID", help="of devices to choose")
    verb.add_argument(
        "--selector", metavar="JSON", type=_object, help="as q of a listing; {} for all devices"
    )
    verb.add_argument("--per-second", metavar="N", type=float, help="devices to tell (10)")
    verb.add_argument(
        "--max-failures", metavar="N", type=int, help="stop when more than so many failed (20)"
    )

    verb = add(
        "duplicates",
        "list or resolve MAC addresses, serial numbers and UUIDs of several devices",
        rest,
    )
    verb.add_argument("action", choices=("list", "resolve"))
    verb.add_argument(
        "--keep", metavar="ID", help="resolve: of the device that keeps what it shares with others"
    )
    verb.add_argument(
        "--delete", action="store_true", help="resolve: delete the others; else they only lose it"
    )

    verb = add("provision", "give a phone the config that has a code", rest)
    verb.add_argument("--code", required=True, help="or autoprov, to make it a new phone again")
    who = verb.add_mutually_exclusive_group(required=True)
    who.add_argument("--id", help="of its device")
    who.add_argument("--mac", help="of the phone")
    who.add_argument("--ip", help="of the phone")
    return parser


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"this is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("an object is needed")
    return value


def _settings(options: argparse.Namespace) -> Settings:
    return load(
        {"config_file": options.config_file, "state_dir": options.state_dir},
        defaults=WAZO if options.wazo else PROVD,
    )


async def _opened(store: Store) -> Store:
    try:
        await store.open()
    except BaseException:
        await store.close()
        raise
    return store


async def _import(reactor: Any, options: argparse.Namespace) -> Report:
    settings = _settings(options)
    report = Report(f"Import {'' if options.apply else 'that would be done '}into ", facts={})
    made: list[str] = []
    storage = settings.general.base_storage_dir
    if options.source is not None:
        importer.check_source(options.source)
        place = place_of(settings)
        report.title += str(place)
        if place.path is not None:
            made += [place.path, f"{place.path}.lock"]
        store = await _opened(place.store(reactor, read_only=not options.apply))
        try:
            await importer.import_documents(
                store,
                options.source,
                report,
                tenant=importer.main_tenant(settings, options.tenant),
                apply=options.apply,
                replace=options.replace,
            )
            made += plugins.import_plugins(
                os.path.join(options.source, "plugins"),
                settings.general.plugins_dir,
                report,
                apply=options.apply,
                replace=options.replace,
                with_cache=options.with_cache,
            )
        finally:
            await store.close()
            if options.apply:
                owners.give_to_owner(made, storage)
    if options.settings_from is not None:
        target = options.settings_to or os.path.dirname(settings.config_file)
        report.title += target if options.source is None else f" and {target}"
        owners.give_to_owner(
            proposal.import_settings(options.settings_from, target, report, apply=options.apply),
            target,
        )
    return report


async def _export(reactor: Any, options: argparse.Namespace) -> Report:
    place = place_of(_settings(options))
    if place.is_missing:
        raise SettingsError(f"{place}: there is no such file")
    report = Report(f"Export of {place} to {options.target}")
    store = await _opened(place.store(reactor, read_only=True))
    try:
        await exporter.export(store, options.target, report, replace=options.replace)
    finally:
        await store.close()
    return report


async def _copy(reactor: Any, options: argparse.Namespace) -> Report:
    source = parse_place(options.source) if options.source else place_of(_settings(options))
    target = parse_place(options.target)
    if source == target:
        raise SettingsError(f"{source}: source and target are the same")
    if source.is_missing:
        raise SettingsError(f"{source}: there is no such file")
    report = Report(f"Copy {'' if options.apply else 'that would be made '}of {source} to {target}")
    theirs = await _opened(source.store(reactor, read_only=True))
    try:
        ours = await _opened(target.store(reactor, read_only=not options.apply))
        try:
            await copy_store(theirs, ours, report, apply=options.apply, replace=options.replace)
        finally:
            await ours.close()
            if options.apply and target.path is not None:
                made = [target.path, f"{target.path}.lock"]
                owners.give_to_owner(made, os.path.dirname(target.path))
    finally:
        await theirs.close()
    return report


async def copy_store(
    source: Store, target: Store, report: Report, *, apply: bool, replace: bool
) -> None:
    """Bring all that is in `source` into `target`, or only tell."""
    for collection in reversed(COLLECTIONS):
        chunk: list[dict[str, Any]] = []
        tally = report.tally(collection)
        async for document in every(source, collection):
            chunk.append(document)
            if len(chunk) == 500:
                await merge(target, collection, chunk, tally, apply=apply, replace=replace)
                chunk = []
        await merge(target, collection, chunk, tally, apply=apply, replace=replace)
    await merge_parameters(
        target,
        await source.parameters(),
        report.tally("parameters"),
        apply=apply,
        replace=replace,
    )
    report.problems += [
        f"{name}: left out: it cannot be used" for name in getattr(source, "quarantined", ())
    ]


async def _backup(_reactor: Any, options: argparse.Namespace) -> Report:
    place = place_of(_settings(options))
    maintenance.back_up(place.file, options.file)
    size = os.path.getsize(options.file)
    return Report(f"{place} is copied to {options.file}, {size} bytes, and the copy is sound")


async def _restore(_reactor: Any, options: argparse.Namespace) -> Report:
    settings = _settings(options)
    place = place_of(settings)
    aside = maintenance.restore(options.file, place.file)
    owners.give_to_owner([place.file, f"{place.file}.lock"], settings.general.base_storage_dir)
    report = Report(f"{options.file} is in place as {place}")
    if aside is not None:
        report.facts["the database that was there"] = aside
    return report


async def _check(reactor: Any, options: argparse.Namespace) -> Report:
    settings = _settings(options)
    place = place_of(settings)
    if place.is_missing:
        raise SettingsError(f"{place}: there is no such file")
    report = Report(f"Check of {place}")
    if options.quarantine:
        moved = maintenance.put_into_quarantine(place.file)
        report.lists["moved into quarantine now"] = [f"{f.name}: {f.reason}" for f in moved]
    findings = checker.check_file(place, report)
    if findings is None or not findings.damage:
        store = await _opened(place.store(reactor, read_only=True))
        try:
            await checker.check_relations(
                store, report, set(plugins.installed(settings.general.plugins_dir))
            )
        finally:
            await store.close()
    if options.compact:
        if findings is not None and findings.damage:
            report.problem(place.file, "not compacted, as it is damaged")
        else:
            before, after = maintenance.compact(place.file)
            report.facts["compacted"] = f"from {before} to {after} bytes"
    if options.compact or options.quarantine:
        owners.give_to_owner([f"{place.file}.lock"], settings.general.base_storage_dir)
    return report


_VERBS = {
    "import": _import,
    "export": _export,
    "copy": _copy,
    "backup": _backup,
    "restore": _restore,
    "check": _check,
}


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line; ends the process with status 2 if it cannot be understood."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.verb == "import" and options.source is None and options.settings_from is None:
        parser.error("import needs --from, --settings-from or both")
    if options.verb == "duplicates" and (options.action == "resolve") != (options.keep is not None):
        parser.error("duplicates resolve needs --keep, which list does not take")
    if options.verb == "resync" and all(
        getattr(options, name) is None
        for name in ("plugin", "model", "config", "tenant", "selector")
    ):
        parser.error("resync needs --plugin, --model, --config, --tenant or --selector ({}: all)")
    return options


async def run(reactor: Any, options: argparse.Namespace) -> int:
    """Do what the command line says; return the exit status."""
    logging.basicConfig(format="provd-admin: %(message)s", level=logging.ERROR)
    try:
        report = await _VERBS[options.verb](reactor, options)
    except (ProvdError, OSError) as error:
        sys.stderr.write(f"provd-admin: {error}\n")
        return 1
    text = (
        json.dumps(report.as_json(), indent=2, ensure_ascii=False)
        if options.json
        else "\n".join(report.lines())
    )
    sys.stdout.write(f"{text}\n")
    return 1 if report.problems else 0


def main() -> NoReturn:
    """Run `provd-admin`; ends the process."""
    options = parse()
    if options.verb in remote.VERBS:
        sys.exit(remote.run(options))

    async def start(reactor: Any) -> None:
        status = await run(reactor, options)
        sys.stdout.flush()
        if status:
            raise SystemExit(status)

    task.react(lambda reactor: defer.Deferred.fromCoroutine(start(reactor)))
