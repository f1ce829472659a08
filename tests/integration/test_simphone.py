"""The simulated phone against small servers, good and bad ones."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import itertools
import json
import os
import pathlib
import signal
import socket
import socketserver
import ssl
import struct
import subprocess
import sys
import threading
import time

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from provd.simphone import cli
from provd.simphone.boot import boot
from provd.simphone.models import find_model
from provd.simphone.phone import Phone, Target

ROOT = pathlib.Path(__file__).parents[2]
MAC = "00:15:65:12:34:56"
CONFIG = b"#!version:1.0.0.1\naccount.1.enable = 1\n" + b"# filling\n" * 200
T46S = ("boot", "--vendor", "yealink", "--model", "T46S", "--mac", MAC)


def response(body, status="200 OK", *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


NOT_FOUND = response(b"Nowhere to route this request.", "404 Not Found")


class HttpServer(socketserver.ThreadingTCPServer):
    """Answers each request with `answer(path)`; None keeps the phone waiting, b"" hangs up.

    An answer that is no bytes but an iterable of them is sent piece by piece, slowly.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answer):
        self.answer = answer
        self.requests = []
        self.connections = 0
        self.stopping = threading.Event()
        super().__init__(("127.0.0.1", 0), _HttpHandler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _HttpHandler(socketserver.StreamRequestHandler):
    def handle(self):
        self.server.connections += 1
        with contextlib.suppress(OSError):
            self._answer_all()

    def _answer_all(self):
        while line := self.rfile.readline():
            head = [line, *iter(self.rfile.readline, b"\r\n")]
            method, path, _ = line.decode().split(" ")
            headers = {}
            for text in head[1:]:
                name, _, value = text.decode("latin-1").partition(": ")
                headers[name] = value.rstrip("\r\n")
            body = self.rfile.read(int(headers.get("Content-Length", 0)))
            self.server.requests.append((self.client_address[0], method, path, headers, body))
            answer = self.server.answer(path)
            if answer is None:
                self.server.stopping.wait(30)
                return
            if not isinstance(answer, bytes):
                for piece in answer:
                    self.wfile.write(piece)
                    self.server.stopping.wait(0.01)
                return
            self.wfile.write(answer)
            if not answer or b"Connection: close" in answer or b"Content-Length" not in answer:
                return


@pytest.fixture
def serve_http():
    servers = []

    def serve(answer):
        server = HttpServer(answer)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        servers.append((server, thread))
        return server

    yield serve
    for server, thread in servers:
        server.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


class TftpServer:
    """A lock-step TFTP server that can lose or double its packets."""

    def __init__(self, files, *, lose=(), double=False, options=True, silent=False):
        self.files = files
        self.lose = set(lose)
        self.double = double
        self.options = options
        self.silent = silent
        self.requests = []
        self.sent = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def address(self):
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def stop(self):
        self._stopping.set()
        self._thread.join()
        self._socket.close()

    def _run(self):
        threads = []
        while not self._stopping.is_set():
            try:
                packet, peer = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            fields = packet[2:].split(b"\0")[:-1]
            self.requests.append((peer[0], [field.decode() for field in fields]))
            if not self.silent:
                threads.append(threading.Thread(target=self._transfer, args=(fields, peer)))
                threads[-1].start()
        for thread in threads:
            thread.join()

    def _transfer(self, fields, peer):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(0.1)
            content = self.files.get(fields[0].decode())
            if content is None:
                self._send(sock, b"\0\x05\0\x01File not found\0", peer)
                return
            asked = dict(zip(fields[2::2], fields[3::2], strict=True))
            size = 512
            if asked and self.options:
                size = int(asked.get(b"blksize", 512))
                if b"tsize" in asked:
                    asked[b"tsize"] = b"%d" % len(content)
                oack = b"\0\x06" + b"".join(k + b"\0" + v + b"\0" for k, v in asked.items())
                if not self._send_until_acknowledged(sock, oack, 0, peer):
                    return
            for number, at in enumerate(range(0, len(content) + 1, size), 1):
                packet = struct.pack("!HH", 3, number & 0xFFFF) + content[at : at + size]
                if not self._send_until_acknowledged(sock, packet, number & 0xFFFF, peer):
                    return

    def _send_until_acknowledged(self, sock, packet, number, peer):
        for _ in range(20):
            self._send(sock, packet, peer)
            deadline = time.monotonic() + 0.1
            while time.monotonic() < deadline:
                try:
                    answer, _ = sock.recvfrom(2048)
                except TimeoutError:
                    break
                if answer[:2] == b"\0\x05":
                    return False
                if answer[:4] == struct.pack("!HH", 4, number):
                    return True
        return False

    def _send(self, sock, packet, peer):
        self.sent += 1
        if self.sent not in self.lose:
            sock.sendto(packet, peer)
            if self.double:
                sock.sendto(packet, peer)


@pytest.fixture
def serve_tftp():
    servers = []

    def serve(files, **behaviour):
        server = TftpServer(files, **behaviour)
        servers.append(server)
        return server

    yield serve
    for server in servers:
        server.stop()


def only_device_file(body):
    return lambda path: response(body) if path == "/001565123456.cfg" else NOT_FOUND


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def test_a_phone_asks_for_its_files_in_order_and_prints_what_it_got(serve_http, capsys):
    server = serve_http(only_device_file(CONFIG))
    assert cli.main([*T46S, "--http", server.url, "--source-ip", "127.0.0.5"]) == 0
    assert [(ip, method, path) for ip, method, path, _, _ in server.requests] == [
        ("127.0.0.5", "GET", "/001565123456.boot"),
        ("127.0.0.5", "GET", "/y000000000000.boot"),
        ("127.0.0.5", "GET", "/y000000000066.cfg"),
        ("127.0.0.5", "GET", "/001565123456.cfg"),
    ]
    headers = server.requests[0][3]
    assert headers["User-Agent"] == f"Yealink SIP-T46S 66.86.0.15 {MAC}"
    assert headers["Host"] == server.url.removeprefix("http://")
    assert "X-Forwarded-For" not in headers
    # One connection for the whole boot.
    assert server.connections == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"Yealink T46S 66.86.0.15, {MAC} from 127.0.0.5, boots at {server.url}"
    assert out[4].startswith("* /001565123456.cfg ")
    assert "HTTP 200" in out[4]
    assert f"{len(CONFIG)} B" in out[4]
    assert out[5].startswith("boot ok: 4 requests")


def test_a_version_key_and_proxy_header_are_played_as_asked(serve_http, capsys):
    server = serve_http(lambda path: response(CONFIG) if path.endswith("56.cfg") else NOT_FOUND)
    options = ("--version", "28.80.0.5", "--key", "abc$~.-1", "--forwarded-for", "10.0.0.5")
    assert cli.main([*T46S, "--http", f"{server.url}/device", *options]) == 0
    assert [path for _, _, path, _, _ in server.requests] == [
        "/device/abc$~.-1/y000000000028.cfg",
        "/device/abc$~.-1/001565123456.cfg",
    ]
    headers = server.requests[0][3]
    assert headers["User-Agent"] == f"Yealink SIP-T46S 28.80.0.5 {MAC}"
    assert headers["X-Forwarded-For"] == "10.0.0.5"
    assert "abc$" not in capsys.readouterr().out


def test_a_connection_that_the_server_closes_each_time_is_opened_again(serve_http):
    closing = response(CONFIG, "200 OK", "Connection: close")
    server = serve_http(lambda _path: closing)
    assert cli.main([*T46S, "--http", server.url]) == 0
    assert server.connections == 4


def test_a_connection_that_died_while_idle_is_opened_again(serve_http):
    answers = iter([NOT_FOUND, b"", NOT_FOUND, NOT_FOUND, response(CONFIG)])
    server = serve_http(lambda _path: next(answers))
    assert cli.main([*T46S, "--http", server.url]) == 0
    assert server.connections == 2


def test_a_chunked_answer_and_one_until_close_are_read(serve_http):
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(CONFIG), CONFIG)
    )
    server = serve_http(lambda _path: chunked)
    assert cli.main([*T46S, "--http", server.url]) == 0
    server = serve_http(lambda _path: b"HTTP/1.0 200 OK\r\n\r\n" + CONFIG)
    assert cli.main([*T46S, "--http", server.url]) == 0


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (NOT_FOUND, "HTTP 404"),
        (response(b"oops", "500 Internal Server Error"), "HTTP 500"),
        (response(b"", "302 Found", "Location: /elsewhere"), "HTTP 302"),
        (response(b""), "empty"),
        (response(b"<html>login</html>"), "does not begin with #!version:"),
        (response(CONFIG)[:-10] + b"", "timeout"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 999\r\n\r\nhalf", "truncated"),
        (b"", "no answer"),
        (b"220 smtp.example ESMTP\r\n", "bad HTTP"),
        (None, "timeout"),
    ],
)
def test_a_required_file_that_is_not_got_fails_the_boot(serve_http, capsys, answer, failure):
    server = serve_http(lambda path: answer if path == "/001565123456.cfg" else NOT_FOUND)
    assert cli.main([*T46S, "--http", server.url, "--timeout", "0.3"]) == 1
    assert f"boot FAILED: {{mac}}.cfg: {failure}" in capsys.readouterr().out


