"""A message is an event, or InvalidDocument says why not; nothing else happens."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.bus.events import Event, Message, deleted_tenant, parse_event
from provd.errors import InvalidDocument

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def message(headers, document):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Message(headers, body, 1)


def test_the_name_in_the_headers_wins_over_the_one_in_the_body():
    body = {"name": "of-the-body", "data": {"uuid": "t"}}
    assert parse_event(message({"name": "of-the-headers"}, body)) == Event(
        "of-the-headers", {"uuid": "t"}
    )


@pytest.mark.parametrize("headers", [None, {}, {"name": None}, {"origin_uuid": "x"}])
def test_without_a_name_in_the_headers_that_of_the_body_counts(headers):
    body = {"name": "of-the-body", "data": {}}
    assert parse_event(message(headers, body)) == Event("of-the-body", {})


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ({"name": "n"}, b"", "not JSON"),
        ({"name": "n"}, b"\xff", "not JSON"),
        ({"name": "n"}, b"[" * 1_000_000, "not JSON"),
        ({"name": "n"}, [], "not an object"),
        ({"name": "n"}, None, "not an object"),
        ({"name": "n"}, {}, "the data of a message 'n'"),
        ({"name": "n"}, {"data": None}, "the data"),
        ({"name": "n"}, {"data": []}, "the data"),
        (None, {"data": {}}, "no name"),
        ({"name": 5}, {"name": "n", "data": {}}, "no name"),
        ({"name": b"n"}, {"name": "n", "data": {}}, "no name"),
        ({}, {"name": ["n"], "data": {}}, "no name"),
    ],
)
def test_what_is_no_event_is_refused_in_words(headers, body, reason):
    with pytest.raises(InvalidDocument, match=reason):
        parse_event(message(headers, body))


def test_the_reason_does_not_quote_the_body():
    with pytest.raises(InvalidDocument) as caught:
        parse_event(message({"name": "n"}, {"data": "a-password"}))
    assert "a-password" not in str(caught.value)


@given(headers=st.none() | st.dictionaries(st.text(), JSON, max_size=3), body=st.binary() | JSON)
def test_any_message_is_an_event_or_refused(headers, body):
    try:
        event = parse_event(message(headers, body))
    except InvalidDocument:
        return
    document = json.loads(message(headers, body).body)
    assert event.data == document["data"]
    assert event.name in {(headers or {}).get("name"), document.get("name")}


@given(data=st.dictionaries(st.just("uuid") | st.text(), JSON, max_size=3))
def test_a_deleted_tenant_is_text_or_refused(data):
    try:
        tenant = deleted_tenant(data)
    except InvalidDocument:
        assert not isinstance(data.get("uuid"), str) or not data["uuid"]
    else:
        assert tenant == data["uuid"] != ""
