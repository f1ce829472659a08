"""The address of an HTTP client that may sit behind proxies (contract: request processing §2.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provd.errors import ClientAddressError
from provd.model.addresses import is_normed_ip

if TYPE_CHECKING:
    from collections.abc import Sequence


def forwarded_address(values: Sequence[bytes] | None, trusted_proxies: int) -> str:
    """Return the client's IPv4 address from the values of all X-Forwarded-For lines, in order.

    Of the last `trusted_proxies` entries the first is the client, as each trusted proxy appended
    one. ClientAddressError if that many are not there, or it is no IPv4 address.
    """
    entries = [entry.strip() for entry in b",".join(values or ()).split(b",")]
    if not any(entries):
        raise ClientAddressError("the request has no X-Forwarded-For header; it bypassed the proxy")
    if len(entries) < trusted_proxies:
        raise ClientAddressError(
            f"X-Forwarded-For has {len(entries)} entries, {trusted_proxies} proxies are trusted"
        )
    address = entries[-trusted_proxies].decode("latin-1")
    if not is_normed_ip(address):
        raise ClientAddressError(f"X-Forwarded-For names {address[:80]!r}, not an IPv4 address")
    return address
