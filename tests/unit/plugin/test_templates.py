"""Templates of plugins (contract: plugin API §4)."""

import os

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.plugin import templates
from provd.plugin.templates import SearchPathLoader, TemplatePluginHelper, write_file


class Folder:
    """A plugin directory with templates; each write gets a time of its own."""

    def __init__(self, path):
        self.path = path
        self.time = 1_700_000_000
        self.helper = TemplatePluginHelper(str(path))

    def put(self, name, text, own=False):
        target = self.path / ("var/templates" if own else "templates") / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        self.time += 1
        os.utime(target, (self.time, self.time))

    def drop(self, name, own=False):
        (self.path / ("var/templates" if own else "templates") / name).unlink()

    def text(self, name="base.tpl", **context):
        return self.helper.get_template(name).render(context)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


# Freshness


def test_a_change_is_seen_at_the_next_fetch(folder):
    folder.put("base.tpl", "one")
    assert folder.text() == "one"
    folder.put("base.tpl", "two")
    assert folder.text() == "two"


def test_an_administrators_template_wins_even_over_a_cached_one(folder):
    folder.put("base.tpl", "shipped")
    assert folder.text() == "shipped"
    folder.put("base.tpl", "own", own=True)
    assert folder.text() == "own"
    folder.put("base.tpl", "own again", own=True)
    assert folder.text() == "own again"
    folder.drop("base.tpl", own=True)
    assert folder.text() == "shipped"


def test_a_removed_template_is_not_found_any_more(folder):
    folder.put("base.tpl", "one")
    folder.text()
    folder.drop("base.tpl")
    with pytest.raises(jinja2.TemplateNotFound):
        folder.text()
    folder.put("base.tpl", "back")
    assert folder.text() == "back"


def test_freshness_reaches_through_extends_and_include(folder):
    folder.put("base.tpl", "[{% block b %}{% endblock %}{% include 'common/part.tpl' %}]")
    folder.put("common/part.tpl", "part")
    folder.put("A1.tpl", "{% extends 'base.tpl' %}{% block b %}a1 {% endblock %}")
    assert folder.text("A1.tpl") == "[a1 part]"
    folder.put("common/part.tpl", "mine", own=True)
    assert folder.text("A1.tpl") == "[a1 mine]"
    folder.put("base.tpl", "<{% block b %}{% endblock %}>", own=True)
    assert folder.text("A1.tpl") == "<a1 >"


def test_an_unchanged_template_is_compiled_once(folder):
    folder.put("base.tpl", "one")
    assert folder.helper.get_template("base.tpl") is folder.helper.get_template("base.tpl")


def test_compiled_templates_on_disk_are_never_stale(folder):
    folder.put("base.tpl", "one")
    assert folder.helper.compile_all() == 1
    again = Folder(folder.path)
    assert again.text() == "one"
    again.time = folder.time
    again.put("base.tpl", "two")
    assert Folder(folder.path).text() == "two"


def test_a_damaged_compiled_template_is_compiled_again(folder):
    folder.put("base.tpl", "one")
    folder.text()
    cache = folder.path / "var" / "cache" / ".templates"
    for path in cache.iterdir():
        path.write_bytes(path.read_bytes()[:20])
    assert Folder(folder.path).text() == "one"


def test_a_bad_template_stops_no_compilation_of_others(folder):
    folder.put("bad.tpl", "{% if")
    folder.put("good.tpl", "good")
    assert folder.helper.compile_all() == 2
    assert folder.text("good.tpl") == "good"
    with pytest.raises(jinja2.TemplateSyntaxError):
        folder.text("bad.tpl")


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["one", "two", None])), max_size=12))
def test_the_next_fetch_is_right_after_any_changes(tmp_path_factory, changes):
    folder = Folder(tmp_path_factory.mktemp("plugin"))
    state = {True: None, False: None}
    for own, text in changes:
        if text is not None:
            folder.put("base.tpl", text, own=own)
        elif state[own] is not None:
            folder.drop("base.tpl", own=own)
        state[own] = text
        expected = state[True] if state[True] is not None else state[False]
        if expected is None:
            with pytest.raises(jinja2.TemplateNotFound):
                folder.text()
        else:
            assert folder.text() == expected


