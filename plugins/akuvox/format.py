"""How Akuvox phones want their settings: `Config.Section.Group.Key = value` lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.plugin.api import FamilyPlugin, Phone, is_line_safe, to_line_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provd.plugin.api import Account, Key

Setting = tuple[str, Any]

_FORWARDS = {"ALWAYS": "fwd_unconditional", "BUSY": "fwd_busy", "TIMEOUT": "fwd_no_answer"}
_AUTOMATIC = 2


class AkuvoxPlugin(FamilyPlugin):
    """Akuvox phones."""

    IS_PLUGIN = True
    escape = staticmethod(to_line_value)
    can_hold = staticmethod(is_line_safe)

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return the settings."""
        return {"settings": list(settings_of(phone, self.firmware_url(phone)))}


def settings_of(phone: Phone, firmware: str | None) -> Iterator[Setting]:
    """Yield the settings of a phone."""
    for account in phone.accounts.values():
        yield from _account(f"Config.Account{account.number}", account, phone)
    for number in phone.free_lines:
        prefix = f"Config.Account{number}"
        yield f"{prefix}.GENERAL.Enable", 0
        for name in ("GENERAL.UserName", "GENERAL.AuthName", "GENERAL.Pwd", "SIP.Server"):
            yield f"{prefix}.{name}", None
    for key in phone.keys:
        yield from _key(key)
    for slot in phone.free_slots:
        yield f"{slot.name}.Type", 0
    yield from _global(phone)
    if firmware is not None:
        yield "Config.Firmware.Url", firmware


def _account(prefix: str, account: Account, phone: Phone) -> Iterator[Setting]:
    servers = account.servers
    backup, route = servers.backup_registrar, phone.outbound_of(account)
    yield f"{prefix}.GENERAL.Enable", 1
    yield f"{prefix}.GENERAL.Label", account.extension or account.name
    yield f"{prefix}.GENERAL.DisplayName", account.name
    yield f"{prefix}.GENERAL.UserName", account.username
    yield f"{prefix}.GENERAL.AuthName", account.auth_username
    yield f"{prefix}.GENERAL.Pwd", account.password
    yield f"{prefix}.SIP.Server", servers.registrar.host
    yield f"{prefix}.SIP.Port", servers.registrar.port
    yield f"{prefix}.SIP.Server2", backup.host if backup else None
    yield f"{prefix}.SIP.Port2", backup.port if backup else None
    yield f"{prefix}.SIP.TransType", account.transport
    yield f"{prefix}.OUTPROXY.Enable", route is not None
    yield f"{prefix}.OUTPROXY.Server", route.host if route else None
    yield f"{prefix}.OUTPROXY.Port", route.port if route else None
    yield f"{prefix}.ENCRYPTION.SRTPEncryption", account.srtp
    yield f"{prefix}.DTMF.Type", account.dtmf
    yield f"{prefix}.VOICEMSG.Number", account.voicemail
    # The phone spells it so.
    yield f"{prefix}.SUBSCRIBE.SubsribeMWI", phone.values.flag("sip_subscribe_mwi")
    yield f"{prefix}.FEATURE_DND.OnCode", phone.extens["dnd"]
    yield f"{prefix}.FEATURE_DND.OffCode", phone.extens["dnd"]
    for group, name in _FORWARDS.items():
        yield f"{prefix}.FEATURE_FORWARD_{group}.OnCode", phone.extens[name]
        yield f"{prefix}.FEATURE_FORWARD_{group}.OffCode", phone.extens[name]


def _key(key: Key) -> Iterator[Setting]:
    yield f"{key.name}.Type", key.code
    yield f"{key.name}.Label", key.label
    yield f"{key.name}.Param1", None if key.type == "line" else key.value
    yield f"{key.name}.Param2", key.line
    yield f"{key.name}.Param3", key.pickup


def _global(phone: Phone) -> Iterator[Setting]:
    yield "Config.Features.CALL_WAITING.Enable", not phone.option("switchboard")
    yield "Config.Forward.CALLPARK.Enable", phone.extens["park"] is not None
    yield "Config.Forward.CALLPARK.Target", phone.extens["park"]
    vlan = phone.vlan
    pc_id = vlan.pc_id if vlan else None
    yield "Config.Network.VLAN.LanVlanEnable", vlan is not None
    if vlan:
        yield "Config.Network.VLAN.LanVid", vlan.id
        yield "Config.Network.VLAN.LanPriority", vlan.priority
    yield "Config.Network.VLAN.PcVlanEnable", pc_id is not None
    if pc_id is not None:
        yield "Config.Network.VLAN.PcVid", pc_id
    yield "Config.Settings.SNTP.Enable", phone.ntp is not None
    if phone.ntp:
        yield "Config.Settings.SNTP.NTPServer1", phone.ntp
    zone = phone.zone
    if zone:
        yield "Config.Settings.SNTP.TimeZone", zone.format_offset("{sign}{hours:02d}:{minutes:02d}")
        # The phone knows the rule of the zone itself.
        yield "Config.Settings.SNTP.DTS", _AUTOMATIC if zone.dst else 0
    syslog = phone.syslog
    yield "Config.Settings.LOGLEVEL.RemoteSyslog", syslog is not None
    if syslog:
        yield "Config.Settings.LOGLEVEL.RemoteServer", syslog.host
        yield "Config.Settings.LOGLEVEL.Level", syslog.level
    admin = phone.login("admin")
    if admin:
        yield "Config.Settings.WEB_LOGIN.User", admin.name
        if admin.password is not None:
            yield "Config.Settings.WEB_LOGIN.Password", admin.password
            yield "Config.Settings.LOGIN.Password", admin.password
