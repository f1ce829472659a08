"""What a request tells about the phone that sent it: every plugin is asked, and they vote.

The answer depends on the protocol, the path and what else the extractors read of the request. All
reads go through a thin proxy that notes them, so results are remembered under just what was read,
until the set of plugins changes. A hundred plugins then cost a known phone nothing.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from twisted.internet import defer
from twisted.python.failure import Failure

from provd.model.vendors import canonical_vendor, is_contradicted, vendors_of_agent
from provd.plugin.base import RequestType
from provd.plugin.phones.index import FamilyIndex
from provd.plugin.phones.plugin import FamilyPlugin
from provd.plugin.vendor import to_phone_request

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from provd.plugin.host import LoadedPlugin, PluginHost
    from provd.plugin.vendor import PhoneRequest

logger = logging.getLogger(__name__)

Info = dict[str, Any]

_FROM_PATH = frozenset(("path", "uri", "args", "method"))
_TEXT_KEYS = ("mac", "sn", "ip", "uuid", "vendor", "model", "version")
_CLAIMS = frozenset(("vendor", "model", "version"))
_BODILESS = frozenset((b"GET", b"HEAD"))
EXTRACTION_TIMEOUT = 10.0
_MAX_KEY_BYTES = 1024


class _WatchedHttp:
    """A request of a phone, as extractors see it; notes which headers they read."""

    __slots__ = ("_memo", "_request", "phone_request")

    def __init__(self, request: Any, memo: _Memo) -> None:
        self._request = request
        self._memo = memo
        self.phone_request: Any = None

    def getHeader(self, name: bytes | str) -> Any:
        self._memo.note_header(name)
        return self._request.getHeader(name)

    def __getattr__(self, name: str) -> Any:
        if name not in _FROM_PATH:
            self._memo.note_other(name)
        return getattr(self._request, name)


class _WatchedTftp(dict[str, Any]):
    """A TFTP request, as extractors see it; notes when they read the address."""

    __slots__ = ("_memo", "phone_request")

    def __init__(self, request: dict[str, Any], memo: _Memo) -> None:
        super().__init__(request)
        self._memo = memo
        self.phone_request: Any = None

    def __getitem__(self, key: str) -> Any:
        if key != "packet":
            self._memo.note_other(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        if key != "packet":
            self._memo.note_other(key)
        return super().get(key, default)


class _Memo:
    """Bounded results by what was read; which headers matter is learned."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._results: OrderedDict[Hashable, Info] = OrderedDict()
        self._headers: tuple[bytes, ...] = (b"user-agent",)
        self._unsure = False

    def clear(self) -> None:
        self._results.clear()

    def note_header(self, name: bytes | str) -> None:
        lowered = (name.encode("latin-1") if isinstance(name, str) else name).lower()
        if lowered not in self._headers:
            self._headers = (*self._headers, lowered)
            self._results.clear()
            self._unsure = True

    def note_other(self, name: str) -> None:
        logger.debug("an extractor reads %s; this result is not remembered", name)
        self._unsure = True

    def start(self) -> None:
        self._unsure = False

    def key(self, kind: RequestType, request: Any) -> Hashable:
        """Return what the result depends on; None for a request that is not remembered.

        Those are requests that are too long, and those whose `args` may come from a body.
        """
        if kind is RequestType.HTTP:
            if request.method not in _BODILESS:
                return None
            get = request.getHeader
            headers = [get(name) for name in self._headers]
            if len(request.uri) + sum(map(len, filter(None, headers))) > _MAX_KEY_BYTES:
                return None
            return (request.method, request.uri, *headers)
        packet = request["packet"]
        options = packet.get("options")
        if len(packet["filename"]) > _MAX_KEY_BYTES:
            return None
        return (packet["filename"], packet["mode"], tuple(options.items()) if options else None)

    def get(self, key: Hashable) -> Info | None:
        info = self._results.get(key)
        if info is None:
            return None
        self._results.move_to_end(key)
        return info

    def put(self, key: Hashable, info: Info) -> None:
        if self._unsure or not self._limit or key is None:
            return
        self._results[key] = info
        while len(self._results) > self._limit:
            self._results.popitem(last=False)


