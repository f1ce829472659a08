"""What is peculiar to Jitsi: settings in the answer to a form, found by the UUID in it."""

import io

import pytest
from twisted.web.test.requesthelper import DummyRequest

from provd.errors import InvalidDocument, RawConfigError
from provd.model.rawconfig import add_defaults
from tests.unit.plugins import vendor_plugins

LINE = {"username": "u1", "password": "p1", "proxy_ip": "10.0.0.10", "registrar_ip": "10.0.0.10"}
UUID = "5b0a0f3e-0000-4000-8000-000000000001"
DEVICE = {"id": "d1", "uuid": UUID, "vendor": "Jitsi", "model": "Jitsi"}


@pytest.fixture
def jitsi(load_plugin):
    return load_plugin("provd-jitsi")


def post(plugin, uuid, path=b"/jitsi"):
    request = DummyRequest([])
    request.method, request.path, request.content = b"POST", path, io.BytesIO()
    if uuid is not None:
        request.args = {b"uuid": [uuid.encode()]}
    body = plugin.http_service.render(request)
    return request.responseCode, body


def configured(plugin):
    raw = {**vendor_plugins.BASE_RAW_CONFIG, "sip_lines": {"1": LINE}}
    add_defaults(raw)
    plugin.configure(DEVICE, raw)
    return plugin


def test_a_form_with_a_uuid_gets_its_settings_whatever_the_case(jitsi):
    code, body = post(configured(jitsi), UUID.upper())
    assert code is None
    assert b".acc1.USER_ID=u1@10.0.0.10\n" in body


@pytest.mark.parametrize(
    ("uuid", "code"),
    [
        (None, 400),
        ("", 400),
        ("../../../etc/passwd", 400),
        ("5b0a0f3e-0000-4000-8000-0000000000ff", 404),
    ],
)
def test_a_form_without_a_known_uuid_gets_nothing(jitsi, uuid, code):
    assert post(configured(jitsi), uuid)[0] == code


def test_there_is_nothing_at_another_path(jitsi):
    assert post(configured(jitsi), UUID, b"/other")[0] == 404


def test_what_holds_passwords_is_known_by_path_and_by_file(jitsi):
    assert jitsi.is_sensitive_filename("jitsi")
    assert jitsi.is_sensitive_filename(UUID)
    assert not jitsi.is_sensitive_filename("readme.txt")


def test_nothing_makes_it_load_its_settings_again(jitsi):
    outcome = []
    jitsi.synchronize(DEVICE, {}).addErrback(outcome.append)
    assert outcome[0].check(InvalidDocument)
    assert "when it starts" in str(outcome[0].value)


def test_a_device_whose_uuid_is_not_known_is_refused_by_that_name(jitsi):
    with pytest.raises(RawConfigError, match="before its UUID is known"):
        jitsi.configure({"id": "d1"}, {**vendor_plugins.BASE_RAW_CONFIG, "sip_lines": {}})
