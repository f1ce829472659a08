"""Starts the real daemon for a test: own state, free ports on loopback, stopped at the end."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

ROOT = Path(__file__).parents[2]
REPOSITORY = ROOT / "build" / "repository"
MEDIA_TYPE = "application/vnd.proformatique.provd+json"
START_SECONDS = 60


def free_port(kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def merged(base, over):
    result = dict(base)
    for key, value in over.items():
        known = result.get(key)
        result[key] = (
            merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
        )
    return result


class Answer:
    """An HTTP answer: status, headers with lower-case names, body."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()

    def __repr__(self):
        return f"<{self.status} {self.body[:200]!r}>"


def http_request(port, method, target, body=None, headers=None, source=None, timeout=30):
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=timeout, source_address=(source, 0) if source else None
    )
    try:
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    finally:
        connection.close()


class Daemon:
    """One daemon process. `settings` is laid over settings that listen on free loopback ports."""

    def __init__(self, state_dir, settings=None, plugins="all", options=()):
        self.state = Path(state_dir)
        self.state.mkdir(parents=True, exist_ok=True)
        self.rest_port, self.http_port, self.proxied_port = (free_port() for _ in range(3))
        self.tftp_port = free_port(socket.SOCK_DGRAM)
        self.log_path = self.state / "provd.log"
        self.security_log = self.state / "security.log"
        self.settings = merged(
            {
                "general": {
                    "advertised_http_url": f"http://127.0.0.1:{self.http_port}",
                    "base_storage_dir": str(self.state),
                    "cache_dir": str(self.state / "cache"),
                    "http_listen_interface": "127.0.0.1",
                    "http_listen_port": self.http_port,
                    "http_proxied_listen_port": self.proxied_port,
                    "tftp_listen_interface": "127.0.0.1",
                    "tftp_port": self.tftp_port,
                    "plugin_server": REPOSITORY.as_uri(),
                    "install_all_plugins": plugins == "all",
                },
                "rest_api": {"port": self.rest_port},
                "database": {"type": "sqlite"},
                "logging": {"security_file": str(self.security_log)},
            },
            settings or {},
        )
        self.options = list(options)
        self.process = None
        self.token = None

    def write_settings(self):
        path = self.state / "config.yml"
        path.write_text(json.dumps(self.settings))  # JSON is YAML
        return path

    def spawn(self):
        """Start the process without waiting."""
        command = [
            str(Path(sys.executable).parent / "twistd"),
            "--nodaemon",
            "--no_save",
            "--pidfile=",
            "--logger",
            "provd.logs.observer",
            "provd",
            "--config-file",
            str(self.write_settings()),
            *self.options,
        ]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        return self

    def start(self):
        """Start the process and wait until it is ready."""
        self.spawn()
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended: {self.log[-3000:]}")
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                self.token = (self.state / "admin-token").read_text().strip()
                if self.get("/status").json["ready"]:
                    return self
            time.sleep(0.05)
        raise AssertionError(f"the daemon is not ready: {self.log[-3000:]}")

    def stop(self, seconds=10):
        """Stop it as a service manager does; return how long that took."""
        if self.process is None or self.process.poll() is not None:
            return 0.0
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"the daemon did not stop in {seconds} s: {self.log[-3000:]}"
            ) from None
        return time.monotonic() - started

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.stop()
        return self.start()

    @property
    def log(self):
        time.sleep(0.1)  # lines below a warning are written a moment later
        return self.log_path.read_text(errors="replace")

    def wait_for(self, condition, what, seconds=15):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = condition()
            if value:
                return value
            time.sleep(0.05)
        raise AssertionError(f"{what} did not happen in {seconds} s; log: {self.log[-2000:]}")

    # REST

    def rest(self, method, path, document=None, token=None, headers=None, body=None, **args):
        """Call the API below /0.2; `document` is sent as provd JSON."""
        sent = {"X-Auth-Token": self.token if token is None else token}
        if document is not None:
            body = json.dumps(document)
        if method in {"POST", "PUT"}:
            sent["Content-Type"] = MEDIA_TYPE
        sent.update(headers or {})
        sent = {name: value for name, value in sent.items() if value is not None}
        query = f"?{urlencode(args)}" if args else ""
        return http_request(self.rest_port, method, f"/0.2{path}{query}", body, sent)

    def get(self, path, **args):
        return self.rest("GET", path, **args)

    def post(self, path, document, **kwargs):
        return self.rest("POST", path, document, **kwargs)

    def put(self, path, document, **kwargs):
        return self.rest("PUT", path, document, **kwargs)

    def delete(self, path, **kwargs):
        return self.rest("DELETE", path, **kwargs)

    def devices(self, **selector):
        answer = self.get("/dev_mgr/devices", q=json.dumps(selector))
        assert answer.status == 200, answer
        return answer.json["devices"]

    def device(self, **selector):
        found = self.devices(**selector)
        assert len(found) == 1, found
        return found[0]

    # Phones

    def phone(self, path, user_agent=None, source=None, method="GET", headers=None, body=None):
        sent = {"User-Agent": user_agent} if user_agent else {}
        sent.update(headers or {})
        return http_request(self.http_port, method, path, body, sent, source)

    def tftp_get(self, name, target, *options, client="tftp"):
        """Fetch a file with tftp-hpa or atftp; return the finished process."""
        port = str(self.tftp_port)
        if client == "tftp":
            command = ["tftp", "-m", "binary", "127.0.0.1", port, "-c", "get", name, str(target)]
        else:
            command = ["atftp", *options, "--get", "-r", name, "-l", str(target), "127.0.0.1", port]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def make_token(self, name, *acl, tenant=None):
        """Make a local token with `provd-token`; return it."""
        command = [
            str(Path(sys.executable).parent / "provd-token"),
            "--file",
            str(self.state / "tokens.json"),
            "create",
            name,
        ]
        for pattern in acl:
            command += ["--acl", pattern]
        if tenant is not None:
            command += ["--tenant", tenant]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout.strip()

    def stalls(self):
        return re.findall(r"the loop stood still for (\d+) ms", self.log)


def descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))
