"""Gives the tests of plugin authors the old import names (entry point `pytest11`)."""

from provd import compat


def pytest_collection() -> None:
    """Give every module its old names before any test is imported."""
    compat.install()
