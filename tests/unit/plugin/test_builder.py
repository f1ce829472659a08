"""Plugins are built, packed and indexed the same way every time, for any reader of the format."""

import bz2
import hashlib
import io
import json
import os
import stat
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import ArchiveError, InvalidDocument, InvalidId
from provd.plugin.archive import extract_plugin
from provd.plugin.builder import (
    build,
    compare_versions,
    index,
    package,
    parse_info,
    read_info,
    read_targets,
)

BUILD = """
[[plugin]]
id = "acme-v1"
sources = ["common", "v1"]

[[plugin]]
id = "acme_v2"
sources = ["common", "v2"]
"""


def info(version="1.0", **more):
    document = {"version": version, "description": "Téléphones", "capabilities": {}, **more}
    return json.dumps(document).encode()


FAMILY = {
    "build.toml": BUILD.encode(),
    "common/common.py": b"x = 1\n",
    "common/templates/base.tpl": b"base",
    "common/templates/common/model.tpl": b"model",
    "common/tests/golden/x": b"not shipped",
    "common/templates/tests/x": b"not shipped",
    "common/__pycache__/common.cpython-311.pyc": b"not shipped",
    "common/old.pyc": b"not shipped",
    "common/common.py~": b"not shipped",
    "common/.common.py.swp": b"not shipped",
    "tests/golden/x": b"not shipped",
    "v1/plugin-info": info("1.0"),
    "v1/entry.py": b"v1\n",
    "v2/plugin-info": info("2.0-dev"),
    "v2/entry.py": b"v2\n",
    "v2/templates/base.tpl": b"base of v2",
}


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return str(root)


def tree(root):
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in sorted(root.rglob("*"))
    }


@pytest.fixture
def family(tmp_path):
    return write(tmp_path / "acme", FAMILY)


@pytest.fixture
def plugin(tmp_path):
    """A plugin directory that is sound and may be spoilt."""
    write(tmp_path / "acme_v2", {"plugin-info": info("1_2"), "entry.py": b"x", "lib/a.py": b"a"})
    return tmp_path / "acme_v2"


def repository(tmp_path, *packages):
    """Make a repository of (file name, plugin id, files) and return its path."""
    root = tmp_path / "repository"
    root.mkdir()
    for filename, plugin_id, files in packages:
        with tarfile.open(root / filename, "w:bz2") as tar:
            for name, content in files.items():
                member = tarfile.TarInfo(f"{plugin_id}/{name}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return root


def test_plugin_is_made_of_its_sources_in_order_without_tests_and_caches(family, tmp_path):
    dest = tmp_path / "build"
    assert build(family, str(dest)) == [str(dest / "acme-v1"), str(dest / "acme_v2")]
    assert sorted(os.listdir(dest)) == ["acme-v1", "acme_v2"]
    assert tree(dest / "acme_v2") == {
        "common.py": b"x = 1\n",
        "entry.py": b"v2\n",
        "plugin-info": info("2.0-dev"),
        "templates": None,
        "templates/base.tpl": b"base of v2",
        "templates/common": None,
        "templates/common/model.tpl": b"model",
        "var": None,
        "var/cache": None,
        "var/installed": None,
        "var/templates": None,
        "var/tftpboot": None,
    }
    assert (dest / "acme-v1/templates/base.tpl").read_bytes() == b"base"


def test_building_again_forgets_what_was_there(family, tmp_path):
    dest = tmp_path / "build"
    build(family, str(dest))
    before = tree(dest)
    write(dest, {"acme-v1/var/tftpboot/left.cfg": b"x", "other/file": b"x"})
    build(family, str(dest))
    after = tree(dest)
    assert after.pop("other/file") == b"x"
    assert after.pop("other", "missing") is None
    assert after == before


def test_failed_build_leaves_the_earlier_one(family, tmp_path):
    dest = tmp_path / "build"
    build(family, str(dest))
    before = tree(dest)
    write(tmp_path / "acme", {"v1/plugin-info": b"{}"})
    with pytest.raises(InvalidDocument, match=r"^plugin-info of plugin acme-v1: 'version'"):
        build(family, str(dest))
    assert tree(dest) == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"one \[\[plugin\]\] table"),
        ("plugin = 1", r"one \[\[plugin\]\] table"),
        ("plugin = [1]", "exactly the keys"),
        ("[[plugin]]\nid = 'a'", "exactly the keys"),
        ("[[plugin]]\nid = 'a'\nsources = ['v1']\nsource = 1", "exactly the keys"),
        ("version = 1\n[[plugin]]\nid = 'a'\nsources = ['v1']", "unknown key 'version'"),
        ("[[plugin]]\nid = 1\nsources = ['v1']", "'id' must be a string"),
        ("[[plugin]]\nid = '../a'\nsources = ['v1']", "plugin id '../a'"),
        ("[[plugin]]\nid = 'a'\nsources = []", "list of directory names"),
        ("[[plugin]]\nid = 'a'\nsources = 'v1'", "list of directory names"),
        ("[[plugin]]\nid = 'a'\nsources = [1]", "list of directory names"),
        ("[[plugin]]\nid = 'a'\nsources = ['../v1']", "leaves the family"),
        ("[[plugin]]\nid = 'a'\nsources = ['/tmp']", "leaves the family"),
        ("[[plugin]]\nid = 'a'\nsources = ['v9']", "v9 is not a directory"),
        ("[[plugin]]\nid = 'a'\nsources = ['v1']\n" * 2, "'a' is declared twice"),
        ("[[plugin", "Expected"),
    ],
)
def test_build_file_that_is_not_sound_is_refused_with_its_name(text, reason, tmp_path):
    family = write(tmp_path, {"build.toml": text.encode(), "v1/entry.py": b""})
    with pytest.raises(InvalidDocument, match=reason) as caught:
        read_targets(family)
    assert "build.toml" in str(caught.value)


