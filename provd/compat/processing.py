"""Request-processing files, which replace stages of the pipeline (contract: integration §3).

The stages are `info_extractor`, `retriever` and `updater`; the file of one is
`<request_config_dir>/<stage>.py.conf.<variant>`. A file that makes what a packaged variant is made
of, whatever its text, gives that variant: the pipeline has it built in, and much faster.
"""

from __future__ import annotations

import logging
import os
import traceback
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet import defer

from provd.compat.devices import ident, pgasso
from provd.errors import SettingsError
from provd.model.documents import copy_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from provd.store.interface import Record

    Create = Callable[[dict[str, Any]], Awaitable[Record | None]]

logger = logging.getLogger(__name__)

METHODS = {"info_extractor": "extract", "retriever": "retrieve", "updater": "update"}
"""The stages, and what their objects are called by."""


@attrs.frozen
class Stages:
    """The three stages: names of built-in variants, or objects that files made."""

    info_extractor: Any = "default"
    retriever: Any = "default"
    updater: Any = "default"


def load_stages(
    request_config_dir: str,
    variants: Mapping[str, str],
    app: Any,
    create: Create | None = None,
) -> Stages:
    """Return the stages that `variants` (stage -> variant) and the files in a directory ask for.

    A packaged variant needs no file. `create` stores a new device within the daemon's limits, for
    files that use AddDeviceRetriever. SettingsError names the file that cannot be used, and why.
    """
    names = _names(app, create)
    standard = {stage: makers(names) for stage, makers in _STANDARD.items()}
    before = _attributes(names)
    made = {
        stage: _load(request_config_dir, stage, variants[stage], names, frozenset(standard[stage]))
        for stage in METHODS
    }
    if _attributes(names) == before:
        for stage, parts in standard.items():
            for variant, part in parts.items():
                if _is_alike(made[stage], part):
                    made[stage] = variant
    for stage, part in made.items():
        if not isinstance(part, str):
            path = _path(request_config_dir, stage, variants[stage])
            logger.info("%s is used instead of the built-in %s", path, stage)
    return Stages(**made)


def _path(directory: str, stage: str, variant: str) -> str:
    return os.path.join(directory, f"{stage}.py.conf.{variant}")


# Names


def _names(app: Any, create: Create | None) -> dict[str, Any]:
    """Return what a file finds in its dictionary."""
    names = {
        name: value
        for module in (ident, pgasso)
        for name, value in vars(module).items()
        if not name.startswith("_")
    }
    names.update(app=app, defer=defer)
    if create is not None:
        names["AddDeviceRetriever"] = _limited(create)
    return names


def _limited(create: Create) -> type[ident.AddDeviceRetriever]:
    class AddDeviceRetriever(ident.AddDeviceRetriever):
        """Creates a device of the device info, within the daemon's limits; None if that fails."""

        async def _retrieve(self, dev_info: dict[str, Any]) -> dict[str, Any] | None:
            record = await create(dev_info)
            return copy_json(record.document) if record is not None else None

    return AddDeviceRetriever


# Files


def _load(
    directory: str, stage: str, variant: str, names: Mapping[str, Any], built_in: frozenset[str]
) -> Any:
    """Return the object that a file makes, or the name of a variant that needs no file."""
    path = _path(directory, stage, variant)
    try:
        with open(path, "rb") as stream:
            source = stream.read()
    except FileNotFoundError:
        if variant in built_in:
            return variant
        raise SettingsError(
            f"{path}: no such file; without one, general.{stage} is {' or '.join(sorted(built_in))}"
        ) from None
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    scope = {**names, "__file__": path, "__name__": f"provd_processing.{stage}"}
    try:
        code = compile(source, path, "exec", dont_inherit=True)
        exec(code, scope)  # noqa: S102 - that is what such a file is for
    except BaseException as error:
        raise SettingsError(f"{path}: {_reason(error, path)}") from error
    part = scope.get(stage)
    if part is None:
        raise SettingsError(f"{path}: it defines no variable {stage}")
    if isinstance(part, type) or not callable(getattr(part, METHODS[stage], None)):
        raise SettingsError(f"{path}: {stage} is no object with a method {METHODS[stage]}")
    return part


def _reason(error: BaseException, path: str) -> str:
    """Return one line that says what happened in the file, and where in it."""
    if isinstance(error, SyntaxError):
        line, text = error.lineno, error.msg
    else:
        frames = traceback.walk_tb(error.__traceback__)
        lines = [line for frame, line in frames if frame.f_code.co_filename == path]
        line, text = (lines[-1] if lines else None), str(error)
    where = f"line {line}: " if line is not None else ""
    return " ".join(f"{where}{type(error).__name__}: {text}".split())


# What the pipeline has built in


def _info_extractors(names: Mapping[str, Any]) -> dict[str, Any]:
    def by_vote(extractors: list[Any]) -> ident.AbstractDeviceInfoExtractor:
        return ident.CollaboratingDeviceInfoExtractor(ident.VotingUpdater, extractors)

    plugins = ident.AllPluginsDeviceInfoExtractor(by_vote, names["app"].pg_mgr)
    last_seen = ident.CollaboratingDeviceInfoExtractor(
        ident.LastSeenUpdater, [plugins, ident.StandardDeviceInfoExtractor()]
    )
    return {"default": last_seen}


def _retrievers(names: Mapping[str, Any]) -> dict[str, Any]:
    app = names["app"]
    mac, serial = ident.MacDeviceRetriever(app), ident.SerialNumberDeviceRetriever(app)
    uuid, ip = ident.UUIDDeviceRetriever(app), ident.IpDeviceRetriever(app)
    add = names["AddDeviceRetriever"](app)
    first = ident.FirstCompositeDeviceRetriever
    return {"default": first([mac, serial, uuid, ip, add]), "secure": first([mac, serial, ip])}


def _updaters(names: Mapping[str, Any]) -> dict[str, Any]:
    app = names["app"]
    in_sequence = ident.CompositeDeviceUpdater(
        [
            ident.RemoveOutdatedIpDeviceUpdater(app),
            ident.AddInfoDeviceUpdater(),
            ident.DynamicDeviceUpdater(("ip", "version"), force_update=True),
            pgasso.PluginAssociatorDeviceUpdater(
                app.pg_mgr, pgasso.ReverseAlphabeticConflictSolver()
            ),
            ident.AutocreateConfigDeviceUpdater(app),
        ]
    )
    return {"default": in_sequence, "secure": ident.NullDeviceUpdater()}


_STANDARD = {"info_extractor": _info_extractors, "retriever": _retrievers, "updater": _updaters}


def _attributes(names: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the attributes of all classes, as a file may change those too."""
    return {name: dict(vars(value)) for name, value in names.items() if isinstance(value, type)}


def _is_alike(one: Any, other: Any) -> bool:
    """Tell whether two objects are made of the same parts in the same way."""
    if one is other:
        return True
    if isinstance(one, type) or isinstance(other, type):
        return False
    if callable(one) and callable(other):
        return _is_alike_factory(one, other)
    if type(one) is not type(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_is_alike, one, other))
    if hasattr(one, "__dict__"):
        mine, theirs = vars(one), vars(other)
        return mine.keys() == theirs.keys() and all(_is_alike(mine[k], theirs[k]) for k in mine)
    return bool(one == other)


def _is_alike_factory(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Tell whether two functions make like objects of a list of extractors."""
    sample = [object(), object()]
    try:
        return _is_alike(one(list(sample)), other(list(sample)))
    except Exception:  # noqa: BLE001 - a function that takes no list is another one
        return False
