"""The plugin that docs/plugins.md shows works as it stands there."""

import os
import re

import pytest

from provd.plugin import api, builder
from provd.plugin.api import DeviceSupport, InvalidDocument, PhoneRequest, RequestType
from provd.plugin.host import PluginHost
from tests.unit.plugins import vendor_plugins

PAGE = os.path.join(os.path.dirname(vendor_plugins.ROOT), "docs", "plugins.md")
FILES = ("v2/entry.py", "v2/templates/base.tpl", "v2/plugin-info", "build.toml")
DEVICE = {"id": "d1", "mac": "00:11:22:33:44:55", "model": "A1"}
RAW_CONFIG = {
    "sip_lines": {"1": {"proxy_ip": "10.0.0.1", "username": "u1", "password": "p\nline.2.user: x"}},
    "funckeys": {
        "2": {"type": "blf", "value": "1002", "label": "Bob & Zoé"},
        "3": {"type": "park", "value": "700"},
        "5": {"type": "blf", "value": "1005"},
    },
}


def read_page():
    with open(PAGE, encoding="utf-8") as stream:
        return stream.read()


@pytest.fixture
def plugin(tmp_path):
    page = read_page()
    for name in FILES:
        path = tmp_path / "acme" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shown = name.removeprefix("v2/")
        match = re.search(
            rf"^`{re.escape(shown)}`:\n\n```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
        )
        assert match, name
        path.write_text(match[1], encoding="utf-8")
    builder.build(str(tmp_path / "acme"), str(tmp_path / "plugins"))
    host = PluginHost(
        str(tmp_path / "plugins"),
        general_config={},
        plugin_config={},
        base_raw_config=vendor_plugins.BASE_RAW_CONFIG,
    )
    yield host.load("provd-acme-v2").plugin
    host.close()


def test_documented_plugin_recognises_its_phones(plugin):
    agent = "Acme A1 2.0.1 00:11:22:33:44:55"
    info = plugin.extract(PhoneRequest(RequestType.HTTP, path="/x", user_agent=agent))
    assert info == {
        "vendor": "Acme",
        "model": "A1",
        "version": "2.0.1",
        "mac": "00:11:22:33:44:55",
    }
    assert plugin.associate(info) == DeviceSupport.EXACT
    assert plugin.extract(PhoneRequest(RequestType.TFTP, path="acme-001122334455.cfg")) is None


def test_documented_plugin_writes_its_files(plugin):
    plugin.configure(dict(DEVICE), RAW_CONFIG)
    with open(plugin.path_of("acme-001122334455.cfg"), encoding="utf-8") as stream:
        assert stream.read().splitlines() == [
            "line.1.server: 10.0.0.1",
            "line.1.user: u1",
            "line.1.password: p line.2.user: x",
            "key.2: watch 1002 Bob & Zoé",
            "key.3: park 700 700",
        ]
    with pytest.raises(InvalidDocument):
        plugin.configure({"id": "d2"}, RAW_CONFIG)


def test_every_name_of_the_plugin_api_is_documented():
    names = read_page().partition("## Names in `provd.plugin.api`")[2]
    assert {name for name in api.__all__ if f"`{name}`" not in names} == set()
