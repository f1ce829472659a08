"""Hostile requests: refused in clear words, nothing escapes, the loop goes on."""

import contextlib
import json
import random
import re
import socket
import sqlite3
import struct
import threading
import time

import pytest
from harness import MEDIA_TYPE, Daemon, descriptors, http_request

AGENT = "Yealink SIP-T46S 66.86.0.15 {mac}"
OTHER_TENANT = "11111111-2222-4333-8444-555555555555"
TFTP_CLIENT = "127.0.0.3"
SECRET = "a line that no phone may read"


def boot(daemon, mac, source):
    flat = mac.replace(":", "")
    return daemon.phone(f"/{flat}.cfg", AGENT.format(mac=mac), source)


def raw_http(port, data, *, seconds=5, source="127.0.0.1"):
    """Send bytes as they are; return all that comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), 5, (source, 0)) as connection:
        connection.settimeout(seconds)
        received = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            connection.sendall(data)
        with contextlib.suppress(TimeoutError, ConnectionError):
            while part := connection.recv(65536):
                received += part
        return received


def get(daemon, target, *headers, **kwargs):
    lines = [b"GET " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", *headers]
    return raw_http(daemon.http_port, b"\r\n".join(lines) + b"\r\n\r\n", **kwargs)


def status_of(answer):
    return int(answer.split(None, 2)[1])


def check_alive(daemon):
    """Fail unless a phone that is known is served, and REST answers."""
    assert boot(daemon, "00:15:65:00:00:01", "127.0.0.2").status == 200
    assert daemon.get("/status").json["ready"] is True


@contextlib.contextmanager
def no_traceback_in_log(daemon):
    before = len(daemon.log)
    yield
    assert "Traceback" not in daemon.log[before:]


def tftp_request(name, mode=b"octet", **options):
    fields = [name, mode]
    for option, value in options.items():
        fields += [option.encode(), str(value).encode()]
    return b"\0\1" + b"\0".join(fields) + b"\0"


def tftp_answer(daemon, datagram, seconds=2.0):
    """Return the first datagram that answers; None if none comes. Takes care to end a transfer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((TFTP_CLIENT, 0))
        client.settimeout(seconds)
        client.sendto(datagram, ("127.0.0.1", daemon.tftp_port))
        try:
            answer, peer = client.recvfrom(65536)
        except TimeoutError:
            return None
        if not answer.startswith(b"\0\5"):
            client.sendto(b"\0\5\0\0enough\0", peer)
        return answer


@pytest.fixture(scope="module")
def served_root(daemon):
    """The directory that phones of one plugin are served from, with secrets around it."""
    assert boot(daemon, "00:15:65:00:00:01", "127.0.0.2").status == 200
    plugin = daemon.state / "plugins" / daemon.device(mac="00:15:65:00:00:01")["plugin"]
    root = plugin / "var" / "tftpboot"
    for path in (
        plugin / "secret.txt",
        plugin / "var" / "secret.txt",
        daemon.state / "secret.txt",
        daemon.state / "plugins" / "secret.txt",
    ):
        path.write_text(SECRET)
    sibling = root.with_name("tftpboot-other")
    sibling.mkdir()
    (sibling / "secret.txt").write_text(SECRET)
    (root / "folder").mkdir()
    (root / "plain.txt").write_text("for all")
    return root


UPS = [
    b"..",
    b"%2e%2e",
    b"%2E.",
    b".%2e",
    b"..%2f..",
    b"%2e%2e%2f%2e%2e",
    b"..\\..",
    b"..%5c..",
    b"%c0%ae%c0%ae",
    b"%252e%252e",
    b"..%00",
    b"folder/../..",
    b"folder%2f..%2f..",
]


@pytest.mark.parametrize("up", UPS)
def test_no_http_path_leaves_the_served_root(daemon, served_root, up):
    agent = b"User-Agent: " + AGENT.format(mac="00:15:65:00:00:01").encode()
    with no_traceback_in_log(daemon):
        for prefix in (b"/", b"//", b"/folder/", b"/./"):
            for tail in (b"secret.txt", b"tftpboot-other/secret.txt", b"etc/passwd"):
                for times in (1, 2, 3, 6):
                    target = prefix + b"/".join([up] * times) + b"/" + tail
                    answer = get(daemon, target, agent, source="127.0.0.2")
                    assert status_of(answer) in {400, 403, 404}, (target, answer)
                    assert SECRET.encode() not in answer
                    assert b"root:" not in answer
    check_alive(daemon)


