"""The plugin that docs/plugins.md shows works as it stands there."""

import os
import re

import pytest

from provd.plugin import api, builder
from provd.plugin.api import DeviceSupport, InvalidDocument, PhoneRequest, RequestType
from provd.plugin.host import PluginHost
from provd.plugin.lint import lint
from provd.plugin.phones import family
from tests.unit.plugins import vendor_plugins

PAGE = os.path.join(os.path.dirname(vendor_plugins.ROOT), "docs", "plugins.md")
FILES = ("v2/entry.py", "v2/templates/base.tpl", "v2/plugin-info", "build.toml")
FAMILY_SECTION = "\n## A family of phones\n"
GOLDEN = "tests/golden/1.2.0/B2/keys"
FAMILY_FILES = (
    "family.toml",
    "format.py",
    "templates/base.tpl",
    "tests/parser.py",
    "tests/requests.json",
    f"{GOLDEN}/device.json",
    f"{GOLDEN}/raw_config.json",
    f"{GOLDEN}/expected/0022334455aa.cfg",
)
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


def write_sources(page, directory, names):
    """Write the files that a page shows as "`name`:" and a block of code."""
    for name in names:
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shown = name.removeprefix("v2/")
        match = re.search(
            rf"^`{re.escape(shown)}`:\n\n```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL
        )
        assert match, name
        path.write_text(match[1], encoding="utf-8")


@pytest.fixture
def load(tmp_path):
    hosts = []

    def load(family, plugin_id):
        builder.build(str(tmp_path / family), str(tmp_path / "plugins"))
        host = PluginHost(
            str(tmp_path / "plugins"),
            general_config={},
            plugin_config={},
            base_raw_config=vendor_plugins.BASE_RAW_CONFIG,
        )
        hosts.append(host)
        return host.load(plugin_id).plugin

    yield load
    for host in hosts:
        host.close()


@pytest.fixture
def plugin(tmp_path, load):
    page = read_page().partition(FAMILY_SECTION)[0]
    write_sources(page, tmp_path / "acme", FILES)
    return load("acme", "provd-acme-v2")


@pytest.fixture
def family_plugin(tmp_path, load):
    section = read_page().partition(FAMILY_SECTION)[2]
    write_sources(section, tmp_path / "birch", FAMILY_FILES)
    return load("birch", "provd-birch")


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


def test_documented_family_recognises_its_phones(family_plugin, tmp_path):
    for sample in vendor_plugins.read_json(tmp_path, "birch/tests/requests.json"):
        request = PhoneRequest(
            RequestType(sample["protocol"]),
            path=sample["path"],
            user_agent=sample.get("user_agent"),
        )
        assert family_plugin.extract(request) == sample["expected"]
    info = {"vendor": "Birch", "model": "B4", "version": "1.2.0"}
    assert family_plugin.associate(info) == DeviceSupport.EXACT


def test_documented_family_renders_its_golden_case_and_logs_the_line_that_is_left_out(
    family_plugin, tmp_path, caplog
):
    golden = tmp_path / "birch" / GOLDEN
    device = vendor_plugins.read_json(golden, "device.json")
    [file] = family_plugin.render(device, vendor_plugins.read_json(golden, "raw_config.json"))
    assert file.name == "0022334455aa.cfg"
    assert file.content.decode() == (golden / "expected" / file.name).read_text("utf-8")
    [message] = [record.getMessage() for record in caplog.records]
    assert message == "device d1: line 3 is left out: the phone has 2"
    assert message in " ".join(read_page().split())
    parser = vendor_plugins.load_parser(str(tmp_path / "birch" / "tests" / "parser.py"))
    assert ("account.1.server", "10.0.0.1:5061") in parser.parse(file.content)


def test_documented_family_has_nothing_to_find(family_plugin):
    assert lint(family_plugin._plugin_dir) == []


def test_every_key_of_a_family_is_documented():
    section = read_page().partition("\n### `family.toml`\n")[2].partition("\n### ")[0]
    assert {name for name in family._TOP if f"{name}" not in section} == set()


def test_every_name_that_templates_may_use_is_documented(family_plugin):
    section = read_page().partition("\n### What templates may use\n")[2].partition("\n## ")[0]
    phone = family_plugin.read(dict(DEVICE), {**vendor_plugins.BASE_RAW_CONFIG})
    assert {
        name for name in family_plugin.neutral_context(phone) if f"`{name}`" not in section
    } == set()


def test_every_name_of_the_plugin_api_is_documented():
    names = read_page().partition("## Names in `provd.plugin.api`")[2]
    assert {name for name in api.__all__ if f"`{name}`" not in names} == set()
