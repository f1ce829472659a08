"""How Avaya phones want their settings: `SET NAME "value"` (J100), `NAME value` (1200 series)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from provd.plugin.api import (
    FamilyPlugin,
    Phone,
    is_line_safe,
    to_one_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provd.plugin.api import Change

Setting = tuple[str, Any]


class AvayaPlugin(FamilyPlugin):
    """Avaya phones."""

    IS_PLUGIN = True
    can_hold = staticmethod(is_line_safe)

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` on one line."""
        return to_one_line(value).strip()

    def read(self, device: Mapping[str, Any], raw_config: Mapping[str, Any]) -> Phone:
        """Refuse a password that a line cannot hold, and note what the phones have not."""
        phone = super().read(device, raw_config)
        first = phone.first_account
        if first is not None and first.srtp_mode != "disabled":
            phone.notes.add("sip_srtp_mode is left out: it is not known how to turn SRTP on")
        return phone

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return the settings in the names of the model."""
        is_1200 = phone.model.fact("kind") == "1200"
        return {
            "dialect": "1200" if is_1200 else "j100",
            "settings": list(settings_1200(phone) if is_1200 else settings_j100(phone)),
            "phone_keys": () if is_1200 else list(phone_keys(phone)),
        }


def settings_1200(phone: Phone) -> Iterator[Setting]:
    """Yield the settings of a 1200 phone."""
    if phone.ntp:
        yield "SNTP_ENABLE", "YES"
        yield "SNTP_SERVER", phone.ntp
    admin = phone.login("admin")
    if admin and admin.password:
        yield "ADMIN_PASSWORD", admin.password
    if phone.zone:
        yield "TIMEZONE_OFFSET", phone.zone.offset
        if phone.zone.dst:
            phone.notes.add("timezone: the phone gets the offset of winter, and no summer time")
    account = phone.first_account
    if account is None:
        return
    if account.transport_name != "udp":
        phone.notes.add("sip_transport is left out: the phone is told to use UDP")
    proxy = account.servers.proxy
    # The second server has to be one that exists.
    backup = account.servers.backup_proxy or proxy
    yield "SIP_DOMAIN1", proxy.host
    yield "SERVER_IP1_1", proxy.host
    yield "SERVER_IP1_2", backup.host
    yield "SERVER_PORT1_1", proxy.port
    yield "SERVER_PORT1_2", backup.port
    yield "AUTOLOGIN_ENABLE", "USE_AUTOLOGIN_ID"
    yield "AUTOLOGIN_AUTHID_KEY01", account.auth_username
    yield "AUTOLOGIN_ID_KEY01", f"{account.username}@{proxy.host}"
    yield "AUTOLOGIN_PASSWD_KEY01", account.password
    if account.voicemail:
        yield "VMAIL", account.voicemail


def settings_j100(phone: Phone) -> Iterator[Setting]:
    """Yield the settings of a J100 phone."""
    url = urlsplit(phone.base_url)
    yield "HTTPSRVR", url.hostname
    yield "HTTPPORT", url.port or 80
    if phone.vlan:
        yield "L2Q", 1
        yield "L2QVLAN", phone.vlan.id
    if phone.dns:
        yield "DNSSRVR", phone.dns
    if phone.ntp:
        yield "SNTPSRVR", phone.ntp
    yield from _zone(phone)
    if phone.language:
        models = phone.model.fact("languages", phone.model.name)
        name = f"Mlf_{models}_{phone.language}.xml"
        yield "LANGUAGES", f"lang/{name}"
        yield "SYSTEM_LANGUAGE", name
    admin = phone.login("admin")
    if admin and admin.password:
        yield "FORCE_WEB_ADMIN_PASSWORD", admin.password
    account = phone.first_account
    if account is None:
        return
    servers = account.servers
    transport = account.transport_name
    listed = filter(None, (servers.proxy, servers.backup_proxy))
    yield "SIPSIGNAL", account.transport
    yield "SIPDOMAIN", servers.proxy.host
    yield "SIPPROXYSRVR", servers.proxy.host
    yield "SIP_CONTROLLER_LIST", ",".join(f"{server};transport={transport}" for server in listed)
    yield "MWISRVR", servers.proxy.host
    yield "SIP_USER_ACCOUNT", f"{account.username}@{servers.proxy.host}"
    yield "SIP_USER_ID", account.auth_username
    yield "ENABLE_SIP_USER_ID", 1
    yield "FORCE_SIP_USERNAME", account.auth_username
    yield "FORCE_SIP_EXTENSION", account.username
    yield "FORCE_SIP_PASSWORD", account.password
    yield "DISPLAY_NAME", account.name
    yield "PRIMARY_LINE_EXTENSION", account.extension
    if account.voicemail:
        yield "PSTN_VM_NUM", account.voicemail


def _zone(phone: Phone) -> Iterator[Setting]:
    zone = phone.zone
    if zone is None:
        return
    yield "TIMEZONE", zone.name
    yield "GMTOFFSET", zone.format_offset("{sign}{hours}:{minutes:02d}", plus="")
    if zone.dst is None or not zone.dst.is_by_week:
        yield "DSTOFFSET", 0
        return
    yield "DSTOFFSET", max(1, zone.dst.save // 3600)
    yield "DSTSTART", _change(zone.dst.start)
    yield "DSTSTOP", _change(zone.dst.end)


def _change(change: Change) -> str:
    """Return a change such as 2SunMar2L: the second Sunday of March, at two, local time."""
    week = "L" if change.is_last_week else change.week
    return f"{week}{change.weekday_name}{change.month_name}{change.hour}L"


def phone_keys(phone: Phone) -> Iterator[str]:
    """Yield function keys; a semicolon or a quotation mark would end a part of one."""
    for key in phone.keys:
        if key.type == "blf":
            phone.notes.add("BLF keys only dial: it is not known how to watch a phone")
        value, label = (text.translate({34: 39, 59: 44}) for text in (key.value, key.label))
        yield f"Key={key.number};Type=autodial;Name={label};attr1={value};Label={label}"
