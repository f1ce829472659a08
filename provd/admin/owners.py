"""Files made by root for a daemon that runs as somebody else."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def give_to_owner(paths: Iterable[str], directory: str) -> None:
    """Let root give `paths`, with all below them, to the owner of `directory`."""
    if os.geteuid() != 0:
        return
    with contextlib.suppress(FileNotFoundError):
        owner = os.stat(directory)
        for path in paths:
            _give(path, owner.st_uid, owner.st_gid)
            for folder, directories, files in os.walk(path):
                for name in (*directories, *files):
                    _give(os.path.join(folder, name), owner.st_uid, owner.st_gid)


def _give(path: str, user: int, group: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.lchown(path, user, group)