def test_an_optional_file_that_fails_is_shown_and_does_not_fail_the_boot(serve_http, capsys):
    broken = response(b"", "500 Internal Server Error")
    server = serve_http(lambda path: broken if path.endswith(".boot") else response(CONFIG))
    assert cli.main([*T46S, "--http", server.url]) == 0
    assert "HTTP 500" in capsys.readouterr().out


def test_a_server_that_is_not_there_fails_the_boot(capsys):
    assert cli.main([*T46S, "--http", f"http://127.0.0.1:{free_port()}"]) == 1
    assert "connection refused" in capsys.readouterr().out


def test_an_address_that_is_not_ours_fails_the_boot(serve_http, capsys):
    server = serve_http(only_device_file(CONFIG))
    assert cli.main([*T46S, "--http", server.url, "--source-ip", "192.0.2.1"]) == 1
    assert "source address not usable here" in capsys.readouterr().out


def test_a_file_without_end_is_cut_off(serve_http):
    server = serve_http(only_device_file(b"#!version:" + b"x" * 100_000))
    target = attrs.evolve(Target.from_url(server.url), max_size=50_000)
    phone = Phone(find_model("yealink", "T46S"), mac=MAC)
    report = asyncio.run(boot(phone, target))
    assert report.failure == "{mac}.cfg: too large"


