"""The parameters of phones, in one table: type, unit, default, meaning, and who uses them.

From this table come the checks of `rawconfig`, the page docs/parameters.md (`make parameters`),
the schema `RawConfig` of the API, and the warnings of parameters that nobody knows.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from provd.model.documents import is_bool_like
from provd.model.timezones import is_known_timezone

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


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


_DIGITS = re.compile(r"[0-9]{1,20}")
_LOCALE_FORM = re.compile(r"[a-z]{2}(_[A-Z]{2}|\Z)")


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
    return isinstance(value, str) and _LOCALE_FORM.match(value) is not None


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


@attrs.frozen
class Kind:
    """A type of value: its name, what it allows, and its JSON schema."""

    name: str
    accepts: Callable[[Any], bool]
    """Tells whether a value that is not null is allowed."""
    allowed: str
    """For error messages: `it must be …`."""
    schema: Mapping[str, Any]
    unit: str = ""
    """Of a number, or the form of a text."""


@attrs.frozen
class Parameter:
    """One parameter of a raw config, or one member of an object in it."""

    name: str
    kind: Kind
    meaning: str
    default: str = attrs.field(default="", kw_only=True)
    may_be_null: bool = attrs.field(default=True, kw_only=True)

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON schema of its value."""
        text = self.meaning
        if self.kind.unit:
            text += f" ({self.kind.unit})"
        text += "."
        if self.default:
            text += f" Default: {self.default}."
        nullable = {"nullable": True} if self.may_be_null else {}
        return {**self.kind.schema, **nullable, "description": text}


def _between(low: int, high: int, unit: str) -> Kind:
    def is_between(value: Any) -> bool:
        return _is_number(value) and low <= int(value) <= high

    allowed = f"an integer from {low} to {high}"
    schema = {"oneOf": [{"type": "integer", "minimum": low, "maximum": high}, _NUMERIC]}
    return Kind(f"{low} to {high}", is_between, allowed, schema, unit)


def _one_of(choices: type[enum.StrEnum]) -> Kind:
    values = frozenset(choice.value for choice in choices)

    def is_choice(value: Any) -> bool:
        return isinstance(value, str) and value in values

    allowed = " or ".join(choices)
    schema = {"type": "string", "enum": [choice.value for choice in choices]}
    return Kind(", ".join(f"`{choice}`" for choice in choices), is_choice, allowed, schema)


_NUMERIC: Mapping[str, Any] = {"type": "string", "pattern": "^[0-9]{1,20}$"}
_TEXT = Kind("text", _is_text, "text", {"oneOf": [{"type": "string"}, {"type": "number"}]})
_BOOL = Kind(
    "boolean",
    is_bool_like,
    "true or false",
    {"oneOf": [{"type": "boolean"}, {"type": "integer", "enum": [0, 1]}, {"type": "string"}]},
)
_PORT = _between(1, 65535, "port number")
_VLAN = _between(0, 4094, "VLAN ID")
_INTEGER = Kind("integer", _is_integer, "an integer", {"type": "integer"})
_LINE_NUMBER = Kind("integer", _is_number, "an integer", {"oneOf": [{"type": "integer"}, _NUMERIC]})
_TIMEZONE = Kind(
    "time zone",
    _is_timezone,
    "the name of a time zone, such as Europe/Paris",
    {"type": "string", "example": "Europe/Paris"},
    "name of the tz database",
)
_LOCALE = Kind(
    "locale",
    _is_locale,
    "a language, and mostly a country, such as fr_FR or fr",
    {"type": "string", "pattern": "^[a-z]{2}(_[A-Z]{2}|$)", "example": "fr_FR"},
    "`ll_CC` or `ll`",
)
_TEXT_LIST = Kind(
    "list of text",
    _is_text_list,
    "a list of text",
    {"type": "array", "items": {"type": "string"}},
)
_PEM = attrs.evolve(_TEXT, unit="PEM")
_PEM_LIST = attrs.evolve(_TEXT_LIST, unit="PEM")
_ANYTHING = Kind("anything", lambda _value: True, "anything", {})


