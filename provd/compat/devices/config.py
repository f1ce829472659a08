"""Config documents, under the old names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.errors import RawConfigError, RawConfigParamError
from provd.model.config import build_autocreate as build_autocreate_config

if TYPE_CHECKING:
    from twisted.internet import defer

    from provd.compat.application import Application

__all__ = ["ConfigCollection", "RawConfigError", "RawConfigParamError", "build_autocreate_config"]


class ConfigCollection:
    """The stored configs, as `Application` gives them."""

    def __init__(self, app: Application) -> None:
        self.insert = app.cfg_insert
        self.update = app.cfg_update
        self.delete = app.cfg_delete
        self.retrieve = app.cfg_retrieve
        self.find = app.cfg_find
        self.find_one = app.cfg_find_one
        self._app = app

    def get_raw_config(self, config_id: str) -> defer.Deferred[dict[str, Any] | None]:
        """Fire with a config flattened with its ancestors, or None."""
        return self._app.cfg_retrieve_raw_config(config_id)
