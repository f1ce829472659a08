"""The command `provd-phone`: one simulated phone, or a fleet of them.

Exit status: 0 when every boot succeeded, 1 when one failed, 2 when the command line is wrong, 130
when the user stopped it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import itertools
import json
import random
import resource
import sys
from typing import TYPE_CHECKING, TypeVar

import attrs

from provd.errors import InvalidParameter
from provd.simphone.boot import boot
from provd.simphone.fleet import Tally, run
from provd.simphone.models import VENDORS, find_model, find_vendor, models_of
from provd.simphone.phone import (
    DEFAULT_PORTS,
    MacPool,
    Phone,
    Target,
    consecutive_macs,
    fleet_address,
    parse_mac,
)
from provd.simphone.progress import show_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from provd.simphone.boot import BootReport, StepReport
    from provd.simphone.fleet import Summary
    from provd.simphone.models import Model, Protocol, Step, Vendor

T = TypeVar("T")

MAX_COUNT = 1_000_000
MAX_CONCURRENCY = 10_000
MAX_WEIGHT = 100_000
AUTO = "auto"

_TFTP_OPTIONS = {"blksize": (8, 65464), "timeout": (1, 255), "tsize": (0, 0)}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        status: int = args.command(args)
    except InvalidParameter as exc:
        print(f"{parser.prog}: error: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output went away; nothing is left to tell it.
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="provd-phone", description="Play the boot of a phone against a provisioning server."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="show the vendors and models that can be played")
    listing.add_argument("vendor", nargs="?", help="show this vendor's firmware and files")
    listing.set_defaults(command=_list)

    booting = commands.add_parser("boot", help="boot one phone, or a fleet")
    booting.set_defaults(command=_boot)
    what = booting.add_argument_group("which phone")
    what.add_argument("--vendor", help="such as yealink")
    what.add_argument("--model", help="such as T46S")
    what.add_argument("--version", help="firmware version (default: the newest known)")
    what.add_argument(
        "--mac", type=_argument(parse_mac), help="MAC (default: random in the vendor's range)"
    )
    what.add_argument("--seed", type=int, help="make random MACs and order the same each time")

    where = booting.add_argument_group("which server (default: both protocols on 127.0.0.1)")
    where.add_argument("--http", metavar="URL", help="such as http://127.0.0.1:8667")
    where.add_argument("--tftp", metavar="HOST[:PORT]", help="such as 127.0.0.1:69")
    where.add_argument("--key", type=_argument(_header_value), help="provisioning key")
    where.add_argument(
        "--insecure", action="store_true", help="accept any certificate of an https server"
    )
    where.add_argument("--source-ip", type=_argument(_address), help="address to ask from")
    where.add_argument(
        "--forwarded-for",
        metavar="IP|auto",
        type=_argument(_header_value),
        help="add X-Forwarded-For, as a front proxy does; auto: an address for each phone",
    )
    where.add_argument(
        "--tftp-option",
        metavar="NAME=VALUE",
        type=_argument(_tftp_option),
        action="append",
        default=[],
        help="ask for blksize, timeout or tsize (may be repeated)",
    )
    where.add_argument(
        "--timeout", type=_argument(_seconds), default=10.0, help="seconds for each file (10)"
    )
    where.add_argument("--save", metavar="DIR", help="keep the files: DIR/<mac>/<file>")

    fleet = booting.add_argument_group("how many")
    fleet.add_argument("--count", type=_argument(_whole(1, MAX_COUNT)), help="number of phones")
    fleet.add_argument(
        "--rate", type=_argument(_rate), help="phones that begin each second (default: no limit)"
    )
    fleet.add_argument(
        "--concurrency",
        type=_argument(_whole(1, MAX_CONCURRENCY)),
        default=100,
        help="phones that may boot at one time (100)",
    )
    fleet.add_argument(
        "--mix",
        help="models and their weights, as yealink:T46S=3,yealink:T31G=1; a vendor alone stands "
        "for all its models, `all` for everything",
    )
    booting.add_argument("--json", action="store_true", help="one JSON object for each boot")
    return parser


def _argument(parse: Callable[[str], T]) -> Callable[[str], T]:
    def parse_argument(text: str) -> T:
        try:
            return parse(text)
        except (InvalidParameter, ValueError) as exc:
            raise argparse.ArgumentTypeError(str(exc)) from exc

    return parse_argument


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _header_value(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable():
        raise InvalidParameter("it must be printable ASCII text")
    return text


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise InvalidParameter("it must be more than 0 and at most 3600 seconds")
    return value


def _rate(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1_000_000:
        raise InvalidParameter("it must be more than 0 and at most a million a second")
    return value


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise InvalidParameter(f"it must be {least} to {most}")
        return value

    return parse


def _tftp_option(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    if name not in _TFTP_OPTIONS:
        raise InvalidParameter(f"it must be one of {', '.join(_TFTP_OPTIONS)}")
    return name, _whole(*_TFTP_OPTIONS[name])(value or "0")


def _list(args: argparse.Namespace) -> int:
    if args.vendor is None:
        for vendor in VENDORS:
            print(f"{vendor.key}: {', '.join(sorted(model.name for model in models_of(vendor)))}")
    else:
        _list_vendor(find_vendor(args.vendor))
    return 0


def _list_vendor(vendor: Vendor) -> None:
    print(f"{vendor.name} (* = a required file)")
    for series in vendor.series:
        print()
        for name, versions in series.models.items():
            print(f"  {name}: {' '.join(versions)}")
        print(f"    over {' or '.join(series.protocols)}, as {series.user_agent or 'nobody'}")
        for step in series.steps:
            print(f"    {'*' if step.required else ' '} {step.file}{_generations(step)}")


def _generations(step: Step) -> str:
    if step.since:
        return f" (since {step.since})"
    return f" (before {step.before})" if step.before else ""


def _boot(args: argparse.Namespace) -> int:
    rng = random.Random(args.seed)  # noqa: S311 - nothing secret comes from it
    choices = _choices(args, _targets(args), rng)
    count = args.count or len(choices)
    phones = _phones(args, choices, count, rng)
    if count == 1:
        return _boot_one(*next(phones), as_json=args.json)
    _allow_open_files(args.concurrency)
    return _boot_fleet(args, phones, count)


def _targets(args: argparse.Namespace) -> dict[Protocol, Target]:
    """Return the server of each protocol that may be used."""
    urls: dict[Protocol, str] = {}
    if args.http is not None:
        urls["http"] = args.http if "://" in args.http else f"http://{args.http}"
    if args.tftp is not None:
        urls["tftp"] = f"tftp://{args.tftp.removeprefix('tftp://')}"
    if not urls:
        urls = {name: f"{name}://127.0.0.1:{port}" for name, port in DEFAULT_PORTS.items()}
    targets = {
        name: attrs.evolve(
            Target.from_url(url, verify=not args.insecure),
            key=(args.key or "") if name == "http" else "",
            timeout=args.timeout,
            tftp_options=dict(args.tftp_option),
            save=args.save,
        )
        for name, url in urls.items()
    }
    for name, target in targets.items():
        if target.protocol != name:
            raise InvalidParameter(f"{target} is not for --{name}")
    for option, value in (("--key", args.key), ("--forwarded-for", args.forwarded_for)):
        if value is not None and "http" not in targets:
            raise InvalidParameter(f"{option} needs --http")
    return targets


def _choices(
    args: argparse.Namespace, targets: dict[Protocol, Target], rng: random.Random
) -> list[tuple[Model, Target]]:
    """Return the models to take in turn, each as often as it weighs, with their servers."""
    if args.mix is None:
        if args.vendor is None or args.model is None:
            raise InvalidParameter("say which phone: --vendor and --model, or --mix")
        return [_with_target(find_model(args.vendor, args.model), targets)]
    for option in ("vendor", "model", "version"):
        if getattr(args, option) is not None:
            raise InvalidParameter(f"--{option} and --mix exclude each other")
    choices: list[tuple[Model, Target]] = []
    for item in args.mix.split(","):
        name, equals, weight = item.strip().partition("=")
        repeats = _weight(weight) if equals else 1
        vendor, colon, model = name.partition(":")
        if colon:
            choices += [_with_target(find_model(vendor, model), targets)] * repeats
            continue
        vendors = VENDORS if name.strip().casefold() == "all" else (find_vendor(name),)
        for candidate in itertools.chain.from_iterable(map(models_of, vendors)):
            # A whole vendor means those of its models that can ask one of these servers.
            target = _target_of(candidate, targets)
            if target is not None:
                choices += [(candidate, target)] * repeats
    if not choices:
        raise InvalidParameter(f"no model of {args.mix} speaks {' or '.join(targets)}")
    if len(choices) > MAX_COUNT:
        raise InvalidParameter(f"the weights of {args.mix} are too large")
    rng.shuffle(choices)
    return choices


def _weight(text: str) -> int:
    try:
        return _whole(1, MAX_WEIGHT)(text)
    except ValueError as exc:
        raise InvalidParameter(f"{text!r} is not a weight") from exc
    except InvalidParameter as exc:
        raise InvalidParameter(f"weight {text}: {exc}") from exc


def _target_of(model: Model, targets: dict[Protocol, Target]) -> Target | None:
    for protocol in model.series.protocols:
        if protocol in targets:
            return targets[protocol]
    return None


def _with_target(model: Model, targets: dict[Protocol, Target]) -> tuple[Model, Target]:
    target = _target_of(model, targets)
    if target is None:
        only = " or ".join(f"--{protocol}" for protocol in model.series.protocols)
        raise InvalidParameter(f"{model.vendor.name} {model.name} needs {only}")
    return model, target


def _phones(
    args: argparse.Namespace,
    choices: list[tuple[Model, Target]],
    count: int,
    rng: random.Random,
) -> Iterator[tuple[Phone, Target]]:
    if args.version is not None:
        _header_value(args.version)
    if args.mac is not None and int(args.mac.replace(":", ""), 16) + count > 1 << 48:
        raise InvalidParameter(f"there are not {count} MAC addresses from {args.mac} on")
    return itertools.islice(_endless_phones(args, choices, count, rng), count)


def _endless_phones(
    args: argparse.Namespace,
    choices: list[tuple[Model, Target]],
    count: int,
    rng: random.Random,
) -> Iterator[tuple[Phone, Target]]:
    pool = MacPool(rng)
    following = None if args.mac is None else consecutive_macs(args.mac)
    for index, (model, target) in enumerate(itertools.cycle(choices)):
        source_ip = args.source_ip
        forwarded_for = args.forwarded_for if target.protocol == "http" else None
        if forwarded_for == AUTO:
            forwarded_for = fleet_address(10, index)
        elif source_ip is None and forwarded_for is None and count > 1 and target.is_loopback:
            source_ip = fleet_address(127, index)
        yield (
            Phone(
                model=model,
                mac=pool.take(model.series.ouis) if following is None else next(following),
                version=args.version or "",
                source_ip=source_ip,
                forwarded_for=forwarded_for,
            ),
            target,
        )


def _allow_open_files(concurrency: int) -> None:
    """Raise our limit of open files, as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # A connection and a saved file for each phone, and a few of our own.
    wanted = 2 * concurrency + 64
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def _boot_one(phone: Phone, target: Target, *, as_json: bool) -> int:
    if not as_json:
        print(_title(phone, target))
    report = asyncio.run(boot(phone, target, on_step=None if as_json else _print_step))
    if as_json:
        print(json.dumps(report.as_json()))
    else:
        print(_verdict(report))
    return 0 if report.failure is None else 1