def test_missing_build_file_is_named(tmp_path):
    with pytest.raises(InvalidDocument, match=r"build\.toml cannot be read"):
        read_targets(str(tmp_path))


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"common/entry.py/x": b"x"}, "is a directory in an earlier source"),
        ({"common/lib": b"x", "v1/lib/x": b"x"}, "is a file in an earlier source"),
    ],
)
def test_sources_that_do_not_fit_together_are_refused(files, reason, family, tmp_path):
    write(tmp_path / "acme", files)
    with pytest.raises(InvalidDocument, match=reason):
        build(family, str(tmp_path / "build"))
    assert os.listdir(tmp_path / "build") == []


def test_sources_have_no_symbolic_links(family, tmp_path):
    (tmp_path / "acme/common/passwd").symlink_to("/etc/passwd")
    with pytest.raises(InvalidDocument, match="passwd is a symbolic link"):
        build(family, str(tmp_path / "build"))


@pytest.mark.parametrize("name", ["entry.py", "plugin-info"])
def test_plugin_that_could_not_be_loaded_is_not_built(name, family, tmp_path):
    (tmp_path / "acme/v1" / name).unlink()
    with pytest.raises(InvalidDocument, match=f"^plugin acme-v1: no source holds a file {name}$"):
        build(family, str(tmp_path / "build"))
    assert os.listdir(tmp_path / "build") == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"version": 1, "description": "", "capabilities": {}}', "'version' must be a text"),
        (b'{"version": "", "description": "", "capabilities": {}}', "must not be empty"),
        (b'{"version": "1", "capabilities": {}}', "'description' must be a text"),
        (b'{"version": "1", "description": "", "capabilities": []}', "'capabilities' must be an"),
        (b'{"version": "1", "description": "", "capabilities": {}, "x": NaN}', "NaN"),
        (b'{"version": "1", "description": "", "capabilities": {}, "x": 1e999}', "cannot be"),
        (b'{"version": "1", "description": "\\ud800", "capabilities": {}}', "cannot be"),
    ],
)
def test_plugin_info_that_cannot_be_indexed_is_refused(content, reason):
    with pytest.raises(InvalidDocument, match=reason):
        parse_info(content)


def test_package_is_named_after_id_and_version(plugin, tmp_path):
    path = package(str(plugin), str(tmp_path / "out"))
    assert path == str(tmp_path / "out/acme-v2-1_2.tar.bz2")
    assert os.listdir(tmp_path / "out") == ["acme-v2-1_2.tar.bz2"]
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o644


