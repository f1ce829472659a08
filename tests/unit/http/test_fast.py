"""Plain requests are answered at once, and just as the long way answers them."""

import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from provd.http.fast import parse
from tests.unit.http.test_site import AGENT, Site

HEAD = b"GET /000000000001.cfg HTTP/1.1\r\nHost: x\r\nUser-Agent: " + AGENT.encode() + b"\r\n"


@pytest.fixture
def site(tmp_path):
    """A site with one device, whose phone was here before."""
    made = Site(tmp_path)
    made.device()
    made.status("/000000000001.cfg", agent=AGENT)
    return made


def talk(site, data, *, at_once):
    """Return what a site answers to bytes on a new connection, the date left out."""
    protocol, transport = site.connect()
    if not at_once:
        protocol.site = LongWay(protocol.site)
    protocol.dataReceived(data)
    site.core.clock.advance(0)
    closed = transport.disconnecting
    answer = re.sub(rb"Date: [^\r]*\r\n", b"", transport.value())
    protocol.connectionLost(Failure(ConnectionDone()))
    return sorted_head(answer), closed


def sorted_head(answer):
    """Return answers with the headers of the first sorted, as their order means nothing."""
    head, separator, rest = answer.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    return b"\r\n".join([first, *sorted(headers, key=bytes.lower)]) + separator + rest


class LongWay:
    """A site that answers nothing at once."""

    def __init__(self, site):
        self.__dict__["_site"] = site

    def __getattr__(self, name):
        return getattr(self._site, name)

    def answers_at_once(self, channel, data):
        return False


def answered_at_once(site, data):
    """Tell whether a site answers without Twisted's parser."""
    protocol, transport = site.connect()
    assert not protocol.requests
    done = protocol.site.answers_at_once(protocol, data)
    assert done == bool(transport.value())
    return done


def test_a_known_phone_is_answered_at_once(site):
    assert answered_at_once(site, HEAD + b"\r\n")
    answer, closed = talk(site, HEAD + b"\r\n", at_once=True)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not closed


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"\r\n",
        HEAD + b"Connection: close\r\n\r\n",
        HEAD + b"Connection: keep-alive\r\n\r\n",
        HEAD + b"Connection: Keep-Alive, TE\r\n\r\n",
        HEAD + b"Connection: close\r\nConnection: keep-alive\r\n\r\n",
        HEAD + b"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n\r\n",
        HEAD + b"Range: bytes=0-3\r\n\r\n",
        HEAD + b"Content-Length: 3\r\n\r\nabc",
        HEAD + b"X: a\r\n b\r\n\r\n",
        HEAD + b"X : a\r\n\r\n",
        HEAD + b"X: \0\r\n\r\n",
        HEAD + b"X\r\n\r\n",
        HEAD + b"\r\n" + HEAD + b"\r\n",
        HEAD + b"X: y\n\r\n",
        HEAD.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n",
        HEAD.replace(b"GET", b"HEAD") + b"\r\n",
        HEAD.replace(b"GET", b"POST") + b"\r\n",
        HEAD.replace(b".cfg", b".cfg?a=b") + b"\r\n",
        HEAD.replace(b"/0000", b"/%30000") + b"\r\n",
        HEAD.replace(b"/0000", b"//0000") + b"\r\n",
        HEAD.replace(b"/0000", b"/./0000") + b"\r\n",
        HEAD.replace(b"/0000", b"/../0000") + b"\r\n",
        HEAD.replace(b"/0000", b"/%2e%2e/0000") + b"\r\n",
        HEAD.replace(b"/0000", b"http://x/0000") + b"\r\n",
        HEAD.replace(b".cfg", b".cfg/") + b"\r\n",
        HEAD.replace(b".cfg", b".nothing") + b"\r\n",
        b"\r\n" + HEAD + b"\r\n",
        HEAD,
    ],
)
def test_both_ways_answer_the_same(site, data):
    assert talk(site, data, at_once=True) == talk(site, data, at_once=False)


PIECES = st.sampled_from(
    [
        b"GET ",
        b"HEAD ",
        b"/",
        b"000000000001.cfg",
        b"%2e",
        b"..",
        b"?x=1",
        b" HTTP/1.1",
        b" HTTP/1.0",
        b"\r\n",
        b"\r",
        b"\n",
        b": ",
        b"Host: x",
        b"Connection: close",
        b"User-Agent: " + AGENT.encode(),
        b"\t",
        b"\0",
        b"\xff",
        b"Content-Length: 0",
        b"X-Forwarded-For: 10.0.0.1",
        b" ",
    ]
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("site"))
    made.device()
    made.status("/000000000001.cfg", agent=AGENT)
    return made


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300
)
@given(st.lists(PIECES, max_size=12), st.integers(0, 90))
@example([b"Connection: close", b"\r\n"], 90)
def test_both_ways_answer_the_same_to_anything(shared, pieces, kept):
    data = HEAD[: len(HEAD) * kept // 90] + b"".join(pieces) + b"\r\n"
    assert talk(shared, data, at_once=True) == talk(shared, data, at_once=False)


@given(st.binary(max_size=400))
def test_any_bytes_can_be_looked_at(data):
    assert parse(data) is None or data.startswith(b"GET /")


def test_a_request_in_two_pieces_takes_the_long_way(site):
    protocol, transport = site.connect()
    protocol.dataReceived(HEAD)
    protocol.dataReceived(b"\r\n")
    site.core.clock.advance(0)
    assert transport.value().startswith(b"HTTP/1.1 200 OK")


def test_the_key_of_another_tenant_opens_nothing_at_once(tmp_path):
    keyed = Site(tmp_path, url_key=True)
    keyed.device(tenant="t2")
    path = "/second-key/000000000001.cfg"
    assert keyed.status(path, agent=AGENT) == 200
    data = HEAD.replace(b"/0000", b"/second-key/0000") + b"\r\n"
    assert answered_at_once(keyed, data)
    for other in (b"/main-key-1/0000", b"/0000", b"/wrong-key/0000"):
        assert not answered_at_once(keyed, HEAD.replace(b"/0000", other) + b"\r\n")


def test_a_long_slice_ends(site, monkeypatch):
    protocol, _ = site.connect()
    assert protocol.site.answers_at_once(protocol, HEAD + b"\r\n")
    monkeypatch.setattr("provd.http.site._LONGEST_SECONDS", -1e9)
    assert not protocol.site.answers_at_once(protocol, HEAD + b"\r\n")
    site.core.clock.advance(0)


def test_what_the_socket_does_not_take_at_once_is_sent_later(site, monkeypatch):
    """A real connection whose client does not read."""
    sent = []

    class Stuck(tcp.Server):
        def __init__(self):
            self.dataBuffer, self._tempDataBuffer, self.written = b"", [], []

        def writeSomeData(self, data):
            sent.append(len(data))
            return 10

        def write(self, data):
            self.written.append(data)

    protocol, _ = site.connect()
    protocol.transport = Stuck()
    protocol.send(b"x" * 100, closes=False)
    assert sent == [100]
    assert protocol.transport.written == [b"x" * 90]
    protocol.transport.dataBuffer = b"waiting"
    protocol.send(b"y", closes=False)
    assert protocol.transport.written[-1] == b"y"
    assert sent == [100]
    protocol.setTimeout(None)
