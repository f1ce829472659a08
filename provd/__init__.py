"""provd, a phone-provisioning daemon."""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

__version__ = "0.1.0"

LEGACY_NAMES = frozenset(
    {
        "abstract_plugin",
        "devices",
        "download",
        "loaders",
        "localization",
        "main",
        "operation",
        "persist",
        "phonebook",
        "phoned_users",
        "plugins",
        "proxy",
        "security",
        "servers",
        "services",
        "synchro",
        "synchronize",
        "tzinform",
        "util",
    }
)
"""First-level names that plugins import and `provd.compat` has; no core module may bear one."""


class _Alias(Loader):
    """Gives a module that is loaded already, and leaves it as it was."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002
        """Return the module; there is no second one."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Put back what the import system wrote into the module."""
        module.__spec__ = self._spec


class _LegacyFinder(MetaPathFinder):
    """Finds `provd.plugins` and the like in `provd.compat`, imported at first need only."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        """Return how to get a legacy module; None for any other name."""
        root, _, name = fullname.partition(".")
        if root != __name__ or name not in LEGACY_NAMES:
            return None
        compat = importlib.import_module("provd.compat")
        compat.install()
        # Found under its name, a module would be executed again by the loader in its own spec.
        module = sys.modules.pop(fullname)
        return ModuleSpec(fullname, _Alias(module), is_package=hasattr(module, "__path__"))


if not any(type(finder).__name__ == _LegacyFinder.__name__ for finder in sys.meta_path):
    sys.meta_path.append(_LegacyFinder())
