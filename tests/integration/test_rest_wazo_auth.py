"""Tokens and tenants of an authentication service: a small one that the test serves."""

import base64
import contextlib
import json
import threading
import time
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from harness import free_port, http_request

MAIN = "00000000-0000-4000-8000-000000000000"
A = "aaaaaaaa-0000-4000-8000-00000000000a"
A1 = "aaaaaaaa-0000-4000-8000-0000000000a1"
B = "bbbbbbbb-0000-4000-8000-00000000000b"
PARENTS = {MAIN: None, A: MAIN, A1: A, B: MAIN}
UA = "Yealink SIP-T46S 66.86.0.15 {mac}"


def below(tenant):
    """Return a tenant and all its descendants."""
    found = {tenant}
    while more := {child for child, parent in PARENTS.items() if parent in found} - found:
        found |= more
    return found


class Service:
    """Answers as the authentication service does, or badly when it is told to."""

    USER, PASSWORD = "provd-service", "s3cret key"

    def __init__(self, port=None):
        self.port = port or free_port()
        self.tokens = {
            # token: its tenant, the tenants it may use, its access patterns
            "main": (MAIN, set(PARENTS), ["provd.*"]),
            "in-a": (A, {A, A1}, ["provd.*"]),
            "in-a1": (A1, {A1}, ["provd.*"]),
            "in-b": (B, {B}, ["provd.*"]),
            "reader": (MAIN, set(PARENTS), ["provd.dev_mgr.devices.read"]),
            "homeless": (None, set(), ["provd.*"]),
        }
        self.calls = []
        self.delay = 0
        self.broken = None
        self.key_is_good = True
        self.tenants_status = 200
        self.server = None

    def start(self):
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                parts = urlsplit(self.path)
                service.calls.append(
                    (self.command, parts.path, parse_qs(parts.query), dict(self.headers.items()))
                )
                time.sleep(service.delay)
                status, document = service.respond(self.command, parts, self.headers, body)
                content = (
                    b""
                    if document is None or self.command == "HEAD"
                    else json.dumps(document).encode()
                )
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    if status != 204:
                        self.send_header("Content-Length", str(len(content)))
                        self.send_header("Content-Type", "application/json")
                    self.end_headers()
                    self.wfile.write(content)

            do_GET = do_POST = do_HEAD = answer

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def __init__(self, *args):
                self.connections = set()
                super().__init__(*args)

            def get_request(self):
                request = super().get_request()
                self.connections.add(request[0])
                return request

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            for connection in list(self.server.connections):
                with contextlib.suppress(OSError):
                    connection.shutdown(2)
                connection.close()
            self.server = None

    def respond(self, method, parts, headers, body):
        if self.broken is not None:
            return self.broken, {"reason": ["broken"]}
        query = parse_qs(parts.query)
        if (method, parts.path) == ("POST", "/0.1/token"):
            expected = base64.b64encode(f"{self.USER}:{self.PASSWORD}".encode()).decode()
            if headers.get("Authorization") != f"Basic {expected}" or not self.key_is_good:
                return 401, {"reason": ["Authentication Failed"]}
            assert json.loads(body) == {"expiration": 21600}
            self.tokens["service"] = (MAIN, set(PARENTS), ["auth.#"])
            return 200, {"data": {"token": "service"}}
        if parts.path == "/0.1/tenants":
            if headers.get("X-Auth-Token") != "service" or self.tenants_status != 200:
                return 401 if self.tenants_status == 200 else self.tenants_status, {}
            tenants = below(headers.get("Wazo-Tenant") or MAIN)
            return 200, {
                "items": [{"uuid": uuid, "name": "x"} for uuid in sorted(tenants)],
                "total": len(tenants),
            }
        token = self.tokens.get(unquote(parts.path.removeprefix("/0.1/token/")))
        if token is None:
            return 404, {"reason": ["No such token"]}
        tenant, allowed, patterns = token
        if method == "GET":
            return 200, {"data": {"metadata": {"tenant_uuid": tenant}}}
        scope = query.get("scope", [None])[0]
        if scope is not None and not any(fnmatchcase(scope, pattern) for pattern in patterns):
            return 403, None
        if query.get("tenant", [None])[0] not in {None, *allowed}:
            return 403, None
        return 204, None


def settings(service, **auth):
    return {
        "auth": {
            "type": "wazo",
            "host": "127.0.0.1",
            "port": service.port,
            "https": False,
            "username": service.USER,
            "password": service.PASSWORD,
            "key_file": None,
            "timeout": 1,
            **auth,
        }
    }


