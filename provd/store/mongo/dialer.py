"""Making a connection: to a server that says it is the primary, greeted and logged in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pymongo.errors import ConnectionFailure
from twisted.internet import defer, ssl
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS

from provd.store.mongo.address import Address, Host, parse_host
from provd.store.mongo.login import Login
from provd.store.mongo.wire import Connection, ConnectionFactory, RefusedError, get_error

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from provd.store.mongo.wire import Stored


class Dialer:
    """Connects to servers of one address, and remembers what they tell of the replica set."""

    def __init__(self, reactor: Any, address: Address, timeout: float) -> None:
        self._reactor = reactor
        self._address = address
        self._timeout = timeout
        self._login = Login(reactor, address)
        self._learned: tuple[Host, ...] = ()
        self._election: Any = None
        self.session_support = False
        """Whether the primary knows sessions with numbers, and transactions."""

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The servers that may be the primary: those of the address, and those they told of."""
        return (*self._address.hosts, *self._learned)

    def forget_election(self) -> None:
        """Believe any primary, for the set may have been built anew."""
        self._election = None

    def dial(self, host: Host) -> defer.Deferred[Connection]:
        """Connect to one server and log in; RefusedError says why it cannot be used."""
        seconds = min(self._address.connect_timeout or self._timeout, self._timeout)

        def translate(failure: Failure) -> Any:
            error = get_error(failure)
            if isinstance(error, defer.TimeoutError):
                raise RefusedError("no answer in time") from error
            if isinstance(error, RefusedError):
                raise error
            raise RefusedError(
                " ".join(str(error).split()) or type(error).__name__, lasting=_is_tls(error)
            ) from error

        return (
            defer.Deferred.fromCoroutine(self._connect(host, seconds))
            .addTimeout(seconds, self._reactor)
            .addErrback(translate)
        )

    async def _connect(self, host: Host, seconds: float) -> Connection:
        address = self._address
        endpoint: Any = HostnameEndpoint(self._reactor, host[0], host[1], seconds)
        if address.tls:
            creator = ssl.optionsForClientTLS(
                host[0], trustRoot=address.trust, clientCertificate=address.certificate
            )
            endpoint = wrapClientTLS(creator, endpoint)
        connection: Connection = await endpoint.connect(ConnectionFactory(self._reactor, host))
        try:
            hello = await self._greet(connection, seconds)
            if address.user is not None:
                await self._login.log_in(connection, hello.get("saslSupportedMechs") or (), seconds)
        except BaseException as error:
            connection.abort()
            if isinstance(error, ConnectionFailure) and connection.gone is not None:
                raise connection.gone from error
            raise
        if connection.gone is not None:
            raise connection.gone
        return connection

    async def _greet(self, connection: Connection, seconds: float) -> Stored:
        address = self._address
        command: Stored = {"hello": 1}
        if address.user is not None and address.mechanism is None:
            command["saslSupportedMechs"] = f"{address.auth_source}.{address.user}"
        hello = await connection.call("admin", command, seconds)
        if not hello.get("ok"):
            raise RefusedError(f"{hello.get('errmsg')}")
        name = hello.get("setName")
        if address.replica_set and name != address.replica_set:
            raise RefusedError(
                f"its replica set is {name!r}, not {address.replica_set!r}", lasting=True
            )
        if not address.direct:
            self._learned = tuple(
                parsed for text in hello.get("hosts") or () if (parsed := parse_host(text))
            )
        if not hello.get("isWritablePrimary"):
            hint = parse_host(hello.get("primary") or "")
            if hint is not None and not address.direct:
                self._learned = (hint, *self._learned)
            raise RefusedError("it is not the primary")
        election = hello.get("electionId")
        if election is not None:
            if self._election is not None and election < self._election:
                raise RefusedError("it was the primary before the present one")
            self._election = election
        # A standalone server has neither sessions with numbers nor transactions.
        self.session_support = bool(hello.get("logicalSessionTimeoutMinutes")) and (
            name is not None or hello.get("msg") == "isdbgrid"
        )
        return hello


def _is_tls(error: BaseException) -> bool:
    """Tell whether a certificate is wrong, which waiting does not cure."""
    from OpenSSL import SSL
    from service_identity import VerificationError

    return isinstance(error, VerificationError) or (
        isinstance(error, SSL.Error) and "certificate" in str(error)
    )
