"""Firmware is fetched from sites as they are: with passwords, through proxies, with faults."""

import base64
import hashlib
import http.server
import threading
from contextlib import contextmanager

import pytest

from provd.errors import DownloadError
from provd.plugin.firmware import FetchfwPluginHelper

CONTENT = b"firmware" * 1000
SHA1 = hashlib.sha1(CONTENT).hexdigest()
PASSWORDS = {"basic": ("anna", "secret"), "digest": ("bert", "hidden")}


class Site(http.server.BaseHTTPRequestHandler):
    """Serves one file; the first part of the path says how. It is a proxy too."""

    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("User-Agent")))
        path = self.path.partition("://")[2].partition("/")[2] or self.path[1:]
        kind = path.partition("/")[0]
        if kind == "missing":
            self.send_error(404)
        elif kind == "moved":
            self.answer(302, Location="/free/fw.bin")
        elif kind == "basic" and not self.has_basic():
            self.answer(401, **{"WWW-Authenticate": 'Basic realm="firmware"'})
        elif kind == "digest" and not self.has_digest():
            self.answer(401, **{"WWW-Authenticate": 'Digest realm="fw", qop="auth", nonce="n1"'})
        elif kind == "bearer":
            self.answer(401, **{"WWW-Authenticate": 'Bearer realm="firmware"'})
        elif kind == "short":
            self.answer(200, CONTENT[:100], len(CONTENT))
        elif kind == "other":
            self.answer(200, CONTENT[::-1])
        elif kind == "long":
            self.answer(200, CONTENT + b"x")
        else:
            self.answer(200, CONTENT)

    def answer(self, status, content=b"", length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def has_basic(self):
        wanted = base64.b64encode(":".join(PASSWORDS["basic"]).encode()).decode()
        return self.headers.get("Authorization") == f"Basic {wanted}"

    def has_digest(self):
        header = self.headers.get("Authorization", "")
        if not header.startswith("Digest "):
            return False
        pairs = (part.strip().partition("=") for part in header[7:].split(","))
        got = {name: value.strip('"') for name, _, value in pairs}
        user, password = PASSWORDS["digest"]

        def md5(text):
            return hashlib.md5(text.encode()).hexdigest()

        first, second = md5(f"{user}:fw:{password}"), md5(f"GET:{self.path}")
        middle = ":".join(got[name] for name in ("nonce", "nc", "cnonce", "qop"))
        return got["username"] == user and got["response"] == md5(f"{first}:{middle}:{second}")

    def log_message(self, *args):
        pass


@contextmanager
def serving():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.seen = []
    server.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site():
    with serving() as server:
        yield server


@pytest.fixture
def proxies():
    return {}


@pytest.fixture
def downloaders(proxies):
    return FetchfwPluginHelper.new_downloaders(proxies)


@pytest.fixture
def fetch(site, downloaders, tmp_path):
    """Fetch a path of the site; return what came and the progress on the way."""

    def fetch(path, name="default", host=None):
        counts = []
        downloaders[name].download(
            f"http://{host or site.address}/{path}",
            str(tmp_path / "fw.bin"),
            size=len(CONTENT),
            sha1sum=SHA1,
            progress=counts.append,
        )
        return (tmp_path / "fw.bin").read_bytes(), counts

    return fetch


@pytest.mark.parametrize("name", ["default", "auth"])
@pytest.mark.parametrize("path", ["free/fw.bin", "moved"])
def test_file_is_fetched(fetch, name, path, tmp_path):
    content, counts = fetch(path, name)
    assert content == CONTENT
    assert counts[-1] == len(CONTENT)
    assert [entry.name for entry in tmp_path.iterdir()] == ["fw.bin"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing", "404"),
        ("basic", "invalid credentials"),
        ("digest", "invalid credentials"),
        ("short", "bytes came"),
        ("other", "sha1"),
        ("long", "more than the 8000 bytes"),
    ],
)
def test_failure_leaves_the_old_file_and_nothing_else(fetch, tmp_path, path, message):
    (tmp_path / "fw.bin").write_bytes(b"old")
    with pytest.raises(DownloadError, match=message):
        fetch(path)
    assert [(entry.name, entry.read_bytes()) for entry in tmp_path.iterdir()] == [
        ("fw.bin", b"old")
    ]


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "data:text/plain,x", "/etc/passwd", "ssh://x/y"]
)
def test_other_kinds_of_addresses_are_refused(downloaders, tmp_path, url):
    with pytest.raises(DownloadError, match="not http, https or ftp"):
        downloaders["default"].download(
            url, str(tmp_path / "x"), size=1, sha1sum=SHA1, progress=lambda _count: None
        )


