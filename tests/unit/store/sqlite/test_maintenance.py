"""Backup, restoration, examination and compaction of the database file."""

import contextlib
import os
import sqlite3
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet import reactor

from provd.errors import StoreCorrupt, StoreError, StoreUnavailable
from provd.model.selectors import Query
from provd.store.interface import Delete, Insert
from provd.store.sqlite import SqliteStore, maintenance


def device(number, **more):
    return {"id": f"d{number:03}", "mac": f"00:00:00:00:00:{number:02x}", "x": "y" * 200, **more}


def config(name, *parents):
    return {"id": name, "parent_ids": list(parents), "raw_config": {}}


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "provd.db")


@pytest_twisted.async_yield_fixture
async def store(path):
    made = SqliteStore(reactor, path)
    await made.open()
    await made.write([Insert("devices", device(number)) for number in range(100)])
    await made.write([Insert("configs", config("base")), Insert("configs", config("c", "base"))])
    await made.set_parameter("NAT", "1")
    yield made
    await made.close()


def execute(path, sql, *values):
    with contextlib.closing(sqlite3.connect(path)) as other, other:
        return other.execute(sql, values).fetchall()


def spoil_a_page(path):
    with open(path, "r+b") as stream:
        stream.seek(8192)
        stream.write(b"\xa5" * 4096)


async def ids(path):
    store = SqliteStore(reactor, path)
    await store.open()
    try:
        return [record.id for record in await store.find("devices", Query())]
    finally:
        await store.close()


@pytest_twisted.ensureDeferred
async def test_a_backup_of_an_open_store_holds_every_acknowledged_write(store, path, tmp_path):
    copy = str(tmp_path / "copy.db")
    await store.write([Insert("devices", device(200))])
    maintenance.back_up(path, copy)
    assert sorted(os.listdir(tmp_path)) == [
        "copy.db", "provd.db", "provd.db-shm", "provd.db-wal", "provd.db.lock",
    ]  # fmt: skip
    assert os.stat(copy).st_mode & 0o777 == 0o600
    assert maintenance.examine(copy).documents == {"devices": 101, "configs": 2}
    # Once more over the old copy.
    await store.write([Insert("devices", device(201))])
    maintenance.back_up(path, copy)
    assert len(await ids(copy)) == 102


@pytest_twisted.ensureDeferred
async def test_a_restored_backup_brings_back_what_it_holds_and_keeps_the_other(
    store, path, tmp_path
):
    copy = str(tmp_path / "copy.db")
    maintenance.back_up(path, copy)
    await store.write([Insert("devices", device(200))])
    with pytest.raises(StoreUnavailable, match="another process"):
        maintenance.restore(copy, path)
    await store.close()
    aside = maintenance.restore(copy, path)
    assert len(await ids(path)) == 100
    assert len(await ids(aside)) == 101
    second = maintenance.restore(aside, path)
    assert second != aside
    assert len(await ids(path)) == 101


@pytest_twisted.ensureDeferred
async def test_a_restoration_over_a_damaged_database_keeps_all_its_parts(store, path, tmp_path):
    copy = str(tmp_path / "copy.db")
    maintenance.back_up(path, copy)
    await store.close()
    Path(path).write_bytes(b"garbage" * 1000)
    Path(f"{path}-wal").write_bytes(b"log")
    aside = maintenance.restore(copy, path)
    assert Path(aside).read_bytes() == b"garbage" * 1000
    assert Path(f"{aside}-wal").read_bytes() == b"log"
    assert not os.path.exists(f"{path}-wal")
    assert len(await ids(path)) == 100


@pytest_twisted.ensureDeferred
async def test_a_restoration_needs_no_database_in_place(store, path, tmp_path):
    copy, other = str(tmp_path / "copy.db"), str(tmp_path / "new" / "provd.db")
    maintenance.back_up(path, copy)
    assert maintenance.restore(copy, other) is None
    assert len(await ids(other)) == 100


