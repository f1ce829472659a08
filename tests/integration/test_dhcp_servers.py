"""Real DHCP servers with our configuration: a phone asks for an address, and boots from what it got.

Each server has a network namespace, shared with the daemon, and phones have another. The thread of
the tests is in the first one, so that the daemon and its harness see nothing unusual.
"""

import contextlib
import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import harness
import pytest

from provd.dhcp import cli

SERVERS = ("dhcpd", "kea", "dnsmasq")
PROGRAMS = {"dhcpd": "isc-dhcp-server", "kea-dhcp4": "kea-dhcp4-server", "dnsmasq": "dnsmasq-base"}
SERVER_IP = "10.213.7.1"
SUBNET = "10.213.7.0/24"
RANGE = "10.213.7.100-10.213.7.199"
NETWORK = ("--subnet", SUBNET, "--range", RANGE)
CLIENT = Path(__file__).with_name("dhcp_client.py")
CLONE_NEWNET = 0x40000000

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


def ip(*arguments, check=True):
    subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True)


def enter(path):
    """Move this thread to a network namespace; its child processes start there."""
    with open(path) as namespace:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture(scope="module")
def phones():
    """Make the two namespaces, and enter that of the servers; gives the name of the phones' one."""
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    assert not missing, f"apt-get install {' '.join(missing)}"
    names = [f"provd-{os.getpid()}-{part}" for part in ("servers", "phones")]
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        try:
            for name in names:
                ip("netns", "add", name)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"network namespaces need root and iproute2: {error}")
        servers, phones = names
        ip("-n", servers, "link", "add", "srv", "type", "veth", "peer", "phone", "netns", phones)
        ip("-n", servers, "addr", "add", f"{SERVER_IP}/24", "dev", "srv")
        for namespace, device in (
            (servers, "lo"),
            (servers, "srv"),
            (phones, "lo"),
            (phones, "phone"),
        ):
            ip("-n", namespace, "link", "set", device, "up")
        enter(f"/run/netns/{servers}")
        yield phones
    finally:
        if os.geteuid() == 0:  # nobody else got away
            enter(f"/proc/self/fd/{home}")
        os.close(home)
        for name in names:
            ip("netns", "del", name, check=False)


@pytest.fixture(scope="module")
def daemon(phones, tmp_path_factory):
    """A daemon that listens to phones and to hooks, with our plugins and one that is not ours."""
    state = tmp_path_factory.mktemp("provd")
    snom = state / "plugins" / "test-snom"
    snom.mkdir(parents=True)
    (snom / "entry.py").write_text(SNOM_ENTRY)
    (snom / "plugin-info").write_text(json.dumps(SNOM_INFO))
    running = harness.Daemon(state)
    running.settings = harness.merged(
        running.settings,
        {
            "general": {
                "advertised_http_url": f"http://{SERVER_IP}:{running.http_port}",
                "http_listen_interface": SERVER_IP,
                "tftp_listen_interface": SERVER_IP,
            },
            "dhcp": {"socket": str(state / "dhcp.sock"), "socket_mode": "0666"},
        },
    )
    yield running.start()
    running.stop()


def printed(capsys, *arguments):
    assert cli.main(list(arguments)) == 0
    return capsys.readouterr().out


class DhcpServer:
    """A running server; its configuration and hook are those that `provd-dhcp` prints."""

    def __init__(self, name, directory):
        self.name = name
        self.directory = directory
        self.log_path = directory / "log"
        self.process = None

    def command(self, config):
        if self.name == "dhcpd":
            (self.directory / "leases").touch()
            files = ["-lf", str(self.directory / "leases"), "-pf", str(self.directory / "pid")]
            users = ["-user", "root", "-group", "root"]
            return ["dhcpd", "-4", "-f", "-d", "-cf", str(config), *files, *users, "srv"]
        if self.name == "kea":
            return ["kea-dhcp4", "-c", str(config)]
        files = [f"--dhcp-leasefile={self.directory / 'leases'}", "--user=root", "--group=root"]
        only = ["--port=0", "--interface=srv", "--bind-interfaces", "--log-dhcp", "--no-ping"]
        return [
            "dnsmasq",
            "--keep-in-foreground",
            "--log-facility=-",
            "-C",
            str(config),
            *files,
            *only,
        ]

    def start(self, config):
        places = ("KEA_PIDFILE_DIR", "KEA_LOCKFILE_DIR", "KEA_DHCP_DATA_DIR")
        environment = os.environ | dict.fromkeys(places, str(self.directory))
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                self.command(config), stdout=log, stderr=log, env=environment
            )

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def log(self):
        return self.log_path.read_text(errors="replace")[-6000:]


@pytest.fixture
def run_server(phones, tmp_path):
    """Start a server by its name, with a configuration."""
    with contextlib.ExitStack() as stack:

        def run(name, text):
            directory = tmp_path / name
            directory.mkdir(exist_ok=True)
            config = directory / "config"
            if name == "kea":
                document = json.loads(text)
                leases = {"type": "memfile", "persist": False}
                document["Dhcp4"]["interfaces-config"] = {"interfaces": ["srv"]}
                document["Dhcp4"]["lease-database"] = leases
                text = json.dumps(document)
            if name == "dhcpd":
                text = f"ping-check false;\n{text}"  # a second for each address
            config.write_text(text)
            server = DhcpServer(name, directory)
            server.start(config)
            stack.callback(server.stop)
            return server

        yield run


@pytest.fixture
def make_server(run_server, daemon, tmp_path, capsys):
    """Start a server by its name, with a hook that tells the daemon."""

    def make(name):
        where = ("--config-file", str(daemon.state / "config.yml"))
        hook = tmp_path / "hook"
        hook.write_text(printed(capsys, "hook", "--server", name, *where))
        hook.chmod(0o755)
        told = ("--tftp", SERVER_IP, *NETWORK, "--hook", str(hook))
        return run_server(name, printed(capsys, "config", "--server", name, *where, *told))

    return make


def lease(server, phones, mac, vendor_class=b"", user_class=b"", codes="1,3,6,66"):
    """Ask for a lease as a phone does."""
    sent = ((60, vendor_class), (77, user_class))
    told = (f"{code}={value.hex()}" for code, value in sent if value)
    arguments = ["phone", mac, codes, *told]
    client = subprocess.run(
        ["ip", "netns", "exec", phones, sys.executable, str(CLIENT), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert client.returncode == 0, f"{client.stderr}\n{server.log}"
    given = json.loads(client.stdout)
    given["options"] = {int(code): bytes.fromhex(v) for code, v in given["options"].items()}
    return given


def boot(phones, given, vendor, model, mac):
    """Boot a simulated phone that has the leased address, from the URL that came with it."""
    url = given["options"][66].rstrip(b"\0").decode()
    ip("-n", phones, "addr", "add", f"{given['ip']}/24", "dev", "phone")
    try:
        command = [sys.executable, "-m", "provd.simphone", "boot", "--json", "--mac", mac]
        command += ["--vendor", vendor, "--model", model, "--http", url]
        phone = subprocess.run(
            ["ip", "netns", "exec", phones, *command],
            cwd=harness.ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        ip("-n", phones, "addr", "del", f"{given['ip']}/24", "dev", "phone")
    assert phone.returncode == 0, phone.stdout + phone.stderr
    return json.loads(phone.stdout)


def device_of(daemon, server, mac):
    def find():
        return daemon.devices(mac=mac)

    try:
        (device,) = daemon.wait_for(find, f"the device {mac}", 10)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{server.log}") from None
    return device


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
    assert device["plugin"] == "test-snom"
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
