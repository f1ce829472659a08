"""Who may do what: access patterns, tokens in a file, and what is remembered of a service."""

import datetime as dt
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import defer, task
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers

from provd.auth.interface import allows
from provd.auth.local import LocalAuthorizer, TokenFile, main
from provd.auth.wazo import (
    READY_SECONDS,
    REMEMBER_SECONDS,
    RENEW_EARLY_SECONDS,
    RENEW_SECONDS,
    RETRY_SECONDS,
    WazoAuthorizer,
)
from provd.errors import AuthenticationFailed, AuthUnavailable, SettingsError

A = "aaaaaaaa-0000-4000-8000-00000000000a"
B = "bbbbbbbb-0000-4000-8000-00000000000b"


def run(coroutine):
    """Return what a coroutine that does not wait gives, or raise its error."""
    results = []
    defer.Deferred.fromCoroutine(coroutine).addBoth(results.append)
    assert results, "it waits"
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


# Patterns


@pytest.mark.parametrize(
    ("patterns", "access", "expected"),
    [
        (["provd.#"], "provd.dev_mgr.devices.read", True),
        (["provd.#"], "provd.read", True),
        (["provd.#"], "provd", False),
        (["provd.#"], "provdx.read", False),
        (["#"], "anything.at.all", True),
        (["provd.*.read"], "provd.status.read", True),
        (["provd.*.read"], "provd.dev_mgr.devices.read", False),
        (["provd.dev_mgr.devices.*.read"], "provd.dev_mgr.devices.d1.read", True),
        (["provd.dev_mgr.devices.*.read"], "provd.dev_mgr.devices.d1.update", False),
        (["provd.#.read"], "provd.pg_mgr.plugins.x.info.read", True),
        (["provd.#", "!provd.configure.#"], "provd.configure.read", False),
        (["!provd.configure.#", "provd.#"], "provd.configure.read", False),
        (["provd.#", "!provd.configure.#"], "provd.status.read", True),
        (["!provd.status.read"], "provd.dev_mgr.read", False),
        ([], "provd.read", False),
        ([""], "provd.read", False),
        (["provd.read"], "provd.read", True),
        (["provd.rea"], "provd.read", False),
        (["provd.(read"], "provd.(read", True),
        (["provd.dev_mgr.devices.*.read", "!provd.#"], "provd.dev_mgr.devices.a\nb.read", False),
        (["provd.#"], "provd.dev_mgr.devices.a\nb.read", True),
    ],
)
def test_access_patterns(patterns, access, expected):
    assert allows(patterns, access) is expected


@given(st.text(), st.lists(st.text(max_size=10), max_size=3))
def test_what_is_forbidden_stays_forbidden_whatever_else_is_allowed(access, more):
    assert not allows([*more, "!#", "#"], access)
    assert allows(["#"], access)
    assert allows([access], access) or access.startswith("!") or "#" in access or "*" in access


# Tokens in a file


@pytest.fixture
def file(tmp_path):
    return TokenFile(str(tmp_path / "tokens.json"))


@pytest.fixture
def local(file, tmp_path):
    authorizer = LocalAuthorizer(file.path, str(tmp_path / "admin-token"))
    authorizer.prepare()
    return authorizer


def test_the_first_admin_token_is_for_its_reader_only_and_is_made_once(local, file, tmp_path):
    path = tmp_path / "admin-token"
    token = path.read_text().strip()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(os.stat(file.path).st_mode) == 0o600
    assert token not in Path(file.path).read_text()
    assert run(local.authorize(token, "provd.read", None)) == local.main_tenant
    again = LocalAuthorizer(file.path, str(tmp_path / "other"))
    again.prepare()
    assert not (tmp_path / "other").exists()
    assert again.main_tenant == local.main_tenant


