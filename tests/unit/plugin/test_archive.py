"""Extraction refuses every archive that could do harm; replacement survives a crash anywhere."""

import bz2
import gzip
import io
import lzma
import os
import stat
import sys
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.errors import ArchiveError, InvalidId, PluginError
from provd.plugin import archive
from provd.plugin.archive import (
    check_bare_filename,
    check_plugin_id,
    extract_plugin,
    make_staging,
    read_plugin_info,
    recover,
    remove_plugin,
    swap_plugin,
)

INFO = b'{"version": "1.0", "description": "Acme phones", "capabilities": {}}'


def member(name, content=b"", *, kind=tarfile.REGTYPE, target="", mode=0o644, pax=None):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, target, mode, len(content)
    info.pax_headers = pax or {}
    return info, content


def directory(name):
    return member(name, kind=tarfile.DIRTYPE, mode=0o755)


def symlink(name, target):
    return member(name, kind=tarfile.SYMTYPE, target=target)


def hardlink(name, target):
    return member(name, kind=tarfile.LNKTYPE, target=target)


def tar(*members, form=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as stream:
        for info, content in members:
            stream.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


TOP = (directory("acme"), member("acme/plugin-info", INFO))


def raw_header(name, size, kind=b"0"):
    """Return a header whose fields are taken as they are, however senseless."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = size
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


HEAD = tar(*TOP)[:1536]  # without the zeros that end an archive


def negative(size):
    return b"\xff" * 4 + size.to_bytes(8, "big", signed=True)


def pax_member(headers):
    """Return a tar whose second member has `headers` as they are, NUL bytes included."""
    return tar(*TOP, member("acme/x", b"", pax=headers))


HOSTILE = {
    "absolute name": (tar(*TOP, member("/etc/cron.d/x", b"x")), "absolute name"),
    "absolute name below the plugin": (tar(*TOP, member("//acme/x", b"x")), "absolute name"),
    "name that leads up": (tar(*TOP, member("acme/../../x", b"x")), r"'\.\.'"),
    "name that leads up and back": (tar(*TOP, member("acme/../acme/x", b"x")), r"'\.\.'"),
    "symbolic link up": (tar(*TOP, symlink("acme/x", "../../x")), "leaves the plugin"),
    "symbolic link to the parent": (tar(*TOP, symlink("acme/x", "..")), "leaves the plugin"),
    "symbolic link to a sibling": (tar(*TOP, symlink("acme/x", "../other/y")), "leaves the plugin"),
    "absolute symbolic link": (tar(*TOP, symlink("acme/x", "/etc/passwd")), "absolute name"),
    "empty symbolic link": (tar(*TOP, symlink("acme/x", "")), "no sound target"),
    "link with a newline": (tar(*TOP, symlink("acme/x", "a\nb")), "not allowed"),
    "file through a symbolic link": (
        tar(*TOP, symlink("acme/x", "var"), member("acme/x/y", b"y")),
        "below the symbolic link",
    ),
    "link out through a link": (
        tar(*TOP, directory("acme/a/b"), symlink("acme/l", "a/b"), symlink("acme/m", "l/../../..")),
        "through the link",
    ),
    "link through a link that comes later": (
        tar(*TOP, symlink("acme/m", "l/../../x"), symlink("acme/l", "a/b")),
        "through the link",
    ),
    "hard link up": (tar(*TOP, hardlink("acme/x", "../x")), r"'\.\.'"),
    "absolute hard link": (tar(*TOP, hardlink("acme/x", "/etc/passwd")), "absolute name"),
    "hard link to another top": (tar(*TOP, hardlink("acme/x", "other/x")), "outside"),
    "hard link to nothing": (tar(*TOP, hardlink("acme/x", "acme/y")), "no earlier file"),
    "hard link to itself": (
        tar(*TOP, member("acme/x", b"x"), hardlink("acme/x", "acme/x")),
        "no earlier file",
    ),
    "hard link to a symbolic link": (
        tar(*TOP, symlink("acme/l", "x"), hardlink("acme/x", "acme/l")),
        "no earlier file",
    ),
    "character device": (tar(*TOP, member("acme/x", kind=tarfile.CHRTYPE)), "neither a file"),
    "block device": (tar(*TOP, member("acme/x", kind=tarfile.BLKTYPE)), "neither a file"),
    "fifo": (tar(*TOP, member("acme/x", kind=tarfile.FIFOTYPE)), "neither a file"),
    "unknown type": (tar(*TOP, member("acme/x", kind=b"Z")), "neither a file"),
    "sparse file": (
        pax_member({"GNU.sparse.map": "0,1", "GNU.sparse.size": "1000000000000"}),
        "neither a file",
    ),
    "member outside": (tar(*TOP, member("x", b"x")), "outside 'acme'"),
    "name that merely begins like the plugin's": (tar(*TOP, member("acme2/x")), "outside 'acme'"),
    "two top directories": (tar(*TOP, directory("other")), "outside 'acme'"),
    "other plugin": (tar(directory("other"), member("other/plugin-info", INFO)), "outside 'acme'"),
    "NUL in a name": (pax_member({"path": "acme/a\0b"}), "not allowed"),
    "newline in a name": (tar(*TOP, member("acme/a\nb")), "not allowed"),
    "escape sequence in a name": (tar(*TOP, member("acme/\x1b[2J")), "not allowed"),
    "text direction in a name": (tar(*TOP, member("acme/\u202egpj.exe")), "not allowed"),
    "backslash in a name": (tar(*TOP, member("acme/a\\b")), "not allowed"),
    "name that is not UTF-8": (
        HEAD + raw_header(b"acme/\xff", b"00000000000\0") + bytes(1024),
        "not allowed",
    ),
    "endless name": (tar(*TOP, member("acme/" + "a/" * 2000 + "x")), "longer than 1024"),
    "endless part of a name": (tar(*TOP, member("acme/" + "é" * 200)), "longer than 255"),
    "endless name, GNU form": (
        tar(*TOP, member("acme/" + "a" * 30_000), form=tarfile.GNU_FORMAT),
        "headers are too large",
    ),
    "huge extended header": (pax_member({"comment": "x" * 20_000}), "headers are too large"),
    "extended header that takes for ever": (pax_member({"a": "7" * 15_000}), "malformed"),
    "extended headers of extended headers": (
        HEAD + (raw_header(b"x", b"00000000013\0", b"x") + b"11 a=bcdefg\n".ljust(512, b"\0")) * 99,
        # Which of the two depends on the tarfile module of the Python release.
        "headers are too large|cut short or damaged",
    ),
    "negative size": (
        HEAD + raw_header(b"acme/x", negative(-1024)) + bytes(1024),
        "larger than|no sound size|damaged",
    ),
    "negative size of an extended header": (
        HEAD + raw_header(b"acme/x", negative(-2048), b"x") + bytes(1024),
        "too large|damaged",
    ),
    "file that claims a terabyte": (
        HEAD + raw_header(b"acme/x", b"\x80" + (1 << 40).to_bytes(11, "big")),
        "larger than 536870912 bytes",
    ),
    "file and directory of one name": (
        tar(*TOP, member("acme/x", b"x"), directory("acme/x")),
        "comes twice",
    ),
    "directory and link of one name": (
        tar(*TOP, directory("acme/x"), symlink("acme/x", "var")),
        "comes twice",
    ),
    "file below a file": (
        tar(*TOP, member("acme/x", b"x"), member("acme/x/y", b"y")),
        "below the file",
    ),
    "top that is a file": (tar(member("acme", b"x")), "not a directory but a file"),
    "top that is a symbolic link": (tar(symlink("acme", "var")), "not a directory but a symbolic"),
    "top that is a hard link": (tar(hardlink("acme", "acme")), "not a directory but a hard"),
    "no plugin-info": (tar(directory("acme"), member("acme/entry.py")), "no file acme/plugin-info"),
    "plugin-info that is a directory": (
        tar(directory("acme"), directory("acme/plugin-info")),
        "no file acme/plugin-info",
    ),
    "plugin-info that is a link": (
        tar(directory("acme"), member("acme/x", INFO), symlink("acme/plugin-info", "x")),
        "no file acme/plugin-info",
    ),
    "no member": (tar(), "no file acme/plugin-info"),
    "empty file": (b"", "damaged"),
    "not a tar": (b"<html>404 Not Found</html>" * 100, "damaged"),
    "bzip2 of something else": (bz2.compress(b"hello" * 1000), "damaged"),
    "cut between members": (HEAD, "cut short"),
    "cut within a header": (tar(*TOP, member("acme/x", b"x"))[:1700], "cut short"),
    "cut within a file": (tar(*TOP, member("acme/x", b"x" * 5000))[:4000], "cut short"),
    "cut within the padding of a file": (
        tar(*TOP, member("acme/x", b"x" * 600))[:2900],
        "damaged",
    ),
    "cut bzip2": (bz2.compress(tar(*TOP))[:-10], "damaged"),
    "cut gzip": (gzip.compress(tar(*TOP))[:-4], "damaged"),
    "cut xz": (lzma.compress(tar(*TOP))[:-4], "damaged"),
    "gzip with a wrong checksum": (gzip.compress(tar(*TOP))[:-8] + bytes(8), "damaged"),
    "header with a wrong checksum": (
        HEAD + b"X" + tar(directory("acme"))[1:],
        "cut short or damaged",
    ),
    "second archive behind the first": (tar(*TOP) + tar(*TOP), "goes on after its end"),
    "zeros without end": (bz2.compress(tar(*TOP) + bytes(64 * 1024 * 1024)), "goes on after"),
}  # fmt: skip


@pytest.fixture
def plant(tmp_path):
    """Write an archive and return its path."""

    def write(content):
        path = tmp_path / "acme-1.0.tar.bz2"
        path.write_bytes(content)
        return str(path)

    return write


def tree(root):
    """Return what lies below `root`: content of files, target of links, None for directories."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = None if path.is_dir() else path.read_bytes()
    return found


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archive_is_refused_and_leaves_nothing(case, plant, tmp_path):
    content, reason = HOSTILE[case]
    path = plant(content)
    before = tree(tmp_path)
    with pytest.raises(ArchiveError, match=reason) as caught:
        extract_plugin(path, "acme", str(tmp_path / "staging"))
    assert str(caught.value).startswith("acme-1.0.tar.bz2: ")
    assert tree(tmp_path) == before


@pytest.mark.parametrize("case", [case for case in HOSTILE if case != "other plugin"])
def test_archive_that_extraction_refuses_is_not_indexed_either(case, plant):
    with pytest.raises(ArchiveError):
        read_plugin_info(plant(HOSTILE[case][0]))


@pytest.mark.parametrize(
    "compress", [bytes, bz2.compress, gzip.compress, lzma.compress], ids=lambda f: f.__module__
)
def test_any_compression_is_extracted(compress, plant, tmp_path):
    path = plant(compress(tar(*TOP, member("acme/entry.py", b"x = 1\n" * 100_000))))
    extract_plugin(path, "acme", str(tmp_path / "staging"))
    assert tree(tmp_path / "staging") == {
        "acme": None,
        "acme/plugin-info": INFO,
        "acme/entry.py": b"x = 1\n" * 100_000,
    }
    assert read_plugin_info(path) == ("acme", INFO)


def test_old_lzma_is_extracted(plant, tmp_path):
    path = plant(lzma.compress(tar(*TOP), format=lzma.FORMAT_ALONE))
    extract_plugin(path, "acme", str(tmp_path / "staging"))
    assert tree(tmp_path / "staging")["acme/plugin-info"] == INFO


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_foreign_names_are_kept(form, plant, tmp_path):
    name = "acme/" + "/".join(["sous-répertoire" * 5] * 6) + "/" + "n" * 200
    extract_plugin(
        plant(tar(*TOP, member(name, b"x"), form=form)), "acme", str(tmp_path / "staging")
    )
    assert (tmp_path / "staging" / name).read_bytes() == b"x"


def test_file_with_many_digits_is_no_malformed_header(plant, tmp_path):
    digits = b"7" * 6000
    extract_plugin(plant(tar(*TOP, member("acme/x", digits))), "acme", str(tmp_path / "staging"))
    assert (tmp_path / "staging/acme/x").read_bytes() == digits


def test_dot_slash_and_missing_directories_do_not_matter(plant, tmp_path):
    path = plant(tar(directory("."), member("./acme/plugin-info", INFO), member("acme//a/./b")))
    extract_plugin(path, "acme", str(tmp_path / "staging"))
    assert list(tree(tmp_path / "staging")) == ["acme", "acme/a", "acme/a/b", "acme/plugin-info"]


def test_modes_are_plain_whatever_archive_and_umask_say(plant, tmp_path):
    path = plant(
        tar(
            member("acme", kind=tarfile.DIRTYPE, mode=0o7000),
            member("acme/plugin-info", INFO, mode=0),
            member("acme/setuid", b"x", mode=0o6755),
            member("acme/open", b"x", mode=0o1666),
            member("acme/sub/implied", b"x"),
            hardlink("acme/copy", "acme/setuid"),
        )
    )
    umask = os.umask(0o077)
    try:
        extract_plugin(path, "acme", str(tmp_path / "staging"))
    finally:
        os.umask(umask)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "staging").rglob("*")
    }
    assert modes == {
        "acme": 0o755,
        "sub": 0o755,
        "plugin-info": 0o644,
        "setuid": 0o755,
        "copy": 0o755,
        "open": 0o644,
        "implied": 0o644,
    }


