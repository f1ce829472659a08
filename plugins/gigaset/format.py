"""How Gigaset phones want their settings: five formats, one for each generation.

N610 to N870 and Maxwell read parameters with dotted names; N510 and N720 the items of their memory,
numbers in hexadecimal and texts in quotes; P desk phones read what Snom's do. C470, C590 and their
sisters read no file at all: their web pages are filled in for them, see `PageClient`.
"""

from __future__ import annotations

import http.client
import re
import urllib.parse
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.internet import threads

from provd.plugin.api import (
    FamilyPlugin,
    InvalidDocument,
    Phone,
    RawConfigError,
    RenderedFile,
    Zone,
    add_xivo_phonebook_url_from_format,
    code_of,
    escape_xml,
    nearest_code_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from twisted.internet import defer

    from provd.plugin.api import Account

_PHONEBOOK = "{scheme}://{hostname}:{port}/0.1/directories/lookup/{profile}/gigaset/{user_uuid}?"
_RELEASE = re.compile(r"\d+\.\d+\.\d+")
_PIN = re.compile(r"\d{4}")
_TIMEOUT = 15
"""Seconds for which a base may think about one page."""
MAX_PROVIDERS = 10
"""An N720 has ten profiles of servers."""


class Provider(NamedTuple):
    """Servers that several accounts share, and how they are talked to; `index` counts from 0."""

    index: int
    account: Account
    """The first one that uses it."""


class Form(NamedTuple):
    """A page to ask for; with `fields`, a form to send."""

    page: str
    fields: dict[str, str] | None = None

    def __str__(self) -> str:
        if self.fields is None:
            return f"GET {self.page}"
        return f"POST {self.page} {self.body()}"

    def body(self) -> str:
        """Return the fields as they are sent."""
        return urllib.parse.urlencode(self.fields or {}, errors="replace")


class GigasetPlugin(FamilyPlugin):
    """Gigaset phones.

    Settings: `firmware` (model -> URL, or name of a file in var/tftpboot/firmware), and
    `registration_start` and `registration_seconds`: when N610 to N870 let new handsets in, in
    seconds since 1970, and for how long (900).
    """

    IS_PLUGIN = True

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings of another form."""
        super().check_settings(settings)
        for name in ("registration_start", "registration_seconds"):
            value = settings.get(name)
            if value is not None and (not isinstance(value, int) or value < 0):
                raise InvalidDocument(f"the setting {name!r} is a number of seconds")

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML holds it; booleans are 1 and 0."""
        return str(int(value)) if isinstance(value, bool) else escape_xml(value)

    # Files

    def file_names(self, device: Mapping[str, Any]) -> Iterator[str]:
        """Yield the names that a device may have files under; the one that it asks for first."""
        mac = str(device.get("mac") or "").replace(":", "")
        if not mac:
            return
        names = [f"{mac}.xml", f"{mac.upper()}.xml", f"{mac}-pages.txt"]
        first = self._name_of(self.model_of(device, {}).fact("format"), mac)
        yield first
        yield from (name for name in dict.fromkeys(names) if name != first)
        for model in self.family.models.values():
            if model.fact("format") == "desk":
                yield from _desk_names(model.name, mac)

    @staticmethod
    def _name_of(format_name: str, mac: str) -> str:
        if format_name == "pages":
            return f"{mac}-pages.txt"
        return f"{mac.upper() if format_name in {'n510', 'n720'} else mac}.xml"

    def files_of(self, phone: Phone) -> Iterable[RenderedFile]:
        """Return the file of a phone in the format of its model."""
        if phone.mac is None:
            raise RawConfigError("a Gigaset phone cannot be configured before its MAC is known")
        format_name = phone.model.fact("format", "system")
        name = self._name_of(format_name, phone.mac)
        if format_name == "pages":
            text = "".join(f"{form}\n" for form in forms_of(phone))
            yield RenderedFile(name, text.encode())
            return
        template = self.templates.get_dev_template(name, phone.device)
        if template.name == "base.tpl" and format_name != "system":
            template = self.templates.get_template(f"{format_name}.tpl")
        context = {**self.neutral_context(phone), **self.context(phone)}
        text = template.render(context)
        encoding = "iso-8859-1" if format_name in {"n510", "n720"} else "utf-8"
        yield RenderedFile(name, text.encode(encoding, "xmlcharrefreplace"))
        if format_name == "desk":
            content = self.templates.get_template("files.tpl").render(context).encode()
            for other in _desk_names(phone.model.name, phone.mac):
                yield RenderedFile(other, content)

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        providers = providers_of(phone)
        indexes = {_way_of(one.account): one.index for one in providers}
        release = _RELEASE.search(self._firmware_version(phone))
        zone = phone.zone
        if phone.model.fact("format") == "desk" and self.firmware_url(phone):
            phone.notes.add("the firmware is not offered: it is installed on the phone's own page")
        return {
            "as_hex": hex,
            "dns_hex": "0x" + "".join(f"{int(octet):02x}" for octet in phone.dns.split("."))
            if phone.dns
            else None,
            "free_slots_from_0": [number - 1 for number in phone.free_lines],
            "free_keys": free_keys_of(phone),
            "mac": phone.mac,
            "providers": providers,
            "provider_of": {
                number: indexes[_way_of(account)]
                for number, account in phone.accounts.items()
                if _way_of(account) in indexes
            },
            "backups": backups_of(phone),
            "names": {number: name_of(account) for number, account in phone.accounts.items()},
            "handset_pins": {
                number: "0000" if account.is_autoprov else last_digits(account.extension)
                for number, account in phone.accounts.items()
            },
            "release": release[0] if release else None,
            "host": phone.base_url.removeprefix("http://"),
            "zone_code": None if zone is None else self.zone_code(phone, zone),
            "base_firmware": self._base_firmware(phone),
            "pin": pin_of(phone),
            "phonebook": phonebook_of(phone),
            "tables": self.family.tables,
            "registration": (
                self.settings.get("registration_start"),
                self.settings.get("registration_seconds", 900),
            ),
        }

    def _firmware_version(self, phone: Phone) -> str:
        """Return a text that holds the version of the firmware that is offered."""
        url = (self.settings.get("firmware") or {}).get(phone.device.get("model"))
        if url:
            return str(url)
        package = self.installed.firmware(phone.model.name)
        return package["version"].partition("V")[2] if package else ""

    def _base_firmware(self, phone: Phone) -> str | None:
        """Return the URL of the image for the bases of an N720, which comes with the manager's."""
        package = self.installed.firmware(phone.model.name)
        name = self.family.tables["base_images"].get(package["serves"]) if package else None
        return None if name is None else self.served_url(name, phone)

    def zone_code(self, phone: Phone, zone: Zone) -> Any:
        """Return the phone's code of a zone: of that zone, of its rules, else of its offset."""
        table_name = {"n510": "frame", "n720": "frame"}.get(
            phone.model.fact("format"), phone.model.fact("format", "system")
        )
        table = self.family.tables[f"{table_name}_zones"]
        codes = {name: name for name in table} if isinstance(table, list) else table
        code = code_of(zone, codes)
        if code is None and table_name in {"system", "frame"}:
            code = nearest_code_of(zone, codes)
            if code is not None:
                phone.notes.add(f"timezone {zone.name}: the phone has another with its offset")
        if code is None:
            phone.note_unknown_zone()
        return code

    # Phones that are configured by their pages

    def synchronize(
        self, device: dict[str, Any], raw_config: dict[str, Any]
    ) -> defer.Deferred[Any]:
        """Make a phone load its settings: by NOTIFY, or by filling in its pages."""
        if self.model_of(device, raw_config).fact("format") != "pages":
            return super().synchronize(device, raw_config)
        host = device.get("ip")
        if not host:
            raise RawConfigError(
                "the address of the base is not known, so its pages cannot be sent"
            )
        forms = forms_of(self.read(device, raw_config))
        return threads.deferToThread(PageClient(str(host)).send, forms)


def _desk_names(model: str, mac: str) -> Iterator[str]:
    """Yield the names under which P desk phones look for the list of their files.

    The maker's wiki shows `GigasetP82x` for the type of the phone; whether the `x` is one is to be
    seen on hardware.
    """
    yield f"Gigaset{model}-{mac}.htm"
    yield f"Gigaset{model[:-1]}x-{mac}.htm"


def free_keys_of(phone: Phone) -> list[int]:
    """Return the numbers, from 0, of keys that are to be cleared, those of modules included."""
    used = {key.number - 1 for key in phone.keys}
    return [number for number in range(len(phone.model.slots)) if number not in used]


def _way_of(account: Account) -> tuple[Any, ...]:
    return account.servers, account.transport, account.dtmf, account.srtp


def providers_of(phone: Phone) -> list[Provider]:
    """Return the servers of all accounts, each only once."""
    providers: dict[tuple[Any, ...], Provider] = {}
    for account in phone.accounts.values():
        way = _way_of(account)
        if way in providers:
            continue
        if len(providers) == MAX_PROVIDERS and phone.model.fact("format") == "n720":
            phone.notes.add(f"line {account.number} is left out: {MAX_PROVIDERS} servers at most")
            continue
        providers[way] = Provider(len(providers), account)
    return list(providers.values())


def backups_of(phone: Phone) -> dict[int, int]:
    """Return the identities that stand for backup servers of P phones, by number of the line."""
    backups: dict[int, int] = {}
    free = phone.free_lines
    for number, account in phone.accounts.items():
        if account.servers.backup_registrar is None or phone.model.fact("format") != "desk":
            continue
        if not free:
            phone.notes.add(f"the backup server of line {number} is left out: no identity is free")
            continue
        backups[number] = free.pop(0)
    return backups


def name_of(account: Account) -> str:
    """Return what handsets show: extension and name, else the user name."""
    both = " ".join(filter(None, (account.extension, account.display_name)))
    return both or account.username or ""


def last_digits(extension: str | None) -> str:
    """Return the PIN by which a handset is let in: the last four digits of its extension."""
    digits = "".join(char for char in extension or "" if char in "0123456789")
    return digits[-4:].rjust(4, "0")


def pin_of(phone: Phone) -> str | None:
    """Return the PIN of bases that have one for their password; other passwords are noted."""
    password = phone.values.text("admin_password")
    if password is None or phone.model.fact("format") not in {"n510", "pages"}:
        return None
    if _PIN.fullmatch(password):
        return password
    phone.notes.add("admin_password is left out: the phone wants four digits there")
    return None


def phonebook_of(phone: Phone) -> str | None:
    """Return the URL of the directory server, None without one."""
    raw = dict(phone.raw)
    if not raw.get("X_xivo_phonebook_ip") or not raw.get("X_xivo_user_uuid"):
        return None
    add_xivo_phonebook_url_from_format(raw, _PHONEBOOK)
    return raw.get("XX_xivo_phonebook_url")


# The web pages of bases that read no file


def forms_of(phone: Phone) -> list[Form]:
    """Return what is sent to the web pages of a base, in order, between log-in and log-out."""
    is_older = phone.model.fact("generation") == "C470"
    forms = [
        Form("login.html", {"language": "1", "password": pin_of(phone) or "0000"}),
        Form("security_advice.html", {"disable_advice": "0"}),
    ]
    for number in range(1, phone.model.lines + 1):
        page = f"settings_telephony_voip.html?id={number - 1}"
        account = phone.accounts.get(number)
        if account is None:
            forms.append(Form(page, {"account_id": str(number - 1), "do_delete": "1"}))
        else:
            forms.append(Form(page, _account_fields(account)))
    if is_older:
        forms.append(Form("settings_telephony_voip_multi.html", {"account_id": "6"}))
    else:
        forms.append(
            Form("settings_telephony_connections.html", {"account_id": "6", "action_type": "1"})
        )
    forms.append(_mailbox_form(phone, is_older=is_older))
    if (form := _time_form(phone)) is not None:
        forms.append(form)
    forms.append(Form("logout.html"))
    return forms


def _account_fields(account: Account) -> dict[str, str]:
    servers = account.servers
    outbound = servers.outbound_proxy
    return {
        "account_id": str(account.number - 1),
        "account_name": account.name or "",
        "sip_login_id": account.auth_username or "",
        "sip_user_id": account.username or "",
        "sip_password": account.password or "",
        "sip_password_2": account.password or "",
        "sip_display_name": name_of(account),
        "sip_domain": servers.registrar.host,
        "sip_server": servers.proxy.host,
        "sip_server_port": str(servers.proxy.port),
        "sip_registrar": servers.registrar.host,
        "sip_registrar_port": str(servers.registrar.port),
        "outbound_proxy": outbound.host if outbound else "",
        "outbound_proxy_port": str(outbound.port if outbound else 5060),
        "outbound_mode": "0" if outbound else "2",
        "reg_refresh_time": "180",
    }


def _mailbox_form(phone: Phone, *, is_older: bool) -> Form:
    page = "settings_telephony_am.html" if is_older else "settings_telephony_network_mailboxes.html"
    names = ("ad1_{}", "ad2_{}") if is_older else ("ad_number_{}", "ad_active_{}")
    fields = {}
    for number in range(phone.model.lines):
        account = phone.accounts.get(number + 1)
        mailbox = account.voicemail if account else None
        fields[names[0].format(number)] = mailbox or ""
        fields[names[1].format(number)] = "1" if mailbox else "0"
    return Form(page, fields)


def _time_form(phone: Phone) -> Form | None:
    fields = {}
    if phone.ntp:
        fields |= {"use_ntp": "1", "timeserver": phone.ntp}
    zone = phone.zone
    code = None if zone is None else phone.family.tables["frame_zones"]
    if zone is not None and code is not None:
        fields |= {
            "timezone": str(nearest_code_of(zone, code) or 0),
            "use_dst": str(int(zone.dst is not None)),
        }
    country = phone.family.tables["frame_countries"].get(phone.country_code)
    if country is not None:
        fields["country"] = str(country)
    return Form("settings_management_date_n_time.html", fields) if fields else None


class PageClient:
    """Fills in the web pages of a base, one after the other: it breaks when asked for too many."""

    def __init__(self, host: str, port: int = 80) -> None:
        self._host = host
        self._port = port

    def send(self, forms: Iterable[Form]) -> None:
        """Send the forms; RawConfigError if the base does not answer, or not as it should."""
        for form in forms:
            try:
                status = self._ask(form)
            except (OSError, http.client.HTTPException) as error:
                raise RawConfigError(
                    f"{self._host} does not answer {form.page}: {error}"
                ) from error
            if status >= 400:
                raise RawConfigError(f"{self._host} answers {form.page} with HTTP {status}")

    def _ask(self, form: Form) -> int:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=_TIMEOUT)
        try:
            if form.fields is None:
                connection.request("GET", f"/{form.page}")
            else:
                headers = {"Content-Type": "application/x-www-form-urlencoded"}
                connection.request("POST", f"/{form.page}", form.body(), headers)
            response = connection.getresponse()
            response.read()
            return response.status
        finally:
            connection.close()
