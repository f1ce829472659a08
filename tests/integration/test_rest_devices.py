"""Devices over REST: documents, actions, claims by tenants."""

import base64
import http.client
import json
import re
import time
from urllib.parse import urlencode

import pytest
from harness import MEDIA_TYPE, http_request

A = "aaaaaaaa-0000-4000-8000-00000000000a"
B = "bbbbbbbb-0000-4000-8000-00000000000b"
PLUGIN = "provd-yealink"


@pytest.fixture(scope="module")
def main(daemon):
    return daemon.get("/status").json["main_tenant"]


@pytest.fixture(scope="module")
def in_a(daemon):
    return daemon.make_token("in-a", "provd.#", tenant=A)


@pytest.fixture(scope="module")
def in_b(daemon):
    return daemon.make_token("in-b", "provd.#", tenant=B)


def create(daemon, token=None, headers=None, **device):
    answer = daemon.post("/dev_mgr/devices", {"device": device}, token=token, headers=headers)
    assert answer.status == 201, answer
    return answer.json["id"]


def read(daemon, device_id, token=None):
    answer = daemon.get(f"/dev_mgr/devices/{device_id}", token=token)
    assert answer.status == 200, answer
    return answer.json["device"]


def listed(daemon, token=None, headers=None, **args):
    answer = daemon.get("/dev_mgr/devices", token=token, headers=headers, **args)
    assert answer.status == 200, answer
    return [device["id"] for device in answer.json["devices"]]


# Creation


def test_a_device_that_is_created_can_be_read_where_the_location_says(daemon, main):
    answer = daemon.post(
        "/dev_mgr/devices", {"device": {"mac": "00:11:22:33:44:01", "X_free": {"a": [1]}}}
    )
    assert answer.status == 201
    device_id = answer.json["id"]
    assert re.fullmatch(r"[0-9a-f]{32}", device_id)
    assert answer.headers["location"] == f"/0.2/dev_mgr/devices/{device_id}"
    assert daemon.get(f"/dev_mgr/devices/{device_id}").json == {
        "device": {
            "id": device_id,
            "mac": "00:11:22:33:44:01",
            "X_free": {"a": [1]},
            "tenant_uuid": main,
            "configured": False,
            "is_new": True,
        }
    }


def test_what_only_the_server_says_is_ignored_in_a_new_device(daemon, main):
    device_id = create(daemon, tenant_uuid=B, configured=True, is_new=False)
    device = read(daemon, device_id)
    assert (device["tenant_uuid"], device["configured"], device["is_new"]) == (main, False, True)


def test_a_device_is_configured_at_once_where_plugin_and_config_are_there(daemon):
    config = {
        "id": "for-at-once",
        "parent_ids": ["base"],
        "raw_config": {
            "sip_lines": {
                "1": {
                    "username": "u",
                    "password": "p",
                    "display_name": "d",
                    "proxy_ip": "192.0.2.1",
                }
            }
        },
    }
    assert daemon.post("/cfg_mgr/configs", {"config": config}).status == 201
    device_id = create(
        daemon,
        mac="00:11:22:33:44:02",
        vendor="Yealink",
        model="T46S",
        plugin=PLUGIN,
        config="for-at-once",
    )
    assert read(daemon, device_id)["configured"] is True
    assert read(daemon, create(daemon, plugin=PLUGIN, config="none"))["configured"] is False
    assert read(daemon, create(daemon, plugin="none", config="for-at-once"))["configured"] is False


BAD = [
    {"ip": "10.0.0.256"},
    {"ip": "10.0.0"},
    {"ip": "010.0.0.1"},
    {"ip": " 10.0.0.1"},
    {"ip": "::1"},
    {"ip": 1},
    {"mac": "00-11-22-33-44-55"},
    {"mac": "00:11:22:33:44:AA"},
    {"mac": "00:11:22:33:44"},
    {"mac": ""},
    {"mac": "00:11:22:33:44:55\n"},
    {"mac": ["00:11:22:33:44:55"]},
    {"id": "a/b"},
    {"id": "a*"},
    {"id": 'a"b'},
    {"id": "a b"},
    {"id": ""},
    {"id": ".hidden"},
    {"id": "é"},
    {"id": "x" * 256},
    {"id": 5},
    {"id": ["a"]},
    {"plugin": {}},
    {"config": 5},
    {"options": "text"},
    {"description": "nul\0"},
    {"vendor": []},
    {"uuid": 1},
    {"sn": {}},
]


