"""Effects of changes of devices (contract: documents §5, §6.1)."""

import os

import pytest
from twisted.internet import defer

from provd.errors import (
    DeviceNotFound,
    DuplicateId,
    InvalidDocument,
    PluginError,
    StoreUnavailable,
    SynchronizeError,
    TenantUnknown,
)
from tests.unit.manager.core import LINE, MAIN, Core, later, mac, result


@pytest.fixture
def ready(core):
    """A core with a config `c1`."""
    core.config("c1", raw_config={"sip_lines": {"1": LINE}})
    return core


# Insert


def test_an_inserted_device_is_configured_and_belongs_to_the_main_tenant(ready):
    device = ready.device(config="c1")
    assert device["configured"] is True
    assert device["tenant_uuid"] == MAIN
    assert device["is_new"] is True
    assert ready.rendered()["sip_lines"]["1"]["username"] == "alice"


def test_a_device_of_another_tenant_is_not_new(ready):
    device = ready.device(config="c1", tenant="t2")
    assert device["is_new"] is False
    assert device["tenant_uuid"] == "t2"


def test_server_members_given_by_a_client_are_ignored_at_insert(ready):
    device = ready.device(configured=True, is_new=False)
    assert device["configured"] is False
    assert device["is_new"] is True


def test_an_id_is_generated_where_none_is_given(ready):
    device_id = result(ready.manager.insert_device({"mac": mac(1)}, None))
    assert len(device_id) == 32
    assert int(device_id, 16) >= 0
    assert ready.stored(device_id)["mac"] == mac(1)


def test_the_numeric_generator_takes_the_first_free_number(make_core):
    core = make_core(id_generator="numeric")
    assert [result(core.manager.insert_device({}, None)) for _ in range(3)] == ["0", "1", "2"]
    result(core.manager.delete_device("1"))
    assert result(core.manager.insert_device({}, None)) == "1"


def test_a_taken_id_is_refused_and_nothing_changes(ready):
    before = ready.device(config="c1")
    with pytest.raises(DuplicateId):
        result(ready.manager.insert_device({"id": "d1", "mac": mac(2)}, None))
    assert ready.stored("d1") == before
    assert ready.rendered(2) is None


@pytest.mark.parametrize(
    "members",
    [
        {"mac": "00-11-22-33-44-55"},
        {"mac": ""},
        {"ip": "10.0.0.01"},
        {"options": []},
        {"id": ".hidden"},
        {"vendor": 5},
    ],
)
def test_an_invalid_device_is_refused_before_a_plugin_sees_it(ready, members):
    with pytest.raises(InvalidDocument):
        ready.device(config="c1", **members)
    assert ready.all_stored() == []
    assert ready.probe.count("configure") == 0


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"config": "unknown"},
        {"config": None},
        {"config": "c1", "plugin": "not-installed"},
        {"config": "c1", "plugin": None},
        {"config": "c1", "plugin": ""},
    ],
)
def test_without_a_loaded_plugin_or_a_known_config_no_plugin_is_called(ready, members):
    assert ready.device(**members)["configured"] is False
    assert ready.probe.count("configure") == 0


def test_a_plugin_that_refuses_leaves_the_device_not_configured(ready):
    ready.probe.raises["configure"] = ValueError("no such model")
    assert ready.device(config="c1")["configured"] is False


def test_a_merged_config_that_breaks_a_rule_is_not_given_to_the_plugin(core):
    core.insert_raw("configs", {"id": "c1", "parent_ids": [], "raw_config": {"vlan_enabled": True}})
    assert core.device(config="c1")["configured"] is False
    assert core.probe.count("configure") == 0


def test_without_a_main_tenant_no_device_is_made(ready):
    ready.manager.main_tenant = None
    with pytest.raises(TenantUnknown):
        ready.device(config="c1")
    assert ready.all_stored() == []


def test_the_files_of_a_device_that_cannot_be_stored_are_removed(ready):
    async def refuse(_operations):
        raise StoreUnavailable("away")

    ready.store.write = refuse
    with pytest.raises(StoreUnavailable):
        ready.device(config="c1")
    assert ready.rendered() is None
    assert ready.states.load("d1") is None


def test_the_plugin_gets_private_copies_with_defaults(ready):
    ready.device(config="c1")
    assert "changed_by_plugin" not in ready.stored("d1")
    assert "XX_seen" not in ready.stored("c1", "configs")["raw_config"]
    rendered = ready.rendered()
    assert rendered["sip_transport"] == "udp"
    assert rendered["sip_lines"]["1"]["registrar_ip"] == LINE["proxy_ip"]
    assert rendered["funckeys"] == {}
    assert rendered["http_base_url"] == "http://10.0.0.1"


