"""Which files of the disk a plugin serves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_STANDARD_ROOT = os.path.join("var", "tftpboot")


def is_inside(path: str, roots: Sequence[str]) -> bool:
    """Tell whether `path` is one of `roots` or lies below one, once all links are followed.

    A root itself may be a link or lie behind one: the operator has put it there. There need not be
    a file at `path`.
    """
    if any(_is_plainly_below(path, root) for root in roots):
        return True
    real = os.path.realpath(path)
    return any(
        real == base or real.startswith(os.path.join(base, ""))
        for base in map(os.path.realpath, roots)
    )


def roots_of(served: str) -> tuple[str, ...]:
    """Return what a service of the directory `served` may follow links into: itself, its plugin."""
    base = os.path.normpath(served)
    if base.endswith(os.sep + _STANDARD_ROOT):
        return base, base[: -len(_STANDARD_ROOT) - 1]
    return (base,)


def _is_plainly_below(path: str, root: str) -> bool:
    """Tell whether `path` lies below `root` and no link is on the way: the usual, quick answer."""
    base = root.rstrip(os.sep) + os.sep
    if not path.startswith(base):
        return False
    below = path[len(base) :].split(os.sep)
    if ".." in below:
        return False
    place = base
    for piece in below:
        place = os.path.join(place, piece)
        if os.path.islink(place):
            return False
    return True
