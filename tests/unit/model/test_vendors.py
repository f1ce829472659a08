import pytest

from provd.model.vendors import canonical_vendor, is_contradicted, vendors_of_agent

SNOM = "Mozilla/4.0 (compatible; snom870-SIP 8.4.35 SPEAr300 SNOM 1.4)"


@pytest.mark.parametrize(
    ("vendor", "agent", "mac", "contradicted"),
    [
        ("Cisco", SNOM, "00:04:13:87:00:01", True),
        ("Snom", SNOM, "00:04:13:87:00:01", False),
        ("Cisco", "curl/8", "00:04:13:87:00:01", True),  # by the address alone
        ("Gigaset", None, "00:04:13:87:00:01", False),  # two vendors share it
        ("Cisco", None, "aa:bb:cc:00:00:01", False),  # nobody knows that address
        ("Cisco", "Linksys/SPA942-6.1.5(a)", "00:04:13:87:00:01", False),  # the word goes first
        ("Mitel", "Aastra6731i MAC:00-08-5D-23-74-29", None, False),
        ("Alcatel-Lucent", "ALE 8028s-GE 1.51", "48:7a:55:02:30:75", False),
        ("Acme", SNOM, "00:04:13:87:00:01", False),  # a vendor that we do not know
        ("Cisco", None, None, False),
    ],
)
def test_a_claim_is_weighed_against_the_user_agent_then_the_address(
    vendor, agent, mac, contradicted
):
    assert is_contradicted(vendor, agent, mac) is contradicted


def test_vendors_have_one_name():
    assert canonical_vendor("Thomson") == canonical_vendor("Technicolor") == "technicolor"
    assert canonical_vendor("Acme") is None
    assert vendors_of_agent("Cisco-CP-8851 via Yealink") == {"cisco", "yealink"}
