"""The description of the API: sound, complete, and true to what the daemon does."""

import inspect
import re

import pytest
import yaml
from harness import MEDIA_TYPE, http_request

METHODS = {"get", "put", "post", "delete"}
VARIABLE = re.compile(r"{(\w+)}")
FILLED = {
    "device_id": "described",
    "config_id": "base",
    "plugin_id": "provd-yealink",
    "param_id": "NAT",
    "operation_id": "1",
    "job_id": "1",
}


def fetch(daemon, name):
    answer = http_request(
        daemon.rest_port, "GET", f"/0.2/api/{name}", headers={"Accept": "text/html"}
    )
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/yaml; charset=utf-8"
    return yaml.safe_load(answer.body)


@pytest.fixture(scope="module", params=["api.yml", "openapi.yml"])
def document(daemon, request):
    return fetch(daemon, request.param)


def operations(document):
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def resolve(document, reference):
    assert reference.startswith("#/")
    found = document
    for part in reference[2:].split("/"):
        found = found[part]
    return found


def nodes(value):
    yield value
    for child in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from nodes(child)


def parameters(document, operation):
    return [
        resolve(document, parameter["$ref"]) if "$ref" in parameter else parameter
        for parameter in operation["parameters"]
    ]


def test_anybody_may_read_it_and_the_folder_is_none(daemon):
    for name in ("api.yml", "openapi.yml"):
        assert http_request(daemon.rest_port, "HEAD", f"/0.2/api/{name}").status == 200
        assert daemon.get(f"/api/{name}", token="invalid").status == 200
        assert daemon.post(f"/api/{name}", {}).status == 405
    assert daemon.get("/api").status == 404


def test_swagger_says_where_the_api_is_and_how_to_show_a_token(daemon):
    document = fetch(daemon, "api.yml")
    assert document["swagger"] == "2.0"
    assert document["basePath"] == "/api/provd/0.2"
    assert document["securityDefinitions"] == {
        "X-Auth-Token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}
    }
    assert set(document) <= {
        "swagger", "info", "host", "basePath", "schemes", "consumes", "produces", "paths", "definitions",
        "parameters", "responses", "securityDefinitions", "security", "tags", "externalDocs",
    }  # fmt: skip
    for _, method, operation in operations(document):
        assert set(operation) <= {
            "tags", "summary", "description", "operationId", "consumes", "produces", "parameters",
            "responses", "schemes", "deprecated", "security",
        }  # fmt: skip
        found = parameters(document, operation)
        bodies = [parameter for parameter in found if parameter["in"] == "body"]
        assert len(bodies) == (method in {"post", "put"})
        taken = [MEDIA_TYPE, "application/json"] if bodies else []
        assert operation.get("consumes", []) == taken
        for parameter in found:
            assert ("schema" in parameter) is (parameter["in"] == "body")
            assert ("type" in parameter) is (parameter["in"] != "body")


def test_openapi_says_the_same_in_its_own_words(daemon):
    new, old = fetch(daemon, "openapi.yml"), fetch(daemon, "api.yml")
    assert re.fullmatch(r"3\.0\.\d", new["openapi"])
    assert new["servers"][0] == {"url": "/api/provd/0.2"}
    assert new["components"]["securitySchemes"] == old["securityDefinitions"]
    assert new["info"] == old["info"]
    for (path, method, operation), (old_path, old_method, old_operation) in zip(
        operations(new), operations(old), strict=True
    ):
        assert (path, method) == (old_path, old_method)
        assert operation["operationId"] == old_operation["operationId"]
        assert set(operation["responses"]) == set(old_operation["responses"])
        assert set(operation) <= {
            "tags", "summary", "description", "operationId", "parameters", "requestBody", "responses",
            "deprecated", "security", "servers",
        }  # fmt: skip
        assert ("requestBody" in operation) is (method in {"post", "put"})
        for parameter in parameters(new, operation):
            assert parameter["in"] in {"path", "query", "header"}
            assert set(parameter) <= {"name", "in", "required", "schema", "description"}
            assert parameter["schema"]["type"] == "string"
        for status, response in operation["responses"].items():
            assert set(response) <= {"description", "content", "headers"}
            if int(status) >= 400:
                assert set(response["content"]) == {"text/plain"}