@pytest.fixture(scope="module")
def service():
    running = Service().start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def wazo(service, tmp_path_factory):
    import harness

    running = harness.Daemon(tmp_path_factory.mktemp("provd"), settings=settings(service))
    (running.state / "admin-token").write_text("main")  # what the harness calls the API with
    running.start()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def healthy(service):
    yield
    service.delay = 0
    service.broken = None
    service.tenants_status = 200
    if service.server is None:
        service.start()


def create(daemon, token="main", headers=None, **device):
    answer = daemon.post("/dev_mgr/devices", {"device": device}, token=token, headers=headers)
    assert answer.status == 201, answer
    return answer.json["id"]


def listed(daemon, token, headers=None, **args):
    answer = daemon.get("/dev_mgr/devices", token=token, headers=headers, **args)
    assert answer.status == 200, answer
    return {device["id"] for device in answer.json["devices"]}


@pytest.fixture(scope="module")
def devices(wazo):
    """A device in each tenant, by tenant."""
    return {
        MAIN: create(wazo, id="d-main"),
        A: create(wazo, "in-a", id="d-a"),
        A1: create(wazo, "in-a1", id="d-a1"),
        B: create(wazo, "in-b", id="d-b"),
    }


def test_the_daemon_fetches_a_token_of_its_own_and_learns_the_main_tenant(wazo, service):
    assert wazo.get("/status").json["main_tenant"] == MAIN
    methods = [(method, path) for method, path, *_ in service.calls]
    assert ("POST", "/0.1/token") in methods
    assert ("GET", "/0.1/token/service") in methods
    assert all(headers["Accept"] == "application/json" for *_, headers in service.calls)


def test_a_device_of_a_tenant_says_so(wazo, devices):
    for tenant, device_id in devices.items():
        device = wazo.get(f"/dev_mgr/devices/{device_id}").json["device"]
        assert (device["tenant_uuid"], device["is_new"]) == (tenant, tenant == MAIN)


# Token, header, what it lists alone and with `recurse`.
VIEWS = [
    ("main", None, {MAIN}, {MAIN, A, A1, B}),
    ("main", A, {A}, {A, A1}),
    ("main", A1, {A1}, {A1}),
    ("in-a", None, {A}, {A, A1}),
    ("in-a", A, {A}, {A, A1}),
    ("in-a", A1, {A1}, {A1}),
    ("in-a1", None, {A1}, {A1}),
    ("in-b", B, {B}, {B}),
]


@pytest.mark.parametrize(("token", "header", "alone", "recursive"), VIEWS)
def test_who_sees_which_devices(wazo, devices, token, header, alone, recursive):
    headers = {"Wazo-Tenant": header}
    assert listed(wazo, token, headers) & set(devices.values()) == {devices[t] for t in alone}
    found = listed(wazo, token, headers, recurse="True") & set(devices.values())
    assert found == {devices[t] for t in recursive}
    for tenant, device_id in devices.items():
        visible = tenant in recursive
        path = f"/dev_mgr/devices/{device_id}"
        sent = {"token": token, "headers": headers}
        assert wazo.get(path, **sent).status == (200 if visible else 404)
        assert wazo.post("/dev_mgr/synchronize", {"id": device_id}, **sent).status == (
            201 if visible else 404
        )
        assert wazo.post("/dev_mgr/reconfigure", {"id": device_id}, **sent).status == (
            204 if visible else 400
        )
        if not visible:
            assert wazo.delete(path, **sent).status == 404
        if tenant != MAIN:  # a new one may be claimed by anybody
            body = {"device": {"tenant_uuid": B}}
            assert wazo.put(path, body, **sent).status == (204 if visible else 404)
            assert wazo.get(path).json["device"]["tenant_uuid"] == tenant


@pytest.mark.parametrize(
    ("token", "header"),
    [
        (None, None),
        ("", None),
        ("unknown", None),
        ("unknown", MAIN),
        ("homeless", None),
        ("in-a", MAIN),
        ("in-a", B),
        ("in-a1", A),
        ("in-b", "no-tenant"),
        ("in-b", "\xff"),
        ("main\xe9", None),
    ],
)
def test_who_is_turned_away(wazo, token, header):
    for method, path in (
        ("GET", "/dev_mgr/devices"),
        ("GET", "/status"),
        ("DELETE", "/dev_mgr/devices/d-main"),
    ):
        answer = wazo.rest(method, path, headers={"X-Auth-Token": token, "Wazo-Tenant": header})
        assert (answer.status, answer.text) == (401, "Unauthorized")


