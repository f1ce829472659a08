"""Configs of tenants: whose they are, who inherits from them, and what nobody else can reach."""

import logging

import pytest

from provd.model.secrets import MASK
from tests.unit.manager.core import result
from tests.unit.rest.world import BELOW_A, CANARY, A, B, World, line

CONFIGS = "/cfg_mgr/configs"


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


@pytest.fixture
def filled(world):
    return fill(world)


def fill(world):
    """Give the platform its usual documents, and A a phone with a config and a parent of its own."""
    platform = {"admin_password": f"{CANARY}-base", "ntp_enabled": True, "ntp_ip": "pool.example"}
    assert world.make_config("main", "base", raw=platform).status == 201
    autoprov = line(f"{CANARY}-autoprov")
    made = world.make_config("main", "autoprov", ["base"], autoprov, role="autocreate")
    assert made.status == 201
    assert world.make_config("a", "parent-a", ["base"], {"X_a": f"{CANARY}-x"}).status == 201
    raw = line(f"{CANARY}-line")
    made = world.make_config(
        "a", "private-a", ["parent-a"], raw, label=f"{CANARY}-label", X_provisioning_code="1234"
    )
    assert made.status == 201
    assert world.make_device("a", "phone-a", 0xA1, "private-a").status == 201
    return world


def ids(answer):
    return [config["id"] for config in answer.json["configs"]]


def test_a_tenant_sees_counts_and_lists_its_own_configs_only(filled):
    assert filled.make_config("b", "mine").status == 201
    assert ids(filled.send("b", "GET", CONFIGS)) == ["mine"]
    assert filled.send("b", "GET", CONFIGS, limit="5").json["total"] == 1
    assert ids(filled.send("a", "GET", CONFIGS)) == ["parent-a", "private-a"]
    everything = {"base", "autoprov", "parent-a", "private-a", "mine"}
    assert set(ids(filled.send("main", "GET", CONFIGS))) == everything
    assert set(ids(filled.send("main", "GET", CONFIGS, tenant=B))) == everything


@pytest.mark.parametrize(
    "selector",
    [
        "{}",
        f'{{"tenant_uuid": "{A}"}}',
        f'{{"tenant_uuid": {{"$in": ["{A}"]}}}}',
        '{"tenant_uuid": {"$exists": false}}',
        '{"tenant_uuid": {"$ne": "x"}}',
        '{"tenant_uuid": null}',
        '{"id": "private-a"}',
        '{"raw_config.admin_password": {"$gt": "a"}}',
    ],
)
def test_a_selector_never_widens_what_a_tenant_sees(filled, selector):
    assert ids(filled.send("b", "GET", CONFIGS, q=selector)) == []
    assert filled.send("b", "GET", CONFIGS, q=selector, limit="9").json["total"] == 0


def test_a_config_of_another_tenant_is_404_whatever_is_asked_of_it(filled):
    config = {"config": {"parent_ids": [], "raw_config": {}}}
    for config_id in ("private-a", "parent-a", "unknown"):
        path = f"{CONFIGS}/{config_id}"
        assert filled.send("b", "GET", path).status == 404
        assert filled.send("b", "GET", f"{path}/raw").status == 404
        assert filled.send("b", "PUT", path, config).status == 404
        assert filled.send("b", "DELETE", path).status == 404
    assert filled.send("a", "GET", f"{CONFIGS}/private-a").json["config"]["label"]


def test_a_tenant_above_sees_and_changes_what_is_below_it_and_not_the_other_way_round(world):
    assert world.make_config("below", "theirs").status == 201
    assert world.make_config("a", "above").status == 201
    assert ids(world.send("a", "GET", CONFIGS)) == ["theirs", "above"]
    assert ids(world.send("below", "GET", CONFIGS)) == ["theirs"]
    assert world.make_config("a", "for-below", tenant=BELOW_A).status == 201
    assert ids(world.send("below", "GET", CONFIGS)) == ["theirs", "for-below"]
    assert world.make_config("below", "x", ["above"]).status == 400
    assert world.make_config("a", "y", ["theirs"]).status == 400
    assert world.make_config("below", "z", ["for-below"]).status == 201
    assert world.send("a", "DELETE", f"{CONFIGS}/theirs").status == 204


