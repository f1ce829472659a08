"""How Cisco phones with SCCP want their settings: a `<device>` document that names their servers.

Everything that has to do with calls comes from the SCCP server when the phone registers there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet import defer

from provd.plugin.api import (
    FamilyPlugin,
    Phone,
    RawConfigParamError,
    escape_xml,
    is_line_safe,
    to_one_line,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

SCCP_PORT = 2000
_LOAD_SUFFIXES = (".loads", ".bin")


class CallManager(NamedTuple):
    """A server that phones register at; that of the lowest priority first."""

    priority: int
    host: str
    port: int


class CiscoSccpPlugin(FamilyPlugin):
    """Cisco phones with enterprise firmware and SCCP."""

    IS_PLUGIN = True
    needs_http = False
    can_hold = staticmethod(is_line_safe)
    lead = 11
    models_of_others = re.compile(r"(?:SPA|PAP|ATA)|.*-3PCC$")  # those of provd-cisco-spa

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML on one line holds it."""
        return escape_xml(to_one_line(value))

    def read(self, device: Mapping[str, Any], raw_config: Mapping[str, Any]) -> Phone:
        """Refuse a password that would reach the phone as another one."""
        phone = super().read(device, {**raw_config, "sip_lines": {}, "funckeys": {}})
        for section in ("sip_lines", "funckeys"):
            if raw_config.get(section) and raw_config.get("sccp_call_managers"):
                phone.notes.add(f"{section}: the phone gets them from its SCCP server")
        return phone

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        managers = call_managers_of(phone.raw)
        if not managers:
            phone.notes.add("sccp_call_managers is empty: the phone has nowhere to register")
        if phone.vlan is not None:
            phone.notes.add(
                "vlan_id is left out: the phone takes its VLAN from CDP, LLDP or its menu"
            )
        return {
            "managers": managers,
            "zone_name": phone.nearest_zone_code(self.family.tables["zones"]),
            "load": self.load_of(phone),
            "phonebook": phone.phonebook_url("cisco", entry_point="menu"),
        }

    def firmware_url(self, phone: Phone) -> str | None:  # noqa: ARG002
        """Return None: phones are told the name of their load, not a URL."""
        return None

    def load_of(self, phone: Phone) -> str | None:
        """Return the name of the firmware that the phone is to load, None to leave it alone."""
        name = (self.settings.get("firmware") or {}).get(phone.device.get("model"))
        package = self.installed.firmware(phone.model.name)
        load = name or (package or {}).get("serves")
        for suffix in _LOAD_SUFFIXES:
            load = load and str(load).removesuffix(suffix)
        return load

    def synchronize(
        self,
        device: dict[str, Any],
        raw_config: dict[str, Any],  # noqa: ARG002
    ) -> defer.Deferred[Any]:
        """Fail: a phone with SCCP obeys its call manager only."""
        return defer.fail(
            NotImplementedError(
                f"device {device.get('id')} speaks SCCP: its call manager resets it, "
                "as with `sccp reset` in Asterisk"
            )
        )


def call_managers_of(raw_config: Mapping[str, Any]) -> list[CallManager]:
    """Return the call managers in their order; RawConfigParamError names what is wrong."""
    managers = []
    for key, manager in (raw_config.get("sccp_call_managers") or {}).items():
        where = f"sccp_call_managers.{key}"
        if not (key.isascii() and key.isdigit() and int(key[:9])):
            raise RawConfigParamError(f"{where}: not a number from 1")
        if not isinstance(manager, dict) or not manager.get("ip"):
            raise RawConfigParamError(f"{where}.ip: required")
        port = str(manager.get("port") or SCCP_PORT)
        if not (port.isascii() and port.isdigit() and 1 <= int(port[:9]) <= 65535):
            raise RawConfigParamError(f"{where}.port: not a port from 1 to 65535")
        managers.append(CallManager(int(key[:9]) - 1, str(manager["ip"]), int(port)))
    return sorted(managers)
