"""Where a path really leads, symbolic links followed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def is_inside(path: str, roots: Iterable[str]) -> bool:
    """Tell whether `path` is one of the directories `roots` or lies below one, links followed."""
    real = os.path.realpath(path)
    return any(
        real == root or real.startswith(os.path.join(root, ""))
        for root in map(os.path.realpath, roots)
    )
