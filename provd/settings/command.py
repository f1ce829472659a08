"""The command `python -m provd.settings`."""

from __future__ import annotations

import argparse
import sys

from provd.errors import SettingsError
from provd.settings.loading import load
from provd.settings.rawconfig import base_raw_config
from provd.settings.schema import PROVD, WAZO


def main(argv: list[str] | None = None) -> int:
    """Check the settings; the exit code is 1 if the daemon would not start."""
    parser = argparse.ArgumentParser(prog="python -m provd.settings", description=main.__doc__)
    parser.add_argument("--check", action="store_true", required=True)
    parser.add_argument("-f", "--config-file", metavar="FILE")
    parser.add_argument("--wazo", action="store_true", help="use the defaults of wazo-provd")
    arguments = parser.parse_args(argv)
    try:
        settings = load(
            {"config_file": arguments.config_file}, defaults=WAZO if arguments.wazo else PROVD
        )
        base_raw_config(settings)
    except SettingsError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    for warning in settings.warnings:
        sys.stdout.write(f"warning: {warning}\n")
    sys.stdout.write("OK\n")
    return 0