# Update


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("config", "c2"),
        ("mac", mac(7)),
        ("uuid", "u"),
        ("vendor", "Acme"),
        ("model", "A2"),
        ("version", "2"),
        ("options", {"switchboard": True}),
    ],
)
def test_a_reconfiguration_key_renders_again_after_the_old_files_went(ready, key, value):
    ready.config("c2")
    ready.device(config="c1")
    ready.probe.calls.clear()
    device = ready.put("d1", **{key: value})
    assert device[key] == value
    assert device["configured"] is True
    names = [call[0] for call in ready.probe.calls]
    assert names[:2] == ["deconfigure", "configure"]
    assert names.count("configure") == 1


@pytest.mark.parametrize("key", ["sn", "description", "added", "X_note", "ip"])
def test_other_keys_are_stored_without_rendering(ready, key):
    ready.device(config="c1")
    ready.probe.calls.clear()
    device = ready.put("d1", **{key: "10.9.9.9"})
    assert device[key] == "10.9.9.9"
    assert device["configured"] is True
    assert ready.probe.count("configure") == ready.probe.count("deconfigure") == 0


def test_a_key_that_goes_from_absent_to_null_changes_no_file(ready):
    ready.device(config="c1")
    ready.probe.calls.clear()
    document = {**ready.stored("d1"), "vendor": None}
    result(ready.manager.replace_device("d1", document, MAIN, None))
    assert ready.stored("d1")["vendor"] is None
    assert ready.probe.count("configure") == 0


def test_an_identical_update_stores_nothing(ready):
    ready.device(config="c1")
    revision = result(ready.store.get("devices", "d1")).revision
    ready.put("d1")
    assert result(ready.store.get("devices", "d1")).revision == revision


def test_a_refused_update_changes_neither_store_nor_files(ready):
    before = ready.device(config="c1")
    ready.probe.calls.clear()
    with pytest.raises(InvalidDocument):
        ready.put("d1", mac="AA-BB", model="A2")
    assert ready.stored("d1") == before
    assert ready.rendered() is not None
    assert ready.probe.calls == []


def test_an_update_cannot_change_the_id_nor_set_server_members(ready):
    ready.device(config="c1")
    device = ready.put("d1", id="other", configured=False, is_new=False)
    assert device["id"] == "d1"
    assert device["configured"] is True
    assert device["is_new"] is True
    assert ready.stored("other") is None


def test_a_change_of_the_plugin_lets_the_old_one_remove_its_files(make_core):
    core = make_core(plugins=("acme-1", "acme-2"))
    core.config("c1")
    core.device(config="c1")
    core.put("d1", plugin="acme-2")
    assert core.probe.count("deconfigure", "d1") == 1
    assert core.rendered(plugin_id="acme-1") is None
    assert core.rendered(plugin_id="acme-2") is not None


def test_a_new_mac_leaves_no_file_of_the_old_one(ready):
    ready.device(config="c1")
    ready.put("d1", mac=mac(2))
    assert ready.rendered(1) is None
    assert ready.rendered(2) is not None


def test_a_device_that_loses_its_config_loses_its_files(ready):
    ready.device(config="c1")
    device = ready.put("d1", config=None)
    assert device["configured"] is False
    assert ready.rendered() is None


def test_the_tenant_changes_no_file_without_provisioning_keys(ready):
    ready.device(config="c1")
    ready.probe.calls.clear()
    result(ready.manager.replace_device("d1", ready.stored("d1"), "t2", None))
    device = ready.stored("d1")
    assert device["tenant_uuid"] == "t2"
    assert device["is_new"] is False
    assert ready.probe.count("configure") == 0


def test_the_claim_of_a_new_device_moves_it_to_the_callers_tenant(ready):
    ready.device(config="c1")
    result(ready.manager.replace_device("d1", ready.stored("d1"), "t2", {"t2"}))
    assert ready.stored("d1")["tenant_uuid"] == "t2"
    with pytest.raises(DeviceNotFound):
        result(ready.manager.replace_device("d1", ready.stored("d1"), "t3", {"t3"}))


