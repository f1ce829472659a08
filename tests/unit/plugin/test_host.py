"""Loading plugins, and what a bad one may do (contract: plugin API §2)."""

import json
import logging
import os

import pytest

from provd.errors import PluginError, PluginLoadError, PluginNotInstalled, PluginNotLoaded
from provd.model.requests import RequestType
from provd.plugin.host import PluginHost, is_below

BASE = {"ip": "10.0.0.1", "http_port": 80, "tftp_port": 69, "http_base_url": "http://10.0.0.1"}
INFO = {"version": "1.0", "description": "Phones", "capabilities": {}}
PLAIN = """
from provd.plugin.api import StandardPlugin
class P(StandardPlugin):
    IS_PLUGIN = True
"""


class Plugins:
    """A plugins directory and its host."""

    def __init__(self, directory):
        self.directory = directory
        self.general = {"check_compat_min": True, "check_compat_max": True}
        self.settings = {}
        self.host = PluginHost(
            str(directory),
            general_config=self.general,
            plugin_config=self.settings,
            base_raw_config=BASE,
        )

    def add(self, plugin_id="acme", entry=PLAIN, info=INFO, **files):
        folder = self.directory / plugin_id
        folder.mkdir(parents=True, exist_ok=True)
        text = info if isinstance(info, (str, bytes)) else json.dumps(info)
        if text is not None and info is not None:
            data = text if isinstance(text, bytes) else text.encode()
            (folder / "plugin-info").write_bytes(data)
        if entry is not None:
            (folder / "entry.py").write_text(entry)
        for name, content in files.items():
            (folder / f"{name}.py").write_text(content)
        return folder


@pytest.fixture
def plugins(tmp_path):
    return Plugins(tmp_path / "plugins")


# Good plugins


def test_a_loaded_plugin_has_its_id_directory_and_settings(plugins):
    entry = (
        PLAIN
        + """
    def __init__(self, app, plugin_dir, gen_cfg, spec_cfg):
        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)
        self.seen = (self.id, app, plugin_dir, dict(gen_cfg), spec_cfg)
"""
    )
    folder = plugins.add(entry=entry)
    plugins.settings["acme"] = {"x": 1}
    plugins.host.app = object()
    loaded = plugins.host.load("acme")
    assert loaded.plugin.id == "acme"
    assert loaded.plugin.seen == (None, plugins.host.app, str(folder), plugins.general, {"x": 1})
    assert loaded.plugin.info["description"] == "Phones"
    assert "acme" in plugins.host
    assert [p.id for p in plugins.host] == ["acme"]
    assert len(plugins.host) == 1


def test_the_first_class_with_the_mark_in_order_of_definition_is_the_plugin(plugins):
    entry = """
from provd.plugin.api import Plugin
class Helper(Plugin): pass
class NotMarked(Plugin): IS_PLUGIN = False
class Unrelated: IS_PLUGIN = True
class B(Plugin): IS_PLUGIN = True
class A(Plugin): IS_PLUGIN = True
"""
    plugins.add(entry=entry)
    assert type(plugins.host.load("acme").plugin).__name__ == "B"


@pytest.mark.parametrize("value", ["1", "'yes'"])
def test_any_true_value_marks_the_plugin(plugins, value):
    plugins.add(entry=PLAIN.replace("True", value))
    assert plugins.host.load("acme").id == "acme"


