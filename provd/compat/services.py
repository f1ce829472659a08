"""What plugins build their configure services of (contract: plugin API §6.1)."""

from __future__ import annotations

import abc
import json
import logging
from typing import TYPE_CHECKING, Any

from provd.errors import InvalidParameter
from provd.plugin.templates import write_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

Descriptions = list[tuple[str, str | None]]

InvalidParameterError = InvalidParameter


class AbstractConfigurationService(abc.ABC):
    """Named parameters; `description` lists `(name, text or None)`, `description_fr` may too."""

    description: Any

    @abc.abstractmethod
    def get(self, name: str) -> str | None:
        """Return a value; KeyError if no parameter has that name."""

    @abc.abstractmethod
    def set(self, name: str, value: str | None) -> Any:
        """Set a value; KeyError if no parameter has that name, InvalidParameterError if refused."""


class AbstractInstallationService(abc.ABC):
    """Packages that can be installed; `upgrade(pkg_id)` is optional. Failures raise."""

    @abc.abstractmethod
    def install(self, pkg_id: str) -> Any:
        """Begin to install a package; return a Deferred and an operation in progress."""

    @abc.abstractmethod
    def uninstall(self, pkg_id: str) -> Any:
        """Remove an installed package."""

    @abc.abstractmethod
    def list_installable(self) -> dict[str, dict[str, Any]]:
        """Return package id → version, description, and size of the download where known."""

    @abc.abstractmethod
    def list_installed(self) -> dict[str, dict[str, Any]]:
        """Return package id → version and description."""


class AbstractConfigurationServiceParameter(abc.ABC):
    """One parameter; it may have attributes such as `description_fr` beside `description`."""

    description: str | None = None

    @abc.abstractmethod
    def get(self) -> str | None:
        """Return the value."""

    @abc.abstractmethod
    def set(self, value: str | None) -> None:
        """Set the value; InvalidParameterError if it is refused."""


class _StoredParameter(AbstractConfigurationServiceParameter):
    def __init__(
        self,
        description: str | None,
        check_fun: Callable[[Any], object] | None,
        attributes: Mapping[str, Any],
    ) -> None:
        self.description = description
        self._check = check_fun
        vars(self).update(attributes)

    def set(self, value: str | None) -> None:
        if self._check is not None:
            self._check(value)
        self._store(value)

    @abc.abstractmethod
    def _store(self, value: str | None) -> None:
        """Put `value`, which passed the check, in its place."""


class AttrConfigurationServiceParameter(_StoredParameter):
    """A parameter that is the attribute `name` of `obj`; `check_fun(value)` may raise."""

    def __init__(
        self,
        obj: object,
        name: str,
        description: str | None = None,
        check_fun: Callable[[Any], object] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(description, check_fun, kwargs)
        self._obj = obj
        self._name = name

    def get(self) -> Any:
        return getattr(self._obj, self._name)

    def _store(self, value: str | None) -> None:
        setattr(self._obj, self._name, value)


class DictConfigurationServiceParameter(_StoredParameter):
    """A parameter that is a member of a dict, absent for None; `check_fun(value)` may raise."""

    def __init__(
        self,
        data: dict[str, Any],
        key: str,
        description: str | None = None,
        check_fun: Callable[[Any], object] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(description, check_fun, kwargs)
        self._data = data
        self._key = key

    def get(self) -> Any:
        return self._data.get(self._key)

    def _store(self, value: str | None) -> None:
        if value is None:
            self._data.pop(self._key, None)
        else:
            self._data[self._key] = value


class BaseConfigurationService(AbstractConfigurationService):
    """A configure service made of parameter objects, by name and in the order of `params`.

    It has an attribute `description_<locale>` if one of its parameters has.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def get(self, name: str) -> Any:
        return self._params[name].get()

    def set(self, name: str, value: str | None) -> None:
        self._params[name].set(value)

    @property
    def description(self) -> Descriptions:
        """The parameters in order, each with its text."""
        return [(name, param.description) for name, param in self._params.items()]

    def __getattr__(self, name: str) -> Descriptions:
        if name.startswith("description_"):
            found = [
                (key, getattr(param, name))
                for key, param in self._params.items()
                if hasattr(param, name)
            ]
            if found:
                return found
        raise AttributeError(name)


class PersistentConfigurationServiceDecorator(AbstractConfigurationService):
    """Makes another service remember its values: replays them now, and notes each change."""

    def __init__(self, cfg_service: Any, persister: Any) -> None:
        self._service = cfg_service
        self._persister = persister
        for name, value in persister.params().items():
            try:
                cfg_service.set(name, value)
            except KeyError:
                logger.warning("a persisted value is left out: no parameter is named %s", name)
            except InvalidParameterError as error:
                logger.warning("the persisted value of %s is left out: %s", name, error)

    @property
    def description(self) -> Any:
        """What the other service has."""
        return self._service.description

    def get(self, name: str) -> Any:
        return self._service.get(name)

    def set(self, name: str, value: str | None) -> None:
        self._service.set(name, value)
        self._persister.update(name, value)

    def __getattr__(self, name: str) -> Any:
        if name == "_service":  # asked for before the constructor ran, as copying does
            raise AttributeError(name)
        return getattr(self._service, name)


class JsonConfigPersister:
    """Keeps parameters in a JSON file; a file that is missing or unusable counts as empty."""

    def __init__(self, filename: str) -> None:
        self._filename = filename
        self._params = self._load()

    def _load(self) -> dict[str, Any]:
        try:
            with open(self._filename, encoding="utf-8") as stream:
                params = json.load(stream)
        except FileNotFoundError:
            return {}
        except ValueError as error:
            logger.warning("%s is left out: %s", self._filename, error)
            return {}
        if not isinstance(params, dict):
            logger.warning("%s is left out: it is not a JSON object", self._filename)
            return {}
        return params

    def params(self) -> dict[str, Any]:
        """Return the parameters, a copy."""
        return dict(self._params)

    def update(self, name: str, value: Any) -> None:
        """Set one parameter and rewrite the file, in one step."""
        params = {**self._params, name: value}
        write_file(self._filename, json.dumps(params, indent=2).encode())
        self._params = params


# Names of an older generation.
IConfigureService = AbstractConfigurationService
IInstallService = AbstractInstallationService
AttrConfigureServiceParam = AttrConfigurationServiceParameter
DictConfigureServiceParam = DictConfigurationServiceParameter
BaseConfigureService = BaseConfigurationService
PersistentConfigureServiceDecorator = PersistentConfigurationServiceDecorator