def test_links_within_the_plugin_are_kept(plant, tmp_path):
    path = plant(
        tar(
            *TOP,
            symlink("acme/a/up", "../b/file"),
            symlink("acme/chain", "a/up"),
            member("acme/b/file", b"x"),
            hardlink("acme/b/copy", "acme/b/file"),
            symlink("acme/dangling", "var/tftpboot/later"),
        )
    )
    extract_plugin(path, "acme", str(tmp_path / "staging"))
    plugin = tmp_path / "staging/acme"
    assert os.readlink(plugin / "a/up") == "../b/file"
    assert (plugin / "chain").read_bytes() == b"x"
    assert os.readlink(plugin / "dangling") == "var/tftpboot/later"
    assert (plugin / "b/copy").read_bytes() == b"x"
    assert (plugin / "b/copy").stat().st_nlink == 1


def test_plugin_info_may_be_a_hard_link(plant):
    members = [directory("acme"), member("acme/x", INFO), hardlink("acme/plugin-info", "acme/x")]
    assert read_plugin_info(plant(tar(*members))) == ("acme", INFO)


def test_archive_of_a_bad_plugin_id_is_not_indexed(plant):
    with pytest.raises(ArchiveError, match="plugin id 'a b'"):
        read_plugin_info(plant(tar(member("a b/plugin-info", INFO))))


