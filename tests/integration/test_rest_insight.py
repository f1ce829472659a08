"""History, preview and totals: what an operator looks at when a phone does not do what it should."""

import json
import os

import pytest
from harness import free_port

AGENT = "Yealink SIP-T46S 66.86.0.15 00:15:65:0a:0b:0c"
FILE = "/0015650a0b0c.cfg"
SECRET = "s3cr3t & <line>"


@pytest.fixture(scope="module")
def phone(daemon):
    """A device that a phone made, and then got a line."""
    assert daemon.phone(FILE, AGENT).status == 200
    device = daemon.device(mac="00:15:65:0a:0b:0c")
    line = {"username": "u1", "password": SECRET, "display_name": "A", "proxy_ip": "10.1.1.1"}
    config = {
        "id": "insight",
        "parent_ids": [],
        "raw_config": {"sip_lines": {"1": line}, "admin_password": "hidden-admin"},
    }
    assert daemon.post("/cfg_mgr/configs", {"config": config}).status == 201
    assert (
        daemon.put(
            f"/dev_mgr/devices/{device['id']}", {"device": {**device, "config": "insight"}}
        ).status
        == 204
    )
    return device["id"]


def history(daemon, device_id, **args):
    answer = daemon.get(f"/dev_mgr/devices/{device_id}/history", **args)
    assert answer.status == 200, answer
    return answer.json["history"]


def test_the_history_tells_how_a_phone_was_recognised_and_what_it_got(daemon, phone):
    answer = daemon.phone(FILE, AGENT)
    newest = history(daemon, phone)[0]
    assert newest["protocol"] == "http"
    assert newest["file"] == FILE
    assert newest["status"] == "200"
    assert newest["bytes"] == len(answer.body)
    assert newest["found_by"] == "mac"
    assert newest["told"]["model"] == "T46S"
    assert newest["plugin"] == daemon.device(id=phone)["plugin"]
    assert newest["refused"] is None
    assert 0 < newest["milliseconds"] < 30_000
    assert history(daemon, phone)[-1]["found_by"] == "new device"


def test_the_history_tells_why_a_file_was_refused(daemon, phone):
    assert daemon.phone("/no-such-file-0015650a0b0c.rom", AGENT).status == 404
    newest = history(daemon, phone, limit=1)
    assert len(newest) == 1
    assert newest[0]["status"] == "404"
    assert newest[0]["refused"] == "there is no such file"


def test_the_history_has_tftp_and_dhcp_too(daemon, phone, tmp_path, needs):
    needs("tftp")
    daemon.tftp_get(FILE.strip("/"), tmp_path / "x")
    info = {"op": "commit", "ip": "127.0.0.1", "mac": "00:15:65:0a:0b:0c", "options": []}
    assert daemon.post("/dev_mgr/dhcpinfo", {"dhcp_info": info}).status == 204
    daemon.wait_for(
        lambda: {"tftp", "dhcp"} <= {e["protocol"] for e in history(daemon, phone)}, "both entries"
    )
    tftp = next(e for e in history(daemon, phone) if e["protocol"] == "tftp")
    assert tftp["status"] == "ok"
    assert tftp["bytes"] == (tmp_path / "x").stat().st_size


def test_a_phone_that_nobody_knows_is_told_so_in_its_history(make_daemon):
    daemon = make_daemon(plugins="none").start()
    posted = daemon.post("/dev_mgr/devices", {"device": {"ip": "127.0.0.1"}})
    assert posted.status == 201
    assert daemon.phone("/any.cfg", "Unknown phone").status == 404
    device = daemon.device()
    assert history(daemon, device["id"])[0]["refused"] == "no plugin knows this phone"


def test_history_and_preview_of_what_is_not_there_are_404(daemon):
    assert daemon.get("/dev_mgr/devices/nothing/history").status == 404
    assert daemon.get("/dev_mgr/devices/nothing/preview").status == 404


def preview(daemon, device_id, **args):
    answer = daemon.get(f"/dev_mgr/devices/{device_id}/preview", **args)
    assert answer.status == 200, answer
    return answer.json["preview"]


def everything(state):
    """Return path -> what changes with a write, of all but logs and what compiles templates."""
    found = {}
    for root, _, names in os.walk(state):
        if "__pycache__" in root or ".templates" in root:
            continue
        for name in names:
            path = os.path.join(root, name)
            if not name.endswith(".log") and "provd.db" not in name:
                status = os.stat(path)
                found[path] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found


def test_a_preview_shows_the_files_and_touches_nothing(daemon, phone):
    served = daemon.phone(FILE, AGENT).text
    before = everything(daemon.state)
    document = daemon.device(id=phone)
    shown = preview(daemon, phone, passwords="true")
    assert shown["configured"] is True
    assert shown["masked"] is False
    assert shown["error"] is None
    files = {file["name"]: file["text"] for file in shown["files"]}
    assert files[FILE.strip("/")] == served
    assert everything(daemon.state) == before
    assert daemon.device(id=phone) == document


