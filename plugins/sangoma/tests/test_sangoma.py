"""Sangoma S phones are of Htek's design: what one learns the other must know."""

import os

import pytest

from tests.unit.plugins import vendor_plugins


@pytest.mark.parametrize("name", ["format.py", "templates/base.tpl"])
def test_both_brands_have_the_same_code(name):
    contents = []
    for family in ("htek", "sangoma"):
        with open(os.path.join(vendor_plugins.ROOT, family, name), encoding="utf-8") as stream:
            contents.append(stream.read())
    assert contents[0] == contents[1]
