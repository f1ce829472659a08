"""What only Technicolor phones do: the number of a file, and passwords of another alphabet."""

import re

import pytest

from provd.errors import InvalidDocument
from tests.unit.plugins.family_cases import AUTOPROV, rich

DEVICE = {"id": "d1", "mac": "00:14:7f:e1:47:b3", "vendor": "Technicolor", "model": "ST2030"}


@pytest.fixture
def plugin(load_plugin):
    return load_plugin("provd-technicolor")


def serial(plugin, raw_config):
    (file,) = plugin.render(DEVICE, raw_config)
    (number,) = re.findall(rb"config_sn=([0-9a-f]{12})\n", file.content)
    return number


def test_a_file_has_a_new_number_exactly_when_something_else_changes(plugin):
    assert serial(plugin, AUTOPROV) == serial(plugin, AUTOPROV)
    assert serial(plugin, AUTOPROV) != serial(plugin, {**AUTOPROV, "locale": "fr_FR"})


def test_a_password_of_another_alphabet_is_refused_and_named(plugin):
    raw_config = rich()
    raw_config["sip_lines"]["2"]["password"] = "Дарья"
    with pytest.raises(InvalidDocument, match=r"sip_lines\.2\.password: it holds what the phone"):
        list(plugin.render(DEVICE, raw_config))


def test_a_name_of_another_alphabet_is_noted_and_its_western_letters_stay(plugin):
    (file,) = plugin.render(DEVICE, rich())
    assert "DisplayName1=Zoé & <Cie> ????? ?? ?\n" in file.content.decode("iso-8859-1")
    assert plugin.notes_of("d1") == ("the name of line 1 has characters that are not shown",)


def test_the_list_of_files_offers_firmware_once_its_package_is_installed(plugin):
    url = {"http_base_url": "http://10.0.0.1:8667"}
    files = {file.name: file.content.decode() for file in plugin.render_common(url)}
    assert sorted(files) == ["ST2022S.inf", "ST2030S.inf", "TB30S.inf"]
    assert "config=http://10.0.0.1:8667/\n" in files["ST2030S.inf"]
    assert "fwurl" not in files["ST2030S.inf"]
    plugin.installed = type("Installed", (), {"has": lambda _, name: name == "ST2030-fw-2.74"})()
    files = {file.name: file.content.decode() for file in plugin.render_common(url)}
    assert "\nfwurl=http://10.0.0.1:8667/firmware/ST2030/v2030SG" in files["ST2030S.inf"]
    assert "fwurl" not in files["TB30S.inf"]
