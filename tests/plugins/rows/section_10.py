"""The application object."""

# ruff: noqa: F821 - the loader and entry.py give names

import gc

from twisted.internet import reactor, task


@row("10.devices")
async def devices(plugin):
    app, mac = plugin.app, f"00:00:5e:00:{len(plugin.id):02x}:05"
    device_id = await app.dev_insert({"mac": mac, "plugin": plugin.id})
    device = await app.dev_retrieve(device_id)
    assert device["mac"] == mac
    await app.dev_update({**device, "description": "x"})
    assert [d["id"] for d in await app.dev_find({"mac": mac, "description": "x"})] == [device_id]
    assert (await app.dev_find_one({"mac": mac}))["description"] == "x"
    await app.dev_delete(device_id)
    assert await app.dev_retrieve(device_id) is None


@row("10.reconfigure_and_synchronize")
async def reconfigure_and_synchronize(plugin):
    app, mac = plugin.app, f"00:00:5e:00:{len(plugin.id):02x}:06"
    config = await app.cfg_create_new()
    device_id = await app.dev_insert({"mac": mac, "plugin": plugin.id, "config": config})
    try:
        before = plugin.calls.count("configure")
        assert before
        assert (await app.dev_retrieve(device_id))["configured"]
        assert plugin.configured_with["sip_lines"]["1"]["username"]
        for key in ["ip", "http_port", "tftp_port", "http_base_url", "funckeys", "sip_transport"]:
            assert key in plugin.configured_with, key
        for key in ("sip_srtp_mode", "sccp_call_managers"):
            assert key in plugin.configured_with, key
        await app.dev_reconfigure(device_id)
        assert plugin.calls.count("configure") == before + 1
        assert (await app.dev_retrieve(device_id))["mac"] == mac
        await app.dev_synchronize(device_id)
        for _ in range(100):
            device = await app.dev_retrieve(device_id)
            if device.get("description") == "synchronised":
                break
            await task.deferLater(reactor, 0.02)
        assert device["description"] == "synchronised"
    finally:
        await app.dev_delete(device_id)
    assert plugin.calls[-1] == "deconfigure"


@row("10.configs")
async def configs(plugin):
    app = plugin.app
    config_id = await app.cfg_create_new()
    config = await app.cfg_retrieve(config_id)
    assert config["transient"]
    assert [c["id"] for c in await app.cfg_find({"id": config_id})] == [config_id]
    raw_config = await app.cfg_retrieve_raw_config(config_id)
    assert raw_config["sip_lines"]["1"]


class Observer:
    def pg_load(self, plugin_id):
        raise AssertionError

    def pg_unload(self, plugin_id):
        raise AssertionError


@row("10.pg_mgr")
def pg_mgr(plugin):
    found = plugin.app.pg_mgr
    assert found.get(plugin.id) is found[plugin.id] is plugin
    assert plugin.id in found
    assert plugin.id in list(found.keys())
    assert plugin in found.values()
    assert (plugin.id, plugin) in found.items()
    assert found.get("nothing") is None
    observer = Observer()
    found.attach(observer)
    found.detach(observer)
    found.attach(observer)
    del observer
    gc.collect()


@row("10.attributes")
def attributes(plugin):
    assert plugin.app.proxies == {} or isinstance(plugin.app.proxies, dict)
    assert plugin.app.nat == 0
    service = plugin.app.configure_service
    assert "NAT" in [name for name, _ in service.description]
    assert service.get("NAT") in (0, "0")
