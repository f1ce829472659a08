"""Whatever a client sends to the REST API, the daemon answers in its own words and stays well."""

import base64
import http.client
import importlib.util
import json
import re
import socket
import sys
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

_spec = importlib.util.spec_from_file_location(
    "rest_fuzz_harness", Path(__file__).parents[1] / "integration" / "harness.py"
)
harness = importlib.util.module_from_spec(_spec)
sys.modules["rest_fuzz_harness"] = harness
_spec.loader.exec_module(harness)

bounded = settings(
    max_examples=120,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TEXT = re.compile(r"text/plain; charset=(ascii|utf-8)")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    running = harness.Daemon(tmp_path_factory.mktemp("provd"), plugins="none").start()
    post(running, "/0.2/dev_mgr/devices", {"device": {"id": "known"}})
    yield running
    running.stop()
    assert "Traceback" not in running.log


@pytest.fixture(scope="module")
def connection(daemon):
    kept = http.client.HTTPConnection("127.0.0.1", daemon.rest_port, timeout=20)
    yield kept
    kept.close()


def post(daemon, path, document):
    headers = {"X-Auth-Token": daemon.token, "Content-Type": harness.MEDIA_TYPE}
    return harness.http_request(daemon.rest_port, "POST", path, json.dumps(document), headers)


def ask(daemon, connection, method, target, body=None, headers=None):
    """Send a request, check what every answer must be; return status and body."""
    sent = {"X-Auth-Token": daemon.token, **(headers or {})}
    try:
        connection.request(method, target, body, sent)
        answer = connection.getresponse()
        content = answer.read()
    except (http.client.HTTPException, OSError):
        connection.close()
        raise
    assert answer.status < 500, (answer.status, content)
    assert answer.getheader("Access-Control-Allow-Origin") == "*"
    kind = answer.getheader("Content-Type")
    if answer.status >= 400:
        assert TEXT.fullmatch(kind), kind
        assert not content.lstrip().startswith(b"<")
        content.decode(TEXT.fullmatch(kind)[1])
    elif content:
        assert kind == harness.MEDIA_TYPE
        json.loads(content.decode())
    return answer.status, content


# What programs send when they are wrong, and what people send who try.
words = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            "id",
            "known",
            "base",
            "autoprov",
            "a.b",
            "\0",
            "\ud800",
            "é",
            "../..",
            "x" * 300,
            "$in",
            "\U0001f600",
            "%00",
            "1",
        ]
    ),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, -(2**63) - 1, 10**30, 0]),
    st.floats(allow_nan=False, allow_infinity=False),
    words,
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)
DEVICE_KEYS = [
    "id", "mac", "ip", "sn", "uuid", "vendor", "model", "version", "plugin", "config", "configured", "added",
    "options", "description", "tenant_uuid", "is_new", "remote_state_sip_username", "X_a",
]  # fmt: skip
CONFIG_KEYS = [
    "id",
    "parent_ids",
    "raw_config",
    "role",
    "transient",
    "deletable",
    "X_type",
    "label",
]
RAW_KEYS = [
    "ip", "http_port", "dns_enabled", "ntp_enabled", "ntp_ip", "vlan_id", "vlan_enabled", "syslog_port", "timezone",
    "locale", "protocol", "sip_lines", "sip_dtmf_mode", "funckeys", "sccp_call_managers", "X_a", "XX_a", "exten_dnd",
]  # fmt: skip
raw_configs = st.dictionaries(
    st.sampled_from(RAW_KEYS),
    values | st.dictionaries(st.sampled_from(["1", "2", "a"]), values, max_size=2),
    max_size=3,
)
devices = st.dictionaries(st.sampled_from(DEVICE_KEYS) | words, values, max_size=4)
configs = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(CONFIG_KEYS, values),
        "parent_ids": st.lists(words, max_size=3) | values,
        "raw_config": raw_configs | values,
    },
)
dhcp = st.fixed_dictionaries(
    {},
    optional={
        "op": st.sampled_from(["commit", "release", "expiry"]) | values,
        "ip": st.just("10.0.0.1") | values,
        "mac": st.just("00:11:22:33:44:55") | values,
        "options": st.lists(
            st.from_regex(r"\A[0-9]{3}([0-9a-f]{1,2}(\.[0-9a-f]{1,2})*)?\Z") | values, max_size=3
        )
        | values,
    },
)
BODIES = [
    ("POST", "/dev_mgr/devices", "device", devices),
    ("PUT", "/dev_mgr/devices/known", "device", devices),
    ("POST", "/cfg_mgr/configs", "config", configs),
    ("PUT", "/cfg_mgr/configs/autoprov", "config", configs),
    ("POST", "/dev_mgr/dhcpinfo", "dhcp_info", dhcp),
    ("POST", "/dev_mgr/synchronize", "id", words),
    ("POST", "/dev_mgr/reconfigure", "id", words),
    ("POST", "/pg_mgr/install/install", "id", words),
    ("POST", "/pg_mgr/install/upgrade", "id", words),
    ("POST", "/pg_mgr/install/uninstall", "id", words),
    ("POST", "/pg_mgr/reload", "id", words),
    *(
        ("PUT", f"/configure/{name}", "param", st.fixed_dictionaries({"value": values}))
        for name in (
            "http_proxy",
            "https_proxy",
            "locale",
            "NAT",
            "provisioning_key",
            "plugin_server",
        )
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "key", "kind"),
    BODIES,
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_document_makes_the_daemon_fail(daemon, connection, method, path, key, kind):
    @settings(bounded, max_examples=60)
    @given(
        document=st.one_of(
            st.fixed_dictionaries({key: kind}), st.fixed_dictionaries({key: values}), values
        )
    )
    def check(document):
        body = json.dumps(document)
        ask(daemon, connection, method, f"/0.2{path}", body, {"Content-Type": harness.MEDIA_TYPE})

    check()
    # All of what was stored can be read.
    for listing in ("/dev_mgr/devices", "/cfg_mgr/configs", "/configure"):
        assert ask(daemon, connection, "GET", f"/0.2{listing}")[0] == 200


@bounded
@given(body=st.binary(max_size=200))
@example(b"\xef\xbb\xbf{}")
@example(b"\xff\xfe{\0}\0")
@example(b"[" * 50_000)
@example(b'{"device":' + b'{"X_a":' * 400 + b"1" + b"}" * 401)
@example(b'{"device":{"X_a":' + b"[" * 900 + b"]" * 900 + b"}}")
@example(b'{"device":{"X_a":' + b"9" * 4300 + b"}}")
@example(b'{"device":{"X_a":1e400}}')
@example(b'{"device":{"id":"a","id":"b"}}')
def test_no_bytes_make_the_daemon_fail(daemon, connection, body):
    ask(
        daemon,
        connection,
        "POST",
        "/0.2/dev_mgr/devices",
        body,
        {"Content-Type": harness.MEDIA_TYPE},
    )


conditions = st.one_of(
    values,
    st.dictionaries(
        st.sampled_from(
            ["$in", "$nin", "$ne", "$gt", "$ge", "$lt", "$le", "$contains", "$exists", "$eq", "x"]
        ),
        values,
        max_size=2,
    ),
)
selectors = st.dictionaries(
    st.sampled_from(
        [*DEVICE_KEYS, *CONFIG_KEYS, "options.a", "raw_config.sip_lines.1.username", ".", "..", ""]
    )
    | words,
    conditions,
    max_size=3,
)


@bounded
@given(
    path=st.sampled_from(["/dev_mgr/devices", "/cfg_mgr/configs"]),
    selector=selectors | values,
    in_base64=st.booleans(),
    others=st.dictionaries(
        st.sampled_from(["fields", "skip", "limit", "sort", "sort_ord", "recurse", "q", "q64"]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
        | st.sampled_from(
            [
                "id",
                "raw_config.ip",
                "-1",
                "0",
                "9" * 30,
                "DESC",
                "True",
                "a..b",
                ".",
                "id,id.x",
                "\u0661",
            ]
        ),
        max_size=4,
    ),
)
@example("/dev_mgr/devices", {"mac": "\ud800"}, False, {})
@example("/dev_mgr/devices", {"mac": {"$in": ["\ud800"]}}, True, {})
@example("/cfg_mgr/configs", {"parent_ids": {"$contains": "\ud800"}}, True, {})
@example("/dev_mgr/devices", {}, False, {"q": '{"a":' + "[" * 900 + "]" * 900 + "}"})
@example("/dev_mgr/devices", {}, False, {"q": '{"a":{"$ne":' + "[" * 900 + "]" * 900 + "}}"})
@example("/dev_mgr/devices", {}, False, {"q": "[" * 5000})
@example("/dev_mgr/devices", {"id": "\0"}, False, {"limit": "9" * 5000})
def test_no_selector_makes_the_daemon_fail(daemon, connection, path, selector, in_base64, others):
    text = json.dumps(selector)
    args = {"q64": base64.b64encode(text.encode()).decode()} if in_base64 else {"q": text}
    status, content = ask(daemon, connection, "GET", f"/0.2{path}?{urlencode({**args, **others})}")
    assert status in {200, 400}
    assert status == 400 or next(iter(json.loads(content))) == path.rsplit("/", 1)[1]


@bounded
@given(query=st.binary(max_size=60))
def test_no_query_makes_the_daemon_fail(daemon, connection, query):
    target = "/0.2/dev_mgr/devices?" + quote(query, safe="&=+;%")
    assert ask(daemon, connection, "GET", target)[0] in {200, 400}


segments = st.sampled_from(
    ["0.2", "dev_mgr", "devices", "cfg_mgr", "configs", "known", "raw", "pg_mgr", "install", "plugins", "configure", "api",
     "synchronize", "1", "", ".", "..", "NAT", "info", "%2f", "%00", "%0a", "%ff", "%", "%zz", "%ed%a0%80", ";a=b", "~", "{x}"]
) | st.binary(max_size=6).map(quote)  # fmt: skip


@bounded
@given(
    method=st.sampled_from(
        ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "PROPFIND", "x"]
    ),
    path=st.lists(segments, max_size=6),
    rooted=st.booleans(),
)
def test_no_path_makes_the_daemon_fail(daemon, connection, method, path, rooted):
    ask(daemon, connection, method, ("/0.2/" if rooted else "/") + "/".join(path))


header_values = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40
)


