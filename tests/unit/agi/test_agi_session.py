"""A FastAGI session: bytes as Asterisk sends them, in whatever pieces they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.agi.call import call_arguments
from provd.agi.protocol import (
    MAX_LINE,
    MAX_VARIABLES,
    AgiSession,
    HungUp,
    Reply,
    Started,
    format_command,
)
from provd.errors import InvalidDocument, PacketError

CALL = (
    b"agi_network: yes\n"
    b"agi_network_script: provision\n"
    b"agi_request: agi://127.0.0.1:4573/provision\n"
    b"agi_channel: PJSIP/ap12345678-00000003\n"
    b"agi_language: en\n"
    b"agi_type: PJSIP\n"
    b"agi_uniqueid: 1700000000.7\n"
    b"agi_version: 18.10.0~dfsg+~cs6.10.40431411-2\n"
    b"agi_callerid: unknown\n"
    b"agi_calleridname: unknown\n"
    b"agi_callingpres: 0\n"
    b"agi_callingani2: 0\n"
    b"agi_callington: 0\n"
    b"agi_callingtns: 0\n"
    b"agi_dnid: *771234\n"
    b"agi_rdnis: unknown\n"
    b"agi_context: provisioning\n"
    b"agi_extension: *771234\n"
    b"agi_priority: 3\n"
    b"agi_enhanced: 0.0\n"
    b"agi_accountcode: \n"
    b"agi_threadid: 139912345678592\n"
    b"agi_arg_1: 1234\n"
    b"agi_arg_2: 10.0.0.9:5060\n"
    b"\n"
)
REPLIES = b"200 result=1\n200 result=1 (a (b) c)\n100 result=0 Trying...\nHANGUP\n511 Command Not Permitted on a dead channel or intercept routine\n"


def started():
    session = AgiSession()
    session.receive(CALL)
    return session


def test_the_variables_of_a_call_are_complete_at_the_empty_line():
    session = AgiSession()
    assert session.receive(CALL[:-1]) == []
    (start,) = session.receive(b"\n")
    assert start.variables["agi_arg_2"] == "10.0.0.9:5060"
    assert start.variables["agi_accountcode"] == ""
    assert len(start.variables) == CALL.count(b"\n") - 1


def test_answers_to_commands_are_read():
    assert started().receive(REPLIES) == [
        Reply(200, "result=1", "1", ""),
        Reply(200, "result=1 (a (b) c)", "1", "a (b) c"),
        HungUp(),
        Reply(511, "Command Not Permitted on a dead channel or intercept routine", "", ""),
    ]


def test_help_after_a_wrong_use_is_one_answer():
    lines = (
        b"520-Invalid command syntax.  Proper usage follows:\n Usage: SET VARIABLE <name> <value>\n"
        b"HANGUP\n520 End of proper usage.\n510 Invalid or unknown command\n"
    )
    assert [reply.code for reply in started().receive(lines)] == [520, 510]


@pytest.mark.parametrize(
    ("line", "success"),
    [
        (b"200 result=1", True),
        (b"200 result=0 endpos=1234", True),
        (b"200 result=-1", False),
        (b"510 Invalid or unknown command", False),
        (b"511 Command Not Permitted on a dead channel or intercept routine", False),
    ],
)
def test_only_a_result_that_is_not_minus_one_is_success(line, success):
    (reply,) = started().receive(line + b"\n")
    assert reply.is_success is success


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"agi_network: yes\n\n",
        b"\n",
        b"\x16\x03\x01\x02\x00\x01\n",
        b"x" * (MAX_LINE + 1),
        b"agi_network: " + b"x" * MAX_LINE + b"\n",
        b"".join(b"agi_arg_%d: x\n" % number for number in range(MAX_VARIABLES + 1)),
        CALL + b"agi_arg_1: x\n",
        CALL + b"600 what\n",
    ],
)
def test_what_is_no_agi_is_an_error(data):
    with pytest.raises(PacketError, match="AGI"):
        AgiSession().receive(data)


@given(st.lists(st.integers(0, len(CALL + REPLIES)), max_size=8))
def test_pieces_make_no_difference(cuts):
    script = CALL + REPLIES
    session, happened, start = AgiSession(), [], 0
    for cut in [*sorted(cuts), len(script)]:
        happened += session.receive(script[start:cut])
        start = cut
    assert happened == AgiSession().receive(script)
    assert len(happened) == 5


LINES = st.sampled_from(
    [*CALL.splitlines(keepends=True), *REPLIES.splitlines(keepends=True), b"520-x\n"]
)


@given(st.booleans(), st.lists(LINES | st.binary(max_size=20), max_size=20))
def test_any_bytes_give_events_or_our_error(begun, pieces):
    session = started() if begun else AgiSession()
    try:
        for piece in pieces:
            for event in session.receive(piece):
                assert isinstance(event, (Started, Reply, HungUp))
    except PacketError:
        pass


def test_a_command_is_one_line_with_its_words_in_quotes():
    assert (
        format_command("SET VARIABLE", "A", 'x "y" \\z') == b'SET VARIABLE "A" "x \\"y\\" \\\\z"\n'
    )
    assert format_command("ANSWER") == b"ANSWER\n"


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "\0", "\ud800", "x" * 3000])
def test_a_word_that_cannot_be_sent_is_an_error(bad):
    with pytest.raises(ValueError, match="AGI command"):
        format_command("SET VARIABLE", "A", bad)


# What a call asks for


def arguments(url, *args):
    variables = {"agi_request": url}
    variables.update({f"agi_arg_{number}": arg for number, arg in enumerate(args, start=1)})
    found = call_arguments(variables)
    return {name: found.get(name) for name in ("code", "ip", "mac")}


@pytest.mark.parametrize(
    ("url", "args", "expected"),
    [
        ("agi://h/provision", ("1234", "10.0.0.9:5060"), ("1234", "10.0.0.9", None)),
        ("agi://h:4573/provision/", ("1234", "10.0.0.9"), ("1234", "10.0.0.9", None)),
        ("agi://h/provision", ("1234", "", "001122AABBCC"), ("1234", None, "00:11:22:aa:bb:cc")),
        ("agi://h/provision?code=1234&ip=10.0.0.9", (), ("1234", "10.0.0.9", None)),
        ("agi://h/provision?code=1234", ("99", "10.0.0.9:5060"), ("1234", "10.0.0.9", None)),
        ("agi://h/provision", ("1234", "[fd00::9]:5060"), ("1234", "fd00::9", None)),
        ("agi://h/provision", ("1234", "fd00::9"), ("1234", "fd00::9", None)),
        ("agi://h/provision", (" ", "phone.example.org:5060", "xx"), (None, None, None)),
        ("agi://h/provision", ("1234", "10.0.0.9:5060:1"), ("1234", None, None)),
        ("agi://h/provision", (), (None, None, None)),
    ],
)
def test_arguments_come_from_the_url_or_after_it(url, args, expected):
    assert tuple(arguments(url, *args).values()) == expected


@pytest.mark.parametrize("url", ["agi://h/", "agi://h/other", "agi://[x/provision", "provisio", ""])
def test_another_script_is_an_error(url):
    with pytest.raises(InvalidDocument):
        arguments(url)


@given(st.text(), st.text(), st.text())
def test_any_arguments_give_usable_ones_or_our_error(url, code, ip):
    try:
        found = arguments(f"agi://h/provision{url}", code, ip)
    except InvalidDocument:
        return
    assert found["code"] != ""
