"""How FlyingVoice phones want their settings: `key = value` lines, named as Yealink's are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.plugin.api import FamilyPlugin, Phone, is_line_safe, to_line_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provd.plugin.api import Account, Key

Setting = tuple[str, Any]

_FORWARDS = {"always": "fwd_unconditional", "busy": "fwd_busy", "no_answer": "fwd_no_answer"}


class FlyingVoicePlugin(FamilyPlugin):
    """FlyingVoice phones."""

    IS_PLUGIN = True
    escape = staticmethod(to_line_value)
    can_hold = staticmethod(is_line_safe)

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return the settings."""
        return {"settings": list(settings_of(phone, self.firmware_url(phone)))}

    def read(self, device: Mapping[str, Any], raw_config: Mapping[str, Any]) -> Phone:
        """Refuse a login that the phone could not tell from its password."""
        phone = super().read(device, raw_config)
        phone.check_login_names()
        return phone


def settings_of(phone: Phone, firmware: str | None) -> Iterator[Setting]:
    """Yield the settings of a phone."""
    yield "static.auto_provision.server.url", phone.base_url
    yield "static.auto_provision.pnp_enable", 0
    if firmware is not None:
        yield "static.firmware.url", firmware
    for account in phone.accounts.values():
        yield from _account(f"account.{account.number}", account, phone)
    for number in phone.free_lines:
        yield f"account.{number}.enable", 0
        for name in ("user_name", "auth_name", "password", "sip_server.1.address"):
            yield f"account.{number}.{name}", None
    for key in phone.keys:
        yield from _key(key)
    for slot in phone.free_slots:
        yield f"{slot.name}.type", 0
    yield from _features(phone)
    yield from _network(phone)


def _account(prefix: str, account: Account, phone: Phone) -> Iterator[Setting]:
    servers = account.servers
    backup, route = servers.backup_registrar, phone.outbound_of(account)
    yield f"{prefix}.enable", 1
    yield f"{prefix}.label", account.extension or account.name
    yield f"{prefix}.display_name", account.name
    yield f"{prefix}.user_name", account.username
    yield f"{prefix}.auth_name", account.auth_username
    yield f"{prefix}.password", account.password
    yield f"{prefix}.sip_server.1.address", servers.registrar.host
    yield f"{prefix}.sip_server.1.port", servers.registrar.port
    yield f"{prefix}.sip_server.1.transport_type", account.transport
    yield f"{prefix}.sip_server.2.address", backup.host if backup else None
    yield f"{prefix}.sip_server.2.port", backup.port if backup else None
    yield f"{prefix}.sip_server.2.transport_type", account.transport
    yield f"{prefix}.outbound_proxy_enable", route is not None
    yield f"{prefix}.outbound_proxy.1.address", route.host if route else None
    yield f"{prefix}.outbound_proxy.1.port", route.port if route else None
    yield f"{prefix}.srtp_encryption", account.srtp
    yield f"{prefix}.dtmf.type", account.dtmf
    yield f"{prefix}.subscribe_mwi", phone.values.flag("sip_subscribe_mwi")
    yield f"voice_mail.number.{account.number}", account.voicemail


def _key(key: Key) -> Iterator[Setting]:
    yield f"{key.name}.type", key.code
    yield f"{key.name}.line", key.line
    yield f"{key.name}.value", key.value
    yield f"{key.name}.label", key.label
    yield f"{key.name}.extension", key.pickup


def _features(phone: Phone) -> Iterator[Setting]:
    extens = phone.extens
    for kind in ("direct", "group"):
        code = extens["pickup_call" if kind == "direct" else "pickup_group"]
        yield f"features.pickup.{kind}_pickup_enable", code is not None
        yield f"features.pickup.{kind}_pickup_code", code
    yield "features.dnd.on_code", extens["dnd"]
    yield "features.dnd.off_code", extens["dnd"]
    for kind, name in _FORWARDS.items():
        yield f"forward.{kind}.on_code", extens[name]
        yield f"forward.{kind}.off_code", extens[name]


def _network(phone: Phone) -> Iterator[Setting]:
    if phone.dns:
        yield "static.network.static_dns_enable", 1
        yield "static.network.primary_dns", phone.dns
    vlan = phone.vlan
    pc_id = vlan.pc_id if vlan else None
    yield "static.network.vlan.internet_port_enable", vlan is not None
    if vlan:
        yield "static.network.vlan.internet_port_vid", vlan.id
        yield "static.network.vlan.internet_port_priority", vlan.priority
    yield "static.network.vlan.pc_port_enable", pc_id is not None
    if pc_id is not None:
        yield "static.network.vlan.pc_port_vid", pc_id
    if phone.ntp:
        yield "local_time.ntp_server1", phone.ntp
    if phone.zone:
        rest = ":{minutes:02d}" if phone.zone.minutes % 60 else ""
        yield "local_time.time_zone", phone.zone.format_offset(f"{{sign}}{{hours}}{rest}")
    admin = phone.login("admin")
    if admin:
        yield "static.security.user_name.admin", admin.name
        if admin.password is not None:
            yield "static.security.user_password", f"{admin.name}:{admin.password}"
