"""What happened to each device lately: its requests, and what it was told.

Kept in memory, on the node that served the request, bounded in all and for each device; a restart
begins anew. Entries are tuples, as ten thousand phones make hundreds of thousands of them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class RequestEntry(NamedTuple):
    """One request of a phone, answered."""

    time: float
    """Seconds since 1970, of the answer."""
    protocol: str
    """http, tftp or dhcp."""
    peer: str
    file: str
    status: str
    """HTTP: the status code; TFTP: ok or the error; DHCP: the operation."""
    size: int
    """Bytes of content sent."""
    seconds: float
    found_by: str | None
    """What told which device it is: mac, sn, uuid, ip, file, `new device` or a stage's name."""
    told: Mapping[str, Any]
    """What the request told about the phone; shared, not to be modified."""
    plugin: str | None
    refused: str | None
    """Why the file was not served, if it was not."""

    def as_document(self) -> dict[str, Any]:
        """Return the entry as REST shows it."""
        return {
            "time": _iso(self.time),
            "event": "request",
            "protocol": self.protocol,
            "peer": self.peer,
            "file": self.file,
            "status": self.status,
            "bytes": self.size,
            "milliseconds": round(self.seconds * 1000, 3),
            "found_by": self.found_by,
            "told": dict(self.told),
            "plugin": self.plugin,
            "refused": self.refused,
        }


class SyncEntry(NamedTuple):
    """One synchronisation: how the phone was told, and whether it came."""

    time: float
    way: str
    """How the phone was told."""
    outcome: str
    """sent, fetched, not confirmed, or the reason why nothing was sent."""
    seconds: float | None
    """From the message to the phone's fetch; None while, or where, there was none."""

    def as_document(self) -> dict[str, Any]:
        """Return the entry as REST shows it."""
        return {
            "time": _iso(self.time),
            "event": "synchronize",
            "way": self.way,
            "outcome": self.outcome,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
        }


Entry = RequestEntry | SyncEntry


def _iso(seconds: float) -> str:
    """Return an instant as RFC 3339 text, UTC, with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


class History:
    """The last entries of each device; the device that was quiet longest is forgotten first."""

    def __init__(self, per_device: int, total: int) -> None:
        self._per_device = per_device
        self._total = total
        self._size = 0
        self._devices: OrderedDict[str, deque[Entry]] = OrderedDict()

    def note(self, device_id: str, entry: Entry) -> None:
        """Add an entry, which is the newest of its device."""
        if not self._per_device:
            return
        entries = self._devices.get(device_id)
        if entries is None:
            entries = self._devices[device_id] = deque(maxlen=self._per_device)
        else:
            self._devices.move_to_end(device_id)
        if len(entries) < self._per_device:
            self._size += 1
        entries.append(entry)
        while self._size > self._total and len(self._devices) > 1:
            _, oldest = self._devices.popitem(last=False)
            self._size -= len(oldest)

    def of(self, device_id: str) -> list[Entry]:
        """Return the entries of a device, newest first."""
        return list(reversed(self._devices.get(device_id, ())))

    def move(self, device_id: str, heir_id: str) -> None:
        """Give the entries of a device to the one that took its phone over."""
        entries = self.of(device_id)
        self.forget(device_id)
        newer = self.of(heir_id)
        self.forget(heir_id)
        for entry in sorted((*entries, *newer), key=lambda one: one.time):
            self.note(heir_id, entry)

    def forget(self, device_id: str) -> None:
        """Drop the entries of a device that is gone."""
        self._size -= len(self._devices.pop(device_id, ()))
