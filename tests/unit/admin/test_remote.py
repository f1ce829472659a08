"""The verbs of provd-admin that ask over REST, against daemons that misbehave."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from provd.admin import cli, remote

BEGUN = (201, b"", "/0.2/dev_mgr/resynchronize/1")


def told(text):
    return (200, json.dumps({"status": text}).encode(), None)


class Server(ThreadingHTTPServer):
    """Gives the answers of a list, the last one again and again; notes what it was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = []
        self.requests = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.requests.append((self.command, self.path, body, dict(self.headers)))
        answers = self.server.answers
        status, content, location = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        if location is not None:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(remote, "_POLL_SECONDS", 0.001)
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def run(server, tmp_path, capsys):
    token_file = tmp_path / "token"
    token_file.write_text("t0ken\n")

    def run(verb, *arguments, prefix=""):
        url = f"http://127.0.0.1:{server.server_port}{prefix}"
        where = ["--rest", url, "--token-file", str(token_file)]
        status = remote.run(cli.parse([verb, *where, *arguments]))
        out, err = capsys.readouterr()
        return status, out, err

    return run


def test_the_body_has_what_the_command_line_says_and_no_more(server, run):
    server.answers = [BEGUN, told("progress;1/2"), told("success;2/2")]
    arguments = ["--plugin", "p", "--model", "m", "--config", "c", "--tenant", "t"]
    arguments += ["--selector", '{"a": 1}', "--per-second", "0.5", "--max-failures", "0"]
    assert run("resync", *arguments) == (0, "2 of 2 devices were told to reload\n", "")
    method, path, body, headers = server.requests[0]
    assert (method, path) == ("POST", "/0.2/dev_mgr/resynchronize")
    assert body == {
        "plugin": "p",
        "model": "m",
        "config": "c",
        "tenant_uuid": "t",
        "selector": {"a": 1},
        "per_second": 0.5,
        "max_failures": 0,
    }
    assert headers["X-Auth-Token"] == "t0ken"
    assert [request[0] for request in server.requests] == ["POST", "GET", "GET"]
    server.answers = [BEGUN, told("success;0")]
    run("resync", "--selector", "{}")
    assert server.requests[3][2] == {"selector": {}}


@pytest.mark.parametrize("prefix", ["/api/provd", "/api/provd/", "/api/provd/0.2/"])
def test_a_path_of_a_web_server_in_front_is_kept(server, run, prefix):
    server.answers = [BEGUN, told("success;1/1")]
    assert run("resync", "--model", "m", prefix=prefix)[0] == 0
    assert [request[1] for request in server.requests] == [
        "/api/provd/0.2/dev_mgr/resynchronize",
        "/api/provd/0.2/dev_mgr/resynchronize/1",
    ]


def test_a_daemon_that_is_busy_for_a_moment_is_asked_again(server, run):
    server.answers = [BEGUN, *[(503, b"the store", None)] * 20, told("success;1/1")]
    assert run("resync", "--model", "m")[0] == 0


def test_a_daemon_that_stays_away_is_given_up(server, run):
    server.answers = [BEGUN, (503, b"the store does not answer", None)]
    status, _, err = run("resync", "--model", "m")
    assert status == 1
    assert err == "provd-admin: the daemon answered 503: the store does not answer\n"


def test_an_operation_that_is_gone_is_a_failure(server, run):
    server.answers = [BEGUN, told("progress;1/9"), (404, b"No such resource", None)]
    status, out, err = run("resync", "--model", "m")
    assert (status, out) == (1, "")
    assert "the operation is gone" in err


def test_control_c_while_it_waits_forgets_the_operation(server, run, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    server.answers = [BEGUN, (204, b"", None)]
    monkeypatch.setattr(remote, "_watch", interrupted)
    assert run("resync", "--model", "m")[0] == 130
    assert server.requests[1][:2] == ("DELETE", "/0.2/dev_mgr/resynchronize/1")
    server.answers = [BEGUN, (401, b"Unauthorized", None)]
    status, _, err = run("resync", "--model", "m")
    assert status == 1
    assert "it is not stopped: the daemon answered 401" in err


@pytest.mark.parametrize(
    "answers",
    [
        [(200, b"<html>", None)],
        [(201, b"", None)],
        [(302, b"", "/login")],
        [BEGUN, (200, b"<html>", None)],
        [BEGUN, (200, b"[]", None)],
        [BEGUN, (200, b"{}", None)],
    ],
)
@pytest.mark.parametrize("verb", ["resync", "provision"])
def test_what_is_no_daemon_is_an_error_in_words(server, run, answers, verb):
    server.answers = list(answers)
    arguments = ["--model", "m"] if verb == "resync" else ["--code", "1", "--id", "d"]
    status, out, err = run(verb, *arguments)
    assert (status, out) == (1, "")
    assert err.startswith("provd-admin: ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["resync"],
        ["resync", "--per-second", "5"],
        ["resync", "--selector", "[]"],
        ["resync", "--selector", "{"],
        ["provision", "--code", "1"],
        ["provision", "--id", "d"],
        ["provision", "--code", "1", "--id", "d", "--ip", "10.0.0.1"],
    ],
)
def test_wrong_usage_has_status_2(run, arguments):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize("url", ["127.0.0.1:8666", "ftp://h", "http://", "http://h:x", "http://["])
def test_a_url_that_is_none_is_told(tmp_path, capsys, url):
    (tmp_path / "token").write_text("t")
    arguments = ["--rest", url, "--token-file", str(tmp_path / "token"), "--model", "m"]
    assert remote.run(cli.parse(["resync", *arguments])) == 1
    assert f"--rest {url}" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"a\r\nX: y", b"\xff", "ä".encode()])
