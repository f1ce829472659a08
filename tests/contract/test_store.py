"""The promise of `store/interface.py`, kept by every store."""

import json
import sqlite3
import uuid

import pytest
import pytest_twisted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet import defer, reactor, threads

from provd.errors import (
    DuplicateId,
    InvalidDocument,
    InvalidSelector,
    RevisionConflict,
    StoreCorrupt,
    StoreUnavailable,
)
from provd.model.selectors import Query, apply
from provd.store.interface import Delete, Insert, Replace
from provd.store.memory import MemoryStore
from provd.store.mongo import MongoStore
from provd.store.sqlite import SqliteStore
from tests.mongo_server import MongoServer, mongo_database, mongo_server
from tests.queue_reactor import QueueReactor

__all__ = ["mongo_database", "mongo_server"]


@pytest.fixture(scope="module")
def standalone_server():
    with MongoServer(standalone=True) as server:
        yield server


@pytest_twisted.async_yield_fixture(params=["memory", "sqlite", "mongo", "mongo standalone"])
async def store(request, tmp_path):
    if request.param == "memory":
        made = MemoryStore()
    elif request.param == "sqlite":
        made = SqliteStore(reactor, str(tmp_path / "provd.db"))
    elif request.param == "mongo":
        server = request.getfixturevalue("mongo_server")
        made = MongoStore(reactor, server.uri(), request.getfixturevalue("mongo_database"))
    else:
        server = request.getfixturevalue("standalone_server")
        made = MongoStore(reactor, server.uri(), f"test_{uuid.uuid4().hex}")
    await made.open()
    yield made
    await made.close()


def device(number, **values):
    return {"id": f"d{number}", "mac": f"00:11:22:33:44:{number:02x}", **values}


def config(config_id, *parents, **values):
    return {"id": config_id, "parent_ids": list(parents), "raw_config": {}, **values}


@pytest_twisted.ensureDeferred
async def test_what_was_inserted_is_read_back(store):
    document = device(1, options={"a": [1, None, "é", {"b": 1.5}]})
    (revision,) = await store.write([Insert("devices", document)])
    record = await store.get("devices", "d1")
    assert record.document == document
    assert record.revision == revision
    assert await store.get("configs", "d1") is None


@pytest_twisted.ensureDeferred
async def test_an_id_can_be_inserted_once(store):
    await store.write([Insert("devices", device(1))])
    with pytest.raises(DuplicateId):
        await store.write([Insert("devices", device(1, ip="10.0.0.1"))])
    assert "ip" not in (await store.get("devices", "d1")).document


@pytest_twisted.ensureDeferred
async def test_every_write_gets_a_larger_revision(store):
    (first,) = await store.write([Insert("devices", device(1))])
    (second,) = await store.write([Insert("configs", config("c"))])
    (third,) = await store.write([Replace("devices", device(1, ip="10.0.0.1"), first)])
    assert first < second < third


@pytest_twisted.ensureDeferred
async def test_second_writer_of_one_revision_loses(store):
    (revision,) = await store.write([Insert("devices", device(1))])
    await store.write([Replace("devices", device(1, ip="10.0.0.1"), revision)])
    with pytest.raises(RevisionConflict):
        await store.write([Replace("devices", device(1, ip="10.0.0.2"), revision)])
    with pytest.raises(RevisionConflict):
        await store.write([Delete("devices", "d1", revision)])
    assert (await store.get("devices", "d1")).document["ip"] == "10.0.0.1"


@pytest_twisted.ensureDeferred
async def test_replacing_or_deleting_what_is_gone_is_a_conflict(store):
    (revision,) = await store.write([Insert("devices", device(1))])
    await store.write([Delete("devices", "d1", revision)])
    assert await store.get("devices", "d1") is None
    with pytest.raises(RevisionConflict):
        await store.write([Replace("devices", device(1), revision)])
    with pytest.raises(RevisionConflict):
        await store.write([Delete("devices", "d1", revision)])


@pytest_twisted.ensureDeferred
async def test_a_write_of_several_operations_is_all_or_nothing(store):
    await store.write([Insert("devices", device(1))])
    with pytest.raises(DuplicateId):
        await store.write(
            [Insert("configs", config("c", "p")), Insert("devices", device(1, sn="1"))]
        )
    assert await store.get("configs", "c") is None
    assert await store.descendants("p") == []


