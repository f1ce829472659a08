from hypothesis import given
from hypothesis import strategies as st

from provd.dhcp import message
from provd.errors import InvalidDocument
from provd.model.dhcpinfo import DhcpInfo

ips = st.ip_addresses(v=4).map(str)
macs = st.binary(min_size=6, max_size=6).map(lambda raw: raw.hex(":"))
values = st.binary(max_size=60).map(lambda raw: raw.decode("latin-1"))
options = st.dictionaries(st.integers(0, 255), values, max_size=5)
events = st.one_of(
    st.builds(DhcpInfo, st.just("commit"), ips, macs, options),
    st.builds(DhcpInfo, st.sampled_from(["expiry", "release"]), ips),
)
words = st.sampled_from(
    ["commit", "expiry", "10.0.0.9", "0:11:22:a:b:c", "06059.65", "060", "\xe9", "", "999"]
)
datagrams = st.one_of(
    st.binary(max_size=2100),
    st.lists(words | st.text(max_size=8), max_size=6).map(lambda some: "\n".join(some).encode()),
)


@given(datagrams)
def test_any_bytes_give_an_event_or_invalid_document(datagram):
    try:
        info = message.parse(datagram)
    except InvalidDocument:
        return
    assert message.parse(message.build(info)) == info


@given(events)
def test_an_event_survives_building_and_parsing(info):
    assert message.parse(message.build(info)) == info
