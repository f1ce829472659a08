"""What all documents share: truth, depth and copies of JSON values, and how errors show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Mapping

# Far more than any real document has, far less than Python's recursion limit.
MAX_DEPTH = 100

_TRUE_WORDS = frozenset({"true", "yes", "on", "t", "y", "1"})
_FALSE_WORDS = frozenset({"false", "no", "off", "f", "n", "0"})
_BOOL_WORDS = _TRUE_WORDS | _FALSE_WORDS


def is_bool_like(value: object) -> bool:
    """Tell whether `value` may stand for a boolean: true, false, 0, 1, or a word such as `yes`."""
    if isinstance(value, str):
        return value.lower() in _BOOL_WORDS
    return isinstance(value, int) and value in {0, 1}


def as_bool(value: object, default: bool = False) -> bool:
    """Return the truth of a bool-like `value`; null counts as absent and gives `default`."""
    if value is None:
        return default
    if isinstance(value, str):
        return value.lower() in _TRUE_WORDS
    return bool(value)


def is_storable_text(value: str) -> bool:
    """Tell whether every store and index can hold `value`: no NUL, no lone surrogate."""
    if "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def copy_json(value: Any) -> Any:
    """Return a deep copy of a JSON value, several times faster than `copy.deepcopy`."""
    if isinstance(value, dict):
        return {
            key: copy_json(member) if isinstance(member, (dict, list)) else member
            for key, member in value.items()
        }
    if isinstance(value, list):
        return [copy_json(member) for member in value]
    return value


def check_depth(document: Mapping[str, Any]) -> None:
    """Raise InvalidDocument if objects and lists are nested more than MAX_DEPTH levels deep."""
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for node in level
            for child in (node if isinstance(node, list) else node.values())
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise InvalidDocument(f"document nested more than {MAX_DEPTH} levels deep")


def shown(value: object, limit: int = 80) -> str:
    """Return `value` for an error text: a short repr, and of a container its kind only.

    The content of a container stays out because it may hold passwords.
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, (str, bytes)):
        value = value[:limit]
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
