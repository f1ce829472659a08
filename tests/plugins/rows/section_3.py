"""The plugin class."""

# ruff: noqa: F821 - the loader and entry.py give names

import os

from twisted.internet import defer
from wazo_provd.abstract_plugin import AbstractPlugin
from wazo_provd.plugins import Plugin, StandardPlugin


def plain(plugin):
    return Plugin(plugin.app, plugin._plugin_dir, {}, {})


@row("3.bases")
def bases(plugin):
    assert issubclass(StandardPlugin, Plugin)
    assert issubclass(Plugin, AbstractPlugin)


@row("3.services")
def services(plugin):
    fresh = plain(plugin)
    assert fresh.services == {}
    fresh.services = {"configure": 1}
    assert fresh.services == {"configure": 1}


@row("3.info")
def info(plugin):
    found = plain(plugin).info
    assert found["version"] == "1.0"
    assert found["colour"] == "blue"
    assert not [key for key in found if key.startswith("description_")]


@row("3.attributes")
def attributes(plugin):
    fresh = plain(plugin)
    assert fresh.id is None
    assert fresh._plugin_dir == plugin._plugin_dir
    for name in ("http", "tftp", "dhcp"):
        assert getattr(fresh, name + "_dev_info_extractor") is None
    assert (fresh.http_service, fresh.tftp_service, fresh.pg_associator) == (None, None, None)


@row("3.defaults")
def defaults(plugin):
    fresh = plain(plugin)
    assert fresh.configure_common({}) is None
    assert fresh.configure({}, {}) is None
    assert fresh.deconfigure({}) is None
    assert fresh.get_remote_state_trigger_filename({}) is None
    assert fresh.is_sensitive_filename("x") is False
    assert fresh.close() is None


@row("3.synchronize_default")
async def synchronize_default(plugin):
    result = plain(plugin).synchronize({}, {})
    assert isinstance(result, defer.Deferred)
    try:
        await result
    except NotImplementedError as error:
        text = str(error)
    else:
        raise AssertionError("no failure")
    assert "not supported" in text


@row("3.tftpboot_dir")
def tftpboot_dir(plugin):
    fresh = StandardPlugin(plugin.app, plugin._plugin_dir, {}, {})
    assert fresh._tftpboot_dir == os.path.join(plugin._plugin_dir, "var", "tftpboot")


@row("3.reactor_thread")
def reactor_thread(plugin):
    assert plugin.reactor_thread
