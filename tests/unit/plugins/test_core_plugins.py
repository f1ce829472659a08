"""The plugins `zero` and `null`, and what holds for all of ours."""

import os

import pytest

from provd.plugin import builder
from provd.plugin.api import DeviceSupport, InvalidDocument
from tests.unit.plugins import vendor_plugins

DEVICE = {"id": "d1", "mac": "80:5e:c0:12:34:56"}
ALL_IDS = [
    target.plugin_id
    for family in vendor_plugins.families()
    for target in builder.read_targets(family)
]


class Response:
    def __init__(self):
        self.answer = None

    def accept(self, fobj):
        with fobj:
            self.answer = fobj.read()

    def reject(self, errcode, errmsg):
        self.answer = (errcode, errmsg)


def read_by_tftp(plugin, name):
    response = Response()
    plugin.tftp_service.handle_read_request({"packet": {"filename": name}}, response)
    return response.answer


def test_zero_serves_its_directory_and_accepts_any_device(load_plugin):
    plugin = load_plugin("zero")
    with open(os.path.join(plugin._tftpboot_dir, "anything.txt"), "wb") as stream:
        stream.write(b"content")
    assert read_by_tftp(plugin, b"anything.txt") == b"content"
    assert plugin.http_service.getChild(b"anything.txt", Get()).getContent() == b"content"
    plugin.configure(DEVICE, {})
    plugin.deconfigure(DEVICE)
    assert os.listdir(plugin._tftpboot_dir) == ["anything.txt"]


class Get:
    method = b"GET"
    postpath = ()


def test_null_serves_nothing_and_refuses_every_device(load_plugin):
    plugin = load_plugin("null")
    assert plugin.http_service is None
    assert read_by_tftp(plugin, b"anything.txt") == (b"\x00\x01", "File not found")
    with pytest.raises(InvalidDocument):
        plugin.configure(DEVICE, {})
    plugin.deconfigure(DEVICE)


@pytest.mark.parametrize("plugin_id", ["zero", "null"])
@pytest.mark.parametrize("info", [{}, {"vendor": "Yealink", "model": "T46S"}])
def test_zero_and_null_are_never_chosen_by_themselves(load_plugin, plugin_id, info):
    assert load_plugin(plugin_id).pg_associator.associate(info) < DeviceSupport.PROBABLE


@pytest.mark.parametrize("plugin_id", ALL_IDS)
def test_every_plugin_loads_as_the_daemon_loads_it_and_describes_itself(load_plugin, plugin_id):
    plugin = load_plugin(plugin_id)
    assert plugin.id == plugin_id
    info = vendor_plugins.read_json(plugin._plugin_dir, "plugin-info")
    assert info["version"]
    assert info["description"] != info["description_fr"]
    assert all(len(name.split(", ")) == 3 for name in info["capabilities"])
    assert info["capabilities"]
