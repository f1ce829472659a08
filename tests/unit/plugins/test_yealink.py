import copy
import os
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import InvalidDocument, PluginLoadError
from provd.plugin.api import DeviceSupport, PhoneRequest, RequestType
from provd.plugin.host import PluginHost
from provd.plugin.phones.family import read_family
from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.vendor_plugins import read_json

FAMILY = os.path.join(vendor_plugins.ROOT, "yealink")
PLUGIN_ID = "provd-yealink"
MODELS = read_family(os.path.join(FAMILY, "family.toml")).models
parser = vendor_plugins.parser("yealink")
GENERATIONS = (73, 80, 81, 82, 83, 84, 85, 86, 87)
DEVICE = {
    "id": "d1",
    "mac": "80:5e:c0:12:34:56",
    "vendor": "Yealink",
    "model": "T46S",
    "version": "66.86.0.15",
}
LINE = {
    "proxy_ip": "10.0.0.1",
    "username": "user1",
    "password": "secret1",
    "display_name": "Alice",
    "number": "1001",
}
RAW_CONFIG = {
    **vendor_plugins.BASE_RAW_CONFIG,
    "sip_lines": {"1": LINE},
    "sccp_call_managers": {},
    "funckeys": {},
    "sip_transport": "udp",
    "sip_srtp_mode": "disabled",
}


@pytest.fixture
def plugin(load_plugin):
    return load_plugin(PLUGIN_ID)


def settings_of(plugin, device=None, **changes):
    """Return what a phone would be set to, and refuse keys that are written twice."""
    raw_config = {**RAW_CONFIG, **changes}
    content = next(iter(plugin.render({**DEVICE, **(device or {})}, raw_config))).content
    pairs = parser.parse(content)
    once = [key for key, _ in pairs if key not in parser.REPEATABLE]
    assert len(once) == len(set(once))
    return dict(pairs)


# Identification


@pytest.mark.parametrize(
    "sample",
    read_json(FAMILY, "tests", "requests.json"),
    ids=lambda sample: "-".join(
        str(sample.get(key)) for key in ("protocol", "user_agent", "path", "mac") if sample.get(key)
    ),
)
def test_request_is_recognised(plugin, sample):
    request = PhoneRequest(
        RequestType(sample["protocol"]),
        path=sample.get("path", ""),
        user_agent=sample.get("user_agent"),
        options={int(code): value for code, value in sample.get("options", {}).items()},
        mac=sample.get("mac"),
    )
    assert plugin.extract(request) == sample["expected"]


@given(
    agent=st.none() | st.text() | st.text(string.printable).map("Yealink SIP-{}".format),
    path=st.text(),
    vendor_class=st.text(st.characters(max_codepoint=255)),
    mac=st.none() | st.text(),
    kind=st.sampled_from(RequestType),
)
def test_no_request_makes_the_extractor_fail(loaded_once, agent, path, vendor_class, mac, kind):
    info = loaded_once.extract(
        PhoneRequest(kind, path=path, user_agent=agent, options={60: vendor_class}, mac=mac)
    )
    assert info is None or info["vendor"] == "Yealink"


@pytest.fixture(scope="module")
def loaded_once(built_plugins):
    host = PluginHost(
        built_plugins,
        general_config={},
        plugin_config={},
        base_raw_config=vendor_plugins.BASE_RAW_CONFIG,
    )
    yield host.load(PLUGIN_ID).plugin
    host.close()


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("y000000000066.cfg", "T46S"),
        ("y000000000044.cfg", None),  # that of T23G and of T23P
        ("y000000000999.cfg", None),
    ],
)
def test_number_of_a_common_file_tells_the_model_that_alone_asks_for_it(plugin, path, model):
    info = plugin.extract(PhoneRequest(RequestType.TFTP, path=path))
    assert info["vendor"] == "Yealink"
    assert info.get("model") == model


# Association


def score_of(plugin, model, version):
    return plugin.associate({"vendor": "Yealink", "model": model, "version": version})


def test_every_firmware_that_is_made_for_a_model_is_supported_exactly(plugin):
    pairs = [(name, version) for name, model in MODELS.items() for version in model.firmware]
    assert len(pairs) > 100
    for name, version in pairs:
        assert score_of(plugin, name, version) == DeviceSupport.EXACT, (name, version)


