"""What the micro-benchmarks share."""

import pytest

from benchmarks.daemon import write_plugins
from provd.manager.extraction import Extraction
from provd.plugin import builder
from provd.plugin.host import PluginHost
from tests.unit.plugins import vendor_plugins


@pytest.fixture(scope="session")
def plugins_dir(tmp_path_factory):
    """A directory with our vendor plugins and a hundred others."""
    directory = tmp_path_factory.mktemp("plugins")
    for family in vendor_plugins.families():
        builder.build(family, str(directory))
    write_plugins(directory, 100)
    return directory


@pytest.fixture(scope="session")
def host(plugins_dir):
    """All of them, loaded."""
    loaded = PluginHost(
        str(plugins_dir),
        general_config={},
        plugin_config={},
        base_raw_config=vendor_plugins.BASE_RAW_CONFIG,
    )
    loaded.load_all()
    assert len(loaded) > 100
    assert not loaded.load_errors
    yield loaded
    loaded.close()


@pytest.fixture
def extraction(host):
    """The extractors of all plugins, with nothing remembered."""
    return Extraction(host, None, 50_000)