def test_absolute_names_do_not_leave_the_served_root(daemon, served_root):
    agent = b"User-Agent: " + AGENT.format(mac="00:15:65:00:00:01").encode()
    secret = str(daemon.state / "secret.txt").encode()
    for target in (
        secret,
        b"/" + secret,
        b"/" + secret.replace(b"/", b"%2f"),
        b"file://" + secret,
        b"http://127.0.0.1" + secret,
    ):
        answer = get(daemon, target, agent, source="127.0.0.2")
        assert status_of(answer) in {400, 404}, (target, answer)
        assert SECRET.encode() not in answer


ODD_TARGETS = [
    b"/%00",
    b"/plain.txt%00",
    b"/%00/plain.txt",
    b"/plain.txt%00.cfg",
    b"/\xff\xfe",
    b"/\xc3\xa9.cfg",
    b"/%ff%fe",
    b"/%c3%a9.cfg",
    b"/" + b"a" * 8192,
    b"/" + b"a/" * 4096,
    b"/" + b"%41" * 2700,
    b"/%",
    b"/%zz",
    b"/%0d%0aX-Injected:%20yes",
    b"/a%0ab",
    b"/?",
    b"/?" + b"a=b&" * 2000,
    b"/;;;;",
    b"*",
    b"relative",
    b"/plain.txt/",
    b"/plain.txt/more",
    b"/folder",
    b"/folder/",
    b"/" + b"/" * 8000,
]


@pytest.mark.parametrize("target", ODD_TARGETS, ids=range(len(ODD_TARGETS)))
def test_odd_http_targets_get_an_ordinary_refusal(daemon, served_root, target):
    agent = b"User-Agent: " + AGENT.format(mac="00:15:65:00:00:01").encode()
    with no_traceback_in_log(daemon):
        answer = get(daemon, target, agent, source="127.0.0.2")
        assert status_of(answer) in {302, 400, 403, 404, 405, 414}, answer[:300]
        assert b"X-Injected" not in answer.partition(b"\r\n\r\n")[0]
        assert b"Traceback" not in answer
        if status_of(answer) == 302:
            assert target == b"/folder"
    check_alive(daemon)


@pytest.mark.parametrize(
    "agent",
    [
        b"",
        b"\xff\xfe\xfd",
        "Yealink SIP-T46S 66.86.0.15 é".encode(),
        b"Yealink " * 500,
        b"Yealink SIP-T46S 66.86.0.15 " + b"0" * 4000,
        b"Yealink SIP-" + b"(" * 3000,
        b"Yealink SIP-T46S ../../../etc 00:15:65:00:0f:01",
        b"Yealink SIP-../../x 66.86.0.15 00:15:65:00:0f:02",
        b"Yealink SIP-T46S 66.86.0.15 ../../../../etc/passwd",
        b"Yealink SIP-T46S\x01\x02\x1b[31m 66.86.0.15 00:15:65:00:0f:03",
        b"{{ 7*7 }} {% raise %}",
        b"$where: 1",
        b"' OR 1=1 --",
    ],
    ids=range(13),
)
def test_odd_user_agents_are_answered(daemon, served_root, agent):
    with no_traceback_in_log(daemon):
        for target in (b"/x.cfg", b"/001565000f09.cfg", b"/y000000000066.cfg"):
            answer = get(daemon, target, b"User-Agent: " + agent, source="127.0.0.9")
            assert status_of(answer) in {200, 400, 404}, answer[:300]
            assert b"Traceback" not in answer
    check_alive(daemon)
    assert not (daemon.state / "plugins" / "etc").exists()


GARBAGE = [
    b"",
    b"\r\n" * 100,
    b"\0" * 1000,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 6\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
    b"GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=-\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nRange: bytes="
    + b"0-1," * 3000
    + b"5-6\r\nConnection: close\r\n\r\n",
    (
        b"POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Type: multipart/form-data\r\nContent-Length: 3\r\n\r\nabc"
    ),
    (
        b"POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 6\r\n\r\n\xff\xfe=%ff"
    ),
]


