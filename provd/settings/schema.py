"""The schema of the settings: every section and key, with its kind and default.

A field's name is its YAML key, `_key` says what is allowed and the default, the metadata `schema`
of another field is its section's class, or None where the operator chooses the keys. A null
default of `auth.type`, `general.plugin_server` or `general.advertised_http_url` stands for
something worked out at start; docs/settings.md says what.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import attrs

from provd.settings.kinds import (
    BOOL,
    HOST_AND_PORT,
    HOST_NAME,
    HTTP_URL,
    INTERFACE,
    IPV4_INTERFACE,
    LISTEN_PORT,
    MODE,
    PATH,
    PORT,
    PREFIX,
    PROXY_URL,
    REPOSITORY_URL,
    STORAGE_PATH,
    TEXT,
    VARIANT,
    VERIFICATION,
    Kind,
    integer,
    matching,
    number,
    one_of,
    parse_interface,
    parse_patterns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


@attrs.frozen
class Key:
    """What a key may be, and what it is if nothing is said."""

    kind: Kind
    default: Any
    secret: bool = False


def _key(kind: Kind, default: object, *, secret: bool = False) -> Any:
    return attrs.field(
        kw_only=True, repr=not secret, metadata={"schema": Key(kind, default, secret)}
    )


@attrs.frozen
class Syncdb:
    """When tenants are compared with those of the auth service, in seconds."""

    start_sec: float = _key(number(above_zero=False), 60)
    interval_sec: float = _key(number(above_zero=False), 86400)


@attrs.frozen
class General:
    """Section `general`. An interface is '' for all, as Twisted writes it; paths are absolute."""

    advertised_http_url: str | None = _key(HTTP_URL.or_null("guessed"), None)
    base_raw_config_file: str | None = _key(PATH.or_null("an empty object"), None)
    request_config_dir: str = _key(PATH, "/etc/provd")
    info_extractor: str = _key(VARIANT, "default")
    retriever: str = _key(VARIANT, "default")
    updater: str = _key(VARIANT, "default")
    base_storage_dir: str = _key(PATH, "/var/lib/provd")
    cache_dir: str = _key(PATH, "/var/cache/provd")
    cache_plugin: bool = _key(BOOL, True)
    check_compat_min: bool = _key(BOOL, True)
    check_compat_max: bool = _key(BOOL, True)
    plugin_server: str | None = _key(REPOSITORY_URL.or_null("the shipped repository"), None)
    plugins_dir: str = _key(STORAGE_PATH, "plugins")
    plugin_preference: Sequence[str] = _key(
        Kind("a list of patterns", "a list of patterns of plugin ids", parse_patterns),
        ["provd-*"],
    )
    install_all_plugins: bool = _key(BOOL, False)
    tftp_enabled: bool = _key(BOOL, True)
    tftp_listen_interface: str = _key(INTERFACE, "0.0.0.0")  # noqa: S104  phones are not local
    tftp_port: int = _key(LISTEN_PORT, 69)
    tftp_with_url_key: bool = _key(BOOL, True)
    http_listen_interface: str = _key(
        attrs.evolve(
            INTERFACE.or_null("all"), parse=lambda v: "" if v is None else parse_interface(v)
        ),
        None,
    )
    http_listen_port: int | None = _key(LISTEN_PORT.or_null("off"), None)
    http_proxied_listen_interface: str = _key(INTERFACE, "127.0.0.1")
    http_proxied_listen_port: int | None = _key(LISTEN_PORT.or_null("off"), 18667)
    http_proxied_trusted_proxies_count: int | None = _key(integer(0).or_null("same as 0"), 1)
    http_accel_redirect: str | None = _key(
        Kind("a location", "path that begins with /", matching(re.compile(r"/[!-~]*"))).or_null(
            "off"
        ),
        None,
    )
    http_auth_strategy: Literal["url_key"] | None = _key(one_of("url_key").or_null(), None)
    sync_service_type: Literal["none", "asterisk_ami", "ami", "sip"] = _key(
        one_of("none", "asterisk_ami", "ami", "sip"), "none"
    )
    sync_confirm_seconds: float = _key(number(above_zero=False), 120)
    sync_success: Literal["sent", "fetched"] = _key(one_of("sent", "fetched"), "sent")
    syncdb: Syncdb = attrs.field(kw_only=True, metadata={"schema": Syncdb})
    tenants_share_configs: bool = _key(BOOL, False)
    direct_renders: int = _key(integer(0), 64)
    shutdown_seconds: float = _key(number(above_zero=False), 4)
    verbose: bool = _key(BOOL, False)


@attrs.frozen
class RestApi:
    """Section `rest_api`; `ip` is '' for all interfaces."""

    ip: str = _key(INTERFACE, "127.0.0.1")
    port: int = _key(LISTEN_PORT, 8666)
    ssl: bool = _key(BOOL, False)
    ssl_certfile: str | None = _key(PATH.or_null(), None)
    ssl_keyfile: str | None = _key(PATH.or_null(), None)


@attrs.frozen
class Auth:
    """Section `auth`; `username` and `password` are those of the key file, if it has them."""

    type: Literal["local", "wazo"] = _key(one_of("local", "wazo").or_null(), None)
    tokens_file: str = _key(STORAGE_PATH, "tokens.json")
    admin_token_file: str = _key(STORAGE_PATH, "admin-token")
    host: str = _key(HOST_NAME, "localhost")
    port: int = _key(PORT, 9497)
    prefix: str | None = _key(PREFIX, None)
    https: bool = _key(BOOL, False)
    verify_certificate: bool | str = _key(VERIFICATION, True)
    timeout: float = _key(number(above_zero=True), 10)
    key_file: str | None = _key(PATH.or_null(), None)
    username: str | None = _key(TEXT.or_null(), None)
    password: str | None = _key(TEXT.or_null(), None, secret=True)


@attrs.frozen
class Amid:
    """Section `amid`: the AMI gateway that sends SIP NOTIFY."""

    host: str = _key(HOST_NAME, "localhost")
    port: int = _key(PORT, 9491)
    prefix: str | None = _key(PREFIX, None)
    https: bool = _key(BOOL, False)
    verify_certificate: bool | str = _key(VERIFICATION, True)
    timeout: float = _key(number(above_zero=True), 10)


@attrs.frozen
class Ami:
    """Section `ami`: Asterisk's own AMI, for SIP NOTIFY without a gateway."""

    host: str = _key(HOST_NAME, "localhost")
    port: int = _key(PORT, 5038)
    username: str = _key(TEXT, "provd")
    secret: str | None = _key(TEXT.or_null(), None, secret=True)
    authentication: Literal["md5", "plain"] = _key(one_of("md5", "plain"), "md5")
    tls: bool = _key(BOOL, False)
    verify_certificate: bool | str = _key(VERIFICATION, True)
    timeout: float = _key(number(above_zero=True), 10)


