"""Loading the settings: all sources in their order, and what depends on several of them."""

from __future__ import annotations

import os.path
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provd.errors import SettingsError
from provd.settings.files import Layer, read_extra_files, read_key_file, read_main_file
from provd.settings.kinds import PATH
from provd.settings.layers import build, collect, find_value, resolve_paths
from provd.settings.rawconfig import default_route_address, read_base_raw_config
from provd.settings.schema import PROVD, Defaults, Key, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def load(
    options: Mapping[str, object],
    *,
    defaults: Defaults = PROVD,
    find_address: Callable[[], str] = default_route_address,
) -> Settings:
    """Return the settings of all sources; `options` are the command line's, None if not given.

    Options read: config_file, config_dir, rest_ip, rest_port, http_port, tftp_port, listen,
    verbose, state_dir.
    Blocks: it reads files and may run the commands of `!exec`. Raises SettingsError.
    """
    warnings: list[str] = []
    named = options.get("config_file")
    default_layer = Layer("defaults", defaults.values)
    config_file = os.path.abspath(str(named or defaults.values["config_file"]))
    main = Layer(
        config_file, read_main_file(config_file, named=named is not None, warnings=warnings)
    )
    main_dir = os.path.dirname(config_file)
    extra_dir = os.path.join(
        main_dir,
        str(find_value(Key(PATH, None), "extra_config_files", [main, default_layer])),
    )
    extra = read_extra_files(
        extra_dir, named="extra_config_files" in main.values, warnings=warnings
    )
    layers = [_command_line(options, config_file), *extra, main, default_layer]
    values = collect(Settings, "", layers, warnings)
    values["extra_config_files"] = extra_dir
    resolve_paths(
        Settings,
        values,
        {
            "settings": main_dir,
            "storage": os.path.join(main_dir, values["general"]["base_storage_dir"]),
        },
    )
    _complete(values, config_file, warnings)
    given = read_base_raw_config(values["general"]["base_raw_config_file"])
    if values["general"]["advertised_http_url"] is None and not given.keys() & {
        "http_base_url",
        "ip",
    }:
        warnings.append(
            "general.advertised_http_url is not set: phones are told that this machine is "
            f"{find_address()}"
        )
    settings = build(Settings, {**values, "warnings": tuple(warnings)})
    assert isinstance(settings, Settings)
    return settings


def _command_line(options: Mapping[str, object], config_file: str) -> Layer:
    """Return the layer of the options."""
    general: dict[str, object] = {}
    values: dict[str, object] = {"config_file": config_file, "general": general}
    if (state_dir := options.get("state_dir")) is not None:
        general["base_storage_dir"] = os.path.abspath(str(state_dir))
        general["cache_dir"] = os.path.join(os.path.abspath(str(state_dir)), "cache")
    if (config_dir := options.get("config_dir")) is not None:
        general["request_config_dir"] = os.path.abspath(str(config_dir))
    if (tftp_port := options.get("tftp_port")) is not None:
        general["tftp_port"] = tftp_port
    if (http_port := options.get("http_port")) is not None:
        general["http_listen_port"] = http_port
    if (listen := options.get("listen")) is not None:
        general["http_listen_interface"] = general["tftp_listen_interface"] = listen
    rest = {"port": options.get("rest_port"), "ip": options.get("rest_ip")}
    if given := {key: value for key, value in rest.items() if value is not None}:
        values["rest_api"] = given
    if options.get("verbose"):
        general["verbose"] = True
    return Layer("command line", values)


def _complete(values: dict[str, Any], config_file: str, warnings: list[str]) -> None:
    """Fill in what depends on other settings, and check what must go together."""
    general, auth, rest_api = values["general"], values["auth"], values["rest_api"]
    if general["plugin_server"] is None:
        general["plugin_server"] = shipped_repository()
    if auth["type"] is None:
        key_file = auth["key_file"]
        has_key = bool(key_file) and os.path.exists(key_file)
        auth["type"] = "wazo" if has_key else "local"
        if key_file and not has_key:
            warnings.append(f"auth.key_file: {key_file} is not there, so local tokens are used")
    if auth["type"] == "wazo":
        if auth["key_file"]:
            auth.update(read_key_file(auth["key_file"], warnings))
        elif auth["username"] is None or auth["password"] is None:
            warnings.append("auth.type is wazo, but the daemon has no service name and password")
    if general["sync_service_type"] == "ami" and values["ami"]["secret"] is None:
        raise SettingsError(
            f"{config_file}: ami.secret: needed as general.sync_service_type is ami"
        )
    if rest_api["ssl"]:
        for name in ("ssl_certfile", "ssl_keyfile"):
            if rest_api[name] is None:
                raise SettingsError(
                    f"{config_file}: rest_api.{name}: needed as rest_api.ssl is true"
                )
        warnings.append("rest_api.ssl is deprecated: put a web server in front instead")


def shipped_repository() -> str | None:
    """Return the file: URL of the plugin repository that came with provd, if it is there."""
    installed = Path(sys.prefix, "share", "provd", "repository")
    checkout = Path(__file__).resolve().parent.parent.parent / "build" / "repository"
    for directory in (installed, checkout):
        if (directory / "plugins.db").is_file():
            return f"{directory.as_uri()}/"
    return None
