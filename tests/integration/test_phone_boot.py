"""A phone boots: seen for the first time, recognised, created, configured, served."""

import filecmp
import os
import re

import pytest

UA = "Yealink SIP-T46S 66.86.0.15 {mac}"


def boot_http(daemon, mac, source="127.0.0.1"):
    agent = UA.format(mac=mac)
    flat = mac.replace(":", "")
    common = daemon.phone("/y000000000066.cfg", agent, source)
    own = daemon.phone(f"/{flat}.cfg", agent, source)
    return common, own


def line(username, **values):
    return {
        "username": username,
        "password": "s3cret",
        "display_name": "Alice",
        "number": "1001",
        "proxy_ip": "192.0.2.10",
        **values,
    }


def test_a_t46s_that_was_never_seen_gets_device_config_and_file(daemon):
    mac = "00:15:65:aa:00:01"
    common, own = boot_http(daemon, mac, "127.0.0.21")
    assert common.status == 200
    assert common.body.startswith(b"#!version:1.0.0.1")
    assert own.status == 200
    assert "account.1.user_name = autoprov\n" in own.text
    device = daemon.device(mac=mac)
    assert device["vendor"] == "Yealink"
    assert device["model"] == "T46S"
    assert device["version"] == "66.86.0.15"
    assert device["ip"] == "127.0.0.21"
    assert device["plugin"] == "provd-yealink"
    assert device["config"].startswith("autoprov")
    assert device["configured"] is True
    assert device["added"] == "auto"
    assert device["is_new"] is True
    assert device["remote_state_sip_username"] == "autoprov"
    config = daemon.get(f"/cfg_mgr/configs/{device['config']}").json["config"]
    assert config["parent_ids"] == ["autoprov"]
    assert config["transient"] is True


def test_a_real_config_shows_in_the_next_fetch_and_so_does_a_change_of_its_parent(daemon):
    mac = "00:15:65:aa:00:02"
    boot_http(daemon, mac, "127.0.0.22")
    device = daemon.device(mac=mac)
    autoprov = device["config"]
    parent = {
        "id": "site",
        "parent_ids": ["base"],
        "raw_config": {"ntp_enabled": True, "ntp_ip": "192.0.2.1"},
    }
    assert daemon.post("/cfg_mgr/configs", {"config": parent}).status == 201
    config = {
        "id": device["id"],
        "parent_ids": ["site"],
        "raw_config": {"sip_lines": {"1": line("alice")}},
    }
    assert daemon.post("/cfg_mgr/configs", {"config": config}).status == 201
    assert (
        daemon.put(
            f"/dev_mgr/devices/{device['id']}", {"device": {**device, "config": device["id"]}}
        ).status
        == 204
    )
    _, own = boot_http(daemon, mac, "127.0.0.22")
    assert "account.1.user_name = alice\n" in own.text
    assert "local_time.ntp_server1 = 192.0.2.1\n" in own.text
    assert daemon.device(mac=mac)["remote_state_sip_username"] == "alice"
    assert daemon.get(f"/cfg_mgr/configs/{autoprov}").status == 404  # transient, and unused now
    parent["raw_config"]["ntp_ip"] = "192.0.2.99"
    assert daemon.put("/cfg_mgr/configs/site", {"config": parent}).status == 204
    _, own = boot_http(daemon, mac, "127.0.0.22")
    assert "local_time.ntp_server1 = 192.0.2.99\n" in own.text


def test_deleting_a_device_deletes_its_file_and_its_transient_config(daemon):
    mac = "00:15:65:aa:00:03"
    boot_http(daemon, mac, "127.0.0.23")
    device = daemon.device(mac=mac)
    path = daemon.state / "plugins" / device["plugin"] / "var" / "tftpboot" / "00156500aa03.cfg"
    path = path.with_name(mac.replace(":", "") + ".cfg")
    assert path.exists()
    assert daemon.delete(f"/dev_mgr/devices/{device['id']}").status == 204
    assert not path.exists()
    assert daemon.get(f"/cfg_mgr/configs/{device['config']}").status == 404
    assert daemon.devices(mac=mac) == []


def test_a_rendered_file_that_somebody_removed_comes_back(daemon):
    mac = "00:15:65:aa:00:04"
    _, first = boot_http(daemon, mac, "127.0.0.24")
    device = daemon.device(mac=mac)
    path = daemon.state / "plugins" / device["plugin"] / "var" / "tftpboot" / "001565aa0004.cfg"
    path.unlink()
    _, again = boot_http(daemon, mac, "127.0.0.24")
    assert again.status == 200
    assert again.body == first.body
    common = path.with_name("y000000000066.cfg")
    common.unlink()
    common_again, _ = boot_http(daemon, mac, "127.0.0.24")
    assert common_again.status == 200
    assert common.exists()


