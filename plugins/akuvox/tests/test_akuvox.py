"""What Akuvox phones have of their own: a proxy beside the registrar, zones."""

import pytest

from tests.unit.plugins import family_cases


@pytest.fixture
def render(load_plugin):
    def render(raw_config):
        device = family_cases.device_of("akuvox", "SPR63G")
        [file] = load_plugin("provd-akuvox", {}).render(
            device, {**family_cases.AUTOPROV, **raw_config}
        )
        return file.content.decode().splitlines()

    return render


def test_a_proxy_that_is_not_the_registrar_is_the_outbound_proxy(render):
    line = {**family_cases.LINE, "registrar_ip": "10.0.0.9"}
    lines = render({"sip_lines": {"1": line}})
    assert "Config.Account1.SIP.Server = 10.0.0.9" in lines
    assert "Config.Account1.OUTPROXY.Server = 10.0.0.1" in lines


@pytest.mark.parametrize(
    ("zone", "offset", "summer"),
    [("Asia/Kolkata", "+05:30", 0), ("America/New_York", "-05:00", 2), ("UTC", "+00:00", 0)],
)
def test_a_zone_is_its_offset_and_whether_it_has_summer_time(render, zone, offset, summer):
    lines = render({"timezone": zone})
    assert f"Config.Settings.SNTP.TimeZone = {offset}" in lines
    assert f"Config.Settings.SNTP.DTS = {summer}" in lines