@pytest.mark.parametrize("port_name", ["http_port", "rest_port"])
@pytest.mark.parametrize("data", GARBAGE, ids=range(len(GARBAGE)))
def test_garbage_on_a_tcp_port_ends_in_a_status_or_a_closed_connection(daemon, data, port_name):
    answer = raw_http(getattr(daemon, port_name), data, seconds=0.5)
    assert answer == b"" or 400 <= status_of(answer) < 500, answer[:300]
    assert b"Traceback" not in answer
    check_alive(daemon)


def test_ranges_are_served_as_static_files_are_and_bad_ones_refused(daemon, served_root):
    agent = b"User-Agent: " + AGENT.format(mac="00:15:65:00:00:01").encode()
    for value, status in (
        (b"bytes=0-2", 206),
        (b"bytes=-3", 206),
        (b"bytes=100-", 416),
        (b"bytes=3-1", 200),
        (b"chapters=1", 200),
        (b"bytes=" + b"0-1," * 500 + b"2-3", 206),
    ):
        with no_traceback_in_log(daemon):
            answer = get(daemon, b"/plain.txt", agent, b"Range: " + value, source="127.0.0.2")
        assert status_of(answer) in {status, 416, 400}, (value, answer[:200])
        assert len(answer) < 200_000
    check_alive(daemon)


def test_a_body_of_100_mb_is_refused_without_being_taken(daemon):
    head = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\n"
    with socket.create_connection(("127.0.0.1", daemon.http_port), 5) as connection:
        connection.settimeout(5)
        connection.sendall(head)
        sent = 0
        with contextlib.suppress(ConnectionError, TimeoutError):
            while sent < 104857600:
                sent += connection.send(bytes(65536))
        assert sent < 20_000_000
    answer = raw_http(daemon.http_port, head, seconds=2)
    assert status_of(answer) == 413, answer
    check_alive(daemon)


def test_a_chunked_body_without_end_is_cut(daemon):
    with socket.create_connection(("127.0.0.1", daemon.http_port), 5) as connection:
        connection.settimeout(5)
        connection.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError, TimeoutError):
            while sent < 50_000_000:
                connection.sendall(b"10000\r\n" + bytes(65536) + b"\r\n")
                sent += 65536
        assert sent < 20_000_000
    check_alive(daemon)


JSON_BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"{" * 100_000,
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"device": null}',
    b'{"device": []}',
    b'{"device": {"id": []}}',
    b'{"device": {"id": "../x"}}',
    b'{"device": {"id": "a/b"}}',
    b'{"device": {"mac": 5}}',
    b'{"device": {"mac": "zz"}}',
    b'{"device": {"ip": {}}}',
    b'{"device": {"x": NaN}}',
    b'{"device": {"x": 1e999}}',
    b'{"device": {"x": "\\ud800"}}',
    b'{"device": {"\\ud800": 1}}',
    b'{"device": {"x": "\\u0000"}}',
    b"\xff\xfe\x00",
    b'{"device": {"x": ' + b"9" * 5000 + b"}}",
    b'\xef\xbb\xbf{"device": {}}',
    b'{"device": {"plugin": {}, "config": []}}',
    b'{"device": {"options": ' + b"[" * 500 + b"]" * 500 + b"}}",
]


@pytest.mark.parametrize("body", JSON_BODIES, ids=range(len(JSON_BODIES)))
def test_hostile_json_is_refused_or_stored_whole(daemon, body):
    with no_traceback_in_log(daemon):
        answer = daemon.rest("POST", "/dev_mgr/devices", body=body)
        assert answer.status in {201, 400}, answer
        if answer.status == 201:
            assert daemon.delete(f"/dev_mgr/devices/{answer.json['id']}").status == 204
        body = body.replace(b'"device"', b'"config"')
        answer = daemon.rest("POST", "/cfg_mgr/configs", body=body)
        assert answer.status in {201, 400}, answer
        if answer.status == 201:
            assert daemon.delete(f"/cfg_mgr/configs/{answer.json['id']}").status == 204
        for what in ("devices", "configs"):
            collection = "dev_mgr" if what == "devices" else "cfg_mgr"
            assert daemon.get(f"/{collection}/{what}").status == 200
    check_alive(daemon)


