"""Packages are installed, replaced and removed with nothing lost and nothing left behind."""

import hashlib
import http.server
import io
import json
import os
import stat
import tempfile
import threading
import zipfile

import pytest
import pytest_twisted
from twisted.internet import defer

from provd.errors import DownloadError, OperationRunning, PluginError, PluginLoadError
from provd.plugin import firmware, pkginstall
from provd.plugin.firmware import FetchfwPluginHelper
from provd.plugin.localization import (
    LocalizationService,
    register_localization_service,
    unregister_localization_service,
)


def zip_of(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return buffer.getvalue()


ARCHIVE = zip_of(top__a_rom=b"a", top__b_rom=b"b", readme=b"r")
LANGUAGE = b"bonjour"
FETCHED = {"fw.zip": ARCHIVE, "fr.lng": LANGUAGE}


def file_section(file_id, url, content, **more):
    lines = [f"[file_{file_id}]", f"url: {url}", f"size: {len(content)}"]
    lines += [f"sha1sum: {hashlib.sha1(content).hexdigest()}"]
    return "\n".join(lines + [f"{key}: {value}" for key, value in more.items()]) + "\n"


def package_section(package_id, **values):
    values = {"version": "1.0", "description": "Firmware", **values}
    return f"[pkg_{package_id}]\n" + "".join(f"{key}: {value}\n" for key, value in values.items())


INSTALL = """\
[install_fw]
a-b: unzip $FILE1
b-c: cp */*.rom fw/
a-d: cp $FILE2 lang/
"""
DEFINITIONS = (
    package_section("fw", files="fw fr", install="fw", description_fr="Micrologiciel")
    + file_section("fw", "http://example.org/fw.zip", ARCHIVE)
    + file_section("fr", "http://example.org/fr.lng", LANGUAGE, downloader="auth")
    + INSTALL
)
INSTALLED = ["fw/", "fw/a.rom", "fw/b.rom", "lang/", "lang/fr.lng"]


class Downloads:
    """A downloader that makes up the files; `serve` says what they hold."""

    def __init__(self):
        self.serve = dict(FETCHED)
        self.fetched = []
        self.on_progress = lambda: None

    def download(self, url, path, *, size, sha1sum, progress):
        name = os.path.basename(path)
        self.fetched.append(name)
        content = self.serve[name]
        if isinstance(content, Exception):
            raise content
        for count in (0, len(content)):
            progress(count)
            self.on_progress()
        with open(path, "wb") as stream:
            stream.write(content)


@pytest.fixture
def downloads():
    return Downloads()


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """Where temporary directories go; it has to be empty in the end."""
    path = tmp_path / "scratch"
    path.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(path))
    yield path
    assert list(path.iterdir()) == []


@pytest.fixture
def at_once(monkeypatch):
    """Do at once what would be done in a worker thread."""
    monkeypatch.setattr(firmware, "_in_thread", defer.execute)


@pytest.fixture
def held(monkeypatch):
    """Hold what would be done in a worker thread; each item does one."""
    held = []

    def hold(function):
        done = defer.Deferred()

        def run():
            defer.execute(function).chainDeferred(done)

        held.append(run)
        return done

    monkeypatch.setattr(firmware, "_in_thread", hold)
    return held


@pytest.fixture
def make(tmp_path, downloads):
    """Write a plugin's definitions and make its helper."""

    def make(definitions=DEFINITIONS, **kwargs):
        plugin = tmp_path / "acme"
        (plugin / "pkgs").mkdir(parents=True, exist_ok=True)
        (plugin / "pkgs" / "pkgs.db").write_text(definitions)
        return FetchfwPluginHelper(str(plugin), {"default": downloads, "auth": downloads}, **kwargs)

    return make


@pytest.fixture
def root(tmp_path):
    return tmp_path / "acme" / "var" / "tftpboot"


@pytest.fixture
def records(tmp_path):
    return tmp_path / "acme" / "var" / "installed"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "acme" / "var" / "cache"


