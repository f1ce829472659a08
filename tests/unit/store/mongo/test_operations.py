import pytest

from provd.errors import DuplicateId, InvalidDocument, RevisionConflict
from provd.store.interface import Delete, Insert, Replace
from provd.store.mongo import operations as module
from provd.store.mongo.operations import encode_write, group, prepare, simulate

STORED = {("devices", "a"): {"revision": 3, "order": 1}, ("devices", "dead"): {"revision": 2}}


def prepared(*writes):
    return [prepare(each, encode_write(each), 10 + n) for n, each in enumerate(writes)]


def insert(document_id, collection="devices"):
    return Insert(collection, {"id": document_id})


def replace(document_id, revision):
    return Replace("devices", {"id": document_id}, revision)


@pytest.mark.parametrize(
    "writes",
    [
        [insert("b")],
        [insert("dead")],
        [insert("a", "configs")],
        [replace("a", 3)],
        [Delete("devices", "a", 3), insert("a")],
        [insert("b"), replace("b", 10), Delete("devices", "b", 11)],
    ],
)
def test_operations_that_fit_pass(writes):
    operations = prepared(*writes)
    simulate(operations, STORED)
    assert [op.number for op in operations] == list(range(10, 10 + len(writes)))


@pytest.mark.parametrize(
    ("writes", "error"),
    [
        ([insert("a")], DuplicateId),
        ([insert("b"), insert("b")], DuplicateId),
        ([replace("a", 2)], RevisionConflict),
        ([replace("dead", 2)], RevisionConflict),
        ([Delete("devices", "none", 1)], RevisionConflict),
        ([Delete("devices", "a", 3), replace("a", 3)], RevisionConflict),
    ],
)
def test_operations_that_do_not_fit_raise_what_doing_them_would(writes, error):
    with pytest.raises(error):
        simulate(prepared(*writes), STORED)


def test_operations_go_in_runs_of_one_collection_and_keep_their_order(monkeypatch):
    monkeypatch.setattr(module, "STATEMENTS", 2)
    writes = [insert("a"), insert("b"), insert("c"), insert("x", "configs"), insert("d")]
    runs = [(name, [op.id for op in part]) for name, part in group(prepared(*writes))]
    assert runs == [
        ("devices", ["a", "b"]),
        ("devices", ["c"]),
        ("configs", ["x"]),
        ("devices", ["d"]),
    ]


def test_a_document_that_mongodb_cannot_hold_is_refused():
    with pytest.raises(InvalidDocument, match="larger than"):
        encode_write(Insert("devices", {"id": "a", "x": "é" * (8 * 1024 * 1024)}))
