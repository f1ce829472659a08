"""`twistd wazo-provd`: the same daemon under its second name, with the old daemon's paths."""

from provd.daemon import Options, make_wazo_service as makeService

__all__ = ["Options", "makeService"]
