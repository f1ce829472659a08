"""The plugin of a family: associates and renders by the family's data."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import attrs

from provd.errors import InvalidDocument, RawConfigError
from provd.model.addresses import format_mac
from provd.model.requests import DeviceSupport
from provd.plugin.firmware import FetchfwPluginHelper
from provd.plugin.phones.family import FAMILY_FILE, Family, Model, ServedFile, read_family
from provd.plugin.phones.keys import KeyGroup, slots_of
from provd.plugin.phones.packages import FIRMWARE_DIRECTORY, InstalledPackages
from provd.plugin.phones.phone import Phone, version_of
from provd.plugin.vendor import DeviceInfo, PhoneRequest, RenderedFile, VendorPlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from provd.plugin.phones.match import Identification

logger = logging.getLogger(__name__)

_MAX_NOTED = 20_000
_FURTHEST = 99
"""A model that is made for another firmware scores lower by this at most."""


class FamilyPlugin(VendorPlugin):
    """Base of our own vendor plugins; `format.py` of a family derives from it.

    Most families override `escape`, `context` and little else. Settings of every family:
    `firmware`, an object: model -> URL, or name of a file in `var/tftpboot/firmware`; it goes
    before what installed packages bring.
    """

    needs_http = True
    """Whether its files hold URLs of this server."""
    can_hold: ClassVar[Callable[[str], bool] | None] = None
    """Tells whether its files can hold a password as it is; None if they can hold any."""
    lead: ClassVar[int] = 0
    """By how much it scores above other families of the vendor where the model is not known."""
    models_of_others: ClassVar[re.Pattern[str] | None] = None
    """Begins of names, of models that another family of the vendor knows."""

    def __init__(
        self, app: Any, plugin_dir: str, gen_cfg: dict[str, Any], spec_cfg: dict[str, Any]
    ) -> None:
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        self.family: Family = _family_at(os.path.join(plugin_dir, FAMILY_FILE))
        self.sync_event = self.family.sync_event
        self.sync_service = str(gen_cfg.get("sync_service_type") or "none")
        """How phones are told to load their files, `general.sync_service_type`."""
        self._noted: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._vendors = {self.family.vendor} | {
            self.family.vendor_of(model) for model in self.family.models.values()
        }
        self.installed = InstalledPackages(plugin_dir, self.family.packages)
        if self.family.packages:
            downloaders = FetchfwPluginHelper.new_downloaders(gen_cfg.get("proxies"))
            self.services = FetchfwPluginHelper(plugin_dir, downloaders).services()
        self.check_settings(spec_cfg)

    @property
    def stamp(self) -> str:
        """What files depend on beside the device, its config, and the plugin's own files."""
        return f"{self.sync_service}:{','.join(self.installed.ids())}"

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Raise InvalidDocument for a setting of another form."""
        self._check_names("firmware", settings.get("firmware"), self.family.models.keys())

    @staticmethod
    def _check_names(setting: str, urls: Any, known: Iterable[str] | None = None) -> None:
        urls = urls or {}
        if not isinstance(urls, dict) or not all(isinstance(url, str) for url in urls.values()):
            raise InvalidDocument(f"the setting {setting!r} maps names to URLs or file names")
        if known is not None and (unknown := sorted(urls.keys() - set(known))):
            logger.warning("%s is set for models that do not exist: %s", setting, unknown)

    # Identification

    @property
    def identification(self) -> Identification:
        """The tables by which the family is recognised."""
        return self.family.identification

    def extract(self, request: PhoneRequest) -> DeviceInfo | None:
        """Return what a request tells by the tables of the family."""
        info = self.identification.extract(request)
        return None if info is None else self.refine(info, request)

    def refine(self, info: DeviceInfo, request: PhoneRequest) -> DeviceInfo | None:  # noqa: ARG002
        """Return `info` as the family knows better, None if the phone is not one of it."""
        return info

    def associate(self, info: Mapping[str, Any]) -> int:
        """Score by model, then by how near the firmware is to one that is made for the model.

        Files follow the firmware that a phone runs, so any phone of the vendor is worth a try.
        """
        vendor = info.get("vendor")
        if vendor is None:
            return DeviceSupport.UNKNOWN
        if vendor not in self._vendors:
            return DeviceSupport.NONE
        name = info.get("model")
        if name is None:
            return DeviceSupport.PROBABLE + self.lead
        model = self.family.models.get(name)
        if model is None or self.family.vendor_of(model) != vendor:
            if self.models_of_others is not None and self.models_of_others.match(name):
                return DeviceSupport.IMPROBABLE
            is_near = self.nearest(name) is not None
            return DeviceSupport.PROBABLE + int(is_near) + self.lead
        return self.score(model, info.get("version"))

    def score(self, model: Model, version: str | None) -> int:
        """Return how well the family supports a model that it knows, with a firmware."""
        if version in model.firmware:
            return DeviceSupport.EXACT
        if not version or not model.firmware:
            return DeviceSupport.COMPLETE
        running = version_of(version)
        gap = min(_distance(running, version_of(known)) for known in model.firmware)
        return DeviceSupport.COMPLETE - min(gap, _FURTHEST)

    def nearest(self, name: str) -> Model | None:
        """Return the known model whose name begins as `name` does, two characters at least.

        Of several, the one with most lines, and of those the last: tables are by age, or name.
        """
        best, length = None, 1
        for model in self.family.models.values():
            common = _common_length(model.name.upper(), name.upper())
            if common > length or (common == length > 1 and best and best.lines <= model.lines):
                best, length = model, common
        return best

    def model_of(self, device: Mapping[str, Any], raw_config: Mapping[str, Any]) -> Model:
        """Return the model of a device; for one that we do not know the nearest.

        Where none is near, it gets what is asked for and nothing is cleared beyond that.
        """
        name = str(device.get("model") or "")
        return (
            self.family.models.get(name)
            or (self.nearest(name) if name else None)
            or self._model_as_asked(name, raw_config)
        )

    def _model_as_asked(self, name: str, raw_config: Mapping[str, Any]) -> Model:
        models = self.family.models.values()
        most_lines = max(model.lines for model in models)
        group = next((one for one in self.family.key_slots if one != "module"), None)
        most_keys = max(model.keys for model in models) if group else 0
        lines = _highest(raw_config.get("sip_lines"), most_lines)
        keys = _highest(raw_config.get("funckeys"), most_keys, least=0)
        groups: tuple[KeyGroup, ...] = ()
        if group is not None and keys:
            slot, first = self.family.key_slots[group], self.family.keys_first
            groups = (KeyGroup(group, keys, slot, first),)
        return Model(name, lines, "deskphone", groups, 0, 0, slots_of(groups, 0, 0, ""), ())

    # Files

    def file_names(self, device: Mapping[str, Any]) -> Iterator[str]:
        """Yield the names of the files that `render` may give."""
        for file in self.family.files_for(self.family.files, self.model_of(device, {})):
            name = file_name(file.name, device)
            if name is not None:
                yield name

    def get_remote_state_trigger_filename(self, device: Mapping[str, Any]) -> str | None:
        """Return the name of the file that holds the configuration."""
        name = next(iter(self.file_names(device)), None)
        return None if name is None else name.rsplit("/", 1)[-1]

    def is_sensitive_filename(self, filename: str) -> bool:
        """Tell whether a file may hold passwords."""
        return any(
            pattern.fullmatch(filename) is not None for pattern in _sensitive(self.family.files)
        )

    def render_common(self, raw_config: dict[str, Any]) -> Iterable[RenderedFile]:
        """Return the common files; those with {model} in their name, one for each model."""
        for file in self.family.common:
            models: Iterable[Model | None] = (None,)
            if "{model}" in file.name:
                models = [
                    model
                    for model in self.family.models.values()
                    if self.family.files_for((file,), model)
                ]
            for model in models:
                name = file.name.replace("{model}", model.name if model else "")
                context = self.common_context(raw_config, model)
                yield self.template_file(file, name, context)

    def common_context(self, raw_config: dict[str, Any], model: Model | None) -> dict[str, Any]:
        """Return the names that templates of common files may use.

        Nothing may depend on the address of the server: where each tenant has a URL of its own,
        only a phone's own file may tell it.
        """
        return {"raw": raw_config, "model": model, "family": self.family}

    def render(self, device: dict[str, Any], raw_config: dict[str, Any]) -> Iterable[RenderedFile]:
        """Return the files of a device; RawConfigError refuses one whose file has no name yet."""
        phone = self.read(device, raw_config)
        files = list(self.files_of(phone))
        self._log_notes(phone)
        return files

    def read(self, device: Mapping[str, Any], raw_config: Mapping[str, Any]) -> Phone:
        """Return the phone that a device and its raw config describe.

        RawConfigParamError if `can_hold` says no to one of its passwords.
        """
        model = self.model_of(device, raw_config)
        phone = Phone(self.family, device, raw_config, model)
        name = device.get("model")
        if name and name not in self.family.models:
            like = f", and is configured like {model.name}" if model.name != name else ""
            phone.notes.add(f"{self.family.vendor} {name} is not a model that we know{like}")
        can_hold = type(self).can_hold
        if can_hold is not None:
            phone.check_secrets(can_hold)
        return phone

    def files_of(self, phone: Phone) -> Iterable[RenderedFile]:
        """Return the files of a phone, one for each of `files` that has a template."""
        if self.needs_http:
            _ = phone.base_url
        for number, one in enumerate(self._by_kind(phone)):
            files = self.family.files_for(self.family.files, one.model)
            yield from self._files_of(one, [file for file in files if file.kind or not number])

    def _by_kind(self, phone: Phone) -> Iterator[Phone]:
        """Yield the phone; one of each kind where only its file can tell what it is."""
        kinds = self.family.kinds()
        if not kinds or phone.model.fact("kind") is not None:
            yield phone
            return
        for kind in kinds:
            models = self.family.models.values()
            facts = next((one.facts for one in models if one.fact("kind") == kind), {"kind": kind})
            yield attrs.evolve(phone, model=attrs.evolve(phone.model, facts=facts), memo={})

    def _files_of(self, phone: Phone, files: Iterable[ServedFile]) -> Iterator[RenderedFile]:
        context = {**self.neutral_context(phone), **self.context(phone)}
        for number, file in enumerate(files):
            if file.optional and file_name(file.name, phone.device) is None:
                continue
            name = self.name_of(file, phone.device)
            if number == 0:
                template = self.templates.get_dev_template(name.rsplit("/", 1)[-1], phone.device)
                yield self._file(file, name, template, context)
            elif file.template is not None:
                yield self.template_file(file, name, context)

    def name_of(self, file: ServedFile, device: Mapping[str, Any]) -> str:
        """Return the name of a file of a device; RawConfigError if it cannot be told yet."""
        name = file_name(file.name, device)
        if name is None:
            kinds = {"{sn}": "serial number", "{uuid}": "UUID"}
            what = next((kind for key, kind in kinds.items() if key in file.name), "MAC")
            raise RawConfigError(
                f"a {self.family.vendor} phone cannot be configured before its {what} is known"
            )
        return name

    def template_file(
        self, file: ServedFile, name: str, context: Mapping[str, Any]
    ) -> RenderedFile:
        """Return a file rendered by its template."""
        assert file.template is not None
        return self._file(file, name, self.templates.get_template(file.template), context)

    def _file(
        self, file: ServedFile, name: str, template: Any, context: Mapping[str, Any]
    ) -> RenderedFile:
        text = template.render(context)
        if file.newline != "\n":
            text = text.replace("\n", file.newline)
        return RenderedFile(name, text.encode(file.encoding, file.errors))

    def context(self, phone: Phone) -> dict[str, Any]:  # noqa: ARG002
        """Return what the templates of the family want beside the neutral names."""
        return {}

    def neutral_context(self, phone: Phone) -> dict[str, Any]:
        """Return the names that every family's templates may use; docs/plugins.md explains them."""
        return {
            "phone": phone,
            "device": phone.device,
            "raw": phone.raw,
            "family": self.family,
            "model": phone.model,
            "version": phone.version,
            "base_url": phone.raw.get("http_base_url"),
            "accounts": phone.accounts,
            "free_lines": phone.free_lines,
            "keys": phone.keys,
            "free_slots": phone.free_slots,
            "zone": phone.zone,
            "ntp": phone.ntp,
            "dns": phone.dns,
            "vlan": phone.vlan,
            "syslog": phone.syslog,
            "extens": phone.extens,
            "language": phone.language,
            "country": phone.country,
            "admin": phone.login("admin"),
            "user": phone.login("user"),
            "switchboard": phone.option("switchboard"),
            "firmware": self.firmware_url(phone),
        }

    # Firmware

    def firmware_url(self, phone: Phone) -> str | None:
        """Return the URL of the firmware that a phone is to run, None to leave it alone."""
        url: str | None = phone.once("firmware_url", lambda: self._find_firmware(phone))
        return url

    def _find_firmware(self, phone: Phone) -> str | None:
        value = (self.settings.get("firmware") or {}).get(phone.device.get("model"))
        if value:
            return self.served_url(value, phone)
        package = self.installed.firmware(phone.model.name)
        return None if package is None else self.served_url(package["serves"], phone)

    def served_url(self, value: str, phone: Phone) -> str:
        """Return a URL as it is, and a name of a file as its URL here.

        `$PN` and the like are for the phone to fill in.
        """
        if "://" in value:
            return value
        return f"{phone.base_url}/{FIRMWARE_DIRECTORY}/{quote(value, safe='/$(),')}"

    # What a phone could not take

    def notes_of(self, device_id: str) -> tuple[str, ...]:
        """Return what a device could not take when it was last rendered."""
        return self._noted.get(device_id, ())

    def _log_notes(self, phone: Phone) -> None:
        device_id = str(phone.device.get("id"))
        before = self._noted.pop(device_id, ())
        texts = tuple(phone.notes.texts)
        if not texts:
            return
        for text in texts:
            if text not in before:
                logger.warning("device %s: %s", device_id, text)
        self._noted[device_id] = texts
        while len(self._noted) > _MAX_NOTED:
            self._noted.popitem(last=False)