def test_a_token_that_is_a_path_is_not_sent(wazo, service):
    before = len(service.calls)
    for token in ("../tenants", "..", "main/../main", "main?scope=x", "main#", "%2e%2e", "."):
        assert wazo.get("/status", token=token).status == 401
    assert len(service.calls) == before


def test_a_token_is_asked_for_the_access_that_a_resource_needs(wazo, service, devices):
    assert wazo.get("/dev_mgr/devices", token="reader").status == 200
    assert wazo.get(f"/dev_mgr/devices/{devices[MAIN]}", token="reader").status == 401
    assert wazo.get("/dev_mgr/devices/x.y", token="reader").status == 401
    assert wazo.rest("HEAD", "/cfg_mgr/configs", token="reader").status == 401
    scopes = [
        query["scope"]
        for method, _, query, _ in service.calls
        if method == "HEAD" and "scope" in query
    ]
    assert ["provd.dev_mgr.devices.x_y.read"] in scopes


def test_the_tenant_is_part_of_the_question_only_where_the_client_named_one(wazo, service):
    del service.calls[:]
    wazo.get("/cfg_mgr", token="in-a")
    questions = [query for method, _, query, _ in service.calls if method == "HEAD"]
    assert questions == [{"scope": ["provd.cfg_mgr.read"]}]
    del service.calls[:]
    wazo.get("/pg_mgr", token="in-a", headers={"Wazo-Tenant": A1})
    questions = [query for method, _, query, _ in service.calls if method == "HEAD"]
    assert {"scope": ["provd.pg_mgr.read"], "tenant": [A1]} in questions
    assert all(query["tenant"] == [A1] for query in questions)


def test_a_fresh_phone_is_claimed_by_the_tenant_that_puts_it(wazo):
    device_id = create(wazo)
    path = f"/dev_mgr/devices/{device_id}"
    assert wazo.get(path, token="in-a1").status == 404
    assert wazo.put(path, {"device": {"description": "mine"}}, token="in-a1").status == 204
    device = wazo.get(path, token="in-a").json["device"]
    assert (device["tenant_uuid"], device["is_new"]) == (A1, False)
    assert wazo.put(path, {"device": {}}, token="in-b").status == 404
    assert wazo.put(path, {"device": {"tenant_uuid": MAIN}}, token="in-a").status == 204
    assert wazo.get(path).json["device"]["tenant_uuid"] == A1


def test_only_the_platform_may_give_two_devices_one_mac(wazo):
    mac = "00:15:65:1d:77:01"
    first, second = create(wazo, id="twin-1", mac=mac), create(wazo, id="twin-2", mac=mac)
    answer = wazo.post("/dev_mgr/devices", {"device": {"mac": mac}}, token="in-b")
    assert answer.status == 400
    assert answer.body.decode() == f"the mac '{mac}' belongs to another device"
    assert wazo.get("/status", token="main").json["duplicates"] >= 1
    for device_id in (second, first):
        assert wazo.delete(f"/dev_mgr/devices/{device_id}", token="main").status == 204


def test_a_key_is_of_the_request_tenant(wazo):
    value = {"param": {"value": "key-of-a1"}}
    assert (
        wazo.put(
            "/configure/provisioning_key", value, token="in-a", headers={"Wazo-Tenant": A1}
        ).status
        == 204
    )
    assert (
        wazo.get("/configure/provisioning_key", token="in-a1").json["param"]["value"] == "key-of-a1"
    )
    assert wazo.get("/configure/provisioning_key", token="in-a").json["param"]["value"] is None


def test_a_dhcp_event_of_any_tenant_makes_a_device_of_the_main_one(wazo):
    info = {
        "op": "commit",
        "ip": "10.1.1.1",
        "mac": "00:15:65:00:0a:01",
        "options": ["06079.65.61.6c.69.6e.6b"],
    }
    assert wazo.post("/dev_mgr/dhcpinfo", {"dhcp_info": info}, token="in-b").status == 204
    found = wazo.get("/dev_mgr/devices", q=json.dumps({"mac": "00:15:65:00:0a:01"})).json["devices"]
    assert [device["tenant_uuid"] for device in found] == [MAIN]


def phone_works(daemon, mac):
    began = time.monotonic()
    answer = daemon.phone(f"/{mac.replace(':', '')}.cfg", UA.format(mac=mac), "127.0.0.31")
    return answer.status, time.monotonic() - began


