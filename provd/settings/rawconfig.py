"""The raw config that every phone starts from: a file, completed by the settings."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

from provd.errors import SettingsError
from provd.settings.kinds import HTTP_URL, PORT, split_url, wrong_value

if TYPE_CHECKING:
    from collections.abc import Callable

    from provd.settings.schema import Settings

_FRONT_HTTP_PORT = 8667  # where a web server in front of the daemon listens by convention


def default_route_address() -> str:
    """Return the IPv4 address of this machine towards its default route, else 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            # Connecting a datagram socket chooses a route and sends nothing.
            sock.connect(("192.0.2.1", 9))
            address = str(sock.getsockname()[0])
        except OSError:
            return "127.0.0.1"
    return "127.0.0.1" if address == "0.0.0.0" else address  # noqa: S104  compared, not bound


def read_base_raw_config(path: str | None) -> dict[str, Any]:
    """Return what the file holds, nothing without a path; SettingsError."""
    if path is None:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as exc:
        raise SettingsError(f"general.base_raw_config_file: {path}: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise SettingsError(f"general.base_raw_config_file: {path}: not valid JSON: {exc}") from exc
    if not isinstance(document, dict):
        raise SettingsError(f"general.base_raw_config_file: {path}: a JSON object is expected")
    return document


def base_raw_config(
    settings: Settings,
    *,
    find_address: Callable[[], str] = default_route_address,
    http_port: int | None = None,
    tftp_port: int | None = None,
) -> dict[str, Any]:
    """Return the raw config that every phone starts from; it has ip, http_port and tftp_port.

    `http_port` and `tftp_port` are the ports really bound, for settings that say 0. Raises
    SettingsError if the base raw config file cannot be used.
    """
    general = settings.general
    raw_config = read_base_raw_config(general.base_raw_config_file)
    for name in ("http_port", "tftp_port"):
        if name in raw_config:
            try:
                raw_config[name] = PORT.parse(raw_config[name])
            except (TypeError, ValueError):
                raise wrong_value(
                    str(general.base_raw_config_file),
                    name,
                    raw_config[name],
                    PORT.name,
                    PORT.allowed,
                ) from None
    raw_config.setdefault("tftp_port", tftp_port or general.tftp_port)
    if "http_base_url" not in raw_config:
        url = general.advertised_http_url
        if url is None:
            host = str(raw_config.get("ip") or find_address())
            port = (
                raw_config.get("http_port")
                or http_port
                or general.http_listen_port
                or _FRONT_HTTP_PORT
            )
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        raw_config["http_base_url"] = url
    try:
        parts = split_url(raw_config["http_base_url"], "http", "https")
    except (TypeError, ValueError):
        raise wrong_value(
            str(general.base_raw_config_file),
            "http_base_url",
            raw_config["http_base_url"],
            HTTP_URL.name,
            HTTP_URL.allowed,
        ) from None
    raw_config.setdefault("ip", parts.hostname)
    raw_config.setdefault("http_port", parts.port or _FRONT_HTTP_PORT)
    return raw_config