@pytest.mark.parametrize("device", BAD, ids=lambda value: json.dumps(value)[:30])
def test_a_device_that_breaks_a_rule_is_400_and_not_there(daemon, device):
    before = listed(daemon)
    answer = daemon.post("/dev_mgr/devices", {"device": device})
    assert answer.status == 400, answer
    assert answer.text
    assert listed(daemon) == before


def test_an_id_that_is_used_is_400_and_the_text_names_it(daemon):
    create(daemon, id="twice", description="first")
    answer = daemon.post("/dev_mgr/devices", {"device": {"id": "twice"}})
    assert answer.status == 400
    assert "twice" in answer.text
    assert read(daemon, "twice")["description"] == "first"


def test_null_as_an_id_gives_a_new_id(daemon):
    assert re.fullmatch(r"[0-9a-f]{32}", create(daemon, id=None))


@pytest.mark.parametrize("device_id", ["a.b:c@d+e-f_g", "x" * 255, "0", "-", "a+b"])
def test_odd_but_allowed_ids_work_in_every_place(daemon, device_id):
    create(daemon, id=device_id)
    path = f"/dev_mgr/devices/{device_id}"
    escaped = "/dev_mgr/devices/" + "".join(f"%{ord(char):02x}" for char in device_id)
    assert daemon.get(path).json["device"]["id"] == device_id
    assert daemon.get(escaped).json["device"]["id"] == device_id
    assert daemon.delete(escaped).status == 204


# Replacement and removal


def test_a_put_replaces_the_whole_document_but_for_what_the_server_says(daemon, main):
    create(daemon, id="put", description="old", sn="1", X_a=1)
    body = {
        "id": "other",
        "description": "new",
        "configured": True,
        "is_new": False,
        "tenant_uuid": A,
    }
    answer = daemon.put("/dev_mgr/devices/put", {"device": body})
    assert answer.status == 204
    assert answer.body == b""
    assert read(daemon, "put") == {
        "id": "put",
        "description": "new",
        "configured": False,
        "is_new": True,
        "tenant_uuid": main,
    }
    assert daemon.get("/dev_mgr/devices/other").status == 404


def test_a_malformed_mac_in_a_put_is_400_and_changes_nothing(daemon):
    create(daemon, id="bad-put", mac="00:11:22:33:44:03")
    before = read(daemon, "bad-put")
    answer = daemon.put(
        "/dev_mgr/devices/bad-put", {"device": {**before, "mac": "00-11-22-33-44-03"}}
    )
    assert answer.status == 400
    assert answer.text.startswith("Non-normalized MAC address")
    assert read(daemon, "bad-put") == before


@pytest.mark.parametrize("body", [{"id": None}, {}, [], {"device": None}, {"device": {"mac": "x"}}])
def test_a_put_of_an_unknown_device_is_404_whatever_the_body(daemon, body):
    assert daemon.put("/dev_mgr/devices/unknown", body).status == 404


def test_a_deleted_device_is_gone(daemon):
    create(daemon, id="deleted")
    assert daemon.delete("/dev_mgr/devices/deleted").status == 204
    assert daemon.get("/dev_mgr/devices/deleted").status == 404
    assert daemon.delete("/dev_mgr/devices/deleted").status == 404
    assert "deleted" not in listed(daemon)


def test_devices_outlive_a_restart(make_daemon):
    daemon = make_daemon(plugins="none").start()
    create(daemon, id="durable", description="there")
    daemon.kill()
    daemon.start()
    assert read(daemon, "durable")["description"] == "there"


