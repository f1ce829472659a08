import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import InvalidDocument, RawConfigError, RawConfigParamError
from provd.model.config import (
    build_autocreate,
    clean_config,
    flatten,
    is_deletable,
    is_transient,
    overlay,
    validate_config,
)

CONFIG = {"id": "c1", "parent_ids": ["base"], "raw_config": {"ntp_ip": "10.0.0.1"}}

names = st.sampled_from("abcdef")
raw_values = st.recursive(
    st.none() | st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=8,
)
raw_objects = st.dictionaries(st.sampled_from("xyz"), raw_values, max_size=3)


def config(parent_ids=(), **raw_config):
    return {"parent_ids": list(parent_ids), "raw_config": raw_config}


class TestCleaning:
    def test_null_members_of_a_device_config_go_at_any_depth(self):
        document = {
            "X_type": "device",
            "role": None,
            "raw_config": {"a": None, "sip_lines": {"1": {"b": None, "c": 1}}},
            "list": [{"d": None}, None, [{"e": None, "f": 0}]],
        }
        before = copy.deepcopy(document)
        assert clean_config(document) == {
            "X_type": "device",
            "raw_config": {"sip_lines": {"1": {"c": 1}}},
            "list": [{}, None, [{"f": 0}]],
        }
        assert document == before

    @pytest.mark.parametrize("kind", [{}, {"X_type": "registrar"}, {"X_type": None}])
    def test_other_configs_keep_their_nulls(self, kind):
        document = {**kind, "raw_config": {"a": None}}
        assert clean_config(document) is document

    def test_a_clean_document_is_returned_itself(self):
        document = {"X_type": "device", "raw_config": {"a": [None, {"b": 1}], "c": {}}}
        assert clean_config(document) is document

    def test_absurd_nesting_is_refused(self):
        deep = {}
        for _ in range(5000):
            deep = {"a": deep}
        with pytest.raises(InvalidDocument, match="nested"):
            clean_config({"X_type": "device", "raw_config": deep})


class TestValidation:
    @pytest.mark.parametrize(
        "extra",
        [
            {},
            {"parent_ids": []},
            {"role": "autocreate"},
            {"role": None},
            {"transient": True, "deletable": "no"},
            {"transient": None, "deletable": None},
            {"label": 1, "X_any": {"a": []}, "registrar_main": None},
        ],
    )
    def test_good_configs_pass(self, extra):
        validate_config({**CONFIG, **extra})

    @pytest.mark.parametrize("key", ["parent_ids", "raw_config"])
    def test_mandatory_keys(self, key):
        document = {name: value for name, value in CONFIG.items() if name != key}
        with pytest.raises(InvalidDocument, match=f'^missing "{key}" field in config$'):
            validate_config(document)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("parent_ids", "base"),
            ("parent_ids", {"base": 1}),
            ("parent_ids", None),
            ("parent_ids", ["base", 1]),
            ("parent_ids", [None]),
            ("raw_config", []),
            ("raw_config", None),
            ("raw_config", "a"),
            ("role", 1),
            ("role", ["default"]),
            ("transient", "maybe"),
            ("transient", 2),
            ("deletable", []),
            ("deletable", {}),
            ("id", 3),
        ],
    )
    def test_wrong_types_are_refused_and_named(self, key, value):
        with pytest.raises(InvalidDocument, match=key):
            validate_config({**CONFIG, key: value})

    def test_a_bad_raw_config_is_refused(self):
        with pytest.raises(RawConfigParamError, match="X_"):
            validate_config({**CONFIG, "raw_config": {"unknown": 1}})
        with pytest.raises(RawConfigError, match="not an object"):
            validate_config({**CONFIG, "raw_config": 5})

    def test_absurd_nesting_is_refused(self):
        deep = []
        for _ in range(5000):
            deep = [deep]
        with pytest.raises(InvalidDocument, match="nested"):
            validate_config({**CONFIG, "raw_config": {"X_deep": deep}})


@pytest.mark.parametrize(
    ("flags", "transient", "deletable"),
    [
        ({}, False, True),
        ({"transient": None, "deletable": None}, False, True),
        ({"transient": True, "deletable": False}, True, False),
        ({"transient": "yes", "deletable": "no"}, True, False),
        ({"transient": 0, "deletable": 1}, False, True),
    ],
)
def test_flags_of_a_config(flags, transient, deletable):
    assert is_transient({**CONFIG, **flags}) is transient
    assert is_deletable({**CONFIG, **flags}) is deletable


class TestOverlay:
    @pytest.mark.parametrize(
        ("base", "top", "result"),
        [
            ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
            ({"a": {"x": 1}}, {"a": {"y": 2}}, {"a": {"x": 1, "y": 2}}),
            ({"a": {"x": {"p": 1}}}, {"a": {"x": {"p": 2}}}, {"a": {"x": {"p": 2}}}),
            ({"a": [1]}, {"a": [2]}, {"a": [2]}),
            ({"a": {"x": 1}}, {"a": None}, {"a": None}),
            ({"a": {"x": 1}}, {"a": [1]}, {"a": [1]}),
            ({"a": 1}, {"a": {"x": 1}}, {"a": {"x": 1}}),
            ({"a": {"x": 1}}, {"a": {}}, {"a": {"x": 1}}),
        ],
    )
    def test_objects_merge_and_the_rest_replaces(self, base, top, result):
        overlay(base, top)
        assert base == result

    @given(raw_objects, raw_objects, raw_objects)
    def test_later_changes_of_the_result_never_reach_what_was_laid(self, base, middle, top):
        before = copy.deepcopy((middle, top))
        overlay(base, middle)
        overlay(base, top)
        assert (middle, top) == before

    @given(raw_objects, raw_objects)
    def test_laying_twice_changes_nothing(self, base, top):
        overlay(base, top)
        once = copy.deepcopy(base)
        overlay(base, top)
        assert base == once


