"""What a plugin changes outside of its directory is told, with its line, and nothing else is."""

import json
import logging
import os
import subprocess
import sys
import textwrap
import threading

import pytest

from provd.errors import PluginError
from provd.plugin.host import PluginHost
from provd.plugin.watch import Watch

ENTRY = """
import os, pathlib, shutil, subprocess, sys, tempfile, threading, logging
from provd.plugin.api import StandardPlugin
class P(StandardPlugin):
    IS_PLUGIN = True
    def configure(self, device, raw_config):
        inside, outside, host = self._plugin_dir, device['outside'], device.get('host')
"""


class Plugins:
    def __init__(self, directory):
        self.directory = directory / "plugins"
        self.outside = directory / "outside"
        self.outside.mkdir(parents=True)
        (self.outside / "old").write_text("old")
        self.host = PluginHost(
            str(self.directory), general_config={}, plugin_config={}, base_raw_config={}
        )

    def add(self, code, plugin_id="acme", entry=ENTRY):
        folder = self.directory / plugin_id
        folder.mkdir(parents=True)
        (folder / "plugin-info").write_text(
            json.dumps({"version": "1", "description": "", "capabilities": {}})
        )
        (folder / "entry.py").write_text(entry + textwrap.indent(code, " " * 8) + "\n")
        return self.host.load(plugin_id)

    def configure(self, loaded):
        self.host.recorded(
            loaded, "configure", {"outside": str(self.outside), "host": self.host}, {}
        )
        return loaded.stats


@pytest.fixture
def plugins(tmp_path):
    return Plugins(tmp_path)


