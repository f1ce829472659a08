"""A NOTIFY reaches the right phone through the AMI gateway, or its failure says why."""

import http.server
import json
import threading

import pytest
import pytest_twisted
from twisted.internet import defer, threads

from provd.compat import synchronize
from provd.compat.synchronize import (
    AMIError,
    AsteriskAMISynchronizeService,
    SynchronizeException,
    get_AMID_client,
    standard_sip_synchronize,
)


class Gateway(http.server.ThreadingHTTPServer):
    """An AMI gateway that notes what it is sent and answers what a test tells it to."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests = []
        self.status = 200
        self.answer = b'[{"Response": "Success"}]'
        self.headers = {}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        token = self.headers["X-Auth-Token"]
        self.server.requests.append((self.path, token, json.loads(body)))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *args):
        pass


@pytest.fixture
def gateway():
    server = Gateway()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def service(gateway):
    client = get_AMID_client(
        host="127.0.0.1", port=gateway.server_port, token=lambda: "t0", timeout=5
    )
    return AsteriskAMISynchronizeService(client)


def test_a_notification_by_address_names_a_uri(gateway, service):
    service.sip_notify_by_ip("10.0.0.9", "check-sync")
    body = {"Variable": ["Event=check-sync"], "URI": "sip:anonymous@10.0.0.9"}
    assert gateway.requests == [("/1.0/action/PJSIPNotify", "t0", body)]


def test_a_notification_by_peer_names_an_endpoint(gateway, service):
    service.sip_notify_by_peer("abc", "service-control", ["Content=a", "Content=b"])
    ((_, _, body),) = gateway.requests
    assert body == {
        "Variable": ["Event=service-control", "Content=a", "Content=b"],
        "Endpoint": "abc",
    }


def test_the_old_method_name_notifies_by_address(gateway, service):
    service.sip_notify("10.0.0.9", "check-sync")
    assert gateway.requests[0][2]["URI"] == "sip:anonymous@10.0.0.9"


@pytest.mark.parametrize(
    ("status", "answer", "reason"),
    [
        (200, b'[{"Response": "Error", "Message": "No such endpoint"}]', "No such endpoint"),
        (200, b'[{"Response": "Success"}, {"Response": "Error"}]', "no reason"),
        (401, b"{}", "401"),
        (500, b"", "500"),
        (204, b"", "204"),
        (200, b"<html>", "not JSON"),
        (200, b'{"Response": "Success"}', "not a list"),
        (200, b"[1]", "not a list"),
    ],
)
def test_any_other_answer_is_an_error(gateway, service, status, answer, reason):
    gateway.status, gateway.answer = status, answer
    with pytest.raises(AMIError, match=reason):
        service.sip_notify_by_ip("10.0.0.9", "check-sync")


def test_a_redirection_is_not_followed_with_the_token(gateway, service):
    gateway.status, gateway.headers = 302, {"Location": "/elsewhere"}
    with pytest.raises(AMIError, match="302"):
        service.sip_notify_by_ip("10.0.0.9", "check-sync")
    assert len(gateway.requests) == 1


def test_a_proxy_of_the_environment_is_not_used(gateway, service, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    service.sip_notify_by_ip("10.0.0.9", "check-sync")
    assert len(gateway.requests) == 1


def test_a_gateway_that_is_away_is_an_error():
    client = get_AMID_client(host="127.0.0.1", port=1, token="t0")
    with pytest.raises(AMIError, match="cannot be reached"):
        client.action("PJSIPNotify", {})


def test_without_a_token_nothing_is_sent(gateway):
    client = get_AMID_client(host="127.0.0.1", port=gateway.server_port)
    with pytest.raises(AMIError, match="token"):
        client.action("PJSIPNotify", {})
    assert gateway.requests == []
    client.set_token("t1")
    client.action("PJSIPNotify", {})
    assert gateway.requests[0][1] == "t1"


def test_a_prefix_comes_before_the_path(gateway):
    client = get_AMID_client(
        host="127.0.0.1", port=gateway.server_port, prefix="/api/amid/", token="t0"
    )
    client.action("Ping", {})
    assert gateway.requests[0][0] == "/api/amid/1.0/action/Ping"


class FakeService:
    TYPE = "AsteriskAMI"

    def __init__(self):
        self.calls = []

    def sip_notify_by_ip(self, *args):
        self.calls.append(("ip", *args))

    def sip_notify_by_peer(self, *args):
        self.calls.append(("peer", *args))


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setattr(threads, "deferToThread", defer.maybeDeferred)
    fake = FakeService()
    synchronize.register_sync_service(fake)
    yield fake
    synchronize.unregister_sync_service()


@pytest.mark.parametrize(
    ("device", "way"),
    [
        ({"remote_state_sip_username": "abc", "ip": "10.0.0.9"}, ("peer", "abc")),
        ({"remote_state_sip_username": "ap12345678", "ip": "10.0.0.9"}, ("ip", "10.0.0.9")),
        ({"remote_state_sip_username": "ap1234567", "ip": "10.0.0.9"}, ("peer", "ap1234567")),
        ({"remote_state_sip_username": "autoprov", "ip": "10.0.0.9"}, ("ip", "10.0.0.9")),
        ({"remote_state_sip_username": "bp12345678"}, ("peer", "bp12345678")),
        ({"remote_state_sip_username": None, "ip": "10.0.0.9"}, ("ip", "10.0.0.9")),
        ({"ip": "10.0.0.9"}, ("ip", "10.0.0.9")),
    ],
)
def test_the_account_is_notified_if_it_is_the_phones_own_else_the_address(
    registered, now, device, way
):
    now(standard_sip_synchronize(device))
    assert registered.calls == [(*way, "check-sync", None)]


def test_event_and_variables_are_passed_on_by_keyword(registered, now):
    now(standard_sip_synchronize({"ip": "10.0.0.9"}, event="x", extra_vars=["Content=a"]))
    assert registered.calls == [("ip", "10.0.0.9", "x", ["Content=a"])]


@pytest.mark.parametrize(
    "device", [{}, {"ip": None}, {"remote_state_sip_username": "ap12345678", "id": "d1"}]
)
def test_a_device_that_cannot_be_reached_fails(registered, now, device):
    with pytest.raises(SynchronizeException):
        now(standard_sip_synchronize(device))
    assert registered.calls == []


def test_without_a_service_of_the_right_type_it_fails(now):
    class Other:
        TYPE = "Other"

    for other in (None, Other(), object()):
        with pytest.raises(SynchronizeException):
            now(synchronize.notify(other, {"ip": "10.0.0.9"}, "check-sync"))


def test_the_registry_holds_one_service():
    first, second = FakeService(), FakeService()
    try:
        synchronize.register_sync_service(first)
        synchronize.register_sync_service(second)
        assert synchronize.get_sync_service() is second
    finally:
        synchronize.unregister_sync_service()
    assert synchronize.get_sync_service() is None


@pytest_twisted.ensureDeferred
async def test_the_request_is_made_in_a_worker_thread(gateway, service):
    used = []

    class Noting(AsteriskAMISynchronizeService):
        def sip_notify_by_ip(self, *args):
            used.append(threading.current_thread())
            super().sip_notify_by_ip(*args)

    client = get_AMID_client(host="127.0.0.1", port=gateway.server_port, token="t0")
    await synchronize.notify(Noting(client), {"ip": "10.0.0.9"}, "check-sync")
    assert used[0] is not threading.main_thread()
    assert len(gateway.requests) == 1
