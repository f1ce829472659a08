"""Tries a plugin without a daemon: what is wrong with it, and which files it makes.

All of it happens to a copy of the plugin in a temporary directory, loaded as the daemon loads it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import traceback
from typing import TYPE_CHECKING, Any

import attrs
import jinja2

from provd.errors import InvalidDocument, PluginError, ProvdError
from provd.model.documents import copy_json
from provd.model.rawconfig import add_defaults, validate_merged
from provd.model.requests import DeviceSupport
from provd.plugin import builder
from provd.plugin.archive import PLUGIN_INFO
from provd.plugin.filters import build_filter
from provd.plugin.firmware import FetchfwPluginHelper
from provd.plugin.host import LoadedPlugin, PluginHost, is_below
from provd.plugin.phones.family import MODEL_TYPES
from provd.plugin.pkgdefs import read_packages
from provd.plugin.sandbox import (
    BASE_RAW_CONFIG,
    Quirk,
    configure,
    copied,
    loadable,
    marks,
    served_name,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Document = dict[str, Any]

_PASSWORD = "p4ss-of-line"  # noqa: S105 - looked for in files that everybody may read
_ANY = "*"
_MODEL = re.compile(r"([^,]+), ([^,]+), ([^,]+)")
_DESCRIPTION = re.compile(r"description_[a-z]{2,3}(_[A-Z]{2})?")
_CAPABILITIES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(
        ("lines", "sip.lines", "function_keys", "expansion_modules"),
        (lambda value: type(value) is int and value >= 0, "a number"),
    ),
    **dict.fromkeys(
        ("high_availability", "switchboard", "multicell"),
        (lambda value: isinstance(value, bool), "true or false"),
    ),
    "type": (lambda value: value in MODEL_TYPES, " or ".join(MODEL_TYPES)),
    "protocol": (lambda value: value in {"sip", "sccp"}, "sip or sccp"),
}


def _reason(error: BaseException, copy: str) -> str:
    """Return one line that says what went wrong and, if it is known, where in the plugin."""
    cause = error.__cause__ or error
    place = ""
    if cause.__traceback__ is not None:
        frames = traceback.extract_tb(cause.__traceback__)
        own = [frame for frame in frames if is_below(copy, frame.filename)]
        if own:
            place = f" ({os.path.relpath(own[-1].filename, copy)}:{own[-1].lineno})"
    return " ".join(str(error).replace(copy + os.sep, "").split()) + place


# What plugins are tried with


def standard_configs(capability: Mapping[str, Any]) -> dict[str, Document]:
    """Return name -> raw config, complete: what a new phone gets, and one that uses everything."""
    line = {
        "username": "autoprov",
        "password": _PASSWORD,
        "display_name": "Autoprov",
        "number": "autoprov",
        "proxy_ip": "192.0.2.10",
        "registrar_ip": "192.0.2.10",
    }
    minimal = {**BASE_RAW_CONFIG, "sip_lines": {"1": line}}
    count = capability.get("lines", capability.get("sip.lines"))
    numbers = range(1, max(count if type(count) is int else 1, 1) + 1)
    buttons = capability.get("function_keys")
    kinds = ("speeddial", "blf", "park")
    rich = {
        **BASE_RAW_CONFIG,
        "dns_enabled": True,
        "dns_ip": "192.0.2.53",
        "ntp_enabled": True,
        "ntp_ip": "ntp.example.org",
        "vlan_enabled": True,
        "vlan_id": 100,
        "vlan_priority": 5,
        "vlan_pc_port_id": 200,
        "syslog_enabled": True,
        "syslog_ip": "192.0.2.51",
        "admin_username": "admin",
        "admin_password": "4dm1n & <co>",
        "user_username": "user",
        "user_password": "us3r",
        "timezone": "Europe/Paris",
        "locale": "fr_FR",
        "config_version": 1,
        "protocol": "SIP",
        "sip_proxy_ip": "192.0.2.10",
        "sip_proxy_port": 5060,
        "sip_backup_proxy_ip": "192.0.2.11",
        "sip_backup_proxy_port": 5060,
        "sip_registrar_ip": "192.0.2.10",
        "sip_registrar_port": 5060,
        "sip_backup_registrar_ip": "192.0.2.11",
        "sip_backup_registrar_port": 5060,
        "sip_outbound_proxy_ip": "192.0.2.12",
        "sip_outbound_proxy_port": 5060,
        "sip_dtmf_mode": "RTP-out-of-band",
        "sip_srtp_mode": "preferred",
        "sip_transport": "tls",
        "sip_subscribe_mwi": True,
        "sip_lines": {
            str(number): {
                "username": f"user{number}",
                "auth_username": f"auth{number}",
                "password": _PASSWORD,
                "display_name": f'Zoé "{number}" <&>',
                "number": f"10{number:02}",
                "proxy_ip": "192.0.2.10",
                "proxy_port": 5060,
                "backup_proxy_ip": "192.0.2.11",
                "backup_proxy_port": 5060,
                "outbound_proxy_ip": "192.0.2.12",
                "outbound_proxy_port": 5060,
                "dtmf_mode": "SIP-INFO",
                "srtp_mode": "required",
                "voicemail": "*98",
            }
            for number in numbers
        },
        "exten_dnd": "*25",
        "exten_fwd_unconditional": "*21",
        "exten_fwd_no_answer": "*22",
        "exten_fwd_busy": "*23",
        "exten_fwd_disable_all": "*20",
        "exten_park": "700",
        "exten_pickup_group": "*7",
        "exten_pickup_call": "*8",
        "exten_voicemail": "*98",
        "funckeys": {
            str(number): {
                "type": kinds[number % 3],
                "value": f"7{number:02}",
                "label": f"Clé <{number}> & co",
                "line": "1",
            }
            for number in range(1, max(buttons if type(buttons) is int else 3, 3) + 1)
        },
        "X_xivo_phonebook_ip": "192.0.2.20",
        "X_xivo_user_uuid": "5f1e4c1c-7d6b-4a57-9f0e-1f4a3f0c9d11",
    }
    configs: dict[str, Document] = {"minimal": minimal, "rich": rich}
    for config in configs.values():
        if capability.get("protocol") == "sccp":
            config.update(
                protocol="SCCP", sccp_call_managers={"1": {"ip": "192.0.2.10", "port": 2000}}
            )
        add_defaults(config)
    return configs


@attrs.frozen
class Model:
    """A model that a plugin says it supports."""

    vendor: str
    name: str
    version: str
    capability: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.vendor} {self.name} {self.version}"

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for many models."""
        return _ANY in {self.vendor, self.name, self.version}

    def info(self) -> Document:
        """Return what a request of such a phone tells."""
        return {"vendor": self.vendor, "model": self.name, "version": self.version}

    def device(self, number: int) -> Document:
        """Return the document of one such phone."""
        return _device(self.info(), f"00:00:5e:00:53:{number:02x}")


