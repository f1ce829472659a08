"""What all generations of Yealink firmware share: identification, association, rendering.

A generation is the second number of a firmware version: 66.86.0.15 is of generation 86. Each has a
plugin of its own, whose entry.py sets `generation`. Configurations are written as the firmware that
a phone runs wants them (`release`), whichever of these plugins the phone was given.
"""

# ruff: noqa: TC004 - what type checkers import from tables, execfile_ gives at run time
from __future__ import annotations

import functools
import logging
import re
import unicodedata
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from provd.plugin.api import (
    DeviceInfo,
    DeviceSupport,
    InvalidDocument,
    Markup,
    PhoneRequest,
    RawConfigError,
    RawConfigParamError,
    RenderedFile,
    RequestType,
    TimezoneNotFoundError,
    VendorPlugin,
    add_wazo_phoned_user_service_url,
    add_xivo_phonebook_url,
    format_mac,
    get_timezone_info,
    norm_mac,
    week_start_on_monday,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tables import (
        COMMON_FILES,
        DTMF_DEFAULT,
        DTMF_TYPES,
        FIRMWARE,
        HANDSET_LANGUAGES,
        KEY_BLF,
        KEY_DTMF,
        KEY_LINE,
        KEY_TYPES,
        LANGUAGES,
        MAX_CERTIFICATES,
        MODELS,
        OUIS,
        RECORDING_CODE,
        RELATED,
        SRTP_MODES,
        SYSLOG_LEVELS,
        TONE_COUNTRIES,
        TRANSPORTS,
        VENDOR,
        Model,
    )
else:
    execfile_("tables.py", globals())

logger = logging.getLogger("provd.plugins.yealink")

# Seen:
#   Yealink SIP-T46S 66.86.0.15 80:5e:c0:12:34:56
#   yealink SIP-T28P 2.70.0.140 00:15:65:13:ae:0b
#   Yealink SIP-T38G  38.70.0.125 00:15:65:2f:c3:5e      two blanks
#   Yealink SIP-T56A  58.80.0.25 001565f429a4            bare MAC
#   Yealink SIP VP-T49G 51.80.0.10 00:15:65:9b:5a:44
#   Yealink CP860 37.72.0.5 00:15:65:8a:37:86            conference, DECT, AX: no "SIP-"
#   Yealink-T46G 28.71.0.81 28.1.0.128.0.0.0             third field: hardware, not MAC
_USER_AGENT = re.compile(
    r"yealink[ -]+(?:SIP[ -]+)?(?:VP-)?(?P<model>[A-Z0-9_]+) +(?P<version>\d+(?:\.\d+)+)"
    r"(?: +(?P<third>\S+))?",
    re.IGNORECASE | re.ASCII,
)
# Seen: VP530P 23.70.0.40 00:15:65:31:4b:c0 and W52P 25.30.0.2 00:15:65:44:b3:7c. Without the
# vendor's name, only these models and only with a MAC.
_NAMELESS_USER_AGENT = re.compile(
    r"(?P<model>VP530P?|W52P|W60B|W80B) +(?P<version>\d+(?:\.\d+)+) +(?P<third>\S+)", re.ASCII
)
_DEVICE_FILE = re.compile(r"([0-9A-Fa-f]{12})(?:-[a-z]+)?\.(?:cfg|boot|xml)", re.ASCII)
_COMMON_FILE = re.compile(r"y(\d{12})\.(cfg|boot)", re.ASCII)
_SENSITIVE_FILE = re.compile(r"[0-9a-f]{12}\.cfg", re.ASCII | re.IGNORECASE)
_VERSION = re.compile(r"\d+\.(\d+)\.", re.ASCII)

_EMPTY = "%NULL%"
# A model that is made for another firmware scores lower the further that is, by this at most.
_FURTHEST = 99
_LARGEST = Model(
    accounts=max(model.accounts for model in MODELS.values()),
    line_keys=max(model.line_keys for model in MODELS.values()),
)


class TargetModel(NamedTuple):
    """How well a generation fits a model."""

    support: DeviceSupport
    firmware: str | None


class SipServers(NamedTuple):
    """Where an account registers and sends its calls."""

    address: str
    port: Any
    backup_address: str | None
    backup_port: Any
    outbound_address: str | None
    outbound_port: Any


class Account(NamedTuple):
    """A SIP account as templates read it; what is None is cleared on the phone."""

    servers: SipServers
    template: int
    """Number of `servers` where the phone wants them apart from the accounts."""
    label: str | None
    extension: str | None
    display_name: str | None
    auth_name: str | None
    user_name: str | None
    password: str | None
    dtmf_type: int
    srtp: int
    voicemail: str | None


class Key(NamedTuple):
    """A function key in use, as templates read it."""

    name: str
    type: int
    line: int
    value: Any
    label: Any
    pickup: Any = None


def target_models(generation: int) -> dict[str, TargetModel]:
    """Return the models that a generation is made for, or comes nearest to."""
    targets = {
        model: TargetModel(DeviceSupport.EXACT, version)
        for version, models in FIRMWARE[generation].items()
        for model in models.split()
    }
    for model in RELATED.get(generation, "").split():
        targets[model] = TargetModel(DeviceSupport.INCOMPLETE, None)
    return targets


def capabilities(generation: int) -> dict[str, dict[str, Any]]:
    """Return what plugin-info says of a generation's models."""
    return {
        f"{VENDOR}, {name}, {target.firmware}": {
            "type": model.type,
            "protocol": "sip",
            "lines": model.accounts,
            "high_availability": True,
            "function_keys": model.line_keys + model.memory_keys,
            "expansion_modules": model.modules,
            "switchboard": model.type == "deskphone" and model.line_keys > 0,
            **({"multicell": model.sip_templates} if model.type == "dect" else {}),
        }
        for name, target in sorted(target_models(generation).items())
        if target.firmware is not None
        for model in (MODELS[name],)
    }


def generation_of(version: str | None) -> int | None:
    """Return the second number of a firmware version, None if there is no such number."""
    match = _VERSION.match(version or "")
    return None if match is None else int(match[1])


def extract_user_agent(agent: str) -> DeviceInfo | None:
    """Return what a User-Agent tells, None if it is not of a Yealink phone."""
    match = _USER_AGENT.match(agent) or _NAMELESS_USER_AGENT.match(agent)
    if match is None:
        return None
    info: DeviceInfo = {
        "vendor": VENDOR,
        "model": match["model"].upper(),
        "version": match["version"],
    }
    try:
        info["mac"] = norm_mac(match["third"] or "")
    except ValueError:
        if match.re is _NAMELESS_USER_AGENT:
            return None
    return info


def mac_of_file(name: str) -> str | None:
    """Return the MAC in the name of a device file, None if there is none."""
    match = _DEVICE_FILE.fullmatch(name)
    return None if match is None else norm_mac(match[1])


def extract_file_name(name: str) -> DeviceInfo | None:
    """Return what the name of a file tells by itself.

    Other vendors ask for `<mac>.cfg` too, so only the addresses of this one count.
    """
    mac = mac_of_file(name)
    if mac is not None:
        return {"vendor": VENDOR, "mac": mac} if mac[:8] in OUIS else None
    match = _COMMON_FILE.fullmatch(name)
    if match is None:
        return None
    info: DeviceInfo = {"vendor": VENDOR}
    models = COMMON_FILES.get(int(match[1]), "").split() if match[2] == "cfg" else []
    if len(models) == 1:
        info["model"] = models[0]
    return info


def extract_dhcp(request: PhoneRequest) -> DeviceInfo | None:
    """Return what a DHCP event tells: the vendor, by its class or by the address."""
    try:
        mac = norm_mac(request.mac or "")
    except ValueError:
        mac = None
    vendor_class = request.options.get(60, "").rstrip("\0").strip().lower()
    if vendor_class != "yealink" and (mac is None or mac[:8] not in OUIS):
        return None
    return {"vendor": VENDOR} if mac is None else {"vendor": VENDOR, "mac": mac}


def one_line(value: Any) -> str:
    """Return `value` as it may stand after `key = `; nothing at all clears the key.

    A line ends the value and there is no way to quote one, so whatever a phone might take for a
    line end, and other control characters, turn into blanks.
    """
    if value is None:
        return _EMPTY
    if value is True or value is False:
        return "1" if value else "0"
    text = str(value)
    if not text.isprintable():
        text = "".join(
            " " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char for char in text
        )
    return text.strip() or _EMPTY


def time_settings(name: str | None, release: int) -> dict[str, Any] | None:
    """Return the settings of a time zone, by the part of their key after `local_time.`."""
    if not name:
        return None
    try:
        zone = get_timezone_info(name)
    except TimezoneNotFoundError:
        logger.warning("time zone %s is not known; phones keep theirs", name)
        return None
    minutes = zone["utcoffset"].as_minutes
    # The highest offset was +12 at first.
    minutes = max(-11 * 60, min(minutes, (14 if release >= 80 else 12) * 60))
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+" if minutes else ""
    settings: dict[str, Any] = {
        "time_zone": f"{sign}{hours}:{rest:02d}" if rest else f"{sign}{hours}",
        "summer_time": 0,
    }
    dst = zone["dst"]
    if dst is None:
        return settings
    start, end = dst["start"], dst["end"]
    by_week = start["day"].startswith("W")
    if by_week != end["day"].startswith("W"):
        logger.warning("time zone %s mixes kinds of rules; phones get no summer time", name)
        return settings
    settings.update(
        summer_time=1,
        dst_time_type=int(by_week),
        start_time=_change(start),
        end_time=_change(end),
        offset_time=dst["save"].as_minutes,
    )
    return settings


def _change(rule: Mapping[str, Any]) -> str:
    """Return `month/week/weekday/hour` (weekday 1 = Monday, week 5 = last), or `month/day/hour`."""
    hour = max(0, min(rule["time"].as_hours, 23))
    day: str = rule["day"]
    if day.startswith("W"):
        week, weekday = day[1:].split(".")
        return f"{rule['month']}/{week}/{week_start_on_monday(int(weekday))}/{hour}"
    return f"{rule['month']}/{day[1:]}/{hour}"


def numbered(section: Mapping[str, Any], name: str) -> list[tuple[int, dict[str, Any]]]:
    """Return the members of `sip_lines` or `funckeys` in the order of their numbers."""
    members = []
    for key, value in section.items():
        try:
            number = int(key)
        except ValueError:
            number = 0
        if number < 1:
            raise RawConfigParamError(f"{name}: {key!r} is not a number from 1")
        members.append((number, value))
    return sorted(members, key=lambda member: member[0])


def sip_server(
    line: Mapping[str, Any], raw_config: Mapping[str, Any], role: str
) -> tuple[str | None, Any]:
    """Return address and port of a line's `role` (such as `backup_proxy`), the global one if none.

    The global port goes with the global address only.
    """
    shared = raw_config.get(f"sip_{role}_ip")
    address = line.get(f"{role}_ip") or shared
    shared_port = raw_config.get(f"sip_{role}_port") if address == shared else None
    return address, line.get(f"{role}_port") or shared_port or 5060


def sip_accounts(
    raw_config: Mapping[str, Any], limit: int, release: int, *, dect: bool
) -> dict[int, Account]:
    """Return the accounts of `sip_lines` by number; those above `limit` do not fit the phone."""
    accounts = {}
    templates: dict[SipServers, int] = {}
    for number, line in numbered(raw_config.get("sip_lines") or {}, "sip_lines"):
        if number > limit:
            logger.info("line %s is left out: the phone has %s", number, limit)
            continue
        address, port = sip_server(line, raw_config, "proxy")
        if not address:
            raise RawConfigParamError(f"sip_lines.{number}: neither proxy_ip nor sip_proxy_ip")
        servers = SipServers(
            address,
            port,
            *sip_server(line, raw_config, "backup_proxy"),
            *sip_server(line, raw_config, "outbound_proxy"),
        )
        display_name: Any = line.get("display_name")
        extension: Any = line.get("number")
        label: Any
        if dect:
            # Handsets show the label alone, and a system has many of them.
            label = " ".join(str(part) for part in (extension, display_name) if part)
        elif release >= 86:
            label = display_name or extension
        else:
            label = extension or display_name
        dtmf_mode = line.get("dtmf_mode") or raw_config.get("sip_dtmf_mode")
        srtp_mode = line.get("srtp_mode") or raw_config.get("sip_srtp_mode")
        accounts[number] = Account(
            servers=servers,
            template=templates.setdefault(servers, len(templates) + 1),
            label=label or line.get("username"),
            extension=extension or line.get("username"),
            display_name=display_name,
            auth_name=line.get("auth_username") or line.get("username"),
            user_name=line.get("username"),
            password=line.get("password"),
            dtmf_type=DTMF_TYPES.get(dtmf_mode, DTMF_DEFAULT),
            srtp=SRTP_MODES.get(srtp_mode, 0),
            voicemail=line.get("voicemail") or raw_config.get("exten_voicemail"),
        )
    return accounts


def function_keys(
    raw_config: Mapping[str, Any], accounts: Mapping[int, Account], model: Model
) -> tuple[list[Key], list[str]]:
    """Return the keys in use and the names of the others; a line takes the key of its number.

    Function keys are numbered through line keys, memory keys, then the keys of modules.
    """
    wanted = dict(numbered(raw_config.get("funckeys") or {}, "funckeys"))
    pickup = raw_config.get("exten_pickup_call")
    names = _key_names(model)
    used, unused = [], list(names)
    lines = [number for number in accounts if number <= model.line_keys]
    numbers = sorted({*wanted, *lines})
    for number in numbers:
        if number > len(names):
            break
        name, key = names[number - 1], wanted.get(number)
        if key is not None:
            used.append(_function_key(name, key, pickup, model.first_line))
        elif number in lines:
            account = accounts[number]
            used.append(Key(name, KEY_LINE, number, account.extension, account.label))
        else:
            continue
        unused.remove(name)
    if left_out := [number for number in numbers if number > len(names)]:
        logger.info(
            "function keys %s are left out: the phone has %s",
            ", ".join(map(str, left_out)),
            len(names),
        )
    return used, unused


@functools.lru_cache(maxsize=256)
def _key_names(model: Model) -> tuple[str, ...]:
    modules = range(1, model.modules + 1)
    keys = range(1, model.module_keys + 1)
    return (
        *(f"linekey.{number}" for number in range(1, model.line_keys + 1)),
        *(f"memorykey.{number}" for number in range(1, model.memory_keys + 1)),
        *(f"expansion_module.{module}.key.{number}" for module in modules for number in keys),
    )


def _function_key(name: str, key: Mapping[str, Any], pickup: Any, first_line: int) -> Key:
    kind = key.get("type")
    code = KEY_TYPES.get(str(kind))
    if code is None:
        raise RawConfigParamError(f"{name}: function key of unknown type {kind!r}")
    value = key.get("value")
    try:
        line = int(key.get("line") or 1)
    except (TypeError, ValueError):
        raise RawConfigParamError(f"{name}: line {key.get('line')!r} is not a number") from None
    if kind == "speeddial" and value == RECORDING_CODE:
        code = KEY_DTMF
    if code == KEY_BLF:
        return Key(name, code, line - 1 + first_line, value, key.get("label") or value, pickup)
    return Key(name, code, line, value, key.get("label") or value)


def logins(raw_config: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Return (standard account, name, password) for each account of the phone that is set."""
    found = []
    for account in ("admin", "user"):
        name = raw_config.get(f"{account}_username") or account
        password = raw_config.get(f"{account}_password")
        if ":" in name:
            raise RawConfigParamError(f"{account}_username: a colon ends the name for the phone")
        if password or name != account:
            found.append((account, name, password))
    return found


class YealinkPlugin(VendorPlugin):
    """Base of the plugins, one for each generation of firmware.

    Settings: `firmware` (model -> URL, or name of a file in var/tftpboot/firmware) and
    `handset_firmware` (DECT handset type such as `w73h` -> the same).
    """

    generation: int

    def __init__(
        self, app: Any, plugin_dir: str, gen_cfg: dict[str, Any], spec_cfg: dict[str, Any]
    ) -> None:
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        self._targets = target_models(self.generation)
        for setting in ("firmware", "handset_firmware"):
            urls = spec_cfg.get(setting) or {}
            if not isinstance(urls, dict) or not all(isinstance(url, str) for url in urls.values()):
                raise InvalidDocument(f"the setting {setting!r} maps names to URLs or file names")
            if setting == "firmware" and (unknown := sorted(urls.keys() - MODELS.keys())):
                logger.warning("firmware is set for models that do not exist: %s", unknown)

    escape = staticmethod(one_line)

    def extract(self, request: PhoneRequest) -> DeviceInfo | None:
        """Read the User-Agent, else the file name; for DHCP the vendor class and the address."""
        if request.kind is RequestType.DHCP:
            return extract_dhcp(request)
        info = extract_user_agent(request.user_agent) if request.user_agent else None
        if info is None:
            return extract_file_name(request.filename)
        if "mac" not in info and (mac := mac_of_file(request.filename)) is not None:
            info["mac"] = mac
        return info

    def associate(self, info: Mapping[str, Any]) -> int:
        """Prefer the phone's own generation, then the nearest one made for the model.

        Any Yealink phone is worth a try: files follow the firmware that it runs.
        """
        vendor = info.get("vendor")
        if vendor is None:
            return DeviceSupport.UNKNOWN
        if vendor != VENDOR:
            return DeviceSupport.NONE
        target = self._targets.get(info.get("model") or "")
        if target is None:
            return DeviceSupport.PROBABLE
        running = generation_of(info.get("version"))
        if running == self.generation:
            return target.support
        best = min(target.support, DeviceSupport.COMPLETE)
        if running is None:
            return best
        gap = self.generation - running
        return best - min(2 * gap - 1 if gap > 0 else -2 * gap, _FURTHEST)

    def release(self, device: Mapping[str, Any]) -> int:
        """Return the generation of firmware to write for: the phone's, where it is known."""
        running = generation_of(device.get("version"))
        if running is None:
            return self.generation
        return max((known for known in FIRMWARE if known <= running), default=min(FIRMWARE))

    def file_names(self, device: Mapping[str, Any]) -> Iterator[str]:
        """Yield the names of the configuration and of the certificates it may refer to."""
        mac = device.get("mac")
        if mac:
            name = format_mac(mac, separator="")
            yield f"{name}.cfg"
            for number in range(1, MAX_CERTIFICATES + 1):
                yield f"{name}-ca{number}.pem"

    def get_remote_state_trigger_filename(self, device: Mapping[str, Any]) -> str | None:
        """Return the name of the configuration."""
        return next(self.file_names(device), None)

    def is_sensitive_filename(self, filename: str) -> bool:
        """Tell whether it is a configuration: those hold passwords."""
        return _SENSITIVE_FILE.fullmatch(filename) is not None

    def render_common(self, raw_config: dict[str, Any]) -> Iterable[RenderedFile]:
        """Return the common file of each model number, and the list of directories.

        Nothing here depends on the address of the server: where each tenant has a URL of its own,
        only a phone's own file may tell it.
        """
        context = {
            "release": self.generation,
            "static": _static(self.generation),
            "raw": raw_config,
        }
        content = self._rendered("common/model.tpl", context)
        for number, models in COMMON_FILES.items():
            if not self._targets.keys().isdisjoint(models.split()):
                yield RenderedFile(f"y{number:012d}.cfg", content)
        yield RenderedFile("directory_setting.xml", self._rendered("common/directory.tpl", context))

    def render(self, device: dict[str, Any], raw_config: dict[str, Any]) -> Iterable[RenderedFile]:
        """Return the phone's configuration and certificates; refuse a device without a MAC."""
        names = list(self.file_names(device))
        if not names:
            raise RawConfigError("a Yealink phone cannot be configured before its MAC is known")
        if not raw_config.get("http_base_url"):
            raise RawConfigError("http_base_url is missing")
        certificates = raw_config.get("sip_servers_root_and_intermediate_certificates") or []
        if len(certificates) > MAX_CERTIFICATES:
            raise RawConfigParamError(
                "sip_servers_root_and_intermediate_certificates: "
                f"a phone takes {MAX_CERTIFICATES} certificates, not {len(certificates)}"
            )
        pem_files = [
            RenderedFile(name, one.strip().encode(errors="replace") + b"\n")
            for name, one in zip(names[1:], certificates, strict=False)
        ]
        context = self._context(device, raw_config)
        context["certificates"] = [file.name for file in pem_files]
        template = self.templates.get_dev_template(names[0], device)
        content = self.templates.render(template, context, errors="replace")
        return [RenderedFile(names[0], content), *pem_files]

    def _rendered(self, template: str, context: Mapping[str, Any]) -> bytes:
        return self.templates.render(
            self.templates.get_template(template), context, errors="replace"
        )

    def _context(self, device: Mapping[str, Any], raw_config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the names that templates may use; docs/plugins.md explains them."""
        raw = dict(raw_config)
        if raw.get("X_xivo_phonebook_ip") and raw.get("X_xivo_user_uuid"):
            add_xivo_phonebook_url(raw, "yealink", entry_point="lookup", qs_suffix="term=#SEARCH")
            add_wazo_phoned_user_service_url(raw, "yealink", "dnd")
        release = self.release(device)
        model = MODELS.get(device.get("model") or "")
        dect = model is not None and model.type == "dect"
        accounts = sip_accounts(raw, (model or _LARGEST).accounts, release, dect=dect)
        if model is None:
            # A model that we do not know gets what is asked for, and nothing is cleared beyond.
            asked = [number for number, _ in numbered(raw.get("funckeys") or {}, "funckeys")]
            keys = min(max(asked, default=0), _LARGEST.line_keys)
            model = Model(max(accounts, default=1), keys)
        language, _, country = (raw.get("locale") or "").partition("_")
        used_keys, unused_keys = function_keys(raw, accounts, model)
        templates = {account.template: account.servers for account in accounts.values()}
        first = min(accounts.items(), default=None)
        return {
            "device": device,
            "raw": raw,
            "base_url": raw["http_base_url"],
            "release": release,
            "static": _static(release),
            # Languages had the prefix for a short time.
            "static_lang": _static(release) if release <= 82 else Markup(),
            "model": model,
            "is_dect": dect,
            "accounts": accounts,
            "unused_accounts": [n for n in range(1, model.accounts + 1) if n not in accounts],
            "sip_templates": sorted(templates.items()) if model.sip_templates else [],
            "transport": TRANSPORTS.get(raw.get("sip_transport") or "udp", 0),
            "keys": used_keys,
            "unused_keys": unused_keys,
            "time": time_settings(raw.get("timezone"), release),
            "language": LANGUAGES.get(language),
            "handset_language": HANDSET_LANGUAGES.get(language),
            "tone_country": TONE_COUNTRIES.get(country[:2]),
            "logins": logins(raw),
            "syslog_level": SYSLOG_LEVELS.get(raw.get("syslog_level") or "warning", 4),
            "switchboard": bool((device.get("options") or {}).get("switchboard")),
            "proxy": None if first is None else first[1].servers.address,
            "firmware_url": self._firmware_url(
                "firmware", str(device.get("model")), raw["http_base_url"]
            ),
            "handset_firmware_urls": {
                kind: self._firmware_url("handset_firmware", kind, raw["http_base_url"])
                for kind in sorted(self.settings.get("handset_firmware") or {})
            },
        }

    def _firmware_url(self, setting: str, key: str, base_url: str) -> str | None:
        value = (self.settings.get(setting) or {}).get(key)
        if not value:
            return None
        # `$PN` and the like are for the phone to fill in.
        return value if "://" in value else f"{base_url}/firmware/{quote(value, safe='/$(),')}"


def _static(release: int) -> Markup:
    """Return the prefix that settings of the device itself have had since 81."""
    return Markup("static." if release >= 81 else "")
