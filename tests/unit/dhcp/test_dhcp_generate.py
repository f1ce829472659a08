"""Configuration of the three servers: golden files, which the servers' own checkers accept.

`PROVD_GOLDEN=write` writes the files anew.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from provd.dhcp.generate import Network, Site, generate, kea_vendor_classes
from provd.dhcp.rules import every_rule, parse_rule
from provd.errors import InvalidParameter

GOLDEN = Path(__file__).parent / "golden"
SERVERS = ("dhcpd", "kea", "dnsmasq")
PACKAGES = {"dhcpd": "isc-dhcp-server", "kea": "kea-dhcp4-server", "dnsmasq": "dnsmasq-base"}
# Together these use every kind of comparison and of option.
CHOSEN = {
    "aastra-class",
    "aastra-oui",
    "alcatel-noe",
    "avaya-j100",
    "cisco-7920",
    "cisco-mpp",
    "fanvil",
    "polycom",
    "snom-oui",
    "technicolor-st2022",
    "yealink",
}
NETWORK = Network.parse("192.0.2.0/24", "192.0.2.100-192.0.2.199", "192.0.2.1")
SITE = Site(
    "http://192.0.2.9:8667",
    "192.0.2.9",
    "192.0.2.53",
    NETWORK,
    3600,
    "/usr/local/sbin/provd-dhcp-hook",
)


def checked(server, text, directory):
    """Give what the server's own check says of a configuration."""
    path = directory / "config"
    path.write_text(text)
    program = {"dhcpd": "dhcpd", "kea": "kea-dhcp4", "dnsmasq": "dnsmasq"}[server]
    if shutil.which(program) is None:
        assert not os.environ.get("CI"), f"apt-get install {PACKAGES[server]}"
        pytest.skip(f"apt-get install {PACKAGES[server]}")
    (directory / "leases").touch()
    commands = {
        "dhcpd": ["dhcpd", "-t", "-cf", str(path), "-lf", str(directory / "leases")],
        "kea": ["kea-dhcp4", "-t", str(path)],
        "dnsmasq": ["dnsmasq", "--test", "-C", str(path)],
    }
    places = ("KEA_PIDFILE_DIR", "KEA_LOCKFILE_DIR", "KEA_DHCP_DATA_DIR")
    environment = os.environ | dict.fromkeys(places, str(directory))
    return subprocess.run(
        commands[server], capture_output=True, text=True, env=environment, check=False, timeout=60
    )


@pytest.mark.parametrize("server", SERVERS)
def test_configuration_is_the_golden_one(server):
    text = generate(server, [rule for rule in every_rule() if rule.name in CHOSEN], SITE)
    path = GOLDEN / server
    if os.environ.get("PROVD_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("server", SERVERS)
def test_the_server_accepts_everything_we_know(server, tmp_path):
    text = generate(server, every_rule(), SITE)
    result = checked(server, text, tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("server", SERVERS)
def test_the_server_accepts_the_oddest_characters_of_a_rule(server, tmp_path):
    odd = "".join(map(chr, range(32, 127))).translate({ord('"'): None, ord("\\"): None})
    plain = odd.translate({ord(mark): None for mark in "{},"})
    rule = {
        "name": "odd",
        "vendor_class": {"exact": [odd, f"{odd}\0"], "prefix": [odd], "suffix": [plain]},
        "user_class": [plain],
        "ouis": ["00:11:22"],
        "ouis_unless": [odd],
        "options": {
            "66": plain,
            "43.2": f"{plain},",
            "43.3": "0x0001",
            "159": plain,
            "242": f"{plain},b",
        },
    }
    result = checked(server, generate(server, [parse_rule(rule)], SITE), tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("server", SERVERS)
def test_without_network_and_hook_only_what_concerns_phones_is_written(server):
    text = generate(server, every_rule(), Site("http://192.0.2.9", "192.0.2.9"))
    for word in ("range", "subnet {", "subnet4", "hook", "execute", "dhcp-script"):
        assert word not in text


def test_dhcpd_tells_its_hook_of_the_socket_and_the_others_say_that_they_cannot():
    site = Site("http://192.0.2.9", "192.0.2.9", hook="/sbin/hook", socket="/run/x.sock")
    assert 'execute("/sbin/hook", "--socket", "/run/x.sock", "commit"' in generate(
        "dhcpd", every_rule(), site
    )
    for server in ("kea", "dnsmasq"):
        with pytest.raises(InvalidParameter, match="provd-dhcp hook --socket"):
            generate(server, every_rule(), site)


def test_each_vendor_class_of_kea_has_a_lease_time_and_longer_texts_come_first():
    rules = every_rule()
    classes = kea_vendor_classes(rules, 3600)
    assert list(classes) == list(range(3601, 3601 + len(classes)))
    texts = [text for _, text in classes.values()]
    assert {text for rule in rules for _, text in rule.vendor_classes()} == set(texts)
    assert texts.index("Nortel-SIP") < texts.index("Nortel")
    assert classes == kea_vendor_classes(reversed(rules), 3600)
    written = json.loads(generate("kea", rules, SITE))["Dhcp4"]["client-classes"]
    assert [each["valid-lifetime"] for each in written if "valid-lifetime" in each] == list(classes)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"base_url": "ftp://192.0.2.9"}, "is not a URL"),
        ({"base_url": 'http://192.0.2.9/";'}, "is not a URL"),
        ({"base_url": "http://192.0.2.9:x"}, "is not a URL"),
        ({"base_url": "http://user:secret@192.0.2.9"}, "is not a URL"),
        ({"tftp": "tftp.example"}, "tftp: 'tftp.example' is not an IPv4 address"),
        ({"dns": "::1"}, "dns: '::1' is not an IPv4 address"),
        ({"hook": "hook"}, "plain absolute path"),
        ({"hook": '/a"; b'}, "plain absolute path"),
        ({"socket": "/a b"}, "plain absolute path"),
    ],
)
def test_a_site_that_a_server_would_take_for_something_else_is_refused(values, reason):
    with pytest.raises(InvalidParameter, match=reason):
        Site(**{"base_url": "http://192.0.2.9", "tftp": "192.0.2.9", **values})


def test_values_are_made_of_the_site():
    site = Site("https://provd.example/k3y$~.-/", "192.0.2.9")
    template = "{base_url} {host} {port} {tftp} {dns}"
    assert site.value(template) == (
        "https://provd.example/k3y$~.- provd.example 443 192.0.2.9 192.0.2.9"
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("192.0.2.0/33", "192.0.2.1-192.0.2.2"), "a subnet is such as"),
        (("192.0.2.7/24", "192.0.2.1-192.0.2.2"), "a subnet is such as"),
        (("192.0.2.0/24", "192.0.2.1"), "a subnet is such as"),
        (("192.0.2.0/24", "192.0.2.9-192.0.2.2"), "does not lie in"),
        (("192.0.2.0/24", "192.0.2.9-192.0.3.2"), "does not lie in"),
        (("192.0.2.0/24", "192.0.2.1-192.0.2.2", "192.0.3.1"), "the router"),
    ],
)
def test_a_network_that_cannot_be_is_refused(arguments, reason):
    with pytest.raises(InvalidParameter, match=reason):
        Network.parse(*arguments)
