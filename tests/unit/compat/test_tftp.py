"""TFTP packets have the shape of dicts, and services may stand around services."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.compat.servers.tftp import packet, service

TEXT = st.binary(max_size=20).map(lambda value: value.replace(b"\0", b""))
PAIR = st.binary(min_size=2, max_size=2)
OPTIONS = st.dictionaries(TEXT.filter(bool).map(bytes.lower), TEXT)
PACKETS = st.one_of(
    st.fixed_dictionaries(
        {
            "opcode": st.sampled_from([packet.OP_RRQ, packet.OP_WRQ]),
            "filename": TEXT,
            "mode": TEXT,
            "options": OPTIONS,
        }
    ),
    st.builds(packet.data_packet, PAIR, st.binary(max_size=600)),
    st.fixed_dictionaries({"opcode": st.just(packet.OP_ACK), "blkno": PAIR}),
    st.builds(packet.err_packet, PAIR, TEXT),
    st.builds(packet.oack_packet, OPTIONS.filter(bool)),
)


@given(PACKETS)
def test_a_packet_survives_the_way_to_bytes_and_back(sent):
    assert packet.parse_dgram(packet.build_dgram(sent)) == sent


@given(st.binary(max_size=60))
def test_any_bytes_are_a_packet_or_an_error(dgram):
    try:
        parsed = packet.parse_dgram(dgram)
    except packet.PacketError:
        return
    assert packet.parse_dgram(packet.build_dgram(parsed)) == parsed


def test_a_read_request_has_the_shape_that_services_get():
    assert packet.parse_dgram(b"\0\1a.cfg\0octet\0BlkSize\x001428\0") == {
        "opcode": packet.OP_RRQ,
        "filename": b"a.cfg",
        "mode": b"octet",
        "options": {b"blksize": b"1428"},
    }


def test_numbers_and_text_may_be_sent_as_they_are():
    assert packet.build_dgram(packet.oack_packet({b"blksize": 1428})) == b"\0\6blksize\x001428\0"
    assert packet.build_dgram(packet.err_packet(packet.ERR_FNF, "é")) == b"\0\5\0\1\xc3\xa9\0"


@pytest.mark.parametrize("bad", [{}, {"opcode": b"\0\x09"}, {"opcode": packet.OP_DATA}])
def test_what_is_no_packet_is_refused(bad):
    with pytest.raises(packet.PacketError):
        packet.build_dgram(bad)


class Response:
    def __init__(self):
        self.calls = []

    def accept(self, fobj):
        self.calls.append(("accept", fobj.read()))

    def reject(self, errcode, errmsg):
        self.calls.append(("reject", errcode, errmsg))


REQUEST = {"address": ("10.0.0.9", 4000), "packet": {"filename": b"a\nb"}}


@pytest.mark.parametrize("content", ["é", "é".encode()])
def test_a_string_service_sends_text_or_bytes(content):
    response = Response()
    service.TFTPStringService(content).handle_read_request(REQUEST, response)
    assert response.calls == [("accept", "é".encode())]


def test_a_hook_sees_the_request_before_the_service():
    seen = []

    class Hook(service.TFTPHookService):
        def _pre_handle(self, request):
            seen.append(request["packet"]["filename"])
            request["packet"] = {"filename": b"other"}

    response = Response()
    request = dict(REQUEST)
    Hook(service.TFTPNullService(errmsg="no")).handle_read_request(request, response)
    assert seen == [b"a\nb"]
    assert response.calls == [("reject", b"\0\1", "no")]


def test_a_log_service_writes_one_line_to_a_logger_or_a_function(caplog):
    caplog.set_level("INFO")
    lines = []
    for target in (lines.append, logging.getLogger("own")):
        wrapped = service.TFTPLogService(target, service.TFTPNullService())
        wrapped.handle_read_request(REQUEST, Response())
    assert lines == [r"10.0.0.9 RRQ b'a\nb'"]
    assert [record.getMessage() for record in caplog.records] == lines


def test_the_services_of_the_core_are_abstract_read_services():
    assert issubclass(service.TFTPFileService, service.AbstractTFTPReadService)
    assert issubclass(service.TFTPNullService, service.AbstractTFTPReadService)