@pytest.fixture(scope="module")
def booted(wazo):
    """The MAC of a phone that was served before; the service makes no base documents."""
    line = {"username": "u", "password": "p", "display_name": "d", "proxy_ip": "192.0.2.1"}
    config = {
        "id": "auto",
        "role": "autocreate",
        "parent_ids": [],
        "raw_config": {"sip_lines": {"1": line}},
    }
    assert wazo.post("/cfg_mgr/configs", {"config": config}).status == 201
    mac = "00:15:65:00:0b:01"
    assert phone_works(wazo, mac)[0] == 200
    return mac


def test_a_service_that_is_down_means_503_and_phones_go_on(wazo, service, booted):
    service.stop()
    for token in ("never-seen", "main"):
        answer = wazo.get("/cfg_mgr/configs/never-asked", token=token)
        assert answer.status == 503
        assert answer.headers["content-type"].startswith("text/plain")
    assert phone_works(wazo, booted)[0] == 200
    assert phone_works(wazo, "00:15:65:00:0b:02")[0] == 200  # a new one, too
    assert wazo.get("/nowhere").status == 404
    service.start()
    assert wazo.get("/cfg_mgr/configs/never-asked").status == 404


@pytest.mark.parametrize("status", [500, 503])
def test_a_service_that_fails_means_503(wazo, service, status):
    service.broken = status
    assert wazo.get(f"/cfg_mgr/configs/broken-{status}").status == 503
    service.broken = None
    assert wazo.get(f"/cfg_mgr/configs/broken-{status}").status == 404


def test_a_slow_service_delays_its_own_callers_only(wazo, service, booted):
    service.delay = 0.6
    answers = []

    def ask(number):
        answers.append(wazo.get(f"/cfg_mgr/configs/slow-{number}").status)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    status, seconds = phone_works(wazo, booted)
    assert status == 200
    assert seconds < 0.4
    assert http_request(wazo.rest_port, "OPTIONS", "/0.2").status == 200
    for thread in threads:
        thread.join(10)
    assert answers == [404] * 5


def test_a_service_that_hangs_is_given_up_after_the_timeout(wazo, service):
    service.delay = 3
    began = time.monotonic()
    assert wazo.get("/cfg_mgr/configs/hanging").status == 503
    assert time.monotonic() - began < 2


def test_a_service_that_does_not_list_tenants_leaves_a_tenant_alone_with_itself(
    make_daemon, service
):
    service.tenants_status = 401
    daemon = make_daemon(settings=settings(service), plugins="none")
    (daemon.state / "admin-token").write_text("main")
    daemon.start()
    mine, theirs = create(daemon, "in-a"), create(daemon, "in-a1")
    assert listed(daemon, "in-a", recurse="true") == {mine}
    assert daemon.get(f"/dev_mgr/devices/{theirs}", token="in-a").status == 404


def test_a_daemon_that_starts_before_the_service_catches_up(make_daemon):
    late = Service()
    daemon = make_daemon(settings=settings(late))
    daemon.spawn()

    def phones_are_served():
        with contextlib.suppress(OSError):
            return daemon.phone("/x", "nobody").status is not None

    daemon.wait_for(phones_are_served, "the start", 30)
    assert daemon.get("/status", token="main").status == 503
    late.start()
    try:
        ready = daemon.wait_for(
            lambda: daemon.get("/status", token="main").status == 200, "a token", 20
        )
        assert ready
        daemon.wait_for(
            lambda: daemon.get("/status", token="main").json["main_tenant"] == MAIN,
            "the main tenant",
            20,
        )
        create(daemon)
    finally:
        late.stop()


def test_without_a_service_token_what_needs_no_tenants_can_be_read(make_daemon):
    refusing = Service()
    refusing.key_is_good = False
    refusing.start()
    try:
        daemon = make_daemon(settings=settings(refusing), plugins="none")
        (daemon.state / "admin-token").write_text("main")
        daemon.start()
        assert daemon.get("/status").json["main_tenant"] is None
        assert daemon.get("/cfg_mgr/configs").json["configs"] == []
        assert daemon.get("/dev_mgr/devices").json == {"devices": []}
        assert daemon.get("/dev_mgr/devices", recurse="true").status == 503
        assert daemon.post("/dev_mgr/devices", {"device": {"id": "x"}}).status == 503
        assert daemon.get("/dev_mgr/devices", token="unknown").status == 401
        refusing.key_is_good = True
        daemon.wait_for(
            lambda: daemon.post("/dev_mgr/devices", {"device": {"id": "x"}}).status == 201,
            "a creation",
            20,
        )
    finally:
        refusing.stop()
