"""The table of raw-config parameters, and all that is made of it."""

from typing import get_type_hints

import pytest

from provd.model import parameters, shapes
from provd.model.parameters import CALL_MANAGER, FUNCKEY, LINE, RAW_CONFIG, unknown_parameters
from provd.rest.schemas import SCHEMAS

TABLES = {
    "RawConfig": (RAW_CONFIG, shapes.RawConfig),
    "SipLine": (LINE, shapes.SipLine),
    "CallManager": (CALL_MANAGER, shapes.CallManager),
    "FuncKey": (FUNCKEY, shapes.FuncKey),
}


def names(table):
    return [parameter.name for parameter in table]


@pytest.mark.parametrize("name", TABLES)
def test_the_shape_for_type_checkers_has_the_names_of_the_table(name):
    table, shape = TABLES[name]
    assert set(get_type_hints(shape)) == set(names(table))
    assert len(names(table)) == len(set(names(table)))


@pytest.mark.parametrize("name", TABLES)
def test_the_schema_of_the_api_has_the_names_and_meanings_of_the_table(name):
    table, _ = TABLES[name]
    properties = SCHEMAS[name]["properties"]
    assert set(names(table)) <= set(properties)
    for parameter in table:
        assert properties[parameter.name]["description"].startswith(parameter.meaning)


@pytest.mark.parametrize(
    ("raw_config", "warnings"),
    [
        ({"sip_lines": {"1": {"username": "a", "X_any": 1}}, "X_free": {"usrname": 1}}, []),
        (
            {"sip_lines": {"1": {"usrname": "a"}, "2": {"pasword": "s3cret"}}},
            [
                "raw_config.sip_lines.1.usrname: unknown parameter; did you mean username?",
                "raw_config.sip_lines.2.pasword: unknown parameter; did you mean password?",
            ],
        ),
        (
            {"funckeys": {"3": {"type": "blf", "value": "1", "lable": "x"}}},
            ["raw_config.funckeys.3.lable: unknown parameter; did you mean label?"],
        ),
        (
            {"sccp_call_managers": {"1": {"ip": "10.0.0.1", "zzz": 1}}},
            ["raw_config.sccp_call_managers.1.zzz: unknown parameter"],
        ),
        ({"tiemzone": "x"}, ["raw_config.tiemzone: unknown parameter; did you mean timezone?"]),
        ({"sip_lines": {"1": None}, "funckeys": None}, []),
        ("text", []),
    ],
)
def test_unknown_parameters_are_named_at_every_depth(raw_config, warnings):
    assert unknown_parameters(raw_config) == warnings


def test_warnings_are_bounded_and_so_are_the_names_in_them():
    many = {str(n): {f"nobody{n}": 1} for n in range(1000)}
    warnings = unknown_parameters({"sip_lines": many})
    assert len(warnings) == 51
    assert warnings[-1] == "there are more unknown parameters"
    assert len(unknown_parameters({"funckeys": {"1": {"q" * 100_000: 1}}})[0]) < 200


def test_all_parameters_have_a_meaning_without_a_stop():
    for table, _ in TABLES.values():
        for parameter in table:
            assert parameter.meaning
            assert not parameter.meaning.endswith(".")
    assert parameters.by_name(RAW_CONFIG)["syslog_port"].default == "514"
