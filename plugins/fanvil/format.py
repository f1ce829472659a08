"""How Fanvil phones want their settings: XML, `VOIP_CONFIG_FILE` for older ones, else `sysConf`.

A function key is a value with its line and kind: `200@1/ba*8200`, watched, `*8200` picks up. The
phone looks for firmware in a text file whose name is that of its hardware.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from provd.plugin.api import (
    DeviceInfo,
    DeviceSupport,
    FamilyPlugin,
    Phone,
    PhoneRequest,
    RenderedFile,
    RequestType,
    escape_xml,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provd.plugin.api import Account, Key, Model, Server, Servers

_SERVICES = {"CFU": "fwd_unconditional", "CFB": "fwd_busy", "CFN": "fwd_no_answer"}
_PHONEBOOK_KEYS = {"voip": 7, "sysconf": 21}
_DEFAULT_MENU_PASSWORD = "123"  # noqa: S105 - that of the factory
_NO_PASSWORD = "autoprov"  # noqa: S105 - what stands for none
_ELEMENTS = {"side": "dssSide", "page": "internal", "key": "Fkey"}
# A key of the home page and one of the first page are the same on V66 and V67.
_HOME = "dssSide"
_HARDWARE_FILE = re.compile("[fF]0")
_LEVELS = {"admin": 10, "user": 5}


class FanvilKey(NamedTuple):
    """A function key as the phone has it."""

    type: int
    value: str
    title: str


class FanvilLine(NamedTuple):
    """An account of the phone; it has one place for a proxy and an outbound proxy."""

    account: Account
    servers: Servers
    password: str | None
    proxy: Server
    backup: Server | None
    backup_proxy: Server | None


class Page(NamedTuple):
    """A page of keys, those in use and the numbers of those that are free."""

    element: str
    number: int
    keys: list[tuple[int, FanvilKey]]
    free: list[int]


class FanvilLogin(NamedTuple):
    """A login of the web pages."""

    name: str
    password: str | None
    level: int


_NO_KEY = FanvilKey(0, "", "")


class FanvilPlugin(FamilyPlugin):
    """Fanvil phones and door phones."""

    IS_PLUGIN = True

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML holds it; booleans are 1 and 0."""
        return str(int(value)) if isinstance(value, int) else escape_xml(value)

    # Names

    def canonical(self, name: str) -> str:
        """Return our name of a model: catalogues say `X6U Pro`, file names `x6u_pro`."""
        aliases = self.family.identification.aliases
        dashed = name.replace(" ", "-")
        return aliases.get(name) or aliases.get(dashed) or dashed

    def refine(self, info: DeviceInfo, request: PhoneRequest) -> DeviceInfo | None:
        """Tell models apart by our names; over HTTP a MAC in the path does not tell the vendor."""
        model = info.get("model")
        if model is not None:
            name = self.canonical(model)
            if name not in self.family.models and _HARDWARE_FILE.match(name):
                del info["model"]
            else:
                info["model"] = name if name in self.family.models else _shown(name)
        # The phone needs no such file, and a device cannot be configured without its MAC.
        if request.kind is RequestType.TFTP and "mac" not in info:
            return None
        # Over TFTP there is nothing but the path, and the address is of the vendor.
        is_http = request.kind is RequestType.HTTP
        if is_http and not request.user_agent and info.keys() == {"vendor", "mac"}:
            return {"mac": info["mac"]}
        return info

    def associate(self, info: Mapping[str, Any]) -> int:
        """Score by our name of the model."""
        model = info.get("model")
        return super().associate(info if not model else {**info, "model": self.canonical(model)})

    def score(self, model: Model, version: str | None) -> int:
        """Compare versions without what stands before the last dash: P0.18.23.89-2.4.5.2."""
        if version and any(version == known.rsplit("-", 1)[-1] for known in model.firmware):
            return DeviceSupport.EXACT
        return super().score(model, version)

    def model_of(self, device: Mapping[str, Any], raw_config: Mapping[str, Any]) -> Model:
        """Return the model of a device by our name of it."""
        name = self.canonical(str(device.get("model") or ""))
        return self.family.models.get(name) or super().model_of(device, raw_config)

    def read(self, device: Mapping[str, Any], raw_config: Mapping[str, Any]) -> Phone:
        """Return the phone, by our name of its model."""
        name = self.canonical(str(device.get("model") or ""))
        if name in self.family.models:
            device = {**device, "model": name}
        return super().read(device, raw_config)

    # Firmware

    def served_url(self, value: str, phone: Phone) -> str:
        """Return the URL of a file; firmware lies in the folder of the vendor."""
        url = super().served_url(value, phone)
        return url if "://" in value else url.replace("/firmware/", "/Fanvil/firmware/", 1)

    def firmware_files(self, device: Mapping[str, Any]) -> Iterator[str]:
        """Yield the names of the files in which a phone may look for its firmware."""
        mac = device.get("mac")
        name = self.canonical(str(device.get("model") or ""))
        model = self.family.models.get(name)
        if mac and model is not None and model.fact("format") != "voip":
            usual = f"fanvil_{model.name.lower().replace('-', '_')}_hwv1_0.txt"
            for file in dict.fromkeys((model.fact("txt", usual), usual)):
                yield f"Fanvil/{mac.replace(':', '')}/{file}"

    def file_names(self, device: Mapping[str, Any]) -> Iterator[str]:
        """Yield the names of the configuration and of the firmware's description."""
        yield from super().file_names(device)
        yield from self.firmware_files(device)

    def files_of(self, phone: Phone) -> Iterable[RenderedFile]:
        """Return the configuration, and where the firmware is if there is any."""
        yield from super().files_of(phone)
        firmware = self.firmware_url(phone)
        if firmware is None:
            return
        package = self.installed.firmware(phone.model.name)
        version = package["version"] if package else firmware.rsplit("/", 1)[-1]
        template = self.templates.get_template("firmware.tpl")
        text = template.render({"firmware": firmware, "firmware_version": version})
        for name in self.firmware_files(phone.device):
            yield RenderedFile(name, text.encode())

    # Settings

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        is_voip = phone.model.fact("format") == "voip"
        tables = self.family.tables
        first = phone.first_account
        admin = phone.login("admin")
        dnd_urls = phone.service_urls("fanvil", "dnd")
        has_soft_keys = not phone.model.count("soft")
        phonebook = phone.phonebook_url("fanvil", "lookup", "term=") if has_soft_keys else None
        contacts = phone.phonebook_url("fanvil-v2", "lookup", "term=") if has_soft_keys else None
        language = phone.model.fact("language", "words")
        pages = pages_of(phone)
        return {
            "is_voip": is_voip,
            "format_version": "2.0000000000" if language == "v" else "2.0002",
            "flash_protocol": 5 if phone.base_url.startswith("https:") else 4,
            "lines": [to_line(phone, account) for account in phone.accounts.values()],
            "title": " ".join(filter(None, (first.name, _number(first)))) if first else "",
            "language": phone.in_language(tables["languages"][language], "language"),
            "date_style": tables["dates"].get(phone.locale) if phone.locale else None,
            "time": time_settings(phone),
            "menu_password": (admin.password if admin else None) or _DEFAULT_MENU_PASSWORD,
            "logins": list(logins_of(phone)),
            "dnd_urls": dnd_urls or (None, None),
            # The code as well as the URL would turn the user's DND off again.
            "service_codes": [
                ("DND", None if dnd_urls else phone.extens["dnd"]),
                *((setting, phone.extens[name]) for setting, name in _SERVICES.items()),
            ],
            "subscribe_mwi": phone.values.flag("sip_subscribe_mwi"),
            "is_doorphone": phone.model.type == "doorphone",
            "has_soft_keys": has_soft_keys,
            "phonebook": phonebook,
            # The phone reads the address once more as XML.
            "contacts": contacts and contacts.replace("&", "&amp;"),
            "pages": pages,
            "page_count": max((page.number for page in pages), default=0),
            "soft_keys": soft_keys_of(phone, phonebook, is_voip=is_voip),
        }


