"""Writes docs/phones/index.md from the `family.toml` of all our families."""

from __future__ import annotations

import glob
import os
import sys

from provd.plugin.phones.family import FAMILY_FILE, Family, Model, read_family
from provd.simphone.models import VENDORS

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir)
INTRODUCTION = """\
# Phones

<!-- Written by `make phones` from plugins/*/family.toml: edit those. -->

{models} models of {families} families. Each family has a plugin of its own, which `make run`
installs, and a page that says what is configured, how a phone is reset and pointed at provd, and
what is peculiar. A model that is not here is served like the nearest one of its vendor.

Firmware is the newest that the plugin was made for; files follow what the phone really runs. "Keys"
are function keys of the phone itself; of modules, the table has how many may be added and the keys
of each.
"""


def families() -> dict[str, Family]:
    """Return directory → family of all our families, by vendor."""
    paths = glob.glob(os.path.join(ROOT, "plugins", "*", FAMILY_FILE))
    found = {os.path.basename(os.path.dirname(path)): read_family(path) for path in paths}
    return dict(sorted(found.items(), key=lambda item: (item[1].vendor.lower(), item[0])))


def protocols() -> dict[tuple[str, str], str]:
    """Return (vendor, model) → how it fetches files, its usual way first."""
    return {
        (vendor.name, model): ", ".join(protocol.upper() for protocol in series.protocols)
        for vendor in VENDORS
        for series in vendor.series
        for model in series.models
    }


def row(vendor: str, model: Model, transfer: str) -> str:
    """Return the table row of a model."""
    modules = f"{model.modules} of {model.module_keys}" if model.modules else ""
    firmware = model.firmware[-1] if model.firmware else ""
    cells = (
        vendor,
        model.name,
        model.type,
        firmware,
        model.lines,
        model.keys or "",
        modules,
        model.protocol.upper(),
        transfer,
    )
    return f"| {' | '.join(map(str, cells))} |"


def page() -> str:
    """Return the page."""
    known = families()
    transfers = protocols()
    count = sum(len(family.models) for family in known.values())
    lines = [INTRODUCTION.format(models=count, families=len(known))]
    lines += ["| Family | Plugin | Models | What it is |", "|---|---|---|---|"]
    for name, family in known.items():
        title = f"[{family.vendor}]({name}.md)" if os.path.exists(_page(name)) else family.vendor
        lines.append(f"| {title} | `{family.id}` | {len(family.models)} | {family.description} |")
    lines += ["", "## All models", ""]
    lines += ["| Vendor | Model | Type | Firmware | Lines | Keys | Modules | Protocol | Files by |"]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for family in known.values():
        for model in family.models.values():
            vendor = family.vendor_of(model)
            lines.append(row(vendor, model, transfers.get((vendor, model.name), "")))
    pages = "\n".join(name for name in known if os.path.exists(_page(name)))
    lines += ["", "```{toctree}", ":hidden:", "", pages, "```", ""]
    return "\n".join(lines)


def _page(name: str) -> str:
    return os.path.join(ROOT, "docs", "phones", f"{name}.md")


if __name__ == "__main__":
    sys.stdout.write(page())