def _object_of(members: str, example: str) -> Kind:
    schema = {"type": "object", "additionalProperties": {"$ref": members}, "example": {example: {}}}
    return Kind("object", _is_object, "an object", schema)


LINE: tuple[Parameter, ...] = (
    Parameter(
        "proxy_ip",
        _TEXT,
        "Address or name of the SIP server; `sip_proxy_ip` does for all lines",
        default="`sip_proxy_ip`",
    ),
    Parameter("proxy_port", _PORT, "Its port", default="`sip_proxy_port`, else 5060"),
    Parameter(
        "backup_proxy_ip",
        _TEXT,
        "SIP server to use when the first fails",
        default="`sip_backup_proxy_ip`",
    ),
    Parameter("backup_proxy_port", _PORT, "Its port", default="`sip_backup_proxy_port`, else 5060"),
    Parameter(
        "registrar_ip", _TEXT, "Where to register, if not at the proxy", default="`proxy_ip`"
    ),
    Parameter("registrar_port", _PORT, "Its port"),
    Parameter("backup_registrar_ip", _TEXT, "Where to register when the first fails"),
    Parameter("backup_registrar_port", _PORT, "Its port"),
    Parameter(
        "outbound_proxy_ip",
        _TEXT,
        "Outbound proxy that all requests go through",
        default="`sip_outbound_proxy_ip`",
    ),
    Parameter(
        "outbound_proxy_port", _PORT, "Its port", default="`sip_outbound_proxy_port`, else 5060"
    ),
    Parameter("username", _TEXT, "SIP user name; plugins need it"),
    Parameter("auth_username", _TEXT, "User name for authentication", default="`username`"),
    Parameter("password", _TEXT, "SIP password; plugins need it"),
    Parameter("display_name", _TEXT, "Caller name, and label of the line on the phone"),
    Parameter("number", _TEXT, "Extension to display"),
    Parameter(
        "dtmf_mode",
        _one_of(DtmfMode),
        "How key presses are sent during a call",
        default="`sip_dtmf_mode`",
    ),
    Parameter("srtp_mode", _one_of(SrtpMode), "Encryption of the media", default="`sip_srtp_mode`"),
    Parameter("voicemail", _TEXT, "Extension of the voice mailbox", default="`exten_voicemail`"),
)
"""A SIP line: a member of `sip_lines`."""

CALL_MANAGER: tuple[Parameter, ...] = (
    Parameter("ip", _TEXT, "Address of the call manager; required"),
    Parameter("port", _PORT, "Its port"),
)
"""A call manager of SCCP phones: a member of `sccp_call_managers`."""

FUNCKEY: tuple[Parameter, ...] = (
    Parameter("type", _one_of(FuncKeyType), "What the key does; required"),
    Parameter("value", _TEXT, "What to dial, watch, or park at; required but for `park`"),
    Parameter("label", _TEXT, "Text beside the key", default="`value`"),
    Parameter("line", _LINE_NUMBER, "Line that the key uses", default="1"),
)
"""A function key: a member of `funckeys`."""

