"""How Technicolor phones want their settings: sections of `key=value` lines, in ISO 8859-1.

A file whose serial number, `config_sn`, is not new to the phone is ignored: it is made of what the
file holds. Values of common files do not fill gaps, so that a phone's own file holds everything.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from provd.plugin.api import (
    FamilyPlugin,
    Phone,
    RenderedFile,
    code_of,
    is_line_safe,
    nearest_code_of,
    to_line_value,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provd.plugin.api import Account, Server

_SERIAL = "@serial number@"
_SERIAL_LENGTH = 12
# Where a zone has no entry in the phone's list: minutes to those that are near.
_APART = (30, -30, 60, -60)


class TechnicolorPlugin(FamilyPlugin):
    """Technicolor phones, formerly Thomson's."""

    IS_PLUGIN = True

    escape = staticmethod(to_line_value)

    @staticmethod
    def can_hold(secret: str) -> bool:
        """Tell whether a file can hold a password as it is; nothing can quote outer blanks."""
        return is_western(secret) and is_line_safe(secret)

    def files_of(self, phone: Phone) -> Iterable[RenderedFile]:
        """Return the file of a phone, with a serial number of its content."""
        for number, account in phone.accounts.items():
            if not is_western(account.display_name or ""):
                phone.notes.add(f"the name of line {number} has characters that are not shown")
        for file in super().files_of(phone):
            digest = hashlib.sha256(file.content).hexdigest()[:_SERIAL_LENGTH]
            yield RenderedFile(file.name, file.content.replace(_SERIAL.encode(), digest.encode()))

    def render_common(self, raw_config: dict[str, Any]) -> Iterable[RenderedFile]:
        """Return the list of files that phones of each model begin with.

        It holds URLs, so that it is of use only where phones need no provisioning key.
        """
        template = self.templates.get_template("model.inf.tpl")
        for model in self.family.models.values():
            package = f"{model.name}-fw-{model.firmware[-1]}"
            images = self.family.tables["images"][model.name]
            context = {
                "base_url": raw_config.get("http_base_url") or "",
                "model": model,
                "images": images if self.installed.has(package) else None,
            }
            yield RenderedFile(f"{model.name}S.inf", template.render(context).encode())

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the template wants beside the neutral names."""
        first = phone.first_account
        return {
            "serial": _SERIAL,
            "first": first,
            "tone": self.family.tables["tones"].get(phone.country_code),
            "zone_code": self._zone_code(phone),
            "phonebook": phone.phonebook_url("thomson", "lookup", "term=#SEARCH"),
            "server_of": server_of,
        }

    def _zone_code(self, phone: Phone) -> int | None:
        zone, codes = phone.zone, self.family.tables["zones"]
        if zone is None:
            return None
        code: int | None = nearest_code_of(zone, codes, _APART)
        if code is None:
            phone.note_unknown_zone()
        elif code_of(zone, codes) is None:
            phone.notes.add(f"timezone {zone.name}: the phone has another one near it")
        return code


def is_western(text: str) -> bool:
    """Tell whether ISO 8859-1 holds all characters of a text."""
    return not text or max(text) <= "\xff"


def server_of(account: Account, server: Server | None) -> str:
    """Return an address, with its port where that is not the usual one of the transport."""
    if server is None:
        return ""
    usual = 5061 if account.transport_name == "tls" else 5060
    return server.host if server.port == usual else str(server)