def _device(info: Mapping[str, Any], mac: str) -> Document:
    return {
        **info,
        "id": mac.replace(":", ""),
        "mac": mac,
        "sn": mac.replace(":", "").upper(),
        "uuid": f"2c5f2d7e-0000-4000-8000-{mac.replace(':', '')}",
        "ip": "192.0.2.101",
        "config": "standard",
        "configured": False,
        "added": "auto",
    }


def _models(info: Mapping[str, Any]) -> list[Model]:
    found = []
    for name, capability in info["capabilities"].items():
        match = _MODEL.fullmatch(name)
        if match is not None and isinstance(capability, dict):
            found.append(Model(match[1], match[2], match[3], capability))
    return found


# Lint


@attrs.frozen
class Finding:
    """Something wrong; `places` are the models and configs that show it, if it depends on them."""

    is_error: bool
    text: str
    places: tuple[str, ...] = ()

    def __str__(self) -> str:
        kind = "error" if self.is_error else "warning"
        more = f", and {len(self.places) - 1} more" if len(self.places) > 1 else ""
        shown = f" [{self.places[0]}{more}]" if self.places else ""
        return f"{kind}: {self.text}{shown}"


class _Findings:
    """Collects findings; the same text at several places is one finding."""

    def __init__(self) -> None:
        self._places: dict[tuple[bool, str], list[str]] = {}

    def _add(self, is_error: bool, text: str, place: str | None) -> None:
        places = self._places.setdefault((is_error, text), [])
        if place is not None and place not in places:
            places.append(place)

    def error(self, text: str, place: str | None = None) -> None:
        self._add(True, text, place)

    def warning(self, text: str, place: str | None = None) -> None:
        self._add(False, text, place)

    def all(self) -> list[Finding]:
        found = [Finding(*key, tuple(places)) for key, places in self._places.items()]
        return sorted(found, key=lambda finding: not finding.is_error)


