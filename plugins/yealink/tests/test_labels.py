"""What the phone shows for an account, by generation and model."""

import pytest

from tests.unit.plugins import vendor_plugins
from tests.unit.plugins.vendor_plugins import BASE_RAW_CONFIG

LINE = {"proxy_ip": "10.0.0.1", "username": "user1", "password": "secret1"}


def label(plugin, model, version, **line):
    device = {"id": "d1", "mac": "80:5e:c0:12:34:56", "model": model, "version": version}
    raw_config = {**BASE_RAW_CONFIG, "sip_lines": {"1": {**LINE, **line}}, "funckeys": {}}
    [file] = plugin.render(device, raw_config)
    return dict(vendor_plugins.parser("yealink").parse(file.content))["account.1.label"]


@pytest.mark.parametrize(
    ("model", "version", "line", "expected"),
    [
        ("T46S", "66.86.0.15", {"display_name": "Alice", "number": "1001"}, "Alice"),
        ("T46S", "66.86.0.15", {"number": "1001"}, "1001"),
        ("T46S", "66.86.0.15", {}, "user1"),
        ("T46S", "66.85.0.5", {"display_name": "Alice", "number": "1001"}, "1001"),
        ("T46S", "66.85.0.5", {"display_name": "Alice"}, "Alice"),
        ("T46S", "66.85.0.5", {}, "user1"),
        ("W70B", "146.87.0.21", {"display_name": "Alice", "number": "1001"}, "1001 Alice"),
        ("W70B", "146.87.0.21", {"number": "1001"}, "1001"),
        ("W70B", "146.87.0.21", {}, "user1"),
    ],
)
def test_label_is_a_name_or_a_number_by_generation_and_both_on_handsets(
    load_plugin, model, version, line, expected
):
    assert label(load_plugin("provd-yealink"), model, version, **line) == expected
