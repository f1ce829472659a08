"""Effects of changes of configs and plugins on devices (contract: documents §3, §6.2, §6.3)."""

import pytest
from twisted.internet import defer

from provd.errors import (
    ConfigNotFound,
    DuplicateId,
    InvalidDocument,
    NoAutocreateConfig,
    NotDeletable,
    StoreUnavailable,
    SynchronizeError,
)
from tests.unit.manager.core import LINE, later, mac, result


def replace(core, config_id, parents=(), raw_config=None, **members):
    document = {"parent_ids": list(parents), "raw_config": raw_config or {}, **members}
    result(core.manager.replace_config(config_id, document))


@pytest.fixture
def family(core):
    """Configs base ← middle ← leaf, a device on each, and one elsewhere."""
    core.config("base", raw_config={"ntp_enabled": True, "ntp_ip": "10.0.0.3"})
    core.config("middle", ["base"])
    core.config("leaf", ["middle"])
    core.config("other")
    for number, config in enumerate(("base", "middle", "leaf", "other"), 1):
        core.device(f"d-{config}", number, config=config)
    core.probe.calls.clear()
    return core


def test_a_change_reaches_every_device_below_and_no_other(family):
    replace(family, "base", raw_config={"ntp_enabled": True, "ntp_ip": "10.0.0.4"})
    assert [family.rendered(n).get("ntp_ip") for n in (1, 2, 3, 4)] == ["10.0.0.4"] * 3 + [None]
    assert family.probe.count("configure", "d-other") == 0


def test_devices_that_share_a_config_each_get_a_private_copy(core):
    core.config("c1")
    for number in range(1, 6):
        core.device(f"d{number}", number, config="c1")
    replace(core, "c1", raw_config={"X_new": 1})
    assert all(device["configured"] for device in core.all_stored())
    assert [core.rendered(n)["XX_seen"] for n in range(1, 6)] == [f"d{n}" for n in range(1, 6)]


def test_each_affected_device_is_deconfigured_then_configured_once(family):
    replace(family, "middle", ["base"], {"X_a": 1})
    calls = [c[:2] for c in family.probe.calls if c[0] in {"configure", "deconfigure"}]
    assert sorted(calls) == [
        ("configure", "d-leaf"),
        ("configure", "d-middle"),
        ("deconfigure", "d-leaf"),
        ("deconfigure", "d-middle"),
    ]


def test_a_config_that_comes_later_configures_the_devices_that_wait_for_it(core):
    core.config("child", ["late"])
    core.device("d1", 1, config="late")
    core.device("d2", 2, config="child")
    assert [d["configured"] for d in core.all_stored()] == [False, True]
    core.config("late", raw_config={"X_late": 1})
    assert [d["configured"] for d in core.all_stored()] == [True, True]
    assert core.rendered(2)["X_late"] == 1


def test_an_identical_update_touches_nothing(family):
    revision = result(family.store.get("configs", "base")).revision
    replace(family, "base", raw_config={"ntp_enabled": True, "ntp_ip": "10.0.0.3"})
    assert result(family.store.get("configs", "base")).revision == revision
    assert family.probe.count("configure") == 0


def test_nulls_of_a_device_config_are_dropped_before_the_comparison(core):
    raw_config = {"sip_lines": {"1": {**LINE, "number": None}}, "X_list": [None, {"a": None}]}
    core.config("c1", raw_config=raw_config, X_type="device", label=None)
    stored = core.stored("c1", "configs")
    assert stored["raw_config"] == {"sip_lines": {"1": LINE}, "X_list": [None, {}]}
    assert "label" not in stored
    revision = result(core.store.get("configs", "c1")).revision
    replace(core, "c1", raw_config=raw_config, X_type="device", label=None)
    assert result(core.store.get("configs", "c1")).revision == revision


def test_a_flag_that_changes_with_the_config_is_stored(family):
    family.probe.raises["configure"] = ValueError("not that")
    replace(family, "base", raw_config={"X_bad": 1})
    flags = {d["id"]: d["configured"] for d in family.all_stored()}
    assert flags == {"d-base": False, "d-middle": False, "d-leaf": False, "d-other": True}


