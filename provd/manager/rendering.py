"""What this node has rendered: for each device a record with the key and what was written.

A record is made worthless before a plugin touches a device's files and a new one is written after,
so that a crash in between leaves no key and the files are rendered again. It keeps the device as it
was rendered, because only that tells a plugin which files to remove later.

All records are lines of one log: `crc32 JSON`, and blanks. A record is made worthless where it
stands, by overwriting its checksum: that needs no room, so a full disk cannot prevent it, and
whatever is lost of the log later, an older record never comes back in place of a newer one. The
next record of the device takes the same place if it fits, else it goes to the end. Damage costs the
records that it touches and no other. A log that is mostly worthless is written anew.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import time
import zlib
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

logger = logging.getLogger(__name__)

_NAME = "states.log"
_WORTHLESS = b"--------"
_CHECKSUM = len(_WORTHLESS)
_ROUNDED_TO = 32  # bytes, so that a record a little longer still fits
_SLICE_SECONDS = 0.003
_MAY_BE_WASTED = 16 * 1024 * 1024

_encode = json.JSONEncoder(separators=(",", ":")).encode


@attrs.frozen(slots=True)
class RenderState:
    """The outcome of the last rendering of a device on this node."""

    device: dict[str, Any]
    key: str
    configured: bool
    plugin_id: str | None
    files: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    """Of `files`, in bytes; -1 for one that was gone again."""

    def is_intact(self) -> bool:
        """Tell whether the files have the sizes they were written with.

        A loss of power can leave a renamed file empty.
        """
        return _sizes(self.files) == self.sizes


def _sizes(paths: tuple[str, ...]) -> tuple[int, ...]:
    sizes = []
    for path in paths:
        try:
            sizes.append(os.stat(path).st_size)
        except OSError:
            sizes.append(-1)
    return tuple(sizes)


def _record(state: RenderState) -> bytes:
    content = {
        "device": state.device,
        "key": state.key,
        "configured": state.configured,
        "plugin": state.plugin_id,
        "files": state.files,
        "sizes": _sizes(state.files),
    }
    text = _encode(content).encode("ascii")
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _parse(record: bytes) -> RenderState | None:
    """Return the state in a record; None if it is damaged or worthless."""
    text = record[_CHECKSUM + 1 : -1].rstrip(b" ")
    if record[: _CHECKSUM + 1] != b"%08x " % zlib.crc32(text):
        return None
    try:
        content = json.loads(text)
        state = RenderState(
            device=content["device"],
            key=content["key"],
            configured=content["configured"],
            plugin_id=content["plugin"],
            files=tuple(content["files"]),
            sizes=tuple(content["sizes"]),
        )
    except (ValueError, KeyError, TypeError):
        return None
    is_named = isinstance(state.device, dict) and isinstance(state.device.get("id"), str)
    return state if is_named else None


class _Log:
    """A file of records, and where in it the one of each device is."""

    def __init__(self, path: str, flags: int = 0) -> None:
        self.path = path
        self.descriptor = -1
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | flags, 0o644)
        self.places: dict[str, tuple[int, int]] = {}
        """Device id → offset and length of its record."""
        self._vacant: dict[str, tuple[int, int]] = {}
        """The same for those that lost their record."""
        self.end = 0
        self.live = 0
        self.damaged = 0

    @property
    def wasted(self) -> int:
        """How many bytes are of no use."""
        return self.end - self.live

    def states(self) -> Iterator[RenderState]:
        """Read the log from its beginning, which every other use needs; yield what holds now."""
        with open(self.descriptor, "rb", closefd=False) as stream:
            for record in stream:
                if not record.endswith(b"\n"):
                    logger.info("%s: its last record is not complete, and cut off", self.path)
                    os.ftruncate(self.descriptor, self.end)
                    break
                state = _parse(record)
                if state is not None:
                    self.invalidate(state.device["id"])
                    self._place(state.device["id"], self.end, len(record))
                    yield state
                else:
                    self.damaged += not record.startswith(_WORTHLESS)
                    self.end += len(record)
        if self.damaged:
            logger.warning(
                "%s: %d records are damaged, their devices are rendered again",
                self.path,
                self.damaged,
            )

    def _place(self, device_id: str, offset: int, length: int) -> None:
        self.places[device_id] = (offset, length)
        self.live += length
        self.end = max(self.end, offset + length)

    def write(self, device_id: str, record: bytes) -> None:
        """Write the record of a device; on error it has none."""
        self.invalidate(device_id)
        length = len(record) + -len(record) % _ROUNDED_TO
        offset, room = self._vacant.pop(device_id, (0, 0))
        if room >= len(record):
            length = room
        else:
            offset = self.end
        record = record[:-1].ljust(length - 1) + b"\n"
        if os.pwrite(self.descriptor, record, offset) != length:
            with contextlib.suppress(OSError):
                os.ftruncate(self.descriptor, self.end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.path)
        self._place(device_id, offset, length)

    def invalidate(self, device_id: str) -> bool:
        """Make the record of a device worthless; return whether it had one."""
        place = self.places.get(device_id)
        if place is None:
            return False
        offset, length = place
        if offset + length == self.end:
            os.ftruncate(self.descriptor, offset)
            self.end = offset
        else:
            os.pwrite(self.descriptor, _WORTHLESS, offset)
            self._vacant[device_id] = place
        del self.places[device_id]
        self.live -= length
        return True

    def record(self, device_id: str) -> bytes | None:
        """Return the record of a device, None if it has none."""
        place = self.places.get(device_id)
        if place is None:
            return None
        return os.pread(self.descriptor, place[1], place[0])

    def close(self) -> None:
        """Close the file."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()


