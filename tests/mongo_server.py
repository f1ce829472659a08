"""A MongoDB server for tests: a SecantusDB process on a free port of the loopback interface.

`from tests.mongo_server import mongo_server` gives a test module the fixture of one plain server
that lives as long as the session; `MongoServer` starts others, with users or TLS.
"""

import datetime as dt
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymongo import MongoClient
from pymongo.errors import PyMongoError

PROGRAM = Path(sys.executable).with_name("secantusd-py")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class MongoServer:
    """One server process over a directory of its own; it can be killed and started again."""

    def __init__(self, *, auth=False, standalone=False, durable=False, tls=None, client_ca=None):
        self.port = free_port()
        self._directory = tempfile.mkdtemp(prefix="provd-mongo-")
        self._options = ["--host", "127.0.0.1", "--port", str(self.port), "--log-level", "ERROR"]
        self._options += ["--storage-path", self._directory, "--cache-size", "256M"]
        self._options += ["--enable-test-commands"]
        if standalone:
            self._options += ["--standalone"]
        if durable:
            self._options += ["--sync-on-commit"]
        if tls is not None:
            self._options += ["--tls-cert-file", str(tls.certificate)]
            self._options += ["--tls-key-file", str(tls.key)]
        if client_ca is not None:
            self._options += ["--tls-ca-file", str(client_ca), "--tls-require-client-cert"]
        self._auth = auth
        self._process = None

    def start(self):
        self._run(["--auth"] if self._auth else [])
        return self

    def _run(self, more):
        self._process = subprocess.Popen(
            [str(PROGRAM), *self._options, *more],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._directory,
            env={**os.environ, "HOME": self._directory},
        )
        until = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, "the server ended at once"
                assert time.monotonic() < until, "the server does not listen"
                time.sleep(0.02)
            else:
                return

    def add_user(self, name, password, mechanisms=("SCRAM-SHA-256",)):
        """Make a user of the database `admin` who may do everything; starts and stops the server."""
        self._run([])
        try:
            with self.client() as client:
                client.admin.command(
                    "createUser",
                    name,
                    pwd=password,
                    roles=["root"],
                    mechanisms=list(mechanisms),
                )
        finally:
            self.halt()

    def client(self):
        """Return a pymongo client, for looking behind the store's back."""
        return MongoClient("127.0.0.1", self.port, directConnection=True)

    def uri(self, options="", user=None, host="127.0.0.1"):
        login = f"{user}@" if user else ""
        return f"mongodb://{login}{host}:{self.port}/?{options}"

    def halt(self, number=signal.SIGTERM):
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(15)
            self._process = None

    def stop(self):
        self.halt(signal.SIGKILL)
        shutil.rmtree(self._directory, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_error):
        self.stop()


_SERVER = pytest.StashKey()


@pytest.fixture(scope="session")
def mongo_server(request):
    """One plain server for all tests of the session, of whatever module."""
    config = request.config
    if _SERVER not in config.stash:
        server = MongoServer().start()
        config.stash[_SERVER] = server
        config.add_cleanup(server.stop)
    return config.stash[_SERVER]


@pytest.fixture
def mongo_database(mongo_server):
    """The name of an empty database, dropped after the test."""
    name = f"test_{uuid.uuid4().hex}"
    yield name
    try:
        with mongo_server.client() as client:
            client.drop_database(name)
    except PyMongoError:
        pass


class Authority:
    """A certificate authority in a directory of the test's."""

    def __init__(self, directory, name="test authority"):
        self._directory = directory
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            self._builder(self._subject, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = directory / f"{name.replace(' ', '-')}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject, key):
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )

    def issue(self, *names):
        """Return the files of a new certificate and key for host names or addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        alternatives = []
        for name in names:
            try:
                alternatives.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                alternatives.append(x509.DNSName(name))
        certificate = (
            self._builder(subject, key)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Issued(
            self._directory / uuid.uuid4().hex,
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )


class Issued:
    """A certificate and its key: one file each, and `both` in one."""

    def __init__(self, stem, certificate, key):
        self.certificate = stem.with_suffix(".crt")
        self.key = stem.with_suffix(".key")
        self.both = stem.with_suffix(".pem")
        self.certificate.write_bytes(certificate)
        self.key.write_bytes(key)
        self.both.write_bytes(certificate + key)