def test_a_server_that_drips_cannot_hold_a_phone(serve_http):
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n#!version:"
    server = serve_http(lambda _path: itertools.chain([head], itertools.repeat(b"#", 500)))
    target = attrs.evolve(Target.from_url(server.url), timeout=0.2)
    started = time.monotonic()
    report = asyncio.run(boot(Phone(find_model("yealink", "T20P"), mac=MAC), target))
    assert report.failure == "{mac}.cfg: timeout"
    assert report.steps[-1].size > 10
    assert time.monotonic() - started < 2


def test_a_soft_phone_posts_its_uuid(serve_http):
    server = serve_http(lambda _path: response(b"account=1\n"))
    argv = ["boot", "--vendor", "jitsi", "--model", "jitsi", "--mac", "020000000001"]
    assert cli.main([*argv, "--http", server.url]) == 0
    [(_, method, path, headers, body)] = server.requests
    assert (method, path) == ("POST", "/jitsi")
    assert body == b"uuid=00000000-0000-0000-0000-020000000001"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"


@pytest.fixture
def tls_context(tmp_path):
    """A server's context with a certificate that nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context


def test_a_certificate_must_be_trusted_unless_told_otherwise(serve_http, tls_context, capsys):
    server = serve_http(only_device_file(CONFIG))
    server.socket = tls_context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    assert cli.main([*T46S, "--http", url, "--insecure"]) == 0
    assert cli.main([*T46S, "--http", url]) == 1
    assert "{mac}.cfg: TLS failed" in capsys.readouterr().out


def test_files_are_saved_where_asked(serve_http, tmp_path):
    server = serve_http(only_device_file(CONFIG))
    assert cli.main([*T46S, "--http", server.url, "--save", str(tmp_path)]) == 0
    saved = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert saved == [tmp_path / "001565123456" / "001565123456.cfg"]
    assert saved[0].read_bytes() == CONFIG


def test_json_tells_all_about_a_boot(serve_http, capsys):
    server = serve_http(only_device_file(b""))
    assert cli.main([*T46S, "--http", server.url, "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["vendor"], told["model"], told["mac"]) == ("yealink", "T46S", MAC)
    assert told["ok"] is False
    assert told["failure"] == "{mac}.cfg: empty"
    assert [request["outcome"] for request in told["requests"]] == ["HTTP 404"] * 3 + ["HTTP 200"]
    assert told["requests"][3]["problem"] == "empty"
    assert told["requests"][3]["ms"] > 0


def test_a_phone_boots_over_tftp(serve_tftp, capsys):
    server = serve_tftp({"001565123456.cfg": CONFIG})
    assert cli.main([*T46S, "--tftp", server.address, "--source-ip", "127.0.0.6"]) == 0
    assert server.requests == [
        ("127.0.0.6", ["001565123456.boot", "octet"]),
        ("127.0.0.6", ["y000000000000.boot", "octet"]),
        ("127.0.0.6", ["y000000000066.cfg", "octet"]),
        ("127.0.0.6", ["001565123456.cfg", "octet"]),
    ]
    out = capsys.readouterr().out.splitlines()
    assert "TFTP error 1" in out[1]
    assert "File not found" in out[1]
    assert "TFTP ok" in out[4]
    assert f"{len(CONFIG)} B" in out[4]


@pytest.mark.parametrize("understood", [True, False])
def test_tftp_options_are_asked_for_and_may_be_refused(serve_tftp, understood):
    server = serve_tftp({"001565123456.cfg": CONFIG}, options=understood)
    options = ("--tftp-option", "blksize=1428", "--tftp-option", "tsize")
    assert cli.main([*T46S, "--tftp", server.address, *options]) == 0
    assert server.requests[3][1] == ["001565123456.cfg", "octet", "blksize", "1428", "tsize", "0"]


def test_a_required_file_that_tftp_does_not_have_fails_the_boot(serve_tftp, capsys):
    server = serve_tftp({})
    assert cli.main([*T46S, "--tftp", server.address]) == 1
    assert "boot FAILED: {mac}.cfg: TFTP error 1" in capsys.readouterr().out


def test_a_silent_tftp_server_is_asked_again_until_the_timeout(serve_tftp):
    server = serve_tftp({}, silent=True)
    target = attrs.evolve(Target.from_url(f"tftp://{server.address}"), timeout=0.5, retransmit=0.1)
    report = asyncio.run(boot(Phone(find_model("zenitel", "IP station"), mac=MAC), target))
    assert report.failure == "ipst_config_{mac_underscores}.cfg: timeout"
    asked = [fields[0] for _, fields in server.requests]
    assert asked.count("ipst_config_00_15_65_12_34_56.cfg") >= 3


@pytest.mark.parametrize(("lose", "double"), [((1, 2, 5, 6, 9), False), ((), True), ((3,), True)])
def test_lost_and_doubled_packets_do_not_harm_a_file(serve_tftp, tmp_path, lose, double):
    content = b"#!version:1.0.0.1\n" + os.urandom(5000)
    server = serve_tftp({"001565123456.cfg": content}, lose=lose, double=double)
    target = attrs.evolve(
        Target.from_url(f"tftp://{server.address}"),
        retransmit=0.15,
        save=str(tmp_path),
        tftp_options={"tsize": 0},
    )
    phone = Phone(find_model("yealink", "T46S"), mac=MAC, version="28.80.0.1")
    report = asyncio.run(boot(phone, target))
    assert report.failure is None
    assert (tmp_path / "001565123456" / "001565123456.cfg").read_bytes() == content
    # A doubled packet must not be doubled again by either side.
    assert server.sent <= len(content) // 512 + 4 + 2 * len(lose)


def test_a_fleet_boots_with_addresses_of_its_own_and_sums_up(serve_http, capsys):
    broken = "/0015650000"

    def answer(path):
        if not path.endswith(".cfg") or path.startswith("/y"):
            return NOT_FOUND
        return response(CONFIG, "503 Busy") if path == f"{broken}05.cfg" else response(CONFIG)

    server = serve_http(answer)
    argv = ["boot", "--mix", "yealink:T46S=2,yealink:T20P=1", "--mac", "001565000000"]
    assert cli.main([*argv, "--count", "30", "--http", server.url, "--concurrency", "8"]) == 1
    assert len({ip for ip, *_ in server.requests}) == 30
    assert all(ip.startswith("127.1.0.") for ip, *_ in server.requests)
    sent = [headers["User-Agent"] for _, _, path, headers, _ in server.requests if "/00156" in path]
    assert sum("T46S" in ua for ua in sent) == 2 * 20
    assert sum("T20P" in ua for ua in sent) == 10
    out = capsys.readouterr().out
    assert "phones    30, 1 failed" in out
    assert "1  {mac}.cfg: HTTP 503" in out
    assert "29  HTTP 200" in out
    assert f"requests  {len(server.requests)}, " in out


def test_a_fleet_over_tftp_as_json_lines(serve_tftp, capsys):
    files = {f"00156500000{n}.cfg": CONFIG for n in range(5)}
    server = serve_tftp(files)
    argv = ["boot", "--vendor", "yealink", "--model", "T20P", "--mac", "001565000000"]
    assert cli.main([*argv, "--tftp", server.address, "--count", "5", "--json"]) == 0
    *boots, last = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len({told["source_ip"] for told in boots}) == 5
    assert last["summary"]["phones"] == 5
    assert last["summary"]["outcomes"] == {"TFTP error 1": 5, "TFTP ok": 5}


def test_the_module_runs_as_a_command_and_tells_by_its_status(serve_http):
    server = serve_http(only_device_file(CONFIG))
    command = [sys.executable, "-m", "provd.simphone"]
    good = subprocess.run([*command, *T46S, "--http", server.url], cwd=ROOT, check=False)
    wrong = subprocess.run([*command, "boot"], cwd=ROOT, check=False, capture_output=True)
    assert (good.returncode, wrong.returncode) == (0, 2)
    assert b"--vendor" in wrong.stderr


def test_a_fleet_that_the_user_stops_still_sums_up(serve_http):
    server = serve_http(lambda path: None if path.endswith("3.cfg") else response(CONFIG))
    argv = ["boot", "--vendor", "yealink", "--model", "T20P", "--mac", "001565000000"]
    process = subprocess.Popen(
        [sys.executable, "-m", "provd.simphone", *argv, "--http", server.url, "--count", "4"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        # The first line of progress: three phones are done by then, and one waits.
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 130
    assert b"phones    3, 0 failed" in out
    assert b"Traceback" not in err
