import pytest

from provd.errors import InvalidDocument
from provd.model.selectors import Query
from provd.store.documents import encode, get_column_text, is_storable
from provd.store.interface import Record
from provd.store.planning import cut, page, plan

LONE = "\ud800"


@pytest.mark.parametrize(
    ("selector", "equal", "complete"),
    [
        ({}, {}, set()),
        ({"id": "a"}, {"id": ["a"]}, {"id"}),
        ({"mac": {"$in": ["a", "b"]}}, {"mac": ["a", "b"]}, {"mac"}),
        ({"mac": {"$in": ["a"], "$exists": True}}, {"mac": ["a"]}, set()),
        ({"mac": {"$in": []}}, {"mac": []}, {"mac"}),
        ({"mac": {"$in": ["a", LONE]}}, {"mac": ["a"]}, {"mac"}),
        ({"mac": LONE}, {"mac": []}, {"mac"}),
        ({"mac": {"$in": ["a", 1]}}, {}, set()),
        ({"mac": 1}, {}, set()),
        ({"options.x": "a", "ip": "b"}, {"ip": ["b"]}, {"ip"}),
    ],
)
def test_texts_that_a_column_must_equal_are_planned(selector, equal, complete):
    planned = plan("devices", selector)
    assert planned.equal == equal
    assert planned.complete == complete


def test_only_the_columns_of_the_collection_are_planned():
    assert plan("configs", {"mac": "a", "role": "b"}).equal == {"role": ["b"]}


def test_a_column_that_must_be_missing_is_planned():
    assert plan("devices", {"mac": {"$exists": False}, "x": {"$exists": False}}).absent == ["mac"]
    assert plan("devices", {"mac": {"$exists": False, "$gt": "a"}}).absent == []


@pytest.mark.parametrize(
    ("collection", "condition", "parent"),
    [
        ("configs", {"$contains": "base"}, "base"),
        ("configs", {"$contains": LONE}, None),
        ("configs", {"$contains": 1}, None),
        ("configs", {"$contains": "base", "$exists": True}, None),
        ("configs", "base", None),
        ("devices", {"$contains": "base"}, None),
    ],
)
def test_a_parent_that_a_config_must_have_is_planned(collection, condition, parent):
    assert plan(collection, {"parent_ids": condition}).parent == parent


RECORDS = [Record({"id": name, "n": name}, 1) for name in "bac"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (Query(), "bac"),
        (Query(skip=1), "ac"),
        (Query(skip=-1, limit=2), "ba"),
        (Query(limit=0), "bac"),
        (Query(limit=-1), ""),
        (Query(skip=9), ""),
        (Query(skip=1, limit=1), "a"),
    ],
)
def test_skip_and_limit_cut_a_listing(query, ids):
    assert "".join(record.id for record in cut(list(RECORDS), query)) == ids


def test_a_page_is_sorted_before_it_is_cut():
    found = page(list(RECORDS), Query(sort=("n", -1), limit=2))
    assert [record.id for record in found] == ["c", "b"]


@pytest.mark.parametrize(
    "document", [{"x": {1}}, {"x": float("nan")}, {"x": LONE}, {LONE: 1}], ids=repr
)
def test_what_json_cannot_hold_is_refused(document):
    with pytest.raises(InvalidDocument):
        encode(document)


def test_documents_are_encoded_compactly_and_as_unicode():
    assert encode({"id": "é", "x": [1, None]}) == '{"id":"é","x":[1,null]}'


def test_only_texts_are_kept_in_columns():
    assert get_column_text({"mac": "a"}, "mac") == "a"
    assert get_column_text({"mac": 1}, "mac") is None
    assert get_column_text({}, "mac") is None


def test_lone_surrogates_cannot_be_stored():
    assert is_storable("aé\U0001f600")
    assert not is_storable(f"a{LONE}")
