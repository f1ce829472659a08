"""The store of several daemons: one MongoDB replica set, spoken to through txmongo's protocol.

Documents. `devices` and `configs` hold `{_id, revision, order, json, was, …}`: `json` is the
document as JSON text, so that any key and number survives; beside it are the texts of the keys that
look-ups use, and for configs `parents`. `order` is the number of the change that inserted it. An
indexed key with a value that is neither null nor a filled text sets `odd`. Selectors go to MongoDB
only as far as indexes answer them exactly; the rest is filtered here, in slices.

Change numbers come from one counter and are taken before the write that bears them. `was` holds
the numbers that a document bore before, so that a follower who never saw them knows they are done.
A deleted document leaves `{_id, revision, was, deleted}`, put in its place by the same update that
deletes it, and removed by a TTL index after a day. So each operation is one atomic update of one
document, insertion included (it may only take the place of a tombstone).

`identities` has `{_id: "kind:value", device}` for every MAC address, serial number and UUID: the
device that owns it, which a unique insert decides. What a device gains or loses is written in the
transaction of the device.

Several operations are one transaction on a replica set or through mongos. A standalone server has
none: there they are checked first, done in turn, and undone by new changes if one of them fails; a
daemon or server that dies in between leaves them half done. Identities are claimed before and freed
after the documents are written, so what a crash leaves is a claim without a device that has the
value; after some time it is nobody's.

Writes wait for a majority, reads ask the primary for what a majority has. While the network splits
the set, an old primary can answer for a few seconds before it steps down; it can acknowledge no
write, but a reader who hears only it sees what was acknowledged before.

Everything sent has a deadline. What is lost with a connection, or refused by a server that is no
primary any more, is sent again until then: reads as they are, writes with the session and number
by which the server knows them again; where it cannot, the stored revision tells.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import heapq
import hmac
import json
import logging
import os
import time
import uuid
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
from bson import Binary, CodecOptions, Int64
from bson.errors import BSONError
from pymongo.errors import ConfigurationError, ConnectionFailure, InvalidURI, PyMongoError
from pymongo.saslprep import saslprep
from pymongo.uri_parser import parse_uri
from twisted.internet import defer, ssl
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from txmongo.protocol import MongoDecoder, MongoProtocol, Msg

from provd.errors import (
    DuplicateId,
    IdentityTaken,
    InvalidDocument,
    RevisionConflict,
    SettingsError,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from provd.model.identities import KINDS, elect, identities, is_unclaimed
from provd.model.selectors import compile_selector, sort_value
from provd.store.documents import column_text, encode, is_storable
from provd.store.interface import (
    COLLECTIONS,
    INDEXED,
    Changed,
    Collection,
    Delete,
    Duplicate,
    Identity,
    Insert,
    Record,
    Replace,
    Write,
)
from provd.store.planning import cut, plan

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Callable,
        Coroutine,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )

    from provd.model.selectors import Query

logger = logging.getLogger(__name__)

T = TypeVar("T")
Host = tuple[str, int]
Stored = dict[str, Any]

SCHEMA_VERSION = 2
_CODEC: CodecOptions[Stored] = CodecOptions()
_DAY = 86400
_SLICE_SECONDS = 0.004
_CONNECTIONS = 8
_BATCH: dict[str, int] = {"devices": 300, "configs": 100}
_MOST_CHOICES = 20_000
_STATEMENTS = 200
_TAKERS = 32
_MAX_MESSAGE = 48_000_000
_MAX_TEXT = 15 * 1024 * 1024
_CHUNK = 512 * 1024

# A writer gives up long before, so a number that is missing for so long is none that comes yet.
_GAP_SECONDS = 60
_MOST_CHANGES = 10_000
_FIRST_WINDOW = 1000
_LONGEST_ABSENCE = 23 * 3600
# A claim on an identity may wait so long for its document, where there are no transactions.
_CLAIM_SECONDS = 60

# Error codes of MongoDB.
_DUPLICATE_KEY = {11000, 11001}
_WRITE_CONFLICT = 112
_NO_TRANSACTION = {251, 263}  # NoSuchTransaction, OperationNotSupportedInTransaction
_NOT_PRIMARY = {10058, 10107, 13435, 13436, 11602, 189, 11600, 91}
_AGAIN = _NOT_PRIMARY | {6, 7, 24, 89, 9001, 134, 246, 262, 317, 384}
_NO_ROOM = {14031, 12501}

_INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    # Many phones may share one address; among them, those without a MAC are asked for. How a
    # device came is asked of all devices of a tenant.
    "devices": (
        ("revision",),
        ("order",),
        ("mac", "order"),
        ("ip", "mac", "order"),
        ("sn", "order"),
        ("uuid", "order"),
        ("config", "order"),
        ("plugin", "order"),
        ("tenant_uuid", "order"),
        ("tenant_uuid", "added"),
    ),
    "configs": (
        ("revision",),
        ("order",),
        ("role", "order"),
        ("X_type", "order"),
        ("X_provisioning_code", "order"),
        ("tenant_uuid", "order"),
        ("parents",),
    ),
    "parameters": (("revision",),),
    "chunks": (("version", "number"),),
}
# On disk as well; a replica set does so by itself, a single server does not.
_CONCERN: Stored = {"w": "majority", "j": True}
_LIVE = {"order": {"$gt": 0}}


class _LostError(Exception):
    """A command whose outcome is unknown, or that another server may do; internal."""


# The address


@attrs.frozen
class _Address:
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
        return ",".join(map(_host_text, self.hosts))


def _host_text(host: Host) -> str:
    return f"[{host[0]}]:{host[1]}" if ":" in host[0] else f"{host[0]}:{host[1]}"


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


def _parse(uri: str) -> _Address:
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
    return _Address(
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


# Connections


class _Wire(MongoProtocol):  # type: ignore[misc]  # txmongo has no types
    """One connection, logged in, to a server that was the primary when it was made."""

    def __init__(self, reactor: Any, host: Host) -> None:
        super().__init__()
        self.reactor = reactor
        self.host = host
        self.gone: Exception | None = None
        self.heard: float = reactor.seconds()
        self.hello: Stored = {}
        self.on_lost: Callable[[_Wire], None] | None = None
        self.closed: defer.Deferred[None] = defer.Deferred()
        self._received = bytearray()

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        # txmongo's own collects in bytes, which copies a large answer once for each of its parts.
        self.heard = self.reactor.seconds()
        received = self._received
        received += data
        try:
            while len(received) >= 16:
                length = int.from_bytes(received[:4], "little")
                if not 16 <= length <= _MAX_MESSAGE:
                    raise ConnectionFailure(f"a message of {length} bytes")
                if len(received) < length:
                    return
                message = bytes(received[:length])
                del received[:length]
                self.handle(MongoDecoder.decode(message))
        except Exception as error:  # noqa: BLE001 - whatever a server sends
            self.gone = error
            logger.warning("%s sent what is not understood: %s", _host_text(self.host), error)
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure) -> None:
        self.gone = self.gone or _exception(reason)
        if self.on_lost is not None:
            self.on_lost(self)
        super().connectionLost(reason)
        self.closed.callback(None)

    def call(
        self,
        database: str,
        body: Mapping[str, Any],
        seconds: float,
        payload: dict[str, list[Stored]] | None = None,
    ) -> defer.Deferred[Stored]:
        """Send one command; gives the answer unless the connection breaks or time runs out."""
        if self.gone is not None:
            return defer.fail(ConnectionFailure(str(self.gone)))
        message = Msg.create({**body, "$db": database}, payload, codec_options=_CODEC)
        reply: defer.Deferred[Stored] = self.send_msg(message, _CODEC, None, check=False)
        return reply.addTimeout(max(seconds, 0.001), self.reactor)

    def abort(self) -> None:
        """Break the connection; nothing is sent any more."""
        self.gone = self.gone or ConnectionFailure("the connection was given up")
        if self.transport is not None:
            self.transport.abortConnection()


class _WireFactory(Factory):
    """Makes one `_Wire`; also the pool that txmongo's protocol tells of its state."""

    noisy = False

    def __init__(self, reactor: Any, host: Host) -> None:
        self._reactor = reactor
        self._host = host
        self.pool = self

    def buildProtocol(self, _address: object) -> _Wire:
        wire = _Wire(self._reactor, self._host)
        wire.factory = self
        return wire

    def setInstance(self, instance: object = None, reason: object = None) -> None:
        """Nothing to do: the wire tells by itself."""

    def _advance_cluster_time(self, session: object, reply: object) -> None:
        """Nothing to do: there is no causal session."""


