import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import InvalidSelector
from provd.model.selectors import Query, apply, compile_selector, equality_keys, project, sort_value

TABLE = [
    ({"a": 1}, {"a": 1}, True),
    ({"a": 1}, {"a": [1]}, False),
    ({"a": 1}, {"a": "1"}, False),
    ({"a": 1}, {"a": True}, True),
    ({"a": [1]}, {"a": [1]}, True),
    ({"a": [1]}, {"a": [1, 2]}, False),
    ({"a": {"b": 2}}, {"a": {"b": 2}}, True),
    ({"a": {"b": 2}}, {"a": {"b": 2, "c": 3}}, False),
    ({"a": {}}, {"a": {}}, True),
    ({"a": {}}, {"a": {"b": 1}}, False),
    ({"a.b": 2}, {"a": {"b": 2, "c": 3}}, True),
    ({"a.b": 2}, {"a": [{"b": 2}]}, True),
    ({"a.b": 2}, {"a": [1, [{"b": 3}, [{"b": 2}]]]}, True),
    ({"a.b": 2}, {"a": {"b": [2]}}, False),
    ({"a.b": 2}, {"a": 5}, False),
    ({"a.b": 2}, {"a.b": 2}, False),
    ({"a.b.c": 2}, {"a": [{"b": {"c": 2}}]}, False),
    ({"a.b.c": 2}, {"a": {"b": [{"c": 2}]}}, True),
    ({"a": None}, {"a": None}, True),
    ({"a": None}, {}, False),
    ({"a": {"$in": [1, 2]}}, {"a": 2}, True),
    ({"a": {"$in": [1, 2]}}, {"a": [1]}, False),
    ({"a": {"$in": [1, 2]}}, {}, False),
    ({"a": {"$in": [[1], {"b": 1}]}}, {"a": [1]}, True),
    ({"a": {"$in": [[1], {"b": 1}]}}, {"a": {"b": 1}}, True),
    ({"a": {"$in": [[1], 5]}}, {"a": 1}, False),
    ({"a": {"$in": []}}, {"a": 1}, False),
    ({"a": {"$in": [None]}}, {}, False),
    ({"a": {"$nin": [1]}}, {}, True),
    ({"a": {"$nin": [1]}}, {"a": 1}, False),
    ({"a": {"$nin": [1]}}, {"a": [1]}, True),
    ({"a.b": {"$nin": [1]}}, {"a": [{"b": 2}, {"b": 1}]}, False),
    ({"a": {"$ne": 1}}, {}, True),
    ({"a": {"$ne": 1}}, {"a": [1]}, True),
    ({"a": {"$ne": 1}}, {"a": 1}, False),
    ({"a.b": {"$ne": 1}}, {"a": [{"b": 2}, {"b": 1}]}, False),
    ({"a": {"$contains": "b"}}, {"a": "abc"}, True),
    ({"a": {"$contains": "b"}}, {"a": ["b"]}, True),
    ({"a": {"$contains": "b"}}, {"a": {"b": 1}}, True),
    ({"a": {"$contains": "b"}}, {"a": 5}, False),
    ({"a": {"$contains": 5}}, {"a": "abc5"}, False),
    ({"a": {"$contains": [1]}}, {"a": [[1]]}, True),
    ({"a": {"$contains": [1]}}, {"a": {"b": 1}}, False),
    ({"a": {"$gt": 1, "$lt": 3}}, {"a": 2}, True),
    ({"a": {"$gt": 1, "$lt": 3}}, {"a": 3}, False),
    ({"a": {"$gt": 2}}, {"a": 2}, False),
    ({"a": {"$ge": 2}}, {"a": 2}, True),
    ({"a": {"$lt": 2}}, {"a": 2}, False),
    ({"a": {"$le": 2}}, {"a": 2}, True),
    ({"a": {"$ge": "b"}}, {"a": "c"}, True),
    ({"a": {"$gt": 1}}, {"a": "2"}, False),
    ({"a": {"$gt": 1}}, {"a": None}, False),
    ({"a": {"$gt": 1}}, {"a": [2]}, False),
    ({"a": {"$lt": {}}}, {"a": {}}, False),
    ({"a": {"$lt": 1}}, {}, False),
    ({"a.b": {"$gt": 4, "$lt": 2}}, {"a": [{"b": 1}, {"b": 5}]}, True),
    ({"a": {"$exists": False}}, {}, True),
    ({"a": {"$exists": False}}, {"a": None}, False),
    ({"a": {"$exists": True}}, {"a": None}, True),
    ({"a": {"$exists": True}}, {}, False),
    ({"a.b": {"$exists": 1}}, {"a": [{"b": None}]}, True),
    ({"a.b": {"$exists": 0}}, {"a": [{"b": None}]}, False),
    ({"mac": "00:11:22:33:44:55"}, {"mac": "00:11:22:33:44:55"}, True),
    ({"mac": "00:11:22:33:44:55"}, {"mac": "00:11:22:33:44:56"}, False),
    ({"tenant_uuid": {"$in": ["t1", "t2"]}}, {"tenant_uuid": "t2"}, True),
    ({"tenant_uuid": {"$in": ["t1", "t2"]}}, {"tenant_uuid": "t3"}, False),
    ({}, {}, True),
    ({}, {"a": 1}, True),
    ({"a": 1, "b": 2}, {"a": 1, "b": 2}, True),
    ({"a": 1, "b": 2}, {"a": 1, "b": 3}, False),
]


