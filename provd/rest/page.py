"""A page for people that shows the API, made of its routes like the descriptions for programs.

It needs nothing but itself, and shows all without a script; the script adds a search box.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import html
from typing import TYPE_CHECKING

from provd import __version__
from provd.rest.app import MEDIA_TYPE, ROOT, Action, Call, Reply, Route
from provd.rest.description import ARGUMENTS, ERRORS, SUCCESS, errors, given, group, operations
from provd.rest.schemas import SCHEMAS, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from provd.rest.schemas import Schema

PATH = f"{ROOT}/api/index.html"
CONTENT_TYPE = "text/html; charset=utf-8"

_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
code { font-family: monospace; overflow-wrap: anywhere; }
input { font: inherit; padding: .3rem; width: 100%; box-sizing: border-box; }
nav a { margin-right: 1rem; }
details { border: 1px solid #8888; border-radius: .3rem; margin: .4rem 0; padding: .2rem .6rem; }
summary { cursor: pointer; }
summary b { display: inline-block; min-width: 4.5rem; }
dt { font-weight: bold; }
td, th { padding: .1rem .8rem .1rem 0; text-align: left; vertical-align: top; }
[hidden] { display: none; }
"""
_SCRIPT = """
"use strict";
const box = document.getElementById("search");
const entries = [...document.querySelectorAll("details")];
const texts = entries.map((entry) => entry.textContent.toLowerCase());
box.closest("p").hidden = false;
box.addEventListener("input", () => {
  const words = box.value.toLowerCase().split(/\\s+/).filter(Boolean);
  entries.forEach((entry, number) => {
    entry.hidden = !words.every((word) => texts[number].includes(word));
  });
  for (const section of document.querySelectorAll("section")) {
    section.hidden = !section.querySelector("details:not([hidden])");
  }
});
"""


