"""The frame of the REST API: routes, the order of checks, media types, errors.

Each request passes, in this order (contract: REST API §1.1): OPTIONS, route, method, tenant, token
and access, media types, body. A handler sees only what passed all of them.
"""

from __future__ import annotations

import json
import logging
import math
import time
from typing import TYPE_CHECKING, Any, NoReturn

import attrs
from klein import Klein
from twisted.internet import defer, task
from twisted.web import resource, server
from werkzeug.exceptions import HTTPException

from provd.errors import AuthUnavailable, ProvdError, TenantUnknown
from provd.logs import escape
from provd.manager.config_access import Caller
from provd.model.documents import check_depth
from provd.rest.audit import METHODS, Change
from provd.rest.errors import NO_SUCH_RESOURCE, HttpError, to_http
from provd.rest.schemas import LINKS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from provd.auth.interface import Authorizer
    from provd.rest.schemas import Schema

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/vnd.proformatique.provd+json"
PLAIN_JSON = "application/json"
"""The other media type: taken in bodies, and given to those who accept nothing else of ours."""
ROOT = "/0.2"
MAX_BODY = 64 * 1024 * 1024
SLICE_SECONDS = 0.005
_MAX_SHOWN = 400

CORS = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, POST, PUT, DELETE, OPTIONS"),
    (
        b"access-control-allow-headers",
        b"Origin, X-Requested-With, Accept, Content-Type, X-Auth-Token, Wazo-Tenant",
    ),
    (b"access-control-allow-credentials", b"false"),
    (b"access-control-expose-headers", b"Location"),
)


@attrs.frozen
class Call:
    """One request that passed all checks."""

    params: Mapping[str, str]
    """The variable parts of the path, decoded."""
    args: Mapping[str, str]
    """The first value of each query argument."""
    tenant: str
    """The request tenant; empty for a route that everybody may use."""
    authorizer: Authorizer
    body: Any = None
    token: str | None = None
    is_shared: bool = False
    """Whether tenants share what is not a device's, so that none is held to its own."""

    async def caller(self) -> Caller:
        """Return on whose behalf this is; TenantUnknown while the main tenant is not known.

        A token of the main tenant may do everything, also where it acts for another tenant.
        """
        if self.is_shared or await self._is_of_main_tenant():
            return Caller(self.tenant)
        return Caller(self.tenant, await self.visible())

    async def may_share_identities(self) -> bool:
        """Tell whether a new device may have the MAC address of another one.

        Only the platform itself makes such devices, with a token of its main tenant.
        """
        return self.authorizer.is_platform and await self._is_of_main_tenant()

    async def _is_of_main_tenant(self) -> bool:
        main = self.authorizer.main_tenant
        if main is None:
            raise TenantUnknown("the main tenant is not known yet; try again in a moment")
        return self.tenant == main or await self.authorizer.tenant(self.token, None) == main

    async def reader(self) -> Caller:
        """Return what `caller` does, of a request that changes nothing.

        While it is not known what else there is to see, that is no more than the tenant's own.
        """
        try:
            return await self.caller()
        except (AuthUnavailable, TenantUnknown):
            return Caller(self.tenant, frozenset((self.tenant,)))

    async def require_main(self, what: str) -> None:
        """Raise OfMainTenant unless this is on behalf of the main tenant."""
        (await self.caller()).require_main(what)

    async def visible(self) -> frozenset[str] | None:
        """Return the request tenant and its descendants, None for all tenants."""
        return await self.authorizer.visible(self.tenant)

    def member(self, key: str, kind: type) -> Any:
        """Return a member of the body; a 400 that names it, if it is missing or of another type."""
        if not isinstance(self.body, dict) or key not in self.body:
            raise HttpError(400, f'Missing "{key}" key')
        value = self.body[key]
        if not isinstance(value, kind):
            wanted = "an object" if kind is dict else "a text"
            raise HttpError(400, f'The value of the "{key}" key is not {wanted}')
        if isinstance(value, dict):
            check_depth(value)  # before anything walks through it
        return value


@attrs.frozen
class Reply:
    """What a handler gives back; a `document` goes out as provd JSON."""

    status: int = 200
    document: Any = None
    location: str | None = None
    content: bytes | None = None
    content_type: str = MEDIA_TYPE
    headers: Mapping[str, str] = attrs.field(factory=dict)
    shape: Callable[[Any], Any] | None = None
    """What each member of a listing goes out as; None for itself."""
    remark: str = ""
    """What the log says of a change beyond its status."""


