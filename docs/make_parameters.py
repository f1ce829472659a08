"""Writes docs/parameters.md from the table in provd/model/parameters.py.

Reads which families use a parameter from standard input, as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from provd.model.parameters import CALL_MANAGER, EXTENSIONS, FUNCKEY, LINE, RAW_CONFIG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

INTRODUCTION = """\
# Parameters of phones

<!-- Written by `make parameters` from provd/model/parameters.py: edit the table there. -->

What a config's `raw_config` may hold. A config inherits what it does not say from its parents, and
all of them from `general.base_raw_config_file`. So put `sip_proxy_ip`, the time zone and the like
into one config and name it in `parent_ids` of the users' configs: a change of it reaches all of
them; see [REST](rest.md#configs).

Ports and other numbers may be given as text. For a boolean, `0`, `1` and words such as `yes` and
`no` will do. "Used by" names the plugin families that come with provd; those of others may use
more. A name that is not here is refused at the top, unless it starts with `X_`. In a line, a key
or a call manager it is kept, and named in [`warnings`](rest.md#warnings).
"""
SECTIONS = (
    ("All phones", "", "", RAW_CONFIG),
    (
        "SIP lines",
        'Members of `sip_lines`, each under its number: `"1"`, `"2"`.',
        "sip_lines.",
        LINE,
    ),
    ("Function keys", "Members of `funckeys`, each under its number.", "funckeys.", FUNCKEY),
    (
        "Call managers",
        "Members of `sccp_call_managers`, each under its priority.",
        "sccp_call_managers.",
        CALL_MANAGER,
    ),
    (
        "Custom parameters",
        "Any name that starts with `X_` is kept and given to the plugin. These are known:",
        "",
        EXTENSIONS,
    ),
)


def _users(name: str, used_by: Mapping[str, Sequence[str]]) -> str:
    """Return the families that use a parameter; where most do, those that do not."""
    users = used_by.get(name, ())
    others = sorted(set().union(*used_by.values()).difference(users))
    if len(others) >= len(users):
        return ", ".join(users)
    return f"all but {', '.join(others)}" if others else "all"


def page(used_by: Mapping[str, Sequence[str]]) -> str:
    """Return the page; `used_by` is parameter, such as `funckeys.type`, → families."""
    lines = [INTRODUCTION]
    for title, text, prefix, parameters in SECTIONS:
        lines += [f"## {title}", ""]
        if text:
            lines += [text, ""]
        lines += ["| Parameter | Type | Unit | Default | Meaning | Used by |"]
        lines += ["|---|---|---|---|---|---|"]
        for one in parameters:
            cells = (
                f"`{one.name}`",
                one.kind.name,
                one.kind.unit,
                one.default,
                one.meaning,
                _users(prefix + one.name, used_by),
            )
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(page(json.load(sys.stdin)))
