"""Take over documents and parameters of wazo-provd, whose files are only read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from provd.admin.documents import merge, merge_parameters
from provd.admin.exporter import JSONDB, PARAMETERS
from provd.auth.local import LocalAuthorizer
from provd.errors import InvalidDocument, InvalidParameter, SettingsError
from provd.manager.parameters import Parameters
from provd.model.config import validate_config
from provd.model.device import validate_device
from provd.model.ids import check_id
from provd.plugin.localization import LocalizationService
from provd.store.interface import COLLECTIONS
from provd.store.jsondb import PARAMETERS_FILE, complete, read_documents, read_parameters
from provd.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from provd.admin.report import Report
    from provd.settings import Settings
    from provd.store.interface import Collection, Store


def check_source(directory: str) -> None:
    """Raise SettingsError if there is nothing of wazo-provd in a directory."""
    expected = (JSONDB, PARAMETERS_FILE, "plugins")
    if not any(os.path.exists(os.path.join(directory, name)) for name in expected):
        raise SettingsError(f"{directory}: none of {', '.join(expected)} is there")


def main_tenant(settings: Settings, given: str | None) -> str | None:
    """Return the tenant of devices that have none; None if only the daemon will know."""
    if given is not None or settings.auth.type != "local":
        return given
    return LocalAuthorizer(settings.auth.tokens_file, "").main_tenant


async def import_documents(
    store: Store,
    directory: str,
    report: Report,
    *,
    tenant: str | None,
    apply: bool,
    replace: bool,
) -> None:
    """Bring all documents and parameters of `directory` into the store, or only tell."""
    # Configs first: a device whose config is missing would be rendered without it.
    for collection in reversed(COLLECTIONS):
        await merge(
            store,
            collection,
            _usable(directory, collection, tenant, report),
            report.tally(collection),
            apply=apply,
            replace=replace,
        )
    parameters = read_parameters(os.path.join(directory, PARAMETERS_FILE), report.problem)
    await merge_parameters(
        store,
        await _checked(parameters, report),
        report.tally("parameters"),
        apply=apply,
        replace=replace,
    )


def _usable(
    directory: str, collection: Collection, tenant: str | None, report: Report
) -> Iterator[dict[str, Any]]:
    """Yield the documents that can be stored; tell of what our rules would refuse in them."""
    folder = os.path.join(directory, JSONDB)
    strange_ids = report.lists.setdefault("ids that the REST API would refuse, kept", [])
    invalid = report.lists.setdefault("documents that the REST API would refuse, kept", [])
    without_tenant = 0
    for document in read_documents(folder, collection, report.problem):
        name = f"{collection}/{document['id']}"
        try:
            document = complete(collection, document, tenant)  # noqa: PLW2901
        except InvalidDocument as error:
            report.problem(os.path.join(folder, name), f"left out: {error}")
            continue
        try:
            check_id(document["id"])
        except InvalidDocument as error:
            strange_ids.append(f"{name}: {error}")
        try:
            if collection == "devices":
                validate_device(document, require_tenant=False)
            else:
                validate_config(document)
        except InvalidDocument as error:
            invalid.append(f"{name}: {error}")
        if collection == "devices" and document.get("tenant_uuid") is None:
            without_tenant += 1
        yield document
    if without_tenant:
        report.notes.append(
            f"{without_tenant} devices have no tenant; --tenant UUID gives them one, or the daemon "
            "does when wazo-auth tells it the main tenant"
        )


async def _checked(parameters: dict[str, Any], report: Report) -> dict[str, Any]:
    """Return the parameters that the daemon can use."""
    trial = Parameters(
        MemoryStore(), LocalizationService(), plugin_server=None, proxies={}, tenants={}
    )
    usable = {}
    for name, value in parameters.items():
        if name not in PARAMETERS:
            report.problem(f"parameter {name}", "left out: it is unknown")
            continue
        try:
            if name == "tenants":
                for tenant, entry in _entries(value):
                    await trial.set("provisioning_key", entry.get("provisioning_key"), tenant)
            else:
                await trial.set(name, value, "")
        except InvalidParameter as error:
            report.problem(f"parameter {name}", f"left out: {error}")
            continue
        usable[name] = value
    return usable


def _entries(value: object) -> Iterator[tuple[str, dict[str, Any]]]:
    if not isinstance(value, dict):
        raise InvalidParameter("it is not an object")
    for tenant, entry in value.items():
        if not isinstance(entry, dict):
            raise InvalidParameter(f"the entry of {tenant} is not an object")
        yield tenant, entry
