"""How Aastra and Mitel phones want their settings: lines of `name: value`.

A `#` begins a comment unless the value is between quotation marks, and nothing can quote a line
end. A phone forgets what its files no longer say, so nothing has to be cleared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from provd.plugin.api import FamilyPlugin, Markup, Phone, RenderedFile, to_one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from provd.plugin.api import Change, Key

DIRECTORY = "Aastra"
UNTAGGED = 4095
"""What stands for no VLAN on the port for a computer."""
# Keys of a layout that are reached in no other way.
_MUST_HAVE = {"voicemail", "fwd_unconditional", "dnd", "pickup_call", "phonebook"}
_DIALLED = _MUST_HAVE - {"phonebook"}
_LOG_MODULES = (
    "linemgr",
    "user interface",
    "sip",
    "ept",
    "ind",
    "kbd",
    "net",
    "provis",
    "rtpt",
    "snd",
    "stun",
)
Setting = tuple[str, Any]


class AastraPlugin(FamilyPlugin):
    """Aastra and Mitel phones."""

    IS_PLUGIN = True

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as it may stand after `name: `."""
        if value is True or value is False:
            return "1" if value else "0"
        text = to_one_line(value)
        if "#" in text or text.startswith('"') or text != text.strip():
            return f'"{text}"'
        return text

    @staticmethod
    def can_hold(secret: str) -> bool:
        """Tell whether a line can hold a password; blanks at its ends can be quoted."""
        return secret == to_one_line(secret)

    def file_names(self, device: Mapping[str, Any]) -> Iterator[str]:
        """Yield the names of the configuration and of the certificates that it may refer to."""
        for name in super().file_names(device):
            yield name
            yield name.replace(".cfg", "-ca_servers.crt")

    def files_of(self, phone: Phone) -> Iterable[RenderedFile]:
        """Return the configuration, and the certificates of authorities in one file."""
        yield from super().files_of(phone)
        if phone.certificates:
            content = "".join(f"{one}\n" for one in phone.certificates)
            name = f"{DIRECTORY}/{_certificates_name(phone)}"
            yield RenderedFile(name, content.encode(errors="replace"))

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        first = phone.first_account
        asked = phone.values.text("sip_dtmf_mode")
        dtmf = self.family.sip_codes.dtmf.get(asked) or (first.dtmf if first else (1, 0))
        for name in ("admin_username", "user_username"):
            if phone.values.text(name) not in {None, name.partition("_")[0]}:
                phone.notes.add(f"{name} is left out: the phone has one name, that cannot be told")
        return {
            "server": server_settings(phone),
            "upgrade_url": self.upgrade_url(phone),
            "dtmf": dtmf,
            "time": time_settings(phone),
            "log_modules": _LOG_MODULES,
            "certificates": _certificates_name(phone) if phone.certificates else None,
            "directory": phone.phonebook_url("aastra") if phone.model.fact("directory") else None,
            "key_settings": [*key_settings(phone), *layout_settings(phone)],
            "parks": park_lots(phone),
            "pc_vlan": UNTAGGED if phone.vlan is None else _pc_vlan(phone),
            "language_file": language_file(phone),
        }

    def upgrade_url(self, phone: Phone) -> str:
        """Return the directory of the firmware: that of the phone's files unless set otherwise."""
        url = self.firmware_url(phone)
        return f"{phone.base_url}/{DIRECTORY}" if url is None else url.rsplit("/", 1)[0]


def _certificates_name(phone: Phone) -> str:
    return f"{(phone.mac or '').upper()}-ca_servers.crt"


def _pc_vlan(phone: Phone) -> int:
    vlan = phone.vlan
    return UNTAGGED if vlan is None or vlan.pc_id is None else vlan.pc_id


def server_settings(phone: Phone) -> Iterator[Setting]:
    """Yield where the phone finds its files from now on."""
    url = urlsplit(phone.base_url)
    scheme = url.scheme.lower() if url.scheme in {"http", "https"} else "http"
    yield "download protocol", scheme.upper()
    yield f"{scheme} server", url.hostname or phone.server
    yield f"{scheme} path", "/".join(filter(None, (url.path.strip("/"), DIRECTORY)))
    yield f"{scheme} port", url.port or (443 if scheme == "https" else 80)


