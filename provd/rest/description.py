"""The description of the API for programs, made of its routes: Swagger 2.0 and OpenAPI 3.0."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import yaml

from provd import __version__
from provd.rest.app import MEDIA_TYPE, PLAIN_JSON, ROOT, Action, Call, Reply, Route
from provd.rest.schemas import OBJECT, SCHEMAS, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from yaml import SafeDumper
else:
    # Four times as fast, and the same text; the loop stands still for it once.
    SafeDumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

PREFIX = "/api/provd"
"""Where the web server in front publishes the API."""
CONTENT_TYPE = "text/yaml; charset=utf-8"
SCHEME = "X-Auth-Token"

_TITLE = "provd"
_TENANT = "The tenant to act for; that of the token if it is absent."
_VARIABLE = re.compile(r"<(\w+)>")
ERRORS = {
    400: "The body or a selector breaks a rule; the text says which.",
    401: "The token is missing, unknown or expired, or does not allow this.",
    403: "The document may not be deleted, or only the main tenant may change this.",
    404: "There is no such resource, or the caller may not see it.",
    406: f"Only {MEDIA_TYPE} and application/json are given.",
    415: f"Only {MEDIA_TYPE} and application/json are taken.",
    429: "Too many wrong codes; Retry-After tells how long to wait.",
    500: "The daemon failed; its log has the details.",
    503: "The store or the authentication service does not answer; ask again later.",
    507: "The disk is full.",
}
SUCCESS = {200: "What was asked for.", 201: "Created, or begun.", 204: "Done."}
ARGUMENTS = {
    "q": "A selector, in JSON.",
    "q64": "A selector, in JSON, in base64; wins over q.",
    "fields": "Dotted keys to show, separated by commas; the id is always shown.",
    "skip": "How many documents to leave out.",
    "limit": "How many documents to show at most; 0 for all.",
    "sort": "A dotted key to sort by, as text.",
    "sort_ord": "ASC or DESC.",
    "passwords": "true: do not mask passwords; needs an access of its own.",
    "recurse": "true: the documents of the tenants below the request tenant, too.",
}


MEDIA_TYPES = (MEDIA_TYPE, PLAIN_JSON)


def _types(media_type: str) -> list[str]:
    """Return what an answer may be sent as: documents are plain JSON to who asks for that."""
    return list(MEDIA_TYPES) if media_type == MEDIA_TYPE else [media_type]


def group(path: str) -> str:
    """Return the name of the group that a path belongs to."""
    return path.split("/")[1] or "provd"


def operations(routes: Sequence[Route]) -> Iterator[tuple[str, list[str], str, Action]]:
    """Yield path with `{name}` variables, their names, method in lower case, and action."""
    for route in routes:
        path = _VARIABLE.sub(r"{\1}", route.path.removeprefix(ROOT)) or "/"
        for method, action in route.actions.items():
            yield path, _VARIABLE.findall(route.path), method.lower(), action


def _access(action: Action) -> str:
    more = (f"; with {name} also `{access}`" for name, access in action.guarded.items())
    return f"Access: `{action.access}`{''.join(more)}"


def _common(path: str, method: str, action: Action) -> dict[str, Any]:
    """Return the members of an operation that are the same in both formats."""
    return {
        "operationId": "_".join([method, *re.findall(r"\w+", path)]),
        "summary": action.summary,
        "tags": [group(path)],
        "security": [] if action.access is None else [{SCHEME: []}],
        **({} if action.access is None else {"description": _access(action)}),
    }


def errors(variables: list[str], method: str, action: Action) -> list[int]:
    """Return the statuses of all refusals that an action knows."""
    found = set(action.errors)
    if action.access is not None:
        found |= {401, 503} | ({406} if method == "get" else {507})
    if variables:
        found.add(404)
    if action.takes is not None:
        found |= {400, 415}
    return sorted(found)


def _placed(schema: Any, place: str, nullable: str = "nullable") -> Any:
    """Return `schema` with references that lead to `place`, and that name for `nullable`."""
    if isinstance(schema, dict):
        return {
            (nullable if key == "nullable" else key): (
                f"{place}{value}" if key == "$ref" else _placed(value, place, nullable)
            )
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_placed(member, place, nullable) for member in schema]
    return schema


def given(action: Action) -> Schema | None:
    """Return the schema of an answer; where `fields` cuts documents, no member must be there."""
    if action.gives is None or "fields" not in action.arguments:
        return action.gives

    def cut(schema: Any) -> Any:
        name = schema.get("$ref")
        if name is not None and "required" in SCHEMAS[name]:
            return {key: value for key, value in SCHEMAS[name].items() if key != "required"}
        return {**schema, "items": cut(schema["items"])} if "items" in schema else schema

    properties = {key: cut(schema) for key, schema in action.gives["properties"].items()}
    return {**action.gives, "properties": properties}


def swagger(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the Swagger 2.0 document."""

    def placed(schema: Any) -> Any:
        return _placed(schema, "#/definitions/", "x-nullable")  # 2.0 itself has no word for it

    paths: dict[str, dict[str, Any]] = {}
    for path, variables, method, action in operations(routes):
        parameters: list[dict[str, Any]] = [
            {"name": name, "in": "path", "required": True, "type": "string"} for name in variables
        ]
        parameters += [
            {"name": name, "in": "query", "type": "string", "description": ARGUMENTS[name]}
            for name in action.arguments
        ]
        if action.access is not None:
            parameters.append({"$ref": "#/parameters/tenant"})
        operation = _common(path, method, action)
        if action.takes is not None:
            operation["consumes"] = list(MEDIA_TYPES)
            schema = placed(action.takes)
            parameters.append({"name": "body", "in": "body", "required": True, "schema": schema})
        refusals = errors(variables, method, action)
        operation["produces"] = [
            *([] if action.gives is None else _types(action.content_type)),
            *(["text/plain"] if refusals else []),
        ]
        success: dict[str, Any] = {"description": SUCCESS[action.status]}
        if (schema := given(action)) is not None:
            success["schema"] = placed(schema)
        if action.status == 201:
            success["headers"] = {"Location": {"type": "string"}}
        responses = {str(action.status): success}
        for status in refusals:
            responses[str(status)] = {"description": ERRORS[status]}
        paths.setdefault(path, {})[method] = {
            **operation,
            "parameters": parameters,
            "responses": responses,
        }
    return {
        "swagger": "2.0",
        "info": {"title": _TITLE, "version": __version__},
        "basePath": f"{PREFIX}{ROOT}",
        "schemes": ["https"],
        "securityDefinitions": {SCHEME: {"type": "apiKey", "in": "header", "name": SCHEME}},
        "parameters": {
            "tenant": {
                "name": "Wazo-Tenant",
                "in": "header",
                "type": "string",
                "description": _TENANT,
            }
        },
        "paths": paths,
        "definitions": placed(SCHEMAS),
    }


