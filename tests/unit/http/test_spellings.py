"""However a path is spelled: the same file with the same checks, or none."""

import os
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from provd.http.site import PhoneHttpRequest
from provd.http.target import file_name, origin_form
from tests.unit.http.test_ranges import produce
from tests.unit.http.test_site import AGENT, Site, name
from tests.unit.manager.core import mac, result


class Spelled(Site):
    """A site whose sensitive files were noted; `own_service` makes the plugin subclass ours."""

    def __init__(self, directory, *, own_service=False, **options):
        super().__init__(directory, **options)
        [loaded] = self.core.host
        if own_service:
            service = loaded.plugin.http_service
            loaded.plugin.http_service = type("Own", (type(service),), {})(service.path)


@pytest.fixture(scope="module", autouse=True)
def _no_reactor():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PhoneHttpRequest, "registerProducer", produce)
        patch.setattr(PhoneHttpRequest, "unregisterProducer", lambda _request: None)
        yield


@pytest.fixture(params=["plain", "subclass"])
def site(request, tmp_path):
    made = Spelled(tmp_path, own_service=request.param == "subclass")
    made.device()
    made.status("/common.cfg", agent=AGENT)
    return made


def security(caplog):
    return [r.getMessage() for r in caplog.records if "Sensitive file" in r.getMessage()]


# What phones send: see docs/request-processing.md. Gigaset phones double slashes.


@pytest.mark.parametrize(
    "target",
    [
        "/000000000001.cfg",
        "//000000000001.cfg",
        "///000000000001.cfg",
        "/./000000000001.cfg",
        "/%30%30%30000000001.cfg",
        "/000000000001.cfg?x=1",
        "/%2e/000000000001%2Ecfg",
        "http://other.example/000000000001.cfg",
        "HTTPS://user@other.example:8667//000000000001.cfg?x",
    ],
)
def test_another_spelling_of_a_path_is_the_same_file_and_sensitive(tmp_path, caplog, target):
    site = Spelled(tmp_path)
    site.device()
    caplog.set_level("INFO")
    for _ in range(2):
        caplog.clear()
        status, body = site.get(target, agent=AGENT)
        assert (status, body) == (200, site.get("/000000000001.cfg", agent=AGENT)[1])
        assert security(caplog)[0].endswith("000000000001.cfg")


@pytest.mark.parametrize(
    "target",
    [
        "/00000000000A.cfg",  # the file is 00000000000a.cfg: no vendor's phone changes the case
        "/%2f00000000000a.cfg",
        "/%2F%2F00000000000a.cfg",
        "/00000000000a.cfg%2f",
        "/%2e%2f00000000000a.cfg",
        "/00000000000a.cfg%2f.",
        "/provisioning/00000000000a.cfg",
        "/device/provisioning/00000000000a.cfg",
        "/00000000000a.cfg/",
        "/00000000000a.cfg//",
        "/00000000000a.cfg%00",
    ],
)
def test_what_no_phone_sends_is_not_found_and_leaves_its_line(site, caplog, target):
    site.device("d10", 10)
    agent = f"Acme A1 1.0 {mac(10)}"
    assert site.status(f"/{name(10)}", agent=agent) == 200
    caplog.set_level("INFO")
    for _ in range(2):
        caplog.clear()
        assert site.status(target, agent=agent) == 404
        if not target.endswith("%00"):
            assert security(caplog)


def test_a_large_file_is_found_as_a_small_one_is(site):
    root = os.path.dirname(site.core.path())
    os.mkdir(os.path.join(root, "sub"))
    for size in (10, 300_000):
        content = os.urandom(size)
        with open(os.path.join(root, "sub", "x.rom"), "wb") as stream:
            stream.write(content)
        assert site.get("/sub/x.rom", agent=AGENT) == (200, content)
        for target in ("/x.rom", "/a/sub/x.rom", "/sub%2fx.rom", "/sub/x.rom%2f"):
            assert site.status(target, agent=AGENT) == 404


def test_a_plain_directory_serves_doubled_slashes_whatever_the_size(tmp_path):
    site = Spelled(tmp_path)
    site.device()
    with open(os.path.join(os.path.dirname(site.core.path()), "x.rom"), "wb") as stream:
        stream.write(b"x" * 300_000)
    for target in ("/x.rom", "//x.rom", "/./x.rom", "/a/../x.rom", "/%78.rom"):
        assert len(site.get(target, agent=AGENT)[1]) == 300_000


