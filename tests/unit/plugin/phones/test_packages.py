import os

import pytest

from provd.errors import InvalidDocument
from provd.plugin.phones.packages import InstalledPackages, check_packages, to_definitions

FILE = {"url": "https://files.example.org/a/b.zip", "size": 1, "sha1": "0"}
PACKAGE = {"id": "one", "version": "1", "description": "d", "models": "P1", "files": [FILE]}


def test_sound_packages_pass():
    check_packages([PACKAGE, {**PACKAGE, "id": "two", "serves": "x.rom"}], ["P1"])
    check_packages([], [])


@pytest.mark.parametrize(
    ("packages", "reason"),
    [
        ([{**PACKAGE, "odd": 1}], "package 'one': unknown key 'odd'"),
        ([{**PACKAGE, "version": ""}], "package 'one': 'version' is missing"),
        ([{**PACKAGE, "files": []}], "package 'one': 'files' is missing"),
        ([{**PACKAGE, "models": "P1 P9"}], "package 'one' is for an unknown model 'P9'"),
        ([{**PACKAGE, "models": ["P1 P1"]}], "package 'one' is for an unknown model 'P1 P1'"),
        ([{**PACKAGE, "models": 7}], "models must be a text or a list of texts, not 7"),
        ([PACKAGE, PACKAGE], "package 'one' is there twice"),
        ([{**PACKAGE, "files": [{**FILE, "md5": "0"}]}], "unknown key 'md5' of a file"),
        ([{**PACKAGE, "files": [{"url": "u", "size": 1}]}], "a file needs size, sha1, and a url"),
        ([{**PACKAGE, "files": [{"size": 1, "sha1": "0"}]}], "a file needs size, sha1, and a url"),
        ([{**PACKAGE, "install": ["cp $FILE1 x"] * 16}], "more than 15 steps to install"),
        (
            [PACKAGE, {**PACKAGE, "id": "two", "files": [{**FILE, "sha1": "1"}]}],
            "package 'two': another file is called 'b.zip' too",
        ),
    ],
)
def test_packages_that_are_not_sound_are_refused(packages, reason):
    with pytest.raises(InvalidDocument) as caught:
        check_packages(packages, ["P1"])
    assert reason in str(caught.value)


def test_models_whose_names_hold_blanks_are_listed():
    check_packages([{**PACKAGE, "models": ["N5 PRO", "P1"]}], ["P1", "N5 PRO"])


def test_definitions_share_files_and_steps():
    text = to_definitions(
        [
            PACKAGE,
            {**PACKAGE, "id": "two", "description_fr": "f"},
            {**PACKAGE, "id": "three", "install": ["unzip $FILE1", "cp *.rom firmware/"]},
        ]
    )
    assert text.count("[file_") == 1
    assert text.count("[install_") == 2
    assert "[install_i1]\na-b: cp $FILE1 firmware/\n" in text
    assert "[install_i2]\na-b: unzip $FILE1\nb-c: cp *.rom firmware/\n" in text
    assert (
        "[pkg_two]\nversion: 1\ndescription: d\ndescription_fr: f\nfiles: f1\ninstall: i1\n" in text
    )


@pytest.fixture
def install(tmp_path):
    directory = tmp_path / "var" / "installed"
    directory.mkdir(parents=True)

    def install(name, moment):
        (directory / name).touch()
        os.utime(directory / name, ns=(moment, moment))
        os.utime(directory, ns=(moment, moment))

    return install


def test_the_package_that_was_installed_last_serves_a_model(tmp_path, install):
    packages = (
        {"id": "one", "models": "P1 P2", "serves": "one.rom"},
        {"id": "two", "models": ["P1", "P3 PRO"], "serves": "two.rom"},
        {"id": "language", "models": "P1"},
        {"id": "anything", "serves": "x.rom"},
    )
    installed = InstalledPackages(str(tmp_path), packages)
    assert installed.ids() == []
    assert installed.firmware("P1") is None
    install("one", 1_000_000_000)
    assert installed.firmware("P1")["id"] == "one"
    for number, name in enumerate(("two", "language", "anything", "of another plugin"), 2):
        install(name, number * 1_000_000_000)
    assert installed.ids() == ["of another plugin", "anything", "language", "two", "one"]
    assert installed.firmware("P1")["id"] == "two"
    assert installed.firmware("P2")["id"] == "one"
    assert installed.firmware("P3 PRO")["id"] == "two"
    assert installed.firmware("P3") is None
    assert installed.has("language")
    assert not installed.has("nothing")


def test_without_the_directory_nothing_is_installed(tmp_path):
    assert InstalledPackages(str(tmp_path / "none"), ()).ids() == []
