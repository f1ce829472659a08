import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import InvalidDocument
from provd.model.documents import (
    MAX_DEPTH,
    as_bool,
    check_depth,
    copy_json,
    is_bool_like,
    is_storable_text,
    shown,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


def containers(value):
    if isinstance(value, (dict, list)):
        yield value
        for child in value.values() if isinstance(value, dict) else value:
            yield from containers(child)


@given(json_values)
def test_a_copy_is_equal_and_shares_no_container(value):
    copied = copy_json(value)
    assert copied == value
    assert not {id(one) for one in containers(value)} & {id(one) for one in containers(copied)}


@pytest.mark.parametrize("value", [True, 1, "true", "Yes", "on", "ON", "1"])
def test_true_words(value):
    assert is_bool_like(value)
    assert as_bool(value)


@pytest.mark.parametrize("value", [False, 0, "false", "No", "off", "0"])
def test_false_words(value):
    assert is_bool_like(value)
    assert not as_bool(value, default=True)


@pytest.mark.parametrize("value", [None, 2, -1, 0.5, "", "maybe", [], {}, "true "])
def test_other_values_are_no_booleans(value):
    assert not is_bool_like(value)


def test_null_is_the_default():
    assert as_bool(None, default=True)
    assert not as_bool(None)


@pytest.mark.parametrize(
    ("text", "storable"), [("é", True), ("", True), ("a\0", False), ("\ud800", False)]
)
def test_text_that_a_store_cannot_hold(text, storable):
    assert is_storable_text(text) is storable


def nested(levels):
    document = {}
    for _ in range(levels - 1):
        document = {"a": [document]} if levels % 2 else {"a": document}
    return document


def test_depth_is_limited():
    check_depth(nested(MAX_DEPTH))
    with pytest.raises(InvalidDocument, match="nested"):
        check_depth(nested(MAX_DEPTH + 2))


def test_depth_far_beyond_the_stack_is_an_ordinary_error():
    with pytest.raises(InvalidDocument, match="nested"):
        check_depth(nested(100_000))


def test_values_are_shown_short():
    assert shown("a") == "'a'"
    assert shown(None) == "None"
    assert shown("x" * 1000) == "'" + "x" * 76 + "..."
    assert len(shown(10**1000)) == 80


def test_content_of_containers_is_not_shown():
    assert shown({"password": "hunter2"}) == "an object"
    assert shown(["hunter2"]) == "a list"
