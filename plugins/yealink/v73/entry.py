"""Yealink phones with firmware of generation 73."""

from typing import Any

common: dict[str, Any] = {}
execfile_("common.py", common)  # type: ignore[name-defined]  # the host gives it
base: Any = common["YealinkPlugin"]


class Plugin(base):  # type: ignore[misc]  # a class that only the host can load
    """The plugin of this generation."""

    IS_PLUGIN = True
    generation = 73
