"""docs/phones: the table of all models is what the families say, and each family has a page."""

import pathlib
import runpy

from tests.unit.plugins import family_cases

ROOT = pathlib.Path(__file__).parents[3]


def test_the_table_of_models_is_current():
    page = runpy.run_path(str(ROOT / "docs/make_phones.py"))["page"]
    assert (ROOT / "docs/phones/index.md").read_text() == page(), "run `make phones`"


def test_every_family_has_a_page_that_names_its_plugin():
    for name in family_cases.family_names():
        text = (ROOT / "docs/phones" / f"{name}.md").read_text()
        assert family_cases.family(name).id in text, name
        assert "## " in text, name
