"""How Htek phones, and Sangoma's of the same design, want their settings: XML elements called P….

An account refers to one of six profiles for its servers. Firmware without profiles has the same
P-codes as those of accounts 1 to 6, so each of these accounts has its profile written as well.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Any

from provd.plugin.api import FamilyPlugin, Markup, Phone, code_of, escape_xml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provd.plugin.api import Account, Slot, Zone

Setting = tuple[int, str, Any]
"""P-code, what the vendor calls it, value."""

_PROFILES = 6
_AUTO_ACCOUNT = 255
_AUTOMATIC_DST = 2
_UPGRADE_MODES = {"tftp": 0, "http": 1, "https": 3}
_FIRST_KEYS = 4
_MIDDLE_KEYS = 36


class HtekPlugin(FamilyPlugin):
    """Phones of Htek's design."""

    IS_PLUGIN = True

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML holds it."""
        return escape_xml(value)

    def served_url(self, value: str, phone: Phone) -> str:
        """Return the URL of a firmware; of a directory, that of the folder in it with firmware."""
        if value.endswith("/") and "://" not in value:
            root = os.path.join(self._tftpboot_dir, "firmware")
            for path, folders, files in os.walk(os.path.join(root, value)):
                folders.sort()
                if any(name.endswith(".rom") for name in files):
                    value = f"{os.path.relpath(path, root)}/"
                    break
        return super().served_url(value, phone)

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return the settings as lines."""
        settings = [
            *accounts(phone),
            *keys(phone),
            *general(phone, self.firmware_url(phone), self.phonebook(phone)),
        ]
        lines = [*lines_of(settings), *(_cleared(slot) for slot in phone.free_slots)]
        return {"settings": Markup("".join(lines))}

    def phonebook(self, phone: Phone) -> str | None:
        """Return the URL of the directory."""
        return phone.phonebook_url("htek", "lookup", "term=")


def lines_of(settings: Iterable[Setting]) -> Iterator[str]:
    """Yield elements."""
    for code, name, value in settings:
        text = value if type(value) is int else escape_xml(_number(value))
        yield f'<P{code} para="{name}">{text}</P{code}>\n'


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, bool) else value


# Accounts


def accounts(phone: Phone) -> Iterator[Setting]:
    """Yield the settings of all accounts, used or not, and of the profiles of the first six."""
    tables = phone.family.tables
    for number in range(1, phone.model.lines + 1):
        account = phone.accounts.get(number)
        values: dict[str, Any] = {"active": account is not None}
        if account is not None:
            values |= account_values(account, phone)
        yield from _numbered(tables["account"], number, values)
        if account is not None and number <= _PROFILES:
            yield from _numbered(tables["profile"], number, profile_values(account, phone))


def _numbered(table: Any, number: int, values: dict[str, Any]) -> Iterator[Setting]:
    for name, row in table.items():
        if name in values and number <= len(row["codes"]):
            yield row["codes"][number - 1], f"Account{number}.{row['para']}", values[name]


def account_values(account: Account, phone: Phone) -> dict[str, Any]:
    """Return what an account has of its own."""
    return {
        "label": account.extension or account.name,
        "username": account.username,
        "auth_username": account.auth_username,
        "password": account.password,
        "name": account.display_name,
        "voicemail": account.voicemail,
        "pickup": phone.extens["pickup_call"],
        "group_pickup": phone.extens["pickup_group"],
        "profile": _profile_of(account, phone),
    }


def profile_values(account: Account, phone: Phone) -> dict[str, Any]:
    """Return what is of the profile of an account."""
    servers = account.servers
    outbound = servers.outbound_proxy
    if outbound is None and servers.registrar != servers.proxy:
        outbound = servers.proxy
    return {
        "server": servers.registrar,
        "backup": servers.backup_registrar,
        "outbound": outbound,
        "transport": account.transport,
        "srtp": account.srtp,
        "dtmf": account.dtmf,
        "mwi": phone.values.flag("sip_subscribe_mwi"),
    }


def _profile_of(account: Account, phone: Phone) -> int:
    """Return the profile, from 0: the first one that fits, for most phones that of account 1."""
    for number, other in phone.accounts.items():
        if number <= _PROFILES and _shared(other) == _shared(account):
            return number - 1
    phone.notes.add(
        f"line {account.number} gets the servers of line 1: the phone has {_PROFILES} profiles"
    )
    return 0


def _shared(account: Account) -> tuple[Any, ...]:
    return account.servers, account.srtp, account.dtmf


# Keys


def keys(phone: Phone) -> Iterator[Setting]:
    """Yield the keys in use."""
    for key in phone.keys:
        is_line = key.type == "line"
        pickup = f"{key.pickup}{key.value}" if key.pickup else ""
        account = _AUTO_ACCOUNT if is_line or key.line == 1 else key.line - 1
        yield from _key(
            key.slot, key.code, "" if is_line else key.value, key.label, account, pickup
        )


