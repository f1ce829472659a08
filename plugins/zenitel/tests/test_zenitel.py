"""Stations are restarted through their own pages, as they take no SIP NOTIFY."""

import base64
import http.server
import threading

import pytest
import pytest_twisted

from provd.errors import InvalidDocument, RawConfigError

DEVICE = {"id": "d1", "mac": "00:13:cb:12:34:56", "ip": "127.0.0.1"}


@pytest.fixture
def station():
    """The port of a station, the requests that it got, and the class whose `status` it answers."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        status = 200

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, self.headers["Authorization"], body))
            self.send_response(Handler.status)
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port, requests, Handler
        server.shutdown()
        thread.join()


@pytest_twisted.ensureDeferred
async def test_a_station_is_restarted_through_its_pages(load_plugin, station):
    port, requests, _ = station
    plugin = load_plugin("provd-zenitel")
    plugin.web_port = port
    await plugin.synchronize(DEVICE, {})
    login = base64.b64encode(b"admin:alphaadmin").decode()
    assert requests == [("/goform/zForm_send_cmd", f"Basic {login}", b"message=Reboot")]


@pytest_twisted.ensureDeferred
async def test_a_station_that_refuses_is_a_failure(load_plugin, station):
    port, _, handler = station
    handler.status = 401
    plugin = load_plugin("provd-zenitel")
    plugin.web_port = port
    with pytest.raises(OSError, match="401"):
        await plugin.synchronize(DEVICE, {})


@pytest_twisted.ensureDeferred
async def test_a_station_without_an_address_cannot_be_restarted(load_plugin):
    plugin = load_plugin("provd-zenitel")
    with pytest.raises(RawConfigError, match="address of the station is not known"):
        await plugin.synchronize({"id": "d1"}, {})


def test_settings_of_another_form_are_refused(load_plugin):
    plugin = load_plugin("provd-zenitel")
    with pytest.raises(InvalidDocument, match="'image_crc' must be a text"):
        plugin.check_settings({"image_crc": 1})


def test_the_login_of_the_vendor_s_site_is_used_for_packages(load_plugin):
    plugin = load_plugin(
        "provd-zenitel", {"download_username": "me", "download_password": "s3cret"}
    )
    downloader = plugin.downloaders["auth"]
    passwords = downloader._passwords
    assert passwords.find_user_password(None, "https://alphasupport.zenitel.com/alphawiki/x") == (
        "me",
        "s3cret",
    )
    assert passwords.find_user_password(None, "https://example.org/x") == (None, None)


def test_what_a_station_has_no_setting_for_is_noted(load_plugin):
    plugin = load_plugin("provd-zenitel")
    line = {"proxy_ip": "10.0.0.1", "proxy_port": 5070, "username": "u", "password": "p"}
    raw_config = {
        "sip_lines": {"1": {**line, "outbound_proxy_ip": "10.0.0.9"}},
        "sip_transport": "tcp",
        "sip_srtp_mode": "required",
        "funckeys": {"1": {"type": "blf", "value": "1"}},
    }
    list(plugin.render({**DEVICE, "model": "IP station"}, raw_config))
    assert plugin.notes_of("d1") == (
        "function key 1 is left out: the phone has no blf key",
        "sip_transport tcp is left out: stations use UDP",
        "sip_srtp_mode is left out: stations have no SRTP",
        "outbound_proxy_ip is left out: stations have no such setting",
        "proxy_port is left out: stations call port 5060",
    )
