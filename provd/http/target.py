"""Where a request is directed: request targets and the names in their paths (RFC 9112 section 3.2).

No file has two names here. A path that says a name in another way (percent-encoded, with doubled
slashes or `.` in between, as Gigaset phones send them) is the same request as the plain one. An
encoded slash separates nothing, and names nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_ABSOLUTE = re.compile(rb"https?://([^/?#]+)([^#]*)", re.IGNORECASE)


def origin_form(target: bytes) -> tuple[bytes, bytes | None] | None:
    """Return path and query of a request target, and the host of an absolute one; None if bad."""
    if target.startswith(b"/") or target == b"*":
        return target, None
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        return None
    rest = match[2]
    return rest if rest.startswith(b"/") else b"/" + rest, match[1].rpartition(b"@")[2]


def file_name(segments: Sequence[bytes]) -> str:
    """Return the name of the file that decoded segments end in, whatever else they hold.

    For the question whether it is a sensitive one: there a name too many does no harm.
    """
    path = b"/".join(segments).decode("utf-8", "replace")
    names = [name for name in path.split("/") if name not in {"", "."}]
    return names[-1] if names else ""
