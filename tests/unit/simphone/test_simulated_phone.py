import ipaddress
import random
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provd.errors import InvalidParameter
from provd.simphone import phone as phone_module
from provd.simphone.models import find_model
from provd.simphone.phone import (
    MacPool,
    Phone,
    Target,
    consecutive_macs,
    fleet_address,
    parse_mac,
)


@pytest.mark.parametrize(
    "text", ["00:15:65:AB:cd:01", "00-15-65-ab-cd-01", "001565abcd01", "0015.65ab.cd01"]
)
def test_a_mac_is_read_in_every_usual_spelling(text):
    assert parse_mac(text) == "00:15:65:ab:cd:01"


@pytest.mark.parametrize("text", ["", "00:15:65", "00:15:65:ab:cd:0g", "00:15:65:ab:cd:01:02"])
def test_what_is_no_mac_is_refused(text):
    with pytest.raises(InvalidParameter):
        parse_mac(text)


def test_a_pool_gives_each_mac_once_and_inside_the_range(monkeypatch):
    monkeypatch.setattr(phone_module, "MACS_PER_OUI", 50)
    pool = MacPool(random.Random(1))
    macs = [pool.take(("00:15:65", "80:5e:c0")) for _ in range(100)]
    assert len(set(macs)) == 100
    assert {mac[:8] for mac in macs} == {"00:15:65", "80:5e:c0"}
    with pytest.raises(InvalidParameter, match="are used"):
        pool.take(("00:15:65", "80:5e:c0"))
    assert pool.take(("0c:38:3e",)).startswith("0c:38:3e:00:00:")


def test_a_seed_gives_the_same_macs_again():
    first, second = (MacPool(random.Random(7)) for _ in range(2))
    assert [first.take(("00:15:65",)) for _ in range(5)] == [
        second.take(("00:15:65",)) for _ in range(5)
    ]


def test_consecutive_macs_carry_over_and_end_with_the_last_one():
    macs = consecutive_macs("00:15:65:00:00:ff")
    assert [next(macs), next(macs)] == ["00:15:65:00:00:ff", "00:15:65:00:01:00"]
    last = consecutive_macs("ff:ff:ff:ff:ff:ff")
    next(last)
    with pytest.raises(InvalidParameter):
        next(last)


@given(st.integers(0, 254 * 256 * 254 - 1), st.sampled_from([10, 127]))
def test_each_phone_has_a_host_address_of_the_network(index, network):
    address = ipaddress.ip_address(fleet_address(network, index))
    assert address in ipaddress.ip_network(f"{network}.0.0.0/8")
    assert address.packed[3] not in {0, 255}
    top, middle, low = address.packed[1:]
    assert (top - 1) * 256 * 254 + middle * 254 + low - 1 == index


def test_addresses_run_out_with_an_error_and_not_with_a_wrong_address():
    with pytest.raises(InvalidParameter):
        fleet_address(10, 254 * 256 * 254)


def test_the_newest_known_version_is_the_default():
    phone = Phone(find_model("yealink", "T46S"), mac="00-15-65-12-34-56")
    assert phone.firmware == "66.86.0.15"
    assert phone.user_agent == "Yealink SIP-T46S 66.86.0.15 00:15:65:12:34:56"


def test_a_soft_phone_posts_a_uuid_made_from_its_mac():
    [planned] = Phone(find_model("jitsi", "jitsi"), mac="020000000001").steps()
    assert planned.form == "uuid=00000000-0000-0000-0000-020000000001"


def test_a_target_is_read_from_a_url():
    target = Target.from_url("http://127.0.0.1:8667/device/provisioning/")
    assert (target.protocol, target.address, target.port) == ("http", "127.0.0.1", 8667)
    assert target.prefix == "/device/provisioning"
    assert target.family is socket.AF_INET
    assert target.is_loopback
    assert str(target) == "http://127.0.0.1:8667/device/provisioning"


def test_ports_have_their_usual_defaults():
    ports = {url: Target.from_url(f"{url}://127.0.0.1").port for url in ("http", "https", "tftp")}
    assert ports == {"http": 80, "https": 443, "tftp": 69}


def test_a_target_beyond_the_loopback_gives_no_addresses_to_phones():
    assert not Target.from_url("http://192.0.2.1").is_loopback
    assert not Target.from_url("http://[::1]:80").is_loopback
    assert str(Target.from_url("http://[::1]:80")) == "http://[::1]:80"


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8667",
        "ftp://127.0.0.1",
        "http://",
        "http://127.0.0.1:99999",
        "http://127.0.0.1/?a=b",
        "http://user@127.0.0.1/",
        "http://no such host/",
    ],
)
def test_a_url_that_names_no_server_is_refused(url):
    with pytest.raises(InvalidParameter):
        Target.from_url(url)


def test_the_provisioning_key_is_not_shown():
    target = Target("http", "h", 80, "127.0.0.1", key="s3cret-key")
    assert "s3cret" not in f"{target} {target!r}"