@pytest.mark.parametrize(("selector", "document", "matches"), TABLE, ids=json.dumps)
def test_selectors_match_as_the_table_says(selector, document, matches):
    assert compile_selector(selector)(document) is matches


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        (None, "an object"),
        ([], "an object"),
        ("a", "an object"),
        (1, "an object"),
        ({"a": {"$eq": 1}}, r"a: unknown operator \$eq"),
        ({"a": {"$regex": "x"}}, r"a: unknown operator \$regex"),
        ({"a": {"$gte": 1}}, r"a: unknown operator \$gte"),
        ({"$or": [{"a": 1}]}, r"\$or"),
        ({"a": {"$gt": 1, "b": 2}}, "a: .*mixed"),
        ({"a.b": {"$in": 1}}, r"a\.b: \$in takes a list"),
        ({"a": {"$in": "text"}}, r"a: \$in takes a list"),
        ({"a": {"$in": {"b": 1}}}, r"a: \$in takes a list"),
        ({"a": {"$nin": None}}, r"a: \$nin takes a list"),
        ({"a": {"$exists": "false"}}, r"a: \$exists takes true or false"),
        ({"a": {"$exists": []}}, r"a: \$exists takes true or false"),
        ({"a": {"$exists": None}}, r"a: \$exists takes true or false"),
        ({"b": 1, "a": {"$eq": 1}}, "unknown operator"),
    ],
)
def test_malformed_selectors_say_what_is_wrong(selector, words):
    with pytest.raises(InvalidSelector, match=words):
        compile_selector(selector)


scalars = (
    st.none() | st.booleans() | st.integers(-2, 3) | st.floats() | st.sampled_from(["", "a", "b"])
)
keys = st.sampled_from(["a", "b", "c"])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=6,
)
documents = st.dictionaries(keys, values, max_size=3)
paths = st.lists(keys, min_size=1, max_size=3).map(".".join)
operators = st.fixed_dictionaries(
    {},
    optional={
        "$in": st.lists(values, max_size=3),
        "$nin": st.lists(values, max_size=3),
        "$exists": st.booleans(),
        **dict.fromkeys(("$ne", "$gt", "$ge", "$lt", "$le", "$contains"), values),
    },
)
selectors = st.dictionaries(paths, values | operators, max_size=3)


@given(selectors, documents)
def test_matching_never_raises_nor_changes_the_document(selector, document):
    before = repr(document)
    assert compile_selector(selector)(document) in {True, False}
    assert repr(document) == before


@given(paths, st.lists(values, max_size=3), documents)
def test_nin_and_ne_are_the_contrary_of_in_and_equality(path, choices, document):
    def matches(condition):
        return compile_selector({path: condition})(document)

    assert matches({"$in": choices}) is not matches({"$nin": choices})
    for choice in choices:
        if not isinstance(choice, dict):
            assert matches(choice) is not matches({"$ne": choice})


@given(selectors, documents)
def test_a_selector_is_the_conjunction_of_its_members(selector, document):
    members = [compile_selector({key: condition})(document) for key, condition in selector.items()]
    assert compile_selector(selector)(document) is all(members)


