"""Run the simulated phone as `python -m provd.simphone`."""

import sys

from provd.simphone.cli import main

sys.exit(main())
