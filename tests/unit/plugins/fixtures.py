"""Fixtures for tests of vendor plugins, here and in `plugins/<family>/tests`."""

import os
import shutil

import pytest

from provd.plugin import builder
from provd.plugin.host import PluginHost
from tests.unit.plugins import vendor_plugins


@pytest.fixture(scope="session")
def built_plugins(tmp_path_factory):
    """The directory that holds all our vendor plugins, built."""
    directory = tmp_path_factory.mktemp("plugins")
    for family in vendor_plugins.families():
        builder.build(family, str(directory))
    return str(directory)


@pytest.fixture
def load_plugin(built_plugins):
    """Load a plugin as the daemon does: `load_plugin(plugin_id, settings={})`."""
    hosts = []

    def load(plugin_id, settings=None):
        host = PluginHost(
            built_plugins,
            general_config={},
            plugin_config={plugin_id: settings or {}},
            base_raw_config=vendor_plugins.BASE_RAW_CONFIG,
        )
        hosts.append(host)
        return host.load(plugin_id).plugin

    yield load
    for host in hosts:
        host.close()
    for plugin_id in os.listdir(built_plugins):
        tftpboot = os.path.join(built_plugins, plugin_id, "var", "tftpboot")
        shutil.rmtree(tftpboot)
        os.mkdir(tftpboot)
