"""The local socket where hooks of DHCP servers leave their events."""

from __future__ import annotations

import contextlib
import grp
import logging
import os
import pwd
import secrets
import socket
import stat
from typing import TYPE_CHECKING, Any

from twisted.application import service
from twisted.internet import defer
from twisted.internet.interfaces import IReadDescriptor
from zope.interface import implementer

from provd.dhcp.message import MAX_BYTES, parse
from provd.errors import InvalidDocument, ProvdError, SettingsError
from provd.logs import log_failure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from provd.model.dhcpinfo import DhcpInfo

logger = logging.getLogger(__name__)

QUEUE_SIZE = 8192
"""Events that may wait: as many phones as come back at once when the power does."""

_WORKERS = 8
_DATAGRAMS_PER_TURN = 64


@implementer(IReadDescriptor)
class DhcpReceiver(service.Service):
    """Hands each event that comes to the socket to a handler; those of one phone in their order.

    `mode` is that of the socket file, and whoever may write there may tell of events. `owner` and
    `group` are names; None leaves the daemon's own. Starting raises SettingsError where the socket
    cannot be made as asked.
    """

    def __init__(
        self,
        reactor: Any,
        path: str,
        handle: Callable[[DhcpInfo], Awaitable[None]],
        *,
        mode: int = 0o660,
        owner: str | None = None,
        group: str | None = None,
        queue_size: int = QUEUE_SIZE,
    ) -> None:
        self.setName("dhcp")
        self._reactor = reactor
        self._path = path
        self._handle = handle
        self._mode = mode
        self._owner = owner
        self._group = group
        self._queue_size = queue_size
        self._waiting = 0
        self._lost = 0
        self._socket: socket.socket | None = None
        self._inode: tuple[int, int] | None = None
        self._queues: list[defer.DeferredQueue[DhcpInfo]] = []
        self._workers: list[defer.Deferred[None]] = []

    # The service

    def startService(self) -> None:
        """Open the socket and begin to read."""
        self._socket = self._open()
        super().startService()
        self._queues = [defer.DeferredQueue() for _ in range(_WORKERS)]
        self._workers = [defer.Deferred.fromCoroutine(self._work(queue)) for queue in self._queues]
        self._reactor.addReader(self)
        logger.info("DHCP events are taken at %s", self._path)

    async def _stop(self) -> None:
        if self._socket is None:
            return
        self._reactor.removeReader(self)
        self._socket.close()
        self._socket = None
        with contextlib.suppress(OSError):
            # Another process may have put its own socket there since.
            if self._identity() == self._inode:
                os.unlink(self._path)
        for worker in self._workers:
            worker.addErrback(self._ended)
            worker.cancel()
        await defer.gatherResults(self._workers)
        if self._waiting:
            logger.warning("%d DHCP events are lost, as the daemon stops", self._waiting)

    def stopService(self) -> defer.Deferred[None]:
        """Close and remove the socket; an event that is being handled is given up."""
        super().stopService()
        return defer.Deferred.fromCoroutine(self._stop())

    @staticmethod
    def _ended(failure: Any) -> None:
        if not failure.check(defer.CancelledError):
            log_failure(failure, logger, "DHCP events are not handled any more")

    # The socket file

    def _open(self) -> socket.socket:
        """Return the socket; nobody sees it under its name before mode and owner are right."""
        directory, name = os.path.split(os.path.abspath(self._path))
        draft = os.path.join(directory, f".{name[:16]}.{secrets.token_hex(3)}")
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._check_place()
            uid = -1 if self._owner is None else pwd.getpwnam(self._owner).pw_uid
            gid = -1 if self._group is None else grp.getgrnam(self._group).gr_gid
            opened.bind(draft)
            if (uid, gid) != (-1, -1):  # a service may be forbidden to ask even for nothing
                os.chown(draft, uid, gid)
            os.chmod(draft, self._mode)
            os.rename(draft, self._path)
            self._inode = self._identity()
        except BaseException as exc:
            opened.close()
            with contextlib.suppress(OSError):
                os.unlink(draft)
            if isinstance(exc, KeyError):  # its text names the user or group
                raise SettingsError(f"dhcp.socket_owner, dhcp.socket_group: {exc.args[0]}") from exc
            if isinstance(exc, OSError):
                reason = exc.strerror or str(exc)
                raise SettingsError(f"dhcp.socket: {self._path}: {reason}") from exc
            raise
        return opened

    def _check_place(self) -> None:
        """Raise SettingsError unless the path is free, or holds a socket that nobody reads."""
        try:
            kind = os.lstat(self._path).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(kind):
            raise SettingsError(f"dhcp.socket: {self._path} is there and is no socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(self._path)
            except ConnectionRefusedError:
                logger.info("%s was left by a daemon that did not end well", self._path)
                return
        raise SettingsError(f"dhcp.socket: another process reads {self._path}")

    def _identity(self) -> tuple[int, int]:
        status = os.lstat(self._path)
        return status.st_dev, status.st_ino

    # What the reactor calls

    def fileno(self) -> int:
        """Return the descriptor to watch."""
        return -1 if self._socket is None else self._socket.fileno()

    def logPrefix(self) -> str:
        """Return what Twisted puts in front of its own messages."""
        return "dhcp"

    def connectionLost(self, reason: Any) -> None:
        """Say that the reactor gave up the socket."""
        if self._socket is not None:
            log_failure(reason, logger, "the DHCP socket does not work any more")

    def doRead(self) -> None:
        """Take what has come, but not for so long that others have to wait."""
        for _ in range(_DATAGRAMS_PER_TURN):
            if self._socket is None:
                return
            try:
                datagram = self._socket.recv(MAX_BYTES + 1)
            except BlockingIOError:
                return
            except OSError as exc:
                logger.warning("the DHCP socket cannot be read: %s", exc)
                return
            self.datagram_received(datagram)

    def datagram_received(self, datagram: bytes) -> None:
        """Queue the event of a datagram; one that is no event, or one too many, is logged only."""
        try:
            info = parse(datagram)
        except InvalidDocument as error:
            logger.warning("a DHCP event is left out: %s: %.80r", error, datagram)
            return
        if self._waiting >= self._queue_size:
            if not self._lost:
                logger.warning("DHCP events are lost: %d wait already", self._waiting)
            self._lost += 1
            return
        if self._lost:
            logger.warning("%d DHCP events were lost", self._lost)
            self._lost = 0
        self._waiting += 1
        # One worker for all events of a phone keeps their order.
        self._queues[hash(info.mac or info.ip) % len(self._queues)].put(info)

    async def _work(self, queue: defer.DeferredQueue[DhcpInfo]) -> None:
        while self.running:
            info = await queue.get()
            self._waiting -= 1
            try:
                await self._handle(info)
            except defer.CancelledError:
                if not self.running:
                    raise
                logger.warning("the DHCP event of %s is lost: it was given up", info.mac or info.ip)
            except ProvdError as error:
                logger.warning("the DHCP event of %s is lost: %s", info.mac or info.ip, error)
            except Exception:
                logger.exception("the DHCP event of %s is lost", info.mac or info.ip)
            else:
                logger.debug("DHCP %s of %s, %s", info.operation, info.ip, info.mac or "no MAC")
