"""A new phone, from its first packet to its user's account, with the real servers of a small site.

DHCP is dnsmasq's, the phone's SIP user agent is sipp, and Asterisk's part is the bytes of FastAGI.
"""

import contextlib
import shlex
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from harness import free_port

from tests.integration import network
from tests.integration.network import SERVER_IP, address, device_of, lease, power_on, url_of

SIP_PORT = 5062
FROM_HOST = "pbx.example.org"
SCENARIO = """<?xml version="1.0" encoding="ISO-8859-1" ?>
<scenario name="a phone that takes one NOTIFY">
  <recv request="NOTIFY">
    <action>
      <ereg regexp="^NOTIFY sip:{account}{ip}:{port} SIP/2.0" search_in="msg" check_it="true" assign_to="1"/>
      <ereg regexp="^ *check-sync$" search_in="hdr" header="Event:" check_it="true" assign_to="2"/>
      <ereg regexp="sip:provd@{from_host}" search_in="hdr" header="From:" check_it="true" assign_to="3"/>
    </action>
  </recv>
  <Reference variables="1,2,3"/>
  <send>
    <![CDATA[
      SIP/2.0 200 OK
      [last_Via:]
      [last_From:]
      [last_To:];tag=[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

    ]]>
  </send>
</scenario>
"""


@pytest.fixture(scope="module")
def phones():
    """The two namespaces; gives the name of the phones' one."""
    with network.namespaces() as phones:
        yield phones


@pytest.fixture(scope="module")
def daemon(phones, tmp_path_factory):
    """A daemon that notifies by SIP and takes codes from a dialplan."""
    settings = {
        "general": {"sync_service_type": "sip"},
        "sip": {
            "listen_interface": SERVER_IP,
            "phone_port": SIP_PORT,
            "from_host": FROM_HOST,
            "timeout": 2,
        },
        "agi": {"port": free_port()},
    }
    running = network.make_daemon(tmp_path_factory.mktemp("provd"), settings)
    yield running.start()
    running.stop()


@pytest.fixture
def dnsmasq(phones, daemon, tmp_path, capsys):
    with network.servers(tmp_path) as run:
        yield network.make_server(run, "dnsmasq", daemon, tmp_path, capsys)