# Choice


@pytest.mark.parametrize(
    ("filename", "device", "expected"),
    [
        ("001122", {"model": "A1"}, "file"),
        ("other", {"model": "A1"}, "model"),
        ("", {"model": "A1"}, "model"),
        (None, {"model": "A1"}, "model"),
        ("other", {"model": "B"}, "base"),
        ("other", {"model": None}, "base"),
        ("other", {}, "base"),
        ("../../secret", {"model": "../x"}, "base"),
    ],
)
def test_the_template_of_a_device_is_by_file_then_model_then_base(
    folder, filename, device, expected
):
    for name, text in (("001122", "file"), ("A1", "model"), ("base", "base"), ("None", "none")):
        folder.put(f"{name}.tpl", text)
    assert folder.helper.get_dev_template(filename, device).render() == expected


def test_without_any_template_the_error_names_the_base(folder):
    with pytest.raises(jinja2.TemplateNotFound) as caught:
        folder.helper.get_dev_template("x", {"model": "A1"})
    assert caught.value.name == "base.tpl"


@pytest.mark.parametrize("name", ["../secret.tpl", "common/../../secret.tpl"])
def test_no_template_outside_is_found(folder, name):
    (folder.path / "secret.tpl").write_text("secret")
    folder.put("common/x.tpl", "x")
    with pytest.raises(jinja2.TemplateNotFound):
        folder.helper.get_template(name)


def test_a_name_given_as_one_directory_is_a_search_path(tmp_path):
    (tmp_path / "a.tpl").write_text("é", encoding="latin-1")
    environment = jinja2.Environment(loader=SearchPathLoader(str(tmp_path), "latin-1"))
    assert environment.get_template("a.tpl").render() == "é"
    assert environment.list_templates() == ["a.tpl"]


# Output


def test_output_is_that_of_plain_jinja2(folder):
    source = "{% for x in xs %}\n{{ x }} {{ x|e }} {{ missing }}\n{% endfor %}\nend\n"
    folder.put("base.tpl", source)
    context = {"xs": ["<&>", "é"]}
    assert folder.text(**context) == jinja2.Template(source).render(context)


def test_a_dump_replaces_the_file_in_one_step(folder, tmp_path):
    folder.put("base.tpl", "{{ x }}é")
    target = tmp_path / "out.cfg"
    target.write_text("old")
    before = os.stat(target).st_ino
    folder.helper.dump(folder.helper.get_template("base.tpl"), {"x": 1}, str(target), "latin-1")
    assert target.read_bytes() == "1é".encode("latin-1")
    assert os.stat(target).st_ino != before


@pytest.mark.parametrize(
    ("source", "encoding"), [("{{ 1 / 0 }}", "UTF-8"), ("é", "ascii"), ("{{ x.y.z }}", "UTF-8")]
)
def test_a_failed_dump_leaves_the_old_file_and_nothing_else(folder, tmp_path, source, encoding):
    folder.put("base.tpl", source)
    served = tmp_path / "served"
    served.mkdir()
    (served / "a.cfg").write_text("old")
    with pytest.raises((ZeroDivisionError, UnicodeEncodeError, jinja2.UndefinedError)):
        folder.helper.dump(
            folder.helper.get_template("base.tpl"), {}, str(served / "a.cfg"), encoding
        )
    assert os.listdir(served) == ["a.cfg"]
    assert (served / "a.cfg").read_text() == "old"


