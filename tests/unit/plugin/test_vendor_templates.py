"""Templates of our own vendors: every value is escaped as the vendor's format wants, once."""

import jinja2
import markupsafe
import pytest

from provd.plugin.vendor import VendorTemplates


def braces(value):
    return f"<{value}>"


@pytest.fixture
def render(tmp_path):
    (tmp_path / "templates").mkdir()
    count = iter(range(100))

    def render(source, **context):
        name = f"t{next(count)}.tpl"
        (tmp_path / "templates" / name).write_text(source)
        return VendorTemplates(str(tmp_path), braces).get_template(name).render(context)

    return render


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ x }} & {{ 1 + y }}", "<a&b> & <2>"),
        ("{{ x if y else none }}{{ none if y else x }}", "<a&b><None>"),
        ("{% autoescape false %}{{ x }}{% endautoescape %}", "<a&b>"),
        ("{% autoescape y %}{{ x }}{% endautoescape %}", "<a&b>"),
        ("{% macro m(v) %}[{{ v }}]{% endmacro %}{{ m(x) }}", "[<a&b>]"),
        ("{% set s %}({{ x }}){% endset %}{{ s }}", "(<a&b>)"),
        ("{% for i in [x, x] %}{{ i }}{% endfor %}", "<a&b><a&b>"),
        ("{% filter upper %}{{ x }}&{% endfilter %}", "<A&B>&"),
        ("{{ x ~ '!' }}", "<a&b!>"),
        ("{{ safe }}", "<raw>"),
    ],
)
def test_every_value_is_escaped_once_by_the_vendor(render, source, expected):
    assert render(source, x="a&b", y=1, safe=markupsafe.Markup("<raw>")) == expected


def test_a_name_that_does_not_exist_is_an_error(render):
    with pytest.raises(jinja2.UndefinedError, match="nothing"):
        render("{{ nothing }}")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2], "k1 = a1\nk2 = a2\n"),
        (["@", "x@y"], "k@ = a@\nkx@y = ax@y\n"),
        ([True, 1], "kTrue = aTrue\nk1 = a1\n"),
        ([], ""),
    ],
)
def test_a_piece_of_text_is_repeated_for_each_value(render, values, expected):
    for _ in range(2):
        text = "{% filter for_each(values) %}\nk@ = a@\n{% endfilter %}"
        assert render(text, values=values) == expected