def test_a_preview_hides_passwords_in_every_disguise(daemon, phone):
    shown = preview(daemon, phone)
    assert shown["masked"] is True
    text = json.dumps(shown)
    assert "u1" in text
    for secret in (SECRET, "s3cr3t", "hidden-admin"):
        assert secret not in text
    assert SECRET.split(maxsplit=1)[0] in json.dumps(preview(daemon, phone, passwords="true"))


def test_passwords_need_an_access_of_their_own(daemon, phone):
    seer = daemon.make_token("preview", f"provd.dev_mgr.devices.{phone}.preview.read")
    path = f"/dev_mgr/devices/{phone}/preview"
    assert daemon.get(path, token=seer).status == 200
    assert daemon.get(path, token=seer, passwords="false").status == 200
    assert daemon.get(path, token=seer, passwords="true").status == 401
    both = daemon.make_token(
        "both",
        f"provd.dev_mgr.devices.{phone}.preview.read",
        f"provd.dev_mgr.devices.{phone}.preview.passwords.read",
    )
    assert daemon.get(path, token=both, passwords="TRUE").status == 200
    assert daemon.get(f"/dev_mgr/devices/{phone}/history", token=both).status == 401


def test_a_preview_tells_why_there_would_be_nothing(daemon):
    for device, reason in (
        ({"id": "pv-a", "mac": "00:15:65:00:00:01"}, "the device has no plugin"),
        ({"id": "pv-b", "plugin": "away"}, "plugin away is not loaded"),
        (
            {"id": "pv-c", "plugin": "provd-yealink", "config": "none"},
            "it has no config, or an unknown one",
        ),
    ):
        assert daemon.post("/dev_mgr/devices", {"device": device}).status == 201
        shown = preview(daemon, device["id"])
        assert (shown["configured"], shown["files"], shown["error"]) == (False, [], reason)


def test_a_preview_tells_what_the_plugin_says_against_it(daemon):
    config = {
        "id": "pv-bad",
        "parent_ids": [],
        "raw_config": {"sip_lines": {"1": {"username": "u"}}},
    }
    assert daemon.post("/cfg_mgr/configs", {"config": config}).status == 201
    device = {"id": "pv-d", "plugin": "provd-yealink", "config": "pv-bad", "model": "T46S"}
    assert daemon.post("/dev_mgr/devices", {"device": device}).status == 201
    shown = preview(daemon, "pv-d")
    assert shown["configured"] is False
    assert shown["error"]
    assert "/tmp/" not in shown["error"]


def test_totals_count_all_pages(daemon):
    for number in range(7):
        device = {"id": f"total-{number}", "description": "totals"}
        assert daemon.post("/dev_mgr/devices", {"device": device}).status == 201
        config = {"id": f"total-{number}", "parent_ids": [], "raw_config": {}, "X_type": "totals"}
        assert daemon.post("/cfg_mgr/configs", {"config": config}).status == 201
    for path, key, q in (
        ("/dev_mgr/devices", "devices", {"description": "totals"}),
        ("/cfg_mgr/configs", "configs", {"X_type": "totals"}),
    ):
        for args, count in (
            ({}, 7),
            ({"limit": 3}, 3),
            ({"skip": 5}, 2),
            ({"skip": 9, "limit": 2}, 0),
        ):
            answer = daemon.get(path, q=json.dumps(q), **args).json
            assert len(answer[key]) == count
            assert answer.get("total") == (7 if args else None)


def test_a_total_counts_only_what_the_caller_sees(daemon):
    other = "00000000-0000-4000-8000-0000000000aa"
    token = daemon.make_token("other", "provd.#", tenant=other)
    for number in range(2):
        assert (
            daemon.post(
                "/dev_mgr/devices", {"device": {"id": f"seen-{number}"}}, token=token
            ).status
            == 201
        )
    answer = daemon.get("/dev_mgr/devices", token=token, limit=1).json
    assert (len(answer["devices"]), answer["total"]) == (1, 2)


def test_a_preview_does_not_stop_phones(daemon, phone):
    import threading

    done = []
    workers = [
        threading.Thread(target=lambda: done.append(preview(daemon, phone))) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        assert daemon.phone(FILE, AGENT).status == 200
    assert len(done) == 4
    assert all(shown["configured"] for shown in done)


def test_a_history_of_no_length_is_a_setting(make_daemon):
    daemon = make_daemon(
        settings={"limits": {"history_per_device": 0}, "general": {"tftp_port": free_port()}}
    )
    daemon.start()
    assert daemon.phone(FILE, AGENT).status == 200
    assert history(daemon, daemon.device()["id"]) == []


def test_what_the_phone_could_not_take_stands_beside_its_history(daemon):
    agent = "Yealink SIP-T46Z 66.86.0.15 00:15:65:0a:0b:0d"
    assert daemon.phone("/0015650a0b0d.cfg", agent).status == 200
    device = daemon.device(mac="00:15:65:0a:0b:0d")
    notes = daemon.get(f"/dev_mgr/devices/{device['id']}/history").json["notes"]
    assert notes == ["Yealink T46Z is not a model that we know, and is configured like T46U"]
    assert f"device {device['id']}: {notes[0]}" in daemon.log