class Site:
    """A phone of the site, and what people do with it."""

    def __init__(self, daemon, dnsmasq, phones, mac, directory):
        self.daemon = daemon
        self.dnsmasq = dnsmasq
        self.phones = phones
        self.mac = mac
        self.directory = directory
        self.given = lease(dnsmasq, phones, mac)

    @property
    def ip(self):
        return self.given["ip"]

    @property
    def device(self):
        return device_of(self.daemon, self.dnsmasq, self.mac)

    def boot(self):
        """Let the phone load its files; return its own one."""
        saved = self.directory / f"boot-{time.monotonic_ns()}"
        report = power_on(
            self.phones,
            url_of(self.given),
            "yealink",
            "T46S",
            self.mac,
            *("--save", str(saved), "--source-ip", self.ip),
        )
        assert report["ok"] is True
        (file,) = saved.rglob(f"{self.mac.replace(':', '')}.cfg")
        return file.read_text()

    def dial(self, code, ip=None, account="autoprov"):
        """Dial a code, as Asterisk tells it; return what the dialplan learns."""
        request = {
            "network": "yes",
            "network_script": "provision",
            "request": f"agi://127.0.0.1:{self.daemon.settings['agi']['port']}/provision",
            "channel": f"PJSIP/{account}-00000003",
            "language": "en",
            "type": "PJSIP",
            "uniqueid": "1700000000.3",
            "callerid": account,
            "context": "provd-autoprov",
            "extension": f"*77{code}",
            "priority": "3",
            "enhanced": "0.0",
            "arg_1": code,
            "arg_2": f"{ip or self.ip}:{SIP_PORT}",
        }
        lines = "".join(f"agi_{name}: {value}\n" for name, value in request.items())
        port = self.daemon.settings["agi"]["port"]
        with socket.create_connection(("127.0.0.1", port), 10) as asterisk:
            asterisk.sendall(f"{lines}\n".encode())
            stream = asterisk.makefile("rb")
            command = stream.readline().decode()
            asterisk.sendall(b"200 result=1\n")
            assert stream.readline() == b""  # it hangs up, and the dialplan goes on
        words = shlex.split(command)
        assert words[:3] == ["SET", "VARIABLE", "PROVD_RESULT"], command
        return words[3]

    @contextlib.contextmanager
    def is_notified(self, account):
        """The phone's user agent must get a check-sync for `account`, of what is done inside."""
        scenario = self.directory / f"{account}.xml"
        scenario.write_text(
            SCENARIO.format(
                # That of new phones is shared, and need not be named.
                account="(autoprov@)?" if account == "autoprov" else f"{account}@",
                ip=self.ip,
                port=SIP_PORT,
                from_host=FROM_HOST,
            )
        )
        errors = self.directory / f"{account}-errors.log"
        command = ["ip", "netns", "exec", self.phones, "sipp", "-sf", str(scenario)]
        command += ["-i", self.ip, "-p", str(SIP_PORT), "-m", "1", "-nostdin"]
        command += ["-timeout", "20s", "-timeout_error", "-deadcall_wait", "0"]
        command += ["-trace_err", "-error_file", str(errors)]
        agent = subprocess.Popen(
            command,
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            bound = Path(f"/proc/{agent.pid}/net/udp")
            self.daemon.wait_for(lambda: f":{SIP_PORT:04X} " in bound.read_text(), "sipp's start")
            yield
            code = agent.wait(20)
            assert code == 0, errors.read_text() if errors.exists() else code
        finally:
            if agent.poll() is None:
                agent.kill()
            agent.wait()

    def history(self):
        """Return what happened to the phone, oldest first."""
        answer = self.daemon.get(f"/dev_mgr/devices/{self.device['id']}/history")
        return answer.json["history"][::-1]

    def synchronizations(self):
        return [entry for entry in self.history() if entry["event"] == "synchronize"]


@pytest.fixture
def power_up(daemon, dnsmasq, phones, tmp_path):
    """Give a MAC its power: the phone gets its address, and keeps it for the test."""
    assert shutil.which("sipp"), "apt-get install sip-tester"
    with contextlib.ExitStack() as stack:

        def power_up(mac):
            site = Site(daemon, dnsmasq, phones, mac, tmp_path)
            stack.enter_context(address(phones, site.ip))
            return site

        yield power_up


def add_user(daemon, name, code):
    line = {
        "username": name,
        "password": f"secret-of-{name}",
        "display_name": name.title(),
        "proxy_ip": SERVER_IP,
        "registrar_ip": SERVER_IP,
    }
    config = {
        "id": name,
        "parent_ids": ["base", "defaultconfigdevice"],
        "raw_config": {"sip_lines": {"1": line}},
        "X_provisioning_code": code,
    }
    assert daemon.post("/cfg_mgr/configs", {"config": config}).status == 201


def test_a_new_phone_gets_its_user_by_a_code_and_is_given_back(daemon, power_up):
    add_user(daemon, "alice", "734512")
    site = power_up("00:15:65:5e:ed:01")
    assert url_of(site.given) == f"http://{SERVER_IP}:{daemon.http_port}"
    device = site.device  # the hook told of it before the phone asked for anything
    assert (device["vendor"], device["ip"]) == ("Yealink", site.ip)

    file = site.boot()
    assert "account.1.user_name = autoprov" in file
    assert site.device["config"].startswith("autoprov")

    assert site.dial("000000") == "unknown_code"
    assert site.dial("734512", ip="10.213.7.250") == "unknown_phone"
    assert site.dial("7" * 200) == "refused"
    assert site.device["config"].startswith("autoprov")
    assert site.synchronizations() == []
    assert "Traceback" not in daemon.log

    with site.is_notified("autoprov"):
        assert site.dial("734512") == "success"
    assert site.device["config"] == "alice"
    assert daemon.get("/status").json["synchronization"]["waiting"] == 1
    file = site.boot()
    assert "account.1.user_name = alice" in file
    assert "account.1.password = secret-of-alice" in file
    assert "autoprov" not in file

    history = site.history()
    kinds = [entry.get("outcome") or entry["protocol"] for entry in history]
    assert kinds[0] == "dhcp"
    told, came = kinds.index("sent"), kinds.index("fetched")
    assert told < came
    assert "http" in kinds[1:told]
    # Its file is what confirms it, and the entry of that request comes first.
    assert history[came - 1]["file"].endswith("/0015655eed01.cfg")
    assert history[came - 1]["status"] == "200"
    assert history[told]["way"] == history[came]["way"] == "sip"
    assert 0 < history[came]["seconds"] < 60
    counts = daemon.get("/status").json["synchronization"]
    assert (counts["confirmed"], counts["waiting"], counts["failed"]) == (1, 0, 0)

    with site.is_notified("alice"):  # the account that it has now
        assert site.dial("autoprov", account="alice") == "success"
    file = site.boot()
    assert "account.1.user_name = autoprov" in file
    assert "alice" not in file
    assert site.device["config"].startswith("autoprov")
    assert [entry["outcome"] for entry in site.synchronizations()] == ["sent", "fetched"] * 2


def test_whoever_tries_codes_has_to_wait(daemon, power_up):
    add_user(daemon, "bob", "881102")
    site = power_up("00:15:65:5e:ed:02")
    site.boot()
    assert [site.dial(str(code)) for code in range(3)] == ["unknown_code"] * 3
    assert site.dial("881102") == "refused"
    assert site.device["config"].startswith("autoprov")
    time.sleep(2.1)
    with site.is_notified("autoprov"):
        assert site.dial("881102") == "success"
    assert "account.1.user_name = bob" in site.boot()


def test_a_phone_that_cannot_be_told_has_its_user_at_its_next_start(daemon, power_up):
    add_user(daemon, "carol", "202020")
    site = power_up("00:15:65:5e:ed:03")
    site.boot()
    assert site.dial("202020") == "success"  # nobody listens for SIP
    (entry,) = daemon.wait_for(site.synchronizations, "the end of the synchronisation")
    assert entry["outcome"].startswith("not sent: ")
    assert "no answer in 2 s" in entry["outcome"]
    assert "account.1.user_name = carol" in site.boot()
    assert len(site.synchronizations()) == 1