def lint(plugin_dir: str, quirk: Quirk | None = None) -> list[Finding]:
    """Return what is wrong with a plugin, errors first.

    InvalidDocument if the directory holds no plugin at all.
    """
    if not os.path.isfile(os.path.join(plugin_dir, PLUGIN_INFO)):
        raise InvalidDocument(f"there is no {PLUGIN_INFO} in {plugin_dir}")
    findings = _Findings()
    with copied(plugin_dir) as copy, loadable(copy, {}, quirk) as host, _hushed():
        info = _check_info(copy, findings)
        try:
            loaded = host.load(os.path.basename(copy))
        except PluginError as error:
            findings.error(_reason(error, copy))
            return findings.all()
        models = [model for model in _models(info or loaded.info) if not model.is_wildcard]
        _check_templates(loaded, findings)
        _check_packages(loaded, findings)
        _check_association(loaded, models, findings)
        for model in models:
            _check_rendering(host, loaded, model, findings)
    return findings.all()


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """Silence the daemon's own log: what it would say is among the findings."""
    logger = logging.getLogger("provd")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _check_info(copy: str, findings: _Findings) -> Document | None:
    try:
        info = builder.read_info(copy)
    except InvalidDocument as error:
        findings.error(_reason(error, copy))
        return None
    for name in _repeated_keys(os.path.join(copy, PLUGIN_INFO)):
        findings.error(f"{PLUGIN_INFO}: the key {name!r} is there twice")
    try:
        builder.archive_name(os.path.basename(copy), info["version"])
    except ProvdError as error:
        findings.error(f"{PLUGIN_INFO}: version: {error}")
    for name, value in info.items():
        if name.startswith("description_"):
            if _DESCRIPTION.fullmatch(name) is None:
                findings.warning(f"{PLUGIN_INFO}: {name}: not a language such as description_fr")
            if not isinstance(value, str):
                findings.error(f"{PLUGIN_INFO}: {name}: must be a text")
        elif name.startswith("plugin_iface_version_") and (
            isinstance(value, bool) or not isinstance(value, int | float)
        ):
            findings.error(f"{PLUGIN_INFO}: {name}: must be a number")
    if not info["capabilities"]:
        findings.warning(f"{PLUGIN_INFO}: capabilities: there are none")
    for model, capability in info["capabilities"].items():
        _check_capability(model, capability, findings)
    return info


def _repeated_keys(path: str) -> list[str]:
    repeated: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> Document:
        names = [name for name, _ in pairs]
        repeated.extend(sorted({name for name in names if names.count(name) > 1}))
        return dict(pairs)

    with open(path, encoding="utf-8") as stream:
        json.load(stream, object_pairs_hook=note)
    return repeated


def _check_capability(model: str, capability: Any, findings: _Findings) -> None:
    if _MODEL.fullmatch(model) is None or model != model.strip():
        findings.error(f"{PLUGIN_INFO}: capabilities: {model!r} is not 'Vendor, Model, Version'")
    if not isinstance(capability, dict):
        findings.error(f"{PLUGIN_INFO}: capabilities: must be objects", model)
        return
    for name, value in capability.items():
        if name not in _CAPABILITIES:
            findings.warning(f"{PLUGIN_INFO}: capabilities: {name} is not a known one", model)
        elif not _CAPABILITIES[name][0](value):
            allowed = _CAPABILITIES[name][1]
            findings.error(f"{PLUGIN_INFO}: capabilities: {name} must be {allowed}", model)


def _check_templates(loaded: LoadedPlugin, findings: _Findings) -> None:
    for helper in loaded.templates:
        environment = helper._env  # noqa: SLF001 - the helper has no use for it in public
        loader = environment.loader
        assert loader is not None
        for name in loader.list_templates():
            try:
                loader.load(environment, name)
            except jinja2.TemplateSyntaxError as error:
                findings.error(f"template {error.name}, line {error.lineno}: {error.message}")
            except (UnicodeDecodeError, OSError) as error:
                findings.error(f"template {name}: {_reason(error, loaded.directory)}")


def _check_packages(loaded: LoadedPlugin, findings: _Findings) -> None:
    # A plugin that offers packages has read their definitions when it was loaded.
    directory = os.path.join(loaded.directory, FetchfwPluginHelper.PKG_DIR)
    if not os.path.isdir(directory) or "install" in loaded.plugin.services:
        return
    findings.warning("there are packages in pkgs/, but no service named install")
    try:
        read_packages(directory, FetchfwPluginHelper.new_downloaders().keys(), build_filter)
    except (OSError, ValueError) as error:
        findings.error(_reason(error, loaded.directory))