def test_a_client_that_goes_away_leaves_no_change_half_done(daemon):
    body = json.dumps({"device": {"id": "gone-away"}})
    connection = http.client.HTTPConnection("127.0.0.1", daemon.rest_port, timeout=10)
    connection.request(
        "POST",
        "/0.2/dev_mgr/devices",
        body,
        {"X-Auth-Token": daemon.token, "Content-Type": MEDIA_TYPE},
    )
    connection.close()
    found = daemon.wait_for(
        lambda: daemon.get("/dev_mgr/devices/gone-away").status == 200, "the creation", 5
    )
    assert found
    assert listed(daemon, q=json.dumps({"id": "gone-away"})) == ["gone-away"]


# Tenants


def test_a_tenant_sees_its_own_devices_and_the_main_one_sees_all(daemon, main, in_a, in_b):
    mine = create(daemon, id="t-main")
    of_a = create(daemon, token=in_a, id="t-a")
    of_b = create(daemon, token=in_b, id="t-b")
    assert read(daemon, of_a) == {
        "id": "t-a",
        "tenant_uuid": A,
        "is_new": False,
        "configured": False,
    }
    assert {mine, of_a, of_b} & set(listed(daemon)) == {mine}
    assert {mine, of_a, of_b} & set(listed(daemon, recurse="True")) == {mine, of_a, of_b}
    assert listed(daemon, token=in_a) == [of_a]
    assert listed(daemon, token=in_a, recurse="true") == [of_a]
    assert listed(daemon, headers={"Wazo-Tenant": B}) == [of_b]
    assert daemon.get(f"/dev_mgr/devices/{of_a}").status == 200
    for hidden in (mine, of_b):
        assert daemon.get(f"/dev_mgr/devices/{hidden}", token=in_a).status == 404
        assert daemon.delete(f"/dev_mgr/devices/{hidden}", token=in_a).status == 404
        assert daemon.post("/dev_mgr/synchronize", {"id": hidden}, token=in_a).status == 404
        refused = daemon.post("/dev_mgr/reconfigure", {"id": hidden}, token=in_a)
        assert (refused.status, refused.text) == (400, "Tenant invalid for device")
    assert daemon.put(f"/dev_mgr/devices/{of_b}", {"device": {}}, token=in_a).status == 404
    assert read(daemon, mine)["tenant_uuid"] == main
    for device_id, token in ((mine, None), (of_a, in_a), (of_b, in_b)):
        assert daemon.post("/dev_mgr/synchronize", {"id": device_id}, token=token).status == 201
        assert daemon.post("/dev_mgr/reconfigure", {"id": device_id}, token=token).status == 204
        assert daemon.delete(f"/dev_mgr/devices/{device_id}", token=token).status == 204


@pytest.mark.parametrize("value", ["true", "True", "TRUE", "false", "1", "", None])
def test_recurse_is_on_for_true_only(daemon, in_a, value):
    create(daemon, token=in_a, id="r-a")
    args = {} if value is None else {"recurse": value}
    try:
        assert ("r-a" in listed(daemon, **args)) is (value in {"true", "True", "TRUE"})
    finally:
        daemon.delete("/dev_mgr/devices/r-a")


@pytest.mark.parametrize("header", [B, "not-a-tenant", "\xff", A + "\x20x"])
def test_a_token_of_one_tenant_may_not_name_another(daemon, in_a, header):
    headers = {"Wazo-Tenant": header}
    for answer in (
        daemon.get("/dev_mgr/devices", token=in_a, headers=headers),
        daemon.get("/status", token=in_a, headers=headers),
        daemon.get("/configure/provisioning_key", token=in_a, headers=headers),
        daemon.post(
            "/dev_mgr/devices", {"device": {"id": "not-mine"}}, token=in_a, headers=headers
        ),
    ):
        assert (answer.status, answer.text) == (401, "Unauthorized")
    assert daemon.get("/dev_mgr/devices", token=in_a, headers={"Wazo-Tenant": A}).status == 200
    assert daemon.get("/dev_mgr/devices", token=in_a, headers={"Wazo-Tenant": ""}).status == 200


