"""The HTTP site of phones (contract: request processing §6.1), fed with bytes, no socket."""

import json
import logging
import os
import re

import pytest
from twisted.internet import defer
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from provd.http.site import Accel, PhoneResource, PhoneSite
from tests.unit.manager.core import LINE, MAIN, Core, mac, result

KEYS = {MAIN: {"provisioning_key": "main-key-1"}, "t2": {"provisioning_key": "second-key"}}


AGENT = "Acme A1 1.0 " + mac(1)


class Site:
    """A core and its site for phones."""

    def __init__(self, directory, *, proxies=0, url_key=False, accel=None):
        self.core = Core(directory, url_key=url_key, tenants=KEYS if url_key else {})
        self.core.config("c1", raw_config={"sip_lines": {"1": LINE}})
        resource = PhoneResource(
            pipeline=self.core.pipeline,
            files=self.core.files,
            parameters=self.core.parameters,
            journal=self.core.journal,
            trusted_proxies=proxies,
            url_key=url_key,
            accel=Accel(accel, self.core.host.plugins_dir) if accel else None,
        )
        self.site = PhoneSite(resource, self.core.clock)

    def connect(self):
        protocol = self.site.buildProtocol(None)
        transport = StringTransport()
        transport.abortConnection = transport.loseConnection
        protocol.makeConnection(transport)
        return protocol, transport

    def send(self, target, *, method="GET", agent="Acme A1 1.0 00:00:00:00:00:01", headers=()):
        lines = [f"{method} {target} HTTP/1.0", f"User-Agent: {agent}", *headers, "", ""]
        protocol, transport = self.connect()
        protocol.dataReceived("\r\n".join(lines).encode("latin-1"))
        self.core.clock.advance(0)
        return transport.value()

    def get(self, target, **options):
        """Return status and body."""
        head, _, body = self.send(target, **options).partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def status(self, target, **options):
        return self.get(target, **options)[0]

    def device(self, device_id="d1", number=1, tenant=None):
        return self.core.device(device_id, number, config="c1", tenant=tenant)


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.fixture
def keyed(tmp_path):
    return Site(tmp_path, url_key=True)


def name(number):
    return mac(number).replace(":", "") + ".cfg"


# Files


def test_a_phone_gets_its_file_the_first_time_and_from_memory_afterwards(site):
    site.device()
    bodies = {site.get(f"/{name(1)}")[1] for _ in range(3)}
    assert len(bodies) == 1
    assert json.loads(bodies.pop())["device"] == "d1"


def test_common_files_and_unknown_ones(site):
    site.device()
    assert site.get("/common.cfg") == (200, b"common")
    for _ in range(2):
        assert site.status("/nothing.cfg") == 404


@pytest.mark.parametrize(
    "target",
    [
        "/../plugin-info",
        "/../../plugin-info",
        "/%2e%2e/%2e%2e/plugin-info",
        "/..%2f..%2fplugin-info",
        "/a/../../../plugin-info",
        "//../../plugin-info",
        "/common.cfg%00",
        "/%00",
        "/caf%e9",
        "/" + "x" * 5000,
        "/common.cfg/x",
    ],
)
def test_hostile_paths_are_not_found(site, target):
    site.device()
    site.status("/common.cfg")
    for _ in range(2):
        status, body = site.get(target)
        assert status in {403, 404}
        assert b"Traceback" not in body
        assert b"capabilities" not in body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "X"])
@pytest.mark.parametrize("target", ["/common.cfg", "/nothing.cfg", "/"])
def test_only_get_and_head_are_allowed_below_a_plugins_directory(site, method, target):
    site.device()
    answer = site.send(target, method=method)
    assert answer.split()[1] == b"405"
    assert b"\r\nAllow: GET, HEAD\r\n" in answer


def test_directories_are_not_listed(site):
    site.device()
    os.mkdir(os.path.join(os.path.dirname(site.core.path()), "sub"))
    for _ in range(2):
        assert site.status("/sub/") == 403
        assert site.status("/") == 403
        assert site.status("/sub") in {301, 302}


