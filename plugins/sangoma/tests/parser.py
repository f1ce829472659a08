"""Sangoma's settings: those of the twin vendor."""

from tests.unit.plugins import vendor_plugins

parse = vendor_plugins.parser("htek").parse
