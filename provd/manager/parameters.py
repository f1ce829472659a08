"""The daemon parameters that operators change at run time (contract: REST API §6).

Values live in the store, one entry each; `tenants` holds the provisioning keys of all tenants.
What is persisted wins over the settings file.
"""

from __future__ import annotations

import hmac
import logging
import re
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import attrs
from twisted.internet import defer

from provd.errors import InvalidParameter, ParameterNotFound
from provd.plugin.localization import LocalizationService

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from provd.store.interface import Store

logger = logging.getLogger(__name__)

_KEY = re.compile(r"[A-Za-z0-9$~.-]*")
_KEY_LENGTHS = (8, 256)
_HOST_PORT = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})")


@attrs.frozen
class Description:
    """A parameter's name and what it is, in English and French."""

    name: str
    description: str
    description_fr: str

    def localized(self, language: str | None) -> str:
        """Return the text in `language`, English where there is none."""
        return self.description_fr if language == "fr" else self.description


DESCRIPTIONS = (
    Description(
        "plugin_server", "The plugins repository URL", "L'adresse (URL) du dépôt de greffons"
    ),
    Description(
        "http_proxy",
        'The proxy for HTTP requests. Format is "http://[user:password@]host:port"',
        "Le mandataire pour les requêtes HTTP. Le format est « http://[user:password@]host:port »",
    ),
    Description(
        "ftp_proxy",
        'The proxy for FTP requests. Format is "http://[user:password@]host:port"',
        "Le mandataire pour les requêtes FTP. Le format est « http://[user:password@]host:port »",
    ),
    Description(
        "https_proxy",
        'The proxy for HTTPS requests. Format is "host:port"',
        "Le mandataire pour les requêtes HTTPS. Le format est « host:port »",
    ),
    Description(
        "locale",
        "The current locale. Example: fr_FR",
        "La langue et le pays courants. Exemple : fr_FR",
    ),
    Description(
        "NAT",
        "Set to 1 if all the devices are behind a NAT.",
        "Mettre à 1 si tous les terminaux sont derrière un NAT.",
    ),
    Description(
        "provisioning_key",
        "The provisioning key of the tenant, part of the URL of its phones. 8 to 256 characters.",
        "La clé de provisionnement du locataire, partie de l'adresse de ses terminaux. "
        "De 8 à 256 caractères.",
    ),
)


