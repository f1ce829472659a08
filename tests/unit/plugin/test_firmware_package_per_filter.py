"""A package for each filter, from its definition to its removal."""

import gzip
import hashlib
import io
import stat
import struct
import tarfile
import zipfile
import zlib

import pytest
from twisted.internet import defer

from provd.plugin import firmware
from provd.plugin.filters import _FILTERS
from provd.plugin.firmware import FetchfwPluginHelper

ROM, HELP = b"rom" * 100, b"help"


def zip_file(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return buffer.getvalue()


def tar_file(**members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name.replace("__", "/").replace("_", "."))
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def rar_file(name, content):
    """Return a RAR 4 archive with one stored file."""

    def block(kind, flags, fields, data=b""):
        head = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head + data

    size = len(content)
    fields = struct.pack("<LLBLL", size, size, 3, zlib.crc32(content), 0x5A215A21)
    fields += struct.pack("<BBHL", 20, 0x30, len(name), stat.S_IFREG | 0o644) + name.encode()
    start = b"Rar!\x1a\x07\0" + block(0x73, 0, bytes(6))
    return start + block(0x74, 0x8000, fields, content) + block(0x7B, 0x4000, b"")


def seven_zip_file(name, content):
    libarchive = pytest.importorskip("libarchive")
    buffer = io.BytesIO()
    with libarchive.custom_writer(buffer.write, "7zip") as archive:
        archive.add_file_from_memory(name, len(content), content, stat.S_IFREG, 0o644)
    return buffer.getvalue()


def signed_file():
    return b"signature" * 20 + gzip.compress(ROM, mtime=0)


# Filter -> (the file downloaded, the steps, what is installed: path -> content).
PACKAGES = {
    "unzip": (
        lambda: zip_file(fw__a_rom=ROM, help_txt=HELP),
        "a-b: unzip $FILE1",
        {"fw/a.rom": ROM, "help.txt": HELP},
    ),
    "untar": (
        lambda: tar_file(fw__a_rom=ROM, help_txt=HELP),
        "a-b: untar $FILE1",
        {"fw/a.rom": ROM, "help.txt": HELP},
    ),
    "unrar": (lambda: rar_file("fw/a.rom", ROM), "a-b: unrar $FILE1", {"a.rom": ROM}),
    "7z": (lambda: seven_zip_file("fw/a.rom", ROM), "a-b: 7z $FILE1", {"a.rom": ROM}),
    "unsign": (
        signed_file,
        "a-b: unsign $FILE1 ${ARG1}.gz",
        {"model.gz": gzip.compress(ROM, mtime=0)},
    ),
    "include": (
        lambda: zip_file(fw__a_rom=ROM, help_txt=HELP),
        "a-b: unzip $FILE1\nb-c: include fw",
        {"fw/a.rom": ROM},
    ),
    "exclude": (
        lambda: zip_file(fw__a_rom=ROM, fw__help_txt=HELP),
        "a-b: unzip $FILE1\nb-c: exclude *.txt",
        {"fw/a.rom": ROM},
    ),
    "cp": (
        lambda: ROM,
        "a-b: cp $FILE1 fw/\na-c: cp $FILE1 ${ARG1}.rom",
        {"fw/download": ROM, "model.rom": ROM},
    ),
    "null": (lambda: ROM, "a-b: null", {}),
}


def test_every_filter_has_its_package():
    assert set(PACKAGES) == set(_FILTERS)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_installed_upgraded_and_removed(name, tmp_path, monkeypatch):
    monkeypatch.setattr(firmware, "_in_thread", defer.execute)
    make, steps, wanted = PACKAGES[name]
    content = make()
    for part in ("pkgs", "var/cache"):
        (tmp_path / part).mkdir(parents=True)
    (tmp_path / "var" / "cache" / "download").write_bytes(content)
    (tmp_path / "pkgs" / "pkgs.db").write_text(
        "[pkg_fw]\nversion: 1\ndescription: x\nfiles: fw\ninstall: fw model\n"
        f"[file_fw]\nurl:\nfilename: download\nsize: {len(content)}\n"
        f"sha1sum: {hashlib.sha1(content).hexdigest()}\n[install_fw]\n{steps}\n"
    )
    helper = FetchfwPluginHelper(str(tmp_path))
    root = tmp_path / "var" / "tftpboot"

    def installed():
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file()
        }

    for start in (helper.install, helper.install, helper.upgrade):
        _, operation = start("fw")
        assert operation.format().startswith("install_pkg|success"), operation.format()
        assert installed() == wanted
    helper.uninstall("fw")
    assert installed() == {}
    assert helper.list_installed() == {}
    assert (tmp_path / "var" / "cache" / "download").exists()