def test_a_token_of_the_main_tenant_may_act_for_any_and_another_for_its_own_only(local, file):
    of_main, of_a = file.create("m", ["#"]), file.create("a", ["#"], A)
    assert run(local.tenant(of_main, None)) == local.main_tenant
    assert run(local.tenant(of_main, B)) == B
    assert run(local.tenant(of_a, None)) == run(local.tenant(of_a, A)) == A
    for token, tenant in (
        (of_a, B),
        (of_a, local.main_tenant),
        (of_main, "no-uuid"),
        (of_main, f"{B}\n"),
    ):
        with pytest.raises(AuthenticationFailed):
            run(local.tenant(token, tenant))
    assert run(local.visible(local.main_tenant)) is None
    assert run(local.visible(A)) == {A}


def test_a_token_that_was_revoked_or_has_expired_is_refused_at_once(local, file):
    token = file.create("short", ["#"])
    past = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)
    expired = file.create("past", ["#"], expires=past)
    assert run(local.tenant(token, None))
    file.revoke("short")
    for refused in (token, expired, None, "", "x" * 100_000, "\xff"):
        with pytest.raises(AuthenticationFailed):
            run(local.tenant(refused, None))
    with pytest.raises(SettingsError):
        file.revoke("short")


def test_two_tokens_of_one_name_are_refused(local, file):
    file.create("same", ["#"])
    with pytest.raises(SettingsError):
        file.create("same", ["#"])


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"main_tenant": "x", "tokens": [{}]}', '{"tokens": 5}']
)
def test_a_damaged_file_means_that_it_cannot_be_told_and_the_repaired_one_works(
    local, file, content
):
    token = file.create("t", ["#"])
    sound = Path(file.path).read_text()
    with open(file.path, "w") as stream:
        stream.write(content)
    with pytest.raises(AuthUnavailable):
        run(local.tenant(token, None))
    with open(file.path, "w") as stream:
        stream.write(sound)
    assert run(local.tenant(token, None))


def test_the_file_may_be_named_after_the_verb_and_a_missing_one_is_named(file, tmp_path, capsys):
    assert main(["create", "late", "--acl", "provd.#", "--file", file.path]) == 0
    assert main(["list", "--file", file.path]) == 0
    assert "late" in capsys.readouterr().out
    assert main(["list", "--file", str(tmp_path / "none")]) == 1
    assert f"there is no token file {tmp_path / 'none'}" in capsys.readouterr().err


