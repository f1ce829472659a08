"""Authorisation: one interface, two implementations (local tokens, wazo-auth)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class Authorizer(Protocol):
    """Checks tokens. Every call is bounded in time."""

    @property
    def main_tenant(self) -> str | None:
        """The tenant of the daemon itself; None while it is not known."""

    @property
    def is_platform(self) -> bool:
        """Whether tokens are of a platform, which looks itself for phones that it knows already."""

    async def start(self) -> None:
        """Begin; does not wait for a service that is away."""

    async def stop(self) -> None:
        """End all that is under way."""

    async def authorize(self, token: str | None, access: str, tenant: str | None) -> str:
        """Return the request tenant if `token` may do `access` for `tenant` (None: its own).

        AuthenticationFailed, or AuthUnavailable if that cannot be told now.
        """

    async def tenant(self, token: str | None, tenant: str | None) -> str:
        """Return the request tenant alone, as it is needed to know what to ask for."""

    async def caller(self, token: str | None) -> str:
        """Return in words whose token it is, for the log; never the token. Raises nothing."""

    async def visible(self, tenant: str) -> frozenset[str] | None:
        """Return a request tenant and its descendants, None for all; AuthUnavailable."""


@lru_cache(maxsize=4096)
def _pattern(text: str) -> re.Pattern[str]:
    pieces = {"*": "[^.#]*?", "#": ".*?"}
    # Ids in an access may hold any character; a line feed must not slip past a pattern.
    return re.compile("".join(pieces.get(char, re.escape(char)) for char in text), re.DOTALL)


def allows(patterns: Iterable[str], access: str) -> bool:
    """Tell whether access patterns allow `access`, such as `provd.dev_mgr.devices.read`.

    In a pattern `*` stands for any text without a dot and `#` for any text; a pattern that begins
    by `!` forbids, and forbidding wins.
    """
    allowed = False
    for text in patterns:
        if text.startswith("!"):
            if _pattern(text[1:]).fullmatch(access):
                return False
        elif not allowed and _pattern(text).fullmatch(access):
            allowed = True
    return allowed