@pytest.mark.parametrize("how", ["garbage", "cut", "page", "record", "empty", "missing"])
@pytest_twisted.ensureDeferred
async def test_a_copy_that_is_not_sound_is_never_put_in_place(store, path, tmp_path, how):
    copy = tmp_path / "copy.db"
    maintenance.back_up(path, str(copy))
    await store.close()
    content = bytearray(copy.read_bytes())
    if how == "record":
        execute(str(copy), "UPDATE devices SET document = '{' WHERE id = 'd005'")
    elif how == "missing":
        copy.unlink()
    elif how == "page":
        content[8192:12288] = b"\xa5" * 4096
        copy.write_bytes(content)
    else:
        copy.write_bytes({"garbage": b"x" * 9000, "cut": content[:20000], "empty": b""}[how])
    before = Path(path).read_bytes()
    with pytest.raises(StoreError, match=r"copy\.db"):
        maintenance.restore(str(copy), path)
    assert Path(path).read_bytes() == before
    assert [n for n in os.listdir(tmp_path) if "restoring" in n or "before" in n] == []


@pytest_twisted.ensureDeferred
async def test_a_damaged_database_gives_no_backup_and_spoils_no_older_one(store, path, tmp_path):
    copy = tmp_path / "copy.db"
    maintenance.back_up(path, str(copy))
    before = copy.read_bytes()
    await store.close()
    spoil_a_page(path)
    with pytest.raises(StoreCorrupt):
        maintenance.back_up(path, str(copy))
    assert copy.read_bytes() == before
    assert not (tmp_path / "copy.db.partial").exists()


@pytest_twisted.ensureDeferred
async def test_a_backup_never_writes_over_the_database_itself(store, path, tmp_path):
    os.symlink(path, tmp_path / "link")
    for target in (path, str(tmp_path / "link"), str(tmp_path)):
        with pytest.raises(StoreUnavailable):
            maintenance.back_up(path, target)
    assert maintenance.examine(path).is_sound


@pytest_twisted.ensureDeferred
async def test_a_sound_database_has_no_findings(store, path):
    findings = maintenance.examine(path)
    assert findings.is_sound
    assert findings.documents == {"devices": 100, "configs": 2}


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE devices SET mac = 'x' WHERE id = 'd003'", "devices/d003: the column mac"),
        ("UPDATE devices SET sn = 'x' WHERE id = 'd003'", "devices/d003: the column sn"),
        ("UPDATE devices SET revision = 100000 WHERE id = 'd003'", "devices/d003: its revision"),
        ("DELETE FROM config_parents", "configs/c: its parents"),
        ("INSERT INTO config_parents VALUES ('base', 'gone')", "configs/gone: has parents"),
        ("DELETE FROM identities WHERE device_id = 'd003' AND kind = 'mac'", "the mac "),
        ("INSERT INTO identities VALUES ('sn', '5', 'gone')", "devices/gone: owns the sn 5"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_look_ups_that_do_not_fit_the_document_are_named(store, path, sql, words):
    execute(path, sql)
    findings = maintenance.examine(path)
    assert not findings.is_sound
    (mismatch,) = findings.mismatches
    assert mismatch.startswith(words)


@pytest_twisted.ensureDeferred
async def test_faulty_records_are_found_and_moved_only_when_asked(store, path):
    execute(path, "UPDATE devices SET document = '{' WHERE id = 'd003'")
    execute(path, "UPDATE configs SET document = CAST(x'ff' AS TEXT) WHERE id = 'c'")
    execute(path, "UPDATE parameters SET value = '' WHERE name = 'NAT'")
    names = ["devices/d003", "configs/c", "parameters/NAT"]
    for _ in range(2):
        assert [fault.name for fault in maintenance.examine(path).faults] == names
    with pytest.raises(StoreUnavailable, match="another process"):
        maintenance.put_into_quarantine(path)
    await store.close()
    assert [fault.name for fault in maintenance.put_into_quarantine(path)] == names
    findings = maintenance.examine(path)
    assert findings.is_sound
    assert findings.quarantined == names
    assert maintenance.put_into_quarantine(path) == []


@pytest_twisted.ensureDeferred
async def test_damage_that_sqlite_sees_is_told(store, path):
    await store.close()
    spoil_a_page(path)
    assert maintenance.examine(path).damage


@pytest_twisted.ensureDeferred
async def test_compaction_makes_the_file_smaller_and_keeps_everything(store, path):
    for record in (await store.find("devices", Query()))[10:]:
        await store.write([Delete("devices", record.id, record.revision)])
    await store.write([Insert("devices", {"id": "a"})])
    expected = [record.id for record in await store.find("devices", Query())]
    with pytest.raises(StoreUnavailable):
        maintenance.compact(path)
    await store.close()
    before, after = maintenance.compact(path)
    assert after < before
    assert maintenance.examine(path).is_sound
    assert await ids(path) == expected
