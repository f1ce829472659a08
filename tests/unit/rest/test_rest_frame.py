"""The frame of the REST API without a daemon: what goes in, what comes out, what may be cut off."""

import json
import logging

import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st
from treq.testing import StubTreq
from twisted.internet import defer, task

from provd import errors
from provd.manager.operations import EXPIRY_SECONDS, MAX_OPERATIONS, Operation, Operations
from provd.rest.app import (
    MEDIA_TYPE,
    Action,
    Reply,
    RestApi,
    Route,
    decode,
    encode,
    encode_in_slices,
)
from provd.rest.errors import HttpError, to_http
from provd.rest.plugins import PluginsResource

URL = "http://localhost/0.2"


class Everybody:
    """Lets every token do everything, for the tenant it names."""

    main_tenant = "main"
    is_platform = False

    async def authorize(self, token, access, tenant):
        return tenant or "main"

    async def tenant(self, token, tenant):
        return tenant or "main"

    async def caller(self, token):
        return "'tester'"

    async def visible(self, tenant):
        return None


def client(*routes, authorizer=None, clock=None):
    return StubTreq(RestApi(authorizer or Everybody(), routes, clock or task.Clock()).resource())


def route(path="/0.2/thing", method="GET", handler=None, access="provd.thing"):
    async def nothing(call):
        return Reply(204)

    return Route(path, {method: Action(access, handler or nothing, "Do a thing.")})


def now(stub, deferred):
    """Return the result of a Deferred that fires once the stub has moved its bytes."""
    results = []
    deferred.addBoth(results.append)
    stub.flush()
    assert results, "no answer"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


def send(stub, method, path="/thing", **kwargs):
    response = now(stub, stub.request(method, URL + path, **kwargs))
    return response, now(stub, response.content())


def sent(document):
    return {"data": json.dumps(document).encode(), "headers": {"Content-Type": MEDIA_TYPE}}


# A client that goes away


@pytest.mark.parametrize(
    ("method", "goes_on"), [("POST", True), ("PUT", True), ("DELETE", True), ("GET", False)]
)
def test_a_change_goes_on_when_its_client_goes_away_and_a_reading_does_not(method, goes_on):
    gate, seen = defer.Deferred(), []

    async def handler(call):
        try:
            await gate
        except defer.CancelledError:
            seen.append("cancelled")
            raise
        seen.append("done")
        return Reply(204)

    api = RestApi(Everybody(), [route(method=method, handler=handler)], task.Clock())
    stub = StubTreq(api.resource())
    arguments = sent({}) if method in {"POST", "PUT"} else {}
    request = stub.request(method, f"{URL}/thing", **arguments)
    stub.flush()
    request.addErrback(lambda _: None)
    request.cancel()
    stub.flush()
    if not gate.called:
        gate.callback(None)
    assert seen == (["done"] if goes_on else ["cancelled"])


def test_a_change_that_fails_after_its_client_went_away_is_logged_and_no_more(caplog):
    gate = defer.Deferred()

    async def handler(call):
        await gate
        raise ValueError("too late")

    stub = client(route(method="DELETE", handler=handler))
    request = stub.request("DELETE", f"{URL}/thing")
    stub.flush()
    request.addErrback(lambda _: None)
    request.cancel()
    stub.flush()
    gate.callback(None)
    assert "too late" in caplog.text


# Errors


def test_an_unexpected_failure_is_500_in_plain_text_and_the_log_has_it(caplog):
    async def handler(call):
        raise ZeroDivisionError("secret detail")

    response, body = send(client(route(handler=handler)), "GET")
    assert response.code == 500
    assert response.headers.getRawHeaders("content-type") == ["text/plain; charset=ascii"]
    assert b"secret" not in body
    assert "secret detail" in caplog.text


