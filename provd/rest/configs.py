"""`/0.2/cfg_mgr`: configs, which are global, not of a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.rest.app import ROOT, Action, Call, Reply, Route, entry_point
from provd.rest.listing import LISTING, parse_query, shape
from provd.rest.schemas import ANY, ID, envelope, listing, ref

if TYPE_CHECKING:
    from provd.manager.manager import DeviceManager

PATH = f"{ROOT}/cfg_mgr"


class ConfigsResource:
    """Configs and what they come to."""

    def __init__(self, manager: DeviceManager) -> None:
        self._manager = manager

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
        """List configs."""
        query = parse_query(call.args)
        configs = await self._manager.find_configs(query)
        document: dict[str, Any] = {"configs": configs}
        if query.is_page:
            document["total"] = await self._manager.count_configs(query.selector)
        return Reply(document=document, shape=shape(query))

    async def insert(self, call: Call) -> Reply:
        """Create a config."""
        config_id = await self._manager.insert_config(call.member("config", dict))
        return Reply(201, {"id": config_id}, f"{PATH}/configs/{config_id}")

    async def get(self, call: Call) -> Reply:
        """Read one config."""
        return Reply(document={"config": await self._manager.config(call.params["config_id"])})

    async def replace(self, call: Call) -> Reply:
        """Replace a config; the devices below it get their new files."""
        config_id = call.params["config_id"]
        await self._manager.config(config_id)
        await self._manager.replace_config(config_id, call.member("config", dict))
        return Reply(204)

    async def delete(self, call: Call) -> Reply:
        """Delete a config."""
        await self._manager.delete_config(call.params["config_id"])
        return Reply(204)

    async def raw(self, call: Call) -> Reply:
        """Read the flattened raw config."""
        raw_config = await self._manager.raw_config(call.params["config_id"])
        return Reply(document={"raw_config": raw_config})

    async def autocreate(self, _call: Call) -> Reply:
        """Create a config from the autocreate config."""
        config_id = await self._manager.autocreate_config()
        return Reply(201, {"id": config_id}, f"{PATH}/configs/{config_id}")
