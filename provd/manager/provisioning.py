"""Giving a new phone its user: by a code dialled on it, or told by an operator."""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import attrs

from provd.errors import (
    DeviceNotFound,
    InvalidDocument,
    ProvisioningRefused,
    TooManyAttempts,
    UnknownProvisioningCode,
)
from provd.manager.manager import Change
from provd.model.config import owner_of
from provd.model.selectors import Query

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from provd.manager.manager import DeviceManager
    from provd.manager.synchronization import Synchronizations
    from provd.model.operations import Operation

logger = logging.getLogger(__name__)

CODE_KEY = "X_provisioning_code"
RESET = "autoprov"
"""The code that makes a phone a new one again."""
_FREE_ATTEMPTS = 3
_FREE_OF_A_CALLER = 30
_LONGEST_WAIT = 300.0
_FORGIVEN_AFTER = 900.0
_MAX_SOURCES = 10_000
_MAX_CODE = 128
_MAX_CALLERS = 1000


@attrs.frozen
class Provisioned:
    """What came of it: the device, the config it has now, and how its phone is told."""

    device_id: str
    config_id: str
    operation: Operation


@attrs.frozen
class Caller:
    """What a call tells of the phone that dialled: all but the address may be unknown."""

    address: str
    port: int | None = None
    account: str | None = None
    name_mac: str | None = None
    """A MAC that the phone has for its display name."""


async def _no_mac(_caller: Caller) -> str | None:
    return None


def _hear_nothing(_device_id: str, _caller: Caller) -> None:
    pass


class Attempts:
    """Wrong codes by source: some are free, then each makes the next wait twice as long."""

    def __init__(self, clock: Any, free: int = _FREE_ATTEMPTS) -> None:
        self._clock = clock
        self._free = free
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def check(self, source: str) -> None:
        """Raise TooManyAttempts while `source` has to wait."""
        count, last = self._wrong.get(source, (0, 0.0))
        if count < self._free:
            return
        wait = min(2.0 ** min(count - self._free + 1, 20), _LONGEST_WAIT)
        left = last + wait - self._clock.seconds()
        if left > 0:
            raise TooManyAttempts(
                f"{count} wrong provisioning codes by {source}; wait {left:.0f} s", left
            )

    def wrong(self, source: str) -> None:
        """Count a wrong code."""
        now = self._clock.seconds()
        count, last = self._wrong.pop(source, (0, now))
        self._wrong[source] = (1 if now - last > _FORGIVEN_AFTER else count + 1, now)
        while len(self._wrong) > _MAX_SOURCES:
            self._wrong.popitem(last=False)

    def right(self, source: str) -> None:
        """Forget what was wrong before."""
        self._wrong.pop(source, None)