def vote(answers: Iterable[Info]) -> Info:
    """Return for each key the value that most answers give; the first given wins a tie."""
    votes: dict[str, list[list[Any]]] = {}
    for answer in answers:
        for key, value in answer.items():
            if value is None:
                continue
            candidates = votes.setdefault(key, [])
            for candidate in candidates:
                if candidate[0] == value:
                    candidate[1] += 1
                    break
            else:
                candidates.append([value, 1])
    return {key: max(candidates, key=lambda c: c[1])[0] for key, candidates in votes.items()}


def _usable(loaded: LoadedPlugin, answer: Info) -> Info:
    """Return what may be voted on: device keys hold text, whatever a plugin thinks."""
    wrong = [
        key
        for key in _TEXT_KEYS
        if answer.get(key) is not None and not isinstance(answer[key], str)
    ]
    if wrong:
        logger.warning(
            "the extractor of plugin %s gave no text for %s", loaded.id, ", ".join(wrong)
        )
        return {key: value for key, value in answer.items() if key not in wrong}
    return answer


def _credible(answer: Info, request: PhoneRequest) -> Info:
    """Return an answer without the vendor, model and version that the request speaks against.

    Some extractors take any request with `?mac=` for one of their phones.
    """
    vendor = answer.get("vendor")
    if vendor is None or not is_contradicted(
        vendor, request.user_agent, answer.get("mac") or request.mac
    ):
        return answer
    return {key: value for key, value in answer.items() if key not in _CLAIMS}


def _pass_on(outcome: Any, waiting: defer.Deferred[Any]) -> None:
    """Give an outcome, boxed, to whoever still waits."""
    if not waiting.called:
        waiting.callback([outcome])


