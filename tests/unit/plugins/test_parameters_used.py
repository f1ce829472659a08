"""The page of parameters names the families that use each, as their files show."""

import runpy
from pathlib import Path

from tests.unit.plugins import family_cases, parameters_used

ROOT = Path(__file__).parents[3]


def test_the_page_of_parameters_is_current(load_plugin):
    plugins = {
        name: load_plugin(family_cases.family(name).id) for name in family_cases.family_names()
    }
    page = runpy.run_path(str(ROOT / "docs/make_parameters.py"))["page"]
    expected = page(parameters_used.table(plugins))
    assert (ROOT / "docs/parameters.md").read_text() == expected, "run `make parameters`"