def test_the_file_of_another_device_is_fresh_too_whoever_asks(daemon):
    macs = ["00:15:65:aa:00:05", "00:15:65:aa:00:06"]
    for number, mac in enumerate(macs):
        boot_http(daemon, mac, f"127.0.0.{25 + number}")
    owner = daemon.device(mac=macs[1])
    config = daemon.get(f"/cfg_mgr/configs/{owner['config']}").json["config"]
    config["raw_config"]["sip_lines"]["1"]["username"] = "changed"
    assert daemon.put(f"/cfg_mgr/configs/{owner['config']}", {"config": config}).status == 204
    answer = daemon.phone("/001565aa0006.cfg", UA.format(mac=macs[0]), "127.0.0.25")
    assert "account.1.user_name = changed\n" in answer.text


def test_a_template_of_the_administrator_wins_at_once(daemon):
    mac = "00:15:65:aa:00:07"
    boot_http(daemon, mac, "127.0.0.27")
    device = daemon.device(mac=mac)
    directory = daemon.state / "plugins" / device["plugin"]
    custom = directory / "var" / "templates" / "T46S.tpl"
    custom.write_text("#!version:1.0.0.1\nmine = 1\n")
    try:
        found = daemon.wait_for(
            lambda: "mine = 1" in boot_http(daemon, mac, "127.0.0.27")[1].text,
            "the custom template",
            5,
        )
        assert found
    finally:
        custom.unlink()
    daemon.wait_for(
        lambda: "mine = 1" not in boot_http(daemon, mac, "127.0.0.27")[1].text, "the default", 5
    )


@pytest.mark.parametrize("client", ["tftp", "atftp"])
def test_a_phone_boots_over_tftp(daemon, needs, tmp_path, client):
    needs(client)
    mac = {"tftp": "00:15:65:bb:00:01", "atftp": "00:15:65:bb:00:02"}[client]
    flat = mac.replace(":", "")
    for name in ("y000000000066.cfg", f"{flat}.cfg"):
        result = daemon.tftp_get(name, tmp_path / name, client=client)
        assert result.returncode == 0, result
        assert (tmp_path / name).read_bytes().startswith(b"#!version:1.0.0.1"), result
    device = daemon.device(mac=mac)
    assert device["vendor"] == "Yealink"
    assert device["plugin"] == "provd-yealink"
    assert device["configured"] is True
    assert "account.1.user_name = autoprov\n" in (tmp_path / f"{flat}.cfg").read_text()


def known_by_address(daemon, device):
    """Let requests from 127.0.0.1 that name no phone be this phone's, and nobody else's."""
    for other in daemon.devices(ip="127.0.0.1"):
        assert daemon.delete(f"/dev_mgr/devices/{other['id']}").status == 204
    moved = {**device, "ip": "127.0.0.1"}
    assert daemon.put(f"/dev_mgr/devices/{device['id']}", {"device": moved}).status == 204


SIZES = [0, 1, 511, 512, 513, 1024, 100_000, 1_000_000]


@pytest.mark.parametrize("size", SIZES)
def test_files_of_any_size_arrive_whole_by_every_client(daemon, needs, tmp_path, size):
    needs("tftp", "atftp")
    mac = "00:15:65:cc:00:01"
    boot_http(daemon, mac, "127.0.0.41")
    device = daemon.device(mac=mac)
    folder = daemon.state / "plugins" / device["plugin"] / "var" / "tftpboot" / "firmware"
    folder.mkdir(exist_ok=True)
    source = folder / f"size{size}.rom"
    source.write_bytes(os.urandom(size))
    got = tmp_path / "got"
    name = f"firmware/{source.name}"
    known_by_address(daemon, device)
    for options in (
        None,
        [],
        ["--option", "blksize 1428"],
        ["--option", "blksize 8192", "--option", "tsize 0", "--option", "timeout 3"],
        ["--option", "windowsize 8", "--option", "blksize 1024"],
    ):
        got.unlink(missing_ok=True)
        if options is None:
            result = daemon.tftp_get(name, got)
        else:
            result = daemon.tftp_get(name, got, *options, client="atftp")
        assert result.returncode == 0, (options, result)
        assert filecmp.cmp(source, got, shallow=False), options
    answer = daemon.phone(f"/{name}", UA.format(mac=mac), "127.0.0.41")
    assert answer.status == 200
    assert answer.body == source.read_bytes()