def test_every_error_of_ours_has_a_status_of_its_meaning():
    def made(kind):
        if kind is errors.TooManyAttempts:
            return kind("a", 1.5)
        for arguments in ((), ("a",), ("a", "b"), ("a", "b", "c")):
            try:
                return kind(*arguments)
            except TypeError:
                continue
        raise AssertionError(kind)

    kinds = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and value.__module__ == errors.__name__
    ]
    statuses = {kind.__name__: getattr(to_http(made(kind)), "status", None) for kind in kinds}
    assert {
        name: statuses[name] for name in ("DeviceNotFound", "ConfigNotFound", "OperationNotFound")
    } == {
        "DeviceNotFound": 404,
        "ConfigNotFound": 404,
        "OperationNotFound": 404,
    }
    assert statuses["AuthenticationFailed"] == 401
    assert statuses["NotDeletable"] == 403
    for name in (
        "InvalidDocument",
        "InvalidId",
        "InvalidSelector",
        "InvalidParameter",
        "DuplicateId",
        "PluginLoadError",
    ):
        assert statuses[name] == 400
    for name in ("AuthUnavailable", "TenantUnknown", "StoreUnavailable", "TooBusy", "StoreCorrupt"):
        assert statuses[name] == 503
    assert statuses["TooManyAttempts"] == 429
    assert to_http(made(errors.TooManyAttempts)).headers == ((b"retry-after", b"2"),)
    assert to_http(ValueError("x")) is None


def test_a_refusal_of_the_server_is_logged_and_one_of_the_client_is_not(caplog):
    caplog.set_level(logging.WARNING)

    async def away(call):
        raise errors.StoreUnavailable("the disk is away")

    async def refuse(call):
        raise HttpError(400, "no")

    assert send(client(route(handler=refuse)), "GET")[0].code == 400
    assert caplog.text == ""
    assert send(client(route(handler=away)), "GET")[0].code == 503
    assert "the disk is away" in caplog.text


# Access


def test_variables_are_put_into_the_access_with_their_dots_replaced():
    asked = []

    class Noting(Everybody):
        async def authorize(self, token, access, tenant):
            asked.append((token, access, tenant))
            return "t.1"

        async def tenant(self, token, tenant):
            return "t.1"

    stub = client(
        route("/0.2/things/<device_id>", access="provd.{device_id}.read"),
        route("/0.2/params/<param_id>", access="provd.{tenant_uuid}.{param_id}"),
        authorizer=Noting(),
    )
    for path in ("/things/a.b.c", "/things/%7Bdevice_id%7D", "/things/a%2Eb", "/params/x.y"):
        assert (
            send(stub, "GET", path, headers={"X-Auth-Token": "tok", "Wazo-Tenant": "ten"})[0].code
            == 204
        )
    assert asked == [
        ("tok", "provd.a_b_c.read", "ten"),
        ("tok", "provd.{device_id}.read", "ten"),
        ("tok", "provd.a_b.read", "ten"),
        ("tok", "provd.t_1.x_y", "ten"),
    ]


def test_a_public_route_asks_for_nothing():
    class Nobody(Everybody):
        async def authorize(self, token, access, tenant):
            raise AssertionError("asked")

    assert send(client(route(access=None), authorizer=Nobody()), "GET")[0].code == 204


# JSON


def test_what_cannot_be_utf_8_goes_out_as_escapes():
    document = {"a": "\ud800", "b": "é"}
    assert json.loads(encode(document)) == document
    assert encode({"b": "é"}) == '{"b":"é"}'.encode()


@pytest.mark.parametrize(
    "content", [b'"\\ud83d\\ude00"', '"😀"'.encode(), b'"\\\\ud800"', b"1e300", b"-0.0", b" [] "]
)
def test_sound_json_is_taken(content):
    assert decode(content) == json.loads(content)


class CountingClock(task.Clock):
    """Counts the calls that were put off."""

    count = 0

    def callLater(self, *args, **kwargs):
        self.count += 1
        return super().callLater(*args, **kwargs)