class RenderStates:
    """The states of all devices, in one log in `directory`; read at its first use.

    Only one process may use it.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._path = os.path.join(directory, _NAME)
        self._log: _Log | None = None
        self._next: _Log | None = None
        """What the log is written anew to; it gets every change as well."""
        self._owners: dict[str, str] = {}
        self._may_be_wasted = _MAY_BE_WASTED
        self.wasteful: Callable[[], None] = lambda: None
        """Called at a write when `compact` is worth while."""

    def read(self) -> None:
        """Read the log, which blocks; without it a first use does. Never raises OSError."""
        if self._log is not None:
            return
        try:
            os.makedirs(self._directory, exist_ok=True)
            log = _Log(self._path)
        except OSError as error:
            logger.error("%s cannot be opened, devices are rendered again: %s", self._path, error)
            return
        owners: dict[str, str] = {}
        try:
            for state in log.states():
                owners.update(dict.fromkeys(state.files, state.device["id"]))
        except OSError as error:
            logger.error("%s cannot be read, devices are rendered again: %s", self._path, error)
            log.close()
            with contextlib.suppress(OSError):
                os.replace(self._path, f"{self._path}.damaged")
            return
        self._owners = owners
        self._log = log
        if log.damaged or log.wasted > log.end // 2:
            self._compact_now(log)

    def _opened(self) -> _Log | None:
        if self._log is None:
            self.read()
        return self._log

    def owner(self, path: str) -> str | None:
        """Return the id of the device that the file at `path` was rendered for."""
        self._opened()
        return self._owners.get(path)

    def device_ids(self) -> list[str]:
        """Return the ids of all devices that have a state."""
        log = self._opened()
        return list(log.places) if log is not None else []

    def load(self, device_id: str) -> RenderState | None:
        """Return the state of a device; None if it was never rendered, or not to the end."""
        log = self._opened()
        try:
            record = log.record(device_id) if log is not None else None
        except OSError as error:
            logger.warning("the render state of device %s cannot be read: %s", device_id, error)
            return None
        if record is None:
            return None
        state = _parse(record)
        if state is None or state.device["id"] != device_id:
            logger.warning("the render state of device %s is damaged", device_id)
            return None
        return state

    def begin(self, device_id: str, previous: RenderState | None) -> None:
        """Forget the state: from here to `save`, the files of the device are in doubt.

        `previous` is what `load` gave. OSError if the state cannot be made worthless.
        """
        log = self._opened()
        if log is not None and log.invalidate(device_id):
            self._also(lambda following: following.invalidate(device_id))
        if previous is not None:
            for file in previous.files:
                if self._owners.get(file) == device_id:
                    del self._owners[file]

    def save(self, state: RenderState) -> None:
        """Write the state, in one step; OSError leaves none."""
        log = self._opened()
        if log is None:
            raise OSError(errno.EIO, "the log of render states cannot be opened", self._path)
        device_id = state.device["id"]
        record = _record(state)
        log.write(device_id, record)
        self._also(lambda following: following.write(device_id, record))
        for file in state.files:
            self._owners[file] = device_id
        if self._next is None and log.wasted > 3 * log.live + self._may_be_wasted:
            self.wasteful()

    def _also(self, change: Callable[[_Log], object]) -> None:
        """Change the log that is being written anew, too; without it if that fails."""
        if self._next is None:
            return
        try:
            change(self._next)
        except OSError as error:
            logger.warning("%s is not written anew: %s", self._path, error)
            self._next = None

    # Writing the log anew

    def _begin_anew(self) -> _Log:
        return _Log(f"{self._path}.new", os.O_TRUNC)

    def _compact_now(self, log: _Log) -> None:
        """Write the log anew in one go, while nobody uses it."""
        following = None
        try:
            following = self._begin_anew()
            for device_id in log.places:
                _copy(device_id, log, following)
            os.fsync(following.descriptor)
            self._replace(following)
        except OSError as error:
            logger.warning("%s is not written anew: %s", self._path, error)
            if following is not None:
                self._discard(following)
        else:
            log.close()

    async def compact(
        self, pause: Callable[[], Awaitable[Any]], in_thread: Callable[..., Awaitable[Any]]
    ) -> None:
        """Write the log anew without what is worthless, while it is in use.

        `pause()` lets the loop run, `in_thread(function, *args)` runs what blocks.
        """
        log = self._log
        if log is None or self._next is not None:
            return
        following: _Log | None = None
        try:
            following = self._next = self._begin_anew()
            await pause()
            until = time.perf_counter() + _SLICE_SECONDS
            for device_id in list(log.places):
                if device_id not in following.places:
                    _copy(device_id, log, following)
                if time.perf_counter() > until:
                    await pause()
                    until = time.perf_counter() + _SLICE_SECONDS
                    if self._next is not following:
                        return
            await in_thread(os.fsync, following.descriptor)
            # On the loop, as no change may come between this and the use of the new log.
            if self._next is following:
                self._replace(following)
                self._next = following = None
                self._may_be_wasted = _MAY_BE_WASTED
                await in_thread(log.close)
        except OSError as error:
            logger.warning("%s is not written anew: %s", self._path, error)
            self._may_be_wasted = log.wasted + _MAY_BE_WASTED  # not at each write again
        finally:
            self._next = None
            if following is not None:
                self._discard(following)

    def _replace(self, following: _Log) -> None:
        os.rename(following.path, self._path)
        following.path = self._path
        self._log = following
        logger.info("%s is written anew: %d records", self._path, len(following.places))

    def _discard(self, following: _Log) -> None:
        following.close()
        with contextlib.suppress(OSError):
            os.unlink(following.path)

    # Beside the log

    def remove_old(self) -> None:
        """Remove the states that earlier versions kept in a file for each device; blocks."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._directory):
                if len(name) == 2 and set(name) <= set("0123456789abcdef"):
                    shutil.rmtree(os.path.join(self._directory, name), ignore_errors=True)

    def close(self) -> None:
        """Close the log; a later use opens it again."""
        log, self._log = self._log, None
        if log is not None:
            log.close()


def _copy(device_id: str, log: _Log, following: _Log) -> None:
    record = log.record(device_id)
    if record is not None and not record.startswith(_WORTHLESS):
        following.write(device_id, record)