def flatten_by_the_book(config_id, configs, base):
    """Say the rule in its shortest words, recursion included."""
    visited = set()
    result = copy.deepcopy(base)

    def visit(current):
        if current in configs and current not in visited:
            visited.add(current)
            for parent in configs[current]["parent_ids"]:
                visit(parent)
            overlay(result, configs[current]["raw_config"])

    visit(config_id)
    return result


class TestFlatten:
    def test_an_unknown_config_has_no_raw_config(self):
        assert flatten("a", {}.get, {"ip": "1.1.1.1"}) is None

    def test_later_parents_win_over_earlier_and_the_config_over_all(self):
        configs = {
            "A": config(ntp_ip="a", sip_lines={"1": {"username": "u"}}),
            "B": config(ntp_ip="b"),
            "C": config(["A", "B"], sip_lines={"1": {"password": "p"}}),
        }
        assert flatten("C", configs.get, {"ip": "1.1.1.1"}) == {
            "ip": "1.1.1.1",
            "ntp_ip": "b",
            "sip_lines": {"1": {"username": "u", "password": "p"}},
        }

    def test_base_has_the_lowest_priority(self):
        assert flatten("A", {"A": config(ip="2.2.2.2")}.get, {"ip": "1.1.1.1"}) == {"ip": "2.2.2.2"}

    def test_parents_of_a_parent_come_before_it(self):
        configs = {
            "A": config(x=1, y=1, z=1),
            "B": config(["A"], x=2, y=2),
            "C": config(["B"], x=3),
        }
        assert flatten("C", configs.get, {}) == {"x": 3, "y": 2, "z": 1}

    def test_a_shared_ancestor_is_laid_at_its_first_encounter_only(self):
        configs = {
            "top": config(x="top"),
            "A": config(["top"]),
            "B": config(x="B"),
            "C": config(["A", "B", "top"]),
        }
        assert flatten("C", configs.get, {}) == {"x": "B"}

    def test_cycles_end(self):
        configs = {"A": config(["B"], x="A"), "B": config(["A", "B"], x="B", y="B")}
        assert flatten("A", configs.get, {}) == {"x": "A", "y": "B"}

    def test_unknown_parents_are_skipped(self):
        assert flatten("A", {"A": config(["gone", "gone"], x=1)}.get, {}) == {"x": 1}

    def test_ten_thousand_generations_are_fine(self):
        configs = {str(n): config([str(n + 1)], x=n, **{f"X_{n}": n}) for n in range(10_000)}
        flat = flatten("0", configs.get, {})
        assert flat["x"] == 0
        assert len(flat) == 10_001

    def test_the_result_is_private(self):
        base = {"a": {"b": []}}
        configs = {"A": config(a={"c": {}}, d=[{}])}
        before = copy.deepcopy((base, configs))
        flat = flatten("A", configs.get, base)
        flat["a"]["b"].append(1)
        flat["a"]["c"]["XX_"] = 1
        flat["d"][0]["XX_"] = 1
        assert (base, configs) == before

    @given(st.dictionaries(names, st.tuples(st.lists(names, max_size=4), raw_objects)), raw_objects)
    def test_any_family_flattens_by_the_book(self, families, base):
        configs = {
            name: {"parent_ids": parents, "raw_config": raw}
            for name, (parents, raw) in families.items()
        }
        for name in configs:
            assert flatten(name, configs.get, base) == flatten_by_the_book(name, configs, base)


AUTOPROV = {
    "id": "autoprov",
    "parent_ids": ["base", "defaultconfigdevice"],
    "raw_config": {"sip_lines": {"1": {"username": "ap"}}},
    "role": "autocreate",
    "X_type": "internal",
    "deletable": False,
    "label": "Autoprov",
}


class TestAutocreate:
    def test_the_new_config_inherits_from_and_repeats_the_template(self):
        made = build_autocreate(AUTOPROV)
        identifier = made.pop("id")
        assert identifier.startswith("autoprov")
        assert len(identifier) == len("autoprov") + 36
        assert made == {
            "parent_ids": ["autoprov"],
            "raw_config": {"sip_lines": {"1": {"username": "ap"}}},
            "transient": True,
        }

    def test_two_of_them_share_nothing(self):
        first, second = build_autocreate(AUTOPROV), build_autocreate(AUTOPROV)
        assert first["id"] != second["id"]
        first["raw_config"]["sip_lines"]["1"]["username"] = "other"
        assert AUTOPROV["raw_config"] == second["raw_config"]

    @pytest.mark.parametrize("raw_config", [{}, {"sip_lines": {}}, {"sip_lines": {"2": {}}}])
    def test_without_line_one_there_is_no_config(self, raw_config):
        assert build_autocreate({**AUTOPROV, "raw_config": raw_config}) is None
