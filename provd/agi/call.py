"""What a dialplan asks for, read from the variables of a FastAGI session."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from provd.errors import InvalidDocument
from provd.model.addresses import norm_mac

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPT = "provision"
RESULT_VARIABLE = "PROVD_RESULT"
SUCCESS = "success"
UNKNOWN_CODE = "unknown_code"
UNKNOWN_PHONE = "unknown_phone"
REFUSED = "refused"
FAILED = "failed"
RESULTS = frozenset({SUCCESS, UNKNOWN_CODE, UNKNOWN_PHONE, REFUSED, FAILED})
_CHANNEL = re.compile(r"(?:PJSIP|SIP)/(.+)-[0-9a-f]{8}", re.IGNORECASE)
_POSITIONS = {"code": "agi_arg_1", "ip": "agi_arg_2", "mac": "agi_arg_3"}


def call_arguments(variables: Mapping[str, str]) -> dict[str, str]:
    """Return `variables` with what a call tells of its phone, as far as it makes sense.

    `code`, `ip` and `mac` come from the URL's query, else from the arguments after the URL, in this
    order; `port` follows the address, as channels give it. `account` is that of the calling
    channel, `name_mac` a MAC that the phone has for its display name. InvalidDocument if the URL
    names another script.
    """
    try:
        parts = urlsplit(variables["agi_request"])
        query = dict(parse_qsl(parts.query, max_num_fields=20))
    except ValueError as error:
        raise InvalidDocument(f"the URL {variables['agi_request']!r:.80} is malformed") from error
    if parts.path.strip("/") != SCRIPT:
        raise InvalidDocument(f"there is no AGI script {parts.path!r:.80}, only /{SCRIPT}")
    given = {
        name: (query.get(name) or variables.get(position, "")).strip()
        for name, position in _POSITIONS.items()
    }
    usable = {
        "code": given["code"],
        "ip": _usable_ip(given["ip"]),
        "mac": _usable_mac(given["mac"]),
        "port": _usable_port(given["ip"]),
        "account": _account(variables.get("agi_channel", "")),
        "name_mac": _usable_mac(variables.get("agi_calleridname", "").strip()),
    }
    return {**variables, **{name: value for name, value in usable.items() if value}}


def _usable_ip(text: str) -> str:
    for candidate in (text, text.rpartition(":")[0].strip("[]")):
        try:
            return str(ipaddress.ip_address(candidate))
        except ValueError:
            continue
    return ""


def _usable_port(text: str) -> str:
    if not _usable_ip(text) or _usable_ip(text) == text.strip("[]"):
        return ""
    port = text.rpartition(":")[2]
    return port if port.isascii() and port.isdigit() and 0 < int(port) < 65536 else ""


def _account(channel: str) -> str:
    match = _CHANNEL.fullmatch(channel)
    return match[1] if match is not None else ""


def _usable_mac(text: str) -> str:
    try:
        return norm_mac(text)
    except ValueError:
        return ""
