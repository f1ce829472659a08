"""`provd-plugin`, for plugins that use the old import names too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from provd import compat
from provd.compat.quirks import quirk
from provd.plugin import author

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, as `provd.plugin.author.main` does."""
    compat.install()
    return author.main(argv, quirk=quirk)


if __name__ == "__main__":
    sys.exit(main())
