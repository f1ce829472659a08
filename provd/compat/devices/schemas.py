"""Shapes and rules of documents, under the old names."""

from __future__ import annotations

from typing import Any

from provd.model.config import validate_config
from provd.model.device import validate_device
from provd.model.rawconfig import (
    DtmfMode,
    FuncKeyType,
    SrtpMode,
    SyslogLevel,
    Transport,
    validate_stored,
)
from provd.model.shapes import CallManager as CallManagerDict
from provd.model.shapes import Config as ConfigDict
from provd.model.shapes import Device as DeviceDict
from provd.model.shapes import FuncKey as FuncKeyDict
from provd.model.shapes import RawConfig as RawConfigDict
from provd.model.shapes import SipLine as SipLineDict

__all__ = [
    "CallManagerDict",
    "ConfigDict",
    "ConfigSchema",
    "DeviceDict",
    "DeviceSchema",
    "DtmfMode",
    "FuncKeyDict",
    "FuncKeyType",
    "RawConfigDict",
    "RawConfigSchema",
    "SipLineDict",
    "SrtpMode",
    "SyslogLevel",
    "Transport",
]


class RawConfigSchema:
    """The rules of a raw config."""

    @staticmethod
    def validate(raw_config: dict[str, Any]) -> None:
        """Raise RawConfigError, with the reason, unless it may be stored."""
        validate_stored(raw_config)


class ConfigSchema:
    """The rules of a config."""

    @staticmethod
    def validate(config: dict[str, Any]) -> None:
        """Raise InvalidDocument, with the reason, unless it may be stored."""
        validate_config(config)


class DeviceSchema:
    """The rules of a device."""

    @staticmethod
    def validate(device: dict[str, Any]) -> None:
        """Raise InvalidDocument, with the reason, unless it may be stored."""
        validate_device(device)