@attrs.frozen
class Sip:
    """Section `sip`: SIP NOTIFY from the daemon itself; `listen_interface` is '' for all."""

    listen_interface: str = _key(IPV4_INTERFACE, "0.0.0.0")  # noqa: S104  phones are not local
    port: int = _key(LISTEN_PORT, 0)
    from_host: str | None = _key(HOST_NAME.or_null("our address"), None)
    phone_port: int = _key(PORT, 5060)
    timeout: float = _key(number(above_zero=True), 32)


@attrs.frozen
class Agi:
    """Section `agi`: where Asterisk's dialplan asks to provision a phone."""

    ip: str = _key(INTERFACE, "127.0.0.1")
    port: int | None = _key(LISTEN_PORT.or_null("off"), None)


@attrs.frozen
class Bus:
    """Section `bus`: the AMQP broker that tells of deleted tenants."""

    username: str = _key(TEXT, "guest")
    password: str = _key(TEXT, "guest", secret=True)
    host: str = _key(HOST_NAME, "localhost")
    port: int = _key(PORT, 5672)
    exchange_name: str = _key(TEXT, "wazo-headers")
    exchange_type: str = _key(TEXT, "headers")


@attrs.frozen
class Database:
    """Section `database`; `json` is `sqlite` that first imports the documents of `json_db_dir`."""

    type: Literal["json", "sqlite", "memory", "mongodb"] = _key(
        one_of("json", "sqlite", "memory", "mongodb"), "json"
    )
    generator: Literal["default", "uuid", "numeric"] = _key(
        one_of("default", "uuid", "numeric"), "default"
    )
    ensure_common_indexes: bool = _key(BOOL, True)
    json_db_dir: str = _key(STORAGE_PATH, "jsondb")
    file: str = _key(STORAGE_PATH, "provd.db")
    uri: str = _key(
        Kind(
            "a MongoDB URI",
            "text that starts with mongodb:// or mongodb+srv://",
            matching(re.compile(r"mongodb(\+srv)?://\S+")),
        ),
        "mongodb://127.0.0.1:27017",
        secret=True,
    )
    name: str = _key(TEXT, "provd")


@attrs.frozen
class Proxy:
    """Section `proxy`: how downloads leave, until the parameters say otherwise."""

    http: str | None = _key(PROXY_URL.or_null(), None, secret=True)
    ftp: str | None = _key(PROXY_URL.or_null(), None, secret=True)
    https: str | None = _key(HOST_AND_PORT.or_null(), None, secret=True)


@attrs.frozen
class Dhcp:
    """Section `dhcp`: the socket for the hooks of DHCP servers; its mode is a number here."""

    socket: str | None = _key(PATH.or_null("off"), None)
    socket_mode: int = _key(MODE, "0660")
    socket_owner: str | None = _key(TEXT.or_null("the daemon's"), None)
    socket_group: str | None = _key(TEXT.or_null("the daemon's"), None)


@attrs.frozen
class Logging:
    """Section `logging`."""

    file: str | None = _key(PATH.or_null("stderr"), None)
    security_file: str | None = _key(PATH.or_null("only the main log"), None)
    stall_threshold_ms: float = _key(number(above_zero=True), 50)