def test_a_claimed_device_stays_where_it_is(ready):
    ready.device(config="c1", tenant="t2")
    result(ready.manager.replace_device("d1", {"mac": mac(1)}, "t3", {"t2", "t3"}))
    assert ready.stored("d1")["tenant_uuid"] == "t2"


# Transient configs


def test_a_transient_config_goes_with_its_last_device(ready):
    ready.config("temp", transient=True)
    ready.device("d1", 1, config="temp")
    ready.device("d2", 2, config="temp")
    ready.put("d1", config="c1")
    assert ready.stored("temp", "configs") is not None
    result(ready.manager.delete_device("d2"))
    assert ready.stored("temp", "configs") is None


def test_a_transient_config_goes_when_its_device_takes_another(ready):
    ready.config("temp", transient=True)
    ready.device(config="temp")
    ready.put("d1", config="c1")
    assert ready.stored("temp", "configs") is None
    assert ready.stored("c1", "configs") is not None


def test_a_config_that_is_not_transient_stays(ready):
    ready.device(config="c1")
    result(ready.manager.delete_device("d1"))
    assert ready.stored("c1", "configs") is not None


# Delete, reconfigure, synchronize


def test_a_deleted_device_leaves_no_file_and_no_state(ready):
    ready.device(config="c1")
    result(ready.manager.delete_device("d1"))
    assert ready.stored("d1") is None
    assert ready.rendered() is None
    assert ready.states.load("d1") is None
    assert ready.manager.owner(ready.path()) is None
    with pytest.raises(DeviceNotFound):
        result(ready.manager.device("d1"))


def test_a_device_that_was_not_configured_is_not_deconfigured(ready):
    ready.device()
    result(ready.manager.delete_device("d1"))
    assert ready.probe.count("deconfigure") == 0


def test_a_plugin_that_fails_to_deconfigure_does_not_stop_a_delete(ready):
    ready.device(config="c1")
    ready.probe.raises["deconfigure"] = RuntimeError("no")
    result(ready.manager.delete_device("d1"))
    assert ready.stored("d1") is None


def test_a_device_of_an_invisible_tenant_is_neither_found_nor_deleted(ready):
    ready.device(config="c1", tenant="t2")
    for use in (
        ready.manager.device,
        ready.manager.delete_device,
        ready.manager.reconfigure_device,
    ):
        with pytest.raises(DeviceNotFound):
            result(use("d1", {"t3"}))
    assert ready.stored("d1") is not None


def test_a_reconfiguration_renders_in_any_case_and_stores_the_flag_only_if_it_changed(ready):
    ready.device(config="c1")
    revision = result(ready.store.get("devices", "d1")).revision
    ready.probe.calls.clear()
    result(ready.manager.reconfigure_device("d1"))
    assert [call[0] for call in ready.probe.calls][:2] == ["deconfigure", "configure"]
    assert result(ready.store.get("devices", "d1")).revision == revision
    ready.probe.raises["configure"] = ValueError("not any more")
    result(ready.manager.reconfigure_device("d1"))
    assert ready.stored("d1")["configured"] is False
    assert ready.rendered() is None


def test_a_device_that_was_refused_is_configured_once_the_cause_is_gone(ready):
    ready.probe.raises["configure"] = ValueError("not yet")
    ready.device(config="c1")
    del ready.probe.raises["configure"]
    result(ready.manager.reconfigure_device("d1"))
    assert ready.stored("d1")["configured"] is True
    assert ready.probe.count("deconfigure") == 0


def test_a_phone_is_synchronised_with_the_raw_config_and_its_defaults(ready):
    ready.device(config="c1")
    result(ready.manager.synchronize_device("d1"))
    _, device_id, raw_config = next(c for c in ready.probe.calls if c[0] == "synchronize")
    assert device_id == "d1"
    assert raw_config["sip_srtp_mode"] == "disabled"


def test_a_synchronisation_holds_no_lock_while_it_waits_for_the_network(ready):
    ready.device(config="c1")
    ready.probe.synchronized = defer.Deferred()
    waiting = later(ready.manager.synchronize_device("d1"))
    assert ready.put("d1", model="A2")["model"] == "A2"
    ready.probe.synchronized.callback(None)
    assert result(waiting) is None


@pytest.mark.parametrize("members", [{}, {"config": "c1", "plugin": "not-installed"}])
def test_a_phone_that_is_not_configured_is_not_synchronised(ready, members):
    ready.device(**members)
    with pytest.raises(SynchronizeError):
        result(ready.manager.synchronize_device("d1"))
    assert ready.probe.count("synchronize") == 0


