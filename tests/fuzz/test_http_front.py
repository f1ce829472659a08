"""Whatever an HTTP client sends, the front for phones answers in kind or refuses."""

import re
import time
from urllib.parse import unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport

from provd.errors import ClientAddressError
from provd.http.address import forwarded_address
from provd.http.site import MAX_BODY, REQUEST_SECONDS, PhoneResource, PhoneSite
from provd.manager.history import History
from provd.manager.journal import Journal
from provd.manager.metrics import Metrics
from provd.model.addresses import is_normed_ip


class Parameters:
    def tenant_of_key(self, key):
        return "tenant" if key == "the-key-of-8" else None


class Pipeline:
    """Knows nobody; notes under which names it was asked."""

    def __init__(self):
        self.seen = []

    def identify_now(self, kind, request, ip, filename):
        self.seen.append((request.path, filename))
        raise ValueError("nobody is known")


class Transport(StringTransport):
    """As lenient as a socket: a producer may be unregistered twice."""

    def unregisterProducer(self):
        if self.producer is not None:
            super().unregisterProducer()


def front(*, trusted_proxies=0, url_key=False):
    """Return a connection to a site, its transport, its reactor and its pipeline."""
    reactor, pipeline = MemoryReactorClock(), Pipeline()
    root = PhoneResource(
        pipeline=pipeline,
        files=None,
        parameters=Parameters(),
        journal=Journal(History(5, 100), Metrics()),
        trusted_proxies=trusted_proxies,
        url_key=url_key,
    )
    channel = PhoneSite(root, reactor).buildProtocol(None)
    transport = Transport()
    channel.makeConnection(transport)
    return channel, transport, reactor, pipeline


def statuses(transport):
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", transport.value())]


lines = st.binary(max_size=60).map(lambda line: line.replace(b"\n", b""))
requests = st.builds(
    lambda method, path, headers, rest: b" ".join((method, path, b"HTTP/1.1"))
    + b"\r\n" + b"\r\n".join(headers) + b"\r\n\r\n" + rest,
    st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT", b"X"]),
    st.binary(min_size=1, max_size=40).map(lambda path: b"/" + path.translate(None, b"\r\n ")),
    st.lists(
        st.one_of(
            lines,
            st.sampled_from([b"Host: x", b"Content-Length: 5", b"Content-Length: -1",
                             b"Transfer-Encoding: chunked", b"Expect: 100-continue", b"Range: bytes=0-"]),
        ),
        max_size=5,
    ),
    st.binary(max_size=60),
)  # fmt: skip


@given(
    st.lists(st.one_of(requests, st.binary(max_size=200)), min_size=1, max_size=4),
    st.integers(1, 50),
)
def test_any_bytes_in_any_pieces_end_in_a_status_or_in_silence(parts, size):
    channel, transport, reactor, pipeline = front(url_key=True)
    data = b"".join(parts)
    for start in range(0, len(data), size):
        if transport.disconnecting:
            break
        channel.dataReceived(data[start : start + size])
        reactor.advance(0)
    reactor.pump([0] * 10)
    assert set(statuses(transport)) <= {100, 400, 404, 405, 413, 501}
    assert b"Traceback" not in transport.value()
    assert pipeline.seen == []  # no key, so nothing was looked at
    reactor.advance(REQUEST_SECONDS + 1)
    assert transport.disconnecting


@given(st.text(alphabet="abc/%.0 \\é", max_size=30).map(str.encode))
def test_a_key_is_removed_from_the_path_before_anybody_sees_it(path):
    path = path.replace(b" ", b"").replace(b"?", b"")
    channel, transport, reactor, pipeline = front(url_key=True)
    channel.dataReceived(b"GET /the-key-of-8/" + path + b" HTTP/1.0\r\n\r\n")
    reactor.pump([0] * 3)
    for seen, filename in pipeline.seen:
        assert b"the-key-of-8" not in seen
        assert seen == b"/" + path
        assert filename == unquote_to_bytes(path.rpartition(b"/")[2]).decode()
    assert statuses(transport) in ([400], [404], [500])


@given(st.integers(MAX_BODY + 1, 10**30))
def test_a_body_announced_as_too_large_is_refused_at_once(length):
    channel, transport, _, _ = front()
    channel.dataReceived(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length)
    assert statuses(transport) == [413]
    assert transport.disconnecting


def test_bytes_that_trickle_do_not_hold_a_connection():
    channel, transport, reactor, _ = front()
    channel.dataReceived(b"GET /x HTTP/1.1\r\nX: ")
    for _ in range(REQUEST_SECONDS - 1):
        reactor.advance(1)
        channel.dataReceived(b"y")
        assert not transport.disconnecting
    reactor.advance(1)
    assert transport.disconnecting


def test_a_storm_is_answered_in_slices_and_in_order():
    reactor = MemoryReactorClock()
    answered = []

    class Slow(PhoneResource):
        def render(self, request):
            answered.append(request.path)
            until = time.perf_counter() + 0.002
            while time.perf_counter() < until:
                pass
            return b""

    site = PhoneSite(
        Slow(
            pipeline=None,
            files=None,
            parameters=None,
            journal=None,
            trusted_proxies=0,
            url_key=False,
        ),
        reactor,
    )
    transports = []
    for number in range(20):
        channel = site.buildProtocol(None)
        transports.append(Transport())
        channel.makeConnection(transports[-1])
        channel.dataReceived(b"GET /%d HTTP/1.0\r\n\r\n" % number)
    assert 1 <= len(answered) <= 4
    assert site.active == 20 - len(answered)
    channel.connectionLost(connectionDone)  # the last one leaves while it waits
    reactor.pump([0] * 30)
    assert answered == [b"/%d" % number for number in range(19)]
    assert site.active == 0


@given(
    st.one_of(
        st.none(), st.lists(st.binary(max_size=40), max_size=4),
        st.lists(st.sampled_from([b"10.0.0.1", b"10.0.0.2, 10.0.0.3", b"::1", b" ", b","]), max_size=4),
    ),
    st.integers(1, 4),
)  # fmt: skip
def test_a_forwarded_address_is_an_ipv4_address_at_its_place_or_an_error(values, trusted):
    try:
        address = forwarded_address(values, trusted)
    except ClientAddressError:
        return
    assert is_normed_ip(address)
    entries = [entry.strip() for entry in b",".join(values).split(b",")]
    assert entries[-trusted].decode() == address
