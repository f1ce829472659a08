"""The neighbours of a daemon in a Wazo platform: a message broker, and a stand-in for wazo-auth."""

import contextlib
import json
import logging
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pika

MAIN = "00000000-0000-4000-8000-00000000eee1"
SECOND = "00000000-0000-4000-8000-00000000eee2"
THIRD = "00000000-0000-4000-8000-00000000eee3"

logging.getLogger("pika").setLevel(logging.CRITICAL)

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
TOKEN = "multitenant"


def lasting_port():
    """Return a free port that the kernel gives to nobody while what listens on it restarts."""
    while True:
        port = random.randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Broker:
    """A RabbitMQ node of its own, with its own port mapper, that a test starts and stops."""

    def __init__(self, directory):
        self.directory = directory
        self.directory.mkdir()
        self.port, self._mapper_port, self._node_port = (lasting_port() for _ in range(3))
        self._mapper = self._node = None

    def start(self):
        assert os.path.exists(SERVER), "apt-get install rabbitmq-server"
        (self.directory / "env").touch()
        (self.directory / "plugins").write_text("[].")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": "provd-test@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_MNESIA_BASE": str(self.directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "env"),
            "RABBITMQ_CONFIG_FILE": str(self.directory / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"),
            "RABBITMQ_PID_FILE": str(self.directory / "pid"),
        }
        with (self.directory / "out").open("ab") as out:
            streams = {
                "stdout": out,
                "stderr": out,
                "stdin": subprocess.DEVNULL,
                "cwd": self.directory,
            }
            mapper = [
                shutil.which("epmd"),
                "-address",
                "127.0.0.1",
                "-port",
                str(self._mapper_port),
            ]
            self._mapper = subprocess.Popen(mapper, env=environment, **streams)
            # A group of its own, so that the machine and its helpers can be killed together.
            self._node = subprocess.Popen(
                [SERVER], env=environment, start_new_session=True, **streams
            )
        try:
            self._wait()
        except BaseException:
            self.kill()
            raise
        return self

    def _wait(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self._node.poll() is None, (self.directory / "out").read_text()[-2000:]
            with contextlib.suppress(pika.exceptions.AMQPError, OSError), self.connection():
                return
            time.sleep(0.1)
        raise AssertionError("RabbitMQ does not start")

    def stop(self):
        """Stop the node as its administrator does."""
        if self._node is not None:
            self._node.send_signal(signal.SIGTERM)
            try:
                self._node.wait(20)
            finally:
                self.kill()

    def kill(self):
        """End the node as a loss of power does."""
        for process, end in ((self._node, self._kill_node), (self._mapper, None)):
            if process is not None:
                with contextlib.suppress(ProcessLookupError):
                    end() if end else process.kill()
                process.wait()
        self._node = self._mapper = None

    def _kill_node(self):
        os.killpg(self._node.pid, signal.SIGKILL)

    def freeze(self):
        os.killpg(self._node.pid, signal.SIGSTOP)

    def thaw(self):
        os.killpg(self._node.pid, signal.SIGCONT)

    def connection(self):
        return pika.BlockingConnection(
            pika.ConnectionParameters("127.0.0.1", self.port, socket_timeout=5)
        )

    def publish(self, *messages, exchange="wazo-headers"):
        """Send messages, each headers and body, and wait until the broker has them."""
        with self.connection() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for headers, body in messages:
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                channel.basic_publish(exchange, "", content, pika.BasicProperties(headers=headers))

    def delete_tenant(self, tenant):
        self.publish(tenant_deleted(tenant))

    def ctl(self, *args):
        """Return the lines that rabbitmqctl prints, each split at tabs."""
        command = ["/usr/lib/rabbitmq/bin/rabbitmqctl", "-q", "-n", "provd-test@localhost", *args]
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "env"),
        }
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        return [line.split("\t") for line in done.stdout.splitlines()]


