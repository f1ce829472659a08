"""Real DHCP servers with our configuration: a phone asks for an address, and boots from what it got."""

import json
import socket
import time
from pathlib import Path

import pytest

from tests.integration import network
from tests.integration.network import (
    NETWORK,
    SERVER_IP,
    SERVERS,
    boot,
    device_of,
    lease,
    printed,
)

SNOM_ENTRY = """
import re

from provd.plugin.api import DeviceSupport, RenderedFile, RequestType, VendorPlugin, norm_mac

AGENT = re.compile(r"snom(\\\\w+)-SIP (\\\\S+) .* ([0-9A-F]{12})")


class Snom(VendorPlugin):
    IS_PLUGIN = True

    @staticmethod
    def escape(value):
        return str(value)

    def extract(self, request):
        if request.kind is RequestType.DHCP:
            model = request.options.get(60, "")
            if not model.startswith("snom"):
                return None
            return {"vendor": "Snom", "model": model[4:], "mac": norm_mac(request.mac)}
        match = AGENT.search(request.user_agent or "")
        if match is None:
            return None
        model, version, mac = match.groups()
        return {"vendor": "Snom", "model": model, "version": version, "mac": norm_mac(mac)}

    def associate(self, info):
        return DeviceSupport.COMPLETE if info.get("vendor") == "Snom" else DeviceSupport.NONE

    def file_names(self, device):
        mac = device["mac"].replace(":", "").upper()
        return [f"snom{device['model']}-{mac}.htm", f"{mac}.xml"]

    def render(self, device, raw_config):
        user = raw_config["sip_lines"]["1"]["username"]
        return [RenderedFile(name, user.encode()) for name in self.file_names(device)]
""".replace("\\\\", "\\")
SNOM_INFO = {
    "version": "1.0",
    "description": "A plugin that says nothing of DHCP",
    "capabilities": {"Snom, D785, 10.1.54.13": {}},
}


@pytest.fixture(scope="module")
def phones():
    """The two namespaces; gives the name of the phones' one."""
    with network.namespaces() as phones:
        yield phones


@pytest.fixture(scope="module")
def daemon(phones, tmp_path_factory):
    """A daemon that listens to phones and to hooks, with our plugins and one that is not ours."""
    state = tmp_path_factory.mktemp("provd")
    snom = state / "plugins" / "test-snom"
    snom.mkdir(parents=True)
    (snom / "entry.py").write_text(SNOM_ENTRY)
    (snom / "plugin-info").write_text(json.dumps(SNOM_INFO))
    running = network.make_daemon(state)
    yield running.start()
    running.stop()


@pytest.fixture
def run_server(phones, tmp_path):
    """Start a server by its name, with a configuration."""
    with network.servers(tmp_path) as run:
        yield run


@pytest.fixture
def make_server(run_server, daemon, tmp_path, capsys):
    """Start a server by its name, with a hook that tells the daemon."""
    return lambda name: network.make_server(run_server, name, daemon, tmp_path, capsys)


@pytest.mark.parametrize("name", SERVERS)
def test_a_phone_of_a_vendor_with_our_plugin_boots_from_the_url_of_its_lease(
    name, make_server, daemon, phones
):
    server = make_server(name)
    mac = f"00:15:65:d7:00:{SERVERS.index(name):02x}"
    given = lease(server, phones, mac)
    assert given["options"][66].rstrip(b"\0").decode() == f"http://{SERVER_IP}:{daemon.http_port}"
    device = device_of(daemon, server, mac)
    assert device["vendor"] == "Yealink"
    assert device["ip"] == given["ip"]
    assert "model" not in device
    report = boot(phones, given, "yealink", "T46S", mac)
    assert report["ok"] is True
    booted = daemon.device(mac=mac)
    assert booted["id"] == device["id"]
    assert booted["model"] == "T46S"
    assert booted["configured"] is True


@pytest.mark.parametrize("name", SERVERS)
def test_a_vendor_class_tells_the_model_before_the_phone_boots(name, make_server, daemon, phones):
    server = make_server(name)
    mac = f"00:04:13:d7:00:{SERVERS.index(name):02x}"
    # The phone forgets to ask for option 66.
    given = lease(server, phones, mac, b"snomD785", codes="1,3")
    assert given["options"][66].rstrip(b"\0").decode() == f"http://{SERVER_IP}:{daemon.http_port}"
    assert given["options"][6] == socket.inet_aton(SERVER_IP)
    device = device_of(daemon, server, mac)
    assert (device["vendor"], device["model"]) == ("Snom", "D785")
    assert device["plugin"] == "provd-snom"
    assert boot(phones, given, "snom", "D785", mac)["ok"] is True
    assert daemon.device(mac=mac)["version"].startswith("10.1.")


@pytest.mark.parametrize("name", SERVERS)
def test_another_phone_of_the_network_is_told_nothing_of_us(name, make_server, daemon, phones):
    server = make_server(name)
    given = lease(server, phones, "02:00:00:00:00:01", b"MSFT 5.0")
    assert 66 not in given["options"]
    assert given["ip"].startswith("10.213.7.")


@pytest.mark.parametrize("name", SERVERS)
def test_a_daemon_that_is_away_keeps_no_phone_from_its_address(
    name, make_server, daemon, phones, tmp_path
):
    server = make_server(name)
    path = Path(daemon.settings["dhcp"]["socket"])
    path.rename(path.with_name("elsewhere"))
    try:
        started = time.monotonic()
        given = lease(server, phones, "00:15:65:d7:01:01")
        assert 66 in given["options"]
        again = lease(server, phones, "00:15:65:d7:01:02")
        assert again["ip"] != given["ip"]
        assert time.monotonic() - started < 20
    finally:
        path.with_name("elsewhere").rename(path)
    assert daemon.devices(mac="00:15:65:d7:01:01") == []


