"""`/0.2/configure`, and the configure service of a plugin, which looks the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.errors import InvalidParameter, ParameterNotFound, describe
from provd.manager.parameters import DESCRIPTIONS
from provd.model.secrets import masked
from provd.rest.app import ROOT, Action, Call, Reply, Route
from provd.rest.errors import HttpError
from provd.rest.schemas import PARAMETER, PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provd.manager.config_access import Caller
    from provd.manager.parameters import Parameters

PATH = f"{ROOT}/configure"
READ_ONE = "provd.configure.{tenant_uuid}.{param_id}.read"
OF_EACH_TENANT = "provisioning_key"
"""The parameter that each tenant has for itself."""
UPDATE_ONE = "provd.configure.{tenant_uuid}.{param_id}.update"


def parameter_list(path: str, parameters: Iterable[tuple[str, str | None, Any]]) -> Reply:
    """Return the document that lists `(name, description, value)`."""
    return Reply(
        document={
            "params": [
                {
                    "id": name,
                    "description": description,
                    "value": value,
                    "links": [{"rel": "srv.configure.param", "href": f"{path}/{name}"}],
                }
                for name, description, value in parameters
            ]
        }
    )


def shown_to(caller: Caller, name: str, value: Any) -> Any:
    """Return the value of a parameter that all tenants share, masked if it is not for `caller`."""
    return masked({name: value})[name] if caller.is_limited else value


def value_of(call: Call) -> Any:
    """Return the value in the body of a PUT."""
    param = call.member("param", dict)
    if "value" not in param:
        raise HttpError(400, "Wrong information in entity")
    return param["value"]


class ConfigureResource:
    """The parameters of the daemon."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def routes(self) -> list[Route]:
        """Return the routes of the daemon's parameters."""
        return [
            Route(
                PATH,
                {
                    "GET": Action(
                        "provd.configure.read", self.find, "List the parameters.", gives=PARAMETERS
                    )
                },
            ),
            Route(
                f"{PATH}/<param_id>",
                {
                    "GET": Action(READ_ONE, self.get, "Read a parameter.", gives=PARAMETER),
                    "PUT": Action(
                        UPDATE_ONE,
                        self.set,
                        "Change a parameter.",
                        status=204,
                        takes=PARAMETER,
                        errors=(403,),
                    ),
                },
            ),
        ]

    async def find(self, call: Call) -> Reply:
        """List all parameters with their values."""
        language = self._parameters.language
        caller = await call.reader()
        return parameter_list(
            PATH,
            [(d.name, d.localized(language), self._get(d.name, caller)) for d in DESCRIPTIONS],
        )

    def _get(self, name: str, caller: Caller) -> Any:
        """Return a value; the passwords of what all tenants share are for the main one only."""
        value = self._parameters.get(name, caller.tenant)
        return value if name == OF_EACH_TENANT else shown_to(caller, name, value)

    async def get(self, call: Call) -> Reply:
        """Read one parameter."""
        value = self._get(call.params["param_id"], await call.reader())
        return Reply(document={"param": {"value": value}})

    async def set(self, call: Call) -> Reply:
        """Change one parameter; it is stored before the answer."""
        name = call.params["param_id"]
        self._parameters.get(name, call.tenant)
        if name != OF_EACH_TENANT:
            await call.require_main(f"a change of the parameter {name}")
        await self._parameters.set(name, value_of(call), call.tenant)
        return Reply(204)


class PluginParameters:
    """The configure service of a plugin; its errors become ours."""

    def __init__(self, service: Any, locales: Iterable[str]) -> None:
        self._service = service
        self._locales = locales

    def names(self) -> list[tuple[str, str | None]]:
        """Return names and descriptions, translated where the plugin does that."""
        translated: dict[str, str | None] = {}
        for locale in self._locales:
            if listed := getattr(self._service, f"description_{locale}", None):
                translated = dict(listed)
                break
        return [(name, translated.get(name, text)) for name, text in self._service.description]

    def get(self, name: str) -> Any:
        """Return a value; ParameterNotFound."""
        try:
            return self._service.get(name)
        except KeyError:
            raise ParameterNotFound(name) from None

    def set(self, name: str, value: Any) -> None:
        """Change a value; ParameterNotFound, InvalidParameter."""
        try:
            self._service.set(name, value)
        except KeyError:
            raise ParameterNotFound(name) from None
        except InvalidParameter:
            raise
        except BaseException as error:
            raise InvalidParameter(f"{name}: {describe(error)}") from error
