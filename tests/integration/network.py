"""Two network namespaces: one of servers, the daemon among them, and one of phones.

The thread of the tests is in the first one, so that the daemon and its harness see nothing unusual.
"""

import contextlib
import ctypes
import json
import os
import shutil
import subprocess
import sys
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


def ip(*arguments, check=True):
    subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True)


def enter(path):
    """Move this thread to a network namespace; its child processes start there."""
    with open(path) as namespace:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


@contextlib.contextmanager
def namespaces():
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


def make_daemon(state, settings=None):
    """Return a daemon, not started yet, that listens to phones and to hooks."""
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
    running.settings = harness.merged(running.settings, settings or {})
    return running


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


@contextlib.contextmanager
def servers(tmp_path):
    """Give what starts a server by its name, with a configuration; all are stopped at the end."""
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


def make_server(run, name, daemon, directory, capsys):
    """Start a server with `run`, with a hook that tells the daemon."""
    where = ("--config-file", str(daemon.state / "config.yml"))
    hook = directory / "hook"
    hook.write_text(printed(capsys, "hook", "--server", name, *where))
    hook.chmod(0o755)
    told = ("--tftp", SERVER_IP, *NETWORK, "--hook", str(hook))
    return run(name, printed(capsys, "config", "--server", name, *where, *told))


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


@contextlib.contextmanager
def address(phones, ip_address):
    """Give the phone its address."""
    ip("-n", phones, "addr", "add", f"{ip_address}/24", "dev", "phone")
    try:
        yield
    finally:
        ip("-n", phones, "addr", "del", f"{ip_address}/24", "dev", "phone")


def power_on(phones, url, vendor, model, mac, *options):
    """Boot a simulated phone that has an address already, from a URL."""
    command = [sys.executable, "-m", "provd.simphone", "boot", "--json", "--mac", mac]
    command += ["--vendor", vendor, "--model", model, "--http", url, *options]
    phone = subprocess.run(
        ["ip", "netns", "exec", phones, *command],
        cwd=harness.ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert phone.returncode == 0, phone.stdout + phone.stderr
    return json.loads(phone.stdout)


def url_of(given):
    """Return the URL that came with a lease."""
    return given["options"][66].rstrip(b"\0").decode()


def boot(phones, given, vendor, model, mac):
    """Boot a simulated phone that has the leased address, from the URL that came with it."""
    with address(phones, given["ip"]):
        return power_on(phones, url_of(given), vendor, model, mac)


def device_of(daemon, server, mac):
    def find():
        return daemon.devices(mac=mac)

    try:
        (device,) = daemon.wait_for(find, f"the device {mac}", 10)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{server.log}") from None
    return device
