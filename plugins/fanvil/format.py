"""How Fanvil phones want their settings: XML, `sysConf` on newer ones, `VOIP_CONFIG_FILE` on older.

Both hold the same settings by other names. Newer phones ask for a text file that describes their
firmware; older ones are given the URL of it.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import attrs

from provd.plugin.api import (
    DeviceInfo,
    FamilyPlugin,
    Phone,
    PhoneRequest,
    RenderedFile,
    RequestType,
    escape_xml,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provd.plugin.api import Account, Change, Key, Model, Server, Slot, Zone

_FOLDER = "Fanvil"
# In x210-6924-P0.18.23.89-2.4.5.2-3594T2022-07-29-09.44.03.z it is 2.4.5.2.
_VERSION = re.compile(r"[-_](\d+(?:\.\d+){2,})[-_]")
_BUILD_TIME = re.compile(r"T(\d{4})-?(\d\d)-?(\d\d)-?(\d\d)\.?(\d\d)")
_OLD = "voip"
_LAST_WEEK = -1
_HOUR = 60
# `ba` has the phone dial what follows when the key is pressed while the other one rings.
_SUFFIXES = {"speeddial": "/f", "blf": "/ba", "park": "/c"}


class FanvilLine(NamedTuple):
    """An account and where it is registered."""

    account: Account
    registrar: Server
    proxy: Server
    backup: Server | None
    password: str | None


class FanvilKey(NamedTuple):
    """A function key; one that nobody uses is of type 0."""

    position: int
    type: int = 0
    value: str = ""
    title: str = ""


class FanvilPlugin(FamilyPlugin):
    """Fanvil phones and door phones."""

    IS_PLUGIN = True

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML holds it; booleans are 1 and 0."""
        return escape_xml(int(value) if isinstance(value, bool) else value)

    def served_url(self, value: str, phone: Phone) -> str:
        """Return the URL of a firmware; files are below the vendor's folder."""
        if "://" in value:
            return value
        return f"{phone.base_url}/{_FOLDER}/firmware/{quote(value)}"

    # Names of models and firmware

    def refine(self, info: DeviceInfo, request: PhoneRequest) -> DeviceInfo | None:
        """Call the model what we call it, and leave out what the request alone does not tell."""
        if request.kind is RequestType.TFTP and "mac" not in info:
            return None
        model = info.get("model")
        if model is None:
            if request.kind is RequestType.HTTP and "version" not in info:
                # Other vendors' phones ask for such files too; only the address is sure.
                info.pop("vendor")
            return info
        model = self._model_name(model)
        is_known = model in self.family.models
        if not is_known and request.filename == f"{model}.cfg":
            del info["model"]  # of hardware that we do not know
        else:
            from_file = request.filename.startswith(f"fanvil_{model}_")
            info["model"] = model.upper() if from_file and not is_known else model
        return info

    def _model_name(self, name: str) -> str:
        """Return our name of a model; phones and catalogues have blanks in some."""
        return self.identification.model_name(name.replace(" ", "-"))

    def associate(self, info: Mapping[str, Any]) -> int:
        """Score a model by any of its names."""
        if info.get("model"):
            info = {**info, "model": self._model_name(info["model"])}
        return super().associate(info)

    def model_of(self, device: Mapping[str, Any], raw_config: Mapping[str, Any]) -> Model:
        """Return a model by any of its names."""
        name = self._model_name(str(device.get("model") or ""))
        return super().model_of({**device, "model": name}, raw_config)

    def score(self, model: Model, version: str | None) -> int:
        """Compare versions without what some have before a dash, the version of the kernel."""
        known = tuple(_without_kernel(one) for one in model.firmware)
        return super().score(
            attrs.evolve(model, firmware=known), version and _without_kernel(version)
        )

    # Files

    def file_names(self, device: Mapping[str, Any]) -> Iterator[str]:
        """Yield the names of the configuration and of the files that describe firmware."""
        for name in super().file_names(device):
            yield name
            folder = name.removesuffix(".cfg")
            yield from (f"{folder}/{one}" for one in firmware_files(self.model_of(device, {})))

    def files_of(self, phone: Phone) -> Iterable[RenderedFile]:
        """Return the configuration, and what describes the firmware where there is one."""
        yield from super().files_of(phone)
        url = self.firmware_url(phone)
        if url is None:
            return
        context = {
            "url": url,
            "firmware_version": self._firmware_version(phone, url),
            "built": _build_time(url),
        }
        template = self.templates.get_template("firmware.tpl")
        for name in firmware_files(phone.model):
            content = self.templates.render(template, context)
            yield RenderedFile(f"{_FOLDER}/{phone.mac}/{name}", content)

    def _firmware_version(self, phone: Phone, url: str) -> str:
        """Return the version that a package tells, else what the name of the file does."""
        package = self.installed.firmware(phone.model.name)
        if package is not None and url == self.served_url(package["serves"], phone):
            return str(package["version"])
        name = os.path.basename(url)
        found = _VERSION.search(name)
        return found[1] if found else name.rpartition(".")[0] or name

    # The configuration

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        tables = self.family.tables
        languages = tables["languages"].get(phone.model.fact("language"), {})
        dnd_urls = phone.service_urls("fanvil", "dnd") if not is_old(phone.model) else None
        admin = phone.login("admin")
        return {
            "layout": "voip_config.tpl" if is_old(phone.model) else "sysconf.tpl",
            "lines": [to_line(account, phone) for account in phone.accounts.values()],
            "mwi": phone.values.flag("sip_subscribe_mwi"),
            "title": title_of(phone.first_account),
            "display_language": phone.in_language(languages, "language"),
            "date_form": tables["dates"].get(phone.locale),
            "time": time_settings(phone),
            "dnd_urls": dnd_urls,
            # Together with the URLs it would turn DND on and off again.
            "dnd_code": None if dnd_urls else phone.extens["dnd"],
            "menu_password": (admin and admin.password) or "123",
            "logins": [
                (number, level, login)
                for number, level, login in ((1, 10, admin), (2, 5, phone.login("user", "guest")))
                if login
            ],
            "key_pages": key_pages(phone),
            "page_count": page_of(phone.model.count("page") or 1, phone.model.fact("page"))[0],
            "directory": _in_value(phone.phonebook_url("fanvil", "lookup", "term=")),
            "contacts": _in_value(phone.phonebook_url("fanvil-v2", "lookup", "term=")),
            "has_soft_keys": bool(phone.model.count("soft")),
            "protocol": 5 if phone.base_url.startswith("https:") else 4,
        }


