"""Rules of RFC 9112 for reading a response."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.simphone.fetch import FetchError, Sink
from provd.simphone.httpclient import MAX_HEAD, ResponseParser


def parse(*pieces, close=False):
    body = bytearray()
    parser = ResponseParser(body.extend)
    for piece in pieces:
        parser.feed(piece)
    if close:
        parser.end()
    return parser, bytes(body)


@pytest.mark.parametrize(
    ("response", "close", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", False, b"hello"),
        (b"HTTP/1.1 200\r\nCONTENT-LENGTH:5 \r\n\r\nhello", False, b"hello"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", False, b""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab", False, b"ab"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", True, b"until the end"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False, b""),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            False,
            b"x",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n00A;name=value\r\n0123456789\r\n0\r\nTrailer: yes\r\n\r\n",
            False,
            b"abc0123456789",
        ),
    ],
)
def test_a_body_ends_where_the_response_says(response, close, body):
    parser, received = parse(response, close=close)
    assert parser.is_done
    assert received == body
    bytewise, again = parse(*(response[at : at + 1] for at in range(len(response))), close=close)
    assert (bytewise.is_done, bytewise.status, again) == (True, parser.status, body)


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"\x16\x03\x01",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 600 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 5000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 20000,
        b"HTTP/1.1 200 OK\r\n" + b"x" * MAX_HEAD,
    ],
)
def test_what_is_no_response_is_refused(response):
    with pytest.raises(FetchError, match=r"^bad HTTP"):
        parse(response)


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (b"", "no answer"),
        (b"HTTP/1.1 200 OK\r\nConte", "truncated"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "truncated"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "truncated"),
    ],
)
def test_a_connection_that_ends_early_is_noticed(response, reason):
    with pytest.raises(FetchError, match=reason):
        parse(response, close=True)


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 not asked for", False),
    ],
)
def test_a_connection_is_kept_only_where_both_agree_on_its_state(head, keeps):
    parser, _ = parse(head)
    assert parser.is_done
    assert parser.keeps_connection is keeps


@given(
    body=st.binary(max_size=300),
    chunks=st.lists(st.integers(1, 50), max_size=20),
    cuts=st.lists(st.integers(0, 800), max_size=10),
)
def test_a_chunked_body_arrives_whole_however_the_network_cuts_it(body, chunks, cuts):
    message = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    at = 0
    for size in [*chunks, len(body) + 1]:
        piece = body[at : at + size]
        at += size
        if piece:
            message += b"%x\r\n%s\r\n" % (len(piece), piece)
    message += b"0\r\n\r\n"
    edges = sorted({0, len(message), *(cut for cut in cuts if cut < len(message))})
    pieces = [message[a:b] for a, b in itertools.pairwise(edges)]
    parser, received = parse(*pieces)
    assert parser.is_done
    assert parser.keeps_connection
    assert received == body


@given(
    prefix=st.sampled_from(
        [
            b"",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        ]
    ),
    pieces=st.lists(st.binary(max_size=60), max_size=8),
)
def test_any_bytes_give_a_response_or_a_fetch_error(prefix, pieces):
    parser = ResponseParser(bytearray().extend)
    try:
        for piece in [prefix, *pieces]:
            parser.feed(piece)
        parser.end()
    except FetchError:
        return
    assert parser.is_done


def test_a_sink_stops_a_file_without_end():
    sink = Sink(limit=10)
    sink.write(b"0123456789")
    with pytest.raises(FetchError, match="too large"):
        sink.write(b"a")


def test_a_file_is_saved_only_when_it_is_complete(tmp_path):
    kept, dropped = str(tmp_path / "a" / "kept.cfg"), str(tmp_path / "a" / "dropped.cfg")
    with Sink(100, kept) as sink:
        sink.write(b"#!version")
        sink.keep()
    with Sink(100, dropped) as sink:
        sink.write(b"half")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["kept.cfg"]
    assert (tmp_path / "a" / "kept.cfg").read_bytes() == b"#!version"