def test_one_refused_device_does_not_stop_the_others(core):
    core.config("c1")
    core.device("d1", 1, config="c1")
    core.device("d2", 2, config="c1", options={})
    configure = core.host.get("acme-1").plugin.configure

    def refuse_first(device, raw_config):
        if device["id"] == "d1":
            raise RuntimeError("no")
        configure(device, raw_config)

    core.host.get("acme-1").plugin.configure = refuse_first
    replace(core, "c1", raw_config={"X_a": 1})
    assert [d["configured"] for d in core.all_stored()] == [False, True]
    assert core.rendered(2)["X_a"] == 1


def test_devices_whose_plugin_is_not_loaded_are_left_alone(family):
    family.host.unload("acme-1")
    before = family.all_stored()
    replace(family, "base", raw_config={"X_a": 1})
    assert family.all_stored() == before


def test_a_delete_deconfigures_direct_users_and_reconfigures_those_below(family):
    result(family.manager.delete_config("middle"))
    device = family.stored("d-middle")
    assert device["configured"] is False
    assert device["config"] == "middle"
    assert family.rendered(2) is None
    assert family.stored("d-leaf")["configured"] is True
    assert "ntp_ip" not in family.rendered(3)
    assert family.stored("leaf", "configs")["parent_ids"] == ["middle"]


def test_a_delete_stores_the_flag_of_devices_below_that_fail_now(family):
    family.probe.raises["configure"] = ValueError("needs its parent")
    result(family.manager.delete_config("middle"))
    assert family.stored("d-leaf")["configured"] is False


def test_a_config_that_is_not_deletable_stays_but_may_be_changed_to_be(core):
    core.config("c1", deletable=False)
    with pytest.raises(NotDeletable):
        result(core.manager.delete_config("c1"))
    replace(core, "c1", deletable=True)
    result(core.manager.delete_config("c1"))
    assert core.stored("c1", "configs") is None


def test_unknown_and_taken_ids_are_refused(core):
    core.config("c1")
    with pytest.raises(DuplicateId):
        core.config("c1")
    with pytest.raises(ConfigNotFound):
        replace(core, "c2")
    for use in (core.manager.config, core.manager.raw_config, core.manager.delete_config):
        with pytest.raises(ConfigNotFound):
            result(use("c2"))


def test_a_refused_change_of_a_config_changes_nothing(family):
    before = family.stored("base", "configs")
    with pytest.raises(InvalidDocument):
        replace(family, "base", raw_config={"unknown_parameter": 1})
    assert family.stored("base", "configs") == before
    assert family.probe.count("configure") == 0


def test_cycles_of_parents_end(core):
    core.config("a", ["b"], {"X_a": 1})
    core.config("b", ["a"], {"X_b": 1})
    core.device(config="a")
    replace(core, "b", ["a"], {"X_b": 2})
    assert core.rendered()["X_b"] == 2
    assert result(core.manager.raw_config("b"))["X_a"] == 1


def test_a_raw_config_that_was_handed_out_may_be_modified(core):
    core.config("c1", raw_config={"sip_lines": {"1": LINE}})
    result(core.manager.raw_config("c1"))["sip_lines"]["1"]["username"] = "mallory"
    assert result(core.manager.raw_config("c1"))["sip_lines"]["1"]["username"] == "alice"


# Autocreate


def test_an_autocreated_config_copies_the_raw_config_only(core):
    core.config(
        "autoprov",
        ["base"],
        {"sip_lines": {"1": LINE}},
        role="autocreate",
        label="x",
        deletable=False,
        X_type="internal",
    )
    config_id = result(core.manager.autocreate_config())
    assert config_id.startswith("autoprov")
    assert core.stored(config_id, "configs") == {
        "id": config_id,
        "parent_ids": ["autoprov"],
        "raw_config": {"sip_lines": {"1": LINE}},
        "transient": True,
    }


@pytest.mark.parametrize("raw_config", [None, {}, {"sip_lines": {}}, {"sip_lines": {"2": LINE}}])
def test_without_line_1_or_the_role_nothing_is_autocreated(core, raw_config):
    if raw_config is not None:
        core.config("autoprov", raw_config=raw_config, role="autocreate")
    with pytest.raises(NoAutocreateConfig):
        result(core.manager.autocreate_config())


# Many devices


def test_a_change_for_many_devices_answers_after_the_first_ones_and_goes_on_behind(make_core):
    core = make_core(direct_renders=2)
    core.config("c1")
    for number in range(1, 7):
        core.device(f"d{number}", number, config="c1")
    core.store.slow = True
    change = later(core.manager.replace_config("c1", {"parent_ids": [], "raw_config": {"X_a": 1}}))
    core.store.run()
    assert result(change) is None
    core.store.slow = False
    core.clock.pump([0.01] * 50)
    assert [core.rendered(n).get("X_a") for n in range(1, 7)] == [1] * 6