def test_last_of_two_files_of_one_name_wins(plant, tmp_path):
    path = plant(
        tar(
            *TOP,
            member("acme/x", b"first"),
            hardlink("acme/y", "acme/x"),
            member("acme/x", b"second"),
        )
    )
    extract_plugin(path, "acme", str(tmp_path / "staging"))
    assert (tmp_path / "staging/acme/x").read_bytes() == b"second"
    assert (tmp_path / "staging/acme/y").read_bytes() == b"first"


def test_bomb_is_refused_before_it_is_unpacked(plant, tmp_path):
    path = plant(bz2.compress(tar(*TOP, member("acme/zeros", bytes(30_000_000)))))
    assert os.path.getsize(path) < 1000
    with pytest.raises(ArchiveError, match=r"member 'acme/zeros' .* larger than 1000000 bytes"):
        extract_plugin(path, "acme", str(tmp_path / "staging"), max_bytes=1_000_000)


def test_small_files_and_copies_count_together(plant, tmp_path):
    files = [member("acme/x", b"x" * 400), hardlink("acme/y", "acme/x")]
    limit = len(INFO) + 800
    path = plant(tar(*TOP, *files))
    extract_plugin(path, "acme", str(tmp_path / "fits"), max_bytes=limit)
    with pytest.raises(ArchiveError, match="'acme/y'"):
        extract_plugin(path, "acme", str(tmp_path / "staging"), max_bytes=limit - 1)


