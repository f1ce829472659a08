"""The table of families that use a parameter is what their files show."""

from provd.model.parameter_families import USED_BY
from tests.unit.plugins import family_cases, parameters_used


def test_the_table_names_the_families_that_use_a_parameter(load_plugin):
    plugins = {
        name: load_plugin(family_cases.family(name).id) for name in family_cases.family_names()
    }
    assert parameters_used.table(plugins) == USED_BY, "run `make parameters`"
