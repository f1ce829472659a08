"""How VTech phones want their settings: `module.key = value` lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.plugin.api import (
    DeviceInfo,
    FamilyPlugin,
    Phone,
    PhoneRequest,
    is_line_safe,
    to_line_value,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provd.plugin.api import Account, Change

Setting = tuple[str, Any]

_FORWARDS = {"cfa": "fwd_unconditional", "cfb": "fwd_busy", "cfna": "fwd_no_answer"}
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class VTechPlugin(FamilyPlugin):
    """VTech phones."""

    IS_PLUGIN = True
    escape = staticmethod(to_line_value)
    can_hold = staticmethod(is_line_safe)

    def refine(self, info: DeviceInfo, request: PhoneRequest) -> DeviceInfo | None:  # noqa: ARG002
        """Leave out what does not tell the MAC: the file of a model, which phones can do without.

        A device could not be configured before its MAC is known.
        """
        return info if "mac" in info else None

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return the settings."""
        return {"settings": list(settings_of(phone, self.firmware_url(phone)))}


def settings_of(phone: Phone, firmware: str | None) -> Iterator[Setting]:
    """Yield the settings of a phone."""
    for account in phone.accounts.values():
        yield from _account(f"sip_account.{account.number}", account, phone)
    for number in phone.free_lines:
        yield f"sip_account.{number}.sip_account_enable", 0
        for name in ("user_id", "authentication_name", "authentication_access_password"):
            yield f"sip_account.{number}.{name}", None
    for key in phone.keys:
        yield f"{key.name}.name", key.label
        yield f"{key.name}.number", key.value
        yield f"{key.name}.account", key.line - 1
    for slot in phone.free_slots:
        yield f"{slot.name}.name", None
        yield f"{slot.name}.number", None
        yield f"{slot.name}.account", 0
    yield from _provisioning(phone, firmware)
    yield from _network(phone)
    yield from _time(phone)
    for login in (phone.login("admin"), phone.login("user")):
        if login and login.password is not None:
            yield f"profile.{login.account}.access_password", login.password
    if phone.language:
        yield "user_pref.language", phone.language
        yield "user_pref.web_language", phone.language
    yield "user_pref.call_waiting.mode", "disable" if phone.option("switchboard") else "enable"


def _account(prefix: str, account: Account, phone: Phone) -> Iterator[Setting]:
    servers, extens = account.servers, phone.extens
    if account.srtp_mode == "preferred":
        phone.notes.add(
            "srtp_mode is left out: the phone can only require encryption or do without"
        )
    outbound = servers.outbound_proxy
    yield f"{prefix}.sip_account_enable", 1
    yield f"{prefix}.label", account.extension or account.name
    yield f"{prefix}.display_name", account.name
    yield f"{prefix}.user_id", account.username
    yield f"{prefix}.authentication_name", account.auth_username
    yield f"{prefix}.authentication_access_password", account.password
    yield f"{prefix}.primary_sip_server_address", servers.proxy.host
    yield f"{prefix}.primary_sip_server_port", servers.proxy.port
    yield f"{prefix}.primary_registration_server_address", servers.registrar.host
    yield f"{prefix}.primary_registration_server_port", servers.registrar.port
    yield f"{prefix}.primary_outbound_proxy_server_address", outbound.host if outbound else None
    yield f"{prefix}.primary_outbound_proxy_server_port", outbound.port if outbound else 5060
    backup = servers.backup_proxy
    yield f"{prefix}.backup_outbound_proxy_server_address", backup.host if backup else None
    yield f"{prefix}.backup_outbound_proxy_server_port", backup.port if backup else 5060
    yield f"{prefix}.transport_mode", account.transport
    yield f"{prefix}.voice_encryption_enable", account.srtp
    yield f"{prefix}.dtmf_transport_method", account.dtmf
    yield f"{prefix}.mwi_enable", phone.values.flag("sip_subscribe_mwi")
    yield f"{prefix}.access_code_retrieve_voicemail", account.voicemail
    yield f"{prefix}.access_code_park_call", extens["park"]
    yield f"{prefix}.access_code_group_call_pickup", extens["pickup_group"]
    yield f"{prefix}.access_code_direct_call_pickup", extens["pickup_call"]
    for name, exten in {"dnd": "dnd", **_FORWARDS}.items():
        yield f"{prefix}.access_code_{name}_on", extens[exten]
        yield f"{prefix}.access_code_{name}_off", extens[exten]


def _provisioning(phone: Phone, firmware: str | None) -> Iterator[Setting]:
    yield "provisioning.server_address", f"{phone.base_url}/"
    yield "provisioning.pnp_enable", 0
    # Else the phone ignores the event check-sync.
    yield "provisioning.remote_check_sync_enable", 1
    if firmware is not None:
        yield "provisioning.firmware_url", firmware


def _network(phone: Phone) -> Iterator[Setting]:
    if phone.dns:
        yield "network.ip.dns1", phone.dns
    vlan = phone.vlan
    yield "network.vlan.wan.enable", vlan is not None
    if vlan:
        yield "network.vlan.wan.id", vlan.id
        yield "network.vlan.wan.priority", vlan.priority
    syslog = phone.syslog
    yield "log.syslog_enable", syslog is not None
    if syslog:
        yield "log.syslog_level", syslog.level
        yield "log.syslog_server_address", syslog.host
        yield "log.syslog_server_port", syslog.port


def _time(phone: Phone) -> Iterator[Setting]:
    yield "time_date.ntp_server", phone.ntp is not None
    if phone.ntp:
        yield "time_date.ntp_server_addr", phone.ntp
    zone = phone.zone
    if zone is None:
        return
    # The phone knows zones by name, and their rules.
    yield "time_date.selected_timezone", zone.name
    yield "time_date.daylight_saving_auto_adjust", zone.dst is not None
    if zone.dst is None or not zone.dst.is_by_week:
        return
    yield "time_date.daylight_saving_amount", zone.dst.save // 60
    for name, change in (("start", zone.dst.start), ("end", zone.dst.end)):
        yield from _change(f"time_date.daylight_saving_{name}", change)


def _change(prefix: str, change: Change) -> Iterator[Setting]:
    assert change.weekday is not None
    yield f"{prefix}_month", _MONTHS[change.month - 1]
    yield f"{prefix}_week", change.week
    yield f"{prefix}_day", _DAYS[change.weekday - 1]
    yield f"{prefix}_hour", change.hour