def test_other_files_are_pulled_in_from_the_plugins_directory(plugins, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    entry = "common = {}\nexecfile_('common.py', common)\nclass P(common['Base']):\n    IS_PLUGIN = True\n"
    common = """
from provd.plugin.api import StandardPlugin
more = {}
execfile_('more.py', more)
class Base(StandardPlugin):
    VALUE = more['VALUE']
"""
    plugins.add(entry=entry, common=common, more="VALUE = 7\n")
    assert plugins.host.load("acme").plugin.VALUE == 7


def test_execfile_without_a_dictionary_fills_that_of_the_entry(plugins):
    plugins.add(entry="execfile_('common.py')\n", common=PLAIN)
    assert plugins.host.load("acme").id == "acme"


def test_two_plugins_share_no_names(plugins):
    plugins.add("one", "SHARED = 1\n" + PLAIN)
    plugins.add(
        "two", PLAIN + "\nassert 'SHARED' not in globals()\nassert __name__ != '__main__'\n"
    )
    plugins.host.load_all()
    assert [p.id for p in plugins.host] == ["one", "two"]


def test_common_files_are_written_with_a_private_copy_of_the_base_raw_config(plugins):
    entry = (
        PLAIN
        + """
    def configure_common(self, raw_config):
        self.given = dict(raw_config)
        raw_config['ip'] = 'changed'
"""
    )
    plugins.add("one", entry)
    plugins.add("two", entry)
    plugins.host.load_all()
    assert [p.plugin.given for p in plugins.host] == [BASE, BASE]


# Refused plugins


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("def", "SyntaxError"),
        ("import no_such_module_at_all", "ModuleNotFoundError"),
        ("1 / 0", "ZeroDivisionError"),
        ("class P: IS_PLUGIN = True", "has no class"),
        ("", "has no class"),
        ("\0", "Error"),
        ("execfile_('missing.py')", "FileNotFoundError"),
        (PLAIN + "    def __init__(self, *a): raise KeyError('boom')\n", "KeyError"),
        (PLAIN + "    def __init__(self): pass\n", "TypeError"),
        ("import sys\nsys.exit(3)", "SystemExit"),
        (PLAIN + "    def __init__(self, *a): raise SystemExit\n", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        (PLAIN + "    def __init__(self, *a): raise KeyboardInterrupt\n", "KeyboardInterrupt"),
        ("class Odd(BaseException): pass\nraise Odd('strange')", "strange"),
        ("def f(): f()\nf()", "RecursionError"),
        (None, "FileNotFoundError"),
    ],
)
def test_a_plugin_that_does_not_load_stays_out_with_its_reason(plugins, entry, reason):
    plugins.add(entry=entry)
    plugins.add("good")
    with pytest.raises(PluginLoadError) as caught:
        plugins.host.load("acme")
    assert caught.value.plugin_id == "acme"
    assert reason in str(caught.value)
    assert "acme" not in plugins.host
    assert reason in plugins.host.load_errors["acme"]
    assert plugins.host.is_installed("acme")
    plugins.host.load_all()
    assert [p.id for p in plugins.host] == ["good"]


@pytest.mark.parametrize(
    "error", ["OSError('full')", "SystemExit", "KeyboardInterrupt", "GeneratorExit"]
)
def test_a_plugin_that_fails_at_its_common_files_stays_in_service_as_damaged(
    plugins, caplog, error
):
    entry = (
        PLAIN
        + f"""
    def configure_common(self, raw_config):
        raise {error}
"""
    )
    plugins.add(entry=entry)
    before = plugins.host.generation
    loaded = plugins.host.load("acme")
    assert plugins.host.get("acme") is loaded
    assert plugins.host.generation > before
    assert plugins.host.load_errors == {}
    assert error.partition("(")[0] in loaded.damage
    assert "plugin acme is damaged: it cannot write its common files" in caplog.text


def test_a_plugin_whose_common_files_are_written_at_last_is_not_damaged_any_more(plugins):
    entry = (
        PLAIN
        + """
    fails = True
    def configure_common(self, raw_config):
        if self.fails:
            raise OSError('full')
"""
    )
    plugins.add(entry=entry)
    loaded = plugins.host.load("acme")
    assert loaded.damage == "OSError: full"
    loaded.plugin.fails = False
    plugins.host.configure_common(loaded)
    assert loaded.damage is None


