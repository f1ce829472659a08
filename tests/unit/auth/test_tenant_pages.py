"""The list of tenants of the authentication service, which may come a page at a time."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import defer, task
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers

from provd.auth.wazo import WazoAuthorizer
from provd.errors import AuthUnavailable


class Response:
    """A response that has arrived."""

    version = (b"HTTP", 1, 1)
    phrase = b""
    request = previousResponse = None

    def __init__(self, code, document):
        self._body = json.dumps(document).encode()
        self.code = code
        self.headers = Headers({"Content-Type": ["application/json"]})
        self.length = len(self._body)

    def deliverBody(self, protocol):
        protocol.dataReceived(self._body)
        protocol.connectionLost(Failure(ResponseDone()))


class Tenants:
    """An agent with a list of tenants of which it gives at most `page` in an answer."""

    def __init__(self, uuids, page):
        self.uuids = uuids
        self.page = page
        self.announced = None
        self.takes_offset = True
        self.statuses = []
        self.between = lambda: None
        self.asked = []

    def request(self, method, uri, headers=None, bodyProducer=None):
        parts = urlsplit(uri.decode())
        if method == b"POST":
            return defer.succeed(Response(200, {"data": {"token": "service"}}))
        if "/token/" in parts.path:
            return defer.succeed(Response(200, {"data": {"metadata": {"tenant_uuid": "main"}}}))
        query = parse_qs(parts.query)
        self.asked.append((parts.query, headers.getRawHeaders("wazo-tenant")))
        status = self.statuses.pop(0) if self.statuses else 200
        offset = int(query["offset"][0]) if self.takes_offset and "offset" in query else 0
        limit = min(int(query.get("limit", [self.page])[0]), self.page)
        total = len(self.uuids) if self.announced is None else self.announced
        items = [{"uuid": uuid, "name": "x"} for uuid in self.uuids[offset : offset + limit]]
        self.between()
        return defer.succeed(Response(status, {"items": items, "total": total}))


def run(coroutine):
    deferred = defer.Deferred.fromCoroutine(coroutine)
    results = []
    deferred.addBoth(results.append)
    assert results, "no answer"
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


def authorizer(agent):
    made = WazoAuthorizer(
        task.Clock(),
        base_url="http://auth",
        username="u",
        password="p",
        timeout=10,
        verify_certificate=True,
        agent=agent,
    )
    made.service_token = "service"
    return made


@given(st.integers(0, 25), st.integers(1, 30))
def test_all_tenants_are_there_whatever_the_size_of_a_page(count, page):
    uuids = [f"t{number}" for number in range(count)]
    agent = Tenants(uuids, page)
    assert run(authorizer(agent).all_tenants()) == uuids
    assert len(agent.asked) == max(1, -(-count // page))


def test_the_first_question_has_no_arguments_and_each_is_for_the_same_tenant():
    agent = Tenants(["a", "b", "c"], 2)
    assert run(authorizer(agent).visible("a")) == {"a", "b", "c"}
    assert agent.asked == [("", ["a"]), ("offset=2&limit=3", ["a"])]


def test_a_list_that_does_not_say_how_long_it_is_is_taken_as_it_is():
    agent = Tenants(["a", "b", "c"], 2)
    agent.announced = "3"
    assert run(authorizer(agent).all_tenants()) == ["a", "b"]
    assert len(agent.asked) == 1


def test_a_list_that_ends_before_the_number_announced_is_no_list():
    agent = Tenants(["a", "b", "c"], 2)
    agent.announced = 4
    with pytest.raises(AuthUnavailable, match="3 tenants are listed, and 4 announced"):
        run(authorizer(agent).all_tenants())
    # One tenant may see less than what the service counts.
    assert run(authorizer(agent).visible("a")) == {"a", "b", "c"}


def test_a_service_that_gives_the_first_page_for_ever_is_found_out():
    agent = Tenants(["a", "b", "c"], 2)
    agent.takes_offset = False
    with pytest.raises(AuthUnavailable):
        run(authorizer(agent).all_tenants())
    assert len(agent.asked) == 2


def test_a_tenant_made_between_two_pages_is_listed_once():
    agent = Tenants(["b", "c", "d", "e"], 2)

    def insert():
        if "a" not in agent.uuids:
            agent.uuids = ["a", *agent.uuids]

    agent.between = insert
    # The second page begins by `c` again; `a` itself came too late for this list.
    with pytest.raises(AuthUnavailable):
        run(authorizer(agent).all_tenants())
    assert run(authorizer(agent).all_tenants()) == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("status", [404, 500, 503])
def test_a_second_page_that_fails_gives_no_half_of_a_list(status):
    agent = Tenants(["a", "b", "c"], 2)
    agent.statuses = [200, status]
    with pytest.raises(AuthUnavailable):
        run(authorizer(agent).all_tenants())


def test_a_second_page_that_is_refused_gives_no_half_of_a_list():
    agent = Tenants(["a", "b", "c"], 2)
    agent.statuses = [200, 401]
    assert run(authorizer(agent).all_tenants()) is None
