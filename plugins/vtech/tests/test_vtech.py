"""What VTech phones have of their own: zones by name, encryption, keys that are speed dials."""

import pytest

from tests.unit.plugins import family_cases


@pytest.fixture
def render(load_plugin):
    def render(raw_config):
        device = family_cases.device_of("vtech", "VCS754")
        [file] = load_plugin("provd-vtech", {}).render(
            device, {**family_cases.AUTOPROV, **raw_config}
        )
        return file.content.decode().splitlines()

    return render


def test_the_rule_of_summer_time_goes_with_the_name_of_the_zone(render):
    lines = render({"timezone": "Europe/Paris"})
    assert "time_date.selected_timezone = Europe/Paris" in lines
    assert "time_date.daylight_saving_start_month = March" in lines
    assert "time_date.daylight_saving_end_day = Sunday" in lines


def test_a_zone_without_summer_time_has_no_rule(render):
    lines = render({"timezone": "Asia/Tokyo"})
    assert "time_date.daylight_saving_auto_adjust = 0" in lines
    assert not any("daylight_saving_start" in line for line in lines)


@pytest.mark.parametrize(("mode", "code"), [("disabled", 0), ("preferred", 0), ("required", 1)])
def test_encryption_is_required_or_off(render, caplog, mode, code):
    assert f"sip_account.1.voice_encryption_enable = {code}" in render({"sip_srtp_mode": mode})
    assert ("srtp_mode is left out" in caplog.text) == (mode == "preferred")


def test_a_key_that_is_no_speed_dial_is_left_out_and_noted(render, caplog):
    keys = {"1": {"type": "speeddial", "value": "200"}, "2": {"type": "blf", "value": "201"}}
    lines = render({"funckeys": keys})
    assert "speed_dial.0.number = 200" in lines
    assert "speed_dial.1.number =" in [line.rstrip() for line in lines]
    assert "the phone has no blf key" in caplog.text
