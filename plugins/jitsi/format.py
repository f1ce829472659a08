"""How Jitsi wants its settings: Java properties, in the answer to a form that it sends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.web.resource import Resource

from provd.plugin.api import (
    DeviceInfo,
    FamilyPlugin,
    InvalidDocument,
    Phone,
    PhoneRequest,
    is_normed_uuid,
    norm_uuid,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.web.server import Request

    from provd.plugin.api import Account

PATH = "jitsi"
_PLAIN = re.compile(r"[A-Za-z0-9_.@*+/-]+")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\f": "\\f"}
_ESCAPES |= {char: f"\\{char}" for char in ":=#!"}


def escape(value: Any) -> str:
    """Return `value` as java.util.Properties writes it: characters that are not ASCII by number."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    text = "".join(_ESCAPES.get(char) or _numbered(char) for char in text)
    return f"\\{text}" if text.startswith(" ") else text


def _numbered(char: str) -> str:
    if " " <= char <= "~":
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[n]:02x}{units[n + 1]:02x}" for n in range(0, len(units), 2))


class Answers(Resource):
    """Answers the form with the file of its field `uuid`."""

    isLeaf = True

    def __init__(self, plugin: JitsiPlugin) -> None:
        super().__init__()
        self._plugin = plugin

    def render_POST(self, request: Request) -> bytes:
        """Return the settings; 400 without a UUID, 404 for one that nobody has."""
        request.setHeader(b"content-type", b"text/plain; charset=us-ascii")
        if request.path.lstrip(b"/") != PATH.encode():
            request.setResponseCode(404)
            return b"There is nothing here.\n"
        [value, *_] = (request.args or {}).get(b"uuid") or [b""]
        uuid = to_uuid(value.decode("latin-1"))
        if uuid is None:
            request.setResponseCode(400)
            return b"The field uuid is missing, or no UUID.\n"
        try:
            with open(self._plugin.path_of(uuid), "rb") as stream:
                return stream.read()
        except (OSError, InvalidDocument):
            request.setResponseCode(404)
            return b"There are no settings for this UUID.\n"


class JitsiPlugin(FamilyPlugin):
    """The Jitsi softphone."""

    IS_PLUGIN = True
    needs_http = False
    escape = staticmethod(escape)

    def __init__(
        self, app: Any, plugin_dir: str, gen_cfg: dict[str, Any], spec_cfg: dict[str, Any]
    ) -> None:
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        self.http_service = Answers(self)
        self.tftp_service = None

    def refine(self, info: DeviceInfo, request: PhoneRequest) -> DeviceInfo | None:
        """Add the UUID of the form."""
        uuid = to_uuid(request.form.get("uuid"))
        if uuid is not None:
            info["uuid"] = uuid
        return info

    def get_remote_state_trigger_filename(self, device: Mapping[str, Any]) -> str | None:  # noqa: ARG002
        """Return the last part of the path that the form is sent to."""
        return PATH

    def is_sensitive_filename(self, filename: str) -> bool:
        """Tell whether the answer may hold passwords."""
        return filename == PATH or is_normed_uuid(filename.lower())

    def synchronize(self, device: Any, raw_config: Any) -> defer.Deferred[Any]:  # noqa: ARG002
        """Refuse: it reads its settings when it starts."""
        reason = "Jitsi reads its settings when it starts, and at no other time"
        return defer.fail(InvalidDocument(reason))

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return the accounts as properties."""
        return {"accounts": {n: properties_of(account) for n, account in phone.accounts.items()}}


def to_uuid(value: str | None) -> str | None:
    """Return a UUID in its normal form, None if `value` is none."""
    try:
        return norm_uuid(value or "")
    except ValueError:
        return None


def properties_of(account: Account) -> dict[str, Any]:
    """Return name → value of the properties of an account."""
    servers = account.servers
    host = servers.registrar.host
    address = f"{account.username or ''}@{host}"
    # Otherwise it looks in the DNS for the proxy, and for how to speak with it.
    route = servers.outbound_proxy or (
        servers.proxy
        if servers.proxy != servers.registrar or account.transport_name != "udp"
        else None
    )
    properties = {
        "ACCOUNT_UID": f"SIP:{address}",
        "AUTHORIZATION_NAME": account.auth_username,
        "DEFAULT_ENCRYPTION": True,
        "DEFAULT_SIPZRTP_ATTRIBUTE": True,
        "DISPLAY_NAME": account.display_name,
        "DTMF_METHOD": account.dtmf,
        "ENCRYPTION_PROTOCOL_STATUS.SDES": account.srtp_mode != "disabled",
        "FORCE_P2P_MODE": False,
        "IS_PRESENCE_ENABLED": False,
        "KEEP_ALIVE_INTERVAL": 25,
        "KEEP_ALIVE_METHOD": "NONE",
        "PASSWORD": account.password,
        "POLLING_PERIOD": 30,
        "PREFERRED_TRANSPORT": account.transport,
        "PROTOCOL_NAME": "SIP",
        "PROXY_ADDRESS_VALIDATED": True,
        "PROXY_AUTO_CONFIG": route is None,
        "SAVP_OPTION": account.srtp,
        "SERVER_ADDRESS": host,
        "SERVER_ADDRESS_VALIDATED": True,
        "SERVER_PORT": servers.registrar.port,
        "SUBSCRIPTION_EXPIRATION": 3600,
        "USER_ID": address,
        "VOICEMAIL_ENABLED": account.voicemail is not None,
        "XCAP_ENABLE": False,
    }
    if route is not None:
        properties |= {"PROXY_ADDRESS": route.host, "PROXY_PORT": route.port}
    if account.voicemail is not None:
        properties["VOICEMAIL_CHECK_URI"] = f"sip:{account.voicemail}@{host}"
    return properties
