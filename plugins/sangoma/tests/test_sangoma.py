"""Sangoma S phones are of Htek's design: what one learns the other must know."""

from pathlib import Path

import pytest


@pytest.mark.parametrize("name", ["format.py", "templates/base.tpl"])
def test_both_brands_have_the_same_code(built_plugins, name):
    htek, sangoma = (
        (Path(built_plugins) / plugin_id / name).read_text(encoding="utf-8")
        for plugin_id in ("provd-htek", "provd-sangoma")
    )
    assert htek == sangoma
