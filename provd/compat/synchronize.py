"""Making a phone load its configuration again, by SIP NOTIFY through the AMI gateway.

The contract is processing §9 and plugin API §12. Who is notified: the SIP account that the phone
runs, if it is known and its own; else whoever registers from the phone's address.
"""

from __future__ import annotations

import json
import logging
import ssl
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from twisted.internet import defer, threads

from provd.errors import NoWayToNotify, SynchronizeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

logger = logging.getLogger(__name__)

SynchronizeException = SynchronizeError

_TYPE = "AsteriskAMI"
_TIMEOUT = 10.0
_MAX_ANSWER = 1024 * 1024
# All phones without a config of their own share one account; a NOTIFY to it reaches each of them.
_AUTOPROV = "autoprov"  # of the base documents that provd makes
_AUTOPROV_PREFIX = "ap"
_AUTOPROV_LENGTH = 10


class AMIError(SynchronizeException):
    """The AMI gateway refused, failed, or cannot be reached."""


class AmidClient:
    """Posts AMI actions to the gateway; blocking, so for worker threads.

    `token` is the service token, or a function that returns it and may be called in any thread.
    Redirections are refused and proxies of the environment ignored: both would see the token.
    """

    def __init__(
        self,
        base_url: str,
        token: str | Callable[[], str | None] | None = None,
        *,
        verify_certificate: bool | str = True,
        timeout: float = _TIMEOUT,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._timeout = timeout
        self._opener = urllib.request.OpenerDirector()
        self._opener.add_handler(urllib.request.HTTPHandler())
        if base_url.startswith("https:"):
            self._opener.add_handler(urllib.request.HTTPSHandler(context=_tls(verify_certificate)))
        self._opener.add_handler(urllib.request.UnknownHandler())

    def set_token(self, token: str | Callable[[], str | None] | None) -> None:
        """Use another token from now on."""
        self._token = token

    def action(self, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Run an AMI action and return its answers; AMIError if it, or one of them, failed."""
        token = self._token() if callable(self._token) else self._token
        if not token:
            raise AMIError("the AMI gateway cannot be asked: there is no service token yet")
        request = urllib.request.Request(  # noqa: S310 - the settings give scheme and host
            f"{self._base_url}/1.0/action/{name}",
            data=json.dumps(parameters).encode(),
            headers={
                "Accept": "application/json",
                "Content-Type": "application/json",
                "X-Auth-Token": token,
            },
            method="POST",
        )
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                status, body = response.status, response.read(_MAX_ANSWER)
        except (OSError, HTTPException) as error:
            raise AMIError(f"the AMI gateway cannot be reached: {error}") from error
        if status != 200:
            raise AMIError(f"the AMI gateway answered {status} to {name}")
        return _checked_answers(name, body)


def _tls(verify_certificate: bool | str) -> ssl.SSLContext:
    cafile = verify_certificate if isinstance(verify_certificate, str) else None
    context = ssl.create_default_context(cafile=cafile)
    if verify_certificate is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _checked_answers(name: str, body: bytes) -> list[dict[str, Any]]:
    try:
        answers = json.loads(body)
    except ValueError as error:
        raise AMIError(f"the AMI gateway's answer to {name} is not JSON") from error
    if not isinstance(answers, list) or not all(isinstance(answer, dict) for answer in answers):
        raise AMIError(f"the AMI gateway's answer to {name} is not a list of objects")
    for answer in answers:
        if answer.get("Response") == "Error":
            raise AMIError(f"{name} failed: {answer.get('Message', 'no reason given')}")
    return answers


def get_AMID_client(
    *,
    host: str = "localhost",
    port: int | None = 9491,
    prefix: str | None = None,
    https: bool = False,
    verify_certificate: bool | str = True,
    timeout: float = _TIMEOUT,
    token: str | Callable[[], str | None] | None = None,
    **_others: Any,
) -> AmidClient:
    """Return a client for the gateway that the `amid` section of the settings describes."""
    url = f"{'https' if https else 'http'}://{host}{f':{port}' if port else ''}"
    if prefix and prefix.strip("/"):
        url = f"{url}/{prefix.strip('/')}"
    return AmidClient(url, token, verify_certificate=verify_certificate, timeout=timeout)


class AsteriskAMISynchronizeService:
    """Notifies phones through the AMI gateway; its methods block and raise on error."""

    TYPE = _TYPE

    def __init__(self, amid_client: Any) -> None:
        self._client = amid_client

    def sip_notify_by_ip(
        self, ip: str, event: str, extra_vars: Iterable[str] | None = None
    ) -> None:
        """Notify whoever registers from `ip`; `extra_vars` are texts `Name=value`."""
        self._notify({"URI": f"sip:anonymous@{ip}"}, event, extra_vars)

    def sip_notify_by_peer(
        self, peer: str, event: str, extra_vars: Iterable[str] | None = None
    ) -> None:
        """Notify the SIP account `peer`; `extra_vars` are texts `Name=value`."""
        self._notify({"Endpoint": peer}, event, extra_vars)

    sip_notify = sip_notify_by_ip

    def _notify(
        self, whom: Mapping[str, str], event: str, extra_vars: Iterable[str] | None
    ) -> None:
        variables = [f"Event={event}", *(extra_vars or ())]
        self._client.action("PJSIPNotify", {"Variable": variables, **whom})


_registered: list[Any] = []


def register_sync_service(sync_service: Any) -> None:
    """Make `sync_service` the one that the functions below use."""
    _registered[:] = [sync_service]


def unregister_sync_service() -> None:
    """Leave no service registered."""
    _registered.clear()


def get_sync_service() -> Any | None:
    """Return the registered service, or None."""
    return _registered[0] if _registered else None


def is_shared(peer: str) -> bool:
    """Tell whether a SIP account is that of all new phones."""
    is_generated = peer.startswith(_AUTOPROV_PREFIX) and len(peer) == _AUTOPROV_LENGTH
    return is_generated or peer == _AUTOPROV


def notify(
    sync_service: Any | None,
    device: Mapping[str, Any],
    event: str,
    extra_vars: Iterable[str] | None = None,
) -> defer.Deferred[Any]:
    """Send a SIP NOTIFY to `device` through `sync_service`; fails if that is not possible."""
    if sync_service is None or getattr(sync_service, "TYPE", None) != _TYPE:
        return defer.fail(NoWayToNotify())
    peer, ip = device.get("remote_state_sip_username"), device.get("ip")
    notify_device = getattr(sync_service, "notify_device", None)
    is_known = ip or device.get("mac") or (peer and not is_shared(peer))
    if notify_device is not None and is_known:
        # It needs no thread, and all that is known of the phone to find it.
        logger.debug("device %s gets a NOTIFY %s", device.get("id"), event)
        work: defer.Deferred[Any] = defer.maybeDeferred(
            notify_device, device, event, extra_vars, is_shared=is_shared
        )
        return work
    if peer and is_shared(peer):
        peer = None
    if peer:
        send, whom = sync_service.sip_notify_by_peer, peer
    elif ip:
        send, whom = sync_service.sip_notify_by_ip, ip
    else:
        reason = f"device {device.get('id')} has neither a SIP account of its own nor an address"
        return defer.fail(SynchronizeException(reason))
    logger.debug("device %s gets a NOTIFY %s, sent to %s", device.get("id"), event, whom)
    return threads.deferToThread(send, whom, event, extra_vars)


def standard_sip_synchronize(
    device: Mapping[str, Any],
    event: str = "check-sync",
    extra_vars: Iterable[str] | None = None,
) -> defer.Deferred[Any]:
    """Send a SIP NOTIFY to `device` through the registered service."""
    return notify(get_sync_service(), device, event, extra_vars)
