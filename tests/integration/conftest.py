"""A running daemon for a module's tests."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

# Tests have no packages; the harness is shared by name.
_spec = importlib.util.spec_from_file_location("harness", Path(__file__).with_name("harness.py"))
harness = importlib.util.module_from_spec(_spec)
sys.modules["harness"] = harness
_spec.loader.exec_module(harness)


@pytest.fixture(scope="session", autouse=True)
def our_plugins():
    """Build our plugins, as `make plugins` does, unless that was done."""
    if not (harness.REPOSITORY / "plugins.db").exists():
        from provd.plugin.author import main

        assert (
            main(["make", str(harness.ROOT / "plugins"), "--dest", str(harness.ROOT / "build")])
            == 0
        )


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A daemon with all our plugins, shared by the tests of a module."""
    running = harness.Daemon(tmp_path_factory.mktemp("provd")).start()
    yield running
    running.stop()


@pytest.fixture
def make_daemon(tmp_path):
    """Make daemons that are stopped after the test."""
    made = []

    def make(name="provd", **kwargs):
        made.append(harness.Daemon(tmp_path / name, **kwargs))
        return made[-1]

    yield make
    for running in made:
        if running.process is not None and running.process.poll() is None:
            running.stop()


@pytest.fixture
def needs():
    """Fail, naming what to install, where a program is missing."""

    def check(*programs):
        missing = [program for program in programs if shutil.which(program) is None]
        assert not missing, f"apt-get install {' '.join(missing)}"

    return check
