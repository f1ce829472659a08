"""What is peculiar to Snom: backup identities, certificates, firmware in two steps, languages."""

import base64
import os
import shutil

import pytest

from provd.errors import RawConfigParamError
from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.vendor_plugins import BASE_RAW_CONFIG, install

LINE = {"proxy_ip": "10.0.0.1", "username": "user1", "password": "secret1"}
DER = b"\x30\x03\x02\x01\x05"
PEM = f"-----BEGIN CERTIFICATE-----\n{base64.b64encode(DER).decode()}\n-----END CERTIFICATE-----\n"
URL = BASE_RAW_CONFIG["http_base_url"]


@pytest.fixture
def plugin(load_plugin):
    plugin = load_plugin("provd-snom")
    yield plugin
    shutil.rmtree(os.path.join(plugin.installed.plugin_dir, "var", "installed"), ignore_errors=True)
    shutil.rmtree(plugin.path_of("i18n"), ignore_errors=True)


def render(plugin, model, version=None, **raw_config):
    device = {"id": "d1", "mac": "00:04:13:12:34:56", "model": model, "version": version}
    raw_config = {**BASE_RAW_CONFIG, "sip_lines": {"1": LINE}, "funckeys": {}, **raw_config}
    return {file.name: file.content for file in plugin.render(device, raw_config)}


def settings(files, name="000413123456.xml"):
    """Return the settings of a file by the last part of their path."""
    pairs = vendor_plugins.parser("snom").parse(files[name])
    return {key.rsplit("/", 1)[-1]: value for key, value in pairs}


def test_a_backup_takes_an_identity_that_no_line_has_and_that_nobody_sees(plugin):
    lines = {"1": {**LINE, "backup_proxy_ip": "10.0.0.2"}, "2": {**LINE, "username": "user2"}}
    given = settings(render(plugin, "D785", sip_lines=lines))
    assert given["user_failover_identity[1]"] == "3"
    assert given["user_host[3]"] == "10.0.0.2"
    assert given["hide_identity[3]"] == "true"
    assert given["user_name[2]"] == "user2"
    assert given["status_msgs_that_are_blocked"] == "Identity03IsNotRegistered"


def test_firmware_10_gets_certificates_as_text(plugin):
    files = render(plugin, "D785", sip_servers_root_and_intermediate_certificates=[PEM, PEM])
    assert files["000413123456.xml"].count(base64.b64encode(DER)) == 2
    assert not any(name.endswith(".der") for name in files)


def test_firmware_8_fetches_certificates_as_der(plugin):
    files = render(
        plugin, "D745", "8.9.3.80", sip_servers_root_and_intermediate_certificates=[PEM, "no PEM!"]
    )
    assert files["000413123456-ca1.der"] == DER
    assert settings(files)["certificate@url"] == f"{URL}/000413123456-ca1.der"
    assert "000413123456-ca2.der" not in files
    assert "certificate 2 is left out" in "".join(plugin.notes_of("d1"))


def test_more_certificates_than_a_phone_can_take_are_refused(plugin):
    with pytest.raises(RawConfigParamError, match="a phone takes 10 certificates, not 11"):
        render(plugin, "D785", sip_servers_root_and_intermediate_certificates=[PEM] * 11)


def test_a_password_that_xml_cannot_hold_is_refused(plugin):
    with pytest.raises(RawConfigParamError, match=r"sip_lines\.1\.password"):
        render(plugin, "D785", sip_lines={"1": {**LINE, "password": "a\x00b"}})


def test_without_a_package_a_phone_is_told_of_no_firmware(plugin):
    assert "firmware_status" not in settings(render(plugin, "D785", "10.1.159.12"))


def test_a_package_is_served_to_its_model(plugin):
    install(plugin, "D862-fw-10.1.215.13")
    files = render(plugin, "D862", "10.1.159.12")
    assert settings(files)["firmware_status"] == f"{URL}/000413123456-firmware.xml"
    firmware = settings(files, "000413123456-firmware.xml")["firmware"]
    assert firmware == f"{URL}/firmware/snomD862-10.1.215.13-SIP-r.swu"
    assert "firmware_status" not in settings(render(plugin, "D865", "10.1.159.12"))