def tenant_deleted(tenant):
    """Return an event as wazo-auth publishes it."""
    headers = {
        "name": "auth_tenant_deleted",
        "origin_uuid": "the-platform",
        "timestamp": "2026-01-31T10:20:30",
    }
    return headers, {**headers, "data": {"uuid": tenant, "name": "x", "slug": "x"}}


class AuthService:
    """Answers as wazo-auth does; `tenants` is its list of all, `failure` how that list fails."""

    def __init__(self):
        self.tenants = [MAIN, SECOND, THIRD]
        self.failure = None
        self.lists = 0
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, document = service.respond(self.command, urlsplit(self.path), self.headers)
                content = json.dumps(document).encode() if status == 200 else b""
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content if self.command != "HEAD" else b"")

            do_GET = do_POST = do_HEAD = answer

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def respond(self, method, parts, headers):
        if method == "POST":
            return 200, {"data": {"token": "service"}}
        if parts.path == "/0.1/tenants":
            tenant = headers.get("Wazo-Tenant")
            if tenant is None:
                self.lists += 1
                if self.failure == "status":
                    return 500, {}
                if self.failure == "refusal":
                    return 401, {}
                if self.failure == "nonsense":
                    return 200, {"tenants": []}
            # The tree still shows them, so that a device is out of sight only once it is gone.
            below = [MAIN, SECOND, THIRD] if tenant == MAIN else [tenant]
            listed = self.tenants if tenant is None else below
            return 200, {"items": [{"uuid": uuid} for uuid in listed], "total": len(listed)}
        if method == "GET":
            return 200, {"data": {"metadata": {"tenant_uuid": MAIN}}}
        scope = parse_qs(parts.query).get("scope", ["provd.x"])[0]
        return (204 if fnmatchcase(scope, "provd.*") else 403), None


def settings(service, broker_port, **general):
    """Return the settings of a daemon beside these neighbours."""
    return {
        "general": general,
        "auth": {
            "type": "wazo",
            "host": "127.0.0.1",
            "port": service.port,
            "https": False,
            "username": "provd",
            "password": "key",
            "timeout": 2,
        },
        "bus": {"host": "127.0.0.1", "port": broker_port},
    }


def ready(daemon):
    """Start a daemon and wait until it knows the main tenant."""
    (daemon.state / "admin-token").write_text(TOKEN)
    daemon.start()
    daemon.wait_for(lambda: daemon.get("/status").json["main_tenant"] == MAIN, "the main tenant")
    return daemon


def bus_status(daemon):
    return daemon.get("/status").json["bus_consumer"]["status"]


def create(daemon, tenant, **device):
    """Make a device as the acceptance suite does: all have the same MAC and address."""
    document = {
        "mac": "00:11:22:33:44:55",
        "ip": "10.0.0.2",
        "plugin": "test-plugin",
        "config": "defaultconfigdevice",
        **device,
    }
    answer = daemon.post("/dev_mgr/devices", {"device": document}, headers={"Wazo-Tenant": tenant})
    assert answer.status == 201, answer
    return answer.json["id"]


def is_there(daemon, device_id):
    status = daemon.get(f"/dev_mgr/devices/{device_id}").status
    assert status in {200, 404}
    return status == 200


def keys(daemon, *tenants):
    """Return the provisioning keys of tenants."""
    path = "/configure/provisioning_key"
    answers = [daemon.rest("GET", path, headers={"Wazo-Tenant": tenant}) for tenant in tenants]
    assert all(answer.status == 200 for answer in answers), answers
    return [answer.json["param"]["value"] for answer in answers]


def give_key(daemon, tenant, key):
    answer = daemon.put(
        "/configure/provisioning_key", {"param": {"value": key}}, headers={"Wazo-Tenant": tenant}
    )
    assert answer.status == 204, answer


class SilentServer:
    """Accepts connections and never says anything."""

    def __init__(self):
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    def accept(self, seconds=10):
        self._socket.settimeout(seconds)
        return self._socket.accept()[0]

    def close(self):
        self._socket.close()