# No spelling passes a check

PIECES = st.lists(
    st.sampled_from(
        ["/", "%2f", "%2F", ".", "%2e", "..", "a", "second-key", "third-key", "?x", "%00", "\\"]
    ),
    max_size=4,
).map("".join)
NAMES = st.sampled_from([name(2), name(2).upper(), "%30" + name(2)[1:], name(2) + "%2f", "x.rom"])


@pytest.fixture(scope="module")
def keyed(tmp_path_factory):
    """Sites of two tenants with a phone each; the first wants the file of the second's."""
    sites = []
    for own_service in (False, True):
        site = Spelled(tmp_path_factory.mktemp("keyed"), url_key=True, own_service=own_service)
        site.device("d1", 1, "t2")
        site.device("d2", 2, "t3")
        site.core.parameters._tenants["t3"] = {"provisioning_key": "third-key"}
        site.core.parameters._index_keys()
        result(site.core.manager.reconfigure_device("d2"))
        assert site.status(f"/second-key/{name(1)}", agent=AGENT) == 200
        assert site.status(f"/third-key/{name(2)}", agent=f"Acme A1 1.0 {mac(2)}") == 200
        sites.append(site)
    return sites


@settings(deadline=None, max_examples=100)
@given(PIECES, st.sampled_from(["second-key/", "/second-key/", ""]), PIECES, NAMES, PIECES)
@example("", "second-key/", "%2e%2f", name(2), "")
@example("", "second-key/", "", name(2) + "%2f", "")
@example("", "second-key/", "", name(2), "")
def test_no_spelling_opens_the_file_of_another_tenant(keyed, before, key, between, file, after):
    if "third-key" in before + between:
        return
    target = "/" + before + key + between + file + after
    for site in keyed:
        for number in (1, 2, 9):
            for method in ("GET", "HEAD"):
                answer = site.send(target, agent=f"Acme A1 1.0 {mac(number)}", method=method)
                assert answer.split()[1] in {b"400", b"403", b"404", b"301", b"302"}, target
                assert b"raw_config" not in answer


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Sites whose plugin serves by our class, and by one derived from it."""
    sites = []
    for own_service in (False, True):
        site = Spelled(tmp_path_factory.mktemp("both"), own_service=own_service)
        site.device()
        assert site.status(f"/{name(1)}", agent=AGENT) == 200
        sites.append(site)
    return sites


@settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(PIECES, st.sampled_from([name(1), "%30" + name(1)[1:], name(1) + "%2f"]), PIECES)
@example("%2e%2f", name(1), "")
@example("", name(1), "/.")
def test_no_spelling_is_served_without_the_line_in_the_security_log(both, caplog, pre, file, post):
    caplog.set_level("INFO")
    for site in (*both, *both):
        caplog.clear()
        status, body = site.get("/" + pre + file + post, agent=AGENT)
        if status == 200:
            assert b"raw_config" in body
            assert any(line.endswith(name(1)) for line in security(caplog))


# Links


def test_links_out_of_the_served_directory_are_not_followed(site, tmp_path):
    root = os.path.dirname(site.core.path())
    [loaded] = site.core.host
    secret = tmp_path / "secret"
    secret.mkdir()
    for size in (10, 300_000):
        (secret / "x.bin").write_bytes(b"s" * size)
        with open(os.path.join(root, "in.bin"), "wb") as stream:
            stream.write(b"i" * size)
        with open(os.path.join(loaded.directory, "own.bin"), "wb") as stream:
            stream.write(b"o" * size)
        for link, to in [
            ("out.bin", secret / "x.bin"),
            ("dir", secret),
            ("inside.bin", "in.bin"),
            ("plugins.bin", os.path.join(loaded.directory, "own.bin")),
        ]:
            if not os.path.lexists(os.path.join(root, link)):
                os.symlink(to, os.path.join(root, link))
        for target in ("/out.bin", "/dir/x.bin"):
            for method in ("GET", "HEAD"):
                assert site.status(target, agent=AGENT, method=method) == 404
            assert site.status(target, agent=AGENT, headers=["Range: bytes=0-1"]) == 404
        for target in ("/inside.bin", "/plugins.bin"):
            assert len(site.get(target, agent=AGENT)[1]) == size


def test_a_link_is_not_followed_at_once_either(tmp_path):
    from tests.unit.http.test_fast import HEAD, talk

    site = Spelled(tmp_path)
    site.device()
    site.status("/common.cfg", agent=AGENT)
    (tmp_path / "x.bin").write_bytes(b"secret")
    os.symlink(tmp_path / "x.bin", os.path.join(os.path.dirname(site.core.path()), "x.bin"))
    data = HEAD.replace(b"000000000001.cfg", b"x.bin") + b"\r\n"
    answer = talk(site, data, at_once=True)[0]
    assert answer == talk(site, data, at_once=False)[0]
    assert answer.startswith(b"HTTP/1.1 404 ")


# HEAD


def test_a_head_of_an_unknown_phone_makes_and_changes_nothing(tmp_path):
    site = Spelled(tmp_path)
    site.core.autoprov()
    before = site.core.all_stored()
    agent = f"Acme A1 1.0 {mac(7)}"
    answer = site.send("/common.cfg", agent=agent, method="HEAD")
    assert answer.startswith((b"HTTP/1.0 200", b"HTTP/1.1 200"))
    assert b"Content-Length: 6\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")
    assert site.status(f"/{name(7)}", agent=agent, method="HEAD") == 404
    assert site.status("/x", agent="nobody", method="HEAD") == 404
    assert site.core.all_stored() == before == []
    assert len(site.core.all_stored("configs")) == 2
    assert site.status("/common.cfg", agent=agent) == 200
    assert len(site.core.all_stored()) == 1


def test_a_head_of_a_known_phone_changes_neither_its_address_nor_what_it_fetched(tmp_path):
    site = Spelled(tmp_path)
    site.device(number=1)
    fetched = []
    site.core.journal.fetched = lambda *what: fetched.append(what)
    before = site.core.stored("d1")
    for agent in (AGENT, AGENT.replace("1.0", "2.0")):
        assert site.status(f"/{name(1)}", agent=agent, method="HEAD") == 200
    assert site.core.stored("d1") == before
    assert fetched == []
    site.status(f"/{name(1)}", agent=AGENT)
    assert len(fetched) == 1


def test_a_head_is_refused_where_a_retriever_of_ones_own_could_make_a_device(tmp_path):
    class Retriever:
        def retrieve(self, info):
            raise AssertionError("it was asked")

    site = Spelled(tmp_path)
    site.core.pipeline._retriever = Retriever()
    site.core.pipeline._is_built_in = False
    answer = site.send("/common.cfg", agent=AGENT, method="HEAD")
    assert answer.split()[1] == b"405"
    assert b"\r\nAllow: GET\r\n" in answer


def test_pages_of_refusal_have_no_body_for_a_head(tmp_path):
    site = Spelled(tmp_path, url_key=True)
    for target in ("/x", "/main-key-1/x", "/main-key-1/%ff"):
        got, head = (site.send(target, method=method) for method in ("GET", "HEAD"))
        assert head.endswith(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", got, re.IGNORECASE)[1]
        assert b"content-length: " + length in head.lower()


# Targets


@pytest.mark.parametrize(
    ("target", "found"),
    [
        (b"/a?b", (b"/a?b", None)),
        (b"//a", (b"//a", None)),
        (b"*", (b"*", None)),
        (b"http://h/a?b", (b"/a?b", b"h")),
        (b"HTTP://u:p@h:80/a", (b"/a", b"h:80")),
        (b"https://h", (b"/", b"h")),
        (b"http://h?b", (b"/?b", b"h")),
        (b"http:///a", None),
        (b"ftp://h/a", None),
        (b"a", None),
        (b"", None),
    ],
)
def test_a_target_is_a_path_or_has_one(target, found):
    assert origin_form(target) == found


def test_the_name_at_the_end_of_a_path():
    for segments in ([b"a", b"x.cfg"], [b"x.cfg", b""], [b"x.cfg", b"."], [b"./x.cfg/"]):
        assert file_name(segments) == "x.cfg"
    assert file_name([b""]) == ""
