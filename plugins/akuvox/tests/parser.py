"""Akuvox' settings: `key = value` lines; any kind of line end counts."""

from tests.unit.plugins.line_files import parse_settings


def parse(content):
    return parse_settings(content.decode("utf-8").splitlines(), "[a-zA-Z0-9_.]+")
