"""What this node has rendered: for each device a small file with the key and what was written.

The state file is removed before a plugin touches a device's files and written after, so that a
crash in between leaves no key and the files are rendered again. It keeps the device as it was
rendered, because only that tells a plugin which files to remove later.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)


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


class RenderStates:
    """The state files below `directory`, one for each device."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._owners: dict[str, str] = {}

    def _path(self, device_id: str) -> str:
        name = hashlib.sha1(
            device_id.encode(errors="surrogatepass"), usedforsecurity=False
        ).hexdigest()
        return os.path.join(self._directory, name[:2], name[2:])

    def owner(self, path: str) -> str | None:
        """Return the id of the device that the file at `path` was rendered for."""
        return self._owners.get(path)

    def load(self, device_id: str) -> RenderState | None:
        """Return the state of a device; None if it was never rendered, or not to the end."""
        return self._read(self._path(device_id))

    def _read(self, path: str) -> RenderState | None:
        try:
            with open(path, "rb") as stream:
                content = json.loads(stream.read())
            state = RenderState(
                device=content["device"],
                key=content["key"],
                configured=content["configured"],
                plugin_id=content["plugin"],
                files=tuple(content["files"]),
                sizes=tuple(content["sizes"]),
            )
            device_id = state.device["id"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("%s is damaged, its device will be rendered again: %s", path, error)
            with contextlib.suppress(OSError):
                os.unlink(path)
            return None
        for file in state.files:
            self._owners[file] = device_id
        return state

    def begin(self, device_id: str, previous: RenderState | None) -> None:
        """Remove the state: from here to `save`, the files of the device are in doubt.

        `previous` is what `load` gave; with None there is nothing to remove.
        """
        if previous is None:
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(device_id))
        for file in previous.files:
            if self._owners.get(file) == device_id:
                del self._owners[file]

    def save(self, state: RenderState) -> None:
        """Write the state, in one step."""
        path = self._path(state.device["id"])
        content = {
            "device": state.device,
            "key": state.key,
            "configured": state.configured,
            "plugin": state.plugin_id,
            "files": state.files,
            "sizes": _sizes(state.files),
        }
        temporary = f"{path}.tmp"
        encoded = json.dumps(content, separators=(",", ":")).encode(errors="surrogatepass")
        try:
            stream = open(temporary, "wb")  # noqa: SIM115 - closed below
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            stream = open(temporary, "wb")  # noqa: SIM115
        with stream:
            stream.write(encoded)
        os.rename(temporary, path)
        for file in state.files:
            self._owners[file] = state.device["id"]

    def paths(self) -> Iterator[str]:
        """Yield the path of every state file, in no order; what a crash left half-written goes."""
        for root, _, names in os.walk(self._directory):
            for name in names:
                path = os.path.join(root, name)
                if name.endswith(".tmp"):
                    with contextlib.suppress(OSError):
                        os.unlink(path)
                else:
                    yield path

    def read(self, path: str) -> RenderState | None:
        """Return the state in a file that `paths` gave; None if it is gone or damaged."""
        return self._read(path)
