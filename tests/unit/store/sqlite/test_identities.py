"""The table of identities in a database of an earlier version, and in a damaged one."""

import contextlib
import sqlite3

import pytest
import pytest_twisted
from twisted.internet import reactor

from provd.errors import IdentityTaken
from provd.store.interface import Duplicate, Insert
from provd.store.sqlite import SqliteStore

MAC = "00:11:22:33:44:55"


def document(device_id, **values):
    return {"id": device_id, "mac": MAC, **values}


async def filled(path):
    store = SqliteStore(reactor, path)
    await store.open()
    automatic = document("x", added="auto", is_new=True, sn="1")
    documents = [automatic, document("a"), document("b")]
    await store.write([Insert("devices", each, shares=True) for each in documents])
    await store.close()


def execute(path, *statements):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest_twisted.ensureDeferred
async def test_a_database_of_an_earlier_version_learns_who_owns_what(tmp_path):
    path = str(tmp_path / "provd.db")
    await filled(path)
    execute(path, "DROP TABLE identities", "PRAGMA user_version=2")
    store = SqliteStore(reactor, path, read_only=True)
    await store.open()
    assert await store.duplicates() == [Duplicate("mac", MAC, "a", ("x", "b"))]
    await store.close()
    store = SqliteStore(reactor, path)
    await store.open()
    assert await store.owner("mac", MAC) == "a"
    assert await store.owner("sn", "1") == "x"
    with pytest.raises(IdentityTaken):
        await store.write([Insert("devices", document("c"))])
    await store.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)


@pytest_twisted.ensureDeferred
async def test_an_owner_in_quarantine_leaves_to_another(tmp_path):
    path = str(tmp_path / "provd.db")
    await filled(path)
    execute(path, "UPDATE devices SET document = '{' WHERE id = 'a'")
    store = SqliteStore(reactor, path)
    await store.open()
    assert await store.get("devices", "a") is None
    assert store.quarantined == ["devices/a"]
    assert await store.owner("mac", MAC) == "b"
    await store.close()
