"""Two tenants, few phones, plugins and configs: whatever is done, a phone gets its own file.

Random operations are held against a model of a few lines, with phones that ask after each step: on
SQLite, and on MongoDB with two nodes.
"""

import json
import tempfile
import uuid

import pytest_twisted
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from twisted.internet import defer, reactor, task, threads

from provd.errors import ConfigNotFound, DeviceNotFound, DuplicateId, IdentityTaken
from provd.manager.cluster import Cluster
from provd.manager.parameters import Parameters
from provd.model.requests import RequestType
from provd.plugin.localization import LocalizationService
from provd.store.mongo import MongoStore
from provd.store.sqlite import SqliteStore
from tests.mongo_server import mongo_database, mongo_server
from tests.queue_reactor import QueueReactor
from tests.unit.manager.core import LINE, MAIN, Core, FakeRequest, Probe, mac

__all__ = ["mongo_database", "mongo_server"]

PLUGINS = ("acme-1", "acme-2")
TENANTS = (MAIN, "tenant-b")
CONFIGS = ("alice", "bob")
IDS = ("d1", "d2", "d3")
PHONES = (1, 2, 3)


class Node(Core):
    """A daemon's core over a store of its own, on a clock that others move."""

    def __init__(self, directory, store, clock, *, is_shared=False):
        self.directory, self.store, self.clock = str(directory), store, clock
        self.is_shared = is_shared
        self.probes = {name: Probe(name) for name in PLUGINS}
        self.options, self.url_key = {}, False
        self.parameters = Parameters(
            store, LocalizationService(), plugin_server=None, proxies={}, tenants={}
        )
        for plugin_id in PLUGINS:
            self.install(plugin_id)

    async def boot(self):
        """Start, or start again."""
        self.start()
        if self.is_shared:
            self.manager.devices.share()
            self.manager.configs.cache.share()
            self.cluster = self.pipeline.cluster = Cluster(
                clock=self.clock,
                store=self.store,
                manager=self.manager,
                parameters=self.parameters,
                jobs=self.jobs,
            )
            await self.cluster.start()
        await self.manager.devices.load_index()
        await self.manager.compare_all()

    async def catch_up(self):
        """Do what REST does before it answers."""
        if self.is_shared:
            await self.cluster.catch_up()

    async def ask(self, number):
        """Let a phone fetch its file; return its device's id and the account in the file."""
        path = f"/{mac(number).replace(':', '')}.cfg"
        request = FakeRequest(path, f"Acme A1 1.0 {mac(number)}")
        arguments = (RequestType.HTTP, request, f"10.1.0.{number}", path[1:])
        identified = self.pipeline.identify_now(*arguments)
        if identified is None:
            identified = await self.pipeline.identify(*arguments)
        assert identified.loaded is not None, identified
        found = await self.files.find(
            self.path(number, identified.loaded.id), identified.record.id, identified.loaded
        )
        assert found is not None, f"no file for phone {number}: {identified.record}"
        content = json.loads(found.content)
        return identified.record.id, content["raw_config"]["sip_lines"]["1"]["username"]


