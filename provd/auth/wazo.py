"""Authorisation by the wazo-auth service, REST 0.1 (contract: integration §4).

Nothing here blocks: calls go through treq with a timeout, answers are remembered for some seconds,
and the daemon's own token is renewed in the background for ever, whether or not the service is up.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import re
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import treq
from twisted.internet import defer, ssl
from twisted.python.filepath import FilePath
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers

from provd.errors import AuthenticationFailed, AuthUnavailable, trespass
from provd.retry import RetryLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

TOKEN_SECONDS = 21600
RENEW_SECONDS = 17280
RENEW_EARLY_SECONDS = 60
READY_SECONDS = 5.0
"""How long a request waits until the daemon has its own token, and so the main tenant."""
HURRY_SECONDS = 1.0
RETRY_SECONDS = (1, 2, 4, 8, 16, 32)
REMEMBER_SECONDS = 10.0
_MAX_REMEMBERED = 10_000

# A token is part of a path: nothing that a web server on the way may take for more than a name.
_TOKEN = re.compile(r"[A-Za-z0-9_~+=-][A-Za-z0-9_.~+=-]*")


class _Memory:
    """Answers by question, for some seconds."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self._answers: dict[Any, tuple[float, Any]] = {}

    def get(self, question: Any) -> Any:
        found = self._answers.get(question)
        if found is None or found[0] <= self._clock.seconds():
            return None
        return found[1]

    def put(self, question: Any, answer: Any) -> None:
        if len(self._answers) >= _MAX_REMEMBERED:
            self._answers.clear()
        self._answers[question] = (self._clock.seconds() + REMEMBER_SECONDS, answer)


class _PolicyForHttps:
    """How the certificate of the service is checked: by the system, by a CA file, or not at all."""

    def __init__(self, verify: bool | str) -> None:
        self._verify = verify

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:  # noqa: ARG002
        name = hostname.decode("ascii")
        if self._verify is False:
            return ssl.CertificateOptions(verify=False)
        if isinstance(self._verify, str):
            authority = ssl.Certificate.loadPEM(FilePath(self._verify).getContent())
            return ssl.optionsForClientTLS(name, trustRoot=authority)
        return ssl.optionsForClientTLS(name)


def make_agent(reactor: Any, timeout: float, verify: bool | str) -> Agent:
    """Return an HTTP agent that keeps connections and checks certificates as settings say."""
    from twisted.web.iweb import IPolicyForHTTPS
    from zope.interface import directlyProvides

    policy = _PolicyForHttps(verify)
    directlyProvides(policy, IPolicyForHTTPS)
    pool = HTTPConnectionPool(reactor, persistent=True)
    return Agent(reactor, policy, connectTimeout=timeout, pool=pool)


