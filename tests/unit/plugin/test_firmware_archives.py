"""RAR and 7z archives are unpacked flat, and no archive makes that do harm."""

import io
import os
import stat
import struct
import sys
import zlib

import pytest

from provd.errors import ArchiveError
from provd.plugin.filters import build_filter
from provd.plugin.unpack import Allowance

FILE = stat.S_IFREG | 0o644


@pytest.fixture
def libarchive():
    return pytest.importorskip("libarchive")


def rar4(*members):
    """Return a RAR 4 archive whose members, (name, content, mode) triples, are stored."""

    def block(kind, flags, fields, data=b""):
        head = struct.pack("<BHH", kind, flags, 7 + len(fields)) + fields
        return struct.pack("<H", zlib.crc32(head) & 0xFFFF) + head + data

    archive = b"Rar!\x1a\x07\0" + block(0x73, 0, bytes(6))
    for name, content, mode in members:
        size, encoded = len(content), name.encode()
        flags = 0x80E0 if stat.S_ISDIR(mode) else 0x8000
        fields = struct.pack("<LLBLL", size, size, 3, zlib.crc32(content), 0x5A215A21)
        fields += struct.pack("<BBHL", 20, 0x30, len(encoded), mode) + encoded
        archive += block(0x74, flags, fields, content)
    return archive + block(0x7B, 0x4000, b"")


def rar5(*members):
    """Return a RAR 5 archive whose members, (name, content, mode) triples, are stored."""

    def number(value):
        encoded = b""
        while value > 0x7F:
            encoded += bytes([value & 0x7F | 0x80])
            value >>= 7
        return encoded + bytes([value])

    def block(*fields, data=b""):
        body = b"".join(field if isinstance(field, bytes) else number(field) for field in fields)
        head = number(len(body)) + body
        return struct.pack("<L", zlib.crc32(head)) + head + data

    archive = b"Rar!\x1a\x07\1\0" + block(1, 0, 0)
    for name, content, mode in members:
        size, encoded = len(content), name.encode()
        checksum = struct.pack("<L", zlib.crc32(content))
        flags = 5 if stat.S_ISDIR(mode) else 4
        fields = (size, flags, size, mode, checksum, 0, 1, len(encoded), encoded)
        archive += block(2, 2, *fields, data=content)
    return archive + block(5, 0, 0)


def seven_zip(*members, options=""):
    """Return a 7z archive, compressed by LZMA unless `options` say otherwise."""
    import libarchive

    buffer = io.BytesIO()
    with libarchive.custom_writer(buffer.write, "7zip", options=options) as archive:
        for name, content, mode in members:
            archive.add_file_from_memory(
                name, len(content), content, stat.S_IFMT(mode), stat.S_IMODE(mode)
            )
    return buffer.getvalue()


def seven_zip_link(name, target):
    """Return a 7z archive of one symbolic link, made from that of a file by its attributes."""
    archive = seven_zip((name, target, FILE), options="compression=store")
    start, size, _ = struct.unpack("<QQL", archive[12:32])
    header = archive[32 + start :]
    assert len(header) == size
    link = struct.pack("<H", stat.S_IFLNK | 0o644)
    header = header.replace(struct.pack("<H", FILE), link)
    place = struct.pack("<QQL", start, size, zlib.crc32(header))
    checksum = struct.pack("<L", zlib.crc32(place))
    return archive[:8] + checksum + place + archive[32 : 32 + start] + header


FORMATS = {"rar4": ("unrar", rar4), "rar5": ("unrar", rar5), "7z": ("7z", seven_zip)}


@pytest.fixture(params=FORMATS)
def unpack(request, tmp_path, libarchive):
    """Make an archive, unpack it by a filter and return what comes."""
    name, make = FORMATS[request.param]

    def unpack(*members, change=bytes, filename="x", **limits):
        source, target = tmp_path / "source", tmp_path / "target"
        source.mkdir()
        target.mkdir()
        (source / filename).write_bytes(change(make(*members)))
        build_filter(name, [filename]).run(str(source), str(target), Allowance(**limits))
        return {entry.name: entry.read_bytes() for entry in target.iterdir()}

    return unpack


