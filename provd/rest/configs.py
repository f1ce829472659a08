"""`/0.2/cfg_mgr`: configs; a tenant changes its own and inherits from the main tenant's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.manager.config_access import ConfigAccess
from provd.model.config import without_owner
from provd.rest.app import ROOT, Action, Call, Reply, Route, entry_point
from provd.rest.listing import LISTING, parse_query, shape
from provd.rest.schemas import ANY, ID, envelope, listing, ref

if TYPE_CHECKING:
    from provd.manager.manager import DeviceManager

PATH = f"{ROOT}/cfg_mgr"


class ConfigsResource:
    """Configs and what they come to."""

    def __init__(self, manager: DeviceManager) -> None:
        self._access = ConfigAccess(manager)

    def routes(self) -> list[Route]:
        """Return the routes below `/0.2/cfg_mgr`."""
        one = "provd.cfg_mgr.configs.{config_id}"
        return [
            entry_point(
                PATH,
                "provd.cfg_mgr.read",
                ("cfg.configs", "configs"),
                ("cfg.autocreate", "autocreate"),
            ),
            Route(
                f"{PATH}/configs",
                {
                    "GET": Action(
                        "provd.cfg_mgr.configs.read",
                        self.find,
                        "List configs.",
                        gives=listing("configs", ref("Config")),
                        arguments=LISTING,
                        errors=(400,),
                    ),
                    "POST": Action(
                        "provd.cfg_mgr.configs.create",
                        self.insert,
                        "Create a config.",
                        status=201,
                        takes=envelope("config", ref("Config")),
                        gives=ID,
                    ),
                },
            ),
            Route(
                f"{PATH}/configs/<config_id>",
                {
                    "GET": Action(
                        f"{one}.read",
                        self.get,
                        "Read a config.",
                        gives=envelope("config", ref("Config")),
                    ),
                    "PUT": Action(
                        f"{one}.update",
                        self.replace,
                        "Replace a config.",
                        status=204,
                        takes=envelope("config", ref("Config")),
                        errors=(403,),
                    ),
                    "DELETE": Action(
                        f"{one}.delete", self.delete, "Delete a config.", status=204, errors=(403,)
                    ),
                },
            ),
            Route(
                f"{PATH}/configs/<config_id>/raw",
                {
                    "GET": Action(
                        f"{one}.raw.read",
                        self.raw,
                        "Read a config with its ancestors.",
                        gives=envelope("raw_config", ref("RawConfig")),
                    )
                },
            ),
            Route(
                f"{PATH}/autocreate",
                {
                    "POST": Action(
                        "provd.cfg_mgr.autocreate.create",
                        self.autocreate,
                        "Create a config for a new phone.",
                        status=201,
                        takes=ANY,
                        gives=ID,
                    )
                },
            ),
        ]

    async def find(self, call: Call) -> Reply:
        """List the caller's own configs."""
        query = parse_query(call.args)
        caller = await call.reader()
        configs = await self._access.find(query, caller)
        document: dict[str, Any] = {"configs": configs}
        if query.is_page:
            document["total"] = await self._access.count(query.selector, caller)
        cut = shape(query)
        if cut is None:
            return Reply(document=document, shape=without_owner)
        return Reply(document=document, shape=lambda config: cut(without_owner(config)))

    async def insert(self, call: Call) -> Reply:
        """Create a config of the request tenant."""
        config = call.member("config", dict)
        config_id = await self._access.insert(config, await call.caller())
        return Reply(201, {"id": config_id}, f"{PATH}/configs/{config_id}")

    async def get(self, call: Call) -> Reply:
        """Read one config."""
        config = await self._access.get(call.params["config_id"], await call.reader())
        return Reply(document={"config": config})

    async def replace(self, call: Call) -> Reply:
        """Replace a config; the devices below it get their new files."""
        config_id = call.params["config_id"]
        caller = await call.caller()
        await self._access.for_change(config_id, caller)
        await self._access.replace(config_id, call.member("config", dict), caller)
        return Reply(204)

    async def delete(self, call: Call) -> Reply:
        """Delete a config."""
        await self._access.delete(call.params["config_id"], await call.caller())
        return Reply(204)

    async def raw(self, call: Call) -> Reply:
        """Read the flattened raw config."""
        raw_config = await self._access.raw_config(call.params["config_id"], await call.reader())
        return Reply(document={"raw_config": raw_config})

    async def autocreate(self, call: Call) -> Reply:
        """Create a config from the autocreate config."""
        config_id = await self._access.autocreate(await call.caller())
        return Reply(201, {"id": config_id}, f"{PATH}/configs/{config_id}")
