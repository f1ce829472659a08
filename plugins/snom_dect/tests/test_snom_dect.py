"""What is peculiar to Snom's DECT bases: the table of servers, generations, versions of firmware."""

import os
import shutil

import pytest

from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.vendor_plugins import BASE_RAW_CONFIG, install

LINE = {"proxy_ip": "10.0.0.1", "username": "user1", "password": "secret1", "number": "1001"}


@pytest.fixture
def plugin(load_plugin):
    plugin = load_plugin("provd-snom-dect")
    yield plugin
    shutil.rmtree(os.path.join(plugin.installed.plugin_dir, "var", "installed"), ignore_errors=True)


def render(plugin, model="M900", version="07.40.0104", lines=None, **raw_config):
    device = {"id": "d1", "mac": "00:04:13:12:34:56", "model": model, "version": version}
    lines = {str(number): {**LINE, **line} for number, line in (lines or {1: {}}).items()}
    raw_config = {**BASE_RAW_CONFIG, "sip_lines": lines, "funckeys": {}, **raw_config}
    return {file.name: file.content for file in plugin.render(device, raw_config)}


def settings(files, name="000413123456.xml"):
    pairs = vendor_plugins.parser("snom_dect").parse(files[name])
    return {key.rsplit("/", 1)[-1]: value for key, value in pairs}


def test_handsets_share_the_servers_that_they_have_in_common(plugin):
    given = settings(
        render(plugin, lines={1: {}, 2: {"proxy_ip": "10.0.0.2", "proxy_port": 5070}, 3: {}})
    )
    assert given["user_host[1]"] == "10.0.0.1"
    assert given["user_host[2]"] == "10.0.0.2:5070"
    assert "user_host[3]" not in given
    servers = [given[f"subscr_sip_ua_data_server_id[{number}]"] for number in (1, 2, 3)]
    assert servers == ["1", "2", "1"]


def test_handsets_of_an_eleventh_server_are_left_out_and_noted(plugin):
    lines = {number: {"proxy_ip": f"10.0.0.{number}"} for number in range(1, 12)}
    given = settings(render(plugin, lines=lines))
    assert given["subscr_sip_ua_data_server_id[10]"] == "10"
    assert "user_name[11]" not in given
    assert given["user_active[11]"] == "off"
    assert plugin.notes_of("d1") == ("line 11 is left out: a base knows 10 servers",)


@pytest.mark.parametrize(
    ("raw_config", "host", "outbound"),
    [
        ({}, "10.0.0.1", ""),
        ({"sip_transport": "tls"}, "10.0.0.1", ""),
        ({"sip_outbound_proxy_ip": "10.0.0.9"}, "10.0.0.1", "10.0.0.9"),
        ({"sip_registrar_ip": "10.0.0.5"}, "10.0.0.5", "10.0.0.1"),
    ],
)
def test_calls_go_through_the_outbound_proxy_else_the_proxy(plugin, raw_config, host, outbound):
    given = settings(render(plugin, **raw_config))
    assert (given["user_host[1]"], given["user_outbound[1]"]) == (host, outbound)


def test_firmware_7_has_its_own_logins_and_shows_the_number(plugin):
    passwords = {"admin_password": "849201", "user_password": "730184"}
    newer = settings(render(plugin, **passwords))
    assert newer["http_engineer_pass"] == "849201"
    assert newer["http_basic_pass"] == "730184"
    assert newer["subscr_sip_line_name[1]"] == "1001"
    older = settings(render(plugin, version="05.20.0001", **passwords))
    assert older["admin_mode_password"] == "849201"
    assert not {"http_engineer_pass", "http_basic_pass", "subscr_sip_line_name[1]"} & older.keys()


def test_lines_that_nobody_uses_are_off(plugin):
    given = settings(render(plugin, "M300", None))
    assert [given[f"user_active[{number}]"] for number in (1, 2, 20)] == ["on", "off", "off"]
    assert "user_active[21]" not in given


def test_without_a_package_a_base_is_told_of_no_firmware(plugin):
    assert b"-firmware.htm" not in render(plugin)["snomM900-000413123456.htm"]


def test_versions_of_the_base_and_its_handsets_are_those_of_installed_packages(plugin):
    install(plugin, "M900-fw-07.40.0104", "M400-fw-07.40.0104", "M65-fw-05.20.0001")
    files = render(plugin)
    assert b"/000413123456-firmware.htm" in files["snomM900-000413123456.htm"]
    parsed = vendor_plugins.parser("snom_dect").parse(files["000413123456-firmware.htm"])
    pairs = [(key.rsplit("/", 1)[-1], value) for key, value in parsed]
    assert pairs == [
        ("firmware", BASE_RAW_CONFIG["http_base_url"]),
        ("fp_fwu_sw_version", "740"),
        ("fp_fwu_branch_version", "104"),
        ("pp_fwu_sw_version@type", "M65"),
        ("pp_fwu_sw_version", "520"),
        ("pp_fwu_branch_version@type", "M65"),
        ("pp_fwu_branch_version", "1"),
    ]