def test_members_and_implied_directories_count_together(plant, tmp_path):
    path = plant(tar(*TOP, member("acme/a/b/c/d")))
    extract_plugin(path, "acme", str(tmp_path / "fits"), max_members=6)
    with pytest.raises(ArchiveError, match="more than 5 members"):
        extract_plugin(path, "acme", str(tmp_path / "staging"), max_members=5)


def test_required_files_are_the_callers_choice(plant, tmp_path):
    path = plant(tar(directory("acme"), member("acme/x")))
    extract_plugin(path, "acme", str(tmp_path / "none"), require=())
    extract_plugin(path, "acme", str(tmp_path / "x"), require=("x",))
    with pytest.raises(ArchiveError, match=r"no file acme/entry\.py"):
        extract_plugin(path, "acme", str(tmp_path / "staging"), require=("x", "entry.py"))


def test_missing_archive_is_an_archive_error(tmp_path):
    with pytest.raises(ArchiveError, match="cannot be read"):
        extract_plugin(str(tmp_path / "no.tar"), "acme", str(tmp_path / "staging"))


def test_destination_that_is_in_use_is_left_alone(plant, tmp_path):
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging/mine").write_bytes(b"x")
    with pytest.raises(FileExistsError):
        extract_plugin(plant(tar(*TOP)), "acme", str(tmp_path / "staging"))
    assert tree(tmp_path / "staging") == {"mine": b"x"}


