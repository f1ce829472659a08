"""The language of descriptions: one service that knows the locale, and choice of a translation.

The registry functions are part of the plugin API that third parties rely on (contract: plugin API
§7), so one service is registered for the whole process by the composition root.
"""

from __future__ import annotations

import logging
import re
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

logger = logging.getLogger(__name__)

LOCALE_CHANGED = "locale_changed"

_LOCALE = re.compile(r"[a-z]{2,3}(?:_[A-Z]{2,3})?")


class LocalizationService:
    """Holds the locale, such as `fr_CA`, and tells observers when it changes."""

    def __init__(self, locale: str | None = None) -> None:
        self._locale: str | None = None
        self._observers: weakref.WeakKeyDictionary[Any, None] = weakref.WeakKeyDictionary()
        self._methods: list[weakref.WeakMethod[Any]] = []
        if locale is not None:
            self.set_locale(locale)

    def set_locale(self, locale: str | None) -> None:
        """Set the locale; None or an empty text unsets it. ValueError for any other form."""
        value = locale or None
        if value is not None and not _LOCALE.fullmatch(value):
            raise ValueError(f"invalid locale {value!r}: allowed are forms such as fr and fr_FR")
        if value != self._locale:
            self._locale = value
            self._notify()

    def get_locale(self) -> str | None:
        """Return the locale, or None."""
        return self._locale

    def get_locale_and_language(self) -> tuple[str | None, str | None]:
        """Return for example `("fr_CA", "fr")`; `(None, None)` without a locale."""
        if self._locale is None:
            return None, None
        return self._locale, self._locale.split("_", 1)[0]

    def attach_observer(self, observer: Callable[[str, Any], None]) -> None:
        """Call `observer("locale_changed", None)` at each change; it is weakly referenced."""
        if hasattr(observer, "__self__"):
            self._methods.append(weakref.WeakMethod(observer))
        else:
            self._observers[observer] = None

    def detach_observer(self, observer: Callable[[str, Any], None]) -> None:
        """Stop calling `observer`."""
        self._methods = [ref for ref in self._methods if ref() not in {None, observer}]
        self._observers.pop(observer, None)

    def _notify(self) -> None:
        methods = [method for ref in self._methods if (method := ref()) is not None]
        for observer in [*methods, *self._observers]:
            try:
                observer(LOCALE_CHANGED, None)
            except BaseException:
                logger.exception("an observer of the locale failed")


_registered: list[LocalizationService] = []


def register_localization_service(service: LocalizationService) -> None:
    """Make `service` the one that the functions below ask."""
    _registered[:] = [service]


def unregister_localization_service() -> None:
    """Leave no service registered."""
    _registered.clear()


def get_localization_service() -> LocalizationService | None:
    """Return the registered service, or None."""
    return _registered[0] if _registered else None


def get_locale() -> str | None:
    """Return the locale of the registered service, or None."""
    return _registered[0].get_locale() if _registered else None


def get_locale_and_language() -> tuple[str | None, str | None]:
    """Return locale and language of the registered service, or two Nones."""
    return _registered[0].get_locale_and_language() if _registered else (None, None)


def localize(info: Mapping[str, Any]) -> dict[str, Any]:
    """Return `info` with `description` in the current language and no `description_*` keys."""
    locale, language = get_locale_and_language()
    result = {key: value for key, value in info.items() if not key.startswith("description_")}
    for suffix in (locale, language):
        if suffix and f"description_{suffix}" in info:
            result["description"] = info[f"description_{suffix}"]
            break
    return result
