"""The `app` object offers plugins what the contract names."""

import gc

import pytest
import pytest_twisted
from twisted.internet import defer, reactor, task, threads

from provd.errors import (
    DeviceNotFound,
    InvalidDocument,
    InvalidId,
    InvalidParameter,
    SynchronizeError,
)

MAC = "00:11:22:33:44:55"
PLUGIN = """
from provd.plugin.api import Plugin

class Acme(Plugin):
    IS_PLUGIN = True
    configured = ()

    def configure(self, device, raw_config):
        self.configured += (device.get("model"),)
"""
CONFIG = {"id": "c1", "parent_ids": [], "raw_config": {}}


def test_a_device_is_inserted_into_the_main_tenant_unless_it_names_one(app, now):
    assert now(app.dev_insert({"id": "d1", "mac": MAC})) == "d1"
    assert now(app.dev_insert({"id": "d2", "tenant_uuid": "other"})) == "d2"
    assert now(app.dev_retrieve("d1"))["tenant_uuid"] == "main"
    assert now(app.dev_retrieve("d2"))["tenant_uuid"] == "other"


def test_what_does_not_exist_is_retrieved_as_none(app, now):
    assert now(app.dev_retrieve("d1")) is None
    assert now(app.cfg_retrieve("c1")) is None
    assert now(app.cfg_retrieve_raw_config("c1")) is None


def test_documents_come_out_as_private_copies(app, now):
    now(app.dev_insert({"id": "d1", "options": {"a": 1}}))
    now(app.cfg_insert(CONFIG))
    for get in (
        lambda: now(app.dev_retrieve("d1")),
        lambda: next(now(app.dev_find({}))),
        lambda: now(app.dev_find_one({})),
        lambda: now(app.cfg_retrieve("c1")),
        lambda: now(app.cfg_retrieve_raw_config("c1")),
    ):
        before = get()
        get()["changed"] = True
        get().setdefault("options", {})["changed"] = True
        assert get() == before


def test_an_update_replaces_the_document_and_keeps_the_tenant(app, now):
    now(app.dev_insert({"id": "d1", "mac": MAC, "model": "A", "tenant_uuid": "other"}))
    now(app.dev_update({"id": "d1", "mac": MAC, "options": {"switchboard": True}}))
    device = now(app.dev_retrieve("d1"))
    assert "model" not in device
    assert device["options"] == {"switchboard": True}
    assert device["tenant_uuid"] == "other"


def test_an_update_takes_the_document_as_it_is_at_the_call(app, now):
    now(app.dev_insert({"id": "d1"}))
    document = {"id": "d1", "options": {"a": 1}}
    now(app.dev_update(document))
    document["options"]["a"] = 2
    assert now(app.dev_retrieve("d1"))["options"] == {"a": 1}


def test_an_update_configures_the_device_again(core, app, now):
    plugin = core.add_plugin("acme", PLUGIN)
    now(app.cfg_insert(CONFIG))
    now(app.dev_insert({"id": "d1", "plugin": "acme", "config": "c1", "model": "A"}))
    device = now(app.dev_retrieve("d1"))
    assert device["configured"] is True
    now(app.dev_update({**device, "model": "B"}))
    assert plugin.configured == ("A", "B")
    now(app.dev_reconfigure("d1"))
    assert plugin.configured == ("A", "B", "B")


def test_a_plugin_may_update_a_device_while_it_configures_it(core, app, now):
    core.host.app = app
    core.add_plugin(
        "acme",
        "from provd.plugin.api import Plugin\n"
        "class Acme(Plugin):\n"
        "    IS_PLUGIN = True\n"
        "    def configure(self, device, raw_config):\n"
        "        if 'options' not in device:\n"
        "            self._app.dev_update({**device, 'options': {'seen': True}})\n",
    )
    now(app.cfg_insert(CONFIG))
    now(app.dev_insert({"id": "d1", "plugin": "acme", "config": "c1"}))
    assert now(app.dev_retrieve("d1"))["options"] == {"seen": True}


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"id": "gone"}, DeviceNotFound),
        ({"mac": MAC}, InvalidId),
        ({"id": "d1", "mac": "no MAC"}, InvalidDocument),
    ],
)
def test_an_update_that_is_refused_fails_the_deferred(app, now, document, error):
    now(app.dev_insert({"id": "d1"}))
    with pytest.raises(error):
        now(app.dev_update(document))


def test_a_deleted_device_is_gone(app, now):
    now(app.dev_insert({"id": "d1"}))
    now(app.dev_delete("d1"))
    assert list(now(app.dev_find({}))) == []


def test_devices_are_found_sorted_cut_and_restricted_to_fields(app, now):
    for number in range(4):
        now(app.dev_insert({"id": f"d{number}", "sn": str(9 - number), "model": "A"}))
    now(app.dev_insert({"id": "x", "model": "B"}))
    found = now(app.dev_find({"model": "A"}, fields=["sn"], skip=1, limit=2, sort=("sn", 1)))
    assert list(found) == [{"id": "d2", "sn": "7"}, {"id": "d1", "sn": "8"}]
    assert now(app.dev_find_one({"model": "B"}))["id"] == "x"
    assert now(app.dev_find_one({"model": "C"})) is None