class Extraction:
    """Asks the plugins, remembers what they said."""

    def __init__(self, host: PluginHost, clock: Any, memo_entries: int) -> None:
        self._host = host
        self._clock = clock
        self._memo = _Memo(memo_entries)
        self._generation = host.generation
        self._extractors: dict[RequestType, list[tuple[LoadedPlugin, Any]]] = {}
        self._failed: list[LoadedPlugin] = []
        """Plugins whose extractor raised at the request at hand."""
        self._families: FamilyIndex | None = None
        self._families_first = True
        """Whether no other plugin need be asked where our families leave no doubt."""

    def _refresh(self) -> None:
        if self._generation != self._host.generation:
            self._generation = self._host.generation
            self._extractors.clear()
            self._families = None
            self._memo.clear()

    def _index(self) -> FamilyIndex:
        """Return the one table of all our families that are loaded."""
        if self._families is None:
            families, ranks, other_ranks = [], [], []
            for loaded in self._host:
                if isinstance(loaded.plugin, FamilyPlugin):
                    families.append(loaded.plugin)
                    ranks.append(self._host.rank(loaded.id))
                else:
                    other_ranks.append(self._host.rank(loaded.id))
            self._families = FamilyIndex(families)
            self._families_first = max(ranks, default=0) <= min(other_ranks, default=0)
        return self._families

    def _vendor_of_failed(self, request: PhoneRequest) -> Info:
        """Return the vendor of a plugin that failed at a request of its own phones.

        It knew the vendor, or it would not have tried; so no other plugin gets the phone.
        """
        named = vendors_of_agent(request.user_agent or "")
        for loaded in self._failed:
            for capability in loaded.info.get("capabilities", {}):
                vendor = str(capability).split(",", maxsplit=1)[0].strip()
                if canonical_vendor(vendor) in named:
                    return {"vendor": vendor}
        return {}

    def _others(self, kind: RequestType) -> list[tuple[LoadedPlugin, Any]]:
        """Return the extractors of all plugins but those of our families."""
        extractors = self._extractors.get(kind)
        if extractors is None:
            extractors = self._extractors[kind] = [
                (loaded, extractor)
                for loaded, extractor in self._host.extractors(kind)
                if not isinstance(loaded.plugin, FamilyPlugin)
            ]
        return extractors

    def remembered(self, kind: RequestType, request: Any) -> Info | None:
        """Return what plugins said of such a request before; shared, not to be modified."""
        if self._generation != self._host.generation:
            self._refresh()
            return None
        return self._memo.get(self._memo.key(kind, request))

    async def extract(self, kind: RequestType, request: Any) -> Info:
        """Return what all plugins together say of `request`; shared, not to be modified."""
        self._refresh()
        watched = request
        if kind is RequestType.HTTP:
            watched = _WatchedHttp(request, self._memo)
        elif kind is RequestType.TFTP:
            watched = _WatchedTftp(request, self._memo)
        self._memo.start()
        self._failed.clear()
        generation = self._generation
        request_of_phone = to_phone_request(kind, watched)
        told, is_certain = self._index().extract(request_of_phone)
        is_certain = is_certain and told is not None and self._families_first
        waiting = [
            result
            for loaded, extractor in (() if is_certain else self._others(kind))
            if (result := self._ask(loaded, extractor, watched, kind)) is not None
        ]
        # Ours are given first, so that they win a tie.
        answers: list[Info] = [told] if told is not None else []
        complete = True
        for loaded, result in waiting:
            answer = result
            if isinstance(answer, defer.Deferred):
                complete = False
                [answer] = await answer
                if isinstance(answer, Failure):
                    loaded.stats.errors += 1
                    logger.warning("the extractor of plugin %s failed: %r", loaded.id, answer.value)
                    continue
            if isinstance(answer, dict):
                answers.append(_credible(_usable(loaded, answer), request_of_phone))
            elif answer:
                logger.warning("the extractor of plugin %s gave %r", loaded.id, type(answer))
        info = vote(answers)
        if self._failed and "vendor" not in info:
            info |= self._vendor_of_failed(request_of_phone)
        if kind is not RequestType.DHCP and complete and generation == self._host.generation:
            self._memo.put(self._memo.key(kind, request), info)
        return info

    def _ask(
        self, loaded: LoadedPlugin, extractor: Any, request: Any, kind: RequestType
    ) -> tuple[LoadedPlugin, Any] | None:
        """Return the answer of one extractor, None if there is none.

        An answer that is not ready is a Deferred that fires with it, or its Failure, in a list.
        """
        try:
            with loaded.measured("extract"):
                result = extractor.extract(request, kind)
        except BaseException:
            # Typical cause: a User-Agent that is not ASCII. No traceback, phones repeat it.
            logger.warning("the extractor of plugin %s failed on a request", loaded.id)
            self._failed.append(loaded)
            logger.debug("traceback", exc_info=True)
            return None
        if isinstance(result, defer.Deferred) and result.called and not result.paused:
            outcome = result.result
            if isinstance(outcome, Failure):
                result.addErrback(lambda _: None)
                logger.warning("the extractor of plugin %s failed: %s", loaded.id, outcome.value)
                loaded.stats.errors += 1
                return None
            if not isinstance(outcome, defer.Deferred):
                result = outcome
        if isinstance(result, defer.Deferred):
            # All wait at once, so each has its own time limit from now on. The request may be
            # cancelled while it waits, which is not to be mistaken for a failure of the plugin.
            waiting: defer.Deferred[Any] = defer.Deferred()
            result.addTimeout(EXTRACTION_TIMEOUT, self._clock)
            result.addBoth(_pass_on, waiting)
            return loaded, waiting
        if not result:
            return None
        return loaded, result
