"""How Algo devices want their settings: `group.key = value` lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.plugin.api import FamilyPlugin, Phone, is_line_safe, to_line_value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provd.plugin.api import Account, Server

Setting = tuple[str, Any]


class AlgoPlugin(FamilyPlugin):
    """Algo speakers, alerters and paging adapters."""

    IS_PLUGIN = True
    escape = staticmethod(to_line_value)
    can_hold = staticmethod(is_line_safe)

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return the settings."""
        return {"settings": list(settings_of(phone))}


def settings_of(phone: Phone) -> Iterator[Setting]:
    """Yield the settings of a device."""
    account = phone.first_account
    if account is not None:
        yield from _account(account, phone)
    # Else the device ignores the event.
    yield "sip.interop.checksync", "conditional-reboot"
    yield from _provisioning(phone)
    vlan = phone.vlan
    yield "net.vlan.use", vlan is not None
    if vlan:
        yield "net.vlan.id", vlan.id
        yield "net.vlan.priority", vlan.priority
    if phone.dns:
        yield "net.dns1", phone.dns
    if phone.ntp:
        yield "net.time", phone.ntp
        # Firmware from 3 on has four of them.
        yield "net.time1", phone.ntp
    if phone.zone:
        yield "admin.timezone", phone.zone.name
    syslog = phone.syslog
    yield "log.method", "both" if syslog else "local"
    yield "log.server", syslog.host if syslog else None
    if syslog:
        yield "log.level", syslog.level
    admin = phone.login("admin")
    if admin and admin.password is not None:
        yield "admin.pwd", admin.password


def _address(server: Server | None) -> str | None:
    """Return a server with its port, where that is not the usual one."""
    if server is None:
        return None
    return server.host if server.port == 5060 else str(server)


def _account(account: Account, phone: Phone) -> Iterator[Setting]:
    servers = account.servers
    if account.srtp_mode != "disabled":
        phone.notes.add("srtp_mode is left out: the codes of the device are not known")
    yield "sip.register.use", 1
    yield "sip.page.use", 1
    yield "sip.proxy", _address(servers.proxy)
    other = servers.registrar if servers.registrar != servers.proxy else None
    yield "sip.registrar", _address(other)
    yield "sip.bkproxy1", _address(servers.backup_proxy)
    yield "sip.obproxy", _address(servers.outbound_proxy)
    yield "sip.transp", account.transport
    yield "sip.u1.user", account.username
    yield "sip.u1.auth", account.auth_username
    yield "sip.u1.pwd", account.password
    yield "sip.u1.dname", account.name


def _provisioning(phone: Phone) -> Iterator[Setting]:
    scheme, _, rest = phone.base_url.partition("://")
    host, _, path = rest.partition("/")
    yield "prov.use", 1
    yield "prov.server.method", "static"
    yield "prov.server.static", host
    yield "prov.download.method", scheme
    yield "prov.download.cfgpath", path
