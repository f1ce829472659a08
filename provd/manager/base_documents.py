"""The documents that a lone installation needs to serve its first phone."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit


def base_documents(base_raw_config: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the configs of an empty store: `base`, `defaultconfigdevice`, `autoprov`.

    Phones that nobody configured yet get `autoprov`, whose one line points to this machine: the
    likeliest place of the PBX. All three are the operator's to change.
    """
    url = str(base_raw_config.get("http_base_url", ""))
    host = urlsplit(url).hostname or base_raw_config["ip"]
    return [
        {
            "id": "base",
            "label": "What all phones share",
            "parent_ids": [],
            "raw_config": {"config_version": 1, "ntp_enabled": True, "ntp_ip": "pool.ntp.org"},
            "deletable": False,
        },
        {
            "id": "defaultconfigdevice",
            "label": "Default settings of a phone",
            "parent_ids": [],
            "raw_config": {"locale": "en_US", "timezone": "UTC"},
            "deletable": False,
        },
        {
            "id": "autoprov",
            "label": "Phones that nobody configured yet",
            "parent_ids": ["base", "defaultconfigdevice"],
            "raw_config": {
                "sip_lines": {
                    "1": {
                        "username": "autoprov",
                        "password": "autoprov",
                        "display_name": "Autoprov",
                        "number": "autoprov",
                        "proxy_ip": host,
                        "registrar_ip": host,
                    }
                }
            },
            "role": "autocreate",
            "deletable": False,
        },
    ]