class _RefusedError(Exception):
    """A server that cannot be used; internal. `lasting` if trying again will not help."""

    def __init__(self, text: str, *, lasting: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting


class _Cluster:
    """Finds the primary, keeps connections to it, and sends commands with a deadline."""

    def __init__(self, reactor: Any, address: _Address, database: str, timeout: float) -> None:
        self._reactor = reactor
        self._address = address
        self._database = database
        self.timeout = timeout
        self.name = f"MongoDB {address.text}"
        self.session_support = False
        self.is_open = False
        self._wires: list[_Wire] = []
        self._growing: defer.Deferred[None] | None = None
        self._searching: defer.Deferred[None] | None = None
        self._waiting: list[defer.Deferred[_Wire]] = []
        self._primary: Host | None = None
        self._learned: tuple[Host, ...] = ()
        self._election: Any = None
        self._down_since: float | None = None
        self._reason = "not connected yet"
        self._sessions: deque[_Session] = deque()
        self._salted: dict[tuple[str, bytes, int], bytes] = {}
        self._beat_call: Any = None

    # Life cycle

    async def open(self) -> None:
        self.is_open = True
        self._down_since = None
        await self._acquire(self._reactor.seconds() + self.timeout)
        self._beat_call = self._reactor.callLater(self.timeout, self._beat)

    async def close(self) -> None:
        self.is_open = False
        if self._beat_call is not None and self._beat_call.active():
            self._beat_call.cancel()
        if self._searching is not None:
            self._searching.cancel()
        if self._growing is not None:
            self._growing.cancel()
        self._wake(Failure(self.unavailable("the store is closed")))
        wires = list(self._wires)
        for wire in wires:
            wire.transport.loseConnection()
        lost = defer.gatherResults([wire.closed for wire in wires])

        def give_up() -> None:
            for wire in wires:
                wire.abort()

        late = self._reactor.callLater(1, give_up)
        await lost
        if late.active():
            late.cancel()

    def unavailable(self, reason: object) -> StoreUnavailable:
        return StoreUnavailable(f"{self.name}: {reason}")

    # Commands

    async def run(
        self,
        body: Stored,
        *,
        payload: dict[str, list[Stored]] | None = None,
        database: str | None = None,
        seconds: float | None = None,
        allow: Iterable[int] = (),
        retry: bool = True,
        timed: bool = True,
    ) -> tuple[Stored, bool]:
        """Return the answer, and whether an earlier attempt may have been carried out.

        An error of a code in `allow` is an answer. Without `retry`, what may be tried again is a
        _LostError.
        """
        deadline = self._reactor.seconds() + (seconds or self.timeout)
        unsure = False
        pause = 0.02
        while True:
            chosen = await self._acquire(deadline)
            left = deadline - self._reactor.seconds()
            command = dict(body)
            if timed:
                milliseconds = max(int(left * 1000), 1)
                command["maxTimeMS"] = milliseconds
                if "writeConcern" in body:
                    command["writeConcern"] = {**_CONCERN, "wtimeout": milliseconds}
            try:
                # The server's own refusal says more than our patience, so it may come first.
                reply = await chosen.call(database or self._database, command, left + 0.2, payload)
                lost = self._judge(reply, allow)
            except defer.TimeoutError:
                chosen.abort()
                self._drop(chosen)
                raise self.unavailable(
                    f"{_host_text(chosen.host)} did not answer in time"
                ) from None
            except ConnectionFailure as error:
                lost = f"{_host_text(chosen.host)}: {chosen.gone or error}"
                self._drop(chosen)
            except (BSONError, UnicodeError, OverflowError) as error:
                raise InvalidDocument(f"this cannot be stored: {error}") from error
            except PyMongoError as error:
                raise self.unavailable(error) from error
            if lost is None:
                return reply, unsure
            if not retry:
                raise _LostError(lost)
            unsure = True
            if self._reactor.seconds() + pause >= deadline:
                raise self.unavailable(lost)
            await deferLater(self._reactor, pause)
            pause = min(pause * 2, 0.5)

    def _judge(self, reply: Stored, allow: Iterable[int]) -> str | None:
        """Return why to try again, or None; raise what an error of the server means."""
        code = reply.get("code", 0)
        if not reply.get("ok"):
            if code in allow:
                return None
            text = f"{reply.get('errmsg')} ({reply.get('codeName') or code})"
            if code in _AGAIN or code == _WRITE_CONFLICT:
                return text
            if code in _NO_ROOM:
                raise StoreFull(f"{self.name}: {text}")
            raise self.unavailable(text)
        for error in reply.get("writeErrors") or ():
            if error.get("code") in allow:
                continue
            text = f"{error.get('errmsg')} ({error.get('code')})"
            if error.get("code") in _AGAIN or error.get("code") == _WRITE_CONFLICT:
                return text
            if error.get("code") in _NO_ROOM:
                raise StoreFull(f"{self.name}: {text}")
            raise self.unavailable(text)
        concern = reply.get("writeConcernError")
        if concern:
            text = f"a majority did not confirm in time: {concern.get('errmsg')}"
            if concern.get("code") in _AGAIN:
                return text
            raise self.unavailable(text)
        return None

    @contextlib.contextmanager
    def session(self) -> Iterator[_Session | None]:
        """Lend a session for one write; None where the server knows none."""
        if not self.session_support:
            yield None
            return
        now = self._reactor.seconds()
        while self._sessions and now - self._sessions[0].used > 20 * 60:
            self._sessions.popleft()
        session = self._sessions.pop() if self._sessions else _Session()
        session.number += 1
        yield session
        # One that failed is dropped: the server may still be busy with it.
        session.used = now
        self._sessions.append(session)

    # Finding the primary

    def _hosts(self) -> list[Host]:
        known = [self._primary] if self._primary is not None else []
        return list(dict.fromkeys([*known, *self._address.hosts, *self._learned]))

    async def _acquire(self, deadline: float) -> _Wire:
        if not self.is_open:
            raise self.unavailable("the store is closed")
        if self._wires:
            wire = min(self._wires, key=lambda wire: wire.inflight())
            if wire.inflight() and len(self._wires) < self._address.connections:
                self._grow()
            return wire
        now = self._reactor.seconds()
        if self._down_since is None:
            self._down_since = now
        elif now - self._down_since > self.timeout and self._searching is not None:
            # Away for longer than anybody should wait: whoever asks now learns it at once.
            raise self.unavailable(self._reason)
        if self._searching is None:
            self._start_search()
            if self._wires:
                return self._wires[0]
        waiter: defer.Deferred[_Wire] = defer.Deferred()
        self._waiting.append(waiter)
        waiter.addTimeout(max(deadline - now, 0.001), self._reactor)
        try:
            return await waiter
        except defer.TimeoutError:
            raise self.unavailable(self._reason) from None
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)

    def _wake(self, outcome: _Wire | Failure) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.called:
                waiter.callback(outcome)

    def _start_search(self) -> None:
        def ended(result: object) -> None:
            self._searching = None
            if isinstance(result, Failure) and not result.check(defer.CancelledError):
                logger.error("the search for %s failed: %s", self.name, result.getTraceback())

        self._searching = defer.Deferred.fromCoroutine(self._search())
        self._searching.addBoth(ended)

    async def _search(self) -> None:
        """Try all servers, again and again, until one is the primary."""
        pause = 0.1
        told = False
        while self.is_open:
            try:
                wire = await self._try_all()
            except _RefusedError as error:
                self._reason = str(error)
                if self._down_since is None:
                    self._down_since = self._reactor.seconds()
                if self._reactor.seconds() - self._down_since > self.timeout:
                    self._election = None  # the set may have been built anew
                if error.lasting:
                    self._wake(Failure(self.unavailable(error)))
                if not told:
                    logger.warning("%s is away: %s", self.name, error)
                    told = True
                await deferLater(self._reactor, pause)
                pause = min(pause * 2, 1.0)
            else:
                if told:
                    logger.warning("%s is back, at %s", self.name, _host_text(wire.host))
                self._primary = wire.host
                self._down_since = None
                self._add(wire)
                # The search is over before anybody who waits can start another.
                self._reactor.callLater(0, self._wake, wire)
                return

    async def _try_all(self) -> _Wire:
        """Return a connection to whichever server first says it is the primary."""
        found: defer.Deferred[_Wire] = defer.Deferred()
        attempts: dict[Host, defer.Deferred[None]] = {}
        failures: dict[Host, Exception] = {}

        def start(host: Host) -> None:
            attempts[host] = defer.Deferred()  # taken, before anything can fail at once
            attempt = self._dial(host)
            attempts[host] = attempt.addCallbacks(succeed, lambda failure: fail(host, failure))

        def succeed(wire: _Wire) -> None:
            if found.called:
                wire.abort()
            else:
                found.callback(wire)

        def fail(host: Host, failure: Failure) -> None:
            failures[host] = _exception(failure)
            if found.called:
                return
            for other in self._hosts():
                if other not in attempts:
                    start(other)
            if len(failures) == len(attempts) and not found.called:
                text = "; ".join(f"{_host_text(h)}: {e}" for h, e in failures.items())
                lasting = any(getattr(error, "lasting", False) for error in failures.values())
                found.errback(_RefusedError(text, lasting=lasting))

        try:
            for host in self._hosts():
                if host not in attempts:
                    start(host)
            return await found
        finally:
            for attempt in attempts.values():
                attempt.cancel()

    def _dial(self, host: Host) -> defer.Deferred[_Wire]:
        """Connect to one server and log in; _RefusedError says why it cannot be used."""
        seconds = min(self._address.connect_timeout or self.timeout, self.timeout)

        def translate(failure: Failure) -> Any:
            error = _exception(failure)
            if isinstance(error, defer.TimeoutError):
                raise _RefusedError("no answer in time") from error
            if isinstance(error, _RefusedError):
                raise error
            raise _RefusedError(
                " ".join(str(error).split()) or type(error).__name__, lasting=_is_tls(error)
            ) from error

        return (
            defer.Deferred.fromCoroutine(self._connect(host, seconds))
            .addTimeout(seconds, self._reactor)
            .addErrback(translate)
        )

    async def _connect(self, host: Host, seconds: float) -> _Wire:
        address = self._address
        endpoint: Any = HostnameEndpoint(self._reactor, host[0], host[1], seconds)
        if address.tls:
            creator = ssl.optionsForClientTLS(
                host[0], trustRoot=address.trust, clientCertificate=address.certificate
            )
            endpoint = wrapClientTLS(creator, endpoint)
        wire: _Wire = await endpoint.connect(_WireFactory(self._reactor, host))
        try:
            hello = await self._greet(wire, seconds)
            if address.user is not None:
                await self._log_in(wire, hello, seconds)
        except BaseException as error:
            wire.abort()
            if isinstance(error, ConnectionFailure) and wire.gone is not None:
                raise wire.gone from error
            raise
        if wire.gone is not None:
            raise wire.gone
        return wire

    async def _greet(self, wire: _Wire, seconds: float) -> Stored:
        address = self._address
        command: Stored = {"hello": 1}
        if address.user is not None and address.mechanism is None:
            command["saslSupportedMechs"] = f"{address.auth_source}.{address.user}"
        hello = await wire.call("admin", command, seconds)
        if not hello.get("ok"):
            raise _RefusedError(f"{hello.get('errmsg')}")
        name = hello.get("setName")
        if address.replica_set and name != address.replica_set:
            raise _RefusedError(
                f"its replica set is {name!r}, not {address.replica_set!r}", lasting=True
            )
        if not address.direct:
            self._learned = tuple(
                parsed for text in hello.get("hosts") or () if (parsed := _parse_host(text))
            )
        if not hello.get("isWritablePrimary"):
            hint = _parse_host(hello.get("primary") or "")
            if hint is not None and not address.direct:
                self._learned = (hint, *self._learned)
            raise _RefusedError("it is not the primary")
        election = hello.get("electionId")
        if election is not None:
            if self._election is not None and election < self._election:
                raise _RefusedError("it was the primary before the present one")
            self._election = election
        wire.hello = hello
        # A standalone server has neither sessions with numbers nor transactions.
        self.session_support = bool(hello.get("logicalSessionTimeoutMinutes")) and (
            name is not None or hello.get("msg") == "isdbgrid"
        )
        return hello

    async def _log_in(self, wire: _Wire, hello: Stored, seconds: float) -> None:
        """Prove by SCRAM (RFC 5802, RFC 7677) that we know the password, and that it does too."""
        address = self._address
        assert address.user is not None
        offered = hello.get("saslSupportedMechs") or ()
        mechanism = address.mechanism or (
            "SCRAM-SHA-1"
            if "SCRAM-SHA-1" in offered and "SCRAM-SHA-256" not in offered
            else "SCRAM-SHA-256"
        )
        digest = "sha1" if mechanism == "SCRAM-SHA-1" else "sha256"
        if digest == "sha1":
            text = f"{address.user}:mongo:{address.password}"
            secret = hashlib.md5(text.encode()).hexdigest().encode()  # noqa: S324 - as specified
        else:
            secret = saslprep(address.password).encode()

        async def exchange(command: Stored, message: bytes) -> Stored:
            reply = await wire.call(
                address.auth_source, {**command, "payload": Binary(message)}, seconds
            )
            if not reply.get("ok"):
                raise _RefusedError(
                    f"login of {address.user!r} refused: {reply.get('errmsg')}", lasting=True
                )
            return reply

        user = address.user.replace("=", "=3D").replace(",", "=2C")
        nonce = base64.b64encode(os.urandom(24)).decode()
        first = f"n={user},r={nonce}".encode()
        reply = await exchange(
            {
                "saslStart": 1,
                "mechanism": mechanism,
                "options": {"skipEmptyExchange": True},
            },
            b"n,," + first,
        )
        challenge = bytes(reply["payload"])
        given = _scram_fields(challenge)
        iterations = int(given.get("i", "0"))
        if not given.get("r", "").startswith(nonce) or not 4096 <= iterations <= 10_000_000:
            raise _RefusedError("its login challenge is not acceptable", lasting=True)
        salt = base64.b64decode(given["s"])
        salted = self._salted.get((digest, salt, iterations))
        if salted is None:
            # Many milliseconds, but outside of the interpreter's lock.
            salted = await deferToThreadPool(
                self._reactor,
                self._reactor.getThreadPool(),
                hashlib.pbkdf2_hmac,
                digest,
                secret,
                salt,
                iterations,
            )
            self._salted = {(digest, salt, iterations): salted}
        key = hmac.digest(salted, b"Client Key", digest)
        bare = f"c=biws,r={given['r']}".encode()
        signed = b",".join((first, challenge, bare))
        signature = hmac.digest(hashlib.new(digest, key).digest(), signed, digest)
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        proceed = {"saslContinue": 1, "conversationId": reply["conversationId"]}
        reply = await exchange(proceed, bare + b",p=" + base64.b64encode(proof))
        expected = hmac.digest(hmac.digest(salted, b"Server Key", digest), signed, digest)
        answer = _scram_fields(bytes(reply["payload"])).get("v", "")
        if not hmac.compare_digest(answer, base64.b64encode(expected).decode()):
            raise _RefusedError("it does not know the password of its user", lasting=True)
        if not reply.get("done"):
            reply = await exchange(proceed, b"")
            if not reply.get("done"):
                raise _RefusedError("its login does not end", lasting=True)

    # Keeping connections

    def _add(self, wire: _Wire) -> None:
        wire.on_lost = self._drop
        self._wires.append(wire)

    def _drop(self, wire: _Wire) -> None:
        if wire not in self._wires:
            return
        self._wires.remove(wire)
        if not self.is_open:
            return
        self._reason = f"{_host_text(wire.host)}: {wire.gone or 'it is not the primary any more'}"
        if not self._wires:
            self._down_since = self._reactor.seconds()
            if self._searching is None:
                self._start_search()

    def _grow(self) -> None:
        """Open one more connection to the primary, in the background."""
        if self._growing is not None or self._primary is None:
            return
        host = self._primary

        def grown(wire: _Wire) -> None:
            if self.is_open and self._primary == host and wire.gone is None:
                self._add(wire)
            else:
                wire.abort()

        def finished(result: object) -> None:
            self._growing = None
            if isinstance(result, Failure):
                logger.debug("no further connection to %s: %s", _host_text(host), result.value)

        # Set before it can end.
        self._growing = growing = self._dial(host).addCallback(grown)
        growing.addBoth(finished)

    def _beat(self) -> None:
        """Ask connections that are idle whether they still lead to the primary."""
        self._beat_call = self._reactor.callLater(self.timeout, self._beat)
        now = self._reactor.seconds()
        for wire in list(self._wires):
            if now - wire.heard >= self.timeout and not wire.inflight():
                self._check(wire)

    def _check(self, wire: _Wire) -> None:
        def answered(hello: Stored) -> None:
            if not hello.get("isWritablePrimary"):
                wire.abort()

        def failed(_failure: Failure) -> None:
            wire.abort()

        wire.call("admin", {"hello": 1}, self.timeout).addCallbacks(answered, failed)


