r"""The client's side of an AMI session, without I/O.

The Asterisk Manager Interface is a stream of lines that end in CR LF.

- The server speaks first: one line `Asterisk Call Manager/<version>`.
- After that both send blocks: lines `Key: value`, ended by an empty line.
- The client's blocks are actions: `Action: <name>`, an `ActionID` of its choice, and arguments; a
  key may occur several times. The server answers each by a block `Response: Success` or
  `Response: Error` with the same `ActionID` and, mostly, a `Message`. Answers to different actions
  may come in any order, and blocks `Event: ...` at any place, even when events are off.
- The answer to some actions is a list: `EventList: start` beside the `Response`, then one block
  `Event: ...` for each item, all with the action's `ActionID`, and a last one with
  `EventList: Complete` (or `Cancelled`). They come whether events are on or off.
- Nothing but `Challenge` and `Login` is allowed before a `Login` succeeded. With
  `AuthType: MD5` the key is the MD5 of challenge and secret, so that the secret stays here.

A value cannot hold a line end, in any encoding; such an argument is an error here, as it would be
an action of its own there. Asterisk drops lines longer than 1024 bytes and more than 128 of them.
The value of `Variable` is split at commas and loses quotes and backslashes, unless a backslash
stands before them.
"""

from __future__ import annotations

import enum
import hashlib
import re
from typing import TYPE_CHECKING, Literal, TypeAlias

import attrs

from provd.errors import PacketError, SynchronizeError
from provd.notify.interface import check_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_LINE = 1024
MAX_LINES = 120
MAX_BLOCK = 1024 * 1024
MAX_ITEMS = 200_000
_MAX_BANNER = 256
_BANNER = b"Asterisk Call Manager"
_SPECIAL = re.compile(r'([\\",])')


@attrs.frozen
class Send:
    """Write this."""

    data: bytes


@attrs.frozen
class LoggedIn:
    """Actions may be sent from now on."""


@attrs.frozen
class Refused:
    """The server refused the login, for this reason; the session is over."""

    reason: str


@attrs.frozen
class Answered:
    """The answer to an action; the keys of `fields` and of a list's items are in lower case."""

    action_id: str
    fields: Mapping[str, str]
    items: Sequence[Mapping[str, str]] = ()

    @property
    def error(self) -> str | None:
        """Why the action failed; None if it did not."""
        if self.fields["response"].lower() == "success":
            return None
        return self.fields.get("message") or f"Response: {self.fields['response']}"


Happening: TypeAlias = Send | LoggedIn | Refused | Answered


class _State(enum.Enum):
    BANNER = enum.auto()
    CHALLENGE = enum.auto()
    LOGIN = enum.auto()
    READY = enum.auto()
    OVER = enum.auto()


def format_variable(name: str, value: str) -> str:
    """Return the value of a `Variable` line that Asterisk reads as `name` and `value`."""
    escaped = _SPECIAL.sub(r"\\\1", value)
    return f"{name}={escaped}"


