import os

import pytest

from provd.plugin.paths import is_inside, roots_of


@pytest.fixture
def plugin(tmp_path):
    """A plugin's directory: its served root, other things of its own, and a neighbour."""
    plugin = tmp_path / "plugins" / "one"
    root = plugin / "var" / "tftpboot"
    (root / "sub").mkdir(parents=True)
    (root / "a.cfg").write_text("a")
    (plugin / "pkgs").mkdir()
    (plugin / "pkgs" / "firmware.bin").write_text("firmware")
    (tmp_path / "plugins" / "one-other").mkdir()
    (tmp_path / "plugins" / "one-other" / "secret").write_text("secret")
    (plugin / "var" / "tftpboot-other").mkdir()
    return plugin


def inside(plugin, name):
    root = plugin / "var" / "tftpboot"
    return is_inside(str(root / name), (str(root), str(plugin)))


def link(plugin, name, target):
    (plugin / "var" / "tftpboot" / name).symlink_to(target)
    return name


@pytest.mark.parametrize("name", ["a.cfg", "sub", "sub/none.cfg", "none", ""])
def test_what_lies_there_is_inside(plugin, name):
    assert inside(plugin, name)


def test_links_inside_the_root_and_into_the_plugin_are_inside(plugin):
    assert inside(plugin, link(plugin, "b.cfg", "a.cfg"))
    assert inside(plugin, link(plugin, "sub/c.cfg", "../a.cfg"))
    assert inside(plugin, link(plugin, "f.bin", plugin / "pkgs" / "firmware.bin"))
    link(plugin, "packages", plugin / "pkgs")
    assert inside(plugin, "packages/firmware.bin")
    assert inside(plugin, link(plugin, "chain", "f.bin"))


def test_links_out_are_outside_also_behind_others_and_without_a_target(plugin):
    neighbour = plugin.parent / "one-other"
    assert not inside(plugin, link(plugin, "passwd", "/etc/passwd"))
    assert not inside(plugin, link(plugin, "chain", "passwd"))
    assert not inside(plugin, link(plugin, "up", "../../../one-other/secret"))
    assert not inside(plugin, link(plugin, "nothing", "/nowhere/at/all"))
    link(plugin, "neighbour", neighbour)
    assert not inside(plugin, "neighbour/secret")
    assert not inside(plugin, "neighbour/none")
    assert not inside(plugin, link(plugin, "loop", "/proc/self/root/etc/passwd"))
    assert not is_inside(str(neighbour / "secret"), (str(plugin),))


def test_dots_are_followed_too(plugin):
    link(plugin, "etc", "/etc")
    assert not inside(plugin, "etc/../a.cfg")
    assert not inside(plugin, "../../../one-other/secret")


def test_a_root_may_be_a_link_itself(plugin, tmp_path):
    shared = tmp_path / "shared"
    os.rename(plugin / "var" / "tftpboot", shared)
    (plugin / "var" / "tftpboot").symlink_to(shared)
    assert inside(plugin, "a.cfg")
    (shared / "b.cfg").symlink_to(shared / "a.cfg")
    assert inside(plugin, "b.cfg")
    assert not inside(plugin, link(plugin, "passwd", "/etc/passwd"))


def test_a_service_of_the_standard_directory_may_follow_links_into_its_plugin():
    assert roots_of("/p/one/var/tftpboot") == ("/p/one/var/tftpboot", "/p/one")
    assert roots_of("/srv/files/") == ("/srv/files",)
    assert roots_of("/srv/xvar/tftpboot") == ("/srv/xvar/tftpboot",)
