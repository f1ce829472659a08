"""Templates."""

# ruff: noqa: F821 - the loader and entry.py give names

import os

import jinja2
from wazo_provd.plugins import TemplatePluginHelper

DEVICE = {"model": "R1"}
PLAIN = "<{{ a }}>{{ missing }}\n{% if true %}\nx\n{% endif %}\n"


def helper(plugin):
    return TemplatePluginHelper(plugin._plugin_dir)


def write(plugin, name, text):
    path = os.path.join(plugin._plugin_dir, "var", "templates", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    return path


@row("4.class_attributes")
def class_attributes(plugin):
    assert TemplatePluginHelper.DEFAULT_TPL_DIR == "templates"
    assert TemplatePluginHelper.CUSTOM_TPL_DIR == "var/templates"


@row("4.get_dev_template")
def get_dev_template(plugin):
    tpl = helper(plugin)
    assert tpl.get_dev_template("", DEVICE).name == "R1.tpl"
    assert tpl.get_dev_template("x", {"model": "other"}).name == "base.tpl"
    assert tpl.get_dev_template("x", {"model": None}).name == "base.tpl"
    assert tpl.get_dev_template("x", {}).name == "base.tpl"
    path = write(plugin, "abc.tpl", "mine")
    try:
        assert tpl.get_dev_template("abc", DEVICE).name == "abc.tpl"
    finally:
        os.remove(path)


@row("4.no_template")
def no_template(plugin):
    base = os.path.join(plugin._plugin_dir, "templates", "base.tpl")
    os.rename(base, base + ".away")
    try:
        helper(plugin).get_dev_template("x", {})
    except jinja2.TemplateNotFound as error:
        name = error.name
    else:
        raise AssertionError("found")
    finally:
        os.rename(base + ".away", base)
    assert name == "base.tpl"


@row("4.get_template")
def get_template(plugin):
    text = helper(plugin).get_template("common/part.tpl").render({})
    assert text == "part <07> 1 a=2 b=1", text


@row("4.dump")
def dump(plugin):
    tpl = helper(plugin)
    path = os.path.join(plugin._tftpboot_dir, "dumped")
    template = tpl.get_template("base.tpl")
    tpl.dump(template, {"model": "é<"}, path, "latin-1")
    with open(path, "rb") as stream:
        assert stream.read().startswith(b"base \xe9&lt; part")
    try:
        tpl.dump(template, {"model": "\u20ac"}, path, "latin-1")
    except UnicodeEncodeError:
        pass
    else:
        raise AssertionError("written")
    with open(path, "rb") as stream:
        assert b"\xe9" in stream.read()
    assert not [n for n in os.listdir(plugin._tftpboot_dir) if n.endswith(".tmp")]
    os.remove(path)


@row("4.render")
def render(plugin):
    tpl = helper(plugin)
    found = tpl.render(tpl.get_template("base.tpl"), {"model": "\u20ac"}, "ascii")
    assert found.startswith(b"base ? part")


@row("4.lookup")
def lookup(plugin):
    tpl = helper(plugin)
    assert tpl.get_dev_template("", DEVICE).render({"name": "n"}) == "[R1 n]"
    parent = write(plugin, "child_of.tpl", "mine {% block body %}{% endblock %}")
    included = write(plugin, "common/part.tpl", "own part")
    try:
        assert tpl.get_dev_template("", DEVICE).render({"name": "n"}) == "mine R1 n"
        assert tpl.get_template("base.tpl").render({"model": 1}) == "base 1 own part"
    finally:
        os.remove(parent)
        os.remove(included)
    assert tpl.get_dev_template("", DEVICE).render({"name": "n"}) == "[R1 n]"


@row("4.default_options")
def default_options(plugin):
    path = write(plugin, "plain.tpl", PLAIN)
    try:
        text = helper(plugin).get_template("plain.tpl").render({"a": "<é>"})
        assert text == "<<é>>\n\nx\n"
        assert text == jinja2.Template(PLAIN).render({"a": "<é>"})
    finally:
        os.remove(path)


@row("4.freshness")
def freshness(plugin):
    tpl = helper(plugin)
    before = tpl.get_dev_template("", {}).render({})
    path = write(plugin, "base.tpl", "mine 1")
    try:
        assert tpl.get_dev_template("", {}).render({}) == "mine 1"
        write(plugin, "base.tpl", "mine two")
        assert tpl.get_dev_template("", {}).render({}) == "mine two"
    finally:
        os.remove(path)
    assert tpl.get_dev_template("", {}).render({}) == before


@row("4.template_object")
def template_object(plugin):
    assert isinstance(helper(plugin).get_template("base.tpl"), jinja2.Template)
