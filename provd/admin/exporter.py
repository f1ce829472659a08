"""Write all documents as wazo-provd keeps them: one file each, and `app.json`."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from provd.admin.documents import every
from provd.errors import InvalidDocument, SettingsError
from provd.manager.parameters import DESCRIPTIONS
from provd.store.interface import COLLECTIONS
from provd.store.jsondb import PARAMETERS_FILE, write_document, write_parameters

if TYPE_CHECKING:
    from provd.admin.report import Report
    from provd.store.interface import Store

JSONDB = "jsondb"
# What the daemon keeps for itself among the parameters is nothing to the other one.
PARAMETERS = frozenset(d.name for d in DESCRIPTIONS if d.name != "provisioning_key") | {"tenants"}
_OLD = ".jsondb.before-export"


async def export(store: Store, directory: str, report: Report, *, replace: bool) -> None:
    """Write to `directory`; what was there is replaced only when all is written.

    SettingsError if there are documents already and `replace` does not say so.
    """
    os.makedirs(directory, mode=0o750, exist_ok=True)
    _recover(directory)
    present = [n for n in (JSONDB, PARAMETERS_FILE) if os.path.lexists(os.path.join(directory, n))]
    if present and not replace:
        raise SettingsError(
            f"{directory} has {' and '.join(present)} already; --replace writes over"
        )
    staging = tempfile.mkdtemp(prefix=".export-", dir=directory)
    try:
        for collection in COLLECTIONS:
            folder = os.path.join(staging, JSONDB, collection)
            os.makedirs(folder)
            tally = report.tally(collection)
            async for document in every(store, collection):
                try:
                    write_document(folder, document)
                    tally.found += 1
                except InvalidDocument as error:
                    report.problem(f"{collection}/{document['id']}", f"left out: {error}")
        parameters = {k: v for k, v in (await store.parameters()).items() if k in PARAMETERS}
        write_parameters(staging, parameters)
        report.tally("parameters").found = len(parameters)
        report.problems += [
            f"{name}: left out: it cannot be used" for name in getattr(store, "quarantined", ())
        ]
        # One call instead of one for each of many files.
        os.sync()
        _put_in_place(staging, directory)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _put_in_place(staging: str, directory: str) -> None:
    old, ours = os.path.join(directory, _OLD), os.path.join(directory, JSONDB)
    if os.path.lexists(ours):
        os.rename(ours, old)
    os.rename(os.path.join(staging, JSONDB), ours)
    os.replace(os.path.join(staging, PARAMETERS_FILE), os.path.join(directory, PARAMETERS_FILE))
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(old)


def _recover(directory: str) -> None:
    """Undo what an export that was killed between two renames left."""
    old, ours = os.path.join(directory, _OLD), os.path.join(directory, JSONDB)
    if os.path.lexists(old):
        if os.path.lexists(ours):
            shutil.rmtree(old)
        else:
            os.rename(old, ours)
    for name in os.listdir(directory):
        if name.startswith(".export-"):
            shutil.rmtree(os.path.join(directory, name))