@pytest.mark.parametrize(
    ("model", "nearer", "farther"),
    [
        ("T46S", "66.86.0.16", "66.86.2.15"),  # build before patch
        ("T46S", "66.86.2.15", "66.87.0.15"),  # patch before generation
        ("T46S", "66.87.0.15", "66.92.0.15"),
        ("T46S", "66.99.0.15", "67.86.0.15"),  # the same hardware before another one
        ("T28P", "2.72.0.50", "2.70.0.140"),
        ("CP960", "73.82.0.1", "73.75.0.1"),
        ("T46S", None, "66.86.0.16"),  # nothing against it
    ],
)
def test_known_model_scores_by_how_near_its_firmware_is_to_one_made_for_it(
    plugin, model, nearer, farther
):
    assert score_of(plugin, model, nearer) <= DeviceSupport.COMPLETE
    assert score_of(plugin, model, nearer) > score_of(plugin, model, farther)
    assert score_of(plugin, model, farther) > DeviceSupport.INCOMPLETE


@pytest.mark.parametrize(
    ("model", "version", "score"),
    [
        ("T46S", None, DeviceSupport.COMPLETE),
        ("T46S", "", DeviceSupport.COMPLETE),
        ("T46S", "unheard-of", DeviceSupport.COMPLETE),
        ("T38G", "38.70.0.125", DeviceSupport.COMPLETE),  # no firmware of it is known
        ("T99X", "200.88.0.1", DeviceSupport.PROBABLE),  # no model is near
        ("T46X", "66.86.0.15", DeviceSupport.PROBABLE + 1),
        ("X1", "1.2.3.4", DeviceSupport.PROBABLE),
        (None, None, DeviceSupport.PROBABLE),
        (None, "66.86.0.15", DeviceSupport.PROBABLE),
    ],
)
def test_model_without_firmware_or_unknown_scores_lower_than_an_exact_one(
    plugin, model, version, score
):
    assert score_of(plugin, model, version) == score


@pytest.mark.parametrize(
    ("info", "score"),
    [
        ({"vendor": "Snom", "model": "T46S", "version": "66.86.0.15"}, DeviceSupport.NONE),
        ({"mac": "80:5e:c0:12:34:56"}, DeviceSupport.UNKNOWN),
        ({"vendor": None}, DeviceSupport.UNKNOWN),
    ],
)
def test_other_vendors_are_refused_and_nothing_is_said_without_a_vendor(plugin, info, score):
    assert plugin.associate(info) == score


# What plugin-info says


def test_plugin_info_names_each_model_with_each_firmware(plugin):
    capabilities = read_json(plugin._plugin_dir, "plugin-info")["capabilities"]
    expected = {
        f"Yealink, {name}, {version}"
        for name, model in MODELS.items()
        for version in model.firmware or ("-",)
    }
    assert capabilities.keys() == expected
    assert capabilities["Yealink, T46S, 66.86.0.15"] == {
        "type": "deskphone",
        "protocol": "sip",
        "lines": 16,
        "high_availability": True,
        "function_keys": 27,
        "expansion_modules": 6,
        "switchboard": True,
    }
    assert capabilities["Yealink, W90DM, 130.87.0.18"]["multicell"] is True


# Rendering


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_model_gets_a_sound_file_for_every_generation(plugin, generation):
    assert len(MODELS) > 80
    for name, model in MODELS.items():
        settings = settings_of(plugin, {"model": name, "version": f"1.{generation}.0.1"})
        for number in range(1, model.lines + 1):
            assert settings[f"account.{number}.enable"] == ("1" if number == 1 else "0")
        assert f"account.{model.lines + 1}.enable" not in settings
        keys = [key for key in settings if key.endswith(".type") and "key." in key]
        assert len(keys) == model.keys + model.modules * model.module_keys


@pytest.mark.parametrize(
    ("version", "present", "absent"),
    [
        ("66.70.0.1", "account.1.transport", "account.1.sip_server.1.transport_type"),
        ("66.79.0.1", "account.1.transport", "account.1.sip_server.1.transport_type"),
        ("66.80.0.1", "account.1.sip_server.1.transport_type", "account.1.transport"),
        ("66.80.0.1", "push_xml.sip_notify", "static.syslog.enable"),
        ("66.81.0.1", "static.syslog.enable", "push_xml.sip_notify"),
        ("66.82.0.1", "static.lang.gui", "lang.gui"),
        ("66.83.0.1", "lang.gui", "static.lang.gui"),
        ("66.99.0.1", "lang.gui", "static.lang.gui"),
    ],
)
def test_files_follow_the_firmware_that_the_phone_runs(plugin, version, present, absent):
    settings = settings_of(plugin, {"version": version})
    assert present in settings
    assert absent not in settings


