"""What a node remembers of the store is what the store holds."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.manager.cache import DocumentCache
from provd.model.selectors import Query
from provd.store.interface import Delete, Insert, Record, Replace
from tests.unit.manager.core import SlowStore, later, result


@pytest.fixture
def store():
    return SlowStore()


@pytest.fixture
def cache(store):
    return DocumentCache(store, "devices", 100)


def device(device_id, **members):
    return {"id": device_id, **members}


class Writer:
    """Writes to the store and tells the cache, as the manager does under its locks."""

    def __init__(self, store, cache):
        self.store = store
        self.cache = cache

    async def insert(self, document):
        [revision] = await self.store.write([Insert("devices", document, shares=True)])
        self.cache.written(None, Record(document, revision))

    async def replace(self, record, document):
        [revision] = await self.store.write(
            [Replace("devices", document, record.revision, shares=True)]
        )
        self.cache.written(record.document, Record(document, revision))

    async def delete(self, record):
        await self.store.write([Delete("devices", record.id, record.revision)])
        self.cache.written(record.document, None)


@pytest.fixture
def writer(store, cache):
    return Writer(store, cache)


def ids(records):
    return [record.id for record in records]


def test_a_document_is_asked_for_once(store, cache, writer):
    result(store.write([Insert("devices", device("d1", mac="m1"))]))
    first = result(cache.get("d1"))
    store.slow = True
    assert result(cache.get("d1")) is first
    assert (cache.hits, cache.misses) == (1, 1)


def test_that_there_is_no_such_document_is_remembered_until_it_comes(store, cache, writer):
    assert result(cache.get("d1")) is None
    assert cache.is_absent("d1")
    assert result(cache.get("d1")) is None
    assert cache.misses == 1
    result(writer.insert(device("d1")))
    assert not cache.is_absent("d1")
    assert result(cache.get("d1")).id == "d1"


def test_a_look_up_is_asked_for_once_and_corrected_by_writes(store, cache, writer):
    assert result(cache.by_key("mac", "m1")) == []
    result(writer.insert(device("d1", mac="m1")))
    assert cache.peek_ids("mac", "m1") == ("d1",)
    record = cache.peek("d1")
    result(writer.replace(record, device("d1", mac="m2")))
    assert cache.peek_ids("mac", "m1") == ()
    assert ids(result(cache.by_key("mac", "m2"))) == ["d1"]
    result(writer.delete(cache.peek("d1")))
    assert result(cache.by_key("mac", "m2")) == []


def test_a_second_document_of_one_key_keeps_the_order_of_insertion(store, cache, writer):
    result(writer.insert(device("d1")))
    result(writer.insert(device("d2", ip="i1")))
    assert ids(result(cache.by_key("ip", "i1"))) == ["d2"]
    result(writer.replace(result(cache.get("d1")), device("d1", ip="i1")))
    assert ids(result(cache.by_key("ip", "i1"))) == ["d1", "d2"]


def test_an_answer_that_a_write_overtook_is_not_remembered(store, cache, writer):
    store.slow = True
    asking = later(cache.by_key("mac", "m1"))
    store.step(store.pending[0])  # the store looks: nothing
    inserting = later(writer.insert(device("d1", mac="m1")))
    write = store.pending[1]
    store.step(write)
    store.step(write)
    assert result(inserting) is None
    store.run()
    assert result(asking) == []
    store.slow = False
    assert ids(result(cache.by_key("mac", "m1"))) == ["d1"]


def test_the_absence_that_an_insert_overtook_is_not_remembered(store, cache, writer):
    store.slow = True
    asking = later(cache.get("d1"))
    store.step(store.pending[0])
    inserting = later(writer.insert(device("d1")))
    write = store.pending[1]
    store.step(write)
    store.step(write)
    result(inserting)
    store.run()
    assert result(asking) is None
    assert result(cache.get("d1")).id == "d1"


def test_a_forgotten_document_is_asked_for_again(store, cache):
    result(store.write([Insert("devices", device("d1", mac="m1"))]))
    record = result(cache.by_key("mac", "m1"))[0]
    result(store.write([Replace("devices", device("d1", mac="m2"), record.revision, shares=True)]))
    cache.forget(["d1"])
    assert result(cache.get("d1")).document["mac"] == "m2"
    assert result(cache.by_key("mac", "m1")) == []


def test_a_failing_store_leaves_nothing_behind(cache, store):
    async def fail(*_args):
        raise OSError("away")

    store.get = store.find = fail
    for question in (cache.get("d1"), cache.by_key("mac", "m1")):
        with pytest.raises(OSError, match="away"):
            result(question)
    assert cache._asked == {}
    assert not cache.is_absent("d1")


def test_memory_is_bounded_and_the_least_used_goes_first(store):
    cache = DocumentCache(store, "devices", 2)
    for number in range(3):
        result(store.write([Insert("devices", device(f"d{number}"))]))
    result(cache.get("d0"))
    result(cache.get("d1"))
    result(cache.get("d0"))
    result(cache.get("d2"))
    assert cache.peek("d1") is None
    assert cache.peek("d0") is not None
    for number in range(10):
        result(cache.get(f"absent{number}"))
        result(cache.by_key("mac", f"m{number}"))
    assert len(cache._absent) == len(cache._lookups) == 2


MACS = ("m1", "m2")


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 2, 3, 100]))
def test_cache_and_store_agree_after_any_interleaving(seed, limit):
    """Writers of different documents and readers run at once; in the end nothing stale is left."""
    chance = random.Random(seed)
    store = SlowStore()
    cache = DocumentCache(store, "devices", limit)
    writer = Writer(store, cache)
    names = ("d1", "d2", "d3")

    async def life(name):
        """What one lock holder does with one document."""
        for _ in range(4):
            record = await store.get("devices", name)
            members = {key: chance.choice(MACS) for key in ("mac", "ip") if chance.random() < 0.7}
            document = {"id": name, **members}
            if record is None:
                await writer.insert(document)
            elif chance.random() < 0.3:
                await writer.delete(record)
            else:
                await writer.replace(record, document)

    async def read():
        for _ in range(8):
            if chance.random() < 0.5:
                await cache.get(chance.choice(names))
            else:
                await cache.by_key(chance.choice(("mac", "ip")), chance.choice(MACS))

    store.slow = True
    running = [later(life(name)) for name in names] + [later(read()) for _ in range(3)]
    store.run(chance.choice)
    for coroutine in running:
        result(coroutine)
    store.slow = False
    for name in names:
        stored = result(store.get("devices", name))
        remembered = cache.peek(name)
        assert remembered is None or remembered == stored
        assert stored is None or not cache.is_absent(name)
        assert result(cache.get(name)) == stored
    for key in ("mac", "ip"):
        for value in MACS:
            found = result(store.find("devices", Query(selector={key: value})))
            assert result(cache.by_key(key, value)) == found