@pytest_twisted.ensureDeferred
async def test_a_failing_write_does_not_harm_its_neighbours(store):
    await store.write([Insert("devices", device(1))])
    results = await defer.DeferredList(
        [
            defer.Deferred.fromCoroutine(store.write([Insert("devices", device(n))]))
            for n in (2, 1, 3)
        ],
        consumeErrors=True,
    )
    assert [ok for ok, _ in results] == [True, False, True]
    assert await store.find_ids("devices", {}) == ["d1", "d2", "d3"]


@pytest_twisted.ensureDeferred
async def test_find_keeps_the_order_of_insertion_also_after_a_replacement(store):
    revisions = [(await store.write([Insert("devices", device(n))]))[0] for n in (3, 1, 2)]
    await store.write([Replace("devices", device(3, ip="10.0.0.1"), revisions[0])])
    found = await store.find("devices", Query())
    assert [record.id for record in found] == ["d3", "d1", "d2"]


@pytest_twisted.ensureDeferred
async def test_find_sorts_skips_and_limits(store):
    await store.write([Insert("devices", device(n, sn=str(9 - n))) for n in range(5)])
    page = await store.find("devices", Query(sort=("sn", 1), skip=1, limit=2))
    assert [record.id for record in page] == ["d3", "d2"]
    assert [r.id for r in await store.find("devices", Query(skip=3))] == ["d3", "d4"]
    assert await store.find("devices", Query(limit=-1)) == []
    assert len(await store.find("devices", Query(limit=0, skip=-5))) == 5


@pytest_twisted.ensureDeferred
async def test_count_and_ids_agree_with_find(store):
    await store.write([Insert("devices", device(n, plugin="ab"[n % 2])) for n in range(5)])
    for selector, expected in [
        ({}, 5),
        ({"plugin": "a"}, 3),
        ({"plugin": {"$in": ["a", "b"]}}, 5),
        ({"plugin": {"$in": []}}, 0),
        ({"mac": "00:11:22:33:44:03"}, 1),
        ({"mac": {"$ne": "00:11:22:33:44:03"}}, 4),
        ({"plugin": "a", "id": "d1"}, 0),
        ({"sn": None}, 0),
    ]:
        assert await store.count("devices", selector) == expected, selector
        assert len(await store.find_ids("devices", selector)) == expected, selector
        assert len(await store.find("devices", Query(selector=selector))) == expected, selector


@pytest_twisted.ensureDeferred
async def test_a_malformed_selector_is_refused(store):
    for call in (store.find_ids, store.count):
        with pytest.raises(InvalidSelector):
            await call("devices", {"a": {"$eq": 1}})
    with pytest.raises(InvalidSelector):
        await store.find("devices", Query(selector={"mac": {"$in": "x"}}))


@pytest_twisted.ensureDeferred
async def test_descendants_are_found_through_cycles_and_diamonds(store):
    await store.write(
        [
            Insert("configs", config("a", "c")),
            Insert("configs", config("b", "a")),
            Insert("configs", config("c", "b", "unknown")),
            Insert("configs", config("d", "a", "b")),
            Insert("configs", config("e")),
        ]
    )
    assert sorted(await store.descendants("a")) == ["b", "c", "d"]
    assert sorted(await store.descendants("unknown")) == ["a", "b", "c", "d"]
    assert await store.descendants("e") == []
    record = await store.get("configs", "b")
    await store.write([Replace("configs", config("b"), record.revision)])
    assert sorted(await store.descendants("a")) == ["d"]
    record = await store.get("configs", "d")
    await store.write([Delete("configs", "d", record.revision)])
    assert await store.descendants("a") == []


@pytest_twisted.ensureDeferred
async def test_configs_are_found_by_a_parent(store):
    await store.write([Insert("configs", config("a")), Insert("configs", config("b", "a", "x"))])
    assert await store.find_ids("configs", {"parent_ids": {"$contains": "a"}}) == ["b"]


