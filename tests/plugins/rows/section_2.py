"""Loading, as the loaded plugin sees it."""

# ruff: noqa: F821 - the loader and entry.py give names

import os
import sys


@row("2.execfile_relative")
def execfile_relative(plugin):
    scope = {}
    execfile_("common.py", scope)
    assert scope["RequestType"] is common["RequestType"]
    assert scope["execfile_"] is execfile_


@row("2.execfile_traceback")
def execfile_traceback(plugin):
    path = os.path.join(plugin._plugin_dir, "common.py")
    assert common["BaseRowsPlugin"].file_of.__code__.co_filename == path


@row("2.execfile_scopes")
def execfile_scopes(plugin):
    path = os.path.join(plugin._plugin_dir, "var", "scopes.py")
    with open(path, "w") as stream:
        stream.write("A = 1\n")
    first, second = {}, {}
    execfile_(path, first, second)
    assert "A" not in first
    assert second["A"] == 1


@row("2.file_and_name")
def file_and_name(plugin):
    assert common["NAME_OF_FILE"] == os.path.join(plugin._plugin_dir, "common.py")
    assert __name__ != "__main__"


@row("2.cwd_and_path")
def cwd_and_path(plugin):
    assert os.getcwd() != plugin._plugin_dir
    assert plugin._plugin_dir not in sys.path


@row("2.app")
def the_app(plugin):
    assert plugin.app is not None
    assert plugin.app.pg_mgr[plugin.id] is plugin


@row("2.plugin_dir")
def plugin_dir(plugin):
    assert os.path.isabs(plugin._plugin_dir)
    assert os.path.basename(plugin._plugin_dir) == plugin.id


@row("2.gen_cfg")
def gen_cfg(plugin):
    assert plugin.gen_cfg["base_storage_dir"]
    assert plugin.gen_cfg["proxies"] is plugin.app.proxies


@row("2.spec_cfg")
def spec_cfg(plugin):
    assert plugin.spec_cfg == {"shade": plugin.id}


@row("2.id_is_set_afterwards")
def id_is_set_afterwards(plugin):
    assert plugin.id_in_constructor is None
    assert plugin.id.startswith("rows-")


@row("2.first_marked_class")
def first_marked_class(plugin):
    assert type(plugin).__name__ == "RowsPlugin"


@row("2.directories")
def directories(plugin):
    for name in (
        "templates",
        "pkgs",
        "var/templates",
        "var/tftpboot",
        "var/cache",
        "var/installed",
    ):
        assert os.path.isdir(os.path.join(plugin._plugin_dir, name)), name


@row("2.configure_common_at_load")
def configure_common_at_load(plugin):
    assert plugin.calls[:2] == ["constructor", "configure_common"]
    assert plugin.common_keys >= {"ip", "http_port", "tftp_port", "http_base_url"}