def format_action(name: str, action_id: str, arguments: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return the bytes of an action; SynchronizeError if an argument cannot be sent."""
    fields = [("Action", name), ("ActionID", action_id), *arguments]
    check_fields(f"AMI action {name}", fields)
    lines = [f"{key}: {value}".encode() for key, value in fields]
    if len(lines) > MAX_LINES:
        raise SynchronizeError(f"AMI action {name}: more than {MAX_LINES} lines")
    if any(len(line) > MAX_LINE - 2 for line in lines):
        raise SynchronizeError(f"AMI action {name}: an argument is longer than {MAX_LINE} bytes")
    return b"\r\n".join([*lines, b"", b""])


class AmiSession:
    """One connection, from the server's first byte on; PacketError ends it."""

    def __init__(
        self, username: str, secret: str, authentication: Literal["md5", "plain"] = "md5"
    ) -> None:
        self._username = username
        self._secret = secret
        self._authentication = authentication
        self._state = _State.BANNER
        self._buffer = bytearray()
        self._searched = 0
        self._size = 0
        self._fields: dict[str, str] = {}
        self._last_id = 0
        self._waiting: set[str] = set()
        self._lists: dict[str, tuple[dict[str, str], list[dict[str, str]]]] = {}
        """Lists that are not complete: the first block, and the items so far."""
        self.server = ""
        """The server's first line."""

    @property
    def is_ready(self) -> bool:
        """Whether actions may be sent."""
        return self._state is _State.READY

    def action(self, name: str, arguments: Iterable[tuple[str, str]] = ()) -> tuple[str, bytes]:
        """Return the id of a new action, and its bytes; SynchronizeError if it cannot be sent."""
        action_id = f"provd-{self._last_id + 1}"
        data = format_action(name, action_id, arguments)
        self._last_id += 1
        self._waiting.add(action_id)
        return action_id, data

    def forget(self, action_id: str) -> None:
        """Ignore an answer that comes too late."""
        self._waiting.discard(action_id)
        self._lists.pop(action_id, None)

    def receive(self, data: bytes) -> list[Happening]:
        """Return what follows from some bytes, in order; PacketError if they are no AMI."""
        happened: list[Happening] = []
        self._buffer += data
        while self._state is not _State.OVER:
            end = self._buffer.find(b"\n", self._searched)
            limit = _MAX_BANNER if self._state is _State.BANNER else MAX_BLOCK - self._size
            if (len(self._buffer) if end < 0 else end) > limit:
                self._state = _State.OVER
                raise PacketError("AMI: the server sends a line or block without end")
            if end < 0:
                self._searched = len(self._buffer)
                break
            line = bytes(self._buffer[:end]).rstrip(b"\r")
            del self._buffer[: end + 1]
            self._searched = 0
            self._line(line, happened)
        return happened

    def _line(self, line: bytes, happened: list[Happening]) -> None:
        if self._state is _State.BANNER:
            if not line.startswith(_BANNER):
                self._state = _State.OVER
                raise PacketError(f"AMI: the server begins by {line!r:.80}, which is not AMI")
            self.server = line.decode(errors="replace")
            self._authenticate(happened)
        elif line:
            self._size += len(line)
            key, colon, value = line.decode(errors="replace").partition(":")
            if colon:
                # Of repeated keys the first counts: what we look for comes at the beginning.
                self._fields.setdefault(key.strip().lower(), value.strip())
        else:
            fields, self._fields, self._size = self._fields, {}, 0
            if "event" in fields:
                self._item(fields, happened)
            elif "response" in fields:
                self._answer(fields, happened)

    def _authenticate(self, happened: list[Happening]) -> None:
        if self._authentication == "md5":
            self._state = _State.CHALLENGE
            self._send("Challenge", [("AuthType", "MD5")], happened)
        else:
            self._login([("Secret", self._secret)], happened)

    def _login(self, proof: list[tuple[str, str]], happened: list[Happening]) -> None:
        self._state = _State.LOGIN
        arguments = [("Username", self._username), *proof, ("Events", "off")]
        self._send("Login", arguments, happened)

    def _send(self, name: str, arguments: list[tuple[str, str]], happened: list[Happening]) -> None:
        try:
            _, data = self.action(name, arguments)
        except SynchronizeError as error:
            self._state = _State.OVER
            happened.append(Refused(f"not sent: {error}"))
        else:
            happened.append(Send(data))

    def _item(self, fields: dict[str, str], happened: list[Happening]) -> None:
        action_id = fields.get("actionid", "")
        if action_id not in self._lists:
            return
        first, items = self._lists[action_id]
        end = fields.get("eventlist", "").lower()
        if end == "complete":
            del self._lists[action_id]
            happened.append(Answered(action_id, first, items))
        elif end == "cancelled":
            del self._lists[action_id]
            fields = {"response": "Error", "message": "the server broke off its list"}
            happened.append(Answered(action_id, fields))
        elif len(items) >= MAX_ITEMS:
            self._state = _State.OVER
            raise PacketError(f"AMI: the server sends a list of more than {MAX_ITEMS} items")
        else:
            items.append(fields)

    def _answer(self, fields: dict[str, str], happened: list[Happening]) -> None:
        action_id = fields.get("actionid", "")
        if action_id not in self._waiting:
            return
        self._waiting.remove(action_id)
        answer = Answered(action_id, fields)
        is_list = fields.get("eventlist", "").lower() == "start" and answer.error is None
        if self._state is _State.READY and is_list:
            self._lists[action_id] = fields, []
        elif self._state is _State.READY:
            happened.append(answer)
        elif answer.error is not None:
            self._state = _State.OVER
            happened.append(Refused(answer.error))
        elif self._state is _State.CHALLENGE:
            challenge = fields.get("challenge")
            if not challenge:
                self._state = _State.OVER
                raise PacketError("AMI: the server gives no challenge")
            proof = f"{challenge}{self._secret}".encode(errors="replace")
            # The protocol knows no other digest.
            key = hashlib.md5(proof, usedforsecurity=False)
            self._login([("AuthType", "MD5"), ("Key", key.hexdigest())], happened)
        else:
            self._state = _State.READY
            happened.append(LoggedIn())