def outcome(deferred):
    """Return the error with which a Deferred ended, None if it ended well."""
    results = []
    deferred.addBoth(results.append)
    assert results, "it did not end"
    return results[0].value if results[0] is not None else None


def install(helper, package_id="fw"):
    done, operation = helper.install(package_id)
    return outcome(done), operation.format()


def paths(root):
    found = list(root.rglob("*")) if root.exists() else []
    return sorted(f"{p.relative_to(root)}{'/' if p.is_dir() else ''}" for p in found)


# What there is


def test_helper_makes_the_directories_that_it_needs(make, cache, records):
    make()
    assert cache.is_dir()
    assert records.is_dir()


def test_places_are_those_of_the_contract():
    assert FetchfwPluginHelper.PKG_DIR == "pkgs"
    assert FetchfwPluginHelper.CACHE_DIR == "var/cache"
    assert FetchfwPluginHelper.INSTALLED_DIR == "var/installed"
    assert FetchfwPluginHelper.TFTPBOOT_DIR == "var/tftpboot"


def test_helper_is_the_install_service(make):
    helper = make()
    assert helper.services() == {"install": helper}


def test_packages_are_listed_with_the_size_of_their_files(make):
    size = len(ARCHIVE) + len(LANGUAGE)
    assert make().list_installable() == {
        "fw": {"version": "1.0", "description": "Firmware", "dsize": size}
    }


def test_descriptions_are_in_the_language_of_the_daemon(make, at_once):
    helper = make()
    install(helper)
    register_localization_service(LocalizationService("fr_FR"))
    try:
        assert helper.list_installable()["fw"]["description"] == "Micrologiciel"
        assert helper.list_installed()["fw"]["description"] == "Micrologiciel"
    finally:
        unregister_localization_service()


def test_faulty_definitions_stop_the_load(make):
    with pytest.raises(PluginLoadError, match=r"pkgs.db: \[file_x\] url: is missing") as raised:
        make("[file_x]\nsize: 1\n")
    assert raised.value.plugin_id == "acme"


def test_helper_has_downloaders_by_default(tmp_path):
    helper = FetchfwPluginHelper(str(tmp_path))
    assert sorted(helper.downloaders) == ["auth", "default"]
    assert helper.list_installable() == helper.list_installed() == {}


def test_filters_may_come_from_the_plugin(make, at_once, root):
    class Greet:
        def run(self, source, target, allowance):
            with open(os.path.join(target, "greeting"), "w") as stream:
                stream.write("hello")

    built = []

    def build(name, arguments):
        built.append((name, list(arguments)))
        return Greet()

    helper = make(
        package_section("fw", install="fw you") + "[install_fw]\na-b: greet $ARG1\n",
        filter_builder=build,
    )
    assert install(helper)[0] is None
    assert paths(root) == ["greeting"]
    assert built[-1] == ("greet", ["you"])


RECORD = {
    "id": "old",
    "version": "0.9",
    "description": "Old firmware",
    "explicit_install": True,
    "files": ["fw/", "fw/old.rom"],
}


def test_records_of_earlier_runs_are_read(make, records):
    records.mkdir(parents=True)
    (records / "old").write_text(json.dumps({**RECORD, "unknown": 1}))
    (records / ".old.tmp").write_text("nonsense")
    assert make().list_installed() == {"old": {"version": "0.9", "description": "Old firmware"}}


