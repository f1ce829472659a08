"""What DHCP servers tell of phones: an address that was leased, and what the phone sent."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from provd.errors import ProvdError
from provd.model.requests import RequestType

if TYPE_CHECKING:
    from provd.manager.journal import Journal
    from provd.manager.pipeline import Pipeline
    from provd.model.dhcpinfo import DhcpInfo

logger = logging.getLogger(__name__)


class DhcpEvents:
    """Takes DHCP events, by whichever way they came."""

    def __init__(self, pipeline: Pipeline, journal: Journal) -> None:
        self._pipeline = pipeline
        self._journal = journal

    async def take(self, info: DhcpInfo) -> None:
        """Create or update the device of a lease; a failure is logged, as nobody waits for it.

        The end of a lease changes nothing: the phone keeps its configuration.
        """
        if info.operation != "commit":
            return
        started = time.perf_counter()
        request = {"ip": info.ip, "mac": info.mac, "options": info.options}
        try:
            identified = await self._pipeline.identify(RequestType.DHCP, request, info.ip, None)
        except ProvdError as error:
            logger.warning("the DHCP event of %s is lost: %s", info.mac, error)
            return
        record = identified.record
        self._journal.answered(
            "dhcp",
            info.ip,
            "commit",
            info.mac or "",
            "commit",
            0,
            time.perf_counter() - started,
            identified,
            served=record is not None,
            refused=None if record is not None else "no device was found or made",
        )
