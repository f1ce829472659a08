"""How Grandstream phones want their settings: XML, in one of two dialects.

Newer phones name their settings (`account.1.name`), older ones have numbers for them (`P270`). Line
n from 2 on has its P-codes in a block of a hundred: 401 for line 2, 501 for line 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.plugin.api import FamilyPlugin, Phone, escape_xml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provd.plugin.api import Account, Key

Setting = tuple[str, Any]

_TRANSPORT_P = {"udp": 0, "tcp": 1, "tls": 2}
_KEY_CODES_GXP = {"SpeedDial": 10, "BLF": 11, "CallPark": 19, "Line": 0}
# Line keys of P-code phones: 20 of them have the codes 301 and up.
_MOST_P_KEYS = 20
NAMED_VERSION = 2
P_VERSION = 1


class GrandstreamPlugin(FamilyPlugin):
    """Grandstream phones and adapters."""

    IS_PLUGIN = True

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML holds it."""
        return escape_xml(value)

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return the settings in the dialect of the model."""
        is_named = phone.model.fact("dialect", "named") == "named"
        settings = named_settings(phone) if is_named else p_settings(phone)
        firmware = self.firmware_url(phone)
        return {
            "is_named": is_named,
            "settings": [*settings, *_firmware(firmware, is_named=is_named)],
        }


def _yes(value: object) -> str:
    return "Yes" if value else "No"


def _host_port(account: Account) -> str:
    server = account.servers.proxy
    return str(server) if server.has_own_port else server.host


def _zone(phone: Phone) -> str | None:
    return None if phone.zone is None else phone.zone.to_posix()


def _password(account: Account) -> str | None:
    """Return the password; that of the shared account is empty, so that it registers without."""
    return "" if account.is_autoprov else account.password


def named_settings(phone: Phone) -> Iterator[Setting]:
    """Yield the settings of phones that name them."""
    for number in range(1, phone.model.lines + 1):
        yield from _named_account(f"account.{number}", phone.accounts.get(number), phone)
    for key in phone.keys:
        yield from _named_key(key)
    for slot in phone.free_slots:
        if slot.module is None:
            yield f"{slot.name}.keyMode", "None"
    if phone.ntp:
        yield "dateTime.ntp.server.1", phone.ntp
    if _zone(phone):
        yield "dateTime.timezone", _zone(phone)
    if phone.language:
        yield "language.gui", phone.language
    vlan = phone.vlan
    yield "network.port.eth.1.vlan.tag", vlan.id if vlan else 0
    yield "network.port.eth.1.vlan.priority", vlan.priority if vlan else 0
    if phone.dns:
        for number, octet in enumerate(phone.dns.split("."), 1):
            yield f"network.dns.preferred.ip.{number}", octet
    admin = phone.login("admin")
    if admin and admin.password:
        yield "users.admin.password", admin.password


def _named_account(prefix: str, account: Account | None, phone: Phone) -> Iterator[Setting]:
    yield f"{prefix}.enable", _yes(account)
    if account is None:
        return
    servers = account.servers
    yield f"{prefix}.name", account.name
    yield f"{prefix}.sip.server.1.address", _host_port(account)
    yield f"{prefix}.sip.server.2.address", servers.backup_proxy
    yield f"{prefix}.sip.outboundProxy.1.address", servers.outbound_proxy
    yield f"{prefix}.sip.userid", account.username
    yield f"{prefix}.sip.subscriber.userid", account.auth_username
    yield f"{prefix}.sip.subscriber.password", _password(account)
    yield f"{prefix}.sip.subscriber.name", account.display_name
    yield f"{prefix}.sip.voicemail.number", account.voicemail
    yield f"{prefix}.sip.transport", account.transport
    yield f"{prefix}.srtp.mode", account.srtp
    ways = account.dtmf.split()
    yield f"{prefix}.dtmf.sendInAudio", _yes("audio" in ways)
    yield f"{prefix}.dtmf.sendInRtp", _yes("rtp" in ways)
    yield f"{prefix}.dtmf.sendInSip", _yes("info" in ways)
    yield f"{prefix}.sip.subscribeMwi", _yes(phone.values.flag("sip_subscribe_mwi"))
    yield f"{prefix}.featureCodes.callFeatures", "No"
    yield f"{prefix}.sip.allowSipReset", "Yes"
    yield f"{prefix}.sip.unregisterOnReboot", "Yes"
    yield f"{prefix}.intercom.allowAutoAnswer", "Yes"
    yield f"{prefix}.call.dialplan", "{ [*x]+ }"
    yield f"{prefix}.sip.blf.callPickup.prefix", phone.extens["pickup_call"]


def _named_key(key: Key) -> Iterator[Setting]:
    if key.slot.module is not None:
        return
    physical = key.slot.group == "physical"
    yield f"{key.name}.keyMode", key.code
    yield f"{key.name}.account", f"Account{key.line}" if physical else key.line - 1
    yield f"{key.name}.description", key.label
    yield f"{key.name}.value", key.value


def p_settings(phone: Phone) -> Iterator[Setting]:
    """Yield the settings of phones that number them."""
    for number in range(1, phone.model.lines + 1):
        yield from _p_account(number, phone.accounts.get(number), phone)
    yield from _p_keys(phone)
    if phone.ntp:
        yield "P30", phone.ntp
    if _zone(phone):
        yield "P64", _zone(phone)
    if phone.language:
        yield "P1362", phone.language
    vlan = phone.vlan
    yield "P51", vlan.id if vlan else 0
    yield "P87", vlan.priority if vlan else 0
    if phone.dns:
        for code, octet in zip(("P92", "P93", "P94", "P95"), phone.dns.split("."), strict=True):
            yield code, octet
    syslog = phone.syslog
    yield "P207", syslog.host if syslog else ""
    yield "P208", syslog.level if syslog else 0
    for login, code in ((phone.login("admin"), "P2"), (phone.login("user"), "P196")):
        if login and login.password:
            yield code, login.password
    yield "P1347", phone.extens["pickup_call"]
    yield "P290", "{ [*x]+ }"
    yield "P81", 1
    yield "P298", 1


def _p_account(number: int, account: Account | None, phone: Phone) -> Iterator[Setting]:
    first = number == 1
    block = number + 2

    def code(of_first: str, of_others: str) -> str:
        return of_first if first else of_others.format(block)

    yield code("P271", "P{}01"), int(account is not None)
    if account is None:
        return
    servers = account.servers
    yield code("P270", "P{}17"), account.name
    yield code("P47", "P{}02"), _host_port(account)
    yield code("P2312", "P2{}12"), servers.backup_proxy
    yield code("P48", "P{}03"), servers.outbound_proxy
    yield code("P35", "P{}04"), account.username
    yield code("P36", "P{}05"), account.auth_username
    yield code("P34", "P{}06"), _password(account)
    yield code("P3", "P{}07"), account.display_name
    yield code("P33", "P{}26"), account.voicemail
    ways = account.dtmf.split()
    for way, of_first, of_others in (
        ("audio", "P2301", "P2{}01"),
        ("rtp", "P2302", "P2{}02"),
        ("info", "P2303", "P2{}03"),
    ):
        yield code(of_first, of_others), int(way in ways)
    yield code("P130", "P{}30"), _TRANSPORT_P[account.transport_name]
    yield code("P183", "P{}43"), account.srtp
    yield code("P99", "P{}15"), int(phone.values.flag("sip_subscribe_mwi"))
    yield code("P191", "P{}20"), 0
    yield code("P26015", "P26{}15"), 1


def _p_keys(phone: Phone) -> Iterator[Setting]:
    if phone.model.fact("keys") == "mpk":
        for key in phone.keys:
            base = 23000 + 5 * (key.slot.index - 1)
            for offset, value in enumerate((key.code, key.line - 1, key.label, key.value)):
                yield f"P{base + offset}", value
        return
    for key in phone.keys:
        n = key.slot.index
        if n > _MOST_P_KEYS or key.slot.module is not None:
            phone.notes.add(f"function key {key.number} is left out: the phone has no code for it")
            continue
        yield f"P32{n + 2}", _KEY_CODES_GXP[key.code]
        for offset, value in ((-2, key.line - 1), (-1, key.label), (0, key.value)):
            yield f"P3{3 * n + offset:02d}", value


def _firmware(url: str | None, *, is_named: bool) -> Iterator[Setting]:
    """Yield where the phone gets its firmware: a directory, without the scheme."""
    if url is None:
        return
    scheme, _, rest = url.partition("://")
    directory = rest.rsplit("/", 1)[0]
    if is_named:
        yield "provisioning.firmware.serverPath", directory
    else:
        yield "P192", directory
        yield "P212", {"tftp": 0, "http": 1, "https": 2}.get(scheme, 1)
