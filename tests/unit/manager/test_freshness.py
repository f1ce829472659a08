"""Files are derived data: whatever changes, a phone gets a fresh one (DESIGN, decisions)."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.manager.freshness import render_key
from provd.manager.rendering import RenderState
from provd.plugin.host import LoadedPlugin
from provd.store.interface import Delete, Replace
from tests.unit.manager.core import ENTRY, LINE, Core, later, mac, result

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text(), JSON, max_size=4)


# The key


@settings(deadline=None)
@given(DOCUMENTS, DOCUMENTS, DOCUMENTS, DOCUMENTS)
def test_keys_are_equal_only_for_equal_documents(device, other, raw_config, other_raw):
    ignored = {"configured", "is_new", "added", "description", "ip", "tenant_uuid"}
    device = {k: v for k, v in device.items() if k not in ignored}
    other = {k: v for k, v in other.items() if k not in ignored}
    same = json.dumps([device, raw_config], sort_keys=True) == json.dumps(
        [other, other_raw], sort_keys=True
    )
    keys = render_key(device, raw_config, "s"), render_key(other, other_raw, "s")
    assert (keys[0] == keys[1]) is same


def test_the_key_covers_device_raw_config_and_plugin():
    key = render_key({"id": "d", "model": "A1"}, {"X_a": 1}, "p1")
    assert key != render_key({"id": "d", "model": "A2"}, {"X_a": 1}, "p1")
    assert key != render_key({"id": "d", "model": "A1"}, {"X_a": 2}, "p1")
    assert key != render_key({"id": "d", "model": "A1"}, {"X_a": 1}, "p2")
    assert key != render_key({"id": "d", "model": "A1"}, None, "p1")


@pytest.mark.parametrize(
    "name",
    ["configured", "is_new", "added", "description", "tenant_uuid", "remote_state_sip_username"],
)
def test_bookkeeping_makes_no_file_stale(name):
    assert render_key({"id": "d"}, {}, "p") == render_key({"id": "d", name: "x"}, {}, "p")


def test_the_order_of_members_makes_no_file_stale():
    assert render_key({"a": 1, "b": 2}, {}, "p") == render_key({"b": 2, "a": 1}, {}, "p")


# What makes a device stale


@pytest.fixture
def ready(core):
    core.config("base", raw_config={"X_base": 1})
    core.config("c1", ["base"], {"sip_lines": {"1": LINE}})
    core.device(config="c1", ip="10.1.0.1", vendor="Acme", model="A1", version="1.0")
    core.fetch()
    return core


def test_a_known_phone_costs_no_render_no_write_and_no_question_to_plugins(ready):
    renders = ready.manager.renders
    asked = ready.probe.asked
    revision = ready.store._revision
    for _ in range(5):
        assert ready.fetch() is not None
    assert ready.manager.renders == renders
    assert ready.probe.asked == asked
    assert ready.store._revision == revision


def forget_devices_of_background(core):
    """Make changes reach devices only through the freshness check."""
    core.manager._direct_renders = 0
    core.jobs.start = lambda _name, work, *_rest, **_more: work.close()


def test_a_change_of_an_ancestor_makes_devices_stale_at_once(ready):
    forget_devices_of_background(ready)
    document = {"parent_ids": [], "raw_config": {"X_base": 2}}
    result(ready.manager.replace_config("base", document))
    assert ready.rendered()["X_base"] == 1
    assert ready.fetch()["X_base"] == 2


def test_a_deleted_ancestor_makes_devices_stale_at_once(ready):
    forget_devices_of_background(ready)
    result(ready.manager.delete_config("base"))
    assert "X_base" not in ready.fetch()


def test_an_ancestor_that_comes_later_makes_devices_stale_at_once(core):
    core.config("c1", ["later"], {"sip_lines": {"1": LINE}})
    core.device(config="c1", ip="10.1.0.1", vendor="Acme", model="A1", version="1.0")
    assert "X_late" not in core.fetch()
    forget_devices_of_background(core)
    core.config("later", raw_config={"X_late": 1})
    assert core.fetch()["X_late"] == 1


def test_a_new_generation_of_settings_makes_devices_stale(ready):
    record = ready.manager.devices.peek("d1")
    loaded = ready.host.get("acme-1")
    assert ready.manager.fresh(record, loaded) is not None
    ready.manager.settings_changed()
    assert ready.manager.fresh(record, loaded) is None
    assert ready.fetch() is not None
    assert ready.manager.fresh(ready.manager.devices.peek("d1"), loaded) is not None


@pytest.fixture
def always_look(monkeypatch):
    """Look at template directories each time, not once a second."""
    stamp = LoadedPlugin.stamp

    def look(self):
        self._stamp_until = 0.0
        return stamp(self)

    monkeypatch.setattr(LoadedPlugin, "stamp", look)


@pytest.mark.parametrize("directory", ["templates", os.path.join("var", "templates", "common")])
def test_an_added_changed_or_removed_template_makes_devices_stale(ready, always_look, directory):
    folder = os.path.join(ready.host.directory("acme-1"), directory)
    os.makedirs(folder)
    path = os.path.join(folder, "base.tpl")

    def renders():
        before = ready.manager.renders
        ready.fetch()
        return ready.manager.renders - before

    ready.fetch()
    assert renders() == 0
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("one")
    assert renders() == 1
    assert renders() == 0
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("three")
    assert renders() == 1
    os.unlink(path)
    assert renders() == 1
    assert renders() == 0


def test_a_new_version_of_the_plugin_makes_devices_stale(ready):
    ready.install(
        "acme-1", ENTRY.replace('"device": device["id"]', '"v": 2, "device": device["id"]')
    )
    ready.host.unload("acme-1")
    ready.host.load("acme-1")
    renders = ready.manager.renders
    ready.fetch()
    assert ready.manager.renders == renders + 1


def test_the_template_directories_are_looked_at_once_a_second_at_most(ready, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("provd.plugin.host.time.monotonic", lambda: now[0])
    loaded = ready.host.get("acme-1")
    loaded._stamp_until = 0.0
    first = loaded.stamp()
    folder = os.path.join(loaded.directory, "templates")
    os.makedirs(folder)
    with open(os.path.join(folder, "base.tpl"), "w", encoding="utf-8") as stream:
        stream.write("x")
    now[0] += 0.9
    assert loaded.stamp() == first
    now[0] += 0.2
    assert loaded.stamp() != first


# Restart and crash


def test_a_restart_keeps_what_is_fresh(ready):
    ready.start()
    ready.probe.calls.clear()
    assert ready.fetch() is not None
    assert ready.probe.count("configure") == 0


def test_a_change_of_documents_while_the_daemon_was_down_is_rendered_at_the_start(ready):
    record = result(ready.store.get("configs", "base"))
    document = {**record.document, "raw_config": {"X_base": 9}}
    result(ready.store.write([Replace("configs", document, record.revision)]))
    ready.start()
    result(ready.manager.compare_all())
    assert ready.rendered()["X_base"] == 9


def test_a_change_of_documents_while_the_daemon_was_down_reaches_the_first_request(ready):
    record = result(ready.store.get("configs", "base"))
    document = {**record.document, "raw_config": {"X_base": 9}}
    result(ready.store.write([Replace("configs", document, record.revision)]))
    ready.start()
    assert ready.fetch()["X_base"] == 9


def test_a_crash_between_files_and_state_is_healed_by_the_next_request(ready):
    state = ready.states.load("d1")
    ready.states.begin("d1", state)  # what a render does first
    with open(ready.path(), "w", encoding="utf-8") as stream:
        stream.write('{"half": ')
    ready.start()
    assert ready.fetch()["X_base"] == 1


def test_a_crash_between_render_and_store_is_healed_by_the_next_request(ready):
    async def crash(_operations):
        raise OSError("killed")

    write, ready.store.write = ready.store.write, crash
    with pytest.raises(OSError, match="killed"):
        ready.put("d1", config=None, model="A7")
    ready.store.write = write
    ready.start()
    assert ready.fetch()["sip_lines"]["1"]["username"] == "alice"
    assert ready.stored("d1")["configured"] is True


def test_files_of_devices_that_are_gone_are_removed_at_the_start(ready):
    record = result(ready.store.get("devices", "d1"))
    result(ready.store.write([Delete("devices", "d1", record.revision)]))
    ready.start()
    result(ready.manager.compare_all())
    assert ready.rendered() is None
    assert ready.states.device_ids() == []


def test_a_rendered_file_that_somebody_removed_comes_back(ready):
    os.unlink(ready.path())
    assert ready.fetch()["X_base"] == 1


def test_a_common_file_that_somebody_removed_comes_back(ready):
    loaded = ready.host.get("acme-1")
    path = os.path.join(os.path.dirname(ready.path()), "common.cfg")
    os.unlink(path)
    assert result(ready.files.find(path, None, loaded)).content == b"common"


def test_a_file_of_another_device_is_brought_up_to_date_before_it_is_served(ready):
    ready.device("d2", 2, config="c1")
    forget_devices_of_background(ready)
    result(ready.manager.replace_config("base", {"parent_ids": [], "raw_config": {"X_base": 5}}))
    loaded = ready.host.get("acme-1")
    assert ready.files.find_now(ready.path(2), "d1") is None
    file = result(ready.files.find(ready.path(2), "d1", loaded))
    assert json.loads(file.content)["raw_config"]["X_base"] == 5


def test_a_device_refused_for_a_full_disk_is_rendered_when_there_is_room_again(ready):
    ready.probe.raises["configure"] = OSError(28, "No space left on device")
    ready.put("d1", model="A2")
    assert ready.stored("d1")["configured"] is False
    ready.fetch()
    del ready.probe.raises["configure"]
    assert ready.fetch() is not None
    assert ready.stored("d1")["configured"] is True


def test_a_device_that_its_plugin_refuses_is_not_tried_at_each_request(ready):
    ready.probe.raises["configure"] = ValueError("no")
    ready.put("d1", model="A2")
    ready.probe.calls.clear()
    for _ in range(3):
        ready.http(f"Acme A2 1.0 {mac(1)}")
    assert ready.probe.count("configure") == 0


def test_a_small_cache_serves_no_stale_file(tmp_path):
    core = Core(tmp_path, cache_size=1)
    core.config("base", raw_config={"X_base": 1})
    core.config("c1", ["base"], {"sip_lines": {"1": LINE}})
    core.device(config="c1", ip="10.1.0.1", vendor="Acme", model="A1", version="1.0")
    core.fetch()
    forget_devices_of_background(core)
    result(core.manager.replace_config("base", {"parent_ids": [], "raw_config": {"X_base": 2}}))
    assert core.fetch()["X_base"] == 2


def test_a_storm_of_renders_of_one_device_is_one_render(ready):
    record = result(ready.store.get("configs", "base"))
    document = {**record.document, "raw_config": {"X_base": 3}}
    result(ready.store.write([Replace("configs", document, record.revision)]))
    ready.start()
    renders = ready.manager.renders
    ready.store.slow = True
    waiting = [later(ready.manager.refresh("d1")) for _ in range(20)]
    ready.store.run()
    for refresh in waiting:
        assert result(refresh).id == "d1"
    assert ready.manager.renders == renders + 1


def test_the_comparison_at_the_start_yields_to_the_loop_between_devices(core, monkeypatch):
    monkeypatch.setattr("provd.manager.jobs.SLICE_SECONDS", 0.001)
    states = core.states
    for number in range(3000):
        states.save(RenderState({"id": f"gone{number}"}, "key", False, "acme-1"))
    comparing = later(core.manager.compare_all())
    assert not comparing.called, "3000 leftovers are removed in one go"
    core.clock.advance(0)
    result(comparing)
    assert states.device_ids() == []
