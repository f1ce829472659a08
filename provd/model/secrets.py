"""Which values of a JSON document are secrets, and what is shown in their place."""

from __future__ import annotations

import re
from typing import Any

MASK = "********"
_SECRET = re.compile(
    r"passw|secret|passphrase|psk|token|community|(private|local|api)_?key|provisioning_?(code|key)"
    r"|(^|_)pin($|_)",
    re.IGNORECASE,
)
_LOGIN_IN_URL = re.compile(r"(://[^/:@\s]*:)[^@/\s]+@")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


def masked(value: Any) -> Any:
    """Return a JSON value in which all below a key that names a secret is masked.

    So are passwords in URLs and private keys in PEM; what is empty stays so, as it tells that there
    is no secret.
    """
    return _masked(value, within=False)


def _masked(value: Any, *, within: bool) -> Any:
    if isinstance(value, dict):
        return {
            key: _masked(member, within=within or is_secret(key)) for key, member in value.items()
        }
    if isinstance(value, list):
        return [_masked(member, within=within) for member in value]
    if within:
        return value if value is None or isinstance(value, bool) or value == "" else MASK
    if not isinstance(value, str):
        return value
    return MASK if _PRIVATE_KEY.search(value) else _LOGIN_IN_URL.sub(rf"\1{MASK}@", value)


def is_secret(key: object) -> bool:
    """Tell whether a key names a secret."""
    return isinstance(key, str) and bool(_SECRET.search(key))


def without_secrets(document: dict[str, Any]) -> dict[str, Any]:
    """Return `document` without the members that `masked` would change, at every depth.

    A list that holds a secret is left out as a whole.
    """
    result = {}
    for key, value in document.items():
        if isinstance(value, dict) and not is_secret(key):
            result[key] = without_secrets(value)
        elif masked({key: value}) == {key: value}:
            result[key] = value
    return result
