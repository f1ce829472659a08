"""The command `provd-dhcp`: what DHCP servers need to know of phones, and of the daemon.

Exit status: 0 when it is done, 1 when it failed, 2 when the command line is wrong.
"""

from __future__ import annotations

import argparse
import logging
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from provd.dhcp import hook, update
from provd.dhcp.generate import Network, Site, generate, kea_vendor_classes
from provd.dhcp.rules import available, every_rule, installed, rules_of
from provd.errors import InvalidParameter, ProvdError, SettingsError
from provd.settings import load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from provd.dhcp.rules import Rule
    from provd.settings import Settings

SERVERS = ("dhcpd", "kea", "dnsmasq")
LEASE_SECONDS = 86400


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    logging.basicConfig(format="provd-dhcp: %(message)s", level=logging.WARNING)
    args = _parser().parse_args(argv)
    try:
        status: int = args.run(args)
    except InvalidParameter as error:
        sys.stderr.write(f"provd-dhcp: {error}\n")
        return 2
    except (ProvdError, OSError) as error:
        sys.stderr.write(f"provd-dhcp: {error}\n")
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="provd-dhcp", description="provd and DHCP servers.")
    verbs = parser.add_subparsers(dest="verb", required=True)

    phones = argparse.ArgumentParser(add_help=False)
    phones.add_argument(
        "--phones",
        choices=("installed", "available", "all"),
        default="installed",
        help="of the plugins that are installed (default), of all that the repository offers, or "
        "all that are known",
    )
    phones.add_argument("--config-file", metavar="FILE", help="the daemon's settings")
    phones.add_argument("--plugins-dir", metavar="DIR", help="(default: that of the settings)")
    phones.add_argument(
        "--lease-time", type=_lease_time, default=LEASE_SECONDS, metavar="SECONDS", help="(86400)"
    )

    config = verbs.add_parser(
        "config", parents=[phones], help="print configuration of a DHCP server"
    )
    config.set_defaults(run=_config)
    config.add_argument("--server", choices=SERVERS, required=True)
    config.add_argument(
        "--base-url", metavar="URL", help="where phones find provd (default: that of the settings)"
    )
    config.add_argument("--tftp", metavar="ADDRESS", required=True, help="the TFTP server")
    config.add_argument("--subnet", metavar="CIDR", help="such as 10.0.0.0/24 (default: none)")
    config.add_argument("--range", metavar="A-B", help="addresses to lease: 10.0.0.10-10.0.0.99")
    config.add_argument("--router", metavar="ADDRESS")
    config.add_argument("--dns", metavar="ADDRESS", help="the DNS server")
    config.add_argument("--hook", metavar="PATH", help="the program to tell of leases")
    config.add_argument("--socket", metavar="PATH", help="the socket of the hook (dhcpd only)")
    config.add_argument("--kea-hooks", metavar="DIR", help="where Kea's hook libraries are")

    making = verbs.add_parser("hook", parents=[phones], help="print the hook program")
    making.set_defaults(run=_hook)
    making.add_argument("--server", choices=SERVERS, required=True)
    making.add_argument("--socket", metavar="PATH", help="(default: dhcp.socket of the settings)")
    making.add_argument("--python", metavar="PATH", default="/usr/bin/python3")

    updating = verbs.add_parser("update", help="do what dhcpd-update does")
    updating.set_defaults(run=_update)
    updating.add_argument("-n", "--newempty", action="store_true", help="make an empty class file")
    updating.add_argument("-d", "--download", action="store_true", help="fetch the class files")
    updating.add_argument("-r", "--regenerate", action="store_true", help="join the subnet file")
    updating.add_argument(
        "-i", "--ignoremissing", action="store_true", help="the middle part may be missing"
    )
    updating.add_argument("-F", "--configfile", metavar="FILE", default=update.CONFIG_FILE)
    return parser


def _lease_time(text: str) -> int:
    seconds = int(text)
    if not 60 <= seconds <= 0x7FFFFFFF:
        raise argparse.ArgumentTypeError("it must be 60 seconds or more")
    return seconds


def _settings(args: argparse.Namespace) -> Settings:
    given = {} if args.config_file is None else {"config_file": args.config_file}
    return load(given)


def _rules(args: argparse.Namespace) -> list[Rule]:
    if args.phones == "all":
        return every_rule()
    directory = args.plugins_dir or _settings(args).general.plugins_dir
    try:
        plugins = installed(directory)
    except FileNotFoundError as error:
        raise SettingsError(
            f"plugins directory {directory}: No such file or directory; name it by "
            "--plugins-dir or the settings by --config-file, or take --phones all"
        ) from error
    if args.phones == "available":
        plugins = available(directory) | plugins
    rules = rules_of(plugins)
    if not rules:
        raise InvalidParameter(f"no plugin in {directory} tells of phones; see --phones")
    return rules


def _config(args: argparse.Namespace) -> int:
    network = None
    if args.subnet or args.range or args.router:
        if not (args.subnet and args.range):
            raise InvalidParameter("--subnet and --range belong together")
        network = Network.parse(args.subnet, args.range, args.router)
    base_url = args.base_url or _settings(args).general.advertised_http_url
    if base_url is None:
        raise InvalidParameter("--base-url is needed, as the settings do not tell it")
    site = Site(
        base_url,
        args.tftp,
        dns=args.dns,
        network=network,
        lease_seconds=args.lease_time,
        hook=args.hook,
        socket=args.socket,
    )
    if args.kea_hooks is not None:
        site = attrs.evolve(site, kea_hooks_dir=args.kea_hooks)
    sys.stdout.write(generate(args.server, _rules(args), site))
    return 0


def _hook(args: argparse.Namespace) -> int:
    path = args.socket or _settings(args).dhcp.socket
    if path is None:
        raise InvalidParameter(
            "--socket is needed, as the settings have no dhcp.socket; --config-file names others"
        )
    rules = _rules(args) if args.server == "kea" else []
    classes = {
        seconds: text for seconds, (_, text) in kea_vendor_classes(rules, args.lease_time).items()
    }
    sys.stdout.write(hook_program(path, args.python, classes))
    return 0


def hook_program(socket: str, python: str, kea_classes: dict[int, str]) -> str:
    """Return the hook as a program of one file, which needs nothing but `python`."""
    program = Path(hook.__file__).read_text(encoding="utf-8")
    table = "".join(f"    {seconds}: {text!r},\n" for seconds, text in kea_classes.items())
    for pattern, line in (
        (r"^#!.*$", f"#!{python} -IS"),
        (r"^SOCKET = .*$", f"SOCKET = {socket!r}"),
        (
            r"^KEA_VENDOR_CLASSES: .*$",
            f"KEA_VENDOR_CLASSES: dict[int, str] = {{\n{table}}}" if table else "",
        ),
    ):
        if line:
            program = re.sub(
                pattern, line.replace("\\", r"\\"), program, count=1, flags=re.MULTILINE
            )
    return program


def _update(args: argparse.Namespace) -> int:
    asked = update.read_update(args.configfile)
    asked = attrs.evolve(
        asked,
        new_empty=asked.new_empty or args.newempty,
        download=asked.download or args.download,
        regenerate=asked.regenerate or args.regenerate,
        ignore_missing=asked.ignore_missing or args.ignoremissing,
    )
    if not asked.has_action:
        raise InvalidParameter("nothing to do; ask for -n, -d or -r")
    update.run(asked)
    return 0
