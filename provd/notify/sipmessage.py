r"""SIP messages, as far as sending a NOTIFY needs them (RFC 3261, RFC 6665), without I/O.

Only answers are read. An answer belongs to the request that has the same `branch` in its topmost
`Via` and the same method in its `CSeq` (RFC 3261 section 17.1.3).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import attrs

from provd.errors import PacketError, SynchronizeError
from provd.notify.interface import check_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_REQUEST = 1300
"""Larger requests may not be sent over UDP (RFC 3261 section 18.1.1), as they would be cut up."""
_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_USER = "-_.!~*'()&=+$,;?/"
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.IGNORECASE)
_CSEQ = re.compile(r"[0-9]{1,10}[ \t]+(\S+)")
_COMPACT = {"v": "via", "i": "call-id", "f": "from", "t": "to", "l": "content-length"}
_FOLD = re.compile(r"\r?\n[ \t]+")
_OURS = frozenset({
    "via", "v", "max-forwards", "from", "f", "to", "t", "call-id", "i", "cseq", "contact", "m",
    "event", "o", "content-length", "l", "route", "record-route",
})  # fmt: skip


@attrs.frozen
class Response:
    """An answer to a request; `branch` and `method` tell which."""

    status: int
    reason: str
    branch: str
    method: str


@attrs.frozen
class Notify:
    """A NOTIFY out of any dialogue; `host` and `port` are the phone's."""

    host: str
    port: int
    user: str | None
    event: str
    variables: Sequence[tuple[str, str]]


def format_notify(
    notify: Notify, *, branch: str, tag: str, call_id: str, local: tuple[str, int], from_host: str
) -> bytes:
    """Return the bytes of a NOTIFY sent from `local`; SynchronizeError if it cannot be sent.

    Headers that every NOTIFY has are left out of its variables, as Asterisk does.
    """
    check_fields("a header", [("Event", notify.event), *notify.variables])
    user = f"{quote(notify.user, safe=_USER)}@" if notify.user else ""
    target = f"sip:{user}{notify.host}" + (f":{notify.port}" if notify.port != 5060 else "")
    here = f"{local[0]}:{local[1]}"
    headers = [
        ("Via", f"SIP/2.0/UDP {here};rport;branch={branch}"),
        ("Max-Forwards", "70"),
        ("From", f"<sip:provd@{from_host}>;tag={tag}"),
        ("To", f"<{target}>"),
        ("Call-ID", call_id),
        ("CSeq", "1 NOTIFY"),
        ("Contact", f"<sip:provd@{here}>"),
        ("Event", notify.event),
    ]
    others, body = _split(notify.variables)
    names = {name.lower() for name, _ in others}
    if "subscription-state" not in names:
        headers.append(("Subscription-State", "terminated"))
    if body and not names & {"content-type", "c"}:
        headers.append(("Content-Type", "text/plain"))
    headers += [*others, ("Content-Length", str(len(body)))]
    lines = [f"NOTIFY {target} SIP/2.0", *(f"{name}: {value}" for name, value in headers), "", ""]
    data = "\r\n".join(lines).encode() + body
    if len(data) > MAX_REQUEST:
        raise SynchronizeError(f"the NOTIFY has {len(data)} bytes; UDP takes {MAX_REQUEST}")
    return data


def _split(variables: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], bytes]:
    """Return the headers and the body that variables ask for."""
    headers, content = [], []
    for name, value in variables:
        if name.lower() == "content":
            content.append(value)
        elif not _TOKEN.fullmatch(name):
            raise SynchronizeError(f"{name!r:.80} is no name of a SIP header")
        elif name.lower() not in _OURS:
            headers.append((name, value))
    return headers, "\r\n".join(content).encode()


def parse_response(data: bytes) -> Response:
    """Return the response in a datagram; PacketError if it holds none that could be ours."""
    head = _FOLD.sub(" ", data.partition(b"\r\n\r\n")[0].decode(errors="replace"))
    first, *lines = re.split(r"\r?\n", head)
    status_line = _STATUS_LINE.fullmatch(first.strip())
    if status_line is None:
        raise PacketError("SIP: the datagram is no response")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            lowered = name.strip().lower()
            # Of several, the first Via is the topmost.
            headers.setdefault(_COMPACT.get(lowered, lowered), value.strip())
    branch = re.search(r";\s*branch\s*=\s*([^\s;,]+)", headers.get("via", ""), re.IGNORECASE)
    method = _CSEQ.fullmatch(headers.get("cseq", ""))
    if branch is None or method is None:
        raise PacketError("SIP: the response does not say to which request it belongs")
    return Response(int(status_line[1]), (status_line[2] or "").strip(), branch[1], method[1])