@pytest.mark.parametrize("answer", ["fails", "raises", "is no Deferred"])
def test_a_failed_synchronisation_says_why(ready, answer):
    ready.device(config="c1")
    if answer == "fails":
        ready.probe.synchronized = defer.fail(RuntimeError("the phone is away"))
    elif answer == "raises":
        ready.probe.raises["synchronize"] = RuntimeError("the phone is away")
    else:
        ready.probe.synchronized = None
    with pytest.raises((SynchronizeError, PluginError)) as caught:
        result(ready.manager.synchronize_device("d1"))
    assert answer == "is no Deferred" or "the phone is away" in str(caught.value)


# Provisioning keys


def keyed(make_core, **options):
    core = make_core(
        url_key=True, tenants={MAIN: {"provisioning_key": "main-key-1"}, "t2": {}}, **options
    )
    core.config("c1")
    return core


def test_the_key_of_the_tenant_ends_the_base_url(make_core):
    core = keyed(make_core)
    core.device(config="c1")
    assert core.rendered()["http_base_url"] == "http://10.0.0.1/main-key-1"


def test_a_device_whose_tenant_has_no_key_is_not_configured(make_core):
    core = keyed(make_core)
    assert core.device(config="c1", tenant="t2")["configured"] is False
    assert core.rendered() is None


def test_a_move_to_another_tenant_renders_again_where_urls_hold_keys(make_core):
    core = keyed(make_core)
    core.device(config="c1")
    result(core.parameters.set("provisioning_key", "second-key", "t2"))
    result(core.manager.replace_device("d1", core.stored("d1"), "t2", {"t2"}))
    assert core.rendered()["http_base_url"] == "http://10.0.0.1/second-key"


def test_a_new_key_makes_devices_stale(make_core):
    core = keyed(make_core)
    core.device(config="c1")
    result(core.parameters.set("provisioning_key", "another-key", MAIN))
    core.manager.settings_changed()
    assert core.fetch()["http_base_url"] == "http://10.0.0.1/another-key"


# Several at once


def test_two_concurrent_changes_of_one_device_are_both_kept(ready):
    ready.device(config="c1")
    ready.store.slow = True
    ready.manager.devices.forget(["d1"])

    def set_key(key):
        def change(document):
            from provd.manager.manager import Change

            return Change({**document, key: "x"})

        return later(ready.manager.change_device("d1", change))

    both = [set_key("X_one"), set_key("X_two")]
    ready.store.run()
    for change in both:
        result(change)
    assert ready.stored("d1")["X_one"] == ready.stored("d1")["X_two"] == "x"


def test_a_change_made_by_another_writer_meanwhile_is_not_lost(ready):
    from provd.manager.manager import Change
    from provd.store.interface import Replace

    ready.device(config="c1")
    record = result(ready.store.get("devices", "d1"))
    attempts = []

    def change(document):
        if not attempts:
            other = {**record.document, "X_other": 1}
            result(ready.store.write([Replace("devices", other, record.revision)]))
        attempts.append(document)
        return Change({**document, "X_mine": 2})

    result(ready.manager.change_device("d1", change))
    assert len(attempts) == 2
    assert ready.stored("d1")["X_other"] == 1
    assert ready.stored("d1")["X_mine"] == 2


def test_changes_of_two_devices_do_not_wait_for_each_other(ready):
    ready.device("d1", 1, config="c1")
    ready.device("d2", 2, config="c1")
    ready.store.slow = True
    first = later(ready.manager.reconfigure_device("d1"))
    ready.probe.raises["configure"] = ValueError("now")
    blocked = later(ready.manager.reconfigure_device("d1"))
    assert not blocked.called
    ready.store.slow = False
    assert ready.put("d2", X_note="done")["X_note"] == "done"
    ready.store.run()
    assert result(first) is None
    assert result(blocked) is None


def test_two_inserts_with_generated_numbers_both_succeed(make_core):
    core = make_core(id_generator="numeric")
    core.store.slow = True
    both = [later(core.manager.insert_device({"mac": mac(n)}, None)) for n in (1, 2)]
    core.store.run()
    assert sorted(result(insert) for insert in both) == ["0", "1"]


def test_files_of_an_upper_directory_are_never_written_by_the_core(tmp_path):
    core = Core(tmp_path)
    core.config("c1")
    core.device(config="c1")
    assert sorted(os.listdir(tmp_path)) == ["plugins", "rendered"]
