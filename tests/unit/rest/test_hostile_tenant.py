"""A tenant with every access (`provd.#`) against the others: it changes nothing, and learns nothing.

First each route once, with everything that can be guessed; then random play of three parties.
"""

import json
import re
import tempfile

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from provd.model.config import flatten
from tests.unit.manager.core import BASE, MAIN, mac
from tests.unit.rest.test_tenancy import fill
from tests.unit.rest.world import CANARY, HOSTILE, A, B, World, line

# What others have, and what they may have.
CONFIG_IDS = ("private-a", "parent-a", "base", "autoprov", "users-phone", "unknown")
DEVICE_IDS = ("phone-a", "phone-main", "unknown")
GUESSES = {
    "config_id": CONFIG_IDS,
    "device_id": DEVICE_IDS,
    "plugin_id": ("acme-1",),
    "param_id": ("http_proxy", "plugin_server", "NAT", "provisioning_key", "password", "tenants"),
    "operation_id": ("1", "2"),
    "job_id": ("1",),
}
SELECTORS = ("{}", f'{{"tenant_uuid": "{A}"}}', f'{{"tenant_uuid": {{"$ne": "{B}"}}}}')


def bodies(path):
    """Return the bodies that a route could be harmed with."""
    config = {"parent_ids": [], "raw_config": line(HOSTILE), "role": None}
    device = {"mac": "00:00:00:00:00:b1", "plugin": "acme-1"}
    last = path.rpartition("/")[2]
    if "/cfg_mgr/configs" in path:
        made = [{**config, "id": config_id} for config_id in (*CONFIG_IDS, "new")]
        made += [{**config, "parent_ids": [config_id]} for config_id in CONFIG_IDS]
        made += [{**config, "role": "autocreate"}, {**config, "tenant_uuid": A}]
        made += [{**config, "X_provisioning_code": "1234"}]
        return [{"config": value} for value in made]
    if "/dev_mgr/devices" in path:
        made = [{**device, "id": device_id} for device_id in DEVICE_IDS]
        made += [{**device, "config": config_id, "tenant_uuid": A} for config_id in CONFIG_IDS]
        return [{"device": value} for value in made]
    if last == "resynchronize":
        return [{"selector": json.loads(text)} for text in SELECTORS] + [
            {"config": config_id} for config_id in CONFIG_IDS
        ]
    if last == "provision":
        named = ({"id": "phone-a"}, {"id": "mine"}, {"mac": mac(0xA1)}, {"ip": "10.0.0.161"})
        return [{**name, "code": code} for name in named for code in ("1234", "autoprov")]
    if last == "dhcpinfo":
        events = [("10.0.0.161", "00:00:00:00:00:b1"), ("10.0.0.5", mac(0xA1))]
        return [
            {"dhcp_info": {"op": "commit", "ip": ip, "mac": address, "options": []}}
            for ip, address in events
        ]
    if "/configure/" in path:
        return [{"param": {"value": value}} for value in (None, "1", "http://hostile.example:3128")]
    return [{"id": value} for value in (*DEVICE_IDS[:2], "acme-1", "package")]


def paths(route):
    """Return the path of a route with every guess in it."""
    found = [route.path.removeprefix("/0.2")]
    for name in re.findall(r"<(\w+)>", route.path):
        found = [p.replace(f"<{name}>", guess) for p in found for guess in GUESSES[name]]
    return found


def theirs(world):
    """Return all that belongs to others than B: documents, files, parameters, plugins."""
    core = world.core
    documents = [
        document
        for collection in ("devices", "configs")
        for document in core.all_stored(collection)
        # A phone that begins anew, B's or nobody's, gets a device and a config of the platform's.
        if document.get("tenant_uuid") != B
        and not document.get("transient")
        and document.get("added") != "auto"
    ]
    services = core.host.get("acme-1").plugin.services
    parameters = [core.parameters.get(name, A) for name in ("http_proxy", "NAT", "plugin_server")]
    parameters.append(core.parameters.provisioning_key(A))
    return json.dumps(
        [
            documents,
            [core.rendered(number) for number in (0xA1, 0xA2)],
            parameters,
            services["configure"].values,
            services["install"].calls,
            [loaded.id for loaded in core.host],
        ],
        sort_keys=True,
    )


