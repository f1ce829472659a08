"""How Snom desk phones want their settings: XML, one element for each, `idx` for the identity."""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from provd.plugin.api import (
    DeviceInfo,
    FamilyPlugin,
    Phone,
    PhoneRequest,
    RenderedFile,
    escape_xml,
    is_xml_safe,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provd.plugin.api import Account, Key

_NEWEST = 10
MAX_CERTIFICATES = 10
# The first firmware that hands its own update on to modules (vendor's wiki, "firmware-settings").
_UPDATES_MODULES = (8, 9, 3, 68)
_LANGUAGE_FILE = re.compile(r"(gui|web)_lang_([A-Z]{2})\.xml")
_EXTEN_SETTINGS = {
    "dnd_on_code": "dnd",
    "dnd_off_code": "dnd",
    "fwd_all_on_code": "fwd_unconditional",
    "fwd_all_off_code": "fwd_unconditional",
    "fwd_busy_on_code": "fwd_busy",
    "fwd_busy_off_code": "fwd_busy",
    "fwd_time_on_code": "fwd_no_answer",
    "fwd_time_off_code": "fwd_no_answer",
    "blf_directed_call_pickup": "pickup_call",
}
_ON_OFF = {True: "on", False: "off"}


class Identity(NamedTuple):
    """An account of the phone; a backup proxy is an identity of its own that nobody sees."""

    idx: int
    account: Account
    host: str
    outbound: str
    failover: int | None
    is_backup: bool


class SnomKey(NamedTuple):
    """A function key: `fkey idx`; `context` is the identity that it uses."""

    idx: int
    value: str
    label: str
    context: int | str = "active"


class SnomPlugin(FamilyPlugin):
    """Snom desk phones.

    Settings: `firmware` (model -> URL, or name of a file in var/tftpboot/firmware) and
    `module_firmware` (kind of expansion module: `uxm`, `d7c` or `d8c` -> the same).
    """

    IS_PLUGIN = True
    can_hold = staticmethod(is_xml_safe)

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML holds it; booleans are on and off."""
        return _ON_OFF[value] if isinstance(value, bool) else escape_xml(value)

    def refine(self, info: DeviceInfo, request: PhoneRequest) -> DeviceInfo | None:  # noqa: ARG002
        """Leave out what is DECT: that is another family."""
        model = info.get("model")
        if model is not None and model.startswith("M") and model[1:].isdigit():
            return None
        return info

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings of another form."""
        super().check_settings(settings)
        self._check_names("module_firmware", settings.get("module_firmware"))

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        zone_code = phone.zone_code(self.family.tables["zones"])
        identities = identities_of(phone)
        used = {one.idx for one in identities}
        first = phone.first_account
        defaults = phone.model.fact("defaults", ())
        free = [slot_index(phone, slot) for slot in phone.free_slots]
        labels = self.family.tables["directory_labels"]
        codes = [(setting, phone.extens[name]) for setting, name in _EXTEN_SETTINGS.items()]
        return {
            "identities": identities,
            "blocked": " ".join(
                f"Identity{one.idx:02d}IsNotRegistered" for one in identities if one.is_backup
            ),
            "free_identities": [n for n in range(1, phone.model.lines + 1) if n not in used],
            "exten_settings": codes,
            "zone_code": zone_code,
            "fkeys": [to_key(phone, key) for key in phone.keys],
            # What is printed on the key stays its function while nothing else is asked for.
            "default_fkeys": [(idx, defaults[idx]) for idx in free if idx < len(defaults)],
            "free_fkeys": [idx for idx in free if idx >= len(defaults)],
            "has_context_keys": has_context_keys(phone),
            "directory_label": labels.get(phone.language_code, labels["en"]),
            "voicemail": None if first is None else first.voicemail,
            "phonebook": phone.phonebook_url("snom"),
            "firmware": self._chained(phone, self.firmware_url(phone)),
            "module_firmware": self._module_firmware(phone),
            "language_files": self._language_files(phone),
            "inline_certificates": [
                _body(one) for one in phone.certificates if generation(phone) >= _NEWEST
            ],
            "certificate_urls": [
                f"{phone.base_url}/{name}" for name, _ in _certificate_files(phone)
            ],
        }

    # Files

    def file_names(self, device: Mapping[str, Any]) -> Iterator[str]:
        """Yield the names of the XML files, and of the certificates that older firmware fetches."""
        for name in super().file_names(device):
            yield name
            if name.endswith(".xml") and "-" not in name:
                for number in range(1, MAX_CERTIFICATES + 1):
                    yield name.replace(".xml", f"-ca{number}.der")

    def files_of(self, phone: Phone) -> Iterable[RenderedFile]:
        """Return the XML files, and the certificates that older firmware fetches."""
        if len(phone.certificates) > MAX_CERTIFICATES:
            raise phone.refuse(
                "sip_servers_root_and_intermediate_certificates",
                f"a phone takes {MAX_CERTIFICATES} certificates, not {len(phone.certificates)}",
            )
        yield from super().files_of(phone)
        for name, content in _certificate_files(phone):
            yield RenderedFile(name, content)

    def _chained(self, phone: Phone, url: str | None) -> str | None:
        """Return the URL of the first of two steps, where the installed package has two.

        Its file makes room for the firmware, whose URL it takes as an argument.
        """
        package = self.installed.firmware(phone.model.name)
        is_ours = package and url and url.endswith(f"/{quote(package['serves'])}")
        if not is_ours or package["version"] == phone.device.get("version"):
            return url
        for file in package["files"]:
            if "chained-update" in file["name"]:
                return f"{self.served_url(file['name'], phone)}?chained_url={quote(url, safe='')}"
        return url

    def _module_firmware(self, phone: Phone) -> str | None:
        kind = phone.model.fact("module")
        if kind is None or (phone.version and phone.version < _UPDATES_MODULES):
            return None
        value = (self.settings.get("module_firmware") or {}).get(kind)
        if value:
            return self.served_url(value, phone)
        serves = {package["id"]: package.get("serves") for package in self.family.packages}
        for package_id in self.installed.ids():
            if package_id.startswith(f"{kind}-fw") and serves.get(package_id):
                return self.served_url(serves[package_id], phone)
        return None

    def _language_files(self, phone: Phone) -> dict[str, list[tuple[str, str]]]:
        """Return `gui` and `web` -> names and URLs of the languages that firmware 8 loads."""
        found: dict[str, list[tuple[str, str]]] = {"gui": [], "web": []}
        version = ".".join(map(str, phone.version[:3]))
        if not self.installed.has(f"lang-{version}"):
            return found
        directory = f"i18n/{version}"
        root = self.path_of(directory)
        for base, _, names in os.walk(root):
            for name in sorted(names):
                match = _LANGUAGE_FILE.fullmatch(name)
                language = match and self.family.languages.get(match[2].lower())
                if match and language:
                    place = os.path.relpath(os.path.join(base, name), root)
                    url = f"{phone.base_url}/{directory}/{quote(place)}"
                    found[match[1]].append((language, url))
        return found


def generation(phone: Phone) -> int:
    """Return the first number of the firmware, else of the newest one for the model."""
    newest = phone.model.firmware[-1].split(".")[0] if phone.model.firmware else _NEWEST
    return phone.version[0] if phone.version else int(newest)


def has_context_keys(phone: Phone) -> bool:
    """Tell whether the softkeys of a phone depend on what it is doing: D models, firmware 10."""
    return generation(phone) >= _NEWEST and phone.model.name.startswith("D")


def _body(certificate: str) -> str:
    """Return a PEM text without its frame, on one line."""
    return "".join(line for line in certificate.split() if line.isascii() and "-" not in line)


def _certificate_files(phone: Phone) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the certificates in DER, for firmware that takes no text."""
    if generation(phone) >= _NEWEST:
        return
    for number, certificate in enumerate(phone.certificates, 1):
        try:
            content = base64.b64decode(_body(certificate), validate=True)
        except binascii.Error:
            phone.notes.add(f"certificate {number} is left out: it is not a PEM text")
            continue
        yield f"{(phone.mac or '').upper()}-ca{number}.der", content


def to_key(phone: Phone, key: Key) -> SnomKey:
    """Return a function key as the phone has it."""
    index = slot_index(phone, key.slot)
    context = key.line if key.type == "line" or key.line > 1 else "active"
    value = f"speed {key.value}"
    if key.type == "line":
        value = "line"
    elif key.type == "blf":
        value = f"blf {key.value}|{key.pickup}" if key.pickup else f"blf {key.value}"
    elif key.type == "park" and phone.model.fact("orbit"):
        value = f"orbit {key.value}"
    return SnomKey(index, value, key.label, context)


def slot_index(phone: Phone, slot: Any) -> int:
    """Return the `idx` of a key: those of modules go on after the phone's own."""
    if slot.module is None:
        return int(slot.index) - 1
    return phone.model.keys + (slot.module - 1) * phone.model.module_keys + int(slot.index) - 1


def identities_of(phone: Phone) -> list[Identity]:
    """Return the identities of a phone; each backup proxy takes one that is free."""
    identities: list[Identity] = []
    free = phone.free_lines
    for number, account in phone.accounts.items():
        servers = account.servers
        backup = None
        if servers.backup_proxy is not None:
            backup = next((idx for idx in free if idx > number), None)
            if backup is None:
                phone.notes.add(
                    f"the backup proxy of line {number} is left out: no identity is free"
                )
            else:
                free.remove(backup)
        route = servers.outbound_proxy or servers.proxy
        transport = account.transport
        identities.append(
            Identity(
                number,
                account,
                servers.registrar.host,
                f"{route};transport={transport}",
                backup,
                False,
            )
        )
        if backup is not None and servers.backup_proxy is not None:
            outbound = f"{servers.backup_proxy};transport={transport}"
            identities.append(
                Identity(backup, account, servers.backup_proxy.host, outbound, None, True)
            )
    return sorted(identities, key=lambda one: one.idx)
