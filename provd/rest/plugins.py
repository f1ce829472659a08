"""`/0.2/pg_mgr`: plugins, their packages and their parameters."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from twisted.internet import defer

from provd.errors import DownloadError, PluginError, PluginNotLoaded, describe
from provd.logs import log_failure
from provd.manager.operations import Operations
from provd.manager.plugins import check_version
from provd.rest.app import ROOT, Action, Call, Reply, Route, entry_point, links
from provd.rest.configure import (
    READ_ONE,
    UPDATE_ONE,
    PluginParameters,
    parameter_list,
    shown_to,
    value_of,
)
from provd.rest.errors import HttpError
from provd.rest.operations import created, operation_route
from provd.rest.schemas import (
    ANY,
    ID,
    ID_AND_VERSION,
    LINKS,
    PACKAGES,
    PARAMETER,
    PARAMETERS,
    PLUGINS,
    envelope,
    ref,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.python.failure import Failure

    from provd.manager.parameters import Parameters
    from provd.manager.plugins import PluginManager

logger = logging.getLogger(__name__)

PATH = f"{ROOT}/pg_mgr"
INSTALL = f"{PATH}/install"
ONE = f"{PATH}/plugins/<plugin_id>"
ONE_ACCESS = "provd.pg_mgr.plugins.{plugin_id}"


class PluginsResource:
    """Plugins. A plugin that is not loaded is not there: 404, whoever asks."""

    def __init__(self, plugins: PluginManager, parameters: Parameters, clock: Any) -> None:
        self._plugins = plugins
        self._parameters_of_daemon = parameters
        self._clock = clock
        self._operations = {name: Operations(clock) for name in ("install", "upgrade", "update")}
        self._packages: dict[tuple[str, str], Operations] = {}

    def routes(self) -> list[Route]:
        """Return the routes below `/0.2/pg_mgr`."""
        return [*self._management(), *self._one(), *self._package_routes(), *self._parameters()]

    def _management(self) -> list[Route]:
        access = "provd.pg_mgr.install"
        routes = [
            entry_point(
                PATH,
                "provd.pg_mgr.read",
                ("srv.install", "install"),
                ("pg.plugins", "plugins"),
                ("pg.reload", "reload"),
            ),
            entry_point(
                INSTALL,
                f"{access}.read",
                *(
                    (f"srv.install.{name}", name)
                    for name in (
                        "install",
                        "uninstall",
                        "installed",
                        "installable",
                        "upgrade",
                        "update",
                    )
                ),
            ),
            Route(
                f"{INSTALL}/install",
                {
                    "POST": Action(
                        f"{access}.install.create",
                        self.install,
                        "Install a plugin.",
                        status=201,
                        takes=ID_AND_VERSION,
                        errors=(403,),
                    )
                },
            ),
            Route(
                f"{INSTALL}/upgrade",
                {
                    "POST": Action(
                        f"{access}.upgrade.create",
                        self.upgrade,
                        "Upgrade a plugin.",
                        status=201,
                        takes=ID_AND_VERSION,
                        errors=(403,),
                    )
                },
            ),
            Route(
                f"{INSTALL}/update",
                {
                    "POST": Action(
                        f"{access}.update.create",
                        self.update,
                        "Fetch the plugin list.",
                        status=201,
                        takes=ANY,
                        errors=(403,),
                    )
                },
            ),
            Route(
                f"{INSTALL}/uninstall",
                {
                    "POST": Action(
                        f"{access}.uninstall.create",
                        self.uninstall,
                        "Remove a plugin.",
                        status=204,
                        takes=ID,
                        errors=(403,),
                    )
                },
            ),
            Route(
                f"{INSTALL}/installed",
                {
                    "GET": Action(
                        f"{access}.installed.read",
                        self.installed,
                        "List what is installed.",
                        gives=PACKAGES,
                    )
                },
            ),
            Route(
                f"{INSTALL}/installable",
                {
                    "GET": Action(
                        f"{access}.installable.read",
                        self.installable,
                        "List what can be installed.",
                        gives=PACKAGES,
                        errors=(500,),
                    )
                },
            ),
            Route(
                f"{PATH}/reload",
                {
                    "POST": Action(
                        "provd.pg_mgr.reload.create",
                        self.reload,
                        "Reload a plugin.",
                        status=204,
                        takes=ID,
                        errors=(403,),
                    )
                },
            ),
        ]
        for name, operations in self._operations.items():
            routes.append(operation_route(f"{INSTALL}/{name}", lambda _p, o=operations: o))  # type: ignore[misc]
        return routes

    async def install(self, call: Call) -> Reply:
        """Begin to install a plugin."""
        await call.require_main("the installation of a plugin")
        operation = await self._plugins.install(call.member("id", str), _version(call))
        return created(f"{INSTALL}/install", call, self._operations["install"], operation)

    async def upgrade(self, call: Call) -> Reply:
        """Begin to upgrade a plugin."""
        await call.require_main("the upgrade of a plugin")
        operation = await self._plugins.upgrade(call.member("id", str), _version(call))
        return created(f"{INSTALL}/upgrade", call, self._operations["upgrade"], operation)

    async def update(self, call: Call) -> Reply:
        """Begin to fetch the list of plugins."""
        await call.require_main("an update of the list of plugins")
        operation = await self._plugins.update()
        return created(f"{INSTALL}/update", call, self._operations["update"], operation)

    async def uninstall(self, call: Call) -> Reply:
        """Remove a plugin."""
        await call.require_main("the removal of a plugin")
        await self._plugins.uninstall(call.member("id", str))
        return Reply(204)

    async def installed(self, _call: Call) -> Reply:
        """List what is installed, loaded or not."""
        return Reply(document={"pkgs": self._plugins.installed()})

    async def installable(self, _call: Call) -> Reply:
        """List what the last repository list offers."""
        try:
            return Reply(document={"pkgs": await self._plugins.installable()})
        except (
            DownloadError
        ) as error:  # the stored list is damaged, which is no fault of the client
            raise HttpError(500, str(error)) from error

    async def reload(self, call: Call) -> Reply:
        """Load a plugin's code again."""
        await call.require_main("the reload of a plugin")
        await self._plugins.reload(call.member("id", str))
        return Reply(204)

    # One plugin

    def _is_loaded(self, params: Mapping[str, str]) -> bool:
        return params["plugin_id"] in self._plugins.host

    def _service(self, params: Mapping[str, str], name: str) -> Any | None:
        loaded = self._plugins.host.get(params["plugin_id"])
        return loaded.plugin.services.get(name) if loaded is not None else None

    def _one(self) -> list[Route]:
        return [
            Route(
                f"{PATH}/plugins",
                {
                    "GET": Action(
                        "provd.pg_mgr.plugins.read",
                        self.loaded,
                        "List loaded plugins.",
                        gives=PLUGINS,
                    )
                },
            ),
            Route(
                ONE,
                {
                    "GET": Action(
                        f"{ONE_ACCESS}.read", self.get, "List a plugin's resources.", gives=LINKS
                    )
                },
                self._is_loaded,
            ),
            Route(
                f"{ONE}/info",
                {
                    "GET": Action(
                        f"{ONE_ACCESS}.info.read",
                        self.info,
                        "Read a plugin's info.",
                        gives=envelope("plugin_info", ref("Package")),
                    )
                },
                self._is_loaded,
            ),
        ]

    async def loaded(self, _call: Call) -> Reply:
        """List the loaded plugins."""
        return Reply(
            document={
                "plugins": {
                    loaded.id: {
                        "links": [{"rel": "pg.plugin", "href": f"{PATH}/plugins/{loaded.id}"}]
                    }
                    for loaded in self._plugins.host
                }
            }
        )

    async def get(self, call: Call) -> Reply:
        """List what a plugin offers."""
        base = f"{PATH}/plugins/{call.params['plugin_id']}"
        pairs = [("pg.info", f"{base}/info")]
        pairs += [
            (f"srv.{name}", f"{base}/{name}")
            for name in ("install", "configure")
            if self._service(call.params, name) is not None
        ]
        return links(*pairs)

    async def info(self, call: Call) -> Reply:
        """Read what a plugin says of itself."""
        loaded = self._plugins.host.require(call.params["plugin_id"])
        return Reply(document={"plugin_info": loaded.plugin.info})

    # Packages

    def _has_packages(self, params: Mapping[str, str]) -> bool:
        return self._service(params, "install") is not None

    def _package_operations(self, params: Mapping[str, str], name: str) -> Operations | None:
        if not self._has_packages(params):
            return None
        return self._packages.setdefault((params["plugin_id"], name), Operations(self._clock))

    def _package_routes(self) -> list[Route]:
        base = f"{ONE}/install"
        access = f"{ONE_ACCESS}.install"

        async def entry(call: Call) -> Reply:
            path = f"{PATH}/plugins/{call.params['plugin_id']}/install"
            names = ("install", "uninstall", "installed", "installable")
            return links(*((f"srv.install.{name}", f"{path}/{name}") for name in names))

        async def install(call: Call) -> Reply:
            return await self._start_package(call, "install")

        async def upgrade(call: Call) -> Reply:
            return await self._start_package(call, "upgrade")

        actions = {
            "": {
                "GET": Action(f"{access}.read", entry, "List the package resources.", gives=LINKS)
            },
            "/install": {
                "POST": Action(
                    f"{access}.install.create",
                    install,
                    "Install a package.",
                    status=201,
                    takes=ID_AND_VERSION,
                    errors=(403,),
                )
            },
            "/upgrade": {
                "POST": Action(
                    f"{access}.upgrade.create",
                    upgrade,
                    "Upgrade a package.",
                    status=201,
                    takes=ID_AND_VERSION,
                    errors=(403,),
                )
            },
            "/uninstall": {
                "POST": Action(
                    f"{access}.uninstall.create",
                    self.uninstall_package,
                    "Remove a package.",
                    status=204,
                    takes=ID,
                    errors=(403,),
                )
            },
            "/installed": {
                "GET": Action(
                    f"{access}.installed.read",
                    self.packages,
                    "List installed packages.",
                    gives=PACKAGES,
                    errors=(500,),
                )
            },
            "/installable": {
                "GET": Action(
                    f"{access}.installable.read",
                    self.installable_packages,
                    "List packages.",
                    gives=PACKAGES,
                    errors=(500,),
                )
            },
        }
        routes = [
            Route(f"{base}{suffix}", methods, self._has_packages)
            for suffix, methods in actions.items()
        ]
        routes.extend(
            operation_route(
                f"{base}/{name}",
                lambda params, n=name: self._package_operations(params, n),  # type: ignore[misc]
            )
            for name in ("install", "upgrade")
        )
        return routes

    def _package_service(self, call: Call) -> Any:
        """Return the service, which may have gone with its plugin while the token was checked."""
        service = self._service(call.params, "install")
        if service is None:
            raise PluginNotLoaded(call.params["plugin_id"])
        return service

    async def _start_package(self, call: Call, name: str) -> Reply:
        plugin_id = call.params["plugin_id"]
        await call.require_main(f"the {name} of a package of plugin {plugin_id}")
        service = self._package_service(call)
        package_id = call.member("id", str)
        operations = self._packages.setdefault((plugin_id, name), Operations(self._clock))
        begin = getattr(service, name, None)
        version = _version(call)
        if version is not None:
            offered = service.list_installable().get(package_id, {}).get("version")
            check_version(package_id, offered, version)
        try:
            if begin is None:  # plugins need not know how to upgrade
                await defer.maybeDeferred(service.uninstall, package_id)
                begin = service.install
            done, operation = begin(package_id)
        except BaseException as error:
            raise PluginError(plugin_id, describe(error)) from error

        def failed(failure: Failure) -> None:
            log_failure(failure, logger, "the %s of package %s failed", name, package_id)
            if not operation.is_finished:  # by a service that a plugin made itself
                operation.fail(failure.getErrorMessage())

        done.addErrback(failed)
        path = f"{PATH}/plugins/{plugin_id}/install/{name}"
        return created(path, call, operations, operation)

    async def uninstall_package(self, call: Call) -> Reply:
        """Remove a package of a plugin."""
        await call.require_main("the removal of a package of a plugin")
        service = self._package_service(call)
        package_id = call.member("id", str)
        try:
            await defer.maybeDeferred(service.uninstall, package_id)
        except BaseException as error:
            raise PluginError(call.params["plugin_id"], describe(error)) from error
        return Reply(204)

    async def packages(self, call: Call) -> Reply:
        """List the installed packages of a plugin."""
        return Reply(document={"pkgs": self._package_service(call).list_installed()})

    async def installable_packages(self, call: Call) -> Reply:
        """List the packages that a plugin offers."""
        return Reply(document={"pkgs": self._package_service(call).list_installable()})

    # Parameters

    def _has_parameters(self, params: Mapping[str, str]) -> bool:
        return self._service(params, "configure") is not None

    def _parameters(self) -> list[Route]:
        base = f"{ONE}/configure"
        return [
            Route(
                base,
                {
                    "GET": Action(
                        f"{ONE_ACCESS}.configure.read",
                        self.parameters,
                        "List plugin parameters.",
                        gives=PARAMETERS,
                    )
                },
                self._has_parameters,
            ),
            Route(
                f"{base}/<param_id>",
                {
                    "GET": Action(
                        READ_ONE, self.parameter, "Read a plugin parameter.", gives=PARAMETER
                    ),
                    "PUT": Action(
                        UPDATE_ONE,
                        self.set_parameter,
                        "Change a plugin parameter.",
                        status=204,
                        takes=PARAMETER,
                        errors=(403,),
                    ),
                },
                self._has_parameters,
            ),
        ]

    def _plugin_parameters(self, call: Call) -> PluginParameters:
        service = self._service(call.params, "configure")
        if service is None:  # as for packages
            raise PluginNotLoaded(call.params["plugin_id"])
        return PluginParameters(service, self._parameters_of_daemon.locales)

    async def parameters(self, call: Call) -> Reply:
        """List a plugin's parameters with their values."""
        caller = await call.reader()
        found = self._plugin_parameters(call)
        path = f"{PATH}/plugins/{call.params['plugin_id']}/configure"
        return parameter_list(
            path,
            [(name, text, shown_to(caller, name, found.get(name))) for name, text in found.names()],
        )

    async def parameter(self, call: Call) -> Reply:
        """Read one parameter of a plugin."""
        name = call.params["param_id"]
        value = self._plugin_parameters(call).get(name)
        value = shown_to(await call.reader(), name, value)
        return Reply(document={"param": {"value": value}})

    async def set_parameter(self, call: Call) -> Reply:
        """Change one parameter of a plugin."""
        parameters = self._plugin_parameters(call)
        name = call.params["param_id"]
        parameters.get(name)
        await call.require_main(f"a change of the parameter {name} of a plugin")
        parameters.set(name, value_of(call))
        return Reply(204)


def _version(call: Call) -> str | None:
    """Return the version that a body asks for; None for whatever is offered."""
    version = call.body.get("version")
    if version is not None and not isinstance(version, str):
        raise HttpError(400, 'The value of the "version" key is not a text')
    return version