def test_a_selector_cannot_widen_the_view(daemon, main, in_a):
    create(daemon, id="w-main")
    create(daemon, token=in_a, id="w-a")
    for selector in (
        {"tenant_uuid": main},
        {"tenant_uuid": {"$in": [main, A]}},
        {"tenant_uuid": {"$exists": True}},
        {"tenant_uuid": {"$ne": "x"}},
        {"id": "w-main"},
    ):
        for recurse in ("true", "false"):
            found = listed(daemon, token=in_a, q=json.dumps(selector), recurse=recurse)
            assert "w-main" not in found
    daemon.delete("/dev_mgr/devices/w-main")
    daemon.delete("/dev_mgr/devices/w-a")


def test_a_tenant_in_a_selector_narrows_the_view(daemon, in_a, in_b):
    create(daemon, token=in_a, id="n-a")
    create(daemon, token=in_b, id="n-b")
    found = listed(daemon, q=json.dumps({"tenant_uuid": A}), recurse="true")
    assert "n-a" in found
    assert "n-b" not in found
    assert listed(daemon, token=in_a, q=json.dumps({"tenant_uuid": B})) == []
    daemon.delete("/dev_mgr/devices/n-a")
    daemon.delete("/dev_mgr/devices/n-b")


def test_a_new_device_moves_to_the_tenant_that_puts_it_and_stays_there(daemon, main, in_a, in_b):
    device_id = create(daemon, description="fresh")
    path = f"/dev_mgr/devices/{device_id}"
    assert daemon.get(path, token=in_a).status == 404  # not seen, and claimed all the same
    claimed = {"description": "claimed", "tenant_uuid": B, "is_new": True}
    assert daemon.put(path, {"device": claimed}, token=in_a).status == 204
    device = read(daemon, device_id, token=in_a)
    assert (device["tenant_uuid"], device["is_new"], device["description"]) == (A, False, "claimed")
    assert daemon.put(path, {"device": {"description": "stolen"}}, token=in_b).status == 404
    assert (
        daemon.put(path, {"device": {"description": "by main", "tenant_uuid": main}}).status == 204
    )
    device = read(daemon, device_id)
    assert (device["tenant_uuid"], device["is_new"], device["description"]) == (A, False, "by main")
    headers = {"Wazo-Tenant": B}
    assert daemon.put(path, {"device": {}}, headers=headers).status == 404
    assert read(daemon, device_id)["tenant_uuid"] == A


def test_the_main_tenant_keeps_a_new_device(daemon, main):
    device_id = create(daemon)
    body = {"description": "kept", "tenant_uuid": A, "is_new": False}
    assert daemon.put(f"/dev_mgr/devices/{device_id}", {"device": body}).status == 204
    device = read(daemon, device_id)
    assert (device["tenant_uuid"], device["is_new"]) == (main, True)


def test_a_header_of_the_main_tenant_claims_for_the_tenant_it_names(daemon):
    device_id = create(daemon)
    headers = {"Wazo-Tenant": A}
    assert (
        daemon.put(f"/dev_mgr/devices/{device_id}", {"device": {}}, headers=headers).status == 204
    )
    assert read(daemon, device_id)["tenant_uuid"] == A


# Synchronisation and reconfiguration


def finished(daemon, path):
    def status():
        answer = daemon.get(path)
        assert answer.status == 200, answer
        text = answer.json["status"]
        assert text in {"progress", "success", "fail"}
        return text if text != "progress" else None

    return daemon.wait_for(status, "the end of the operation")


