"""What would be rendered for a device now, with nothing touched.

Plugins write files wherever their code says, so the only safe place is another process with a copy
of the plugin. That also keeps the loop free, and a plugin that hangs is ended after a while.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Any

from twisted.internet import defer, error
from twisted.internet.protocol import ProcessProtocol

from provd.errors import ProvdError, TooBusy
from provd.manager.config_access import ConfigAccess
from provd.model.documents import copy_json
from provd.model.secrets import MASK, masked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from twisted.python.failure import Failure

    from provd.manager.config_access import Caller
    from provd.manager.manager import DeviceManager
    from provd.manager.parameters import Parameters

logger = logging.getLogger(__name__)

TIMEOUT = 20.0
"""Seconds that the other process may take."""
_MAX_OUTPUT = 8 * 1024 * 1024
_AT_ONCE = 2
_MAX_WAITING = 16


class _Child(ProcessProtocol):
    """Feeds one job to a process and collects what it says."""

    def __init__(self, job: bytes) -> None:
        self._job = job
        self._output: list[bytes] = []
        self._errors: list[bytes] = []
        self._size = 0
        self.done: defer.Deferred[bytes] = defer.Deferred(self._cancel)

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._job)
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        self._size += len(data)
        if self._size > _MAX_OUTPUT:
            self._cancel(None)
            return
        self._output.append(data)

    def errReceived(self, data: bytes) -> None:
        if sum(map(len, self._errors)) < 64 * 1024:
            self._errors.append(data)

    def _cancel(self, _deferred: Any) -> None:
        assert self.transport is not None
        try:
            self.transport.signalProcess("KILL")
        except error.ProcessExitedAlready:
            return

    def processEnded(self, reason: Failure) -> None:
        if self.done.called:
            return
        if reason.check(error.ProcessDone):
            self.done.callback(b"".join(self._output))
            return
        lines = b"".join(self._errors).decode("utf-8", "replace").strip().splitlines()
        last = lines[-1] if lines else str(reason.value)
        self.done.errback(ProvdError(f"the preview failed: {last}"))


class Previews:
    """Renders devices in another process, `command`, a few at a time."""

    def __init__(
        self,
        *,
        reactor: Any,
        manager: DeviceManager,
        parameters: Parameters,
        command: Sequence[str],
        general_config: Mapping[str, Any],
        plugin_config: Mapping[str, Mapping[str, Any]],
        base_raw_config: Mapping[str, Any],
        in_thread: Callable[..., Any],
    ) -> None:
        self._in_thread = in_thread
        self._reactor = reactor
        self._manager = manager
        self._access = ConfigAccess(manager)
        self._parameters = parameters
        self._command = list(command)
        self._general_config = general_config
        self._plugin_config = plugin_config
        self._base_raw_config = base_raw_config
        self._slots = defer.DeferredSemaphore(_AT_ONCE)

    async def preview(
        self, device_id: str, visible: frozenset[str] | None, caller: Caller, *, reveal: bool
    ) -> dict[str, Any]:
        """Return `{"configured", "plugin", "error", "masked", "files"}` of a device.

        A file is `{"name", "size", "text"}`, or with `base64` where it is no UTF-8 text. Without
        `reveal`, passwords are masked before the plugin sees them, and in any case those that are
        not the caller's tenant's. DeviceNotFound, TooBusy.
        """
        device, plan = await self._manager.planned(device_id, visible)
        loaded = plan.loaded
        answer: dict[str, Any] = {
            "plugin": device.get("plugin"),
            "configured": False,
            "error": None,
            "masked": not reveal,
            "files": [],
        }
        if loaded is None:
            plugin = device.get("plugin")
            answer["error"] = (
                f"plugin {plugin} is not loaded" if plugin else "the device has no plugin"
            )
            return answer
        if plan.raw_config is None:
            answer["error"] = plan.refused
            return answer
        raw_config = copy_json(plan.raw_config)
        if caller.is_limited:
            raw_config = await self._access.flattened(device["config"], caller)
            if "http_base_url" in plan.raw_config:  # with the key of its tenant
                raw_config["http_base_url"] = plan.raw_config["http_base_url"]
        key = self._parameters.provisioning_key(device.get("tenant_uuid"))
        if not reveal:
            raw_config = masked(raw_config)
            if key and str(raw_config.get("http_base_url", "")).endswith(f"/{key}"):
                url = raw_config["http_base_url"]
                raw_config["http_base_url"] = f"{url.removesuffix(key)}{MASK}"
        job: dict[str, Any] = {
            "directory": loaded.directory,
            "device": device,
            "raw_config": raw_config,
            "general_config": dict(self._general_config),
            "plugin_config": dict(self._plugin_config.get(loaded.id, {})),
            "base_raw_config": dict(self._base_raw_config),
            "nat": int(self._parameters.nat),
            "proxies": dict(self._parameters.proxies),
        }
        if caller.is_limited or not reveal:
            for name in ("plugin_config", "proxies", "base_raw_config"):
                job[name] = masked(job[name])
        if len(self._slots.waiting) >= _MAX_WAITING:
            raise TooBusy("too many previews are asked for; try again in a moment")
        content = await self._slots.run(
            lambda: defer.Deferred.fromCoroutine(self._run(json.dumps(job, default=str).encode()))
        )
        outcome = json.loads(content)
        answer["error"] = outcome["error"]
        answer["configured"] = outcome["error"] is None
        answer["files"] = [_shown(name, data) for name, data in outcome["files"]]
        return answer

    async def _run(self, job: bytes) -> bytes:
        # Made and removed here, as the process may be killed.
        scratch = tempfile.mkdtemp(prefix="provd-preview-")
        try:
            return await self._render(job, scratch)
        finally:
            self._in_thread(shutil.rmtree, scratch, True)

    def _render(self, job: bytes, scratch: str) -> defer.Deferred[bytes]:
        child = _Child(job)
        spawn: Callable[..., Any] = self._reactor.spawnProcess
        spawn(child, self._command[0], self._command, env={**os.environ, "TMPDIR": scratch})
        timeout = ProvdError(f"the preview took more than {TIMEOUT:.0f} s")

        def late(_result: Any, _seconds: float) -> Any:
            raise timeout

        return child.done.addTimeout(TIMEOUT, self._reactor, late)


def _shown(name: str, data: str) -> dict[str, Any]:
    """Return a file as REST shows it; `data` is base64."""
    content = base64.b64decode(data)
    try:
        return {"name": name, "size": len(content), "text": content.decode()}
    except UnicodeDecodeError:
        return {"name": name, "size": len(content), "base64": data}
