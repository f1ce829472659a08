"""Configure and install services."""

# ruff: noqa: F821 - the loader and entry.py give names

import os

from wazo_provd.plugins import FetchfwPluginHelper
from wazo_provd.services import (
    AbstractConfigurationService,
    AbstractConfigurationServiceParameter,
    AbstractInstallationService,
    AttrConfigurationServiceParameter,
    BaseConfigurationService,
    DictConfigurationServiceParameter,
    InvalidParameterError,
    JsonConfigPersister,
    PersistentConfigurationServiceDecorator,
    PersistentConfigureServiceDecorator,
)


class Holder:
    colour = "red"


def refuse(value):
    if value == "bad":
        raise InvalidParameterError(value)


def service(holder, data):
    return BaseConfigurationService(
        {
            "colour": AttrConfigurationServiceParameter(
                holder, "colour", "Colour", refuse, description_fr="Couleur"
            ),
            "size": DictConfigurationServiceParameter(data, "size", "Size"),
        }
    )


def raises(kind, function, *args):
    try:
        function(*args)
    except kind:
        return True
    return False


@row("6.abstract_bases")
def abstract_bases(plugin):
    for base in (
        AbstractConfigurationService,
        AbstractInstallationService,
        AbstractConfigurationServiceParameter,
    ):
        assert raises(TypeError, base)


@row("6.invalid_parameter")
def invalid_parameter(plugin):
    holder = Holder()
    assert raises(InvalidParameterError, service(holder, {}).set, "colour", "bad")
    assert holder.colour == "red"


@row("6.base_service")
def base_service(plugin):
    found = service(Holder(), {})
    assert found.description == [("colour", "Colour"), ("size", "Size")]
    assert found.description_fr[0] == ("colour", "Couleur")
    assert raises(AttributeError, lambda: found.description_de)
    assert raises(KeyError, found.get, "x")
    assert raises(KeyError, found.set, "x", "1")


@row("6.attr_parameter")
def attr_parameter(plugin):
    holder = Holder()
    found = service(holder, {})
    found.set("colour", "blue")
    assert (holder.colour, found.get("colour")) == ("blue", "blue")


@row("6.dict_parameter")
def dict_parameter(plugin):
    data = {}
    found = service(Holder(), data)
    assert found.get("size") is None
    found.set("size", "9")
    assert data == {"size": "9"}
    found.set("size", None)
    assert data == {}


@row("6.persistent_decorator")
def persistent_decorator(plugin):
    assert PersistentConfigureServiceDecorator is PersistentConfigurationServiceDecorator
    path = os.path.join(plugin._plugin_dir, "var", "persisted.json")
    first = PersistentConfigureServiceDecorator(service(Holder(), {}), JsonConfigPersister(path))
    first.set("colour", "green")
    assert raises(InvalidParameterError, first.set, "colour", "bad")
    JsonConfigPersister(path).update("gone", "1")
    holder = Holder()
    again = PersistentConfigurationServiceDecorator(service(holder, {}), JsonConfigPersister(path))
    assert holder.colour == again.get("colour") == "green"
    assert again.description_fr[0] == ("colour", "Couleur")
    os.remove(path)


@row("6.json_persister")
def json_persister(plugin):
    path = os.path.join(plugin._plugin_dir, "var", "own.json")
    persister = JsonConfigPersister(path)
    assert persister.params() == {}
    persister.update("a", "1")
    persister.params()["a"] = "2"
    assert JsonConfigPersister(path).params() == {"a": "1"}
    with open(path, "w") as stream:
        stream.write("{")
    assert JsonConfigPersister(path).params() == {}
    os.remove(path)


@row("6.fetchfw_class_attributes")
def fetchfw_class_attributes(plugin):
    h = FetchfwPluginHelper
    assert [h.PKG_DIR, h.CACHE_DIR, h.INSTALLED_DIR, h.TFTPBOOT_DIR] == [
        "pkgs",
        "var/cache",
        "var/installed",
        "var/tftpboot",
    ]


@row("6.fetchfw_downloaders")
def fetchfw_downloaders(plugin):
    proxies = plugin.gen_cfg["proxies"]
    handlers = FetchfwPluginHelper.new_handlers(proxies)
    for made in (
        FetchfwPluginHelper.new_downloaders(),
        FetchfwPluginHelper.new_downloaders(proxies),
        FetchfwPluginHelper.new_downloaders_from_handlers(handlers),
        FetchfwPluginHelper.new_downloaders_from_handlers(),
    ):
        assert set(made) == {"default", "auth"}


@row("6.fetchfw_add_password")
def fetchfw_add_password(plugin):
    auth = FetchfwPluginHelper.new_downloaders()["auth"]
    auth.add_password("realm", "http://example.org/", "user", "password")
    auth.add_password(None, None, None, None)


@row("6.fetchfw_root_dir")
def fetchfw_root_dir(plugin):
    fresh = FetchfwPluginHelper(plugin._plugin_dir)
    assert fresh.root_dir == os.path.join(plugin._plugin_dir, "var", "tftpboot")


@row("6.fetchfw_services")
def fetchfw_services(plugin):
    assert plugin.helper.services() == {"install": plugin.helper}


@row("6.fetchfw_packages")
async def fetchfw_packages(plugin):
    h = plugin.helper
    assert h.list_installable()["fw"]["version"] == "1.0"
    deferred, oip = h.install("fw")
    assert raises(Exception, h.install, "fw")
    await deferred
    assert oip.state == "success"
    path = os.path.join(h.root_dir, "fw", "fw.bin")
    assert os.path.isfile(path)
    assert h.list_installed()["fw"]["description"]
    deferred, oip = h.upgrade("fw")
    await deferred
    assert os.path.isfile(path)
    await h.uninstall("fw")
    assert not os.path.exists(path)
    assert h.list_installed() == {}
    assert raises(Exception, h.install, "unknown")
