"""A small daemon core in memory, and the `app` object over it."""

import os

import pytest
from twisted.internet import task

from provd.compat.application import Application
from provd.manager.jobs import Jobs
from provd.manager.manager import DeviceManager
from provd.manager.parameters import Parameters
from provd.manager.rendering import RenderStates
from provd.plugin.host import PluginHost
from provd.plugin.localization import LocalizationService
from provd.store.memory import MemoryStore

BASE = {"ip": "10.0.0.1", "http_port": 8667, "tftp_port": 69, "http_base_url": "http://10.0.0.1"}


@pytest.fixture
def now():
    """Return the result of a Deferred that must have fired, or raise its error."""

    def result(deferred):
        outcome = []
        deferred.addBoth(outcome.append)
        assert outcome, "the Deferred has not fired"
        if hasattr(outcome[0], "raiseException"):
            outcome[0].raiseException()
        return outcome[0]

    return result


class Core:
    """The objects that the daemon builds around `app`."""

    def __init__(self, directory):
        clock = task.Clock()
        self.store = MemoryStore()
        self.host = PluginHost(
            str(directory / "plugins"), general_config={}, plugin_config={}, base_raw_config=BASE
        )
        self.parameters = Parameters(
            self.store,
            LocalizationService(),
            plugin_server=None,
            proxies={"http": "http://proxy:8080"},
            tenants={},
        )
        self.manager = DeviceManager(
            clock=clock,
            store=self.store,
            host=self.host,
            states=RenderStates(str(directory / "states")),
            jobs=Jobs(clock),
            parameters=self.parameters,
            base_raw_config=BASE,
        )
        self.manager.main_tenant = "main"
        self.sync_service = None
        self.app = Application(
            manager=self.manager,
            host=self.host,
            parameters=self.parameters,
            sync_service_getter=lambda: self.sync_service,
        )

    def add_plugin(self, plugin_id, code):
        directory = self.host.directory(plugin_id)
        os.makedirs(directory)
        with open(f"{directory}/plugin-info", "w", encoding="utf-8") as stream:
            stream.write('{"version": "1", "description": "", "capabilities": {}}')
        with open(f"{directory}/entry.py", "w", encoding="utf-8") as stream:
            stream.write(code)
        return self.host.load(plugin_id).plugin


@pytest.fixture
def core(tmp_path):
    return Core(tmp_path)


@pytest.fixture
def app(core):
    return core.app
