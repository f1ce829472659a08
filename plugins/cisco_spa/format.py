"""How Cisco's SPA, MPP and ATA19x want their settings: a flat profile, one XML element for each.

A profile may name more profiles: the file that a model asks for by itself names the phone's own.
Elements that a model does not know are ignored, so that one template serves all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from provd.plugin.api import (
    DeviceInfo,
    DeviceSupport,
    FamilyPlugin,
    Markup,
    Phone,
    PhoneRequest,
    RenderedFile,
    RequestType,
    code_of,
    escape_xml,
    is_line_safe,
    to_one_line,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provd.plugin.api import Account, Change, Key, Zone

_FIRST_BOOT_CLASS = "dslforum.org"
_FIRST_BOOT_OUIS = ("d0:ec:35",)
# From this version on, the names of side car keys end in an underscore.
_NEW_SIDE_CARS = "12"
_MPP_SUFFIX = "-3PCC"
_CERTIFICATES_SUFFIX = "-ca.pem"
_YES_NO = {True: "Yes", False: "No"}
_TWELVE_HOURS = ("en_US", "en_CA", "en_AU")


class SpaKey(NamedTuple):
    """A key: a line key with its function, or one of a side car."""

    name: str
    extension: str
    label: str
    function: str


class CiscoSpaPlugin(FamilyPlugin):
    """Cisco and Linksys phones and adapters that read flat profiles."""

    IS_PLUGIN = True
    can_hold = staticmethod(is_line_safe)

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML on one line holds it; booleans are Yes and No."""
        if value is None:
            return ""
        if isinstance(value, bool):
            return _YES_NO[value]
        if isinstance(value, int):
            return str(value)
        return str(value) if str(value).isalnum() else escape_xml(to_one_line(value))

    def refine(self, info: DeviceInfo, request: PhoneRequest) -> DeviceInfo | None:
        """Leave out what calls itself as MPP phones do on their first boot, but is none.

        An unknown model with MPP firmware keeps that in its name: others have four digits, too.
        """
        if request.kind is RequestType.DHCP:
            vendor_class = request.options.get(60, "").rstrip("\0")
            if vendor_class == _FIRST_BOOT_CLASS and not str(info.get("mac")).startswith(
                _FIRST_BOOT_OUIS
            ):
                return None
        model = info.get("model", "")
        told = f"{request.user_agent} {request.path} {request.options.get(60)}"
        if model.isdigit() and model not in self.family.models and f"{model}{_MPP_SUFFIX}" in told:
            info["model"] = f"{model}{_MPP_SUFFIX}"
        return info

    def associate(self, info: Mapping[str, Any]) -> int:
        """Score below the families of enterprise phones where the model is not known at all."""
        score = super().associate(info)
        name = str(info.get("model") or "")
        if score > DeviceSupport.PROBABLE and name not in self.family.models and name.isdigit():
            return DeviceSupport.PROBABLE  # phones of both kinds have four digits
        return score

    def render_common(self, raw_config: dict[str, Any]) -> Iterable[RenderedFile]:
        """Return the file that each model asks for by itself, under the name that it uses."""
        for file in super().render_common(raw_config):
            yield RenderedFile(profile_name(file.name), file.content)

    def files_of(self, phone: Phone) -> Iterable[RenderedFile]:
        """Return the profile, and the certificates if there are any."""
        for file in super().files_of(phone):
            if phone.certificates or not file.name.endswith(_CERTIFICATES_SUFFIX):
                yield file

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        kind = phone.model.fact("kind", "spa")
        first = phone.first_account
        for account in phone.accounts.values():
            note_left_out(phone, account, kind)
        if kind in {"spa", "mpp"}:
            note_names(phone)
        zone = phone.zone
        router_zone = None
        if kind == "spa1" and zone is not None:
            router_zone = code_of(zone, self.family.tables["router_zones"])
            if router_zone is None:
                phone.notes.add(f"timezone {zone.name}: the router part keeps its own")
        suffix = side_car_suffix(phone)
        locale = phone.in_language(self.family.tables["locales"], "language")
        return {
            "kind": kind,
            "is_mpp": kind == "mpp",
            "lines": [(account, proxy_of(account)) for account in phone.accounts.values()],
            "is_secure": any(account.srtp != "No" for account in phone.accounts.values()),
            "subscribes_mwi": phone.values.flag("sip_subscribe_mwi"),
            "spa_keys": list(keys_of(phone, suffix)),
            "free_keys": [slot.name for slot in phone.free_slots if slot.module is None],
            "free_side_car_keys": [
                f"{slot.name}{suffix}" for slot in phone.free_slots if slot.module
            ],
            "has_side_car": any(key.slot.module for key in phone.keys),
            "voicemail": first.voicemail if first else phone.extens["voicemail"],
            "dst_rule": dst_rule(zone) if zone else None,
            "router_zone": router_zone,
            "locale": locale,
            "is_twelve_hours": phone.locale in _TWELVE_HOURS,
            "dictionary": self.dictionary_of(phone),
            "upgrade_rule": self.upgrade_rule(phone),
            # What adapters call it by themselves.
            "user": phone.login("user", "cisco" if kind in {"spa1", "ata19x"} else None),
            "certificates": [Markup(one) for one in phone.certificates],
            "phonebook": phone.phonebook_url("cisco"),
        }

    def dictionary_of(self, phone: Phone) -> str | None:
        """Return where the phone gets its languages, None where no package of them is installed."""
        name = phone.model.fact("dictionary")
        for package, table in self.family.tables["dictionaries"].items():
            if name not in table["for"] or not self.installed.has(package):
                continue
            folder, _, pattern = table["pattern"].rpartition("/")
            parts = [f"serv={phone.base_url}/{folder}/"]
            languages = sorted(self.family.languages.items(), key=lambda item: item[1])
            for number, (language, text) in enumerate(languages):
                locale = self.family.tables["locales"][language]
                file = pattern.format(file=name, language=language, locale=locale)
                parts.append(f"d{number}={text};x{number}={file}")
            return ";".join(parts)
        return None

    def upgrade_rule(self, phone: Phone) -> str | None:
        """Return the rule by which the phone gets its firmware, over a step in between if any."""
        url = self.firmware_url(phone)
        package = self.installed.firmware(phone.model.name)
        step, version = self.family.tables["steps"].get((package or {}).get("id"), (None, None))
        if url is None or step is None or not self.installed.has(step):
            return url
        between = next(one["serves"] for one in self.family.packages if one["id"] == step)
        return f"($SWVER lt {version}) ? {self.served_url(between, phone)} | {url}"