def test_each_operation_is_whole(document):
    assert set(document["info"]) >= {"title", "version"}
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    for path, method, operation in operations(document):
        assert path.startswith("/")
        assert method in METHODS
        assert operation["summary"].endswith(".")
        found = parameters(document, operation)
        in_path = [parameter["name"] for parameter in found if parameter["in"] == "path"]
        assert in_path == VARIABLE.findall(path)
        assert all(p["required"] is True for p in found if p["in"] == "path")
        assert len({(p["name"], p["in"]) for p in found}) == len(found)
        assert operation["security"] == ([] if path.startswith("/api/") else [{"X-Auth-Token": []}])
        success = [status for status in operation["responses"] if status.startswith("2")]
        assert len(success) == 1
        assert all(re.fullmatch(r"[2-5]\d\d", status) for status in operation["responses"])
        assert all(response["description"] for response in operation["responses"].values())
        assert ("Location" in operation["responses"][success[0]].get("headers", {})) is (
            success == ["201"]
        )


def test_every_reference_leads_somewhere_and_every_schema_is_used(document):
    references = {
        node["$ref"] for node in nodes(document) if isinstance(node, dict) and "$ref" in node
    }
    for reference in references:
        assert resolve(document, reference)
    schemas = document.get("definitions") or document["components"]["schemas"]
    used = {reference.rsplit("/", 1)[1] for reference in references}
    assert set(schemas) <= used
    for node in nodes(schemas):
        if isinstance(node, dict) and node.get("type") == "array":
            assert "items" in node
        if isinstance(node, dict) and isinstance(node.get("required"), list):
            assert set(node["required"]) <= set(node["properties"])


def test_every_resource_of_the_daemon_is_there_and_nothing_else(daemon, document):
    """A method that is described is not 405; one that is not described is."""
    daemon.post("/dev_mgr/devices", {"device": {"id": "described"}})
    for path, methods in document["paths"].items():
        filled = VARIABLE.sub(lambda match: FILLED[match[1]], path).rstrip("/")
        needs = (
            ("operation_id" in path or "job_id" in path)
            or ("/plugins/{plugin_id}/install" in path)
            or ("/plugins/{plugin_id}/configure" in path)
        )
        for method in ("GET", "PUT", "POST", "DELETE"):
            status = daemon.rest(method, filled, token="invalid").status
            if needs and status == 404:
                continue  # before the method is looked at: no such operation, no such service
            assert status == (401 if method.lower() in methods else 405) or (
                path.startswith("/api/") and method == "GET" and status == 200
            ), (method, path, status)


def test_every_route_of_the_code_is_described(document):
    from provd.rest.root import build_api

    api = build_api(**dict.fromkeys(inspect.signature(build_api).parameters))
    expected = {
        (re.sub(r"<(\w+)>", r"{\1}", route.path.removeprefix("/0.2")) or "/", method.lower())
        for route in api.routes
        for method in route.actions
    }
    assert expected == {(path, method) for path, method, _ in operations(document)}
    assert len(expected) > 50


def test_links_of_entry_points_are_described(daemon, document):
    paths = {path.rstrip("/") for path in document["paths"]}
    for path in ("", "/dev_mgr", "/cfg_mgr", "/pg_mgr", "/pg_mgr/install"):
        for link in daemon.get(path).json["links"]:
            assert link["href"].removeprefix("/0.2") in paths


def test_answers_are_what_the_description_says(daemon):
    """The success statuses and envelopes of what can simply be read."""
    document = fetch(daemon, "api.yml")
    daemon.post("/dev_mgr/devices", {"device": {"id": "described"}})
    checked = 0
    for path, method, operation in operations(document):
        if method != "get" or path.startswith("/api/"):
            continue
        answer = daemon.get(VARIABLE.sub(lambda match: FILLED[match[1]], path))
        if answer.status == 404:
            continue
        assert answer.status == 200
        schema = operation["responses"]["200"]["schema"]
        assert set(schema.get("required", ())) <= set(answer.json)
        assert answer.headers["content-type"] == operation["produces"][0]
        checked += 1
    assert checked >= 17