def language_file(phone: Phone) -> str | None:
    """Return the path of the file of a language; firmware 3 counts from the phone's directory."""
    language = phone.language
    if not language or "file" not in language:
        return None
    known = phone.version or tuple(map(int, (phone.model.firmware or ("3",))[-1].split(".")))
    return f"{'' if known[0] < 4 else DIRECTORY + '/'}i18n/{language['file']}"


def time_settings(phone: Phone) -> Iterator[Setting]:
    """Yield the settings of the time zone."""
    zone = phone.zone
    if zone is None:
        return
    yield "time zone name", "Custom"
    yield "time zone minutes", -zone.minutes
    dst = zone.dst
    if dst is not None and dst.is_mixed:
        phone.notes.add(f"time zone {zone.name} mixes kinds of rules; there is no summer time")
        dst = None
    if dst is None:
        yield "dst config", 0
        return
    yield "dst config", 3
    yield "dst minutes", min(dst.save // 60, 60)
    yield "dst [start|end] relative date", dst.is_by_week
    for when, change in (("start", dst.start), ("end", dst.end)):
        yield from _change(f"dst {when}", change)


def _change(prefix: str, change: Change) -> Iterator[Setting]:
    yield f"{prefix} month", change.month
    yield f"{prefix} hour", change.hour
    if change.week is None:
        yield f"{prefix} day", change.day
    else:
        yield f"{prefix} week", -1 if change.is_last_week else change.week
        yield f"{prefix} day", change.sunday_first


def key_settings(phone: Phone) -> Iterator[Setting]:
    """Yield the settings of the function keys that are asked for."""
    for key in phone.keys:
        yield f"{key.name} type", _type_of(phone, key)
        yield f"{key.name} value", f"asterisk;{key.value}" if key.type == "park" else key.value
        yield f"{key.name} label", key.label
        yield f"{key.name} line", key.line


def _type_of(phone: Phone, key: Key) -> Any:
    if key.type != "blf" or key.slot.group != "softkey":
        return key.code
    if not phone.model.fact("no_blf_softkeys"):
        return key.code
    phone.notes.add("BLF keys below the screen only dial: the phone watches with the other keys")
    return "speeddial"


def park_lots(phone: Phone) -> dict[int, str]:
    """Return line -> where its park keys park a call; a line has one such place."""
    lots: dict[int, str] = {}
    others = [
        str(key.number)
        for key in phone.keys
        if key.type == "park" and lots.setdefault(key.line, key.value) != key.value
    ]
    if others:
        phone.notes.add(
            f"function keys {', '.join(others)} park where the first one does: a line has one place"
        )
    return lots


def layout_settings(phone: Phone) -> Iterator[Setting]:
    """Yield the settings of keys that the model has something on unless they are asked for."""
    for name, what in _placed(phone).items():
        code = phone.extens.get(what)
        yield f"{name} type", "speeddial" if code else "xml" if what == "phonebook" else what
        if code:
            yield f"{name} value", code
        elif what == "phonebook":
            yield f"{name} value", phone.phonebook_url("aastra")
        if not name.startswith("prgkey") or phone.model.fact("directory"):
            yield f"{name} label", _label(phone, what)


def _label(phone: Phone, what: str) -> Any:
    labels = phone.family.tables["labels"]
    return Markup() if what == "none" else labels.get(phone.language_code, labels["en"])[what]


def _placed(phone: Phone) -> dict[str, str]:
    """Return key -> what of the layout it holds: what is there to be held moves if it must."""
    layout = phone.family.tables["layouts"].get(phone.model.fact("layout"), {})
    taken = {key.name for key in phone.keys}
    has_phonebook = phone.phonebook_url("aastra") is not None
    wanted = {
        name: what
        for name, what in layout.items()
        if (has_phonebook if what == "phonebook" else what not in _DIALLED or phone.extens[what])
    }
    placed = {name: what for name, what in wanted.items() if name not in taken}
    free = [slot.name for slot in phone.free_slots if slot.module is None]
    free = [name for name in free if name not in placed] + [
        name for name in free if placed.get(name, "phonebook") not in _MUST_HAVE
    ]
    for name, what in wanted.items():
        if name in taken and what in _MUST_HAVE:
            if free:
                placed[free.pop(0)] = what
            else:
                phone.notes.add(f"there is no key left for {what}")
    return placed
