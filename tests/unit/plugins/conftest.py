import pytest

from tests.unit.plugins.fixtures import built_plugins, load_plugin

__all__ = ["built_plugins", "load_plugin"]


def pytest_addoption(parser):
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write what vendor plugins render now as what is expected; review the difference",
    )


@pytest.fixture(scope="session")
def update_golden(pytestconfig):
    # Without a path to these tests the option is not known in time.
    return pytestconfig.getoption("--update-golden", default=False)
