"""Configs and daemon parameters over REST."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

A = "aaaaaaaa-0000-4000-8000-00000000000a"
B = "bbbbbbbb-0000-4000-8000-00000000000b"


def create(daemon, **config):
    answer = daemon.post(
        "/cfg_mgr/configs", {"config": {"parent_ids": [], "raw_config": {}, **config}}
    )
    assert answer.status == 201, answer
    return answer.json["id"]


def read(daemon, config_id):
    answer = daemon.get(f"/cfg_mgr/configs/{config_id}")
    assert answer.status == 200, answer
    return answer.json["config"]


def raw(daemon, config_id):
    answer = daemon.get(f"/cfg_mgr/configs/{config_id}/raw")
    assert answer.status == 200, answer
    return answer.json["raw_config"]


def limited_token(daemon, name, tenant, *acl):
    command = [
        str(Path(sys.executable).parent / "provd-token"),
        "--file",
        str(daemon.state / "tokens.json"),
        "create",
        name,
        "--tenant",
        tenant,
    ]
    for pattern in acl:
        command += ["--acl", pattern]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def test_a_config_that_is_created_can_be_read_where_the_location_says(daemon):
    config = {
        "parent_ids": ["base", "unknown"],
        "raw_config": {"X_a": {"b": [None, 1.5, "é"]}},
        "label": "kept",
    }
    answer = daemon.post("/cfg_mgr/configs", {"config": config})
    assert answer.status == 201
    config_id = answer.json["id"]
    assert re.fullmatch(r"[0-9a-f]{32}", config_id)
    assert answer.headers["location"] == f"/0.2/cfg_mgr/configs/{config_id}"
    assert read(daemon, config_id) == {"id": config_id, **config}


BAD = [
    {"raw_config": {}},
    {"parent_ids": []},
    {"parent_ids": None, "raw_config": {}},
    {"parent_ids": "base", "raw_config": {}},
    {"parent_ids": [1], "raw_config": {}},
    {"parent_ids": [], "raw_config": []},
    {"parent_ids": [], "raw_config": None},
    {"parent_ids": [], "raw_config": {}, "role": 1},
    {"parent_ids": [], "raw_config": {}, "transient": "perhaps"},
    {"parent_ids": [], "raw_config": {}, "deletable": []},
    {"parent_ids": [], "raw_config": {}, "id": "a/b"},
    *(
        {"parent_ids": [], "raw_config": raw_config}
        for raw_config in (
            {"unknown": 1},
            {"XX_reserved": 1},
            {"ntp_enabled": True},
            {"vlan_enabled": True},
            {"vlan_enabled": True, "vlan_id": 4095},
            {"vlan_enabled": True, "vlan_id": 1, "vlan_priority": 8},
            {"http_port": 0},
            {"http_port": "65536"},
            {"syslog_port": None},
            {"syslog_level": "verbose"},
            {"sip_transport": "UDP"},
            {"timezone": "Europe/Nowhere"},
            {"timezone": "../../etc/passwd"},
            {"locale": "french"},
            {"funckeys": {"a": {"type": "blf", "value": "1"}}},
            {"funckeys": {"1": {"type": "blf"}}},
            {"sip_lines": None},
            {"sip_lines": []},
        )
    ),
]


@pytest.mark.parametrize("config", BAD, ids=lambda value: json.dumps(value)[:60])
def test_a_config_that_breaks_a_rule_is_400_in_post_and_in_put(daemon, config):
    kept = create(daemon)
    before = read(daemon, kept)
    posted = daemon.post("/cfg_mgr/configs", {"config": config})
    assert posted.status == 400, posted
    assert posted.text
    if "id" not in config:  # the id of the path wins
        assert daemon.put(f"/cfg_mgr/configs/{kept}", {"config": config}).status == 400
    assert read(daemon, kept) == before


def test_a_missing_member_is_named(daemon):
    for key, config in (("parent_ids", {"raw_config": {}}), ("raw_config", {"parent_ids": []})):
        answer = daemon.post("/cfg_mgr/configs", {"config": config})
        assert answer.text == f'missing "{key}" field in config'


def test_an_id_that_is_used_is_400_and_the_text_names_it(daemon):
    create(daemon, id="cfg-twice", label="first")
    answer = daemon.post(
        "/cfg_mgr/configs", {"config": {"id": "cfg-twice", "parent_ids": [], "raw_config": {}}}
    )
    assert answer.status == 400
    assert "cfg-twice" in answer.text
    assert read(daemon, "cfg-twice")["label"] == "first"


def test_a_put_replaces_the_whole_config_and_the_id_of_the_path_wins(daemon):
    create(daemon, id="cfg-put", label="old", raw_config={"X_a": 1})
    config = {"id": "other", "parent_ids": [], "raw_config": {"X_b": 2}}
    for _ in range(2):  # the second changes nothing
        assert daemon.put("/cfg_mgr/configs/cfg-put", {"config": config}).status == 204
        assert read(daemon, "cfg-put") == {
            "id": "cfg-put",
            "parent_ids": [],
            "raw_config": {"X_b": 2},
        }
    assert daemon.get("/cfg_mgr/configs/other").status == 404


@pytest.mark.parametrize("body", [{"id": None}, {}, [], {"config": None}, {"config": {}}])
def test_a_put_of_an_unknown_config_is_404_whatever_the_body(daemon, body):
    assert daemon.put("/cfg_mgr/configs/unknown", body).status == 404


def test_a_config_that_is_not_deletable_is_403_until_a_put_makes_it_so(daemon):
    create(daemon, id="cfg-kept", deletable=False)
    answer = daemon.delete("/cfg_mgr/configs/cfg-kept")
    assert (answer.status, answer.text) == (403, "The document cfg-kept is not deletable")
    config = {**read(daemon, "cfg-kept"), "deletable": True}
    assert daemon.put("/cfg_mgr/configs/cfg-kept", {"config": config}).status == 204
    assert daemon.delete("/cfg_mgr/configs/cfg-kept").status == 204
    for answer in (
        daemon.get("/cfg_mgr/configs/cfg-kept"),
        daemon.get("/cfg_mgr/configs/cfg-kept/raw"),
        daemon.delete("/cfg_mgr/configs/cfg-kept"),
    ):
        assert (answer.status, answer.text) == (404, "No such resource")


def test_nulls_are_dropped_from_device_configs_only(daemon):
    raw_config = {"X_a": None, "X_b": {"c": None, "d": [{"e": None}, None]}}
    create(daemon, id="nulls-device", X_type="device", raw_config=raw_config)
    create(daemon, id="nulls-other", X_type="internal", raw_config=raw_config)
    assert read(daemon, "nulls-device")["raw_config"] == {"X_b": {"d": [{}, None]}}
    assert read(daemon, "nulls-other")["raw_config"] == raw_config


def test_a_raw_config_holds_all_ancestors_and_the_base(daemon):
    base = raw(daemon, create(daemon, id="raw-empty"))
    assert {"ip", "http_port", "tftp_port", "http_base_url"} <= set(base)
    create(daemon, id="raw-a", raw_config={"ntp_ip": "a", "sip_lines": {"1": {"username": "u"}}})
    create(daemon, id="raw-b", raw_config={"ntp_ip": "b"})
    create(
        daemon,
        id="raw-c",
        parent_ids=["raw-a", "missing", "raw-b", "raw-c"],
        raw_config={"sip_lines": {"1": {"password": "p"}}},
    )
    assert raw(daemon, "raw-c") == {
        **base,
        "ntp_ip": "b",
        "sip_lines": {"1": {"username": "u", "password": "p"}},
    }
    assert "funckeys" not in raw(daemon, "raw-c")


def test_the_reference_of_the_list_is_the_same_as_for_devices(daemon):
    for number, kind in enumerate(["registrar", "device", "registrar"]):
        create(daemon, id=f"list{number}", X_type=kind, label=f"L{2 - number}")
    answer = daemon.get(
        "/cfg_mgr/configs",
        q='{"X_type":"registrar"}',
        fields="label",
        sort="label",
        recurse="x",
        skip=0,
        limit=5,
    )
    shown = [config for config in answer.json["configs"] if config["id"].startswith("list")]
    assert shown == [{"id": "list2", "label": "L0"}, {"id": "list0", "label": "L2"}]
    answer = daemon.get("/cfg_mgr/configs", q='{"parent_ids":{"$contains":"base"}}')
    assert all("base" in config["parent_ids"] for config in answer.json["configs"])
    assert answer.json["configs"]


def test_configs_of_the_main_tenant_are_read_by_every_tenant_and_listed_for_the_main_one(daemon):
    token = limited_token(daemon, "cfg-a", A, "provd.#")
    create(daemon, id="global")
    assert daemon.get("/cfg_mgr/configs/global", token=token).status == 200
    assert daemon.get("/cfg_mgr/configs", token=token).json == {"configs": []}
    assert daemon.get("/cfg_mgr/configs", token=token, limit=1).json == {"configs": [], "total": 0}


# Autocreate


def test_autocreate_makes_a_transient_config_and_says_where_it_is(daemon):
    for body in ({}, [], None, "any"):
        answer = daemon.rest("POST", "/cfg_mgr/autocreate", body=json.dumps(body))
        assert answer.status == 201
        config_id = answer.json["id"]
        assert re.fullmatch(r"autoprov[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", config_id)
        assert answer.headers["location"] == f"/0.2/cfg_mgr/configs/{config_id}"
        config = read(daemon, config_id)
        assert config["transient"] is True
        assert config["parent_ids"] == ["autoprov"]
        assert set(config) == {"id", "parent_ids", "raw_config", "transient"}


def test_autocreate_without_a_usable_template_is_400(make_daemon):
    daemon = make_daemon(plugins="none").start()
    template = read(daemon, "autoprov")
    without_line = {**template, "raw_config": {}}
    assert daemon.put("/cfg_mgr/configs/autoprov", {"config": without_line}).status == 204
    answer = daemon.post("/cfg_mgr/autocreate", {})
    assert (answer.status, answer.text) == (400, "no config with the autocreate role")
    without_role = {key: value for key, value in template.items() if key != "role"}
    assert daemon.put("/cfg_mgr/configs/autoprov", {"config": without_role}).status == 204
    assert daemon.post("/cfg_mgr/autocreate", {}).status == 400


# Parameters

NAMES = [
    "plugin_server",
    "http_proxy",
    "ftp_proxy",
    "https_proxy",
    "locale",
    "NAT",
    "provisioning_key",
]


def value_of(daemon, name, **kwargs):
    answer = daemon.get(f"/configure/{name}", **kwargs)
    assert answer.status == 200, answer
    return answer.json["param"]["value"]


def put(daemon, name, value, **kwargs):
    return daemon.put(f"/configure/{name}", {"param": {"value": value}}, **kwargs)


def test_parameters_are_listed_in_order_with_value_text_and_link(daemon):
    params = daemon.get("/configure").json["params"]
    assert [param["id"] for param in params] == NAMES
    for param in params:
        assert set(param) == {"id", "description", "value", "links"}
        assert param["links"] == [
            {"rel": "srv.configure.param", "href": f"/0.2/configure/{param['id']}"}
        ]
        assert param["value"] == value_of(daemon, param["id"])


def test_descriptions_follow_the_locale(daemon):
    english = [param["description"] for param in daemon.get("/configure").json["params"]]
    try:
        assert put(daemon, "locale", "fr_CA").status == 204
        french = [param["description"] for param in daemon.get("/configure").json["params"]]
        assert all(a != b for a, b in zip(english, french, strict=True))
        assert put(daemon, "locale", "de_DE").status == 204
        assert [
            param["description"] for param in daemon.get("/configure").json["params"]
        ] == english
    finally:
        assert put(daemon, "locale", None).status == 204


GOOD = [
    ("plugin_server", "http://repo.example/2/", "http://repo.example/2/"),
    ("plugin_server", None, None),
    ("http_proxy", "http://proxy.example:3128", "http://proxy.example:3128"),
    ("http_proxy", "http://user:pa%40ss@proxy.example", "http://user:pa%40ss@proxy.example"),
    ("http_proxy", None, None),
    ("ftp_proxy", "http://10.0.0.1:1", "http://10.0.0.1:1"),
    ("ftp_proxy", None, None),
    ("https_proxy", "proxy.example:3128", "proxy.example:3128"),
    ("https_proxy", None, None),
    ("locale", "fr", "fr"),
    ("locale", "fil_PHL", "fil_PHL"),
    ("locale", "", None),
    ("locale", None, None),
    ("NAT", "1", 1),
    ("NAT", "0", 0),
    ("NAT", 1, 1),
    ("NAT", False, 0),
    ("NAT", True, 1),
    ("NAT", 0, 0),
    ("NAT", None, 0),
    ("provisioning_key", "abcdefgh", "abcdefgh"),
    ("provisioning_key", "A9$~.-" + "x" * 250, "A9$~.-" + "x" * 250),
    ("provisioning_key", "", None),
    ("provisioning_key", None, None),
]


@pytest.mark.parametrize(("name", "value", "expected"), GOOD, ids=lambda value: str(value)[:30])
def test_a_value_that_is_allowed_is_read_back(daemon, name, value, expected):
    before = value_of(daemon, name)
    try:
        answer = put(daemon, name, value)
        assert answer.status == 204, answer
        assert answer.body == b""
        assert value_of(daemon, name) == expected
    finally:
        assert put(daemon, name, before).status == 204


BAD_VALUES = [
    (
        "plugin_server",
        ["", "repo", "//host/", "http:", "http:///x", "http://[::1", 5, True, {}, []],
    ),
    (
        "http_proxy",
        ["", "proxy:3128", "http://", "http://h/path", "http://h:x", "http://h:99999", 1, {}],
    ),
    ("ftp_proxy", ["", "http://h/x", False]),
    ("https_proxy", ["", "http://proxy:3128", "proxy", "proxy:x", "proxy:1\n", 1, ["h:1"]]),
    ("locale", ["FR", "fr-FR", "fr_fr", "f", "fr_FR\n", "fr_FR.UTF-8", 1, ["fr"], True]),
    ("NAT", ["", "2", 2, -1, "true", "1\n", " 1", 1.0, [], {}]),
    (
        "provisioning_key",
        [
            "short12",
            "x" * 257,
            "with space",
            "abcdefgh\n",
            "abcdefg/",
            "abcdéfgh",
            12345678,
            True,
            ["abcdefgh"],
        ],
    ),
]


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD_VALUES for value in values],
    ids=lambda value: repr(value)[:30],
)
def test_a_value_that_is_not_allowed_is_400_and_changes_nothing(daemon, name, value):
    before = value_of(daemon, name)
    answer = put(daemon, name, value)
    assert answer.status == 400, answer
    assert answer.text
    assert value_of(daemon, name) == before


def test_the_length_of_a_key_is_told(daemon):
    for key in ("short12", "x" * 257):
        assert "[8, 256]" in put(daemon, "provisioning_key", key).text


def test_a_body_without_a_value_is_400(daemon):
    answer = daemon.put("/configure/NAT", {"param": {}})
    assert (answer.status, answer.text) == (400, "Wrong information in entity")


@pytest.mark.parametrize("name", ["tenants", "unknown", "nat", "NAT.", "__class__"])
def test_an_unknown_parameter_is_404_and_the_map_of_tenants_is_one(daemon, name):
    assert daemon.get(f"/configure/{name}").status == 404
    assert put(daemon, name, {}).status == 404
    assert daemon.put(f"/configure/{name}", {}).status == 404


def test_a_parameter_cannot_be_deleted(daemon):
    assert daemon.delete("/configure/NAT").status == 405


def test_each_tenant_has_a_key_of_its_own_and_no_two_the_same(daemon):
    in_a = limited_token(daemon, "key-a", A, "provd.#")
    assert put(daemon, "provisioning_key", "key-of-main").status == 204
    assert put(daemon, "provisioning_key", "key-of-a", token=in_a).status == 204
    assert put(daemon, "provisioning_key", "key-of-b", headers={"Wazo-Tenant": B}).status == 204
    assert value_of(daemon, "provisioning_key") == "key-of-main"
    assert value_of(daemon, "provisioning_key", token=in_a) == "key-of-a"
    assert value_of(daemon, "provisioning_key", headers={"Wazo-Tenant": A}) == "key-of-a"
    shown = daemon.get("/configure", headers={"Wazo-Tenant": B}).json["params"][-1]
    assert (shown["id"], shown["value"]) == ("provisioning_key", "key-of-b")
    answer = put(daemon, "provisioning_key", "key-of-b", token=in_a)
    assert (answer.status, answer.text) == (
        400,
        "another tenant already uses this provisioning key.",
    )
    assert put(daemon, "provisioning_key", "key-of-a", token=in_a).status == 204  # its own, again
    assert put(daemon, "provisioning_key", None, headers={"Wazo-Tenant": B}).status == 204
    assert put(daemon, "provisioning_key", "key-of-b", token=in_a).status == 204
    assert put(daemon, "provisioning_key", None, headers={"Wazo-Tenant": A}).status == 204
    assert put(daemon, "provisioning_key", None).status == 204


def test_the_access_to_a_parameter_names_the_request_tenant(daemon):
    main = daemon.get("/status").json["main_tenant"]
    token = limited_token(daemon, "key-only-a", main, f"provd.configure.{A}.provisioning_key.*")
    in_a = {"Wazo-Tenant": A}
    assert put(daemon, "provisioning_key", "only-for-a", token=token, headers=in_a).status == 204
    assert value_of(daemon, "provisioning_key", token=token, headers=in_a) == "only-for-a"
    assert daemon.get("/configure/NAT", token=token, headers=in_a).status == 401
    assert daemon.get("/configure/provisioning_key", token=token).status == 401
    assert daemon.get("/configure", token=token, headers=in_a).status == 401
    assert put(daemon, "provisioning_key", None, headers=in_a).status == 204


def test_parameters_outlive_a_kill_and_win_over_the_settings(make_daemon):
    daemon = make_daemon(
        plugins="none",
        settings={
            "proxy": {"http": "http://settings:1"},
            "tenants": {B: {"provisioning_key": "from-settings"}},
        },
    ).start()
    assert value_of(daemon, "http_proxy") == "http://settings:1"
    assert value_of(daemon, "provisioning_key", headers={"Wazo-Tenant": B}) == "from-settings"
    wanted = {
        "plugin_server": "http://persisted.example/",
        "http_proxy": "http://persisted:2",
        "https_proxy": "persisted:3",
        "locale": "fr_FR",
        "NAT": 1,
        "provisioning_key": "persisted-key",
    }
    for name, value in wanted.items():
        assert put(daemon, name, value).status == 204
    daemon.kill()
    daemon.start()
    assert {name: value_of(daemon, name) for name in wanted} == wanted
    assert value_of(daemon, "ftp_proxy") is None
    for name in ("http_proxy", "plugin_server"):
        assert put(daemon, name, None).status == 204
    daemon.restart()
    assert value_of(daemon, "http_proxy") is None
    assert value_of(daemon, "plugin_server") is None
    assert value_of(daemon, "provisioning_key", headers={"Wazo-Tenant": B}) == "from-settings"


def test_a_new_key_gives_the_devices_of_its_tenant_new_files_and_no_others(make_daemon):
    daemon = make_daemon(settings={"general": {"http_auth_strategy": "url_key"}}).start()
    line = {"username": "u", "password": "p", "display_name": "d", "proxy_ip": "192.0.2.1"}
    create(daemon, id="keyed", parent_ids=["base"], raw_config={"sip_lines": {"1": line}})
    files = {}
    for number, tenant in enumerate((A, B)):
        device = {
            "id": f"keyed-{number}",
            "mac": f"00:15:65:00:00:0{number}",
            "vendor": "Yealink",
            "model": "T46S",
            "plugin": "provd-yealink",
            "config": "keyed",
        }
        headers = {"Wazo-Tenant": tenant}
        assert daemon.post("/dev_mgr/devices", {"device": device}, headers=headers).status == 201
        shown = daemon.get(f"/dev_mgr/devices/keyed-{number}").json["device"]
        assert shown["configured"] is False  # its tenant has no key yet
        name = device["mac"].replace(":", "") + ".cfg"
        files[tenant] = daemon.state / "plugins" / device["plugin"] / "var" / "tftpboot" / name

    def holds(tenant, key):
        path = files[tenant]
        return path.exists() and f"/{key}" in path.read_text()

    for tenant in (A, B):
        assert (
            put(daemon, "provisioning_key", f"key-{tenant}", headers={"Wazo-Tenant": tenant}).status
            == 204
        )
        assert daemon.wait_for(lambda t=tenant: holds(t, f"key-{t}"), "a file with the key", 10)
    assert put(daemon, "provisioning_key", "another-key", headers={"Wazo-Tenant": A}).status == 204
    assert daemon.wait_for(lambda: holds(A, "another-key"), "a file with the new key", 10)
    assert not holds(A, f"key-{A}")
    assert holds(B, f"key-{B}")
    assert put(daemon, "provisioning_key", None, headers={"Wazo-Tenant": A}).status == 204
    daemon.wait_for(
        lambda: daemon.get("/dev_mgr/devices/keyed-0").json["device"]["configured"] is False,
        "the end",
        10,
    )
    assert daemon.get("/dev_mgr/devices/keyed-1").json["device"]["configured"] is True