def test_firmware_in_two_steps_names_the_second_one_to_the_first(plugin):
    install(plugin, "D785-fw-10.1.215.13")
    name = "000413123456-firmware.xml"
    firmware = settings(render(plugin, "D785", "10.1.159.12"), name)["firmware"]
    assert firmware.startswith(f"{URL}/firmware/snomD785-ramdisk-chained-update-r.bin?chained_url=")
    assert firmware.endswith("%2Ffirmware%2FsnomD785-10.1.215.13-SIP-r.bin")
    # The phone that has it already does not begin anew.
    firmware = settings(render(plugin, "D785", "10.1.215.13"), name)["firmware"]
    assert firmware == f"{URL}/firmware/snomD785-10.1.215.13-SIP-r.bin"


@pytest.mark.parametrize(
    ("model", "version", "expected"),
    [
        ("D785", "10.1.159.12", "snomD7C-1.6.1-r.bin"),
        ("D865", "10.1.159.12", "snomD8C-1.6.1-r.bin"),
        ("D375", "10.1.54.13", "snomUXM-2.1.1.bin"),
        ("D375", "8.9.3.60", None),  # updates no modules yet
        ("D713", "10.1.159.12", None),
    ],
)
def test_a_module_gets_the_firmware_of_its_kind(plugin, model, version, expected):
    install(plugin, "uxm-fw-2.1.1", "d7c-fw-1.6.1", "d8c-fw-1.6.1")
    files = render(plugin, model, version)
    given = settings(files, "000413123456-firmware.xml").get("firmware_uxm")
    assert given == (expected and f"{URL}/firmware/{expected}")


def test_the_setting_module_firmware_goes_before_packages(load_plugin):
    plugin = load_plugin("provd-snom", {"module_firmware": {"d7c": "https://h/own.bin"}})
    files = render(plugin, "D785", "10.1.159.12")
    assert settings(files, "000413123456-firmware.xml")["firmware_uxm"] == "https://h/own.bin"


def test_languages_of_an_installed_package_are_offered_to_its_firmware(plugin):
    install(plugin, "lang-8.7.5")
    directory = plugin.path_of("i18n/8.7.5/lang")
    os.makedirs(directory)
    for name in ("gui_lang_FR.xml", "web_lang_FR.xml", "gui_lang_ZZ.xml", "readme.txt"):
        open(os.path.join(directory, name), "w").close()
    files = render(plugin, "300", "8.7.5.35")
    pairs = vendor_plugins.parser("snom").parse(files["000413123456.xml"])
    offered = [(key, value) for key, value in pairs if "languages" in key and "@" in key]
    assert offered == [
        ("/settings/gui-languages/language@url", f"{URL}/i18n/8.7.5/lang/gui_lang_FR.xml"),
        ("/settings/gui-languages/language@name", "Français"),
        ("/settings/web-languages/language@url", f"{URL}/i18n/8.7.5/lang/web_lang_FR.xml"),
        ("/settings/web-languages/language@name", "Français"),
    ]
    assert b"-languages" not in render(plugin, "710", "8.9.3.80")["000413123456.xml"]


def test_keys_of_the_300_keep_what_is_printed_on_them_until_something_else_is_asked_for(plugin):
    keys = {"3": {"type": "speeddial", "value": "123"}}
    given = settings(render(plugin, "300", funckeys=keys))
    assert given["fkey[2]"] == "speed 123"
    assert given["fkey[5]"] == "keyevent F_MUTE"
    assert given["fkey[6]"] == "none"  # of the module


def test_keys_of_modules_go_on_after_those_of_the_phone(plugin):
    keys = {"25": {"type": "blf", "value": "1001", "line": 2}}
    given = settings(render(plugin, "D785", funckeys=keys, exten_pickup_call="*8"))
    assert given["fkey[24]"] == "blf 1001|*8"
    assert given["fkey[24]@context"] == "2"


def test_the_softkey_of_the_directory_comes_and_goes_with_the_directory(plugin):
    directory = {"X_xivo_phonebook_ip": "10.0.0.1", "X_xivo_user_uuid": "u1", "locale": "fr_FR"}
    given = settings(render(plugin, "D785", **directory))
    assert given["variable@value"] == "kIconTypeFkeyAdrBook"
    assert given["url@target"].startswith("http://10.0.0.1:9498/0.1/directories/input/")
    assert settings(render(plugin, "D785"))["context_key[0]"] == "keyevent F_ADR_BOOK"
    assert "context_key[0]" not in settings(render(plugin, "D785", "8.9.3.80"))
