"""One look at a request for all our families, however many are installed.

User-Agents are told apart by the words that families name: one search finds the families whose
expressions are worth trying. Paths count where no User-Agent says more.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Protocol

from provd.model.requests import RequestType
from provd.plugin.phones.match import to_mac

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from provd.plugin.phones.match import DeviceInfo, Identification
    from provd.plugin.vendor import PhoneRequest


class Recogniser(Protocol):
    """A plugin of a family, as the index needs it."""

    @property
    def identification(self) -> Identification:
        """The tables of the family."""

    def refine(self, info: DeviceInfo, request: PhoneRequest) -> DeviceInfo | None:
        """Return `info` as the family knows better, None if the phone is not one of it."""


class FamilyIndex:
    """The tables of several families, asked at once."""

    def __init__(self, recognisers: Iterable[Recogniser]) -> None:
        self._recognisers = list(recognisers)
        self._by_word: dict[str, list[Recogniser]] = {}
        for recogniser in self._recognisers:
            for word in recogniser.identification.words:
                self._by_word.setdefault(word, []).append(recogniser)
        # Longer words first: `snom m` is to be found before `snom`. As words may overlap, the
        # expression looks ahead; families of a word that begins another one follow those of that.
        words = sorted(filter(None, self._by_word), key=len, reverse=True)
        self._words = re.compile(f"(?=({'|'.join(map(re.escape, words))}))") if words else None
        self._by_word = {
            word: [
                recogniser
                for other in words
                if word.startswith(other)
                for recogniser in self._by_word[other]
            ]
            for word in words
        }

    def extract(self, request: PhoneRequest) -> tuple[DeviceInfo | None, bool]:
        """Return what a request tells, and whether that leaves no doubt about the vendor.

        Doubt is left where the User-Agent is of nobody we know but the path looks like ours.
        """
        if request.kind is RequestType.DHCP:
            return self._extract_dhcp(request), True
        agent = request.user_agent
        if agent:
            for recogniser in self._candidates(agent.lower()):
                info = recogniser.identification.match_agent(agent)
                if info is not None:
                    info = recogniser.identification.complete(info, request)
                    assert info is not None
                    refined = recogniser.refine(info, request)
                    if refined is not None:
                        return refined, True
        return self._extract_path(request), not agent

    def _candidates(self, agent: str) -> Iterator[Recogniser]:
        if self._words is None:
            return
        seen: list[Any] = []
        for word in self._words.findall(agent):
            for recogniser in self._by_word[word]:
                if recogniser not in seen:
                    seen.append(recogniser)
                    yield recogniser

    def _extract_path(self, request: PhoneRequest) -> DeviceInfo | None:
        found: list[DeviceInfo] = []
        for recogniser in self._recognisers:
            info = recogniser.identification.match_path(request.path, request.kind.value)
            if info is not None:
                refined = recogniser.refine(info, request)
                if refined is not None:
                    found.append(refined)
        return _agreed(found)

    def _extract_dhcp(self, request: PhoneRequest) -> DeviceInfo | None:
        mac = to_mac(request.mac)
        vendor_class = request.options.get(60, "")
        by_class: list[DeviceInfo] = []
        by_address: list[DeviceInfo] = []
        for recogniser in self._recognisers:
            info = recogniser.identification.match_dhcp(vendor_class, mac)
            if info is not None:
                refined = recogniser.refine(info, request)
                if refined is not None:
                    is_by_class = recogniser.identification.match_dhcp(vendor_class, None)
                    (by_class if is_by_class else by_address).append(refined)
        return _agreed(by_class or by_address)


def _agreed(answers: list[DeviceInfo]) -> DeviceInfo | None:
    """Return what all answers agree on, None without an answer.

    Two families of one vendor, or two brands with addresses of one factory, may claim the same.
    """
    if not answers:
        return None
    first, *others = answers
    if not others:
        return first
    info = {
        key: value
        for key, value in first.items()
        if all(other.get(key, value) == value for other in others)
    }
    for other in others:
        for key, value in other.items():
            if key not in first and all(one.get(key, value) == value for one in answers):
                info.setdefault(key, value)
    return info or None