def _key(
    slot: Slot, kind: int, value: str, label: str, account: int, pickup: str
) -> Iterator[Setting]:
    values = {"Type": kind, "Mode": 0, "Value": value, "Label": label}
    values |= {"Account": account, "PickupCode": pickup}
    name = slot.name
    yield from (
        (code, f"{name}.{part}", values[part])
        for part, code in _codes_of(slot.index, slot.module).items()
    )


@functools.lru_cache(maxsize=1024)
def _codes_of(number: int, module: int | None) -> dict[str, int]:
    """Return the P-codes of a key by what they hold."""
    parts = ("Type", "Value", "Label", "Account", "PickupCode")
    if module is not None:
        first = 60000 + 1000 * (module - 1) + 5 * (number - 1)
        return {part: first + n for n, part in enumerate(parts)}
    if number <= _FIRST_KEYS:
        codes = {part: 41199 + number + 100 * n for n, part in enumerate(parts)}
        return {**codes, "Mode": 20599 + number}
    if number <= _MIDDLE_KEYS:
        first = 20200 + 5 * (number - _FIRST_KEYS - 1)
        codes = {part: first + n for n, part in enumerate(parts)}
        return {**codes, "Mode": 20599 + number}
    first = 23000 + 6 * (number - _MIDDLE_KEYS - 1)
    return {part: first + n for n, part in enumerate((parts[0], "Mode", *parts[1:]))}


@functools.lru_cache(maxsize=1024)
def _cleared(slot: Slot) -> str:
    return "".join(lines_of(_key(slot, 0, "", "", _AUTO_ACCOUNT, "")))


# What is of the whole phone


def general(phone: Phone, firmware: str | None, phonebook: str | None) -> Iterator[Setting]:
    """Yield the settings of the phone itself."""
    if phone.ntp:
        yield 30, "Preference.NTPServer", phone.ntp
    if phone.zone is not None:
        yield from _zone(phone.zone, phone)
    if phone.language is not None:
        yield 8621, "Preference.LcdLanguage", phone.language
        yield 2525, "Preference.WebLanguage", phone.language
    if phone.country is not None:
        yield 20058, "ToneSelectCountry", phone.country
    vlan = phone.vlan
    yield 24053, "Layer2QoS.VLAN", vlan is not None
    yield 51, "Layer2QoS.802.1Q/VLANTag", vlan.id if vlan else 0
    yield 87, "Layer2QoS.802.1pPriorityValue", vlan.priority if vlan else 0
    yield 229, "DataVLANTag", (vlan.pc_id if vlan else None) or 0
    if phone.dns:
        for number, octet in enumerate(phone.dns.split(".")):
            yield 92 + number, f"DNSServer{('First', 'Second', 'Third', 'Last')[number]}8Bit", octet
    syslog = phone.syslog
    yield 207, "SNMPService.SyslogServer", syslog.host if syslog else ""
    yield 208, "SNMPService.Sysloglevel", syslog.level if syslog else 0
    for account, name_code, code in (("admin", 8681, 2), ("user", 8682, 196)):
        login = phone.login(account)
        if login:
            yield name_code, f"LogUser.{account.title()}", login.name
            if login.password:
                yield code, f"{account.title()}Password", login.password
    yield from _codes(phone)
    yield from _servers(phone, firmware)
    yield 330, "PhonebookXMLDownload", phonebook is not None
    yield 331, "PhonebookXMLPath", None if phonebook is None else phonebook.rpartition("&")[0]
    yield 4401, "RemotePhoneBook1.Url", phonebook
    yield 3316, "RemotePhoneBook1.Name", "Directory" if phonebook else ""


def _zone(zone: Zone, phone: Phone) -> Iterator[Setting]:
    tables = phone.family.tables
    code = code_of(zone, tables.get("zones", {}))
    if code is None:
        code = tables["offsets"].get(str(zone.minutes))
    if code is None:
        phone.note_unknown_zone()
        return
    yield 143, "DHCPOverrideTimeZone", 0
    yield 64, "Preference.TimeZone", code
    yield 75, "Preference.DaylightSavingTime", _AUTOMATIC_DST if zone.dst else 0


def _codes(phone: Phone) -> Iterator[Setting]:
    for name, exten, on in (
        ("ForwardAlways", "fwd_unconditional", 53102),
        ("ForwardBusy", "fwd_busy", 53112),
        ("ForwardNoAnswer", "fwd_no_answer", 53122),
        ("DND", "dnd", 53200),
    ):
        yield on, f"{name}.OnCode", phone.extens[exten]
        yield on + 1, f"{name}.OffCode", phone.extens[exten]


def _servers(phone: Phone, firmware: str | None) -> Iterator[Setting]:
    scheme = phone.base_url.partition("://")[0]
    yield 212, "FirmwareUpGrade.UrgrateMode", _UPGRADE_MODES.get(scheme, 1)
    yield 237, "FirmwareUpGrade.ConfigServerPath", f"{phone.base_url}/"
    if firmware is not None:
        yield 192, "FirmwareUpGrade.FirmwareServerPath", firmware.rpartition("/")[0]
