"""`/0.2/cfg_mgr`: configs; a tenant changes its own and inherits from the main tenant's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.manager.config_access import ConfigAccess
from provd.model.config import config_warnings, without_owner
from provd.model.selectors import Query
from provd.rest.app import ROOT, Action, Call, Reply, Route, entry_point
from provd.rest.listing import LISTING, parse_query, shape
from provd.rest.remarks import Remarks
from provd.rest.schemas import ANY, ID, TEXT, envelope, list_of, listing, ref, with_members

if TYPE_CHECKING:
    from provd.manager.manager import DeviceManager

PATH = f"{ROOT}/cfg_mgr"
_MAX_PARENTS = 50
_MAX_NAMED = 10


class ConfigsResource:
    """Configs and what they come to."""

    def __init__(self, manager: DeviceManager) -> None:
        self._manager = manager
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
                        gives=with_members(ID, warnings=list_of(TEXT)),
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
        remarks = await self._remarks(config)
        return Reply(
            201,
            {"id": config_id, **remarks.members()},
            f"{PATH}/configs/{config_id}",
            headers=remarks.headers(),
            remark=remarks.text(),
        )

    async def _remarks(self, config: dict[str, Any]) -> Remarks:
        """Return what in a config that was stored looks like a mistake."""
        warnings = config_warnings(config)
        for parent_id in config["parent_ids"][:_MAX_PARENTS]:
            if await self._manager.configs.get(parent_id) is None:
                warnings.append(f"config.parent_ids: there is no config {parent_id:.80}")
        return Remarks(warnings)

    async def get(self, call: Call) -> Reply:
        """Read one config."""
        config = await self._access.get(call.params["config_id"], await call.reader())
        return Reply(document={"config": config})

    async def replace(self, call: Call) -> Reply:
        """Replace a config; the devices below it get their new files."""
        config_id = call.params["config_id"]
        caller = await call.caller()
        await self._access.for_change(config_id, caller)
        config = call.member("config", dict)
        await self._access.replace(config_id, config, caller)
        remarks = await self._remarks(config)
        return Reply(204, headers=remarks.headers(), remark=remarks.text())

    async def delete(self, call: Call) -> Reply:
        """Delete a config; the log tells whose files that takes away."""
        config_id = call.params["config_id"]
        caller = await call.caller()
        await self._access.for_change(config_id, caller)
        loss = await self._loss(config_id)
        await self._access.delete(config_id, caller)
        return Reply(204, remark=loss)

    async def _loss(self, config_id: str) -> str:
        """Return in words which devices lose their files, or values, with a config."""
        own: dict[str, Any] = {"config": config_id}
        below = {"config": {"$in": await self._manager.config_descendants(config_id)}}
        told = []
        for selector, what in ((own, "lose their files"), (below, "lose its values")):
            count = await self._manager.count_devices(selector)
            if count:
                query = Query(selector=selector, fields=("id",), limit=_MAX_NAMED)
                some = [device["id"] for device in await self._manager.find_devices(query)]
                more = f" and {count - len(some)} more" if count > len(some) else ""
                told.append(f"{count} devices {what}: {' '.join(some)}{more}")
        return ", ".join(told)

    async def raw(self, call: Call) -> Reply:
        """Read the flattened raw config."""
        raw_config = await self._access.raw_config(call.params["config_id"], await call.reader())
        return Reply(document={"raw_config": raw_config})

    async def autocreate(self, call: Call) -> Reply:
        """Create a config from the autocreate config."""
        config_id = await self._access.autocreate(await call.caller())
        return Reply(201, {"id": config_id}, f"{PATH}/configs/{config_id}")
