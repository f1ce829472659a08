"""Web services that stand before another one see its requests and change nothing else."""

import logging

import pytest
from twisted.internet import defer
from twisted.web import resource
from twisted.web.test.requesthelper import DummyRequest

from provd.compat.servers import http, http_site
from provd.http.site import PhoneResource


class Page(resource.Resource):
    def __init__(self, body, *, leaf=False):
        super().__init__()
        self.body = body
        self.isLeaf = leaf

    def render(self, request):
        return self.body + b"/".join(request.postpath)


@pytest.fixture
def tree():
    root = Page(b"root:")
    root.putChild(b"a", Page(b"a:"))
    root.putChild(b"leaf", Page(b"leaf:", leaf=True))
    return root


def serve(service, *path, now):
    """Return the body, found as the site for phones finds it."""
    request = DummyRequest(list(path))
    request.segments = request.postpath
    request.method, request.path = b"GET", b"/" + b"/".join(path)
    child = PhoneResource._child
    found = now(defer.Deferred.fromCoroutine(child(service, request)))
    return found.render(request)


class Hook(http.HTTPHookService):
    def __init__(self, service):
        super().__init__(service)
        self.seen = []

    def _pre_handle(self, path, request):
        self.seen.append(path)


def test_a_hook_sees_each_request_once_and_the_service_answers(tree, now):
    hook = Hook(tree)
    assert serve(hook, b"a", now=now) == b"a:"
    assert serve(hook, b"leaf", b"x", b"y", now=now) == b"leaf:x/y"
    assert hook.seen == [b"a", b"leaf"]


def test_a_leaf_behind_a_hook_sees_the_whole_path(now):
    hook = Hook(Page(b"leaf:", leaf=True))
    assert serve(hook, b"x", b"y", now=now) == b"leaf:x/y"
    assert hook.seen == [b"x"]


def test_a_path_that_ends_at_the_hook_is_the_services(tree, now):
    assert serve(Hook(tree), now=now) == b"root:"


def test_hooks_may_be_nested(tree, now):
    inner = Hook(tree)
    outer = Hook(inner)
    assert serve(outer, b"leaf", b"x", now=now) == b"leaf:x"
    assert inner.seen == outer.seen == [b"leaf"]


def test_an_asynchronous_hook_holds_the_request_until_it_is_done(tree):
    waiting = defer.Deferred()

    class Async(http.HTTPAsyncHookService):
        def _pre_handle(self, path, request):
            return waiting

    request = DummyRequest([])
    found = Async(tree).getChildWithDefault(b"a", request)
    assert not found.called
    waiting.callback("of no interest")
    assert found.result is tree.children[b"a"]


def test_an_asynchronous_hook_that_raises_fails_the_request(tree, now):
    class Async(http.HTTPAsyncHookService):
        def _pre_handle(self, path, request):
            raise ValueError(path)

    with pytest.raises(ValueError, match="a"):
        serve(Async(tree), b"a", now=now)


def test_the_path_is_still_preprocessed_behind_a_hook(tree):
    class Preprocessing(Page):
        def path_preprocess(self, request):
            request.postpath = ["x"]

    request = DummyRequest([b"a"])
    Hook(tree).path_preprocess(request)
    assert request.postpath == [b"a"]
    Hook(Preprocessing(b"")).path_preprocess(request)
    assert request.postpath == ["x"]


def test_a_log_service_writes_one_line_to_a_logger_or_a_function(tree, caplog, now):
    caplog.set_level("INFO")
    lines = []
    for target in (lines.append, logging.getLogger("own")):
        assert serve(http.HTTPLogService(target, tree), b"a", now=now) == b"a:"
    assert len(lines) == 1
    assert "b'GET' b'/a'" in lines[0]
    assert [record.getMessage() for record in caplog.records] == lines


def test_services_are_resources():
    assert http.IHTTPService.isOrExtends(resource.IResource)


def test_an_authorised_resource_lets_nobody_in_unless_told_whom():
    class Open(http_site.AuthResource):
        def is_authorized(self, request):
            return request.args == {b"who": [b"me"]}

        def render_GET(self, request):
            return b"secret"

    request = DummyRequest([])
    assert b"secret" not in Open().render(request)
    assert request.responseCode == 401
    request = DummyRequest([])
    request.args = {b"who": [b"me"]}
    assert Open().render(request) == b"secret"
    assert b"Unauthorized" in http_site.AuthResource().render(DummyRequest([]))
