"""What two plugins write for the same phones."""

import os
import shutil

import pytest

from provd.errors import InvalidDocument
from provd.plugin import author, builder
from provd.plugin.compare import compare, lines_of, read_reasons, read_settings
from tests.unit.plugins import vendor_plugins


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Two collections with the plugin for Zenitel; the second one calls a setting otherwise."""
    directory = tmp_path_factory.mktemp("compare")
    family = os.path.join(vendor_plugins.ROOT, "zenitel")
    left, right = directory / "a", directory / "b"
    builder.build(family, str(left))
    other = directory / "zenitel"
    shutil.copytree(family, other)
    template = other / "templates" / "base.tpl"
    template.write_text(template.read_text().replace("sip_domain=", "sip_realm=", 1))
    builder.build(str(other), str(right))
    return str(left), str(right)


def test_a_plugin_is_the_same_as_itself(built):
    result = compare(built[0], built[0])
    assert result.models == 1
    assert result.compared > 50
    assert result.open(only_in_a=True) == []
    assert "0 open" in list(lines_of(result))[-1]


def test_a_setting_that_only_the_other_one_has_is_open_until_there_is_a_reason(built):
    result = compare(*built)
    [report] = result.open()
    assert "sip_realm" in report.key
    assert report.kinds["only in B"] > 1
    assert "only in B" in next(iter(lines_of(result)))
    result.explain({"*sip_realm*": "another name"})
    assert result.open() == []


def test_the_command_ends_with_1_while_something_is_open(built, tmp_path, capsys):
    assert author.main(["compare", *built]) == 1
    assert "sip_realm" in capsys.readouterr().out
    reasons = tmp_path / "reasons.toml"
    reasons.write_text('[deliberate]\n"*sip_realm*" = "another name"\n')
    assert author.main(["compare", *built, "--reasons", str(reasons)]) == 0
    assert author.main(["compare", *built, "--models", "nothing"]) == 1
    assert "no model is known to both" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["[deliberate", "[deliberate]\nx = 1\n"])
def test_reasons_of_another_form_are_refused(tmp_path, text):
    path = tmp_path / "reasons.toml"
    path.write_text(text)
    with pytest.raises(InvalidDocument):
        read_reasons(str(path))


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        (b"a = 1\nb: x y\n# no\n", {"a": "1", "b": "x y"}),
        (b"[one]\na=1\n[two]\na=2\n", {"[one]a": "1", "[two]a": "2"}),
        (
            b'<r><a idx="1">x</a><a idx="2" p="R">y</a></r>',
            {"a[1]": "x", "a[2]": "y", "a[2]@p": "R"},
        ),
        (b'<r><a idx="1">x</b></r><c>&amp;</c>', {"not XML": "yes", "c": "&"}),
    ],
)
def test_files_are_read_as_settings_whatever_their_format(content, settings):
    assert read_settings(content) == settings
