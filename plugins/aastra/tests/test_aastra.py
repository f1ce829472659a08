"""What is peculiar to Aastra and Mitel phones."""

import pytest

from provd.errors import RawConfigParamError
from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.vendor_plugins import BASE_RAW_CONFIG

LINE = {"proxy_ip": "10.0.0.1", "username": "user1", "password": "secret1"}
DIRECTORY = {
    "X_xivo_phonebook_ip": "10.0.0.8",
    "X_xivo_user_uuid": "5b0a0f3e-0000-4000-8000-000000000001",
}


@pytest.fixture
def plugin(load_plugin):
    return load_plugin("provd-aastra")


def settings(plugin, model, version=None, **raw_config):
    device = {"id": "d1", "mac": "00:08:5d:12:34:56", "model": model, "version": version}
    raw = {**BASE_RAW_CONFIG, "sip_lines": {"1": LINE}, "funckeys": {}, **raw_config}
    files = {file.name: file.content for file in plugin.render(device, raw)}
    return dict(vendor_plugins.parser("aastra").parse(files["Aastra/00085D123456.cfg"]))


def key(value, kind="speeddial"):
    return {"type": kind, "value": value, "label": value}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Alice", "Alice"),
        ("Alice #2", '"Alice #2"'),
        (" Alice ", '" Alice "'),
        ('"Alice"', '""Alice""'),
        ('A "B" C', 'A "B" C'),
        ("line\nfeed", "line feed"),
    ],
)
def test_a_value_is_quoted_where_the_phone_would_take_it_for_a_comment_or_cut_it(
    plugin, text, line
):
    assert plugin.escape(text) == line


def test_a_password_with_a_line_end_is_refused_with_its_name(plugin):
    with pytest.raises(RawConfigParamError, match=r"sip_lines\.1\.password"):
        settings(plugin, "6867i", sip_lines={"1": {**LINE, "password": "a\nb"}})


def test_a_code_whose_key_is_taken_moves_to_a_free_one(plugin):
    codes = {"exten_dnd": "*25", "exten_voicemail": "*98"}
    before = settings(plugin, "6757i", **codes)
    assert (before["topsoftkey1 value"], before["topsoftkey3 value"]) == ("*98", "*25")
    after = settings(plugin, "6757i", **codes, funckeys={"3": key("1002")})
    assert (after["topsoftkey1 value"], after["topsoftkey3 value"]) == ("*98", "1002")
    assert (after["topsoftkey2 type"], after["topsoftkey2 value"]) == ("speeddial", "*25")


def test_the_directory_takes_the_key_of_what_has_a_button_when_no_other_is_left(plugin):
    keys = {"3": key("1"), "4": key("2"), "5": key("3")}
    found = settings(
        plugin,
        "6753i",
        **DIRECTORY,
        exten_voicemail="*98",
        exten_fwd_unconditional="*21",
        funckeys=keys,
    )
    assert found["prgkey6 type"] == "xml"
    assert "10.0.0.8" in found["prgkey6 value"]


def test_what_has_no_key_left_is_noted(plugin, caplog):
    keys = {str(number): key(str(number)) for number in range(1, 7)}
    settings(plugin, "6753i", exten_voicemail="*98", funckeys=keys)
    assert "there is no key left for voicemail" in caplog.text


def test_soft_keys_of_68xx_cannot_watch_and_dial_instead(plugin, caplog):
    found = settings(plugin, "6867i", funckeys={"1": key("1", "blf"), "21": key("2", "blf")})
    assert (found["topsoftkey1 type"], found["softkey1 type"]) == ("blf", "speeddial")
    assert "BLF" in caplog.text
    assert settings(plugin, "6757i", funckeys={"21": key("2", "blf")})["softkey11 type"] == "blf"


def test_a_line_parks_at_the_place_of_its_first_park_key(plugin, caplog):
    keys = {
        "1": key("701", "park"),
        "2": key("702", "park"),
        "3": {**key("703", "park"), "line": 2},
    }
    found = settings(plugin, "6757i", funckeys=keys, sip_lines={"1": LINE, "2": LINE})
    assert found["sip line1 park pickup config"] == "701;701;asterisk"
    assert found["sip line2 park pickup config"] == "703;703;asterisk"
    assert found["topsoftkey2 value"] == "asterisk;702"
    assert "function keys 2 park where the first one does" in caplog.text


@pytest.mark.parametrize(
    ("model", "version", "path"),
    [
        ("6757i", "3.3.1.4365", "i18n/lang_fr_ca.txt"),
        ("6757i", None, "i18n/lang_fr_ca.txt"),
        ("6867i", "4.3.0.2036", "Aastra/i18n/lang_fr_ca.txt"),
        ("6867i", None, "Aastra/i18n/lang_fr_ca.txt"),
        ("6751i", None, "i18n/lang_fr_ca.txt"),
    ],
)
def test_firmware_3_looks_for_languages_in_its_own_directory(plugin, model, version, path):
    assert settings(plugin, model, version, locale="fr_CA")["language 1"] == path


def test_english_is_in_the_firmware(plugin):
    found = settings(plugin, "6867i", locale="en_GB")
    assert (found["language"], found["tone set"]) == ("0", "UK")
    assert "language 1" not in found


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://10.0.0.1:8667", ("HTTP", "http", "10.0.0.1", "Aastra", "8667")),
        ("http://example.org/t1", ("HTTP", "http", "example.org", "t1/Aastra", "80")),
        ("https://example.org", ("HTTPS", "https", "example.org", "Aastra", "443")),
    ],
)
def test_the_server_is_that_of_the_base_url(plugin, url, expected):
    found = settings(plugin, "6867i", http_base_url=url)
    scheme = expected[1]
    assert expected == (
        found["download protocol"],
        scheme,
        *(found[f"{scheme} {name}"] for name in ("server", "path", "port")),
    )
    assert found["upgrade uri"] == f"{url}/Aastra"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Australia/Sydney", {"time zone minutes": "-600", "dst start month": "10"}),
        ("America/St_Johns", {"time zone minutes": "210", "dst start week": "2"}),
        ("Asia/Kolkata", {"time zone minutes": "-330", "dst config": "0"}),
        ("Australia/Lord_Howe", {"dst minutes": "30", "dst end week": "1"}),
        ("Africa/Casablanca", {"time zone name": "Custom"}),
    ],
)
def test_zones_count_from_the_west_and_tell_their_summer_time(plugin, zone, expected):
    found = settings(plugin, "6867i", timezone=zone)
    assert {name: found[name] for name in expected} == expected


def test_no_vlan_for_the_computer_leaves_its_port_untagged(plugin):
    found = settings(plugin, "6867i", vlan_enabled=True, vlan_id=12)
    assert (found["vlan id"], found["vlan id port 1"]) == ("12", "4095")
