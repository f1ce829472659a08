"""Sphinx settings: `sphinx-build -W docs build/docs`."""

import re
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent / "provd/__init__.py"

project = "provd"
release = version = re.search(r'__version__ = "([^"]+)"', _PACKAGE.read_text(encoding="utf-8"))[1]
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
html_title = f"{project} {release}"
html_show_copyright = False
# Links to files beside docs/, such as etc/provd/config.yml, are for readers of the repository.
suppress_warnings = ["myst.xref_missing"]
