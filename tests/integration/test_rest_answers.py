"""Answers to changes say what came of them, beyond their status."""

PLUGIN = "provd-yealink"
LINE = {"username": "a", "password": "s3cret", "display_name": "A", "proxy_ip": "10.0.0.1"}


def config(daemon, config_id, raw_config=None, parents=("base",)):
    document = {"id": config_id, "parent_ids": list(parents), "raw_config": raw_config or {}}
    return daemon.post("/cfg_mgr/configs", {"config": document})


def device(daemon, device_id, number, **members):
    document = {"id": device_id, "mac": f"00:15:65:00:01:{number:02x}", "model": "T46S", **members}
    return daemon.post("/dev_mgr/devices", {"device": {"vendor": "Yealink", **document}})


def logged(daemon, line):
    daemon.wait_for(lambda: line in daemon.log, f"the line {line!r}")
    return daemon.log


def test_a_device_is_told_whether_it_is_configured_and_why_not(daemon):
    assert config(daemon, "good", {"sip_lines": {"1": LINE}}).json == {"id": "good"}
    answer = device(daemon, "w1", 1, plugin=PLUGIN, config="good")
    assert (answer.status, answer.json) == (201, {"id": "w1", "configured": True})
    answer = device(daemon, "w2", 2, plugin="provd-yealnik-v86", config="good")
    reason = "plugin provd-yealnik-v86 is not loaded"
    assert answer.json == {"id": "w2", "configured": False, "reason": reason}
    answer = device(daemon, "w3", 3, plugin=PLUGIN, config="godo")
    assert answer.json["reason"] == "there is no config godo"
    assert device(daemon, "w4", 4, plugin=PLUGIN).json["reason"] == "it has no config"
    assert device(daemon, "w5", 5, config="good").json["reason"] == "it has no plugin"
    config(daemon, "bad", {"sip_lines": {"1": {"username": "a"}}})
    answer = device(daemon, "w6", 6, plugin=PLUGIN, config="bad")
    assert "sip_lines.1: neither proxy_ip nor sip_proxy_ip" in answer.json["reason"]


def test_a_put_says_it_in_headers_and_stays_204(daemon):
    device(daemon, "h1", 20, plugin=PLUGIN)
    config(daemon, "fine", {"sip_lines": {"1": LINE}})
    body = {"mac": "00:15:65:00:01:14", "vendor": "Yealink", "model": "T46S", "plugin": PLUGIN}
    answer = daemon.put("/dev_mgr/devices/h1", {"device": {**body, "config": "fien"}})
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["provd-configured"] == "false"
    assert answer.headers["provd-reason"] == "there is no config fien"
    answer = daemon.put("/dev_mgr/devices/h1", {"device": {**body, "config": "fine", "nots": 1}})
    assert answer.headers["provd-configured"] == "true"
    assert "provd-reason" not in answer.headers
    assert answer.headers["provd-warnings"] == "device.nots: unknown member"
    logged(daemon, "PUT /0.2/dev_mgr/devices/h1 by 'admin' from 127.0.0.1: 204, not configured: ")


def test_unknown_parameters_and_parents_are_named_in_the_answer_and_in_the_log(daemon):
    raw_config = {"sip_lines": {"1": {**LINE, "usrname": "b", "X_mine": 1}}}
    answer = config(daemon, "typo", raw_config, ["base", "bsae"])
    warnings = [
        "raw_config.sip_lines.1.usrname: unknown parameter; did you mean username?",
        "config.parent_ids: there is no config bsae",
    ]
    assert (answer.status, answer.json) == (201, {"id": "typo", "warnings": warnings})
    document = {"parent_ids": ["base"], "raw_config": raw_config}
    answer = daemon.put("/cfg_mgr/configs/typo", {"config": document})
    assert (answer.status, answer.headers["provd-warnings"]) == (204, warnings[0])
    log = logged(daemon, f"configs/typo by 'admin' from 127.0.0.1: 204, {warnings[0]}")
    assert daemon.token not in log
    assert "s3cret" not in log


def test_a_config_in_use_is_deleted_and_the_log_says_whose_files_went_with_it(daemon):
    config(daemon, "parent", {"sip_lines": {"1": LINE}})
    config(daemon, "child", {}, ["parent"])
    device(daemon, "u1", 30, plugin=PLUGIN, config="parent")
    device(daemon, "u2", 31, plugin=PLUGIN, config="child")
    assert daemon.delete("/cfg_mgr/configs/parent").status == 204
    line = "1 devices lose their files: u1, 1 devices lose its values: u2"
    logged(daemon, f"DELETE /0.2/cfg_mgr/configs/parent by 'admin' from 127.0.0.1: 204, {line}")


def test_a_mac_or_an_address_of_another_form_is_told_the_form(daemon):
    answer = device(daemon, "m1", 40, mac="00-15-65-00-01-28")
    assert answer.status == 400
    assert b"such as 00:15:65:12:34:56" in answer.body
    answer = device(daemon, "m1", 40, ip="10.1")
    assert answer.status == 400
    assert b"such as 192.0.2.20" in answer.body
