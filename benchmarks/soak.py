"""Kills and faults during a storm of writes: no acknowledged write may be lost.

    python -m benchmarks.soak --seconds 900

Each round lets writers storm a real daemon over REST, does it some harm (a full disk, input/output
errors, a locked file, a damaged record or page, …), kills it with SIGKILL at a random moment,
starts it again and compares all documents with what was acknowledged. A write that was refused or
not answered may or may not have been done; anything else is a loss, and the exit status is 1.

ENOSPC needs a tmpfs to be mounted, EIO and EROFS need strace; without them those faults are left
out, and the table says so. Figures go to `build/soak.json` too.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import importlib.util
import json
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from provd.errors import StoreError
from provd.store.sqlite import maintenance

ROOT = Path(__file__).parents[1]

_spec = importlib.util.spec_from_file_location("harness", ROOT / "tests/integration/harness.py")
harness = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(harness)

NO_ANSWER = (OSError, http.client.HTTPException)
COLLECTIONS = {"dev_mgr/devices": "device", "cfg_mgr/configs": "config"}
MOST_DOCUMENTS = 150


class Failure(Exception):
    """Something that was promised did not hold."""


class Writer(threading.Thread):
    """Writes documents of its own; knows for each what may be stored."""

    def __init__(self, daemon, number, seed, allowed, stop, counts):
        super().__init__()
        self.provd, self.number, self.stop, self.counts = daemon, number, stop, counts
        self.allowed = allowed
        """Path → what may be stored there: one document, several if in doubt; None is nothing."""
        self.random = random.Random(seed)
        self.token = f"{seed:x}"
        self.count = 0

    def run(self):
        while not self.stop.is_set():
            self.change()

    def change(self):
        self.count += 1
        certain = [path for path, states in self.allowed.items() if len(states) == 1 and states[0]]
        choice = self.random.random()
        if len(certain) < 5 or (choice < 0.4 and len(self.allowed) < MOST_DOCUMENTS):
            collection = self.random.choice(list(COLLECTIONS))
            path = f"{collection}/s{self.number}-{self.token}-{self.count}"
            self.allowed[path] = [None]
            self.send("POST", path, self.document(path))
        elif choice < 0.5 or len(self.allowed) >= MOST_DOCUMENTS:
            self.send("DELETE", self.random.choice(certain), None)
        else:
            path = self.random.choice(certain)
            self.send("PUT", path, self.document(path))

    def document(self, path):
        collection, _, document_id = path.rpartition("/")
        text = f"{self.token}-{self.count}"
        padding = "x" * self.random.choice((0, 200, 3000))
        if collection == "dev_mgr/devices":
            # Of all those that are drawn no two are the same, as a MAC address has one owner.
            mac = f"00:{self.random.randbytes(5).hex(':')}"
            return {"id": document_id, "mac": mac, "description": text, "X_padding": padding}
        return {
            "id": document_id,
            "parent_ids": ["base"],
            "raw_config": {"X_value": text, "X_padding": padding},
        }

    def send(self, method, path, document):
        collection = path.rpartition("/")[0]
        # In doubt until it is answered.
        self.allowed[path].append(document)
        target = f"/{collection}" if method == "POST" else f"/{path}"
        body = {COLLECTIONS[collection]: document} if document else None
        try:
            answer = self.provd.rest(method, target, body)
        except NO_ANSWER:
            self.counts["unanswered"] += 1
            self.stop.wait(0.02)
            return
        if answer.status in {200, 201, 204}:
            self.allowed[path] = [document]
            self.counts["acknowledged"] += 1
        elif answer.status in {503, 507}:
            self.counts["refused"] += 1
            self.stop.wait(0.02)
        else:
            self.counts["unexpected"] += 1
            print(f"unexpected: {method} {path}: {answer}", flush=True)


class Soak:
    """One run: a daemon, its writers, and the figures."""

    def __init__(self, work, seed, writers):
        self.random = random.Random(seed)
        self.work = work
        self.disk = work / "disk"
        self.disk.mkdir()
        self.is_mounted = self.mount()
        log = work / "security.log"
        self.daemon = harness.Daemon(
            self.disk / "provd", {"logging": {"security_file": str(log)}}, plugins=None
        )
        self.daemon.log_path = work / "provd.log"
        self.database = self.daemon.state / "provd.db"
        self.allowed = [{} for _ in range(writers)]
        self.counts = dict.fromkeys(
            ("kills", "stops", "acknowledged", "refused", "unanswered", "unexpected", "checked",
             "lost", "corrupt"), 0,
        )  # fmt: skip
        self.faults = {}
        self.victims = 0
        self.missing = [] if self.is_mounted else ["ENOSPC: no tmpfs can be mounted"]
        if not self.can_trace():
            self.missing.append("EIO, EROFS: strace cannot be used")

    # What can be done here

    def mount(self):
        command = ["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(self.disk)]
        with contextlib.suppress(OSError):
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        return False

    def close(self):
        process = self.daemon.process
        if process is not None and process.poll() is None:
            self.daemon.kill()
        if self.is_mounted:
            subprocess.run(["umount", "-l", str(self.disk)], check=False)

    @staticmethod
    def can_trace():
        if shutil.which("strace") is None:
            return False
        command = ["strace", "-qq", "-e", "inject=fsync:error=EIO", "-o", "/dev/null", "true"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def harms(self):
        """Give (weight, what is done during the storm, whether the daemon must be dead before)."""
        yield 6, self.nothing
        yield 1, self.file_limit
        yield 1, self.locked
        yield 1, self.damaged_record
        yield 1, self.back_up
        if self.is_mounted:
            yield 1, self.full_disk
        if not any("strace" in text for text in self.missing):
            yield 1, self.io_error
            yield 1, self.read_only

    # Harm during the storm

    def nothing(self):
        self.pause(0.1, 1.2)

    def pause(self, low, high):
        time.sleep(self.random.uniform(low, high))

    def file_limit(self):
        """EFBIG: the process may not make files longer."""
        pid = self.daemon.process.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        wal = Path(f"{self.database}-wal")
        size = wal.stat().st_size if wal.exists() else 4096
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size + 20_000, hard))
        self.pause(0.2, 0.8)
        if self.random.random() < 0.5:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))
            self.pause(0.1, 0.5)

    def full_disk(self):
        """ENOSPC."""
        filler = self.disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", 0) as stream:
            while True:
                stream.write(bytes(4096))
        self.pause(0.2, 0.8)
        if self.random.random() < 0.5:
            filler.unlink()
            self.pause(0.1, 0.5)

    def locked(self):
        """Another program holds the lock, sometimes longer than writes wait for it."""
        with contextlib.closing(
            sqlite3.connect(self.database, isolation_level=None, timeout=5)
        ) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(self.random.choice((0.1, 0.4, 0.4, 5.5)))
            other.execute("ROLLBACK")
        self.pause(0.1, 0.3)

    def inject(self, calls, error):
        command = [
            "strace", "-f", "-qq", "-o", "/dev/null", "-p", str(self.daemon.process.pid),
            "-P", f"{self.database}-wal", "-P", str(self.database),
            "-e", f"trace={calls}",
            "-e", f"inject={calls}:error={error}:when={self.random.randrange(1, 6)}+",
        ]  # fmt: skip
        tracer = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pause(0.3, 1.0)
        tracer.terminate()
        tracer.wait()
        if self.random.random() < 0.5:
            self.pause(0.1, 0.5)

    def io_error(self):
        """EIO when data is written, or only when it is to reach the disk."""
        self.inject(self.random.choice(("fsync,fdatasync", "pwrite64,fsync,fdatasync")), "EIO")

    def read_only(self):
        """EROFS, as of a file system that was remounted after an error."""
        self.inject("pwrite64,ftruncate", "EROFS")

    def back_up(self):
        copy = self.work / "storm.db"
        maintenance.back_up(str(self.database), str(copy))
        if not maintenance.examine(str(copy)).is_sound:
            raise Failure("a backup made during the storm is not sound")

    def damaged_record(self):
        """A record of its own becomes garbage: listings go on, and it is named."""
        self.victims += 1
        name = f"victim{self.victims}"
        self.daemon.post("/cfg_mgr/configs", {"config": {
            "id": name, "parent_ids": [], "raw_config": {}}})  # fmt: skip
        with contextlib.closing(sqlite3.connect(self.database, timeout=5)) as other, other:
            other.execute("UPDATE configs SET document = '{' WHERE id = ?", (name,))
        answer = self.daemon.get("/cfg_mgr/configs")
        if answer.status != 200:
            raise Failure(f"a damaged record makes a listing fail: {answer}")
        if f"configs/{name} cannot be used" not in self.daemon.log:
            raise Failure(f"the damaged record {name} is not named in the log")

    # Harm to a dead daemon

    def damaged_page(self):
        """A page becomes garbage: the daemon does not start, and a backup brings all back."""
        copy = str(self.work / "good.db")
        maintenance.back_up(str(self.database), copy)
        with contextlib.closing(sqlite3.connect(self.database)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (size,) = other.execute("PRAGMA page_size").fetchone()
            (pages,) = other.execute("PRAGMA page_count").fetchone()
            (root,) = other.execute(
                "SELECT rootpage FROM sqlite_master WHERE name = 'configs'"
            ).fetchone()
        with self.database.open("r+b") as stream:
            for page in (root, self.random.randrange(2, pages + 1)):
                stream.seek((page - 1) * size)
                stream.write(b"\xa5" * size)
        self.daemon.spawn()
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self.daemon.process.wait(30) != 0 and "provd.db" in self.daemon.log[-2000:]:
                maintenance.restore(copy, str(self.database))
                for aside in self.daemon.state.glob("provd.db.before-*"):
                    aside.unlink()
                return
        raise Failure("a daemon started on a database with a damaged page")

    # Rounds

    def round(self):
        harms = list(self.harms())
        (harm,) = self.random.choices([h for _, h in harms], [w for w, _ in harms])
        stop = threading.Event()
        seed = self.random.randrange(2**40)
        writers = [
            Writer(self.daemon, number, seed + number, allowed, stop, self.counts)
            for number, allowed in enumerate(self.allowed)
        ]
        for writer in writers:
            writer.start()
        try:
            self.pause(0.05, 0.5)
            harm()
        finally:
            self.end(stop, writers)
        self.faults[harm.__name__] = self.faults.get(harm.__name__, 0) + 1
        (self.disk / "filler").unlink(missing_ok=True)
        if self.random.random() < 0.1:
            self.damaged_page()
            self.faults["damaged_page"] = self.faults.get("damaged_page", 0) + 1
        self.daemon.start()
        self.compare()
        return harm.__name__

    def end(self, stop, writers):
        """Kill the daemon under the writers; seldom, stop it as a service manager does."""
        if self.random.random() < 0.1:
            self.daemon.process.send_signal(signal.SIGTERM)
            self.counts["stops"] += 1
            try:
                self.daemon.process.wait(20)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                raise Failure("the daemon did not stop in 20 s") from None
        else:
            self.daemon.kill()
            self.counts["kills"] += 1
        stop.set()
        for writer in writers:
            writer.join()

    def compare(self):
        stored = {}
        for collection, key in COLLECTIONS.items():
            answer = self.daemon.get(f"/{collection}")
            if answer.status != 200:
                raise Failure(f"{collection} cannot be listed: {answer}")
            for document in answer.json[f"{key}s"]:
                stored[f"{collection}/{document['id']}"] = document
        for allowed in self.allowed:
            for path, states in list(allowed.items()):
                shown = stored.pop(path, None)
                self.counts["checked"] += 1
                if not any(includes(shown, state) for state in states):
                    self.counts["lost"] += 1
                    print(f"LOST: {path} is {shown}, allowed was {states}", flush=True)
                # It is decided now.
                if shown is None:
                    del allowed[path]
                else:
                    allowed[path] = [shown]
        for path in stored:
            if "/s" in path and "-" in path:
                self.counts["lost"] += 1
                print(f"LOST: {path} is there, and was deleted or never sent", flush=True)
        findings = maintenance.examine(str(self.database))
        allowed_names = {f"configs/victim{number + 1}" for number in range(self.victims)}
        wrong = [
            *findings.damage, *findings.mismatches, *(fault.name for fault in findings.faults),
            *(set(findings.quarantined) - allowed_names),
        ]  # fmt: skip
        self.counts["corrupt"] += len(wrong)
        if wrong:
            print(f"CORRUPT: {wrong[:5]}", flush=True)

    def run(self, seconds):
        until = time.monotonic() + seconds
        self.daemon.start()
        self.daemon.post("/cfg_mgr/configs", {"config": {
            "id": "base", "parent_ids": [], "raw_config": {}}})  # fmt: skip
        number = 0
        while time.monotonic() < until:
            number += 1
            began = time.monotonic()
            name = self.round()
            print(
                f"round {number:4}  {name:15} {time.monotonic() - began:5.1f} s  "
                f"{self.counts['acknowledged']:8} acknowledged {self.counts['lost']:3} lost",
                flush=True,
            )
        self.daemon.stop()


def includes(shown, wanted):
    if shown is None or wanted is None:
        return shown is wanted
    return all(shown.get(key) == value for key, value in wanted.items())


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "soak.json")
    options = parser.parse_args(argv)
    work = Path(tempfile.mkdtemp(prefix="provd-soak-"))
    soak = Soak(work, options.seed, options.writers)
    began = time.monotonic()
    failure = None
    try:
        soak.run(options.seconds)
    except (Failure, AssertionError, StoreError) as error:
        failure = f"{type(error).__name__}: {error}"
        print(f"FAILED: {failure}", flush=True)
        print(soak.daemon.log[-3000:], flush=True)
    finally:
        soak.close()
    figures = {
        "seed": options.seed,
        "seconds": round(time.monotonic() - began, 1),
        **soak.counts,
        "faults": soak.faults,
        "left_out": soak.missing,
        "failure": failure,
    }
    for name, value in figures.items():
        print(f"{name:14} {value}")
    options.output.parent.mkdir(exist_ok=True)
    options.output.write_text(json.dumps(figures, indent=2))
    is_bad = failure or soak.counts["lost"] or soak.counts["corrupt"] or soak.counts["unexpected"]
    if is_bad:
        print(f"the daemon's files are kept in {work}")
        return 1
    shutil.rmtree(work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