@pytest.mark.parametrize(
    "selector",
    [b"[]", b"5", b'{"mac": {"$where": "1"}}', b'{"a": {"$gt": {}}}', b'{"mac": {"$in": 5}}',
     b'{"a.b.c.d.e": 1}', b'{"": ""}', b'{"x": {"$regex": "(a+)+$"}}', b'{"id": {"$in": [' + b'"a",' * 1500 + b'"b"]}}', b'{"id": "\\ud800"}', b'{"mac": "\\u0000"}'],
    ids=range(11),
)  # fmt: skip
def test_hostile_selectors_are_refused_or_find_nothing(daemon, selector):
    with no_traceback_in_log(daemon):
        answer = daemon.get("/dev_mgr/devices", q=selector)
        assert answer.status in {200, 400}, answer
        if answer.status == 200:
            assert answer.json == {"devices": []}
    check_alive(daemon)


@pytest.mark.parametrize("selector", [b"{", b"[" * 5000, b'{"a":' * 1000, b"\xff"], ids=range(4))
def test_a_selector_that_is_not_json_is_ignored(daemon, selector):
    with no_traceback_in_log(daemon):
        assert daemon.get("/dev_mgr/devices", q=selector).status == 200
    check_alive(daemon)


def test_rest_paths_do_not_reach_files(daemon):
    token = {"X-Auth-Token": daemon.token}
    with no_traceback_in_log(daemon):
        for path in (
            "/0.2/pg_mgr/plugins/..%2f..",
            "/0.2/pg_mgr/plugins/../..",
            "/0.2/cfg_mgr/configs/%00",
            "/0.2/dev_mgr/devices/%ff",
            "/0.2/dev_mgr/devices/" + "a" * 8000,
            "/0.2/%c3%28",
            "/0.2/pg_mgr/plugins/%2e%2e/info",
            "/0.2/pg_mgr/plugins/.hidden",
        ):
            for method in ("GET", "DELETE"):
                answer = http_request(daemon.rest_port, method, path, None, token)
                assert answer.status in {400, 404, 405}, (method, path, answer)
        for plugin_id in (
            "..",
            "../..",
            "/etc",
            ".",
            "",
            "a\0b",
            "é",
            "a" * 5000,
            ".x",
            "plugins.db",
        ):
            for service in ("install", "uninstall", "upgrade", "reload"):
                path = f"/pg_mgr/install/{service}" if service != "reload" else "/pg_mgr/reload"
                answer = daemon.post(path, {"id": plugin_id})
                assert answer.status in {400, 404}, (service, plugin_id, answer)
    assert (daemon.state / "plugins").is_dir()
    check_alive(daemon)


# TFTP


TFTP_NAMES = [
    b"../secret.txt",
    b"../../secret.txt",
    b"../tftpboot-other/secret.txt",
    b"/../secret.txt",
    b"folder/../../secret.txt",
    b"/etc/passwd",
    b"../../../../../../../../etc/passwd",
    b"..\\secret.txt",
    b"\xff\xfe",
    b"\xc3\xa9.cfg",
    b"a" * 1900,
    b".",
    b"..",
    b"/",
    b"",
    b"folder",
    b"a\nb",
    b"\x1b[31m",
    b"%2e%2e/secret.txt",
    b"./../secret.txt",
    b"plain.txt/..",
    b"~root/.profile",
]


@pytest.mark.parametrize("name", TFTP_NAMES, ids=range(len(TFTP_NAMES)))
def test_hostile_tftp_names_get_an_error_packet(daemon, served_root, name):
    device = daemon.device(mac="00:15:65:00:00:01")
    known = daemon.put(
        f"/dev_mgr/devices/{device['id']}", {"device": {**device, "ip": TFTP_CLIENT}}
    )
    assert known.status == 204
    with no_traceback_in_log(daemon):
        answer = tftp_answer(daemon, tftp_request(name))
    assert answer is not None
    assert answer[:2] == b"\0\5", answer
    assert answer[2:4] in {b"\0\0", b"\0\1"}
    assert answer.endswith(b"\0")
    check_alive(daemon)