def _shown(name: str) -> str:
    """Return a model that we do not know as its file name has it, in the vendor's letters."""
    name = name.replace("_", "-")
    return name.upper() if name.islower() and not name.startswith("i") else name


def _number(account: Account) -> str | None:
    return account.extension if account.extension != account.name else None


def to_line(phone: Phone, account: Account) -> FanvilLine:
    """Return an account as the phone has it."""
    servers = account.servers
    outbound = servers.outbound_proxy
    if outbound is not None and servers.proxy != servers.registrar:
        phone.notes.add(
            f"the proxy of line {account.number} is left out: the outbound proxy takes its place"
        )
    # Phones that are nobody's yet register without a password.
    password = "" if account.password == _NO_PASSWORD else account.password
    return FanvilLine(
        account,
        servers,
        password,
        outbound or servers.proxy,
        servers.backup_registrar,
        servers.backup_proxy if outbound is None else None,
    )


def logins_of(phone: Phone) -> Iterator[FanvilLogin]:
    """Yield the administrator's login and the user's, those that are given."""
    for account, name in (("admin", "admin"), ("user", "guest")):
        login = phone.login(account, name)
        if login is not None:
            yield FanvilLogin(login.name, login.password, _LEVELS[account])


def to_key(key: Key) -> FanvilKey:
    """Return a function key as the phone has it."""
    if key.type == "line":
        return FanvilKey(key.code, f"SIP{key.line}", "")
    kinds = {"speeddial": "f", "park": "c", "blf": "ba"}
    pickup = f"{key.pickup}{key.value}" if key.pickup else ""
    return FanvilKey(key.code, f"{key.value}@{key.line}/{kinds[key.type]}{pickup}", key.label)