def test_a_token_file_that_holds_no_token_is_told(server, run, tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    status, _, err = run("resync", "--model", "m", "--token-file", str(path))
    assert status == 1
    assert str(path) in err
    assert server.requests == []


def test_failures_are_counted_with_their_reasons_and_make_the_status_1(server, run):
    details = {
        "told": 4,
        "failed": 3,
        "confirmed": 1,
        "awaited": 3,
        "reasons": [{"reason": "it is not registered", "devices": 3, "example": "d7"}],
    }
    document = {"status": "fail;7/7", "reason": "3 of 7 devices failed", "details": details}
    server.answers = [BEGUN, (200, json.dumps(document).encode(), None)]
    status, out, _ = run("resync", "--model", "m")
    assert status == 1
    assert out.splitlines() == [
        "4 of 7 devices were told to reload",
        "  failed: 3",
        "  confirmed: 1 have fetched their files",
        "Problems",
        "  3 failed: it is not registered (such as d7)",
        "  3 of 7 devices failed",
    ]


def test_a_daemon_that_is_not_there_is_named(tmp_path, capsys):
    (tmp_path / "token").write_text("t")
    where = ["--rest", "http://127.0.0.1:1", "--token-file", str(tmp_path / "token")]
    assert remote.run(cli.parse(["resync", *where, "--model", "m"])) == 1
    assert capsys.readouterr().err == "provd-admin: http://127.0.0.1:1: Connection refused\n"


def test_a_token_file_that_is_missing_is_called_that(tmp_path, capsys):
    where = ["--rest", "http://127.0.0.1:1", "--token-file", str(tmp_path / "none")]
    assert remote.run(cli.parse(["resync", *where, "--model", "m"])) == 1
    error = f"the token file {tmp_path / 'none'} cannot be read: No such file or directory"
    assert capsys.readouterr().err == f"provd-admin: {error}\n"


SHARED = {
    "duplicates": [
        {"kind": "mac", "value": "00:00:00:00:00:01", "owner": "a", "others": ["b", "c"]},
        {"kind": "sn", "value": "7", "owner": "x", "others": ["y"]},
    ]
}


def answer(document):
    return (200, json.dumps(document).encode(), None)


def test_what_several_devices_share_is_listed(server, run):
    server.answers = [answer(SHARED)]
    status, out, _ = run("duplicates", "list")
    assert status == 0
    assert "2 identities are those of several devices" in out
    assert "mac 00:00:00:00:00:01: a; b, c" in out
    assert server.requests[0][:2] == ("GET", "/0.2/dev_mgr/duplicates")


def test_the_device_to_keep_keeps_what_the_others_lose(server, run):
    device = {"id": "?", "mac": "00:00:00:00:00:01", "sn": "5"}
    done = (204, b"", None)
    shown = answer({"device": device})
    server.answers = [answer(SHARED), shown, done, shown, done]
    status, out, _ = run("duplicates", "resolve", "--keep", "b")
    assert status == 0
    assert "device a: has no mac any more" in out
    assert [request[:3] for request in server.requests[1:]] == [
        ("GET", "/0.2/dev_mgr/devices/a", None),
        ("PUT", "/0.2/dev_mgr/devices/a", {"device": {"id": "?", "sn": "5"}}),
        ("GET", "/0.2/dev_mgr/devices/c", None),
        ("PUT", "/0.2/dev_mgr/devices/c", {"device": {"id": "?", "sn": "5"}}),
    ]


def test_the_others_are_deleted_where_that_is_asked_for(server, run):
    server.answers = [answer(SHARED), (204, b"", None), (503, b"the store", None)]
    status, out, _ = run("duplicates", "resolve", "--keep", "a", "--delete")
    assert status == 1
    assert "device c: the daemon answered 503: the store" in out
    assert [request[:2] for request in server.requests[1:]] == [
        ("DELETE", "/0.2/dev_mgr/devices/b"),
        ("DELETE", "/0.2/dev_mgr/devices/c"),
    ]


def test_a_device_that_shares_nothing_is_refused(server, run):
    server.answers = [answer(SHARED)]
    status, _, err = run("duplicates", "resolve", "--keep", "z")
    assert (status, len(server.requests)) == (1, 1)
    assert "shares nothing" in err