@pytest.mark.parametrize("device", [{}, {"plugin": "none"}, {"plugin": PLUGIN, "config": "none"}])
def test_a_device_that_cannot_be_synchronised_gives_an_operation_that_fails(daemon, device):
    device_id = create(daemon, **device)
    answer = daemon.post("/dev_mgr/synchronize", {"id": device_id})
    assert answer.status == 201
    assert re.fullmatch(r"/0\.2/dev_mgr/synchronize/[1-9]\d*", answer.headers["location"])
    path = answer.headers["location"].removeprefix("/0.2")
    assert finished(daemon, path) == "fail"
    assert daemon.delete(path).status == 204
    assert daemon.get(path).status == 404
    assert daemon.delete(path).status == 404


def test_operations_are_numbered_from_one(make_daemon):
    daemon = make_daemon(plugins="none").start()
    device_id = create(daemon)
    places = [
        daemon.post("/dev_mgr/synchronize", {"id": device_id}).headers["location"] for _ in range(3)
    ]
    assert places == [f"/0.2/dev_mgr/synchronize/{n}" for n in (1, 2, 3)]
    assert daemon.get("/dev_mgr/synchronize/4").status == 404
    assert daemon.get("/dev_mgr/synchronize/01").status == 404


def test_synchronize_of_what_is_not_there(daemon):
    assert daemon.post("/dev_mgr/synchronize", {"id": "none"}).status == 404
    assert daemon.post("/dev_mgr/synchronize", {}).status == 400


def test_reconfigure_says_what_is_wrong_in_its_own_words(daemon):
    answer = daemon.post("/dev_mgr/reconfigure", {"id": "none"})
    assert (answer.status, answer.text) == (400, 'invalid device ID "none"')


def test_reconfigure_is_204_also_when_the_plugin_refuses(daemon):
    device_id = create(daemon, plugin="null", config="base")
    assert daemon.post("/dev_mgr/reconfigure", {"id": device_id}).status == 204
    assert read(daemon, device_id)["configured"] is False


# DHCP


def dhcp(daemon, **info):
    return daemon.post("/dev_mgr/dhcpinfo", {"dhcp_info": info})


def option(code, text):
    return f"{code:03d}" + ".".join(f"{ord(char):x}" for char in text)


def test_a_device_that_dhcp_told_of_is_listed_right_after(daemon, main):
    answer = dhcp(
        daemon, op="commit", ip="10.9.0.1", mac="0:15:65:99:0:1", options=[option(60, "yealink")]
    )
    assert answer.status == 204
    assert answer.body == b""
    device = daemon.device(mac="00:15:65:99:00:01")
    assert device["ip"] == "10.9.0.1"
    assert device["vendor"] == "Yealink"
    assert device["tenant_uuid"] == main
    assert device["is_new"] is True
    assert device["added"] == "auto"


def test_dhcp_is_not_aware_of_tenants(daemon, main, in_a):
    info = {
        "op": "commit",
        "ip": "10.9.0.2",
        "mac": "00:15:65:99:00:02",
        "options": [option(60, "yealink")],
    }
    assert daemon.post("/dev_mgr/dhcpinfo", {"dhcp_info": info}, token=in_a).status == 204
    assert daemon.device(mac="00:15:65:99:00:02")["tenant_uuid"] == main


def test_the_address_of_a_device_follows_its_lease(daemon):
    for ip in ("10.9.0.3", "10.9.0.4"):
        dhcp(daemon, op="commit", ip=ip, mac="00:15:65:99:00:03", options=[option(60, "yealink")])
    assert daemon.device(mac="00:15:65:99:00:03")["ip"] == "10.9.0.4"


@pytest.mark.parametrize("op", ["release", "expiry"])
def test_the_end_of_a_lease_is_taken_and_changes_nothing(daemon, op):
    dhcp(
        daemon, op="commit", ip="10.9.0.5", mac="00:15:65:99:00:05", options=[option(60, "yealink")]
    )
    before = daemon.device(mac="00:15:65:99:00:05")
    assert dhcp(daemon, op=op, ip="10.9.0.5").status == 204
    assert daemon.device(mac="00:15:65:99:00:05") == before
    assert dhcp(daemon, op=op, ip="300.1.1.1").status == 400
    assert dhcp(daemon, op=op).status == 400


