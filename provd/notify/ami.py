"""Notifying phones through Asterisk's AMI: one connection, kept open and made again when it ends.

Asterisk answers when it has taken the order, before it looks whether it can carry it out. So it is
asked first which contacts are registered, and told to notify the one that is the phone's. Whether a
phone obeyed is not known.
"""

from __future__ import annotations

import logging
import random
import re
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from twisted.internet import defer, ssl
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.protocol import Factory, Protocol, connectionDone

from provd.errors import PacketError, SynchronizeError
from provd.logs import escape
from provd.notify.amiprotocol import (
    AmiSession,
    Answered,
    LoggedIn,
    Refused,
    Send,
    format_variable,
)
from provd.notify.asterisk import Asterisk
from provd.notify.contacts import find_mac
from provd.notify.interface import check_content, check_fields, parse_address
from provd.retry import RetryLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from twisted.internet.interfaces import IStreamClientEndpoint
    from twisted.python.failure import Failure

    from provd.notify.interface import Phone

logger = logging.getLogger(__name__)

RETRY_SECONDS = (1, 2, 4, 8, 16, 32, 60)
JITTER = 0.2
"""Each delay is longer by up to this part of it, so that several daemons do not come together."""
HURRY_SECONDS = 1.0
"""A NOTIFY cuts a delay short, but not sooner than this after the last attempt began."""
PING_SECONDS = 30.0
MAX_WAITING = 1024


def make_endpoint(
    reactor: Any, host: str, port: int, *, tls: bool, verify_certificate: bool | str, timeout: float
) -> IStreamClientEndpoint:
    """Return where to connect to; a TLS server must prove the name `host`.

    `verify_certificate` may be the path of a file with trusted certificates. Raises OSError or
    ValueError if it cannot be read.
    """
    endpoint = HostnameEndpoint(reactor, host, port, timeout=timeout)
    if not tls:
        return endpoint
    if verify_certificate is False:
        return wrapClientTLS(ssl.CertificateOptions(verify=False), endpoint)
    trusted = None
    if isinstance(verify_certificate, str):
        with open(verify_certificate, "rb") as file:
            trusted = ssl.trustRootFromCertificates(_certificates(file.read()))
    return wrapClientTLS(ssl.optionsForClientTLS(host, trustRoot=trusted), endpoint)


def _certificates(pem: bytes) -> list[ssl.Certificate]:
    blocks = re.findall(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", pem, re.DOTALL)
    if not blocks:
        raise ValueError("the CA file holds no certificate")
    return [ssl.Certificate.loadPEM(block) for block in blocks]


class _Connection(Protocol):
    """Moves bytes between a session and its transport, and answers to those who wait."""

    def __init__(self, session: AmiSession) -> None:
        self._session = session
        self._waiting: dict[str, defer.Deferred[Answered]] = {}
        self._watchers: list[defer.Deferred[None]] = []
        self.login_ended: defer.Deferred[None] = defer.Deferred()
        """Fires once actions may be sent, or never will."""
        self.reason = ""
        self.is_lost = False

    @property
    def is_ready(self) -> bool:
        return self._session.is_ready and not self.is_lost

    def dataReceived(self, data: bytes) -> None:
        try:
            happened = self._session.receive(data)
        except PacketError as error:
            self.end(str(error))
            return
        for event in happened:
            match event:
                case Send(data=answer):
                    self._write(answer)
                case LoggedIn():
                    self.login_ended.callback(None)
                case Refused(reason=reason):
                    self.end(f"login refused: {reason}")
                case Answered(action_id=action_id):
                    waiting = self._waiting.pop(action_id, None)
                    if waiting is not None:
                        waiting.callback(event)

    def request(self, name: str, arguments: Iterable[tuple[str, str]]) -> defer.Deferred[Answered]:
        """Send an action; the Deferred fails with SynchronizeError if the connection ends."""
        if len(self._waiting) >= MAX_WAITING:
            raise SynchronizeError(f"{MAX_WAITING} actions wait for an answer already")
        action_id, data = self._session.action(name, arguments)

        def give_up(_: object) -> None:
            self._waiting.pop(action_id, None)
            self._session.forget(action_id)

        waiting: defer.Deferred[Answered] = defer.Deferred(give_up)
        self._waiting[action_id] = waiting
        self._write(data)
        return waiting

    def lost(self) -> defer.Deferred[None]:
        """Return a Deferred that fires when the connection is gone."""
        watcher: defer.Deferred[None] = defer.Deferred(self._watchers.remove)
        if self.is_lost:
            watcher.callback(None)
        else:
            self._watchers.append(watcher)
        return watcher

    def end(self, reason: str) -> None:
        """Cut the connection for this reason."""
        self.reason = self.reason or reason
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]  # TCP and TLS have it

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_lost = True
        self.reason = self.reason or f"the connection ended: {reason.getErrorMessage()}"
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            answer.errback(SynchronizeError(escape(self.reason)))
        if not self.login_ended.called:
            self.login_ended.callback(None)
        watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher.callback(None)


