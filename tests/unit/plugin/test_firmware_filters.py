"""Filters make the files that the contract says, and no archive makes them do harm."""

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import ArchiveError
from provd.plugin.filters import build_filter
from provd.plugin.unpack import Allowance


def zip_of(members, **options):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def zip_member(name, content=b"", mode=stat.S_IFREG | 0o644):
    """Return a ZIP of one member whose name and mode are taken as they are."""
    buffer = io.BytesIO()
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    info.create_system = 3
    info.external_attr = mode << 16
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, content)
    return buffer.getvalue()


def tar_of(*members):
    """Return a tar of (name, content) pairs and of ready-made headers."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                name, content = member
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def tar_member(name, kind, target="", mode=0o644):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


def symlink(name, target):
    return tar_member(name, tarfile.SYMTYPE, target)


@pytest.fixture
def run(tmp_path):
    """Run a filter over files, which are linked as downloaded files are; return its output."""
    source, target, cache = (tmp_path / name for name in ("source", "target", "cache"))

    def run(line, files, present=None, **limits):
        for directory in (source, target, cache):
            directory.mkdir()
        for root, contents in ((cache, files), (target, present or {})):
            for name, content in contents.items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        for name in os.listdir(cache):
            (source / name).symlink_to(cache / name)
        name, *arguments = line.split()
        build_filter(name, arguments).run(str(source), str(target), Allowance(**limits))
        return tree(target)

    return run


def tree(root):
    found = {}
    for directory, names, files in os.walk(root):
        for name in names + files:
            path = os.path.join(directory, name)
            mode = os.lstat(path).st_mode
            assert stat.S_ISREG(mode) or stat.S_ISDIR(mode), f"{path} is a link or worse"
            relative = os.path.relpath(path, root)
            if stat.S_ISDIR(mode):
                found[relative + "/"] = None
            else:
                with open(path, "rb") as stream:
                    found[relative] = stream.read()
    return found


CONTENT = {"readme": b"r", "fw/a.rom": b"a" * 5000, "fw/deep/b.rom": b"b"}
UNPACKED = {**CONTENT, "fw/": None, "fw/deep/": None}


# Archives


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_unzip_keeps_the_tree(run, method):
    assert run("unzip fw.zip", {"fw.zip": zip_of(CONTENT, compression=method)}) == UNPACKED


def test_unzip_takes_every_match(run):
    files = {"1.zip": zip_of({"one": b"1"}), "2.zip": zip_of({"two": b"2"}), "3.txt": b"no zip"}
    assert run("unzip *.zip", files) == {"one": b"1", "two": b"2"}


def test_unzip_reads_names_with_backslashes_as_windows_does(run):
    assert run("unzip x", {"x": zip_member("fw\\a.rom", b"a")}) == {"fw/": None, "fw/a.rom": b"a"}


def test_unzip_makes_empty_directories(run):
    assert run("unzip x", {"x": zip_of({"empty/": b""})}) == {"empty/": None}


def test_unzip_replaces_a_link_by_what_it_leads_to(run):
    buffer = io.BytesIO(zip_of({"fw/a.rom": b"a"}))
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo("latest")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "fw/a.rom")
    assert run("unzip x", {"x": buffer.getvalue()})["latest"] == b"a"


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_untar_takes_any_compression(run, compress):
    assert run("untar fw.tar", {"fw.tar": compress(tar_of(*CONTENT.items()))}) == UNPACKED


def test_untar_takes_no_notice_of_what_follows_the_end(run):
    assert run("untar x", {"x": tar_of(("a", b"a")) + b"signature"}) == {"a": b"a"}


@pytest.mark.parametrize(
    "link",
    [
        symlink("fw/link", "a.rom"),
        symlink("fw/link", "./deep/../a.rom"),
        symlink("fw/link", "../fw/a.rom"),
        tar_member("fw/link", tarfile.LNKTYPE, "fw/a.rom"),
    ],
    ids=["plain", "detour", "up and down", "hard link"],
)
def test_untar_replaces_a_link_by_a_copy(run, link):
    assert run("untar x", {"x": tar_of(*CONTENT.items(), link)}) == {
        **UNPACKED,
        "fw/link": CONTENT["fw/a.rom"],
    }


def test_untar_replaces_a_link_to_a_link(run):
    members = symlink("one", "two"), symlink("two", "three"), ("three", b"3")
    assert run("untar x", {"x": tar_of(*members)}) == dict.fromkeys(("one", "two", "three"), b"3")


@pytest.mark.parametrize(
    "links",
    [
        [symlink("l", "nothing")],
        [symlink("l", "fw")],
        [symlink("l", "l")],
        [symlink("l", "m"), symlink("m", "l")],
        [symlink("l", "m/a.rom"), symlink("m", "fw")],
    ],
    ids=["to nothing", "to a directory", "to itself", "in a circle", "through a link"],
)
def test_untar_leaves_out_a_link_that_leads_to_no_file(run, links, caplog):
    assert run("untar x", {"x": tar_of(*CONTENT.items(), *links)}) == UNPACKED
    assert "the link 'l' to" in caplog.text


def test_file_below_a_link_goes_into_a_directory_of_its_own(run):
    archive = tar_of(("d/x", b"x"), symlink("l", "d"), ("l/y", b"y"))
    assert run("untar x", {"x": archive}) == {"d/": None, "d/x": b"x", "l/": None, "l/y": b"y"}


def test_untar_gives_plain_modes(run, tmp_path):
    info = tarfile.TarInfo("tool")
    info.mode = 0o4777
    plain = tarfile.TarInfo("plain")
    plain.mode = 0o600
    run("untar x", {"x": tar_of(info, plain)})
    modes = [
        stat.S_IMODE((tmp_path / "target" / name).stat().st_mode) for name in ("tool", "plain")
    ]
    assert modes == [0o755, 0o644]


@pytest.mark.parametrize(
    ("last", "content"), [(("a", b"3"), b"3"), (symlink("a", "b"), b"b")], ids=["file", "link"]
)
def test_last_member_of_a_name_wins(run, last, content):
    members = ("a", b"1"), ("a", b"2"), symlink("a", "b"), ("b", b"b"), last
    assert run("untar x", {"x": tar_of(*members)}) == {"a": content, "b": b"b"}


def test_archive_replaces_the_files_of_an_earlier_step(run):
    archive = tar_of(("a", b"new"), ("d/b", b"new"))
    present = {"a": b"old", "d/b": b"old", "d/c": b"old"}
    assert run("untar x", {"x": archive}, present) == {
        "a": b"new",
        "d/": None,
        "d/b": b"new",
        "d/c": b"old",
    }


HOSTILE = {
    "zip, absolute name": ("unzip", zip_member("/tmp/x"), "absolute name"),
    "zip, name that leads up": ("unzip", zip_member("../x"), r"'\.\.'"),
    "zip, name that leads up later": ("unzip", zip_member("a/../../x"), r"'\.\.'"),
    "zip, backslashes that lead up": ("unzip", zip_member("..\\..\\x"), r"'\.\.'"),
    "zip, absolute directory": ("unzip", zip_member("/tmp/x/"), "absolute name"),
    "zip, line feed in a name": ("unzip", zip_member("a\nb"), "not allowed"),
    "zip, link up": ("unzip", zip_member("l", b"../x", stat.S_IFLNK), "leads outside"),
    "zip, absolute link": ("unzip", zip_member("l", b"/etc/passwd", stat.S_IFLNK), "is a link to"),
    "zip, empty link": ("unzip", zip_member("l", b"", stat.S_IFLNK), "is a link to"),
    "zip, endless link": ("unzip", zip_member("l", b"x/" * 513, stat.S_IFLNK), "is a link to"),
    "zip, device": ("unzip", zip_member("d", b"", stat.S_IFCHR), "neither a file"),
    "zip, file below a file": ("unzip", zip_of({"a": b"", "a/b": b""}), "both a file and"),
    "zip, directory where a file is": ("unzip", zip_of({"a": b"", "a/": b""}), "both a file and"),
    "zip, file where a directory is": ("unzip", zip_of({"a/b": b"", "a": b""}), "both a file and"),
    "zip, cut short": ("unzip", zip_of(CONTENT)[:-30], "not a zip file"),
    "zip, damaged": ("unzip", zip_of({"a": b"abcdef"}).replace(b"abcdef", b"abcdeg"), "CRC"),
    "zip, no zip": ("unzip", b"MZ", "not a zip file"),
    "tar, absolute name": ("untar", tar_of(("/tmp/x", b"")), "absolute name"),
    "tar, name that leads up": ("untar", tar_of(("a/../../x", b"")), r"'\.\.'"),
    "tar, link up": ("untar", tar_of(symlink("a/l", "../../x")), "leads outside"),
    "tar, absolute link": ("untar", tar_of(symlink("l", "/etc/passwd")), "is a link to"),
    "tar, link up through a link": (
        "untar",
        tar_of(symlink("l", "m"), symlink("m", "../x")),
        "'l' is a link that leads outside",
    ),
    "tar, hard link up": ("untar", tar_of(tar_member("l", tarfile.LNKTYPE, "../x")), r"'\.\.'"),
    "tar, absolute hard link": (
        "untar",
        tar_of(tar_member("l", tarfile.LNKTYPE, "/etc/passwd")),
        "absolute name",
    ),
    "tar, hard link to nothing": (
        "untar",
        tar_of(tar_member("l", tarfile.LNKTYPE, "x")),
        "which is no file",
    ),
    "tar, hard link to itself": (
        "untar",
        tar_of(("l", b"x"), tar_member("l", tarfile.LNKTYPE, "l")),
        "which is no file",
    ),
    "tar, device": ("untar", tar_of(tar_member("d", tarfile.BLKTYPE)), "neither a file"),
    "tar, fifo": ("untar", tar_of(tar_member("d", tarfile.FIFOTYPE)), "neither a file"),
    "tar, file without a name": ("untar", tar_of(("./.", b"")), "not a file name"),
    "tar, cut short": ("untar", tar_of(("a", bytes(5000)))[:2000], "cut short"),
    "tar, gzip cut short": (
        "untar",
        gzip.compress(tar_of(("a", os.urandom(5000))))[:2000],
        "damaged",
    ),
    "tar, no tar": ("untar", b"MZ" * 1000, "damaged"),
}


@pytest.mark.parametrize(("name", "archive", "message"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_archive_is_refused(run, tmp_path, name, archive, message):
    with pytest.raises(ArchiveError, match=message):
        run(f"{name} x", {"x": archive})
    assert sorted(os.listdir(tmp_path)) == ["cache", "source", "target"]
    tree(tmp_path / "target")


@pytest.mark.parametrize("filter_name", ["unzip", "untar"])
def test_archives_together_may_not_be_too_large(run, filter_name):
    make = zip_of if filter_name == "unzip" else lambda members: tar_of(*members.items())
    files = {name: make({name: bytes(600)}) for name in ("a.x", "b.x")}
    with pytest.raises(ArchiveError, match="too large when unpacked"):
        run(f"{filter_name} *.x", files, bytes_left=1199)


def test_archive_may_lie_about_its_size(run):
    bomb = bytearray(zip_of({"a": bytes(1_000_000)}, compression=zipfile.ZIP_DEFLATED))
    central = bomb.index(b"PK\1\2")
    struct.pack_into("<L", bomb, central + 24, 10)
    with pytest.raises(ArchiveError):
        run("unzip x", {"x": bytes(bomb)}, bytes_left=1000)


@pytest.mark.parametrize("filter_name", ["unzip", "untar"])
def test_archives_together_may_not_have_too_many_members(run, filter_name):
    make = zip_of if filter_name == "unzip" else lambda members: tar_of(*members.items())
    files = {name: make({name: b""}) for name in ("a.x", "b.x", "c.x")}
    with pytest.raises(ArchiveError, match="too many members"):
        run(f"{filter_name} *.x", files, members_left=2)


def test_copies_that_links_stand_for_are_counted(run):
    links = [symlink(f"l{number}", "a") for number in range(10)]
    with pytest.raises(ArchiveError, match="too large"):
        run("untar x", {"x": tar_of(("a", bytes(100)), *links)}, bytes_left=1000)


# unsign


def test_unsign_strips_what_precedes_the_gzip_data(run):
    data = gzip.compress(b"firmware")
    assert run("unsign *.sgn fw/out.gz", {"a.sgn": b"signature" * 10 + data}) == {
        "fw/": None,
        "fw/out.gz": data,
    }


def test_unsign_finds_the_magic_at_the_end_of_its_range(run):
    data = gzip.compress(b"firmware")
    assert run("unsign x out", {"x": b"s" * 510 + data}) == {"out": data}


@pytest.mark.parametrize("before", [511, 512, 10_000])
def test_unsign_looks_no_further(run, before):
    with pytest.raises(ArchiveError, match="x is not a signed gzip file"):
        run("unsign x out", {"x": b"s" * before + gzip.compress(b"firmware")})


def test_unsign_takes_one_file_only(run):
    with pytest.raises(ArchiveError, match="2 files match"):
        run("unsign * out", {"a": b"", "b": b""})


# include, exclude

TREE = {
    "fw/a.rom": b"a",
    "fw/sub/b.rom": b"b",
    "doc/c.txt": b"c",
    "top.rom": b"t",
    ".dot.rom": b"d",
}


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        ("fw", ["fw/", "fw/a.rom", "fw/sub/", "fw/sub/b.rom"]),
        ("*.rom", [".dot.rom", "top.rom"]),
        ("top.rom doc", ["doc/", "doc/c.txt", "top.rom"]),
        ("fw/a.rom", []),
        ("fw/* nothing", []),
        ("[ft]*", ["fw/", "fw/a.rom", "fw/sub/", "fw/sub/b.rom", "top.rom"]),
    ],
)
def test_include_keeps_entries_of_the_top_level(run, patterns, kept):
    assert sorted(run(f"include {patterns}", TREE)) == kept


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        ("fw", [".dot.rom", "doc/", "doc/c.txt", "top.rom"]),
        ("*.rom", ["doc/", "doc/c.txt", "fw/", "fw/sub/"]),
        ("fw/*.rom .dot.rom", ["doc/", "doc/c.txt", "fw/", "fw/sub/", "top.rom"]),
        ("*/sub top.rom .*", ["doc/", "doc/c.txt", "fw/", "fw/a.rom"]),
        (
            "nothing",
            [
                ".dot.rom",
                "doc/",
                "doc/c.txt",
                "fw/",
                "fw/a.rom",
                "fw/sub/",
                "fw/sub/b.rom",
                "top.rom",
            ],
        ),
    ],
)
def test_exclude_drops_entries_of_every_level(run, patterns, kept):
    assert sorted(run(f"exclude {patterns}", TREE)) == kept


# cp


@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        ("top.rom new.rom", ["new.rom"]),
        ("top.rom new/name.rom", ["new/", "new/name.rom"]),
        ("top.rom fw/*.rom lang/fr/", ["lang/", "lang/fr/", "lang/fr/a.rom", "lang/fr/top.rom"]),
        ("fw/*.rom new.rom", ["new.rom"]),
        ("fw out/", ["out/", "out/fw/", "out/fw/a.rom", "out/fw/sub/", "out/fw/sub/b.rom"]),
        ("fw/ out/", ["out/", "out/fw/", "out/fw/a.rom", "out/fw/sub/", "out/fw/sub/b.rom"]),
        ("fw out", ["out/", "out/a.rom", "out/sub/", "out/sub/b.rom"]),
        ("*/*.txt ./", ["c.txt"]),
        ("**/?.rom ./", ["a.rom", "b.rom"]),
        ("**/top.rom **/c.txt out/", ["out/", "out/c.txt", "out/top.rom"]),
        ("* ./", ["doc/", "doc/c.txt", "fw/", "fw/a.rom", "fw/sub/", "fw/sub/b.rom", "top.rom"]),
        ("fw/. ./", ["fw/", "fw/a.rom", "fw/sub/", "fw/sub/b.rom"]),
    ],
)
def test_cp_copies_to_a_name_or_into_a_directory(run, arguments, made):
    assert sorted(run(f"cp {arguments}", TREE)) == made


def test_cp_of_everything_by_its_dot(run):
    assert sorted(run("cp . out/", {"a": b"a", "b": b"b"})) == ["out/", "out/a", "out/b"]


def test_cp_keeps_content_and_mode(run, tmp_path):
    os.mkdir(tmp_path / "other")
    path = tmp_path / "other" / "tool"
    path.write_bytes(b"content")
    path.chmod(0o750)
    build_filter("cp", ["tool", "copy"]).run(
        str(tmp_path / "other"), str(tmp_path / "other"), Allowance()
    )
    copy = tmp_path / "other" / "copy"
    assert copy.read_bytes() == b"content"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o750


def test_cp_replaces_a_file(run):
    assert run("cp a b", {"a": b"new"}, {"b": b"old"}) == {"b": b"new"}


def test_cp_adds_to_a_directory(run):
    assert run("cp a d/", {"a": b"new"}, {"d/b": b"old"}) == {
        "d/": None,
        "d/a": b"new",
        "d/b": b"old",
    }


@pytest.mark.parametrize(
    ("arguments", "present", "message"),
    [
        ("* name", {}, "3 files are to be copied to 'name'"),
        ("top.rom there", {"there/x": b""}, "'there' is a directory"),
        ("top.rom .", {}, "'.' is a directory"),
        ("top.rom there/", {"there": b""}, "both a file and a directory"),
        ("fw there/", {"there/fw": b""}, "both a file and a directory"),
        ("top.rom there/", {"there/top.rom/x": b""}, "both a file and a directory"),
    ],
)
def test_cp_does_not_mix_files_and_directories(run, arguments, present, message):
    with pytest.raises(ArchiveError, match=message):
        run(f"cp {arguments}", TREE, present)


@pytest.mark.parametrize(
    "line",
    [
        "unzip *.x",
        "untar *.x",
        "unrar *.x",
        "7z *.x",
        "unsign *.x y",
        "cp *.x y/",
        "cp top.rom *.x y/",
    ],
)
def test_pattern_that_matches_nothing_is_an_error(run, line):
    with pytest.raises(ArchiveError, match=r"nothing matches '\*\.x'"):
        run(line, TREE)


def test_pattern_may_be_a_name_with_brackets(run):
    assert run("cp fw[1].rom x", {"fw[1].rom": b"1"}) == {"x": b"1"}


@pytest.mark.parametrize("line", ["unzip -x", "untar -x", "cp -x -y", "include -x"])
def test_name_that_looks_like_an_option_is_a_name(run, line):
    archive = tar_of(("a", b"")) if "untar" in line else zip_of({"a": b""})
    assert list(run(line, {"-x": archive})) in [["a"], ["-y"], ["-x"]]


def test_fifo_is_not_copied(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ArchiveError, match="not a regular file"):
        build_filter("cp", ["fifo", "x"]).run(str(tmp_path), str(tmp_path), Allowance())


def test_null_produces_nothing(run):
    assert run("null", TREE) == {}


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(tmp_path_factory, content):
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    (source / "x").write_bytes(content)
    for line in ("unzip x", "untar x", "unsign x y"):
        name, *arguments = line.split()
        try:
            build_filter(name, arguments).run(str(source), str(target), Allowance())
        except ArchiveError:
            continue
        assert set(tree(target)) <= {"y"}