def test_an_option_may_be_empty(daemon):
    answer = dhcp(
        daemon,
        op="commit",
        ip="10.9.0.6",
        mac="00:15:65:99:00:06",
        options=["060", "0120", "05561.62"],
    )
    assert answer.status == 204


BAD_DHCP = [
    {},
    {"op": "offer", "ip": "10.9.0.9"},
    {"op": None, "ip": "10.9.0.9"},
    {"op": ["commit"], "ip": "10.9.0.9"},
    {"op": "commit"},
    {"op": "commit", "ip": "10.9.0.9", "mac": "00:15:65:99:00:09"},
    {"op": "commit", "ip": "10.9.0.9", "options": []},
    {"op": "commit", "mac": "00:15:65:99:00:09", "options": []},
    {"op": "commit", "ip": "::1", "mac": "00:15:65:99:00:09", "options": []},
    {"op": "commit", "ip": 5, "mac": "00:15:65:99:00:09", "options": []},
    {"op": "commit", "ip": "10.9.0.9", "mac": "0011.2233.4455", "options": []},
    {"op": "commit", "ip": "10.9.0.9", "mac": None, "options": []},
    *(
        {"op": "commit", "ip": "10.9.0.9", "mac": "00:15:65:99:00:09", "options": options}
        for options in (
            "060",
            {},
            None,
            [60],
            [None],
            ["60"],
            ["06"],
            ["abc"],
            ["256"],
            ["06g"],
            ["060zz"],
            ["060100"],
            ["06041..42"],
            ["06041."],
            ["060 41"],
            ["060+1"],
            ["\u0660\u0666\u0660"],
            ["060\u0661"],
            ["0604\u0661"],
        )
    ),
]


@pytest.mark.parametrize("info", BAD_DHCP, ids=lambda value: json.dumps(value)[-40:])
def test_a_dhcp_event_that_makes_no_sense_is_400(daemon, info):
    answer = daemon.post("/dev_mgr/dhcpinfo", {"dhcp_info": info})
    assert answer.status == 400, answer
    assert daemon.devices(mac="00:15:65:99:00:09") == []
    if info.get("op") not in ("commit", "release", "expiry"):
        assert answer.text == "invalid operation value"


# Listing


@pytest.fixture(scope="module")
def names(daemon):
    """Make six devices of a tenant of their own; return the headers that show only those."""
    headers = {"Wazo-Tenant": "cccccccc-0000-4000-8000-00000000000c"}
    for number, (model, extra) in enumerate(
        [
            ("b", {"options": {"n": 10, "deep": {"x": 1}}}),
            ("a", {"options": {"n": 9}}),
            ("c", {"options": {"n": None}}),
            ("a", {}),
            (None, {"X_list": [{"k": 1}, {"k": 2}]}),
            ("B", {"X_list": [3]}),
        ]
    ):
        create(daemon, headers=headers, id=f"l{number}", model=model, **extra)
    return headers


def ids(daemon, headers, **args):
    return "".join(name[1:] for name in listed(daemon, headers=headers, **args))


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, "012345"),
        ({"model": "a"}, "13"),
        ({"model": None}, "4"),
        ({"options.n": 9}, "1"),
        ({"options.deep.x": 1}, "0"),
        ({"options.n": {"$gt": 9}}, "0"),
        ({"options.n": {"$ge": 9, "$lt": 10}}, "1"),
        ({"options.n": {"$le": "9"}}, ""),
        ({"options": {"$exists": False}}, "345"),
        ({"options.n": {"$exists": True}}, "012"),
        ({"model": {"$in": ["a", "c", None]}}, "1234"),
        ({"model": {"$nin": ["a", "b"]}}, "245"),
        ({"options.n": {"$nin": [9]}}, "02345"),
        ({"model": {"$ne": "a"}}, "0245"),
        ({"X_list.k": 2}, "4"),
        ({"X_list": {"$contains": 3}}, "5"),
        ({"id": {"$contains": "5"}}, "5"),
        ({"id": "l3", "model": "a"}, "3"),
        ({"mac": {"$in": [[], {}, 1]}}, ""),
        ({"mac": [1]}, ""),
        ({"configured": 0}, "012345"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else value,
)
def test_a_selector_finds_what_it_describes(daemon, names, selector, expected):
    text = json.dumps(selector)
    assert ids(daemon, names, q=text) == expected
    assert ids(daemon, names, q64=base64.b64encode(text.encode()).decode()) == expected


