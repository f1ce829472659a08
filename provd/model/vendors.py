"""What a User-Agent and a hardware address say of a phone's vendor, whatever plugins claim.

Words are small letters that the vendor's User-Agents hold; OUIs are the first three bytes of its
MAC addresses, as far as they are known (Cisco has hundreds). Two vendors may share an OUI.
"""

from __future__ import annotations

import re

# Vendor → its other names, as plugins write them, in small letters.
_NAMES: dict[str, tuple[str, ...]] = {
    "aastra": ("aastra", "mitel"),
    "alcatel": ("alcatel", "alcatel-lucent", "ale"),
    "avaya": ("avaya", "nortel"),
    "cisco": ("cisco", "linksys", "sipura"),
    "digium": ("digium", "sangoma"),
    "fanvil": ("fanvil",),
    "gigaset": ("gigaset", "siemens"),
    "grandstream": ("grandstream",),
    "htek": ("htek",),
    "panasonic": ("panasonic",),
    "patton": ("patton",),
    "polycom": ("polycom", "poly"),
    "snom": ("snom",),
    "technicolor": ("technicolor", "thomson"),
    "yealink": ("yealink",),
    "zenitel": ("zenitel",),
}
_CANONICAL = {name: vendor for vendor, names in _NAMES.items() for name in names}
# What a User-Agent may hold: the names, but for those that are too short to mean anything.
_WORDS = {name: vendor for name, vendor in _CANONICAL.items() if len(name) > 3}
_AGENT = re.compile("|".join(sorted(_WORDS, key=len, reverse=True)))
_OUIS: dict[str, str] = {
    "aastra": "00:08:5d 08:00:0f 14:00:e9",
    "alcatel": "48:7a:55 3c:28:a6 00:80:9f",
    "avaya": "c8:1f:ea 00:04:0d 00:1b:4f 00:09:6e 00:60:1d 00:07:3b",
    "cisco": (
        "00:0c:41 00:0e:08 00:0f:66 00:12:17 00:13:10 00:14:bf 00:16:b6 00:18:39 00:18:f8 00:1a:70 "
        "00:1c:10 00:1d:7e 00:1e:e5 00:21:29 00:22:6b 00:23:69 00:25:9c 20:aa:4b 58:6d:8f 68:7f:74 "
        "d0:c7:89 bc:67:1c c4:72:95 54:7c:69 70:1f:53 00:26:99 50:3d:e5 00:e1:6d 00:da:55 10:bd:18 "
        "d0:ec:35"
    ),
    "fanvil": "00:a8:59 0c:38:3e",
    "gigaset": "7c:2f:80 00:21:04 58:9e:c6 00:01:e3 00:13:a9 14:b3:70 00:04:13",
    "grandstream": "00:0b:82 c0:74:ad ec:74:d7",
    "htek": "00:1f:c1",
    "panasonic": "00:80:f0 08:00:23 bc:c3:42",
    "patton": "00:a0:ba",
    "polycom": "00:04:f2 64:16:7f 48:25:67",
    "snom": "00:04:13 00:08:7b",
    "technicolor": "00:14:7f 00:18:f6 00:1f:9f",
    "yealink": (
        "00:15:65 24:9a:d8 34:97:d7 44:db:d2 64:4f:56 80:5e:0c 80:5e:c0 b0:61:a9 c4:fc:22 e4:34:d7 "
        "ec:1d:a9 f0:16:53"
    ),
    "zenitel": "00:13:cb",
}
_BY_OUI: dict[str, frozenset[str]] = {}
for _vendor, _ouis in _OUIS.items():
    for _oui in _ouis.split():
        _BY_OUI[_oui] = _BY_OUI.get(_oui, frozenset()) | {_vendor}


def canonical_vendor(name: str) -> str | None:
    """Return one name for a vendor, whatever a plugin calls it; None for one we do not know."""
    return _CANONICAL.get(name.lower())


def vendors_of_agent(agent: str) -> frozenset[str]:
    """Return the vendors that a User-Agent names."""
    return frozenset(_WORDS[word] for word in _AGENT.findall(agent.lower()))


def vendors_of_mac(mac: str) -> frozenset[str]:
    """Return the vendors whose phones have such a MAC address; empty if that is not known."""
    return _BY_OUI.get(mac[:8].lower(), frozenset())


def is_contradicted(vendor: str, agent: str | None, mac: str | None) -> bool:
    """Tell whether a request speaks against a claim that its phone is of `vendor`.

    Its User-Agent names others only; or, where that names nobody, its MAC is of others only.
    """
    claimed = canonical_vendor(vendor)
    if claimed is None:
        return False
    named = vendors_of_agent(agent or "")
    if named:
        return claimed not in named
    owners = vendors_of_mac(mac or "")
    return bool(owners) and claimed not in owners