def test_a_long_list_is_written_in_slices_so_that_phones_do_not_wait(monkeypatch):
    monkeypatch.setattr("provd.rest.app.SLICE_SECONDS", 0)  # a slow machine
    documents = [{"id": f"d{number}", "X_text": "é"} for number in range(10_000)]

    async def handler(call):
        return Reply(document={"devices": documents})

    clock = CountingClock()
    stub = client(route(handler=handler), clock=clock)
    results = []
    stub.get(f"{URL}/thing").addCallback(results.append)
    stub.flush()
    assert not results
    clock.advance(0)
    stub.flush()
    assert clock.count == 100
    assert now(stub, results[0].json()) == {"devices": documents}


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.lists(
            st.none() | st.integers() | st.text() | st.lists(st.text(max_size=3), max_size=2),
            max_size=5,
        ),
        max_size=2,
    ),
    st.integers(1, 3),
)
def test_slices_come_to_the_same_as_the_whole(document, size):
    async def no_pause():
        pass

    results = []
    defer.Deferred.fromCoroutine(encode_in_slices(document, no_pause, size)).addBoth(results.append)
    assert json.loads(results[0]) == document
    try:
        expected = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:
        return  # may be escaped in one slice and plain in another
    assert results[0] == expected


# Operations


def test_finished_operations_are_forgotten_after_an_hour_and_running_ones_are_not():
    clock = task.Clock()
    operations = Operations(clock)
    running, done = (
        operations.add(Operation(state="progress")),
        operations.add(Operation(state="success")),
    )
    assert (running, done) == ("1", "2")
    assert operations.get(done).state == "success"
    clock.advance(EXPIRY_SECONDS - 1)
    assert operations.get(done)
    clock.advance(1)
    with pytest.raises(errors.OperationNotFound):
        operations.get(done)
    assert operations.get(running)
    assert operations.add(Operation()) == "3"


def test_of_too_many_operations_the_oldest_finished_go():
    operations = Operations(task.Clock())
    running = operations.add(Operation(state="progress"))
    numbers = [operations.add(Operation(state="fail")) for _ in range(MAX_OPERATIONS + 5)]
    assert operations.get(running)
    assert operations.get(numbers[-1])
    with pytest.raises(errors.OperationNotFound):
        operations.get(numbers[0])


def test_a_failure_ends_the_unfinished_children_only():
    children = [
        Operation("a", "success"),
        Operation("b", "progress", 5, 10),
        Operation(None, "waiting"),
    ]
    operation = Operation("op", "progress", children=children)
    operation.fail("because")
    assert operation.format() == "op|fail(a|success)(b|fail;5/10)(fail)"


# Packages of a plugin that knows no upgrade


class OldService:
    """An install service of an older generation."""

    def __init__(self):
        self.calls = []
        self.installed = {"fw": {"version": "1", "description": "d"}}
        self.gate = None

    def install(self, package_id):
        self.calls.append(("install", package_id))
        done = defer.Deferred()
        operation = Operation("install_pkg", "progress")
        self.gate = (done, operation)
        return done, operation

    def uninstall(self, package_id):
        if package_id not in self.installed:
            raise ValueError("package not installed")
        self.calls.append(("uninstall", package_id))
        del self.installed[package_id]

    def list_installed(self):
        return self.installed

    def list_installable(self):
        return {}


class OnePlugin:
    """A plugin host with one plugin that has the service."""

    def __init__(self, service):
        self.plugin = self
        self.host = self
        self.services = {"install": service}

    def get(self, plugin_id):
        return self if plugin_id == "old" else None

    def __contains__(self, plugin_id):
        return plugin_id == "old"


def old_plugin():
    service = OldService()
    return service, client(*PluginsResource(OnePlugin(service), None, task.Clock()).routes())


BASE = "/pg_mgr/plugins/old/install"


def test_an_upgrade_that_a_plugin_lacks_is_an_uninstallation_and_an_installation():
    service, stub = old_plugin()
    response, _ = send(stub, "POST", f"{BASE}/upgrade", **sent({"id": "fw"}))
    assert response.code == 201
    location = response.headers.getRawHeaders("location")[0].removeprefix("/0.2")
    assert service.calls == [("uninstall", "fw"), ("install", "fw")]
    done, operation = service.gate
    operation.state = "success"
    done.callback(None)
    assert json.loads(send(stub, "GET", location)[1]) == {"status": "install_pkg|success"}


