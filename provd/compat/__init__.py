"""Import names and shapes that plugins of other origins expect (contract: plugin API §1).

Each module here has its old names too, below both roots: `wazo_provd.synchronize`,
`provd.synchronize` and `provd.compat.synchronize` are one module object, with one set of classes
and one registry, in whatever order they are imported.
"""

from __future__ import annotations

import importlib
import sys

LEGACY = (
    "abstract_plugin",
    "devices",
    "devices.config",
    "devices.device",
    "devices.ident",
    "devices.pgasso",
    "devices.schemas",
    "download",
    "loaders",
    "localization",
    "main",
    "operation",
    "persist",
    "persist.common",
    "phonebook",
    "phoned_users",
    "plugins",
    "proxy",
    "security",
    "servers",
    "servers.http",
    "servers.http_site",
    "servers.tftp",
    "servers.tftp.packet",
    "servers.tftp.service",
    "services",
    "synchro",
    "synchronize",
    "tzinform",
    "util",
)
"""The old module names, each after its parent."""

ROOTS = ("wazo_provd", "provd")


def install() -> None:
    """Give each module its old names; may be called any number of times."""
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in LEGACY}
    for root in ROOTS:
        package = importlib.import_module(root)
        for name, module in modules.items():
            sys.modules[f"{root}.{name}"] = module
            if "." not in name:
                setattr(package, name, module)