def profile_name(model: str) -> str:
    """Return the name of the profile that a model asks for by itself."""
    if model == "PAP2T":
        return "init.cfg"
    if model.isdigit():
        return f"{model}-3PCC.xml"
    return f"spa{model[3:]}.cfg" if model.startswith("SPA") else f"{model.lower()}.cfg"


def proxy_of(account: Account) -> str:
    """Return what the phone wants as its proxy: one server, or two in the form of SRV records."""
    servers = account.servers
    if servers.backup_proxy is None:
        return str(servers.proxy)
    name = f"servers{account.number}"
    return f"{name}:SRV={servers.proxy}:p=0|{servers.backup_proxy}:p=1"


def note_left_out(phone: Phone, account: Account, kind: str) -> None:
    """Note what an account asks for and the phone cannot do."""
    servers = account.servers
    if servers.registrar != servers.proxy:
        phone.notes.add(
            f"sip_lines.{account.number}.registrar_ip is left out: the phone registers at its proxy"
        )
    if account.srtp_mode == "required" and kind not in {"mpp", "ata19x"}:
        phone.notes.add(
            f"line {account.number}: the phone encrypts its calls, but takes others as they come"
        )


def note_names(phone: Phone) -> None:
    """Note names of logins that the phone has no setting for."""
    for account in ("admin", "user"):
        login = phone.login(account)
        if login is not None and login.name != account:
            phone.notes.add(f"{account}_username is left out: the phone calls it {account}")


def keys_of(phone: Phone, suffix: str) -> Iterable[SpaKey]:
    """Yield the keys in use, and accounts for which the model has no key of their own."""
    for key in phone.keys:
        if key.slot.module:
            yield SpaKey(f"{key.name}{suffix}", "", key.label, function_of(key))
        elif key.type == "line":
            yield SpaKey(key.name, str(key.line), key.value, "")
        else:
            yield SpaKey(key.name, "Disabled", key.label, function_of(key))
    for number, account in phone.accounts.items():
        if number > phone.model.count("line"):
            label = account.extension or account.username or ""
            yield SpaKey(str(number), str(number), label, "")


def function_of(key: Key) -> str:
    """Return the function of a key; semicolons separate its parts, and none can be in one."""
    value = to_one_line(key.value).replace(";", "%3B")
    label = to_one_line(key.label).replace(";", ",")
    kind, target = {
        "speeddial": ("sd", "ext"),
        "blf": ("sd+blf+cp", "sub"),
        "park": ("prk", "sub"),
    }.get(key.type, ("sd", "ext"))
    voice = f";vid={key.line}" if key.line != 1 else ""
    return f"fnc={kind};{target}={value}@$PROXY{voice};nme={label}"


def side_car_suffix(phone: Phone) -> str:
    """Return what the firmware adds to the name of a side car key."""
    if phone.model.fact("kind") != "mpp":
        return ""
    newest = phone.model.firmware[-1] if phone.model.firmware else _NEW_SIDE_CARS
    generation = phone.version[0] if phone.version else int(newest.split(".")[0])
    return "_" if generation >= int(_NEW_SIDE_CARS) else ""


def dst_rule(zone: Zone) -> str | None:
    """Return when summer time begins and ends, as `start=3/-1/7/2:0:0;end=…;save=1:0:0`."""
    if zone.dst is None:
        return None
    start, end = _change(zone.dst.start), _change(zone.dst.end)
    sign = "-" if zone.dst.save < 0 else ""
    hours, rest = divmod(abs(zone.dst.save), 3600)
    return f"start={start};end={end};save={sign}{hours}:{rest // 60}:0"


def _change(change: Change) -> str:
    """Return month, day from which on, weekday (0: exactly on that day), and time of a change."""
    day = -1 if change.is_last_week else change.earliest_day
    return f"{change.month}/{day}/{change.weekday or 0}/{change.hour}:{change.minute}:0"
