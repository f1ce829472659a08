import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import RawConfigParamError
from provd.plugin.phones.keys import KeyGroup, keys_of, slots_of
from provd.plugin.phones.sip import SipCodes, accounts_of
from provd.plugin.phones.values import Notes

CODES = {"speeddial": "dial", "blf": "watch", "park": False, "line": "line"}
SIP_CODES = SipCodes({"udp": 0}, {}, {"disabled": 0})
GROUPS = (KeyGroup("line", 3, "key.{}"), KeyGroup("memory", 2, "memory.{}"))
SLOTS = slots_of(GROUPS, 2, 2, "module.{}.{}")


def accounts(*numbers):
    lines = {str(n): {"proxy_ip": "p", "username": f"u{n}"} for n in numbers}
    return accounts_of({"sip_lines": lines}, None, SIP_CODES, Notes())


def place(funckeys, lines=(), line_slots=3, **shared):
    notes = Notes()
    raw_config = {"funckeys": funckeys, **shared}
    used, free = keys_of(raw_config, SLOTS, CODES, accounts(*lines), line_slots, notes)
    return used, free, notes.texts


def test_slots_are_numbered_through_groups_and_modules():
    assert [slot.name for slot in SLOTS] == [
        "key.1",
        "key.2",
        "key.3",
        "memory.1",
        "memory.2",
        "module.1.1",
        "module.1.2",
        "module.2.1",
        "module.2.2",
    ]
    assert [slot.module for slot in SLOTS] == [None] * 5 + [1, 1, 2, 2]
    assert [slot.group for slot in SLOTS[3:6]] == ["memory", "memory", "module"]


def test_first_number_may_be_another():
    slots = slots_of((KeyGroup("line", 2, "k{}", 0),), 1, 2, "m{}.{}", 0)
    assert [slot.name for slot in slots] == ["k0", "k1", "m1.0", "m1.1"]


def test_keys_take_their_slots_and_lines_those_of_their_numbers():
    used, free, notes = place(
        {
            "2": {"type": "blf", "value": "1002", "label": "Bob", "line": 2},
            "6": {"type": "speeddial", "value": "3"},
        },
        lines=(1, 2, 3, 4),
        exten_pickup_call="*8",
    )
    found = [(key.name, key.code, key.line, key.value, key.label, key.pickup) for key in used]
    assert found == [
        ("key.1", "line", 1, "u1", "u1", None),
        ("key.2", "watch", 2, "1002", "Bob", "*8"),
        ("key.3", "line", 3, "u3", "u3", None),
        ("module.1.1", "dial", 1, "3", "3", None),
    ]
    assert [slot.name for slot in free] == [
        "memory.1",
        "memory.2",
        "module.1.2",
        "module.2.1",
        "module.2.2",
    ]
    assert notes == []


def test_keys_beyond_the_phone_and_of_a_type_it_lacks_are_left_out_and_noted():
    used, free, notes = place(
        {
            "1": {"type": "park", "value": "700"},
            "10": {"type": "blf", "value": "1"},
            "999999999999": {"type": "blf", "value": "1"},
        }
    )
    assert used == []
    assert len(free) == len(SLOTS)
    assert notes == [
        "function key 1 is left out: the phone has no park key",
        "function keys 10, 999999999999 are left out: the phone has 9",
    ]


def test_a_long_list_of_keys_that_are_left_out_is_cut():
    _, _, [note] = place({str(n): {"type": "blf"} for n in range(10, 60)})
    assert ", 29, … are left out" in note


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ({}, "funckeys.1.type: required"),
        ({"type": "intercom"}, "funckeys.1.type: 'intercom' is not known to this phone"),
        ({"type": "blf", "line": "x"}, "funckeys.1.line: 'x' is not a number"),
        ({"type": "blf", "line": "9" * 5000}, "funckeys.1.line: "),
    ],
)
def test_key_that_cannot_be_is_refused_with_its_place(key, message):
    with pytest.raises(RawConfigParamError) as caught:
        place({"1": key})
    assert str(caught.value).startswith(message)


@given(
    funckeys=st.dictionaries(
        st.integers(1, 20).map(str),
        st.fixed_dictionaries(
            {"type": st.sampled_from(["speeddial", "blf", "park"]), "value": st.text()},
            optional={"line": st.integers(1, 9), "label": st.text()},
        ),
    ),
    lines=st.sets(st.integers(1, 12)),
    line_slots=st.integers(0, 12),
)
def test_every_slot_is_used_or_free_once_and_no_key_is_lost(funckeys, lines, line_slots):
    used, free, notes = place(funckeys, lines, line_slots)
    names = [key.name for key in used] + [slot.name for slot in free]
    assert sorted(names) == sorted(slot.name for slot in SLOTS)
    assert [key.number for key in used] == sorted({key.number for key in used})
    for number, document in funckeys.items():
        if int(number) > len(SLOTS):
            assert any("are left out" in note for note in notes)
        elif document["type"] == "park":
            assert f"function key {number} is left out: the phone has no park key" in notes
        else:
            [key] = [key for key in used if key.number == int(number)]
            assert (key.type, key.value) == (document["type"], document["value"])
            assert key.slot is SLOTS[int(number) - 1]
    for number in lines:
        if number <= min(line_slots, len(SLOTS)) and str(number) not in funckeys:
            assert [key.type for key in used if key.number == number] == ["line"]
