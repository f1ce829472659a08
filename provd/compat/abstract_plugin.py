"""The empty base class of plugins (contract: plugin API §1)."""

from provd.plugin.base import AbstractPlugin

__all__ = ["AbstractPlugin"]
