"""What Fanvil phones have of their own: catalogue names, firmware files, codes and URLs of DND."""

import json
from types import SimpleNamespace

import pytest

from provd.plugin.api import Change, DeviceSupport, Zone
from provd.plugin.phones.values import Notes
from provd.plugin.phones.zones import Dst
from tests.unit.plugins import family_cases

PACKAGE = "X6U-Pro-fw-2.12.16.17"


@pytest.fixture
def plugin(load_plugin):
    return load_plugin("provd-fanvil", {})


@pytest.fixture
def render(load_plugin):
    def render(raw_config, model="X6U", settings=None, version="2.12.16.17"):
        device = family_cases.device_of("fanvil", "X6U", version) | {"model": model}
        plugin = load_plugin("provd-fanvil", settings or {})
        files = plugin.render(device, {**family_cases.BASE, **raw_config})
        return {file.name: file.content.decode() for file in files}

    return render


@pytest.mark.parametrize("name", ["X6U Pro", "X6U-Pro", "x6u_pro"])
def test_a_model_is_known_by_the_names_of_catalogues_and_files(plugin, name):
    info = {"vendor": "Fanvil", "model": name, "version": "2.12.16.17"}
    assert plugin.associate(info) == DeviceSupport.EXACT
    assert plugin.model_of({"model": name}, {}).name == "X6U-Pro"


def test_a_version_is_compared_without_that_of_the_kernel(plugin):
    info = {"vendor": "Fanvil", "model": "X210", "version": "2.4.5.2"}
    assert plugin.associate(info) == DeviceSupport.EXACT


def test_a_phone_without_firmware_for_it_looks_for_none(render):
    [content] = render(family_cases.AUTOPROV).values()
    assert "<EnableAutoUpgrade>0<" in content


def test_firmware_is_described_in_a_file_of_the_phone_s_own_folder(render):
    settings = {"firmware": {"X4U-Pro": "new.z"}}
    files = render(family_cases.AUTOPROV, "X4U-Pro", settings)
    folder = "Fanvil/00a859123456"
    assert sorted(files) == [
        f"{folder}.cfg",
        f"{folder}/fanvil_x4u_pro_hwv1_0.txt",
        f"{folder}/fanvil_x4u_pro_hwv2_0.txt",
    ]
    assert f"<UpgradeServer1>http://10.0.0.1:8667/{folder}<" in files[f"{folder}.cfg"]
    described = files[f"{folder}/fanvil_x4u_pro_hwv2_0.txt"].splitlines()
    assert described[1] == "Firmware=http://10.0.0.1:8667/Fanvil/firmware/new.z"


def test_an_installed_package_is_described_with_its_version(plugin, tmp_path):
    installed = tmp_path / "var" / "installed"
    installed.mkdir(parents=True)
    (installed / PACKAGE).write_text(json.dumps({"id": PACKAGE}))
    plugin.installed.plugin_dir = str(tmp_path)
    device = family_cases.device_of("fanvil", "X6U")
    files = {
        file.name: file.content.decode()
        for file in plugin.render(device, dict(family_cases.AUTOPROV))
    }
    assert files["Fanvil/00a859123456/fanvil_x6u_hwv1_0.txt"].startswith("Version=2.12.16.17\n")


def test_older_phones_get_the_address_of_their_firmware(render):
    [content] = render(family_cases.AUTOPROV, "X4", {"firmware": {"X4": "old.z"}}).values()
    assert "<Auto_Image_URL>http://10.0.0.1:8667/Fanvil/firmware/old.z<" in content


def test_dnd_goes_by_code_or_by_url_and_never_by_both(render):
    line = {"sip_lines": {"1": family_cases.LINE}, "exten_dnd": "*25"}
    [by_code] = render(line).values()
    assert "<DNDOnSvcCode>*25<" in by_code
    assert "<DNDOnUrl></DNDOnUrl>" in by_code
    user = {"X_xivo_phonebook_ip": "10.0.0.1", "X_xivo_user_uuid": "u1"}
    [by_url] = render({**line, **user}).values()
    assert "<DNDOnSvcCode></DNDOnSvcCode>" in by_url
    assert "services/dnd/enable<" in by_url


@pytest.mark.parametrize(
    ("zone", "code", "name"),
    [
        ("Asia/Kolkata", 22, "UTC+5:30"),
        ("America/New_York", -20, "UTC-05"),
        ("Asia/Tokyo", 36, "UTC+9"),
        ("UTC", 0, "UCT"),
    ],
)
def test_a_zone_is_a_number_of_quarters_of_an_hour_and_a_name(render, zone, code, name):
    [content] = render({**family_cases.AUTOPROV, "timezone": zone}).values()
    assert f"<TimeZone>{code}<" in content
    assert f"<TimeZoneName>{name}<" in content


def test_c58_keeps_its_zone_where_its_list_has_none_such(render):
    [content] = render({**family_cases.AUTOPROV, "timezone": "Asia/Kolkata"}, "C58").values()
    assert "Time_Zone" not in content


