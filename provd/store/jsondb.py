"""Documents of a wazo-provd installation: one JSON object in each file (contract: integration §2).

What is there is read, never changed. The file name is the document's id; a file that cannot be used
is left out and told of. `write` makes such a directory, for going back.
"""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

from provd.errors import InvalidDocument
from provd.model.documents import check_depth, is_storable_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tell = Callable[[str, str], None]
    """Is told of the path of a file that is left out, and why."""

logger = logging.getLogger(__name__)

PARAMETERS_FILE = "app.json"


def _warn(path: str, reason: str) -> None:
    logger.warning("%s is left out: %s", path, reason)


def _parse(content: bytes) -> dict[str, Any]:
    """Return the object in a file; ValueError or InvalidDocument if no store can hold it."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    try:
        document = json.loads(content, parse_constant=refuse)
        if not isinstance(document, dict):
            raise InvalidDocument("it is not a JSON object")
        check_depth(document)
        if b"\\u" in content:
            json.dumps(document, ensure_ascii=False).encode()  # lone surrogates are no text
    except RecursionError:
        raise InvalidDocument("it is nested too deep") from None
    except UnicodeEncodeError:
        raise InvalidDocument("it has a surrogate without its partner") from None
    return document


def read_documents(
    directory: str, collection: str, left_out: Tell = _warn
) -> Iterator[dict[str, Any]]:
    """Yield the documents of a collection, sorted by id."""
    folder = os.path.join(directory, collection)
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = os.path.join(folder, name)
        if not is_storable_text(name):
            left_out(ascii(path), "its name is not UTF-8")
            continue
        try:
            with open(path, "rb") as stream:
                document = _parse(stream.read())
        except (OSError, ValueError, InvalidDocument) as error:
            left_out(path, str(error))
            continue
        if document.get("id", name) != name:
            logger.warning("%s: the id %r inside is ignored", path, document["id"])
        document["id"] = name
        yield document


def read_parameters(path: str, left_out: Tell = _warn) -> dict[str, Any]:
    """Return the parameters persisted in `app.json`; empty if there is no usable file."""
    try:
        with open(path, "rb") as stream:
            return _parse(stream.read())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, InvalidDocument) as error:
        left_out(path, str(error))
        return {}


def complete(collection: str, document: dict[str, Any], tenant: str | None) -> dict[str, Any]:
    """Return an old document with the members that old versions did not write.

    `tenant` is for devices that have none. InvalidDocument if nothing can be made of it.
    """
    if collection == "devices":
        document.setdefault("configured", False)
        if tenant is not None and document.get("tenant_uuid") is None:
            document["tenant_uuid"] = tenant
    elif not isinstance(document.get("parent_ids"), list) or not isinstance(
        document.get("raw_config"), dict
    ):
        raise InvalidDocument("it has no parent_ids or no raw_config")
    return document


def write_document(folder: str, document: dict[str, Any]) -> None:
    """Write one document into the directory of its collection, readable by its owner alone.

    InvalidDocument if its id cannot be the name of a file.
    """
    name = document["id"]
    if "/" in name or name in {"", ".", ".."} or not is_storable_text(name):
        raise InvalidDocument("its id cannot be the name of a file")
    try:
        _write(os.path.join(folder, name), document)
    except OSError as error:
        if len(os.fsencode(name)) > 255:
            raise InvalidDocument("its id is too long for the name of a file") from error
        raise


def write_parameters(directory: str, parameters: dict[str, Any]) -> None:
    """Write `app.json`."""
    _write(os.path.join(directory, PARAMETERS_FILE), parameters)


def _write(path: str, value: dict[str, Any]) -> None:
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
