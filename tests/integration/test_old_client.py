"""The API as the programs of a Wazo platform use it: a client that does what theirs does.

It knows the header `Location` as a path whose first three pieces it drops, forgets an operation
when it leaves it, asks for no media type, and opens a connection for each request.
"""

import base64
import json
import time

import pytest
import requests
from harness import MEDIA_TYPE, REPOSITORY, Daemon, free_port

from tests.integration import workshop

YEALINK = "provd-yealink"
MAC = "00:15:65:12:34:56"


class ClientError(Exception):
    def __init__(self, response):
        super().__init__(f"{response.status_code}: {response.text}")
        self.status_code = response.status_code
        try:
            self.document = response.json()
        except ValueError:
            self.document = None


class ServiceUnavailable(ClientError):
    pass


class Operation:
    """A resource that tells how an operation does; forgotten when its block ends."""

    def __init__(self, client, url):
        self._client = client
        self.url = url
        self.status = None

    def __enter__(self):
        self.update()
        return self

    def __exit__(self, *error):
        self._client.send("DELETE", self.url)

    def update(self):
        self.status = self._client.send("GET", self.url)["status"]
        return self.state

    @property
    def state(self):
        top = self.status.partition("(")[0]
        return top.rpartition("|")[2].partition(";")[0]

    def wait(self, seconds=60):
        deadline = time.monotonic() + seconds
        while self.update() not in {"success", "fail"}:
            assert time.monotonic() < deadline, self.status
            time.sleep(0.05)
        return self.state


class Manager:
    """What lies below one of the entry points."""

    def __init__(self, client, name):
        self._client = client
        self.url = f"{client.url}/{name}"

    def get(self, path, **params):
        return self._client.send("GET", f"{self.url}/{path}", params=params)

    def post(self, path, document):
        return self._client.send("POST", f"{self.url}/{path}", document)

    def put(self, path, document):
        self._client.send("PUT", f"{self.url}/{path}", document)

    def delete(self, path):
        self._client.send("DELETE", f"{self.url}/{path}")

    def begin(self, path, document):
        response = self._client.respond("POST", f"{self.url}/{path}", document)
        pieces = response.headers["Location"].split("/")[3:]
        return Operation(self._client, "/".join([self.url, *pieces]))

    def find(self, path, selector=None, *, fields=None, order=None, **params):
        """List documents; what is not known here is passed on as it is."""
        if selector is not None:
            params["q"] = json.dumps(selector)
        if fields:
            params["fields"] = ",".join(fields)
        if order is not None:
            params["sort"], params["sort_ord"] = order
        return self.get(path, **params)[path]