@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit", "GeneratorExit"])
@pytest.mark.parametrize("method", ["configure", "close", "pg_load"])
def test_nothing_that_a_plugin_raises_leaves_the_host(plugins, kind, method):
    entry = (
        PLAIN
        + f"""
    def configure(self, device, raw_config): raise {kind}
    def close(self): raise {kind}
    def pg_load(self, plugin_id): raise {kind}
"""
    )
    plugins.add(entry=entry)
    plugins.add("other")
    loaded = plugins.host.load("acme")
    if method == "configure":
        with pytest.raises(PluginError, match=kind):
            plugins.host.call(loaded, "configure", {}, {})
        assert loaded.stats.errors == 1
    elif method == "close":
        plugins.host.unload("acme")
        assert "acme" not in plugins.host
    else:
        plugins.host.attach(loaded.plugin)
        plugins.host.load("other")
        assert "other" in plugins.host


@pytest.mark.parametrize(
    "info",
    [
        "",
        "{",
        "[]",
        "null",
        b"\xff\xfe{}",
        '{"version": "1", "description": ""}',
        '{"version": "1", "capabilities": {}}',
        '{"description": "", "capabilities": {}}',
        "[" * 100_000,
    ],
)
def test_a_bad_plugin_info_stops_nobody_else(plugins, info, caplog):
    plugins.add(info=info)
    plugins.add("good")
    plugins.host.load_all()
    assert [p.id for p in plugins.host] == ["good"]
    assert list(plugins.host.installed()) == ["good"]
    assert "acme" in caplog.text


def test_what_is_no_plugin_is_not_seen(plugins):
    plugins.add("good")
    (plugins.directory / "no-info").mkdir()
    (plugins.directory / "no-info" / "entry.py").write_text("1/0")
    (plugins.directory / "file").write_text("x")
    (plugins.directory / "plugins.db").write_text("{}")
    plugins.add(".good.old")
    (plugins.directory / "dir-info").mkdir()
    (plugins.directory / "dir-info" / "plugin-info").mkdir()
    assert plugins.host.installed_ids() == ["good"]
    plugins.host.load_all()
    assert [p.id for p in plugins.host] == ["good"]


def test_a_missing_plugins_directory_holds_no_plugin(tmp_path):
    assert Plugins(tmp_path / "nowhere").host.installed_ids() == []


@pytest.mark.parametrize("plugin_id", ["missing", "../acme", ".hidden", "acme/../acme", ""])
def test_what_is_not_installed_is_not_loaded(plugins, plugin_id):
    plugins.add("acme")
    plugins.add(".hidden")
    with pytest.raises(PluginNotInstalled):
        plugins.host.load(plugin_id)
    assert len(plugins.host) == 0


def test_a_plugin_is_loaded_once(plugins):
    plugins.add()
    first = plugins.host.load("acme")
    with pytest.raises(PluginLoadError, match="already loaded"):
        plugins.host.load("acme")
    assert plugins.host.get("acme") is first


@pytest.mark.parametrize(
    ("bounds", "loads"),
    [
        ({}, True),
        ({"plugin_iface_version_min": 0.2, "plugin_iface_version_max": 0.2}, True),
        ({"plugin_iface_version_min": 0.1}, True),
        ({"plugin_iface_version_min": 0.3}, False),
        ({"plugin_iface_version_max": 0.1}, False),
        ({"plugin_iface_version_max": 1}, True),
        ({"plugin_iface_version_min": "0.2"}, False),
    ],
)
def test_interface_versions_are_checked(plugins, bounds, loads):
    plugins.add(info={**INFO, **bounds})
    if loads:
        assert plugins.host.load("acme").id == "acme"
    else:
        with pytest.raises(PluginLoadError, match="plugin_iface_version"):
            plugins.host.load("acme")


