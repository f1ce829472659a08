"""The REST API over TLS by the daemon itself (`rest_api.ssl`)."""

import contextlib
import datetime as dt
import http.client
import ipaddress
import json
import socket
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from harness import MEDIA_TYPE

START_SECONDS = 30


class Authority:
    """A certificate with its key; signs itself, or is signed by `issuer`."""

    def __init__(self, name, issuer=None, is_authority=True):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = issuer or self
        now = dt.datetime.now(dt.UTC)
        host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(signer._name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.SubjectAlternativeName([host]), critical=False)
            .sign(signer.key, hashes.SHA256())
        )

    @property
    def pem(self):
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self):
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="module")
def root():
    return Authority("root")


@pytest.fixture
def make_tls_daemon(make_daemon, tmp_path):
    """Make a daemon with these certificates, in their order, and this key."""

    def make(key, *certificates):
        certfile, keyfile = tmp_path / "cert.pem", tmp_path / "key.pem"
        certfile.write_bytes(b"".join(certificate.pem for certificate in certificates))
        keyfile.write_bytes(key.key_pem)
        settings = {"ssl": True, "ssl_certfile": str(certfile), "ssl_keyfile": str(keyfile)}
        return make_daemon(settings={"rest_api": settings}, plugins="none")

    return make


def trusting(*authorities):
    context = ssl.create_default_context()
    for authority in authorities:
        context.load_verify_locations(cadata=authority.pem.decode())
    return context


def request(daemon, context, method="GET", path="/0.2/status", document=None):
    connection = http.client.HTTPSConnection(
        "127.0.0.1", daemon.rest_port, timeout=10, context=context
    )
    with contextlib.closing(connection):
        token = (daemon.state / "admin-token").read_text().strip()
        headers = {"X-Auth-Token": token, "Content-Type": MEDIA_TYPE}
        body = None if document is None else json.dumps(document)
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.read()


def start(daemon, context):
    """Start the daemon and wait until it answers over TLS."""
    daemon.spawn()

    def answers():
        assert daemon.process.poll() is None, daemon.log
        with contextlib.suppress(ConnectionError, FileNotFoundError):
            return request(daemon, context)[0] == 200
        return False

    daemon.wait_for(answers, "an answer over TLS", START_SECONDS)


def test_a_client_that_trusts_the_certificate_reads_and_writes(make_tls_daemon):
    own = Authority("provd", is_authority=True)
    daemon = make_tls_daemon(own, own)
    context = trusting(own)
    start(daemon, context)
    status, body = request(
        daemon, context, "POST", "/0.2/dev_mgr/devices", {"device": {"id": "tls"}}
    )
    assert (status, json.loads(body)["id"]) == (201, "tls")
    assert request(daemon, context, "GET", "/0.2/dev_mgr/devices/tls")[0] == 200
    assert f"REST on https://127.0.0.1:{daemon.rest_port}/0.2" in daemon.log


def test_a_client_that_does_not_trust_it_and_one_without_tls_get_nothing(make_tls_daemon):
    own = Authority("provd")
    daemon = make_tls_daemon(own, own)
    start(daemon, trusting(own))
    with pytest.raises(ssl.SSLCertVerificationError):
        request(daemon, ssl.create_default_context())
    with socket.create_connection(("127.0.0.1", daemon.rest_port), timeout=10) as plain:
        plain.sendall(b"GET /0.2/status HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert not plain.recv(100).startswith(b"HTTP")
    assert request(daemon, trusting(own))[0] == 200


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_of_the_protocol_are_refused(make_tls_daemon):
    own = Authority("provd")
    daemon = make_tls_daemon(own, own)
    start(daemon, trusting(own))
    old = trusting(own)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        request(daemon, old)


def test_the_whole_chain_of_the_file_is_sent(make_tls_daemon, root):
    between = Authority("between", root)
    own = Authority("provd", between, is_authority=False)
    daemon = make_tls_daemon(own, own, between)
    start(daemon, trusting(root))
    assert request(daemon, trusting(root))[0] == 200


def test_a_key_of_another_certificate_stops_the_start_and_is_named(make_tls_daemon):
    daemon = make_tls_daemon(Authority("other"), Authority("provd")).spawn()
    deadline = time.monotonic() + START_SECONDS
    while daemon.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert daemon.process.poll() not in {None, 0}
    assert "rest_api.ssl_certfile" in daemon.log
    assert "not usable with its key" in daemon.log
