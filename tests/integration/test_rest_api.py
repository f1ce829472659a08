"""The REST API as a whole: order of checks, media types, CORS, methods, links, access."""

import http.client
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from harness import MEDIA_TYPE, http_request

CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, POST, PUT, DELETE, OPTIONS",
    "access-control-allow-headers": "Origin, X-Requested-With, Accept, Content-Type, X-Auth-Token, Wazo-Tenant",
    "access-control-allow-credentials": "false",
    "access-control-expose-headers": "Location",
}
TEXT = re.compile(r"text/plain; ?charset=(ascii|utf-8)")
PLUGIN = "provd-yealink"

ENTRY_POINTS = {
    "": [
        ("dev", "dev_mgr"),
        ("cfg", "cfg_mgr"),
        ("pg", "pg_mgr"),
        ("status", "status"),
        ("srv.configure", "configure"),
    ],
    "/dev_mgr": [
        ("dev.synchronize", "synchronize"),
        ("dev.reconfigure", "reconfigure"),
        ("dev.dhcpinfo", "dhcpinfo"),
        ("dev.devices", "devices"),
    ],
    "/cfg_mgr": [("cfg.configs", "configs"), ("cfg.autocreate", "autocreate")],
    "/pg_mgr": [("srv.install", "install"), ("pg.plugins", "plugins"), ("pg.reload", "reload")],
    "/pg_mgr/install": [
        (f"srv.install.{name}", name)
        for name in ("install", "uninstall", "installed", "installable", "upgrade", "update")
    ],
    f"/pg_mgr/plugins/{PLUGIN}": [("pg.info", "info")],
}

# Path, method, what the access of a token must be called. `T` stands for the request tenant.
ACCESS = [
    ("", "GET", "provd.read"),
    ("/status", "GET", "provd.status.read"),
    ("/dev_mgr", "GET", "provd.dev_mgr.read"),
    ("/dev_mgr/devices", "GET", "provd.dev_mgr.devices.read"),
    ("/dev_mgr/devices", "POST", "provd.dev_mgr.devices.create"),
    ("/dev_mgr/devices/a.b", "GET", "provd.dev_mgr.devices.a_b.read"),
    ("/dev_mgr/devices/a%2eb", "GET", "provd.dev_mgr.devices.a_b.read"),
    ("/dev_mgr/devices/a", "PUT", "provd.dev_mgr.devices.a.update"),
    ("/dev_mgr/devices/a", "DELETE", "provd.dev_mgr.devices.a.delete"),
    ("/dev_mgr/synchronize", "POST", "provd.dev_mgr.synchronize.create"),
    ("/dev_mgr/reconfigure", "POST", "provd.dev_mgr.reconfigure.create"),
    ("/dev_mgr/dhcpinfo", "POST", "provd.dev_mgr.dhcpinfo.create"),
    ("/cfg_mgr", "GET", "provd.cfg_mgr.read"),
    ("/cfg_mgr/configs", "GET", "provd.cfg_mgr.configs.read"),
    ("/cfg_mgr/configs", "POST", "provd.cfg_mgr.configs.create"),
    ("/cfg_mgr/configs/a", "GET", "provd.cfg_mgr.configs.a.read"),
    ("/cfg_mgr/configs/a", "PUT", "provd.cfg_mgr.configs.a.update"),
    ("/cfg_mgr/configs/a", "DELETE", "provd.cfg_mgr.configs.a.delete"),
    ("/cfg_mgr/configs/a/raw", "GET", "provd.cfg_mgr.configs.a.raw.read"),
    ("/cfg_mgr/autocreate", "POST", "provd.cfg_mgr.autocreate.create"),
    ("/pg_mgr", "GET", "provd.pg_mgr.read"),
    ("/pg_mgr/reload", "POST", "provd.pg_mgr.reload.create"),
    ("/pg_mgr/plugins", "GET", "provd.pg_mgr.plugins.read"),
    ("/pg_mgr/install", "GET", "provd.pg_mgr.install.read"),
    ("/pg_mgr/install/install", "POST", "provd.pg_mgr.install.install.create"),
    ("/pg_mgr/install/upgrade", "POST", "provd.pg_mgr.install.upgrade.create"),
    ("/pg_mgr/install/update", "POST", "provd.pg_mgr.install.update.create"),
    ("/pg_mgr/install/uninstall", "POST", "provd.pg_mgr.install.uninstall.create"),
    ("/pg_mgr/install/installed", "GET", "provd.pg_mgr.install.installed.read"),
    ("/pg_mgr/install/installable", "GET", "provd.pg_mgr.install.installable.read"),
    (f"/pg_mgr/plugins/{PLUGIN}", "GET", f"provd.pg_mgr.plugins.{PLUGIN}.read"),
    (f"/pg_mgr/plugins/{PLUGIN}/info", "GET", f"provd.pg_mgr.plugins.{PLUGIN}.info.read"),
    ("/configure", "GET", "provd.configure.read"),
    ("/configure/NAT", "GET", "provd.configure.T.NAT.read"),
    ("/configure/NAT", "PUT", "provd.configure.T.NAT.update"),
]