@pytest.mark.parametrize(
    ("model", "like"),
    [
        ("T46S", "66.86.0.15"),  # the newest firmware that is made for it
        ("T46G", "28.83.0.120"),
        ("T28P", "2.73.0.50"),
        ("T38G", "38.73.0.1"),  # none is: the generation that it is known to run
        ("W52P", "25.81.0.60"),
    ],
)
def test_without_a_version_the_newest_firmware_of_the_model_counts(plugin, model, like):
    for version in (None, "", "86"):
        assert settings_of(plugin, {"model": model, "version": version}) == settings_of(
            plugin, {"model": model, "version": like}
        )


def test_device_without_a_mac_is_refused_and_has_no_files(plugin):
    device = {key: value for key, value in DEVICE.items() if key != "mac"}
    with pytest.raises(InvalidDocument, match="MAC"):
        plugin.render(device, copy.deepcopy(RAW_CONFIG))
    assert list(plugin.file_names(device)) == []
    assert plugin.get_remote_state_trigger_filename(device) is None
    plugin.deconfigure(device)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"http_base_url": None}, "http_base_url"),
        ({"sip_lines": {"one": LINE}}, "sip_lines: 'one'"),
        ({"sip_lines": {"0": LINE}}, "sip_lines: '0'"),
        ({"sip_lines": {"1": {**LINE, "proxy_ip": None}}}, "sip_lines.1: neither proxy_ip"),
        ({"funckeys": {"0": {"type": "park", "value": "1"}}}, "funckeys: '0'"),
        ({"funckeys": {"1": {"type": "intercom", "value": "1"}}}, "'intercom'"),
        ({"funckeys": {"1": {"type": "park", "value": "1", "line": "x"}}}, "funckeys.1.line: 'x'"),
        ({"admin_username": "a:b", "admin_password": "c"}, "admin_username"),
        ({"sip_servers_root_and_intermediate_certificates": ["PEM"] * 11}, "10 certificates"),
    ],
)
def test_config_that_cannot_be_written_is_refused_with_its_parameter(plugin, changes, message):
    with pytest.raises(InvalidDocument, match=message):
        plugin.render(dict(DEVICE), {**copy.deepcopy(RAW_CONFIG), **changes})


def test_lines_and_keys_beyond_the_phone_are_left_out_and_logged(plugin, caplog):
    caplog.set_level("INFO")
    settings = settings_of(
        plugin,
        {"model": "T31G"},
        sip_lines={"1": LINE, "3": LINE},
        funckeys={"3": {"type": "blf", "value": "1003"}},
    )
    assert "account.3.enable" not in settings
    assert "linekey.3.type" not in settings
    assert "device d1: line 3 is left out: the phone has 2" in caplog.text
    assert "device d1: function keys 3 are left out: the phone has 2" in caplog.text


def test_what_cannot_be_written_is_logged_once_until_it_changes(plugin, caplog):
    for _ in range(3):
        settings_of(plugin, {"model": "T31G"}, sip_lines={"1": LINE, "3": LINE})
    assert caplog.text.count("line 3 is left out") == 1
    assert plugin.notes_of("d1") == ("line 3 is left out: the phone has 2",)
    settings_of(plugin, {"model": "T31G"})
    assert plugin.notes_of("d1") == ()
    settings_of(plugin, {"model": "T31G"}, sip_lines={"1": LINE, "3": LINE})
    assert caplog.text.count("line 3 is left out") == 2


@pytest.mark.parametrize(
    ("model", "near"),
    [("T46X", "T46U"), ("t46s", "T46S"), ("T19P_E9", "T19P_E2"), ("W70X", "W70B")],
)
def test_model_that_is_not_known_gets_the_keys_and_lines_of_the_nearest_by_name(
    plugin, caplog, model, near
):
    settings = settings_of(plugin, {"model": model})
    assert settings == settings_of(plugin, {"model": near})
    note = f"Yealink {model} is not a model that we know, and is configured like {near}"
    assert f"device d1: {note}" in caplog.text


