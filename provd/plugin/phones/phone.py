"""What one phone is to be set to, in neutral terms: what templates and `format.py` read."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import RawConfigError, RawConfigParamError
from provd.model.addresses import format_mac
from provd.plugin.phonebook import add_wazo_phoned_user_service_url, add_xivo_phonebook_url
from provd.plugin.phones.keys import keys_of
from provd.plugin.phones.sip import accounts_of
from provd.plugin.phones.values import Notes, Values, to_code
from provd.plugin.phones.zones import code_of, nearest_code_of, zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provd.plugin.phones.family import Family, Model
    from provd.plugin.phones.keys import Key, Slot
    from provd.plugin.phones.sip import Account, Server
    from provd.plugin.phones.zones import Zone

_VERSION_PART = re.compile(r"\d+")
SYSLOG_PORT = 514
EXTENS = (
    "dnd",
    "fwd_unconditional",
    "fwd_no_answer",
    "fwd_busy",
    "fwd_disable_all",
    "park",
    "pickup_group",
    "pickup_call",
    "voicemail",
)


@attrs.frozen
class Vlan:
    """The VLAN of a phone; None for what is not given."""

    id: int
    priority: int
    pc_id: int | None
    """Of the port for a computer."""


@attrs.frozen
class Syslog:
    """Where a phone sends its log; `level` is the vendor's code, `level_name` the standard one."""

    host: str
    port: int
    level: Any
    level_name: str


@attrs.frozen
class Login:
    """An account of the phone's own pages."""

    account: str
    """`admin` or `user`."""
    name: str
    password: str | None


