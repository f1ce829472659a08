"""The address of a client behind proxies (contract: request processing §2.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import ClientAddressError
from provd.http.address import forwarded_address

ADDRESSES = st.ip_addresses(v=4).map(str)


@pytest.mark.parametrize(
    ("values", "trusted", "expected"),
    [
        ([b"10.0.0.7"], 1, "10.0.0.7"),
        ([b"evil, 10.0.0.7, 192.0.2.1"], 2, "10.0.0.7"),
        ([b"1.1.1.1, 10.0.0.7"], 1, "10.0.0.7"),
        ([b"1.1.1.1,10.0.0.7"], 2, "1.1.1.1"),
        ([b" 10.0.0.7 \t"], 1, "10.0.0.7"),
        ([b"1.1.1.1", b"2.2.2.2, 3.3.3.3"], 1, "3.3.3.3"),
        ([b"1.1.1.1", b"2.2.2.2, 3.3.3.3"], 3, "1.1.1.1"),
    ],
)
def test_of_the_last_entries_the_first_is_the_client(values, trusted, expected):
    assert forwarded_address(values, trusted) == expected


@pytest.mark.parametrize(
    ("values", "trusted"),
    [
        (None, 1),
        ([], 1),
        ([b""], 1),
        ([b" , "], 1),
        ([b"10.0.0.7"], 2),
        ([b"10.0.0.7,"], 1),
        ([b"evil"], 1),
        ([b"::1"], 1),
        ([b"::ffff:10.0.0.7"], 1),
        ([b"10.0.0.7:80"], 1),
        ([b"010.0.0.7"], 1),
        ([b"10.0.0"], 1),
        ([b"\xff\xfe"], 1),
    ],
)
def test_anything_else_is_refused(values, trusted):
    with pytest.raises(ClientAddressError):
        forwarded_address(values, trusted)


@given(st.lists(ADDRESSES, min_size=1, max_size=6), st.integers(1, 6), st.data())
def test_what_a_client_writes_before_the_proxies_never_matters(entries, trusted, data):
    lines = []
    rest = list(entries)
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        lines.append(", ".join(rest[:cut]).encode())
        rest = rest[cut:]
    forged = data.draw(st.lists(st.text("abc.,: 0123456789").map(str.encode), max_size=3))
    if len(entries) < trusted:
        with pytest.raises(ClientAddressError):
            forwarded_address(lines, trusted)
    else:
        assert forwarded_address([*forged, *lines], trusted) == entries[-trusted]


@given(st.lists(st.binary(max_size=30), max_size=4), st.integers(1, 4))
def test_any_bytes_give_an_address_or_the_error(values, trusted):
    try:
        address = forwarded_address(values, trusted)
    except ClientAddressError:
        return
    assert [str(int(part)) for part in address.split(".")] == address.split(".")