def test_model_like_no_other_is_as_large_as_asked_but_no_larger_than_the_largest(plugin, caplog):
    far = "9" * 12
    settings = settings_of(
        plugin,
        {"model": "Q9"},
        sip_lines={"1": LINE, "3": LINE, far: LINE},
        funckeys={"2": {"type": "park", "value": "700"}, far: {"type": "park", "value": "701"}},
    )
    lines = [key for key in settings if key.endswith(".enable") and key.startswith("account")]
    assert lines == ["account.1.enable", "account.3.enable", "account.2.enable"]
    assert settings["linekey.2.value"] == "700"
    assert sum(key.startswith("linekey.") and key.endswith(".type") for key in settings) == 2
    assert "device d1: Yealink Q9 is not a model that we know" in caplog.text
    assert f"device d1: line {far} is left out: the phone has 3" in caplog.text


@pytest.mark.parametrize(
    ("proxy", "expected"),
    [("10.0.0.1", "10.0.0.1"), ("sip.example.org", "%NULL%"), ("2001:db8::1", "%NULL%")],
)
def test_action_uris_are_limited_to_the_proxy_where_it_is_an_ipv4_address(plugin, proxy, expected):
    settings = settings_of(plugin, sip_lines={"1": {**LINE, "proxy_ip": proxy}})
    assert settings["features.action_uri_limit_ip"] == expected


@pytest.mark.parametrize(
    ("transport", "port", "expected"),
    [
        ("udp", None, "5060"),
        ("tcp", None, "5060"),
        ("tls", None, "5061"),
        ("tls", 5060, "5060"),
        ("udp", 5061, "5061"),
    ],
)
def test_default_port_is_that_of_the_transport(plugin, transport, port, expected):
    settings = settings_of(
        plugin,
        sip_transport=transport,
        sip_lines={"1": {**LINE, "proxy_port": port, "backup_proxy_ip": "10.0.0.2"}},
    )
    assert settings["account.1.sip_server.1.port"] == expected
    assert settings["account.1.sip_server.2.port"] == ("5061" if transport == "tls" else "5060")


@pytest.mark.parametrize(
    ("line", "shared", "expected"),
    [
        ({}, {"sip_proxy_port": 5080}, ("10.0.0.1", "5060")),
        ({}, {"sip_proxy_ip": "10.0.0.1", "sip_proxy_port": 5080}, ("10.0.0.1", "5080")),
        ({"proxy_port": 5070}, {"sip_proxy_port": 5080}, ("10.0.0.1", "5070")),
        (
            {"proxy_ip": None},
            {"sip_proxy_ip": "10.0.0.2", "sip_proxy_port": 5080},
            ("10.0.0.2", "5080"),
        ),
        ({}, {"sip_proxy_ip": "10.0.0.2", "sip_proxy_port": 5080}, ("10.0.0.1", "5060")),
    ],
)
def test_global_port_goes_with_the_global_address_only(plugin, line, shared, expected):
    settings = settings_of(plugin, sip_lines={"1": {**LINE, **line}}, **shared)
    server = "account.1.sip_server.1"
    assert (settings[f"{server}.address"], settings[f"{server}.port"]) == expected


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Europe/Paris", ("+1", "1", "3/5/7/2", "10/5/7/3")),
        ("America/New_York", ("-5", "1", "3/2/7/2", "11/1/7/2")),
        ("Australia/Sydney", ("+10", "1", "10/1/7/2", "4/1/7/3")),
        ("America/St_Johns", ("-3:30", "1", "3/2/7/2", "11/1/7/2")),
        # The rule says: fourth Thursday, 50 hours later.
        ("Asia/Gaza", ("+2", "1", "3/5/6/2", "10/5/6/2")),
        ("Asia/Kathmandu", ("+5:45", "0", None, None)),
        ("UTC", ("0", "0", None, None)),
        ("Pacific/Kiritimati", ("+14", "0", None, None)),
        ("Etc/GMT+12", ("-11", "0", None, None)),
        (None, (None, None, None, None)),
        ("Mars/Phobos", (None, None, None, None)),
    ],
)
def test_time_zone_is_written_as_offset_and_rules(plugin, zone, expected):
    settings = settings_of(plugin, timezone=zone)
    keys = ("time_zone", "summer_time", "start_time", "end_time")
    assert tuple(settings.get(f"local_time.{key}") for key in keys) == expected


