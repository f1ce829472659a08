import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import InvalidDocument, RawConfigError
from provd.plugin.api import DeviceSupport
from provd.plugin.phones.plugin import FamilyPlugin, file_name
from tests.unit.plugin.phones import acme

MAC = "00:11:22:33:44:55"
DEVICE = {"id": "d1", "mac": MAC, "sn": "S1", "vendor": "Acme", "model": "P1"}
RAW_CONFIG = {
    "http_base_url": "http://h",
    "sip_lines": {"1": {"proxy_ip": "p", "username": "<u1>"}},
    "funckeys": {},
}
BASE = """{% for number, account in accounts.items() %}
{{ number }}={{ account.username }}
{% endfor %}
model={{ model.name }} lines={{ model.lines }} keys={{ keys|length + free_slots|length }}
firmware={{ firmware|d("none", true) }}
"""


@pytest.fixture
def make(tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "base.tpl").write_text(BASE)
    (tmp_path / "templates" / "common.tpl").write_text("{{ model.name }} of {{ family.vendor }}\n")
    (tmp_path / "var" / "tftpboot").mkdir(parents=True)
    (tmp_path / "var" / "templates").mkdir()

    def make(text=acme.FAMILY, settings=None):
        acme.write(tmp_path, text)
        return FamilyPlugin(None, str(tmp_path), {}, settings or {})

    return make


@pytest.fixture
def plugin(make):
    return make()


def rendered(plugin, device=None, raw_config=None):
    files = plugin.render({**DEVICE, **(device or {})}, {**RAW_CONFIG, **(raw_config or {})})
    return {file.name: file.content.decode() for file in files}


@pytest.mark.parametrize(
    ("info", "score"),
    [
        ({}, DeviceSupport.UNKNOWN),
        ({"vendor": "Other", "model": "P1"}, DeviceSupport.NONE),
        ({"vendor": "Acme"}, DeviceSupport.PROBABLE),
        ({"vendor": "Acme", "model": "X9"}, DeviceSupport.PROBABLE),
        ({"vendor": "Acme", "model": "P9"}, DeviceSupport.PROBABLE),  # one character is not enough
        ({"vendor": "Acme", "model": "P1x"}, DeviceSupport.PROBABLE + 1),
        ({"vendor": "Acme", "model": "P1"}, DeviceSupport.COMPLETE),
        ({"vendor": "Acme", "model": "P1", "version": "1.0.0"}, DeviceSupport.EXACT),
        ({"vendor": "Acme", "model": "P1", "version": "1.0.1"}, DeviceSupport.COMPLETE - 5),
        ({"vendor": "Bell", "model": "D1", "version": "5"}, DeviceSupport.COMPLETE),
        ({"vendor": "Acme", "model": "D1"}, DeviceSupport.PROBABLE + 1),  # another brand's
    ],
)
def test_score(plugin, info, score):
    assert plugin.associate(info) == score


@given(version=st.none() | st.text("0123456789.a", max_size=30))
def test_known_model_is_never_scored_below_incomplete(built_family, version):
    score = built_family.associate({"vendor": "Acme", "model": "P1", "version": version})
    assert DeviceSupport.INCOMPLETE < score <= DeviceSupport.EXACT


@pytest.fixture(scope="module")
def built_family(tmp_path_factory):
    directory = tmp_path_factory.mktemp("plugin")
    acme.write(directory)
    (directory / "templates").mkdir()
    return FamilyPlugin(None, str(directory), {}, {})


def test_files_are_rendered_with_values_escaped(plugin):
    assert rendered(plugin) == {
        "001122334455.cfg": (text := "1=&lt;u1&gt;\nmodel=P1 lines=2 keys=4\nfirmware=none\n"),
        "001122334455-S1.xml": text,
    }


def test_model_that_is_not_known_gets_the_nearest_else_one_as_large_as_asked(plugin, caplog):
    found = rendered(plugin, {"model": "P2x"})["001122334455.cfg"]
    assert "model=P2 lines=6 keys=14" in found
    assert (
        "device d1: Acme P2x is not a model that we know, and is configured like P2" in caplog.text
    )
    asked = {"funckeys": {"3": {"type": "blf", "value": "1"}, "9999": {"type": "blf"}}}
    found = rendered(plugin, {"model": "X9"}, asked)["001122334455.cfg"]
    assert "model=X9 lines=1 keys=3" in found
    assert "function keys 9999 are left out: the phone has 3" in caplog.text


def test_what_cannot_be_written_is_logged_once_with_the_device(plugin, caplog):
    raw_config = {"sip_lines": {"1": {"proxy_ip": "p"}, "5": {"proxy_ip": "p"}}}
    for _ in range(2):
        rendered(plugin, None, raw_config)
    assert caplog.text.count("device d1: line 5 is left out: the phone has 2") == 1
    assert plugin.notes_of("d1") == ("line 5 is left out: the phone has 2",)
    rendered(plugin)
    assert plugin.notes_of("d1") == ()
    assert plugin.notes_of("never seen") == ()


