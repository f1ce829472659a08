"""Localization."""

# ruff: noqa: F821 - the loader and entry.py give names

from wazo_provd.localization import (
    LOCALE_CHANGED,
    LocalizationService,
    get_locale,
    get_locale_and_language,
    get_localization_service,
    register_localization_service,
    unregister_localization_service,
)


@row("7.registry")
def registry(plugin):
    daemons = get_localization_service()
    assert daemons is not None
    try:
        unregister_localization_service()
        assert get_localization_service() is None
        assert (get_locale(), get_locale_and_language()) == (None, (None, None))
        mine = LocalizationService("fr_CA")
        register_localization_service(mine)
        assert get_localization_service() is mine
        assert (get_locale(), get_locale_and_language()) == ("fr_CA", ("fr_CA", "fr"))
    finally:
        unregister_localization_service()
        register_localization_service(daemons)


@row("7.service")
def service(plugin):
    mine = LocalizationService()
    assert mine.get_locale_and_language() == (None, None)
    mine.set_locale("fr")
    assert (mine.get_locale(), mine.get_locale_and_language()) == ("fr", ("fr", "fr"))
    for wrong in ("f", "fr-FR", "fr_fr", "FR"):
        try:
            mine.set_locale(wrong)
        except ValueError:
            continue
        raise AssertionError(wrong)
    mine.set_locale(None)
    assert mine.get_locale() is None


class Observer:
    def __init__(self):
        self.seen = []

    def changed(self, event, data):
        self.seen.append((event, data))


@row("7.observers")
def observers(plugin):
    mine, kept = LocalizationService("fr"), Observer()
    callback = kept.changed
    mine.attach_observer(callback)
    mine.set_locale("fr")
    assert kept.seen == []
    mine.set_locale("en")
    assert kept.seen == [("locale_changed", None)]
    assert LOCALE_CHANGED == "locale_changed"
    mine.detach_observer(callback)
    mine.set_locale("de")
    assert len(kept.seen) == 1


@row("7.translated_text")
def translated_text(plugin):
    daemons = get_localization_service()
    before = daemons.get_locale()
    try:
        unregister_localization_service()
        register_localization_service(LocalizationService("fr_CA"))
        assert plugin.info["description"] == "Toutes les lignes"
        assert plugin.helper.list_installable()["fw"]["description"] == "Micrologiciel"
    finally:
        unregister_localization_service()
        register_localization_service(daemons)
    assert daemons.get_locale() == before
    assert plugin.info["description"] == "Every row of the plugin API"