@pytest.mark.parametrize(
    ("setting", "bound"),
    [
        ("check_compat_min", {"plugin_iface_version_min": 9}),
        ("check_compat_max", {"plugin_iface_version_max": 0}),
    ],
)
def test_the_check_of_interface_versions_may_be_switched_off(plugins, setting, bound):
    plugins.general[setting] = False
    plugins.add(info={**INFO, **bound})
    assert plugins.host.load("acme").id == "acme"


# Life


class Observer:
    def __init__(self, fails=False):
        self.events = []
        self.fails = fails

    def pg_load(self, plugin_id):
        self.events.append(("load", plugin_id))
        if self.fails:
            raise ValueError("no")

    def pg_unload(self, plugin_id):
        self.events.append(("unload", plugin_id))


def test_observers_are_told_and_a_failing_one_stops_nobody(plugins):
    first, second, gone = Observer(fails=True), Observer(), Observer()
    for observer in (first, second, gone):
        plugins.host.attach(observer)
    plugins.host.detach(gone)
    plugins.add()
    plugins.host.load("acme")
    plugins.host.unload("acme")
    assert first.events == second.events == [("load", "acme"), ("unload", "acme")]
    assert gone.events == []


def test_the_generation_changes_with_the_set_of_plugins(plugins):
    plugins.add()
    before = plugins.host.generation
    plugins.host.load("acme")
    middle = plugins.host.generation
    plugins.host.unload("acme")
    assert before < middle < plugins.host.generation


def test_a_plugin_that_fails_to_close_is_gone_all_the_same(plugins):
    plugins.add(entry=PLAIN + "    def close(self): raise RuntimeError('no')\n")
    plugins.add("other")
    plugins.host.load_all()
    plugins.host.close()
    assert len(plugins.host) == 0
    with pytest.raises(PluginNotLoaded):
        plugins.host.unload("acme")
    with pytest.raises(PluginNotLoaded):
        plugins.host.require("acme")


def test_a_plugin_that_was_repaired_loads_and_its_error_is_forgotten(plugins):
    plugins.add(entry="1/0")
    with pytest.raises(PluginLoadError):
        plugins.host.load("acme")
    plugins.add()
    plugins.host.load("acme")
    assert plugins.host.load_errors == {}


def test_new_code_is_run_at_the_next_load_and_changes_the_stamp(plugins):
    plugins.add(entry=PLAIN + "    VALUE = 1\n")
    first = plugins.host.load("acme")
    stamp = first.stamp()
    plugins.host.unload("acme")
    plugins.add(entry=PLAIN + "    VALUE = 2\n")
    second = plugins.host.load("acme")
    assert (first.plugin.VALUE, second.plugin.VALUE) == (1, 2)
    assert second.stamp() != stamp


@pytest.mark.parametrize("change", ["version", "settings", "other file"])
def test_version_settings_and_every_python_file_belong_to_the_stamp(plugins, change):
    plugins.add(common="A = 1\n")
    stamp = plugins.host.load("acme").stamp()
    plugins.host.unload("acme")
    if change == "version":
        plugins.add(info={**INFO, "version": "2.0"}, common="A = 1\n")
    elif change == "settings":
        plugins.settings["acme"] = {"x": 2}
    else:
        plugins.add(common="A = 2\n")
    assert plugins.host.load("acme").stamp() != stamp


def test_the_same_plugin_has_the_same_stamp_again(plugins):
    plugins.add()
    stamp = plugins.host.load("acme").stamp()
    plugins.host.unload("acme")
    assert plugins.host.load("acme").stamp() == stamp


# Calls


def test_a_failing_call_is_counted_logged_with_the_plugins_id_and_wrapped(plugins, caplog):
    plugins.add(entry=PLAIN + "    def deconfigure(self, device): raise KeyError('mac')\n")
    loaded = plugins.host.load("acme")
    with pytest.raises(PluginError) as caught:
        plugins.host.call(loaded, "deconfigure", {})
    assert isinstance(caught.value.__cause__, KeyError)
    assert loaded.stats.errors == 1
    assert loaded.stats.last_error == "deconfigure: KeyError: 'mac'"
    assert "plugin acme failed in deconfigure" in caplog.text