@attrs.frozen
class Phone:
    """A device, its raw config and its model, read as phones want them.

    Everything is worked out when it is asked for, once. RawConfigParamError names a parameter that
    no phone of the family can take; what this one cannot take is left out and noted.
    """

    family: Family
    device: Mapping[str, Any]
    raw: Mapping[str, Any]
    model: Model
    notes: Notes = attrs.field(factory=Notes)
    _memo: dict[str, Any] = attrs.field(factory=dict, repr=False, eq=False)

    # The device

    @property
    def mac(self) -> str | None:
        """MAC address, twelve small hexadecimal digits."""
        mac = self.device.get("mac")
        return format_mac(mac, separator="") if mac else None

    @property
    def version(self) -> tuple[int, ...]:
        """Numbers of the firmware version that the phone runs; empty if that is not known."""
        return version_of(self.device.get("version"))

    def option(self, name: str) -> bool:
        """Return whether an option of the device, such as `switchboard`, is set."""
        options = self.device.get("options")
        return bool(options.get(name)) if isinstance(options, dict) else False

    # SIP and keys

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what `make` gave when it was first asked for under this name."""
        if name not in self._memo:
            self._memo[name] = make()
        return self._memo[name]

    @property
    def accounts(self) -> dict[int, Account]:
        """SIP accounts by line number."""
        accounts: dict[int, Account] = self.once("accounts", self._read_accounts)
        return accounts

    def _read_accounts(self) -> dict[int, Account]:
        accounts = accounts_of(self.raw, self.model.lines, self.family.sip_codes, self.notes)
        # Phones that are nobody's yet share an account; this tells who calls to be provisioned.
        return {
            number: attrs.evolve(account, display_name=self.mac or account.display_name)
            if account.is_autoprov
            else account
            for number, account in accounts.items()
        }

    @property
    def first_account(self) -> Account | None:
        """The account of the lowest line."""
        return min(self.accounts.values(), key=lambda one: one.number, default=None)

    @property
    def free_lines(self) -> list[int]:
        """Numbers of the lines that the model has and nobody uses."""
        accounts = self.accounts
        return [n for n in range(1, self.model.lines + 1) if n not in accounts]

    @property
    def _keys(self) -> tuple[list[Key], list[Slot]]:
        group = self.family.line_group
        keys: tuple[list[Key], list[Slot]] = self.once(
            "keys",
            lambda: keys_of(
                self.raw,
                self.model.slots,
                self.family.codes["key"],
                self.accounts,
                self.model.count(group) if group else 0,
                self.notes,
            ),
        )
        return keys

    @property
    def keys(self) -> list[Key]:
        """Function keys in use, in their order."""
        return self._keys[0]

    @property
    def free_slots(self) -> list[Slot]:
        """Keys of the model that are to be cleared."""
        return self._keys[1]

    def outbound_of(self, account: Account) -> Server | None:
        """Return the outbound proxy, for phones that know a registrar and that one alone.

        A proxy other than the registrar takes its place; where there are both it is left out.
        """
        servers = account.servers
        if servers.proxy == servers.registrar:
            return servers.outbound_proxy
        if servers.outbound_proxy is not None:
            self.notes.add(
                f"the proxy of line {account.number} is left out: the outbound one takes its place"
            )
        return servers.outbound_proxy or servers.proxy

    # Everything else

    @property
    def values(self) -> Values:
        """Reads parameters by type."""
        return Values(self.raw, self.notes)

    @property
    def base_url(self) -> str:
        """URL of this server without a slash at its end; RawConfigError without one."""
        url = self.raw.get("http_base_url")
        if not url:
            raise RawConfigError("http_base_url is missing")
        return str(url)

    @property
    def server(self) -> str:
        """Address of this server, for TFTP."""
        return str(self.raw.get("ip") or "")

    @property
    def zone(self) -> Zone | None:
        """Time zone; None keeps that of the phone."""
        zone: Zone | None = self.once("zone", self._read_zone)
        return zone

    def _read_zone(self) -> Zone | None:
        name = self.values.text("timezone")
        if name is None:
            return None
        zone = zone_of(name)
        if zone is None:
            self.notes.add(f"timezone is left out: there is no zone {name!r}")
        return zone

    def zone_code(self, codes: Mapping[str, Any], what: str = "phone") -> Any:
        """Return the vendor's code of the zone (see `code_of`); None, noted, if it has none."""
        code = None if self.zone is None else code_of(self.zone, codes)
        if code is None:
            self.note_unknown_zone(what)
        return code

    def nearest_zone_code(self, codes: Mapping[str, Any]) -> Any:
        """Return the vendor's code of the zone nearest to it; what differs is noted."""
        zone = self.zone
        code = None if zone is None else nearest_code_of(zone, codes)
        if code is None:
            self.note_unknown_zone()
        elif zone is not None and code_of(zone, codes) is None:
            self.notes.add(f"timezone {zone.name}: summer time is that of {code}")
        return code

    def note_unknown_zone(self, what: str = "phone") -> None:
        """Note that the phone, or what else it is called, does not have the zone asked for."""
        if self.zone is not None:
            self.notes.add(
                f"timezone {self.zone.name}: the {what} has no such zone, it keeps its own"
            )

    @property
    def ntp(self) -> str | None:
        """Address or name of the time server."""
        return self.values.text("ntp_ip") if self.values.flag("ntp_enabled") else None

    @property
    def dns(self) -> str | None:
        """IPv4 address of the name server, where a fixed one is wanted."""
        return self.values.ipv4("dns_ip") if self.values.flag("dns_enabled") else None

    @property
    def vlan(self) -> Vlan | None:
        """The VLAN for voice, None without one."""
        vlan: Vlan | None = self.once("vlan", self._read_vlan)
        return vlan

    def _read_vlan(self) -> Vlan | None:
        values = self.values
        if not values.flag("vlan_enabled"):
            return None
        number = values.integer("vlan_id", 0, 4094)
        if number is None:
            return None
        return Vlan(
            number,
            values.integer("vlan_priority", 0, 7) or 0,
            values.integer("vlan_pc_port_id", 0, 4094),
        )

    @property
    def syslog(self) -> Syslog | None:
        """Where to log, None for nowhere."""
        syslog: Syslog | None = self.once("syslog", self._read_syslog)
        return syslog

    def _read_syslog(self) -> Syslog | None:
        values = self.values
        host = values.text("syslog_ip")
        if not values.flag("syslog_enabled") or host is None:
            return None
        level = values.text("syslog_level") or "warning"
        return Syslog(
            host,
            values.integer("syslog_port", 1, 65535) or SYSLOG_PORT,
            to_code(self.family.codes["syslog"], level, "syslog_level"),
            level,
        )

    @property
    def extens(self) -> dict[str, str | None]:
        """Codes to dial, such as `dnd` and `pickup_call`, from `exten_*`; None if absent."""
        extens: dict[str, str | None] = self.once(
            "extens", lambda: {name: self.values.text(f"exten_{name}") for name in EXTENS}
        )
        return extens

    @property
    def certificates(self) -> list[str]:
        """Certificates of authorities for SIP over TLS, PEM texts."""
        return [
            str(one).strip()
            for one in self.raw.get("sip_servers_root_and_intermediate_certificates") or ()
        ]

    def login(self, account: str, name: str | None = None) -> Login | None:
        """Return the login `admin` or `user`, `name` being what the phone calls it by itself.

        None where neither a name nor a password is given.
        """
        values = self.values
        given = values.text(f"{account}_username")
        password = values.text(f"{account}_password")
        if given is None and password is None:
            return None
        return Login(account, given or name or account, password)

    # Locales

    @property
    def locale(self) -> str:
        """Locale such as `fr_FR`; empty if none is given. A suffix such as `.UTF-8` is cut."""
        return str(self.raw.get("locale") or "").split(".", maxsplit=1)[0].split("@")[0]

    @property
    def language_code(self) -> str:
        """Language of the locale, such as `fr`."""
        return self.locale[:2]

    @property
    def country_code(self) -> str:
        """Country of the locale, such as `FR`; empty if it names none."""
        return self.locale[3:5]

    @property
    def language(self) -> Any:
        """What the family calls the language; None if it has none of it, or no locale is given."""
        return self.in_language(self.family.languages, "language")

    @property
    def country(self) -> Any:
        """What the family calls the country, for its tones; None if it does not know it."""
        return self.family.countries.get(self.country_code) if self.country_code else None

    def in_language(self, table: Mapping[str, Any], what: str) -> Any:
        """Return the entry of a table for the locale, else for its language; None, noted, else."""
        if not self.locale:
            return None
        found = table.get(self.locale, table.get(self.language_code))
        if found is None and table:
            self.notes.add(f"locale {self.locale}: the phone has no such {what}, it keeps its own")
        return found

    # The directory server

    def phonebook_url(self, vendor: str, entry_point: str = "input", query: str = "") -> str | None:
        """Return the URL of the directory server for a vendor, None where none is given.

        `query` is added to it, such as `term=#SEARCH` (contract: plugin API §8).
        """
        raw = dict(self.raw)
        if not raw.get("X_xivo_phonebook_ip") or not raw.get("X_xivo_user_uuid"):
            return None
        add_xivo_phonebook_url(raw, vendor, entry_point=entry_point, qs_suffix=query)
        url: str | None = raw.get("XX_xivo_phonebook_url")
        return url

    def service_urls(self, vendor: str, service: str) -> tuple[str, str] | None:
        """Return the URLs that turn a user's service, such as `dnd`, on and off; None without."""
        raw = dict(self.raw)
        if not raw.get("X_xivo_phonebook_ip") or not raw.get("X_xivo_user_uuid"):
            return None
        add_wazo_phoned_user_service_url(raw, vendor, service)
        name = f"XX_wazo_phoned_user_service_{service}"
        return raw[f"{name}_enabled_url"], raw[f"{name}_disabled_url"]

    def check_secrets(self, can_hold: Callable[[str], bool]) -> None:
        """Refuse the phone if its format cannot hold one of its passwords as it is.

        A name may lose a line end, but an account with another password than the one that was given
        never registers. RawConfigParamError names the parameter.
        """
        secrets = {
            f"sip_lines.{number}.password": account.password
            for number, account in self.accounts.items()
        }
        for account in ("admin", "user"):
            secrets[f"{account}_password"] = self.values.text(f"{account}_password")
        for parameter, secret in secrets.items():
            if secret is not None and not can_hold(secret):
                raise self.refuse(
                    parameter,
                    "it holds what the phone cannot be told: a line end, or a blank at its end",
                )

    def check_login_names(self) -> None:
        """Refuse a login name with a colon, for formats in which the password follows one."""
        for account in ("admin", "user"):
            if ":" in str(self.raw.get(f"{account}_username") or ""):
                raise self.refuse(f"{account}_username", "a colon ends the name for the phone")

    def refuse(self, parameter: str, reason: str) -> RawConfigParamError:
        """Return the error for a parameter that cannot be written."""
        return RawConfigParamError(f"{parameter}: {reason}")


@functools.lru_cache(maxsize=1024)
def version_of(version: object) -> tuple[int, ...]:
    """Return the numbers of a firmware version: (10, 1, 33) for `10.1.33`, empty for None."""
    if not isinstance(version, str):
        return ()
    return tuple(int(part[:9]) for part in _VERSION_PART.findall(version))