@pytest.mark.parametrize(
    "selector",
    [
        [],
        5,
        "text",
        None,
        {"a": {"$eq": 1}},
        {"$or": []},
        {"a": {"$regex": "x"}},
        {"a": {"$in": 5}},
        {"a": {"$nin": "ab"}},
        {"a": {"$gt": 1, "b": 2}},
        {"a": {"$exists": "x"}},
    ],
    ids=json.dumps,
)
@pytest.mark.parametrize("path", ["/dev_mgr/devices", "/cfg_mgr/configs"])
def test_a_selector_that_breaks_the_language_is_400(daemon, path, selector):
    text = json.dumps(selector)
    assert daemon.get(path, q=text).status == 400
    assert daemon.get(path, q64=base64.b64encode(text.encode()).decode()).status == 400


@pytest.mark.parametrize("text", ["{", "", "\xff", "{'a':1}"])
def test_a_selector_that_is_not_json_is_ignored(daemon, names, text):
    assert ids(daemon, names, q=text) == "012345"


@pytest.mark.parametrize(
    "text", ["!", "e30", "é", base64.b64encode(b"{").decode(), base64.b64encode(b"\xff").decode()]
)
def test_a_broken_q64_hides_q(daemon, names, text):
    assert ids(daemon, names, q64=text, q='{"id":"l1"}') == "012345"


def test_q64_wins_over_q(daemon, names):
    assert ids(daemon, names, q64=base64.b64encode(b'{"id":"l2"}').decode(), q='{"id":"l1"}') == "2"


def test_q64_may_hold_a_plus_that_became_a_space(daemon, names):
    text = base64.b64encode(b'{"id":"l2","X_":{"$ne":"\x7f>~>~"}}').decode()
    assert "+" in text
    answer = http_request(
        daemon.rest_port,
        "GET",
        f"/0.2/dev_mgr/devices?q64={text}",
        headers={**names, "X-Auth-Token": daemon.token},
    )
    assert [device["id"] for device in answer.json["devices"]] == ["l2"]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"sort": "model"}, "451302"),
        ({"sort": "model", "sort_ord": "ASC"}, "451302"),
        ({"sort": "model", "sort_ord": "DESC"}, "201354"),
        ({"sort": "model", "sort_ord": "desc"}, "451302"),
        ({"sort": "options.n"}, "234501"),
        ({"sort": "nowhere.at.all"}, "012345"),
        ({"sort": "nowhere", "sort_ord": "DESC"}, "012345"),
        ({"sort": ""}, "012345"),
        ({"sort_ord": "DESC"}, "012345"),
        ({"sort": "model", "limit": 2}, "45"),
        ({"sort": "model", "skip": 1, "limit": 2}, "51"),
        ({"sort": "model", "fields": "id"}, "451302"),
        ({"skip": 4}, "45"),
        ({"skip": 0}, "012345"),
        ({"skip": -3}, "012345"),
        ({"skip": 99}, ""),
        ({"skip": "x"}, "012345"),
        ({"skip": 10**30}, ""),
        ({"limit": 2}, "01"),
        ({"limit": 0}, "012345"),
        ({"limit": -1}, ""),
        ({"limit": -1, "sort": "model"}, ""),
        ({"limit": "1.5"}, "012345"),
        ({"limit": 10**30}, "012345"),
        ({"limit": 2, "skip": 1}, "12"),
        ({"reverse": "True", "nonsense": "\xff"}, "012345"),
        ({"q": '{"model":"a"}', "skip": 1}, "3"),
    ],
    ids=str,
)
def test_listing_arguments(daemon, names, args, expected):
    assert ids(daemon, names, **args) == expected