@attrs.frozen
class Action:
    """What one method of a route does. `access` may name path variables and `tenant_uuid`."""

    access: str | None
    """The ACL; None for a route that everybody may use."""
    handler: Callable[[Call], Awaitable[Reply]]
    summary: str
    status: int = attrs.field(default=200, kw_only=True)
    """Of success."""
    takes: Schema | None = attrs.field(default=None, kw_only=True)
    """The body of a request; None for none."""
    gives: Schema | None = attrs.field(default=None, kw_only=True)
    """The body of an answer; None for none."""
    content_type: str = attrs.field(default=MEDIA_TYPE, kw_only=True)
    arguments: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """Of the query."""
    guarded: Mapping[str, str] = attrs.field(factory=dict, kw_only=True)
    """Arguments of the query that need an ACL of their own where they are `true`."""
    errors: tuple[int, ...] = attrs.field(default=(), kw_only=True)
    """Statuses beside those that follow from all this."""


@attrs.frozen
class Route:
    """A path, with variables as `<name>`, and its methods."""

    path: str
    actions: Mapping[str, Action]
    exists: Callable[[Mapping[str, str]], bool] = lambda _params: True
    """Tells whether what the path names is there, before any token is looked at."""


def links(*pairs: tuple[str, str]) -> Reply:
    """Return a links document of `(rel, path)`."""
    return Reply(document={"links": [{"rel": rel, "href": path} for rel, path in pairs]})


def entry_point(path: str, access: str, *children: tuple[str, str]) -> Route:
    """Return a route that lists the resources below it, as `(rel, last path part)`."""

    async def get(_call: Call) -> Reply:
        return links(*((rel, f"{path}/{part}") for rel, part in children))

    return Route(path, {"GET": Action(access, get, "List the resources below.", gives=LINKS)})


def encode(document: Any) -> bytes:
    """Return compact JSON in UTF-8."""
    try:
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half a character, from a plugin's info
        return json.dumps(document, separators=(",", ":")).encode()


async def encode_in_slices(
    document: Any,
    pause: Callable[[], Awaitable[None]],
    at_once: int = 100,
    shape: Callable[[Any], Any] | None = None,
) -> bytes:
    """Return what `encode` does; a listing takes slices of time, with a pause after each.

    `shape` is what each of its members becomes.
    """
    key, values = (
        next(iter(document.items()), ("", None)) if isinstance(document, dict) else ("", 0)
    )
    if not isinstance(values, list):
        return encode(document)
    if len(values) <= at_once:
        shaped = values if shape is None else [shape(value) for value in values]
        return encode({**document, key: shaped})
    rest = encode({name: value for name, value in document.items() if name != key})[1:]
    pieces = []
    began = time.perf_counter()
    for start in range(0, len(values), at_once):
        part = values[start : start + at_once]
        pieces.append(encode(part if shape is None else [shape(value) for value in part])[1:-1])
        if time.perf_counter() - began > SLICE_SECONDS:
            await pause()
            began = time.perf_counter()
    comma = b"" if rest == b"}" else b","
    return b"".join((b"{", encode(key), b":[", b",".join(pieces), b"]", comma, rest))


def decode(content: bytes) -> Any:
    """Return a JSON document; a 400 with the parser's message if it is none."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not JSON")

    def number(text: str) -> float:
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"{text:.20} is too large")
        return value

    try:
        text = content.decode("utf-8-sig")
        document = json.loads(text, parse_constant=refuse, parse_float=number)
        if "\\ud" in text.lower():  # may be half a character, which nothing can store
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError:
        raise HttpError(400, "Invalid JSON document: it is nested too deeply") from None
    except UnicodeEncodeError:
        raise HttpError(400, "Invalid JSON document: a text holds half a character") from None
    except ValueError as error:
        raise HttpError(400, f"Invalid JSON document: {error}") from None
    return document


class RestRequest(server.Request):
    """A request of an operator or a program."""

    defaultContentType = b"text/plain; charset=ascii"
    _body = 0

    def getRequestHostname(self) -> bytes:
        """Return a name that routing can use; what clients send as Host means nothing here."""
        return b"localhost"

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of a body; a client that sends too much is cut off."""
        self._body += len(data)
        if self._body > MAX_BODY:
            self.channel.forceAbortClient()
            return
        super().handleContentChunk(data)


class RestSite(server.Site):
    """Serves the API; failures show no traceback to clients."""

    requestFactory = RestRequest
    noisy = False
    displayTracebacks = False

    def __init__(self, root: resource.Resource) -> None:
        # Bodies are JSON or refused; a broken form must not be answered by the parser of forms.
        super().__init__(root, parsePOSTFormSubmission=False)

    def log(self, request: Any) -> None:
        """Write nothing: errors have a line of their own."""


