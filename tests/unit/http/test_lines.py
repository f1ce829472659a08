"""Lines and targets of requests (RFC 9112 sections 2.2 and 3.2.2), on both ways."""

import pytest

from tests.unit.http.test_fast import HEAD, site, talk
from tests.unit.http.test_site import AGENT

__all__ = ["site"]  # a fixture

BARE = HEAD.replace(b"\r\n", b"\n")
REQUEST = HEAD + b"\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n" + REQUEST,
        b"\r\n\r\n\r\n" + REQUEST,
        b"\n" + REQUEST,
        b"\n\n" + BARE + b"\n",
        BARE + b"\n",
        BARE + b"\r\n",
        BARE + b"X: y\r\n\n",
        BARE.replace(b"GET /", b"GET http://elsewhere.example/") + b"\n",
        HEAD.replace(b"GET /", b"GET http://elsewhere.example/") + b"\r\n",
        HEAD.replace(b"GET /", b"GET HTTPS://u@elsewhere.example:1/") + b"\r\n",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_such_a_request_is_served_as_the_plain_one(site, data, size):
    plain = talk(site, REQUEST, at_once=True)
    assert talk(site, data, at_once=True) == plain
    protocol, transport = site.connect()
    for start in range(0, len(data), size):
        protocol.dataReceived(data[start : start + size])
    site.core.clock.advance(0)
    assert transport.value().startswith(b"HTTP/1.1 200 OK")
    assert transport.value().endswith(plain[0].partition(b"\r\n\r\n")[2])
    protocol.setTimeout(None)


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"X: y\nContent-Length: 5\r\n\r\n",  # a line within a line: one of both is wrong
        HEAD.replace(b"GET /", b"GET ") + b"\r\n",
        HEAD.replace(b"GET /", b"GET ftp://x/") + b"\r\n",
        HEAD.replace(b"GET /", b"GET http:///") + b"\r\n",
        b"\r" + REQUEST,
    ],
)
def test_what_is_no_request_is_refused(site, data):
    for at_once in (True, False):
        answer, closed = talk(site, data, at_once=at_once)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert closed


def test_requests_on_one_connection_may_end_their_lines_as_they_like(site):
    post = b"POST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\n\n\r\nx"
    bare = BARE + b"\n"
    data = b"\r\n".join([REQUEST, b"\n" + bare, REQUEST, post, b"\r\n" + bare])
    for at_once in (True, False):
        answer, _ = talk(site, data, at_once=at_once)
        assert answer.count(b"HTTP/1.1 200 OK") == 4
        assert answer.count(b"HTTP/1.1 405 ") == 1


def test_the_host_of_an_absolute_target_is_the_one_that_counts(site):
    seen = []
    extract = site.core.probe.extract

    def note(request, kind):
        seen.append((request.path, request.getHeader(b"Host")))
        return extract(request, kind)

    site.core.probe.extract = note
    site.send("http://one.example/x?y", agent=AGENT, headers=["Host: two.example"])
    assert seen == [(b"/x", b"one.example")]
