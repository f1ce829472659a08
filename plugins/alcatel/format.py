"""How Alcatel-Lucent phones want their settings.

ALE phones read XML, a `setting` with `id` and `value` for each. Those of M and H phones and those
of the 80x8s have other names. IP Touch 40x8 phones read sections of `name=value` lines.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from provd.model.addresses import is_normed_ip
from provd.plugin.api import (
    FamilyPlugin,
    Markup,
    Phone,
    escape_xml,
    is_line_safe,
    to_one_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from provd.plugin.api import Change, Key

Setting = tuple[str, Any]
Section = tuple[str, list[Setting]]

LUCENT = "Alcatel-Lucent"
# Binaries of these versions have the two modes the other way round.
_SWAPPED_MODES = ((2, 0, 30), (2, 0, 80))
_NO_CHANGE = "000000"
# A change that is over counts for some days more: if the next one is later in the year, a phone
# that knew of it alone would change back.
_GRACE = dt.timedelta(days=8)
_BOOLEANS = {True: "true", False: "false"}


class AlcatelPlugin(FamilyPlugin):
    """Alcatel-Lucent phones."""

    IS_PLUGIN = True

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML holds it; booleans are words."""
        return _BOOLEANS[value] if isinstance(value, bool) else escape_xml(value)

    def associate(self, info: Mapping[str, Any]) -> int:
        """Score as for Alcatel: phones tell one name or the other of the vendor."""
        if info.get("vendor") == LUCENT:
            info = {**info, "vendor": self.family.vendor}
        return super().associate(info)

    def read(self, device: Mapping[str, Any], raw_config: Mapping[str, Any]) -> Phone:
        """Note what is asked for and the model has not."""
        phone = super().read(device, raw_config)
        note_missing(phone)
        return phone

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        dialect = dialect_of(phone)
        first = phone.first_account
        return {
            "dialect": dialect,
            "sections": touch_sections(phone) if dialect == "touch" else (),
            "program_keys": [(key.number + 1, key) for key in usable_keys(phone)],
            "free_keys": [slot.index + 1 for slot in phone.free_slots],
            "offset": None if phone.zone is None else phone.zone.format_offset(),
            "phonebook": phone.phonebook_url("snom") if dialect == "m" else None,
            "voicemail": None if first is None else first.voicemail,
            "upgrade_url": self.upgrade_url(phone),
        }

    def upgrade_url(self, phone: Phone) -> str:
        """Return the directory in which an ALE phone looks for firmware."""
        url = self.firmware_url(phone)
        return f"{phone.base_url}/firmware" if url is None else url.rsplit("/", 1)[0]


def dialect_of(phone: Phone) -> str:
    """Return which names of settings a phone knows: `m`, `s` or `touch`."""
    return str(phone.model.fact("dialect", "m"))


def note_missing(phone: Phone) -> None:
    """Note what is asked for and the phone cannot do, as far as anybody knows."""
    first = phone.first_account
    if first is None:
        return
    dialect = dialect_of(phone)
    if first.srtp_mode != "disabled":
        phone.notes.add("sip_srtp_mode is left out: it is not known how to turn SRTP on")
    if dialect == "touch" and first.transport_name == "tls":
        phone.notes.add("sip_transport: the phone has no TLS, it is told to use TCP")
    if dialect == "s" and first.transport_name != "udp":
        phone.notes.add("sip_transport is left out: the phone has no setting for it")
    if dialect == "s" and any(one.servers.proxy.has_own_port for one in phone.accounts.values()):
        phone.notes.add("proxy_port is left out: the phone has no setting for it")


def usable_keys(phone: Phone) -> Iterator[Key]:
    """Yield the function keys that the phone has a setting for: its first key is its line."""
    last = phone.model.keys - 1 if dialect_of(phone) == "s" else phone.model.keys
    for key in phone.keys:
        if key.number > last:
            phone.notes.add(f"function key {key.number} is left out: the first is for the line")
        else:
            if key.type == "blf" and dialect_of(phone) != "m":
                phone.notes.add("BLF keys only dial: the phone has no other keys")
            yield key


