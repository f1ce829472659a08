"""Rules of device documents. A device is a JSON object; unknown keys are kept untouched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.errors import InvalidDocument
from provd.model.addresses import is_normed_ip, is_normed_mac
from provd.model.documents import check_depth, is_bool_like, is_storable_text, shown
from provd.model.parameters import unknown_names
from provd.model.shapes import Device

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# A change of one of these makes the files of the device stale.
RECONFIGURATION_KEYS = frozenset(
    {
        "plugin",
        "config",
        "mac",
        "uuid",
        "vendor",
        "model",
        "version",
        "options",
    }
)

_TEXT_KEYS = (
    "id",
    "mac",
    "ip",
    "sn",
    "uuid",
    "vendor",
    "model",
    "version",
    "plugin",
    "config",
    "added",
    "description",
    "tenant_uuid",
    "remote_state_sip_username",
)
_BOOL_KEYS = ("configured", "is_new")


def device_warnings(document: Mapping[str, Any]) -> list[str]:
    """Return a warning for each member that nobody knows; names that start with X_ are free."""
    return list(unknown_names("device", document, Device.__annotations__, "member"))[:50]


def validate_device(document: Mapping[str, Any], require_tenant: bool = True) -> None:
    """Raise InvalidDocument if `document` may not be stored as a device.

    Null counts as absent, except that `tenant_uuid` must be there, even if null, unless
    `require_tenant` is false. The form of the id is the matter of `ids.check_id`.
    """
    for key in _TEXT_KEYS:
        value = document.get(key)
        if value is None:
            continue
        if not isinstance(value, str):
            raise InvalidDocument(f"{key}: {shown(value)} is not text in device")
        if not is_storable_text(value):
            raise InvalidDocument(f"{key}: {shown(value)} holds a forbidden character in device")
    mac = document.get("mac")
    if mac is not None and not is_normed_mac(mac):
        raise InvalidDocument(
            f"Non-normalized MAC address {shown(mac)}; it must be six pairs of lower-case "
            "hexadecimal digits between colons, such as 00:15:65:12:34:56"
        )
    ip = document.get("ip")
    if ip is not None and not is_normed_ip(ip):
        raise InvalidDocument(
            f"Non-normalized IP address {shown(ip)}; it must be an IPv4 address of four numbers "
            "without leading zeros, such as 192.0.2.20"
        )
    for key in _BOOL_KEYS:
        value = document.get(key)
        if value is not None and not is_bool_like(value):
            raise InvalidDocument(f"{key}: {shown(value)} is not a boolean in device")
    options = document.get("options")
    if options is not None and not isinstance(options, dict):
        raise InvalidDocument(f"options: {shown(options)} is not an object in device")
    if require_tenant and "tenant_uuid" not in document:
        raise InvalidDocument('missing "tenant_uuid" field in device')
    check_depth(document)


def needs_reconfiguration(
    old: Mapping[str, Any], new: Mapping[str, Any], extra_keys: Iterable[str] = ()
) -> bool:
    """Tell whether going from `old` to `new` makes the rendered files stale.

    A missing key equals null. `extra_keys` adds to RECONFIGURATION_KEYS, such as `tenant_uuid`
    where URLs hold a key of the tenant.
    """
    return any(old.get(key) != new.get(key) for key in RECONFIGURATION_KEYS) or any(
        old.get(key) != new.get(key) for key in extra_keys
    )
