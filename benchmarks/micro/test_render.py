"""A device's files rendered, for each vendor."""

import copy
import os

import pytest

from tests.unit.plugins import vendor_plugins

CASES = {
    "yealink, an autocreated phone": ("yealink", "v86", "T46S", "autoprov"),
    "yealink, a phone with many keys": ("yealink", "v86", "T46S", "rich"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_render(benchmark, host, case):
    family, generation, model, name = case
    golden = os.path.join(vendor_plugins.ROOT, family, "tests", "golden", generation, model, name)
    device = vendor_plugins.read_json(golden, "device.json")
    raw_config = vendor_plugins.read_json(golden, "raw_config.json")
    plugin = host.get(f"provd-{family}").plugin
    files = benchmark(lambda: [*plugin.render(copy.deepcopy(device), copy.deepcopy(raw_config))])
    assert sum(len(file.content) for file in files) > 1000
