import pytest
from bson import Int64

from provd.store.mongo.documents import LIVE, make_fields, make_filter, make_tombstone, make_update


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ({"mac": "a"}, {"mac": "a"}),
        ({"mac": None}, {}),
        ({"mac": ""}, {"mac": "", "odd": True}),
        ({"mac": 1}, {"odd": True}),
        ({"other": 1}, {}),
    ],
)
def test_texts_stand_beside_the_document_and_what_sorts_otherwise_is_marked(document, fields):
    assert make_fields("devices", document, "{}") == {"json": "{}", **fields}


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ({}, {}),
        ({"parent_ids": None}, {}),
        ({"parent_ids": ["a", 1, "b"]}, {"parents": ["a", "b"]}),
        ({"parent_ids": "a"}, {"parents": [True]}),
    ],
)
def test_parents_are_kept_for_look_ups(document, fields):
    assert make_fields("configs", document, "{}") == {"json": "{}", **fields}


def test_an_update_takes_away_what_is_not_in_the_new_document():
    update = make_update("configs", {"json": "{}", "role": "a"}, 7)
    assert update["$set"] == {"json": "{}", "role": "a", "revision": Int64(7)}
    assert "role" not in update["$unset"]
    assert {"X_type", "odd", "parents", "deleted"} <= update["$unset"].keys()
    assert "order" not in update["$unset"]


def test_a_tombstone_keeps_nothing_but_its_number_and_time():
    update = make_tombstone("devices", 7)
    assert update["$set"] == {"revision": Int64(7)}
    assert {"json", "mac", "order", "odd"} <= update["$unset"].keys()
    assert update["$currentDate"] == {"deleted": True}


@pytest.mark.parametrize(
    ("collection", "selector", "filtered"),
    [
        ("devices", {}, (LIVE, True)),
        ("devices", {"id": "a"}, ({"_id": "a", **LIVE}, True)),
        ("devices", {"mac": "a"}, ({"mac": "a"}, True)),
        ("devices", {"mac": {"$in": ["a", "b"]}}, ({"mac": {"$in": ["a", "b"]}}, True)),
        ("devices", {"mac": {"$in": ["a"], "$ne": "b"}}, ({"mac": "a"}, False)),
        ("devices", {"mac": {"$exists": False}}, ({"mac": None, **LIVE}, False)),
        ("devices", {"x": "a"}, (LIVE, False)),
        ("devices", {"mac": {"$in": []}}, None),
        ("configs", {"parent_ids": {"$contains": "a"}}, ({"parents": {"$in": ["a", True]}}, False)),
    ],
)
def test_a_filter_lets_every_match_through_and_says_whether_it_is_exact(
    collection, selector, filtered
):
    assert make_filter(collection, selector) == filtered


def test_a_choice_of_too_many_texts_is_left_to_us():
    many = [str(n) for n in range(20_001)]
    assert make_filter("devices", {"mac": {"$in": many}, "ip": "b"}) == ({"ip": "b"}, False)