class _Session:
    """By its id and its number the server knows a repeated write again."""

    def __init__(self) -> None:
        self.id = {"id": Binary(uuid.uuid4().bytes, 4)}
        self.number = 0
        self.used = 0.0

    def fields(self) -> Stored:
        return {"lsid": self.id, "txnNumber": Int64(self.number)}


def _exception(failure: Failure) -> Exception:
    error = failure.value
    return error if isinstance(error, Exception) else RuntimeError(repr(error))


def _parse_host(text: str) -> Host | None:
    name, _, port = text.rpartition(":")
    return (name.strip("[]"), int(port)) if name and port.isdecimal() else None


def _scram_fields(message: bytes) -> dict[str, str]:
    return {part[:1]: part[2:] for part in message.decode().split(",")}


def _is_tls(error: BaseException) -> bool:
    """Tell whether a certificate is wrong, which waiting does not cure."""
    from OpenSSL import SSL
    from service_identity import VerificationError

    return isinstance(error, VerificationError) or (
        isinstance(error, SSL.Error) and "certificate" in str(error)
    )


# Documents


def _fields(collection: Collection, document: Mapping[str, Any], text: str) -> Stored:
    """Return what is stored of a document, but for its id and numbers."""
    fields: Stored = {"json": text}
    for column in INDEXED[collection]:
        value = document.get(column)
        if isinstance(value, str):
            fields[column] = value
        if value is not None and (value == "" or not isinstance(value, str)):
            fields["odd"] = True
    if collection == "configs":
        parents = document.get("parent_ids")
        if isinstance(parents, list):
            fields["parents"] = [parent for parent in parents if isinstance(parent, str)]
        elif parents is not None:
            fields["parents"] = [True]  # no list: matched by hand
    return fields


