"""A REST API over a memory store, with a platform (main), an honest tenant A and a hostile one, B.

No socket, no file but those that phones get. What is A's or the platform's and secret holds the
word CANARY; everything that B writes holds the word HOSTILE.
"""

import base64
import json
from typing import ClassVar

from treq.testing import StubTreq
from twisted.internet import defer
from twisted.internet.error import ProcessDone
from twisted.python.failure import Failure

from provd.errors import AuthenticationFailed
from provd.manager.dhcp_events import DhcpEvents
from provd.manager.history import History
from provd.manager.plugins import PluginManager
from provd.manager.preview import Previews
from provd.manager.provisioning import Provisioning
from provd.manager.synchronization import Synchronizations
from provd.rest.app import MEDIA_TYPE
from provd.rest.root import build_api
from provd.store.memory import MemoryStore
from tests.unit.manager.core import ENTRY, MAIN, Core

A = "aaaaaaaa-0000-4000-8000-00000000000a"
B = "bbbbbbbb-0000-4000-8000-00000000000b"
BELOW_A = "aaaaaaaa-0000-4000-8000-0000000000aa"
CANARY = "canary"
HOSTILE = "hostile"

WITH_SERVICES = """
class Service:
    def __init__(self):
        self.values = {"username": "u", "password": "canary-plugin"}
        self.description = [("username", "The user"), ("password", "The password")]
        self.calls = []
    def get(self, name):
        return self.values[name]
    def set(self, name, value):
        self.values[name] = value
    def list_installed(self):
        return {}
    def list_installable(self):
        return {}
    def install(self, package_id):
        self.calls.append(package_id)
        return defer.succeed(None), OperationInProgress()
    upgrade = uninstall = install

class OperationInProgress:
    is_finished = False
    def format(self):
        return "progress"

class PluginWithServices(FakePlugin):
    IS_PLUGIN = True
    def __init__(self, *args):
        super().__init__(*args)
        self.services = {"configure": Service(), "install": Service()}
"""


class Tokens:
    """Tokens named `main`, `a`, `below` and `b`; A has a tenant below it."""

    main_tenant = MAIN
    is_platform = False
    known: ClassVar = {"main": MAIN, "a": A, "b": B, "below": BELOW_A}
    below: ClassVar = {A: {BELOW_A}, MAIN: {A, B, BELOW_A}}

    async def tenant(self, token, tenant):
        own = self.known.get(token)
        if own is None or (tenant not in {None, own} and tenant not in self.below.get(own, ())):
            raise AuthenticationFailed("no")
        return tenant or own

    async def caller(self, token):
        return f"token of {token}"

    async def authorize(self, token, access, tenant):
        return await self.tenant(token, tenant)

    async def visible(self, tenant):
        return None if tenant == MAIN else frozenset({tenant, *self.below.get(tenant, ())})


class Answer:
    def __init__(self, status, body):
        self.status = status
        self.body = body

    def __repr__(self):
        return f"<{self.status} {self.body!r}>"

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


class Renderer:
    """A reactor whose processes answer a preview at once: its one file is all they were told."""

    def __init__(self, clock):
        self.callLater = clock.callLater
        self.seconds = clock.seconds
        self._told = b""

    def spawnProcess(self, protocol, executable, args, env):
        protocol.makeConnection(self)
        shown = base64.b64encode(self._told).decode()
        protocol.outReceived(json.dumps({"error": None, "files": [["x.cfg", shown]]}).encode())
        protocol.processEnded(Failure(ProcessDone(0)))

    def write(self, data):
        self._told = data

    def closeStdin(self):
        """Nothing more comes."""


class NoRepository:
    """Offers nothing; an installation that gets this far fails."""

    def entries(self):
        return {}


class World:
    """The API, and what its callers do."""

    def __init__(self, directory, **options):
        self.core = core = Core(directory, plugins=(), store=MemoryStore(), **options)
        core.install(
            "acme-1", ENTRY.replace("IS_PLUGIN = True", "IS_PLUGIN = False") + WITH_SERVICES
        )
        core.install("acme-2")
        core.host.load_all()
        history = History(20, 1000)
        synchronizations = Synchronizations(
            clock=core.clock,
            manager=core.manager,
            history=history,
            jobs=core.jobs,
            way=lambda: "none",
            confirm_seconds=0,
        )
        self.plugins = PluginManager(
            host=core.host,
            repository=NoRepository(),
            devices=core.manager,
            parameters=core.parameters,
            jobs=core.jobs,
            in_thread=lambda *_args: defer.succeed({}),
        )
        self.status = {"jobs": ["change of config private-a"], "quarantined": [CANARY]}
        self.api = build_api(
            authorizer=Tokens(),
            manager=core.manager,
            dhcp_events=DhcpEvents(core.pipeline, core.journal),
            history=history,
            previews=Previews(
                reactor=Renderer(core.clock),
                manager=core.manager,
                parameters=core.parameters,
                command=("render",),
                general_config={},
                plugin_config={"acme-1": {"password": f"{CANARY}-settings"}},
                base_raw_config=core.manager.configs.base_raw_config,
                in_thread=lambda function, *args: function(*args),
            ),
            synchronizations=synchronizations,
            provisioning=Provisioning(core.clock, core.manager, synchronizations),
            jobs=core.jobs,
            plugins=self.plugins,
            parameters=core.parameters,
            clock=core.clock,
            status=lambda: {**self.status, "plugins": {"p": {"last_error": CANARY, "calls": 1}}},
            tenants_share_configs=core.manager.tenants_share_configs,
        )
        self._client = StubTreq(self.api.resource())

    def send(self, token, method, path, body=None, tenant=None, **args):
        headers = {"X-Auth-Token": token, "Content-Type": MEDIA_TYPE}
        if tenant is not None:
            headers["Wazo-Tenant"] = tenant
        data = None if body is None else json.dumps(body).encode()
        if method in {"POST", "PUT"} and data is None:
            data = b"{}"
        work = self._client.request(
            method, f"http://localhost/0.2{path}", headers=headers, data=data, params=args
        )
        response = self._now(work)
        return Answer(response.code, self._now(response.content()))

    def _now(self, work):
        outcome = []
        work.addBoth(outcome.append)
        for _ in range(50):
            if outcome:
                break
            self._client.flush()
            self.core.clock.advance(0)
        assert outcome, "no answer"
        if isinstance(outcome[0], Failure):
            outcome[0].raiseException()
        return outcome[0]

    def make_config(self, token, config_id=None, parents=(), raw=None, tenant=None, **members):
        config = {"parent_ids": list(parents), "raw_config": raw or {}, **members}
        if config_id is not None:
            config["id"] = config_id
        return self.send(token, "POST", "/cfg_mgr/configs", {"config": config}, tenant=tenant)

    def make_device(self, token, device_id, number, config, tenant=None, **members):
        mac = f"00:00:00:00:00:{number:02x}"
        device = {"id": device_id, "mac": mac, "plugin": "acme-1", "config": config, **members}
        return self.send(token, "POST", "/dev_mgr/devices", {"device": device}, tenant=tenant)


def line(word):
    """Return a raw config with one line whose password holds `word`."""
    return {
        "sip_lines": {
            "1": {
                "username": "user",
                "password": word,
                "display_name": "user",
                "proxy_ip": "10.0.0.2",
            }
        }
    }
