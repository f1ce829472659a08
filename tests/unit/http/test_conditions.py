"""Conditional requests (RFC 9110 sections 8.8 and 13): nothing changed goes out as unchanged."""

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.web.http import datetimeToString

from provd.http.conditions import failed_condition, last_modified, range_applies
from provd.manager.files import CachedFile, FileCache
from tests.unit.http.test_fast import HEAD, talk
from tests.unit.http.test_ranges import ask, served
from tests.unit.http.test_site import AGENT, Site

__all__ = ["served"]  # a fixture

SECOND = 1_000_000_000
T = 1_700_000_000
TAG = b'"abc"'


def file(mtime=T * SECOND, ctime=None, etag=TAG):
    return CachedFile("/x", 3, mtime, 1, b"abc", ctime or mtime, etag, "/x")


def ended(headers, at=T + 100, method=b"GET", **options):
    return failed_condition(method, headers.get, file(**options), at)


def date(seconds):
    return datetimeToString(seconds)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, None),
        ({b"if-none-match": TAG}, 304),
        ({b"if-none-match": b"W/" + TAG}, 304),
        ({b"if-none-match": b'"x", ' + TAG}, 304),
        ({b"if-none-match": b'"a,b",' + TAG}, 304),
        ({b"if-none-match": b"*"}, 304),
        ({b"if-none-match": b'"x"'}, None),
        ({b"if-none-match": b"abc"}, None),
        ({b"if-none-match": b""}, None),
        ({b"if-none-match": b'"x"', b"if-modified-since": date(T)}, None),
        ({b"if-none-match": TAG, b"if-modified-since": date(1)}, 304),
        ({b"if-match": TAG}, None),
        ({b"if-match": b"*"}, None),
        ({b"if-match": b'"x"'}, 412),
        ({b"if-match": b"W/" + TAG}, 412),
        ({b"if-match": TAG, b"if-unmodified-since": date(1)}, None),
        ({b"if-match": TAG, b"if-none-match": TAG}, 304),
        ({b"if-unmodified-since": date(T)}, None),
        ({b"if-unmodified-since": date(T - 1)}, 412),
        ({b"if-unmodified-since": b"rubbish"}, None),
        ({b"if-modified-since": date(T)}, 304),
        ({b"if-modified-since": date(T + 50)}, 304),
        ({b"if-modified-since": date(T) + b"; length=3"}, 304),
        ({b"if-modified-since": date(T - 1)}, None),
        ({b"if-modified-since": date(T + 101)}, None),
        ({b"if-modified-since": b"rubbish"}, None),
        ({b"if-modified-since": b"Fri, 99 Xxx 99999 99:99:99 GMT"}, None),
        ({b"if-modified-since": b""}, None),
    ],
)
def test_conditions_are_met_or_end_in_their_status(headers, status):
    for method in (b"GET", b"HEAD"):
        assert ended(headers, method=method) == status


def test_a_condition_of_another_method_fails_aloud():
    assert ended({b"if-none-match": TAG}, method=b"POST") == 412
    assert ended({b"if-modified-since": date(T)}, method=b"POST") is None


@given(st.integers(0, 3 * SECOND), st.integers(0, 3 * SECOND), st.integers(0, 3 * SECOND))
def test_a_date_told_before_a_change_never_gives_304_after_it(first, wait, gap):
    """A file changes at `first`, is served, and changes again."""
    served_at = (T * SECOND + first + wait) / SECOND
    told = last_modified(file(mtime=T * SECOND + first), served_at)
    assert told <= served_at
    again = T * SECOND + first + wait + 1 + gap
    for at in (again / SECOND, again / SECOND + 10):
        for believed in (told, int(served_at)):
            headers = {b"if-modified-since": date(believed)}
            assert ended(headers, at, mtime=again) is None


def test_a_file_of_the_future_gets_no_date_of_the_future_and_no_304_by_date():
    future = file(mtime=(T + 1000) * SECOND)
    assert last_modified(future, T + 0.5) == T
    for at in (T, T + 500, T + 1000):
        headers = {b"if-modified-since": date(at)}
        assert failed_condition(b"GET", headers.get, future, T + 0.5) is None


def test_an_older_file_put_back_is_sent():
    told = date(T)
    back = file(mtime=(T - 500) * SECOND, ctime=(T + 50) * SECOND)
    assert failed_condition(b"GET", {b"if-modified-since": told}.get, back, T + 100) is None


def test_if_range_takes_a_strong_tag_or_the_very_date():
    now = T + 100
    assert range_applies(None, file(), now)
    assert range_applies(TAG, file(), now)
    assert range_applies(date(T), file(), now)
    for value in (b"W/" + TAG, b'"x"', date(T + 1), date(T - 1), b"x", b""):
        assert not range_applies(value, file(), now)
    assert not range_applies(date(T), file(mtime=T * SECOND - 1), T - 0.5)
    assert not range_applies(TAG, file(etag=None), now)


def test_a_tag_tells_contents_apart_though_time_and_size_are_the_same(tmp_path):
    path = tmp_path / "x"
    tags = set()
    for content in (b"one", b"two", b"one"):
        path.write_bytes(content)
        os.utime(path, (T, T))
        tags.add(FileCache(0).get(str(path)).etag)
    assert len(tags) == 2


def test_a_large_file_has_a_tag_when_a_change_would_show(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(bytes(300_000))
    os.utime(path, ns=(time.time_ns() + 10**9,) * 2)
    assert FileCache(0).get(str(path)).etag is None
    os.utime(path, (T, T))
    first = FileCache(0).get(str(path)).etag
    assert first is not None
    os.utime(path, (T + 1, T + 1))
    assert FileCache(0).get(str(path)).etag not in {None, first}


def test_each_way_to_the_bytes_has_validators_and_obeys_conditions(served):
    status, fields, _ = ask(served)
    tag, modified = fields[b"etag"].decode(), fields[b"last-modified"].decode()
    assert status == 200
    for header in (f"If-None-Match: {tag}", f"If-Modified-Since: {modified}"):
        status, again, body = ask(served, header)
        assert (status, body) == (304, b"")
        assert again[b"etag"] == fields[b"etag"]
        assert again.get(b"content-length", b"1") != b"0"
    for header in ('If-Match: "x"', "If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT"):
        assert ask(served, header)[::2] == (412, b"")
    assert ask(served, 'If-None-Match: "x"', f"If-None-Match: {tag}")[0] == 304
    assert ask(served, 'If-None-Match: "x"', f"If-Modified-Since: {modified}")[0] == 200
    assert ask(served, f"If-None-Match: {tag}", method="HEAD")[0] == 304


def test_a_file_changed_within_the_second_is_sent(served):
    site, target, content = served
    path = os.path.join(os.path.dirname(site.core.path()), target[1:])
    os.utime(path, (time.time(),) * 2)
    _, fields, _ = ask(served)
    with open(path, "r+b") as stream:
        stream.write(b"new")
    status, _, body = ask(served, f"If-Modified-Since: {fields[b'last-modified'].decode()}")
    assert (status, body) == (200, b"new" + content[3:])


def test_what_is_answered_at_once_has_the_same_validators(tmp_path):
    site = Site(tmp_path)
    site.device()
    site.status("/000000000001.cfg", agent=AGENT)
    answer, _ = talk(site, HEAD + b"\r\n", at_once=True)
    assert answer == talk(site, HEAD + b"\r\n", at_once=False)[0]
    assert b'\r\nETag: "' in answer
    assert b"\r\nLast-Modified: " in answer
