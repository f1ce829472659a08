"""What is peculiar to phones with flat profiles."""

import json
import os

import pytest

from provd.errors import RawConfigParamError
from provd.plugin.api import DeviceSupport
from tests.unit.plugins.family_cases import AUTOPROV, BASE, LINE

MAC = "00:26:99:12:34:56"


@pytest.fixture
def plugin(load_plugin):
    return load_plugin("provd-cisco-spa")


def settings(plugin, model, raw_config, version=None):
    device = {"id": "d1", "mac": MAC, "vendor": "Cisco", "model": model}
    if version:
        device["version"] = version
    [text] = [
        file.content.decode() for file in plugin.render(device, raw_config) if "xml" in file.name
    ]
    lines = [line for line in text.splitlines() if line.startswith("<") and "</" in line]
    return dict(line[1:].rsplit("</", 1)[0].split(">", 1) for line in lines)


@pytest.fixture
def install(plugin):
    """Make a package look as if it were installed."""
    directory = os.path.join(plugin.installed.plugin_dir, "var", "installed")
    paths = []

    def installed(package_id):
        os.makedirs(directory, exist_ok=True)
        path = os.path.join(directory, package_id)
        with open(path, "w") as stream:
            json.dump({"id": package_id}, stream)
        paths.append(path)

    yield installed
    for path in paths:
        os.unlink(path)


def side_car(version):
    return {**BASE, "sip_lines": {"1": LINE}, "funckeys": {"11": {"type": "blf", "value": "1"}}}


@pytest.mark.parametrize(
    ("version", "name"),
    [("11.3.1", "Unit_1_Key_1"), ("12.0.7", "Unit_1_Key_1_"), (None, "Unit_1_Key_1_")],
)
def test_side_car_keys_are_named_as_the_firmware_does(plugin, version, name):
    assert settings(plugin, "8851", side_car(version), version)[name].startswith("fnc=")


def test_a_model_whose_newest_firmware_is_older_gets_the_older_names(plugin):
    config = {**BASE, "sip_lines": {"1": LINE}, "funckeys": {"5": {"type": "blf", "value": "1"}}}
    assert "Unit_1_Key_1" in settings(plugin, "6851", config)


def test_firmware_goes_over_the_step_in_between(plugin, install):
    assert "Upgrade_Rule" not in settings(plugin, "SPA504G", AUTOPROV)
    install("spa50x-30x-fw-7.5.5")
    base = AUTOPROV["http_base_url"]
    final = f"{base}/firmware/spa50x-30x-7-5-5.bin"
    assert settings(plugin, "SPA504G", AUTOPROV)["Upgrade_Rule"] == final
    install("spa50x-30x-trans-fw-7.5.2b")
    step = f"{base}/firmware/spa50x-30x-7-5-2b.bin"
    rule = settings(plugin, "SPA504G", AUTOPROV)["Upgrade_Rule"]
    assert rule == f"($SWVER lt 7.5.2b) ? {step} | {final}"
    assert "Upgrade_Rule" not in settings(plugin, "SPA514G", AUTOPROV)


def test_languages_are_offered_once_they_are_installed(plugin, install):
    french = {**AUTOPROV, "locale": "fr_FR"}
    assert "Dictionary_Server_Script" not in settings(plugin, "SPA525G2", french)
    install("spa-lang-7.5.5")
    script = settings(plugin, "SPA525G2", french)["Dictionary_Server_Script"]
    assert script.startswith(f"serv={AUTOPROV['http_base_url']}/firmware/i18n/;d0=English;x0=")
    assert "d1=French;x1=spa525_fr_v755.xml" in script
    assert "Dictionary_Server_Script" not in settings(plugin, "8851", french)


def test_what_the_phone_cannot_do_is_noted(plugin):
    config = {
        **BASE,
        "sip_srtp_mode": "required",
        "admin_username": "boss",
        "sip_lines": {"1": {**LINE, "registrar_ip": "10.0.0.9"}},
    }
    settings(plugin, "SPA504G", config)
    notes = " ".join(plugin.notes_of("d1"))
    assert "sip_lines.1.registrar_ip is left out" in notes
    assert "admin_username is left out" in notes
    assert "takes others as they come" in notes


def test_a_password_that_a_profile_would_trim_is_refused(plugin):
    config = {**BASE, "sip_lines": {"1": {**LINE, "password": "secret "}}}
    with pytest.raises(RawConfigParamError, match=r"sip_lines\.1\.password"):
        settings(plugin, "SPA504G", config)


def test_semicolons_do_not_end_a_part_of_a_key_s_function(plugin):
    key = {"type": "speeddial", "value": "1;ext=2", "label": "a;nme=b", "line": 2}
    config = {**BASE, "sip_lines": {"1": LINE}, "funckeys": {"3": key}}
    function = settings(plugin, "SPA504G", config)["Extended_Function_3_"]
    assert function == "fnc=sd;ext=1%3Bext=2@$PROXY;vid=2;nme=a,nme=b"


def test_an_unknown_model_with_four_digits_is_left_to_others_unless_it_runs_mpp(plugin):
    unknown = plugin.associate({"vendor": "Cisco", "model": "8951"})
    assert unknown == DeviceSupport.PROBABLE
    assert plugin.associate({"vendor": "Cisco", "model": "8899-3PCC"}) > DeviceSupport.PROBABLE
    assert plugin.associate({"vendor": "Cisco", "model": "SPA599"}) > DeviceSupport.PROBABLE
