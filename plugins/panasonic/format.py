"""How Panasonic phones want their settings: `NAME="value"` lines below a fixed first line.

A value goes to the last quotation mark of its line, and may hold others.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from provd.plugin.api import FamilyPlugin, Phone, RequestType, to_one_line

if TYPE_CHECKING:
    from provd.plugin.api import DeviceInfo, PhoneRequest

# A line may have 537 bytes; names are shorter than the remainder.
_LONGEST = 480
_VERSION = re.compile(r"\d\d\.\d{3}")
# Without two keys for lines a phone cannot call; these are never cleared.
_LINE_KEYS = 2


class PanasonicPlugin(FamilyPlugin):
    """Panasonic phones."""

    IS_PLUGIN = True

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as it may stand between the quotation marks of its line."""
        if isinstance(value, bool):
            return "Y" if value else "N"
        text = to_one_line(value)
        return text.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")

    def refine(self, info: DeviceInfo, request: PhoneRequest) -> DeviceInfo | None:
        """Leave alone what has an address of Panasonic without saying what it is: PCs, cameras."""
        if request.kind is RequestType.DHCP and not request.options.get(60):
            return None
        return info

    @staticmethod
    def can_hold(secret: str) -> bool:
        """Tell whether a password can stand between the quotation marks of its line."""
        return PanasonicPlugin.escape(secret) == secret

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the template wants beside the neutral names."""
        for account in phone.accounts.values():
            if account.srtp_mode != "disabled":
                phone.notes.add("sip_srtp_mode is left out: the phone has no such setting")
            if account.dtmf_mode == "SIP-INFO":
                phone.notes.add("dtmf_mode SIP-INFO: the phone sends tones out of band by RTP")
        url = self.firmware_url(phone)
        version = _VERSION.search(url.rsplit("/", 1)[-1]) if url else None
        if url and version is None:
            phone.notes.add("firmware is left out: the name of the file tells no version")
        return {
            "firmware_version": version and version[0],
            "language_tag": phone.locale.replace("_", "-"),
            "cleared": [slot.index for slot in phone.free_slots if slot.index > _LINE_KEYS],
        }