def test_render_replaces_what_the_encoding_lacks(folder):
    folder.put("base.tpl", "aé")
    template = folder.helper.get_template("base.tpl")
    assert folder.helper.render(template, {}, "ascii") == b"a?"


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.cfg"
    write_file(str(target), b"old")

    def refuse(_source, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(templates.os, "rename", refuse)
    with pytest.raises(OSError, match="No space"):
        write_file(str(target), b"new")
    assert os.listdir(tmp_path) == ["a.cfg"]
    assert target.read_bytes() == b"old"


def test_a_long_file_name_can_still_be_replaced(tmp_path):
    target = tmp_path / ("x" * 250)
    write_file(str(target), b"new")
    assert os.listdir(tmp_path) == [target.name]


# What is there already


def test_a_file_that_holds_the_content_already_is_left_alone(tmp_path):
    target = tmp_path / "f"
    noted = []
    token = templates.written.set(noted)
    try:
        write_file(str(target), b"same")
        first = target.stat()
        write_file(str(target), b"same")
    finally:
        templates.written.reset(token)
    assert target.stat().st_ino == first.st_ino
    assert noted == [str(target), str(target)]
    write_file(str(target), b"diff")
    assert target.read_bytes() == b"diff"


def test_what_stands_in_for_a_file_is_replaced_even_with_the_same_content(tmp_path):
    target, other = tmp_path / "f", tmp_path / "other"
    other.write_bytes(b"same")
    target.symlink_to(other)
    write_file(str(target), b"same")
    assert not target.is_symlink()
    target.chmod(0o600)
    write_file(str(target), b"same")
    assert target.stat().st_mode & 0o004


# Compiled code


def run(directory, path, source):
    scope = {}
    exec(templates.CompiledCode(str(directory)).compile(path, source), scope)
    return scope


@pytest.fixture
def compilations(monkeypatch, tmp_path):
    """The sources that were compiled, for a plugin that has a directory `var`."""
    sources = []

    def counting(source, *args):
        sources.append(source)
        return compile(source, *args)

    monkeypatch.setattr(templates, "compile", counting, raising=False)
    (tmp_path / "var").mkdir()
    return sources


def test_code_is_compiled_once_for_one_content_of_one_path(tmp_path, compilations):
    for _ in range(3):
        assert run(tmp_path, "/p/entry.py", b"x = 1")["x"] == 1
    assert compilations == [b"x = 1"]
    assert run(tmp_path, "/p/entry.py", b"x = 2")["x"] == 2
    assert run(tmp_path, "/p/entry.py", b"x = 1")["x"] == 1
    code = templates.CompiledCode(str(tmp_path)).compile("/q/entry.py", b"x = 1")
    assert code.co_filename == "/q/entry.py"
    assert compilations == [b"x = 1", b"x = 2", b"x = 1", b"x = 1"]


@settings(deadline=None, max_examples=50)
@given(st.data())
def test_damaged_compiled_code_is_compiled_again(tmp_path_factory, data):
    directory = tmp_path_factory.mktemp("plugin")
    (directory / "var").mkdir()
    run(directory, "/p/entry.py", b"x = 'right'")
    [kept] = [path for path in directory.rglob("*") if path.is_file()]
    content = bytearray(kept.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    kept.write_bytes(content[: data.draw(st.integers(place + 1, len(content)))])
    assert run(directory, "/p/entry.py", b"x = 'right'")["x"] == "right"


def test_code_of_another_python_is_compiled_again(tmp_path, compilations, monkeypatch):
    run(tmp_path, "/p/entry.py", b"x = 1")
    monkeypatch.setattr(templates.importlib.util, "MAGIC_NUMBER", b"none")
    run(tmp_path, "/p/entry.py", b"x = 1")
    assert len(compilations) == 2


def test_an_error_of_syntax_is_kept_nowhere(tmp_path, compilations):
    for _ in range(2):
        with pytest.raises(SyntaxError):
            run(tmp_path, "/p/entry.py", b"x = ")
    assert len(compilations) == 2


def test_a_plugin_without_var_gets_none_for_compiled_code(tmp_path):
    assert run(tmp_path, "/p/entry.py", b"x = 1")["x"] == 1
    assert os.listdir(tmp_path) == []


def test_compiled_code_that_cannot_be_kept_still_runs(tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "cache").write_text("a file in the way")
    assert run(tmp_path, "/p/entry.py", b"x = 1")["x"] == 1
