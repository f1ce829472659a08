"""A plugin that blocks, raises or writes elsewhere is named in the log and in the status."""

import json

import pytest

PLUGIN = """
import os, time
from {root}.plugins import StandardPlugin
from {root}.devices.config import RawConfigError


class P(StandardPlugin):
    IS_PLUGIN = True

    def configure(self, device, raw_config):
        conduct = raw_config['X_conduct']
        if conduct == 'blocks':
            time.sleep(1.1)
        elif conduct == 'raises':
            raise RawConfigError('not like this')
        elif conduct == 'writes':
            with open(os.path.join(self._plugin_dir, '..', 'escaped-' + self.id), 'w') as stream:
                stream.write('x')
        with open(os.path.join(self._tftpboot_dir, device['id']), 'w') as stream:
            stream.write(conduct)
"""
ROOTS = {"conduct-wazo": "wazo_provd", "conduct-old": "provd"}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    from harness import Daemon

    state = tmp_path_factory.mktemp("conduct")
    for plugin_id, root in ROOTS.items():
        folder = state / "plugins" / plugin_id
        (folder / "var" / "tftpboot").mkdir(parents=True)
        (folder / "plugin-info").write_text(
            json.dumps({"version": "1", "description": "", "capabilities": {}})
        )
        (folder / "entry.py").write_text(PLUGIN.replace("{root}", root))
    daemon = Daemon(state, plugins=None).start()
    yield daemon
    daemon.stop()


def conduct(daemon, plugin_id, what, logged=""):
    """Configure a device in a certain way; return whether it is configured, and the status.

    The log must say `logged`.
    """
    name = f"{what}-{plugin_id}"
    config = {"id": name, "parent_ids": [], "raw_config": {"X_conduct": what}}
    assert daemon.post("/cfg_mgr/configs", {"config": config}).status == 201
    # A plugin may refuse a device without a MAC address: that is not worth a traceback.
    mac = f"00:15:65:{name.encode().hex()[:2]}:{len(name):02x}:{ord(plugin_id[-1]):02x}"
    device = {"id": name, "plugin": plugin_id, "config": name, "mac": mac}
    assert daemon.post("/dev_mgr/devices", {"device": device}).status == 201
    configured = daemon.get(f"/dev_mgr/devices/{name}").json["device"]["configured"]
    daemon.wait_for(lambda: logged in daemon.log, logged)
    return configured, daemon.get("/status").json["plugins"][plugin_id]


@pytest.mark.parametrize("plugin_id", ROOTS)
def test_a_plugin_that_behaves_is_not_named(running, plugin_id):
    configured, status = conduct(running, plugin_id, "behaves")
    assert configured
    assert status["calls"] > 0
    keys = ("errors", "slow_calls", "outside_writes")
    assert [status[key] for key in keys] == [0, 0, 0]
    keys = ("last_error", "last_slow", "last_outside_write")
    assert [status[key] for key in keys] == [None, None, None]


@pytest.mark.parametrize("plugin_id", ROOTS)
def test_a_plugin_that_blocks_is_named(running, plugin_id):
    line = f"plugin {plugin_id} held the loop for 1.1 s in configure"
    configured, status = conduct(running, plugin_id, "blocks", line)
    assert configured
    assert status["slow_calls"] == 1
    assert status["last_slow"] == "configure: 1.1 s"
    assert status["slowest_seconds"] >= 1.1
    assert status["seconds"] >= 1.1


@pytest.mark.parametrize("plugin_id", ROOTS)
def test_a_plugin_that_raises_is_named(running, plugin_id):
    before = running.get("/status").json["plugins"][plugin_id]["errors"]
    line = f"plugin {plugin_id} failed in configure"
    configured, status = conduct(running, plugin_id, "raises", line)
    assert not configured
    assert status["errors"] == before + 1
    assert "not like this" in status["last_error"]


@pytest.mark.parametrize("plugin_id", ROOTS)
def test_a_plugin_that_writes_elsewhere_is_named(running, plugin_id):
    path = str(running.state / "plugins" / f"escaped-{plugin_id}")
    line = f"plugin {plugin_id} writes outside of its directory in configure (entry.py:17): {path}"
    configured, status = conduct(running, plugin_id, "writes", line)
    assert configured
    assert status["outside_writes"] == 1
    assert status["last_outside_write"] == f"configure (entry.py:17): {path}"
