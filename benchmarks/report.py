"""What was measured: rows with their yardsticks and budgets, as a table and as JSON."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import attrs


@attrs.frozen
class Budget:
    """What a row must reach: `least` or `most`, of its value or of its ratio to a yardstick."""

    least: float | None = None
    most: float | None = None
    of: str | None = None
    """Name of the yardstick; None for the value itself."""

    def is_met(self, row):
        """Return whether the row keeps it; None where the yardstick is missing."""
        figure = row.value if self.of is None else row.ratio(self.of)
        if figure is None:
            return None
        return (self.least is None or figure >= self.least) and (
            self.most is None or figure <= self.most
        )

    def __str__(self):
        limit = f"≥ {self.least:g}" if self.most is None else f"≤ {self.most:g}"
        return f"{limit} of {self.of}" if self.of else limit


@attrs.frozen
class Yardstick:
    """The same work, done by something else in the same run."""

    name: str
    value: float
    cpu_us: float | None = None


@attrs.frozen
class Row:
    """One figure; `cpu_us` is the processor time of the server for one request, in microseconds."""

    scenario: str
    what: str
    value: float
    unit: str
    cpu_us: float | None = None
    yardsticks: tuple[Yardstick, ...] = ()
    budget: Budget | None = None
    note: str = ""

    def ratio(self, name):
        """Return how this compares with a yardstick, above 1 if it is larger."""
        for yardstick in self.yardsticks:
            if yardstick.name == name and yardstick.value:
                return self.value / yardstick.value
        return None

    def cpu_ratio(self, name):
        """Return how many times the yardstick's processor time one request costs here."""
        for yardstick in self.yardsticks:
            if yardstick.name == name and yardstick.cpu_us and self.cpu_us:
                return self.cpu_us / yardstick.cpu_us
        return None

    def as_document(self):
        """Return the row as JSON holds it."""
        yardsticks = [
            {
                **attrs.asdict(yardstick),
                "ratio": self.ratio(yardstick.name),
                "cpu_ratio": self.cpu_ratio(yardstick.name),
            }
            for yardstick in self.yardsticks
        ]
        budget = None
        if self.budget is not None:
            budget = {"text": str(self.budget), "met": self.budget.is_met(self)}
        return {**attrs.asdict(self, recurse=False), "yardsticks": yardsticks, "budget": budget}

    def lines(self):
        """Yield the row as text: the figure, then one line for each yardstick."""
        text = f"{self.what:48} {figure(self.value):>9} {self.unit:12}"
        if self.cpu_us is not None:
            text += f" {figure(self.cpu_us)} µs CPU"
        if self.budget is not None:
            text += f"  [{self.budget}: {VERDICTS[self.budget.is_met(self)]}]"
        if self.note:
            text += f"  ({self.note})"
        yield text.rstrip()
        for yardstick in self.yardsticks:
            ratio, cpu_ratio = self.ratio(yardstick.name), self.cpu_ratio(yardstick.name)
            text = f"    {yardstick.name:44} {figure(yardstick.value):>9} {self.unit:12}"
            if ratio is not None:
                text += f" ratio {ratio:.2f}"
            if cpu_ratio is not None:
                text += f", {figure(yardstick.cpu_us)} µs CPU, ratio {cpu_ratio:.2f}"
            yield text.rstrip()


VERDICTS = {True: "met", False: "MISSED", None: "no yardstick"}


def figure(value):
    """Return a number with three digits or more that mean something."""
    if value == int(value) or value >= 1000:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 100 else f"{value:.3g}"


def markdown(rows):
    """Yield the lines of a table for docs/benchmarks.md."""
    yield "| Work | Measured | Yardsticks (ratio; ratio of CPU) | Budget |"
    yield "|---|---|---|---|"
    for row in rows:
        measured = f"{figure(row.value)} {row.unit}".rstrip()
        if row.cpu_us is not None:
            measured += f", {figure(row.cpu_us)} µs CPU"
        if row.note:
            measured += f"; {row.note}"
        cells = []
        for yardstick in row.yardsticks:
            ratio, cpu_ratio = row.ratio(yardstick.name), row.cpu_ratio(yardstick.name)
            ratios = "" if ratio is None else f" ({ratio:.2f}"
            if cpu_ratio is not None:
                ratios += f"; {cpu_ratio:.2f}"
            cells.append(f"{yardstick.name} {figure(yardstick.value)}{ratios and ratios + ')'}")
        budget = ""
        if row.budget is not None:
            budget = f"{row.budget}: {VERDICTS[row.budget.is_met(row)]}"
        yield f"| {row.what} | {measured} | {'<br>'.join(cells)} | {budget} |"


def machine():
    """Return what the figures depend on: hardware and versions."""
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory[1]) / 1024**2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "twisted": version("twisted"),
        **_debian("wrk", "tftpd-hpa", "dnsmasq-base"),
    }


def _debian(*packages):
    """Return the versions of those packages that are installed, by name."""
    command = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status} ${Version}\n", *packages]
    try:
        text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return {}
    found = [line.split() for line in text.splitlines()]
    return {fields[0]: fields[2] for fields in found if fields[1:2] == ["installed"]}


def write(path, about, rows, missing):
    """Write everything as JSON; `missing` names what was left out and why."""
    path.parent.mkdir(exist_ok=True)
    document = {
        "machine": about,
        "left_out": missing,
        "rows": [row.as_document() for row in rows],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
