"""The language of descriptions (contract: plugin API §7)."""

from provd.plugin.localization import (
    LOCALE_CHANGED,
    LocalizationService,
    get_locale,
    get_locale_and_language,
    get_localization_service,
    register_localization_service,
    unregister_localization_service,
)

__all__ = [
    "LOCALE_CHANGED",
    "LocalizationService",
    "get_locale",
    "get_locale_and_language",
    "get_localization_service",
    "register_localization_service",
    "unregister_localization_service",
]
