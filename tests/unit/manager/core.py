"""The daemon's core over a memory store, with a plugin that does what a test tells it."""

import json
import os
import random

from twisted.internet import defer, task
from twisted.python.failure import Failure

from provd.manager.extraction import Extraction
from provd.manager.files import FileCache, Files
from provd.manager.history import History
from provd.manager.jobs import Jobs
from provd.manager.journal import Journal
from provd.manager.limits import CreationLimits
from provd.manager.manager import DeviceManager
from provd.manager.metrics import Metrics
from provd.manager.parameters import Parameters
from provd.manager.pipeline import Pipeline
from provd.manager.rendering import RenderStates
from provd.model.requests import RequestType
from provd.plugin.host import PluginHost
from provd.plugin.localization import LocalizationService
from provd.store.interface import Insert
from provd.store.memory import MemoryStore

BASE = {"ip": "10.0.0.1", "http_port": 8667, "tftp_port": 69, "http_base_url": "http://10.0.0.1"}
MAIN = "main-tenant"
LINE = {"username": "alice", "password": "secret", "display_name": "Alice", "proxy_ip": "10.0.0.2"}

# One plugin for all tests: what it answers, and what it was asked, is in its settings' probe.
ENTRY = """
import json, os
from twisted.internet import defer
from provd.plugin.api import HTTPNoListingFileService, StandardPlugin, TFTPFileService
from provd.plugin.templates import write_file

class Extractor:
    def __init__(self, probe):
        self.probe = probe
    def extract(self, request, request_type):
        self.probe.asked += 1
        return self.probe.extract(request, request_type)

class Associator:
    def __init__(self, probe):
        self.probe = probe
    def associate(self, info):
        return self.probe.associate(info)

class FakePlugin(StandardPlugin):
    IS_PLUGIN = True

    def __init__(self, app, plugin_dir, gen_cfg, spec_cfg):
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        os.makedirs(self._tftpboot_dir, exist_ok=True)
        self.probe = spec_cfg["probe"]
        extractor = Extractor(self.probe)
        self.http_dev_info_extractor = extractor
        self.tftp_dev_info_extractor = extractor
        self.dhcp_dev_info_extractor = extractor
        self.pg_associator = Associator(self.probe)
        self.http_service = HTTPNoListingFileService(self._tftpboot_dir)
        self.tftp_service = TFTPFileService(self._tftpboot_dir)

    def path(self, device):
        return os.path.join(self._tftpboot_dir, device["mac"].replace(":", "") + ".cfg")

    def configure_common(self, raw_config):
        self.probe.note("configure_common")
        write_file(os.path.join(self._tftpboot_dir, "common.cfg"), b"common")

    def configure(self, device, raw_config):
        self.probe.note("configure", device["id"])
        raw_config["XX_seen"] = device["id"]
        device["changed_by_plugin"] = True
        content = json.dumps({"device": device["id"], "raw_config": raw_config}, sort_keys=True)
        write_file(self.path(device), content.encode())

    def deconfigure(self, device):
        self.probe.note("deconfigure", device["id"])
        if os.path.exists(self.path(device)):
            os.unlink(self.path(device))

    def synchronize(self, device, raw_config):
        self.probe.note("synchronize", device["id"], raw_config)
        return self.probe.synchronized

    def get_remote_state_trigger_filename(self, device):
        return device["mac"].replace(":", "") + ".cfg" if device.get("mac") else None

    def is_sensitive_filename(self, filename):
        self.probe.note("is_sensitive_filename")
        return filename.endswith(".cfg")

    def close(self):
        self.probe.note("close")
"""


class Probe:
    """What a fake plugin answers and what it was asked."""

    def __init__(self, name="probe"):
        self.name = name
        self.calls = []
        self.raises = {}
        self.asked = 0
        self.extract = from_agent
        self.associate = lambda info: 500 if info.get("vendor") == "Acme" else 0
        self.synchronized = defer.succeed(None)

    def __repr__(self):
        return self.name  # part of the digest of a plugin's settings

    def note(self, method, *args):
        self.calls.append((method, *args))
        error = self.raises.get(method)
        if error is not None:
            raise error

    def count(self, method, device_id=None):
        return sum(
            1
            for call in self.calls
            if call[0] == method and (device_id is None or call[1] == device_id)
        )