# IP Touch


def touch_sections(phone: Phone) -> list[Section]:
    """Return the sections of an IP Touch phone, values on one line."""
    phone.check_secrets(is_line_safe)
    tables = phone.family.tables["touch"]
    first = phone.first_account
    password = touch_password(phone)
    sections = [
        ("init", [("application_mode", int(_has_swapped_modes(phone)))]),
        ("dns", [("dns_addr", name_server(phone))]),
        ("sip", list(_touch_account(phone, tables["transport"]))),
        ("sntp", [("sntp_addr", phone.ntp), ("timezone", touch_zone(phone))]),
        ("telnet", [("telnet_password", password)] if password else []),
        (
            "audio",
            [
                ("tone_country", phone.country),
                ("dtmf_type", tables["dtmf"][str(first.dtmf)] if first else None),
            ],
        ),
        (
            "appl",
            [*([("admin_password", password)] if password else ()), *_touch_keys(phone)],
        ),
    ]
    return [
        (name, [(key, Markup(to_one_line(value).strip())) for key, value in settings])
        for name, settings in sections
    ]


def _has_swapped_modes(phone: Phone) -> bool:
    low, high = _SWAPPED_MODES
    return low <= phone.version <= high


def touch_password(phone: Phone) -> str | None:
    """Return the administrator's password: digits, as it is typed on the phone."""
    password = phone.values.text("admin_password")
    if password is None or (password.isascii() and password.isdigit()):
        return password
    phone.notes.add("admin_password is left out: the phone takes digits only")
    return None


def name_server(phone: Phone) -> str:
    """Return a name server: the phone does not start without an address there."""
    first = phone.first_account
    proxy = None if first is None else first.servers.proxy.host
    return phone.dns or (proxy if proxy and is_normed_ip(proxy) else phone.server)


def _touch_account(phone: Phone, transports: Mapping[str, int]) -> Iterator[Setting]:
    account = phone.first_account
    if account is None:
        return
    servers = account.servers
    domain = servers.proxy.host
    yield "domain_name", domain
    for name, server in (
        ("proxy", servers.proxy),
        ("registrar", servers.registrar),
        ("outbound_proxy", servers.outbound_proxy),
        ("proxy2", servers.backup_proxy),
        ("registrar2", servers.backup_registrar),
    ):
        yield f"{name}_addr", server.host if server else None
        yield f"{name}_port", server.port if server else None
    yield "sip_transport_mode", transports.get(account.transport_name, transports["tcp"])
    yield "authentication_realm", domain
    yield "authentication_name", account.auth_username
    yield "authentication_password", account.password
    yield "user_name", account.username
    yield "display_name", account.display_name
    yield "voice_mail_uri", account.voicemail
    mwi = f"{account.voicemail}@{domain}" if account.voicemail else None
    yield "message_waiting_indication_uri", mwi


def _touch_keys(phone: Phone) -> Iterator[Setting]:
    for key in usable_keys(phone):
        # Without a name the phone takes no notice of the number.
        yield f"speed_dial_{key.number}_first_name", key.label or key.value
        yield f"speed_dial_{key.number}_uri", key.value
    for slot in phone.free_slots:
        yield f"speed_dial_{slot.index}_first_name", None
        yield f"speed_dial_{slot.index}_uri", None


def today() -> dt.date:
    """Return the day from which the dates of summer time count."""
    return dt.datetime.now(tz=dt.UTC).date()


def touch_zone(phone: Phone) -> str | None:
    """Return the time zone: minutes from UTC, and the next dates of its changes (MMDDHH)."""
    zone = phone.zone
    if zone is None:
        return None
    changes = (zone.dst.start, zone.dst.end) if zone.dst else ()
    start, end = map(_next_date, changes) if changes else (_NO_CHANGE, _NO_CHANGE)
    return f"UT::{zone.minutes}:{start}:{end}"


def _next_date(change: Change) -> str:
    now = today()
    date = next(
        date
        for date in (change.date(year) for year in (now.year, now.year + 1))
        if date + _GRACE >= now
    )
    return f"{date:%m%d}{change.hour:02d}"
