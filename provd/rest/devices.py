"""`/0.2/dev_mgr`: devices and what can be done with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provd.errors import DeviceNotFound, IdentityTaken, InvalidDocument
from provd.manager.config_access import ConfigAccess
from provd.manager.operations import Operations
from provd.manager.refusals import explain
from provd.model.addresses import norm_ip, norm_mac
from provd.model.device import device_warnings
from provd.model.dhcpinfo import DhcpInfo, parse_dhcp_info
from provd.model.selectors import Query, compile_selector
from provd.rest.app import ROOT, Action, Call, Reply, Route, entry_point, is_true
from provd.rest.errors import HttpError
from provd.rest.listing import LISTING, parse_query, shape
from provd.rest.operations import created, operation_route
from provd.rest.remarks import Remarks
from provd.rest.schemas import BOOLEAN, ID, TEXT, envelope, list_of, listing, ref, with_members

if TYPE_CHECKING:
    from provd.manager.dhcp_events import DhcpEvents
    from provd.manager.history import History
    from provd.manager.manager import DeviceManager
    from provd.manager.preview import Previews
    from provd.manager.provisioning import Provisioning
    from provd.manager.synchronization import Synchronizations

PATH = f"{ROOT}/dev_mgr"


class DevicesResource:
    """Devices; what a caller may see follows from the request tenant."""

    def __init__(
        self,
        manager: DeviceManager,
        dhcp_events: DhcpEvents,
        history: History,
        previews: Previews,
        synchronizations: Synchronizations,
        provisioning: Provisioning,
        clock: Any,
    ) -> None:
        self._manager = manager
        self._access = ConfigAccess(manager)
        self._dhcp_events = dhcp_events
        self._history = history
        self._previews = previews
        self._synchronizations = synchronizations
        self._provisioning = provisioning
        self._operations = Operations(clock)
        self._resynchronizations = Operations(clock)

    def routes(self) -> list[Route]:
        """Return the routes below `/0.2/dev_mgr`."""
        synchronize = f"{PATH}/synchronize"
        one = "provd.dev_mgr.devices.{device_id}"
        return [
            entry_point(
                PATH,
                "provd.dev_mgr.read",
                ("dev.synchronize", "synchronize"),
                ("dev.reconfigure", "reconfigure"),
                ("dev.dhcpinfo", "dhcpinfo"),
                ("dev.devices", "devices"),
            ),
            Route(
                f"{PATH}/devices",
                {
                    "GET": Action(
                        "provd.dev_mgr.devices.read",
                        self.find,
                        "List devices.",
                        gives=listing("devices", ref("Device")),
                        arguments=(*LISTING, "recurse"),
                        errors=(400,),
                    ),
                    "POST": Action(
                        "provd.dev_mgr.devices.create",
                        self.insert,
                        "Create a device.",
                        status=201,
                        takes=envelope("device", ref("Device")),
                        gives=with_members(
                            ID, configured=BOOLEAN, reason=TEXT, warnings=list_of(TEXT)
                        ),
                    ),
                },
            ),
            Route(
                f"{PATH}/devices/<device_id>",
                {
                    "GET": Action(
                        f"{one}.read",
                        self.get,
                        "Read a device.",
                        gives=envelope("device", ref("Device")),
                    ),
                    "PUT": Action(
                        f"{one}.update",
                        self.replace,
                        "Replace a device.",
                        status=204,
                        takes=envelope("device", ref("Device")),
                    ),
                    "DELETE": Action(f"{one}.delete", self.delete, "Delete a device.", status=204),
                },
            ),
            Route(
                f"{PATH}/duplicates",
                {
                    "GET": Action(
                        "provd.dev_mgr.duplicates.read",
                        self.duplicates,
                        "List MAC addresses, serial numbers and UUIDs of several devices.",
                        gives=envelope("duplicates", list_of(ref("Duplicate"))),
                    )
                },
            ),
            Route(
                f"{PATH}/devices/<device_id>/history",
                {
                    "GET": Action(
                        f"{one}.history.read",
                        self.history,
                        "List the last requests and synchronisations of a device, newest first.",
                        gives=with_members(
                            envelope("history", list_of(ref("HistoryEntry"))),
                            notes=list_of(TEXT),
                        ),
                        arguments=("limit",),
                    )
                },
            ),
            Route(
                f"{PATH}/devices/<device_id>/preview",
                {
                    "GET": Action(
                        f"{one}.preview.read",
                        self.preview,
                        "Show the files that a device would get now; nothing is touched.",
                        gives=envelope("preview", ref("Preview")),
                        arguments=("passwords",),
                        guarded={"passwords": f"{one}.preview.passwords.read"},
                        errors=(500, 503),
                    )
                },
            ),
            Route(
                synchronize,
                {
                    "POST": Action(
                        "provd.dev_mgr.synchronize.create",
                        self.synchronize,
                        "Make a phone load its configuration again.",
                        status=201,
                        takes=ID,
                        errors=(404,),
                    )
                },
            ),
            operation_route(synchronize, lambda _params: self._operations),
            Route(
                f"{PATH}/resynchronize",
                {
                    "POST": Action(
                        "provd.dev_mgr.resynchronize.create",
                        self.resynchronize,
                        "Make many phones load their configuration again, at a pace.",
                        status=201,
                        takes=ref("Resynchronize"),
                    )
                },
            ),
            operation_route(f"{PATH}/resynchronize", lambda _params: self._resynchronizations),
            Route(
                f"{PATH}/provision",
                {
                    "POST": Action(
                        "provd.dev_mgr.provision.create",
                        self.provision,
                        "Give a phone the config that has a provisioning code.",
                        takes=ref("Provision"),
                        gives=ref("Provisioned"),
                        errors=(404, 429),
                    )
                },
            ),
            Route(
                f"{PATH}/reconfigure",
                {
                    "POST": Action(
                        "provd.dev_mgr.reconfigure.create",
                        self.reconfigure,
                        "Write the files of a device again.",
                        status=204,
                        takes=ID,
                    )
                },
            ),
            Route(
                f"{PATH}/dhcpinfo",
                {
                    "POST": Action(
                        "provd.dev_mgr.dhcpinfo.create",
                        self.dhcpinfo,
                        "Tell of a DHCP event.",
                        status=204,
                        takes=envelope("dhcp_info", ref("DhcpInfo")),
                    )
                },
            ),
        ]

    async def find(self, call: Call) -> Reply:
        """List the devices of the request tenant, and of those below it with `recurse`."""
        query = parse_query(call.args)
        recurse = is_true(call.args.get("recurse", ""))
        tenants = await call.visible() if recurse else frozenset((call.tenant,))
        devices = await self._manager.find_devices(query, tenants)
        document: dict[str, Any] = {"devices": devices}
        if query.is_page:
            document["total"] = await self._manager.count_devices(query.selector, tenants)
        return Reply(document=document, shape=shape(query))

    async def insert(self, call: Call) -> Reply:
        """Create a device in the request tenant."""
        device = call.member("device", dict)
        try:
            async with self._access.linked(device, await call.caller()):
                device_id = await self._manager.insert_device(
                    device, call.tenant, shares=await call.may_share_identities()
                )
        except IdentityTaken as error:
            raise await self._manager.tell_owner(error, await call.visible()) from None
        remarks = await self._remarks(device_id, device)
        document = {"id": device_id, **remarks.members()}
        return Reply(
            201,
            document,
            f"{PATH}/devices/{device_id}",
            headers=remarks.headers(),
            remark=remarks.text(),
        )

    async def _remarks(self, device_id: str, device: dict[str, Any]) -> Remarks:
        """Return what the caller of a change should know of a device."""
        warnings = device_warnings(device)
        try:
            reason = await explain(self._manager, device_id)
        except DeviceNotFound:  # somebody deleted it meanwhile
            reason = "it is gone"
        return Remarks(warnings, is_configured=reason is None, reason=reason)

    async def duplicates(self, call: Call) -> Reply:
        """List what several devices share, as far as the caller sees them."""
        found = await self._manager.find_duplicates(await call.visible())
        return Reply(document={"duplicates": found})

    async def get(self, call: Call) -> Reply:
        """Read one device."""
        device = await self._manager.device(call.params["device_id"], await call.visible())
        return Reply(document={"device": device})

    async def history(self, call: Call) -> Reply:
        """List what happened to a device lately, on this node."""
        device_id = call.params["device_id"]
        device = await self._manager.device(device_id, await call.visible())
        limit = max(parse_query(call.args).limit or 0, 0)
        entries = self._history.of(device_id)[: limit or None]
        document: dict[str, Any] = {"history": [entry.as_document() for entry in entries]}
        notes = self._manager.notes_of(device)
        if notes:
            document["notes"] = notes
        return Reply(document=document)

    async def preview(self, call: Call) -> Reply:
        """Show what would be rendered."""
        preview = await self._previews.preview(
            call.params["device_id"],
            await call.visible(),
            await call.reader(),
            reveal=is_true(call.args.get("passwords", "")),
        )
        return Reply(document={"preview": preview})

    async def replace(self, call: Call) -> Reply:
        """Replace a device; a new one moves to the request tenant."""
        device_id = call.params["device_id"]
        visible = await call.visible()
        await self._manager.device_to_replace(device_id, visible)
        device = call.member("device", dict)
        async with self._access.linked(device, await call.caller(), device_id):
            await self._manager.replace_device(device_id, device, call.tenant, visible)
        remarks = await self._remarks(device_id, device)
        return Reply(204, headers=remarks.headers(), remark=remarks.text())

    async def delete(self, call: Call) -> Reply:
        """Delete a device and its files."""
        await self._manager.delete_device(call.params["device_id"], await call.visible())
        return Reply(204)

    async def synchronize(self, call: Call) -> Reply:
        """Begin a synchronisation."""
        device_id = call.member("id", str)
        await self._manager.device(device_id, await call.visible())
        operation = self._synchronizations.begin(device_id)
        return created(f"{PATH}/synchronize", call, self._operations, operation)

    async def resynchronize(self, call: Call) -> Reply:
        """Begin to synchronise many devices."""
        body = call.body if isinstance(call.body, dict) else {}
        selector = await self._selector(body)
        per_second = _number(body, "per_second", 10, 0.01, 1000)
        max_failures = int(_number(body, "max_failures", 20, 0, 1_000_000))
        query = Query(selector={"configured": True, **selector}, fields=("id", "configured"))
        devices = await self._manager.find_devices(query, await call.visible())
        operation = self._synchronizations.begin_many(
            [device["id"] for device in devices if device.get("configured")],
            per_second=per_second,
            max_failures=max_failures,
        )
        return created(f"{PATH}/resynchronize", call, self._resynchronizations, operation)

    async def _selector(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the selector of the devices that a body names; a 400 if it names none."""
        selector = body.get("selector", {})
        if not isinstance(selector, dict):
            raise HttpError(400, 'The value of the "selector" key is not an object')
        result = dict(selector)
        compile_selector(result)
        for key in ("plugin", "model", "tenant_uuid", "config"):
            if key not in body:
                continue
            value = body[key]
            if not isinstance(value, str):
                raise HttpError(400, f'The value of the "{key}" key is not a text')
            if key in result:
                raise HttpError(400, f'"{key}" is given twice: by its key and in the selector')
            if key == "config":
                result[key] = {"$in": [value, *await self._manager.config_descendants(value)]}
            else:
                result[key] = value
        if not result and "selector" not in body:
            raise HttpError(
                400,
                "Which devices? Give plugin, model, config, tenant_uuid or selector ({} for all)",
            )
        return result

    async def provision(self, call: Call) -> Reply:
        """Give a phone the config that has a code."""
        code = call.member("code", str)
        names = {}
        for key, norm in (("id", str), ("mac", norm_mac), ("ip", norm_ip)):
            if key not in call.body:
                continue
            value = call.body[key]
            if not isinstance(value, str):
                raise HttpError(400, f'The value of the "{key}" key is not a text')
            try:
                names[key] = norm(value)
            except ValueError as error:
                raise HttpError(400, f"{key}: {error}") from error
        done = await self._provisioning.provision(
            code=code,
            device_id=names.get("id"),
            mac=names.get("mac"),
            ip=names.get("ip"),
            visible=await call.visible(),
            caller=f"tenant {call.tenant}",
        )
        number = self._operations.add(done.operation, call.tenant)
        return Reply(
            document={
                "device": done.device_id,
                "config": done.config_id,
                "synchronize": f"{PATH}/synchronize/{number}",
            }
        )

    async def reconfigure(self, call: Call) -> Reply:
        """Write the files of a device again, now."""
        device_id = call.member("id", str)
        try:
            await self._manager.device(device_id)
        except DeviceNotFound:
            raise HttpError(400, f'invalid device ID "{device_id}"') from None
        try:
            await self._manager.reconfigure_device(device_id, await call.visible())
        except DeviceNotFound as error:
            raise HttpError(400, "Tenant invalid for device") from error
        remarks = await self._remarks(device_id, {})
        return Reply(204, headers=remarks.headers(), remark=remarks.text())

    async def dhcpinfo(self, call: Call) -> Reply:
        """Take note of a DHCP event; answers when that is done, whatever came of it."""
        info = self._dhcp_info(call.member("dhcp_info", dict))
        if await self._access.takes_event(info, await call.reader()):
            await self._dhcp_events.take(info)
        return Reply(204)

    @staticmethod
    def _dhcp_info(value: dict[str, Any]) -> DhcpInfo:
        operation = value.get("op")
        if operation == "commit":
            for key in ("ip", "mac", "options"):
                if key not in value:
                    raise InvalidDocument(f'Missing "{key}" key in dhcp_info')
        return parse_dhcp_info(operation, value.get("ip"), value.get("mac"), value.get("options"))


def _number(body: dict[str, Any], key: str, default: float, low: float, high: float) -> float:
    """Return a number of a body; a 400 with what is allowed if it is none."""
    value = body.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise HttpError(400, f'The value of the "{key}" key is no number from {low:g} to {high:g}')
    return value
