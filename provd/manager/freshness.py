"""Whether a device's rendered files are what its documents ask for now.

Files are derived data. The key of a rendered device is a digest of all that its files may depend
on; it is kept beside the files and written last. Equal keys: the files are fresh.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

# Bookkeeping that no file may depend on. An address that a phone got from DHCP is of that kind: it
# comes and goes without a reconfiguration (contract: documents §6.1).
_IGNORED = frozenset(
    (
        "added",
        "configured",
        "description",
        "ip",
        "is_new",
        "remote_state_sip_username",
        "tenant_uuid",
    )
)


def render_key(
    device: Mapping[str, Any], raw_config: Mapping[str, Any] | None, plugin_stamp: str
) -> str:
    """Return the digest of what `device` would be rendered from.

    `raw_config` is flattened, completed by the settings that reach templates; None if the device
    cannot be configured. `plugin_stamp` covers the plugin's code, version and templates.
    """
    relevant = {key: value for key, value in device.items() if key not in _IGNORED}
    text = json.dumps([relevant, raw_config, plugin_stamp], sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=20).hexdigest()


def is_as_fresh(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Tell whether files rendered for the device `old` are just as good for `new`."""
    return all(
        key in _IGNORED or (key in old and key in new and old[key] == new[key])
        for key in old.keys() | new.keys()
    )