class Client:
    def __init__(self, port, token, tenant=None):
        self.url = f"http://127.0.0.1:{port}/0.2"
        # None takes away what the library would send by itself.
        self._headers = {"X-Auth-Token": token, "Connection": "close", "Accept": None}
        if tenant is not None:
            self._headers["Wazo-Tenant"] = tenant
        self.devices = Manager(self, "dev_mgr")
        self.configs = Manager(self, "cfg_mgr")
        self.plugins = Manager(self, "pg_mgr")

    def respond(self, method, url, document=None, params=None):
        headers, body = dict(self._headers), None
        if document is not None:
            headers["Content-Type"] = MEDIA_TYPE
            body = json.dumps(document)
        with requests.Session() as session:
            session.trust_env = False
            response = session.request(
                method, url, params=params, data=body, headers=headers, timeout=30
            )
        assert "Accept" not in response.request.headers
        assert response.raw.version == 11
        if response.status_code == 503:
            raise ServiceUnavailable(response)
        if response.status_code >= 400:
            raise ClientError(response)
        return response

    def send(self, *args, **kwargs):
        response = self.respond(*args, **kwargs)
        return response.json() if response.content else None

    def parameter(self, name):
        return self.send("GET", f"{self.url}/configure/{name}")["param"]["value"]

    def set_parameter(self, name, value):
        self.send("PUT", f"{self.url}/configure/{name}", {"param": {"value": value}})


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with workshop.workshop(tmp_path_factory.mktemp("shop"), REPOSITORY) as made:
        yield made


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A daemon that knows no plugin server yet, and no PBX."""
    settings = {"general": {"plugin_server": None}, "ami": {"port": free_port()}}
    running = Daemon(tmp_path_factory.mktemp("provd"), settings=settings, plugins="none").start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def client(daemon):
    return Client(daemon.rest_port, daemon.token)


@pytest.fixture(scope="module")
def stocked(client, shop):
    """The client of a daemon with the plugins of the repository installed."""
    client.set_parameter("plugin_server", shop.url)
    with client.plugins.begin("install/update", {}) as operation:
        assert operation.wait() == "success"
    for plugin_id in (YEALINK, workshop.PLUGIN):
        with client.plugins.begin("install/install", {"id": plugin_id}) as operation:
            assert operation.status.startswith("install|")
            assert operation.wait() == "success"
    return client


def create_config(client, config_id, *parents, **raw_config):
    document = {"id": config_id, "parent_ids": list(parents), "raw_config": raw_config}
    assert client.configs.post("configs", {"config": document}) == {"id": config_id}


def create_device(client, device_id, **device):
    answer = client.devices.post("devices", {"device": {"id": device_id, **device}})
    assert answer["id"] == device_id


def status_of(call, *args, **kwargs):
    with pytest.raises(ClientError) as caught:
        call(*args, **kwargs)
    assert caught.value.document is None
    return caught.value.status_code


def test_plugins_are_installed_listed_upgraded_and_removed(stocked, shop):
    plugins = stocked.plugins
    assert {YEALINK, workshop.PLUGIN} <= set(plugins.get("install/installed")["pkgs"])
    assert {YEALINK, workshop.PLUGIN} <= set(plugins.get("install/installable")["pkgs"])
    assert {YEALINK, workshop.PLUGIN} <= set(plugins.get("plugins")["plugins"])
    path = f"plugins/{workshop.PLUGIN}/info"
    assert plugins.get(path)["plugin_info"]["version"] == "1.0"
    shop.publish("2.0")
    with plugins.begin("install/update", {}) as operation:
        assert operation.wait() == "success"
    with plugins.begin("install/upgrade", {"id": workshop.PLUGIN}) as operation:
        assert operation.wait() == "success"
        assert operation.status.startswith("upgrade|success(download|success;")
    assert status_of(stocked.send, "GET", operation.url) == 404
    assert plugins.get(path)["plugin_info"]["version"] == "2.0"
    plugins.post("reload", {"id": workshop.PLUGIN})
    plugins.post("install/uninstall", {"id": workshop.PLUGIN})
    assert workshop.PLUGIN not in plugins.get("install/installed")["pkgs"]
    assert status_of(plugins.get, path) == 404
    with plugins.begin("install/install", {"id": workshop.PLUGIN}) as operation:
        assert operation.wait() == "success"


def test_packages_and_parameters_of_a_plugin(stocked):
    plugins, base = stocked.plugins, f"plugins/{workshop.PLUGIN}"
    package = {"id": workshop.PACKAGE}
    assert set(plugins.get(f"{base}/install/installable")["pkgs"]) == {workshop.PACKAGE}
    for verb in ("install", "upgrade"):
        with plugins.begin(f"{base}/install/{verb}", package) as operation:
            assert operation.wait() == "success"
            assert operation.status.startswith("install_pkg|success(download|")
        assert set(plugins.get(f"{base}/install/installed")["pkgs"]) == {workshop.PACKAGE}
    plugins.post(f"{base}/install/uninstall", package)
    assert plugins.get(f"{base}/install/installed") == {"pkgs": {}}
    path = f"{base}/configure/{workshop.PARAMETER}"
    plugins.put(path, {"param": {"value": "low"}})
    assert plugins.get(path) == {"param": {"value": "low"}}
    assert [item["value"] for item in plugins.get(f"{base}/configure")["params"]] == ["low"]


def test_a_phone_gets_what_its_config_says_until_all_is_deleted(stocked, daemon):
    line = {"username": "alice", "password": "s3cret", "proxy_ip": "192.0.2.10"}
    create_config(stocked, "site", ntp_enabled=True, ntp_ip="192.0.2.5")
    create_config(stocked, "alice", "site", sip_lines={"1": line})
    device = {"mac": MAC, "ip": "127.0.0.1", "vendor": "Yealink", "model": "T46S"}
    create_device(stocked, "desk", plugin=YEALINK, config="alice", **device)
    raw = stocked.configs.get("configs/alice/raw")["raw_config"]
    assert (raw["ntp_ip"], raw["sip_lines"]["1"]["username"]) == ("192.0.2.5", "alice")
    assert stocked.devices.get("devices/desk")["device"]["configured"] is True

    def file():
        return daemon.phone("/001565123456.cfg", f"Yealink SIP-T46S 66.86.0.15 {MAC}")

    assert b"alice" in file().body
    config = stocked.configs.get("configs/alice")["config"]
    config["raw_config"]["sip_lines"]["1"]["username"] = "bob"
    stocked.configs.put("configs/alice", {"config": config})
    assert b"bob" in file().body
    stocked.devices.post("reconfigure", {"id": "desk"})
    document = stocked.devices.get("devices/desk")["device"]
    document["description"] = "at the window"
    stocked.devices.put("devices/desk", {"device": document})
    assert stocked.devices.get("devices/desk")["device"]["description"] == "at the window"
    stocked.devices.delete("devices/desk")
    for config_id in ("alice", "site"):
        stocked.configs.delete(f"configs/{config_id}")
        assert status_of(stocked.configs.get, f"configs/{config_id}") == 404
    assert status_of(stocked.devices.get, "devices/desk") == 404
    assert status_of(stocked.devices.delete, "devices/desk") == 404


def test_a_synchronisation_without_a_pbx_fails_and_is_forgotten(stocked):
    create_config(stocked, "sync", "base")
    create_device(stocked, "sync", plugin=YEALINK, config="sync", mac="00:15:65:00:00:01")
    with stocked.devices.begin("synchronize", {"id": "sync"}) as operation:
        assert operation.state in {"waiting", "progress", "fail"}
        assert operation.wait() == "fail"
    assert status_of(stocked.send, "GET", operation.url) == 404
    assert status_of(stocked.devices.post, "synchronize", {"id": "none"}) == 404
    stocked.devices.delete("devices/sync")
    stocked.configs.delete("configs/sync")


def test_devices_are_listed_as_asked(client):
    for number in (3, 1, 2):
        create_device(client, f"list{number}", vendor="Acme", sn=f"s{number}")
    acme = {"vendor": "Acme"}

    def found(selector=None, **kwargs):
        return [item["id"] for item in client.devices.find("devices", selector, **kwargs)]

    try:
        assert sorted(found(acme)) == ["list1", "list2", "list3"]
        assert found({"sn": "s2"}) == ["list2"]
        assert found(acme, order=("sn", "ASC")) == ["list1", "list2", "list3"]
        assert found(acme, order=("sn", "DESC"), skip=1, limit=1) == ["list2"]
        assert len(found(acme, limit=2)) == 2
        assert client.devices.find("devices", {"sn": "s3"}, fields=["sn"]) == [
            {"id": "list3", "sn": "s3"}
        ]
        assert len(found(acme, recurse=True)) == 3
        assert len(found(acme, reverse=True)) == 3
        assert set(found(recurse=True)) >= {"list1", "list2", "list3"}
    finally:
        for number in (1, 2, 3):
            client.devices.delete(f"devices/list{number}")


def test_devices_of_tenants_below_are_listed_with_recurse_only(client, daemon):
    tenant = "11111111-2222-4333-8444-555555555555"
    below = Client(daemon.rest_port, daemon.token, tenant)
    create_device(below, "below", vendor="Below")
    selector = {"vendor": "Below"}
    try:
        assert client.devices.find("devices", selector) == []
        assert client.devices.find("devices", selector, recurse=False) == []
        (found,) = client.devices.find("devices", selector, recurse=True)
        assert (found["id"], found["tenant_uuid"]) == ("below", tenant)
        assert len(below.devices.find("devices", selector)) == 1
    finally:
        below.devices.delete("devices/below")


def test_registrars_are_found_by_a_selector_in_base64(client):
    for config_id, kind in (("registrar", "registrar"), ("model", "device")):
        document = {"id": config_id, "X_type": kind, "parent_ids": [], "raw_config": {}}
        client.configs.post("configs", {"config": document})
    try:
        for config_id, kind in (("registrar", "registrar"), ("model", "device")):
            q64 = base64.b64encode(json.dumps({"X_type": kind}).encode()).decode()
            found = client.configs.find("configs", q64=q64)
            assert config_id in [config["id"] for config in found]
            assert {config["X_type"] for config in found} == {kind}
    finally:
        for config_id in ("registrar", "model"):
            client.configs.delete(f"configs/{config_id}")


def test_a_config_for_a_new_phone_is_made(client):
    config_id = client.configs.post("autocreate", {})["id"]
    config = client.configs.get(f"configs/{config_id}")["config"]
    assert config["parent_ids"] == ["autoprov"]
    assert config["transient"] is True
    client.configs.delete(f"configs/{config_id}")


def test_parameters_are_read_and_set_and_unset(client):
    params = client.send("GET", f"{client.url}/configure")["params"]
    names = [param["id"] for param in params]
    assert names == [
        "plugin_server",
        "http_proxy",
        "ftp_proxy",
        "https_proxy",
        "locale",
        "NAT",
        "provisioning_key",
    ]
    client.set_parameter("NAT", "1")
    assert client.parameter("NAT") == 1
    client.set_parameter("NAT", "0")
    assert client.parameter("NAT") == 0
    client.set_parameter("locale", "fr_FR")
    assert client.parameter("locale") == "fr_FR"
    client.set_parameter("locale", None)
    assert client.parameter("locale") is None
    assert status_of(client.set_parameter, "NAT", "2") == 400
    assert status_of(client.parameter, "tenants") == 404


def test_refusals_are_errors_with_their_status_and_no_json(client, daemon):
    stranger = Client(daemon.rest_port, "invalid")
    assert status_of(stranger.devices.get, "devices") == 401
    assert status_of(client.devices.post, "reconfigure", {"id": "none"}) == 400
    assert status_of(client.configs.post, "configs", {"config": {"id": "x"}}) == 400
    assert status_of(client.plugins.post, "install/install", {"id": "none"}) == 400
    assert status_of(client.configs.delete, "configs/base") == 403
    assert status_of(client.plugins.get, "plugins/none/info") == 404
    answer = requests.get(
        f"{client.url}/status",
        headers={"X-Auth-Token": daemon.token, "Accept": "text/html"},
        timeout=30,
    )
    assert answer.status_code == 406


def test_an_authentication_service_that_is_away_is_an_unavailable_service(make_daemon):
    auth = {"type": "wazo", "host": "127.0.0.1", "port": free_port(), "https": False}
    daemon = make_daemon(settings={"auth": auth, "bus": {"port": free_port()}}, plugins="none")
    daemon.spawn()
    client = Client(daemon.rest_port, "token")

    def unavailable():
        assert daemon.process.poll() is None, daemon.log
        try:
            client.devices.get("devices")
        except ServiceUnavailable as error:
            return error
        except requests.ConnectionError:
            return None
        raise AssertionError("an answer without an authentication service")

    assert daemon.wait_for(unavailable, "a 503", 30).status_code == 503