@pytest.mark.parametrize("size", [100, 1_000_000], ids=["kept in memory", "streamed"])
def test_tftp_follows_links_inside_the_plugin_only(daemon, served_root, size):
    device = daemon.device(mac="00:15:65:00:00:01")
    daemon.put(f"/dev_mgr/devices/{device['id']}", {"device": {**device, "ip": TFTP_CLIENT}})
    plugin = served_root.parent.parent
    outside = daemon.state / f"outside-{size}.bin"
    outside.write_bytes(b"o" * size)
    own = plugin / f"own-{size}.bin"
    own.write_bytes(b"i" * size)
    (served_root / f"out-{size}").symlink_to(outside)
    (served_root / f"in-{size}").symlink_to(own)
    (served_root / f"folder-out-{size}").symlink_to(daemon.state)
    with no_traceback_in_log(daemon):
        for name in (f"out-{size}", f"folder-out-{size}/{outside.name}"):
            for _ in range(2):
                answer = tftp_answer(daemon, tftp_request(name.encode()))
                assert answer == b"\0\5\0\1File not found\0"
        answer = tftp_answer(daemon, tftp_request(f"in-{size}".encode()))
    assert answer[:5] == b"\0\3\0\1i"


def test_the_served_file_itself_is_there_over_tftp(daemon, served_root):
    device = daemon.device(mac="00:15:65:00:00:01")
    daemon.put(f"/dev_mgr/devices/{device['id']}", {"device": {**device, "ip": TFTP_CLIENT}})
    assert tftp_answer(daemon, tftp_request(b"plain.txt")) == b"\0\3\0\1for all"


def garbage(random_source):
    kind = random_source.randrange(6)
    noise = random_source.randbytes(random_source.randrange(600))
    if kind == 0:
        return noise
    if kind == 1:
        return b"\0" + bytes([random_source.randrange(10)]) + noise
    if kind == 2:
        return tftp_request(noise.replace(b"\0", b""))
    if kind == 3:
        return tftp_request(b"x", noise.replace(b"\0", b"")[:20])
    if kind == 4:
        return tftp_request(b"x", blksize=random_source.randrange(-5, 99999), tsize="x", timeout=-1)
    return struct.pack("!HH", random_source.randrange(9), random_source.randrange(65536)) + noise


def test_a_storm_of_tftp_garbage_leaves_phones_and_descriptors_alone(daemon, served_root):
    check_alive(daemon)
    start_of_log = len(daemon.log)
    before = descriptors(daemon.process)
    source = random.Random(1)
    stop = threading.Event()

    def storm():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind(("127.0.0.66", 0))
            for _ in range(4000):
                if stop.is_set():
                    return
                client.sendto(garbage(source), ("127.0.0.1", daemon.tftp_port))
                time.sleep(0.0005)

    attacker = threading.Thread(target=storm)
    attacker.start()
    try:
        slowest = 0.0
        for number in range(30):
            mac = f"00:15:65:01:00:{number:02x}"
            started = time.monotonic()
            assert boot(daemon, mac, f"127.0.1.{number + 1}").status == 200
            slowest = max(slowest, time.monotonic() - started)
            answer = tftp_answer(daemon, tftp_request(b"001565000001.cfg"))
            assert answer is not None
            assert answer.startswith(b"\0\3\0\1")
    finally:
        stop.set()
        attacker.join()
    assert slowest < 2
    assert "Traceback" not in daemon.log[start_of_log:]
    daemon.wait_for(
        lambda: daemon.get("/status").json["tftp"]["active"] == 0, "the end of transfers", 60
    )
    daemon.wait_for(lambda: descriptors(daemon.process) <= before + 2, "the release of sockets", 20)


def test_log_lines_cannot_be_forged(daemon, served_root):
    forged = b"x\n[2020-01-01 00:00:00,000] New device created automatically from 192.0.2.66: y"
    tftp_answer(daemon, tftp_request(forged))
    get(
        daemon,
        b"/x%0a[2020-01-01%2000:00:00,000]%20Sensitive%20file%20requested%20from%20192.0.2.66:%20y",
        b"User-Agent: " + AGENT.format(mac="00:15:65:00:00:01").encode(),
        source="127.0.0.2",
    )
    check_alive(daemon)
    for text in (daemon.log, daemon.security_log.read_text()):
        assert not re.search(r"^\[?2020-01-01", text, re.MULTILINE)
        assert not re.search(
            r"^.*from 192\.0\.2\.66: y$", daemon.security_log.read_text(), re.MULTILINE
        )


# Connections