def test_the_main_tenants_configs_are_read_with_secrets_masked_and_changed_by_it_alone(filled):
    path = f"{CONFIGS}/base"
    read = filled.send("b", "GET", path).json["config"]["raw_config"]
    assert read == {"admin_password": MASK, "ntp_enabled": True, "ntp_ip": "pool.example"}
    assert filled.send("b", "GET", f"{path}/raw").json["raw_config"]["admin_password"] == MASK
    config = {"config": {"parent_ids": [], "raw_config": {}}}
    assert filled.send("b", "PUT", path, config).status == 403
    assert filled.send("b", "DELETE", path).status == 403
    whole = filled.send("main", "GET", path, tenant=B).json["config"]["raw_config"]
    assert whole["admin_password"] == f"{CANARY}-base"


def test_a_raw_config_shows_ones_own_secrets_and_masks_inherited_ones(filled):
    assert filled.make_config("b", "mine", ["base"], line("own-secret")).status == 201
    raw = filled.send("b", "GET", f"{CONFIGS}/mine/raw").json["raw_config"]
    assert raw["sip_lines"]["1"]["password"] == "own-secret"
    assert raw["admin_password"] == MASK
    assert raw["ntp_ip"] == "pool.example"
    whole = filled.send("main", "GET", f"{CONFIGS}/mine/raw").json["raw_config"]
    assert whole["admin_password"] == f"{CANARY}-base"
    assert filled.make_device("b", "phone-b", 0xB1, "mine").status == 201
    assert filled.core.rendered(0xB1)["admin_password"] == f"{CANARY}-base"


def test_the_owner_is_in_no_answer_and_is_taken_from_no_body(filled):
    assert filled.make_config("b", "mine", tenant_uuid=A).status == 201
    for token in ("b", "main"):
        assert set(filled.send(token, "GET", f"{CONFIGS}/mine").json["config"]) == {
            "id",
            "parent_ids",
            "raw_config",
        }
        listed = filled.send(token, "GET", CONFIGS, fields="tenant_uuid").json["configs"]
        assert all(set(config) == {"id"} for config in listed)
    config = {"parent_ids": [], "raw_config": {}, "tenant_uuid": A, "label": "new"}
    assert filled.send("b", "PUT", f"{CONFIGS}/mine", {"config": config}).status == 204
    assert filled.send("main", "PUT", f"{CONFIGS}/mine", {"config": config}).status == 204
    assert ids(filled.send("b", "GET", CONFIGS)) == ["mine"]
    assert "mine" not in ids(filled.send("a", "GET", CONFIGS))


def test_a_parent_is_ones_own_or_the_main_tenants_and_a_refusal_tells_nothing(filled):
    refused = filled.make_config("b", "mine", ["private-a"])
    assert refused.status == 400
    unknown = filled.make_config("b", "mine", ["unknown"])
    assert refused.text.replace("private-a", "unknown") == unknown.text
    assert filled.make_config("b", "mine", ["base"]).status == 201
    assert filled.make_config("b", "child", ["mine", "base"]).status == 201
    config = {"parent_ids": ["parent-a"], "raw_config": {}}
    assert filled.send("b", "PUT", f"{CONFIGS}/child", {"config": config}).status == 400
    assert filled.make_config("main", "by-main", ["private-a", "unknown"]).status == 201


def test_a_parent_that_is_gone_does_not_keep_a_config_from_being_changed(world):
    assert world.make_config("b", "parent").status == 201
    assert world.make_config("b", "child", ["parent"]).status == 201
    assert world.send("b", "DELETE", f"{CONFIGS}/parent").status == 204
    config = {"parent_ids": ["parent"], "raw_config": {}, "label": "new"}
    assert world.send("b", "PUT", f"{CONFIGS}/child", {"config": config}).status == 204


def test_nobody_slips_a_config_beneath_what_refers_to_its_id(filled):
    assert filled.send("a", "DELETE", f"{CONFIGS}/parent-a").status == 204
    for token, status in (("b", 400), ("a", 201)):
        assert filled.make_config(token, "parent-a").status == status
    assert filled.make_device("a", "early", 0xA2, "later").status == 201
    answer = filled.make_config("b", "later", raw=line("hostile"))
    assert (answer.status, answer.text) == (400, "the id 'later' is already used in configs")
    assert filled.make_config("a", "later", raw=line("own")).status == 201
    assert filled.core.rendered(0xA2)["sip_lines"]["1"]["password"] == "own"


def test_a_device_has_a_config_of_its_own_tenant_or_of_the_main_one(filled):
    assert filled.make_device("b", "phone-b", 0xB1, "private-a").status == 400
    assert filled.make_device("b", "phone-b", 0xB1, "base").status == 201
    device = {"mac": "00:00:00:00:00:b1", "plugin": "acme-1", "config": "parent-a"}
    path = "/dev_mgr/devices/phone-b"
    assert filled.send("b", "PUT", path, {"device": device}).status == 400
    assert filled.send("b", "GET", path).json["device"]["config"] == "base"
    assert filled.make_device("main", "by-main", 0xB2, "private-a", tenant=B).status == 201


