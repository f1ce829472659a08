"""The parameters of phones: validation and defaults of raw configs.

Validation looks and never rewrites: numeric text stays text. Null passes for scalars, as plugins
treat it, but not for containers. Error texts name the parameter by its dotted path and never show
a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from provd.errors import RawConfigError, RawConfigParamError
from provd.model.documents import as_bool, shown
from provd.model.parameters import (
    CALL_MANAGER,
    FUNCKEY,
    LINE,
    RAW_CONFIG,
    DtmfMode,
    FuncKeyType,
    Parameter,
    Protocol,
    SrtpMode,
    SyslogLevel,
    Transport,
    by_name,
)

__all__ = [
    "DtmfMode",
    "FuncKeyType",
    "Protocol",
    "SrtpMode",
    "SyslogLevel",
    "Transport",
    "add_defaults",
    "check_base",
    "validate_merged",
    "validate_stored",
]

_KEY_NUMBER = re.compile(r"[0-9]+")
_TOP = by_name(RAW_CONFIG)
_LINE = by_name(LINE)
_CALL_MANAGER = by_name(CALL_MANAGER)
_FUNCKEY = by_name(FUNCKEY)
_NEEDS_PARTNER = {
    "dns_enabled": "dns_ip",
    "ntp_enabled": "ntp_ip",
    "syslog_enabled": "syslog_ip",
    "vlan_enabled": "vlan_id",
}
_BASE_PARAMETERS = ("ip", "http_port", "tftp_port")
_SECRET_MARKS = ("password", "_key")


def validate_stored(raw_config: object) -> None:
    """Raise RawConfigError if `raw_config` may not be part of a stored config."""
    checked = _check_parameters(raw_config)
    for switch, partner in _NEEDS_PARTNER.items():
        if as_bool(checked.get(switch)) and _is_absent(checked.get(partner)):
            raise RawConfigParamError(f"{partner}: required where {switch} is true")


def validate_merged(raw_config: object) -> None:
    """Raise RawConfigError if the merged `raw_config` may not be given to a plugin."""
    validate_stored(raw_config)
    _check_base_parameters(raw_config)


def check_base(raw_config: object) -> None:
    """Raise RawConfigError if the daemon may not start with `raw_config` as base of all others.

    A switch may lack its partner here, as configs may add that.
    """
    _check_parameters(raw_config)
    _check_base_parameters(raw_config)


def add_defaults(raw_config: dict[str, Any]) -> None:
    """Fill in place what a merged raw config leaves out; to be called before `validate_merged`."""
    if as_bool(raw_config.get("syslog_enabled")):
        raw_config.setdefault("syslog_port", 514)
        raw_config.setdefault("syslog_level", SyslogLevel.WARNING.value)
    _default_to(raw_config, "sip_registrar_ip", "sip_proxy_ip")
    raw_config.setdefault("sip_srtp_mode", SrtpMode.DISABLED.value)
    raw_config.setdefault("sip_transport", Transport.UDP.value)
    lines = raw_config.setdefault("sip_lines", {})
    if isinstance(lines, dict):
        for line in lines.values():
            if isinstance(line, dict):
                _default_to(line, "registrar_ip", "proxy_ip")
                _default_to(line, "auth_username", "username")
    raw_config.setdefault("sccp_call_managers", {})
    raw_config.setdefault("funckeys", {})


def _default_to(parameters: dict[str, Any], name: str, source: str) -> None:
    value = parameters.get(source)
    if value is not None:
        parameters.setdefault(name, value)


def _is_absent(value: object) -> bool:
    return value is None or value == ""


def _check_parameters(raw_config: object) -> Mapping[str, Any]:
    """Check each parameter by itself, and return `raw_config`."""
    if not isinstance(raw_config, Mapping):
        raise RawConfigError(f"raw_config: {shown(raw_config)} is not an object")
    for name, value in raw_config.items():
        parameter = _TOP.get(name)
        if parameter is None:
            if name.startswith("XX_"):
                raise RawConfigParamError(f"{name:.80}: names that start with XX_ are for plugins")
            if not name.startswith("X_"):
                raise RawConfigParamError(
                    f"{name:.80}: unknown parameter. Custom fields must start with X_"
                )
        elif value is None:
            if not parameter.may_be_null:
                raise _not_allowed((name,), value, parameter.kind.allowed)
        elif not parameter.kind.accepts(value):
            raise _not_allowed((name,), value, parameter.kind.allowed)
    for number, line in raw_config.get("sip_lines", {}).items():
        _check_members(("sip_lines", number), line, _LINE)
    for number, manager in raw_config.get("sccp_call_managers", {}).items():
        path = ("sccp_call_managers", number)
        _check_number(path)
        _check_members(path, manager, _CALL_MANAGER)
        _check_present(path, manager, "ip")
    for number, funckey in raw_config.get("funckeys", {}).items():
        path = ("funckeys", number)
        _check_number(path)
        _check_members(path, funckey, _FUNCKEY)
        _check_present(path, funckey, "type")
        if funckey["type"] != FuncKeyType.PARK:
            _check_present(path, funckey, "value")
    return raw_config


def _check_base_parameters(raw_config: Any) -> None:
    for name in _BASE_PARAMETERS:
        if _is_absent(raw_config.get(name)):
            raise RawConfigParamError(f"{name}: required, normally from the base raw config")


def _check_members(path: tuple[str, ...], members: Any, known: Mapping[str, Parameter]) -> None:
    if not isinstance(members, dict):
        raise _not_allowed(path, members, "an object")
    for name, value in members.items():
        if value is not None:
            parameter = known.get(name)
            if parameter is not None and not parameter.kind.accepts(value):
                raise _not_allowed((*path, name), value, parameter.kind.allowed)


def _check_number(path: tuple[str, ...]) -> None:
    if not _KEY_NUMBER.fullmatch(path[-1]):
        raise RawConfigParamError(f"{_dotted(path)}: the key is not a number")


def _check_present(path: tuple[str, ...], members: Mapping[str, Any], name: str) -> None:
    if _is_absent(members.get(name)):
        raise RawConfigParamError(f"{_dotted((*path, name))}: required")


def _not_allowed(path: tuple[str, ...], value: object, allowed: str) -> RawConfigParamError:
    name = path[-1]
    is_secret = any(mark in name for mark in _SECRET_MARKS)
    what = "its value" if is_secret else shown(value)
    return RawConfigParamError(f"{_dotted(path)}: {what} is not allowed; it must be {allowed}")


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(f"{step:.80}" for step in path)