@pytest_twisted.ensureDeferred
async def test_parameters_are_kept_with_their_types(store):
    for name, value in {"a": None, "b": {"c": [1]}, "d": "text"}.items():
        await store.set_parameter(name, value)
    await store.set_parameter("a", 1)
    assert await store.parameters() == {"a": 1, "b": {"c": [1]}, "d": "text"}


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["a", "b", "ab"]))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("xy"), inner, max_size=2)
    ),
    max_leaves=4,
)
KEYS = st.sampled_from(["mac", "ip", "plugin", "x", "x.y", "options.x"])
CONDITIONS = st.one_of(
    VALUES.filter(lambda value: not isinstance(value, dict)),
    st.builds(
        lambda name, value: {name: value},
        st.sampled_from(["$ne", "$gt", "$le", "$contains"]),
        SCALARS,
    ),
    st.builds(
        lambda name, value: {name: value},
        st.sampled_from(["$in", "$nin"]),
        st.lists(SCALARS, max_size=3),
    ),
    st.builds(lambda value: {"$exists": value}, st.booleans()),
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    documents=st.lists(
        st.dictionaries(st.sampled_from(["mac", "ip", "plugin", "x", "options"]), VALUES),
        max_size=6,
    ),
    selector=st.dictionaries(KEYS, CONDITIONS, max_size=2),
)
def test_sqlite_answers_every_selector_as_the_language_says(tmp_path_factory, documents, selector):
    stored = [{**document, "id": str(number)} for number, document in enumerate(documents)]

    loop = QueueReactor()

    async def ask():
        store = SqliteStore(loop, str(tmp_path_factory.mktemp("db") / "provd.db"))
        await store.open()
        try:
            if stored:
                await store.write([Insert("devices", each, shares=True) for each in stored])
            found = await store.find("devices", Query(selector=selector))
            return [record.document for record in found], await store.count("devices", selector)
        finally:
            await store.close()

    found, count = loop.run(ask())
    expected = apply(stored, Query(selector=selector))
    assert found == expected
    assert count == len(expected)