RAW_CONFIG: tuple[Parameter, ...] = (
    Parameter(
        "ip",
        _TEXT,
        "Address or name of provd; the daemon sets it, and `http_base_url` replaces it",
        default="of the settings",
    ),
    Parameter(
        "http_port",
        _PORT,
        "HTTP port of provd; the daemon sets it, and `http_base_url` replaces it",
        default="of the settings",
    ),
    Parameter(
        "http_base_url",
        _TEXT,
        "URL where phones find provd; with `url_key`, the tenant's key follows",
        default="of the settings",
    ),
    Parameter("tftp_port", _PORT, "TFTP port of provd", default="of the settings"),
    Parameter("dns_enabled", _BOOL, "Set the DNS server", default="false"),
    Parameter("dns_ip", _TEXT, "DNS server; needed with `dns_enabled`"),
    Parameter("ntp_enabled", _BOOL, "Set the time server", default="false"),
    Parameter("ntp_ip", _TEXT, "Time server; needed with `ntp_enabled`"),
    Parameter("vlan_enabled", _BOOL, "Tag the phone's own traffic", default="false"),
    Parameter(
        "vlan_id",
        _VLAN,
        "VLAN of the phone, 0 for the priority tag only; needed with `vlan_enabled`",
    ),
    Parameter(
        "vlan_priority", _between(0, 7, "802.1p priority"), "Priority of the phone's own traffic"
    ),
    Parameter("vlan_pc_port_id", _VLAN, "VLAN of the PC port"),
    Parameter("syslog_enabled", _BOOL, "Send the log to a server", default="false"),
    Parameter("syslog_ip", _TEXT, "Log server; needed with `syslog_enabled`"),
    Parameter("syslog_port", _PORT, "Its port", default="514", may_be_null=False),
    Parameter("syslog_level", _one_of(SyslogLevel), "What to send at least", default="`warning`"),
    Parameter("admin_username", _TEXT, "Administrator of the phone"),
    Parameter("admin_password", _TEXT, "The administrator's password"),
    Parameter("user_username", _TEXT, "Limited account of the phone"),
    Parameter("user_password", _TEXT, "Its password"),
    Parameter("timezone", _TIMEZONE, "Time zone, by its name in the tz database"),
    Parameter("locale", _LOCALE, "Language and country"),
    Parameter("config_version", _INTEGER, "A number that some third-party plugins look at"),
    Parameter("protocol", _one_of(Protocol), "For phones that speak both"),
    Parameter(
        "sip_proxy_ip", _TEXT, "Address or name of the SIP server of all lines that name none"
    ),
    Parameter("sip_proxy_port", _PORT, "Its port", default="5060"),
    Parameter("sip_backup_proxy_ip", _TEXT, "SIP server to use when the first fails"),
    Parameter("sip_backup_proxy_port", _PORT, "Its port", default="5060"),
    Parameter(
        "sip_registrar_ip",
        _TEXT,
        "Where to register, if not at the proxy",
        default="`sip_proxy_ip`",
    ),
    Parameter("sip_registrar_port", _PORT, "Its port"),
    Parameter("sip_backup_registrar_ip", _TEXT, "Where to register when the first fails"),
    Parameter("sip_backup_registrar_port", _PORT, "Its port"),
    Parameter("sip_outbound_proxy_ip", _TEXT, "Outbound proxy that all requests go through"),
    Parameter("sip_outbound_proxy_port", _PORT, "Its port", default="5060"),
    Parameter(
        "sip_dtmf_mode",
        _one_of(DtmfMode),
        "How key presses are sent during a call",
        default="what the phone does on its own",
    ),
    Parameter("sip_srtp_mode", _one_of(SrtpMode), "Encryption of the media", default="`disabled`"),
    Parameter("sip_transport", _one_of(Transport), "Transport of the signalling", default="`udp`"),
    Parameter(
        "sip_servers_root_and_intermediate_certificates",
        _PEM_LIST,
        "Certificates to trust the SIP servers by, the root first",
    ),
    Parameter(
        "sip_local_root_and_intermediate_certificates",
        _PEM_LIST,
        "Certificates above the phone's own, the root first",
    ),
    Parameter("sip_local_certificate", _PEM, "The phone's own certificate"),
    Parameter("sip_local_key", _PEM, "Its private key"),
    Parameter(
        "sip_subscribe_mwi", _BOOL, "Subscribe to the message waiting indication", default="false"
    ),
    Parameter(
        "sip_lines",
        _object_of("SipLine", "1"),
        "The lines by their number, `1` first; see [lines](#sip-lines)",
        default="`{}`",
        may_be_null=False,
    ),
    Parameter(
        "sccp_call_managers",
        _object_of("CallManager", "1"),
        "The call managers by priority, `1` first; see [call managers](#call-managers)",
        default="`{}`",
        may_be_null=False,
    ),
    Parameter("exten_dnd", _TEXT, "Code that turns do-not-disturb on or off"),
    Parameter("exten_fwd_unconditional", _TEXT, "Code before the number to forward all calls to"),
    Parameter("exten_fwd_no_answer", _TEXT, "The same for calls without an answer"),
    Parameter("exten_fwd_busy", _TEXT, "The same for calls while busy"),
    Parameter("exten_fwd_disable_all", _TEXT, "Code that ends all forwarding"),
    Parameter("exten_park", _TEXT, "Extension to park calls at"),
    Parameter("exten_pickup_group", _TEXT, "Code to pick up a call of the group"),
    Parameter("exten_pickup_call", _TEXT, "Code before an extension to pick up its call"),
    Parameter("exten_voicemail", _TEXT, "Extension of the voice mailbox of lines that name none"),
    Parameter(
        "funckeys",
        _object_of("FuncKey", "1"),
        "The function keys by their number; see [function keys](#function-keys)",
        default="`{}`",
        may_be_null=False,
    ),
    Parameter("_comment", _ANYTHING, "A note for people"),
)
"""The parameters at the top of a raw config."""

