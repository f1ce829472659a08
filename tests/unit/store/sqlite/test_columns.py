"""A database made by an earlier version gets the columns that it lacks."""

import sqlite3

import pytest
import pytest_twisted
from twisted.internet import reactor

from provd.model.selectors import Query
from provd.store.interface import Insert
from provd.store.sqlite import SqliteStore


@pytest_twisted.ensureDeferred
async def test_columns_that_are_missing_are_added_and_filled(tmp_path):
    path = str(tmp_path / "provd.db")
    store = SqliteStore(reactor, path)
    await store.open()
    devices = [
        {"id": "a", "model": "T1", "description": "x"},
        {"id": "b", "model": "T2"},
        {"id": "c", "model": 3},
    ]
    config = {"id": "k", "parent_ids": [], "raw_config": {}, "X_provisioning_code": "1"}
    await store.write(
        [*(Insert("devices", device) for device in devices), Insert("configs", config)]
    )
    await store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE devices DROP COLUMN model")
        connection.execute("ALTER TABLE devices DROP COLUMN description")
        connection.execute("DROP INDEX configs_X_provisioning_code")
        connection.execute("ALTER TABLE configs DROP COLUMN X_provisioning_code")
    connection.close()

    await store.open()
    assert await store.find_ids("devices", {"model": "T2"}) == ["b"]
    assert await store.find_ids("devices", {"model": 3}) == ["c"]
    assert await store.find_ids("configs", {"X_provisioning_code": "1"}) == ["k"]
    found = await store.find("devices", Query(sort=("model", -1)))
    assert [record.id for record in found] == ["b", "a", "c"]
    await store.write([Insert("devices", {"id": "d", "model": "T4"})])
    assert await store.find_ids("devices", {"model": "T4"}) == ["d"]
    await store.close()
    with sqlite3.connect(path) as connection:
        names = {row[1] for row in connection.execute("PRAGMA index_list(configs)")}
        assert "configs_X_provisioning_code" in names
    connection.close()


@pytest.mark.parametrize(("wanted", "expected"), [(True, ["a", "c", "d"]), (False, ["b", "e"])])
@pytest_twisted.ensureDeferred
async def test_truth_is_looked_for_as_python_does(tmp_path, wanted, expected):
    store = SqliteStore(reactor, str(tmp_path / "provd.db"))
    await store.open()
    values = {
        "a": True,
        "b": False,
        "c": 1,
        "d": 1.0,
        "e": 0,
        "f": "true",
        "g": None,
        "h": [True],
        "i": 2,
        "j": "1",
    }
    await store.write(
        [Insert("devices", {"id": name, "configured": value}) for name, value in values.items()]
    )
    await store.write([Insert("devices", {"id": "k"})])
    assert await store.find_ids("devices", {"configured": wanted}) == expected
    assert await store.count("devices", {"configured": wanted}) == len(expected)
    await store.close()