class RestRoot(resource.Resource):
    """The root of the site: CORS on everything, OPTIONS answered before any check."""

    isLeaf = True

    def __init__(self, api: resource.Resource) -> None:
        super().__init__()
        self._api = api

    def render(self, request: server.Request) -> Any:
        """Answer a request of any method."""
        for name, value in CORS:
            request.responseHeaders.setRawHeaders(name, [value])
        if request.method == b"OPTIONS":
            request.setHeader(b"content-length", b"0")
            return b""
        try:
            b"/".join(request.postpath or ()).decode()
            request.method.decode()
        except UnicodeDecodeError:
            return _write_error(request, HttpError(404, NO_SUCH_RESOURCE))
        return self._api.render(request)


class RestApi:
    """Routes bound to Klein."""

    def __init__(
        self,
        authorizer: Authorizer,
        routes: Iterable[Route],
        clock: Any,
        catch_up: Callable[[], Awaitable[None]] | None = None,
        *,
        is_shared: bool = False,
    ) -> None:
        self._is_shared = is_shared
        self._authorizer = authorizer
        self._catch_up = catch_up
        self._clock = clock
        self.routes = list(routes)
        self._app = Klein()
        self._app.url_map.merge_slashes = False
        for route in self.routes:
            self._bind(route)
        self._app.handle_errors(HTTPException)(self._not_routed)  # type: ignore[arg-type]

    def resource(self) -> RestRoot:
        """Return the root resource of the site."""
        return RestRoot(self._app.resource())

    def _bind(self, route: Route) -> None:
        def handle(request: server.Request, **params: str) -> Any:
            work = defer.Deferred.fromCoroutine(self._handle(route, request, params))
            return work if _method(request) in {"GET", "HEAD"} else _kept(work)

        handle.__name__ = f"{route.path}"
        self._app.route(route.path, strict_slashes=False)(handle)

    @staticmethod
    def _not_routed(request: server.Request, failure: Any) -> bytes:
        """Answer what Klein itself refuses: the path is unknown."""
        status = failure.value.code or 404
        return _write_error(
            request, HttpError(status, NO_SUCH_RESOURCE if status == 404 else failure.value.name)
        )

    async def _handle(self, route: Route, request: server.Request, params: dict[str, str]) -> bytes:
        change = Change(request) if _method(request) in METHODS else None
        try:
            reply = await self._reply(route, request, params, change)
            if reply.document is not None:
                content = await encode_in_slices(reply.document, self._pause, shape=reply.shape)
                reply = attrs.evolve(
                    reply, document=None, content=content, content_type=_answer_type(request)
                )
        except (defer.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # what a plugin's service raises, too
            refusal = to_http(error)
            if refusal is None:
                logger.exception("%s %s failed", _method(request), _shown(request))
                refusal = HttpError(500, "Internal error; the daemon's log has the details")
            elif refusal.status >= 500:
                logger.error(
                    "%s %s: %d %s", _method(request), _shown(request), refusal.status, error
                )
            if change is not None:
                change.log(refusal.status, refusal.text)
            return _write_error(request, refusal)
        if change is not None:
            change.log(reply.status, ", ".join(filter(None, (reply.location, reply.remark))))
        return _write(request, reply)

    def _pause(self) -> defer.Deferred[None]:
        return task.deferLater(self._clock, 0)

    async def _reply(
        self, route: Route, request: server.Request, params: dict[str, str], change: Change | None
    ) -> Reply:
        if not route.exists(params):
            raise HttpError(404, NO_SUCH_RESOURCE)
        method = _method(request)
        action = route.actions.get("GET" if method == "HEAD" else method)
        if action is None:
            allowed = [*route.actions, *(["HEAD"] if "GET" in route.actions else []), "OPTIONS"]
            raise HttpError(
                405, "Method not allowed", ((b"allow", ", ".join(allowed).encode("ascii")),)
            )
        token = _header(request, b"x-auth-token") or None
        try:
            tenant = await self._authorize(action, request, params, token)
        except ProvdError as error:
            _log_trespass(request, error, "a token")
            raise
        if change is not None:
            change.who = await self._authorizer.caller(token)
        body = None
        if method in {"GET", "HEAD"}:
            if action.access is not None:
                _check_accept(request)
        elif method in {"POST", "PUT"}:
            _check_content_type(request)
            assert request.content is not None
            body = decode(request.content.read())
            if change is not None:
                change.take_body(body)
        args = {
            name.decode("utf-8", "replace"): values[0].decode("utf-8", "replace")
            for name, values in (request.args or {}).items()
        }
        if self._catch_up is not None and action.access is not None:
            await self._catch_up()
        call = Call(params, args, tenant, self._authorizer, body, token, self._is_shared)
        try:
            return await action.handler(call)
        except (ProvdError, HttpError) as error:
            _log_trespass(request, error, f"tenant {tenant}")
            raise

    async def _authorize(
        self, action: Action, request: server.Request, params: dict[str, str], token: str | None
    ) -> str:
        if action.access is None:
            return ""
        tenant = _header(request, b"wazo-tenant") or None
        names = dict(params)
        if "{tenant_uuid}" in action.access:
            names["tenant_uuid"] = await self._authorizer.tenant(token, tenant)
        names = {name: value.replace(".", "_") for name, value in names.items()}
        for argument, access in action.guarded.items():
            if argument.encode("ascii") in (request.args or {}) and is_true(
                request.args[argument.encode("ascii")][0].decode("latin-1")
            ):
                await self._authorizer.authorize(token, access.format_map(names), tenant)
        return await self._authorizer.authorize(token, action.access.format_map(names), tenant)


def is_true(text: str) -> bool:
    """Tell whether a query argument says true."""
    return text.lower() == "true"


def _kept(work: defer.Deferred[bytes]) -> defer.Deferred[bytes]:
    """Return a Deferred that can be cancelled while `work` goes on to its end.

    Klein cancels when the client goes away; a change must not stop half-way then.
    """
    told: defer.Deferred[bytes] = defer.Deferred()
    work.addCallbacks(told.callback, told.errback)
    return told


def _method(request: server.Request) -> str:
    method: bytes = request.method
    return method.decode("latin-1")


def _shown(request: server.Request) -> str:
    path: bytes = request.path
    return escape(path.decode("latin-1"))


def _log_trespass(request: server.Request, error: Exception, who: str) -> None:
    """Write one line for an attempt to reach what is another tenant's."""
    for found in (error, error.__cause__):
        if isinstance(found, ProvdError) and found.trespass is not None:
            logger.warning(
                "%s %s: refused, %s reached for %s",
                _method(request),
                _shown(request),
                escape(who),
                escape(found.trespass[:_MAX_SHOWN]),
            )
            return


def _header(request: server.Request, name: bytes) -> str | None:
    """Return the last value of a header, None without one; any byte is a character."""
    values = request.requestHeaders.getRawHeaders(name)
    return values[-1].decode("latin-1") if values else None


def _accepted(request: server.Request) -> set[str] | None:
    """Return the media types that the client accepts, in lower case; None if it says nothing."""
    values = request.requestHeaders.getRawHeaders(b"accept")
    if not values:
        return None
    accepted = set()
    for item in b",".join(values).decode("latin-1").split(","):
        name, _, parameters = item.partition(";")
        if not any(_is_zero_quality(parameter) for parameter in parameters.split(";")):
            accepted.add(name.strip().lower())
    return accepted


def _check_accept(request: server.Request) -> None:
    accepted = _accepted(request)
    if accepted is None or accepted & {MEDIA_TYPE, PLAIN_JSON, "application/*", "*/*"}:
        return
    raise HttpError(
        406, f'You must accept the "{MEDIA_TYPE}" MIME type. "{PLAIN_JSON}" will do, too.'
    )


def _answer_type(request: server.Request) -> str:
    """Return the media type of an answer: plain JSON only where nothing else of ours will do."""
    accepted = _accepted(request)
    if accepted is None or accepted & {MEDIA_TYPE, "application/*", "*/*"}:
        return MEDIA_TYPE
    return PLAIN_JSON if PLAIN_JSON in accepted else MEDIA_TYPE


def _is_zero_quality(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    return name.strip().lower() == "q" and value.strip() in {"0", "0.0", "0.00", "0.000"}


def _check_content_type(request: server.Request) -> None:
    value = _header(request, b"content-type") or ""
    if value.partition(";")[0].strip().lower() not in {MEDIA_TYPE, PLAIN_JSON}:
        raise HttpError(
            415, f'Entity must be in media type "{MEDIA_TYPE}". "{PLAIN_JSON}" will do, too.'
        )


def _write(request: server.Request, reply: Reply) -> bytes:
    request.setResponseCode(reply.status)
    for name, value in reply.headers.items():
        request.setHeader(name, value)
    if reply.location is not None:
        request.setHeader("location", reply.location)
    if reply.content is None:
        if reply.status != 204:
            request.setHeader("content-length", "0")
        request.responseHeaders.removeHeader("content-type")
        request.defaultContentType = None
        return b""
    request.setHeader("content-type", reply.content_type)
    request.setHeader("content-length", str(len(reply.content)))
    return reply.content


def _write_error(request: server.Request, error: HttpError) -> bytes:
    request.setResponseCode(error.status)
    for name, value in error.headers:
        request.setHeader(name, value)
    charset = "ascii" if error.text.isascii() else "utf-8"
    content = error.text.encode("utf-8", "replace")
    request.setHeader("content-type", f"text/plain; charset={charset}")
    request.setHeader("content-length", str(len(content)))
    return content
