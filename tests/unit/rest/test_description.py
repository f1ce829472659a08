"""How the two descriptions of the API differ from each other and from the schemas they are of."""

import inspect

import pytest

from provd.rest.description import openapi, swagger
from provd.rest.root import build_api


@pytest.fixture(scope="module")
def routes():
    return build_api(**dict.fromkeys(inspect.signature(build_api).parameters)).routes


def keys(value):
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield key
        if isinstance(child, dict | list):
            yield from keys(child)


def test_null_is_written_as_each_format_knows_it(routes):
    assert "nullable" in set(keys(openapi(routes)))
    assert "x-nullable" not in set(keys(openapi(routes)))
    assert "nullable" not in set(keys(swagger(routes)))
    assert swagger(routes)["definitions"]["Device"]["properties"]["mac"]["x-nullable"] is True


def test_a_document_cut_to_some_fields_needs_no_member(routes):
    document = openapi(routes)
    answers = document["paths"]["/cfg_mgr/configs"]["get"]["responses"]["200"]["content"]
    schema, plain = answers.values()
    assert schema == plain
    listed = schema["schema"]["properties"]["configs"]["items"]
    assert "required" not in listed
    whole = document["components"]["schemas"]["Config"]
    assert whole["required"] == ["parent_ids", "raw_config"]
    assert listed["properties"] == whole["properties"]


def test_a_full_disk_is_told_of_where_something_is_written(routes):
    for path, methods in openapi(routes)["paths"].items():
        for method, operation in methods.items():
            assert ("507" in operation["responses"]) is (method != "get"), path


def test_an_access_for_an_argument_is_described(routes):
    guarded = [
        (route.path, method, name, access)
        for route in routes
        for method, action in route.actions.items()
        for name, access in action.guarded.items()
    ]
    assert guarded
    for path, method, name, access in guarded:
        shown = path.removeprefix("/0.2").replace("<", "{").replace(">", "}")
        text = swagger(routes)["paths"][shown][method.lower()]["description"]
        assert f"with {name} also `{access}`" in text