def test_a_file_that_did_not_change_is_not_sent_again(site):
    site.device()
    site.status("/common.cfg")
    os.utime(os.path.join(os.path.dirname(site.core.path()), "common.cfg"), (1.7e9, 1.7e9))
    answer = site.send("/common.cfg")
    modified = re.search(rb"Last-Modified: ([^\r]*)", answer, re.IGNORECASE)[1].decode()
    for _ in range(2):
        assert site.status("/common.cfg", headers=[f"If-Modified-Since: {modified}"]) == 304


def test_a_phone_without_plugin_is_routed_nowhere(site):
    status, body = site.get("/common.cfg", agent="unknown")
    assert status == 404
    assert b"Nowhere to route this request." in body


def test_an_error_in_the_pipeline_is_a_plain_500(site, caplog):
    async def fail(*_args):
        raise RuntimeError("a secret detail")

    site.core.pipeline.identify = fail
    status, body = site.get("/common.cfg")
    assert status == 500
    assert b"Internal processing error" in body
    assert b"secret" not in body
    assert "a secret detail" in caplog.text


def test_a_file_changed_through_a_config_is_served_fresh(site):
    site.device()
    site.get(f"/{name(1)}")
    site.core.manager._direct_renders = 0
    site.core.jobs.start = lambda _name, work, *_rest, **_more: work.close()
    document = {"parent_ids": [], "raw_config": {"X_new": 1}}
    result(site.core.manager.replace_config("c1", document))
    assert json.loads(site.get(f"/{name(1)}")[1])["raw_config"]["X_new"] == 1


def test_a_phone_that_hangs_up_leaves_nothing_behind(site):
    site.core.probe.extract = lambda *_: defer.Deferred()
    protocol, _ = site.connect()
    protocol.dataReceived(b"GET /common.cfg HTTP/1.0\r\n\r\n")
    assert site.site.active == 1
    protocol.connectionLost(Failure(ConnectionDone()))
    site.core.clock.advance(60)
    assert site.site.active == 0


# Proxies


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 500),
        (["X-Forwarded-For:"], 500),
        (["X-Forwarded-For: 10.2.0.1"], 400),
        (["X-Forwarded-For: evil, 192.0.2.1"], 400),
        (["X-Forwarded-For: 9.9.9.9, 10.2.0.1, 192.0.2.1"], 404),
        (["X-Forwarded-For: 10.2.0.1", "X-Forwarded-For: 192.0.2.1"], 404),
    ],
)
def test_the_address_of_a_phone_is_what_the_outermost_trusted_proxy_saw(tmp_path, headers, status):
    site = Site(tmp_path, proxies=2)
    assert site.status("/x", headers=headers) == status
    addresses = [device["ip"] for device in site.core.all_stored()]
    assert addresses == (["10.2.0.1"] if status == 404 else [])


def test_without_trusted_proxies_the_header_is_ignored(site):
    site.send("/x", headers=["X-Forwarded-For: 10.2.0.1"])
    assert [device["ip"] for device in site.core.all_stored()] == ["192.168.1.1"]


# Provisioning keys


@pytest.mark.parametrize(
    "target", ["/", "/common.cfg", "/wrong-key-1/common.cfg", "//common.cfg", "/%ff/x"]
)
def test_without_a_known_key_no_request_reaches_the_pipeline(keyed, target):
    status, body = keyed.get(target)
    assert status == 404
    assert b"Nowhere to route this request." in body
    assert keyed.core.probe.asked == 0
    assert keyed.core.all_stored() == []


def test_the_key_is_taken_off_the_path_before_extractors_see_it(keyed):
    seen = []

    def extract(request, _kind):
        seen.append((request.path, request.uri))
        return {"vendor": "Acme", "mac": mac(1)}

    keyed.core.probe.extract = extract
    assert keyed.get("/main-key-1/common.cfg?x=1") == (200, b"common")
    assert seen[0] == (b"/common.cfg", b"/common.cfg?x=1")


