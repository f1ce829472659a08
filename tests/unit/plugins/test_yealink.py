import copy
import itertools
import json
import os
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import InvalidDocument, PluginLoadError
from provd.plugin.api import DeviceSupport, PhoneRequest, RequestType
from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.vendor_plugins import parse_yealink, read_json

FAMILY = os.path.join(vendor_plugins.ROOT, "yealink")
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


def plugin_id(generation):
    return f"provd-yealink-v{generation}"


@pytest.fixture
def plugin(load_plugin):
    return load_plugin(plugin_id(86))


@pytest.fixture
def all_plugins(load_plugin):
    return {plugin_id(generation): load_plugin(plugin_id(generation)) for generation in GENERATIONS}


def settings_of(plugin, device=None, **changes):
    """Return what a phone would be set to, and refuse keys that are written twice."""
    raw_config = {**RAW_CONFIG, **changes}
    content = next(iter(plugin.render({**DEVICE, **(device or {})}, raw_config))).content
    pairs = parse_yealink(content)
    keys = [key for key, _ in pairs]
    repeatable = {"static.security.user_password", "static.trusted_certificates.url"}
    assert {key for key in keys if keys.count(key) > 1} <= repeatable
    return dict(pairs)


def chosen(plugins, **info):
    """Return the plugin that the daemon would choose: the best score, then the greatest id."""
    score, best = max((plugin.associate(info), name) for name, plugin in plugins.items())
    return best if score >= DeviceSupport.PROBABLE else None


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
def test_no_request_makes_the_extractor_fail(yealink_86, agent, path, vendor_class, mac, kind):
    info = yealink_86.extract(
        PhoneRequest(kind, path=path, user_agent=agent, options={60: vendor_class}, mac=mac)
    )
    assert info is None or info["vendor"] == "Yealink"


@pytest.fixture(scope="module")
def yealink_86(built_plugins):
    from provd.plugin.host import PluginHost

    host = PluginHost(
        built_plugins,
        general_config={},
        plugin_config={},
        base_raw_config=vendor_plugins.BASE_RAW_CONFIG,
    )
    yield host.load(plugin_id(86)).plugin
    host.close()


# Association


def test_phone_that_runs_the_firmware_of_a_generation_gets_that_plugin(all_plugins):
    for generation in GENERATIONS:
        name = plugin_id(generation)
        for capability in read_json(FAMILY, f"v{generation}", "plugin-info")["capabilities"]:
            vendor, model, version = capability.split(", ")
            info = {"vendor": vendor, "model": model, "version": version}
            assert all_plugins[name].associate(info) == DeviceSupport.EXACT, capability
            assert chosen(all_plugins, **info) == name, capability


@pytest.mark.parametrize(
    ("model", "version", "generation"),
    [
        ("T46S", "66.86.0.999", 86),
        ("T28P", "2.70.0.140", 73),  # older than all
        ("T46G", "28.72.0.1", 80),  # not made for this model before 80
        ("W52P", "25.30.0.2", 73),
        ("W60B", "77.84.0.10", 85),  # 83 and 85 are as near: the newer
        ("CP960", "73.82.0.1", 83),  # 83 is nearer than 80
        ("CP920", "78.82.0.1", 81),  # 81 is nearer than 84
        ("T58W", "58.99.0.1", 87),  # newer than all
        ("T46S", None, 86),  # the newest that is made for it
        ("T38G", "38.70.0.125", 73),
        ("VP59", "91.85.0.1", 86),
        ("T99X", "200.88.0.1", 87),  # not known: the newest
        (None, None, 87),
    ],
)
def test_nearest_generation_made_for_the_model_wins(all_plugins, model, version, generation):
    found = chosen(all_plugins, vendor="Yealink", model=model, version=version)
    assert found == plugin_id(generation)


def test_any_installed_generation_is_better_than_none_for_a_yealink_phone(plugin):
    info = {"vendor": "Yealink", "model": "T28P", "version": "2.73.0.50"}
    assert plugin.associate(info) == DeviceSupport.PROBABLE


def test_scores_order_exact_over_complete_over_incomplete_over_probable(load_plugin):
    plugin = load_plugin(plugin_id(73))

    def score(model, version):
        return plugin.associate({"vendor": "Yealink", "model": model, "version": version})

    assert score("T28P", "2.73.0.1") == DeviceSupport.EXACT
    assert score("T28P", None) == DeviceSupport.COMPLETE
    assert DeviceSupport.INCOMPLETE < score("T28P", "2.99.0.1") < DeviceSupport.COMPLETE
    assert score("T38G", "38.73.0.1") == DeviceSupport.INCOMPLETE
    assert DeviceSupport.PROBABLE < score("T38G", "38.999.0.1") < DeviceSupport.INCOMPLETE


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


