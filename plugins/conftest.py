"""Lets tests beside a family, `<family>/tests/test_*.py`, load the plugins as the daemon does."""

from tests.unit.plugins.fixtures import built_plugins, load_plugin

__all__ = ["built_plugins", "load_plugin"]