def from_agent(request, request_type):
    """Take `Acme <model> <version> <mac>` from the User-Agent, or the MAC from a file name."""
    if request_type is RequestType.HTTP:
        words = (request.getHeader(b"User-Agent") or b"").decode("ascii").split()
        keys = ("vendor", "model", "version", "mac")
        return defer.succeed(dict(zip(keys, words, strict=False)) or None)
    if request_type is RequestType.TFTP:
        name = request["packet"]["filename"].decode("ascii")
        stem, dot, _ = name.rpartition(".")
        if dot and len(stem) == 12:
            mac = ":".join(stem[i : i + 2] for i in range(0, 12, 2))
            return defer.succeed({"vendor": "Acme", "mac": mac})
    return defer.succeed(None)


class FakeRequest:
    """The parts of an HTTP request that extractors look at."""

    def __init__(self, path="/common.cfg", agent=None, method=b"GET", **headers):
        self.uri = self.path = path.encode()
        self.method = method
        self.args = {}
        self.headers = {k.replace("_", "-").encode(): v.encode() for k, v in headers.items()}
        if agent is not None:
            self.headers[b"user-agent"] = agent if isinstance(agent, bytes) else agent.encode()

    def getHeader(self, name):
        key = name.encode() if isinstance(name, str) else name
        value = self.headers.get(key.lower())
        return value.decode() if isinstance(name, str) and value is not None else value


def tftp_request(filename, ip="10.1.0.1"):
    packet = {"opcode": b"\0\1", "filename": filename.encode(), "mode": b"octet", "options": {}}
    return {"address": (ip, 1234), "packet": packet}


def later(work):
    """Start a coroutine; return its Deferred."""
    return defer.Deferred.fromCoroutine(work)


def result(work):
    """Return what a coroutine or Deferred gave, at once, or raise its error."""
    deferred = work if isinstance(work, defer.Deferred) else later(work)
    outcome = []
    deferred.addBoth(outcome.append)
    assert outcome, "it still waits"
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    return outcome[0]


class SlowStore(MemoryStore):
    """A memory store whose answers come when the test says, in an order it chooses.

    Each operation has two moments: it is done, and its answer is delivered. Writes are done and
    answered in the order they were asked for.
    """

    def __init__(self):
        super().__init__()
        self.slow = False
        self.pending = []

    async def _wait(self, kind, work):
        if not self.slow:
            return await work
        answer = defer.Deferred()
        operation = [kind, work, answer, None]
        self.pending.append(operation)
        return await answer

    def step(self, operation):
        """Do one operation, or deliver its answer if it is done."""
        _, work, answer, done = operation
        if done is None:
            outcome = []
            later(work).addBoth(outcome.append)
            operation[3] = outcome
            return
        self.pending.remove(operation)
        if not answer.called:
            answer.callback(done[0])

    def choices(self):
        """Return the operations that may make a step now."""
        first_undone = first_write = None
        ready = []
        for operation in self.pending:
            if operation[0] != "write":
                ready.append(operation)
                continue
            if operation[3] is None:
                first_undone = first_undone or operation
            first_write = first_write or operation
        return ready + list({id(w): w for w in (first_undone, first_write) if w}.values())

    def run(self, chooser=None):
        """Make steps until nothing is pending."""
        chooser = chooser or (lambda choices: choices[0])
        while self.pending:
            self.step(chooser(self.choices()))

    def run_randomly(self, seed):
        self.run(random.Random(seed).choice)

    async def get(self, *args):
        return await self._wait("read", super().get(*args))

    async def find(self, *args):
        return await self._wait("read", super().find(*args))

    async def find_ids(self, *args):
        return await self._wait("read", super().find_ids(*args))

    async def descendants(self, *args):
        return await self._wait("read", super().descendants(*args))

    async def count(self, *args):
        return await self._wait("read", super().count(*args))

    async def write(self, *args):
        return await self._wait("write", super().write(*args))