CHANGES = {
    "open for writing": ("open(outside + '/new', 'w').close()", "new"),
    "open for adding": ("open(outside + '/old', 'a').close()", "old"),
    "open for reading and writing": ("open(outside + '/old', 'r+b').close()", "old"),
    "open with a path object": ("pathlib.Path(outside, 'new').write_text('x')", "new"),
    "open with bytes": ("open(os.fsencode(outside) + b'/new', 'wb').close()", "new"),
    "open of the system": ("os.close(os.open(outside + '/new', os.O_CREAT | os.O_WRONLY))", "new"),
    "relative name": ("open(os.path.relpath(outside) + '/new', 'w').close()", "new"),
    "name that leads up": ("open(inside + '/../../outside/new', 'w').close()", "new"),
    "sibling whose name begins alike": (
        "open(inside + '-2', 'w').close()",
        "../plugins/acme-2",
    ),
    "rename": ("open(inside + '/x', 'w').close(); os.replace(inside + '/x', outside + '/n')", "n"),
    "move away": ("os.rename(outside + '/old', inside + '/x')", "old"),
    "copy": ("shutil.copy(inside + '/entry.py', outside)", "entry.py"),
    "remove": ("os.remove(outside + '/old')", "old"),
    "remove a tree": ("os.mkdir(outside + '/t'); shutil.rmtree(outside + '/t')", "t"),
    "make a directory": ("os.makedirs(outside + '/a')", "a"),
    "remove a directory": ("os.mkdir(outside + '/a'); os.rmdir(outside + '/a')", "a"),
    "symbolic link outside": ("os.symlink('x', outside + '/l')", "l"),
    "symbolic link that leads out": ("os.symlink(outside + '/old', inside + '/l')", "old"),
    "relative link that leads out": ("os.symlink('../../outside/old', inside + '/l')", "old"),
    "hard link": ("os.link(inside + '/entry.py', outside + '/l')", "l"),
    "mode": ("os.chmod(outside + '/old', 0o600)", "old"),
    "times": ("os.utime(outside + '/old')", "old"),
    "length": ("os.truncate(outside + '/old', 0)", "old"),
    "temporary file": ("os.close(tempfile.mkstemp(dir=outside, prefix='tmp')[0])", "tmp"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_outside_is_named_with_the_line_that_makes_it(plugins, caplog, change):
    code, name = CHANGES[change]
    stats = plugins.configure(plugins.add(code))
    path = os.path.normpath(plugins.outside / name)
    told = [r.getMessage() for r in caplog.records if r.name == "provd.plugin.host"]
    assert told[0].startswith(
        f"plugin acme writes outside of its directory in configure (entry.py:8): {path}"
    )
    assert stats.outside_writes >= 1
    assert stats.last_outside_write.startswith("configure (entry.py:8): ")
    assert stats.errors == 0


HARMLESS = {
    "own files": "open(inside + '/x', 'w').close(); os.rename(inside + '/x', inside + '/y')",
    "own directory": "os.makedirs(inside + '/var/a/b'); shutil.rmtree(inside + '/var')",
    "own link": "os.makedirs(inside + '/var'); os.symlink('../entry.py', inside + '/var/l')",
    "reading": "open(outside + '/old').read(); os.listdir(outside); os.stat(outside)",
    "device file": "open(os.devnull, 'w').close()",
    "descriptor": "r, w = os.pipe(); open(w, 'w').close(); os.close(r)",
}


@pytest.mark.parametrize("code", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_changes_nothing_outside_is_not_named(plugins, caplog, code):
    stats = plugins.configure(plugins.add(code))
    assert (stats.outside_writes, stats.last_outside_write) == (0, None)
    assert "writes outside" not in caplog.text


def test_a_plugins_directory_that_is_a_link_is_inside_by_both_names(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    plugins = Plugins(tmp_path / "link")
    code = "open(os.path.realpath(inside) + '/x', 'w').close(); open(inside + '/y', 'w').close()"
    assert plugins.configure(plugins.add(code)).outside_writes == 0


def test_an_attempt_that_fails_is_named_too(plugins):
    loaded = plugins.add("open(outside + '/missing/x', 'w')")
    with pytest.raises(PluginError):
        plugins.configure(loaded)
    assert loaded.stats.outside_writes == 1
    assert loaded.stats.errors == 1


def test_what_is_written_while_the_plugin_is_loaded_counts(plugins):
    entry = f"open({str(plugins.outside / 'at-load')!r}, 'w').close()\n" + ENTRY
    loaded = plugins.add("pass", entry=entry)
    assert loaded.stats.last_outside_write.startswith("load (entry.py:1): ")


def test_each_path_is_named_once_in_the_log_and_counted_always(plugins, caplog):
    loaded = plugins.add("open(outside + '/new', 'w').close()")
    for _ in range(5):
        plugins.configure(loaded)
    assert loaded.stats.outside_writes == 5
    assert caplog.text.count("writes outside") == 1


def test_ever_new_names_do_not_fill_the_log(plugins, caplog):
    loaded = plugins.add("[open(f'{outside}/{n}', 'w').close() for n in range(200)]")
    plugins.configure(loaded)
    assert loaded.stats.outside_writes == 200
    assert caplog.text.count("writes outside") == 20


def test_the_daemons_own_files_are_not_laid_to_the_plugins_charge(plugins, tmp_path):
    handler = logging.FileHandler(tmp_path / "late.log", delay=True)
    logger = logging.getLogger("plugin.acme")
    logger.addHandler(handler)
    try:
        stats = plugins.configure(plugins.add("logging.getLogger('plugin.acme').error('x')"))
    finally:
        logger.removeHandler(handler)
        handler.close()
    assert (tmp_path / "late.log").read_text() == "x\n"
    assert stats.outside_writes == 0


def test_compiled_code_of_a_module_that_a_plugin_imports_first_is_no_write(
    plugins, tmp_path, monkeypatch
):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "imported_first.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path / "lib"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    stats = plugins.configure(plugins.add("import imported_first"))
    assert list((tmp_path / "lib" / "__pycache__").iterdir())
    sys.modules.pop("imported_first")
    assert stats.outside_writes == 0


def test_a_plugin_whose_code_runs_within_another_ones_answers_for_itself(plugins):
    inner = plugins.add("open(outside + '/inner', 'w').close()", "inner")
    outer = plugins.add(
        "host.recorded(host.get('inner'), 'configure', dict(device), {})\n"
        "open(outside + '/outer', 'w').close()",
        "outer",
    )
    plugins.configure(outer)
    assert (inner.stats.outside_writes, outer.stats.outside_writes) == (1, 1)
    assert inner.stats.last_outside_write.endswith("/inner")
    assert outer.stats.last_outside_write.endswith("/outer")


class Noted(Watch):
    def __init__(self, directory):
        super().__init__(directory)
        self.paths = []

    def changed(self, path, line):
        self.paths.append((path, line))


def test_what_others_write_meanwhile_or_afterwards_is_not_seen(tmp_path):
    def write(name):
        (tmp_path / name).write_text("x")

    watch = Noted(str(tmp_path / "acme"))
    with watch:
        other = threading.Thread(target=write, args=("other-thread",))
        other.start()
        other.join()
        os.listdir(tmp_path)
    write("afterwards")
    assert watch.paths == []


def test_a_watch_ends_with_an_exception_too(tmp_path):
    watch = Noted(str(tmp_path / "acme"))
    with pytest.raises(KeyError), watch:
        raise KeyError
    (tmp_path / "x").write_text("x")
    assert watch.paths == []


def test_a_mistake_in_the_watch_does_not_fail_what_the_plugin_does(tmp_path):
    class Broken(Watch):
        def changed(self, path, line):
            raise RuntimeError(path)

    with Broken(str(tmp_path / "acme")):
        (tmp_path / "x").write_text("x")
    assert (tmp_path / "x").read_text() == "x"


def test_the_command_line_is_not_slowed_by_a_hook_it_does_not_need():
    """What does not run plugins does not import the hook."""
    code = (
        "import sys, provd.plugin.api, provd.settings; print('provd.plugin.watch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"
