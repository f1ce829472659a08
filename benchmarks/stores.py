"""Measures a document store alone, without the daemon, at several numbers of devices.

    python -m benchmarks.stores --store sqlite --sizes 1000,10000,100000,1000000
    python -m benchmarks.stores --store mongodb --uri mongodb://127.0.0.1:27017 --sizes 1000,10000

Each time is the median of some rounds and includes the hand-over between threads. Half of the
devices are autocreated with a config of their own, as in life. A MongoDB database must be empty,
and is left with what was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from twisted.internet import defer, task

from provd.model.selectors import Query
from provd.store.interface import Insert, Replace
from provd.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[1]
TENANTS = [f"00000000-0000-4000-8000-{number:012}" for number in range(20)]


def mac_of(number):
    return ":".join(f"{number >> shift & 255:02x}" for shift in (40, 32, 24, 16, 8, 0))


def device(number):
    return {
        "id": f"{number * 2654435761 % 2**32:08x}{number:024x}",
        "mac": mac_of(number),
        "ip": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        "vendor": "Yealink",
        "model": "T46S",
        "version": "66.86.0.15",
        "plugin": "provd-yealink",
        "config": f"c{number}",
        "tenant_uuid": TENANTS[number % len(TENANTS)],
        "configured": True,
        "is_new": False,
        "description": f"desk {number}",
        "options": {"switchboard": False},
        **({"added": "auto"} if number % 2 else {}),
    }


def memory():
    """Return the resident memory of this process, in megabytes."""
    with open("/proc/self/statm", encoding="ascii") as stream:
        return int(stream.read().split()[1]) * resource.getpagesize() / 1e6


class Measurement:
    """Times of one store, at one size after the other."""

    def __init__(self, store, rounds):
        self.store, self.rounds = store, rounds
        self.size = 0
        self.rows = []

    async def grow(self, size):
        began = time.perf_counter()
        for start in range(self.size, size, 1000):
            numbers = range(start, min(start + 1000, size))
            await self.store.write([Insert("devices", device(number)) for number in numbers])
        self.add("filling, 1000 at once", (time.perf_counter() - began) / (size - self.size))
        self.size = size

    def add(self, name, seconds):
        self.rows.append({"size": self.size, "name": name, "ms": seconds * 1000})

    async def time(self, name, call, rounds=None):
        times = []
        for number in range(rounds or self.rounds):
            # Spread over all devices.
            chosen = number * 7919 % self.size
            began = time.perf_counter()
            await call(chosen)
            times.append(time.perf_counter() - began)
        self.add(name, statistics.median(times))

    async def measure(self, size):
        await self.grow(size)
        self.rows[-1]["size"] = size
        store = self.store

        async def by(key, number):
            found = await store.find("devices", Query(selector={key: device(number)[key]}, limit=2))
            assert len(found) == 1

        async def get(number):
            assert await store.get("devices", device(number)["id"]) is not None

        async def insert(_number):
            await store.write([Insert("devices", device(2**40 + self.fresh()))])

        async def update(number):
            record = await store.get("devices", device(number)["id"])
            changed = {**record.document, "description": f"changed {self.fresh()}"}
            await store.write([Replace("devices", changed, record.revision)])

        async def many(_number):
            writes = [[Insert("devices", device(2**40 + self.fresh()))]
                      for _ in range(100)]  # fmt: skip
            await defer.gatherResults(
                [defer.Deferred.fromCoroutine(store.write(w)) for w in writes]
            )

        async def page(sort, selector, skip=0):
            query = Query(selector=selector, sort=sort, skip=skip, limit=100)
            assert len(await store.find("devices", query)) == 100

        slow = 3 if size > 50_000 else 9
        half = {"tenant_uuid": {"$in": TENANTS[:10]}}
        await self.time("look-up by id", get)
        await self.time("look-up by mac", lambda number: by("mac", number))
        await self.time("insert", insert)
        await self.time("read and update", update)
        await self.time("100 inserts that wait together", many, 9)
        await self.time("page of 100 in order of insertion", lambda _: page(None, {}), slow)
        await self.time("page of 100 sorted by mac", lambda _: page(("mac", 1), {}), slow)
        await self.time(
            "page of 100 by mac, last", lambda _: page(("mac", -1), {}, size - 200), slow
        )
        await self.time("page of 100 by mac, half of all", lambda _: page(("mac", 1), half), slow)
        await self.time("page of 100 by description", lambda _: page(("description", 1), {}), slow)
        await self.time("count all", lambda _: store.count("devices", {}), slow)
        tenant = {"tenant_uuid": TENANTS[0]}
        await self.time("count of a tenant", lambda _: store.count("devices", tenant), slow)
        self.rows.append({"size": size, "name": "resident memory", "mb": memory()})

    _fresh = 0

    def fresh(self):
        self._fresh += 1
        return self._fresh

    def table(self):
        sizes = sorted({row["size"] for row in self.rows})
        names = dict.fromkeys(row["name"] for row in self.rows)
        yield f"{'':34}" + "".join(f"{size:>12,}" for size in sizes)
        for name in names:
            cells = []
            for size in sizes:
                row = next(r for r in self.rows if (r["size"], r["name"]) == (size, name))
                cells.append(f"{row['mb']:.0f} MB" if "mb" in row else f"{row['ms']:.3f} ms")
            yield f"{name:34}" + "".join(f"{cell:>12}" for cell in cells)


async def run(reactor, options):
    work = tempfile.mkdtemp(prefix="provd-stores-", dir=options.dir)
    try:
        if options.store == "sqlite":
            store = SqliteStore(reactor, os.path.join(work, "provd.db"))
        else:
            from provd.store.mongo import MongoStore

            store = MongoStore(reactor, options.uri, options.name)
        await store.open()
        measurement = Measurement(store, options.rounds)
        try:
            for size in options.sizes:
                await measurement.measure(size)
        finally:
            await store.close()
        if options.store == "sqlite":
            size = os.path.getsize(os.path.join(work, "provd.db")) / 1e6
            print(f"file at the end: {size:.0f} MB")
    finally:
        shutil.rmtree(work)
    print(f"{options.store}, {platform.python_version()}, {os.cpu_count()} cores")
    print("\n".join(measurement.table()))
    target = ROOT / "build" / f"stores-{options.store}.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(measurement.rows, indent=2))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", choices=("sqlite", "mongodb"), default="sqlite")
    parser.add_argument("--uri", default="mongodb://127.0.0.1:27017")
    parser.add_argument("--name", default="provd_benchmark")
    parser.add_argument(
        "--sizes",
        type=lambda text: sorted({int(number) for number in text.split(",")}),
        default=[1000, 10_000],
    )
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--dir", help="where the SQLite file is made")
    options = parser.parse_args(argv)
    task.react(lambda reactor: defer.Deferred.fromCoroutine(run(reactor, options)))


if __name__ == "__main__":
    sys.exit(main())
