"""kill -9 during a storm of changes: every answered change is there, and no file is stale."""

import contextlib
import http.client
import json
import random
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

AGENT = "Yealink SIP-T46S 66.86.0.15 {mac}"
ROUNDS = 4
WRITERS = 4
# What a client sees when the daemon is killed under it: no answer, so no promise either.
NO_ANSWER = (OSError, http.client.HTTPException)


class Writer(threading.Thread):
    """Changes documents of its own, one after the other, and notes what was acknowledged."""

    def __init__(self, daemon, number, stop):
        super().__init__()
        self.daemon_under_test = daemon
        self.number = number
        self.stop = stop
        self.acknowledged = {}
        """Path → the document last acknowledged, None for deleted."""
        self.in_doubt = {}
        """Path → the document whose request was not answered."""
        self.refused = []

    def run(self):
        source = random.Random(self.number)
        count = 0
        # The first request without an answer is the last: only it may or may not have been done.
        while not self.stop.is_set() and not self.in_doubt:
            count += 1
            self.change(source, count)

    def change(self, source, count):
        item = source.randrange(6)
        device_id = f"w{self.number}-{item}"
        mac = f"00:15:65:20:{self.number:02x}:{item:02x}"
        config = {
            "id": device_id,
            "parent_ids": ["base"],
            "raw_config": {
                "sip_lines": {
                    "1": {"username": f"user{count}", "password": "x", "proxy_ip": "192.0.2.1",
                          "display_name": "W", "number": "1"}
                }
            },
        }  # fmt: skip
        device = {
            "id": device_id, "mac": mac, "plugin": "provd-yealink", "config": device_id,
            "vendor": "Yealink", "model": "T46S", "description": f"change {count}",
        }  # fmt: skip
        match source.randrange(10):
            case 0:
                self.send("DELETE", "dev_mgr/devices", device_id, None)
            case 1:
                self.send("DELETE", "cfg_mgr/configs", device_id, None)
            case 2:
                self.parameter(f"http://repo{count}.example/{self.number}")
            case 3 | 4 | 5:
                self.put("dev_mgr/devices", "device", device)
            case _:
                self.put("cfg_mgr/configs", "config", config)

    def put(self, collection, key, document):
        path = f"/{collection}/{document['id']}"
        if self.acknowledged.get(path) is None:
            self.send("POST", collection, document["id"], document, {key: document})
        else:
            self.send("PUT", collection, document["id"], document, {key: document})

    def send(self, method, collection, document_id, document, body=None):
        path = f"/{collection}/{document_id}"
        if method == "DELETE" and self.acknowledged.get(path) is None:
            return
        self.in_doubt[path] = document
        target = f"/{collection}" if method == "POST" else path
        with contextlib.suppress(*NO_ANSWER):
            answer = self.daemon_under_test.rest(method, target, body)
            if answer.status in {200, 201, 204}:
                self.acknowledged[path] = document
            else:
                self.refused.append((method, path, answer))
            del self.in_doubt[path]

    def parameter(self, value):
        if self.number != 0:
            return
        self.in_doubt["plugin_server"] = value
        with contextlib.suppress(*NO_ANSWER):
            answer = self.daemon_under_test.put(
                "/configure/plugin_server", {"param": {"value": value}}
            )
            if answer.status == 204:
                self.acknowledged["plugin_server"] = value
            del self.in_doubt["plugin_server"]


def includes(shown, wanted):
    return shown is not None and all(shown.get(key) == value for key, value in wanted.items())


def check_documents(daemon, writers):
    for writer in writers:
        for path, wanted in writer.acknowledged.items():
            allowed = [wanted]
            if path in writer.in_doubt:
                allowed.append(writer.in_doubt[path])
            if path == "plugin_server":
                assert daemon.get("/configure/plugin_server").json["param"]["value"] in allowed
                continue
            answer = daemon.get(path)
            assert answer.status in {200, 404}
            shown = next(iter(answer.json.values())) if answer.status == 200 else None
            assert any(
                shown is None if document is None else includes(shown, document)
                for document in allowed
            ), (path, shown, allowed)


