"""Files of wazo-provd: what is usable is read, the rest is told of; what is written reads the same."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import InvalidDocument
from provd.store.jsondb import (
    complete,
    read_documents,
    read_parameters,
    write_document,
    write_parameters,
)


def read(directory, collection="devices"):
    told = []
    documents = list(
        read_documents(str(directory), collection, lambda path, why: told.append((path, why)))
    )
    return documents, told


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property"),
        (b"[]", "not a JSON object"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": "\xff"}', "codec"),
        (b'{"a": "\\ud800"}', "surrogate"),
        (b'{"a": ' * 3000 + b"1" + b"}" * 3000, "nested|deep"),
    ],
)
def test_a_file_that_cannot_be_used_is_left_out_and_named(tmp_path, content, words):
    folder = tmp_path / "devices"
    folder.mkdir()
    (folder / "bad").write_bytes(content)
    (folder / "good").write_text('{"id": "good", "x": "\\ud83d\\ude00"}')
    documents, [(path, why)] = read(tmp_path)
    assert documents == [{"id": "good", "x": "\U0001f600"}]
    assert path.endswith("/bad")
    assert any(word in why for word in words.split("|"))
    assert (folder / "bad").read_bytes() == content


def test_directories_and_odd_names_are_left_out(tmp_path):
    folder = tmp_path / "devices"
    (folder / "directory").mkdir(parents=True)
    with open(os.path.join(os.fsencode(folder), b"\xff"), "wb") as stream:
        stream.write(b"{}")
    documents, told = read(tmp_path)
    assert documents == []
    assert len(told) == 2


def test_the_file_name_is_the_id(tmp_path):
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "a b").write_text('{"id": "other"}')
    assert read(tmp_path) == ([{"id": "a b"}], [])
    assert read(tmp_path, "configs") == ([], [])


def test_parameters_that_are_not_there_are_none(tmp_path):
    assert read_parameters(str(tmp_path / "app.json")) == {}
    (tmp_path / "app.json").write_text("[]")
    told = []
    assert read_parameters(str(tmp_path / "app.json"), lambda *args: told.append(args)) == {}
    assert len(told) == 1


def test_old_documents_get_what_they_lack():
    assert complete("devices", {"id": "d"}, "t") == {
        "id": "d",
        "configured": False,
        "tenant_uuid": "t",
    }
    assert complete("devices", {"id": "d", "tenant_uuid": "u"}, "t")["tenant_uuid"] == "u"
    assert "tenant_uuid" not in complete("devices", {"id": "d"}, None)
    for config in ({"parent_ids": []}, {"raw_config": {}}, {"parent_ids": {}, "raw_config": {}}):
        with pytest.raises(InvalidDocument):
            complete("configs", config, "t")


TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(document=st.dictionaries(TEXT, VALUES), name=TEXT)
def test_a_document_that_was_written_reads_the_same(tmp_path_factory, document, name):
    directory = tmp_path_factory.mktemp("jsondb")
    (directory / "devices").mkdir()
    document["id"] = name
    try:
        write_document(str(directory / "devices"), document)
    except InvalidDocument:
        assert "/" in name or "\0" in name or name in {"", ".", ".."} or len(name.encode()) > 255
        assert read(directory) == ([], [])
        return
    assert read(directory) == ([document], [])


def test_files_are_readable_by_their_owner_alone(tmp_path):
    write_parameters(str(tmp_path), {"NAT": "1"})
    path = tmp_path / "app.json"
    assert json.loads(path.read_text()) == {"NAT": "1"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_id_too_long_for_a_file_is_refused(tmp_path):
    with pytest.raises(InvalidDocument, match="too long"):
        write_document(str(tmp_path), {"id": "x" * 256})
