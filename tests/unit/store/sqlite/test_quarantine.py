"""A record that cannot be used goes into quarantine; the others are read as before."""

import contextlib
import logging
import sqlite3

import pytest
import pytest_twisted
from twisted.internet import defer, reactor

from provd.errors import StoreUnavailable
from provd.model.selectors import Query
from provd.store.interface import Insert, Replace
from provd.store.sqlite import SqliteStore
from provd.store.sqlite.quarantine import fault_of

DAMAGE = {
    "not JSON": (b'{"id": "d2", "mac', "not JSON"),
    "a list": (b"[]", "not a JSON object"),
    "a text": (b'"id"', "not a JSON object"),
    "another id": (b'{"id": "d9"}', "the document's id is 'd9'"),
    "no id": (b"{}", "the document's id is None"),
    "not UTF-8": (b'{"id": "d2", "x": "\xff"}', "not UTF-8"),
    "UTF-16": ('{"id": "d2"}'.encode("utf-16"), "not UTF-8"),
    "a byte order mark": (b'\xef\xbb\xbf{"id": "d2"}', "not JSON"),
    "nothing": (b"", "not JSON"),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "provd.db"


@pytest_twisted.async_yield_fixture
async def store(path):
    made = SqliteStore(reactor, str(path))
    await made.open()
    await made.write(
        [
            Insert("devices", {"id": f"d{n}", "mac": f"00:00:00:00:00:0{n}", "vendor": "v"})
            for n in range(1, 5)
        ]
    )
    await made.write(
        [
            Insert("configs", {"id": "c1", "parent_ids": ["base"], "raw_config": {}}),
            Insert("configs", {"id": "c2", "parent_ids": ["base"], "raw_config": {}}),
        ]
    )
    yield made
    await made.close()


def execute(path, sql, *values):
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        return other.execute(sql, values).fetchall()


def damage(path, content, collection="devices", record_id="d2"):
    execute(
        path, f"UPDATE {collection} SET document = CAST(? AS TEXT) WHERE id = ?", content, record_id
    )


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE.keys())
@pytest_twisted.ensureDeferred
async def test_a_listing_leaves_out_the_faulty_record_and_keeps_its_bytes(
    path, store, caplog, content
):
    stored, reason = content
    damage(path, stored)
    with caplog.at_level(logging.ERROR):
        found = await store.find("devices", Query())
        assert [record.id for record in found] == ["d1", "d3", "d4"]
        assert await store.get("devices", "d2") is None
        assert await store.count("devices", {}) == 3
    assert store.quarantined == ["devices/d2"]
    ((collection, record_id, kept, why, moved),) = execute(
        path, "SELECT collection, id, content, reason, moved FROM quarantine"
    )
    assert (collection, record_id, kept) == ("devices", "d2", stored)
    assert reason in why
    assert moved.startswith("20")
    (line,) = [record.getMessage() for record in caplog.records]
    assert "devices/d2" in line
    assert reason in line


@pytest_twisted.ensureDeferred
async def test_each_way_of_reading_meets_the_fault(path, store):
    query = Query(sort=("vendor", -1), limit=2)
    for number, read in enumerate(
        (
            lambda: store.get("devices", "d1"),
            lambda: store.find("devices", Query(selector={"mac": "00:00:00:00:00:02"})),
            lambda: store.find_ids("devices", {"vendor": {"$ne": "x"}}),
            lambda: store.find("devices", query),
        ),
        1,
    ):
        damage(path, b"{", record_id=f"d{number}")
        await read()
        assert f"devices/d{number}" in store.quarantined
    assert await store.find("devices", Query()) == []


@pytest_twisted.ensureDeferred
async def test_a_limited_page_is_full_all_the_same(path, store):
    damage(path, b"{", record_id="d1")
    assert [r.id for r in await store.find("devices", Query(limit=2))] == ["d2", "d3"]


@pytest_twisted.ensureDeferred
async def test_a_faulty_config_is_nobodys_child_any_more(path, store):
    damage(path, b"", "configs", "c1")
    assert await store.get("configs", "c1") is None
    assert await store.descendants("base") == ["c2"]
    assert execute(path, "SELECT child FROM config_parents") == [("c2",)]


