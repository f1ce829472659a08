"""Checks the settings; see `provd.settings.command`."""

import sys

from provd.settings.command import main

sys.exit(main())
