"""What makes a phone itself: its MAC address, serial number and UUID.

Each value belongs to at most one device, its owner. Documents of earlier versions, or of an
import, may share one; then one of them owns it and the others wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.model.config import is_transient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

KINDS = ("mac", "sn", "uuid")

Identity = tuple[str, str]
"""A kind and its value."""


def identities(device: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the identities of a device document, by kind; empty text is none."""
    if device is None:
        return {}
    return {kind: value for kind in KINDS if isinstance(value := device.get(kind), str) and value}


def is_unclaimed(device: Mapping[str, Any], config: Mapping[str, Any] | None) -> bool:
    """Tell whether a request made the device and nobody has laid a hand on it since.

    `config` is the document that its `config` names, None if there is no such document.
    """
    if device.get("added") != "auto" or device.get("is_new") is False:
        return False
    return not device.get("config") or (config is not None and is_transient(config))


def elect(
    devices: Iterable[Mapping[str, Any]],
    config_of: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
) -> str | None:
    """Return the id of the device that is to own what all of `devices` have; None without any.

    That is the oldest that somebody claimed, else the oldest. They come oldest first.
    """
    oldest: str | None = None
    for device in devices:
        if not is_unclaimed(device, config_of(device)):
            return str(device["id"])
        oldest = oldest or str(device["id"])
    return oldest


def may_be_one_phone(device: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Tell whether two devices that share an identity may be one phone: the MAC decides."""
    mac, other_mac = identities(device).get("mac"), identities(other).get("mac")
    return mac is None or other_mac is None or mac == other_mac