def _check_association(loaded: LoadedPlugin, models: list[Model], findings: _Findings) -> None:
    associator = loaded.plugin.pg_associator
    if associator is None:
        findings.warning("it has no pg_associator, so no phone gets it by itself")
        return

    def score(info: Document, place: str | None) -> int | None:
        try:
            value = associator.associate(dict(info))
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is a finding
            text = f"{type(error).__name__}: {_reason(error, loaded.directory)}"
            findings.error(f"association fails: {text}", place)
            return None
        if not isinstance(value, int):
            findings.error(f"association gives {value!r}, not a number", place)
            return None
        return value

    for model in models:
        value = score(model.info(), str(model))
        if value is not None and value < DeviceSupport.PROBABLE:
            findings.error(
                f"a model of its own gets {value:d}, so no such phone gets the plugin "
                f"({DeviceSupport.PROBABLE:d} is needed)",
                str(model),
            )
        for part in ({"vendor": model.vendor}, {"vendor": model.vendor, "model": model.name}):
            score(part, " ".join(part.values()))
    for info in ({}, {"vendor": "Nobody Inc", "model": "N0", "version": "0"}):
        value = score(info, None)
        if value is not None and value >= DeviceSupport.PROBABLE:
            whom = "a phone of another vendor" if info else "a phone it knows nothing of"
            findings.error(f"it claims {whom}: association gives {value:d}")


def _check_rendering(
    host: PluginHost, loaded: LoadedPlugin, model: Model, findings: _Findings
) -> None:
    for name, raw_config in standard_configs(model.capability).items():
        place = f"{model}, {name} config"
        first, second = model.device(1), model.device(2)
        try:
            files = configure(host, loaded, first, raw_config)
            again = configure(host, loaded, first, raw_config)
            others = configure(host, loaded, second, raw_config)
            _check_files(host, loaded, first, files, place, findings)
            host.call(loaded, "deconfigure", copy_json(first))
            host.call(loaded, "deconfigure", copy_json(second))
        except PluginError as error:
            findings.error(_reason(error, loaded.directory), place)
            continue
        if files != again:
            findings.warning("rendering twice gives different files", place)
        for path in files.keys() & others.keys():
            if files[path] != others[path]:
                findings.error("two devices get one file with different contents", place)
        for path in files.keys() - others.keys():
            if os.path.exists(path):
                findings.warning("deconfigure leaves files of the device behind", place)


def _check_files(
    host: PluginHost,
    loaded: LoadedPlugin,
    device: Document,
    files: Mapping[str, bytes],
    place: str,
    findings: _Findings,
) -> None:
    if not files:
        findings.warning("configuring a device writes no file", place)
        return
    if any(not is_below(loaded.directory, path) for path in files):
        findings.error("files are written outside the plugin's directory", place)
    trigger = host.call(loaded, "get_remote_state_trigger_filename", copy_json(device))
    names = {os.path.basename(path) for path in files}
    if trigger is None:
        findings.warning("get_remote_state_trigger_filename names no file", place)
    elif trigger not in names:
        findings.warning("get_remote_state_trigger_filename names a file that is not made", place)
    for path, content in files.items():
        is_secret = _PASSWORD.encode() in content
        if is_secret and not host.call(loaded, "is_sensitive_filename", os.path.basename(path)):
            findings.warning("is_sensitive_filename is false for a file with a password", place)


# Try


@attrs.frozen
class Rendered:
    """Files by name: those that all devices share, and those of the device."""

    common: Mapping[str, bytes]
    own: Mapping[str, bytes]


def render(
    plugin_dir: str,
    model: str,
    *,
    version: str | None = None,
    mac: str = "00:00:5e:00:53:01",
    config: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    quirk: Quirk | None = None,
) -> Rendered:
    """Return the files of one device.

    `config` is a raw config, or a config document; without one, the device is a new phone. Vendor
    and version are those of the model in `plugin-info`. PluginError, InvalidDocument.
    """
    with copied(plugin_dir) as copy, loadable(copy, dict(settings or {}), quirk) as host:
        before = marks(copy)
        loaded = host.load(os.path.basename(copy))
        common = {}
        for path, mark in marks(copy).items():
            if before.get(path) != mark:
                with open(path, "rb") as stream:
                    common[served_name(loaded, path)] = stream.read()
        known = next((entry for entry in _models(loaded.info) if entry.name == model), None)
        info = known.info() if known is not None else {"model": model}
        if version is not None:
            info["version"] = version
        raw_config = _raw_config(config, known.capability if known is not None else {})
        own = configure(host, loaded, _device(info, mac), raw_config)
        return Rendered(
            common, {served_name(loaded, path): content for path, content in own.items()}
        )


def _raw_config(config: Mapping[str, Any] | None, capability: Mapping[str, Any]) -> Document:
    if config is None:
        return standard_configs(capability)["minimal"]
    given = config.get("raw_config", config)
    if not isinstance(given, dict):
        raise InvalidDocument("raw_config: must be an object")
    raw_config = {**BASE_RAW_CONFIG, **copy_json(given)}
    add_defaults(raw_config)
    validate_merged(raw_config)
    return raw_config