def test_a_config_of_the_platform_that_is_a_phones_own_is_out_of_sight_for_other_tenants(filled):
    """A platform makes the configs of all its tenants' phones with its own token."""
    made = filled.make_config("main", "users-phone", ["base"], line(f"{CANARY}-user"))
    assert made.status == 201
    assert filled.make_device("main", "phone", 0xA3, "users-phone", tenant=A).status == 201
    assert filled.send("b", "GET", f"{CONFIGS}/users-phone").status == 404
    assert filled.send("b", "DELETE", f"{CONFIGS}/users-phone").status == 404
    assert filled.make_config("b", "mine", ["users-phone"]).status == 400
    assert filled.make_device("b", "phone-b", 0xB1, "users-phone").status == 400
    read = filled.send("a", "GET", f"{CONFIGS}/users-phone").json["config"]
    assert read["raw_config"]["sip_lines"]["1"]["password"] == MASK


def test_a_phone_that_is_claimed_keeps_its_transient_config_until_it_gets_another(filled):
    filled.core.http("Acme A1 1.0 00:00:00:00:00:b1")
    device = filled.core.all_stored()[-1]
    assert device["is_new"] is True
    autoprov = device["config"]
    path = f"/dev_mgr/devices/{device['id']}"
    body = {key: device[key] for key in ("mac", "plugin", "config")}
    assert filled.make_device("b", "other", 0xB2, autoprov).status == 400
    assert filled.send("b", "PUT", path, {"device": body}).status == 204
    claimed = filled.send("b", "GET", path).json["device"]
    assert (claimed["tenant_uuid"], claimed["config"], claimed["configured"]) == (B, autoprov, True)
    body["description"] = "kept"
    assert filled.send("b", "PUT", path, {"device": body}).status == 204
    assert filled.make_config("b", "mine", ["base"], line("own")).status == 201
    assert filled.send("b", "PUT", path, {"device": {**body, "config": "mine"}}).status == 204
    assert filled.send("main", "GET", f"{CONFIGS}/{autoprov}").status == 404
    rendered = filled.core.rendered(0xB1, device["plugin"])
    assert rendered["sip_lines"]["1"]["password"] == "own"


def test_a_phone_is_not_claimed_with_the_config_of_another_tenant(filled):
    assert filled.make_device("main", "new", 0xB1, "private-a").status == 201
    body = {"mac": "00:00:00:00:00:b1", "plugin": "acme-1", "config": "private-a"}
    assert filled.send("b", "PUT", "/dev_mgr/devices/new", {"device": body}).status == 400
    assert filled.send("main", "GET", "/dev_mgr/devices/new").json["device"]["is_new"] is True


def test_a_config_for_a_new_phone_is_the_callers_and_holds_no_secret_of_the_template(filled):
    config_id = filled.send("b", "POST", "/cfg_mgr/autocreate").json["id"]
    mine = filled.send("b", "GET", f"{CONFIGS}/{config_id}").json["config"]
    assert mine["transient"] is True
    assert mine["raw_config"]["sip_lines"]["1"]["username"] == "user"
    assert "password" not in mine["raw_config"]["sip_lines"]["1"]
    assert filled.make_device("b", "phone-b", 0xB1, config_id).status == 201
    line_of_phone = filled.core.rendered(0xB1)["sip_lines"]["1"]
    assert line_of_phone["password"] == f"{CANARY}-autoprov"
    assert filled.send("a", "GET", f"{CONFIGS}/{config_id}").status == 404


def test_the_template_of_new_phones_is_the_main_tenants(world):
    raw = line("hostile")
    assert world.make_config("b", "mine", raw=raw, role="autocreate").status == 400
    assert world.make_config("b", "mine", raw=raw).status == 201
    config = {"parent_ids": [], "raw_config": raw, "role": "autocreate"}
    assert world.send("b", "PUT", f"{CONFIGS}/mine", {"config": config}).status == 400
    assert world.send("main", "POST", "/cfg_mgr/autocreate").status == 400
    made = world.make_config("main", "auto", raw=line("x"), role="autocreate", tenant=B)
    assert made.status == 201
    assert world.send("a", "POST", "/cfg_mgr/autocreate").status == 201
    assert world.send("b", "DELETE", f"{CONFIGS}/auto").status == 403


