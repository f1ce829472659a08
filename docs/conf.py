"""Sphinx settings: `sphinx-build -W docs build/docs`."""

import re
from pathlib import Path

_PACKAGE = Path(__file__).parent.parent / "provd/__init__.py"

project = "provd"
release = version = re.findall(r'__version__ = "([^"]+)"', _PACKAGE.read_text(encoding="utf-8"))[0]
extensions = ["myst_parser"]
myst_heading_anchors = 3
html_title = f"{project} {release}"
html_show_copyright = False
