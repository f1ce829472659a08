"""provd-admin beside a running daemon: what it may do then, and what it refuses to."""

import contextlib
import json
import sqlite3
import subprocess
import sys
import threading

import pytest
from harness import ROOT


def admin(daemon, verb, *arguments):
    """Run a verb on the daemon's settings; return the finished process."""
    command = [sys.executable, "-m", "provd.admin", verb, "-f", str(daemon.state / "config.yml")]
    return subprocess.run(
        [*command, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def add_config(daemon, name, **more):
    document = {"id": name, "parent_ids": [], "raw_config": {"X_text": "t" * 500}, **more}
    answer = daemon.post("/cfg_mgr/configs", {"config": document})
    assert answer.status == 201, answer
    return document


@pytest.fixture
def running(make_daemon):
    return make_daemon(plugins=None).start()


@contextlib.contextmanager
def storm(daemon):
    """Add configs all the time; yields the list of those acknowledged."""
    stop, names = threading.Event(), []

    def write():
        while not stop.is_set():
            add_config(daemon, f"storm{len(names):05}")
            names.append(f"storm{len(names):05}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield names
    finally:
        stop.set()
        writer.join()


def test_backup_and_restore_of_a_daemon_under_load(running, tmp_path):
    copy = tmp_path / "copy.db"
    with storm(running) as names:
        running.wait_for(lambda: len(names) > 20, "a storm")
        before = list(names)
        done = admin(running, "backup", copy)
        assert done.returncode == 0, done.stderr
        count = len(names)
        running.wait_for(lambda: len(names) > count + 5, "writes after the backup")
    refused = admin(running, "restore", copy)
    assert refused.returncode == 1
    assert "another process uses this database" in refused.stderr
    running.stop()
    done = admin(running, "restore", copy)
    assert done.returncode == 0, done.stderr
    running.start()
    stored = {config["id"] for config in running.get("/cfg_mgr/configs").json["configs"]}
    assert set(before) <= stored
    assert names[-1] not in stored
    add_config(running, "after")
    running.restart()
    assert running.get("/cfg_mgr/configs/after").status == 200
    assert "Traceback" not in running.log


def test_an_export_beside_the_daemon_is_an_installation_to_import(running, make_daemon, tmp_path):
    device = {"id": "d1", "mac": "00:11:22:33:44:55", "description": "é"}
    assert running.post("/dev_mgr/devices", {"device": device}).status == 201
    assert running.put("/configure/NAT", {"param": {"value": "1"}}).status == 204
    with storm(running) as names:
        running.wait_for(lambda: len(names) > 5, "a storm")
        before = list(names)
        done = admin(running, "export", "--to", tmp_path / "out")
        assert done.returncode == 0, done.stderr
    exported = {path.name for path in (tmp_path / "out/jsondb/configs").iterdir()}
    assert set(before) <= exported
    other = make_daemon("other", plugins=None)
    other.write_settings()
    done = admin(other, "import", "--from", tmp_path / "out", "--apply")
    assert done.returncode == 0, done.stdout + done.stderr
    other.start()
    shown = other.get("/dev_mgr/devices/d1").json["device"]
    assert (shown["mac"], shown["description"]) == ("00:11:22:33:44:55", "é")
    assert other.get("/configure/NAT").json["param"]["value"] == 1
    assert {config["id"] for config in other.get("/cfg_mgr/configs").json["configs"]} == exported


def test_an_import_beside_the_daemon_may_only_tell(running, tmp_path):
    configs = tmp_path / "wazo/jsondb/configs"
    configs.mkdir(parents=True)
    (configs / "new").write_text(json.dumps({"id": "new", "parent_ids": [], "raw_config": {}}))
    told = admin(running, "import", "--from", tmp_path / "wazo")
    assert told.returncode == 0, told.stderr
    assert "1 new" in told.stdout
    refused = admin(running, "import", "--from", tmp_path / "wazo", "--apply")
    assert refused.returncode == 1
    assert "another process uses this database" in refused.stderr
    running.stop()
    assert admin(running, "import", "--from", tmp_path / "wazo", "--apply").returncode == 0
    running.start()
    assert running.get("/cfg_mgr/configs/new").status == 200


def test_a_check_beside_the_daemon_finds_it_sound(running):
    with storm(running) as names:
        running.wait_for(lambda: len(names) > 5, "a storm")
        done = admin(running, "check")
    assert done.returncode == 0, done.stdout + done.stderr
    for option in ("--compact", "--quarantine"):
        refused = admin(running, "check", option)
        assert refused.returncode == 1
        assert "another process uses this database" in refused.stderr


def test_a_record_damaged_under_the_daemon_is_named_and_the_rest_goes_on(running):
    add_config(running, "sound")
    add_config(running, "victim")
    with contextlib.closing(sqlite3.connect(running.state / "provd.db", timeout=5)) as other, other:
        other.execute("UPDATE configs SET document = '{\"id\"' WHERE id = 'victim'")
    answer = running.get("/cfg_mgr/configs")
    assert answer.status == 200
    stored = {config["id"] for config in answer.json["configs"]}
    assert "sound" in stored
    assert "victim" not in stored
    assert running.log.count("configs/victim cannot be used (quarantine)") == 1
    assert admin(running, "check").returncode == 0
    add_config(running, "victim")
    running.restart()
    assert running.get("/cfg_mgr/configs/victim").status == 200
    told = admin(running, "check")
    assert "configs/victim" in told.stdout
    assert "Traceback" not in running.log


def test_wrong_usage_is_told_from_failure(running):
    assert admin(running, "import").returncode == 2
    assert admin(running, "fly").returncode == 2
    failed = admin(running, "export", "--to", running.state / "config.yml")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    help_text = subprocess.run(
        [sys.executable, "-m", "provd.admin", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for verb in ("import", "export", "copy", "backup", "restore", "check"):
        assert f"    {verb} " in help_text
