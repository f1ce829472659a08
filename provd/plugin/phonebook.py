"""URLs of the directory server and of its user services, written into the raw config.

Input keys: `X_xivo_phonebook_ip` (host), `X_xivo_phonebook_scheme` (default http),
`X_xivo_phonebook_port` (default 9498) and `X_xivo_user_uuid`. Contract: plugin API §8.
"""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)

_PROFILE = "default"


def _server(raw_config: dict[str, Any], purpose: str) -> dict[str, Any] | None:
    """Return scheme, hostname, port and user_uuid; None, with a warning, without a user."""
    hostname = raw_config.get("X_xivo_phonebook_ip")
    if not hostname:
        return None
    uuid = raw_config.get("X_xivo_user_uuid")
    if not uuid:
        logger.warning("no %s URL: the config has no X_xivo_user_uuid", purpose)
        return None
    return {
        "scheme": raw_config.get("X_xivo_phonebook_scheme", "http"),
        "hostname": hostname,
        "port": raw_config.get("X_xivo_phonebook_port", 9498),
        "user_uuid": uuid,
    }


def add_xivo_phonebook_url(
    raw_config: dict[str, Any],
    vendor: str,
    entry_point: str = "input",
    qs_prefix: str = "",
    qs_suffix: str = "",
) -> None:
    """Set `XX_xivo_phonebook_url` to the directory URL of `vendor`, where a server is known."""
    server = _server(raw_config, "phonebook")
    if server is None:
        return
    user = f"xivo_user_uuid={server['user_uuid']}"
    query = "&".join(part for part in (qs_prefix, user, qs_suffix) if part)
    raw_config["XX_xivo_phonebook_url"] = (
        f"{server['scheme']}://{server['hostname']}:{server['port']}"
        f"/0.1/directories/{entry_point}/{_PROFILE}/{vendor}?{query}"
    )


def add_xivo_phonebook_url_from_format(raw_config: dict[str, Any], url_format: str) -> None:
    """Set `XX_xivo_phonebook_url` to `url_format` filled with the server's data.

    Fields: scheme, hostname, port, user_uuid, profile.
    """
    server = _server(raw_config, "phonebook")
    if server is not None:
        raw_config["XX_xivo_phonebook_url"] = url_format.format(profile=_PROFILE, **server)


def add_wazo_phoned_user_service_url(raw_config: dict[str, Any], vendor: str, service: str) -> None:
    """Set the URLs that turn a user's `service` (such as `dnd`) on and off from the phone."""
    if not raw_config.get("X_xivo_phonebook_ip"):
        logger.warning("no URL of the %s service: the config has no X_xivo_phonebook_ip", service)
        return
    server = _server(raw_config, f"{service} service")
    if server is None:
        return
    base = (
        f"{server['scheme']}://{server['hostname']}:{server['port']}"
        f"/0.1/{vendor}/users/{server['user_uuid']}/services/{service}"
    )
    raw_config[f"XX_wazo_phoned_user_service_{service}_enabled_url"] = f"{base}/enable"
    raw_config[f"XX_wazo_phoned_user_service_{service}_disabled_url"] = f"{base}/disable"
