"""FlyingVoice's settings: `key = value` lines; any kind of line end counts."""

from tests.unit.plugins.line_files import parse_settings


def parse(content):
    first, *lines = content.decode("utf-8").splitlines()
    assert first == "#!version:1.0.0.1"
    return parse_settings(lines, "[a-z0-9_.]+")
