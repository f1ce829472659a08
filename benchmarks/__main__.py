"""Measures the daemon on loopback and compares it with yardsticks measured in the same run.

    python -m benchmarks --devices 10000
    python -m benchmarks --only known-phones tftp-small --devices 10000 --plugins DIR

Load comes from other processes, so that on two cores the daemon has one for itself. Everything is
bounded and stops by itself. The table goes to standard output, the figures to
`build/benchmark.json`. docs/benchmarks.md tells what the rows mean.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import report
from benchmarks.daemon import ROOT, Bench
from benchmarks.scenarios import SCENARIOS


def chosen(only):
    """Return the scenarios of those names, all if there is none, in their order."""
    if not only:
        return SCENARIOS
    unknown = set(only) - {scenario.name for scenario in SCENARIOS}
    if unknown:
        raise SystemExit(f"no such scenario: {', '.join(sorted(unknown))} (see --list)")
    return [scenario for scenario in SCENARIOS if scenario.name in only]


def measure(scenarios, options, work):
    """Print rows as they come; return them, and what was left out."""
    rows, missing = [], []
    bench = Bench(work, options, missing)
    try:
        bench.start()
        print(
            f"{options.devices} devices, {bench.plugin_count()} plugins"
            f" ({bench.extra_plugins} of them added)\n",
            flush=True,
        )
        for scenario in scenarios:
            if scenario.needs_wrk and shutil.which("wrk") is None:
                bench.left_out(f"{scenario.name}: wrk is missing: apt-get install wrk")
                continue
            for row in scenario.run(bench, **scenario.budgets):
                rows.append(row)
                print("\n".join(row.lines()), flush=True)
    finally:
        bench.daemon.stop()
        if options.log is not None:
            shutil.copyfile(bench.daemon.log_path, options.log)
    return rows, missing


def parser():
    """Return the parser of the command line."""
    whole = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.split("\n")[0])
    whole.add_argument("--list", action="store_true", help="show the scenarios and end")
    whole.add_argument("--only", nargs="+", metavar="NAME", help="these scenarios alone")
    whole.add_argument("--devices", type=int, default=2000, help="devices already there (2000)")
    whole.add_argument("--plugins", type=Path, metavar="DIR", help="plugins to install as well")
    whole.add_argument(
        "--synthetic", type=int, default=100, help="plugins to make up, without --plugins (100)"
    )
    whole.add_argument("--seconds", type=int, default=4, help="of each HTTP measurement (4)")
    whole.add_argument("--rounds", type=int, default=3, help="of the HTTP comparison (3)")
    whole.add_argument("--transfers", type=int, default=8000, help="small TFTP transfers (8000)")
    whole.add_argument("--phones", type=int, default=500, help="phones that boot (500)")
    whole.add_argument("--created", type=int, default=1000, help="devices made over REST (1000)")
    whole.add_argument("--markdown", type=Path, metavar="FILE", help="write a table there, too")
    whole.add_argument("--log", type=Path, metavar="FILE", help="keep the daemon's log there")
    whole.add_argument(
        "--dir", help="where the daemon keeps its files; a real disk, as writes are synchronous"
    )
    return whole


def main(arguments=None):
    """Run it; return the exit status."""
    options = parser().parse_args(arguments)
    if options.list:
        for scenario in SCENARIOS:
            print(f"{scenario.name:14}{scenario.summary}")
        return 0
    scenarios = chosen(options.only)
    about = report.machine() | {
        "devices": options.devices,
        "plugins": str(options.plugins or f"{options.synthetic} made up"),
    }
    print("\n".join(f"{name}: {value}" for name, value in about.items()))
    with tempfile.TemporaryDirectory(prefix="provd-bench-", dir=options.dir) as work:
        rows, missing = measure(scenarios, options, Path(work))
    target = ROOT / "build/benchmark.json"
    report.write(target, about, rows, missing)
    print(f"\nwritten to {target.relative_to(ROOT)}")
    if options.markdown is not None:
        options.markdown.write_text("\n".join(report.markdown(rows)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