@pytest.mark.parametrize(
    ("device", "reason"),
    [({"mac": None}, "before its MAC is known"), ({"sn": None}, "before its serial number is")],
)
def test_device_whose_file_has_no_name_yet_is_refused(plugin, device, reason):
    with pytest.raises(RawConfigError, match=reason):
        rendered(plugin, device)


def test_server_without_http_is_refused_where_files_hold_urls(plugin):
    with pytest.raises(RawConfigError, match="http_base_url is missing"):
        rendered(plugin, None, {"http_base_url": None})


def test_common_file_is_there_for_each_model(plugin):
    files = {file.name: file.content.decode() for file in plugin.render_common({})}
    assert files == {f"acme-{name}.cfg": f"{name} of Acme\n" for name in ("P1", "P2", "D1")}


def test_files_of_a_kind_are_for_the_models_of_that_kind(make):
    text = acme.FAMILY.replace("sensitive = true\n", 'sensitive = true\nkind = "desk"\n')
    text = text.replace('name = "{MAC}-{sn}.xml"', 'kind = "dect"\nname = "{MAC}.xml"')
    text = text.replace('name = "acme-{model}.cfg"', 'kind = "dect"\nname = "acme-{model}.cfg"')
    text = text.replace("colour = true", 'colour = true, kind = "desk"')
    text = text.replace("switchboard = true", 'switchboard = true, facts = { kind = "desk" }')
    plugin = make(text.replace("multicell = true", 'multicell = true, kind = "dect"'))
    for model, names in (
        ("P1", ["001122334455.cfg"]),
        ("D1", ["001122334455.xml"]),
        ("Q7", ["001122334455.cfg", "001122334455.xml"]),  # its kind is not known
        (None, ["001122334455.cfg", "001122334455.xml"]),
    ):
        device = {**DEVICE, "model": model}
        assert list(rendered(plugin, device)) == names
        assert list(plugin.file_names(device)) == names
        assert plugin.get_remote_state_trigger_filename(device) == names[0]
    assert [file.name for file in plugin.render_common({})] == ["acme-D1.cfg"]
    assert plugin.is_sensitive_filename("001122334455.cfg")


def test_names_of_files_that_trigger_and_that_may_hold_passwords(plugin):
    assert list(plugin.file_names(DEVICE)) == ["001122334455.cfg", "001122334455-S1.xml"]
    assert list(plugin.file_names({"mac": MAC})) == ["001122334455.cfg"]
    assert plugin.get_remote_state_trigger_filename(DEVICE) == "001122334455.cfg"
    assert plugin.get_remote_state_trigger_filename({}) is None
    assert plugin.is_sensitive_filename("AABBCCDDEEFF.cfg")
    for name in ("001122334455-S1.xml", "acme-P1.cfg", "00112233445.cfg", "x/001122334455.cfg"):
        assert not plugin.is_sensitive_filename(name)


@pytest.mark.parametrize(
    ("pattern", "device", "name"),
    [
        ("{mac}.cfg", {"mac": MAC.replace("55", "af")}, "0011223344af.cfg"),
        ("{MAC}.cfg", {"mac": MAC.replace("55", "af")}, "0011223344AF.cfg"),
        ("{ma_c}.cfg", {"mac": MAC}, "00_11_22_33_44_55.cfg"),
        ("{model}/{sn}.xml", {"model": "P1", "sn": "S"}, "P1/S.xml"),
        ("{sn}.xml", {"sn": "../S"}, None),
        ("{sn}.xml", {"sn": ""}, None),
        ("{mac}.cfg", {}, None),
        ("fixed.cfg", {}, "fixed.cfg"),
    ],
)
def test_name_of_a_file(pattern, device, name):
    assert file_name(pattern, device) == name


@pytest.mark.parametrize(
    ("value", "url"),
    [("a b.rom", "http://h/firmware/a%20b.rom"), ("ftp://x/$PN.rom", "ftp://x/$PN.rom")],
)
def test_firmware_of_the_settings_goes_to_its_model(make, value, url):
    plugin = make(settings={"firmware": {"P1": value}})
    assert f"firmware={url}\n" in rendered(plugin)["001122334455.cfg"]
    assert "firmware=none\n" in rendered(plugin, {"model": "P2"})["001122334455.cfg"]


def test_firmware_of_a_model_that_does_not_exist_is_warned_of(make, caplog):
    make(settings={"firmware": {"P9": "x"}})
    assert "firmware is set for models that do not exist: ['P9']" in caplog.text


@pytest.mark.parametrize("firmware", ["x.rom", ["x"], {"P1": 5}])
def test_setting_of_another_form_is_refused(make, firmware):
    with pytest.raises(InvalidDocument, match="'firmware' maps names to URLs or file names"):
        make(settings={"firmware": firmware})


def test_a_changed_family_is_read_anew(make):
    assert make().family.version == "1.0"
    assert (
        make(acme.FAMILY.replace('version = "1.0"', 'version = "1.0.1"')).family.version == "1.0.1"
    )


def test_directory_without_a_family_is_refused(tmp_path):
    with pytest.raises(InvalidDocument, match=re.escape("family.toml cannot be read")):
        FamilyPlugin(None, str(tmp_path), {}, {})
