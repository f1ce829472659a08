"""How Digium phones want their settings: XML; function keys are contacts in a file of their own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from provd.plugin.api import DeviceInfo, FamilyPlugin, Phone, PhoneRequest, escape_xml

if TYPE_CHECKING:
    from provd.plugin.api import Key

_DEFAULT_PASSWORD = "789"  # noqa: S105 - that of the factory
_FIRMWARE_VERSION = re.compile(r"(\d+(?:_\d+)+)_D\d+_firmware\.eff")


class Contact(NamedTuple):
    """A contact that the phone shows on a key."""

    label: str
    number: str
    watched: str | None
    """SIP URI of the state that its lamp shows."""


class DigiumPlugin(FamilyPlugin):
    """Digium phones."""

    IS_PLUGIN = True

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML holds it."""
        return escape_xml(value)

    def refine(self, info: DeviceInfo, request: PhoneRequest) -> DeviceInfo | None:  # noqa: ARG002
        """Write versions with points."""
        if "version" in info:
            info["version"] = info["version"].replace("_", ".")
        if "model" in info:
            info["model"] = info["model"].upper()
        return info

    def served_url(self, value: str, phone: Phone) -> str:
        """Return the URL of a file; `{model}` in its name is that of the phone."""
        return super().served_url(value.replace("{model}", phone.model.name), phone)

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        firmware = self.firmware_url(phone)
        match = _FIRMWARE_VERSION.search(firmware or "")
        if firmware is not None and match is None:
            phone.notes.add("firmware is left out: its name does not tell a version and a model")
        return {
            "password": password_of(phone),
            "contacts": [contact_of(phone, key) for key in phone.keys],
            "firmware_version": match[1] if match else None,
        }


def password_of(phone: Phone) -> str | None:
    """Return the password of the phone's menus, digits; None keeps the one that it has."""
    login = phone.login("admin")
    if login is None or login.password is None:
        return _DEFAULT_PASSWORD
    if login.password.isascii() and login.password.isdigit():
        return login.password
    phone.notes.add("admin_password is left out: the phone wants digits")
    return None


def contact_of(phone: Phone, key: Key) -> Contact:
    """Return the contact of a function key, watched on the server of its line."""
    account = phone.accounts.get(key.line) or phone.first_account
    if not key.code or account is None:
        return Contact(key.label, key.value, None)
    return Contact(key.label, key.value, f"sip:{key.value}@{account.servers.registrar.host}")
