"""The page that shows the API: all of it, sound, and safe to open."""

import base64
import hashlib
import inspect
import re
from html.parser import HTMLParser

import pytest
from treq.testing import StubTreq
from twisted.internet import task

from provd.rest.app import Action, Reply, RestApi, Route
from provd.rest.description import ARGUMENTS, errors, operations
from provd.rest.page import page, page_route
from provd.rest.root import build_api
from provd.rest.schemas import SCHEMAS, envelope, ref

VOID = {"meta", "input"}


class Reader(HTMLParser):
    """Reads a page strictly: each element is closed in order; notes texts, attributes and ids."""

    def __init__(self, content):
        super().__init__()
        self.open = []
        self.elements = []
        self.texts = {}
        self.entries = []
        self.feed(content.decode())
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "details":
            assert self.open.count("details") == 1
            self.entries.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts[self.open[-1]] = self.texts.get(self.open[-1], "") + data
        if "details" in self.open:
            self.entries[-1] += data

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.elements if name in attrs]


def all_routes():
    return build_api(**dict.fromkeys(inspect.signature(build_api).parameters)).routes


@pytest.fixture(scope="module")
def routes():
    return all_routes()


@pytest.fixture(scope="module")
def reader(routes):
    return Reader(page(routes))


def test_every_operation_is_an_entry_with_all_that_is_known_of_it(routes, reader):
    shown = [entry for entry in reader.entries if re.match(r"(GET|PUT|POST|DELETE) /", entry)]
    described = list(operations(routes))
    assert len(shown) == len(described) > 50
    for entry, (path, variables, method, action) in zip(
        sorted(shown),
        sorted(described, key=lambda item: f"{item[2].upper()} /0.2{item[0]}".rstrip("/") + " "),
        strict=True,
    ):
        assert entry.startswith(f"{method.upper()} {f'/0.2{path}'.rstrip('/')} {action.summary}")
        assert (action.access or "everybody") in entry
        for name in variables:
            assert f"{{{name}}}" in entry
        for name in action.arguments:
            assert name in entry
            assert ARGUMENTS[name] in entry
        for access in action.guarded.values():
            assert access in entry
        for status in (action.status, *errors(variables, method, action)):
            assert str(status) in entry
        assert ("Body" in entry) is (action.takes is not None)


def test_the_page_shows_itself(reader):
    assert any(entry.startswith("GET /0.2/api/index.html ") for entry in reader.entries)


def test_every_schema_is_there_and_every_link_leads_somewhere(reader):
    ids = reader.attributes("id")
    assert len(ids) == len(set(ids))
    assert {f"schema-{name}" for name in SCHEMAS} <= set(ids)
    links = reader.attributes("href")
    assert {f"#schema-{name}" for name in ("Device", "Config", "Link")} <= set(links)
    for link in links:
        assert link in {"openapi.yml", "api.yml"} or link.removeprefix("#") in ids


def test_bodies_are_shown_in_short(reader):
    def entry(start):
        (found,) = [text for text in reader.entries if text.startswith(start)]
        return found

    assert '{"device": Device}' in entry("POST /0.2/dev_mgr/devices ")
    assert '{"devices": [Device, …]' in entry("GET /0.2/dev_mgr/devices ")
    assert '{"pkgs": {name: Package, …}}' in entry("GET /0.2/pg_mgr/install/installed ")
    assert "commit | expiry | release" in entry("DhcpInfo")


def test_nothing_is_loaded_from_elsewhere(reader):
    assert not {"src", "action", "onclick", "onload", "style"} & {
        name for _, attrs in reader.elements for name in attrs
    }
    assert {tag for tag, _ in reader.elements} & {"link", "img", "iframe", "form", "base"} == set()
    assert "url(" not in reader.texts["style"]
    assert "@import" not in reader.texts["style"]


def test_without_a_script_all_is_shown_but_the_search_box(reader):
    hidden = [tag for tag, attrs in reader.elements if "hidden" in attrs]
    assert hidden == ["p"]


HOSTILE = "<script>alert('\"&amp;')</script>"


def test_everything_is_escaped():
    async def get(call):
        return Reply()

    route = Route(
        f"/0.2/{HOSTILE}/<name>",
        {
            "GET": Action(
                f"provd.{HOSTILE}",
                get,
                HOSTILE,
                arguments=(HOSTILE,),
                guarded={HOSTILE: HOSTILE},
                takes=envelope(HOSTILE, ref(HOSTILE)),
                gives=envelope("x", {"enum": [HOSTILE], "description": HOSTILE}),
            )
        },
    )
    content = page([route])
    assert b"<script>alert" not in content
    reader = Reader(content)
    assert [tag for tag, _ in reader.elements].count("script") == 1
    (entry,) = [entry for entry in reader.entries if entry.startswith("GET")]
    assert entry.count(HOSTILE) >= 6


def ask(method="GET", path="/0.2/api/index.html"):
    route = page_route([])
    stub = StubTreq(RestApi(None, [route], task.Clock()).resource())
    results = []
    stub.request(method, f"http://localhost{path}").addBoth(results.append)
    stub.flush()
    (response,) = results
    content = []
    response.content().addBoth(content.append)
    stub.flush()
    return response, content[0]


def header(response, name):
    values = response.headers.getRawHeaders(name)
    return values[0] if values else None


def test_the_policy_allows_the_script_and_the_style_of_the_page_and_nothing_else():
    response, content = ask()
    assert response.code == 200
    assert header(response, "content-type") == "text/html; charset=utf-8"
    assert header(response, "x-content-type-options") == "nosniff"
    reader = Reader(content)

    def source(text):
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    policy = dict(
        part.strip().split(" ", 1)
        for part in header(response, "content-security-policy").split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "script-src": source(reader.texts["script"]),
        "style-src": source(reader.texts["style"]),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    (meta,) = [attrs["content"] for _, attrs in reader.elements if "http-equiv" in attrs]
    assert header(response, "content-security-policy").startswith(meta)


@pytest.mark.parametrize("path", ["/0.2/api/index.html/", "/0.2/api/index%2ehtml"])
def test_the_page_never_comes_without_its_policy(path):
    response, content = ask(path=path)
    assert response.code == 200
    assert content.startswith(b"<!DOCTYPE html>")
    assert header(response, "content-security-policy")


def test_head_has_no_body_and_other_answers_have_no_policy():
    response, content = ask("HEAD")
    assert (response.code, content) == (200, b"")
    response, _ = ask(path="/0.2/api")
    assert response.code == 404
    assert header(response, "content-security-policy") is None
    response, _ = ask("POST")
    assert response.code == 405
