"""How every store that keeps documents as text writes them down."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from provd.errors import InvalidDocument

if TYPE_CHECKING:
    from collections.abc import Mapping


def is_storable(text: str) -> bool:
    """Tell whether a column can hold `text`; to databases, lone surrogates are no text."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)


def get_column_text(document: Mapping[str, Any], column: str) -> str | None:
    """Return what a column for look-ups holds of `document`: its text there, None for all else."""
    value = document.get(column)
    return value if isinstance(value, str) else None


def encode(document: Mapping[str, Any]) -> str:
    """Return `document` as compact JSON; InvalidDocument if JSON cannot hold it."""
    try:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        if not text.isascii():
            text.encode()  # lone surrogates are no text that can be stored
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidDocument(f"the document cannot be stored as JSON: {error}") from error
    return text