def test_package_holds_one_directory_with_plain_owners_modes_and_dates(plugin, tmp_path):
    write(plugin, {"__pycache__/x.pyc": b"x", "lib/a.pyc": b"x"})
    (plugin / "entry.py").chmod(0o700)
    (plugin / "lib").chmod(0o2770)
    with tarfile.open(package(str(plugin), str(tmp_path / "out")), "r:bz2") as tar:
        members = tar.getmembers()
    assert [(member.name, oct(member.mode)) for member in members] == [
        ("acme_v2", "0o755"),
        ("acme_v2/entry.py", "0o755"),
        ("acme_v2/lib", "0o755"),
        ("acme_v2/lib/a.py", "0o644"),
        ("acme_v2/plugin-info", "0o644"),
    ]
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {
        (0, 0, "root", "root", 0)
    }


def test_package_of_a_build_is_the_same_anywhere_and_any_time(family, tmp_path):
    packages = []
    for place, mtime in (("here", 1_000_000_000), ("there", 1_700_000_000)):
        for path in (tmp_path / "acme").rglob("*"):
            os.utime(path, (mtime, mtime))
        umask = os.umask(0o022 if place == "here" else 0o077)
        try:
            directories = build(family, str(tmp_path / place / "plugins"))
        finally:
            os.umask(umask)
        paths = [package(path, str(tmp_path / place / "out")) for path in directories]
        index(str(tmp_path / place / "out"))
        packages.append(tree(tmp_path / place / "out"))
        assert len(paths) == 2
    assert packages[0] == packages[1]
    assert len(packages[0]) == 3


def test_source_date_is_taken_from_the_environment(plugin, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    with tarfile.open(package(str(plugin), str(tmp_path / "out"))) as tar:
        assert {member.mtime for member in tar} == {1_700_000_000}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(InvalidDocument, match="SOURCE_DATE_EPOCH"):
        package(str(plugin), str(tmp_path / "out"))


def test_built_and_packed_plugin_is_extracted_as_it_was(family, tmp_path):
    directory = build(family, str(tmp_path / "build"))[0]
    path = package(directory, str(tmp_path / "out"))
    extract_plugin(path, "acme-v1", str(tmp_path / "extracted"))
    assert tree(tmp_path / "extracted/acme-v1") == tree(tmp_path / "build/acme-v1")


def test_package_that_the_daemon_would_refuse_is_not_written(plugin, tmp_path):
    (plugin / "passwd").symlink_to("/etc/passwd")
    with pytest.raises(ArchiveError, match="absolute name"):
        package(str(plugin), str(tmp_path / "out"))
    assert os.listdir(tmp_path / "out") == []


def test_version_that_leads_out_of_the_repository_is_refused(plugin, tmp_path):
    write(plugin, {"plugin-info": info("/../../x")})
    with pytest.raises(ArchiveError, match="not a bare file name"):
        package(str(plugin), str(tmp_path / "out"))


def test_directory_whose_name_is_no_plugin_id_is_not_packed(plugin):
    renamed = plugin.rename(plugin.with_name("acme v2"))
    with pytest.raises(InvalidId):
        package(str(renamed), str(plugin.parent))


def test_index_copies_plugin_info_and_describes_the_archive(tmp_path):
    extra = {"description_fr": "Postes", "filename": "wrong", "plugin_iface_version_min": 0.1}
    root = repository(tmp_path, ("any.tar.bz2", "acme-1", {"plugin-info": info("1.2", **extra)}))
    archive = (root / "any.tar.bz2").read_bytes()
    expected = {
        "acme-1": {
            "version": "1.2",
            "description": "Téléphones",
            "description_fr": "Postes",
            "plugin_iface_version_min": 0.1,
            "capabilities": {},
            "filename": "any.tar.bz2",
            "dsize": len(archive),
            "sha1sum": hashlib.sha1(archive).hexdigest(),
            "sha256sum": hashlib.sha256(archive).hexdigest(),
        }
    }
    assert index(str(root)) == expected
    assert json.loads((root / "plugins.db").read_bytes()) == expected


def test_index_is_compact_sorted_utf_8(tmp_path):
    content = {"plugin-info": info("1")}
    root = repository(tmp_path, ("1.tar.bz2", "b", content), ("2.tar.bz2", "a", content))
    index(str(root))
    text = (root / "plugins.db").read_bytes().decode()
    assert text.startswith('{"a":{"capabilities":{},"description":"Téléphones","dsize":')
    assert text.index('"a":') < text.index('"b":')
    assert ": " not in text


def test_highest_version_is_indexed_wherever_it_stands(tmp_path):
    versions = ["1.0", "1.2", "1.2-dev3", "1.10"]
    root = repository(
        tmp_path,
        *((f"{v}.tar.bz2", "acme", {"plugin-info": info(v)}) for v in versions),
    )
    assert index(str(root))["acme"]["version"] == "1.2"


def test_other_files_of_a_repository_are_ignored(tmp_path):
    root = repository(tmp_path, (".hidden.tar.bz2", "acme", {"plugin-info": info()}))
    write(root, {"plugins.db": b"{}", "README": b"x", "acme.tar.gz": b"x"})
    assert index(str(root)) == {}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"plugin-info": b"{}"}, "acme/plugin-info: 'version' must be a text"),
        ({"entry.py": b""}, "no file acme/plugin-info"),
        ({"plugin-info": info(), "../x": b""}, "'..'"),
    ],
)
def test_archive_that_cannot_be_used_is_left_out_or_stops_a_strict_index(
    content, reason, tmp_path, caplog
):
    root = repository(
        tmp_path,
        ("bad.tar.bz2", "acme", content),
        ("good.tar.bz2", "good", {"plugin-info": info()}),
    )
    write(root, {"plugins.db": b"old"})
    with pytest.raises(ArchiveError, match=r"^bad\.tar\.bz2: ") as caught:
        index(str(root), strict=True)
    assert reason in str(caught.value)
    assert (root / "plugins.db").read_bytes() == b"old"

    assert list(index(str(root))) == ["good"]
    assert reason in caplog.text