def test_slow_and_idle_connections_keep_no_phone_waiting(daemon, served_root):
    check_alive(daemon)
    before = descriptors(daemon.process)
    connections = []
    try:
        for number in range(2000):
            connection = socket.create_connection(
                ("127.0.0.1", daemon.http_port), 5, (f"127.0.2.{number % 200 + 1}", 0)
            )
            connections.append(connection)
            if number % 2:
                connection.sendall(b"GET /x HTTP/1.1\r\nHost: ")
        slow = connections[:200]
        for letter in b"slowly":
            for connection in slow:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(bytes([letter]))
            started = time.monotonic()
            check_alive(daemon)
            assert time.monotonic() - started < 2
        assert daemon.tftp_get("001565000001.cfg", daemon.state / "got").returncode == 0
    finally:
        for connection in connections:
            connection.close()
    daemon.wait_for(
        lambda: descriptors(daemon.process) <= before + 5, "the release of connections", 20
    )


def test_a_request_that_never_ends_is_cut_though_it_trickles(make_daemon):
    running = make_daemon(plugins=None).start()
    # As many lines as a head may have, each in time, would hold a connection for hours.
    with socket.create_connection(("127.0.0.1", running.http_port), 5) as connection:
        connection.sendall(b"GET /x HTTP/1.1\r\n")
        ended = time.monotonic() + 40
        cut = False
        while time.monotonic() < ended and not cut:
            try:
                connection.sendall(b"X: y\r\n")
                connection.settimeout(0.5)
                cut = connection.recv(10) == b""
            except TimeoutError:
                continue
            except ConnectionError:
                cut = True
        assert cut
    assert running.get("/status").status == 200