def _without_kernel(version: str) -> str:
    return version.rpartition("-")[2]


def is_old(model: Model) -> bool:
    """Tell whether a model reads VOIP_CONFIG_FILE."""
    return bool(model.fact("format") == _OLD)


def firmware_files(model: Model) -> list[str]:
    """Return the files in which a model may look for newer firmware."""
    if is_old(model):
        return []
    name = model.name.lower().replace("-", "_").replace("/", "_")
    usual = f"fanvil_{name}_hwv1_0.txt"
    return sorted({usual, model.fact("txt", usual)})


def _build_time(url: str) -> str:
    found = _BUILD_TIME.search(os.path.basename(url))
    return "{}.{}.{} {}:{}".format(*found.groups()) if found else ""


def _in_value(url: str | None) -> str | None:
    """Return a URL as it stands in a value: the phone reads character references there again."""
    return None if url is None else url.replace("&", "&amp;")


def to_line(account: Account, phone: Phone) -> FanvilLine:
    """Return an account as the phone has it, with one place for a proxy and one for a backup."""
    servers = account.servers
    proxy = servers.outbound_proxy or servers.proxy
    if servers.proxy not in {proxy, servers.registrar}:
        phone.notes.add(
            f"the proxy of line {account.number} is left out: its outbound proxy takes the place"
        )
    backup = servers.backup_registrar or servers.backup_proxy
    if servers.backup_proxy is not None and servers.backup_proxy != backup:
        phone.notes.add(
            f"the backup proxy of line {account.number} is left out: "
            "its backup registrar takes the place"
        )
    password = None if account.password == "autoprov" else account.password  # noqa: S105
    return FanvilLine(account, servers.registrar, proxy, backup, password)