def test_only_the_first_value_of_an_argument_counts(daemon, names):
    query = urlencode([("limit", "1"), ("limit", "3"), ("sort", "model"), ("sort", "id")])
    answer = http_request(
        daemon.rest_port,
        "GET",
        f"/0.2/dev_mgr/devices?{query}",
        headers={**names, "X-Auth-Token": daemon.token},
    )
    assert [device["id"] for device in answer.json["devices"]] == ["l4"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("model", {"id": "l0", "model": "b"}),
        ("id", {"id": "l0"}),
        ("options.deep.x,model", {"id": "l0", "model": "b", "options": {"deep": {"x": 1}}}),
        ("options.n,options.deep", {"id": "l0", "options": {"n": 10, "deep": {"x": 1}}}),
        ("options,options.n", {"id": "l0", "options": {"n": 10, "deep": {"x": 1}}}),
        ("nowhere,options.nowhere,model.x", {"id": "l0"}),
        (",,", {"id": "l0"}),
        ("id.x", {"id": "l0"}),
    ],
)
def test_fields_choose_what_is_shown(daemon, names, fields, expected):
    answer = daemon.get("/dev_mgr/devices", headers=names, q='{"id":"l0"}', fields=fields)
    shown = answer.json["devices"]
    assert shown == [expected]


def test_a_list_with_nothing_in_it_is_an_empty_list(daemon, names):
    answer = daemon.get("/dev_mgr/devices", headers=names, q='{"id":"none"}')
    assert answer.body == b'{"devices":[]}'


def test_reading_one_device_is_quick(daemon, record_property):
    create(daemon, id="quick")
    connection = http.client.HTTPConnection("127.0.0.1", daemon.rest_port, timeout=10)
    count = 500
    started = time.perf_counter()
    for _ in range(count):
        connection.request(
            "GET", "/0.2/dev_mgr/devices/quick", headers={"X-Auth-Token": daemon.token}
        )
        response = connection.getresponse()
        response.read()
        assert response.status == 200
    rate = count / (time.perf_counter() - started)
    connection.close()
    record_property("reads_a_second", rate)
    print(f"{rate:.0f} reads a second over one connection")
    assert rate > 100


# One phone, one device


def test_the_phone_of_a_tenant_is_out_of_reach_for_another(daemon, in_a, in_b):
    mac = "00:15:65:1d:00:01"
    document = {"mac": mac, "plugin": "provd-yealink"}
    answer = daemon.post("/dev_mgr/devices", {"device": document}, token=in_a)
    assert answer.status == 201
    owner = answer.json["id"]
    answer = daemon.post("/dev_mgr/devices", {"device": document}, token=in_b)
    assert answer.status == 400
    assert answer.body.decode() == f"the mac '{mac}' belongs to another device"
    other = {"mac": "00:15:65:1d:00:02"}
    other_id = daemon.post("/dev_mgr/devices", {"device": other}, token=in_b).json["id"]
    path = f"/dev_mgr/devices/{other_id}"
    answer = daemon.put(path, {"device": document}, token=in_b)
    assert answer.status == 400
    assert owner not in answer.body.decode()
    assert daemon.get(path, token=in_b).json["device"]["mac"] == other["mac"]
    answer = daemon.put(path, {"device": document})
    assert answer.status == 400
    assert answer.body.decode() == f"the mac '{mac}' belongs to device '{owner}'"
    assert daemon.get("/dev_mgr/duplicates").json == {"duplicates": []}
    assert daemon.get("/status").json["duplicates"] == 0
    assert daemon.delete(path, token=in_b).status == 204
    assert daemon.get(f"/dev_mgr/devices/{owner}", token=in_a).json["device"]["mac"] == mac