def test_configs_are_stored_replaced_found_and_deleted(app, now):
    assert now(app.cfg_insert(CONFIG)) == "c1"
    now(app.cfg_update({**CONFIG, "raw_config": {"ntp_ip": "10.0.0.2"}}))
    assert now(app.cfg_find_one({"id": "c1"}))["raw_config"] == {"ntp_ip": "10.0.0.2"}
    assert now(app.cfg_retrieve_raw_config("c1"))["http_port"] == 8667
    now(app.cfg_delete("c1"))
    assert list(now(app.cfg_find({}))) == []


def test_a_new_config_is_made_from_the_autocreate_one_if_there_is_one(core, app, now):
    assert now(app.cfg_create_new()) is None
    lines = {"sip_lines": {"1": {"username": "ap"}}}
    template = {"id": "autoprov", "parent_ids": [], "raw_config": lines, "role": "autocreate"}
    now(defer.Deferred.fromCoroutine(core.manager.insert_config(template)))
    created = now(app.cfg_create_new())
    assert created.startswith("autoprov")
    assert now(app.cfg_retrieve(created))["parent_ids"] == ["autoprov"]


def test_loaded_plugins_are_seen_as_a_mapping(core, app):
    assert not app.pg_mgr
    plugin = core.add_plugin("acme", PLUGIN)
    assert app.pg_mgr["acme"] is plugin is app.pg_mgr.get("acme")
    assert "acme" in app.pg_mgr
    assert "other" not in app.pg_mgr
    assert app.pg_mgr.get("other") is None
    assert dict(app.pg_mgr.items()) == {"acme": plugin}
    assert list(app.pg_mgr.keys()) == ["acme"]
    assert list(app.pg_mgr.values()) == [plugin]
    with pytest.raises(KeyError):
        app.pg_mgr["other"]


def test_observers_are_told_of_plugins_and_held_weakly(core, app):
    class Observer:
        def __init__(self):
            self.seen = []

        def pg_load(self, pg_id):
            self.seen.append(("load", pg_id))

        def pg_unload(self, pg_id):
            self.seen.append(("unload", pg_id))
            raise ValueError("an observer's failure is its own")

    observer, forgotten = Observer(), Observer()
    seen_by_forgotten = forgotten.seen
    app.pg_mgr.attach(observer)
    app.pg_mgr.attach(forgotten)
    del forgotten
    gc.collect()
    core.add_plugin("acme", PLUGIN)
    core.host.unload("acme")
    assert observer.seen == [("load", "acme"), ("unload", "acme")]
    assert seen_by_forgotten == []
    app.pg_mgr.detach(observer)
    core.host.load("acme")
    assert len(observer.seen) == 2


def test_proxies_and_nat_follow_the_parameters(app, now):
    proxies = app.proxies
    assert proxies == {"http": "http://proxy:8080"}
    assert app.nat == 0
    now(app.configure_service.set("NAT", "1"))
    now(app.configure_service.set("http_proxy", None))
    assert app.nat == 1
    assert proxies == {}


def test_the_configure_service_gets_and_sets_parameters(app, now):
    service = app.configure_service
    now(service.set("locale", "fr_FR"))
    assert service.get("locale") == "fr_FR"
    now(service.set("provisioning_key", "12345678"))
    assert service.get("provisioning_key") == "12345678"
    assert service.get("provisioning_key", "other") is None
    names = [name for name, _ in service.description]
    assert names == [name for name, _ in service.description_fr]
    assert "locale" in names
    assert all(text for _, text in service.description + service.description_fr)


def test_the_configure_service_refuses_at_once(app):
    with pytest.raises(KeyError):
        app.configure_service.get("nothing")
    with pytest.raises(KeyError):
        app.configure_service.set("nothing", "1")
    with pytest.raises(InvalidParameter):
        app.configure_service.set("NAT", "maybe")


def test_notifying_without_a_service_fails(app, now):
    with pytest.raises(SynchronizeError):
        now(app.sip_notify({"ip": "10.0.0.9"}, "check-sync"))


def test_a_notification_goes_to_the_service_of_the_daemon(core, app, monkeypatch, now):
    class Service:
        TYPE = "AsteriskAMI"
        calls = ()

        def sip_notify_by_ip(self, *args):
            self.calls += (args,)

    core.sync_service = Service()
    monkeypatch.setattr(threads, "deferToThread", defer.maybeDeferred)
    now(app.sip_notify({"ip": "10.0.0.9"}, "check-sync;reboot=true", ["Content=a"]))
    assert core.sync_service.calls == (("10.0.0.9", "check-sync;reboot=true", ["Content=a"]),)


def test_synchronising_an_unconfigured_device_fails(app, now):
    now(app.dev_insert({"id": "d1"}))
    with pytest.raises(SynchronizeError):
        now(app.dev_synchronize("d1"))


@pytest_twisted.ensureDeferred
async def test_an_update_may_come_from_a_thread_through_the_reactor(app):
    await app.dev_insert({"id": "d1"})
    update = {"id": "d1", "options": {"a": 1}}
    await threads.deferToThread(reactor.callFromThread, app.dev_update, update)
    await task.deferLater(reactor, 0, lambda: None)
    assert (await app.dev_retrieve("d1"))["options"] == {"a": 1}
