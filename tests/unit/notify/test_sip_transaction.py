"""A SIP transaction, sentence by sentence of RFC 3261 section 17.1.2, and its messages."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import PacketError, SynchronizeError
from provd.notify.sipmessage import Notify, Response, format_notify, parse_response
from provd.notify.siptransaction import Finish, Send, Start, Timer, Transaction


def response(status):
    return Response(status, "", "z9hG4bK1", "NOTIFY")


def resent(transaction, count):
    """Let timer E fire so often; return the delays that follow."""
    delays = []
    for _ in range(count):
        again, restart = transaction.timer_fired(Timer.E)
        assert again == Send()
        assert restart.timer is Timer.E
        delays.append(restart.seconds)
    return delays


def test_a_request_is_sent_with_timers_e_of_t1_and_f_of_64_t1():
    assert Transaction().start() == [Send(), Start(Timer.F, 32.0), Start(Timer.E, 0.5)]


def test_while_trying_the_interval_doubles_up_to_t2():
    transaction = Transaction()
    transaction.start()
    assert resent(transaction, 5) == [1.0, 2.0, 4.0, 4.0, 4.0]


def test_while_proceeding_the_interval_is_t2():
    transaction = Transaction()
    transaction.start()
    assert transaction.response_received(response(100)) == []
    assert resent(transaction, 2) == [4.0, 4.0]


@pytest.mark.parametrize("provisional", [[], [100], [100, 183]])
@pytest.mark.parametrize("status", [200, 202, 302, 401, 481, 503, 603])
def test_a_final_response_ends_it_in_either_state(provisional, status):
    transaction = Transaction()
    transaction.start()
    for early in provisional:
        transaction.response_received(response(early))
    assert transaction.response_received(response(status)) == [Finish(response(status))]


@pytest.mark.parametrize("provisional", [[], [100]])
def test_timer_f_ends_it_in_either_state(provisional):
    transaction = Transaction(5)
    assert Start(Timer.F, 5) in transaction.start()
    for early in provisional:
        transaction.response_received(response(early))
    assert transaction.timer_fired(Timer.F) == [Finish(None)]


STEP = st.sampled_from([Timer.E, Timer.F, 100, 180, 200, 404])


@given(st.lists(STEP, max_size=15))
def test_it_ends_once_and_is_silent_afterwards(steps):
    transaction, ends = Transaction(), 0
    transaction.start()
    for step in steps:
        happened = (
            transaction.timer_fired(step)
            if isinstance(step, Timer)
            else transaction.response_received(response(step))
        )
        if ends:
            assert happened == []
        ends += sum(isinstance(action, Finish) for action in happened)
    assert ends == any(step is Timer.F or step in {200, 404} for step in steps)


# Messages


def notify(event="check-sync", variables=(), user="abc", host="10.0.0.9", port=5060):
    return Notify(host, port, user, event, variables)


def formatted(message):
    return format_notify(
        message,
        branch="z9hG4bK77",
        tag="t1",
        call_id="c1",
        local=("10.0.0.1", 5061),
        from_host="pbx.example.org",
    )


def test_a_notify_has_all_that_the_rfcs_ask_for():
    assert formatted(notify("check-sync;reboot=true")).decode() == (
        "NOTIFY sip:abc@10.0.0.9 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 10.0.0.1:5061;rport;branch=z9hG4bK77\r\n"
        "Max-Forwards: 70\r\n"
        "From: <sip:provd@pbx.example.org>;tag=t1\r\n"
        "To: <sip:abc@10.0.0.9>\r\n"
        "Call-ID: c1\r\n"
        "CSeq: 1 NOTIFY\r\n"
        "Contact: <sip:provd@10.0.0.1:5061>\r\n"
        "Event: check-sync;reboot=true\r\n"
        "Subscription-State: terminated\r\n"
        "Content-Length: 0\r\n"
        "\r\n"
    )


def test_without_an_account_the_uri_is_the_address():
    assert formatted(notify(user=None, port=5070)).startswith(
        b"NOTIFY sip:10.0.0.9:5070 SIP/2.0\r\n"
    )


def test_an_account_cannot_leave_its_place_in_the_uri():
    first = formatted(notify(user="a b@c>\u00e9:x")).partition(b"\r\n")[0]
    assert first == b"NOTIFY sip:a%20b%40c%3E%C3%A9%3Ax@10.0.0.9 SIP/2.0"


def test_content_lines_are_the_body():
    data = formatted(
        notify(
            "service-control",
            [("Content-Type", "message/sipfrag"), ("Content", "action=x"), ("content", "\u00e9")],
        )
    )
    head, _, body = data.partition(b"\r\n\r\n")
    assert body == "action=x\r\n\u00e9".encode()
    assert head.endswith(b"Content-Type: message/sipfrag\r\nContent-Length: 12")


def test_a_body_without_a_type_is_plain_text():
    assert b"\r\nContent-Type: text/plain\r\n" in formatted(notify(variables=[("Content", "x")]))


def test_what_a_notify_has_anyway_is_not_doubled():
    data = formatted(
        notify(
            variables=[
                ("Content-Length", "5"),
                ("event", "x"),
                ("v", "y"),
                ("Subscription-State", "active"),
                ("X-A", "1"),
                ("X-A", "2"),
            ]
        )
    )
    names = re.findall(rb"(?m)^([\w-]+):", data)
    assert names.count(b"Content-Length") == names.count(b"Subscription-State") == 1
    assert b"event" not in names
    assert b"v" not in names
    assert b"Subscription-State: active\r\nX-A: 1\r\nX-A: 2\r\n" in data


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": "check-sync\r\nX: y"},
        {"variables": [("X", "a\nb")]},
        {"variables": [("Content", "a\r\nb")]},
        {"variables": [("X y", "a")]},
        {"variables": [("", "a")]},
        {"variables": [("X:", "a")]},
        {"variables": [("Content", "x" * 1300)]},
    ],
)
def test_what_cannot_be_said_is_an_error(wrong):
    with pytest.raises(SynchronizeError):
        formatted(notify(**wrong))


PRINTABLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(PRINTABLE, PRINTABLE, st.lists(st.tuples(PRINTABLE, PRINTABLE), max_size=4))
def test_no_value_makes_a_line_of_its_own(user, event, variables):
    try:
        data = formatted(notify(event, variables, user))
    except SynchronizeError:
        return
    head, _, body = data.partition(b"\r\n\r\n")
    contents = [value for name, value in variables if name.lower() == "content"]
    assert body == "\r\n".join(contents).encode()
    lines = head.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert lines[0].count(b" ") == 2
    assert all(re.match(rb"[^\s:]+: ", line) for line in lines[1:])


ANSWER = (
    b"SIP/2.0 200 OK\r\n"
    b"Via: SIP/2.0/UDP 10.0.0.1:5061;rport=5061;branch=z9hG4bK77;received=10.0.0.1\r\n"
    b"CSeq: 1 NOTIFY\r\nContent-Length: 0\r\n\r\n"
)


@pytest.mark.parametrize(
    "data",
    [
        ANSWER,
        ANSWER.replace(b"Via", b"v"),
        ANSWER.replace(b"\r\n", b"\n"),
        ANSWER.replace(b";branch", b"\r\n ; Branch"),
        ANSWER.replace(b"Via:", b"vIA :").replace(b"CSeq: 1 ", b"CSEQ:1\t"),
        ANSWER.replace(b"\r\nCSeq", b"\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKother\r\nCSeq"),
        ANSWER.replace(b"\r\nCSeq", b", SIP/2.0/UDP x;branch=z9hG4bKother\r\nCSeq"),
        ANSWER + b"body",
        b"\xff\xff".join([ANSWER[:-4], b"\r\n\r\n"]),
    ],
)
def test_an_answer_is_read_however_it_is_written(data):
    assert parse_response(data) == Response(200, "OK", "z9hG4bK77", "NOTIFY")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0\0",
        b"OPTIONS sip:provd@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP x;branch=z9hG4bK1\r\nCSeq: 1 OPTIONS\r\n\r\n",
        ANSWER.replace(b"200", b"700"),
        ANSWER.replace(b"branch", b"brunch"),
        ANSWER.replace(b"CSeq", b"XSeq"),
    ],
)
def test_what_is_no_answer_of_ours_is_an_error(data):
    with pytest.raises(PacketError):
        parse_response(data)


@given(st.binary(max_size=60), st.integers(0, len(ANSWER)), st.integers(0, len(ANSWER)))
def test_any_bytes_give_a_response_or_our_error(noise, start, end):
    for data in (noise, ANSWER[:start] + noise + ANSWER[end:]):
        try:
            parsed = parse_response(data)
        except PacketError:
            continue
        assert 100 <= parsed.status < 700