class Provisioning:
    """The use case, for REST and for a dialplan."""

    def __init__(
        self, clock: Any, manager: DeviceManager, synchronizations: Synchronizations
    ) -> None:
        """Without a PBX that can be asked, `mac_of_caller` and `hear` do nothing."""
        self._manager = manager
        self._synchronizations = synchronizations
        self.mac_of_caller: Callable[[Caller], Awaitable[str | None]] = _no_mac
        """Asks the PBX for the MAC of the phone that calls."""
        self.hear: Callable[[str, Caller], None] = _hear_nothing
        """Told where a device's phone is calling from."""
        self._attempts = Attempts(clock, _FREE_ATTEMPTS)
        self._callers = Attempts(clock, _FREE_OF_A_CALLER)

    async def provision(
        self,
        *,
        code: str,
        device_id: str | None = None,
        mac: str | None = None,
        ip: str | None = None,
        visible: Collection[str] | None = None,
        caller: str | None = None,
        heard: Caller | None = None,
    ) -> Provisioned:
        """Give the device the config that has `code`, or a new phone's with the code RESET.

        The device is that of the first of id, MAC and address that is given; where several have
        the address, what was `heard` of the phone in its call tells which. Wrong codes are
        counted for the device, and for the `caller` where one may speak for many devices.
        DeviceNotFound, UnknownProvisioningCode, TooManyAttempts, ProvisioningRefused if more than
        one fits.
        """
        if not code or len(code) > _MAX_CODE:
            raise InvalidDocument(f"code: a text of 1 to {_MAX_CODE} characters is needed")
        if device_id is None and mac is None and ip is None:
            raise InvalidDocument('one of "id", "mac" and "ip" is needed')
        # The device first: whoever names none that is there learns nothing of codes.
        if heard is not None and device_id is None and mac is None:
            device = await self._calling(heard, visible)
        else:
            device = await self._device(device_id, mac, ip, visible)
        if heard is not None:
            self.hear(device["id"], heard)
        if code == RESET:
            return await self._reset(device["id"])
        self._attempts.check(f"device {device['id']}")
        if caller is not None:
            self._callers.check(caller)
        config_id = await self._config(code, device, caller)
        self._attempts.right(f"device {device['id']}")
        return await self._attach(device["id"], config_id)

    async def _config(self, code: str, device: dict[str, Any], caller: str | None) -> str:
        """Return the id of the config that has `code`, of those that the device may have.

        A phone that no tenant has claimed may have that of any tenant.
        """
        device_id = device["id"]
        found = await self._manager.find_configs(Query(selector={CODE_KEY: code}))
        main = self._manager.main_tenant
        tenant = owner_of(device, main)
        if tenant is not None and not self._manager.tenants_share_configs:
            found = [config for config in found if owner_of(config, main) in {None, tenant}]
        if not found:
            self._attempts.wrong(f"device {device_id}")
            if caller is not None:
                self._callers.wrong(caller)
            logger.warning("device %s: a wrong provisioning code", device_id)
            raise UnknownProvisioningCode("no config has this provisioning code")
        if len(found) > 1:
            raise ProvisioningRefused(
                f"configs {found[0]['id']} and {found[1]['id']} have the same provisioning code"
            )
        config_id: str = found[0]["id"]
        return config_id

    async def _device(
        self,
        device_id: str | None,
        mac: str | None,
        ip: str | None,
        visible: Collection[str] | None,
    ) -> dict[str, Any]:
        if device_id is not None:
            return await self._manager.device(device_id, visible)
        selector = {"mac": mac} if mac is not None else {"ip": ip}
        found = await self._manager.find_devices(Query(selector=selector, limit=2), visible)
        what = mac or ip or ""
        if not found:
            raise DeviceNotFound(what)
        if len(found) > 1:
            raise ProvisioningRefused(f"more than one device has {what}; name its id")
        return found[0]

    async def _calling(self, heard: Caller, visible: Collection[str] | None) -> dict[str, Any]:
        """Return the device of the phone that calls, one of those at its address."""
        found = await self._manager.find_devices(
            Query(selector={"ip": heard.address}, limit=_MAX_CALLERS), visible
        )
        if heard.account is not None:
            # Of several phones behind one address, the last that asked has it in its device.
            query = Query(selector={"remote_state_sip_username": heard.account}, limit=_MAX_CALLERS)
            others = await self._manager.find_devices(query, visible)
            found += [device for device in others if not device.get("ip")]
        if not found:
            raise DeviceNotFound(heard.address)
        mac = heard.name_mac
        named = [device for device in found if mac is not None and device.get("mac") == mac]
        if not named and len(found) > 1:
            mac = await self.mac_of_caller(heard)
            named = [device for device in found if mac is not None and device.get("mac") == mac]
        if len(named) == 1:
            return named[0]
        if heard.account is not None and len(found) > 1:
            # The phones that are known to run another account did not call.
            found = [
                device
                for device in found
                if device.get("remote_state_sip_username") in {None, heard.account}
            ]
        if not found:
            raise DeviceNotFound(f"{heard.address}, account {heard.account}")
        if len(found) > 1:
            raise ProvisioningRefused(
                f"more than one device may be at {heard.address}, and the call does not tell which"
            )
        return found[0]

    async def _attach(self, device_id: str, config_id: str) -> Provisioned:
        def change(document: dict[str, Any]) -> Change:
            document["config"] = config_id
            return Change(document)

        await self._manager.change_device(device_id, change)
        others = await self._manager.find_devices(Query(selector={"config": config_id}, limit=3))
        for other in others:
            if other["id"] != device_id:
                logger.warning(
                    "devices %s and %s now have the same config %s",
                    device_id,
                    other["id"],
                    config_id,
                )
        logger.info("device %s was given config %s by its code", device_id, config_id)
        return Provisioned(device_id, config_id, self._synchronizations.begin(device_id))

    async def _reset(self, device_id: str) -> Provisioned:
        config = await self._manager.new_config()

        def change(document: dict[str, Any]) -> Change:
            document["config"] = config["id"]
            return Change(document, config)

        await self._manager.change_device(device_id, change)
        logger.info("device %s is a new phone again", device_id)
        return Provisioned(device_id, config["id"], self._synchronizations.begin(device_id))