def token_maker(daemon):
    """Return a function that makes tokens with the command line tool."""
    path = daemon.state / "tokens.json"
    assert path.exists()
    tool = Path(sys.executable).parent / "provd-token"

    def make(name, *acl, tenant=None):
        command = [str(tool), "--file", str(path), "create", name]
        for pattern in acl:
            command += ["--acl", pattern]
        if tenant is not None:
            command += ["--tenant", tenant]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.strip()

    return make


def raw(daemon, content):
    """Send bytes, return all that comes back until the daemon closes."""
    with socket.create_connection(("127.0.0.1", daemon.rest_port), timeout=10) as connection:
        connection.sendall(content)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


def assert_refused(answer, status, text=None):
    assert answer.status == status, answer
    assert TEXT.fullmatch(answer.headers["content-type"])
    if text is not None:
        assert answer.text == text
    for name, value in CORS.items():
        assert answer.headers[name] == value


# Order of checks


def test_options_is_answered_on_any_path_without_a_token(daemon):
    for path in ("/0.2", "/0.2/dev_mgr/devices", "/nowhere", "/", "/0.2/pg_mgr/plugins/none/info"):
        answer = http_request(daemon.rest_port, "OPTIONS", path)
        assert answer.status == 200
        assert answer.body == b""
        for name, value in CORS.items():
            assert answer.headers[name] == value


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/dev_mgr/nowhere",
        "/api",
        "/pg_mgr/plugins/none",
        "/pg_mgr/plugins/none/info",
        "/pg_mgr/plugins/none/install",
        "/pg_mgr/plugins/none/install/installed",
        "/pg_mgr/plugins/none/configure",
        f"/pg_mgr/plugins/{PLUGIN}/configure",
        "/dev_mgr/synchronize/1",
        "/pg_mgr/install/install/99",
        "/pg_mgr/install/upgrade/1",
        "/pg_mgr/install/update/0",
        "//dev_mgr",
        "/dev_mgr//devices",
        "/dev_mgr/../status",
        "/dev_mgr/devices/%ff",
    ],
)
def test_what_is_not_there_is_404_whoever_asks(daemon, path):
    for token in ("invalid", None):
        assert_refused(daemon.get(path, token=token), 404, "No such resource")


