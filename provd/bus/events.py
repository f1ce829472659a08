"""What a message of the bus says (contract: integration §5)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Mapping


@attrs.frozen
class Message:
    """What the broker delivered; `tag` is how to refer to it."""

    headers: Mapping[str, Any] | None
    body: bytes
    tag: int


@attrs.frozen
class Event:
    """Something that happened elsewhere in the platform."""

    name: str
    data: dict[str, Any]


def parse_event(message: Message) -> Event:
    """Return the event that a message tells of; InvalidDocument if it tells of none.

    Its name is in the headers, else in the body. The reason never quotes the body, which may hold
    anything.
    """
    try:
        document = json.loads(message.body)
    except (ValueError, RecursionError) as error:
        raise InvalidDocument("the body of a message is not JSON") from error
    if not isinstance(document, dict):
        raise InvalidDocument("the body of a message is not an object")
    name = (message.headers or {}).get("name")
    if name is None:
        name = document.get("name")
    if not isinstance(name, str):
        raise InvalidDocument("a message has no name, neither in its headers nor in its body")
    data = document.get("data")
    if not isinstance(data, dict):
        raise InvalidDocument(f"the data of a message {name!r} is not an object")
    return Event(name, data)


def deleted_tenant(data: Mapping[str, Any]) -> str:
    """Return the tenant that `auth_tenant_deleted` tells of; InvalidDocument."""
    tenant = data.get("uuid")
    if not isinstance(tenant, str) or not tenant:
        raise InvalidDocument("auth_tenant_deleted does not say which tenant")
    return tenant
