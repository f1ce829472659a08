"""An AMI session: what follows from each block, in whatever pieces it comes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import PacketError, SynchronizeError
from provd.notify.amiprotocol import (
    MAX_BLOCK,
    MAX_LINES,
    AmiSession,
    Answered,
    LoggedIn,
    Refused,
    Send,
    format_action,
    format_variable,
)

BANNER = b"Asterisk Call Manager/5.0.5\r\n"
CHALLENGE = b"Response: Success\r\nActionID: provd-1\r\nChallenge: 840415273\r\n\r\n"
ACCEPTED = b"Response: Success\r\nActionID: provd-2\r\nMessage: Authentication accepted\r\n\r\n"
BOOTED = b"Event: FullyBooted\r\nPrivilege: system,all\r\nStatus: Fully Booted\r\n\r\n"


def ready():
    session = AmiSession("provd", "secret")
    assert session.receive(BANNER + CHALLENGE + ACCEPTED)[-1] == LoggedIn()
    return session


def test_a_login_proves_the_secret_without_sending_it():
    session = AmiSession("provd", "secret")
    (challenge,) = session.receive(BANNER)
    assert challenge == Send(b"Action: Challenge\r\nActionID: provd-1\r\nAuthType: MD5\r\n\r\n")
    (login,) = session.receive(CHALLENGE)
    key = hashlib.md5(b"840415273secret").hexdigest()
    assert login.data.decode().split("\r\n") == [
        "Action: Login",
        "ActionID: provd-2",
        "Username: provd",
        "AuthType: MD5",
        f"Key: {key}",
        "Events: off",
        "",
        "",
    ]
    assert not session.is_ready
    assert session.receive(ACCEPTED) == [LoggedIn()]
    assert session.is_ready


def test_a_plain_login_sends_the_secret_at_once():
    session = AmiSession("provd", "s e=c:ret", "plain")
    (login,) = session.receive(BANNER)
    assert login.data == (
        b"Action: Login\r\nActionID: provd-1\r\nUsername: provd\r\nSecret: s e=c:ret\r\n"
        b"Events: off\r\n\r\n"
    )


@pytest.mark.parametrize("before", [BANNER, BANNER + CHALLENGE])
def test_a_refused_login_ends_the_session(before):
    session = AmiSession("provd", "secret")
    session.receive(before)
    number = 2 if before.endswith(CHALLENGE) else 1
    answer = (
        f"Response: Error\r\nActionID: provd-{number}\r\nMessage: Authentication failed\r\n\r\n"
    )
    assert session.receive(answer.encode()) == [Refused("Authentication failed")]
    assert session.receive(CHALLENGE + ACCEPTED) == []
    assert not session.is_ready


def test_a_secret_that_cannot_be_sent_is_refused_and_not_told():
    (refused,) = AmiSession("provd", "s3cret\r\nAction: Logoff", "plain").receive(BANNER)
    assert "Secret" in refused.reason
    assert "s3cret" not in refused.reason


@pytest.mark.parametrize(
    "first", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"x" * 300]
)
def test_another_kind_of_server_is_an_error(first):
    with pytest.raises(PacketError, match="AMI"):
        AmiSession("provd", "secret").receive(first)


def test_a_challenge_without_challenge_is_an_error():
    session = AmiSession("provd", "secret")
    session.receive(BANNER)
    with pytest.raises(PacketError, match="no challenge"):
        session.receive(b"Response: Success\r\nActionID: provd-1\r\n\r\n")


def test_answers_belong_to_actions_by_id_in_any_order():
    session = ready()
    first, _ = session.action("Ping")
    second, _ = session.action("Ping")
    answers = [
        f"Response: Success\r\nActionID: {name}\r\nPing: Pong\r\n\r\n" for name in (second, first)
    ]
    happened = session.receive("".join(answers).encode())
    assert [answer.action_id for answer in happened] == [second, first]


def test_events_and_answers_to_nobody_are_passed_over():
    session = ready()
    wanted, _ = session.action("Ping")
    late, _ = session.action("Ping")
    session.forget(late)
    event = f"Event: PeerStatus\r\nActionID: {wanted}\r\nResponse: Success\r\n\r\n".encode()
    nobody = b"Response: Success\r\nMessage: without id\r\n\r\n"
    too_late = f"Response: Success\r\nActionID: {late}\r\n\r\n".encode()
    assert session.receive(BOOTED + event + nobody + too_late + b"\r\n\r\nno colon\r\n\r\n") == []
    answer = f"RESPONSE: success\r\nactionid: {wanted}\r\n\r\n".encode()
    (answered,) = session.receive(answer)
    assert answered.error is None
    assert session.receive(answer) == []


@pytest.mark.parametrize(
    ("block", "error"),
    [
        (
            "Response: Error\r\nMessage: Unable to retrieve endpoint x\r\n",
            "Unable to retrieve endpoint x",
        ),
        ("Response: Error\r\nMessage: Permission denied\r\n", "Permission denied"),
        ("Response: Error\r\n", "Response: Error"),
        ("Response: Goodbye\r\n", "Response: Goodbye"),
        ("Response: Success\r\nMessage: NOTIFY sent\r\n", None),
    ],
)
def test_only_success_is_success(block, error):
    session = ready()
    action_id, _ = session.action("PJSIPNotify")
    (answer,) = session.receive(f"{block}ActionID: {action_id}\r\n\r\n".encode())
    assert isinstance(answer, Answered)
    assert answer.error == error


def test_arguments_are_lines_in_their_order():
    data = format_action(
        "PJSIPNotify", "7", [("Endpoint", "abc"), ("Variable", "a=1"), ("Variable", "b=2")]
    )
    assert data == (
        b"Action: PJSIPNotify\r\nActionID: 7\r\nEndpoint: abc\r\nVariable: a=1\r\nVariable: b=2\r\n\r\n"
    )


@pytest.mark.parametrize("bad", ["a\r\nAction: Originate", "a\nb", "a\rb", "\0", "\x7f", "\ud800"])
def test_a_value_cannot_become_an_action_of_its_own(bad):
    for arguments in ([("Endpoint", bad)], [(bad, "x")]):
        with pytest.raises(SynchronizeError, match="control character"):
            format_action("PJSIPNotify", "1", arguments)


def test_what_asterisk_would_drop_is_not_sent():
    with pytest.raises(SynchronizeError, match="longer"):
        format_action("PJSIPNotify", "1", [("Endpoint", "x" * 1020)])
    with pytest.raises(SynchronizeError, match="lines"):
        format_action("PJSIPNotify", "1", [("Variable", "a=b")] * MAX_LINES)


def as_asterisk_splits(text):
    """Split the value of a Variable line: commas part, quotes and backslashes go."""
    parts, quoted, index = [""], False, 0
    while index < len(text):
        if text[index] == '"':
            quoted = not quoted
        elif text[index] == "\\":
            index += 1
            parts[-1] += text[index]
        elif text[index] == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += text[index]
        index += 1
    return parts


@given(st.text(st.sampled_from('ab\\",=;() '), max_size=20))
def test_asterisk_reads_the_value_that_was_meant(value):
    assert as_asterisk_splits(format_variable("Content", value)) == [f"Content={value}"]


@pytest.mark.parametrize("before", [b"", BANNER, BANNER + CHALLENGE + ACCEPTED])
@pytest.mark.parametrize("flood", [b"x", b"Event: x\r\n"])
def test_a_line_or_block_without_end_is_an_error(before, flood):
    session = AmiSession("provd", "secret")
    session.receive(before)

    def send_much():
        for _ in range(20):
            session.receive(flood * (MAX_BLOCK // 10))

    with pytest.raises(PacketError):
        send_much()


SCRIPT = BANNER + CHALLENGE + BOOTED + ACCEPTED + BOOTED


@given(st.lists(st.integers(0, len(SCRIPT)), max_size=8))
def test_pieces_make_no_difference(cuts):
    whole = AmiSession("provd", "secret").receive(SCRIPT)
    session, happened, start = AmiSession("provd", "secret"), [], 0
    for cut in [*sorted(cuts), len(SCRIPT)]:
        happened += session.receive(SCRIPT[start:cut])
        start = cut
    assert happened == whole
    assert len(whole) == 3


LINES = st.sampled_from([
    b"Response: Success\r\n", b"Response: Error\r\n", b"ActionID: provd-1\r\n", b"Event: x\r\n",
    b"ActionID: provd-2\r\n", b"Challenge: 1\r\n", b"\r\n", b"\n", b":\r\n", b"Message: \xff\r\n",
])  # fmt: skip


@given(st.booleans(), st.lists(LINES | st.binary(max_size=30), max_size=20))
def test_any_bytes_give_events_or_our_error(greeted, pieces):
    session = AmiSession("provd", "secret")
    if greeted:
        session.receive(BANNER)
    try:
        for piece in pieces:
            for event in session.receive(piece):
                assert isinstance(event, (Send, LoggedIn, Refused, Answered))
    except PacketError:
        assert session.receive(BANNER + CHALLENGE + ACCEPTED) == []


def listing(*blocks):
    session = ready()
    action_id, _ = session.action("PJSIPShowContacts")
    text = "".join(f"{block}ActionID: {action_id}\r\n\r\n" for block in blocks)
    return session, session.receive(text.encode())


LIST = "Response: Success\r\nEventList: start\r\n"
ITEM = "Event: ContactList\r\nUri: sip:a@10.0.0.9\r\n"
END = "Event: ContactListComplete\r\nEventList: Complete\r\nListItems: 2\r\n"


def test_a_list_is_answered_as_a_whole():
    _, happened = listing(LIST, ITEM, ITEM, END)
    (answer,) = happened
    assert answer.error is None
    assert [item["uri"] for item in answer.items] == ["sip:a@10.0.0.9"] * 2


def test_a_list_that_is_not_complete_is_no_answer_yet_and_may_be_forgotten():
    session, happened = listing(LIST, ITEM)
    assert happened == []
    session.forget("provd-3")
    assert session.receive(f"{END}ActionID: provd-3\r\n\r\n".encode()) == []


def test_a_list_that_is_broken_off_is_an_error():
    _, (answer,) = listing(LIST, ITEM, "Event: x\r\nEventList: Cancelled\r\n")
    assert answer.error == "the server broke off its list"


def test_a_list_that_is_refused_has_no_items():
    _, (answer,) = listing("Response: Error\r\nMessage: No Contacts found\r\n")
    assert (answer.error, answer.items) == ("No Contacts found", ())


def test_a_list_without_end_is_an_error(monkeypatch):
    monkeypatch.setattr("provd.notify.amiprotocol.MAX_ITEMS", 2)
    with pytest.raises(PacketError, match="more than 2 items"):
        listing(LIST, ITEM, ITEM, ITEM)
