"""`provd-dhcp config` and `hook`: where their data comes from, and what they refuse."""

import json

import pytest

from provd.dhcp import cli

URL = "http://192.0.2.9:8667"


@pytest.fixture
def settings(tmp_path):
    """A settings file, with two plugins in the directory that it names."""
    plugins = tmp_path / "plugins"
    for name, vendor in (("one", "Yealink"), ("two", "Htek")):
        (plugins / name).mkdir(parents=True)
        info = {"capabilities": {f"{vendor}, X, 1": {}}}
        (plugins / name / "plugin-info").write_text(json.dumps(info))
    (plugins / "plugins.db").write_text(
        json.dumps({"more": {"capabilities": {"Zenitel, X, 1": {}}}})
    )
    path = tmp_path / "config.yml"
    general = {"base_storage_dir": str(tmp_path), "advertised_http_url": URL}
    path.write_text(
        json.dumps({"general": general, "dhcp": {"socket": str(tmp_path / "dhcp.sock")}})
    )
    return path


def classes(capsys, *arguments):
    assert cli.main(["config", "--server", "kea", "--tftp", "192.0.2.9", *arguments]) == 0
    document = json.loads(capsys.readouterr().out)["Dhcp4"]
    return [each["name"].removeprefix("provd-") for each in document["client-classes"]]


def test_phones_of_installed_plugins_are_told_what_the_settings_say(settings, capsys):
    arguments = ["--server", "dnsmasq", "--tftp", "192.0.2.9", "--config-file", str(settings)]
    assert cli.main(["config", *arguments]) == 0
    printed = capsys.readouterr().out
    assert f'dhcp-option-force=tag:provd-yealink,66,"{URL}"' in printed
    assert "provd-htek" in printed
    assert "provd-zenitel" not in printed


def test_phones_of_the_whole_repository_can_be_asked_for(settings, capsys):
    where = ("--config-file", str(settings))
    assert classes(capsys, *where) == ["htek", "yealink"]
    assert classes(capsys, *where, "--phones", "available") == ["htek", "yealink", "zenitel"]


def test_all_phones_need_neither_settings_nor_plugins(capsys):
    assert "snom" in classes(capsys, "--phones", "all", "--base-url", URL)


def test_a_directory_of_plugins_may_be_named(settings, capsys):
    directory = str(settings.parent / "plugins")
    assert classes(capsys, "--plugins-dir", directory, "--base-url", URL) == ["htek", "yealink"]


@pytest.mark.parametrize(
    ("arguments", "status", "reason"),
    [
        (("--base-url", "x", "--phones", "all"), 2, "is not a URL"),
        (("--base-url", URL, "--phones", "all", "--subnet", "192.0.2.0/24"), 2, "belong together"),
        (("--base-url", URL, "--plugins-dir", "/"), 2, "no plugin in / tells of phones"),
        (("--base-url", URL, "--plugins-dir", "/missing"), 1, "No such file or directory"),
        (("--config-file", "/missing.yml"), 1, "No such file or directory"),
    ],
)
def test_what_cannot_be_printed_says_why(capsys, arguments, status, reason):
    assert cli.main(["config", "--server", "kea", "--tftp", "192.0.2.9", *arguments]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert reason in captured.err


def test_the_hook_knows_the_socket_of_the_settings(settings, capsys):
    where = ("--config-file", str(settings), "--python", "/opt/python")
    assert cli.main(["hook", "--server", "dhcpd", *where]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("#!/opt/python -IS\n")
    assert f"\nSOCKET = {str(settings.parent / 'dhcp.sock')!r}\n" in printed
    assert "\nKEA_VENDOR_CLASSES: dict[int, str] = {}\n" in printed


def test_hook_and_configuration_of_kea_agree_on_lease_times(settings, capsys):
    where = ("--config-file", str(settings), "--lease-time", "600")
    assert cli.main(["hook", "--server", "kea", *where]) == 0
    namespace = {"__name__": "hook"}
    exec(capsys.readouterr().out, namespace)
    assert namespace["KEA_VENDOR_CLASSES"] == {601: "yealink"}
    told = ("--tftp", "192.0.2.9", "--hook", "/usr/local/sbin/hook", *where)
    assert cli.main(["config", "--server", "kea", *told]) == 0
    server = json.loads(capsys.readouterr().out)["Dhcp4"]
    times = {
        each["test"]: each["valid-lifetime"]
        for each in server["client-classes"]
        if "valid-lifetime" in each
    }
    assert times == {"option[60].hex == 'yealink'": 601}
    assert server["valid-lifetime"] == 600


def test_a_hook_without_a_socket_is_refused(tmp_path, capsys):
    path = tmp_path / "config.yml"
    path.write_text("")
    assert cli.main(["hook", "--server", "dhcpd", "--config-file", str(path)]) == 2
    assert "--socket is needed" in capsys.readouterr().err
