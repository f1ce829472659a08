"""Which contact is a phone's."""

import pytest

from provd.errors import SynchronizeError
from provd.notify.contacts import Contact, choose_contact, find_mac, parse_contacts
from provd.notify.interface import Phone

MAC = "00:04:13:aa:bb:cc"


def contact(account="a", uri="sip:a@10.0.0.9:5060", via="10.0.0.9", port=5060, agent="phone"):
    return Contact(account, uri, via, port, agent)


@pytest.mark.parametrize(
    ("text", "mac"),
    [
        ("snomD785/10.1.1.1 000413AABBCC", "000413aabbcc"),
        ("Yealink SIP-T46S 66.86.0.15 00:15:65:aa:bb:cc", "001565aabbcc"),
        ("Yealink SIP-T46S 66.86.0.15", None),
        ("build 0123456789abcdef", None),
        ("01:00:5e:00:00:01", None),
        ("", None),
    ],
)
def test_a_mac_is_found_in_a_user_agent(text, mac):
    assert find_mac(text) == mac


def test_contacts_are_read_from_a_list():
    item = {"event": "ContactList", "objectname": "bob;@0f", "uri": "sip:bob@[::1]:5070;x=y"}
    (found,) = parse_contacts([item, {"event": "Other"}])
    assert (found.account, found.host, found.ports) == ("bob", "::1", frozenset({5070}))


@pytest.mark.parametrize(
    ("phone", "chosen"),
    [
        (Phone("a", "10.0.0.9", MAC), 1),
        (Phone("a", "10.0.0.9", "02:00:00:00:00:01", port=5070), 0),
        (Phone("a", "10.0.0.8", MAC), 1),
        (Phone("b", "10.0.0.9"), 2),
        (Phone("b"), 2),
        (Phone(None, "10.0.0.7"), 2),
    ],
)
def test_account_then_mac_then_port_choose(phone, chosen):
    contacts = [
        contact(uri="sip:a@10.0.0.9:5070", port=5070),
        contact(uri="sip:a@10.0.0.9:5072", port=5072, agent="snom 000413aabbcc"),
        contact("b", "sip:b@10.0.0.9:5060", "10.0.0.7"),
    ]
    assert choose_contact(contacts, phone) is contacts[chosen]


@pytest.mark.parametrize(
    ("phone", "reason"),
    [
        (Phone("z"), "no registered contact"),
        (Phone("a", "10.0.0.8"), "but from 10.0.0.9"),
        (Phone("a", "10.0.0.9", rivals=("x",)), "2 devices may be at 10.0.0.9"),
        (Phone("a", "10.0.0.9", port=9), "from 10.0.0.9 port 9"),
        (Phone("a", is_shared=True), "its address is not known"),
        (Phone("c", "10.0.0.9", MAC), "other MACs"),
        (Phone(None, "10.0.0.9"), "has 2 contacts"),
    ],
)
def test_what_is_not_known_to_be_the_phones_is_not_chosen(phone, reason):
    other = contact("c", "sip:c@10.0.0.9:5080", agent="snom 000413000001")
    with pytest.raises(SynchronizeError, match=reason):
        choose_contact([contact(), other], phone)