def test_the_first_keys_are_on_the_home_page_as_well_on_v67(render):
    keys = {"2": {"type": "speeddial", "value": "200", "label": "Bob"}}
    line = {"sip_lines": {"1": family_cases.LINE}, "funckeys": keys}
    [content] = render(line, "V67").values()
    assert content.count("200@1/f") == 2


def test_an_outbound_proxy_takes_the_place_of_the_proxy_and_that_is_noted(render, caplog):
    line = {**family_cases.LINE, "registrar_ip": "10.0.0.9", "outbound_proxy_ip": "10.0.0.7"}
    [content] = render({"sip_lines": {"1": line}}).values()
    assert "<ProxyAddr>10.0.0.7<" in content
    assert "<RegisterAddr>10.0.0.9<" in content
    assert "the proxy of line 1 is left out" in caplog.text


def test_a_file_s_name_tells_the_version_where_no_package_does(render):
    name = "x6u-6924-P0.18.23.89-2.12.16.17-3594T2022-07-29-09.44.03.z"
    files = render(family_cases.AUTOPROV, settings={"firmware": {"X6U": name}})
    described = files["Fanvil/00a859123456/fanvil_x6u_hwv1_0.txt"].splitlines()
    assert described[0] == "Version=2.12.16.17"
    assert described[2] == "BuildTime=2022.07.29 09:44"


def test_an_older_phone_has_dnd_by_code_as_it_knows_no_url_for_it(render):
    user = {"X_xivo_phonebook_ip": "10.0.0.1", "X_xivo_user_uuid": "u1", "exten_dnd": "*25"}
    [content] = render({"sip_lines": {"1": family_cases.LINE}, **user}, "X4").values()
    assert "<DNDOn_SvcCode>*25<" in content


def test_references_in_a_directory_s_url_are_escaped_twice_as_the_phone_reads_them_twice(render):
    user = {"X_xivo_phonebook_ip": "10.0.0.1", "X_xivo_user_uuid": "u1"}
    for model in ("X6U", "X4"):
        [content] = render(user, model).values()
        assert "/fanvil?xivo_user_uuid=u1&amp;amp;term=<" in content


def test_a_door_phone_s_button_does_not_give_way_to_the_directory(render):
    keys = {"1": {"type": "speeddial", "value": "200", "label": "Bob"}}
    user = {"X_xivo_phonebook_ip": "10.0.0.1", "X_xivo_user_uuid": "u1", "funckeys": keys}
    [content] = render({"sip_lines": {"1": family_cases.LINE}, **user}, "i62").values()
    assert content.count('<dssSoft index="1">') == 1
    assert "<Value>200@1/f<" in content
    assert "<AutoAnswer>1<" in content


def test_a_backup_registrar_goes_before_a_backup_proxy_and_that_is_noted(render, caplog):
    line = {**family_cases.LINE, "backup_proxy_ip": "10.0.0.2", "backup_registrar_ip": "10.0.0.3"}
    [content] = render({"sip_lines": {"1": line}}).values()
    assert "<BackupAddr>10.0.0.3<" in content
    assert "the backup proxy of line 1 is left out" in caplog.text


def test_summer_time_on_fixed_days_has_the_day_in_place_of_the_weekday(plugin):
    # No zone has such rules at present.
    dst = Dst(Change(3, 7200, day=22), Change(9, 0, day=21), 3600)
    zone = Zone("Somewhere", 12600, dst)
    notes = Notes()
    phone = SimpleNamespace(
        zone=zone, model=plugin.family.models["X6U"], family=plugin.family, notes=notes
    )
    time_settings = type(plugin).context.__globals__["time_settings"]
    summer = time_settings(phone)["dst"]
    assert summer["fixed"]
    assert summer["changes"] == (
        ("Start", {"Mon": 3, "Wday": 22, "Hour": 2, "Min": 0}),
        ("End", {"Mon": 9, "Wday": 21, "Hour": 0, "Min": 0}),
    )
    assert not notes.texts


def test_summer_time_of_mixed_rules_is_left_out_and_noted(plugin):
    dst = Dst(Change(3, 7200, day=22), Change(9, 0, week=5, weekday=7), 3600)
    notes = Notes()
    phone = SimpleNamespace(
        zone=Zone("Somewhere", 0, dst),
        model=plugin.family.models["X6U"],
        family=plugin.family,
        notes=notes,
    )
    time_settings = type(plugin).context.__globals__["time_settings"]
    assert time_settings(phone)["dst"] is None
    assert "Somewhere mixes kinds of rules" in notes.texts[0]


@pytest.mark.parametrize("model", ["X6U", "X4"])
def test_an_administrator_s_template_may_fill_the_block_custom(plugin, model):
    source = '{% extends "base.tpl" %}{% block custom %}<Mine>1</Mine>{% endblock %}'
    device = family_cases.device_of("fanvil", "X6U") | {"model": model}
    phone = plugin.read(device, dict(family_cases.AUTOPROV))
    context = {**plugin.neutral_context(phone), **plugin.context(phone)}
    environment = plugin.templates.get_template("base.tpl").environment
    content = environment.from_string(source).render(context)
    assert "<Mine>1</Mine>" in content
    assert "<NotifyReboot>" in content or "<Notify_Reboot>" in content