class WazoAuthorizer:
    """Asks wazo-auth; `renewed` is called in the reactor thread with each new service token."""

    is_platform = True

    def __init__(
        self,
        reactor: Any,
        *,
        base_url: str,
        username: str | None,
        password: str | None,
        timeout: float,
        verify_certificate: bool | str,
        agent: Any = None,
        renewed: Callable[[str, str], None] = lambda _token, _tenant: None,
    ) -> None:
        self._reactor = reactor
        self._base_url = f"{base_url.rstrip('/')}/0.1"
        self._username = username or ""
        self._password = password or ""
        self._timeout = timeout
        agent = agent or make_agent(reactor, timeout, verify_certificate)
        self._client = treq.client.HTTPClient(agent)
        self._memory = _Memory(reactor)
        self._hidden: Counter[str] = Counter()
        self._renewed = renewed
        self._renewal = RetryLoop(
            reactor,
            self._renew,
            name="no service token",
            delays=RETRY_SECONDS,
            level=_renewal_level,
            log=logger,
        )
        self.service_token: str | None = None
        self._main_tenant: str | None = None

    @property
    def main_tenant(self) -> str | None:
        """The tenant of the service token; None until the service has answered once."""
        return self._main_tenant

    async def start(self) -> None:
        """Begin to renew the service token."""
        self._renewal.start()

    async def stop(self) -> None:
        """Stop renewing."""
        await self._renewal.stop()

    def _renew_early(self) -> None:
        """Renew the service token now; not soon again, as the reason may lie elsewhere."""
        if not self._renewal.is_attempting:
            self._renewal.hurry(RENEW_EARLY_SECONDS)

    async def wait_until_ready(self) -> None:
        """Wait for an attempt to get the first service token, for some seconds at most.

        Whether it succeeded is for the caller to see.
        """
        if self.service_token is not None or not self._renewal.is_running:
            return
        if self._renewal.is_attempting or self._renewal.hurry(HURRY_SECONDS):
            with contextlib.suppress(defer.TimeoutError):
                await self._renewal.attempt_ended().addTimeout(READY_SECONDS, self._reactor)

    async def _renew(self) -> float:
        credentials = base64.b64encode(f"{self._username}:{self._password}".encode()).decode()
        status, body = await self._call(
            "POST",
            "/token",
            headers={"Authorization": f"Basic {credentials}"},
            json={"expiration": TOKEN_SECONDS},
        )
        token = _dig(body, "data", "token")
        if status == 401:
            raise AuthenticationFailed(
                "wazo-auth refuses the service key: 401 at the creation of a token"
            )
        if status != 200 or not isinstance(token, str):
            raise AuthUnavailable(f"{status} at the creation of a token")
        status, body = await self._call("GET", f"/token/{quote(token, safe='')}")
        tenant = _dig(body, "data", "metadata", "tenant_uuid")
        if status != 200 or not isinstance(tenant, str):
            raise AuthUnavailable(f"{status} at the reading of the service token")
        self.service_token, self._main_tenant = token, tenant
        logger.info("service token renewed, the main tenant is %s", tenant)
        self._renewed(token, tenant)
        return RENEW_SECONDS

    async def _call(
        self, method: str, path: str, headers: dict[str, str] | None = None, json: Any = None
    ) -> tuple[int, Any]:
        """Return status and decoded body of a call; AuthUnavailable without an answer in time."""
        # To treq, `json=None` is the body `null`.
        content = {} if json is None else {"json": json}

        async def call() -> tuple[int, Any]:
            response = await self._client.request(
                method,
                self._base_url + path,
                headers=Headers(
                    {"Accept": ["application/json"], **{k: [v] for k, v in (headers or {}).items()}}
                ),
                **content,
            )
            if method == "HEAD":
                await response.content()
                return response.code, None
            try:
                return response.code, await response.json()
            except ValueError:
                return response.code, None

        calling = defer.Deferred.fromCoroutine(call())
        try:
            return await calling.addTimeout(self._timeout, self._reactor)
        except defer.CancelledError:
            raise
        except Exception as error:
            raise AuthUnavailable(f"wazo-auth does not answer: {error!r}") from error

    async def tenant(self, token: str | None, tenant: str | None) -> str:
        """Return the request tenant."""
        if not token or not _TOKEN.fullmatch(token):
            raise AuthenticationFailed("no token, or none that can be asked for")
        question = ("tenant", token, tenant)
        known = self._memory.get(question)
        if known is not None:
            return str(known)
        path = f"/token/{quote(token, safe='')}"
        if tenant:
            status, _ = await self._call("HEAD", f"{path}?{urlencode({'tenant': tenant})}")
            if status != 204:
                refusal = _refusal(status, "the token may not act for this tenant")
                raise trespass(refusal, f"tenant {tenant}") if status == 403 else refusal
            found: Any = tenant
        else:
            status, body = await self._call("GET", path)
            found = _dig(body, "data", "metadata", "tenant_uuid")
            if status != 200 or not isinstance(found, str) or not found:
                raise _refusal(status, "the token is unknown, or has no tenant")
        self._memory.put(question, found)
        return str(found)

    async def authorize(self, token: str | None, access: str, tenant: str | None) -> str:
        """Return the request tenant."""
        request_tenant = await self.tenant(token, tenant)
        assert token is not None
        question = ("access", token, access, tenant)
        if self._memory.get(question) is None:
            query = {"scope": access} | ({"tenant": tenant} if tenant else {})
            path = f"/token/{quote(token, safe='')}?{urlencode(query)}"
            status, _ = await self._call("HEAD", path)
            if status != 204:
                raise _refusal(status, f"the token does not allow {access}")
            self._memory.put(question, True)
        # The service answers, so the daemon's own token cannot be far.
        await self.wait_until_ready()
        return request_tenant

    async def caller(self, token: str | None) -> str:
        """Return the user of a token, as wazo-auth calls them."""
        if not token or not _TOKEN.fullmatch(token):
            return "an unknown token"
        question = ("caller", token)
        known = self._memory.get(question)
        if known is None:
            try:
                status, body = await self._call("GET", f"/token/{quote(token, safe='')}")
            except AuthUnavailable:
                return "a user of wazo-auth"
            user = _dig(body, "data", "auth_id") or _dig(body, "data", "metadata", "uuid")
            known = f"user {user!s:.80}" if status == 200 and user else "a user of wazo-auth"
            self._memory.put(question, known)
        return str(known)

    async def visible(self, tenant: str) -> frozenset[str]:
        """Return the request tenant and its descendants; alone if they may not be listed."""
        question = ("visible", tenant)
        known: frozenset[str] | None = self._memory.get(question)
        if known is not None:
            return known - self._hidden.keys()
        await self.wait_until_ready()
        if self.service_token is None:
            raise AuthUnavailable("the daemon has no service token yet")
        uuids = await self._tenants(tenant)
        visible = frozenset((tenant, *(uuids or ())))
        self._memory.put(question, visible)
        return visible - self._hidden.keys()

    @contextlib.contextmanager
    def hiding(self, tenant: str) -> Iterator[None]:
        """Let nobody see a tenant's devices while they are being deleted."""
        self._hidden[tenant] += 1
        try:
            yield
        finally:
            self._hidden -= Counter((tenant,))

    async def _tenants(self, tenant: str | None) -> list[str] | None:
        """Return the tenants visible to `tenant`, None if that is refused; AuthUnavailable.

        The service may give a page of them at a time. Where all tenants are asked for, a hole would
        look like tenants that were deleted, so it is the whole list or an error.
        """
        headers = {"X-Auth-Token": self.service_token or ""}
        if tenant is not None:
            headers["Wazo-Tenant"] = tenant
        found: dict[str, None] = {}
        path = "/tenants"
        offset = 0
        while True:
            status, body = await self._call("GET", path, headers=headers)
            if status == 401:
                self._renew_early()
                return None
            items = _dig(body, "items")
            if status != 200 or not isinstance(items, list):
                raise AuthUnavailable(f"{status} at the listing of tenants")
            known = len(found)
            uuids = (item.get("uuid") for item in items if isinstance(item, dict))
            found.update((uuid, None) for uuid in uuids if isinstance(uuid, str))
            total = _dig(body, "total")
            if not isinstance(total, int) or len(found) >= total:
                return list(found)
            if len(found) == known:
                if tenant is not None:  # `total` may count what this tenant does not see
                    return list(found)
                raise AuthUnavailable(f"{known} tenants are listed, and {total} announced")
            offset += len(items)
            path = f"/tenants?{urlencode({'offset': offset, 'limit': total})}"

    async def all_tenants(self) -> list[str] | None:
        """Return every tenant the service knows; None if it does not tell."""
        if self.service_token is None:
            raise AuthUnavailable("the daemon has no service token yet")
        return await self._tenants(None)


def _renewal_level(error: Exception, _failures: int) -> int:
    return logging.ERROR if isinstance(error, AuthenticationFailed) else logging.WARNING


def _refusal(status: int, text: str) -> AuthenticationFailed | AuthUnavailable:
    if status >= 500:
        return AuthUnavailable(f"wazo-auth answers {status}")
    return AuthenticationFailed(text)


def _dig(body: Any, *keys: str) -> Any:
    for key in keys:
        if not isinstance(body, dict):
            return None
        body = body.get(key)
    return body