@contextlib.contextmanager
def writes_wait(daemon):
    """Hold the database's lock, so that writes wait, for less than the time after which they fail."""
    with contextlib.closing(
        sqlite3.connect(daemon.state / "provd.db", isolation_level=None)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def send_and_leave(port, request, source="127.0.0.1", *, after):
    with socket.create_connection(("127.0.0.1", port), 5, (source, 0)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(request.encode())
        time.sleep(after)


def test_a_phone_that_leaves_while_it_is_created_is_created_once(daemon, served_root):
    """Its device is stored after it left; its next request must find that one."""
    mac = "00:15:65:02:00:01"
    head = (
        f"GET /001565020001.cfg HTTP/1.1\r\nHost: x\r\nUser-Agent: {AGENT.format(mac=mac)}\r\n\r\n"
    )
    with writes_wait(daemon):
        send_and_leave(daemon.http_port, head, "127.0.3.1", after=0.3)
        time.sleep(0.2)
    daemon.wait_for(lambda: daemon.devices(mac=mac), "the creation of the device", 10)
    assert boot(daemon, mac, "127.0.3.1").status == 200
    assert len(daemon.devices(mac=mac)) == 1


def test_phones_that_leave_at_any_moment_are_created_once(daemon, served_root):
    for number in range(40):
        mac = f"00:15:65:02:01:{number:02x}"
        name = mac.replace(":", "")
        head = f"GET /{name}.cfg HTTP/1.1\r\nHost: x\r\nUser-Agent: {AGENT.format(mac=mac)}\r\n\r\n"
        send_and_leave(
            daemon.http_port, head, f"127.0.3.{number + 2}", after=0.0005 * (number % 12)
        )
        assert boot(daemon, mac, f"127.0.3.{number + 2}").status == 200
        assert len(daemon.devices(mac=mac)) == 1, mac


def test_a_client_that_leaves_during_a_change_leaves_nothing_stale(daemon, served_root):
    device = daemon.device(mac="00:15:65:00:00:01")
    path = f"/dev_mgr/devices/{device['id']}"
    body = json.dumps({"device": {**device, "description": "changed by one who left"}})
    head = (
        f"PUT /0.2{path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {daemon.token}\r\n"
        f"Content-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with writes_wait(daemon):
        send_and_leave(daemon.rest_port, head + body, after=0.3)
        time.sleep(0.2)
    daemon.wait_for(  # a search asks the store
        lambda: "description" in daemon.device(mac="00:15:65:00:00:01"), "the change", 10
    )
    shown = daemon.get(path).json["device"]  # a look-up by id may be remembered
    assert shown == daemon.device(mac="00:15:65:00:00:01")


# Who asks: X-Forwarded-For


@pytest.fixture(scope="module")
def behind_two(tmp_path_factory):
    running = Daemon(
        tmp_path_factory.mktemp("two"), {"general": {"http_proxied_trusted_proxies_count": 2}}
    ).start()
    yield running
    running.stop()


def forwarded(daemon, mac, *values):
    lines = [b"X-Forwarded-For: " + value for value in values]
    target = f"/{mac.replace(':', '')}.cfg".encode()
    agent = b"User-Agent: " + AGENT.format(mac=mac).encode()
    head = [b"GET " + target + b" HTTP/1.1", b"Host: x", b"Connection: close", agent, *lines]
    return raw_http(daemon.proxied_port, b"\r\n".join(head) + b"\r\n\r\n")


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ([b"10.0.0.7"], "10.0.0.7"),
        ([b"evil, 10.0.0.8"], "10.0.0.8"),
        ([b" 192.0.2.1 ,10.0.0.9 "], "10.0.0.9"),
        ([b"192.0.2.1", b"10.0.0.10"], "10.0.0.10"),
    ],
)
def test_the_last_trusted_entry_is_the_client(daemon, values, address):
    mac = f"00:15:65:03:00:{int(address.rpartition('.')[2]):02x}"
    assert status_of(forwarded(daemon, mac, *values)) == 200
    assert daemon.device(mac=mac)["ip"] == address


@pytest.mark.parametrize(
    ("values", "statuses"),
    [
        ([], {500}),
        ([b""], {500}),
        ([b" , ,"], {400, 500}),
        ([b"evil"], {400}),
        ([b"10.0.0.1, evil"], {400}),
        ([b"::1"], {400}),
        ([b"10.0.0.256"], {400}),
        ([b"10.0.0.1:80"], {400}),
        ([b"\xff"], {400}),
        ([b"010.0.0.1"], {400}),
        ([b"10.0.0.1,"], {400}),
        ([b"1" * 5000], {400}),
    ],
)
def test_a_request_whose_client_cannot_be_told_is_refused(daemon, values, statuses):
    mac = "00:15:65:03:01:00"
    with no_traceback_in_log(daemon):
        answer = forwarded(daemon, mac, *values)
    assert status_of(answer) in statuses
    assert daemon.devices(mac=mac) == []


def test_of_two_trusted_proxies_the_one_before_the_last_names_the_client(behind_two):
    mac = "00:15:65:03:02:00"
    assert status_of(forwarded(behind_two, mac, b"evil, 10.0.0.7, 192.0.2.1")) == 200
    assert behind_two.device(mac=mac)["ip"] == "10.0.0.7"
    assert status_of(forwarded(behind_two, "00:15:65:03:02:01", b"10.0.0.7")) == 400
    assert behind_two.devices(mac="00:15:65:03:02:01") == []


def test_the_header_is_ignored_where_there_is_no_proxy(daemon):
    mac = "00:15:65:03:03:00"
    answer = daemon.phone(
        "/001565030300.cfg",
        AGENT.format(mac=mac),
        "127.0.4.1",
        headers={"X-Forwarded-For": "10.9.9.9"},
    )
    assert answer.status == 200
    assert daemon.device(mac=mac)["ip"] == "127.0.4.1"


# Provisioning keys


KEY, OTHER_KEY = "main-tenant-key", "other~tenant$key"


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """A daemon with url_key, two tenants with keys, and a device of each."""
    running = Daemon(
        tmp_path_factory.mktemp("keyed"),
        {
            "general": {"http_auth_strategy": "url_key", "tftp_with_url_key": False},
            "tenants": {OTHER_TENANT: {"provisioning_key": OTHER_KEY}},
        },
    ).start()
    assert running.put("/configure/provisioning_key", {"param": {"value": KEY}}).status == 204
    yield running
    running.stop()


def keyed_boot(daemon, key, mac, source, name=None, **headers):
    name = name or f"{mac.replace(':', '')}.cfg"
    return daemon.phone(f"/{key}/{name}", AGENT.format(mac=mac), source, headers=headers)


def claim(daemon, mac):
    """Move an unclaimed device to the other tenant, as that tenant's operator does."""
    device = any_device(daemon, mac)
    answer = daemon.put(
        f"/dev_mgr/devices/{device['id']}",
        {"device": device},
        headers={"Wazo-Tenant": OTHER_TENANT},
    )
    assert answer.status == 204, answer
    assert any_device(daemon, mac)["tenant_uuid"] == OTHER_TENANT


def any_device(daemon, mac):
    """Return the device of that MAC, whatever its tenant."""
    found = daemon.get("/dev_mgr/devices", q=json.dumps({"mac": mac}), recurse="true").json[
        "devices"
    ]
    assert len(found) == 1, found
    return found[0]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/001565040001.cfg",
        "/wrong-key/001565040001.cfg",
        f"/{KEY}x/001565040001.cfg",
        f"/{KEY.upper()}/001565040001.cfg",
        f"//{KEY}/001565040001.cfg",
        "/%00/x",
        "/%ff/x",
        f"/x/{KEY}/y",
    ],
)
def test_without_a_key_nothing_is_served_and_nobody_created(keyed, path):
    with no_traceback_in_log(keyed):
        answer = keyed.phone(path, AGENT.format(mac="00:15:65:04:00:01"), "127.0.5.1")
    assert answer.status == 404
    assert keyed.devices(mac="00:15:65:04:00:01") == []