@functools.lru_cache(maxsize=128)
def places_of(model: Model) -> dict[str, list[tuple[str, int, int]]]:
    """Return name of a slot → element, page and number on the page; two on a home page."""
    places: dict[str, list[tuple[str, int, int]]] = {}
    home = model.fact("home", 0)
    for slot in model.slots:
        if slot.group == "soft":
            continue
        page, index = divmod(slot.index - 1, model.fact(slot.group) or model.count(slot.group))
        places[slot.name] = [(_ELEMENTS[slot.group], page + 1, index + 1)]
        if slot.index <= home:
            places[slot.name].append((_HOME, 1, slot.index))
    return places


def pages_of(phone: Phone) -> list[Page]:
    """Return the pages of keys."""
    places = places_of(phone.model)
    pages: dict[tuple[str, int], Page] = {}

    def page_of(element: str, number: int) -> Page:
        page = pages.get((element, number))
        if page is None:
            page = pages[element, number] = Page(element, number, [], [])
        return page

    for key in phone.keys:
        for element, number, index in places.get(key.name, ()):
            page_of(element, number).keys.append((index, to_key(key)))
    for slot in phone.free_slots:
        for element, number, index in places.get(slot.name, ()):
            page_of(element, number).free.append(index)
    return [page for _, page in sorted(pages.items())]


def soft_keys_of(
    phone: Phone, phonebook: str | None, *, is_voip: bool
) -> list[tuple[int, FanvilKey]]:
    """Return the soft keys: those of a door phone are its buttons, else one is the phone book."""
    used = {key.name: to_key(key) for key in phone.keys}
    keys = [
        (slot.index, used.get(slot.name, _NO_KEY))
        for slot in phone.model.slots
        if slot.group == "soft"
    ]
    if phonebook is not None:
        kind = _PHONEBOOK_KEYS["voip" if is_voip else "sysconf"]
        keys.append((1, FanvilKey(kind, phonebook, "Phonebook")))
    return keys


def time_settings(phone: Phone) -> dict[str, Any] | None:
    """Return the time zone: quarters of an hour and a name; C58 and C62 have a list of them."""
    zone = phone.zone
    if zone is None:
        return None
    dst = zone.dst
    rule = 2 if dst is None or dst.is_by_week else 1
    if phone.model.fact("language") == "letters":
        hours, rest = divmod(zone.minutes, 60)
        code = phone.family.tables["hours"].get(str(hours))
        if rest or code is None:
            phone.notes.add(f"timezone {zone.name}: the phone has no such zone, it keeps its own")
            return None
        return {"code": code[0], "name": code[1], "dst": dst, "rule": rule}
    name = "UCT"
    if zone.minutes:
        hours = "{hours}" if zone.offset > 0 else "{hours:02d}"
        rest = ":{minutes:02d}" if zone.minutes % 60 else ""
        name = "UTC" + zone.format_offset(f"{{sign}}{hours}{rest}")
    return {"code": zone.minutes // 15, "name": name, "dst": dst, "rule": rule}
