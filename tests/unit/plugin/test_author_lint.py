"""`provd-plugin lint` finds what is wrong with a plugin, `provd-plugin try` shows what it makes."""

import json
import os
import re
import subprocess
import sys

import pytest

from provd import compat
from provd.model.rawconfig import validate_merged
from provd.plugin import author, builder
from provd.plugin.lint import lint, standard_configs
from provd.plugin.phones.family import MODEL_TYPES
from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.test_documented_plugin import FILES, read_page

ACME = "provd-acme-v2"
# Old names of both roots, as plugins of other origins use them.
LEGACY = """
import os
from provd.devices.pgasso import BasePgAssociator, FULL_SUPPORT, UNKNOWN_SUPPORT
from provd.plugins import StandardPlugin, TemplatePluginHelper
from wazo_provd import tzinform

class Associator(BasePgAssociator):
    def _do_associate(self, vendor, model, version):
        return FULL_SUPPORT if vendor == 'Old' else UNKNOWN_SUPPORT

class OldPlugin(StandardPlugin):
    IS_PLUGIN = True
    pg_associator = Associator()

    def __init__(self, app, plugin_dir, gen_cfg, spec_cfg):
        StandardPlugin.__init__(self, app, plugin_dir, gen_cfg, spec_cfg)
        assert gen_cfg['http_auth_strategy'] is None
        self._tpl = TemplatePluginHelper(plugin_dir)

    def _path(self, device):
        return os.path.join(self._tftpboot_dir, device['mac'].replace(':', '') + '.cfg')

    def configure(self, device, raw_config):
        raw_config['XX_zone'] = tzinform.get_timezone_info(raw_config.get('timezone', 'UTC'))
        template = self._tpl.get_dev_template('', device)
        self._tpl.dump(template, raw_config, self._path(device), 'UTF-8')

    def deconfigure(self, device):
        os.remove(self._path(device))

    def get_remote_state_trigger_filename(self, device):
        return os.path.basename(self._path(device))

    def is_sensitive_filename(self, filename):
        return filename.endswith('.cfg')
"""


@pytest.fixture
def acme(tmp_path):
    """The plugin that the documentation shows, built: the directory of it."""
    for name in FILES:
        path = tmp_path / "acme" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shown = re.escape(name.removeprefix("v2/"))
        match = re.search(
            rf"^`{shown}`:\n\n```\w+\n(.*?)^```$", read_page(), re.MULTILINE | re.DOTALL
        )
        path.write_text(match[1], encoding="utf-8")
    builder.build(str(tmp_path / "acme"), str(tmp_path / "plugins"))
    return tmp_path / "plugins" / ACME


@pytest.fixture
def old(tmp_path):
    """A plugin in the way of the old import names."""
    directory = tmp_path / "old-1"
    (directory / "templates").mkdir(parents=True)
    info = {"version": "1", "description": "x", "capabilities": {"Old, O1, 1": {"protocol": "sip"}}}
    (directory / "plugin-info").write_text(json.dumps(info))
    (directory / "entry.py").write_text(LEGACY)
    (directory / "templates" / "base.tpl").write_text(
        "{{ XX_zone.utcoffset.as_seconds }} {{ sip_lines['1'].password }}"
    )
    return directory


def change(directory, name, old_text, new_text):
    path = directory / name
    text = path.read_text(encoding="utf-8")
    assert old_text in text
    path.write_text(text.replace(old_text, new_text), encoding="utf-8")


