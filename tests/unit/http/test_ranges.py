"""Ranges of a file (RFC 9110 section 14.2): what is asked for, merged, or the header ignored."""

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.http.ranges import MAX_PARTS, format_ranges, parse_ranges
from provd.http.site import PhoneHttpRequest
from tests.unit.http.test_site import AGENT, Site


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        (b"bytes=0-3", [(0, 3)]),
        (b"bytes=0-", [(0, 9999)]),
        (b"bytes=-5", [(9995, 9999)]),
        (b"bytes=-20000", [(0, 9999)]),
        (b"Bytes = 9990-20000", [(9990, 9999)]),
        (b"bytes=0-9,,", [(0, 9)]),
        (b"bytes=5-9, 0-4", [(0, 9)]),
        (b"bytes=0-9,5-19,5-19", [(0, 19)]),
        (b"bytes=0-9,20-29", [(0, 29)]),  # nearer than a part's header is long
        (b"bytes=8000-8009,0-9", [(0, 9), (8000, 8009)]),
        (b"bytes=0-9,20000-20001", [(0, 9)]),
        (b"bytes=10000-", []),
        (b"bytes=-0", []),
        (b"bytes=0-4000,4200-9998", None),  # with the headers of parts as much as the file
        (b"bytes=" + b",".join(b"%d-%d" % (n * 500, n * 500) for n in range(MAX_PARTS + 1)), None),
        (b"bytes=", None),
        (b"bytes=-", None),
        (b"bytes=3-2", None),
        (b"bytes=+1-2", None),
        (b"bytes=1_0-20", None),
        (b"bytes=a-b", None),
        (b"bytes=\xff", None),
        (b"bytes=0-" + b"9" * 5000, None),
        (b"lines=0-3", None),
        (b"0-3", None),
    ],
)
def test_ranges_are_merged_put_in_order_or_ignored(value, parts):
    assert parse_ranges(value, 10_000) == parts


@given(
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), min_size=1, max_size=1300),
    st.integers(0, 2500),
)
def test_an_answer_is_never_much_longer_than_the_file(pairs, size):
    value = format_ranges([(first, first + length) for first, length in pairs])
    parts = parse_ranges(value, size)
    wanted = {n for first, length in pairs for n in range(first, min(size, first + length + 1))}
    if parts is None:
        return
    sent = [n for first, last in parts for n in range(first, last + 1)]
    assert sent == sorted(set(sent))
    assert wanted <= set(sent)
    assert bool(sent) == bool(wanted)
    assert len(parts) <= MAX_PARTS
    assert parts == parse_ranges(format_ranges(parts), size) or not parts


def produce(request, producer, _streaming):
    """Send all that a producer has, at once, as no reactor runs."""
    while producer.request is not None:
        producer.resumeProducing()


@pytest.fixture(params=["small", "large", "compressed"])
def served(request, tmp_path, monkeypatch):
    """A site and the target and content of a file that it sends from memory or from the disk."""
    monkeypatch.setattr(PhoneHttpRequest, "registerProducer", produce)
    monkeypatch.setattr(PhoneHttpRequest, "unregisterProducer", lambda _request: None)
    site = Site(tmp_path)
    site.device()
    site.status("/common.cfg", agent=AGENT)
    name, size = {"small": ("x.bin", 1000), "large": ("x.rom", 300_000)}.get(
        request.param, ("x.gz", 1000)
    )
    content = os.urandom(size)
    path = os.path.join(os.path.dirname(site.core.path()), name)
    with open(path, "wb") as stream:
        stream.write(content)
    os.utime(path, (1.7e9, 1.7e9))
    return site, f"/{name}", content


def ask(served, *headers, method="GET"):
    """Return status, headers and body."""
    site, target, _ = served
    protocol, transport = site.connect()
    lines = [f"{method} {target} HTTP/1.1", f"User-Agent: {AGENT}", *headers, "", ""]
    protocol.dataReceived("\r\n".join(lines).encode("latin-1"))
    site.core.clock.advance(0)
    head, _, body = transport.value().partition(b"\r\n\r\n")
    fields = dict(re.findall(rb"\r\n([^:\r]*): ([^\r]*)", head))
    return int(head.split()[1]), {k.lower(): v for k, v in fields.items()}, body


def test_1200_overlapping_ranges_give_no_more_than_the_file(served):
    many = ",".join(f"{n % 7}-" for n in range(1200))
    status, fields, body = ask(served, f"Range: bytes={many}")
    assert status == 206
    assert body == served[2]
    assert fields[b"content-range"] == b"bytes 0-%d/%d" % (len(body) - 1, len(body))


def test_a_single_range_and_two_that_touch_give_one_part(served):
    content = served[2]
    for value in ("bytes=5-9", "bytes=7-9,5-7", "bytes=8-9,5-7"):
        status, fields, body = ask(served, f"Range: {value}")
        assert (status, body) == (206, content[5:10])
        assert fields[b"content-range"] == b"bytes 5-9/%d" % len(content)
        assert fields[b"content-length"] == b"5"


def test_two_ranges_far_apart_give_two_parts_in_order(served):
    content = served[2]
    end = len(content) - 1
    status, fields, body = ask(served, f"Range: bytes={end - 9}-{end},0-9")
    assert status == 206
    assert fields[b"content-type"].startswith(b"multipart/byteranges; boundary=")
    assert int(fields[b"content-length"]) == len(body)
    first, second = body.index(content[:10]), body.index(content[-10:])
    assert first < second


@pytest.mark.parametrize(
    "value", ["bytes=a-b", "bytes=\xff", "lines=1-2", "bytes=3-2", "many small ones"]
)
def test_a_range_that_makes_no_sense_is_ignored(served, value):
    if value == "many small ones":
        value = "bytes=" + ",".join(
            f"{n}-{n}" for n in range(0, len(served[2]), max(160, len(served[2]) // 100))
        )
    status, fields, body = ask(served, f"Range: {value}")
    assert (status, body) == (200, served[2])
    assert b"content-range" not in fields


def test_a_range_behind_the_end_cannot_be_satisfied(served):
    status, fields, body = ask(served, "Range: bytes=300000-")
    assert (status, body) == (416, b"")
    assert fields[b"content-range"] == b"bytes */%d" % len(served[2])


def test_a_range_counts_only_where_if_range_names_what_is_here(served):
    content = served[2]
    _, fields, _ = ask(served)
    for value, status in [
        (fields[b"etag"].decode(), 206),
        (fields[b"last-modified"].decode(), 206),
        ('"other"', 200),
        ("W/" + fields[b"etag"].decode(), 200),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 200),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("rubbish", 200),
    ]:
        got, _, body = ask(served, "Range: bytes=1-2", f"If-Range: {value}")
        assert (got, body) == (status, content[1:3] if status == 206 else content)


def test_a_head_has_the_headers_of_the_whole_file_and_no_body(served):
    status, fields, body = ask(served, method="HEAD")
    assert (status, body) == (200, b"")
    got = ask(served)
    ignored = {b"date"}
    assert fields.keys() == got[1].keys()
    assert all(fields[key] == got[1][key] for key in fields.keys() - ignored)
    assert int(fields[b"content-length"]) == len(served[2])
    assert ask(served, "Range: bytes=0-3", method="HEAD")[0] == 200