TEXTS = st.one_of(
    st.sampled_from(["", "a", "b", "ab", "$a", "a.b", "\0", "é", "\U0001f4de", "null"]),
    st.text(st.characters(codec="utf-8"), max_size=4),
)
ANYTHING = st.recursive(
    st.one_of(SCALARS, TEXTS, st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


@pytest_twisted.async_yield_fixture
async def mongo(mongo_server, mongo_database):
    made = MongoStore(reactor, mongo_server.uri(), mongo_database)
    await made.open()
    yield made
    await made.close()


def in_reactor(coroutine):
    return threads.blockingCallFromThread(reactor, defer.Deferred.fromCoroutine, coroutine)


@pytest_twisted.ensureDeferred
async def test_mongo_answers_every_query_as_the_language_says(mongo):
    async def ask(stored, query):
        revisions = await mongo.write([Insert("devices", each, shares=True) for each in stored])
        try:
            return (
                [record.document for record in await mongo.find("devices", query)],
                await mongo.find_ids("devices", query.selector),
                await mongo.count("devices", query.selector),
            )
        finally:
            pairs = zip(stored, revisions, strict=True)
            await mongo.write([Delete("devices", each["id"], number) for each, number in pairs])

    @settings(max_examples=50, deadline=None)
    @given(
        documents=st.lists(
            st.dictionaries(
                st.sampled_from(["mac", "ip", "plugin", "x", "options"]), st.one_of(VALUES, TEXTS)
            ),
            max_size=6,
        ),
        selector=st.dictionaries(KEYS, CONDITIONS, max_size=2),
        sort=st.one_of(
            st.none(),
            st.tuples(st.sampled_from(["mac", "plugin", "x", "id"]), st.sampled_from([1, -1])),
        ),
        skip=st.integers(-1, 3),
        limit=st.one_of(st.none(), st.integers(-1, 4)),
    )
    def examples(documents, selector, sort, skip, limit):
        stored = [{**document, "id": str(number)} for number, document in enumerate(documents)]
        query = Query(selector=selector, sort=sort, skip=skip, limit=limit)
        found, ids, count = in_reactor(ask(stored, query))
        matching = [document["id"] for document in apply(stored, Query(selector=selector))]
        assert found == apply(stored, query)
        assert ids == matching
        assert count == len(matching)

    await threads.deferToThread(examples)


@pytest_twisted.ensureDeferred
async def test_mongo_gives_back_whatever_json_can_say(mongo):
    async def keep(first, second):
        config_id = first["id"]
        (revision,) = await mongo.write([Insert("configs", first)])
        one = await mongo.get("configs", config_id)
        (revision,) = await mongo.write([Replace("configs", second, revision)])
        two = await mongo.get("configs", config_id)
        found = await mongo.find_ids("configs", {"parent_ids": {"$contains": "a"}})
        await mongo.write([Delete("configs", config_id, revision)])
        return one.document, two.document, found, await mongo.get("configs", config_id)

    @settings(max_examples=40, deadline=None)
    @given(document=st.dictionaries(TEXTS, ANYTHING, max_size=4), config_id=TEXTS, parents=ANYTHING)
    def examples(document, config_id, parents):
        first = {**document, "id": config_id}
        second = {**first, "parent_ids": parents}
        one, two, found, gone = in_reactor(keep(first, second))
        assert json.dumps(one) == json.dumps(first)
        assert json.dumps(two) == json.dumps(second)
        expected = apply([second], Query(selector={"parent_ids": {"$contains": "a"}}))
        assert found == [each["id"] for each in expected]
        assert gone is None

    await threads.deferToThread(examples)


# What only the embedded store promises


@pytest_twisted.ensureDeferred
async def test_sqlite_keeps_documents_over_a_restart(tmp_path):
    path = str(tmp_path / "sub" / "provd.db")
    for number in range(3):
        store = SqliteStore(reactor, path)
        await store.open()
        assert len(await store.find_ids("devices", {})) == number
        await store.write([Insert("devices", device(number))])
        await store.close()


@pytest_twisted.ensureDeferred
async def test_sqlite_commits_writes_that_wait_at_once(tmp_path):
    store = SqliteStore(reactor, str(tmp_path / "provd.db"))
    await store.open()
    before = store.commits
    await defer.gatherResults(
        [
            defer.Deferred.fromCoroutine(store.write([Insert("devices", device(n))]))
            for n in range(200)
        ]
    )
    assert store.commits - before < 100
    await store.close()


@pytest_twisted.ensureDeferred
async def test_two_daemons_cannot_share_one_file(tmp_path):
    path = str(tmp_path / "provd.db")
    first, second = SqliteStore(reactor, path), SqliteStore(reactor, path)
    await first.open()
    with pytest.raises(StoreUnavailable, match="another process"):
        await second.open()
    await first.close()


@pytest.mark.parametrize("content", [b"this is no database at all" * 100, b"{}"])
@pytest_twisted.ensureDeferred
async def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path, content):
    path = tmp_path / "provd.db"
    path.write_bytes(content)
    store = SqliteStore(reactor, str(path))
    with pytest.raises(StoreCorrupt, match=r"provd\.db"):
        await store.open()
    with pytest.raises(StoreCorrupt, match=r"provd\.db"):
        SqliteStore.check_file(str(path))
    assert path.read_bytes() == content


@pytest_twisted.ensureDeferred
async def test_the_database_of_somebody_else_is_refused(tmp_path):
    path = tmp_path / "provd.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (a)")
    connection.commit()
    connection.close()
    with pytest.raises(StoreCorrupt, match="not one of provd"):
        await SqliteStore(reactor, str(path)).open()


@pytest_twisted.ensureDeferred
async def test_a_damaged_page_is_noticed_at_the_start(tmp_path):
    path = tmp_path / "provd.db"
    store = SqliteStore(reactor, str(path))
    await store.open()
    await store.write([Insert("devices", device(n, sn=f"{n:0500}")) for n in range(100)])
    await store.close()
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt):
        await SqliteStore(reactor, str(path)).open()


@pytest_twisted.ensureDeferred
async def test_what_json_cannot_hold_is_refused_before_it_reaches_the_disk(tmp_path):
    store = SqliteStore(reactor, str(tmp_path / "provd.db"))
    await store.open()
    for value in (float("inf"), {1, 2}, "\ud800"):
        with pytest.raises(InvalidDocument):
            await store.write([Insert("devices", device(1, x=value))])
    await store.write([Insert("devices", device(1, x=10**30))])
    assert (await store.get("devices", "d1")).document["x"] == 10**30
    await store.close()


@pytest_twisted.ensureDeferred
async def test_a_closed_store_says_so(tmp_path):
    store = SqliteStore(reactor, str(tmp_path / "provd.db"))
    await store.open()
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.get("devices", "d1")
    with pytest.raises(StoreUnavailable):
        await store.write([Insert("devices", device(1))])
    assert json.dumps(device(1))
