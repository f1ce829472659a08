"""A short run of the soak test, and proof that it notices a loss."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time

import pytest
import pytest_twisted
from harness import ROOT, Answer
from twisted.internet import reactor

from benchmarks.soak import Soak
from provd.store.interface import Insert
from provd.store.sqlite import SqliteStore


@pytest.mark.slow
def test_nothing_is_lost_in_twenty_seconds_of_kills_and_faults(tmp_path):
    seed = int(time.time())
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.soak", "--seconds", "20", "--seed", str(seed),
         "--output", str(tmp_path / "soak.json")],
        cwd=ROOT, capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    figures = json.loads((tmp_path / "soak.json").read_text())
    assert figures["lost"] == figures["corrupt"] == 0
    assert figures["acknowledged"] > 50
    assert figures["kills"] + figures["stops"] >= 2
    assert figures["checked"] > 50
    assert [path.name for path in tmp_path.iterdir()] == ["soak.json"]


class Serving:
    """Answers listings, as a daemon does that holds these documents."""

    process = None

    def __init__(self, devices):
        self.listings = {"/dev_mgr/devices": devices, "/cfg_mgr/configs": []}

    def get(self, path):
        key = path.rpartition("/")[2]
        return Answer(200, [], json.dumps({key: self.listings[path]}).encode())


@pytest_twisted.async_yield_fixture
async def soak(tmp_path, monkeypatch):
    monkeypatch.setattr(Soak, "mount", lambda self: False)
    made = Soak(tmp_path, 1, 1)
    store = SqliteStore(reactor, str(made.database))
    await store.open()
    await store.write([Insert("devices", {"id": "s0-a-1"})])
    await store.close()
    yield made


PATH = "dev_mgr/devices/s0-a-1"
OLD, NEW = ({"id": "s0-a-1", "description": text} for text in ("old", "new"))


@pytest.mark.parametrize(
    ("allowed", "stored", "lost"),
    [
        ([NEW], [NEW], 0),
        ([NEW], [{**NEW, "is_new": True}], 0),
        ([OLD, NEW], [OLD], 0),
        ([OLD, None], [], 0),
        ([NEW], [OLD], 1),
        ([NEW], [], 1),
        ([None], [OLD], 1),
        (None, [OLD], 1),
    ],
)
def test_a_lost_write_is_noticed(soak, allowed, stored, lost):
    soak.allowed = [{} if allowed is None else {PATH: allowed}]
    soak.daemon = Serving(stored)
    soak.compare()
    assert soak.counts["lost"] == lost


def test_a_damaged_record_is_noticed(soak):
    with contextlib.closing(sqlite3.connect(soak.database)) as other, other:
        other.execute("UPDATE devices SET mac = 'x'")
    soak.daemon = Serving([])
    soak.compare()
    assert soak.counts["corrupt"] == 1
