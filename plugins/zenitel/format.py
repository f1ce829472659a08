"""How Zenitel stations want their settings: sections of lines, `key=value` after a blank.

A station takes no SIP NOTIFY: it is restarted through its own web pages.
"""

from __future__ import annotations

import base64
import urllib.request
from typing import TYPE_CHECKING, Any

from twisted.internet import defer, threads

from provd.plugin.api import (
    FamilyPlugin,
    InvalidDocument,
    Phone,
    RawConfigError,
    is_line_safe,
    to_one_line,
)
from provd.plugin.downloaders import AuthDownloader
from provd.plugin.firmware import FetchfwPluginHelper

if TYPE_CHECKING:
    from collections.abc import Mapping

SIP_PORT = 5060
_TIMEOUT = 15
_VENDOR_SITE = "https://alphasupport.zenitel.com/"
_LOGIN = "admin:alphaadmin"
"""What every station is delivered with; no configuration file can change it."""
_IMAGE_SETTINGS = ("image_type", "image_crc")


class ZenitelPlugin(FamilyPlugin):
    """Zenitel IP stations.

    Settings: `image_type` and `image_crc`, which make stations load the firmware of that name and
    checksum; `download_username` and `download_password` of the vendor's site.
    """

    IS_PLUGIN = True
    needs_http = False
    can_hold = staticmethod(is_line_safe)
    web_port = 80
    """Of the station's own pages."""

    def __init__(
        self, app: Any, plugin_dir: str, gen_cfg: dict[str, Any], spec_cfg: dict[str, Any]
    ) -> None:
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        self.downloaders = FetchfwPluginHelper.new_downloaders(gen_cfg.get("proxies"))
        user, password = spec_cfg.get("download_username"), spec_cfg.get("download_password")
        downloader = self.downloaders["auth"]
        if user and password and isinstance(downloader, AuthDownloader):
            downloader.add_password(uri=_VENDOR_SITE, user=user, password=password)
        self.services = FetchfwPluginHelper(plugin_dir, self.downloaders).services()

    def check_settings(self, settings: Mapping[str, Any]) -> None:
        """Refuse settings of another form."""
        super().check_settings(settings)
        for name in (*_IMAGE_SETTINGS, "download_username", "download_password"):
            if not isinstance(settings.get(name, ""), str):
                raise InvalidDocument(f"the setting {name!r} must be a text")

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as it may stand after `key=`: on one line, without blanks at its ends."""
        return to_one_line(value).strip()

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the template wants beside the neutral names."""
        account = phone.first_account
        if account is not None:
            _note_servers(phone)
        return {
            "account": account,
            "image": {name: self.settings.get(name) for name in _IMAGE_SETTINGS},
        }

    def synchronize(
        self,
        device: Mapping[str, Any],
        raw_config: Mapping[str, Any],  # noqa: ARG002
    ) -> defer.Deferred[Any]:
        """Restart the station, which then fetches its file."""
        address = device.get("ip")
        if not address:
            return defer.fail(RawConfigError("the address of the station is not known"))
        return threads.deferToThread(_restart, f"http://{address}:{self.web_port}")


def _note_servers(phone: Phone) -> None:
    """Note what a station cannot be told of its servers."""
    account = phone.first_account
    assert account is not None
    servers = account.servers
    if account.transport_name != "udp":
        phone.notes.add(f"sip_transport {account.transport_name} is left out: stations use UDP")
    if account.srtp_mode != "disabled":
        phone.notes.add("sip_srtp_mode is left out: stations have no SRTP")
    if servers.outbound_proxy is not None:
        phone.notes.add("outbound_proxy_ip is left out: stations have no such setting")
    if servers.proxy.has_own_port and servers.proxy.port != SIP_PORT:
        phone.notes.add(f"proxy_port is left out: stations call port {SIP_PORT}")


def _restart(base_url: str) -> None:
    """Ask a station to restart, and raise any error; it waits, and belongs in a thread."""
    request = urllib.request.Request(  # noqa: S310 - always HTTP
        f"{base_url}/goform/zForm_send_cmd",
        data=b"message=Reboot",
        headers={"Authorization": f"Basic {base64.b64encode(_LOGIN.encode()).decode()}"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_TIMEOUT) as response:
        response.read()
