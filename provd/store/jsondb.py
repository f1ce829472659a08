"""Documents of a wazo-provd installation: one JSON object in each file (contract: integration §2).

They are read, never changed. The file name is the document's id; a file that cannot be used is left
out with a warning.
"""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)


def read_documents(directory: str, collection: str) -> Iterator[dict[str, Any]]:
    """Yield the documents of a collection, sorted by id."""
    folder = os.path.join(directory, collection)
    try:
        names = sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = os.path.join(folder, name)
        try:
            with open(path, "rb") as stream:
                document = json.loads(stream.read())
        except (OSError, ValueError) as error:
            logger.warning("%s is left out: %s", path, error)
            continue
        if not isinstance(document, dict):
            logger.warning("%s is left out: it is not a JSON object", path)
            continue
        if document.get("id", name) != name:
            logger.warning("%s: the id %r inside is ignored", path, document["id"])
        document["id"] = name
        yield document


def read_parameters(path: str) -> dict[str, Any]:
    """Return the parameters persisted in `app.json`; empty if there is no usable file."""
    try:
        with open(path, "rb") as stream:
            parameters = json.loads(stream.read())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        logger.warning("%s is left out: %s", path, error)
        return {}
    if not isinstance(parameters, dict):
        logger.warning("%s is left out: it is not a JSON object", path)
        return {}
    return parameters
