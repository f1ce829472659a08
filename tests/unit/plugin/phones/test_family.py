import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provd.errors import InvalidDocument
from provd.plugin.phones import family as family_module
from provd.plugin.phones.family import read_family
from tests.unit.plugin.phones import acme


def test_family_is_read(tmp_path):
    family = read_family(acme.write(tmp_path))
    assert (family.id, family.version, family.vendor) == ("provd-acme", "1.0", "Acme")
    assert family.sync_event == "check-sync"
    p2 = family.models["P2"]
    assert (p2.lines, p2.keys, p2.modules, p2.module_keys) == (6, 8, 2, 3)
    assert (p2.count("line"), p2.count("memory"), p2.count("odd")) == (6, 2, 0)
    assert len(p2.slots) == 8 + 2 * 3
    assert p2.firmware == ("1.1.0",)
    assert family.models["P1"].firmware == ("1.0.0", "1.1.0")
    assert family.models["P1"].fact("colour") is True
    assert p2.fact("colour", "no") == "no"
    assert family.vendor_of(p2) == "Acme"
    assert family.vendor_of(family.models["D1"]) == "Bell"
    assert [file.name for file in family.files] == ["{mac}.cfg", "{MAC}-{sn}.xml"]
    assert family.sip_codes.transport == {"udp": 0, "tcp": 1, "tls": 2}
    assert family.sip_codes.srtp["required"] == "required"


def test_plugin_info_follows_from_it(tmp_path):
    info = read_family(acme.write(tmp_path)).plugin_info()
    assert set(info["capabilities"]) == {
        "Acme, P1, 1.0.0",
        "Acme, P1, 1.1.0",
        "Acme, P2, 1.1.0",
        "Bell, D1, -",
    }
    assert info["capabilities"]["Acme, P2, 1.1.0"] == {
        "type": "deskphone",
        "protocol": "sip",
        "lines": 6,
        "high_availability": True,
        "function_keys": 8,
        "expansion_modules": 2,
        "switchboard": True,
    }
    assert info["capabilities"]["Bell, D1, -"]["multicell"] is True
    assert "dhcp" not in info


def test_what_is_in_a_file_of_packages_counts_too(tmp_path):
    package = '[[package]]\nid = "{}"\nversion = "1"\ndescription = "d"\nfiles = [{{ name = "{}", size = 1, sha1 = "0" }}]\n'
    (tmp_path / "packages.toml").write_text(package.format("two", "b"))
    family = read_family(acme.write(tmp_path, acme.FAMILY + package.format("one", "a")))
    assert [one["id"] for one in family.packages] == ["one", "two"]
    (tmp_path / "packages.toml").write_text(package.format("one", "b"))
    with pytest.raises(InvalidDocument, match="package 'one' is there twice"):
        read_family(acme.write(tmp_path, acme.FAMILY + package.format("one", "a")))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('id = "provd-acme"', "", "'id' must be a text"),
        ('version = "1.0"', "version = 1.0", "'version' must be a text"),
        ('vendor = "Acme"', 'vendor = ""', "'vendor' must be a text"),
        ("oui", "odd", "unknown key 'odds'"),
        ("[models]", "models = 5\n[odd]", "unknown key 'odd'"),
        ("[languages]", "[odd]", "unknown key 'odd'"),
        ('words = ["acme"]', 'words = "acme"', "'words' must be a list of texts"),
        ('ouis = ["00:11:22"]', "ouis = [1]", "'ouis' must be a list of texts"),
        ("P1 = { lines = 2,", "P1 = {", "model P1: 'lines' must be a number from 0"),
        (
            "P1 = { lines = 2,",
            "P1 = { lines = 9000000000,",
            "model P1: 'lines' must be a number from 0 to 1000",
        ),
        ("P1 = { lines = 2,", "P1 = { lines = -1,", "model P1: 'lines' must be a number from 0"),
        ("P1 = { lines = 2,", "P1 = { line = 2,", "model P1: unknown key 'line'"),
        ("D1 = {", "X1 = 5\nD1 = {", "model X1 must be a table"),
        ('type = "dect"', 'type = "phone"', "model D1: the type must be one of ata, "),
        ("keys = { line = 4 }", "keys = { soft = 4 }", "model P1: keys of an unknown group 'soft'"),
        ("keys = { line = 4 }", "keys = 4", "model P1: 'keys' must be a table of numbers"),
        ("modules = [2, 3]", "modules = 2", "model P2: 'modules' must be two numbers"),
        ('module = "module.{}.{}"', "", "model P2 has modules, but 'keys' has no 'module'"),
        ('"1.0.0" = "P1"', '"1.0.0" = "P1 P9"', "firmware '1.0.0' is for an unknown model 'P9'"),
        ('"1.0.0" = "P1"', '"1.0.0" = 1', "firmware '1.0.0' must be a text"),
        ('"1.0.0" = "P1"', '"1.0.0" = ["P1 P2"]', "firmware '1.0.0' is for an unknown model"),
        ("udp = 0", "sctp = 0", "codes.transport: 'sctp' is no standard value"),
        ("[codes.transport]", "[codes.transprot]", "codes: unknown table 'transprot'"),
        ('template = "base.tpl"', "templates = 1", "files: "),
        ("[[agent]]", "[agent]", "'agent' must be written as [[agent]] tables"),
    ],
)
def test_family_that_is_not_sound_is_refused_with_the_place(tmp_path, old, new, reason):
    path = acme.write(tmp_path, replace={old: new})
    with pytest.raises(InvalidDocument) as caught:
        read_family(path)
    assert str(caught.value).startswith(f"{path}: {reason}")


def test_file_that_cannot_be_read_or_is_no_toml_is_refused(tmp_path):
    with pytest.raises(InvalidDocument, match=r"family.toml cannot be read: No such file"):
        read_family(str(tmp_path / "family.toml"))
    with pytest.raises(InvalidDocument, match=r"family.toml: "):
        read_family(acme.write(tmp_path, "[x"))
    (tmp_path / "family.toml").write_bytes(b"\xff")
    with pytest.raises(InvalidDocument, match=r"family.toml: "):
        read_family(str(tmp_path / "family.toml"))


DOCUMENT = tomllib.loads(acme.FAMILY)
VALUES = st.none() | st.integers() | st.text() | st.lists(st.integers()) | st.just({"a": {"b": 1}})


def places(value, path=()):
    """Yield the path of every member of a document."""
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for key, member in members:
        yield (*path, key)
        if isinstance(member, (dict, list)):
            yield from places(member, (*path, key))


def changed(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


@settings(max_examples=300)
@given(path=st.sampled_from(list(places(DOCUMENT))), value=VALUES)
def test_any_value_in_any_place_is_taken_or_refused(path, value):
    document = changed(DOCUMENT, path, value)
    reader = family_module._Reader("family.toml", document)
    try:
        family = reader.read_checked()
    except InvalidDocument:
        with pytest.raises(InvalidDocument, match=r"^family\.toml: "):
            reader.read_checked()
    else:
        assert family.id
