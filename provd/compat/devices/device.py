"""Device documents, under the old names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provd.model.device import needs_reconfiguration
from provd.model.documents import copy_json as copy

if TYPE_CHECKING:
    from provd.compat.application import Application

__all__ = ["DeviceCollection", "copy", "needs_reconfiguration"]


class DeviceCollection:
    """The stored devices, as `Application` gives them."""

    def __init__(self, app: Application) -> None:
        self.insert = app.dev_insert
        self.update = app.dev_update
        self.delete = app.dev_delete
        self.retrieve = app.dev_retrieve
        self.find = app.dev_find
        self.find_one = app.dev_find_one