class OneOwner(RuleBasedStateMachine):
    """`devices` is the model: id → MAC, tenant, config, and whether somebody claimed it."""

    def run_async(self, work):
        raise NotImplementedError

    async def make_nodes(self):
        raise NotImplementedError

    @initialize()
    def start(self):
        self.devices = {}
        self.users = {name: name for name in CONFIGS}
        self.turn = 0
        self.nodes = self.run_async(self.prepare())

    async def prepare(self):
        nodes = await self.make_nodes()
        for node in nodes:
            await node.boot()
        for name in (*CONFIGS, "autoprov"):
            await nodes[0].manager.insert_config(self.config(name, name))
        return nodes

    def config(self, name, user):
        line = {"1": {**LINE, "username": user}}
        role = {"role": "autocreate"} if name == "autoprov" else {}
        return {"id": name, "parent_ids": [], "raw_config": {"sip_lines": line}, **role}

    # The model

    def owner(self, phone):
        return next((i for i, d in self.devices.items() if d["phone"] == phone), None)

    def is_taken(self, phone, device_id):
        owner = self.owner(phone)
        return owner not in {None, device_id} and self.devices[owner]["claimed"]

    def expected_user(self, device_id):
        config = self.devices[device_id]["config"]
        return self.users.get(config, "autoprov")

    def take(self, device_id, phone, **members):
        owner = self.owner(phone)
        if owner not in {None, device_id}:
            del self.devices[owner]
        self.devices[device_id] = {"phone": phone, "claimed": True, **members}

    # Steps

    def node(self):
        self.turn += 1
        return self.nodes[self.turn % len(self.nodes)]

    def do(self, method, *arguments):
        """Call the manager of a node as REST does; return the error, if there is one."""

        async def call():
            node = self.node()
            await node.catch_up()
            await getattr(node.manager, method)(*arguments)

        try:
            self.run_async(call())
        except (IdentityTaken, DeviceNotFound, DuplicateId, ConfigNotFound) as error:
            return type(error)
        return None

    def look(self):
        """Let every phone that has a device ask one node; it gets what its device says."""

        async def look():
            node = self.node()
            for device_id, device in list(self.devices.items()):
                got = await node.ask(device["phone"])
                assert got == (device_id, self.expected_user(device_id)), (got, self.devices)

        self.run_async(look())

    def visible(self, tenant):
        return None if tenant == MAIN else frozenset((tenant,))

    @rule(phone=st.sampled_from(PHONES))
    def boot(self, phone):
        device_id, user = self.run_async(self.node().ask(phone))
        if self.owner(phone) is None:
            self.devices[device_id] = {
                "phone": phone, "tenant": MAIN, "config": None, "claimed": False
            }  # fmt: skip
        assert (device_id, user) == (self.owner(phone), self.expected_user(device_id))
        self.look()

    @rule(
        device_id=st.sampled_from(IDS),
        phone=st.sampled_from(PHONES),
        tenant=st.sampled_from(TENANTS),
        config=st.sampled_from(CONFIGS),
        plugin=st.sampled_from(PLUGINS),
    )
    def insert(self, device_id, phone, tenant, config, plugin):
        document = {"id": device_id, "mac": mac(phone), "config": config, "plugin": plugin}
        error = self.do("insert_device", document, tenant)
        if device_id in self.devices or self.is_taken(phone, device_id):
            assert error in {DuplicateId, IdentityTaken}
        else:
            assert error is None
            self.take(device_id, phone, tenant=tenant, config=config)
        self.look()

    @rule(
        which=st.integers(0, 5),
        phone=st.sampled_from(PHONES),
        tenant=st.sampled_from(TENANTS),
        config=st.sampled_from(CONFIGS),
        plugin=st.sampled_from(PLUGINS),
    )
    def replace(self, which, phone, tenant, config, plugin):
        if not self.devices:
            return
        device_id = list(self.devices)[which % len(self.devices)]
        old = self.devices[device_id]
        document = {"mac": mac(phone), "config": config, "plugin": plugin}
        error = self.do("replace_device", device_id, document, tenant, self.visible(tenant))
        if old["tenant"] not in {MAIN, tenant} and tenant != MAIN:
            assert error is DeviceNotFound
        elif self.is_taken(phone, device_id):
            assert error is IdentityTaken
        else:
            assert error is None
            moved = tenant if old["tenant"] == MAIN else old["tenant"]
            self.take(device_id, phone, tenant=moved, config=config)
        self.look()

    @rule(which=st.integers(0, 5), tenant=st.sampled_from(TENANTS))
    def delete(self, which, tenant):
        if not self.devices:
            return
        device_id = list(self.devices)[which % len(self.devices)]
        error = self.do("delete_device", device_id, self.visible(tenant))
        if tenant in {MAIN, self.devices[device_id]["tenant"]}:
            assert error is None
            del self.devices[device_id]
        else:
            assert error is DeviceNotFound
        self.look()

    @rule(which=st.integers(0, 5))
    def reconfigure(self, which):
        if self.devices:
            device_id = list(self.devices)[which % len(self.devices)]
            assert self.do("reconfigure_device", device_id) is None
        self.look()

    @rule(name=st.sampled_from(CONFIGS), version=st.integers(1, 3))
    def change_config(self, name, version):
        self.users[name] = f"{name}-{version}"
        assert self.do("replace_config", name, self.config(name, self.users[name])) is None
        self.look()

    @rule()
    def compare(self):
        assert self.do("compare_all") is None
        self.look()

    @rule()
    def restart(self):
        self.run_async(self.node().boot())
        self.look()

    def teardown(self):
        if hasattr(self, "nodes"):
            for node in self.nodes:
                self.run_async(node.store.close())
                node.states.close()


BOUNDS = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
}


def test_a_phone_gets_its_own_file_on_sqlite():
    class OnSqlite(OneOwner):
        def __init__(self):
            super().__init__()
            self.loop = QueueReactor(task.Clock())
            self.directory = tempfile.TemporaryDirectory()

        def run_async(self, work):
            return self.loop.run(work)

        async def make_nodes(self):
            store = SqliteStore(self.loop, f"{self.directory.name}/provd.db")
            await store.open()
            return [Node(self.directory.name, store, self.loop.clock)]

        def teardown(self):
            super().teardown()
            self.directory.cleanup()

    run_state_machine_as_test(
        OnSqlite, settings=settings(max_examples=60, stateful_step_count=25, **BOUNDS)
    )


@pytest_twisted.ensureDeferred
async def test_a_phone_gets_its_own_file_from_two_nodes_on_mongodb(mongo_server):
    class OnMongo(OneOwner):
        def __init__(self):
            super().__init__()
            self.directory = tempfile.TemporaryDirectory()
            self.database = f"test_{uuid.uuid4().hex}"

        def run_async(self, work):
            return threads.blockingCallFromThread(reactor, defer.Deferred.fromCoroutine, work)

        async def make_nodes(self):
            nodes = []
            for number in range(2):
                store = MongoStore(reactor, mongo_server.uri(), self.database)
                await store.open()
                directory = f"{self.directory.name}/{number}"
                nodes.append(Node(directory, store, reactor, is_shared=True))
            return nodes

        def node(self):
            # Nodes alternate out of step with the operations, which make two calls each.
            self.turn += 1
            return self.nodes[self.turn * 2 // 3 % 2]

        def teardown(self):
            super().teardown()
            with mongo_server.client() as client:
                client.drop_database(self.database)
            self.directory.cleanup()

    await threads.deferToThread(
        run_state_machine_as_test,
        OnMongo,
        settings=settings(max_examples=6, stateful_step_count=15, **BOUNDS),
    )
