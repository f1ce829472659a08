"""The files of the settings: YAML with `!exec`, the main file, conf.d, and the service key file."""

from __future__ import annotations

import os.path
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import attrs
import yaml

from provd.errors import SettingsError
from provd.settings.kinds import parse_text, wrong_value

if TYPE_CHECKING:
    from collections.abc import Mapping

_EXEC_TIMEOUT = 10


@attrs.frozen
class Layer:
    """One source: where it comes from, for messages, and its (part of a) document."""

    origin: str
    values: Mapping[Any, Any]

    def section(self, name: str, path: str) -> Layer | None:
        """Return the part of a section, None if it is not there or null; SettingsError."""
        values = self.values.get(name)
        if values is None:
            return None
        if not isinstance(values, dict):
            raise wrong_value(self.origin, path, values, "a section", "mapping of keys")
        return Layer(self.origin, values)


class _Loader(yaml.SafeLoader):
    """YAML with the tag `!exec`; `repeated` collects keys that occur twice in one mapping."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self.repeated: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self.repeated.append(f"line {key.start_mark.line + 1}: {key.value}")
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _construct_exec(loader: _Loader, node: yaml.Node) -> object:
    command = (
        loader.construct_mapping(node).get("command")
        if isinstance(node, yaml.MappingNode)
        else None
    )
    if not isinstance(command, str) or not command.strip():
        raise yaml.constructor.ConstructorError(
            None, None, "!exec takes a mapping with the key command, a text", node.start_mark
        )
    try:
        # The settings file is as trusted as the daemon itself, and no shell is involved.
        output = subprocess.run(  # noqa: S603
            command.split(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_EXEC_TIMEOUT,
            check=True,
        ).stdout
        return yaml.safe_load(output)
    except subprocess.CalledProcessError as exc:
        reason = f"exit status {exc.returncode}"
    except subprocess.TimeoutExpired:
        reason = f"no end after {_EXEC_TIMEOUT} seconds"
    except OSError as exc:
        reason = str(exc.strerror)
    except (yaml.YAMLError, ValueError, RecursionError):
        reason = "its output is not YAML"
    raise yaml.constructor.ConstructorError(
        None, None, f"!exec {command!r} failed: {reason}", node.start_mark
    )


_Loader.add_constructor("!exec", _construct_exec)


def read_yaml(path: str, warnings: list[str]) -> dict[str, Any]:
    """Return the mapping that a file holds; an empty file is an empty mapping.

    Raises OSError, or SettingsError with the line and column.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        loader = _Loader(content)
        document = loader.get_single_data()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise SettingsError(f"{path}: {where}{exc.problem}") from exc
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        reason = " ".join(str(exc).split())
        raise SettingsError(f"{path}: not valid YAML: {reason}") from exc
    warnings.extend(f"{path}: {key} occurs twice; the last one counts" for key in loader.repeated)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: line 1, column 1: a mapping of sections is expected")
    return document


def read_main_file(path: str, *, named: bool, warnings: list[str]) -> dict[str, Any]:
    """Return what the main file holds; SettingsError if one that was `named` cannot be read."""
    try:
        return read_yaml(path, warnings)
    except OSError as exc:
        if named:
            raise SettingsError(f"{path}: {exc.strerror}") from exc
        sys.stderr.write(f"{path}: {exc.strerror}; starting with the defaults\n")
        return {}


def read_extra_files(directory: str, *, named: bool, warnings: list[str]) -> list[Layer]:
    """Return the files of conf.d, the highest first; those that cannot be used are skipped."""
    try:
        names = sorted(os.listdir(directory))
    except OSError as exc:
        if named or not isinstance(exc, FileNotFoundError):
            warnings.append(f"{directory}: {exc.strerror}")
        return []
    layers = []
    for name in names:
        if not name.endswith(".yml") or name.startswith("."):
            continue
        path = os.path.join(directory, name)
        try:
            layers.append(Layer(path, read_yaml(path, warnings)))
        except OSError as exc:
            warnings.append(f"{path}: {exc.strerror}; the file is skipped")
        except SettingsError as exc:
            warnings.append(f"{exc}; the file is skipped")
    return layers


def read_key_file(path: str, warnings: list[str]) -> dict[str, str]:
    """Return the service's `username` and `password`, or nothing, which does not stop the start."""
    try:
        document = read_yaml(path, warnings)
        return {
            "username": parse_text(document.get("service_id")),
            "password": parse_text(document.get("service_key")),
        }
    except OSError as exc:
        warnings.append(f"auth.key_file: {path}: {exc.strerror}")
    except SettingsError as exc:
        warnings.append(f"auth.key_file: {exc}")
    except ValueError:
        warnings.append(f"auth.key_file: {path}: service_id and service_key must be texts")
    return {}
