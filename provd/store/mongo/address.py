"""The address of MongoDB servers: a `mongodb://` URI with options, some of them files."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import attrs
from pymongo.errors import ConfigurationError, InvalidURI
from pymongo.uri_parser import parse_uri
from twisted.internet import ssl

from provd.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

logger = logging.getLogger(__name__)

Host = tuple[str, int]

_CONNECTIONS = 8


@attrs.frozen
class Address:
    """Which servers to ask, and how to prove who we are."""

    hosts: tuple[Host, ...]
    direct: bool
    replica_set: str | None
    user: str | None
    password: str = attrs.field(repr=False)
    auth_source: str = "admin"
    mechanism: str | None = None
    connect_timeout: float | None = None
    connections: int = _CONNECTIONS
    trust: Any = None
    certificate: Any = None
    tls: bool = False

    @property
    def text(self) -> str:
        """The servers, for messages."""
        return ",".join(map(format_host, self.hosts))


def format_host(host: Host) -> str:
    """Return a server as addresses write it."""
    return f"[{host[0]}]:{host[1]}" if ":" in host[0] else f"{host[0]}:{host[1]}"


def parse_host(text: str) -> Host | None:
    """Return the server that a text `name:port` names, None if it is none."""
    name, _, port = text.rpartition(":")
    return (name.strip("[]"), int(port)) if name and port.isdecimal() else None


_HONOURED = {
    "replicaset",
    "directconnection",
    "authsource",
    "authmechanism",
    "tls",
    "ssl",
    "tlscafile",
    "tlscertificatekeyfile",
    "tlscertificatekeyfilepassword",
    "connecttimeoutms",
    "maxpoolsize",
    "appname",
}
_INSECURE = ("tlsinsecure", "tlsallowinvalidcertificates", "tlsallowinvalidhostnames")


def parse_address(uri: str) -> Address:
    """Return what a URI says; SettingsError if it cannot be used."""
    if uri.startswith("mongodb+srv://"):
        raise SettingsError("mongodb+srv:// addresses are not supported: name the hosts instead")
    try:
        parsed = parse_uri(uri, warn=False)
    except (InvalidURI, ConfigurationError, ValueError, TypeError, OSError) as error:
        raise SettingsError(f"the MongoDB address cannot be used: {_fault(uri, error)}") from None
    options = {key.lower(): value for key, value in parsed["options"].items()}
    for name in _INSECURE:
        if options.get(name):
            raise SettingsError(f"the MongoDB option {name} is refused: certificates are verified")
    ignored = sorted(options.keys() - _HONOURED - set(_INSECURE))
    if ignored:
        logger.warning("options of the MongoDB address without effect: %s", ", ".join(ignored))
    if any(port is None for _, port in parsed["nodelist"]):
        raise SettingsError(
            "the MongoDB address cannot be used: sockets of files are not supported"
        )
    mechanism = options.get("authmechanism")
    if mechanism not in {None, "DEFAULT", "SCRAM-SHA-1", "SCRAM-SHA-256"}:
        raise SettingsError(f"the MongoDB option authMechanism={mechanism} is not supported")
    user = parsed["username"]
    if mechanism and not user:
        raise SettingsError("the MongoDB option authMechanism needs a user in the address")
    tls = bool(options.get("tls", options.get("ssl", False)))
    milliseconds = options.get("connecttimeoutms")
    return Address(
        hosts=tuple((host, port) for host, port in parsed["nodelist"] if port is not None),
        direct=bool(options.get("directconnection")),
        replica_set=options.get("replicaset"),
        user=user,
        password=parsed["password"] or "",
        auth_source=options.get("authsource") or parsed["database"] or "admin",
        mechanism=None if mechanism == "DEFAULT" else mechanism,
        # pymongo hands out seconds.
        connect_timeout=float(milliseconds) if milliseconds else None,
        connections=options.get("maxpoolsize") or _CONNECTIONS,
        tls=tls,
        trust=_trust(options.get("tlscafile")) if tls else None,
        certificate=_certificate(options) if tls else None,
    )


def _fault(uri: str, error: Exception) -> str:
    """Return what is wrong with an address, quoting nothing of its password."""
    scheme, mark, rest = uri.partition("://")
    login, at, place = rest.rpartition("@")
    if not login:
        return str(error)
    try:
        parse_uri(f"{scheme}{mark}user:word{at}{place}", warn=False)
    except (InvalidURI, ConfigurationError, ValueError, TypeError, OSError) as simpler:
        return str(simpler)
    return "its user and password must be percent-encoded"


def _trust(path: str | None) -> Any:
    if path is None:
        return ssl.platformTrust()
    try:
        with open(path, "rb") as file:
            content = file.read()
        end = b"-----END CERTIFICATE-----"
        parts = [part + end for part in content.split(end)[:-1]]
        if not parts:
            raise SettingsError(f"{path} holds no certificate in PEM form")
        return ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(part) for part in parts])
    except SettingsError:
        raise
    except Exception as error:
        raise SettingsError(f"{path} cannot be used as tlsCAFile: {error}") from error


def _certificate(options: Mapping[str, Any]) -> Any:
    path = options.get("tlscertificatekeyfile")
    if path is None:
        return None
    try:
        from cryptography.hazmat.primitives import serialization

        with open(path, "rb") as file:
            content = file.read()
        password = options.get("tlscertificatekeyfilepassword")
        key = serialization.load_pem_private_key(
            _private_key(content), password.encode() if password else None
        ).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        end = b"-----END CERTIFICATE-----"
        start = content.index(b"-----BEGIN CERTIFICATE-----")
        leaf = content[start : content.index(end, start) + len(end)]
        return ssl.PrivateCertificate.loadPEM(leaf + b"\n" + key)
    except Exception as error:
        raise SettingsError(f"{path} cannot be used as tlsCertificateKeyFile: {error}") from error


def _private_key(content: bytes) -> bytes:
    """Return the part of a PEM file that is the private key."""
    for part in content.split(b"-----BEGIN ")[1:]:
        label = part.partition(b"-----")[0]
        if label.endswith(b"PRIVATE KEY"):
            end = b"-----END " + label + b"-----"
            return b"-----BEGIN " + part[: part.index(end) + len(end)] + b"\n"
    raise ValueError("it holds no private key")