def openapi(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the OpenAPI 3.0 document."""
    place = "#/components/schemas/"

    def content(media_types: Iterable[str], schema: Schema) -> dict[str, Any]:
        return {one: {"schema": _placed(schema, place)} for one in media_types}

    text = content(["text/plain"], {"type": "string"})
    paths: dict[str, dict[str, Any]] = {}
    for path, variables, method, action in operations(routes):
        parameters: list[dict[str, Any]] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in variables
        ]
        parameters += [
            {
                "name": name,
                "in": "query",
                "schema": {"type": "string"},
                "description": ARGUMENTS[name],
            }
            for name in action.arguments
        ]
        if action.access is not None:
            parameters.append({"$ref": "#/components/parameters/tenant"})
        operation = {**_common(path, method, action), "parameters": parameters}
        if action.takes is not None:
            operation["requestBody"] = {
                "required": True,
                "content": content(MEDIA_TYPES, action.takes),
            }
        success: dict[str, Any] = {"description": SUCCESS[action.status]}
        if (schema := given(action)) is not None:
            success["content"] = content(_types(action.content_type), schema)
        if action.status == 201:
            success["headers"] = {"Location": {"schema": {"type": "string"}}}
        operation["responses"] = {str(action.status): success} | {
            str(status): {"description": ERRORS[status], "content": text}
            for status in errors(variables, method, action)
        }
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.0.3",
        "info": {"title": _TITLE, "version": __version__},
        "servers": [{"url": f"{PREFIX}{ROOT}"}, {"url": ROOT}],
        "paths": paths,
        "components": {
            "securitySchemes": {SCHEME: {"type": "apiKey", "in": "header", "name": SCHEME}},
            "parameters": {
                "tenant": {
                    "name": "Wazo-Tenant",
                    "in": "header",
                    "schema": {"type": "string"},
                    "description": _TENANT,
                }
            },
            "schemas": _placed(SCHEMAS, place),
        },
    }


def _dump(document: dict[str, Any]) -> bytes:
    class Plain(SafeDumper):
        """Writes shared parts in full: few readers of descriptions know anchors."""

        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
            return True

    text: str = yaml.dump(document, Dumper=Plain, sort_keys=False, allow_unicode=True)
    return text.encode()


def description_routes(routes: Sequence[Route]) -> list[Route]:
    """Return the routes that describe `routes`, which may grow until the first request."""

    def route(name: str, make: Callable[[Sequence[Route]], dict[str, Any]], what: str) -> Route:
        content = functools.cache(lambda: _dump(make(routes)))

        async def get(_call: Call) -> Reply:
            return Reply(content=content(), content_type=CONTENT_TYPE)

        action = Action(
            None,
            get,
            f"Describe the API in {what}.",
            gives=OBJECT,
            content_type="text/yaml",
        )
        return Route(f"{ROOT}/api/{name}", {"GET": action})

    return [
        route("api.yml", swagger, "Swagger 2.0"),
        route("openapi.yml", openapi, "OpenAPI 3.0"),
    ]