SOUND = tar(*TOP, directory("acme/d"), member("acme/d/x", b"x" * 700), symlink("acme/l", "d/x"))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_headers_give_a_plugin_or_an_archive_error(tmp_path_factory, data):
    content = bytearray(SOUND[: 512 * 9])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    # Half of the time the checksums are put right, so that the damage gets further.
    if data.draw(st.booleans()):
        for start in range(0, len(content) - 511, 512):
            if content[start + 257 : start + 262] == b"ustar":
                content[start + 148 : start + 156] = b" " * 8
                total = sum(content[start : start + 512])
                content[start + 148 : start + 156] = b"%06o\0 " % total
    place = tmp_path_factory.mktemp("fuzz")
    (place / "a.tar").write_bytes(content)
    try:
        extract_plugin(str(place / "a.tar"), "acme", str(place / "staging"))
    except ArchiveError:
        assert list(tree(place)) == ["a.tar"]
    else:
        assert {name.split("/")[0] for name in tree(place)} == {"a.tar", "staging"}
        assert (place / "staging/acme/plugin-info").is_file()


@pytest.mark.parametrize("plugin_id", ["acme", "wazo-aastra-3.3.1-SP4", "a_b+c", "x" * 128, "-"])
def test_usual_plugin_ids_are_allowed(plugin_id):
    assert check_plugin_id(plugin_id) == plugin_id


@pytest.mark.parametrize(
    "plugin_id", ["", ".", "..", ".hidden", "a/b", "a\\b", "a b", "a\n", "é", "a\0", "x" * 129]
)
def test_other_plugin_ids_are_refused(plugin_id, tmp_path):
    with pytest.raises(InvalidId):
        check_plugin_id(plugin_id)
    with pytest.raises(InvalidId):
        extract_plugin(str(tmp_path / "a"), plugin_id, str(tmp_path / "staging"))


def test_bare_file_name_is_returned():
    assert check_bare_filename("acme-1.0.tar.bz2") == "acme-1.0.tar.bz2"


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".x", "a/b", "/a", "../a", "a\\b", "a\0b", "a\n", "a" * 256, "\udcff"]
)
def test_other_file_names_are_refused(name):
    with pytest.raises(ArchiveError):
        check_bare_filename(name)