_EXTRAS = ("json", "odd", "parents", "order", "deleted")


def _set(collection: Collection, fields: Stored, number: int) -> Stored:
    """Return the update that makes a stored document be `fields`; `order` is left if not in it."""
    keys = {*INDEXED[collection], *_EXTRAS} - {"order"} - fields.keys()
    return {
        "$set": {**fields, "revision": Int64(number)},
        "$unset": dict.fromkeys(sorted(keys), ""),
    }


def _bury(collection: Collection, number: int) -> Stored:
    """Return the update that turns a document into its tombstone."""
    keys = {*INDEXED[collection], *_EXTRAS} - {"deleted"}
    return {
        "$set": {"revision": Int64(number)},
        "$unset": dict.fromkeys(sorted(keys), ""),
        "$currentDate": {"deleted": True},
    }


def _after(revision: int) -> Stored:
    return {"$push": {"was": {"$each": [Int64(revision)], "$slice": -8}}}


@attrs.define
class _Operation:
    """An operation, made ready to be sent."""

    asked: Write
    id: str
    statement: Stored
    size: int

    @property
    def number(self) -> int:
        number: int = self.statement["u"]["$set"]["revision"]
        return number


def _operation(asked: Write, text: str | None, number: int) -> _Operation:
    collection = asked.collection
    if isinstance(asked, Delete):
        where = {"_id": asked.document_id, "revision": asked.revision, **_LIVE}
        update = _bury(collection, number) | _after(asked.revision)
        return _Operation(asked, asked.document_id, {"q": where, "u": update}, 500)
    assert text is not None
    document_id: str = asked.document["id"]
    fields = _fields(collection, asked.document, text)
    if isinstance(asked, Replace):
        where = {"_id": document_id, "revision": asked.revision, **_LIVE}
        update = _set(collection, fields, number) | _after(asked.revision)
        return _Operation(asked, document_id, {"q": where, "u": update}, len(text) + 1000)
    # A document that lives is not found so, and the insertion then meets its id.
    where = {"_id": document_id, "deleted": {"$exists": True}}
    update = _set(collection, {**fields, "order": Int64(number)}, number)
    statement = {"q": where, "u": update, "upsert": True}
    return _Operation(asked, document_id, statement, len(text) + 1000)


def _conflict(asked: Write, document_id: str) -> DuplicateId | RevisionConflict:
    if isinstance(asked, Insert):
        return DuplicateId(asked.collection, document_id)
    return RevisionConflict(asked.collection, document_id)


def _where(collection: Collection, selector: Mapping[str, Any]) -> tuple[Stored, bool] | None:
    """Return a filter that lets every match through, and whether it is exact.

    None if nothing can match. What an inexact filter lets through is filtered again.
    """
    indexed = plan(collection, selector)
    if not all(indexed.equal.values()):
        return None
    equal = {key: known for key, known in indexed.equal.items() if len(known) <= _MOST_CHOICES}
    where: Stored = {
        "_id" if key == "id" else key: known[0] if len(known) == 1 else {"$in": known}
        for key, known in equal.items()
    }
    where.update(dict.fromkeys(indexed.absent))
    if indexed.parent is not None:
        where["parents"] = {"$in": [indexed.parent, True]}
    if equal.keys() <= {"id"} and indexed.parent is None:
        where.update(_LIVE)
    return where, len(indexed.complete & equal.keys()) == len(selector)


