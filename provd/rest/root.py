"""The API as a whole: its entry point, the status, and all routes in one list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.rest.app import ROOT, Action, Call, Reply, RestApi, Route, entry_point
from provd.rest.configs import ConfigsResource
from provd.rest.configure import ConfigureResource
from provd.rest.description import description_routes
from provd.rest.devices import DevicesResource
from provd.rest.jobs import JobsResource
from provd.rest.page import page_route
from provd.rest.plugins import PluginsResource
from provd.rest.schemas import OBJECT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from provd.auth.interface import Authorizer
    from provd.manager.dhcp_events import DhcpEvents
    from provd.manager.history import History
    from provd.manager.jobs import Jobs
    from provd.manager.manager import DeviceManager
    from provd.manager.parameters import Parameters
    from provd.manager.plugins import PluginManager
    from provd.manager.preview import Previews
    from provd.manager.provisioning import Provisioning
    from provd.manager.synchronization import Synchronizations


def build_api(
    *,
    authorizer: Authorizer,
    manager: DeviceManager,
    dhcp_events: DhcpEvents,
    history: History,
    previews: Previews,
    synchronizations: Synchronizations,
    provisioning: Provisioning,
    jobs: Jobs,
    plugins: PluginManager,
    parameters: Parameters,
    clock: Any,
    status: Callable[[], dict[str, Any]],
    catch_up: Callable[[], Awaitable[None]] | None = None,
    tenants_share_configs: bool = False,
) -> RestApi:
    """Return the API v0.2.

    `status` gives the document of `/0.2/status`; `catch_up` takes note of what other nodes wrote.
    """

    async def get_status(call: Call) -> Reply:
        document = status()
        if (await call.reader()).is_limited:
            return Reply(document=_for_tenant(document))
        document["duplicates"] = await manager.count_duplicates()
        return Reply(document=document)

    routes = [
        entry_point(
            ROOT,
            "provd.read",
            ("dev", "dev_mgr"),
            ("cfg", "cfg_mgr"),
            ("pg", "pg_mgr"),
            ("status", "status"),
            ("srv.configure", "configure"),
        ),
        Route(
            f"{ROOT}/status",
            {
                "GET": Action(
                    "provd.status.read", get_status, "Tell how the daemon does.", gives=OBJECT
                )
            },
        ),
        *DevicesResource(
            manager, dhcp_events, history, previews, synchronizations, provisioning, clock
        ).routes(),
        *ConfigsResource(manager).routes(),
        *PluginsResource(plugins, parameters, clock).routes(),
        *ConfigureResource(parameters).routes(),
        *JobsResource(jobs, manager).routes(),
    ]
    routes += description_routes(routes)
    routes.append(page_route(routes))
    return RestApi(authorizer, routes, clock, catch_up, is_shared=tenants_share_configs)


def _for_tenant(status: dict[str, Any]) -> dict[str, Any]:
    """Return the status without the names and texts that may tell of other tenants."""
    plugins = {
        plugin_id: {
            name: None if name in {"last_slow", "last_error", "last_outside_write"} else value
            for name, value in numbers.items()
        }
        for plugin_id, numbers in status.get("plugins", {}).items()
    }
    return {**status, "jobs": [], "quarantined": [], "plugins": plugins}