@bounded
@given(
    method=st.sampled_from(["GET", "POST", "PUT"]),
    headers=st.dictionaries(
        st.sampled_from(
            ["X-Auth-Token", "Wazo-Tenant", "Accept", "Content-Type", "Host", "Origin", "Accept-Encoding", "Range",
             "If-Modified-Since", "If-None-Match", "X-Script-Name", "X-Forwarded-For", "Cookie", "Authorization", "Expect"]
        ),
        header_values
        | st.sampled_from(
            ["", "*/*;q=0", "application/*;q=x", ";;;", ",,,", "bytes=0-0", "multipart/form-data", "100-continue",
             "application/x-www-form-urlencoded", f"{harness.MEDIA_TYPE};charset=\xff", "[::1", "a:b:c", "gzip"]
        ),
        max_size=4,
    ),
)  # fmt: skip
def test_no_header_makes_the_daemon_fail(daemon, connection, method, headers):
    path = "/0.2/dev_mgr/devices/known" if method == "PUT" else "/0.2/dev_mgr/devices"
    headers = {name: value.strip() for name, value in headers.items()}
    ask(daemon, connection, method, path, None if method == "GET" else "{}", headers)


@settings(bounded, max_examples=60)
@given(
    content=st.binary(max_size=120) | st.text("GETPOS /0.2HTTP1:\r\n ", max_size=60).map(str.encode)
)
def test_no_garbage_on_the_wire_gives_a_page_or_a_server_error(daemon, content):
    with socket.create_connection(("127.0.0.1", daemon.rest_port), timeout=10) as peer:
        peer.sendall(content + b"\r\n\r\n")
        peer.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while part := peer.recv(65536):
                received += part
        except ConnectionResetError:
            pass
    assert not re.match(rb"HTTP/1\.[01] 5", received)
    assert b"<html" not in received.lower()
