"""Files as settings: what `provd-plugin compare` reads."""

from provd.plugin.compare import read_settings


def test_lines_of_set_are_a_name_and_a_value():
    content = b'## J179\nSET SIP_USER_ID "1001"\nSET L2Q 1\nSET LIST "h:5060;transport=udp"\n'
    assert read_settings(content) == {
        "SIP_USER_ID": "1001",
        "L2Q": "1",
        "LIST": "h:5060;transport=udp",
    }
