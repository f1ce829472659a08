"""provd-admin copies all documents from SQLite to MongoDB and back."""

import contextlib
import json
import sqlite3

import pytest
import pytest_twisted
from twisted.internet import reactor

from provd.admin import cli
from provd.store.interface import Insert
from provd.store.sqlite import SqliteStore
from tests.mongo_server import mongo_database, mongo_server

__all__ = ["mongo_database", "mongo_server"]


@pytest.fixture
def copy(capsys):
    """Run the verb; return its status and report."""

    async def run(source, target, *more):
        arguments = ["copy", "--json", "--from", str(source), "--to", str(target), *more]
        status = await cli.run(reactor, cli.parse(arguments))
        said = capsys.readouterr()
        assert said.err == ""
        return status, json.loads(said.out)

    return run


def contents(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return [
            sorted((row[0], json.loads(row[1])) for row in database.execute(query))
            for query in (
                "SELECT id, document FROM devices",
                "SELECT id, document FROM configs",
                "SELECT name, value FROM parameters",
            )
        ] + [database.execute("SELECT id FROM devices ORDER BY rowid").fetchall()]


@pytest_twisted.ensureDeferred
async def test_documents_survive_the_way_to_mongodb_and_back(
    mongo_server, mongo_database, copy, tmp_path
):
    first, second = tmp_path / "first.db", tmp_path / "second.db"
    store = SqliteStore(reactor, str(first))
    await store.open()
    odd = {"id": "odd id/$.", "a.b": {"$x": [None, 10**30, 1.5, "\0é\U0001f600"]}, "": {}}
    devices = [{"id": f"d{n:04}", "mac": "00:11:22:33:44:55", "sn": None} for n in range(1200)]
    await store.write(
        [Insert("devices", document, shares=True) for document in (*reversed(devices), odd)]
    )
    await store.write([Insert("configs", {"id": "c", "parent_ids": ["b"], "raw_config": {}})])
    await store.set_parameter("NAT", "1")
    await store.close()
    uri = f"{mongo_server.uri().partition('?')[0].rstrip('/')}/{mongo_database}"
    options = mongo_server.uri().partition("?")[2]
    uri = f"{uri}?{options}" if options else uri
    status, report = await copy(first, uri)
    assert status == 0
    assert report["tallies"]["devices"]["new"] == 1201
    status, report = await copy(first, uri, "--apply")
    assert report["tallies"]["devices"]["new"] == 1201
    status, report = await copy(first, uri, "--apply")
    assert report["tallies"]["devices"]["same"] == 1201
    status, report = await copy(uri, second, "--apply")
    assert status == 0
    assert contents(second) == contents(first)