# Replacement of an installed plugin


def write(root, files):
    """Create files, directories (None) and links ("-> target") below `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)


OLD = {
    "plugin-info": b"old",
    "removed.py": b"old",
    "templates/base.tpl": b"old",
    "var/templates/base.tpl": b"administrator's",
    "var/tftpboot/001122334455.cfg": b"device",
    "var/tftpboot/common.cfg": b"old",
    "var/tftpboot/fw/a.rom": b"firmware",
    "var/tftpboot/latest.rom": "fw/a.rom",
    "var/installed/fw": b"{}",
}
NEW = {
    "plugin-info": b"new",
    "entry.py": b"new",
    "var/cache": None,
    "var/templates": None,
    "var/tftpboot/common.cfg": b"new",
    "var/tftpboot/added.cfg": b"new",
}
MERGED = {
    "plugin-info": b"new",
    "entry.py": b"new",
    "var": None,
    "var/cache": None,
    "var/installed": None,
    "var/installed/fw": b"{}",
    "var/templates": None,
    "var/templates/base.tpl": b"administrator's",
    "var/tftpboot": None,
    "var/tftpboot/001122334455.cfg": b"device",
    "var/tftpboot/added.cfg": b"new",
    "var/tftpboot/common.cfg": b"new",
    "var/tftpboot/fw": None,
    "var/tftpboot/fw/a.rom": b"firmware",
    "var/tftpboot/latest.rom": "fw/a.rom",
}


@pytest.fixture
def plugins(tmp_path):
    """A plugins directory with the old version, and the new one in a staging directory."""
    root = tmp_path / "plugins"
    write(root / "acme", OLD)
    write(root / ".x.staging" / "acme", NEW)
    return root


def start_swap(plugins):
    return swap_plugin(str(plugins / ".x.staging/acme"), str(plugins / "acme"))


def test_upgrade_replaces_all_but_local_files(plugins):
    old = tree(plugins / "acme")
    swap = start_swap(plugins)
    assert tree(plugins / "acme") == MERGED
    assert tree(plugins / ".acme.old") == old
    swap.commit()
    assert sorted(os.listdir(plugins)) == [".x.staging", "acme"]
    assert tree(plugins / "acme") == MERGED


def test_rollback_puts_the_old_version_back(plugins):
    old = tree(plugins / "acme")
    swap = start_swap(plugins)
    write(plugins / "acme", {"var/tftpboot/later.cfg": b"written by the new version"})
    (plugins / "acme/var/tftpboot/fw/a.rom").unlink()
    swap.rollback()
    assert tree(plugins / "acme") == old
    assert sorted(os.listdir(plugins)) == [".x.staging", "acme"]


def test_firmware_is_not_copied(plugins):
    swap = start_swap(plugins)
    firmware = "var/tftpboot/fw/a.rom"
    assert (plugins / "acme" / firmware).samefile(plugins / ".acme.old" / firmware)
    swap.commit()


def test_local_files_are_copied_where_links_are_not_allowed(plugins, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(archive.os, "link", refuse)
    start_swap(plugins).commit()
    assert tree(plugins / "acme") == MERGED


def test_modes_of_local_directories_are_kept(plugins):
    (plugins / "acme/var/templates").chmod(0o2775)
    start_swap(plugins).commit()
    assert stat.S_IMODE((plugins / "acme/var/templates").stat().st_mode) == 0o2775


def test_first_install_can_be_committed_or_rolled_back(plugins):
    remove_plugin(str(plugins / "acme"))
    start_swap(plugins).rollback()
    assert os.listdir(plugins) == [".x.staging"]
    write(plugins / ".x.staging" / "acme", NEW)
    start_swap(plugins).commit()
    assert tree(plugins / "acme")["entry.py"] == b"new"


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_replacement_ends_only_once(plugins, end):
    swap = start_swap(plugins)
    getattr(swap, end)()
    with pytest.raises(RuntimeError):
        swap.rollback()
    assert (plugins / "acme/plugin-info").read_bytes() == {"commit": b"new", "rollback": b"old"}[
        end
    ]


def test_open_replacement_bars_the_next_one(plugins):
    swap = start_swap(plugins)
    write(plugins / ".x.staging" / "acme", NEW)
    with pytest.raises(PluginError, match="not finished"):
        start_swap(plugins)
    swap.commit()
    assert tree(plugins / "acme") == MERGED


def test_administrators_link_for_a_standard_directory_survives(plugins, tmp_path):
    write(tmp_path / "elsewhere", {"base.tpl": b"far"})
    for name in ("templates/base.tpl", "templates"):
        path = plugins / "acme/var" / name
        path.rmdir() if path.is_dir() else path.unlink()
    (plugins / "acme/var/templates").symlink_to(tmp_path / "elsewhere")
    start_swap(plugins).commit()
    assert (plugins / "acme/var/templates/base.tpl").read_bytes() == b"far"
    assert tree(tmp_path / "elsewhere") == {"base.tpl": b"far"}


@pytest.mark.parametrize(
    ("local", "shipped", "reason"),
    [
        ({"var/x": b"file"}, {"var/x/y": b"new"}, "file here, and a directory"),
        ({"var/x/y": b"file"}, {"var/x": b"new"}, "directory here, and a file"),
        ({"var/x/y": b"file"}, {"var/x": "z"}, "directory here, and a file"),
        ({"var/x": "/etc"}, {"var/x/passwd": b"new"}, "link here, and a directory"),
        ({"var/x": "/nowhere"}, {"var/x": None}, "link here, and a directory"),
    ],
)
def test_local_and_shipped_files_that_do_not_fit_stop_the_upgrade(plugins, local, shipped, reason):
    write(plugins / "acme", local)
    write(plugins / ".x.staging/acme", shipped)
    old = tree(plugins / "acme")
    with pytest.raises(ArchiveError, match=reason):
        start_swap(plugins)
    assert tree(plugins / "acme") == old
    assert sorted(os.listdir(plugins)) == [".x.staging", "acme"]


def test_shipped_file_replaces_a_local_link_and_not_what_it_leads_to(plugins, tmp_path):
    (tmp_path / "target").write_bytes(b"precious")
    (plugins / "acme/var/tftpboot/added.cfg").symlink_to(tmp_path / "target")
    start_swap(plugins).commit()
    assert (plugins / "acme/var/tftpboot/added.cfg").read_bytes() == b"new"
    assert (tmp_path / "target").read_bytes() == b"precious"


def test_failing_disk_leaves_the_old_version(plugins, monkeypatch):
    old = tree(plugins / "acme")
    rename = os.rename

    def fail(source, target):
        if target == str(plugins / "acme") and source.endswith(".new"):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(archive.os, "rename", fail)
    with pytest.raises(OSError, match="Input/output"):
        start_swap(plugins)
    assert tree(plugins / "acme") == old
    assert sorted(os.listdir(plugins)) == [".x.staging", "acme"]


def test_removed_plugin_is_gone_and_a_linked_one_is_only_unlinked(plugins, tmp_path):
    (plugins / "acme").rename(tmp_path / "acme")
    (plugins / "acme").symlink_to(tmp_path / "acme")
    remove_plugin(str(plugins / "acme"))
    assert os.listdir(plugins) == [".x.staging"]
    assert (tmp_path / "acme/plugin-info").exists()


# What changes the disk; opening counts as well, as files are written when copied.
STEPS = {"os.rename", "os.link", "os.symlink", "os.mkdir", "os.rmdir", "os.remove", "os.chmod"}
CRASHED = 77


def crash_at(step, action):
    """Run `action` in a child that dies before its `step`th change of the disk; tell if it died."""
    child = os.fork()
    if not child:
        left = step

        def count(event, _):
            nonlocal left
            if event in STEPS:
                left -= 1
                if left < 0:
                    os._exit(CRASHED)

        sys.addaudithook(count)
        try:
            action()
        except BaseException:  # noqa: BLE001 - the child must not go on with the tests
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in {0, CRASHED}
    return status == CRASHED


def crashes(tmp_path, action, prepare):
    """Yield a plugins directory for each step at which `action` may die."""
    for step in range(1000):
        root = tmp_path / str(step)
        prepare(root)
        if not crash_at(step, lambda root=root: action(root)):
            assert step > 1
            return
        yield root
    pytest.fail("the action never ends")


def prepare_upgrade(root):
    write(root / "acme", OLD)
    write(root / ".x.staging" / "acme", NEW)


def assert_clean(root):
    assert os.listdir(root) == ["acme"]


def test_crash_at_any_step_of_an_upgrade_leaves_one_version_whole(tmp_path):
    prepare_upgrade(tmp_path / "sample")
    old = tree(tmp_path / "sample/acme")
    seen = set()
    for root in crashes(tmp_path, lambda root: start_swap(root).commit(), prepare_upgrade):
        restored = recover(str(root))
        assert_clean(root)
        found = tree(root / "acme")
        assert found in (old, MERGED)
        if restored:
            assert found == old
        seen.add(found["plugin-info"])
    assert seen == {b"old", b"new"}


def test_crash_at_any_step_of_a_rollback_leaves_the_old_version(tmp_path):
    prepare_upgrade(tmp_path / "sample")
    old = tree(tmp_path / "sample/acme")

    def prepare(root):
        prepare_upgrade(root)
        start_swap(root)

    def roll_back(root):
        archive.Swap(str(root / "acme"), str(root / ".acme.old")).rollback()

    for root in crashes(tmp_path, roll_back, prepare):
        recover(str(root))
        assert_clean(root)
        assert tree(root / "acme") == old


def test_crash_at_any_step_of_a_recovery_is_recovered_from(tmp_path):
    prepare_upgrade(tmp_path / "sample")
    old = tree(tmp_path / "sample/acme")

    def prepare(root):
        prepare_upgrade(root)
        start_swap(root)
        write(root / ".acme.new", NEW)
        write(root / ".acme.0123.trash", NEW)

    for root in crashes(tmp_path, lambda root: recover(str(root)), prepare):
        recover(str(root))
        assert_clean(root)
        assert tree(root / "acme") == old


def test_crash_at_any_step_of_a_first_install_leaves_nothing_or_all(tmp_path):
    def prepare(root):
        write(root / ".x.staging" / "acme", NEW)

    prepare(tmp_path / "sample")
    new = {name.removeprefix(".x.staging/"): x for name, x in tree(tmp_path / "sample").items()}
    del new[".x.staging"]
    for root in crashes(tmp_path, lambda root: start_swap(root).commit(), prepare):
        assert recover(str(root)) == []
        assert tree(root) == {}
    root = tmp_path / "whole"
    prepare(root)
    start_swap(root)
    assert recover(str(root)) == []
    assert tree(root) == new


def test_recovery_of_what_is_sound_changes_nothing(plugins, tmp_path):
    write(plugins, {"plugins.db": b"{}", "other/plugin-info": b"x", ".acme.oldish/x": b"x"})
    staging = make_staging(str(plugins))
    assert os.path.dirname(staging) == str(plugins)
    before = tree(plugins)
    assert recover(str(plugins)) == []
    after = tree(plugins)
    assert after == {
        name: content
        for name, content in before.items()
        if not name.startswith((".x.staging", os.path.basename(staging)))
    }
    assert recover(str(tmp_path / "absent")) == []


def test_plugin_whose_recovery_fails_does_not_stop_that_of_others(plugins, monkeypatch, caplog):
    for name in ("a", "b"):
        write(plugins, {f".{name}.old/plugin-info": b"x"})
    rename = os.rename

    def fail(source, target):
        if target.endswith("/a"):
            raise PermissionError(13, "Permission denied")
        rename(source, target)

    monkeypatch.setattr(archive.os, "rename", fail)
    assert recover(str(plugins)) == ["b"]
    assert ".a.old cannot be cleared away" in caplog.text