def test_a_path_outside_the_api_is_404(daemon):
    for path in ("/", "/0.1", "/0.2x", "/dev_mgr"):
        assert_refused(http_request(daemon.rest_port, "GET", path), 404, "No such resource")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/dev_mgr/devices", {"GET", "HEAD", "POST", "OPTIONS"}),
        ("GET", "/dev_mgr/synchronize", {"POST", "OPTIONS"}),
        ("HEAD", "/dev_mgr/synchronize", {"POST", "OPTIONS"}),
        ("POST", "/status", {"GET", "HEAD", "OPTIONS"}),
        ("PATCH", "/dev_mgr/devices/x", {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}),
        ("TRACE", "/configure/NAT", {"GET", "HEAD", "PUT", "OPTIONS"}),
        ("NONSENSE", "", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_method_that_a_resource_lacks_is_405_before_any_token_is_looked_at(
    daemon, method, path, allowed
):
    answer = http_request(daemon.rest_port, method, f"/0.2{path}")
    if method != "HEAD":
        assert_refused(answer, 405)
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == allowed


def test_a_bad_token_wins_over_a_bad_media_type_and_that_over_a_bad_body(daemon):
    path = "/dev_mgr/devices"
    bad = {"Content-Type": "text/plain"}
    assert_refused(
        daemon.post(path, None, body="{", token="invalid", headers=bad), 401, "Unauthorized"
    )
    assert_refused(
        daemon.get(path, token="invalid", headers={"Accept": "text/html"}), 401, "Unauthorized"
    )
    assert_refused(daemon.post(path, None, body="{", headers=bad), 415)
    assert_refused(daemon.post(path, None, body="{"), 400)


def test_an_unknown_document_with_an_invalid_token_is_401(daemon):
    for path in (
        "/dev_mgr/devices/none",
        "/cfg_mgr/configs/none",
        "/cfg_mgr/configs/none/raw",
        "/configure/none",
    ):
        assert_refused(daemon.get(path, token="invalid"), 401, "Unauthorized")
        assert_refused(daemon.get(path), 404, "No such resource")


@pytest.mark.parametrize("token", [None, "", "invalid", "\xe9\xff", "../..", "a" * 5000])
def test_a_token_that_is_missing_or_unknown_is_401(daemon, token):
    answer = daemon.get("/status", headers={"X-Auth-Token": token})
    assert_refused(answer, 401, "Unauthorized")


# Access


def test_each_resource_asks_for_exactly_its_access(daemon):
    make = token_maker(daemon)
    tenant = daemon.get("/status").json["main_tenant"]
    granted = [access.replace(".T.", f".{tenant}.") for _, _, access in ACCESS]
    everything = make("every-access", *granted)
    tokens = {}
    for number, (_, method, access) in enumerate(zip(*zip(*ACCESS, strict=True), strict=True)):
        lacking = [other for other in granted if other != granted[number]]
        tokens[number] = make(f"no-{number}-{method}", *lacking) if lacking else None
        assert access
    for number, (path, method, _) in enumerate(ACCESS):
        sent = {"token": tokens[number]}
        body = None if method in {"GET", "DELETE"} else "not JSON"
        refused = daemon.rest(method, path, body=body, **sent)
        assert_refused(refused, 401, "Unauthorized")
        allowed = daemon.rest(method, path, body=body, token=everything)
        expected = {"GET": {200, 404}, "DELETE": {404}}.get(method, {400})
        assert allowed.status in expected, (method, path, allowed)
        if method == "GET":
            head = daemon.rest("HEAD", path, **sent)
            assert head.status == 401, (path, head)


def test_operations_ask_for_an_access_of_their_own(daemon):
    make = token_maker(daemon)
    device = daemon.post("/dev_mgr/devices", {"device": {}}).json["id"]
    path = (
        daemon.post("/dev_mgr/synchronize", {"id": device}).headers["location"].removeprefix("/0.2")
    )
    reader = make("operation-reader", "provd.operation.read")
    deleter = make("operation-deleter", "provd.operation.delete")
    assert daemon.get(path, token=deleter).status == 401
    assert daemon.get(path, token=reader).status == 200
    assert daemon.delete(path, token=reader).status == 401
    assert daemon.delete(path, token=deleter).status == 204
    assert daemon.get(path, token=reader).status == 404


# Media types


@pytest.mark.parametrize(
    "value",
    [
        MEDIA_TYPE,
        MEDIA_TYPE.upper(),
        f"{MEDIA_TYPE}; charset=utf-8",
        f"{MEDIA_TYPE};charset=UTF-8",
    ],
)
def test_a_body_in_provd_json_is_taken(daemon, value):
    answer = daemon.post("/dev_mgr/devices", {"device": {}}, headers={"Content-Type": value})
    assert answer.status == 201


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "text/plain",
        f"{MEDIA_TYPE}x",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "\xff",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_in_another_media_type_is_415(daemon, method, value):
    path = {"POST": "/dev_mgr/devices", "PUT": "/dev_mgr/devices/none"}[method]
    answer = daemon.rest(method, path, {"device": {}}, headers={"Content-Type": value})
    text = f'Entity must be in media type "{MEDIA_TYPE}". "application/json" will do, too.'
    assert_refused(answer, 415, text)


@pytest.mark.parametrize(
    "value",
    [
        None,
        MEDIA_TYPE,
        MEDIA_TYPE.upper(),
        "*/*",
        "application/*",
        "application/json",
        "text/html, */*;q=0.1",
        f"application/json, {MEDIA_TYPE}; q=0.5",
    ],
)
def test_an_accept_that_holds_provd_json_is_fine(daemon, value):
    assert daemon.get("/dev_mgr/devices", headers={"Accept": value}).status == 200


@pytest.mark.parametrize(
    "value", ["text/html", "text/*", "", "*/*;q=0", f"{MEDIA_TYPE}; q=0.0", "\xff"]
)
def test_an_accept_without_provd_json_is_406(daemon, value):
    for path in ("/dev_mgr/devices", "/dev_mgr/devices/none", "/configure"):
        answer = daemon.get(path, headers={"Accept": value})
        text = f'You must accept the "{MEDIA_TYPE}" MIME type. "application/json" will do, too.'
        assert_refused(answer, 406, text)


def test_accept_is_not_looked_at_for_changes(daemon):
    headers = {"Accept": "application/json"}
    created = daemon.post("/cfg_mgr/autocreate", {}, headers=headers)
    assert created.status == 201
    path = f"/cfg_mgr/configs/{created.json['id']}"
    assert (
        daemon.put(path, {"config": {"parent_ids": [], "raw_config": {}}}, headers=headers).status
        == 204
    )
    assert daemon.delete(path, headers=headers).status == 204


def test_success_bodies_are_compact_provd_json_in_utf_8(daemon):
    created = daemon.post("/dev_mgr/devices", {"device": {"id": "utf8", "description": "Zoë ✓"}})
    assert created.status == 201
    assert created.headers["content-type"] == MEDIA_TYPE
    assert created.body.startswith(b'{"id":"utf8",')
    answer = daemon.get("/dev_mgr/devices/utf8")
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert '"description":"Zoë ✓"'.encode() in answer.body
    assert answer.headers["content-length"] == str(len(answer.body))


def test_answers_without_a_body_say_nothing_of_a_type(daemon):
    daemon.post("/dev_mgr/devices", {"device": {"id": "empty"}})
    operation = daemon.post("/dev_mgr/synchronize", {"id": "empty"})
    assert operation.status == 201
    assert operation.body == b""
    assert "content-type" not in operation.headers
    deleted = daemon.delete("/dev_mgr/devices/empty")
    assert deleted.status == 204
    assert deleted.body == b""
    assert "content-type" not in deleted.headers
    for answer in (operation, deleted):
        for name, value in CORS.items():
            assert answer.headers[name] == value


BROKEN = [
    "",
    "{",
    "{'a': 1}",
    '{"a": NaN}',
    '{"a": 1e999}',
    "[" * 100_000,
    '"\\ud800"',
    b"\xff",
    b'"\xed\xa0\x80"',
    "1" * 5000,
]


@pytest.mark.parametrize("body", BROKEN, ids=range(len(BROKEN)))
def test_what_is_not_json_is_400_with_the_message_of_the_parser(daemon, body):
    content = body.encode() if isinstance(body, str) else body
    answer = daemon.post("/dev_mgr/devices", None, body=content)
    assert_refused(answer, 400)
    assert answer.text.startswith("Invalid JSON document: ")
    assert "b'" not in answer.text


ENVELOPES = [
    ("POST", "/dev_mgr/devices", "device", dict),
    ("PUT", "/dev_mgr/devices/envelope", "device", dict),
    ("POST", "/dev_mgr/synchronize", "id", str),
    ("POST", "/dev_mgr/reconfigure", "id", str),
    ("POST", "/dev_mgr/dhcpinfo", "dhcp_info", dict),
    ("POST", "/cfg_mgr/configs", "config", dict),
    ("PUT", "/cfg_mgr/configs/envelope", "config", dict),
    ("POST", "/pg_mgr/install/install", "id", str),
    ("POST", "/pg_mgr/install/upgrade", "id", str),
    ("POST", "/pg_mgr/install/uninstall", "id", str),
    ("POST", "/pg_mgr/reload", "id", str),
    ("PUT", "/configure/NAT", "param", dict),
]


@pytest.mark.parametrize(("method", "path", "key", "kind"), ENVELOPES)
def test_a_body_without_its_envelope_is_400_and_says_what_is_missing(
    daemon, method, path, key, kind
):
    daemon.post("/dev_mgr/devices", {"device": {"id": "envelope"}})
    daemon.post(
        "/cfg_mgr/configs", {"config": {"id": "envelope", "parent_ids": [], "raw_config": {}}}
    )
    for document in ([], [key], key, 1, None, {}, {"other": {}}):
        answer = daemon.rest(method, path, body=json.dumps(document))
        assert_refused(answer, 400, f'Missing "{key}" key')
    for value in (None, 1, [], True, "text" if kind is dict else {}):
        answer = daemon.rest(method, path, {key: value})
        assert_refused(answer, 400)
        assert key in answer.text


def test_an_error_text_that_is_not_ascii_is_utf_8(daemon):
    answer = daemon.post("/pg_mgr/reload", {"id": "téléphone"})
    assert_refused(answer, 400)
    assert answer.headers["content-type"].replace(" ", "") == "text/plain;charset=utf-8"
    assert "téléphone" in answer.text


# HEAD, slashes, links


@pytest.mark.parametrize(
    "path", ["", "/status", "/dev_mgr/devices", "/cfg_mgr/configs/base", "/configure"]
)
def test_head_gives_the_headers_of_get_and_no_body(daemon, path):
    get = daemon.get(path)
    head = daemon.rest("HEAD", path)
    assert head.status == get.status == 200
    assert head.body == b""
    changing = {"date", "content-length"} if path == "/status" else {"date"}
    assert {k: v for k, v in head.headers.items() if k not in changing} == {
        k: v for k, v in get.headers.items() if k not in changing
    }
    assert int(head.headers["content-length"]) > 0


def test_head_of_what_is_not_there_or_not_allowed(daemon):
    assert daemon.rest("HEAD", "/dev_mgr/devices/none").status == 404
    assert daemon.rest("HEAD", "/status", token="invalid").status == 401


@pytest.mark.parametrize("path", ENTRY_POINTS)
def test_an_entry_point_lists_what_is_below_it_in_order(daemon, path):
    expected = [{"rel": rel, "href": f"/0.2{path}/{part}"} for rel, part in ENTRY_POINTS[path]]
    for slash in ("", "/"):
        answer = daemon.get(path + slash)
        assert answer.status == 200
        assert answer.json == {"links": expected}


def test_links_lead_to_resources(daemon):
    for path in ENTRY_POINTS:
        for link in daemon.get(path).json["links"]:
            assert daemon.get(link["href"].removeprefix("/0.2")).status in {200, 405}


def test_a_front_prefix_changes_no_link_and_no_location(daemon):
    headers = {"X-Script-Name": "/api/provd/", "X-Forwarded-Proto": "https", "Host": "pbx.example"}
    assert daemon.get("", headers=headers).json == daemon.get("").json
    created = daemon.post("/dev_mgr/devices", {"device": {"id": "front"}}, headers=headers)
    assert created.headers["location"] == "/0.2/dev_mgr/devices/front"


@pytest.mark.parametrize(
    "host", ["a..b", "x" * 300, "\xff", "[::1", "", "\N{SNOWMAN}".encode().decode("latin-1")]
)
def test_the_host_header_does_not_matter(daemon, host):
    assert daemon.get("/status", headers={"Host": host}).status == 200


def test_the_status_says_that_all_is_well(daemon):
    status = daemon.get("/status").json
    assert status["bus_consumer"] == {"status": "ok"}
    assert status["rest_api"] == "ok"


# Bytes on the wire


def test_a_connection_serves_many_requests(daemon):
    connection = http.client.HTTPConnection("127.0.0.1", daemon.rest_port, timeout=10)
    try:
        for method, path, status in [
            ("GET", "/0.2/status", 200),
            ("DELETE", "/0.2/dev_mgr/devices/none", 404),
            ("HEAD", "/0.2/status", 200),
            ("OPTIONS", "/0.2", 200),
            ("GET", "/0.2", 200),
        ]:
            connection.request(method, path, headers={"X-Auth-Token": daemon.token})
            response = connection.getresponse()
            response.read()
            assert response.status == status
    finally:
        connection.close()


@pytest.mark.parametrize(
    "start",
    [
        b"G\xc9T /0.2/status HTTP/1.1\r\n",
        b"GET /0.2/\xff\xfe HTTP/1.1\r\n",
        b"GET /0.2/%zz%ff HTTP/1.1\r\n",
        b"GET http://other/0.2/nowhere HTTP/1.1\r\n",
        b"GET * HTTP/1.1\r\n",
    ],
)
def test_odd_request_lines_are_refused_in_plain_text(daemon, start):
    received = raw(daemon, start + b"Host: x\r\nConnection: close\r\n\r\n")
    assert re.match(rb"HTTP/1\.[01] 4\d\d ", received), received
    assert b"<" not in received


def test_a_body_of_several_hundred_kilobytes_is_taken(daemon):
    line = {
        "username": "u" * 60,
        "password": "p" * 60,
        "display_name": "n" * 60,
        "proxy_ip": "192.0.2.1",
    }
    config = {
        "id": "large",
        "parent_ids": [],
        "raw_config": {"sip_lines": {str(n): line for n in range(1, 1025)}},
    }
    assert len(json.dumps(config)) > 200_000
    assert daemon.post("/cfg_mgr/configs", {"config": config}).status == 201
    assert (
        len(daemon.get("/cfg_mgr/configs/large").json["config"]["raw_config"]["sip_lines"]) == 1024
    )


def test_no_secret_reaches_the_log(daemon):
    assert daemon.token not in daemon.log
    assert "Traceback" not in daemon.log