def test_a_plugin_that_holds_the_loop_is_named(plugins, monkeypatch, caplog):
    plugins.add()
    loaded = plugins.host.load("acme")
    times = iter([0.0, 2.5])
    monkeypatch.setattr("provd.plugin.host.time.perf_counter", lambda: next(times))
    plugins.host.call(loaded, "deconfigure", {})
    assert loaded.stats.slow_calls == 1
    assert loaded.stats.slowest == 2.5
    assert loaded.stats.last_slow == "deconfigure: 2.5 s"
    assert "plugin acme held the loop for 2.5 s in deconfigure" in caplog.text


def test_a_plugin_that_holds_the_loop_while_it_is_loaded_is_named(plugins, monkeypatch, caplog):
    plugins.add()
    times = iter([0.0, 1.5, 2.0, 2.0])
    monkeypatch.setattr("provd.plugin.host.time.perf_counter", lambda: next(times))
    loaded = plugins.host.load("acme")
    assert (loaded.stats.last_slow, loaded.stats.calls) == ("load: 1.5 s", 2)
    assert "plugin acme held the loop for 1.5 s in load" in caplog.text


def test_code_of_a_plugin_that_others_call_is_measured_and_raises_as_before(plugins):
    plugins.add()
    loaded = plugins.host.load("acme")
    before = loaded.stats.calls
    with pytest.raises(ZeroDivisionError), loaded.measured("render"):
        1 / 0  # noqa: B018
    assert loaded.stats.calls == before + 1
    assert loaded.stats.last_error == "render: ZeroDivisionError: division by zero"


def test_the_files_that_a_call_wrote_are_told_and_those_outside_are_noted(
    plugins, tmp_path, caplog
):
    caplog.set_level(logging.WARNING)
    entry = f"""
from provd.plugin.api import StandardPlugin
from provd.plugin.templates import write_file
class P(StandardPlugin):
    IS_PLUGIN = True
    def configure(self, device, raw_config):
        write_file(self._plugin_dir + '/./inside', b'x')
        write_file({str(tmp_path / "outside")!r}, b'x')
"""
    folder = plugins.add(entry=entry)
    loaded = plugins.host.load("acme")
    written = plugins.host.recorded(loaded, "configure", {}, {})
    assert written == (str(folder / "inside"), str(tmp_path / "outside"))
    assert loaded.stats.outside_writes == 1
    assert f"plugin acme writes outside of its directory in configure (entry.py:8): {tmp_path}" in (
        caplog.text
    )


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/p/acme/x", True), ("/p/acme-2/x", False), ("/p/acme/../x", False), ("/p/acme", False)],
)
def test_a_path_is_below_a_directory_by_components(path, expected):
    assert is_below("/p/acme", path) is expected


def test_extractors_are_found_in_load_order_where_there_are_any(plugins):
    plugins.add("b", PLAIN + "    http_dev_info_extractor = 'B'\n")
    plugins.add("a", PLAIN + "    http_dev_info_extractor = 'A'\n")
    plugins.add("c")
    for plugin_id in ("c", "b", "a"):
        plugins.host.load(plugin_id)
    found = plugins.host.extractors(RequestType.HTTP)
    assert [(loaded.id, extractor) for loaded, extractor in found] == [("b", "B"), ("a", "A")]
    assert plugins.host.extractors(RequestType.TFTP) == []


def test_loading_leaves_the_working_directory_and_the_module_path_alone(plugins):
    import sys

    before = os.getcwd(), list(sys.path), set(sys.modules)
    plugins.add()
    plugins.host.load("acme")
    assert (os.getcwd(), list(sys.path)) == before[:2]
    assert not {name for name in set(sys.modules) - before[2] if "acme" in name}
