"""Which plugin knows a device best (contract: request processing §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.errors import PluginError
from provd.plugin.base import DeviceSupport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from provd.plugin.host import PluginHost


def associate(host: PluginHost, info: Mapping[str, Any]) -> str | None:
    """Return the id of the plugin that supports the device of `info` best, or None.

    Below PROBABLE nobody is chosen. Of several that know the model (INCOMPLETE or better), those
    that the operator prefers go first; then the score counts. Among equals the greatest id in text
    order wins, so that `acme-2.1` beats `acme-2.0`.
    """
    best: tuple[bool, int, int, str] | None = None
    for loaded in host:
        associator = getattr(loaded.plugin, "pg_associator", None)
        if associator is None:
            continue
        try:
            score = host.run(loaded, "associate", associator.associate, dict(info))
        except PluginError:
            continue
        if isinstance(score, int) and score >= DeviceSupport.PROBABLE:
            knows = score >= DeviceSupport.INCOMPLETE
            rank = -host.rank(loaded.id) if knows else 0
            candidate = (knows, rank, int(score), loaded.id)
            best = candidate if best is None else max(best, candidate)
    return best[-1] if best else None
