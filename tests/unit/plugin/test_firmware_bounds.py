"""What archives of firmware may yield, and where the disk has no room (see `unpack.UnpackLimits`)."""

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
import zipfile
from types import SimpleNamespace

import pytest

from provd.errors import ArchiveError
from provd.plugin import pkginstall, unpack
from provd.plugin.filters import build_filter
from provd.plugin.firmware import FetchfwPluginHelper
from provd.plugin.host import PluginHost
from provd.plugin.unpack import Allowance, UnpackLimits
from tests.unit.plugin.test_firmware_archives import FILE, libarchive, rar5, seven_zip
from tests.unit.plugin.test_firmware_packages import (
    at_once,
    downloads,
    file_section,
    install,
    make,
    outcome,
    package_section,
    paths,
    root,
    scratch,
)

__all__ = ["at_once", "downloads", "libarchive", "make", "root", "scratch"]  # fixtures

MEGABYTE = 1024 * 1024
ZEROS = bytes(20 * MEGABYTE)


def tar_of(content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("zeros")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(content, name="zeros"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


BOMBS = {
    "zip": ("unzip", zip_of),
    "tar.gz": ("untar", lambda content: gzip.compress(tar_of(content))),
    "tar.bz2": ("untar", lambda content: bz2.compress(tar_of(content))),
    "tar.xz": ("untar", lambda content: lzma.compress(tar_of(content))),
    "7z": ("7z", lambda content: seven_zip(("zeros", content, FILE))),
}


@pytest.fixture(params=BOMBS)
def bomb(request):
    """A filter, and an archive of some KB that holds 20 MB."""
    if request.param == "7z":
        request.getfixturevalue("libarchive")
    name, make_archive = BOMBS[request.param]
    return name, make_archive(ZEROS)


def firmware(make, archive, filter_name="unzip", **kwargs):
    return make(
        package_section("fw", files="fw", install="fw")
        + file_section("fw", "http://example.org/fw.zip", archive)
        + f"[install_fw]\na-b: {filter_name} $FILE1\n",
        **kwargs,
    )


def disk(monkeypatch, free):
    """Give all disks that many free bytes; return where they were asked about."""
    asked = []

    def statvfs(path):
        asked.append(path)
        return SimpleNamespace(f_bavail=free, f_frsize=1)

    monkeypatch.setattr(unpack.os, "statvfs", statvfs)
    return asked


def test_an_archive_of_some_kb_that_yields_megabytes_is_refused_and_leaves_nothing(
    make, at_once, downloads, root, bomb
):
    name, archive = bomb
    assert len(archive) * 200 < len(ZEROS)
    downloads.serve["fw.zip"] = archive
    done, operation = firmware(make, archive, name).install("fw")
    error = outcome(done)
    assert "200 times" in str(error)
    assert operation.state == "fail"
    assert "times" in operation.error
    assert paths(root) == []


def test_the_ratio_is_a_setting(make, at_once, downloads, root):
    archive = zip_of(ZEROS)
    downloads.serve["fw.zip"] = archive
    token = unpack.limits.set(UnpackLimits(max_ratio=5000))
    try:
        helper = firmware(make, archive)
    finally:
        unpack.limits.reset(token)
    assert install(helper)[0] is None
    assert paths(root) == ["zeros"]


def test_all_archives_together_are_bounded(make, at_once, downloads, root):
    content = os.urandom(3 * MEGABYTE)
    archive = zip_of(content)
    downloads.serve["fw.zip"] = archive
    token = unpack.limits.set(UnpackLimits(max_bytes=2 * MEGABYTE))
    try:
        helper = firmware(make, archive)
    finally:
        unpack.limits.reset(token)
    assert f"more than {2 * MEGABYTE} bytes" in str(install(helper)[0])
    assert paths(root) == []


def test_an_archive_within_an_archive_does_not_square_the_ratio(make, at_once, downloads, root):
    """Each layer keeps to the ratio, both together do not."""
    inner = zip_of(ZEROS[: 4 * MEGABYTE], "zeros")
    outer = zip_of(inner, "inner.zip")
    downloads.serve["fw.zip"] = outer
    helper = make(
        package_section("fw", files="fw", install="fw")
        + file_section("fw", "http://example.org/fw.zip", outer)
        + "[install_fw]\na-b: unzip $FILE1\nb-c: unzip *.zip\n"
    )
    assert "times" in str(install(helper)[0])
    assert paths(root) == []


def test_a_small_file_may_be_as_redundant_as_it_likes(make, at_once, downloads, root):
    archive = zip_of(bytes(MEGABYTE - 1))
    assert len(archive) * 200 < MEGABYTE
    downloads.serve["fw.zip"] = archive
    assert install(firmware(make, archive))[0] is None
    assert paths(root) == ["zeros"]


def test_the_defaults_are_2_gib_and_200_times():
    assert UnpackLimits() == UnpackLimits(2 * 1024**3, 200)


def test_an_archive_that_announces_too_much_is_not_begun(tmp_path, monkeypatch):
    (tmp_path / "x").write_bytes(zip_of(ZEROS))
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("it was begun"))
    for allowance in (Allowance(bytes_left=MEGABYTE), Allowance()):
        with pytest.raises(ArchiveError, match=r"too large|times"):
            build_filter("unzip", ["x"]).run(str(tmp_path), str(tmp_path), allowance)


@pytest.mark.usefixtures("libarchive")
def test_rar_archives_are_counted(tmp_path):
    (tmp_path / "x").write_bytes(rar5(("a", bytes(3000), FILE)))
    allowance = Allowance(bytes_left=2999)
    with pytest.raises(ArchiveError, match="too large"):
        build_filter("unrar", ["x"]).run(str(tmp_path), str(tmp_path), allowance)


# The disk


@pytest.mark.parametrize(
    ("free", "step"), [(1000, "download"), (1_400_000, "install"), (3_400_000, "install")]
)
def test_a_disk_without_room_is_said_and_nothing_stays(
    make, at_once, downloads, root, monkeypatch, free, step
):
    archive = zip_of(os.urandom(MEGABYTE) + bytes(2 * MEGABYTE))
    downloads.serve["fw.zip"] = archive
    helper = firmware(make, archive)
    disk(monkeypatch, free)
    done, operation = helper.install("fw")
    error = outcome(done)
    assert "not enough disk space in" in str(error)
    assert str(free - free // 10) in str(error)
    assert "not enough disk space" in operation.error
    assert downloads.fetched == ([] if step == "download" else ["fw.zip"])
    assert paths(root) == []


def test_room_is_looked_for_where_files_are_put(make, at_once, downloads, root, monkeypatch):
    archive = zip_of(b"x" * 5000)
    downloads.serve["fw.zip"] = archive
    helper = firmware(make, archive)
    asked = disk(monkeypatch, 1_000_000_000)
    assert install(helper)[0] is None
    assert str(root) in asked
    assert len(asked) == 3  # for the download, the unpacked files, and their last place
    real = pkginstall.check_space

    def full(directory, needed):
        assert needed == 5000
        disk(monkeypatch, 10)
        real(directory, needed)

    monkeypatch.setattr(pkginstall, "check_space", full)
    assert f"not enough disk space in {root}" in str(install(helper)[0])


def test_some_room_is_left_to_others(monkeypatch):
    disk(monkeypatch, 10**12)
    assert unpack.free_bytes("/") == 10**12 - 64 * MEGABYTE
    disk(monkeypatch, 1000)
    assert unpack.free_bytes("/") == 900


def test_the_host_gives_the_limits_to_the_helpers_of_its_plugins(tmp_path):
    plugin = tmp_path / "acme-1"
    plugin.mkdir()
    info = {"version": "1", "description": "", "capabilities": {}}
    (plugin / "plugin-info").write_text(json.dumps(info))
    (plugin / "entry.py").write_text(
        "from provd.plugin.api import StandardPlugin\n"
        "from provd.plugin.firmware import FetchfwPluginHelper\n"
        "class Acme(StandardPlugin):\n"
        "    IS_PLUGIN = True\n"
        "    def __init__(self, app, plugin_dir, gen_cfg, spec_cfg):\n"
        "        super().__init__(app, plugin_dir, gen_cfg, spec_cfg)\n"
        "        self.services = FetchfwPluginHelper(plugin_dir).services()\n"
    )
    limits = UnpackLimits(5, 6)
    host = PluginHost(
        str(tmp_path), general_config={}, plugin_config={}, base_raw_config={}, unpack_limits=limits
    )
    host.load_all()
    assert host.require("acme-1").plugin.services["install"]._limits == limits
    assert unpack.limits.get() == UnpackLimits()
    host.close()


def test_a_helper_made_without_a_host_has_the_defaults(tmp_path):
    assert FetchfwPluginHelper(str(tmp_path))._limits == UnpackLimits()