class MongoStore:
    """The store in database `name` of the MongoDB servers that `uri` names; see the module.

    Of the options of a `mongodb://` address these have an effect: replicaSet, directConnection,
    authSource, authMechanism (SCRAM-SHA-256, SCRAM-SHA-1), tls (ssl), tlsCAFile,
    tlsCertificateKeyFile, tlsCertificateKeyFilePassword, connectTimeoutMS and maxPoolSize.
    tlsInsecure, tlsAllowInvalidCertificates and tlsAllowInvalidHostnames are refused, any other is
    warned of. Reads and writes always have the concern `majority`. `timeout`, in seconds, bounds
    every answer of the server; a listing is many answers. SettingsError if the address is unusable.
    """

    def __init__(self, reactor: Any, uri: str, name: str, *, timeout: float = 5) -> None:
        if not name or len(name.encode()) > 63 or any(c in '/\\. "$*<>:|?\0' for c in name):
            raise SettingsError(f"{name!r} is no name of a MongoDB database")
        self._reactor = reactor
        self._name = name
        self._cluster = _Cluster(reactor, _parse(uri), name, timeout)
        self._owner = uuid.uuid4().hex
        self._running = 0
        self._idle: defer.Deferred[None] | None = None
        self._takers: deque[tuple[int, defer.Deferred[int]]] = deque()
        self._taking = False
        self._followers: list[defer.Deferred[list[Changed] | None]] = []
        self._following = False
        self._high: int | None = None
        self._gaps: dict[int, float] = {}
        self._followed = (0.0, 0.0)

    # Life cycle

    async def open(self) -> None:
        """Connect and make indexes; StoreUnavailable or StoreCorrupt names the servers."""
        try:
            await self._cluster.open()
            await self._prepare()
        except BaseException:
            await self._cluster.close()
            raise

    async def _prepare(self) -> None:
        marks = await self._rows("meta", {"_id": "provd"})
        if not marks:
            for collection in COLLECTIONS:
                if await self._rows(collection, {"revision": {"$exists": False}}, limit=1):
                    raise StoreCorrupt(
                        f"{self._cluster.name}: the database {self._name} is not one of provd"
                    )
        elif marks[0]["schema"] > SCHEMA_VERSION:
            raise self._cluster.unavailable(
                f"the database {self._name} was written by a newer provd"
                f" (schema {marks[0]['schema']}, known {SCHEMA_VERSION})"
            )
        for name, indexes in _INDEXES.items():
            made: list[Stored] = [
                {"key": dict.fromkeys(keys, 1), "name": "_".join(keys)} for keys in indexes
            ]
            if name in COLLECTIONS:
                made += [
                    {"key": {"odd": 1}, "name": "odd", "sparse": True},
                    {"key": {"deleted": 1}, "name": "deleted", "expireAfterSeconds": _DAY},
                ]
            await self._index(name, made)
        await self._index(
            "claims", [{"key": {"expires": 1}, "name": "expires", "expireAfterSeconds": 60}]
        )
        if marks and marks[0]["schema"] < 2:
            await self._build_identities()
        if not marks:
            await self._change(
                "counters",
                {"_id": "changes"},
                {"$setOnInsert": {"last": Int64(0)}},
                upsert=True,
            )
        if not marks or marks[0]["schema"] < SCHEMA_VERSION:
            await self._change(
                "meta", {"_id": "provd"}, {"$set": {"schema": SCHEMA_VERSION}}, upsert=True
            )

    async def _index(self, collection: str, indexes: list[Stored]) -> None:
        # Over many documents this takes its time, once.
        await self._cluster.run({"createIndexes": collection, "indexes": indexes}, seconds=120)

    async def close(self) -> None:
        """Let what was begun end, as far as the servers answer, then hang up."""
        if not self._cluster.is_open:
            return
        if self._running:
            self._idle = defer.Deferred()
            waiting = self._idle.addTimeout(self._cluster.timeout, self._reactor)
            with contextlib.suppress(defer.TimeoutError):
                await waiting
            self._idle = None
        await self._cluster.close()

    @contextlib.contextmanager
    def _work(self) -> Iterator[None]:
        """Count what `close` waits for."""
        if not self._cluster.is_open or self._idle is not None:
            raise self._cluster.unavailable("the store is closed")
        self._running += 1
        try:
            yield
        finally:
            self._ended()

    def _ended(self) -> None:
        self._running -= 1
        if not self._running and self._idle is not None and not self._idle.called:
            self._idle.callback(None)

    def _background(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Do something that nobody waits for, and that may fail."""

        def failed(failure: Failure) -> None:
            logger.debug("%s: %s", self._cluster.name, failure.value)

        defer.Deferred.fromCoroutine(coroutine).addErrback(failed)

    # Commands

    async def _answers(self, command: Stored) -> AsyncGenerator[list[Stored], None]:
        """Give what a find gives, one answer of the server at a time."""
        if self._cluster.session_support:
            command["readConcern"] = {"level": "majority"}
        reply, _ = await self._cluster.run(command)
        cursor = reply["cursor"]
        yield cursor["firstBatch"]
        collection = command["find"]
        try:
            while cursor["id"]:
                more = {
                    "getMore": Int64(cursor["id"]),
                    "collection": collection,
                    "batchSize": command["batchSize"],
                }
                reply, _ = await self._cluster.run(more, allow={43}, retry=False, timed=False)
                if not reply.get("ok"):
                    raise _LostError("the server forgot a cursor")
                cursor = reply["cursor"]
                yield cursor["nextBatch"]
        finally:
            if cursor["id"]:
                stop = {"killCursors": collection, "cursors": [Int64(cursor["id"])]}
                self._background(self._cluster.run(stop, retry=False, timed=False))

    async def _collect(
        self,
        collection: str,
        where: Stored,
        pick: Callable[[Stored], T | None],
        *,
        enough: int | None = None,
        **more: Any,
    ) -> list[T]:
        """Return what `pick` makes of all that is found, without its Nones; at most `enough`."""
        command = {
            "find": collection,
            "filter": where,
            "batchSize": _BATCH.get(collection, 500),
            **more,
        }
        if more.get("sort"):
            command["allowDiskUse"] = True
        for attempt in range(3):
            found: list[T] = []
            answers = self._answers(dict(command))
            try:
                async with contextlib.aclosing(answers):
                    until = time.perf_counter() + _SLICE_SECONDS
                    async for rows in answers:
                        for row in rows:
                            picked = pick(row)
                            if picked is not None:
                                found.append(picked)
                                if enough is not None and len(found) >= enough:
                                    return found
                            if time.perf_counter() > until:
                                await deferLater(self._reactor, 0)
                                until = time.perf_counter() + _SLICE_SECONDS
                        until = time.perf_counter() + _SLICE_SECONDS
            except _LostError as error:
                if attempt == 2:
                    raise self._cluster.unavailable(error) from None
            else:
                return found
        raise AssertionError

    async def _rows(self, collection: str, where: Stored, **more: Any) -> list[Stored]:
        return await self._collect(collection, where, lambda row: row, **more)

    async def _change(
        self, collection: str, where: Stored, update: Stored, *, upsert: bool = False
    ) -> tuple[Stored, bool]:
        return await self._update(collection, [{"q": where, "u": update, "upsert": upsert}])

    async def _update(self, collection: str, statements: list[Stored]) -> tuple[Stored, bool]:
        with self._cluster.session() as session:
            return await self._cluster.run(
                {
                    "update": collection,
                    "ordered": True,
                    "writeConcern": _CONCERN,
                    **(session.fields() if session is not None else {}),
                },
                payload={"updates": statements},
                allow=_DUPLICATE_KEY,
            )

    async def _take(self, count: int) -> int:
        """Return the first of so many change numbers; those who ask at one time share a trip."""
        taken: defer.Deferred[int] = defer.Deferred()
        self._takers.append((count, taken))
        if not self._taking:
            self._taking = True
            self._background(self._hand_out())
        return await taken

    async def _hand_out(self) -> None:
        try:
            while self._takers:
                # Each of them goes on at once when it has its numbers, so not too many at a time.
                takers = [self._takers.popleft() for _ in range(min(len(self._takers), _TAKERS))]
                total = sum(count for count, _ in takers)
                try:
                    number = await self._count_up(total) - total + 1
                except Exception as error:  # noqa: BLE001 - all who wait learn of it
                    for _, taken in takers:
                        if not taken.called:
                            taken.errback(Failure(error))
                    continue
                for count, taken in takers:
                    if not taken.called:
                        taken.callback(number)
                    number += count
        finally:
            self._taking = False

    async def _count_up(self, count: int) -> int:
        while True:
            reply, _ = await self._cluster.run(
                {
                    "findAndModify": "counters",
                    "query": {"_id": "changes"},
                    "update": {"$inc": {"last": Int64(count)}},
                    "upsert": True,
                    "new": True,
                    "fields": {"last": 1},
                    "writeConcern": _CONCERN,
                },
                allow=_DUPLICATE_KEY,  # two made the counter at one time
            )
            if reply.get("ok") and reply["value"]:
                last: int = reply["value"]["last"]
                return last

    # Reads

    async def get(self, collection: Collection, document_id: str) -> Record | None:
        """Return the document of that id, or None."""
        with self._work():
            if not is_storable(document_id):
                return None
            found = await self._collect(
                collection,
                {"_id": document_id, **_LIVE},
                _record,
                projection={"json": 1, "revision": 1},
                limit=1,
                singleBatch=True,
            )
            return found[0] if found else None

    async def find(self, collection: Collection, query: Query) -> list[Record]:
        """Return documents that match, sorted, skipped and limited."""
        with self._work():
            matches = compile_selector(query.selector)
            place = _where(collection, query.selector)
            if place is None or (query.limit is not None and query.limit < 0):
                return []
            where, exact = place
            skip, limit = max(query.skip, 0), query.limit or 0
            sort = await self._sort(collection, query)
            more: Stored = {"sort": sort or {"order": 1}, "projection": {"json": 1, "revision": 1}}
            if exact and sort is not None:
                if skip:
                    more["skip"] = min(skip, 2**53)
                if limit:
                    more["limit"] = min(limit, 2**53)
                    more["batchSize"] = min(limit, _BATCH[collection])
                return await self._collect(collection, where, _record, **more)

            def pick(row: Stored) -> Record | None:
                record = _record(row)
                return record if exact or matches(record.document) else None

            if sort is not None:
                enough = skip + limit if limit else None
                found = await self._collect(collection, where, pick, enough=enough, **more)
                return cut(found, query)
            return await self._sorted(await self._collect(collection, where, pick, **more), query)

    async def _sort(self, collection: Collection, query: Query) -> Stored | None:
        """Return how MongoDB sorts as `query` says, None if it cannot."""
        if query.sort is None:
            return {"order": 1}
        key, direction = query.sort
        step = -1 if direction < 0 else 1
        if key == "id":
            return {"_id": step}
        if key not in INDEXED[collection] or await self._rows(
            collection, {"odd": True}, projection={"_id": 1}, limit=1
        ):
            return None
        return {key: step, "order": 1}

    async def _sorted(self, records: list[Record], query: Query) -> list[Record]:
        """Return `records` sorted and cut; short lists first, then merged, to hold up nobody."""
        assert query.sort is not None
        key, direction = query.sort
        reverse = direction < 0

        def text(record: Record) -> str:
            return sort_value(record.document, key)

        runs = []
        for start in range(0, len(records), 1000):
            runs.append(sorted(records[start : start + 1000], key=text, reverse=reverse))
            await deferLater(self._reactor, 0)
        merged = heapq.merge(*runs, key=text, reverse=reverse)
        wanted = max(query.skip, 0) + query.limit if query.limit else len(records)
        found: list[Record] = []
        while len(found) < wanted and (part := list(islice(merged, min(wanted - len(found), 500)))):
            found += part
            await deferLater(self._reactor, 0)
        return cut(found, query)

    async def find_ids(self, collection: Collection, selector: Mapping[str, Any]) -> list[str]:
        """Return the ids of all documents that match."""
        with self._work():
            return await self._find_ids(collection, selector)

    async def _find_ids(self, collection: Collection, selector: Mapping[str, Any]) -> list[str]:
        matches = compile_selector(selector)
        place = _where(collection, selector)
        if place is None:
            return []
        where, exact = place

        def pick(row: Stored) -> str | None:
            document_id: str = row["_id"]
            return document_id if exact or matches(json.loads(row["json"])) else None

        projection = {"_id": 1} if exact else {"json": 1}
        return await self._collect(
            collection, where, pick, projection=projection, sort={"order": 1}
        )

    async def identities(self, limit: int) -> list[Identity] | None:  # noqa: ARG002
        """Return None: other processes write too."""
        return None

    async def descendants(self, config_id: str) -> list[str]:
        """Return the ids of all configs that reach this one, with one query a generation."""
        with self._work():
            reached = {config_id: None}
            generation = [config_id] if is_storable(config_id) else []
            while generation:
                young: list[str] = []
                for start in range(0, len(generation), 1000):
                    rows = await self._rows(
                        "configs",
                        {"parents": {"$in": generation[start : start + 1000]}},
                        projection={"_id": 1},
                    )
                    for row in rows:
                        if row["_id"] not in reached:
                            reached[row["_id"]] = None
                            young.append(row["_id"])
                generation = young
            return list(reached)[1:]

    async def count(self, collection: Collection, selector: Mapping[str, Any]) -> int:
        """Return how many documents match."""
        with self._work():
            compile_selector(selector)
            place = _where(collection, selector)
            if place is None:
                return 0
            where, exact = place
            if not exact:
                return len(await self._find_ids(collection, selector))
            command: Stored = {"count": collection, "query": where}
            if self._cluster.session_support:
                command["readConcern"] = {"level": "majority"}
            reply, _ = await self._cluster.run(command)
            return int(reply["n"])

    async def parameters(self) -> dict[str, Any]:
        """Return all parameters, by name."""
        with self._work():
            rows = await self._rows("parameters", {}, sort={"_id": 1})
            return {row["_id"]: json.loads(row["json"]) for row in rows}

    # Writes

    async def set_parameter(self, name: str, value: Any) -> None:
        """Store one parameter durably."""
        with self._work():
            text = json.dumps(value)
            if not is_storable(name):
                raise InvalidDocument(f"{name!r} cannot be stored as the name of a parameter")
            number = await self._take(1)
            update = {"$set": {"json": text, "revision": Int64(number)}}
            reply, _ = await self._change("parameters", {"_id": name}, update, upsert=True)
            if reply.get("writeErrors"):  # two made it at one time
                await self._change("parameters", {"_id": name}, update)

    async def write(self, operations: Sequence[Write]) -> list[int]:
        """Do all operations, or none; returns when a majority of the servers has them."""
        with self._work():
            texts = [_text(operation) for operation in operations]
            if not operations:
                return []
            first = await self._take(len(operations))
            prepared = [
                _operation(asked, text, first + offset)
                for offset, (asked, text) in enumerate(zip(operations, texts, strict=True))
            ]
            try:
                if len(prepared) == 1 and await self._write_alone(prepared[0]):
                    pass
                elif self._cluster.session_support:
                    await self._write_together(prepared)
                else:
                    await self._write_in_turn(prepared)
            except (DuplicateId, RevisionConflict, IdentityTaken):
                self._background(self._forget_numbers([op.number for op in prepared]))
                raise
            return [op.number for op in prepared]

    async def _forget_numbers(self, numbers: list[int]) -> None:
        """Tell followers that no write with these numbers will come."""
        void = {"$each": [Int64(number) for number in numbers], "$slice": -200}
        await self._change("counters", {"_id": "changes"}, {"$push": {"void": void}})

    async def _write_alone(self, operation: _Operation) -> bool:
        """Do one operation if it changes nobody's identities; else return False."""
        asked = operation.asked
        if asked.collection == "configs":
            await self._write_one(operation)
            return True
        if isinstance(asked, Insert):
            if identities(asked.document):
                return False
            await self._write_one(operation)
            return True
        if isinstance(asked, Delete):
            return False
        columns = {kind: column_text(asked.document, kind) for kind in KINDS}
        where = {**operation.statement["q"], **columns}
        return await self._update_one(operation, {**operation.statement, "q": where})

    async def _write_one(self, operation: _Operation) -> None:
        if not await self._update_one(operation, operation.statement):
            raise _conflict(operation.asked, operation.id)

    async def _update_one(self, operation: _Operation, statement: Stored) -> bool:
        """Do one operation; return whether it was done."""
        reply, unsure = await self._update(operation.asked.collection, [statement])
        if reply["n"] == 1 and not reply.get("writeErrors"):
            return True
        return unsure and await self._was_written(operation)

    async def _was_written(self, operation: _Operation) -> bool:
        """Tell whether an attempt whose answer was lost had been carried out."""
        rows = await self._rows(
            operation.asked.collection,
            {"_id": operation.id},
            projection={"revision": 1, "order": 1, "was": 1},
        )
        number = operation.number
        return any(
            number in {row["revision"], row.get("order"), *row.get("was", ())} for row in rows
        )

    # Several operations in one transaction

    async def _write_together(self, operations: list[_Operation]) -> None:
        deadline = self._reactor.seconds() + self._cluster.timeout
        pause = 0.01
        # New devices are most of all writes, and what they claim is mostly free.
        changes = _plain_claims(operations)
        while True:
            try:
                if changes is None:
                    changes = await self._plan_ownership(operations)
                with self._cluster.session() as session:
                    assert session is not None
                    if await self._transact(operations, changes, session, deadline):
                        return
                # Somebody was in the way: is it a conflict, or gone already?
                self._simulate(operations, await self._present(operations))
                changes = None
                lost = "other writers are in the way all the time"
            except _LostError as error:
                changes = None
                lost = str(error)
            if self._reactor.seconds() + pause >= deadline:
                raise self._cluster.unavailable(lost)
            await deferLater(self._reactor, pause)
            pause = min(pause * 2, 0.5)

    async def _transact(
        self,
        operations: list[_Operation],
        changes: _OwnershipChanges,
        session: _Session,
        deadline: float,
    ) -> bool:
        """Do and commit `operations`; False if one of them does not fit what is stored.

        _LostError if nothing was done and it may be tried again.
        """
        fields = {**session.fields(), "autocommit": False}
        started = False
        committing = False
        try:
            for verb, collection, part in _commands(operations, changes):
                command = {verb: collection, "ordered": True, **fields}
                if not started:
                    command["startTransaction"] = True
                started = True
                reply, _ = await self._cluster.run(
                    command,
                    payload={f"{verb}s": part},
                    seconds=max(deadline - self._reactor.seconds(), 0.01),
                    allow=_DUPLICATE_KEY | _NO_TRANSACTION,
                    retry=False,
                )
                if reply.get("code") in _NO_TRANSACTION:
                    raise _LostError(str(reply.get("errmsg")))
                if reply.get("n") != len(part) or reply.get("writeErrors"):
                    await self._roll_back(fields)
                    return False
            committing = True
            # Sent again as it is, for the server answers the same: committed, or not.
            reply, _ = await self._cluster.run(
                {"commitTransaction": 1, "writeConcern": _CONCERN, **fields},
                database="admin",
                seconds=max(deadline - self._reactor.seconds(), 0.5),
                allow=_NO_TRANSACTION,
            )
            if not reply.get("ok"):
                raise _LostError(str(reply.get("errmsg")))
        except BaseException:
            if started and not committing:
                self._background(self._roll_back(fields))
            raise
        return True

    async def _roll_back(self, fields: Stored) -> None:
        # If this is lost too, the server does it after a minute, or when it steps down.
        with contextlib.suppress(_LostError, StoreError):
            await self._cluster.run(
                {"abortTransaction": 1, **fields}, database="admin", retry=False, timed=False
            )

    async def _present(self, operations: list[_Operation]) -> dict[tuple[Collection, str], Stored]:
        """Return what is stored, living or dead, of all documents concerned."""
        present: dict[tuple[Collection, str], Stored] = {}
        for collection in COLLECTIONS:
            ids = list({op.id for op in operations if op.asked.collection == collection})
            for start in range(0, len(ids), 1000):
                for row in await self._rows(
                    collection,
                    {"_id": {"$in": [i for i in ids[start : start + 1000] if is_storable(i)]}},
                ):
                    present[collection, row["_id"]] = row
        return present

    @staticmethod
    def _simulate(
        operations: list[_Operation], present: Mapping[tuple[Collection, str], Stored]
    ) -> None:
        """Raise what doing `operations` to what is `present` would raise."""
        living = {place: row["revision"] for place, row in present.items() if "order" in row}
        for op in operations:
            place = (op.asked.collection, op.id)
            if isinstance(op.asked, Insert):
                fits = place not in living
            else:
                fits = living.get(place) == op.asked.revision
            if not fits:
                raise _conflict(op.asked, op.id)
            if isinstance(op.asked, Delete):
                del living[place]
            else:
                living[place] = op.number

    # Several operations on a server without transactions

    async def _write_in_turn(self, operations: list[_Operation]) -> None:
        before = await self._present(operations)
        changes = await self._plan_ownership(operations, before)
        await self._claim_in_turn(changes)
        for count, operation in enumerate(operations):
            try:
                await self._write_one(operation)
            except (DuplicateId, RevisionConflict, StoreError) as error:
                # One whose outcome is unknown is undone too, if it was done.
                unsure = isinstance(error, StoreError)
                await self._undo(operations[: count + unsure], before)
                await self._unclaim(changes.claims)
                raise
        for release in changes.releases:
            await self._delete("identities", release["q"])

    async def _claim_in_turn(self, changes: _OwnershipChanges) -> None:
        for count, claim in enumerate(changes.claims):
            reply, _ = await self._update("identities", [claim.statement])
            if reply["n"] != 1 or reply.get("writeErrors"):
                rows = await self._rows("identities", {"_id": claim.place})
                if rows and rows[0]["device"] == claim.device_id:
                    continue
                await self._unclaim(changes.claims[:count])
                kind, _, value = claim.place.partition(":")
                raise IdentityTaken(kind, value, rows[0]["device"] if rows else "")

    async def _unclaim(self, claims: Iterable[_Claim]) -> None:
        """Give claims back to whoever had them before."""
        for claim in claims:
            where = {"_id": claim.place, "device": claim.device_id}
            try:
                if claim.before is None:
                    await self._delete("identities", where)
                else:
                    await self._change("identities", where, {"$set": {"device": claim.before}})
            except StoreError as error:
                logger.error("the claim on %s is left to expire: %s", claim.place, error)

    # Who owns which identity

    async def owner(self, kind: str, value: str) -> str | None:
        """Return the id of the device that owns an identity."""
        with self._work():
            if not is_storable(value):
                return None
            rows = await self._rows("identities", {"_id": f"{kind}:{value}"}, limit=1)
            return rows[0]["device"] if rows else None

    async def duplicates(self) -> list[Duplicate]:
        """Return every identity that several devices have."""
        with self._work():
            shared = {place: ids for place, ids in (await self._held()).items() if len(ids) > 1}
            owners: dict[str, str] = {}
            places = sorted(shared)
            for start in range(0, len(places), 1000):
                where = {"_id": {"$in": places[start : start + 1000]}}
                owners.update(
                    {row["_id"]: row["device"] for row in await self._rows("identities", where)}
                )
            found = []
            for place in places:
                kind, _, value = place.partition(":")
                owner = owners.get(place, shared[place][0])
                others = tuple(one for one in shared[place] if one != owner)
                found.append(Duplicate(kind, value, owner, others))
            return found

    async def _held(self) -> dict[str, list[str]]:
        """Return every identity with the ids of all devices that have it, oldest first."""
        held: dict[str, list[str]] = {}
        rows = await self._rows(
            "devices", _LIVE, sort={"order": 1}, projection=dict.fromkeys(KINDS, 1)
        )
        for row in rows:
            for place in _places(identities(row)):
                held.setdefault(place, []).append(row["_id"])
        return held

    async def _build_identities(self) -> None:
        """Note who owns what in a database of an earlier version."""
        logger.info("%s: the owners of identities are noted", self._cluster.name)
        statements: list[Stored] = []
        for place, ids in (await self._held()).items():
            owner: str | None = ids[0]
            if len(ids) > 1:
                kind, _, value = place.partition(":")
                owner = await self._successor(kind, value, {})
            fields = {"$setOnInsert": {"device": owner}}
            statements.append({"q": {"_id": place}, "u": fields, "upsert": True})
        for start in range(0, len(statements), _STATEMENTS):
            await self._update("identities", statements[start : start + _STATEMENTS])

    async def _successor(
        self, kind: str, value: str, written: Mapping[str, Mapping[str, Any] | None]
    ) -> str | None:
        """Return who is to own an identity, when devices are as stored but for those `written`."""
        rows = await self._rows("devices", {kind: value, **_LIVE}, sort={"order": 1})
        devices = {row["_id"]: json.loads(row["json"]) for row in rows}
        known = {**devices, **written}
        holders = [
            device for device in known.values() if identities(device).get(kind) == value and device
        ]
        configs = await self._configs_of(holders)
        return elect(holders, lambda device: configs.get(device.get("config") or ""))

    async def _configs_of(self, devices: Iterable[Mapping[str, Any]]) -> dict[str, Stored]:
        ids = [c for d in devices if isinstance(c := d.get("config"), str) and is_storable(c)]
        rows = await self._rows("configs", {"_id": {"$in": ids}, **_LIVE}) if ids else []
        return {row["_id"]: json.loads(row["json"]) for row in rows}

    async def _is_unclaimed(self, device: Mapping[str, Any]) -> bool:
        configs = await self._configs_of([device])
        return is_unclaimed(device, configs.get(device.get("config") or ""))

    async def _plan_ownership(
        self,
        operations: list[_Operation],
        present: Mapping[tuple[Collection, str], Stored] | None = None,
    ) -> _OwnershipChanges:
        """Return what `operations` change of who owns what; raise what doing them would raise."""
        if all(op.asked.collection == "configs" for op in operations):
            return _OwnershipChanges()
        if present is None:
            present = await self._present(operations)
        self._simulate(operations, present)
        held = {
            device_id: identities(row) if "order" in row else {}
            for (collection, device_id), row in present.items()
            if collection == "devices"
        }
        places = {place for each in held.values() for place in _places(each)}
        for op in operations:
            if op.asked.collection == "devices" and not isinstance(op.asked, Delete):
                places.update(_places(identities(op.asked.document)))
        rows = await self._rows("identities", {"_id": {"$in": sorted(places)}}) if places else []
        before = {row["_id"]: row for row in rows}
        owners: dict[str, str] = {place: row["device"] for place, row in before.items()}
        written: dict[str, Mapping[str, Any] | None] = {}
        for op in operations:
            if op.asked.collection == "devices":
                await self._apply_ownership(op.asked, op.id, held, owners, before, written)
        return _compare_owners(before, owners)

    async def _apply_ownership(
        self,
        asked: Write,
        device_id: str,
        held: dict[str, dict[str, str]],
        owners: dict[str, str],
        before: Mapping[str, Stored],
        written: dict[str, Mapping[str, Any] | None],
    ) -> None:
        """Change `owners`, and what devices `held`, as one operation does."""
        document = None if isinstance(asked, Delete) else asked.document
        old, new = held.get(device_id, {}), identities(document)
        held[device_id] = new
        written[device_id] = document
        for kind, value in old.items() - new.items():
            place = f"{kind}:{value}"
            if owners.get(place) == device_id:
                successor = await self._successor(kind, value, written)
                if successor is None:
                    del owners[place]
                else:
                    owners[place] = successor
        for kind, value in new.items():
            place = f"{kind}:{value}"
            owner = owners.setdefault(place, device_id)
            if owner == device_id or old.get(kind) == value:
                continue
            holder = await self._holder(owner, kind, value, written, before.get(place, {}))
            if holder is None:
                owners[place] = device_id
            elif isinstance(asked, Delete) or not asked.shares:
                raise IdentityTaken(kind, value, owner)
            elif await self._is_unclaimed(holder):
                owners[place] = await self._successor(kind, value, written) or owner

    async def _holder(
        self,
        owner: str,
        kind: str,
        value: str,
        written: Mapping[str, Mapping[str, Any] | None],
        claim: Stored,
    ) -> Mapping[str, Any] | None:
        """Return the device that owns an identity; None if it has not got it, after a crash."""
        if owner in written:
            device = written[owner]
        else:
            rows = await self._rows("devices", {"_id": owner, **_LIVE})
            device = json.loads(rows[0]["json"]) if rows else None
        if device is not None and identities(device).get(kind) == value:
            return device
        if self._cluster.session_support or "since" not in claim:
            return None
        # Its document may be under way.
        reply, _ = await self._cluster.run({"hello": 1}, database="admin", timed=False)
        age = (reply["localTime"] - claim["since"]).total_seconds()
        return None if age > _CLAIM_SECONDS else {"id": owner}

    async def _undo(
        self, operations: list[_Operation], before: Mapping[tuple[Collection, str], Stored]
    ) -> None:
        """Bring back what was `before`, under new change numbers, where nobody wrote since."""
        latest = {(op.asked.collection, op.id): op.number for op in operations}
        for place, number in reversed(latest.items()):
            collection, document_id = place
            row = before.get(place, {})
            try:
                again = await self._take(1)
                if "order" in row:
                    kept = {key: row[key] for key in row.keys() - {"_id", "revision", "was"}}
                    update = _set(collection, kept, again)
                else:
                    update = _bury(collection, again)
                where = {"_id": document_id, "revision": number}
                await self._change(collection, where, update | _after(number))
            except StoreError as error:
                logger.error(
                    "a write was done in part: %s/%s could not be undone: %s", *place, error
                )

    # What others wrote

    async def changes(self) -> list[Changed] | None:
        """Return what anybody wrote since the last call; see the interface."""
        with self._work():
            asked: defer.Deferred[list[Changed] | None] = defer.Deferred()
            self._followers.append(asked)
            if not self._following:
                self._following = True
                self._background(self._answer_followers())
            return await asked

    async def _answer_followers(self) -> None:
        """Ask for those who wait now; who comes meanwhile waits for the next round."""
        try:
            while self._followers:
                followers, self._followers = self._followers, []
                outcome: Any
                try:
                    outcome = await self._follow()
                except Exception as error:  # noqa: BLE001 - all who wait learn of it
                    outcome = error
                for asked in followers:
                    if not asked.called:
                        asked.callback(
                            Failure(outcome) if isinstance(outcome, Exception) else outcome
                        )
        finally:
            self._following = False

    async def _follow(self) -> list[Changed] | None:
        now, wall = time.monotonic(), time.time()
        counters = await self._rows("counters", {"_id": "changes"}, limit=1, singleBatch=True)
        last = counters[0]["last"] if counters else 0
        absence = max(now - self._followed[0], wall - self._followed[1])
        if self._high is None or last < self._high or absence > _LONGEST_ABSENCE:
            first = self._high is None
            await self._begin(last, now, wall)
            return [] if first else None
        gaps = self._gaps
        for number in counters[0].get("void", ()) if counters else ():
            gaps.pop(number, None)
        high = self._high
        if last == high and not gaps:
            self._followed = (now, wall)
            return []
        if last - high > _MOST_CHANGES or len(gaps) > _MOST_CHANGES:
            await self._begin(last, now, wall)
            return None
        rows = await _together([self._written(name, high, sorted(gaps)) for name in _FOLLOWED])
        found = {
            row["revision"]: Changed(name, row["_id"], row["revision"])
            for name, part in zip(_FOLLOWED, rows, strict=True)
            for row in part
        }
        if len(found) > _MOST_CHANGES:
            await self._begin(last, now, wall)
            return None
        settled = set(found)
        for part in rows:
            for row in part:
                settled.update(row.get("was", ()))
        settled.update(counters[0].get("void", ()) if counters else ())
        high = max(last, *found) if found else last
        for number in range(self._high + 1, high + 1):
            gaps[number] = now
        self._gaps = {
            number: since
            for number, since in gaps.items()
            if number not in settled and now - since < _GAP_SECONDS
        }
        self._high = high
        self._followed = (now, wall)
        return [found[number] for number in sorted(found)]

    async def _written(self, collection: str, high: int, gaps: list[int]) -> list[Stored]:
        # Those that were missing first: one that is written again meanwhile moves up.
        more = {"projection": {"revision": 1, "was": 1}, "limit": _MOST_CHANGES + 1}
        rows: list[Stored] = []
        if gaps:
            rows = await self._rows(collection, {"revision": {"$in": gaps}}, **more)
        rows += await self._rows(
            collection, {"revision": {"$gt": high}}, sort={"revision": 1}, **more
        )
        return rows

    async def _begin(self, last: int, now: float, wall: float) -> None:
        """Follow from here; numbers just handed out that are not to be seen may still come."""
        start = max(last - _FIRST_WINDOW, 0)
        where = {"revision": {"$gt": start, "$lte": last}}
        numbers = {"revision": 1, "was": 1}
        rows = await _together([self._rows(name, where, projection=numbers) for name in _FOLLOWED])
        seen = {row["revision"] for part in rows for row in part}
        seen.update(number for part in rows for row in part for number in row.get("was", ()))
        self._gaps = {n: now for n in range(start + 1, last + 1) if n not in seen}
        self._high = last
        self._followed = (now, wall)

    # Claims

    async def claim(self, name: str, seconds: float) -> bool:
        """Take `name` for this process, for so long; the primary's clock decides."""
        with self._work():
            milliseconds = max(int(seconds * 1000), 1)
            now = {"$toLong": "$$NOW"}
            free = {
                "$or": [
                    {"$eq": ["$owner", self._owner]},
                    {"$lte": [{"$ifNull": ["$until", 0]}, now]},
                ]
            }
            fields = {
                "owner": {"$cond": [free, self._owner, "$owner"]},
                "until": {"$cond": [free, {"$add": [now, milliseconds]}, "$until"]},
                # For the index that removes what nobody claims any more.
                "expires": {"$cond": [free, {"$add": ["$$NOW", milliseconds]}, "$expires"]},
            }
            while True:
                reply, _ = await self._cluster.run(
                    {
                        "findAndModify": "claims",
                        "query": {"_id": name},
                        "update": [{"$set": fields}],
                        "upsert": True,
                        "new": True,
                        "writeConcern": _CONCERN,
                    },
                    allow=_DUPLICATE_KEY,  # two claimed it for the first time at one time
                )
                if reply.get("ok") and reply["value"]:
                    return bool(reply["value"]["owner"] == self._owner)

    async def release(self, name: str) -> None:
        """Give a claimed name back, if it is held."""
        with self._work():
            await self._delete("claims", {"_id": name, "owner": self._owner})

    async def _delete(self, collection: str, where: Stored) -> None:
        await self._cluster.run(
            {
                "delete": collection,
                "deletes": [{"q": where, "limit": 0}],
                "writeConcern": _CONCERN,
            }
        )

    # Archives

    async def put_archive(self, name: str, content: bytes) -> None:
        """Keep a file: its parts first, then the entry that names them."""
        with self._work():
            version = uuid.uuid4().hex
            digest = hashlib.sha256()
            for number, start in enumerate(range(0, len(content), _CHUNK)):
                part = content[start : start + _CHUNK]
                digest.update(part)
                await self._change(
                    "chunks",
                    {"_id": f"{version}/{number}"},
                    {
                        "$set": {"version": version, "number": number, "data": part},
                        "$currentDate": {"stored": True},
                    },
                    upsert=True,
                )
            entry = {"version": version, "sha256": digest.hexdigest(), "size": len(content)}
            await self._change("archives", {"_id": name}, {"$set": entry}, upsert=True)
            await self._sweep()

    async def _sweep(self) -> None:
        """Remove parts that no entry names; new ones may be of a file that is being put."""
        rows = await self._rows("archives", {}, projection={"version": 1})
        reply, _ = await self._cluster.run({"hello": 1}, database="admin", timed=False)
        old = reply["localTime"] - dt.timedelta(hours=1)
        await self._delete(
            "chunks",
            {
                "version": {"$nin": [row["version"] for row in rows]},
                "stored": {"$lt": old},
            },
        )

    async def get_archive(self, name: str) -> bytes | None:
        """Return a kept file, None if there is none, or it is damaged."""
        with self._work():
            for _attempt in range(3):
                entries = await self._rows("archives", {"_id": name})
                if not entries:
                    return None
                parts = await self._rows(
                    "chunks",
                    {"version": entries[0]["version"]},
                    sort={"version": 1, "number": 1},
                    batchSize=4,
                )
                digest = hashlib.sha256()
                for part in parts:
                    digest.update(part["data"])
                    await deferLater(self._reactor, 0)
                if digest.hexdigest() == entries[0]["sha256"]:
                    return b"".join(part["data"] for part in parts)
                # Perhaps it was put anew while it was read.
            logger.error("%s: the archive %s is damaged", self._cluster.name, name)
            return None

    async def archives(self) -> dict[str, str]:
        """Return the SHA-256 (hex) of every kept file, by name."""
        with self._work():
            rows = await self._rows("archives", {}, sort={"_id": 1})
            return {row["_id"]: row["sha256"] for row in rows}

    async def delete_archive(self, name: str) -> None:
        """Forget a kept file, if there is one."""
        with self._work():
            entries = await self._rows("archives", {"_id": name})
            await self._delete("archives", {"_id": name})
            for entry in entries:
                await self._delete("chunks", {"version": entry["version"]})


@attrs.frozen
class _Claim:
    """A statement that makes a device the owner of an identity, and who that was before."""

    place: str
    device_id: str
    before: str | None

    @property
    def statement(self) -> Stored:
        owner: Any = {"$exists": False} if self.before is None else self.before
        return {
            "q": {"_id": self.place, "device": owner},
            "u": {"$set": {"device": self.device_id}, "$currentDate": {"since": True}},
            "upsert": self.before is None,
        }


@attrs.define
class _OwnershipChanges:
    """What a write changes of who owns what."""

    claims: list[_Claim] = attrs.field(factory=list)
    releases: list[Stored] = attrs.field(factory=list)


def _places(held: Mapping[str, str]) -> list[str]:
    return [f"{kind}:{value}" for kind, value in held.items()]


def _plain_claims(operations: list[_Operation]) -> _OwnershipChanges | None:
    """Return the claims of devices that are all new and may share nothing; None for others."""
    changes = _OwnershipChanges()
    for op in operations:
        asked = op.asked
        if asked.collection == "configs":
            continue
        if not isinstance(asked, Insert) or asked.shares:
            return None
        changes.claims += [
            _Claim(place, op.id, None) for place in _places(identities(asked.document))
        ]
    return changes


def _compare_owners(before: Mapping[str, Stored], owners: Mapping[str, str]) -> _OwnershipChanges:
    changes = _OwnershipChanges()
    for place, owner in owners.items():
        known = before[place]["device"] if place in before else None
        if known != owner:
            changes.claims.append(_Claim(place, owner, known))
    for place in before.keys() - owners.keys():
        changes.releases.append(
            {"q": {"_id": place, "device": before[place]["device"]}, "limit": 1}
        )
    return changes


def _commands(
    operations: list[_Operation], changes: _OwnershipChanges
) -> Iterator[tuple[str, str, list[Stored]]]:
    """Give the commands of a transaction: verb, collection and statements."""
    claims = [claim.statement for claim in changes.claims]
    for start in range(0, len(claims), _STATEMENTS):
        yield "update", "identities", claims[start : start + _STATEMENTS]
    for collection, part in _parts(operations):
        yield "update", collection, [op.statement for op in part]
    for start in range(0, len(changes.releases), _STATEMENTS):
        yield "delete", "identities", changes.releases[start : start + _STATEMENTS]


_FOLLOWED: tuple[Any, ...] = (*COLLECTIONS, "parameters")


def _record(row: Stored) -> Record:
    return Record(json.loads(row["json"]), row["revision"])


def _text(operation: Write) -> str | None:
    if isinstance(operation, Delete):
        return None
    text = encode(operation.document)
    if len(text) * 4 > _MAX_TEXT and len(text.encode()) > _MAX_TEXT:
        raise InvalidDocument(f"the document is larger than {_MAX_TEXT} bytes")
    return text


def _parts(operations: list[_Operation]) -> Iterator[tuple[Collection, list[_Operation]]]:
    """Give runs of operations of one collection, none too large for one message."""
    part: list[_Operation] = []
    size = 0
    for op in operations:
        if part and (
            op.asked.collection != part[0].asked.collection
            or len(part) >= _STATEMENTS
            or size + op.size > 4_000_000
        ):
            yield part[0].asked.collection, part
            part, size = [], 0
        part.append(op)
        size += op.size
    if part:
        yield part[0].asked.collection, part


async def _together(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all at one time; return their results, or raise the first error."""
    running = [defer.Deferred.fromCoroutine(coroutine) for coroutine in coroutines]
    try:
        return await defer.gatherResults(running, consumeErrors=True)
    except defer.FirstError as error:
        raise _exception(error.subFailure) from None