def test_the_background_waits_for_phones_but_not_for_ever(make_core):
    core = make_core(direct_renders=0)
    core.config("c1")
    for number in range(1, 4):
        core.device(f"d{number}", number, config="c1")
    result(later(core.manager.refresh_for_phone("d3")))
    result(later(core.manager.replace_config("c1", {"parent_ids": [], "raw_config": {"X_a": 1}})))
    rendered = []
    for _ in range(40):  # somebody asks all the time
        result(later(core.manager.refresh_for_phone("d3")))
        core.clock.advance(0.005)
        rendered.append([core.rendered(n).get("X_a") for n in range(1, 4)])
    assert rendered[0] == [None, None, 1]
    assert rendered[-1] == [1, 1, 1]
    assert rendered[5] == [None, None, 1]


def test_the_background_does_not_wait_for_other_work_of_the_background(make_core):
    core = make_core(direct_renders=0)
    core.config("c1")
    for number in range(1, 21):
        core.device(f"d{number}", number, config="c1")
    result(later(core.manager.refresh("d20")))
    result(later(core.manager.replace_config("c1", {"parent_ids": [], "raw_config": {"X_a": 1}})))
    for _ in range(40):  # as the upgrade of a plugin does
        result(later(core.manager.refresh("d20")))
        core.clock.advance(0)
    assert [core.rendered(n).get("X_a") for n in range(1, 21)] == [1] * 20


def test_a_phone_whose_turn_has_not_come_gets_its_fresh_file_at_once(make_core, monkeypatch):
    core = make_core(direct_renders=1)
    core.config("c1")
    for number in range(1, 5):
        core.device(f"d{number}", number, config="c1")
    monkeypatch.setattr(core.jobs, "start", lambda _name, work, *_rest, **_more: work.close())
    replace(core, "c1", raw_config={"X_a": 1})
    assert "X_a" not in core.rendered(4)
    assert core.fetch(4)["X_a"] == 1


def test_a_store_that_fails_for_one_device_does_not_stop_the_others(core):
    core.config("c1")
    for number in range(1, 4):
        core.device(f"d{number}", number, config="c1")
    core.probe.raises["configure"] = ValueError("all flags change")
    write = core.store.write

    async def flaky(operations):
        if getattr(operations[0], "document", {}).get("id") == "d2":
            raise StoreUnavailable("away")
        return await write(operations)

    core.store.write = flaky
    replace(core, "c1", raw_config={"X_a": 1})
    assert [d["configured"] for d in core.all_stored()] == [False, True, False]


# Plugins


def test_the_devices_of_a_removed_plugin_are_softly_deconfigured(core):
    core.config("c1")
    core.device(config="c1")
    core.probe.calls.clear()
    core.host.unload("acme-1")
    result(core.manager.soft_deconfigure("acme-1"))
    assert core.stored("d1")["configured"] is False
    assert core.stored("d1")["plugin"] == "acme-1"
    assert core.probe.count("deconfigure") == 0


def test_a_start_leaves_devices_alone_that_are_as_they_were(core):
    core.config("c1")
    core.device(config="c1")
    core.probe.calls.clear()
    core.start()
    result(core.manager.compare_all())
    assert core.probe.count("configure") == 0
    assert core.fetch() is not None


def test_a_synchronisation_that_is_cancelled_leaves_the_device_usable(core):
    core.config("c1")
    core.device(config="c1")
    core.probe.synchronized = defer.Deferred()
    waiting = later(core.manager.synchronize_device("d1"))
    waiting.cancel()
    with pytest.raises((defer.CancelledError, SynchronizeError)):
        result(waiting)
    assert core.put("d1", model="A9")["model"] == "A9"


def test_a_chain_of_configs_may_be_longer_than_the_stack(core):
    parent = "c0"
    core.config(parent)
    for number in range(1, 1500):
        core.insert_raw(
            "configs", {"id": f"c{number}", "parent_ids": [f"c{number - 1}"], "raw_config": {}}
        )
    core.insert_raw(
        "devices",
        {"id": "d1", "mac": mac(1), "plugin": "acme-1", "config": "c1499", "tenant_uuid": "t"},
    )
    replace(core, "c0", raw_config={"X_deep": 1})
    assert core.rendered()["X_deep"] == 1
