"""A real Asterisk for tests, unprivileged and on free loopback ports, and SIP phones for it."""

import platform
import re
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path

from harness import ROOT, free_port

SECRET = "s3cret"
SUITES = {16: "bullseye", 22: "sid"}
MODULES = (
    "res_speech", "res_sorcery_config", "res_sorcery_memory", "res_sorcery_astdb",
    "res_pjproject", "res_pjsip", "res_pjsip_session", "res_pjsip_registrar",
    "res_pjsip_endpoint_identifier_user", "res_pjsip_nat", "res_pjsip_caller_id", "res_pjsip_notify",
    "res_pjsip_pubsub", "res_pjsip_sdp_rtp", "res_rtp_asterisk", "chan_pjsip",
    "pbx_config", "res_agi", "func_channel", "func_strings",
    "app_verbose", "app_playback", "codec_ulaw",
)  # fmt: skip
ACCOUNTS = ("autoprov", "alice", "bob")


def fetch(version):
    """Return where an Asterisk is unpacked, and None; or None and why it cannot be had."""
    suite = SUITES[version]
    directory = ROOT / "build" / "asterisk" / suite
    command = [str(ROOT / ".ci" / "fetch-asterisk"), suite, str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        return None, done.stderr.strip().rpartition("\n")[2] or f"{command} failed"
    program = directory / "root" / "usr" / "sbin" / "asterisk"
    told = subprocess.run([*loader(program), "-V"], capture_output=True, text=True, check=False)
    if not re.match(rf"Asterisk {version}\b", told.stdout):
        return None, f"Debian {suite} has another version than Asterisk {version}: {told.stdout}"
    return program, None


def loader(program):
    """Return the command that runs a program with the libraries that are unpacked beside it."""
    root = program.parents[2]
    triplet = f"{platform.machine()}-linux-gnu"
    (linker,) = {
        path.resolve() for path in root.glob(f"**/{triplet}/ld-linux*.so.*") if path.exists()
    }
    places = [root / "lib" / triplet, root / "usr" / "lib" / triplet, root / "usr" / "lib"]
    return [str(linker), "--library-path", ":".join(map(str, places)), str(program)]


class Asterisk:
    """One Asterisk process."""

    def __init__(self, program, state, *, modules=(), without=(), write="system", default="dflt"):
        self.program, self.state = program, Path(state)
        self.sip_port, self.ami_port = free_port(socket.SOCK_DGRAM), free_port()
        self.modules = [name for name in (*MODULES, *modules) if name not in without]
        self.write, self.default = write, default
        self.dialplan = "[phones]\n"
        self.process = None

    def configure(self):
        root = self.program.parents[2]
        (found,) = root.glob("usr/lib/**/asterisk/modules")
        data = root / "usr" / "share" / "asterisk"
        etc = self.state / "etc"
        for name in ("etc", "run", "log", "spool", "db"):
            (self.state / name).mkdir(parents=True, exist_ok=True)
        places = {
            "astetcdir": etc,
            "astmoddir": found,
            "astvarlibdir": data,
            "astdatadir": data,
            "astdbdir": self.state / "db",
            "astkeydir": self.state / "db",
            "astagidir": self.state / "db",
            "astspooldir": self.state / "spool",
            "astrundir": self.state / "run",
            "astlogdir": self.state / "log",
        }
        lines = "".join(f"{name} => {path}\n" for name, path in places.items())
        (etc / "asterisk.conf").write_text(f"[directories]\n{lines}")
        loads = "".join(f"load = {name}.so\n" for name in self.modules)
        (etc / "modules.conf").write_text(f"[modules]\nautoload = no\n{loads}")
        (etc / "logger.conf").write_text("[logfiles]\nfull => notice,warning,error,verbose\n")
        (etc / "manager.conf").write_text(
            f"[general]\nenabled = yes\nbindaddr = 127.0.0.1\nport = {self.ami_port}\n"
            f"[provd]\nsecret = {SECRET}\nwrite = {self.write}\n"
        )
        named = f"default_outbound_endpoint = {self.default}\n" if self.default else ""
        accounts = "".join(
            f"[{name}]\ntype = endpoint\ncontext = phones\ndisallow = all\nallow = ulaw\n"
            f"aors = {name}\n[{name}]\ntype = aor\nmax_contacts = 10\n"
            for name in ACCOUNTS
        )
        (etc / "pjsip.conf").write_text(
            f"[global]\ntype = global\n{named}"
            f"[udp]\ntype = transport\nprotocol = udp\nbind = 127.0.0.1:{self.sip_port}\n"
            f"[dflt]\ntype = endpoint\ncontext = none\n{accounts}"
        )
        (etc / "sip.conf").write_text(
            f"[general]\nudpbindaddr = 127.0.0.1:{self.sip_port}\n"
            + "".join(f"[{name}]\ntype = friend\nhost = dynamic\n" for name in ACCOUNTS)
        )
        (etc / "pjsip_notify.conf").write_text("")
        (etc / "extensions.conf").write_text(self.dialplan)
        return etc / "asterisk.conf"

    def start(self):
        command = [*loader(self.program), "-f", "-C", str(self.configure())]
        with (self.state / "output").open("ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        deadline = time.monotonic() + 30
        while "Asterisk Ready" not in self.log:
            assert self.process.poll() is None, self.log[-2000:]
            assert time.monotonic() < deadline, self.log[-2000:]
            time.sleep(0.05)
        return self

    @property
    def log(self):
        path = self.state / "log" / "full"
        return path.read_text(errors="replace") if path.exists() else ""

    def sleep(self):
        self.process.send_signal(signal.SIGSTOP)

    def wake(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.wake()
            self.process.kill()
            self.process.wait()


class Phone:
    """A SIP phone that registers, dials, and keeps what it is told."""

    def __init__(self, asterisk, account, agent="phone", host="127.0.0.1", name=""):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(5)
        self.host, self.port = self.socket.getsockname()
        self.server = ("127.0.0.1", asterisk.sip_port)
        self.account, self.agent, self.name = account, agent, name
        self.notifies = []

    @property
    def uri(self):
        return f"sip:{self.account}@{self.host}:{self.port}"

    def send(self, method, target, *headers, body="", call_id=None, to_tag=""):
        call_id = call_id or uuid.uuid4().hex
        name = f'"{self.name}" ' if self.name else ""
        to = target if method != "REGISTER" else f"sip:{self.account}@127.0.0.1"
        lines = [
            f"{method} {target} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:{self.port};rport;branch=z9hG4bK{uuid.uuid4().hex}",
            "Max-Forwards: 70",
            f"From: {name}<sip:{self.account}@127.0.0.1>;tag={call_id[:8]}",
            f"To: <{to}>{to_tag}",
            f"Call-ID: {call_id}",
            f"CSeq: 1 {method}",
            f"Contact: <{self.uri}>",
            f"User-Agent: {self.agent}",
            *headers,
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        self.socket.sendto("\r\n".join(lines).encode(), self.server)

    def receive(self):
        """Return the next answer; requests before it, such as the BYE of a call, are taken."""
        while True:
            text = self.socket.recv(65536).decode()
            if text.startswith("SIP/2.0 "):
                return text
            self.take(text)

    def take(self, request):
        """Answer a request of Asterisk's; NOTIFYs are kept."""
        if request.startswith("NOTIFY ") and request not in self.notifies:
            self.notifies.append(request)
        kept = re.findall(r"(?m)^(?:Via|From|To|Call-ID|CSeq):.*$", request.replace("\r", ""))
        answer = "\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""])
        self.socket.sendto(answer.encode(), self.server)

    def register(self, seconds=300):
        self.send("REGISTER", f"sip:127.0.0.1:{self.server[1]}", f"Expires: {seconds}")
        answer = self.receive()
        assert answer.startswith("SIP/2.0 200"), answer
        return self

    def wait_for_notify(self):
        count = len(self.notifies)
        while len(self.notifies) == count:
            text = self.socket.recv(65536).decode()
            if not text.startswith("SIP/2.0 "):
                self.take(text)
        return self.notifies[-1]

    def told(self):
        """Return how many NOTIFYs came; whatever Asterisk sent before its answer is here by then."""
        self.register()
        return len(self.notifies)

    def dial(self, number):
        """Call a number until it is answered or refused; return the status."""
        body = (
            f"v=0\r\no=- 1 1 IN IP4 {self.host}\r\ns=-\r\nc=IN IP4 {self.host}\r\nt=0 0\r\n"
            "m=audio 40000 RTP/AVP 0\r\n"
        )
        call_id, target = uuid.uuid4().hex, f"sip:{number}@127.0.0.1:{self.server[1]}"
        self.send("INVITE", target, "Content-Type: application/sdp", body=body, call_id=call_id)
        answer = "SIP/2.0 100"
        while answer.startswith("SIP/2.0 1"):
            answer = self.receive()
        tag = re.search(r"(?m)^To:.*(;tag=\S+)", answer)[1]
        self.send("ACK", target, call_id=call_id, to_tag=tag)
        return int(answer.split()[1])

    def close(self):
        self.socket.close()
