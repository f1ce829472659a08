"""How Snom desk phones want their settings: XML, one element for each, `idx` for the identity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from provd.plugin.api import (
    DeviceInfo,
    FamilyPlugin,
    Phone,
    PhoneRequest,
    code_of,
    escape_xml,
)

if TYPE_CHECKING:
    from provd.plugin.api import Account, Key

# Firmware 10 has softkeys that depend on what the phone is doing.
_CONTEXT_KEYS = (10,)
_EXTEN_SETTINGS = {
    "dnd_on_code": "dnd",
    "dnd_off_code": "dnd",
    "fwd_all_on_code": "fwd_unconditional",
    "fwd_all_off_code": "fwd_unconditional",
    "fwd_busy_on_code": "fwd_busy",
    "fwd_busy_off_code": "fwd_busy",
    "fwd_time_on_code": "fwd_no_answer",
    "fwd_time_off_code": "fwd_no_answer",
    "blf_directed_call_pickup": "pickup_call",
}
_ON_OFF = {True: "on", False: "off"}


class Identity(NamedTuple):
    """An account of the phone; a backup proxy is an identity of its own that nobody sees."""

    idx: int
    account: Account
    host: str
    outbound: str
    failover: int | None
    is_backup: bool


class SnomKey(NamedTuple):
    """A function key: `fkey idx`."""

    idx: int
    value: str
    label: str


class SnomPlugin(FamilyPlugin):
    """Snom desk phones."""

    IS_PLUGIN = True

    @staticmethod
    def escape(value: Any) -> str:
        """Return `value` as XML holds it; booleans are on and off."""
        return _ON_OFF[value] if isinstance(value, bool) else escape_xml(value)

    def refine(self, info: DeviceInfo, request: PhoneRequest) -> DeviceInfo | None:  # noqa: ARG002
        """Leave out what is DECT: that is another family."""
        model = info.get("model")
        if model is not None and model.startswith("M") and model[1:].isdigit():
            return None
        return info

    def context(self, phone: Phone) -> dict[str, Any]:
        """Return what the templates want beside the neutral names."""
        zone = phone.zone
        zone_code = None if zone is None else code_of(zone, self.family.tables["zones"])
        if zone is not None and zone_code is None:
            phone.notes.add(f"timezone {zone.name}: the phone has no such zone, it keeps its own")
        identities = identities_of(phone)
        first = phone.first_account
        return {
            "identities": identities,
            "blocked": " ".join(
                f"Identity{one.idx:02d}IsNotRegistered" for one in identities if one.is_backup
            ),
            "free_identities": [
                idx
                for idx in range(1, phone.model.lines + 1)
                if idx not in {one.idx for one in identities}
            ],
            "exten_settings": [
                (setting, phone.extens[name]) for setting, name in _EXTEN_SETTINGS.items()
            ],
            "zone_code": zone_code,
            "fkeys": [key for key in (self.to_key(phone, key) for key in phone.keys) if key],
            "free_fkeys": [slot_index(phone, slot) for slot in phone.free_slots],
            "has_context_keys": phone.version[:1] >= _CONTEXT_KEYS or not phone.version,
            "voicemail": None if first is None else first.voicemail,
            "phonebook": phone.phonebook_url("snom"),
        }

    def to_key(self, phone: Phone, key: Key) -> SnomKey | None:
        """Return a function key as the phone has it; None for one that would not work."""
        index = slot_index(phone, key.slot)
        if key.type == "line":
            return SnomKey(index, "line", key.label)
        if key.type == "blf" and key.pickup:
            return SnomKey(index, f"blf {key.value}|{key.pickup}", key.label)
        if key.type == "park" and phone.model.fact("orbit"):
            return SnomKey(index, f"orbit {key.value}", key.label)
        kind = "blf" if key.type == "blf" else "speed"
        return SnomKey(index, f"{kind} {key.value}", key.label)


def slot_index(phone: Phone, slot: Any) -> int:
    """Return the `idx` of a key: those of modules go on after the phone's own."""
    if slot.module is None:
        return int(slot.index) - 1
    return phone.model.keys + (slot.module - 1) * phone.model.module_keys + int(slot.index) - 1


def identities_of(phone: Phone) -> list[Identity]:
    """Return the identities of a phone; each backup proxy takes one that is free."""
    identities: list[Identity] = []
    free = phone.free_lines
    for number, account in phone.accounts.items():
        servers = account.servers
        backup = None
        if servers.backup_proxy is not None:
            backup = next((idx for idx in free if idx > number), None)
            if backup is None:
                phone.notes.add(
                    f"the backup proxy of line {number} is left out: no identity is free"
                )
            else:
                free.remove(backup)
        route = servers.outbound_proxy or servers.proxy
        transport = account.transport
        identities.append(
            Identity(
                number,
                account,
                servers.registrar.host,
                f"{route};transport={transport}",
                backup,
                False,
            )
        )
        if backup is not None and servers.backup_proxy is not None:
            outbound = f"{servers.backup_proxy};transport={transport}"
            identities.append(
                Identity(backup, account, servers.backup_proxy.host, outbound, None, True)
            )
    return sorted(identities, key=lambda one: one.idx)