def _title(phone: Phone, target: Target) -> str:
    origin = f" from {phone.source_ip}" if phone.source_ip else ""
    origin += f" for {phone.forwarded_for}" if phone.forwarded_for else ""
    name = f"{phone.model.vendor.name} {phone.model.name} {phone.firmware}"
    return f"{name}, {phone.mac}{origin}, boots at {target}"


def _print_step(step: StepReport) -> None:
    mark = "*" if step.is_required else " "
    note = "" if step.problem in {None, step.outcome} else f"  {step.problem}"
    detail = f"  {step.detail}" if step.detail else ""
    print(
        f"{mark} {step.path:<40} {step.outcome:<20} {step.size:>9} B {step.seconds * 1000:>9.1f} ms"
        f"{note}{detail}",
        flush=True,
    )


def _verdict(report: BootReport) -> str:
    size = sum(step.size for step in report.steps)
    figures = f"{len(report.steps)} requests, {size} B, {report.seconds * 1000:.1f} ms"
    if report.failure is None:
        return f"boot ok: {figures}"
    return f"boot FAILED: {report.failure} ({figures})"


def _boot_fleet(
    args: argparse.Namespace, phones: Iterator[tuple[Phone, Target]], count: int
) -> int:
    tally = Tally()

    async def boot_all() -> None:
        progress = asyncio.create_task(show_progress(tally, count, sys.stderr))
        try:
            await run(
                phones,
                rate=args.rate,
                concurrency=min(args.concurrency, count),
                tally=tally,
                on_report=_print_json if args.json else None,
            )
        finally:
            progress.cancel()
            await asyncio.wait([progress])

    interrupted = False
    try:
        asyncio.run(boot_all())
    except KeyboardInterrupt:
        interrupted = True
    summary = tally.summary()
    if args.json:
        print(json.dumps({"summary": summary.as_json()}))
    else:
        print("\n".join(summary_lines(summary)))
    if interrupted:
        return 130
    return 1 if summary.failed else 0


def _print_json(report: BootReport) -> None:
    print(json.dumps(report.as_json()))


def summary_lines(summary: Summary) -> list[str]:
    """Return the figures of a fleet as text."""
    figures = [
        ("phones", f"{summary.phones}, {summary.failed} failed"),
        ("requests", f"{summary.requests}, {summary.bytes / 1e6:.1f} MB"),
        ("time", f"{summary.seconds:.2f} s"),
        ("rate", f"{summary.phones_per_second:.1f} phones/s"),
        ("", f"{summary.requests_per_second:.1f} requests/s"),
        ("boot", f"median {_ms(summary.boot_median)}, p99 {_ms(summary.boot_p99)}"),
        ("request", f"median {_ms(summary.request_median)}, p99 {_ms(summary.request_p99)}"),
    ]
    if summary.late:
        figures.append(("late", f"{summary.late} phones waited for others; see --concurrency"))
    for label, counts in (("outcomes", summary.outcomes), ("failures", summary.failures)):
        for number, (reason, count) in enumerate(counts.items()):
            figures.append(("" if number else label, f"{count:>8}  {reason}"))
    return [f"{label:<10}{text}" for label, text in figures]


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f} ms"