@pytest.mark.parametrize(
    ("locale", "language", "tones"),
    [
        ("fr_FR", "French", "France"),
        ("fr_CA", "French", "United States"),
        ("de_CH", "German", "Switzerland"),
        ("pt_BR.UTF-8", "Portuguese", "Brazil"),
        ("eo_XX", "%NULL%", "%NULL%"),
        (None, "%NULL%", "%NULL%"),
    ],
)
def test_locale_gives_language_and_tones(plugin, locale, language, tones):
    settings = settings_of(plugin, locale=locale)
    assert settings["lang.gui"] == settings["lang.wui"] == language
    assert settings["voice.tone.country"] == tones


@pytest.mark.parametrize(
    ("changes", "key", "value"),
    [
        ({"sip_dtmf_mode": "RTP-in-band"}, "account.1.dtmf.type", "0"),
        ({"sip_dtmf_mode": "SIP-INFO"}, "account.1.dtmf.type", "2"),
        ({}, "account.1.dtmf.type", "1"),
        ({"sip_srtp_mode": "preferred"}, "account.1.srtp_encryption", "1"),
        ({"sip_srtp_mode": "required"}, "account.1.srtp_encryption", "2"),
        ({"sip_transport": "tcp"}, "account.1.sip_server.1.transport_type", "1"),
        ({"exten_voicemail": "*98"}, "voice_mail.number.1", "*98"),
        ({"sip_subscribe_mwi": True}, "account.1.subscribe_mwi", "1"),
        ({"sip_outbound_proxy_ip": "10.0.0.9"}, "account.1.outbound_proxy.1.address", "10.0.0.9"),
        ({"sip_backup_proxy_ip": "10.0.0.2"}, "account.1.sip_server.2.address", "10.0.0.2"),
        ({"user_username": "u"}, "static.security.user_name.user", "u"),
        ({"vlan_enabled": False, "vlan_id": 5}, "static.network.vlan.internet_port_enable", "0"),
    ],
)
def test_global_parameter_reaches_its_key(plugin, changes, key, value):
    assert settings_of(plugin, **changes)[key] == value


@given(
    texts=st.fixed_dictionaries(
        {key: st.text() for key in ("display_name", "number", "username", "voicemail")}
    ),
    label=st.text(),
    value=st.text(min_size=1),
    password=st.text(string.printable).map(str.strip).filter(str.isprintable),
)
def test_no_text_adds_a_line_or_loses_one(loaded_once, texts, label, value, password):
    def keys_with(line, key, password):
        raw_config = {
            **RAW_CONFIG,
            "sip_lines": {"1": {**LINE, **line}},
            "funckeys": {"2": {"type": "blf", **key}},
            "admin_password": password or "p",
        }
        return [key for key, _ in parser.parse(loaded_once.render(DEVICE, raw_config)[0].content)]

    assert keys_with(texts, {"label": label, "value": value}, password) == keys_with(
        {}, {"label": "l", "value": "v"}, "p"
    )


@pytest.mark.parametrize("secret", ["two\nlines", " blank before", "blank after ", "bell\a"])
@pytest.mark.parametrize("parameter", ["sip_lines.1.password", "admin_password", "user_password"])
def test_password_that_the_file_cannot_hold_is_refused(plugin, parameter, secret):
    changes = {parameter: secret}
    if parameter.startswith("sip_lines"):
        changes = {"sip_lines": {"1": {**LINE, "password": secret}}}
    with pytest.raises(InvalidDocument, match=f"^{re.escape(parameter)}: it holds what the phone"):
        settings_of(plugin, **changes)


def test_printable_texts_come_out_as_they_are(plugin):
    name = "Zoé \"Zo\" <zo> & 'Cie' #1; %20 電話 {{ x }}"
    assert (
        settings_of(plugin, sip_lines={"1": {**LINE, "display_name": name}})["account.1.label"]
        == name
    )


def test_firmware_setting_takes_a_url_or_the_name_of_a_served_file(load_plugin):
    firmware = {"T46S": "T46S 66(1).rom", "T31G": "https://fw.example.org/$PN.rom"}
    plugin = load_plugin(PLUGIN_ID, {"firmware": firmware})
    url = "static.firmware.url"
    assert settings_of(plugin)[url] == "http://10.0.0.1:8667/firmware/T46S%2066(1).rom"
    assert settings_of(plugin, {"model": "T31G"})[url] == "https://fw.example.org/$PN.rom"
    assert url not in settings_of(plugin, {"model": "T48S"})


