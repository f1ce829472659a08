"""`twistd wazo-provd`: the same daemon under its second name, with the old daemon's paths."""

from provd import daemon
from provd.daemon import Options

makeService = daemon.make_wazo_service  # noqa: N816 - Twisted's name

__all__ = ["Options", "makeService"]
