r"""The server's side of a FastAGI session, without I/O.

Asterisk connects and is the one that obeys. All lines end in LF.

- It sends variables of the call, lines `agi_<name>: <value>`, ended by an empty line. `agi_request`
  is the URL that the dialplan named, and `agi_arg_1`, `agi_arg_2`... are what follows it there.
- We send a command on one line; words with spaces stand in double quotes, where a backslash
  protects a quote or a backslash. It answers `200 result=<text>[ (<data>)][ <name>=<value>]`, or
  an error: `510` (unknown), `511` (not on a dead channel), or `520` (wrong use; with a dash after
  the code when lines of help follow, the last of which begins by `520 ` again).
- `HANGUP` on a line of its own says that the caller is gone. Commands that need no channel go on
  working.

The session is over when either closes the connection; the dialplan then goes on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

import attrs

from provd.errors import PacketError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_LINE = 8192
MAX_VARIABLES = 512
MAX_COMMAND = 2047
"""Asterisk reads no longer line."""
_VARIABLE = re.compile(r"(agi_[A-Za-z0-9_]{1,64}):(?: (.*))?")
_REPLY = re.compile(r"([1-5][0-9]{2})([ -])(.*)")
_RESULT = re.compile(r"result=(\S*)(?:\s+\((.*)\))?")
_SPECIAL = re.compile(r'([\\"])')
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@attrs.frozen
class Started:
    """The variables of the call are complete."""

    variables: Mapping[str, str]


@attrs.frozen
class Reply:
    """The answer to a command; `result` and `data` are empty if it is an error."""

    code: int
    text: str
    result: str
    data: str

    @property
    def is_success(self) -> bool:
        """Whether the command was obeyed."""
        return self.code == 200 and self.result != "-1"


@attrs.frozen
class HungUp:
    """The caller is gone."""


Happening: TypeAlias = Started | Reply | HungUp


def format_command(*words: str) -> bytes:
    """Return the line that gives a command; ValueError if a word cannot be sent.

    The first word is the command and goes as it is, such as `SET VARIABLE`; the others are quoted.
    """
    command, *arguments = words
    if any(_CONTROL.search(word) for word in words):
        raise ValueError("an AGI command holds a control character")
    quoted = ['"' + _SPECIAL.sub(r"\\\1", argument) + '"' for argument in arguments]
    line = " ".join([command, *quoted]).encode()
    if len(line) > MAX_COMMAND:
        raise ValueError("an AGI command is too long")
    return line + b"\n"


class AgiSession:
    """One connection, from Asterisk's first byte on; PacketError ends it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._variables: dict[str, str] = {}
        self._is_started = False
        self._help_of: str | None = None

    def receive(self, data: bytes) -> list[Happening]:
        """Return what follows from some bytes, in order; PacketError if they are no AGI."""
        happened: list[Happening] = []
        self._buffer += data
        while True:
            end = self._buffer.find(b"\n")
            if (len(self._buffer) if end < 0 else end) > MAX_LINE:
                raise PacketError("AGI: a line is too long")
            if end < 0:
                return happened
            line = bytes(self._buffer[:end]).decode(errors="replace").rstrip("\r")
            del self._buffer[: end + 1]
            happening = self._reply(line) if self._is_started else self._variable(line)
            if happening is not None:
                happened.append(happening)

    def _variable(self, line: str) -> Started | None:
        if not line:
            if "agi_request" not in self._variables:
                raise PacketError("AGI: the call has no agi_request")
            self._is_started = True
            return Started(dict(self._variables))
        match = _VARIABLE.fullmatch(line)
        if match is None:
            raise PacketError(f"AGI: {line!r:.80} is no variable of a call")
        if len(self._variables) >= MAX_VARIABLES:
            raise PacketError("AGI: a call has too many variables")
        self._variables[match[1]] = match[2] or ""
        return None

    def _reply(self, line: str) -> Reply | HungUp | None:
        if self._help_of is not None and not line.startswith(f"{self._help_of} "):
            return None
        if self._help_of is None and line == "HANGUP":
            return HungUp()
        match = _REPLY.fullmatch(line)
        if match is None:
            raise PacketError(f"AGI: {line!r:.80} is no answer to a command")
        code, separator, text = match.groups()
        if separator == "-":
            self._help_of = code
            return None
        self._help_of = None
        if code.startswith("1"):
            return None
        result = _RESULT.match(text) if code == "200" else None
        if result is None:
            return Reply(int(code), text, "", "")
        return Reply(int(code), text, result[1], result[2] or "")
