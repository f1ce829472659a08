"""How Polycom phones want their settings: attributes of one XML element, named with dots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.plugin.api import DeviceInfo, FamilyPlugin, Phone, PhoneRequest, escape_xml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provd.plugin.api import Change

_UC_SOFTWARE = 4
"""The first generation called so; before it, the root element had another name."""
_HOUR = 3600
MAX_CERTIFICATES = 6
# Files that nothing but the SIP application asks for. For others, the version of a User-Agent may
# be that of the program that starts the phone.
_APPLICATION_FILES = ("common.cfg", "phone1.cfg", "sip.cfg")
_APPLICATION_ENDS = ("-phone.cfg", "-license.cfg", "-directory.xml", "-app.log")
_DEFAULT_PASSWORDS = {"admin": "9486", "user": "123"}
_DIRECTORY = "Directory"


class PolycomPlugin(FamilyPlugin):
    """Polycom phones of all generations."""

    IS_PLUGIN = True

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML holds it; booleans are 1 and 0."""
        return str(int(value)) if isinstance(value, bool) else escape_xml(value)

    def refine(self, info: DeviceInfo, request: PhoneRequest) -> DeviceInfo | None:
        """Name the model as we do, and drop a version that is not that of the application."""
        if "model" in info:
            info["model"] = info["model"].replace("_", "")
        name = request.filename
        if name not in _APPLICATION_FILES and not name.endswith(_APPLICATION_ENDS):
            info.pop("version", None)
        return info

    def is_uc_software(self, phone: Phone) -> bool:
        """Tell whether a phone runs UC Software (4 and newer), or would if it were up to date."""
        newest = phone.model.firmware[-1:] or (str(_UC_SOFTWARE),)
        return int(phone.version[0] if phone.version else newest[0].split(".")[0]) >= _UC_SOFTWARE

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        is_uc_software = self.is_uc_software(phone)
        firmware = self.firmware_url(phone)
        directory = "" if firmware is None else firmware.rpartition("/")[0]
        # SIP 3 has its defaults in files that come with it.
        files = [] if is_uc_software or not directory else ["phone1.cfg", "sip.cfg"]
        certificates = phone.certificates
        most = MAX_CERTIFICATES if is_uc_software else 0
        if len(certificates) > most:
            phone.notes.add(
                f"certificates from number {most + 1} on are left out: the phone takes {most}"
            )
        return {
            "root": "polycomConfig" if is_uc_software else "config",
            "is_uc_software": is_uc_software,
            "config_files": [
                f"{phone.mac}-user.cfg",
                "common.cfg",
                *(f"{directory}/{name}" for name in files),
            ],
            "passwords": passwords_of(phone),
            "srtp": _shared_srtp(phone),
            "dtmf": _shared_dtmf(phone),
            "time": dict(time_settings(phone)),
            "certificates": certificates[:most],
            "phonebook": phone.phonebook_url("polycom"),
            "directory": self.family.tables["directory"].get(phone.language_code, _DIRECTORY),
            "keys": [_checked(phone, key) for key in phone.keys],
        }


def passwords_of(phone: Phone) -> list[tuple[str, str]]:
    """Return the passwords of the phone's menus; the names of the two accounts are fixed."""
    passwords = []
    for account, default in _DEFAULT_PASSWORDS.items():
        login = phone.login(account)
        given = login.password if login else None
        passwords.append((account.capitalize(), given or default))
    return passwords


def _shared_srtp(phone: Phone) -> Any:
    """Return whether SRTP is enabled, offered, required where no account says otherwise."""
    codes = phone.family.codes["srtp"]
    return codes.get(str(phone.raw.get("sip_srtp_mode")), codes["disabled"])


def _shared_dtmf(phone: Phone) -> Any:
    """Return the way of DTMF: all accounts share it."""
    first = phone.first_account
    if first is None:
        return phone.family.codes["dtmf"]["default"]
    for account in phone.accounts.values():
        if account.dtmf != first.dtmf:
            phone.notes.add(
                f"dtmf_mode of line {account.number} is left out: the phone has one for all lines"
            )
    return first.dtmf


def _checked(phone: Phone, key: Any) -> Any:
    first = phone.first_account
    if first is not None and key.line != first.number:
        phone.notes.add(f"function key {key.number} watches through line {first.number}, the first")
    return key


def time_settings(phone: Phone) -> Iterator[tuple[str, Any]]:
    """Yield the settings of the time zone, without their common prefix."""
    zone = phone.zone
    if zone is None:
        return
    yield "gmtOffset", zone.offset
    yield "gmtOffset.overrideDHCP", 1
    dst = zone.dst
    if dst is not None and (dst.start.weekday is None) != (dst.end.weekday is None):
        phone.notes.add(f"timezone {zone.name} mixes kinds of rules; there is no summer time")
        dst = None
    yield "daylightSavings.enable", int(dst is not None)
    if dst is None:
        return
    if dst.save != _HOUR:
        phone.notes.add(f"timezone {zone.name}: in summer the phone is an hour ahead, not less")
    yield "daylightSavings.fixedDayEnable", int(not dst.is_by_week)
    yield from _change("daylightSavings.start", dst.start)
    yield from _change("daylightSavings.stop", dst.end)


def _change(prefix: str, change: Change) -> Iterator[tuple[str, Any]]:
    yield f"{prefix}.month", change.month
    yield f"{prefix}.time", change.hour
    if change.weekday is None:
        yield f"{prefix}.date", change.day
        return
    yield f"{prefix}.dayOfWeek", change.sunday_first
    yield f"{prefix}.dayOfWeek.lastInMonth", int(change.is_last_week)
    if not change.is_last_week:
        yield f"{prefix}.date", change.earliest_day