def test_a_template_that_an_import_gave_to_a_tenant_is_not_for_all_phones(world):
    world.core.insert_raw(
        "configs",
        {
            "id": "theirs",
            "parent_ids": [],
            "raw_config": line("hostile"),
            "role": "autocreate",
            "tenant_uuid": B,
        },
    )
    assert world.send("main", "POST", "/cfg_mgr/autocreate").status == 400
    world.core.autoprov()
    config_id = world.send("main", "POST", "/cfg_mgr/autocreate").json["id"]
    assert config_id.startswith("autoprov")


def test_a_code_gives_a_phone_a_config_of_its_own_tenant(filled):
    assert filled.make_device("b", "phone-b", 0xB1, None).status == 201
    body = {"id": "phone-b", "code": "1234"}
    assert filled.send("b", "POST", "/dev_mgr/provision", body).status == 400
    assert filled.make_config("b", "mine", X_provisioning_code="1234").status == 201
    assert filled.send("b", "POST", "/dev_mgr/provision", body).json["config"] == "mine"
    body["id"] = "phone-a"
    assert filled.send("a", "POST", "/dev_mgr/provision", body).json["config"] == "private-a"
    assert filled.send("main", "POST", "/dev_mgr/provision", body).json["config"] == "private-a"


def test_an_operation_is_watched_and_forgotten_by_its_tenant_and_the_main_one(filled):
    for method, body in (("synchronize", {"id": "phone-a"}), ("resynchronize", {"selector": {}})):
        path = f"/dev_mgr/{method}"
        assert filled.send("a", "POST", path, body).status == 201
        assert filled.send("b", "GET", f"{path}/1").status == 404
        assert filled.send("b", "DELETE", f"{path}/1").status == 404
        assert filled.send("main", "GET", f"{path}/1").status == 200
        assert filled.send("a", "DELETE", f"{path}/1").status == 204


def test_a_preview_with_passwords_shows_a_tenant_its_own_ones(filled):
    assert filled.make_config("b", "mine", ["base"], line("own-secret")).status == 201
    assert filled.make_device("b", "phone-b", 0xB1, "mine").status == 201
    path = "/dev_mgr/devices/phone-b/preview"
    shown = filled.send("b", "GET", path, passwords="true").text
    assert "own-secret" in shown
    assert CANARY not in shown
    assert "own-secret" not in filled.send("b", "GET", path).text
    assert f"{CANARY}-base" in filled.send("main", "GET", path, passwords="true").text
    assert f"{CANARY}-settings" in filled.send("main", "GET", path, passwords="true").text


def test_what_all_tenants_share_is_changed_by_the_main_tenant_alone(filled):
    plugin = {"id": "acme-1"}
    value = {"param": {"value": "http://hostile.example:3128"}}
    attempts = [
        ("POST", "/pg_mgr/install/install", plugin),
        ("POST", "/pg_mgr/install/upgrade", plugin),
        ("POST", "/pg_mgr/install/uninstall", plugin),
        ("POST", "/pg_mgr/install/update", {}),
        ("POST", "/pg_mgr/reload", plugin),
        ("PUT", "/configure/http_proxy", value),
        ("PUT", "/configure/NAT", {"param": {"value": "1"}}),
        ("PUT", "/pg_mgr/plugins/acme-1/configure/password", value),
        ("POST", "/pg_mgr/plugins/acme-1/install/install", {"id": "p"}),
        ("POST", "/pg_mgr/plugins/acme-1/install/upgrade", {"id": "p"}),
        ("POST", "/pg_mgr/plugins/acme-1/install/uninstall", {"id": "p"}),
    ]
    for method, path, body in attempts:
        assert filled.send("b", method, path, body).status == 403, path
    assert filled.core.parameters.proxies == {}
    assert filled.send("b", "PUT", "/configure/provisioning_key", {"param": {"value": None}})
    for token, tenant in (("main", None), ("main", B)):
        for path in ("/configure/http_proxy", "/pg_mgr/plugins/acme-1/configure/password"):
            assert filled.send(token, "PUT", path, value, tenant=tenant).status == 204


def test_passwords_of_shared_parameters_are_for_the_main_tenant(filled):
    value = {"param": {"value": "http://user:canary@proxy.example:3128"}}
    assert filled.send("main", "PUT", "/configure/http_proxy", value).status == 204
    paths = ("/configure", "/configure/http_proxy", "/pg_mgr/plugins/acme-1/configure")
    for path in (*paths, "/pg_mgr/plugins/acme-1/configure/password"):
        assert CANARY not in filled.send("b", "GET", path).text
        assert MASK in filled.send("b", "GET", path).text
        assert CANARY in filled.send("main", "GET", path).text