def tree(directory):
    """Everything about the files below a directory that a program could have changed."""
    found = {}
    for path in sorted(directory.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else None
        found[path] = (status.st_mode, status.st_ino, status.st_mtime_ns, content)
    return found


def texts(directory):
    return [str(finding) for finding in lint(str(directory))]


# Lint: what is sound


@pytest.mark.parametrize("family", ["zero", "null"])
def test_our_small_plugins_are_linted_from_their_sources(family, capsys):
    assert author.main(["lint", os.path.join(vendor_plugins.ROOT, family)]) == 0
    assert capsys.readouterr().out == f"{family}: 0 errors, 0 warnings\n"


@pytest.mark.parametrize("family", sorted(map(os.path.basename, vendor_plugins.families())))
def test_our_vendor_plugins_have_nothing_to_find(tmp_path, family):
    [built] = builder.build(os.path.join(vendor_plugins.ROOT, family), str(tmp_path))
    assert lint(built) == []


def test_the_documented_plugin_has_nothing_to_find_and_is_left_as_it_was(acme, capsys):
    before = tree(acme)
    assert author.main(["lint", str(acme.parent)]) == 0
    assert capsys.readouterr().out == f"{ACME}: 0 errors, 0 warnings\n"
    assert author.main(["try", str(acme), "--model", "A1"]) == 0
    assert tree(acme) == before


def test_a_plugin_with_old_import_names_is_loaded_as_the_daemon_does_it(old):
    # In a process of its own: here, the old names may be there already.
    command = [sys.executable, "-m", "provd.compat.author_tools", "lint", str(old)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("old-1: 0 errors, 0 warnings\n", 0), done.stderr


def test_a_quirk_applies_as_in_the_daemon(old):
    seen = []

    def quirk(plugin_id, path, source, namespace):
        seen.append((plugin_id, os.path.basename(path), "OldPlugin" in namespace))

    compat.install()
    lint(str(old), quirk)
    assert seen == [("old-1", "entry.py", True)]


@pytest.mark.parametrize("protocol", ["sip", "sccp"])
@pytest.mark.parametrize("lines", [None, 0, 1, 16])
def test_plugins_are_tried_with_configs_that_the_daemon_would_give_them(protocol, lines):
    configs = standard_configs({"protocol": protocol, "lines": lines, "function_keys": 40})
    for config in configs.values():
        validate_merged(config)
    assert len(configs["minimal"]["sip_lines"]) == 1
    assert len(configs["rich"]["sip_lines"]) == max(lines or 1, 1)
    assert len(configs["rich"]["funckeys"]) == 40
    assert bool(configs["minimal"]["sccp_call_managers"]) is (protocol == "sccp")


# Lint: what is wrong

WHERE = "[Acme A1 2.0.1, minimal config, and 1 more]"


@pytest.mark.parametrize(
    ("name", "old_text", "new_text", "expected"),
    [
        ("plugin-info", '"Acme, A1, 2.0.1"', '"Acme A1"', "error: plugin-info: capabilities: 'Acme A1' is not 'Vendor, Model, Version'"),
        ("plugin-info", '"lines": 2', '"lines": "2"', "error: plugin-info: capabilities: lines must be a number [Acme, A1, 2.0.1]"),
        ("plugin-info", '"lines": 2', '"switchboard": 1', "error: plugin-info: capabilities: switchboard must be true or false [Acme, A1, 2.0.1]"),
        ("plugin-info", '"lines": 2', '"colour": 2', "warning: plugin-info: capabilities: colour is not a known one [Acme, A1, 2.0.1]"),
        ("plugin-info", '"lines": 2', '"lines": 2, "lines": 3', "error: plugin-info: the key 'lines' is there twice"),
        ("plugin-info", '"protocol": "sip"', '"protocol": "SIP"', "error: plugin-info: capabilities: protocol must be sip or sccp [Acme, A1, 2.0.1]"),
        ("plugin-info", '"1.0.0"', '"1/0"', "error: plugin-info: version: "),
        ("plugin-info", '"version"', '"plugin_iface_version_min": "0.2", "version"', "error: plugin-info: plugin_iface_version_min: must be a number"),
        ("plugin-info", '"version"', '"plugin_iface_version_min": 0.3, "version"', f"error: plugin {ACME} wants plugin_iface_version_min 0.3; this is 0.2"),
        ("plugin-info", '"version"', '"description_french": "x", "version"', "warning: plugin-info: description_french: not a language"),
        ("plugin-info", '"description"', '"about"', "error: plugin-info: 'description' must be a text"),
        ("plugin-info", "{", "[", "error: plugin-info: not JSON in UTF-8: "),
        ("entry.py", "MODELS = {", "MODELS = 1 / {", "error: plugin provd-acme-v2 cannot be loaded: TypeError: unsupported operand type(s) for /: 'int' and 'dict' (entry.py:16)"),
        ("entry.py", "IS_PLUGIN = True", "IS_PLUGIN = False", "error: plugin provd-acme-v2 has no class with IS_PLUGIN = True"),
        ("templates/base.tpl", "{% endfor %}", "{% end %}", "error: template base.tpl, line 5: Encountered unknown tag 'end'"),
        ("templates/base.tpl", "|dictsort", "|sorted", "error: template base.tpl, line 1: No filter named 'sorted'."),
        ("templates/base.tpl", "line.proxy_ip", "line.proxy", f"error: UndefinedError: 'dict object' has no attribute 'proxy' (templates/base.tpl:2) {WHERE}"),
        ("entry.py", "KEY_TYPES[key", "KEY_TYPE[key", "error: NameError: name 'KEY_TYPE' is not defined (entry.py:57) [Acme A1 2.0.1, rich config]"),
        ("entry.py", '!= "Acme"', '!= "Other"', "error: a model of its own gets 0, so no such phone gets the plugin (300 is needed) [Acme A1 2.0.1]"),
        ("entry.py", "DeviceSupport.UNKNOWN", "DeviceSupport.EXACT", "error: it claims a phone it knows nothing of: association gives 600"),
        ("entry.py", "DeviceSupport.NONE", "DeviceSupport.EXACT", "error: it claims a phone of another vendor: association gives 600"),
        ("entry.py", "return DeviceSupport.UNKNOWN", "return None", "error: association gives None, not a number"),
        ("entry.py", 'info.get("vendor") is None', 'info["vendor"] is None', "error: association fails: KeyError: 'vendor' (entry.py:38)"),
        ("entry.py", "class AcmePlugin(VendorPlugin):", "class AcmePlugin(VendorPlugin):\n    pg_associator = property(lambda s: None, lambda s, v: None)\n", "warning: it has no pg_associator, so no phone gets it by itself"),
        ("entry.py", "return filename.startswith", "return not filename.startswith", f"warning: is_sensitive_filename is false for a file with a password {WHERE}"),
        ("entry.py", "return next(iter(self.file_names(device)), None)", "return 'a.cfg'", f"warning: get_remote_state_trigger_filename names a file that is not made {WHERE}"),
        ("entry.py", "return next(iter(self.file_names(device)), None)", "return None", f"warning: get_remote_state_trigger_filename names no file {WHERE}"),
        ("templates/base.tpl", "line.{{ number }}.server", "{{ range(10**9)|random }}", f"warning: rendering twice gives different files {WHERE}"),
        ("entry.py", "        yield RenderedFile", "        if False: yield RenderedFile", f"warning: configuring a device writes no file {WHERE}"),
    ],
)  # fmt: skip
def test_each_mistake_is_found(acme, name, old_text, new_text, expected):
    change(acme, name, old_text, new_text)
    assert any(text.startswith(expected) for text in texts(acme)), texts(acme)


@pytest.mark.parametrize("kind", MODEL_TYPES)
def test_every_type_that_a_model_of_a_family_may_have_is_known(acme, kind):
    change(acme, "plugin-info", '"lines": 2', f'"type": "{kind}"')
    assert not any("type must be" in text for text in texts(acme))


def test_a_file_that_two_devices_fight_for_is_found(acme):
    own_name = "f\"acme-{format_mac(device['mac'], separator='')}.cfg\""
    change(acme, "entry.py", own_name, '"acme-all.cfg"')
    assert texts(acme) == []  # the same for every device: odd, but sound
    change(acme, "entry.py", '"keys": keys}', '"keys": keys, "device": device}')
    change(acme, "templates/base.tpl", "line.password", "line.password }}{{ device.mac")
    assert texts(acme) == [f"error: two devices get one file with different contents {WHERE}"]


def test_files_that_stay_behind_are_found(old):
    compat.install()
    change(old, "entry.py", "os.remove(self._path(device))", "pass")
    [found] = texts(old)
    assert found.startswith("warning: deconfigure leaves files of the device behind [Old O1 1, ")


def test_wrong_packages_are_found_whether_or_not_they_are_offered(acme, old):
    compat.install()
    for directory in (acme, old):
        (directory / "pkgs").mkdir()
        (directory / "pkgs" / "pkgs.db").write_text(
            "[pkg_fw]\nversion: 1\ndescription: x\nfiles: missing\ninstall: none\n"
        )
    found = texts(acme)
    assert "warning: there are packages in pkgs/, but no service named install" in found
    assert any(text.startswith("error: pkgs/pkgs.db: [pkg_fw]") for text in found), found
    change(
        old,
        "entry.py",
        "self._tpl =",
        "from wazo_provd.plugins import FetchfwPluginHelper\n        FetchfwPluginHelper(plugin_dir)\n        self._tpl =",
    )
    [found] = texts(old)
    assert found.startswith("error: pkgs/pkgs.db: [pkg_fw]"), found


def test_errors_make_the_command_fail_and_warnings_do_not(acme, capsys):
    change(acme, "plugin-info", '"lines": 2', '"colour": 2')
    assert author.main(["lint", str(acme)]) == 0
    assert capsys.readouterr().out.endswith(f"{ACME}: 0 errors, 1 warning\n")
    change(acme, "plugin-info", '"colour": 2', '"lines": "2"')
    assert author.main(["lint", str(acme)]) == 1
    captured = capsys.readouterr()
    assert captured.out.endswith(f"{ACME}: 1 error, 0 warnings\n")
    assert captured.err == ""


def test_a_directory_without_plugin_is_one_line(tmp_path, capsys):
    assert author.main(["lint", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("provd-plugin: there is no plugin-info in ")


# Try


def test_try_shows_what_a_new_phone_gets(acme, capfdbinary):
    assert author.main(["try", str(acme), "--model", "A1", "--mac", "001122334455"]) == 0
    assert capfdbinary.readouterr().out == (
        b"line.1.server: 192.0.2.10\nline.1.user: autoprov\nline.1.password: p4ss-of-line\n"
    )


@pytest.mark.parametrize(
    "wrap", [lambda raw: raw, lambda raw: {"id": "c", "parent_ids": [], "raw_config": raw}]
)
def test_try_takes_a_config_and_writes_into_a_directory(acme, tmp_path, capsys, wrap):
    raw_config = {
        "sip_lines": {"1": {"proxy_ip": "192.0.2.5", "username": "u", "password": "p"}},
        "funckeys": {"1": {"type": "blf", "value": "1002"}},
    }
    (tmp_path / "config.json").write_text(json.dumps(wrap(raw_config)))
    out = tmp_path / "out"
    arguments = ["--model", "A1", "--config", str(tmp_path / "config.json"), "--output", str(out)]
    assert author.main(["try", str(acme), *arguments]) == 0
    path = out / "acme-00005e005301.cfg"
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_text() == (
        "line.1.server: 192.0.2.5\nline.1.user: u\nline.1.password: p\nkey.1: watch 1002 1002\n"
    )


def test_try_tells_the_plugin_model_version_and_settings(acme, tmp_path, capfdbinary):
    change(
        acme, "entry.py", '"keys": keys}', '"keys": keys, "device": device, "mine": self.settings}'
    )
    (acme / "var" / "templates" / "custom.tpl").write_text(
        "{{ device.vendor }} {{ device.model }} {{ device.version }} {{ mine.x }}\n"
    )
    (tmp_path / "s.json").write_text('{"x": 5}')
    arguments = ["try", str(acme), "--model", "A1", "--settings", str(tmp_path / "s.json")]
    assert author.main(arguments) == 0
    assert capfdbinary.readouterr().out.endswith(b"\nAcme A1 2.0.1 5\n")
    assert author.main([*arguments, "--version", "2.9"]) == 0
    assert capfdbinary.readouterr().out.endswith(b"\nAcme A1 2.9 5\n")


def test_try_shows_common_files_where_asked(acme, capfdbinary):
    code = "\n    def render_common(self, raw_config):\n        yield RenderedFile('all/common.cfg', b'x\\xff\\n')\n"
    change(acme, "entry.py", "    IS_PLUGIN = True\n", f"    IS_PLUGIN = True\n{code}")
    assert author.main(["try", str(acme), "--model", "A1"]) == 0
    assert b"x\xff" not in capfdbinary.readouterr().out
    assert author.main(["try", str(acme), "--model", "A1", "--common"]) == 0
    assert capfdbinary.readouterr().out.startswith(
        b"==> all/common.cfg <==\nx\xff\n\n==> acme-00005e005301.cfg <==\nline.1.server"
    )


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ('{"sip_lines": {"1": {"proxy_port": 0}}}', "sip_lines.1.proxy_port"),
        ('{"raw_config": 1}', "raw_config: must be an object"),
        ("[1]", "config.json: not a JSON object"),
        ("{", "config.json: not JSON in UTF-8"),
        (None, "No such file"),
    ],
)
def test_a_config_that_cannot_be_used_is_one_line(acme, tmp_path, capsys, config, reason):
    path = tmp_path / "config.json"
    if config is not None:
        path.write_text(config)
    assert author.main(["try", str(acme), "--model", "A1", "--config", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("provd-plugin: ")
    assert captured.err.count("\n") == 1
    assert reason in captured.err
    assert captured.out == ""


def test_a_refusal_of_the_plugin_is_told(acme, capsys):
    change(acme, "templates/base.tpl", "line.proxy_ip", "line.proxy")
    assert author.main(["try", str(acme), "--model", "A1"]) == 1
    assert (
        "provd-plugin: UndefinedError: 'dict object' has no attribute 'proxy'"
        in capsys.readouterr().err
    )


def test_a_wrong_mac_is_wrong_usage(acme, capsys):
    with pytest.raises(SystemExit) as caught:
        author.main(["try", str(acme), "--model", "A1", "--mac", "x"])
    assert caught.value.code == 2
    assert "'x' is no MAC address" in capsys.readouterr().err


def test_lint_knows_every_type_of_phone_that_families_may_have():
    from provd.plugin import lint as module
    from provd.plugin.phones.family import MODEL_TYPES

    is_valid, _ = module._CAPABILITIES["type"]
    assert "pager" in MODEL_TYPES
    assert all(is_valid(one) for one in MODEL_TYPES)
    assert not is_valid("toaster")