def test_directories_are_dropped(unpack):
    found = unpack(
        ("fw", b"", stat.S_IFDIR | 0o755),
        ("fw/a.rom", b"a" * 5000, FILE),
        ("fw/deep/b.rom", b"b", FILE),
        ("readme é", b"", FILE),
    )
    assert found == {"a.rom": b"a" * 5000, "b.rom": b"b", "readme é": b""}


def test_last_member_of_a_name_wins(unpack):
    assert unpack(("one/a", b"1", FILE), ("two/a", b"2", FILE)) == {"a": b"2"}


def test_files_get_plain_modes(unpack, tmp_path):
    unpack(("a", b"1", stat.S_IFREG | 0o4777))
    assert stat.S_IMODE((tmp_path / "target" / "a").stat().st_mode) == 0o644


def test_archive_whose_name_looks_like_an_option_is_unpacked(unpack):
    assert unpack(("a", b"1", FILE), filename="-o") == {"a": b"1"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../x", r"'\.\.'"),
        ("a/../../x", r"'\.\.'"),
        ("a/..", r"'\.\.'"),
        ("/tmp/x", "absolute name"),
        ("a\nb", "not allowed"),
    ],
)
def test_hostile_name_is_refused(unpack, tmp_path, name, message):
    with pytest.raises(ArchiveError, match=message):
        unpack((name, b"x", FILE))
    assert os.listdir(tmp_path / "target") == []


def test_content_is_counted(unpack):
    with pytest.raises(ArchiveError, match="too large"):
        unpack(("a", bytes(600), FILE), ("b", bytes(600), FILE), bytes_left=1000)


def test_members_are_counted(unpack):
    with pytest.raises(ArchiveError, match="too many"):
        unpack(("a", b"", FILE), ("b", b"", FILE), members_left=1)


def test_archive_cut_short_is_refused(unpack):
    with pytest.raises(ArchiveError, match=r"^x: "):
        unpack(("a", os.urandom(5000), FILE), change=lambda content: content[:2000])


def test_damaged_7z_archive_is_refused(libarchive, tmp_path):
    # libarchive does not look at the checksums of stored members of RAR archives. No harm is done:
    # the checksum of the archive was compared before.
    content = os.urandom(200)
    archive = seven_zip(("a", content, FILE), options="compression=store")
    (tmp_path / "x").write_bytes(archive.replace(content, content[::-1]))
    with pytest.raises(ArchiveError, match="damaged"):
        build_filter("7z", ["x"]).run(str(tmp_path), str(tmp_path), Allowance())


def test_other_data_is_refused(unpack):
    with pytest.raises(ArchiveError, match=r"^x: "):
        unpack(("a", b"", FILE), change=lambda _archive: b"MZ" * 100)


def test_empty_file_is_refused(unpack):
    with pytest.raises(ArchiveError, match=r"^x: "):
        unpack(("a", b"", FILE), change=lambda _archive: b"")


@pytest.mark.parametrize("name", ["unrar", "7z"])
def test_link_is_refused(libarchive, tmp_path, name):
    archive = (
        rar4(("l", b"/etc/passwd", stat.S_IFLNK | 0o777))
        if name == "unrar"
        else seven_zip_link("l", b"/etc/passwd")
    )
    (tmp_path / "target").mkdir()
    (tmp_path / "x").write_bytes(archive)
    with pytest.raises(ArchiveError, match="'l' is neither a file nor a directory"):
        build_filter(name, ["x"]).run(str(tmp_path), str(tmp_path / "target"), Allowance())


def test_each_filter_takes_its_own_format_only(libarchive, tmp_path):
    for name, content in (("unrar", seven_zip(("a", b"", FILE))), ("7z", rar4(("a", b"", FILE)))):
        (tmp_path / "x").write_bytes(content)
        with pytest.raises(ArchiveError, match=r"^x: "):
            build_filter(name, ["x"]).run(str(tmp_path), str(tmp_path), Allowance())


@pytest.mark.parametrize("name", ["unrar", "7z"])
def test_missing_library_is_named(monkeypatch, tmp_path, name):
    monkeypatch.setitem(sys.modules, "libarchive", None)
    (tmp_path / "x").write_bytes(rar4(("a", b"", FILE)))
    with pytest.raises(ArchiveError, match=r"libarchive-c .*libarchive13"):
        build_filter(name, ["x"]).run(str(tmp_path), str(tmp_path), Allowance())
