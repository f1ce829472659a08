"""Softphones tell who they are by a UUID, in a form."""

import pytest
from twisted.web.test.requesthelper import DummyRequest

from provd.plugin.api import RequestType
from provd.plugin.phones.plugin import file_name
from provd.plugin.vendor import to_phone_request

UUID = "5b0a0f3e-0000-4000-8000-000000000001"


def request(method, args):
    dummy = DummyRequest([b"jitsi"])
    dummy.method, dummy.path, dummy.uri, dummy.args = method, b"/jitsi", b"/jitsi?a=1", args
    return dummy


def test_a_post_tells_the_first_value_of_each_field():
    args = {b"uuid": [UUID.encode(), b"other"], b"n\xe9": [b"\xff"]}
    told = to_phone_request(RequestType.HTTP, request(b"POST", args))
    assert told.form == {"uuid": UUID, "n\xe9": "\xff"}


def test_a_get_has_no_form():
    told = to_phone_request(RequestType.HTTP, request(b"GET", {b"a": [b"1"]}))
    assert told.form == {}
    assert told.query == "a=1"


@pytest.mark.parametrize(
    ("uuid", "name"), [(UUID, f"{UUID}.cfg"), (None, None), ("", None), ("../../x", None)]
)
def test_a_file_may_be_named_by_the_uuid(uuid, name):
    assert file_name("{uuid}.cfg", {"uuid": uuid}) == name
