"""What Algo devices have of their own: two spellings of the file, the server in parts, notes."""

import pytest

from tests.unit.plugins import family_cases


@pytest.fixture
def render(load_plugin):
    def render(raw_config):
        device = family_cases.device_of("algo", "8180")
        plugin = load_plugin("provd-algo", {})
        files = plugin.render(device, {**family_cases.AUTOPROV, **raw_config})
        return {file.name: file.content.decode().splitlines() for file in files}

    return render


def test_both_spellings_of_the_address_give_the_same_file(render):
    small, capitals = render({}).values()
    assert small == capitals != []


def test_the_server_is_told_in_parts(render):
    lines = next(iter(render({"http_base_url": "https://provd.example.org/t/one"}).values()))
    assert "prov.server.static = provd.example.org" in lines
    assert "prov.download.method = https" in lines
    assert "prov.download.cfgpath = t/one" in lines


def test_a_port_is_written_where_it_is_not_the_usual_one(render):
    line = {**family_cases.LINE, "proxy_port": 5070}
    lines = next(iter(render({"sip_lines": {"1": line}}).values()))
    assert "sip.proxy = 10.0.0.1:5070" in lines


def test_encryption_is_left_out_and_noted(render, caplog):
    render({"sip_srtp_mode": "required"})
    assert "srtp_mode is left out" in caplog.text