@functools.lru_cache(maxsize=64)
def _read_family(path: str, signature: tuple[int, int]) -> Family:  # noqa: ARG001
    return read_family(path)


def _family_at(path: str) -> Family:
    """Return the family at `path`; it is read anew when the file changes."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise InvalidDocument(f"{path} cannot be read: {error.strerror}") from error
    return _read_family(path, (status.st_mtime_ns, status.st_size))


def file_name(pattern: str, device: Mapping[str, Any]) -> str | None:
    """Return the name that a pattern gives for a device, None if the device lacks what it takes.

    Placeholders: {mac} and {MAC} (12 digits), {ma_c} (small, `_` between bytes), {sn}, {uuid},
    {model}.
    """
    values: dict[str, Any] = {key: device.get(key) for key in ("sn", "uuid", "model")}
    mac = device.get("mac")
    if mac:
        values["mac"] = format_mac(mac, separator="")
        values["MAC"] = values["mac"].upper()
        values["ma_c"] = mac.replace(":", "_")
    name = pattern
    for key in ("mac", "MAC", "ma_c", "sn", "uuid", "model"):
        placeholder = f"{{{key}}}"
        if placeholder in name:
            value = values.get(key)
            if not value or "/" in value:
                return None
            name = name.replace(placeholder, value)
    return name


@functools.lru_cache(maxsize=64)
def _sensitive(files: tuple[ServedFile, ...]) -> tuple[re.Pattern[str], ...]:
    parts = {
        "{mac}": "[0-9a-fA-F]{12}",
        "{MAC}": "[0-9a-fA-F]{12}",
        "{ma_c}": "[0-9a-fA-F]{2}(?:_[0-9a-fA-F]{2}){5}",
        "{sn}": "[^/]+",
        "{uuid}": "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
        "{model}": "[^/]+",
    }
    patterns = []
    for file in files:
        if not file.sensitive:
            continue
        pattern = re.escape(file.name.rsplit("/", 1)[-1])
        for placeholder, part in parts.items():
            pattern = pattern.replace(re.escape(placeholder), part)
        patterns.append(re.compile(pattern, re.ASCII | re.IGNORECASE))
    return tuple(patterns)


def _common_length(one: str, other: str) -> int:
    """Return how many characters two texts have in common at their beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (left, right) in pairs if left != right), min(len(one), len(other)))


def _highest(section: Any, limit: int, least: int = 1) -> int:
    """Return the highest number in `sip_lines` or `funckeys`, up to `limit`."""
    numbers = [
        int(key)
        for key in (section if isinstance(section, dict) else ())
        if key.isascii() and key.isdigit() and len(key) <= 12
    ]
    return max(least, min(max((n for n in numbers if n <= limit), default=least), limit))


def _distance(running: tuple[int, ...], known: tuple[int, ...]) -> int:
    """Return how far two firmware versions are from each other, 0 to 90."""
    if not running or not known:
        return 0
    if running[0] != known[0]:
        return min(60 + 2 * abs(running[0] - known[0]), 90)
    for index, (one, other) in enumerate(zip(running[1:], known[1:], strict=False)):
        if one != other:
            weight = (10, 3, 1)[min(index, 2)]
            # Of two that are as near, the newer one is the better.
            return min(weight + 2 * abs(one - other) - (one < other), 59)
    return 0
