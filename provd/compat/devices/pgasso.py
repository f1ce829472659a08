"""Which plugin fits a device (contract: plugin API §§5.4, 9)."""

from __future__ import annotations

import abc
import logging
from typing import TYPE_CHECKING, Any

from twisted.internet import defer

from provd.compat.devices.ident import AbstractDeviceUpdater
from provd.model.requests import DeviceSupport
from provd.plugin.base import BasePgAssociator

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "COMPLETE_SUPPORT",
    "FULL_SUPPORT",
    "IMPROBABLE_SUPPORT",
    "INCOMPLETE_SUPPORT",
    "NO_SUPPORT",
    "PROBABLE_SUPPORT",
    "UNKNOWN_SUPPORT",
    "AbstractConflictSolver",
    "AbstractPluginAssociator",
    "BasePgAssociator",
    "DeviceSupport",
    "PluginAssociatorDeviceUpdater",
    "ReverseAlphabeticConflictSolver",
]

logger = logging.getLogger(__name__)

# Names of an older generation.
NO_SUPPORT = DeviceSupport.NONE
IMPROBABLE_SUPPORT = DeviceSupport.IMPROBABLE
UNKNOWN_SUPPORT = DeviceSupport.UNKNOWN
PROBABLE_SUPPORT = DeviceSupport.PROBABLE
INCOMPLETE_SUPPORT = DeviceSupport.INCOMPLETE
COMPLETE_SUPPORT = DeviceSupport.COMPLETE
FULL_SUPPORT = DeviceSupport.EXACT


class AbstractPluginAssociator(abc.ABC):
    """What a plugin has as `pg_associator`."""

    @abc.abstractmethod
    def associate(self, dev_info: Mapping[str, Any]) -> int:
        """Return how well the plugin supports a device, a DeviceSupport or another integer."""


AbstractPluginAssociator.register(BasePgAssociator)


class AbstractConflictSolver(abc.ABC):
    """Chooses among plugins that fit a device equally well."""

    @abc.abstractmethod
    def solve(self, pg_ids: Iterable[str]) -> str | None:
        """Return one of the ids, or None."""


class ReverseAlphabeticConflictSolver(AbstractConflictSolver):
    """Takes the greatest id in text order, so that `acme-2.1` beats `acme-2.0`."""

    def solve(self, pg_ids: Iterable[str]) -> str | None:
        return max(pg_ids, default=None)


class PluginAssociatorDeviceUpdater(AbstractDeviceUpdater):
    """Gives a device without plugin the one that fits best, if one fits well enough."""

    force_update = False
    """Whether a device that has a plugin gets one again."""
    min_level: int = DeviceSupport.PROBABLE

    def __init__(self, pg_mgr: Mapping[str, Any], conflict_solver: AbstractConflictSolver) -> None:
        self._pg_mgr = pg_mgr
        self._solver = conflict_solver

    def update(
        self,
        device: dict[str, Any],
        dev_info: dict[str, Any],
        request: Any,  # noqa: ARG002
        request_type: Any,  # noqa: ARG002
    ) -> defer.Deferred[Any]:
        if self.force_update or not device.get("plugin"):
            plugin_id = self._associate(dev_info)
            if plugin_id is not None:
                device["plugin"] = plugin_id
        return defer.succeed(None)

    def _associate(self, dev_info: dict[str, Any]) -> str | None:
        fitting: dict[int, list[str]] = {}
        for plugin_id, plugin in self._pg_mgr.items():
            if plugin.pg_associator is None:
                continue
            try:
                level = plugin.pg_associator.associate(dev_info)
            except BaseException:
                logger.exception("plugin %s cannot tell whether it fits a device", plugin_id)
                continue
            if level >= self.min_level:
                fitting.setdefault(level, []).append(plugin_id)
        return self._solver.solve(fitting[max(fitting)]) if fitting else None