URL = "http://10.213.7.1:8667"
ANY = "02:00:00:00:00:01"
TFTP = socket.inet_aton(SERVER_IP)


def sub_option(code, text):
    return bytes((code, len(text))) + text.encode()


PHONES = [
    (
        "00:08:5d:00:00:01",
        b"AastraIPPhone6757i",
        b"",
        {43: sub_option(2, f"{URL}/Aastra"), 66: None},
    ),
    ("14:00:e9:00:00:01", b"MitelIPPhone6920", b"", {43: b"\3\1\0", 66: None}),
    ("00:08:5d:00:00:02", b"", b"", {66: f"{URL}/Aastra", 43: None}),
    ("00:08:5d:00:00:03", b"another", b"", {66: f"{URL}/Aastra"}),
    (ANY, b"Cisco Systems, Inc. IP Phone CP-7942G\0", b"", {66: SERVER_IP, 150: TFTP}),
    (ANY, b"Cisco Systems, Inc. IP Phone CP-7942G", b"", {66: SERVER_IP, 150: TFTP}),
    (ANY, b"Cisco Systems, Inc. IP Phone CP-7940G\0", b"", {66: SERVER_IP, 150: TFTP}),
    (ANY, b"Cisco Systems, Inc. IP Phone CP-7811-3PCC\0", b"", {66: URL, 150: None}),
    ("d0:ec:35:00:00:01", b"dslforum.org", b"", {66: URL}),
    (ANY, b"Cisco SPA504G", b"", {66: f"{URL}/spa$PSN.cfg"}),
    ("00:e1:6d:00:00:01", b"", b"", {66: f"{URL}/spa$PSN.cfg"}),
    ("00:0e:08:00:00:01", b"", b"", {66: SERVER_IP}),
    ("00:0e:08:00:00:02", b"a router", b"", {66: None}),
    ("0c:38:3e:00:00:01", b"", b"", {66: f"{URL}/Fanvil/$mac.cfg", 43: f"{URL}/Fanvil/$mac.cfg"}),
    ("0c:38:3e:00:00:02", b"Fanvil X4", b"", {66: None, 43: None}),
    (ANY, b"SN4112/JS/EUI", b"", {66: URL}),
    ("00:a0:ba:00:00:01", b"", b"", {66: f"{URL}/$(system.mac).cfg"}),
    ("00:04:f2:00:00:01", b"Polycom-VVX410", b"", {66: f"{URL}/000000000000.cfg", 160: URL}),
    ("c8:1f:ea:00:00:01", b"", b"", {242: f"HTTPSRVR={SERVER_IP},HTTPPORT=8667"}),
    (ANY, b"Nortel-SIP-Phone-A", b"", {66: URL}),
    (ANY, b"Nortel-i2004-A", b"", {66: SERVER_IP}),
    (ANY, b"alcatel.noe.0", b"", {"siaddr": SERVER_IP, "file": "sipconfig.txt"}),
    (ANY, b"alcatel.sip.0", b"", {43: sub_option(67, URL)}),
    (ANY, b"ictouch.0", b"", {43: sub_option(66, URL)}),
    ("7c:2f:80:00:00:01", b"anything", b"", {114: URL}),
    (ANY, b"digium_D40_1_0_5_46476", b"", {66: f"{URL}/Digium"}),
    (ANY, b"Panasonic", b"", {66: f"{URL}/"}),
    (ANY, b"\x0f\x0eThomson&ST2022", b"", {43: f"{URL}/ST2022S.inf"}),
    (ANY, b"", b"Thomson ST2030S", {43: f"{URL}/ST2030S.inf"}),
    (ANY, b"", b"\x0fThomson ST2030S", {43: f"{URL}/ST2030S.inf"}),
    ("00:04:13:00:00:01", b"snomM700/1", b"", {66: URL, 6: TFTP}),
    ("00:04:13:00:00:02", b"", b"", {66: URL}),
    (ANY, b"snom300X", b"", {66: None}),
    ("00:15:65:00:00:01", b"yealink", b"", {66: URL}),
    ("00:13:cb:00:00:01", b"", b"", {66: SERVER_IP}),
]


def is_given(expected, value):
    if expected is None or value is None:
        return value is expected
    if isinstance(value, bytes) and isinstance(expected, str):
        return value.rstrip(b"\0") == expected.encode()
    # Sub-options come in any order, with an end or without.
    return expected in value if isinstance(expected, bytes) else value == expected


@pytest.mark.parametrize("name", SERVERS)
def test_phones_of_every_vendor_get_what_they_understand(name, run_server, phones, capsys):
    told = ("--base-url", URL, "--tftp", SERVER_IP, "--phones", "all", *NETWORK)
    server = run_server(name, printed(capsys, "config", "--server", name, *told))
    wrong = []
    for mac, vendor_class, user_class, expected in PHONES:
        codes = "1,3" if set(expected) & {"siaddr", 43, 242} else "1,3,43,66,150,160,242"
        given = lease(server, phones, mac, vendor_class, user_class, codes)
        values = {**given["options"], "siaddr": given["siaddr"], "file": given["file"]}
        wrong += (
            (mac, vendor_class, user_class, key, values.get(key))
            for key, value in expected.items()
            if not is_given(value, values.get(key))
        )
    assert wrong == []
