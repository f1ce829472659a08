"""`provd-dhcp update`: what dhcpd-update did, without trust in what it fetches."""

import io
import stat
import tarfile

import pytest

from provd.dhcp import cli

CLASSES = {
    "dhcpd_update.conf": b"include ...\n",
    "dhcpd_update/acme.conf": b"class acme\n",
    "dhcpd_subnet.conf.middle": b"allow members\n",
}


class Place:
    """A directory of dhcpd, an INI file that names it, and an archive to fetch."""

    def __init__(self, root):
        self.dhcpd = root / "dhcp"
        self.served = root / "served"
        self.ini = root / "dhcpd-update.conf"
        self.dhcpd.mkdir()
        self.served.mkdir()
        self.configure()

    def configure(self, more=""):
        self.ini.write_text(
            f"[general]\nupdate_url = {self.served.as_uri()}/\ndhcpd_dir = {self.dhcpd}/\n{more}"
        )

    def serve(self, files, links=()):
        with tarfile.open(self.served / "dhcpd.tar.bz2", "w:bz2") as tar:
            for name, target in links:
                member = tarfile.TarInfo(name)
                member.type = tarfile.SYMTYPE
                member.linkname = target
                tar.addfile(member)
            for name, content in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))

    def run(self, *options):
        return cli.main(["update", "-F", str(self.ini), *options])

    @property
    def files(self):
        return {
            str(path.relative_to(self.dhcpd)): path.read_bytes()
            for path in self.dhcpd.rglob("*")
            if path.is_file()
        }


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_files_are_fetched_and_readable_by_dhcpd(place):
    place.serve(CLASSES)
    assert place.run("-d") == 0
    assert place.files == CLASSES
    assert stat.S_IMODE((place.dhcpd / "dhcpd_update/acme.conf").stat().st_mode) == 0o644
    assert stat.S_IMODE((place.dhcpd / "dhcpd_update").stat().st_mode) == 0o755
    assert sorted(path.name for path in place.dhcpd.iterdir()) == sorted(
        {"dhcpd_update.conf", "dhcpd_update", "dhcpd_subnet.conf.middle"}
    )


def test_an_update_replaces_its_files_and_leaves_others(place):
    (place.dhcpd / "dhcpd_update").mkdir()
    (place.dhcpd / "dhcpd_update/acme.conf").write_text("old")
    (place.dhcpd / "dhcpd_update/local.conf").write_text("mine")
    place.serve(CLASSES)
    assert place.run("--download") == 0
    assert place.files == {**CLASSES, "dhcpd_update/local.conf": b"mine"}


def test_files_that_are_not_its_own_are_left_out(place, caplog):
    (place.dhcpd / "dhcpd.conf").write_text("main")
    place.serve({**CLASSES, "dhcpd.conf": b"execute()", "dhcpd_subnet.conf": b"x", "a/b.conf": b""})
    assert place.run("-d") == 0
    assert place.files == {**CLASSES, "dhcpd.conf": b"main"}
    assert "a/b.conf, dhcpd.conf, dhcpd_subnet.conf" in caplog.text


@pytest.mark.parametrize(
    ("files", "links"),
    [
        ({**CLASSES, "../evil.conf": b"x"}, ()),
        ({**CLASSES, "/tmp/evil.conf": b"x"}, ()),
        ({**CLASSES, "dhcpd_update/../../evil": b"x"}, ()),
        ({"dhcpd_update/evil.conf": b"x"}, [("dhcpd_update", "/tmp")]),
        ({"dhcpd_update/acme.conf": b"x"}, ()),
        ({"dhcpd_update.conf": b"x" * (65 * 1024 * 1024)}, ()),
    ],
)
def test_a_hostile_or_unfit_archive_changes_nothing(place, capsys, files, links):
    (place.dhcpd / "dhcpd_update.conf").write_text("old")
    place.serve(files, links)
    assert place.run("-d") == 1
    assert place.files == {"dhcpd_update.conf": b"old"}
    assert list(place.dhcpd.iterdir()) == [place.dhcpd / "dhcpd_update.conf"]
    assert "dhcpd.tar.bz2" in capsys.readouterr().err


def test_an_archive_that_is_missing_is_an_error(place, capsys):
    assert place.run("-d") == 1
    assert "No such file" in capsys.readouterr().err


def test_the_subnet_file_is_joined_of_its_parts(place):
    for part in ("head", "middle", "tail"):
        (place.dhcpd / f"dhcpd_subnet.conf.{part}").write_text(f"{part}\n")
    assert place.run("-r") == 0
    comment, *rest = (place.dhcpd / "dhcpd_subnet.conf").read_text().splitlines()
    assert comment.startswith("#")
    assert "generated" in comment
    assert rest == ["head", "middle", "tail"]


def test_a_missing_middle_part_is_tolerated_on_demand_only(place, capsys):
    for part in ("head", "tail"):
        (place.dhcpd / f"dhcpd_subnet.conf.{part}").write_text(f"{part}\n")
    assert place.run("-r") == 1
    assert "dhcpd_subnet.conf.middle" in capsys.readouterr().err
    assert not (place.dhcpd / "dhcpd_subnet.conf").exists()
    assert place.run("-ri") == 0
    assert (place.dhcpd / "dhcpd_subnet.conf").read_text().endswith("\nhead\ntail\n")


def test_a_missing_head_is_never_tolerated(place):
    assert place.run("-ri") == 1


def test_an_empty_class_file_is_made_once_with_a_sane_mode(place):
    path = place.dhcpd / "dhcpd_update.conf"
    assert place.run("-n") == 0
    assert path.read_bytes() == b""
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    path.write_text("kept")
    assert place.run("--newempty") == 0
    assert path.read_text() == "kept"


def test_all_actions_happen_in_one_run(place):
    for part in ("head", "tail"):
        (place.dhcpd / f"dhcpd_subnet.conf.{part}").write_text(f"{part}\n")
    place.serve(CLASSES)
    assert place.run("-dr") == 0
    assert b"head\nallow members\ntail\n" in place.files["dhcpd_subnet.conf"]


def test_actions_may_stand_in_the_file(place):
    place.configure("new_empty = yes\n")
    assert place.run() == 0
    assert place.files == {"dhcpd_update.conf": b""}


def test_nothing_to_do_is_a_wrong_command_line(place, capsys):
    assert place.run() == 2
    assert place.run("-i") == 2
    assert "nothing to do" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("no section\n", "no section headers"),
        ("[general]\nsubnet_file = ../x\n", "not a bare file name"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error(place, capsys, content, reason):
    place.ini.write_text(content)
    assert place.run("-n") == 1
    assert reason in capsys.readouterr().err


def test_the_file_must_be_there_and_may_be_empty(place, capsys):
    place.ini.write_text("")
    assert place.run() == 2
    place.ini.unlink()
    assert place.run("-n") == 1
    assert "No such file or directory" in capsys.readouterr().err