def test_an_upgrade_of_what_is_not_installed_is_400():
    service, stub = old_plugin()
    response, body = send(stub, "POST", f"{BASE}/upgrade", **sent({"id": "none"}))
    assert (response.code, body) == (400, b"package not installed")
    assert service.calls == []


def test_a_service_that_fails_is_not_taken_for_a_failure_of_ours():
    service, stub = old_plugin()
    service.install = lambda package_id: 1 / 0
    response, body = send(stub, "POST", f"{BASE}/install", **sent({"id": "fw"}))
    assert (response.code, body) == (400, b"division by zero")
    service.list_installed = lambda: 1 / 0
    response, _ = send(stub, "GET", f"{BASE}/installed")
    assert response.code == 500
    assert response.headers.getRawHeaders("content-type") == ["text/plain; charset=ascii"]


@pytest_twisted.ensureDeferred
async def test_a_body_that_is_broken_never_reaches_a_handler():
    called = []

    async def handler(call):
        called.append(call)
        return Reply(204)

    stub = client(route(method="POST", handler=handler))
    for content in (b"", b"{", b"\xff"):
        waiting = stub.post(f"{URL}/thing", data=content, headers={"Content-Type": MEDIA_TYPE})
        stub.flush()
        assert (await waiting).code == 400
    assert called == []


# Who did what


@pytest.mark.parametrize(
    ("method", "line"),
    [
        ("POST", "REST POST /0.2/thing p1 by 'tester' from {peer}: 204, done so"),
        ("PUT", "REST PUT /0.2/thing p1 by 'tester' from {peer}: 204, done so"),
        ("DELETE", "REST DELETE /0.2/thing by 'tester' from {peer}: 204, done so"),
    ],
)
def test_every_change_is_one_line_without_the_token(caplog, method, line):
    caplog.set_level(logging.INFO)

    async def handler(call):
        return Reply(204, remark="done so")

    arguments = sent({"id": "p1", "value": "hidden"}) if method != "DELETE" else {"headers": {}}
    arguments["headers"] |= {"X-Auth-Token": "t0ken", "X-Forwarded-For": "192.0.2.7\x1b"}
    send(client(route(method=method, handler=handler)), method, **arguments)
    (record,) = [one for one in caplog.records if one.name == "provd.rest.audit"]
    before, _, after = line.partition("{peer}")
    text = record.getMessage()
    assert text.startswith(before)
    assert text.endswith(f"(for 192.0.2.7\\x1b){after}")
    assert "t0ken" not in text
    assert "hidden" not in text


def test_a_change_that_is_refused_is_a_line_with_the_reason_and_a_reading_is_none(caplog):
    caplog.set_level(logging.INFO)

    async def handler(call):
        raise errors.InvalidParameter("http://joe:s3cret@proxy: no")

    send(client(route(method="PUT", handler=handler)), "PUT", **sent({}))
    send(client(route()), "GET")
    lines = [one.getMessage() for one in caplog.records if one.name == "provd.rest.audit"]
    assert len(lines) == 1
    assert lines[0].endswith(": 400, http://proxy: no")


class Refusing(Everybody):
    async def authorize(self, token, access, tenant):
        raise errors.AuthenticationFailed("no")


def test_who_has_no_valid_token_is_nobody(caplog):
    caplog.set_level(logging.INFO)
    send(client(route(method="DELETE"), authorizer=Refusing()), "DELETE")
    assert "by nobody from" in caplog.text
    assert caplog.records[-1].getMessage().endswith(": 401, Unauthorized")


def test_plain_json_is_taken_and_given_to_who_accepts_only_that():
    async def handler(call):
        return Reply(document={"a": 1})

    stub = client(route(handler=handler))
    for accept, media_type in (
        ("application/json", "application/json"),
        (f"application/json, {MEDIA_TYPE}", MEDIA_TYPE),
        ("*/*", MEDIA_TYPE),
    ):
        response, _ = send(stub, "GET", headers={"Accept": accept})
        assert response.code == 200
        assert response.headers.getRawHeaders("content-type") == [media_type]
    headers = {"Content-Type": "application/json; charset=utf-8"}
    response, _ = send(client(route(method="POST")), "POST", data=b"{}", headers=headers)
    assert response.code == 204
