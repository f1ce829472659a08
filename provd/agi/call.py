"""What a dialplan asks for, read from the variables of a FastAGI session."""

from __future__ import annotations

import ipaddress
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
_POSITIONS = {"code": "agi_arg_1", "ip": "agi_arg_2", "mac": "agi_arg_3"}


def call_arguments(variables: Mapping[str, str]) -> dict[str, str]:
    """Return `variables` with `code`, `ip` and `mac` as far as they are there and make sense.

    A value comes from the URL's query, else from the arguments after the URL, in this order. An
    address may have a port, as channels give it. InvalidDocument if the URL names another script.
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
    }
    return {**variables, **{name: value for name, value in usable.items() if value}}


def _usable_ip(text: str) -> str:
    for candidate in (text, text.rpartition(":")[0].strip("[]")):
        try:
            return str(ipaddress.ip_address(candidate))
        except ValueError:
            continue
    return ""


def _usable_mac(text: str) -> str:
    try:
        return norm_mac(text)
    except ValueError:
        return ""