def test_an_unclaimed_phone_boots_with_any_key_and_gets_it_in_its_file(keyed):
    mac = "00:15:65:04:00:02"
    assert keyed_boot(keyed, KEY, mac, "127.0.5.2").status == 200
    assert keyed_boot(keyed, OTHER_KEY, mac, "127.0.5.2").status == 200
    assert keyed.device(mac=mac)["is_new"] is True


def test_a_claimed_phone_boots_with_its_tenants_key_only(keyed):
    mac = "00:15:65:04:00:03"
    assert keyed_boot(keyed, KEY, mac, "127.0.5.3").status == 200
    claim(keyed, mac)
    assert keyed_boot(keyed, KEY, mac, "127.0.5.3").status == 404
    answer = keyed_boot(keyed, OTHER_KEY, mac, "127.0.5.3")
    assert answer.status == 200
    assert OTHER_KEY in answer.text
    assert KEY not in answer.text


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-"}, {"If-None-Match": "x"}])
@pytest.mark.parametrize("prefix", ["", "/", "./", "x/../"])
def test_a_key_does_not_open_the_file_of_another_tenants_phone(keyed, headers, prefix):
    """The phone that asks is one of ours; the file is another tenant's."""
    victim, mine = "00:15:65:04:01:01", "00:15:65:04:01:02"
    assert keyed_boot(keyed, OTHER_KEY, victim, "127.0.6.1").status == 200
    if any_device(keyed, victim)["is_new"]:
        claim(keyed, victim)
    assert keyed_boot(keyed, OTHER_KEY, victim, "127.0.6.1").status == 200
    assert keyed_boot(keyed, KEY, mine, "127.0.6.2").status == 200
    answer = keyed_boot(keyed, KEY, mine, "127.0.6.2", f"{prefix}001565040101.cfg", **headers)
    assert answer.status == 404, answer
    assert keyed_boot(keyed, OTHER_KEY, victim, "127.0.6.1").status == 200


def test_keys_are_not_logged(keyed):
    keyed_boot(keyed, KEY, "00:15:65:04:00:05", "127.0.5.5")
    keyed_boot(keyed, OTHER_KEY, "00:15:65:04:00:05", "127.0.5.5", "nothing-there")
    for text in (keyed.log, keyed.security_log.read_text()):
        assert KEY not in text
        assert OTHER_KEY not in text


def test_tftp_can_be_refused_where_keys_are_asked_for(keyed):
    assert keyed.get("/status").json["tftp"] is None
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", keyed.tftp_port))
        client.settimeout(2)
        client.send(tftp_request(b"x"))
        with pytest.raises(ConnectionRefusedError):
            client.recv(100)


def test_a_new_key_opens_and_the_old_one_does_not(keyed):
    mac = "00:15:65:04:00:06"
    assert keyed_boot(keyed, OTHER_KEY, mac, "127.0.5.6").status == 200
    new = "another-key-of-8"
    answer = keyed.put(
        "/configure/provisioning_key",
        {"param": {"value": new}},
        headers={"Wazo-Tenant": OTHER_TENANT},
    )
    assert answer.status == 204, answer
    try:
        assert keyed_boot(keyed, OTHER_KEY, mac, "127.0.5.6").status == 404
        assert keyed_boot(keyed, new, mac, "127.0.5.6").status == 200
    finally:
        keyed.put(
            "/configure/provisioning_key",
            {"param": {"value": OTHER_KEY}},
            headers={"Wazo-Tenant": OTHER_TENANT},
        )
