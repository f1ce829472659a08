import pytest

from provd.manager import jobs
from tests.unit.manager.core import Core


@pytest.fixture(autouse=True)
def long_slices(monkeypatch):
    """Keep loops over devices in one piece, so that a slow machine changes no outcome."""
    monkeypatch.setattr(jobs, "SLICE_SECONDS", 1e9)


@pytest.fixture
def core(tmp_path):
    """A core with one plugin and no documents."""
    return Core(tmp_path)


@pytest.fixture
def make_core(tmp_path):
    """Make a core with options."""
    return lambda **options: Core(tmp_path, **options)
