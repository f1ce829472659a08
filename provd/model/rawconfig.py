"""The parameters of phones: validation and defaults of raw configs.

Validation looks and never rewrites: numeric text stays text. Null passes for scalars, as plugins
treat it, but not for containers. Error texts name the parameter by its dotted path and never show
a secret.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from typing import Any

from provd.errors import RawConfigError, RawConfigParamError
from provd.model.documents import as_bool, is_bool_like, shown
from provd.model.timezones import is_known_timezone


class SyslogLevel(enum.StrEnum):
    """Values of `syslog_level`."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"
    DEBUG = "debug"


class DtmfMode(enum.StrEnum):
    """Values of `sip_dtmf_mode`, and of `dtmf_mode` of a line."""

    RTP_IN_BAND = "RTP-in-band"
    RTP_OUT_OF_BAND = "RTP-out-of-band"
    SIP_INFO = "SIP-INFO"


class SrtpMode(enum.StrEnum):
    """Values of `sip_srtp_mode`, and of `srtp_mode` of a line."""

    DISABLED = "disabled"
    PREFERRED = "preferred"
    REQUIRED = "required"


class Transport(enum.StrEnum):
    """Values of `sip_transport`."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"


class FuncKeyType(enum.StrEnum):
    """Values of `type` of a function key."""

    SPEEDDIAL = "speeddial"
    BLF = "blf"
    PARK = "park"


class Protocol(enum.StrEnum):
    """Values of `protocol`."""

    SIP = "SIP"
    SCCP = "SCCP"


# A rule is a predicate for a value that is not null, and the words for what it allows.
_Rule = tuple[Callable[[Any], bool], str]

_DIGITS = re.compile(r"[0-9]{1,20}")
_KEY_NUMBER = re.compile(r"[0-9]+")
_LOCALE = re.compile(r"[a-z]{2}_[A-Z]{2}")


def _is_text(value: Any) -> bool:
    # Numbers pass because clients send extensions and passwords as numbers.
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or (isinstance(value, str) and bool(_DIGITS.fullmatch(value)))


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(element, str) for element in value)


def _is_timezone(value: Any) -> bool:
    return isinstance(value, str) and is_known_timezone(value)


def _is_locale(value: Any) -> bool:
    return isinstance(value, str) and _LOCALE.match(value) is not None


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _between(low: int, high: int) -> _Rule:
    def is_between(value: Any) -> bool:
        return _is_number(value) and low <= int(value) <= high

    return is_between, f"an integer from {low} to {high}"


def _one_of(choices: type[enum.StrEnum]) -> _Rule:
    values = frozenset(choice.value for choice in choices)

    def is_choice(value: Any) -> bool:
        return isinstance(value, str) and value in values

    return is_choice, " or ".join(choices)


_TEXT: _Rule = (_is_text, "text")
_BOOL: _Rule = (is_bool_like, "true or false")
_PORT = _between(1, 65535)
_VLAN = _between(0, 4094)
_OBJECT: _Rule = (_is_object, "an object")
_TEXT_LIST: _Rule = (_is_text_list, "a list of text")

_TOP: dict[str, _Rule] = {
    "ip": _TEXT,
    "http_port": _PORT,
    "http_base_url": _TEXT,
    "tftp_port": _PORT,
    "dns_enabled": _BOOL,
    "dns_ip": _TEXT,
    "ntp_enabled": _BOOL,
    "ntp_ip": _TEXT,
    "vlan_enabled": _BOOL,
    "vlan_id": _VLAN,
    "vlan_priority": _between(0, 7),
    "vlan_pc_port_id": _VLAN,
    "syslog_enabled": _BOOL,
    "syslog_ip": _TEXT,
    "syslog_port": _PORT,
    "syslog_level": _one_of(SyslogLevel),
    "admin_username": _TEXT,
    "admin_password": _TEXT,
    "user_username": _TEXT,
    "user_password": _TEXT,
    "timezone": (_is_timezone, "the name of a time zone, such as Europe/Paris"),
    "locale": (_is_locale, "a language and a country, such as fr_FR"),
    # Plugins compare it with numbers, so numeric text would break them.
    "config_version": (_is_integer, "an integer"),
    "protocol": _one_of(Protocol),
    "sip_proxy_ip": _TEXT,
    "sip_proxy_port": _PORT,
    "sip_backup_proxy_ip": _TEXT,
    "sip_backup_proxy_port": _PORT,
    "sip_registrar_ip": _TEXT,
    "sip_registrar_port": _PORT,
    "sip_backup_registrar_ip": _TEXT,
    "sip_backup_registrar_port": _PORT,
    "sip_outbound_proxy_ip": _TEXT,
    "sip_outbound_proxy_port": _PORT,
    "sip_dtmf_mode": _one_of(DtmfMode),
    "sip_srtp_mode": _one_of(SrtpMode),
    "sip_transport": _one_of(Transport),
    "sip_servers_root_and_intermediate_certificates": _TEXT_LIST,
    "sip_local_root_and_intermediate_certificates": _TEXT_LIST,
    "sip_local_certificate": _TEXT,
    "sip_local_key": _TEXT,
    "sip_subscribe_mwi": _BOOL,
    "sip_lines": _OBJECT,
    "sccp_call_managers": _OBJECT,
    "exten_dnd": _TEXT,
    "exten_fwd_unconditional": _TEXT,
    "exten_fwd_no_answer": _TEXT,
    "exten_fwd_busy": _TEXT,
    "exten_fwd_disable_all": _TEXT,
    "exten_park": _TEXT,
    "exten_pickup_group": _TEXT,
    "exten_pickup_call": _TEXT,
    "exten_voicemail": _TEXT,
    "funckeys": _OBJECT,
    "_comment": (lambda _value: True, "anything"),
}
_LINE: dict[str, _Rule] = {
    "proxy_ip": _TEXT,
    "proxy_port": _PORT,
    "backup_proxy_ip": _TEXT,
    "backup_proxy_port": _PORT,
    "registrar_ip": _TEXT,
    "registrar_port": _PORT,
    "backup_registrar_ip": _TEXT,
    "backup_registrar_port": _PORT,
    "outbound_proxy_ip": _TEXT,
    "outbound_proxy_port": _PORT,
    "username": _TEXT,
    "auth_username": _TEXT,
    "password": _TEXT,
    "display_name": _TEXT,
    "number": _TEXT,
    "dtmf_mode": _one_of(DtmfMode),
    "srtp_mode": _one_of(SrtpMode),
    "voicemail": _TEXT,
}
_CALL_MANAGER: dict[str, _Rule] = {"ip": _TEXT, "port": _PORT}
_FUNCKEY: dict[str, _Rule] = {
    "type": _one_of(FuncKeyType),
    "value": _TEXT,
    "label": _TEXT,
    "line": (_is_number, "an integer"),
}

_NOT_NULL = frozenset({"sip_lines", "sccp_call_managers", "funckeys", "syslog_port"})
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
        rule = _TOP.get(name)
        if rule is None:
            if name.startswith("XX_"):
                raise RawConfigParamError(f"{name:.80}: names that start with XX_ are for plugins")
            if not name.startswith("X_"):
                raise RawConfigParamError(
                    f"{name:.80}: unknown parameter. Custom fields must start with X_"
                )
        elif value is None:
            if name in _NOT_NULL:
                raise _not_allowed((name,), value, rule[1])
        elif not rule[0](value):
            raise _not_allowed((name,), value, rule[1])
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


def _check_members(path: tuple[str, ...], members: Any, rules: Mapping[str, _Rule]) -> None:
    if not isinstance(members, dict):
        raise _not_allowed(path, members, "an object")
    for name, value in members.items():
        if value is not None:
            rule = rules.get(name)
            if rule is not None and not rule[0](value):
                raise _not_allowed((*path, name), value, rule[1])


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