def test_damaged_archive_is_left_out(tmp_path, caplog):
    root = repository(tmp_path)
    write(root, {"a.tar.bz2": bz2.compress(b"hello"), "b.tar.bz2": b"<html>"})
    assert index(str(root)) == {}
    assert "a.tar.bz2" in caplog.text
    assert "b.tar.bz2" in caplog.text


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.0", "1.1"),
        ("1", "1.1"),
        ("1.10", "1.9"),
        ("1.2", "1.2.1"),
        ("1.0-dev", "1.0"),
        ("1.0-dev2", "1.0"),
        ("1.0-dev1", "1.0-dev2"),
        ("1.0-dev", "1.0-rc1"),
        ("1.0", "1.0-1"),
        ("1.0-1", "1.0-2"),
        ("1.0-10", "1.0-9"),
        ("1.0-2", "1.1-dev"),
        ("1-2", "1-2-dev"),  # the last dash splits: the base 1 is lower than the base 1-2
    ],
)
def test_versions_are_ordered(lower, higher):
    assert compare_versions(lower, higher) == -1
    assert compare_versions(higher, lower) == 1


@pytest.mark.parametrize(("left", "right"), [("1", "1"), ("1", "1.0"), ("1.0-a", "1.0.0-a")])
def test_versions_may_be_the_same(left, right):
    assert compare_versions(left, right) == compare_versions(right, left) == 0


versions = st.text("019.-adev", max_size=8)


@given(versions, versions, versions)
def test_order_of_versions_is_total(a, b, c):
    assert compare_versions(a, a) == 0
    assert compare_versions(a, b) == -compare_versions(b, a)
    if compare_versions(a, b) <= 0 and compare_versions(b, c) <= 0:
        assert compare_versions(a, c) <= 0


DHCP = """
[[dhcp]]
name = "acme"
ouis = ["00:11:22"]
options = { 66 = "{base_url}" }
"""


def test_rules_for_dhcp_servers_are_written_once_and_go_into_every_plugin(tmp_path):
    family = write(tmp_path / "acme", {**FAMILY, "build.toml": (BUILD + DHCP).encode()})
    rules = [{"name": "acme", "ouis": ["00:11:22"], "options": {"66": "{base_url}"}}]
    first, second = build(family, str(tmp_path / "build"))
    assert read_info(first) == {**json.loads(info("1.0")), "dhcp": rules}
    assert read_info(second) == {**json.loads(info("2.0-dev")), "dhcp": rules}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('dhcp = "66"\n' + BUILD, "must be written as"),
        (BUILD + "[[dhcp]]\nname = 2020-01-01\n", "not JSON serializable"),
    ],
)
def test_rules_that_no_plugin_info_can_hold_are_refused(tmp_path, text, reason):
    family = write(tmp_path / "acme", {**FAMILY, "build.toml": text.encode()})
    with pytest.raises(InvalidDocument, match=reason):
        build(family, str(tmp_path / "build"))