BROKEN = {
    "no JSON": "{",
    "no object": "[]",
    "other bytes": b"\xff",
    "another id": json.dumps({**RECORD, "id": "other"}),
    "list of numbers": json.dumps({**RECORD, "files": [1]}),
    **{
        f"no {key}": json.dumps({name: value for name, value in RECORD.items() if name != key})
        for key in RECORD
    },
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_broken_record_is_logged_and_left(make, records, caplog, content):
    records.mkdir(parents=True)
    (records / "old").write_bytes(content if isinstance(content, bytes) else content.encode())
    (records / "good").write_text(json.dumps({**RECORD, "id": "good"}))
    assert list(make().list_installed()) == ["good"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "installed/old" in caplog.text
    assert (records / "old").exists()


# Installing


def test_package_is_fetched_made_and_recorded(make, at_once, downloads, root, records):
    helper = make()
    assert install(helper)[0] is None
    assert downloads.fetched == ["fw.zip", "fr.lng"]
    assert paths(root) == INSTALLED
    assert (root / "fw/a.rom").read_bytes() == b"a"
    assert json.loads((records / "fw").read_text()) == {
        "id": "fw",
        "version": "1.0",
        "description": "Firmware",
        "description_fr": "Micrologiciel",
        "depends": [],
        "explicit_install": True,
        "files": INSTALLED,
    }
    assert os.listdir(records) == ["fw"]
    assert helper.list_installed() == {"fw": {"version": "1.0", "description": "Firmware"}}
    assert make().list_installed() == helper.list_installed()


def test_operation_tells_how_far_it_is(make, held, downloads):
    _, operation = make().install("fw")
    assert operation.format() == "install_pkg|progress(download|progress)(install|waiting)"
    seen = []
    downloads.on_progress = lambda: seen.append(operation.format())
    held.pop()()
    first, second = len(ARCHIVE), len(LANGUAGE)
    waiting = "(install|waiting)"
    assert seen == [
        f"install_pkg|progress(download|progress(progress;0/{first})(waiting)){waiting}",
        f"install_pkg|progress(download|progress(progress;{first}/{first})(waiting)){waiting}",
        f"install_pkg|progress(download|progress(success;{first}/{first})(progress;0/{second})){waiting}",
        f"install_pkg|progress(download|progress(success;{first}/{first})(progress;{second}/{second})){waiting}",
    ]
    assert operation.format() == (
        f"install_pkg|success(download|success(success;{first}/{first})"
        f"(success;{second}/{second}))(install|success)"
    )


def test_only_what_the_cache_lacks_is_fetched(make, at_once, downloads, cache):
    helper = make()
    (cache / "fr.lng").write_bytes(LANGUAGE)
    error, status = install(helper)
    assert error is None
    assert downloads.fetched == ["fw.zip"]
    size = len(ARCHIVE)
    assert status == (
        f"install_pkg|success(download|success(success;{size}/{size}))(install|success)"
    )
    downloads.fetched.clear()
    assert install(helper) == (None, "install_pkg|success(download|success)(install|success)")
    assert downloads.fetched == []


@pytest.mark.parametrize("content", [b"", LANGUAGE[:-1], LANGUAGE[::-1], LANGUAGE + b"x"])
def test_damaged_file_in_the_cache_is_fetched_again(make, at_once, downloads, cache, root, content):
    helper = make()
    (cache / "fr.lng").write_bytes(content)
    assert install(helper)[0] is None
    assert "fr.lng" in downloads.fetched
    assert (root / "lang/fr.lng").read_bytes() == LANGUAGE


SHIPPED = (
    package_section("testpkg", files="f", install="i")
    + file_section("f", "", b"test", filename="test-file.txt")
    + "[install_i]\na-b: include test-file.txt\n"
)


def test_file_that_ships_with_the_plugin_is_not_fetched(make, at_once, downloads, cache, root):
    helper = make(SHIPPED)
    (cache / "test-file.txt").write_bytes(b"test")
    assert install(helper, "testpkg")[0] is None
    assert (root / "test-file.txt").read_bytes() == b"test"
    assert not (root / "test-file.txt").is_symlink()
    assert downloads.fetched == []


@pytest.mark.parametrize("content", [None, b"tset"])
def test_file_that_should_have_shipped_is_missed(make, at_once, cache, content):
    helper = make(SHIPPED)
    if content is not None:
        (cache / "test-file.txt").write_bytes(content)
    error, status = install(helper, "testpkg")
    assert "test-file.txt has no address" in str(error)
    assert status == "install_pkg|fail(download|fail(fail))(install|fail)"
    assert sorted(os.listdir(cache)) == ([] if content is None else ["test-file.txt"])


def test_package_without_steps_is_fetched_and_recorded(make, at_once, downloads, root, records):
    helper = make(package_section("fw", files="f") + file_section("f", "http://x/fw.zip", ARCHIVE))
    assert install(helper)[0] is None
    assert downloads.fetched == ["fw.zip"]
    assert paths(root) == []
    assert json.loads((records / "fw").read_text())["files"] == []


def test_what_a_package_depends_on_is_not_installed(make, at_once):
    helper = make(package_section("fw", depends="other") + package_section("other"))
    assert install(helper)[0] is None
    assert list(helper.list_installed()) == ["fw"]


def test_root_is_read_when_a_package_is_installed(make, at_once, tmp_path, root):
    helper = make()
    helper.root_dir = str(tmp_path / "elsewhere" / "deep")
    assert install(helper)[0] is None
    assert paths(tmp_path / "elsewhere" / "deep") == INSTALLED
    assert paths(root) == []


def test_files_that_are_there_are_replaced_and_directories_used(make, at_once, root):
    (root / "fw").mkdir(parents=True)
    (root / "fw/a.rom").write_bytes(b"old")
    (root / "fw/own.rom").write_bytes(b"own")
    with (root / "fw/a.rom").open("rb") as being_served:
        assert install(make())[0] is None
        assert being_served.read() == b"old"
    assert (root / "fw/a.rom").read_bytes() == b"a"
    assert (root / "fw/own.rom").read_bytes() == b"own"


def test_directory_that_the_administrator_moved_is_used(make, at_once, root, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    root.mkdir(parents=True)
    (root / "fw").symlink_to(moved)
    helper = make()
    assert install(helper)[0] is None
    assert sorted(os.listdir(moved)) == ["a.rom", "b.rom"]
    assert outcome(helper.uninstall("fw")) is None
    assert os.listdir(moved) == []
    assert os.listdir(root) == ["fw"]


def test_file_is_not_written_through_a_link(make, at_once, root, tmp_path):
    (root / "fw").mkdir(parents=True)
    (tmp_path / "target").write_bytes(b"target")
    (root / "fw/a.rom").symlink_to(tmp_path / "target")
    assert install(make())[0] is None
    assert (tmp_path / "target").read_bytes() == b"target"
    assert (root / "fw/a.rom").read_bytes() == b"a"


def test_modes_are_kept(make, at_once, cache, root):
    helper = make(SHIPPED)
    (cache / "test-file.txt").write_bytes(b"test")
    (cache / "test-file.txt").chmod(0o754)
    install(helper, "testpkg")
    assert stat.S_IMODE((root / "test-file.txt").stat().st_mode) == 0o754


def test_failed_download_fails_the_operation(make, at_once, downloads, root):
    downloads.serve["fr.lng"] = DownloadError("404 Not Found")
    helper = make()
    done, operation = helper.install("fw")
    error = outcome(done)
    assert isinstance(error, PluginError)
    assert str(error) == "package fw: 404 Not Found"
    size = len(ARCHIVE)
    assert operation.format() == (
        f"install_pkg|fail(download|fail(success;{size}/{size})(fail;0/{len(LANGUAGE)}))(install|fail)"
    )
    assert operation.error == "404 Not Found"
    assert paths(root) == []
    assert helper.list_installed() == {}


def test_failed_step_is_named(make, at_once, root, records):
    helper = make(DEFINITIONS.replace("*/*.rom", "*.bin"))
    error, status = install(helper)
    assert str(error) == "package fw: [install_fw] b-c: nothing matches '*.bin'"
    assert status.endswith("(install|fail)")
    assert paths(root) == []
    assert os.listdir(records) == []


def test_unexpected_error_fails_the_operation_too(make, at_once, downloads):
    downloads.serve["fw.zip"] = ZeroDivisionError("oops")
    helper = make()
    error, status = install(helper)
    assert isinstance(error, ZeroDivisionError)
    assert status.startswith("install_pkg|fail(")
    downloads.serve = dict(FETCHED)
    assert install(helper)[0] is None


@pytest.mark.parametrize(
    ("present", "message"),
    [("lang", "lang is a file"), ("lang/fr.lng/x", "fr.lng is a directory")],
)
def test_what_was_copied_is_removed_on_failure(make, at_once, root, records, present, message):
    path = root / present
    path.parent.mkdir(parents=True)
    path.write_bytes(b"own")
    before = paths(root)
    error, _ = install(make())
    assert message in str(error)
    assert paths(root) == before
    assert path.read_bytes() == b"own"
    assert os.listdir(records) == []


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_failure_to_put_a_file_in_its_place_is_undone(make, at_once, root, monkeypatch, failing):
    rename, calls = os.rename, []

    def fail(source, target):
        calls.append(target)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        rename(source, target)

    helper = make()
    monkeypatch.setattr(pkginstall.os, "rename", fail)
    assert "No space left" in str(install(helper)[0])
    assert paths(root) == []
    assert install(helper)[0] is None
    assert paths(root) == INSTALLED


def test_file_that_was_there_is_not_removed_on_failure(make, at_once, root, monkeypatch):
    (root / "fw").mkdir(parents=True)
    for name in ("a.rom", "b.rom"):
        (root / "fw" / name).write_bytes(b"own")

    def fail(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pkginstall, "write_file", fail)
    install(make())
    assert paths(root) == ["fw/", "fw/a.rom", "fw/b.rom"]


@pytest.mark.parametrize("target", ["/etc/passwd", "/etc", "nowhere"])
def test_link_that_a_filter_made_is_not_put_in_place(make, at_once, root, target):
    class Link:
        def run(self, source, directory, allowance):
            os.symlink(target, os.path.join(directory, "link"))

    helper = make(
        package_section("fw", install="fw") + "[install_fw]\na-b: link\n",
        filter_builder=lambda _name, _arguments: Link(),
    )
    assert "'link' is neither a file nor a directory" in str(install(helper)[0])
    assert paths(root) == []


def test_failure_to_record_is_undone(make, at_once, root, monkeypatch):
    def fail(path, content):
        raise OSError(28, "No space left on device")

    helper = make()
    monkeypatch.setattr(pkginstall, "write_file", fail)
    assert "No space left" in str(install(helper)[0])
    assert paths(root) == []


def test_what_a_crash_left_is_overwritten(make, at_once, root, monkeypatch):
    helper = make()

    def crash(source, target):
        raise OSError(5, "crash")

    with monkeypatch.context() as patch:
        patch.setattr(pkginstall.os, "rename", crash)
        patch.setattr(pkginstall, "_remove", lambda _path: None)
        install(helper)
    assert len(paths(root)) == 5
    assert install(helper)[0] is None
    assert paths(root) == INSTALLED


# Replacing

NEW = zip_of(top__a_rom=b"new a", top__c_rom=b"c")
NEW_DEFINITIONS = (
    package_section("fw", version="2.0", files="fw", install="fw")
    + file_section("fw", "http://example.org/fw2.zip", NEW)
    + "[install_fw]\na-b: unzip $FILE1\nb-c: cp */*.rom fw/\n"
)


@pytest.mark.parametrize("method", ["install", "upgrade"])
def test_new_version_replaces_the_old_one(make, at_once, downloads, root, records, method):
    install(make())
    downloads.serve["fw2.zip"] = NEW
    helper = make(NEW_DEFINITIONS)
    done, operation = getattr(helper, method)("fw")
    assert outcome(done) is None
    assert operation.format().startswith("install_pkg|success(")
    assert paths(root) == ["fw/", "fw/a.rom", "fw/c.rom"]
    assert (root / "fw/a.rom").read_bytes() == b"new a"
    assert helper.list_installed()["fw"]["version"] == "2.0"
    assert json.loads((records / "fw").read_text())["files"] == paths(root)


def test_old_version_stays_if_the_new_one_fails(make, at_once, downloads, root):
    install(make())
    downloads.serve["fw2.zip"] = DownloadError("404")
    helper = make(NEW_DEFINITIONS)
    assert outcome(helper.upgrade("fw")[0]) is not None
    assert paths(root) == INSTALLED
    assert helper.list_installed()["fw"]["version"] == "1.0"


def test_file_of_another_package_stays(make, at_once, downloads, root):
    other = (
        package_section("other", files="fw", install="other")
        + "[install_other]\na-b: unzip $FILE1\nb-c: cp top/b.rom fw/\n"
    )
    helper = make(DEFINITIONS + other)
    install(helper)
    install(helper, "other")
    downloads.serve["fw2.zip"] = NEW
    helper = make(NEW_DEFINITIONS)
    outcome(helper.upgrade("fw")[0])
    assert paths(root) == ["fw/", "fw/a.rom", "fw/b.rom", "fw/c.rom"]
    assert outcome(helper.uninstall("fw")) is None
    assert paths(root) == ["fw/", "fw/b.rom"]
    assert outcome(helper.uninstall("other")) is None
    assert paths(root) == []


def test_old_file_that_cannot_be_removed_stays_on_record(
    make, at_once, downloads, root, records, monkeypatch, caplog
):
    install(make())
    (root / "fw/b.rom").unlink()
    (root / "fw/b.rom").mkdir()
    downloads.serve["fw2.zip"] = NEW
    helper = make(NEW_DEFINITIONS)
    assert install(helper)[0] is None
    assert "a file of the old version of package fw stays" in caplog.text
    assert "fw/b.rom" in json.loads((records / "fw").read_text())["files"]
    (root / "fw/b.rom").rmdir()
    assert outcome(helper.uninstall("fw")) is None
    assert paths(root) == []


# Removing


def test_package_is_removed_but_its_downloads_stay(make, at_once, root, records, cache):
    helper = make()
    install(helper)
    assert outcome(helper.uninstall("fw")) is None
    assert paths(root) == []
    assert os.listdir(records) == []
    assert sorted(os.listdir(cache)) == ["fr.lng", "fw.zip"]
    assert helper.list_installed() == {}


def test_directory_with_other_files_stays(make, at_once, root):
    helper = make()
    install(helper)
    (root / "fw/own.rom").write_bytes(b"own")
    assert outcome(helper.uninstall("fw")) is None
    assert paths(root) == ["fw/", "fw/own.rom"]


def test_what_is_gone_already_is_no_error(make, at_once, root):
    helper = make()
    install(helper)
    (root / "fw/a.rom").unlink()
    (root / "lang/fr.lng").unlink()
    (root / "lang").rmdir()
    (root / "lang").write_bytes(b"own")
    assert outcome(helper.uninstall("fw")) is None
    assert paths(root) == ["lang"]


def test_other_errors_stop_the_removal_and_the_record_stays(make, at_once, root, records):
    helper = make()
    install(helper)
    (root / "fw/a.rom").unlink()
    (root / "fw/a.rom").mkdir()
    error = outcome(helper.uninstall("fw"))
    assert isinstance(error, PluginError)
    assert "a.rom" in str(error)
    assert os.listdir(records) == ["fw"]
    assert list(helper.list_installed()) == ["fw"]


def test_record_cannot_lead_outside(make, at_once, records, root, tmp_path, caplog):
    (tmp_path / "precious").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    root.mkdir(parents=True)
    records.mkdir(parents=True)
    files = [
        "../../../precious",
        str(tmp_path / "precious"),
        "../../../empty/",
        "x/../../../../precious",
        "",
    ]
    (records / "old").write_text(json.dumps({**RECORD, "files": files}))
    assert outcome(make().uninstall("old")) is None
    assert (tmp_path / "precious").exists()
    assert (tmp_path / "empty").exists()
    assert caplog.text.count("leads out of") == len(files)
    assert os.listdir(records) == []


def test_removal_goes_on_if_nobody_waits_for_it(make, held, root):
    helper = make()
    helper.install("fw")
    held.pop()()
    helper.uninstall("fw")
    held.pop()()
    assert paths(root) == []


# What cannot begin


def test_unknown_package_is_not_found(make):
    with pytest.raises(PluginError, match=r"^package not found$"):
        make().install("other")


@pytest.mark.parametrize("method", ["uninstall", "upgrade"])
@pytest.mark.parametrize("package_id", ["fw", "other", "../cache/fw", ""])
def test_package_that_is_not_installed_is_neither_removed_nor_replaced(make, method, package_id):
    with pytest.raises(PluginError, match="not installed"):
        getattr(make(), method)(package_id)


def test_installed_package_that_is_not_defined_any_more_is_removed_only(make, at_once):
    install(make())
    helper = make("")
    with pytest.raises(PluginError, match="package not found"):
        helper.upgrade("fw")
    assert outcome(helper.uninstall("fw")) is None


def test_package_does_one_thing_at_a_time(make, held):
    helper = make()
    done, _ = helper.install("fw")
    with pytest.raises(OperationRunning, match="package fw is already running"):
        helper.install("fw")
    held.pop()()
    assert outcome(done) is None
    removed = helper.uninstall("fw")
    for method in (helper.install, helper.upgrade, helper.uninstall):
        with pytest.raises(OperationRunning):
            method("fw")
    held.pop()()
    assert outcome(removed) is None
    assert held == []


def test_helper_is_busy_until_the_last_operation_has_ended(make, held):
    helper = make(package_section("one") + package_section("two"))
    assert not helper.is_busy
    helper.install("one")
    helper.install("two")
    held.pop()()
    assert helper.is_busy
    held.pop()()
    assert not helper.is_busy


def test_packages_of_a_plugin_wait_for_one_another(make, held):
    helper = make(package_section("one") + package_section("two"))
    first, first_operation = helper.install("one")
    second, second_operation = helper.install("two")
    assert len(held) == 1
    assert second_operation.format() == "install_pkg|waiting(download|waiting)(install|waiting)"
    held.pop()()
    assert outcome(first) is None
    assert first_operation.format() == "install_pkg|success(download|success)(install|success)"
    held.pop()()
    assert outcome(second) is None
    assert list(helper.list_installed()) == ["one", "two"]


def test_next_package_has_its_turn_after_a_failure(make, held, downloads):
    downloads.serve["fw.zip"] = DownloadError("404")
    helper = make(DEFINITIONS + package_section("two"))
    first, _ = helper.install("fw")
    second, _ = helper.install("two")
    held.pop()()
    assert outcome(first) is not None
    held.pop()()
    assert outcome(second) is None


def test_who_stops_waiting_stops_nothing_else(make, held):
    helper = make(DEFINITIONS + package_section("two"))
    done, operation = helper.install("fw")
    done.cancel()
    assert isinstance(outcome(done), defer.CancelledError)
    with pytest.raises(OperationRunning):
        helper.install("fw")
    helper.install("two")
    assert len(held) == 1
    held.pop()()
    assert operation.format().startswith("install_pkg|success")
    assert len(held) == 1


# With threads and a site


@pytest_twisted.ensureDeferred
async def test_package_is_installed_by_a_worker_thread_from_a_site(tmp_path, root):
    used = set()

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = FETCHED[self.path[1:]]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        (tmp_path / "acme/pkgs").mkdir(parents=True)
        (tmp_path / "acme/pkgs/pkgs.db").write_text(
            DEFINITIONS.replace("example.org", f"127.0.0.1:{server.server_port}")
        )

        class Helper(FetchfwPluginHelper):
            def _fetch(self, *args):
                used.add(threading.current_thread())
                return super()._fetch(*args)

        helper = Helper(str(tmp_path / "acme"))
        done, operation = helper.install("fw")
        await done
        assert operation.state == "success"
        assert paths(root) == INSTALLED
        await helper.uninstall("fw")
        assert paths(root) == []
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert used
    assert threading.main_thread() not in used
