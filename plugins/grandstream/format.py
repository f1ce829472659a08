"""How Grandstream phones want their settings: XML, whose settings have names or numbers.

Newer phones name them (`account.1.name`), older ones have P-codes (`P270`). What a setting is
called stands in tables of `family.toml`; this module works out what it is to be. GXP2000 reads
P-codes in a binary file.
"""

from __future__ import annotations

import functools
import html
import os
import re
from itertools import chain
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from provd.plugin.api import (
    FamilyPlugin,
    InvalidDocument,
    Markup,
    Phone,
    RenderedFile,
    Zone,
    code_of,
    escape_xml,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provd.plugin.api import Account, Change, Server, Slot

Setting = tuple[str, Any]

_BLOCKS = (0, 4, 5, 6, 17, 18)
_SIP_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}
_PROTOCOLS = ("tftp", "http", "https")
_PHONEBOOK_MODES = {"http": 1, "tftp": 2, "https": 3}
_PHONEBOOK_MINUTES = 720
_DIAL_ALL = "{ [*x]+ }"
_DTMF_CODES = {"audio": 100, "rtp": 101, "info": 102}
_OLD_DTMF_BITS = {"audio": 8, "rtp": 1, "info": 2}
# Keys of phones with P-codes: the 8th and later ones are elsewhere than the first seven.
_FIRST_MEMORY_KEYS = 7
_FIRST_VIRTUAL_KEYS = 6
_FIRST_NAMES = 20
"""How many ports have the codes of their names in a row: the next one would be the dial plan's."""
_NAMES_BEYOND = 4252
_P_SETTING = re.compile(r"<(P\d+)>([^<]*)</\1>")


