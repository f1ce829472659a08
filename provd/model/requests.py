"""Kinds of requests, and how well a plugin may support the phone behind one."""

from __future__ import annotations

import enum


class RequestType(str, enum.Enum):
    """The protocol that a request came by, as extractors are told it."""

    HTTP = "http"
    TFTP = "tftp"
    DHCP = "dhcp"

    def __str__(self) -> str:
        return self.value


class DeviceSupport(enum.IntEnum):
    """How well a plugin supports a device; any other integer is legal too."""

    NONE = 0
    IMPROBABLE = 100
    UNKNOWN = 200
    PROBABLE = 300
    INCOMPLETE = 400
    COMPLETE = 500
    EXACT = 600
