"""Rules of plugins: what is refused, which of them count, and that ours agree with each other."""

import json
import tomllib
from pathlib import Path

import pytest

from provd.dhcp.rules import (
    TABLE,
    Rule,
    available,
    every_rule,
    installed,
    parse_rule,
    parse_rules,
    rules_of,
)
from provd.errors import InvalidDocument
from provd.plugin.phones.family import read_family

ROOT = Path(__file__).parents[3]
RULE = {"name": "acme", "ouis": ["00:11:22"], "options": {"66": "{base_url}"}}


def info(*vendors, **more):
    return {"capabilities": {f"{vendor}, X1, 1.0": {} for vendor in vendors}, **more}


def test_a_rule_is_read_as_it_is_written():
    document = {
        "name": "acme",
        "vendor_class": {"exact": ["Acme\0"], "prefix": ["AcmeX"]},
        "ouis": ["00:11:22"],
        "ouis_unless": [""],
        "options": {"43.2": "{base_url}/acme", "43.3": "0x00", "next-server": "{tftp}"},
    }
    rule = parse_rule(document)
    assert rule == Rule(
        "acme",
        document["options"],
        {"exact": ("Acme\0",), "prefix": ("AcmeX",)},
        (),
        ("00:11:22",),
        ("",),
    )
    assert list(rule.vendor_classes()) == [("exact", "Acme\0"), ("prefix", "AcmeX")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "Acme Phones"}, "small letters"),
        ({"name": None}, "small letters"),
        ({"colour": "red"}, "unknown key 'colour'"),
        ({"ouis": []}, "matches no phone"),
        ({"ouis": ["0:11:22"]}, "not an OUI"),
        ({"ouis": ["00:11:22; execute"]}, "not an OUI"),
        ({"ouis": "00:11:22"}, "a list of texts"),
        ({"vendor_class": {"regex": ["x"]}}, "vendor_class has the keys"),
        ({"vendor_class": {"exact": ['a" or 1']}}, "no server can be told"),
        ({"vendor_class": {"exact": ["a\\x"]}}, "no server can be told"),
        ({"vendor_class": {"exact": ["a\nb"]}}, "no server can be told"),
        ({"vendor_class": {"exact": [""]}}, "no server can be told"),
        ({"vendor_class": {"suffix": ["a,b"]}}, "no comma"),
        ({"user_class": ["a\0b"]}, "no server can be told"),
        ({"options": {}}, "not empty"),
        ({"options": {"sixty": "x"}}, "not a code"),
        ({"options": {"255": "x"}}, "not a code"),
        ({"options": {"66.1": "x"}}, "only option 43"),
        ({"options": {"66": 'x"; execute("rm")'}}, "that a server can be told"),
        ({"options": {"66": "x\n"}}, "that a server can be told"),
        ({"options": {"66": 66}}, "that a server can be told"),
        ({"options": {"66": "{password}"}}, "the placeholders are"),
        ({"options": {"66": "{base_url.x}"}}, "the placeholders are"),
        ({"options": {"66": "{"}}, "option '66'"),
        ({"options": {"66": "0x00"}}, "in a sub-option of 43"),
        ({"options": {"43.1": "0x0"}}, "in a sub-option of 43"),
        ({"options": {"150": "{base_url}"}}, "must be an address"),
    ],
)
def test_a_rule_that_could_mean_something_else_is_refused(change, reason):
    with pytest.raises(InvalidDocument, match=reason):
        parse_rule({**RULE, **change})


@pytest.mark.parametrize("document", [RULE, [RULE, RULE], ["x"], None])
def test_rules_are_a_list_with_names_of_their_own(document):
    with pytest.raises(InvalidDocument):
        parse_rules(document)


def test_a_plugin_without_rules_gets_those_of_the_vendors_it_names():
    assert [rule.name for rule in rules_of({"p": info("Snom", "Nobody")})] == ["snom", "snom-oui"]
    assert rules_of({"p": info("Mitel")}) == list(TABLE["aastra"])


def test_rules_of_a_plugin_win_over_what_is_known_of_its_vendor():
    own = {"name": "yealink", "ouis": ["00:11:22"], "options": {"160": "{base_url}"}}
    plugins = {"zz-other": info("Yealink"), "ours": info("Yealink", dhcp=[own])}
    assert rules_of(plugins) == [parse_rule(own)]


def test_of_two_plugins_with_one_rule_the_later_one_counts():
    later = {**RULE, "options": {"66": "{base_url}/later"}}
    rules = rules_of({"b": info(dhcp=[later]), "a": info(dhcp=[RULE])})
    assert rules == [parse_rule(later)]


def test_rules_that_are_wrong_are_named_and_those_of_the_vendor_count(caplog):
    rules = rules_of({"bad": info("Htek", dhcp=[{"name": "x"}])})
    assert [rule.name for rule in rules] == ["htek"]
    assert "plugin bad: dhcp: rule x" in caplog.text


def test_installed_plugins_are_read_without_those_that_cannot_be(tmp_path, caplog):
    for name, content in (("good", json.dumps(info("Snom"))), ("bad", "{"), (".old", "{}")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "plugin-info").write_text(content)
    (tmp_path / "empty").mkdir()
    (tmp_path / "plugins.db").write_text(json.dumps({"more": info("Htek"), "odd": 1}))
    assert installed(str(tmp_path)) == {"good": info("Snom"), "bad": {}}
    assert available(str(tmp_path)) == {"more": info("Htek")}
    assert "bad" in caplog.text


def test_names_are_unique_over_all_vendors():
    owners = {}
    for rules in TABLE.values():
        for rule in rules:
            assert owners.setdefault(rule.name, rule) == rule
    assert len(every_rule()) == len(owners)


@pytest.mark.parametrize(
    "path",
    sorted(
        path for name in ("build.toml", "family.toml") for path in ROOT.glob(f"plugins/*/{name}")
    ),
    ids=lambda path: path.parent.name,
)
def test_our_plugins_give_phones_what_is_known_of_their_vendor(path):
    rules = parse_rules(tomllib.loads(path.read_text()).get("dhcp", []))
    known = {rule.name: rule for rule in every_rule()}
    for rule in rules:
        # They may know more phones than the table, which is for plugins that say nothing.
        if rule.name in known:
            assert rule.options == known[rule.name].options


def test_no_two_of_our_plugins_call_a_rule_the_same():
    names = [
        rule.name
        for path in ROOT.glob("plugins/*/family.toml")
        for rule in parse_rules(tomllib.loads(path.read_text()).get("dhcp", []))
    ]
    assert len(names) == len(set(names))


def test_our_yealink_plugin_leaves_out_none_of_its_addresses():
    family = read_family(str(ROOT / "plugins/yealink/family.toml"))
    (rule,) = TABLE["yealink"]
    assert set(rule.ouis) == family.identification.ouis