@pytest.fixture
def world(tmp_path):
    world = fill(World(tmp_path))
    key = {"param": {"value": f"{CANARY}-key"}}
    assert world.send("a", "PUT", "/configure/provisioning_key", key).status == 204
    proxy = {"param": {"value": f"http://u:{CANARY}@proxy.example:3128"}}
    assert world.send("main", "PUT", "/configure/http_proxy", proxy).status == 204
    raw = line(f"{CANARY}-user")
    assert world.make_config("main", "users-phone", ["base"], raw).status == 201
    made = world.make_device("main", "phone-main", 0xA2, "users-phone", tenant=A)
    assert made.status == 201
    assert world.make_config("b", "mine", ["base"], line(HOSTILE)).status == 201
    made = world.make_device("b", "mine", 0xB2, "mine")
    assert made.status == 201
    assert world.send("a", "POST", "/dev_mgr/synchronize", {"id": "phone-a"}).status == 201
    resync = world.send("a", "POST", "/dev_mgr/resynchronize", {"selector": {}})
    assert resync.status == 201
    return world


def everything(world):
    """Yield every request that a tenant can make: method, path, body, query."""
    for route in world.api.routes:
        for path in paths(route):
            for method in route.actions:
                if method in {"POST", "PUT"}:
                    yield from ((method, path, body, {}) for body in bodies(route.path))
                else:
                    yield method, path, None, {"passwords": "true", "recurse": "true"}
                    if path in {"/dev_mgr/devices", "/cfg_mgr/configs"}:
                        yield from ((method, path, None, {"q": text}) for text in SELECTORS)


def test_no_request_of_a_hostile_tenant_changes_or_reveals_what_others_have(world):
    before = theirs(world)
    asked = set()
    for method, path, body, query in everything(world):
        answer = world.send("b", method, path, body, **query)
        asked.add((method, path))
        what = f"{method} {path} {body} {query}: {answer}"
        assert answer.status < 500, what
        assert CANARY not in answer.text, what
        assert theirs(world) == before, what
    assert len(asked) > 100
    for path in ("synchronize", "resynchronize"):
        assert world.send("a", "GET", f"/dev_mgr/{path}/1").status == 200


def test_no_request_with_the_tenant_of_others_in_the_header_is_taken(world, caplog):
    for tenant in (A, MAIN):
        before = theirs(world)
        for method, path, body in (
            ("GET", "/cfg_mgr/configs", None),
            ("DELETE", "/cfg_mgr/configs/private-a", None),
            ("POST", "/cfg_mgr/configs", {"config": {"parent_ids": [], "raw_config": {}}}),
        ):
            assert world.send("b", method, path, body, tenant=tenant).status == 401
        assert theirs(world) == before


names = st.sampled_from(["c1", "c2", "c3", "c4"])
some_names = st.lists(names, max_size=2, unique=True)
phones = st.sampled_from(["d1", "d2"])