@pytest.mark.parametrize("firmware", ["T46S.rom", {"T46S": 66}, ["T46S.rom"]])
def test_firmware_setting_of_another_form_stops_the_load(load_plugin, firmware):
    with pytest.raises(PluginLoadError, match="'firmware' maps names to URLs"):
        load_plugin(PLUGIN_ID, {"firmware": firmware})


def test_firmware_for_a_model_that_does_not_exist_is_warned_of(load_plugin, caplog):
    load_plugin(PLUGIN_ID, {"firmware": {"T46": "T46S.rom", "T46S": "T46S.rom"}})
    assert "models that do not exist: ['T46']" in caplog.text


# Files on disk


def test_configure_writes_files_and_deconfigure_removes_them(plugin):
    directory = os.path.dirname(plugin.path_of("805ec0123456.cfg"))
    common = set(os.listdir(directory))
    certificates = {"sip_servers_root_and_intermediate_certificates": ["one", "two"]}
    plugin.configure(dict(DEVICE), {**copy.deepcopy(RAW_CONFIG), **certificates})
    written = {"805ec0123456.cfg", "805ec0123456-ca1.pem", "805ec0123456-ca2.pem"}
    assert set(os.listdir(directory)) - common == written
    plugin.configure(dict(DEVICE), copy.deepcopy(RAW_CONFIG))
    assert set(os.listdir(directory)) - common == {"805ec0123456.cfg"}
    plugin.deconfigure(dict(DEVICE))
    plugin.deconfigure(dict(DEVICE))
    assert set(os.listdir(directory)) == common


def test_configuration_is_the_remote_state_trigger_and_sensitive(plugin):
    assert plugin.get_remote_state_trigger_filename(DEVICE) == "805ec0123456.cfg"
    assert plugin.is_sensitive_filename("805ec0123456.cfg")
    assert plugin.is_sensitive_filename("805EC0123456.CFG")
    assert not plugin.is_sensitive_filename("y000000000066.cfg")
    assert not plugin.is_sensitive_filename("805ec0123456-ca1.pem")


@pytest.fixture
def own_templates(plugin):
    directory = os.path.join(plugin._plugin_dir, "var", "templates")
    written = []

    def write(name, source):
        path = os.path.join(directory, name)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(source)
        written.append(path)

    yield write
    for path in written:
        os.unlink(path)


def test_administrator_adds_settings_for_all_phones_or_for_a_model(plugin, own_templates):
    assert "phone_setting.backlight_time" not in settings_of(plugin)
    own_templates("custom.tpl", "phone_setting.backlight_time = 30\n")
    own_templates(
        "T48S.tpl",
        '{% extends "base.tpl" %}{% block custom %}\nwallpaper = {{ raw.X_paper }}\n{% endblock %}',
    )
    assert settings_of(plugin)["phone_setting.backlight_time"] == "30"
    settings = settings_of(plugin, {"model": "T48S"}, X_paper="a\nb = c")
    assert settings["phone_setting.backlight_time"] == "30"
    assert settings["wallpaper"] == "a b = c"


def test_misspelt_name_in_a_template_refuses_the_device(plugin, own_templates):
    own_templates("custom.tpl", "key = {{ raw.X_misspelt }}\n")
    with pytest.raises(Exception, match="X_misspelt"):
        settings_of(plugin)


@pytest.mark.parametrize(("service", "trusts"), [("ami", "1"), ("none", "1"), ("sip", "0")])
def test_a_phone_heeds_the_notify_of_whoever_sends_it(load_plugin, service, trusts):
    plugin = load_plugin(PLUGIN_ID, sync_service_type=service)
    assert settings_of(plugin)["sip.trust_ctrl"] == trusts
    common = next(iter(plugin.render_common(dict(vendor_plugins.BASE_RAW_CONFIG)))).content
    assert f"sip.trust_ctrl = {trusts}\n".encode() in common


def test_another_way_to_notify_makes_files_stale(load_plugin):
    stamps = {load_plugin(PLUGIN_ID, sync_service_type=way).stamp for way in ("ami", "sip")}
    assert len(stamps) == 2
