"""Run `python -m provd.admin` as `provd-admin`."""

from provd.admin.cli import main

main()