def _source(text: str) -> str:
    """Return how a policy names an inline style or script."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


_POLICY = (
    f"default-src 'none'; script-src {_source(_SCRIPT)}; style-src {_source(_STYLE)}; "
    "base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "content-security-policy": f"{_POLICY}; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class _Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def _join(parts: Iterable[str]) -> _Html:
    """Return the parts as HTML; all that is not yet HTML is escaped."""
    return _Html("".join(part if isinstance(part, _Html) else html.escape(part) for part in parts))


def _element(name: str, *parts: str, **attributes: str) -> _Html:
    text = "".join(f' {key}="{html.escape(value)}"' for key, value in attributes.items())
    return _Html(f"<{name}{text}>{_join(parts)}</{name}>")


def _code(text: str) -> _Html:
    return _element("code", text)


def _type(schema: Schema) -> _Html:
    """Return a schema in short, such as `{"devices": [Device, …]}`, with links to named ones."""
    if "$ref" in schema:
        name = schema["$ref"]
        return _element("a", name, href=f"#schema-{name}")
    if "enum" in schema:
        return _join([" | ".join(str(value) for value in schema["enum"])])
    kind = schema.get("type", "any")
    if kind == "array":
        return _join(["[", _type(schema["items"]), ", …]"])
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return _join(["{name: ", _type(schema["additionalProperties"]), ", …}"])
    if kind == "object" and "properties" in schema:
        parts: list[str] = []
        for key, member in schema["properties"].items():
            optional = "" if key in schema.get("required", ()) else "?"
            parts += [", " if parts else "", f'"{key}"{optional}: ', _type(member)]
        return _join(["{", *parts, "}"])
    return _join([f"{kind} or null" if schema.get("nullable") else kind])


def _table(rows: Iterable[Sequence[str]]) -> _Html:
    return _element(
        "table", *(_element("tr", *(_element("td", cell) for cell in row)) for row in rows)
    )


def _arguments(action: Action) -> _Html:
    rows = []
    for name in action.arguments:
        cells: list[str] = [_code(name), ARGUMENTS.get(name, "")]
        if name in action.guarded:
            cells.append(_join(["needs ", _code(action.guarded[name])]))
        rows.append(cells)
    return _table(rows)


def _operation(path: str, variables: list[str], method: str, action: Action) -> _Html:
    verb = method.upper()
    route = f"{ROOT}{path}".rstrip("/")
    facts: list[tuple[str, _Html]] = [
        ("Access", _code(action.access) if action.access else _join(["everybody"]))
    ]
    if variables:
        facts.append(("In the path", _join(_code(f"{{{name}}} ") for name in variables)))
    if action.arguments:
        facts.append(("In the query", _arguments(action)))
    if action.takes is not None:
        note = action.takes.get("description", "")
        facts.append(("Body", _join([_code(_type(action.takes)), f" {note}"])))
    success: list[str] = [f"{action.status}: {SUCCESS[action.status]} "]
    schema = given(action)
    if schema is not None:
        success.append(_code(_type(schema)))
    if action.status == 201:
        success += [" The header ", _code("Location"), " says where."]
    facts.append(("Success", _join(success)))
    refusals = errors(variables, method, action)
    if refusals:
        facts.append(("Errors", _table((str(status), ERRORS[status]) for status in refusals)))
    listed = [part for term, fact in facts for part in (_element("dt", term), _element("dd", fact))]
    summary = _element("summary", _element("b", verb), " ", _code(route), " ", action.summary)
    return _element("details", summary, _element("dl", *listed))


def _schema(name: str, schema: Schema) -> _Html:
    rows = []
    for key, member in schema.get("properties", {}).items():
        notes = [
            *(["required"] if key in schema.get("required", ()) else []),
            *(["set by the daemon"] if member.get("readOnly") else []),
            *([member["description"]] if "description" in member else []),
            *([f"such as {member['example']}"] if "example" in member else []),
        ]
        rows.append((_code(key), _code(_type(member)), "; ".join(notes)))
    return _element(
        "details",
        _element("summary", _code(name), " ", schema.get("description", "")),
        _table(rows),
        id=f"schema-{name}",
        open="",
    )


def page(routes: Sequence[Route]) -> bytes:
    """Return the page, in UTF-8."""
    groups: dict[str, list[_Html]] = {}
    for path, variables, method, action in operations(routes):
        groups.setdefault(group(path), []).append(_operation(path, variables, method, action))
    named = "schemas"
    groups[named] = [_schema(name, schema) for name, schema in SCHEMAS.items()]
    head = _element(
        "head",
        _Html('<meta charset="utf-8">'),
        _Html(f'<meta http-equiv="Content-Security-Policy" content="{html.escape(_POLICY)}">'),
        _Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        _element("title", "provd: REST API"),
        _element("style", _Html(_STYLE)),
    )
    body = _element(
        "body",
        _element("h1", f"provd {__version__}: REST API"),
        _element(
            "p",
            "Bodies are ",
            _code(MEDIA_TYPE),
            "; a token goes into ",
            _code("X-Auth-Token"),
            ", a tenant other than its own into ",
            _code("Wazo-Tenant"),
            ". Errors are one line of text. For programs: ",
            _element("a", "OpenAPI 3.0", href="openapi.yml"),
            ", ",
            _element("a", "Swagger 2.0", href="api.yml"),
            ".",
        ),
        _element("nav", *(_element("a", name, href=f"#{name}") for name in groups)),
        _Html(
            '<p hidden=""><input id="search" type="search" aria-label="Search" '
            'placeholder="Search: a path, a method, an access, a word"></p>'
        ),
        *(
            _element("section", _element("h2", name), *entries, id=name)
            for name, entries in groups.items()
        ),
        _element("script", _Html(_SCRIPT)),
    )
    return f"<!DOCTYPE html>\n{_element('html', head, body, lang='en')}\n".encode()


def page_route(routes: Sequence[Route]) -> Route:
    """Return the route of the page that shows `routes`, which may grow until the first request."""
    content = functools.cache(lambda: page(routes))

    async def get(_call: Call) -> Reply:
        return Reply(content=content(), content_type=CONTENT_TYPE, headers=HEADERS)

    summary = "Show the API to people."
    return Route(PATH, {"GET": Action(None, get, summary, gives=TEXT, content_type="text/html")})