@given(selectors, documents)
def test_what_an_index_would_leave_out_does_not_match(selector, document):
    for key, choices in equality_keys(selector).items():
        if "." not in key and document.get(key) not in choices:
            assert not compile_selector(selector)(document)


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ({}, {}),
        ({"mac": "m"}, {"mac": ["m"]}),
        ({"mac": "m", "ip": "i"}, {"mac": ["m"], "ip": ["i"]}),
        ({"tenant_uuid": {"$in": ["a", "b"]}}, {"tenant_uuid": ["a", "b"]}),
        ({"tenant_uuid": {"$in": ["a"], "$ne": "b"}}, {"tenant_uuid": ["a"]}),
        ({"a": {"$in": []}}, {"a": []}),
        ({"a": {"$in": ["a", None]}}, {}),
        ({"a": 1, "b": True, "c": None, "d": ["x"], "e": {"f": "x"}}, {}),
        ({"a": {"$nin": ["a"]}, "b": {"$ne": "b"}, "c": {"$contains": "c"}}, {}),
    ],
)
def test_members_that_an_index_may_answer(selector, found):
    assert equality_keys(selector) == found


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ([], {"id": "d"}),
        (["ip"], {"id": "d", "ip": "i"}),
        (["id"], {"id": "d"}),
        (["a.b"], {"id": "d", "a": {"b": {"c": 1, "d": 2}}}),
        (["a.b.c", "a.e"], {"id": "d", "a": {"b": {"c": 1}, "e": None}}),
        (["a", "a.b.c"], {"id": "d", "a": {"b": {"c": 1, "d": 2}, "e": None}}),
        (["a.b.c", "a"], {"id": "d", "a": {"b": {"c": 1, "d": 2}, "e": None}}),
        (["missing", "a.missing", "missing.b", "ip.b", "l.b", ""], {"id": "d"}),
    ],
)
def test_projection_keeps_id_and_nesting(fields, result):
    document = {"id": "d", "ip": "i", "a": {"b": {"c": 1, "d": 2}, "e": None}, "l": [{"b": 1}]}
    before = repr(document)
    assert project(document, fields) == result
    assert repr(document) == before


def test_projection_of_a_document_without_id():
    assert project({"a": 1}, ["a"]) == {"a": 1}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("text", "x"),
        ("number", "10"),
        ("flag", "True"),
        ("null", ""),
        ("missing", ""),
        ("a.b", "1"),
        ("text.b", ""),
        ("list.b", ""),
    ],
)
def test_documents_sort_by_text(key, value):
    document = {
        "text": "x",
        "number": 10,
        "flag": True,
        "null": None,
        "a": {"b": 1},
        "list": [{"b": 1}],
    }
    assert sort_value(document, key) == value


DOCUMENTS = [
    {"id": "1", "n": 10, "k": "b"},
    {"id": "2", "n": 9, "k": "a"},
    {"id": "3", "k": "b"},
    {"id": "4", "n": 9, "k": "b"},
]


def ids(query):
    return "".join(document["id"] for document in apply(DOCUMENTS, query))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (Query(), "1234"),
        (Query(selector={"k": "b"}), "134"),
        (Query(sort=("n", 1)), "3124"),
        (Query(sort=("n", -1)), "2413"),
        (Query(sort=("missing", -1)), "1234"),
        (Query(skip=1), "234"),
        (Query(skip=-1), "1234"),
        (Query(skip=9), ""),
        (Query(limit=2), "12"),
        (Query(limit=0), "1234"),
        (Query(limit=-1), ""),
        (Query(skip=1, limit=2), "23"),
        (Query(selector={"k": "b"}, sort=("n", -1), skip=1, limit=1), "1"),
    ],
)
def test_listings_filter_then_sort_then_skip_then_limit(query, found):
    assert ids(query) == found


def test_sorting_may_use_a_key_that_is_not_shown():
    found = apply(DOCUMENTS, Query(fields=("k",), sort=("n", -1), limit=1))
    assert found == [{"id": "2", "k": "a"}]


def test_a_listing_reports_a_malformed_selector_even_for_no_document():
    with pytest.raises(InvalidSelector):
        apply([], Query(selector={"a": {"$eq": 1}}, limit=-1))


def test_results_may_gain_members_without_harm():
    document = {"id": "1"}
    apply([document], Query())[0]["links"] = []
    assert document == {"id": "1"}
