"""Notices what plugin code changes outside of its own directory, while it runs.

Python tells an audit hook of every file that is opened, renamed or removed (PEP 578), so this sees
what plain `open`, `pathlib` and `shutil` do as well as what our own helpers do. A hook cannot be
taken away again, hence there is one for the process, which looks at nothing unless plugin code runs
in the very thread that asks. Threads and programs that a plugin starts are not seen.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING, Any

import provd

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_PACKAGE = os.path.dirname(provd.__file__) + os.sep
_FOR_PLUGINS = (_PACKAGE + "plugin" + os.sep, _PACKAGE + "compat" + os.sep)
_HOST = _PACKAGE + os.path.join("plugin", "host.py")
_TEMPLATES = _PACKAGE + os.path.join("plugin", "templates.py")
_NOT_FOR_PLUGINS = (
    "<frozen importlib",  # compiled code is kept beside a module that is imported first
    os.path.dirname(contextlib.__file__) + os.sep + "logging" + os.sep,
)

_FRAMES_OF_OURS = 3  # _look_at, audit, _hook

# Event -> positions of the paths it changes, and of the descriptor of a directory they begin at.
_CHANGES: dict[str, tuple[tuple[int, ...], int | None]] = {
    "os.chmod": ((0,), 2),
    "os.chown": ((0,), 3),
    "os.link": ((1,), 3),
    "os.mkdir": ((0,), 2),
    "os.remove": ((0,), 1),
    "os.rename": ((0, 1), 2),
    "os.rmdir": ((0,), 1),
    "os.symlink": ((1,), 2),
    "os.truncate": ((0,), None),
    "os.utime": ((0,), 3),
    "shutil.rmtree": ((0,), None),
}


class Watch:
    """One stretch of plugin code, as a context manager.

    They nest, as plugin code may call what runs another plugin's.
    """

    __slots__ = ("_directory", "_outer", "_thread")

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._thread = threading.get_ident()
        self._outer: Watch | None = None

    def changed(self, path: str, line: str | None) -> None:
        """Take note of a path outside that is changed, or would be, and by which line if known."""
        raise NotImplementedError

    def __enter__(self) -> None:
        """Begin."""
        global _now  # noqa: PLW0603 - there is one hook, and one reactor thread
        self._outer = _now
        _now = self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End; what ran around it is watched again."""
        global _now  # noqa: PLW0603
        _now = self._outer

    def audit(self, event: str, args: tuple[Any, ...]) -> None:
        """Look at an event of any thread."""
        if event == "open":
            path, _, flags = args
            if not isinstance(flags, int) or not flags & _WRITING or isinstance(path, int):
                return
            paths = [path]
        elif event in _CHANGES:
            positions, descriptor = _CHANGES[event]
            if descriptor is not None and len(args) > descriptor and args[descriptor] != -1:
                return  # below a directory of which another event told
            paths = [args[position] for position in positions]
        else:
            return
        if threading.get_ident() != self._thread:
            return
        if event == "os.rename" and os.path.dirname(paths[0]) == os.path.dirname(paths[1]):
            del paths[0]
        elif event == "os.symlink":
            paths.append(os.path.join(os.path.dirname(os.fsdecode(paths[0])), os.fsdecode(args[0])))
        for path in paths:
            if not isinstance(path, int):
                self._look_at(event, os.path.abspath(os.fsdecode(path)))

    def _look_at(self, event: str, path: str) -> None:
        if path.startswith((self._directory + os.sep, "/dev/")):
            return
        if path.startswith(os.path.realpath(self._directory) + os.sep):
            return
        frame = sys._getframe(_FRAMES_OF_OURS)  # noqa: SLF001
        if event == "open" and frame.f_code.co_filename == _TEMPLATES:
            return  # a temporary file, whose renaming is told as well
        is_by_plugin, line = self._who(frame)
        if is_by_plugin:
            self.changed(path, line)

    def _who(self, frame: FrameType | None) -> tuple[bool, str | None]:
        """Tell whether it is the plugin that writes, and at which of its lines.

        A log file that is opened again, or a document that is stored because a plugin called us,
        is the daemon's own doing.
        """
        while frame is not None:
            source = frame.f_code.co_filename
            if source.startswith(self._directory + os.sep):
                return True, f"{os.path.relpath(source, self._directory)}:{frame.f_lineno}"
            if source.startswith(_NOT_FOR_PLUGINS):
                return False, None
            if source.startswith(_PACKAGE) and not source.startswith(_FOR_PLUGINS):
                return False, None
            if source == _HOST:
                break
            frame = frame.f_back
        return True, None


_now: Watch | None = None


def _hook(event: str, args: tuple[Any, ...]) -> None:
    watch = _now
    if watch is None:
        return
    with contextlib.suppress(Exception):  # an error here would make the plugin's own call fail
        watch.audit(event, args)


sys.addaudithook(_hook)