@attrs.frozen
class MetricsSettings:
    """Section `metrics`: numbers for Prometheus at `/metrics`; `ip` is '' for all interfaces."""

    ip: str = _key(INTERFACE, "127.0.0.1")
    port: int | None = _key(LISTEN_PORT.or_null("off"), None)


@attrs.frozen
class Limits:
    """Section `limits`: what strangers on the network may use of the machine."""

    creation_rate: float = _key(number(above_zero=True), 2000)
    creation_rate_per_source: float = _key(number(above_zero=True), 6000)
    unclaimed_devices: int = _key(integer(0), 100_000)
    tftp_transfers: int = _key(integer(1), 4096)
    tftp_transfers_per_source: int = _key(integer(1), 256)
    file_cache_bytes: int = _key(integer(0), 64 * 1024 * 1024)
    memo_entries: int = _key(integer(0), 50_000)
    device_cache: int = _key(integer(0), 50_000)
    firmware_bytes: int = _key(integer(1), 2 * 1024 * 1024 * 1024)
    firmware_ratio: int = _key(integer(1), 200)
    history_per_device: int = _key(integer(0), 20)
    history_entries: int = _key(integer(0), 100_000)


@attrs.frozen
class Settings:
    """All settings, checked; `load` makes them."""

    config_file: str = _key(PATH, None)
    extra_config_files: str = _key(PATH, None)
    general: General = attrs.field(kw_only=True, metadata={"schema": General})
    rest_api: RestApi = attrs.field(kw_only=True, metadata={"schema": RestApi})
    auth: Auth = attrs.field(kw_only=True, metadata={"schema": Auth})
    amid: Amid = attrs.field(kw_only=True, metadata={"schema": Amid})
    ami: Ami = attrs.field(kw_only=True, metadata={"schema": Ami})
    sip: Sip = attrs.field(kw_only=True, metadata={"schema": Sip})
    agi: Agi = attrs.field(kw_only=True, metadata={"schema": Agi})
    bus: Bus = attrs.field(kw_only=True, metadata={"schema": Bus})
    database: Database = attrs.field(kw_only=True, metadata={"schema": Database})
    proxy: Proxy = attrs.field(kw_only=True, metadata={"schema": Proxy})
    dhcp: Dhcp = attrs.field(kw_only=True, metadata={"schema": Dhcp})
    logging: Logging = attrs.field(kw_only=True, metadata={"schema": Logging})
    metrics: MetricsSettings = attrs.field(kw_only=True, metadata={"schema": MetricsSettings})
    limits: Limits = attrs.field(kw_only=True, metadata={"schema": Limits})
    plugin_config: Mapping[str, dict[str, Any]] = attrs.field(
        kw_only=True, repr=False, metadata={"schema": None}
    )
    tenants: Mapping[str, dict[str, Any]] = attrs.field(
        kw_only=True, repr=False, metadata={"schema": None}
    )
    warnings: tuple[str, ...] = attrs.field(kw_only=True, default=())


@attrs.frozen
class Defaults:
    """A name of the daemon, and the defaults that differ from the schema's, or that it lacks."""

    name: str
    values: Mapping[str, Any]


PROVD = Defaults(
    "provd",
    {"config_file": "/etc/provd/config.yml", "extra_config_files": "/etc/provd/conf.d"},
)
WAZO = Defaults(
    "wazo-provd",
    {
        "config_file": "/etc/wazo-provd/config.yml",
        "extra_config_files": "/etc/wazo-provd/conf.d",
        "general": {
            "base_raw_config_file": "/etc/wazo-provd/base_raw_config.json",
            "request_config_dir": "/etc/wazo-provd",
            "base_storage_dir": "/var/lib/wazo-provd",
            "cache_dir": "/var/cache/wazo-provd",
            "plugin_server": "http://provd.wazo.community/plugins/2/stable/",
        },
        "auth": {"key_file": "/var/lib/wazo-auth-keys/wazo-provd-key.yml"},
        "logging": {
            "file": "/var/log/wazo-provd.log",
            "security_file": "/var/log/wazo-provd-fail2ban.log",
        },
    },
)


def keys(defaults: Defaults = PROVD) -> Iterator[tuple[str, object, str]]:
    """Yield (dotted name, default as written in YAML, what is allowed) of every setting."""

    def walk(cls: type, prefix: str, over: Mapping[str, Any]) -> Iterator[tuple[str, object, str]]:
        for name, schema in read_schema(cls).items():
            if isinstance(schema, Key):
                yield prefix + name, over.get(name, schema.default), schema.kind.allowed
            elif schema is not None:
                yield from walk(schema, f"{prefix}{name}.", over.get(name, {}))

    return walk(Settings, "", defaults.values)


def read_schema(cls: type) -> dict[str, Key | type | None]:
    """Return the keys and sections of a section's class."""
    return {
        field.name: field.metadata["schema"]
        for field in attrs.fields(cls)
        if "schema" in field.metadata
    }