def title_of(account: Account | None) -> str:
    """Return what the display shows while nothing happens: number and name of an account."""
    if account is None:
        return ""
    return " ".join(part for part in (account.extension, account.display_name) if part)


# Time


def time_settings(phone: Phone) -> dict[str, Any] | None:
    """Return code and name of the time zone, and its summer time; None to keep the phone's."""
    zone = phone.zone
    if zone is None:
        return None
    if phone.model.fact("language") == "letters":
        hours = f"{zone.minutes // _HOUR}" if not zone.minutes % _HOUR else ""
        found = phone.family.tables["hours"].get(hours)
        if found is None:
            phone.note_unknown_zone()
            return None
        code, name = found
    else:
        code, name = zone.minutes // 15, _zone_name(zone)
    return {"code": code, "name": name, "dst": _summer_time(zone, phone)}


def _zone_name(zone: Zone) -> str:
    """Return `UTC+h`, `UTC-hh` or `UCT`, as the phone spells them."""
    if not zone.minutes:
        return "UCT"
    pattern = "UTC{sign}{hours:02d}" if zone.minutes < 0 else "UTC{sign}{hours}"
    return zone.format_offset(pattern + (":{minutes:02d}" if zone.minutes % _HOUR else ""))


def _summer_time(zone: Zone, phone: Phone) -> dict[str, Any] | None:
    dst = zone.dst
    if dst is None:
        return None
    if dst.is_mixed:
        phone.notes.add(f"timezone {zone.name} mixes kinds of rules: there is no summer time")
        return None
    return {
        "fixed": 2 if dst.is_by_week else 1,
        "minutes": dst.save // 60,
        "changes": (("Start", _change(dst.start)), ("End", _change(dst.end))),
    }


def _change(change: Change) -> dict[str, int]:
    """Return the parts of a change; weekday 0 is Sunday, on fixed days it is that of the month."""
    parts = {"Mon": change.month}
    if change.weekday is None:
        parts["Wday"] = change.day or 1
    else:
        parts["Week"] = _LAST_WEEK if change.is_last_week else change.week or 1
        parts["Wday"] = change.weekday % 7
    return {**parts, "Hour": change.hour, "Min": change.minute}


# Keys


def page_of(number: int, per_page: int | None) -> tuple[int, int]:
    """Return page and place on it, from 1, of a key."""
    if not per_page:
        return 1, number
    page, place = divmod(number - 1, per_page)
    return page + 1, place + 1


def key_pages(phone: Phone) -> dict[tuple[str, int], list[FanvilKey]]:
    """Return the keys of each page: kind of the page, its number -> keys by their place."""
    used = {key.slot: key for key in phone.keys}
    pages: dict[tuple[str, int], list[FanvilKey]] = {}
    home = int(phone.model.fact("home", 0))
    for slot in phone.model.slots:
        page, place = page_of(slot.index, phone.model.fact(slot.group))
        key = to_key(used.get(slot), place)
        if slot.index <= home:
            pages.setdefault(("dssSide", 1), []).append(key)
        pages.setdefault((_element(slot), page), []).append(key)
    return pages


def _element(slot: Slot) -> str:
    return {"side": "dssSide", "page": "internal", "soft": "dssSoft"}.get(slot.group, slot.group)


def to_key(key: Key | None, place: int) -> FanvilKey:
    """Return a function key as the phone has it."""
    if key is None:
        return FanvilKey(place)
    if key.type == "line":
        return FanvilKey(place, key.code, f"SIP{key.line}", key.label)
    value = f"{key.value}@{key.line}{_SUFFIXES[key.type]}"
    if key.pickup:
        value += f"{key.pickup}{key.value}"
    return FanvilKey(place, key.code, value, key.label)