def test_rules_may_not_be_in_both_files(tmp_path):
    spoilt = {"build.toml": (BUILD + DHCP).encode(), "v1/plugin-info": info(dhcp=[])}
    family = write(tmp_path / "acme", {**FAMILY, **spoilt})
    with pytest.raises(InvalidDocument, match=r"is in build\.toml too"):
        build(family, str(tmp_path / "build"))


# Families of phones

PHONES = """
id = "provd-birch"
version = "1.2"
vendor = "Birch"
description = "Birch"
description_fr = "Birche"

[models]
B2 = { lines = 2 }
B9 = { lines = 1, type = "dect", facts = { multicell = false } }

[firmware]
"1.0" = "B2"
"2.0" = "B2"

[[files]]
name = "{mac}.cfg"
template = "base.tpl"

[[dhcp]]
name = "birch"
vendor_class = { exact = ["birch"] }
options = { 66 = "{base_url}" }
"""
PACKAGE = """
[[package]]
id = "B2-fw"
version = "2.0"
description = "Firmware of B2"
models = "B2"
serves = "b2.rom"
files = [{ url = "https://files.example.org/b2.rom", size = 3, sha1 = "00" }]
"""


@pytest.fixture
def phones(tmp_path):
    """A family of phones that may be spoilt."""
    files = {
        "family.toml": PHONES.encode(),
        "format.py": b"x = 1\n",
        "templates/base.tpl": b"base",
        "tests/parser.py": b"not shipped",
    }
    write(tmp_path / "birch", files)
    return tmp_path / "birch"


def test_family_of_phones_is_one_plugin_with_entry_and_plugin_info_written(phones, tmp_path):
    [target] = read_targets(str(phones))
    assert (target.plugin_id, target.sources) == ("provd-birch", (str(phones),))
    assert build(str(phones), str(tmp_path / "out")) == [str(tmp_path / "out/provd-birch")]
    built = tree(tmp_path / "out/provd-birch")
    assert set(built) == {
        "entry.py",
        "family.toml",
        "format.py",
        "plugin-info",
        "templates",
        "templates/base.tpl",
        "var",
        "var/cache",
        "var/installed",
        "var/templates",
        "var/tftpboot",
    }
    assert b'execfile_("format.py", globals())' in built["entry.py"]
    described = parse_info(built["plugin-info"])
    assert described["version"] == "1.2"
    assert described["description_fr"] == "Birche"
    assert set(described["capabilities"]) == {
        "Birch, B2, 1.0",
        "Birch, B2, 2.0",
        "Birch, B9, -",
    }
    assert described["capabilities"]["Birch, B2, 1.0"]["lines"] == 2
    assert described["capabilities"]["Birch, B9, -"]["multicell"] is False
    assert [rule["name"] for rule in described["dhcp"]] == ["birch"]


def test_family_is_the_same_bytes_wherever_it_is_built(phones, tmp_path):
    build(str(phones), str(tmp_path / "one"))
    build(str(phones), str(tmp_path / "two"))
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_entry_of_a_family_itself_is_kept(phones, tmp_path):
    write(phones, {"entry.py": b"mine = 1\n"})
    build(str(phones), str(tmp_path / "out"))
    assert (tmp_path / "out/provd-birch/entry.py").read_bytes() == b"mine = 1\n"


@pytest.mark.parametrize("name", ["family.toml", "packages.toml"])
def test_packages_of_a_family_become_definitions(phones, tmp_path, name):
    path = phones / name
    path.write_text((path.read_text() if path.exists() else "") + PACKAGE)
    build(str(phones), str(tmp_path / "out"))
    definitions = (tmp_path / "out/provd-birch/pkgs/pkgs.db").read_text()
    assert "[pkg_B2-fw]\nversion: 2.0\ndescription: Firmware of B2\n" in definitions
    assert "url: https://files.example.org/b2.rom\nfilename: b2.rom\nsize: 3\n" in definitions


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('id = "provd-birch"', 'id = "../x"', "family.toml: "),
        ('id = "provd-birch"', "", "'id' must be a text"),
        ('version = "1.2"', "version = 2", "'version' must be a text"),
        ("[models]", "[odd]", "unknown key 'odd'"),
        ("[models]", "[models", "family.toml: "),
    ],
)
def test_family_that_is_not_sound_is_refused_with_its_path(phones, tmp_path, old, new, reason):
    path = phones / "family.toml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises((InvalidDocument, InvalidId)) as caught:
        build(str(phones), str(tmp_path / "out"))
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert not list((tmp_path / "out").iterdir())