@pytest.mark.parametrize("content", [b"{", b"\xff"])
@pytest_twisted.ensureDeferred
async def test_a_faulty_parameter_is_moved_as_well(path, store, content):
    await store.set_parameter("NAT", "1")
    await store.set_parameter("locale", "fr_FR")
    execute(path, "UPDATE parameters SET value = CAST(? AS TEXT) WHERE name = 'NAT'", content)
    assert await store.parameters() == {"locale": "fr_FR"}
    assert store.quarantined == ["parameters/NAT"]
    await store.set_parameter("NAT", "0")
    assert await store.parameters() == {"NAT": "0", "locale": "fr_FR"}


@pytest_twisted.ensureDeferred
async def test_a_record_that_was_mended_meanwhile_stays(path, store):
    (record,) = await store.find("devices", Query(selector={"id": "d2"}))
    damage(path, b"{")
    results = await defer.gatherResults(
        [
            defer.Deferred.fromCoroutine(
                store.write([Replace("devices", {"id": "d2", "sn": "5"}, record.revision)])
            ),
            *(
                defer.Deferred.fromCoroutine(store.find("devices", Query(selector={"id": "d2"})))
                for _ in range(5)
            ),
        ],
    )
    # The replacement came first; whoever read before it read again after it.
    assert all(
        [found.document for found in listing] == [{"id": "d2", "sn": "5"}]
        for listing in results[1:]
    )
    assert execute(path, "SELECT * FROM quarantine") == []


@pytest_twisted.ensureDeferred
async def test_the_names_outlive_a_restart(path, store):
    damage(path, b"{")
    await store.find("devices", Query())
    await store.close()
    again = SqliteStore(reactor, str(path))
    await again.open()
    assert again.quarantined == ["devices/d2"]
    await again.close()


@pytest_twisted.ensureDeferred
async def test_what_cannot_be_moved_is_left_out_and_named_once(path, store, caplog):
    damage(path, b"{")
    reading = SqliteStore(reactor, str(path), read_only=True)
    await reading.open()
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            found = await reading.find("devices", Query(limit=3))
            assert [record.id for record in found] == ["d1", "d3", "d4"]
            assert await reading.find("devices", Query(selector={"id": "d2"})) == []
    assert reading.quarantined == ["devices/d2"]
    assert len(caplog.records) == 1
    await reading.close()
    assert len(execute(path, "SELECT id FROM devices")) == 4


@pytest_twisted.ensureDeferred
async def test_a_store_for_reading_sees_one_moment_and_writes_nothing(path, store):
    reading = SqliteStore(reactor, str(path), read_only=True)
    await reading.open()
    await store.write([Insert("devices", {"id": "later"})])
    assert await reading.get("devices", "later") is None
    assert await reading.count("devices", {}) == 4
    with pytest.raises(StoreUnavailable, match="reading only"):
        await reading.write([Insert("devices", {"id": "mine"})])
    await reading.close()
    assert await store.get("devices", "later") is not None


@pytest_twisted.ensureDeferred
async def test_a_store_for_reading_needs_a_file(tmp_path):
    reading = SqliteStore(reactor, str(tmp_path / "none.db"), read_only=True)
    with pytest.raises(StoreUnavailable, match=r"none\.db"):
        await reading.open()
    assert list(tmp_path.iterdir()) == []


@pytest_twisted.ensureDeferred
async def test_a_file_of_an_older_daemon_gets_its_quarantine_when_it_needs_one(path, store):
    await store.close()
    execute(path, "DROP TABLE quarantine")
    damage(path, b"{")
    again = SqliteStore(reactor, str(path))
    await again.open()
    assert again.quarantined == []
    assert await again.get("devices", "d2") is None
    assert execute(path, "SELECT id FROM quarantine") == [("d2",)]
    await again.close()


def test_sound_records_have_no_fault():
    assert fault_of("devices", "é", '{"id": "é"}'.encode()) is None
    assert fault_of("parameters", "NAT", b"null") is None
    assert fault_of("devices", "a", None) == "there is no text"