@pytest.mark.parametrize("kind", ["basic", "digest"])
@pytest.mark.parametrize("realm", [None, {"basic": "firmware", "digest": "fw"}])
@pytest.mark.parametrize("place", [None, "http://{}/", "http://{}/{}/dir/", "{}"])
def test_password_is_sent_where_it_belongs(fetch, site, downloaders, kind, realm, place):
    uri = place and place.format(site.address, kind)
    downloaders["auth"].add_password(realm and realm[kind], uri, *PASSWORDS[kind])
    assert fetch(f"{kind}/dir/fw.bin", "auth")[0] == CONTENT


@pytest.mark.parametrize("kind", ["basic", "digest"])
@pytest.mark.parametrize(
    ("realm", "uri", "password"),
    [
        (None, None, "wrong"),
        ("other", None, None),
        (None, "http://127.0.0.2/", None),
        (None, "http://{}/elsewhere/", None),
    ],
)
def test_password_is_not_sent_elsewhere(fetch, site, downloaders, kind, realm, uri, password):
    user, right = PASSWORDS[kind]
    uri = uri and uri.format(site.address)
    downloaders["auth"].add_password(realm, uri, user, password or right)
    with pytest.raises(DownloadError, match="invalid credentials"):
        fetch(f"{kind}/fw.bin", "auth")


def test_closest_password_is_used(fetch, site, downloaders):
    auth = downloaders["auth"]
    right = PASSWORDS["basic"]
    auth.add_password(None, f"http://{site.address}/", "x", "y")
    auth.add_password(None, f"http://{site.address}/basic/", *right)
    assert fetch("basic/fw.bin", "auth")[0] == CONTENT
    auth.add_password(None, f"http://{site.address}/basic/", "x", "y")
    auth.add_password("firmware", None, *right)
    assert fetch("basic/fw.bin", "auth")[0] == CONTENT


@pytest.mark.parametrize("forget", [(), (None, None, None, None), (None, "http://{}/", None, None)])
def test_password_is_forgotten(fetch, site, downloaders, forget):
    auth = downloaders["auth"]
    auth.add_password("firmware", f"http://{site.address}/", *PASSWORDS["basic"])
    auth.add_password("firmware", "http://elsewhere/", None, None)
    assert fetch("basic/fw.bin", "auth")[0] == CONTENT
    auth.add_password(*(value and value.format(site.address) for value in forget))
    with pytest.raises(DownloadError, match="invalid credentials"):
        fetch("basic/fw.bin", "auth")


def test_site_that_asks_for_something_else_refuses(fetch, downloaders):
    downloaders["auth"].add_password(None, None, *PASSWORDS["basic"])
    with pytest.raises(DownloadError, match="invalid credentials"):
        fetch("bearer/fw.bin", "auth")


def test_default_downloader_knows_no_password(fetch, downloaders):
    downloaders["auth"].add_password(None, None, *PASSWORDS["basic"])
    with pytest.raises(DownloadError, match="invalid credentials"):
        fetch("basic/fw.bin", "default")


@pytest.mark.parametrize("name", ["default", "auth"])
@pytest.mark.parametrize("form", ["http://{}", "{}"])
def test_proxy_is_the_one_of_the_moment(fetch, site, proxies, name, form):
    # Only the proxy can tell what this host is.
    with serving() as proxy:
        proxies["http"] = form.format(proxy.address)
        assert fetch("free/fw.bin", name, host="firmware.invalid")[0] == CONTENT
        assert [path for path, _ in proxy.seen] == ["http://firmware.invalid/free/fw.bin"]
        del proxies["http"]
        assert fetch("free/fw.bin", name)[0] == CONTENT
        assert len(proxy.seen) == len(site.seen) == 1


def test_proxy_of_the_environment_is_not_used(fetch, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert fetch("free/fw.bin")[0] == CONTENT


def test_own_handlers_are_used(site, tmp_path):
    handlers = FetchfwPluginHelper.new_handlers()
    downloaders = FetchfwPluginHelper.new_downloaders_from_handlers(handlers)
    assert sorted(downloaders) == ["auth", "default"]
    proxies = {"http": site.address}
    handlers = FetchfwPluginHelper.new_handlers(proxies)
    for downloader in FetchfwPluginHelper.new_downloaders_from_handlers(handlers).values():
        downloader.download(
            "http://firmware.invalid/free/fw.bin",
            str(tmp_path / "fw.bin"),
            size=len(CONTENT),
            sha1sum=SHA1,
            progress=lambda _count: None,
        )
    assert len(site.seen) == 2
