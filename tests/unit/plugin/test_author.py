"""`provd-plugin` does what its commands say, and fails with one line that says why."""

import json
import os
import subprocess
import sys

import pytest

from provd.plugin.author import main

INFO = b'{"version": "1.0", "description": "Acme", "capabilities": {}}'


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current directory, with two families in plugins/."""
    monkeypatch.chdir(tmp_path)
    for name in ("acme", "bell"):
        family = tmp_path / "plugins" / name
        (family / "v1").mkdir(parents=True)
        family.joinpath("build.toml").write_text(
            f'[[plugin]]\nid = "{name}-v1"\nsources = ["v1"]\n'
        )
        family.joinpath("v1/plugin-info").write_bytes(INFO)
        family.joinpath("v1/entry.py").write_bytes(b"")
    return tmp_path


def lines(capsys):
    return capsys.readouterr().out.splitlines()


def test_make_goes_from_sources_to_a_repository(place, capsys):
    assert main(["make", "plugins"]) == 0
    assert lines(capsys) == [
        "build/plugins/acme-v1",
        "build/plugins/bell-v1",
        "build/repository/acme-v1-1.0.tar.bz2",
        "build/repository/bell-v1-1.0.tar.bz2",
        "build/repository/plugins.db: 2 plugins",
    ]
    plugins = json.loads((place / "build/repository/plugins.db").read_bytes())
    assert list(plugins) == ["acme-v1", "bell-v1"]


def test_make_does_not_pack_what_it_did_not_build(place, capsys):
    (place / "build/plugins/stale").mkdir(parents=True)
    (place / "build/plugins/stale/plugin-info").write_bytes(INFO)
    assert main(["make", "plugins/acme"]) == 0
    assert sorted(os.listdir("build/repository")) == ["acme-v1-1.0.tar.bz2", "plugins.db"]


def test_three_commands_make_what_make_makes(place, capsys):
    assert main(["make", "plugins", "--dest", "one"]) == 0
    assert main(["build", "plugins/acme", "plugins/bell", "--dest", "two/plugins"]) == 0
    assert main(["package", "two/plugins", "--dest", "two/repository"]) == 0
    assert main(["index", "two/repository"]) == 0
    for name in os.listdir("one/repository"):
        one, two = (place / root / "repository" / name for root in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
    assert len(os.listdir("one/repository")) == len(os.listdir("two/repository")) == 3


def test_package_takes_single_plugins_too(place, capsys):
    main(["build", "plugins"])
    assert main(["package", "build/plugins/bell-v1", "--dest", "out"]) == 0
    assert os.listdir("out") == ["bell-v1-1.0.tar.bz2"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["build", "nowhere"], "No such file"),
        (["build", "plugins/acme/v1"], "there is no build.toml or family.toml in plugins/acme/v1"),
        (["package", "plugins"], "there is no plugin-info in plugins"),
        (["index", "nowhere"], "No such file"),
        (["make", "plugins/acme/v1"], "there is no build.toml or family.toml"),
    ],
)
def test_failure_is_one_line_that_says_why(arguments, reason, place, capsys):
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("provd-plugin: ")
    assert captured.err.count("\n") == 1
    assert reason in captured.err
    assert not captured.out
    assert os.listdir(place) == ["plugins"]


def test_two_families_may_not_declare_one_plugin(place, capsys):
    (place / "plugins/bell/build.toml").write_bytes(
        (place / "plugins/acme/build.toml").read_bytes()
    )
    assert main(["make", "plugins"]) == 1
    assert "'acme-v1' is declared in plugins/acme and in plugins/bell" in capsys.readouterr().err
    assert not os.path.exists("build")


def test_two_plugins_may_not_make_one_archive(place, capsys):
    (place / "plugins/bell/build.toml").write_text('[[plugin]]\nid = "acme_v1"\nsources = ["v1"]\n')
    assert main(["make", "plugins"]) == 1
    assert "both make build/repository/acme-v1-1.0.tar.bz2" in capsys.readouterr().err


def test_bad_archive_is_left_out_of_an_index_and_stops_a_strict_one(place, capsys, caplog):
    main(["make", "plugins"])
    (place / "build/repository/bad.tar.bz2").write_bytes(b"x")
    assert main(["index", "build/repository"]) == 0
    assert lines(capsys)[-1] == "build/repository/plugins.db: 2 plugins"
    assert "bad.tar.bz2" in caplog.text
    assert main(["index", "--strict", "build/repository"]) == 1
    assert "bad.tar.bz2" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["fly"], ["build"], ["make"]])
def test_wrong_usage_is_status_two(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_module_runs_as_a_program(place):
    done = subprocess.run(
        [sys.executable, "-m", "provd.plugin.author", "make", "plugins"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("plugins.db: 2 plugins\n")