class Core:
    """What the daemon builds, on a Clock."""

    def __init__(self, directory, *, plugins=("acme-1",), url_key=False, **options):
        self.directory = str(directory)
        self.clock = task.Clock()
        self.store = options.pop("store", None) or SlowStore()
        self.probes = {name: Probe(name) for name in ("acme-1", "acme-2", "other-1")}
        self.probe = self.probes["acme-1"]
        self.options = options
        self.url_key = url_key
        self.parameters = Parameters(
            self.store,
            LocalizationService(),
            plugin_server=None,
            proxies={},
            tenants=options.pop("tenants", {}),
        )
        for plugin_id in plugins:
            self.install(plugin_id)
        self.start()

    def install(self, plugin_id, entry=ENTRY, version="1.0"):
        """Put a plugin into the plugins directory; return its directory."""
        directory = os.path.join(self.directory, "plugins", plugin_id)
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, "plugin-info"), "w", encoding="utf-8") as stream:
            json.dump({"version": version, "description": "", "capabilities": {}}, stream)
        with open(os.path.join(directory, "entry.py"), "w", encoding="utf-8") as stream:
            stream.write(entry)
        return directory

    def start(self):
        """Make all objects anew, as a restart does; documents and files stay."""
        if hasattr(self, "states"):
            self.states.close()
        options = dict(self.options)
        self.host = PluginHost(
            os.path.join(self.directory, "plugins"),
            general_config={},
            plugin_config={name: {"probe": probe} for name, probe in self.probes.items()},
            base_raw_config=BASE,
        )
        self.jobs = Jobs(self.clock)
        self.states = RenderStates(os.path.join(self.directory, "rendered"))
        max_unclaimed = options.pop("max_unclaimed", 1000)
        rates = options.pop("rates", (1000.0, 6000.0))
        retriever = options.pop("retriever", "default")
        updater = options.pop("updater", "default")
        memo = options.pop("memo_entries", 1000)
        self.manager = DeviceManager(
            clock=self.clock,
            store=self.store,
            host=self.host,
            states=self.states,
            jobs=self.jobs,
            parameters=self.parameters,
            base_raw_config=BASE,
            url_key=self.url_key,
            **options,
        )
        self.manager.main_tenant = MAIN
        self.extraction = Extraction(self.host, self.clock, memo)
        self.limits = CreationLimits(self.clock, *rates)
        self.pipeline = Pipeline(
            clock=self.clock,
            manager=self.manager,
            host=self.host,
            extraction=self.extraction,
            limits=self.limits,
            parameters=self.parameters,
            max_unclaimed=max_unclaimed,
            retriever=retriever,
            updater=updater,
        )
        self.files = Files(self.manager, FileCache(1024 * 1024))
        self.journal = Journal(History(20, 1000), Metrics())
        self.host.load_all()

    # What tests do

    def config(self, config_id, parents=(), raw_config=None, **members):
        document = {
            "id": config_id,
            "parent_ids": list(parents),
            "raw_config": raw_config or {},
            **members,
        }
        result(self.manager.insert_config(document))

    def autoprov(self):
        self.config("autoprov", raw_config={"sip_lines": {"1": LINE}}, role="autocreate")

    def device(self, device_id="d1", number=1, tenant=None, **members):
        document = {"id": device_id, "mac": mac(number), "plugin": "acme-1", **members}
        result(self.manager.insert_device(document, tenant))
        return self.stored(device_id)

    def put(self, device_id, **members):
        """Change members of a device; None removes one."""
        document = {**self.stored(device_id), **members}
        document = {k: v for k, v in document.items() if k not in members or v is not None}
        result(self.manager.replace_device(device_id, document, MAIN, None))
        return self.stored(device_id)

    def stored(self, device_id, collection="devices"):
        record = self.store._collections[collection].get(device_id)
        return record.document if record is not None else None

    def all_stored(self, collection="devices"):
        return [record.document for record in self.store._collections[collection].values()]

    def insert_raw(self, collection, document):
        """Store a document behind the manager's back, as an import does."""
        result(self.store.write([Insert(collection, document, shares=True)]))

    def path(self, number=1, plugin_id="acme-1"):
        name = mac(number).replace(":", "") + ".cfg"
        return os.path.join(self.directory, "plugins", plugin_id, "var", "tftpboot", name)

    def rendered(self, number=1, plugin_id="acme-1"):
        """Return the raw config that the file of a device holds, None without a file."""
        try:
            with open(self.path(number, plugin_id), encoding="utf-8") as stream:
                return json.load(stream)["raw_config"]
        except FileNotFoundError:
            return None

    def http(self, agent, ip="10.1.0.1", path="/common.cfg"):
        """Run an HTTP request of a phone through the pipeline."""
        request = FakeRequest(path, agent)
        filename = path.rsplit("/", 1)[-1]
        now = self.pipeline.identify_now(RequestType.HTTP, request, ip, filename)
        if now is not None:
            return now
        return result(self.pipeline.identify(RequestType.HTTP, request, ip, filename))

    def fetch(self, number=1, ip="10.1.0.1"):
        """Return the raw config in the file that a phone gets, as the HTTP site finds it."""
        agent = f"Acme A1 1.0 {mac(number)}"
        identified = self.http(agent, ip, f"/{mac(number).replace(':', '')}.cfg")
        if identified.loaded is None:
            return None
        device_id = identified.record.id
        path = self.path(number, identified.loaded.id)
        file = result(self.files.find(path, device_id, identified.loaded))
        return json.loads(file.content)["raw_config"] if file is not None else None


def mac(number):
    text = f"{number:012x}"
    return ":".join(text[i : i + 2] for i in range(0, 12, 2))
