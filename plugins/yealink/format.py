"""How Yealink phones want their settings: `key = value` lines, by the generation of firmware.

A generation is the second number of a firmware version: 66.86.0.15 is of generation 86.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from provd.model.addresses import is_normed_ip
from provd.plugin.api import (
    DeviceInfo,
    FamilyPlugin,
    Markup,
    Phone,
    PhoneRequest,
    RenderedFile,
    is_line_safe,
    to_one_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provd.plugin.api import Account, Change, Key, Model, Servers, Zone

_CLEARED = "%NULL%"
MAX_CERTIFICATES = 10
# A speed dial of the recording code must reach the call in progress, so it is sent as DTMF.
_RECORDING_CODE = "*3"
_KEY_DTMF = 11
# The highest offset was +12 at first.
_HIGHEST_OFFSET = 12 * 60
_LOWEST_OFFSET = -11 * 60


class YealinkKey(NamedTuple):
    """A function key as the templates write it."""

    name: str
    type: int
    line: int
    value: Any
    label: Any
    pickup: Any


class YealinkPlugin(FamilyPlugin):
    """Yealink phones of all generations.

    Settings: `firmware` (model -> URL, or name of a file in var/tftpboot/firmware) and
    `handset_firmware` (type of DECT handset, such as `w73h` -> the same).
    """

    IS_PLUGIN = True
    can_hold = staticmethod(is_line_safe)

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings of another form."""
        super().check_settings(settings)
        self._check_names("handset_firmware", settings.get("handset_firmware"))

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as it may stand after `key = `; nothing at all clears the key.

        A line ends the value and there is no way to quote one, so whatever a phone might take for
        a line end, and other control characters, turn into blanks.
        """
        if value is None:
            return _CLEARED
        if value is True or value is False:
            return "1" if value else "0"
        return to_one_line(value).strip() or _CLEARED

    def refine(self, info: DeviceInfo, request: PhoneRequest) -> DeviceInfo | None:
        """Add the model where the number of a common file tells it."""
        name = request.filename
        if "model" not in info and name.startswith("y") and name.endswith(".cfg"):
            models = self._models_by_file().get(int(name[1:13]), ())
            if len(models) == 1:
                info["model"] = models[0].name
        return info

    def _models_by_file(self) -> dict[int, list[Model]]:
        models: dict[int, list[Model]] = {}
        for model in self.family.models.values():
            for number in model.fact("files", ()):
                models.setdefault(number, []).append(model)
        return models

    def release(self, phone: Phone) -> int:
        """Return the generation to write for: that of the phone, else the model's newest one."""
        known = {int(version.split(".")[1]) for version in self._versions()}
        if len(phone.version) < 2:
            own = [int(version.split(".")[1]) for version in phone.model.firmware]
            return int(phone.model.fact("generation") or max(own or known))
        return max((one for one in known if one <= phone.version[1]), default=min(known))

    def _versions(self) -> Iterator[str]:
        for model in self.family.models.values():
            yield from model.firmware

    def file_names(self, device: Mapping[str, Any]) -> Iterator[str]:
        """Yield the names of the configuration and of the certificates it may refer to."""
        for name in super().file_names(device):
            yield name
            for number in range(1, MAX_CERTIFICATES + 1):
                yield name.replace(".cfg", f"-ca{number}.pem")

    def render_common(self, raw_config: dict[str, Any]) -> Iterable[RenderedFile]:
        """Return the common file of each model number, and the list of directories."""
        template = self.templates.get_template("common/model.tpl")
        for number, models in sorted(self._models_by_file().items()):
            newest = [int(version.split(".")[1]) for one in models for version in one.firmware]
            context = {
                "static": _static(max(newest, default=0)),
                "raw": raw_config,
                "sync_service": self.sync_service,
            }
            content = self.templates.render(template, context)
            yield RenderedFile(f"y{number:012d}.cfg", content)
        directory = self.templates.get_template("common/directory.tpl")
        yield RenderedFile("directory_setting.xml", self.templates.render(directory, {}))

    def files_of(self, phone: Phone) -> Iterable[RenderedFile]:
        """Return the configuration and the certificates."""
        certificates = phone.certificates
        if len(certificates) > MAX_CERTIFICATES:
            raise phone.refuse(
                "sip_servers_root_and_intermediate_certificates",
                f"a phone takes {MAX_CERTIFICATES} certificates, not {len(certificates)}",
            )
        yield from super().files_of(phone)
        for number, certificate in enumerate(certificates, 1):
            content = certificate.encode(errors="replace") + b"\n"
            yield RenderedFile(f"{phone.mac}-ca{number}.pem", content)

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        release = self.release(phone)
        is_dect = phone.model.type == "dect"
        labels = {
            number: label_of(account, release, is_dect=is_dect)
            for number, account in phone.accounts.items()
        }
        templates: dict[Servers, int] = {}
        if phone.model.fact("templates"):
            for account in phone.accounts.values():
                templates.setdefault(account.servers, len(templates) + 1)
        first = phone.first_account
        proxy = None if first is None else first.servers.proxy.host
        return {
            "phonebook": phone.phonebook_url("yealink", "lookup", "term=#SEARCH"),
            "dnd_urls": phone.service_urls("yealink", "dnd") or (None, None),
            "forward_codes": [
                ("always", phone.extens["fwd_unconditional"]),
                ("busy", phone.extens["fwd_busy"]),
                ("no_answer", phone.extens["fwd_no_answer"]),
            ],
            "sync_service": self.sync_service,
            "release": release,
            "static": _static(release),
            # Languages had the prefix for a short time.
            "static_lang": _static(release) if release <= 82 else Markup(),
            "is_dect": is_dect,
            "labels": labels,
            "sip_templates": templates,
            "keys": [to_key(key, labels, phone.model) for key in phone.keys],
            "time": time_settings(phone, release),
            "handset_language": self.family.tables["handset_languages"].get(phone.language_code),
            "logins": [login for login in map(phone.login, ("admin", "user")) if login],
            "certificate_names": [
                f"{phone.mac}-ca{number}.pem" for number in range(1, len(phone.certificates) + 1)
            ],
            # Only an address may stand there.
            "proxy_ip": proxy if is_normed_ip(proxy) else None,
            "handset_firmware_urls": {
                kind: self.served_url(url, phone)
                for kind, url in sorted((self.settings.get("handset_firmware") or {}).items())
            },
        }

    def read(self, device: Mapping[str, Any], raw_config: Mapping[str, Any]) -> Phone:
        """Refuse a login that the phone could not tell from its password."""
        phone = super().read(device, raw_config)
        phone.check_login_names()
        return phone


