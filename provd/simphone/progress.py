"""What a fleet shows while it boots: a bar on a terminal, else a line every second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from provd.simphone.fleet import Tally

_BAR_WIDTH = 30


def progress_line(tally: Tally, count: int, *, with_bar: bool) -> str:
    """Return how far `tally` is on its way to `count` phones."""
    rate = tally.requests / tally.elapsed if tally.elapsed else 0.0
    text = f"{tally.phones}/{count} phones, {tally.failed} failed, {rate:.0f} requests/s"
    if not with_bar:
        return text
    filled = _BAR_WIDTH * tally.phones // count
    return f"[{'#' * filled}{'.' * (_BAR_WIDTH - filled)}] {text}"


async def show_progress(tally: Tally, count: int, stream: TextIO) -> None:
    """Show the progress on `stream` until cancelled."""
    is_terminal = stream.isatty()
    try:
        while True:
            await asyncio.sleep(0.2 if is_terminal else 1.0)
            line = progress_line(tally, count, with_bar=is_terminal)
            stream.write(f"\r{line}\x1b[K" if is_terminal else f"{line}\n")
            stream.flush()
    finally:
        if is_terminal:
            stream.write("\r\x1b[K")
            stream.flush()
