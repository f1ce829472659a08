"""A device's files rendered, for each family: a new phone of it, and its largest model with all."""

import copy

import pytest

from provd.model.rawconfig import add_defaults
from tests.unit.plugins import family_cases, parameters_used

CONFIGS = {"a new phone": family_cases.AUTOPROV, "everything": family_cases.rich()}


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("family", family_cases.family_names())
def test_render(benchmark, host, family, config):
    model = parameters_used.largest_model(family)
    firmware = family_cases.family(family).models[model].firmware
    device = family_cases.device_of(family, model, *firmware[-1:])
    raw_config = copy.deepcopy(CONFIGS[config])
    add_defaults(raw_config)
    plugin = host.get(family_cases.family(family).id).plugin
    files = benchmark(lambda: [*plugin.render(copy.deepcopy(device), copy.deepcopy(raw_config))])
    assert files