def test_a_dhcp_event_of_a_tenant_leaves_phones_of_others_alone(filled, caplog):
    before = filled.core.stored("phone-a")
    event = {"op": "commit", "ip": "10.9.9.9", "mac": "00:00:00:00:00:a1", "options": []}
    assert filled.send("b", "POST", "/dev_mgr/dhcpinfo", {"dhcp_info": event}).status == 204
    assert filled.core.stored("phone-a") == before
    assert [r.levelname for r in caplog.records if "DHCP event is ignored" in r.message] == [
        "WARNING"
    ]


def test_every_refused_attempt_is_one_line_that_says_who_reached_for_what(filled, caplog):
    config = {"config": {"parent_ids": ["private-a"], "raw_config": {}}}
    device = {"device": {"mac": "00:00:00:00:00:b1", "config": "private-a"}}
    attempts = [
        ("GET", f"{CONFIGS}/private-a", None, "config private-a"),
        ("GET", f"{CONFIGS}/private-a/raw", None, "config private-a"),
        ("PUT", f"{CONFIGS}/private-a", config, "config private-a"),
        ("DELETE", f"{CONFIGS}/private-a", None, "config private-a"),
        ("DELETE", f"{CONFIGS}/base", None, "config base"),
        ("POST", CONFIGS, config, "config private-a"),
        ("POST", "/dev_mgr/devices", device, "config private-a"),
        ("GET", "/dev_mgr/devices/phone-a", None, "device phone-a"),
        ("PUT", "/dev_mgr/devices/phone-a", device, "device phone-a"),
        ("DELETE", "/dev_mgr/devices/phone-a", None, "device phone-a"),
        ("POST", "/dev_mgr/reconfigure", {"id": "phone-a"}, "device phone-a"),
        ("POST", "/dev_mgr/synchronize", {"id": "phone-a"}, "device phone-a"),
        ("POST", "/pg_mgr/reload", {"id": "acme-1"}, "reload of a plugin"),
    ]
    for method, path, body, what in attempts:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            assert filled.send("b", method, path, body).status in {400, 403, 404}
        # Beside it, a change has its line, whatever came of it.
        (record,) = (one for one in caplog.records if one.levelno >= logging.WARNING)
        text = record.getMessage()
        assert text.startswith(f"{method} /0.2{path}: refused, tenant {B} reached for")
        assert what in text
        assert CANARY not in text


def test_what_is_not_there_is_no_trespass(filled, caplog):
    for path in (f"{CONFIGS}/unknown", "/dev_mgr/devices/unknown"):
        assert filled.send("b", "GET", path).status == 404
    assert filled.make_config("b", "mine", ["unknown"]).status == 400
    assert "reached for" not in caplog.text


def test_shared_configs_are_as_the_old_daemon_has_them(tmp_path):
    world = fill(World(tmp_path, tenants_share_configs=True))
    assert ids(world.send("b", "GET", CONFIGS)) == ids(world.send("main", "GET", CONFIGS))
    whole = world.send("b", "GET", f"{CONFIGS}/private-a").json["config"]
    assert whole["raw_config"] == line(f"{CANARY}-line")
    assert world.make_config("b", "mine", ["private-a", "unknown"]).status == 201
    assert world.make_device("b", "phone-b", 0xB1, "private-a").status == 201
    assert world.make_config("b", "auto-b", raw=line("x"), role="autocreate").status == 201
    assert world.send("b", "DELETE", f"{CONFIGS}/base").status == 204
    value = {"param": {"value": "http://proxy.example:3128"}}
    assert world.send("b", "PUT", "/configure/http_proxy", value).status == 204


def test_configs_of_an_older_version_are_the_main_tenants(world):
    document = {"id": "old", "parent_ids": [], "raw_config": {"admin_password": CANARY}}
    world.core.insert_raw("configs", document)
    assert world.send("b", "GET", f"{CONFIGS}/old").json["config"]["raw_config"] == {
        "admin_password": MASK
    }
    assert world.make_config("b", "mine", ["old"]).status == 201
    assert world.send("b", "DELETE", f"{CONFIGS}/old").status == 403
    assert result(world.core.manager.config("old")) == document


def test_a_config_that_a_plugin_changes_stays_whose_it_is(filled):
    changed = {"id": "private-a", "parent_ids": [], "raw_config": {}}
    result(filled.core.manager.replace_config("private-a", changed))
    assert ids(filled.send("a", "GET", CONFIGS)) == ["parent-a", "private-a"]