def _plugin_server(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            parts = urlsplit(value)
        except ValueError:
            parts = urlsplit("")
        if (parts.scheme and parts.netloc) or (parts.scheme == "file" and parts.path):
            return value
    raise InvalidParameter(f"plugin_server: {value!r} is not a URL with scheme and host")


def _proxy(value: Any, name: str) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        try:
            parts = urlsplit(value)
            _ = parts.port
        except ValueError:
            parts = urlsplit("")
        if parts.scheme and parts.hostname and not (parts.path or parts.query or parts.fragment):
            return value
    raise InvalidParameter(f"{name}: allowed is scheme://[user:password@]host[:port], no path")


def _https_proxy(value: Any) -> str | None:
    if value is None or (isinstance(value, str) and _HOST_PORT.fullmatch(value)):
        return value
    raise InvalidParameter("https_proxy: allowed is host:port, without a scheme")


def _nat(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, int | str) and str(int(value) if isinstance(value, bool) else value) in {
        "0",
        "1",
    }:
        return str(int(value))
    raise InvalidParameter(f"NAT: {value!r} is not allowed; allowed are 0 and 1")


def _locale(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise InvalidParameter(f"locale: {value!r} is not text")
    try:
        return LocalizationService(value).get_locale()
    except ValueError as error:
        raise InvalidParameter(f"locale: {error}") from error


class Parameters:
    """Reads, checks, persists and applies parameters."""

    def __init__(
        self,
        store: Store,
        localization: LocalizationService,
        *,
        plugin_server: str | None,
        proxies: Mapping[str, str | None],
        tenants: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self._store = store
        self._localization = localization
        self.plugin_server = plugin_server
        self.proxies: dict[str, str] = {k: v for k, v in proxies.items() if v is not None}
        """The live map that plugins share: keys http, ftp, https."""
        self._nat: str | None = None
        self._tenants = {uuid: dict(value or {}) for uuid, value in tenants.items()}
        self._keys: dict[str, str] = {}
        self._index_keys()
        # What is checked must still hold when it is stored, as all keys are stored together.
        self._changing = defer.DeferredLock()
        self.exclusive: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
        """Held while a change is made that starts from what is stored."""
        self.key_changed: Callable[[str], None] = lambda _tenant: None
        """Called with the tenant whose provisioning key changed."""

    async def load(self) -> None:
        """Apply what was persisted; an unusable value is logged and left out."""
        for name, value in (await self._store.parameters()).items():
            if name == "tenants":
                if isinstance(value, dict):
                    self._tenants = {k: dict(v) for k, v in value.items() if isinstance(v, dict)}
                    self._index_keys()
                continue
            try:
                self._apply(name, self._checked(name, value))
            except ParameterNotFound:
                continue
            except InvalidParameter as error:
                logger.warning("a persisted parameter is not applied: %s", error)

    async def reload(self) -> bool:
        """Apply what another node persisted; return whether provisioning keys changed."""
        before = dict(self._keys)
        await self.load()
        return self._keys != before

    @property
    def nat(self) -> bool:
        """Whether several phones may share one address."""
        return self._nat == "1"

    @property
    def language(self) -> str | None:
        """The language of descriptions."""
        return self._localization.get_locale_and_language()[1]

    @property
    def locales(self) -> list[str]:
        """What texts may be in, best first, such as `fr_CA` and `fr`; empty without a locale."""
        return list(dict.fromkeys(filter(None, self._localization.get_locale_and_language())))

    def get(self, name: str, tenant: str) -> Any:
        """Return a parameter's value, as seen by `tenant`; ParameterNotFound."""
        match name:
            case "plugin_server":
                return self.plugin_server
            case "http_proxy" | "ftp_proxy" | "https_proxy":
                return self.proxies.get(name.removesuffix("_proxy"))
            case "locale":
                return self._localization.get_locale()
            case "NAT":
                return int(self.nat)
            case "provisioning_key":
                return self.provisioning_key(tenant)
        raise ParameterNotFound(name)

    @staticmethod
    def _checked(name: str, value: Any) -> Any:
        match name:
            case "plugin_server":
                return _plugin_server(value)
            case "http_proxy" | "ftp_proxy":
                return _proxy(value, name)
            case "https_proxy":
                return _https_proxy(value)
            case "NAT":
                return _nat(value)
            case "locale":
                return _locale(value)
        raise ParameterNotFound(name)

    def _apply(self, name: str, value: Any) -> None:
        match name:
            case "plugin_server":
                self.plugin_server = value
            case "http_proxy" | "ftp_proxy" | "https_proxy":
                protocol = name.removesuffix("_proxy")
                if value is None:
                    self.proxies.pop(protocol, None)
                else:
                    self.proxies[protocol] = value
            case "NAT":
                self._nat = value
            case "locale":
                self._localization.set_locale(value)

    async def set(self, name: str, value: Any, tenant: str) -> None:
        """Check, persist and apply a value; InvalidParameter, ParameterNotFound."""
        async with self._changing, self.exclusive():
            if name == "provisioning_key":
                await self._set_key(value, tenant)
                return
            checked = self._checked(name, value)
            await self._store.set_parameter(name, checked)
            self._apply(name, checked)

    # Provisioning keys

    def _index_keys(self) -> None:
        self._keys = {
            value["provisioning_key"]: tenant
            for tenant, value in self._tenants.items()
            if isinstance(value.get("provisioning_key"), str)
        }

    def provisioning_key(self, tenant: object) -> str | None:
        """Return the key of a tenant, or None."""
        entry = self._tenants.get(tenant) if isinstance(tenant, str) else None
        key = entry.get("provisioning_key") if entry else None
        return key if isinstance(key, str) and key else None

    def tenant_of_key(self, key: str) -> str | None:
        """Return the tenant that owns a provisioning key, or None.

        The map does the look-up; the comparison that decides takes the same time for every key.
        """
        tenant = self._keys.get(key)
        known = self.provisioning_key(tenant) or ""
        same = hmac.compare_digest(known.encode(), key.encode(errors="surrogateescape"))
        return tenant if same and known else None

    async def _set_key(self, value: Any, tenant: str) -> None:
        if value is not None and not isinstance(value, str):
            raise InvalidParameter("provisioning_key: the value is not text")
        if value:
            low, high = _KEY_LENGTHS
            if not low <= len(value) <= high:
                raise InvalidParameter(
                    f"provisioning_key: its length must be within [{low}, {high}] characters"
                )
            if not _KEY.fullmatch(value):
                raise InvalidParameter(
                    "provisioning_key: allowed characters are A-Z a-z 0-9 $ ~ . -"
                )
            if self._keys.get(value, tenant) != tenant:
                raise InvalidParameter("another tenant already uses this provisioning key.")
        entry = dict(self._tenants.get(tenant, {}))
        entry["provisioning_key"] = value or None
        await self._store_tenants({**self._tenants, tenant: entry})
        self.key_changed(tenant)

    async def _store_tenants(self, tenants: dict[str, dict[str, Any]]) -> None:
        await self._store.set_parameter("tenants", tenants)
        self._tenants = tenants
        self._index_keys()

    def tenants(self) -> list[str]:
        """Return the tenants that have an entry, with or without a key."""
        return list(self._tenants)

    async def add_tenant(self, tenant: str) -> None:
        """Give a tenant an entry, if it has none."""
        async with self._changing, self.exclusive():
            if tenant not in self._tenants:
                await self._store_tenants({**self._tenants, tenant: {}})

    async def remove_tenant(self, tenant: str) -> None:
        """Drop the entry of a tenant."""
        async with self._changing, self.exclusive():
            if tenant in self._tenants:
                await self._store_tenants({k: v for k, v in self._tenants.items() if k != tenant})