def test_a_key_opens_devices_of_its_tenant_and_unclaimed_ones(keyed):
    keyed.device("d1", 1)
    keyed.device("d2", 2, "t2")
    for key, number, status in [
        ("main-key-1", 1, 200),
        ("second-key", 1, 200),
        ("second-key", 2, 200),
        ("main-key-1", 2, 404),
    ]:
        for _ in range(2):
            agent = f"Acme A1 1.0 {mac(number)}"
            assert keyed.status(f"/{key}/{name(number)}", agent=agent) == status


def test_a_key_does_not_open_the_file_of_another_tenants_device_to_one_of_its_own(keyed):
    keyed.device("d1", 1, "t2")
    keyed.device("d2", 2, "t3")
    keyed.core.parameters._tenants["t3"] = {"provisioning_key": "third-key"}
    keyed.core.parameters._index_keys()
    result(keyed.core.manager.reconfigure_device("d2"))
    assert keyed.core.rendered(2) is not None
    assert keyed.status(f"/second-key/{name(1)}") == 200
    for _ in range(2):
        assert keyed.status(f"/second-key/{name(2)}") == 404
    assert keyed.status(f"/second-key/{name(2)}", agent="Acme A1 1.0 " + mac(9)) == 404


def test_the_key_shows_in_no_log(keyed, caplog):
    caplog.set_level("DEBUG")
    keyed.device()
    for target in (name(1), "common.cfg", "missing", "%ff"):
        keyed.send(f"/main-key-1/{target}")
    assert "main-key-1" not in caplog.text


def test_a_large_file_is_handed_to_the_server_in_front(tmp_path):
    front = Site(tmp_path, proxies=1, accel="/files/")
    front.device()
    [loaded] = front.core.host
    root = loaded.plugin._tftpboot_dir
    with open(os.path.join(root, "big ü.rom"), "wb") as stream:
        stream.write(b"x" * 300_000)
    with open(os.path.join(root, "small.rom"), "wb") as stream:
        stream.write(b"y")
    os.symlink("/etc/hostname", os.path.join(root, "out.rom"))
    via = ("X-Forwarded-For: 10.0.0.9",)
    answer = front.send("/big%20%C3%BC.rom", agent=AGENT, headers=via)
    assert (
        b"X-Accel-Redirect: /files/%b/var/tftpboot/big%20%C3%BC.rom\r\n".replace(
            b"%b", loaded.id.encode()
        )
        in answer
    )
    assert answer.endswith(b"\r\n\r\n")
    assert answer.startswith((b"HTTP/1.0 200", b"HTTP/1.1 200"))
    assert front.send("/small.rom", agent=AGENT, headers=via).endswith(b"\r\n\r\ny")
    assert b"Accel" not in front.send("/out.rom", agent=AGENT, headers=via)


def journal_lines(caplog):
    return [r.getMessage() for r in caplog.records if r.name == "provd.manager.journal"]


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        ({"method": "POST"}, 405, "(the method is not allowed)"),
        ({"target": "/gone.cfg"}, 404, "(there is no such file)"),
    ],
)
def test_what_is_refused_is_one_line_that_says_why(site, caplog, options, status, words):
    caplog.set_level(logging.INFO)
    site.get("/common.cfg")
    caplog.clear()
    assert site.get(**{"target": "/common.cfg", **options})[0] == status
    [line] = journal_lines(caplog)
    assert words in line
    assert not [r for r in caplog.records if r.exc_info]
    assert [r for r in caplog.records if r.name != "provd.security_events"] == [
        r for r in caplog.records if r.name == "provd.manager.journal"
    ]


def test_what_failed_is_in_the_log_that_its_line_points_to(site, caplog):
    caplog.set_level(logging.INFO)
    site.get("/common.cfg")
    site.core.pipeline._extract = lambda *_: 1 / 0
    assert site.status("/new.cfg", agent="other") == 500
    assert "(it failed, see the log)" in journal_lines(caplog)[-1]
    assert [r for r in caplog.records if r.exc_info]


def test_a_phone_without_a_name_gets_the_common_file(site):
    status, body = site.get("/common.cfg", agent="Acme A1 1.0")
    assert (status, body) == (200, b"common")
    assert site.core.all_stored() == []
