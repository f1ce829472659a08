"""What only Gigaset bases do: pages that are filled in, and the time of registration."""

import http.server
import threading

import pytest

from provd.errors import InvalidDocument, RawConfigError


@pytest.fixture
def base():
    """Yield a base on 127.0.0.1 that notes what it is asked; `refuse` names a page it refuses."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked.append(("GET", self.path, ""))
            self.answer()

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.server.asked.append(("POST", self.path, body))
            self.answer()

        def answer(self):
            refused = self.server.refuse is not None and self.server.refuse in self.path
            self.send_response(500 if refused else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.refuse = [], None
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def code(load_plugin):
    """Return what the plugin's own code defines."""
    return type(load_plugin("provd-gigaset")).synchronize.__globals__


def test_pages_are_filled_in_one_after_the_other(base, code):
    forms = [code["Form"]("login.html", {"password": "12&4"}), code["Form"]("logout.html")]
    code["PageClient"]("127.0.0.1", base.server_port).send(forms)
    assert base.asked == [("POST", "/login.html", "password=12%264"), ("GET", "/logout.html", "")]


def test_a_base_that_refuses_a_page_gets_no_further_ones(base, code):
    base.refuse = "login"
    forms = [code["Form"]("login.html", {"a": "b"}), code["Form"]("logout.html")]
    with pytest.raises(RawConfigError, match=r"answers login.html with HTTP 500"):
        code["PageClient"]("127.0.0.1", base.server_port).send(forms)
    assert len(base.asked) == 1


def test_a_base_that_is_not_there_is_named(base, code):
    base.server_close()
    with pytest.raises(RawConfigError, match=r"127\.0\.0\.1 does not answer logout.html"):
        code["PageClient"]("127.0.0.1", base.server_port).send([code["Form"]("logout.html")])


def test_a_base_without_a_known_address_cannot_be_synchronized(load_plugin):
    plugin = load_plugin("provd-gigaset")
    device = {"id": "d1", "mac": "7c:2f:80:12:34:56", "vendor": "Gigaset", "model": "C470 IP"}
    with pytest.raises(RawConfigError, match="address of the base is not known"):
        plugin.synchronize(device, {})


@pytest.mark.parametrize("value", ["tomorrow", -1, 1.5])
def test_the_time_of_registration_is_a_number_of_seconds(load_plugin, value):
    with pytest.raises(InvalidDocument, match="'registration_start' is a number of seconds"):
        load_plugin("provd-gigaset").check_settings({"registration_start": value})