class Play(RuleBasedStateMachine):
    """The platform, honest tenant A and hostile tenant B write configs and phones with few ids.

    The model: what A and the platform were told is stored (2xx) is what is there, and what A's
    phones are served. B's values all say so, and never reach any of that.
    """

    def __init__(self):
        super().__init__()
        self.directory = tempfile.TemporaryDirectory(prefix="provd-play-")
        self.world = World(self.directory.name)
        self.configs = {}
        """Of A and the platform: id → owner and document."""
        self.phones = {}
        """Of A: id → config id."""
        self.count = 0

    def teardown(self):
        self.world.core.states.close()
        self.directory.cleanup()

    def _send(self, token, *args, **kwargs):
        return self.world.send(token, *args, **kwargs)

    def _raw(self, word, value=None):
        self.count += 1
        return {
            "X_value": f"{value or word}-{self.count}",
            "admin_password": f"{word}-{self.count}",
        }

    def _write(self, token, owner, name, parents, tenant=None):
        value = "for everybody to read" if owner == MAIN else None
        config = {"id": name, "parent_ids": parents, "raw_config": self._raw(CANARY, value)}
        known = self.configs.get(name)
        path = "/cfg_mgr/configs"
        if known is not None and (known[0] == owner or token == "main"):
            answer = self._send(token, "PUT", f"{path}/{name}", {"config": config}, tenant=tenant)
            owner = known[0]
            new_parents = set(parents) - set(known[1]["parent_ids"])
            if not new_parents:
                assert answer.status == 204, answer  # nobody can take that away
        else:
            answer = self._send(token, "POST", path, {"config": config}, tenant=tenant)
        if answer.status < 300:
            self.configs[name] = (owner, config)

    # The honest

    @rule(name=names, parents=some_names)
    def tenant_writes_a_config(self, name, parents):
        self._write("a", A, name, parents)

    @rule(name=names, parents=some_names)
    def platform_writes_a_config(self, name, parents):
        if name not in self.configs and self.world.core.stored(name, "configs"):
            return  # it is B's, which the platform may change
        self._write("main", MAIN, name, [p for p in parents if p in self.configs])

    @rule(name=names)
    def tenant_deletes_a_config(self, name):
        answer = self._send("a", "DELETE", f"/cfg_mgr/configs/{name}")
        is_own = name in self.configs and self.configs[name][0] == A
        assert (answer.status == 204) is is_own, answer
        if is_own:
            del self.configs[name]

    @rule(phone=phones, config=names)
    def tenant_writes_a_phone(self, phone, config):
        number = int(phone[1])
        device = {"id": phone, "mac": mac(number), "plugin": "acme-1", "config": config}
        if phone in self.phones:
            answer = self._send("a", "PUT", f"/dev_mgr/devices/{phone}", {"device": device})
        else:
            answer = self._send("a", "POST", "/dev_mgr/devices", {"device": device})
        if config in self.configs:
            owner = self.configs[config][0]
            assert answer.status < 300 or (owner == MAIN and answer.status == 400), answer
        if answer.status < 300:
            self.phones[phone] = config

    # The hostile

    def _attack(self, method, path, body=None, **query):
        answer = self._send("b", method, path, body, **query)
        assert answer.status < 500, answer
        assert CANARY not in answer.text, answer
        return answer

    @rule(name=names, parents=some_names, code=st.booleans())
    def hostile_writes_a_config(self, name, parents, code):
        config = {"id": name, "parent_ids": parents, "raw_config": self._raw(HOSTILE)}
        if code:
            config["X_provisioning_code"] = "1234"
        self._attack("POST", "/cfg_mgr/configs", {"config": config})
        self._attack("PUT", f"/cfg_mgr/configs/{name}", {"config": config})
        self._attack("GET", f"/cfg_mgr/configs/{name}/raw")

    @rule(name=names)
    def hostile_reads_a_config(self, name):
        for path in (f"/cfg_mgr/configs/{name}", f"/cfg_mgr/configs/{name}/raw"):
            answer = self._attack("GET", path)
            if name in self.configs and self.configs[name][0] == A:
                assert answer.status == 404
        self._attack("GET", "/cfg_mgr/configs", q='{"tenant_uuid": {"$ne": "x"}}')

    @rule(name=names)
    def hostile_deletes_a_config(self, name):
        self._attack("DELETE", f"/cfg_mgr/configs/{name}")

    @rule(config=names, phone=phones, own=st.booleans())
    def hostile_writes_a_phone(self, config, phone, own):
        name = f"b{phone}" if own else phone
        number = 0xB0 + int(phone[1])
        device = {"id": name, "mac": mac(number), "plugin": "acme-1", "config": config}
        if not own and phone not in self.phones:
            return  # the id of a phone that A does not have is free for all
        self._attack("POST", "/dev_mgr/devices", {"device": device})
        self._attack("PUT", f"/dev_mgr/devices/{name}", {"device": device})
        self._attack("GET", f"/dev_mgr/devices/{name}/preview", passwords="true")
        self._attack("GET", f"/dev_mgr/devices/{name}")

    @rule(phone=phones, own=st.booleans())
    def hostile_deletes_a_phone(self, phone, own):
        if own or phone in self.phones:
            self._attack("DELETE", f"/dev_mgr/devices/{f'b{phone}' if own else phone}")

    @rule(phone=phones)
    def hostile_dials_a_code(self, phone):
        if phone in self.phones:
            for name in (phone, f"b{phone}"):
                body = {"id": name, "code": "1234"}
                self._attack("POST", "/dev_mgr/provision", body)

    # What must be

    @invariant()
    def the_documents_of_others_are_as_they_wrote_them(self):
        for name, (owner, config) in self.configs.items():
            token = "a" if owner == A else "main"
            answer = self._send(token, "GET", f"/cfg_mgr/configs/{name}")
            assert answer.json["config"] == config
        for name, config in self.phones.items():
            device = self._send("a", "GET", f"/dev_mgr/devices/{name}").json["device"]
            assert device["config"] == config

    @precondition(lambda self: self.phones)
    @invariant()
    def the_phones_of_others_get_what_they_were_given(self):
        lookup = {name: config for name, (_, config) in self.configs.items()}.get
        for name, config in self.phones.items():
            rendered = self.world.core.rendered(int(name[1]))
            expected = flatten(config, lookup, BASE)
            if expected is None:
                assert rendered is None
            else:
                assert {key: rendered[key] for key in expected} == expected


TestPlay = Play.TestCase
TestPlay.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