@pytest.mark.parametrize("generation", GENERATIONS)
def test_plugin_info_agrees_with_the_tables(load_plugin, generation, update_golden):
    plugin = load_plugin(plugin_id(generation))
    capabilities = type(plugin).render.__globals__["capabilities"](generation)
    path = os.path.join(FAMILY, f"v{generation}", "plugin-info")
    info = read_json(path)
    if update_golden:
        info["capabilities"] = capabilities
        with open(path, "w", encoding="utf-8") as stream:
            json.dump(info, stream, indent=2, ensure_ascii=False)
            stream.write("\n")
    assert info["capabilities"] == capabilities
    assert capabilities


# Rendering


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_model_gets_a_sound_file_from_every_generation(load_plugin, generation):
    plugin = load_plugin(plugin_id(generation))
    models = type(plugin).render.__globals__["MODELS"]
    assert len(models) > 80
    for name, model in models.items():
        settings = settings_of(plugin, {"model": name, "version": f"1.{generation}.0.1"})
        for number in range(1, model.accounts + 1):
            assert settings[f"account.{number}.enable"] == ("1" if number == 1 else "0")
        assert f"account.{model.accounts + 1}.enable" not in settings
        keys = [key for key in settings if key.endswith(".type") and "key." in key]
        assert len(keys) == (
            model.line_keys + model.memory_keys + model.modules * model.module_keys
        )


def test_files_follow_the_firmware_that_the_phone_runs_not_the_plugin(load_plugin):
    for generation, other in itertools.permutations(GENERATIONS, 2):
        if abs(generation - other) > 1:
            continue
        device = {"version": f"66.{generation}.0.1"}
        assert settings_of(load_plugin(plugin_id(other)), device) == settings_of(
            load_plugin(plugin_id(generation)), device
        )


def test_without_a_version_the_plugin_s_own_generation_counts(load_plugin):
    device = {"version": None, "model": "W52P"}
    assert "account.1.transport" in settings_of(load_plugin(plugin_id(73)), device)
    assert "static.firmware.url" not in settings_of(load_plugin(plugin_id(73)), device)
    assert "static.syslog.enable" in settings_of(load_plugin(plugin_id(81)), device)


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
        ({"funckeys": {"1": {"type": "park", "value": "1", "line": "x"}}}, "line 'x'"),
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
    assert "line 3 is left out" in caplog.text
    assert "function keys 3 are left out" in caplog.text


def test_model_that_is_not_known_gets_no_more_than_the_largest_one(plugin):
    far = "9" * 12
    settings = settings_of(
        plugin,
        {"model": "T99X"},
        sip_lines={"1": LINE, far: LINE},
        funckeys={"2": {"type": "park", "value": "700"}, far: {"type": "park", "value": "701"}},
    )
    assert [key for key in settings if key.endswith(".enable") and key.startswith("account")] == [
        "account.1.enable"
    ]
    assert settings["linekey.2.value"] == "700"
    assert sum(key.startswith("linekey.") and key.endswith(".type") for key in settings) == 95


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
        {key: st.text() for key in ("display_name", "number", "username", "password", "voicemail")}
    ),
    label=st.text(),
    value=st.text(min_size=1),
    password=st.text(),
)
def test_no_text_adds_a_line_or_loses_one(yealink_86, texts, label, value, password):
    def keys_with(line, key, password):
        raw_config = {
            **RAW_CONFIG,
            "sip_lines": {"1": {**LINE, **line}},
            "funckeys": {"2": {"type": "blf", **key}},
            "admin_password": password or "p",
        }
        return [key for key, _ in parse_yealink(yealink_86.render(DEVICE, raw_config)[0].content)]

    assert keys_with(texts, {"label": label, "value": value}, password) == keys_with(
        {}, {"label": "l", "value": "v"}, "p"
    )


def test_printable_texts_come_out_as_they_are(plugin):
    name = "Zoé \"Zo\" <zo> & 'Cie' #1; %20 電話 {{ x }}"
    assert (
        settings_of(plugin, sip_lines={"1": {**LINE, "display_name": name}})["account.1.label"]
        == name
    )


def test_firmware_setting_takes_a_url_or_the_name_of_a_served_file(load_plugin):
    firmware = {"T46S": "T46S 66(1).rom", "T31G": "https://fw.example.org/$PN.rom"}
    plugin = load_plugin(plugin_id(86), {"firmware": firmware})
    url = "static.firmware.url"
    assert settings_of(plugin)[url] == "http://10.0.0.1:8667/firmware/T46S%2066(1).rom"
    assert settings_of(plugin, {"model": "T31G"})[url] == "https://fw.example.org/$PN.rom"
    assert url not in settings_of(plugin, {"model": "T48S"})


@pytest.mark.parametrize("firmware", ["T46S.rom", {"T46S": 66}, ["T46S.rom"]])
def test_firmware_setting_of_another_form_stops_the_load(load_plugin, firmware):
    with pytest.raises(PluginLoadError, match="'firmware' maps names to URLs"):
        load_plugin(plugin_id(86), {"firmware": firmware})


def test_firmware_for_a_model_that_does_not_exist_is_warned_of(load_plugin, caplog):
    load_plugin(plugin_id(86), {"firmware": {"T46": "T46S.rom", "T46S": "T46S.rom"}})
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