class GrandstreamPlugin(FamilyPlugin):
    """Grandstream phones and adapters.

    Settings: `firmware` (model -> URL, or name of a file in var/tftpboot/firmware) and `phonebook`
    (URL of the directory that holds `phonebook.xml`).
    """

    IS_PLUGIN = True

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings of another form."""
        super().check_settings(settings)
        url = settings.get("phonebook")
        if url and (not isinstance(url, str) or url.partition("://")[0] not in _PHONEBOOK_MODES):
            raise InvalidDocument(
                "the setting 'phonebook' is the URL of a directory, by http, https or tftp"
            )

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML holds it."""
        return escape_xml(value)

    def get_remote_state_trigger_filename(self, device: Mapping[str, Any]) -> str | None:
        """Return the name of the file that holds the configuration."""
        name = super().get_remote_state_trigger_filename(device)
        if name is not None and is_binary(self.model_of(device, {})):
            return name.removesuffix(".xml")
        return name

    def files_of(self, phone: Phone) -> Iterable[RenderedFile]:
        """Return the XML file or the binary one; both while no model is known."""
        is_old = is_binary(phone.model)
        for file in super().files_of(phone):
            if not is_old:
                yield file
            # By TFTP a phone does not tell its model, and the oldest asks for nothing else.
            if is_old or not phone.device.get("model"):
                yield _binary_of(file, phone)

    def served_url(self, value: str, phone: Phone) -> str:
        """Return the URL of a firmware; of a directory, that of the folder in it with firmware."""
        if value.endswith("/") and "://" not in value:
            value = self._firmware_folder(value)
        return super().served_url(value, phone)

    def _firmware_folder(self, directory: str) -> str:
        root = os.path.join(self._tftpboot_dir, "firmware")
        for path, folders, files in os.walk(os.path.join(root, directory)):
            folders.sort()
            if any(name.endswith(".bin") for name in files):
                return f"{os.path.relpath(path, root)}/"
        return directory

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return the settings under the names of the model."""
        is_named = names_of(phone) == "named"
        shared = self.family.tables["general"]
        names = shared["named"] if is_named else shared["gxp"]
        if phone.model.type == "ata" or is_binary(phone.model):
            names = {**names, **shared["old" if is_binary(phone.model) else "ata"]}
        values = general(phone, self.firmware_url(phone), self.settings.get("phonebook"))
        settings = chain(
            accounts(phone),
            named_keys(phone) if is_named else p_keys(phone),
            ((names[name], value) for name, value in values if name in names),
        )
        lines = named_lines(settings) if is_named else p_lines(settings)
        cleared = cleared_named(phone) if is_named else cleared_p(phone)
        return {"is_named": is_named, "settings": Markup("".join([*lines, *cleared]))}


def _binary_of(file: RenderedFile, phone: Phone) -> RenderedFile:
    assert phone.mac is not None
    settings = [
        (code, html.unescape(value)) for code, value in _P_SETTING.findall(file.content.decode())
    ]
    return RenderedFile(file.name.removesuffix(".xml"), to_binary(phone.mac, settings))


def names_of(phone: Phone) -> str:
    """Return how the settings of the model are called: `named`, or a table of P-codes.

    All know P-codes, so a phone whose model nobody knows gets those.
    """
    is_known = phone.model.name in phone.family.models
    return str(phone.model.fact("names", "named" if is_known else "gxp"))


def is_binary(model: Any) -> bool:
    """Tell whether a model reads the binary file only."""
    return bool(model.fact("names") == "old")


def named_lines(settings: Iterable[Setting]) -> Iterator[str]:
    """Yield items with a name."""
    for name, value in settings:
        if isinstance(value, bool):
            text = "Yes" if value else "No"
        else:
            text = escape_xml(value["named"] if isinstance(value, dict) else value)
        yield f'<item name="{name}">{text}</item>\n'


def p_lines(settings: Iterable[Setting]) -> Iterator[str]:
    """Yield elements whose names are P-codes."""
    for code, value in settings:
        if isinstance(value, int):
            yield f"<{code}>{int(value)}</{code}>\n"
        else:
            text = escape_xml(value["p"] if isinstance(value, dict) else value)
            yield f"<{code}>{text}</{code}>\n"


# Accounts


def accounts(phone: Phone) -> Iterator[Setting]:
    """Yield the settings of all accounts, used or not."""
    names = names_of(phone)
    table = phone.family.tables["account"][names]
    if names == "ports":
        yield from _ports(phone, table)
        return
    blocks = phone.model.fact("blocks", _BLOCKS)
    for number in range(1, phone.model.lines + 1):
        account = phone.accounts.get(number)
        values = {"active": False} if account is None else dict(account_values(account, phone))
        for name, code in table.items():
            if name not in values:
                continue
            if names == "named":
                yield _named(phone, name, code).format(number), values[name]
            else:
                block = blocks[number - 1]
                yield code[block != 0].format(block), values[name]
        if names == "gxp":
            # A hundred for each line, whatever the block: P26015, P26115, P26215.
            yield f"P26{number - 1}15", account is not None


def _named(phone: Phone, name: str, item: str) -> str:
    if name == "auth_username":
        return item.replace("userid", phone.model.fact("auth_id", "userid"))
    return item


def account_values(account: Account, phone: Phone) -> Iterator[Setting]:
    """Yield the settings of an account by their neutral names."""
    servers = account.servers
    outbound = servers.outbound_proxy
    if outbound is None and servers.registrar != servers.proxy:
        outbound = servers.proxy
    is_old = names_of(phone) == "old"
    yield "active", True
    yield "register", True
    yield "shown", "User Name"
    yield "label", account.name
    yield "server", _address(servers.registrar, account)
    yield "backup", _address(servers.backup_registrar, account)
    yield "outbound", _address(outbound, account)
    yield "username", account.username
    yield "auth_username", account.auth_username
    # The account of phones that are nobody's yet registers without a password.
    yield "password", "" if account.is_autoprov else account.password
    yield "name", account.display_name
    yield "voicemail", account.voicemail
    if not is_old:
        yield "transport", account.transport
    elif "old" in account.transport:
        yield "transport", account.transport["old"]
    else:
        phone.notes.add(f"sip_transport {account.transport_name} is left out: it has no TLS")
    yield "srtp", account.srtp
    yield from _dtmf(account.dtmf.split())
    yield "mwi", phone.values.flag("sip_subscribe_mwi")
    yield "features", False
    yield "resync", True
    yield "unregister", True
    yield "answer", True
    yield "dialplan", _DIAL_ALL
    yield "pickup", phone.extens["pickup_call"]
    for name, code in (
        ("dnd", "dnd"),
        ("always", "fwd_unconditional"),
        ("busy", "fwd_busy"),
        ("no_answer", "fwd_no_answer"),
    ):
        yield f"{name}_on", phone.extens[code]
        yield f"{name}_off", phone.extens[code]


def _dtmf(ways: list[str]) -> Iterator[Setting]:
    for way in _DTMF_CODES:
        yield f"dtmf_{way}", way in ways
    # Adapters take the first way that the other side knows.
    order = [*ways, *(way for way in ("rtp", "info", "audio") if way not in ways)]
    for place, way in zip(("first", "second", "third"), order, strict=True):
        yield f"dtmf_{place}", _DTMF_CODES[way]
    yield "dtmf", sum(_OLD_DTMF_BITS[way] for way in ways)


def _address(server: Server | None, account: Account) -> str | None:
    """Return a server, with its port where that is not the one of the transport."""
    if server is None:
        return None
    return server.host if server.port == _SIP_PORTS[account.transport_name] else str(server)


def _ports(phone: Phone, table: Mapping[str, Any]) -> Iterator[Setting]:
    """Yield a profile that all ports share, and what each has of its own."""
    first = phone.first_account
    if first is None:
        yield table["active"][0], False
    else:
        values = dict(account_values(first, phone))
        yield from ((code[0], values[name]) for name, code in table.items() if name in values)
    for number in range(1, phone.model.lines + 1):
        account = phone.accounts.get(number)
        if account is not None and first is not None:
            _note_other_profile(account, first, phone)
        values = {} if account is None else dict(account_values(account, phone))
        values["enabled"], values["profile"] = account is not None, 0
        for name, code in phone.family.tables["port"].items():
            if name == "name" and number > _FIRST_NAMES:
                code = _NAMES_BEYOND - _FIRST_NAMES  # noqa: PLW2901
            yield f"P{code + number - 1}", values.get(name)


def _note_other_profile(account: Account, first: Account, phone: Phone) -> None:
    for what in ("servers", "srtp_mode", "dtmf_mode", "voicemail"):
        if getattr(account, what) != getattr(first, what):
            phone.notes.add(
                f"line {account.number}: its {what.replace('_mode', '')} are those of line "
                f"{first.number}, as all ports share them"
            )


# Keys


def named_keys(phone: Phone) -> Iterator[Setting]:
    """Yield the keys of phones that name their settings."""
    mode = phone.model.fact("mode", "keyMode")
    for key in phone.keys:
        name = _item_of(key.slot, phone)
        yield f"{name}.{mode}", key.code["named"]
        yield (
            f"{name}.account",
            key.line - 1 if key.slot.group == "screen" else f"Account{key.line}",
        )
        yield f"{name}.description", key.label
        yield f"{name}.value", key.value


def cleared_named(phone: Phone) -> Iterator[str]:
    """Yield the lines that clear what keys are free."""
    mode = phone.model.fact("mode", "keyMode")
    for slot in phone.free_slots:
        name = slot.name if slot.module is None else _item_of(slot, phone)
        yield _cleared_item(name, mode, slot.module is None)


@functools.lru_cache(maxsize=2048)
def _cleared_item(name: str, mode: str, has_texts: bool) -> str:
    # Android phones have no type for it; without a value a key does nothing.
    settings: list[Setting] = [(f"{name}.{mode}", "None")] if mode == "keyMode" else []
    if has_texts:
        settings += [(f"{name}.description", ""), (f"{name}.value", "")]
    return "".join(named_lines(settings))


def _item_of(slot: Slot, phone: Phone) -> str:
    """Return the item of a key; those of all modules are numbered through."""
    if slot.module is None:
        return slot.name
    return f"pks.ext.{(slot.module - 1) * phone.model.module_keys + slot.index}"


def p_keys(phone: Phone) -> Iterator[Setting]:
    """Yield the keys of phones with P-codes."""
    row = phone.model.fact("mpk")
    for key in phone.keys:
        codes = codes_of(key.slot.group, key.slot.index, row)
        mode = key.code[key.slot.group]
        yield from zip(codes, (mode, key.line - 1, key.label, key.value), strict=True)


def cleared_p(phone: Phone) -> Iterator[str]:
    """Yield the lines that clear what keys are free: one without a value does nothing."""
    row = phone.model.fact("mpk")
    for slot in phone.free_slots:
        yield _cleared_codes(slot.group, slot.index, row)


@functools.lru_cache(maxsize=2048)
def _cleared_codes(group: str, number: int, row: int | None) -> str:
    values = (-1 if group == "virtual" else 0, 0, "", "")
    return "".join(p_lines(zip(codes_of(group, number, row), values, strict=True)))


def codes_of(group: str, number: int, row: int | None) -> tuple[str, str, str, str]:
    """Return the P-codes of a key: type, account, label, value.

    `row` is the first one where all keys follow each other by five.
    """
    if row is not None:
        first = row + 5 * (number - 1)
    elif group == "virtual":
        if number <= _FIRST_VIRTUAL_KEYS:
            mode, label = 1361 + 2 * number, 1463 + 2 * number
            return f"P{mode}", f"P{mode + 1}", f"P{label}", f"P{label + 1}"
        first = 23800 + 4 * (number - _FIRST_VIRTUAL_KEYS - 1)
    elif number <= _FIRST_MEMORY_KEYS:
        account = 298 + 3 * number
        return f"P{322 + number}", f"P{account}", f"P{account + 1}", f"P{account + 2}"
    else:
        first = 353 + 4 * (number - _FIRST_MEMORY_KEYS - 1)
    return f"P{first}", f"P{first + 1}", f"P{first + 2}", f"P{first + 3}"


# What is of the whole phone


def general(phone: Phone, firmware: str | None, phonebook: str | None) -> Iterator[Setting]:
    """Yield the settings of the phone itself by their neutral names."""
    is_named = names_of(phone) == "named"
    if phone.ntp:
        yield "ntp", phone.ntp
    if phone.zone is not None:
        yield "dhcp_zone", False
        yield from _old_zone(phone.zone) if is_binary(phone.model) else _zone(phone.zone, phone)
    if phone.language:
        yield "language", phone.language
    yield from _network(phone)
    syslog = phone.syslog
    yield "syslog_server", syslog.host if syslog else ""
    yield "syslog_level", syslog.level if syslog else {"named": "None", "p": 0}
    for login in (phone.login("admin"), phone.login("user")):
        if login and login.password:
            yield f"{login.account}_password", login.password
    for what, url in (("config", f"{phone.base_url}/Grandstream"), ("firmware", firmware)):
        if url is not None:
            yield from _server(what, url, phone)
    yield "dhcp_server", True
    # Each night at some time between 23 and 1 o'clock, without asking anybody.
    yield "check", "YesUpgradeHourOfDay" if is_named else 2
    yield "check_random", True
    yield "check_from", 23
    yield "check_to", 1
    yield "ask_upgrade", False
    if phonebook:
        scheme, _, rest = phonebook.partition("://")
        mode = {"named": f"EnabledUse{scheme.upper()}", "p": _PHONEBOOK_MODES[scheme]}
        yield "phonebook_mode", mode
        yield "phonebook_server", rest.rstrip("/")
        yield "phonebook_interval", _PHONEBOOK_MINUTES
    tables = phone.family.tables
    for name, code in (
        ("prompts", tables["prompts"].get(phone.language_code)),
        ("impedance", tables["impedance"].get(phone.country_code)),
        ("caller_id", tables["caller_id"].get(phone.country_code)),
        ("fax", 0),
        ("fax_invite", 1),
    ):
        if code is not None:
            yield name, code


def _network(phone: Phone) -> Iterator[Setting]:
    vlan = phone.vlan
    yield "has_vlan", vlan is not None
    yield "vlan", vlan.id if vlan else 0
    for name in ("vlan_priority", "sip_priority", "rtp_priority"):
        yield name, vlan.priority if vlan else 0
    yield "pc_vlan", (vlan.pc_id if vlan else None) or 0
    if phone.dns:
        for number, octet in enumerate(phone.dns.split("."), 1):
            yield f"dns_{number}", octet


def _server(what: str, url: str, phone: Phone) -> Iterator[Setting]:
    """Yield a directory of files: its protocol, and the rest without it."""
    scheme, _, rest = url.partition("://")
    if scheme not in _PROTOCOLS:
        phone.notes.add(f"{what} is left alone: the phone does not fetch by {scheme}")
        return
    protocol = {"named": scheme.upper(), "p": _PROTOCOLS.index(scheme)}
    yield f"{what}_protocol", protocol
    yield f"{what}_server", rest if what == "config" else rest.rpartition("/")[0]


def _zone(zone: Zone, phone: Phone) -> Iterator[Setting]:
    own_zone = phone.model.fact("own_zone")
    code = None if own_zone else code_of(zone, phone.family.tables["zones"])
    if code is None and own_zone is False:
        code = zone.to_posix()
    yield "zone", code or "customize"
    if code is None:
        yield "own_zone", zone.to_posix()


def _old_zone(zone: Zone) -> Iterator[Setting]:
    """Yield the zone as GXP2000 has it: minutes from 0 on, and a rule of its own form."""
    yield "zone", 720 + zone.minutes
    yield "dst", zone.dst is not None
    yield "own_zone", _old_rule(zone)


def _old_rule(zone: Zone) -> str:
    if zone.dst is None:
        return ""
    dst = zone.dst
    return f"{_old_change(dst.start)};{_old_change(dst.end)};{dst.save // 60}"


def _old_change(change: Change) -> str:
    """Return `month,n,weekday,hour,minute`; the n-th weekday (-1: the last), or day n and 0."""
    day = change.day if change.week is None else -1 if change.is_last_week else change.week
    return f"{change.month},{day},{change.weekday or 0},{change.hour},{change.minute}"


# The binary file


def to_binary(mac: str, settings: Iterable[Setting]) -> bytes:
    """Return the file that GXP2000 reads: header, then settings as in a URL.

    The header holds the length of the file in words of two bytes, what makes the sum of all words
    0 modulo 65536, the MAC, and two line ends.
    """
    text = urlencode([*settings, ("gnkey", mac[2:6])], quote_via=quote, errors="replace").encode()
    text += bytes(-len(text) % 4)
    head = (8 + len(text) // 2).to_bytes(4, "big")
    rest = bytes.fromhex(mac) + b"\r\n\r\n" + text
    words = head + rest
    total = sum(int.from_bytes(words[at : at + 2], "big") for at in range(0, len(words), 2))
    return head + (-total % 65536).to_bytes(2, "big") + rest
