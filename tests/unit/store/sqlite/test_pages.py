"""A sorted part of a listing is what the language says, whoever sorts it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provd.model.selectors import Query, apply
from provd.store.interface import Insert
from provd.store.sqlite import SqliteStore
from tests.queue_reactor import QueueReactor

TEXTS = st.sampled_from(["", "a", "b", "B", "é", "\uffff", "\U0001f600", "a\0b", "10", "9"])
VALUES = st.one_of(TEXTS, TEXTS, st.none(), st.sampled_from([5, True, 1.5, [], {"x": 1}]))
DOCUMENTS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "mac": TEXTS | st.none(),
            "sn": VALUES,
            "plugin": TEXTS,
            "other": VALUES,
            "vendor": TEXTS.filter(lambda text: "\0" not in text) | st.none(),
            "model": TEXTS,
        },
    ),
    max_size=8,
)
QUERIES = st.builds(
    Query,
    selector=st.sampled_from([{}, {"plugin": "a"}, {"plugin": {"$in": ["a", "b", ""]}}, {"other": 5}]),
    sort=st.none() | st.tuples(
        st.sampled_from(
            ["id", "mac", "sn", "plugin", "other", "vendor", "model", "tenant_uuid", "x.y", "a'b"]
        ),
        st.sampled_from([1, -1]),
    ),
    skip=st.integers(-1, 4),
    limit=st.none() | st.integers(-1, 5),
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    documents=DOCUMENTS, queries=st.lists(QUERIES, min_size=1, max_size=8), reverse=st.booleans()
)
def test_every_page_is_as_the_language_says(tmp_path_factory, documents, queries, reverse):
    stored = [{**document, "id": f"{number:02}"} for number, document in enumerate(documents)]
    stored.sort(key=lambda document: document["id"], reverse=reverse)
    loop = QueueReactor()

    async def ask():
        store = SqliteStore(loop, str(tmp_path_factory.mktemp("db") / "provd.db"))
        await store.open()
        try:
            if stored:
                await store.write([Insert("devices", document, shares=True) for document in stored])
            return [[r.document for r in await store.find("devices", q)] for q in queries]
        finally:
            await store.close()

    for query, found in zip(queries, loop.run(ask()), strict=True):
        assert found == apply(stored, query), query


@pytest.mark.parametrize("sort", [("mac", 1), ("mac", -1), ("id", 1), ("vendor", 1)])
def test_a_sorted_page_reads_only_its_own_documents(tmp_path, monkeypatch, sort):
    loop = QueueReactor()
    read = []

    async def ask():
        store = SqliteStore(loop, str(tmp_path / "provd.db"))
        await store.open()
        try:
            await store.write(
                [Insert("devices", {"id": f"{n:04}", "mac": f"{n:04}"}) for n in range(1000)]
            )
            from provd.store.sqlite import store as module

            real = module.make_record
            monkeypatch.setattr(module, "make_record", lambda row: read.append(row) or real(row))
            return await store.find("devices", Query(sort=sort, limit=10, skip=5))
        finally:
            await store.close()

    assert len(loop.run(ask())) == 10
    assert len(read) == 10
