"""One line in the log for every change over REST: who, from where, what, and what came of it."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from provd.logs import escape

if TYPE_CHECKING:
    from twisted.web import server

logger = logging.getLogger(__name__)

METHODS = frozenset({"POST", "PUT", "DELETE"})
NOBODY = "nobody"
"""Who asks without a valid token."""
_MAX_NAME = 200
_MAX_OUTCOME = 500
_LOGIN_IN_URL = re.compile(r"(://)[^/@\s]+@")


class Change:
    """A request that changes something; never holds a token, or a body beyond the id in it."""

    def __init__(self, request: server.Request) -> None:
        self._method = request.method.decode("latin-1")
        self._path = shorten(request.path.decode("latin-1"))
        self._peer = _peer(request)
        self.who = NOBODY
        self._subject = ""

    def take_body(self, body: Any) -> None:
        """Note which plugin, package or device an action is about."""
        if isinstance(body, dict) and isinstance(body.get("id"), str):
            self._subject = f" {shorten(body['id'])}"

    def log(self, status: int, outcome: str = "") -> None:
        """Write the line."""
        outcome = _LOGIN_IN_URL.sub(r"\1", outcome)
        logger.info(
            "REST %s %s%s by %s from %s: %d%s",
            self._method,
            self._path,
            self._subject,
            self.who,
            self._peer,
            status,
            f", {shorten(outcome, _MAX_OUTCOME)}" if outcome else "",
        )


def shorten(text: str, limit: int = _MAX_NAME) -> str:
    """Return `text` on one line and cut, as it comes from the network."""
    if len(text) > limit:
        text = f"{text[:limit]}… ({len(text)} characters)"
    return escape(text)


def _peer(request: server.Request) -> str:
    address = getattr(request.getClientAddress(), "host", None) or "an unknown address"
    forwarded = request.requestHeaders.getRawHeaders(b"x-forwarded-for")
    if forwarded:
        return f"{address} (for {shorten(forwarded[-1].decode('latin-1'))})"
    return str(address)