def check_files(daemon):
    """Fetch the file of each device, asked for by a stranger as well; compare it with the document."""
    checked = 0
    for device in daemon.devices():
        if device.get("vendor") != "Yealink" or not device.get("mac"):
            continue
        name = f"{device['mac'].replace(':', '')}.cfg"
        answer = daemon.phone(f"/{name}", AGENT.format(mac="00:15:65:21:00:00"), "127.0.0.200")
        raw = daemon.get(f"/cfg_mgr/configs/{device.get('config')}/raw")
        lines = raw.json["raw_config"].get("sip_lines", {}) if raw.status == 200 else {}
        username = lines.get("1", {}).get("username")
        if username is None:
            assert "account.1.user_name = user" not in answer.text, (device, answer)
            continue
        if device["plugin"] == "provd-yealink":  # the stranger's plugin: others are not in reach
            assert answer.status == 200, (device, answer)
            assert f"account.1.user_name = {username}\n" in answer.text, (device, username)
            checked += 1
        own = daemon.phone(f"/{name}", AGENT.format(mac=device["mac"]), "127.0.0.201")
        assert own.status == 200
        assert f"account.1.user_name = {username}\n" in own.text, (device, username)
    return checked


def only_one_of_each(daemon):
    macs = [device["mac"] for device in daemon.devices() if "mac" in device]
    assert len(macs) == len(set(macs))


@pytest.mark.slow
def test_every_answered_change_survives_kill_9(make_daemon):
    running = make_daemon(plugins="all").start()
    program = Path(sys.executable).parent / "provd-phone"
    source = random.Random(7)
    states = [({}, {}) for _ in range(WRITERS)]
    changes = 0
    for number in range(ROUNDS):
        stop = threading.Event()
        writers = [Writer(running, n, stop) for n in range(WRITERS)]
        for writer, (acknowledged, in_doubt) in zip(writers, states, strict=True):
            writer.acknowledged, writer.in_doubt = acknowledged, in_doubt
        phones = subprocess.Popen(
            [str(program), "boot", "--mix", "yealink:T46S", "--count", "60", "--concurrency", "20",
             "--seed", str(number), "--timeout", "2", "--forwarded-for", "auto",
             "--http", f"http://127.0.0.1:{running.proxied_port}",
             "--tftp", f"127.0.0.1:{running.tftp_port}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for writer in writers:
            writer.start()
        time.sleep(0.5 + source.random() * 1.5)
        running.kill()
        stop.set()
        for writer in writers:
            writer.join()
        phones.kill()
        phones.wait()
        running.start()
        for writer in writers:
            assert not [r for r in writer.refused if r[2].status >= 500], writer.refused
        changes += sum(len(writer.acknowledged) for writer in writers)
        check_files(running)
        check_documents(running, writers)
        only_one_of_each(running)
        # What was in doubt is decided now; the next round starts from what is stored.
        states = [({}, {}) for _ in range(WRITERS)]
        for (acknowledged, _), writer in zip(states, writers, strict=True):
            for path in {*writer.acknowledged, *writer.in_doubt} - {"plugin_server"}:
                answer = running.get(path)
                acknowledged[path] = (
                    next(iter(answer.json.values())) if answer.status == 200 else None
                )
                if acknowledged[path] is not None:
                    for key in ("configured", "is_new", "tenant_uuid", "ip", "remote_state_sip_username",
                                "version"):  # fmt: skip
                        acknowledged[path].pop(key, None)
    assert changes > WRITERS * ROUNDS
    assert "Traceback" not in running.log


def test_a_kill_between_store_and_file_leaves_no_stale_file(make_daemon):
    """The document is newer than the file, as after a crash in between; a stranger asks first."""
    running = make_daemon(plugins="all").start()
    mac = "00:15:65:22:00:01"
    assert running.phone("/001565220001.cfg", AGENT.format(mac=mac), "127.0.0.2").status == 200
    # The stranger is known already: nothing of it needs the store.
    assert (
        running.phone(
            "/y000000000066.cfg", AGENT.format(mac="00:15:65:21:00:00"), "127.0.0.200"
        ).status
        == 200
    )
    device = running.device(mac=mac)
    running.kill()
    with contextlib.closing(sqlite3.connect(running.state / "provd.db")) as database, database:
        (text,) = database.execute(
            "SELECT document FROM configs WHERE id = ?", (device["config"],)
        ).fetchone()
        document = json.loads(text)
        document["raw_config"]["sip_lines"]["1"]["username"] = "newer"
        database.execute(
            "UPDATE configs SET document = ?, revision = revision + 1000 WHERE id = ?",
            (json.dumps(document), device["config"]),
        )
        database.execute("UPDATE changes SET last = last + 1000")
    running.spawn()
    deadline = time.monotonic() + 30
    answer = None
    while time.monotonic() < deadline:
        with contextlib.suppress(*NO_ANSWER):
            answer = running.phone(
                "/001565220001.cfg", AGENT.format(mac="00:15:65:21:00:00"), "127.0.0.200"
            )
            if answer.status == 200:
                break
    assert answer is not None
    assert "account.1.user_name = newer\n" in answer.text
