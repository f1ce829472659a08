"""What plugins say of requests, voted on and remembered (contract: request processing §2)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import defer

from provd.manager.extraction import EXTRACTION_TIMEOUT, vote
from provd.model.requests import RequestType
from tests.unit.manager.core import Core, FakeRequest, later, mac, result, tftp_request

HTTP, TFTP, DHCP = RequestType.HTTP, RequestType.TFTP, RequestType.DHCP


@pytest.fixture
def core(tmp_path):
    core = Core(tmp_path, plugins=("acme-1", "acme-2", "other-1"))
    for probe in core.probes.values():
        probe.extract = lambda *_: defer.succeed(None)
    return core


def extract(core, request=None, kind=HTTP):
    return result(core.extraction.extract(kind, request or FakeRequest()))


def says(core, plugin_id, answer):
    def extract(*_):
        if isinstance(answer, Exception):
            raise answer
        return answer

    core.probes[plugin_id].extract = extract


def asked(core):
    return [core.probes[name].asked for name in ("acme-1", "acme-2", "other-1")]


# Votes


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([], {}),
        ([{"a": 1}, {"a": 2}, {"a": 2}], {"a": 2}),
        ([{"a": 1}, {"a": 2}], {"a": 1}),
        ([{"a": 2}, {"a": 1}, {"a": 1}, {"a": 2}], {"a": 2}),
        ([{"a": 1, "b": 1}, {"b": 2}, {"b": 2, "c": 3}], {"a": 1, "b": 2, "c": 3}),
        ([{"a": None}, {"a": None}, {"a": 1}], {"a": 1}),
        ([{"a": [1]}, {"a": {"x": 1}}, {"a": [1]}], {"a": [1]}),
    ],
)
def test_each_key_is_voted_on_and_the_first_wins_a_tie(answers, expected):
    assert vote(answers) == expected


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 3)), max_size=8))
def test_no_value_has_more_votes_than_the_chosen_one(answers):
    chosen = vote(answers)
    assert chosen.keys() == {key for answer in answers for key in answer}
    for key, value in chosen.items():
        given_values = [answer[key] for answer in answers if key in answer]
        counts = {v: given_values.count(v) for v in given_values}
        assert counts[value] == max(counts.values())
        earlier = given_values[: given_values.index(value)]
        assert all(counts[v] < counts[value] for v in earlier)


def test_the_first_loaded_plugin_wins_a_tie_though_it_answers_last(core):
    slow = defer.Deferred()
    says(core, "acme-1", slow)
    says(core, "acme-2", {"model": "two"})
    waiting = later(core.extraction.extract(HTTP, FakeRequest()))
    slow.callback({"model": "one"})
    assert result(waiting) == {"model": "one"}


# Bad extractors


@pytest.mark.parametrize(
    "bad",
    [
        ValueError("not ASCII"),
        UnicodeDecodeError("ascii", b"\xff", 0, 1, "no"),
        defer.fail(ValueError("no")),
        "text",
        ["list"],
        5,
    ],
)
def test_an_extractor_that_fails_hurts_only_itself(core, bad):
    says(core, "acme-1", bad)
    says(core, "acme-2", defer.succeed({"vendor": "Acme"}))
    says(core, "other-1", {"model": "A1"})
    assert extract(core) == {"vendor": "Acme", "model": "A1"}


@pytest.mark.parametrize("nothing", [None, {}, False, defer.succeed(None), defer.succeed({})])
def test_an_extractor_may_say_nothing(core, nothing):
    says(core, "acme-1", nothing)
    says(core, "acme-2", {"vendor": "Acme"})
    assert extract(core) == {"vendor": "Acme"}


def test_values_of_the_wrong_type_are_left_out(core, caplog):
    says(core, "acme-1", {"mac": b"\0", "sn": 5, "vendor": "Acme", "X_list": [1]})
    says(core, "acme-2", {"sn": "s1", "model": ["A1"]})
    assert extract(core) == {"vendor": "Acme", "X_list": [1], "sn": "s1"}
    assert "plugin acme-1 gave no text for mac, sn" in caplog.text


def test_extractors_that_hang_cost_one_time_limit_together(core):
    says(core, "acme-1", defer.Deferred())
    says(core, "acme-2", defer.Deferred())
    says(core, "other-1", {"vendor": "Acme"})
    waiting = later(core.extraction.extract(HTTP, FakeRequest()))
    assert not waiting.called
    core.clock.advance(EXTRACTION_TIMEOUT)
    assert result(waiting) == {"vendor": "Acme"}
    assert core.clock.getDelayedCalls() == []


def test_an_extractor_that_fails_later_hurts_only_itself(core):
    late = defer.Deferred()
    says(core, "acme-1", late)
    says(core, "acme-2", {"vendor": "Acme"})
    waiting = later(core.extraction.extract(HTTP, FakeRequest()))
    late.errback(ValueError("no"))
    assert result(waiting) == {"vendor": "Acme"}
    assert core.host.get("acme-1").stats.errors == 1


def test_a_plugin_that_cancels_its_own_answer_hurts_only_itself(core):
    cancelled = defer.Deferred()
    says(core, "acme-1", cancelled)
    says(core, "acme-2", {"vendor": "Acme"})
    waiting = later(core.extraction.extract(HTTP, FakeRequest()))
    cancelled.cancel()
    assert result(waiting) == {"vendor": "Acme"}


def test_a_request_that_is_cancelled_ends(core):
    says(core, "acme-1", defer.Deferred())
    waiting = later(core.extraction.extract(HTTP, FakeRequest()))
    waiting.cancel()
    with pytest.raises(defer.CancelledError):
        result(waiting)
    core.clock.advance(EXTRACTION_TIMEOUT)
    assert core.clock.getDelayedCalls() == []


# The memo


def test_the_same_request_is_asked_about_once(core):
    says(core, "acme-1", {"vendor": "Acme"})
    request = FakeRequest("/a.cfg", "agent")
    assert core.extraction.remembered(HTTP, request) is None
    assert extract(core, request) == {"vendor": "Acme"}
    assert core.extraction.remembered(HTTP, FakeRequest("/a.cfg", "agent")) == {"vendor": "Acme"}
    assert asked(core) == [1, 1, 1]


def from_header(name):
    def extract(request, _kind):
        return {"vendor": str(request.getHeader(name))}

    return extract


@pytest.mark.parametrize(
    "other",
    [
        FakeRequest("/b.cfg", "agent"),
        FakeRequest("/a.cfg?x=1", "agent"),
        FakeRequest("/a.cfg", "other agent"),
        FakeRequest("/a.cfg"),
        FakeRequest("/a.cfg", "agent", b"HEAD"),
    ],
)
def test_another_path_agent_or_method_is_another_request(core, other):
    core.probes["acme-1"].extract = from_header(b"User-Agent")
    extract(core, FakeRequest("/a.cfg", "agent"))
    assert core.extraction.remembered(HTTP, other) is None


@pytest.mark.parametrize("name", [b"X-Phone", "X-Phone"])
def test_a_header_that_an_extractor_reads_belongs_to_the_question(core, name):
    core.probes["acme-1"].extract = from_header(name)
    for _ in range(2):
        for value in ("one", "two"):
            request = FakeRequest("/a.cfg", "agent", x_phone=value)
            info = core.extraction.remembered(HTTP, request) or extract(core, request)
            assert info["vendor"] in {value, str(value.encode())}
    request = FakeRequest("/a.cfg", "agent", x_phone="one")
    assert core.extraction.remembered(HTTP, request) is not None


@pytest.mark.parametrize("attribute", ["client_address", "headers", "postpath"])
def test_what_is_read_besides_path_and_headers_is_not_remembered(core, attribute):
    core.probes["acme-1"].extract = lambda request, _: {"vendor": str(getattr(request, attribute))}
    request = FakeRequest("/a.cfg", "agent")
    request.client_address, request.postpath = "10.0.0.1", []
    extract(core, request)
    assert core.extraction.remembered(HTTP, request) is None


def test_arguments_from_a_body_are_not_remembered(core):
    core.probes["acme-1"].extract = lambda request, _: {"vendor": str(request.args)}
    for value in (b"one", b"two"):
        request = FakeRequest("/a.cfg", "agent", b"POST")
        request.args = {b"mac": [value]}
        info = core.extraction.remembered(HTTP, request) or extract(core, request)
        assert info == {"vendor": str({b"mac": [value]})}


def test_an_answer_that_came_later_is_not_remembered(core):
    slow = defer.Deferred()
    says(core, "acme-1", slow)
    waiting = later(core.extraction.extract(HTTP, FakeRequest()))
    slow.callback({"vendor": "Acme"})
    assert result(waiting) == {"vendor": "Acme"}
    assert core.extraction.remembered(HTTP, FakeRequest()) is None


def test_the_memo_is_dropped_when_the_set_of_plugins_changes(core):
    says(core, "acme-1", {"vendor": "Acme"})
    extract(core)
    core.host.unload("acme-1")
    assert core.extraction.remembered(HTTP, FakeRequest()) is None
    assert extract(core) == {}
    core.host.load("acme-1")
    assert core.extraction.remembered(HTTP, FakeRequest()) is None
    assert extract(core) == {"vendor": "Acme"}


def test_an_answer_of_the_old_set_of_plugins_is_not_remembered(core):
    def unload_another(*_):
        if core.host.get("other-1"):
            core.host.unload("other-1")
        return {"vendor": "Acme"}

    core.probes["acme-1"].extract = unload_another
    extract(core)
    assert core.extraction.remembered(HTTP, FakeRequest()) is None


def test_the_memo_is_bounded(tmp_path):
    core = Core(tmp_path, memo_entries=2)
    for number in range(4):
        extract(core, FakeRequest(f"/{number}", "Acme"))
    assert core.extraction.remembered(HTTP, FakeRequest("/1", "Acme")) is None
    assert core.extraction.remembered(HTTP, FakeRequest("/2", "Acme")) is not None
    assert core.extraction.remembered(HTTP, FakeRequest("/3", "Acme")) is not None


def test_a_memo_of_no_entries_remembers_nothing(tmp_path):
    core = Core(tmp_path, memo_entries=0)
    extract(core, FakeRequest("/1", "Acme"))
    assert core.extraction.remembered(HTTP, FakeRequest("/1", "Acme")) is None


def test_a_huge_request_is_answered_but_not_remembered(core):
    says(core, "acme-1", {"vendor": "Acme"})
    request = FakeRequest("/" + "x" * 2000, "agent")
    assert extract(core, request) == {"vendor": "Acme"}
    assert core.extraction.remembered(HTTP, request) is None


# TFTP and DHCP


def test_tftp_requests_are_remembered_by_file_name_not_by_source(core):
    core.probes["acme-1"].extract = lambda request, _: {
        "vendor": request["packet"]["filename"].decode()
    }
    extract(core, tftp_request("a.cfg", "10.1.0.1"), TFTP)
    assert core.extraction.remembered(TFTP, tftp_request("a.cfg", "10.1.0.2")) == {
        "vendor": "a.cfg"
    }
    assert core.extraction.remembered(TFTP, tftp_request("b.cfg")) is None


@pytest.mark.parametrize("read", [lambda r: r["address"], lambda r: r.get("address")])
def test_a_tftp_answer_that_depends_on_the_source_is_not_remembered(core, read):
    core.probes["acme-1"].extract = lambda request, _: {"vendor": read(request)[0]}
    assert extract(core, tftp_request("a.cfg", "10.1.0.1"), TFTP) == {"vendor": "10.1.0.1"}
    assert core.extraction.remembered(TFTP, tftp_request("a.cfg", "10.1.0.2")) is None


def test_tftp_options_belong_to_the_question(core):
    first, second = tftp_request("a.cfg"), tftp_request("a.cfg")
    second["packet"]["options"] = {b"blksize": b"1428"}
    extract(core, first, TFTP)
    assert core.extraction.remembered(TFTP, second) is None


def test_dhcp_requests_reach_extractors_as_they_are_and_are_not_remembered(core):
    seen = []
    core.probes["acme-1"].extract = lambda request, kind: seen.append((request, kind))
    request = {"ip": "10.1.0.1", "mac": mac(1), "options": {60: "Acme"}}
    for _ in range(2):
        extract(core, request, DHCP)
    assert seen == [(request, DHCP)] * 2


# Claims that the request speaks against

SNOM_AGENT = "Mozilla/4.0 (compatible; snom870-SIP 8.4.35 SPEAr300 SNOM 1.4)"
SNOM_MAC = "00:04:13:87:00:01"


def test_a_claim_of_another_vendor_keeps_the_address_only(core):
    says(core, "acme-1", {"vendor": "Cisco", "model": "SPA942", "mac": SNOM_MAC})
    request = FakeRequest("/snom870.htm", SNOM_AGENT)
    assert extract(core, request) == {"mac": SNOM_MAC}


def test_the_plugin_that_failed_at_its_own_phone_tells_the_vendor(core, caplog):
    core.host.get("acme-2").info["capabilities"] = {"Snom, 870, 8.4.35": {}}
    says(core, "acme-1", {"vendor": "Cisco", "model": "SPA942", "mac": SNOM_MAC})
    says(core, "acme-2", ValueError("not a MAC"))
    request = FakeRequest("/snom870.htm", SNOM_AGENT)
    assert extract(core, request) == {"mac": SNOM_MAC, "vendor": "Snom"}
    assert "plugin acme-2 failed on a request" in caplog.text


def test_a_plugin_that_fails_at_another_vendor_s_phone_tells_nothing(core):
    core.host.get("acme-2").info["capabilities"] = {"Snom, 870, 8.4.35": {}}
    says(core, "acme-2", ValueError("not a MAC"))
    assert extract(core, FakeRequest("/x", "Yealink SIP-T46S 66.86.0.15")) == {}
