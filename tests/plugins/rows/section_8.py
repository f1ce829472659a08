"""URLs of directory and user services."""

# ruff: noqa: F821 - the loader and entry.py give names

from wazo_provd import phonebook, phoned_users, plugins

KEYS = {"X_xivo_phonebook_ip": "10.1.1.1", "X_xivo_user_uuid": "u1"}


@row("8.phonebook_url")
def phonebook_url(plugin):
    found = dict(KEYS)
    plugins.add_xivo_phonebook_url(found, "acme", entry_point="lookup", qs_suffix="term=")
    assert found["XX_xivo_phonebook_url"] == (
        "http://10.1.1.1:9498/0.1/directories/lookup/default/acme?xivo_user_uuid=u1&term="
    )
    found = {**KEYS, "X_xivo_phonebook_scheme": "https", "X_xivo_phonebook_port": 1}
    phonebook.add_xivo_phonebook_url(found, "acme", qs_prefix="a=b")
    assert found["XX_xivo_phonebook_url"] == (
        "https://10.1.1.1:1/0.1/directories/input/default/acme?a=b&xivo_user_uuid=u1"
    )


@row("8.phonebook_url_missing")
def phonebook_url_missing(plugin):
    for missing in KEYS:
        found = {key: value for key, value in KEYS.items() if key != missing}
        plugins.add_xivo_phonebook_url(found, "acme")
        plugins.add_wazo_phoned_user_service_url(found, "acme", "dnd")
        assert not [key for key in found if key.startswith("XX_")]


@row("8.phonebook_url_from_format")
def phonebook_url_from_format(plugin):
    found = dict(KEYS)
    plugins.add_xivo_phonebook_url_from_format(
        found, "{scheme}|{hostname}|{port}|{user_uuid}|{profile}"
    )
    assert found["XX_xivo_phonebook_url"] == "http|10.1.1.1|9498|u1|default"


@row("8.user_service_url")
def user_service_url(plugin):
    found = dict(KEYS)
    phoned_users.add_wazo_phoned_user_service_url(found, "acme", "dnd")
    base = "http://10.1.1.1:9498/0.1/acme/users/u1/services/dnd/"
    assert found["XX_wazo_phoned_user_service_dnd_enabled_url"] == base + "enable"
    assert found["XX_wazo_phoned_user_service_dnd_disabled_url"] == base + "disable"