def test_the_tool_makes_lists_and_revokes(file, capsys):
    base = ["--file", file.path]
    assert (
        main([*base, "create", "one", "--acl", "provd.#", "--tenant", A, "--expires-in", "30d"])
        == 0
    )
    token = capsys.readouterr().out.strip()
    assert main([*base, "list"]) == 0
    listed = capsys.readouterr().out
    assert "one" in listed
    assert A in listed
    assert token not in listed
    assert main([*base, "create", "one"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert main([*base, "create", "two", "--tenant", "nonsense"]) == 1
    assert main([*base, "revoke", "one"]) == 0
    assert main([*base, "revoke", "one"]) == 1


# The service


class Response:
    """A response that has arrived."""

    version = (b"HTTP", 1, 1)
    phrase = b""
    request = previousResponse = None

    def __init__(self, code, body):
        self.code = code
        self.headers = Headers({"Content-Type": ["application/json"]})
        self.length = len(body)
        self._body = body

    def deliverBody(self, protocol):
        protocol.dataReceived(self._body)
        protocol.connectionLost(Failure(ResponseDone()))


class Answers:
    """An agent that answers at once as `statuses` say for a method, and notes what was asked."""

    def __init__(self):
        self.calls = []
        self.bodies = []
        self.held = None
        self.statuses = {"HEAD": 204}
        self.service_tokens = 0

    def request(self, method, uri, headers=None, bodyProducer=None):
        method, uri = method.decode(), uri.decode().removeprefix("http://auth:9497")
        self.calls.append((method, uri))
        content_type = headers.getRawHeaders("content-type")
        self.bodies.append((method, bodyProducer is not None, content_type))
        if method == "POST" and self.held is not None:
            waiting = defer.Deferred()
            self.held.addCallback(lambda _: waiting.called or waiting.callback(None))
            return waiting.addCallback(lambda _: self.respond(method, uri))
        return defer.succeed(self.respond(method, uri))

    def respond(self, method, uri):
        status = self.statuses.get(method, 200)
        if method == "HEAD":
            document = None
        elif uri.endswith("/tenants"):
            document = {"items": [{"uuid": A}, {"uuid": B}, "odd", {}]}
        elif method == "POST":
            self.service_tokens += status == 200
            document = {"data": {"token": f"service{self.service_tokens}"}}
        else:
            document = {"data": {"metadata": {"tenant_uuid": A}}}
        return Response(status, json.dumps(document).encode())


@pytest.fixture
def clock():
    return task.Clock()


@pytest.fixture
def answers():
    return Answers()


@pytest.fixture
def renewals():
    return []


@pytest.fixture
def wazo(clock, answers, renewals):
    return WazoAuthorizer(
        clock,
        base_url="http://auth:9497/prefix/",
        username="u",
        password="p",
        timeout=10,
        verify_certificate=True,
        agent=answers,
        renewed=lambda token, tenant: renewals.append((token, tenant)),
    )


def test_only_the_request_for_a_token_has_a_body(wazo, answers):
    run(wazo.start())
    run(wazo.authorize("t", "provd.read", None))
    run(wazo.authorize("t", "provd.read", B))
    run(wazo.visible(A))
    run(wazo.all_tenants())
    run(wazo.stop())
    assert {method for method, *_ in answers.bodies} == {"POST", "GET", "HEAD"}
    for method, has_body, content_type in answers.bodies:
        assert has_body is (method == "POST")
        assert content_type == (["application/json; charset=UTF-8"] if has_body else None)


def test_a_good_answer_is_remembered_for_some_seconds_and_a_bad_one_is_not(wazo, clock, answers):
    assert run(wazo.authorize("t", "provd.read", None)) == A
    asked = len(answers.calls)
    for _ in range(5):
        run(wazo.authorize("t", "provd.read", None))
    assert len(answers.calls) == asked
    run(wazo.authorize("t", "provd.other", None))
    assert len(answers.calls) == asked + 1
    answers.statuses["HEAD"] = 404
    assert run(wazo.authorize("t", "provd.read", None)) == A
    clock.advance(REMEMBER_SECONDS)
    for _ in range(2):
        with pytest.raises(AuthenticationFailed):
            run(wazo.authorize("t", "provd.read", None))
    answers.statuses["HEAD"] = 204
    assert run(wazo.authorize("t", "provd.read", None)) == A


def test_questions_are_asked_below_the_prefix_and_quoted(wazo, answers):
    run(wazo.authorize("t", "provd.dev_mgr.devices.a&b c.read", "te&nant"))
    assert answers.calls == [
        ("HEAD", "/prefix/0.1/token/t?tenant=te%26nant"),
        ("HEAD", "/prefix/0.1/token/t?scope=provd.dev_mgr.devices.a%26b+c.read&tenant=te%26nant"),
    ]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_service_that_fails_is_not_taken_for_a_refusal(wazo, answers, status):
    answers.statuses = dict.fromkeys(["HEAD", "GET", "POST"], status)
    for tenant in (None, A):
        with pytest.raises(AuthUnavailable):
            run(wazo.authorize("t", "provd.read", tenant))


def test_a_token_of_its_own_is_renewed_before_it_expires(wazo, clock, answers, renewals):
    run(wazo.start())
    assert renewals == [("service1", A)]
    assert wazo.main_tenant == A
    clock.advance(RENEW_SECONDS - 1)
    assert len(renewals) == 1
    clock.advance(1)
    assert renewals[-1] == ("service2", A)
    run(wazo.stop())
    assert clock.getDelayedCalls() == []


def test_a_token_of_its_own_is_tried_for_again_at_growing_intervals(wazo, clock, answers, renewals):
    answers.statuses["POST"] = 503
    run(wazo.start())
    for number, delay in enumerate((*RETRY_SECONDS, RETRY_SECONDS[-1]), start=1):
        assert len(answers.calls) == number
        clock.advance(delay - 0.1)
        assert len(answers.calls) == number
        clock.advance(0.1)
    answers.statuses["POST"] = 200
    clock.advance(RETRY_SECONDS[-1])
    assert renewals == [("service1", A)]
    run(wazo.stop())
    assert clock.getDelayedCalls() == []


def test_the_tenants_below_one_are_asked_with_the_service_token_and_remembered(wazo, answers):
    with pytest.raises(AuthUnavailable):
        run(wazo.visible(A))
    run(wazo.start())
    assert run(wazo.visible("t")) == {"t", A, B}
    asked = len(answers.calls)
    assert run(wazo.visible("t")) == {"t", A, B}
    assert len(answers.calls) == asked
    answers.statuses["GET"] = 401
    assert run(wazo.visible("u")) == {"u"}
    answers.statuses["GET"] = 500
    with pytest.raises(AuthUnavailable):
        run(wazo.visible("v"))
    run(wazo.stop())


def test_a_service_token_that_is_refused_is_renewed_early_but_not_time_and_again(
    wazo, clock, answers, renewals
):
    run(wazo.start())
    answers.statuses["GET"] = 401
    assert run(wazo.visible("a")) == {"a"}
    assert answers.service_tokens == 1  # it is new: the tenant must be the reason
    clock.advance(RENEW_EARLY_SECONDS)
    assert run(wazo.visible("b")) == {"b"}
    assert answers.service_tokens == 2
    answers.statuses["GET"] = 200
    clock.advance(RETRY_SECONDS[0])
    assert renewals[-1] == ("service3", A)
    for number in range(5):
        answers.statuses["GET"] = 401
        assert run(wazo.visible(f"c{number}")) == {f"c{number}"}
    assert answers.service_tokens == 3
    run(wazo.stop())
    assert clock.getDelayedCalls() == []


def test_devices_of_a_tenant_that_is_being_deleted_are_seen_by_nobody(wazo, answers):
    run(wazo.start())
    assert run(wazo.visible("t")) == {"t", A, B}
    with wazo.hiding(A), wazo.hiding(A):
        assert run(wazo.visible("t")) == {"t", B}  # from memory
        assert run(wazo.visible("u")) == {"u", B}
        assert run(wazo.visible(A)) == {B}
    assert run(wazo.visible("t")) == {"t", A, B}
    run(wazo.stop())


def waiting_for(coroutine):
    results = []
    defer.Deferred.fromCoroutine(coroutine).addBoth(results.append)
    return results


def test_a_request_waits_until_the_daemon_has_its_own_token(wazo, clock, answers):
    answers.statuses["POST"] = 503
    run(wazo.start())
    assert wazo.main_tenant is None
    clock.advance(0.5)
    answers.held = defer.Deferred()
    clock.advance(0.5)
    asked = waiting_for(wazo.authorize("t", "provd.read", None))
    assert asked == []
    held, answers.held = answers.held, None
    answers.statuses["POST"] = 200
    held.callback(None)
    assert asked == [A]
    assert wazo.main_tenant == A
    run(wazo.stop())
    assert clock.getDelayedCalls() == []


def test_a_request_waits_some_seconds_at_most(wazo, clock, answers):
    answers.held = defer.Deferred()
    run(wazo.start())
    asked = waiting_for(wazo.authorize("t", "provd.read", None))
    clock.advance(READY_SECONDS - 0.1)
    assert asked == []
    clock.advance(0.1)
    assert asked == [A]
    assert wazo.main_tenant is None
    run(wazo.stop())
    assert clock.getDelayedCalls() == []