class AmiNotifier:
    """Notifier through the AMI of one Asterisk."""

    def __init__(
        self,
        clock: Any,
        endpoint: IStreamClientEndpoint,
        *,
        where: str,
        username: str,
        secret: str,
        authentication: Literal["md5", "plain"] = "md5",
        timeout: float = 10.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`where` is for messages; `timeout` holds for a login and for each action."""
        self._clock = clock
        self._endpoint = endpoint
        self._where = where
        self._username = username
        self._secret = secret
        self._authentication = authentication
        self._timeout = timeout
        self._connection: _Connection | None = None
        self._at_rest = "not started"
        """Why nobody tries to connect."""
        self._loop = RetryLoop(
            clock,
            self._live,
            name=f"the AMI at {where} is not connected",
            delays=RETRY_SECONDS,
            jitter=lambda: JITTER * jitter(),
            log=logger,
        )
        self._pbx = Asterisk(clock, self._request, timeout)

    @property
    def status(self) -> str:
        """`ok`, or in words why there is no connection."""
        return "ok" if self._ready() is not None else self._trouble or "connecting"

    @property
    def _trouble(self) -> str | None:
        return self._loop.problem if self._loop.is_running else self._at_rest

    def start(self) -> None:
        """Begin to connect; Asterisk need not be there."""
        self._loop.note_success()
        self._loop.start()

    async def stop(self) -> None:
        """Close the connection, or stop trying; what waits for an answer fails."""
        self._at_rest = "stopped"
        await self._loop.stop()

    async def notify(
        self, phone: Phone, *, event: str, variables: Sequence[tuple[str, str]] = ()
    ) -> None:
        """Have Asterisk notify the phone's contact; SynchronizeError if it does not."""
        headers = (("Event", event), *variables)
        try:
            check_fields("a header", headers)
            check_content(variables)
            check_fields("a phone", [("account", phone.account or "")])
            if phone.address:
                parse_address(phone.address)
            elif not phone.account and not phone.mac:
                raise SynchronizeError("there is neither a SIP account nor a MAC nor an address")
            lines = [("Variable", format_variable(name, value)) for name, value in headers]
            whom = await self._pbx.notify(phone, lines)
        except SynchronizeError as error:
            raise SynchronizeError(
                f"NOTIFY {event!r:.80} to {phone.name} by AMI at {self._where}: {error}"
            ) from error
        logger.debug("NOTIFY %s to %s", event, escape(whom))

    async def find_mac(self, phone: Phone) -> str | None:
        """Return the MAC that a phone registered with, 12 digits; None if it did not tell any."""
        try:
            contact = await self._pbx.find(phone)
        except SynchronizeError as error:
            logger.info("the phone that calls from %s is not found: %s", phone.name, error)
            return None
        return contact.mac or find_mac(contact.uri)

    async def _request(self, name: str, arguments: Iterable[tuple[str, str]]) -> Answered:
        connection = await self._ready_soon()
        return await self._answer(connection, name, arguments)

    async def _answer(
        self, connection: _Connection, name: str, arguments: Iterable[tuple[str, str]]
    ) -> Answered:
        try:
            return await connection.request(name, arguments).addTimeout(self._timeout, self._clock)
        except defer.TimeoutError as error:
            reason = f"no answer in {self._timeout:g} s"
            # What is not written yet must not be delivered later.
            connection.end(reason)
            raise SynchronizeError(reason) from error

    def _ready(self) -> _Connection | None:
        connection = self._connection
        return connection if connection is not None and connection.is_ready else None

    async def _ready_soon(self) -> _Connection:
        """Return the connection, once an attempt to make it that is under way succeeded."""
        connection = self._ready()
        if connection is not None:
            return connection
        if not self._loop.is_attempting and not (
            self._loop.is_running and self._loop.hurry(HURRY_SECONDS)
        ):
            raise SynchronizeError(f"not connected: {self._trouble}")
        try:
            await self._loop.attempt_ended().addTimeout(self._timeout, self._clock)
        except defer.TimeoutError as error:
            raise SynchronizeError(f"not connected after {self._timeout:g} s") from error
        connection = self._ready()
        if connection is None:
            raise SynchronizeError(f"not connected: {self._trouble}")
        return connection

    async def _live(self) -> NoReturn:
        """Connect and keep the connection as long as it can be; SynchronizeError as it ends."""
        session = AmiSession(self._username, self._secret, self._authentication)
        connection = await self._connect(session)
        try:
            await self._use(connection, session)
        finally:
            self._connection = None
            connection.end("stopped")
            await connection.lost()

    async def _connect(self, session: AmiSession) -> _Connection:
        factory = Factory.forProtocol(lambda: _Connection(session))
        factory.noisy = False
        connecting = self._endpoint.connect(factory)
        try:
            connection = await connecting.addTimeout(self._timeout, self._clock)
        except defer.CancelledError:
            raise
        except (defer.TimeoutError, ConnectingCancelledError) as error:
            raise SynchronizeError(f"no connection in {self._timeout:g} s") from error
        except Exception as error:  # of sockets, names, or TLS
            raise SynchronizeError(escape(str(error) or type(error).__name__)) from error
        assert isinstance(connection, _Connection)
        return connection

    async def _use(self, connection: _Connection, session: AmiSession) -> NoReturn:
        try:
            await connection.login_ended.addTimeout(self._timeout, self._clock)
        except defer.TimeoutError as error:
            raise SynchronizeError(f"no login in {self._timeout:g} s") from error
        if connection.is_lost:
            raise SynchronizeError(escape(connection.reason))
        self._pbx.learn(await self._ask(connection, "ListCommands"))
        if not self._pbx.may_notify:
            raise SynchronizeError(
                f"the AMI user {self._username!r} lacks write = system in manager.conf"
            )
        self._connection = connection
        logger.info("connected to the AMI at %s: %s", self._where, escape(session.server))
        self._loop.tell_waiting()
        while True:
            try:
                await connection.lost().addTimeout(PING_SECONDS, self._clock)
            except defer.TimeoutError:
                await self._ask(connection, "Ping")
            else:
                raise SynchronizeError(escape(connection.reason))
            # What ends after it worked for a while is tried again as if for the first time.
            self._loop.note_success()

    async def _ask(self, connection: _Connection, name: str) -> Answered:
        """Send an action of the connection's own; the error names it."""
        try:
            return await self._answer(connection, name, ())
        except SynchronizeError as error:
            raise SynchronizeError(f"{name}: {error}") from error
