"""How Cisco phones with enterprise firmware want their settings: one `<device>` document.

A phone registers all its lines at the servers of one group, unless a line names another proxy. An
adapter reads one document for each of its two lines.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet import defer

from provd.plugin.api import (
    FamilyPlugin,
    Phone,
    RawConfigError,
    RenderedFile,
    escape_xml,
    is_line_safe,
    to_one_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provd.plugin.api import Account, Server

_ADAPTER = "ATA190"
_ADAPTER_LINES = 2
_ADAPTER_EVENT = "check-sync"
# What a call manager tells a phone that is to read its files again.
_RESTART = (
    "Content-type=text/plain",
    "Content=action=restart",
    "Content=RegisterCallId={}",
    "Content=ConfigVersionStamp={0000000000000000}",
    "Content=DialplanVersionStamp={0000000000000000}",
    "Content=SoftkeyVersionStamp={0000000000000000}",
)
_LOAD_SUFFIX = ".loads"


class CiscoLine(NamedTuple):
    """A button: an account, or a number with or without its state."""

    button: int
    index: int
    feature: int
    label: str
    number: str
    account: Account | None
    proxy: Server | None
    """None: the servers of the group."""


class CiscoSipPlugin(FamilyPlugin):
    """Cisco phones with enterprise firmware and SIP."""

    IS_PLUGIN = True
    can_hold = staticmethod(is_line_safe)
    lead = 10
    models_of_others = re.compile(r"(?:SPA|PAP|ATA19[12])|.*-3PCC$")  # those of provd-cisco-spa

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML on one line holds it; booleans are true and false."""
        if isinstance(value, bool):
            return "true" if value else "false"
        return escape_xml(to_one_line(value))

    # Files

    def file_names(self, device: Mapping[str, Any]) -> Iterator[str]:
        """Yield the names for the model first, then those of the other kind."""
        mac = device.get("mac")
        if not mac:
            return
        digits = str(mac).replace(":", "").upper()
        phone = [f"SEP{digits}.cnf.xml"]
        adapter = [f"ATA{digits}.cnf.xml", f"ATA{digits[2:]}01.cnf.xml"]
        is_adapter = is_adapter_model(device.get("model"))
        yield from (adapter + phone if is_adapter else phone + adapter)

    def files_of(self, phone: Phone) -> Iterable[RenderedFile]:
        """Yield the document of a phone, or one for each line of an adapter."""
        names = list(self.file_names(phone.device))
        if not names:
            raise RawConfigError("a Cisco phone cannot be configured before its MAC is known")
        context = {**self.neutral_context(phone), **self.context(phone)}
        is_adapter = is_adapter_model(phone.device.get("model"))
        like = {**phone.device, "model": _ADAPTER} if is_adapter else phone.device
        for number, name in enumerate(names[: _ADAPTER_LINES if is_adapter else 1], 1):
            account = phone.accounts.get(number)
            if account is None and number > 1:
                continue
            template = self.templates.get_dev_template(name, like)
            text = template.render({**context, "account": account})
            yield RenderedFile(name, text.encode("utf-8", "replace"))

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        note_left_out(phone)
        zone_name = None
        if not is_adapter_model(phone.model.name):
            zone_name = phone.nearest_zone_code(self.family.tables["zones"])
        first = phone.first_account
        outbound = next(
            (one for one in (a.servers.outbound_proxy for a in phone.accounts.values()) if one),
            None,
        )
        phonebook = phone.phonebook_url("cisco", entry_point="menu")
        return {
            "first": first,
            "servers": servers_of(first),
            "outbound": outbound,
            "lines": list(lines_of(phone)),
            "zone_name": zone_name,
            "load": self.load_of(phone),
            "phonebook": phonebook and f"{phonebook}&",
        }

    def load_of(self, phone: Phone) -> str | None:
        """Return the name of the firmware that the phone is to load, None to leave it alone."""
        name = (self.settings.get("firmware") or {}).get(phone.device.get("model"))
        package = self.installed.firmware(phone.model.name)
        load = name or (package or {}).get("serves")
        return load and str(load).removesuffix(_LOAD_SUFFIX)

    def synchronize(
        self,
        device: dict[str, Any],
        raw_config: dict[str, Any],  # noqa: ARG002
    ) -> defer.Deferred[Any]:
        """Send the NOTIFY by which a call manager makes a phone read its files again."""
        if is_adapter_model(device.get("model")):
            return defer.maybeDeferred(self._app.sip_notify, device, _ADAPTER_EVENT)
        return defer.maybeDeferred(self._app.sip_notify, device, self.sync_event, list(_RESTART))


def is_adapter_model(model: object) -> bool:
    """Tell whether a model is an adapter, known or not."""
    return str(model or "").startswith("ATA")


def servers_of(account: Account | None) -> list[Server]:
    """Return the servers of the group, that of the lowest line and its backup."""
    if account is None:
        return []
    servers = account.servers
    return [server for server in (servers.proxy, servers.backup_proxy) if server is not None]


def lines_of(phone: Phone) -> Iterator[CiscoLine]:
    """Yield the buttons in use; an account has the one of its number, whatever else is asked."""
    buttons: dict[int, tuple[int, str, str, Account | None, Server | None]] = {}
    first = phone.first_account
    group = servers_of(first)
    for number, account in phone.accounts.items():
        proxy = account.servers.proxy
        own = None if proxy == group[0] else proxy
        label = account.extension or account.username or ""
        feature = phone.family.codes["key"]["line"]
        buttons[number] = (feature, label, account.extension or "", account, own)
    for key in phone.keys:
        if key.type == "line":
            continue
        if key.slot.index in phone.accounts:
            phone.notes.add(f"function key {key.number} is left out: it is the key of a line")
            continue
        buttons[key.slot.index] = (key.code, key.label, key.value, None, None)
    for index, button in enumerate(sorted(buttons), 1):
        yield CiscoLine(button, index, *buttons[button])


def note_left_out(phone: Phone) -> None:
    """Note what is asked for and the phone cannot do."""
    if phone.vlan is not None:
        phone.notes.add("vlan_id is left out: the phone takes its VLAN from CDP, LLDP or its menu")
    if phone.dns is not None:
        phone.notes.add("dns_ip is left out: the phone takes it from DHCP")
    for number, account in phone.accounts.items():
        if account.dtmf_mode == "SIP-INFO":
            phone.notes.add(f"line {number}: the phone has no SIP INFO for digits, RTP is used")
        if account.servers.registrar != account.servers.proxy:
            phone.notes.add(
                f"sip_lines.{number}.registrar_ip is left out: the phone registers at its proxy"
            )