EXTENSIONS: tuple[Parameter, ...] = (
    Parameter("X_xivo_phonebook_ip", _TEXT, "Address or name of the phonebook server"),
    Parameter("X_xivo_phonebook_scheme", _TEXT, "`http` or `https`", default="`http`"),
    Parameter("X_xivo_phonebook_port", _PORT, "Its port", default="9498"),
    Parameter("X_xivo_user_uuid", _TEXT, "Whose phonebook and services"),
)
"""Custom parameters that plugins know. Any other that starts with `X_` is allowed, too."""

_BY_NAME = {parameter.name: parameter for parameter in RAW_CONFIG}
_SECTIONS: tuple[tuple[str, tuple[Parameter, ...]], ...] = (
    ("sip_lines", LINE),
    ("sccp_call_managers", CALL_MANAGER),
    ("funckeys", FUNCKEY),
)
_MAX_WARNINGS = 50


def by_name(parameters: Iterable[Parameter]) -> dict[str, Parameter]:
    """Return a table by names."""
    return {parameter.name: parameter for parameter in parameters}


def unknown_parameters(raw_config: object) -> list[str]:
    """Return a warning for each parameter at any depth that is not in the tables.

    Names that start with `X_` are free. The warnings name no values. At most 50 are given.
    """
    warnings: list[str] = []
    if not isinstance(raw_config, Mapping):
        return warnings
    for warning in _unknown(raw_config):
        if len(warnings) == _MAX_WARNINGS:
            warnings.append("there are more unknown parameters")
            break
        warnings.append(warning)
    return warnings


def _unknown(raw_config: Mapping[str, Any]) -> Iterator[str]:
    yield from unknown_names("raw_config", raw_config, _BY_NAME)
    for section, parameters in _SECTIONS:
        members = raw_config.get(section)
        if isinstance(members, Mapping):
            known = by_name(parameters)
            for number, member in members.items():
                if isinstance(member, Mapping):
                    yield from unknown_names(f"raw_config.{section}.{number:.40}", member, known)


def unknown_names(
    path: str, members: Mapping[str, Any], known: Iterable[str], what: str = "parameter"
) -> Iterator[str]:
    """Yield a warning, with the nearest known name, for each name that is neither known nor X_."""
    names = known if isinstance(known, (dict, frozenset)) else frozenset(known)
    for name in members:
        if name in names or name.startswith("X_"):
            continue
        near = difflib.get_close_matches(name[:80], names, 1, 0.75)
        hint = f"; did you mean {near[0]}?" if near else ""
        yield f"{path}.{name:.80}: unknown {what}{hint}"


# The schema of the API


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schemas of raw configs and what is in them, by name."""

    def properties(parameters: Iterable[Parameter]) -> dict[str, Any]:
        return {parameter.name: parameter.schema for parameter in parameters}

    return {
        "RawConfig": {
            "type": "object",
            "description": "Parameters of phones. Further names must start with X_.",
            "properties": properties((*RAW_CONFIG, *EXTENSIONS)),
        },
        "SipLine": {
            "type": "object",
            "description": "A line of a phone.",
            "properties": properties(LINE),
        },
        "CallManager": {
            "type": "object",
            "required": ["ip"],
            "description": "A call manager of SCCP phones.",
            "properties": properties(CALL_MANAGER),
        },
        "FuncKey": {
            "type": "object",
            "required": ["type"],
            "description": "A function key of a phone.",
            "properties": properties(FUNCKEY),
        },
    }
