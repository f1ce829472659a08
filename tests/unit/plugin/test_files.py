"""Services that hand out the files of a directory (contract: request processing §6)."""

import logging
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.plugin.files import ERR_FNF, TFTPFileService, TFTPNullService, resolve

PIECES = st.sampled_from(["", ".", "..", "a", "root", "root-other", "...", "a b", "é"])


@given(st.lists(PIECES, max_size=8))
def test_no_path_leaves_its_root(segments):
    path = resolve("/srv/root", segments)
    if path is not None:
        assert os.path.commonpath([path, "/srv/root"]) == "/srv/root"
        assert path == os.path.normpath(os.path.join("/srv/root", *[s for s in segments if s]))


@given(st.text())
def test_any_name_is_resolved_below_the_root_or_not_at_all(name):
    path = resolve("/srv/root", name.split("/"))
    assert path is None or path == "/srv/root" or path.startswith("/srv/root/")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.cfg", "/r/t/a.cfg"),
        ("/a.cfg", "/r/t/a.cfg"),
        ("//x//a.cfg", "/r/t/x/a.cfg"),
        ("x/../a.cfg", "/r/t/a.cfg"),
        ("../t/a.cfg", None),
        ("../t-other/a.cfg", None),
        ("x/../../a.cfg", None),
        ("..", None),
        ("", "/r/t"),
    ],
)
def test_containment_is_by_components(name, expected):
    assert resolve("/r/t", name.split("/")) == expected


class Response:
    """Notes how a request is answered."""

    def __init__(self):
        self.answers = []

    def accept(self, stream):
        with stream:
            self.answers.append(("accept", stream.read()))

    def reject(self, code, message):
        self.answers.append(("reject", code, message))


def ask(service, filename):
    response = Response()
    service.handle_read_request({"packet": {"filename": filename}}, response)
    [answer] = response.answers
    return answer


@pytest.fixture
def root(tmp_path):
    directory = tmp_path / "tftpboot"
    (directory / "sub").mkdir(parents=True)
    (directory / "a.cfg").write_bytes(b"content")
    (directory / "sub" / "b.cfg").write_bytes(b"")
    (tmp_path / "tftpboot-other").mkdir()
    (tmp_path / "tftpboot-other" / "x").write_bytes(b"secret")
    (tmp_path / "secret").write_bytes(b"secret")
    return str(directory)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (b"a.cfg", b"content"),
        (b"/a.cfg", b"content"),
        (b"sub//b.cfg", b""),
        (b"sub/../a.cfg", b"content"),
    ],
)
def test_a_file_is_accepted(root, name, content):
    assert ask(TFTPFileService(root), name) == ("accept", content)


@pytest.mark.parametrize("name", [b"none.cfg", b"sub", b"", b"/", b"a.cfg/x", b"x" * 300])
def test_what_cannot_be_opened_is_not_found(root, name):
    assert ask(TFTPFileService(root), name) == ("reject", ERR_FNF, "File not found")


@pytest.mark.parametrize(
    "name",
    [
        b"../secret",
        b"/../secret",
        b"../tftpboot-other/x",
        b"sub/../../secret",
        b"a\0b",
        b"\xff\xfe",
    ],
)
def test_what_leads_outside_or_is_no_text_is_an_invalid_name(root, name):
    assert ask(TFTPFileService(root), name) == ("reject", ERR_FNF, "Invalid filename")


def test_a_link_out_of_the_root_is_not_found_and_one_inside_is_followed(root, caplog):
    caplog.set_level(logging.INFO)
    os.symlink("a.cfg", os.path.join(root, "b.cfg"))
    os.symlink("../secret", os.path.join(root, "out.cfg"))
    os.symlink("../tftpboot-other", os.path.join(root, "folder"))
    service = TFTPFileService(root)
    assert ask(service, b"b.cfg") == ("accept", b"content")
    assert ask(service, b"out.cfg") == ("reject", ERR_FNF, "File not found")
    assert ask(service, b"folder/x") == ("reject", ERR_FNF, "File not found")
    assert "out.cfg is a link out" in caplog.text


def test_the_null_service_refuses_as_it_was_told():
    assert ask(TFTPNullService(), b"a") == ("reject", ERR_FNF, "File not found")
    assert ask(TFTPNullService(b"\0\2", "go away"), b"a") == ("reject", b"\0\2", "go away")


def test_a_derived_service_is_not_taken_for_a_plain_one(root):
    class Special(TFTPFileService):
        pass

    assert TFTPFileService(root).plain_root == root
    assert Special(root).plain_root is None