def label_of(account: Account, release: int, *, is_dect: bool) -> str | None:
    """Return what the phone shows for an account."""
    if is_dect:
        # Handsets show the label alone, and a system has many of them.
        parts = (account.extension, account.display_name)
        return " ".join(part for part in parts if part) or account.username
    if release >= 86:
        return account.name
    return account.extension or account.display_name or account.username


def to_key(key: Key, labels: Mapping[int, str | None], model: Model) -> YealinkKey:
    """Return a function key as the phone has it."""
    if key.type == "line":
        return YealinkKey(key.name, key.code, key.line, key.value, labels[key.number], None)
    code, line = key.code, key.line
    if key.type == "speeddial" and key.value == _RECORDING_CODE:
        code = _KEY_DTMF
    if key.type == "blf":
        line += int(model.fact("first_line", 1)) - 1
    return YealinkKey(key.name, code, line, key.value, key.label, key.pickup)


def time_settings(phone: Phone, release: int) -> dict[str, Any] | None:
    """Return the settings of the time zone, by the part of their key after `local_time.`."""
    zone: Zone | None = phone.zone
    if zone is None:
        return None
    highest = _HIGHEST_OFFSET + (2 * 60 if release >= 80 else 0)
    minutes = max(_LOWEST_OFFSET, min(zone.minutes, highest))
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+" if minutes else ""
    settings: dict[str, Any] = {
        "time_zone": f"{sign}{hours}:{rest:02d}" if rest else f"{sign}{hours}",
        "summer_time": 0,
    }
    dst = zone.dst
    if dst is None:
        return settings
    if dst.is_mixed:
        phone.notes.add(f"time zone {zone.name} mixes kinds of rules; there is no summer time")
        return settings
    settings.update(
        summer_time=1,
        dst_time_type=int(dst.is_by_week),
        start_time=_change(dst.start),
        end_time=_change(dst.end),
        offset_time=dst.save // 60,
    )
    return settings


def _change(change: Change) -> str:
    """Return `month/week/weekday/hour` (weekday 1 = Monday, week 5 = last), or `month/day/hour`."""
    if change.weekday is None:
        return f"{change.month}/{change.day}/{change.hour}"
    return f"{change.month}/{change.week}/{change.weekday}/{change.hour}"


def _static(release: int) -> Markup:
    """Return the prefix that settings of the device itself have had since 81."""
    return Markup("static." if release >= 81 else "")
