"""What must outlast a loss of power."""

from __future__ import annotations

import os


def sync(path: str) -> None:
    """Bring a file, or the names in a directory, to the disk; OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