@pytest.mark.slow
def test_a_file_of_more_blocks_than_numbers_arrives_whole(daemon, needs, tmp_path):
    needs("tftp", "atftp")
    mac = "00:15:65:cc:00:02"
    boot_http(daemon, mac, "127.0.0.42")
    device = daemon.device(mac=mac)
    folder = daemon.state / "plugins" / device["plugin"] / "var" / "tftpboot"
    source = folder / "large.rom"
    source.write_bytes(os.urandom(512) * 65536 + b"the end")
    known_by_address(daemon, device)
    got = tmp_path / "got"
    assert daemon.tftp_get("large.rom", got).returncode == 0
    assert filecmp.cmp(source, got, shallow=False)
    source.unlink()


def test_security_lines_have_the_exact_form(daemon):
    mac = "00:15:65:dd:00:01"
    boot_http(daemon, mac, "127.0.0.51")
    device = daemon.device(mac=mac)
    daemon.wait_for(lambda: "001565dd0001.cfg" in daemon.security_log.read_text(), "the lines")
    lines = daemon.security_log.read_text().splitlines()
    stamp = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] "
    assert any(
        re.fullmatch(
            stamp + f"New device created automatically from 127.0.0.51: {device['id']}", text
        )
        for text in lines
    )
    assert any(
        re.fullmatch(stamp + r"Sensitive file requested from 127.0.0.51: 001565dd0001\.cfg", text)
        for text in lines
    )


def test_a_known_phone_costs_no_write_and_no_render(daemon):
    mac = "00:15:65:ee:00:01"
    boot_http(daemon, mac, "127.0.0.61")
    boot_http(daemon, mac, "127.0.0.61")
    before = daemon.get("/status").json["renders"]
    database = daemon.state / "provd.db-wal"
    size = database.stat().st_size, database.stat().st_mtime_ns
    for _ in range(10):
        assert boot_http(daemon, mac, "127.0.0.61")[1].status == 200
    assert daemon.get("/status").json["renders"] == before
    assert (database.stat().st_size, database.stat().st_mtime_ns) == size


def test_an_address_moves_to_the_phone_that_has_it_now(daemon):
    first, second = "00:15:65:ff:00:01", "00:15:65:ff:00:02"
    boot_http(daemon, first, "127.0.0.71")
    boot_http(daemon, second, "127.0.0.71")
    assert "ip" not in daemon.device(mac=first)
    assert daemon.device(mac=second)["ip"] == "127.0.0.71"


def test_a_new_firmware_version_is_noted(daemon):
    mac = "00:15:65:ff:00:03"
    boot_http(daemon, mac, "127.0.0.72")
    daemon.phone("/001565ff0003.cfg", f"Yealink SIP-T46S 66.86.0.99 {mac}", "127.0.0.72")
    assert daemon.device(mac=mac)["version"] == "66.86.0.99"


def test_conditional_and_partial_requests(daemon):
    mac = "00:15:65:ff:00:04"
    _, own = boot_http(daemon, mac, "127.0.0.73")
    agent = UA.format(mac=mac)
    again = daemon.phone(
        "/001565ff0004.cfg",
        agent,
        "127.0.0.73",
        headers={"If-None-Match": own.headers["etag"]},
    )
    assert again.status == 304
    assert again.body == b""
    part = daemon.phone("/001565ff0004.cfg", agent, "127.0.0.73", headers={"Range": "bytes=10-19"})
    assert part.status == 206
    assert part.body == own.body[10:20]
    assert part.headers["content-range"] == f"bytes 10-19/{len(own.body)}"


@pytest.mark.parametrize(("path", "status"), [("/", 403), ("/firmware-nowhere/x.rom", 404)])
def test_directories_are_not_listed_and_what_is_missing_is_404(daemon, path, status):
    agent = UA.format(mac="00:15:65:ff:00:05")
    assert daemon.phone(path, agent, "127.0.0.74").status == status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_on_files_are_refused(daemon, method):
    agent = UA.format(mac="00:15:65:ff:00:06")
    answer = daemon.phone("/y000000000066.cfg", agent, "127.0.0.75", method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD"


def test_a_head_of_a_file_is_answered_as_a_get_without_the_content(daemon):
    agent = UA.format(mac="00:15:65:ff:00:07")
    path = "/y000000000066.cfg"
    head = daemon.phone(path, agent, "127.0.0.76", method="HEAD")
    whole = daemon.phone(path, agent, "127.0.0.76")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.body))
    assert head.headers["etag"] == whole.headers["etag"]
