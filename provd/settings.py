"""The daemon's settings: sources, merge, checks and defaults.

Sources, highest first: the command line, the service key file (two values of `auth`), the files of
conf.d (of two files, the first in alphabetical order wins), the main file, the defaults. Mappings
merge key by key; any other value wins whole, and null is a value. A section that is null is an
empty section, as its keys may all be commented out.

A wrong value is a `SettingsError` that names its file and key. What can be lived with, such as an
unknown key or an unusable conf.d file, is a text in `Settings.warnings`, for the caller to log.

The classes below are the schema: a field's name is its YAML key, `_key` says what is allowed and
the default, the metadata `schema` of another field is its section's class, or None where the
operator chooses the keys. A null default of `auth.type`, `general.plugin_server` or
`general.advertised_http_url` stands for something worked out at start; docs/settings.md says what.
"""

from __future__ import annotations

import argparse
import difflib
import ipaddress
import json
import math
import os.path
import re
import socket
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import SplitResult, urlsplit

import attrs
import yaml

from provd.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_EXEC_TIMEOUT = 10
_FRONT_HTTP_PORT = 8667  # where a web server in front of the daemon listens by convention

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?")
_VARIANT_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PROVISIONING_KEY = re.compile(r"[A-Za-z0-9$~.-]{8,256}")


@attrs.frozen
class _Kind:
    """A set of values: `parse` returns the one to keep, or raises ValueError or TypeError."""

    name: str
    allowed: str
    parse: Callable[[object], Any]
    relative_to: Literal["settings", "storage"] | None = None

    def or_null(self, meaning: str = "") -> _Kind:
        allowed = f"{self.allowed}, or null" + (f" ({meaning})" if meaning else "")
        parse = self.parse
        return attrs.evolve(
            self, allowed=allowed, parse=lambda value: None if value is None else parse(value)
        )


def _parse_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _parse_text(value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError
    return value


def _parse_number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError
    return value


def _parse_host(value: object) -> str:
    text = _parse_text(value)
    if ":" in text:
        ipaddress.IPv6Address(text)
    elif not _HOST.fullmatch(text):
        raise ValueError
    return text


def _parse_patterns(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError
    return [_parse_text(item) for item in value]


def _parse_prefix(value: object) -> str | None:
    return None if value == "" else _parse_text(value)


def _parse_interface(value: object) -> str:
    return "" if value == "*" else _parse_host(value)


def _parse_ipv4_interface(value: object) -> str:
    return "" if value == "*" else str(ipaddress.IPv4Address(_parse_text(value)))


def _split_url(value: object, *schemes: str) -> SplitResult:
    text = _parse_text(value)
    parts = urlsplit(text)
    if not text.isprintable() or " " in text:
        raise ValueError
    if parts.scheme not in schemes or (not parts.hostname and parts.scheme != "file"):
        raise ValueError
    _ = parts.port  # raises ValueError when it is not a number up to 65535
    return parts


def _parse_http_url(value: object) -> str:
    return _split_url(value, "http", "https").geturl()


def _parse_repository_url(value: object) -> str:
    return _split_url(value, "http", "https", "ftp", "file").geturl()


def _parse_proxy_url(value: object) -> str:
    parts = _split_url(value, "http", "https", "ftp")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError
    return parts.geturl()


def _parse_host_and_port(value: object) -> str:
    text = _parse_text(value)
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.port is None or parts.netloc != text:
        raise ValueError
    return text


def _parse_mode(value: object) -> int:
    # Without quotes YAML reads 0660 as one number and 660 as another.
    text = _parse_text(value)
    if not re.fullmatch("0?[0-7]{3}", text):
        raise ValueError
    return int(text, 8)


def _matching(pattern: re.Pattern[str]) -> Callable[[object], str]:
    def parse(value: object) -> str:
        text = _parse_text(value)
        if not pattern.fullmatch(text):
            raise ValueError
        return text

    return parse


def _integer(
    low: int, high: int | None = None, *, name: str = "an integer", note: str = ""
) -> _Kind:
    def parse(value: object) -> int:
        # Digits between quotes are taken too: environments and templates write ports that way.
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError
        if value < low or (high is not None and value > high):
            raise ValueError
        return value

    bounds = f"integer {low} or more" if high is None else f"integer {low} to {high}"
    return _Kind(name, f"{bounds} ({note})" if note else bounds, parse)


def _number(*, above_zero: bool) -> _Kind:
    def parse(value: object) -> int | float:
        number = _parse_number(value)
        if number < 0 or (above_zero and number == 0):
            raise ValueError
        return number

    return _Kind("a number", "number above 0" if above_zero else "number 0 or more", parse)


def _one_of(*choices: str) -> _Kind:
    def parse(value: object) -> object:
        if value not in choices:
            raise ValueError
        return value

    return _Kind("one of the choices", ", ".join(choices), parse)


def _parse_verification(value: object) -> bool | str:
    return value if isinstance(value, bool) else _parse_text(value)


_BOOL = _Kind("a boolean", "true, false", _parse_bool)
_PREFIX = _Kind("a path prefix", "text", _parse_prefix).or_null()
_TEXT = _Kind("a text", "text that is not empty (digits between quotes)", _parse_text)
_HOST_NAME = _Kind("a host", "host name or IP address", _parse_host)
_INTERFACE = _Kind("a local address", "IP address, host name or '*' (all)", _parse_interface)
_IPV4_INTERFACE = _Kind("a local address", "IPv4 address or '*' (all)", _parse_ipv4_interface)
_PORT = _integer(1, 65535, name="a port")
_LISTEN_PORT = attrs.evolve(
    _integer(0, 65535, name="a port"), allowed="integer 1 to 65535 (0 = any free port)"
)
_HTTP_URL = _Kind("an HTTP URL", "http:// or https:// URL with a host", _parse_http_url)
_REPOSITORY_URL = _Kind("a URL", "http, https, ftp or file URL", _parse_repository_url)
_PROXY_URL = _Kind(
    "a proxy", "URL scheme://[user:password@]host[:port] without path", _parse_proxy_url
)
_HOST_AND_PORT = _Kind("a proxy", "host:port without scheme", _parse_host_and_port)
_VARIANT = _Kind("a variant name", "letters, digits, - and _", _matching(_VARIANT_NAME))
_VERIFICATION = _Kind(
    "a choice", "true, false or the path of a CA file", _parse_verification, "settings"
)
_PROVISIONING = _Kind(
    "a provisioning key", "8 to 256 of A-Z a-z 0-9 $ ~ . -", _matching(_PROVISIONING_KEY)
)
_MODE = _Kind("a mode", "3 octal digits between quotes, such as '0660'", _parse_mode)
# A path is made absolute: from the main file's directory, or from base_storage_dir.
_PATH = _Kind("a path", "path", _parse_text, relative_to="settings")
_STORAGE_PATH = _Kind("a path", "path", _parse_text, relative_to="storage")


@attrs.frozen
class _Key:
    kind: _Kind
    default: Any
    secret: bool = False


def _key(kind: _Kind, default: object, *, secret: bool = False) -> Any:
    return attrs.field(
        kw_only=True, repr=not secret, metadata={"schema": _Key(kind, default, secret)}
    )


@attrs.frozen
class Syncdb:
    """When tenants are compared with those of the auth service, in seconds."""

    start_sec: float = _key(_number(above_zero=False), 60)
    interval_sec: float = _key(_number(above_zero=False), 86400)


@attrs.frozen
class General:
    """Section `general`. An interface is '' for all, as Twisted writes it; paths are absolute."""

    advertised_http_url: str | None = _key(_HTTP_URL.or_null("guessed"), None)
    base_raw_config_file: str | None = _key(_PATH.or_null("an empty object"), None)
    request_config_dir: str = _key(_PATH, "/etc/provd")
    info_extractor: str = _key(_VARIANT, "default")
    retriever: str = _key(_VARIANT, "default")
    updater: str = _key(_VARIANT, "default")
    base_storage_dir: str = _key(_PATH, "/var/lib/provd")
    cache_dir: str = _key(_PATH, "/var/cache/provd")
    cache_plugin: bool = _key(_BOOL, True)
    check_compat_min: bool = _key(_BOOL, True)
    check_compat_max: bool = _key(_BOOL, True)
    plugin_server: str | None = _key(_REPOSITORY_URL.or_null("the shipped repository"), None)
    plugins_dir: str = _key(_STORAGE_PATH, "plugins")
    plugin_preference: Sequence[str] = _key(
        _Kind("a list of patterns", "a list of patterns of plugin ids", _parse_patterns),
        ["provd-*"],
    )
    install_all_plugins: bool = _key(_BOOL, False)
    tftp_enabled: bool = _key(_BOOL, True)
    tftp_listen_interface: str = _key(_INTERFACE, "0.0.0.0")  # noqa: S104  phones are not local
    tftp_port: int = _key(_LISTEN_PORT, 69)
    tftp_with_url_key: bool = _key(_BOOL, True)
    http_listen_interface: str = _key(
        attrs.evolve(
            _INTERFACE.or_null("all"), parse=lambda v: "" if v is None else _parse_interface(v)
        ),
        None,
    )
    http_listen_port: int | None = _key(_LISTEN_PORT.or_null("off"), None)
    http_proxied_listen_interface: str = _key(_INTERFACE, "127.0.0.1")
    http_proxied_listen_port: int | None = _key(_LISTEN_PORT.or_null("off"), 18667)
    http_proxied_trusted_proxies_count: int | None = _key(_integer(0).or_null("same as 0"), 1)
    http_accel_redirect: str | None = _key(
        _Kind("a location", "path that begins with /", _matching(re.compile(r"/[!-~]*"))).or_null(
            "off"
        ),
        None,
    )
    http_auth_strategy: Literal["url_key"] | None = _key(_one_of("url_key").or_null(), None)
    sync_service_type: Literal["none", "asterisk_ami", "ami", "sip"] = _key(
        _one_of("none", "asterisk_ami", "ami", "sip"), "none"
    )
    sync_confirm_seconds: float = _key(_number(above_zero=False), 120)
    sync_success: Literal["sent", "fetched"] = _key(_one_of("sent", "fetched"), "sent")
    syncdb: Syncdb = attrs.field(kw_only=True, metadata={"schema": Syncdb})
    tenants_share_configs: bool = _key(_BOOL, False)
    direct_renders: int = _key(_integer(0), 64)
    shutdown_seconds: float = _key(_number(above_zero=False), 4)
    verbose: bool = _key(_BOOL, False)


@attrs.frozen
class RestApi:
    """Section `rest_api`; `ip` is '' for all interfaces."""

    ip: str = _key(_INTERFACE, "127.0.0.1")
    port: int = _key(_LISTEN_PORT, 8666)
    ssl: bool = _key(_BOOL, False)
    ssl_certfile: str | None = _key(_PATH.or_null(), None)
    ssl_keyfile: str | None = _key(_PATH.or_null(), None)


@attrs.frozen
class Auth:
    """Section `auth`; `username` and `password` are those of the key file, if it has them."""

    type: Literal["local", "wazo"] = _key(_one_of("local", "wazo").or_null(), None)
    tokens_file: str = _key(_STORAGE_PATH, "tokens.json")
    admin_token_file: str = _key(_STORAGE_PATH, "admin-token")
    host: str = _key(_HOST_NAME, "localhost")
    port: int = _key(_PORT, 9497)
    prefix: str | None = _key(_PREFIX, None)
    https: bool = _key(_BOOL, False)
    verify_certificate: bool | str = _key(_VERIFICATION, True)
    timeout: float = _key(_number(above_zero=True), 10)
    key_file: str | None = _key(_PATH.or_null(), None)
    username: str | None = _key(_TEXT.or_null(), None)
    password: str | None = _key(_TEXT.or_null(), None, secret=True)


@attrs.frozen
class Amid:
    """Section `amid`: the AMI gateway that sends SIP NOTIFY."""

    host: str = _key(_HOST_NAME, "localhost")
    port: int = _key(_PORT, 9491)
    prefix: str | None = _key(_PREFIX, None)
    https: bool = _key(_BOOL, False)
    verify_certificate: bool | str = _key(_VERIFICATION, True)
    timeout: float = _key(_number(above_zero=True), 10)


@attrs.frozen
class Ami:
    """Section `ami`: Asterisk's own AMI, for SIP NOTIFY without a gateway."""

    host: str = _key(_HOST_NAME, "localhost")
    port: int = _key(_PORT, 5038)
    username: str = _key(_TEXT, "provd")
    secret: str | None = _key(_TEXT.or_null(), None, secret=True)
    authentication: Literal["md5", "plain"] = _key(_one_of("md5", "plain"), "md5")
    tls: bool = _key(_BOOL, False)
    verify_certificate: bool | str = _key(_VERIFICATION, True)
    timeout: float = _key(_number(above_zero=True), 10)


@attrs.frozen
class Sip:
    """Section `sip`: SIP NOTIFY from the daemon itself; `listen_interface` is '' for all."""

    listen_interface: str = _key(_IPV4_INTERFACE, "0.0.0.0")  # noqa: S104  phones are not local
    port: int = _key(_LISTEN_PORT, 0)
    from_host: str | None = _key(_HOST_NAME.or_null("our address"), None)
    phone_port: int = _key(_PORT, 5060)
    timeout: float = _key(_number(above_zero=True), 32)


@attrs.frozen
class Agi:
    """Section `agi`: where Asterisk's dialplan asks to provision a phone."""

    ip: str = _key(_INTERFACE, "127.0.0.1")
    port: int | None = _key(_LISTEN_PORT.or_null("off"), None)


@attrs.frozen
class Bus:
    """Section `bus`: the AMQP broker that tells of deleted tenants."""

    username: str = _key(_TEXT, "guest")
    password: str = _key(_TEXT, "guest", secret=True)
    host: str = _key(_HOST_NAME, "localhost")
    port: int = _key(_PORT, 5672)
    exchange_name: str = _key(_TEXT, "wazo-headers")
    exchange_type: str = _key(_TEXT, "headers")


@attrs.frozen
class Database:
    """Section `database`; `json` is `sqlite` that first imports the documents of `json_db_dir`."""

    type: Literal["json", "sqlite", "memory", "mongodb"] = _key(
        _one_of("json", "sqlite", "memory", "mongodb"), "json"
    )
    generator: Literal["default", "uuid", "numeric"] = _key(
        _one_of("default", "uuid", "numeric"), "default"
    )
    ensure_common_indexes: bool = _key(_BOOL, True)
    json_db_dir: str = _key(_STORAGE_PATH, "jsondb")
    file: str = _key(_STORAGE_PATH, "provd.db")
    uri: str = _key(
        _Kind(
            "a MongoDB URI",
            "text that starts with mongodb:// or mongodb+srv://",
            _matching(re.compile(r"mongodb(\+srv)?://\S+")),
        ),
        "mongodb://127.0.0.1:27017",
        secret=True,
    )
    name: str = _key(_TEXT, "provd")


@attrs.frozen
class Proxy:
    """Section `proxy`: how downloads leave, until the parameters say otherwise."""

    http: str | None = _key(_PROXY_URL.or_null(), None, secret=True)
    ftp: str | None = _key(_PROXY_URL.or_null(), None, secret=True)
    https: str | None = _key(_HOST_AND_PORT.or_null(), None, secret=True)


@attrs.frozen
class Dhcp:
    """Section `dhcp`: the socket for the hooks of DHCP servers; its mode is a number here."""

    socket: str | None = _key(_PATH.or_null("off"), None)
    socket_mode: int = _key(_MODE, "0660")
    socket_owner: str | None = _key(_TEXT.or_null("the daemon's"), None)
    socket_group: str | None = _key(_TEXT.or_null("the daemon's"), None)


@attrs.frozen
class Logging:
    """Section `logging`."""

    file: str | None = _key(_PATH.or_null("stderr"), None)
    security_file: str | None = _key(_PATH.or_null("only the main log"), None)
    stall_threshold_ms: float = _key(_number(above_zero=True), 50)


@attrs.frozen
class MetricsSettings:
    """Section `metrics`: numbers for Prometheus at `/metrics`; `ip` is '' for all interfaces."""

    ip: str = _key(_INTERFACE, "127.0.0.1")
    port: int | None = _key(_LISTEN_PORT.or_null("off"), None)


@attrs.frozen
class Limits:
    """Section `limits`: what strangers on the network may use of the machine."""

    creation_rate: float = _key(_number(above_zero=True), 2000)
    creation_rate_per_source: float = _key(_number(above_zero=True), 6000)
    unclaimed_devices: int = _key(_integer(0), 100_000)
    tftp_transfers: int = _key(_integer(1), 4096)
    tftp_transfers_per_source: int = _key(_integer(1), 256)
    file_cache_bytes: int = _key(_integer(0), 64 * 1024 * 1024)
    memo_entries: int = _key(_integer(0), 50_000)
    device_cache: int = _key(_integer(0), 50_000)
    firmware_bytes: int = _key(_integer(1), 2 * 1024 * 1024 * 1024)
    firmware_ratio: int = _key(_integer(1), 200)
    history_per_device: int = _key(_integer(0), 20)
    history_entries: int = _key(_integer(0), 100_000)


@attrs.frozen
class Settings:
    """All settings, checked; `load` makes them."""

    config_file: str = _key(_PATH, None)
    extra_config_files: str = _key(_PATH, None)
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
        for name, schema in _schema(cls).items():
            if isinstance(schema, _Key):
                yield prefix + name, over.get(name, schema.default), schema.kind.allowed
            elif schema is not None:
                yield from walk(schema, f"{prefix}{name}.", over.get(name, {}))

    return walk(Settings, "", defaults.values)


def _schema(cls: type) -> dict[str, _Key | type | None]:
    return {
        field.name: field.metadata["schema"]
        for field in attrs.fields(cls)
        if "schema" in field.metadata
    }


class _Loader(yaml.SafeLoader):
    """YAML with the tag `!exec`; `repeated` collects keys that occur twice in one mapping."""

    def __init__(self, stream: bytes) -> None:
        super().__init__(stream)
        self.repeated: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self.repeated.append(f"line {key.start_mark.line + 1}: {key.value}")
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _construct_exec(loader: _Loader, node: yaml.Node) -> object:
    command = (
        loader.construct_mapping(node).get("command")
        if isinstance(node, yaml.MappingNode)
        else None
    )
    if not isinstance(command, str) or not command.strip():
        raise yaml.constructor.ConstructorError(
            None, None, "!exec takes a mapping with the key command, a text", node.start_mark
        )
    try:
        # The settings file is as trusted as the daemon itself, and no shell is involved.
        output = subprocess.run(  # noqa: S603
            command.split(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_EXEC_TIMEOUT,
            check=True,
        ).stdout
        return yaml.safe_load(output)
    except subprocess.CalledProcessError as exc:
        reason = f"exit status {exc.returncode}"
    except subprocess.TimeoutExpired:
        reason = f"no end after {_EXEC_TIMEOUT} seconds"
    except OSError as exc:
        reason = str(exc.strerror)
    except (yaml.YAMLError, ValueError, RecursionError):
        reason = "its output is not YAML"
    raise yaml.constructor.ConstructorError(
        None, None, f"!exec {command!r} failed: {reason}", node.start_mark
    )


_Loader.add_constructor("!exec", _construct_exec)


def _read_yaml(path: str, warnings: list[str]) -> dict[str, Any]:
    """Return the mapping that a file holds; an empty file is an empty mapping.

    Raises OSError, or SettingsError with the line and column.
    """
    with open(path, "rb") as file:
        content = file.read()
    try:
        loader = _Loader(content)
        document = loader.get_single_data()
    except yaml.MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise SettingsError(f"{path}: {where}{exc.problem}") from exc
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        reason = " ".join(str(exc).split())
        raise SettingsError(f"{path}: not valid YAML: {reason}") from exc
    warnings.extend(f"{path}: {key} occurs twice; the last one counts" for key in loader.repeated)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: line 1, column 1: a mapping of sections is expected")
    return document


def _read_main_file(path: str, *, named: bool, warnings: list[str]) -> dict[str, Any]:
    try:
        return _read_yaml(path, warnings)
    except OSError as exc:
        if named:
            raise SettingsError(f"{path}: {exc.strerror}") from exc
        sys.stderr.write(f"{path}: {exc.strerror}; starting with the defaults\n")
        return {}


def _read_extra_files(directory: str, *, named: bool, warnings: list[str]) -> list[_Layer]:
    try:
        names = sorted(os.listdir(directory))
    except OSError as exc:
        if named or not isinstance(exc, FileNotFoundError):
            warnings.append(f"{directory}: {exc.strerror}")
        return []
    layers = []
    for name in names:
        if not name.endswith(".yml") or name.startswith("."):
            continue
        path = os.path.join(directory, name)
        try:
            layers.append(_Layer(path, _read_yaml(path, warnings)))
        except OSError as exc:
            warnings.append(f"{path}: {exc.strerror}; the file is skipped")
        except SettingsError as exc:
            warnings.append(f"{exc}; the file is skipped")
    return layers


def _read_key_file(path: str, warnings: list[str]) -> dict[str, str]:
    """Return the service's `username` and `password`, or nothing, which does not stop the start."""
    try:
        document = _read_yaml(path, warnings)
        return {
            "username": _parse_text(document.get("service_id")),
            "password": _parse_text(document.get("service_key")),
        }
    except OSError as exc:
        warnings.append(f"auth.key_file: {path}: {exc.strerror}")
    except SettingsError as exc:
        warnings.append(f"auth.key_file: {exc}")
    except ValueError:
        warnings.append(f"auth.key_file: {path}: service_id and service_key must be texts")
    return {}


@attrs.frozen
class _Layer:
    """One source: where it comes from, for messages, and its (part of a) document."""

    origin: str
    values: Mapping[Any, Any]

    def section(self, name: str, path: str) -> _Layer | None:
        values = self.values.get(name)
        if values is None:
            return None
        if not isinstance(values, dict):
            raise _wrong(self.origin, path, values, "a section", "mapping of keys")
        return _Layer(self.origin, values)


def _wrong(
    origin: str, path: str, value: object, name: str, allowed: str, *, secret: bool = False
) -> SettingsError:
    shown = "the value" if secret else _show(value)
    return SettingsError(f"{origin}: {path}: {shown} is not {name}; allowed: {allowed}")


def _show(value: object) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _value(key: _Key, path: str, layers: Iterable[_Layer]) -> object:
    name = path.rpartition(".")[2]
    for layer in layers:
        if name in layer.values:
            value = layer.values[name]
            try:
                return key.kind.parse(value)
            except (TypeError, ValueError):
                raise _wrong(
                    layer.origin,
                    path,
                    value,
                    key.kind.name,
                    key.kind.allowed,
                    secret=key.secret,
                ) from None
    return key.kind.parse(key.default)


def _collect(cls: type, prefix: str, layers: list[_Layer], warnings: list[str]) -> dict[str, Any]:
    """Return the checked values of a section, layer by layer from the highest."""
    schema = _schema(cls)
    for layer in layers:
        warnings.extend(
            _unknown(layer.origin, prefix, str(name), schema)
            for name in layer.values
            if name not in schema
        )
    values: dict[str, Any] = {}
    for name, entry in schema.items():
        path = prefix + name
        if isinstance(entry, _Key):
            values[name] = _value(entry, path, layers)
            continue
        parts = [part for layer in layers if (part := layer.section(name, path))]
        if entry is not None:
            values[name] = _collect(entry, f"{path}.", parts, warnings)
        elif name == "tenants":
            values[name] = _collect_tenants(parts, warnings)
        else:
            values[name] = _collect_free(path, parts)
    return values


def _unknown(origin: str, prefix: str, name: str, schema: Iterable[str]) -> str:
    message = f"{origin}: unknown key {prefix}{name}"
    near = [prefix + close for close in difflib.get_close_matches(name, schema, n=1)]
    if not near:
        by_name = {path.rpartition(".")[2]: path for path, _, _ in keys()}
        near = [by_name[close] for close in difflib.get_close_matches(name, by_name, n=1)]
    return f"{message}; did you mean {near[0]}?" if near else f"{message} is ignored"


def _collect_free(path: str, layers: list[_Layer]) -> dict[str, dict[str, Any]]:
    result: dict[str, dict[str, Any]] = {}
    for layer in reversed(layers):
        for name in layer.values:
            part = layer.section(name, f"{path}.{name}")
            result[str(name)] = _merge(result.get(str(name), {}), part.values if part else {})
    return result


def _merge(low: Mapping[Any, Any], high: Mapping[Any, Any]) -> dict[Any, Any]:
    merged = dict(low)
    for name, value in high.items():
        below = merged.get(name)
        merged[name] = (
            _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
        )
    return merged


def _collect_tenants(layers: list[_Layer], warnings: list[str]) -> dict[str, dict[str, Any]]:
    key = _Key(_PROVISIONING.or_null(), None, secret=True)
    result: dict[str, dict[str, Any]] = {}
    owners: dict[str, str] = {}
    names = dict.fromkeys(name for layer in layers for name in layer.values)
    for name in names:
        path = f"tenants.{name}"
        parts = [part for layer in layers if (part := layer.section(name, path))]
        try:
            tenant_uuid = str(uuid.UUID(name))
        except (ValueError, AttributeError, TypeError):
            origin = next(layer.origin for layer in layers if name in layer.values)
            raise _wrong(origin, "tenants", name, "a tenant", "UUID") from None
        warnings.extend(
            _unknown(part.origin, f"{path}.", str(unknown), ["provisioning_key"])
            for part in parts
            for unknown in part.values
            if unknown != "provisioning_key"
        )
        value = _value(key, f"{path}.provisioning_key", parts)
        if isinstance(value, str) and owners.setdefault(value, tenant_uuid) != tenant_uuid:
            raise SettingsError(
                f"{parts[0].origin}: {path}.provisioning_key: tenant {owners[value]} has this key"
            )
        # The highest source comes first: it wins over another spelling of the same UUID.
        result.setdefault(tenant_uuid, {"provisioning_key": value})
    return result


def _resolve_paths(cls: type, values: dict[str, Any], bases: Mapping[str, str]) -> None:
    for name, entry in _schema(cls).items():
        if isinstance(entry, _Key):
            if entry.kind.relative_to and isinstance(values[name], str):
                base = bases[entry.kind.relative_to]
                values[name] = os.path.normpath(os.path.join(base, values[name]))
        elif entry is not None:
            _resolve_paths(entry, values[name], bases)


def _build(cls: type, values: Mapping[str, Any]) -> Any:
    schema = _schema(cls)
    built = {}
    for name, value in values.items():
        entry = schema.get(name)
        built[name] = _build(entry, value) if isinstance(entry, type) else value
    return cls(**built)


def shipped_repository() -> str | None:
    """Return the file: URL of the plugin repository that came with provd, if it is there."""
    installed = Path(sys.prefix, "share", "provd", "repository")
    checkout = Path(__file__).resolve().parent.parent / "build" / "repository"
    for directory in (installed, checkout):
        if (directory / "plugins.db").is_file():
            return f"{directory.as_uri()}/"
    return None


def default_route_address() -> str:
    """Return the IPv4 address of this machine towards its default route, else 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            # Connecting a datagram socket chooses a route and sends nothing.
            sock.connect(("192.0.2.1", 9))
            address = str(sock.getsockname()[0])
        except OSError:
            return "127.0.0.1"
    return "127.0.0.1" if address == "0.0.0.0" else address  # noqa: S104  compared, not bound


def _read_base_raw_config(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as exc:
        raise SettingsError(f"general.base_raw_config_file: {path}: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise SettingsError(f"general.base_raw_config_file: {path}: not valid JSON: {exc}") from exc
    if not isinstance(document, dict):
        raise SettingsError(f"general.base_raw_config_file: {path}: a JSON object is expected")
    return document


def _command_line(options: Mapping[str, object], config_file: str) -> _Layer:
    general: dict[str, object] = {}
    values: dict[str, object] = {"config_file": config_file, "general": general}
    if (state_dir := options.get("state_dir")) is not None:
        general["base_storage_dir"] = os.path.abspath(str(state_dir))
        general["cache_dir"] = os.path.join(os.path.abspath(str(state_dir)), "cache")
    if (config_dir := options.get("config_dir")) is not None:
        general["request_config_dir"] = os.path.abspath(str(config_dir))
    if (tftp_port := options.get("tftp_port")) is not None:
        general["tftp_port"] = tftp_port
    if (http_port := options.get("http_port")) is not None:
        general["http_listen_port"] = http_port
    if (listen := options.get("listen")) is not None:
        general["http_listen_interface"] = general["tftp_listen_interface"] = listen
    rest = {"port": options.get("rest_port"), "ip": options.get("rest_ip")}
    if given := {key: value for key, value in rest.items() if value is not None}:
        values["rest_api"] = given
    if options.get("verbose"):
        general["verbose"] = True
    return _Layer("command line", values)


def load(
    options: Mapping[str, object],
    *,
    defaults: Defaults = PROVD,
    find_address: Callable[[], str] = default_route_address,
) -> Settings:
    """Return the settings of all sources; `options` are the command line's, None if not given.

    Options read: config_file, config_dir, rest_ip, rest_port, http_port, tftp_port, listen,
    verbose, state_dir.
    Blocks: it reads files and may run the commands of `!exec`. Raises SettingsError.
    """
    warnings: list[str] = []
    named = options.get("config_file")
    default_layer = _Layer("defaults", defaults.values)
    config_file = os.path.abspath(str(named or defaults.values["config_file"]))
    main = _Layer(
        config_file, _read_main_file(config_file, named=named is not None, warnings=warnings)
    )
    main_dir = os.path.dirname(config_file)
    extra_dir = os.path.join(
        main_dir,
        str(_value(_Key(_PATH, None), "extra_config_files", [main, default_layer])),
    )
    extra = _read_extra_files(
        extra_dir, named="extra_config_files" in main.values, warnings=warnings
    )
    layers = [_command_line(options, config_file), *extra, main, default_layer]
    values = _collect(Settings, "", layers, warnings)
    values["extra_config_files"] = extra_dir
    _resolve_paths(
        Settings,
        values,
        {
            "settings": main_dir,
            "storage": os.path.join(main_dir, values["general"]["base_storage_dir"]),
        },
    )
    _complete(values, config_file, warnings)
    given = _read_base_raw_config(values["general"]["base_raw_config_file"])
    if values["general"]["advertised_http_url"] is None and not given.keys() & {
        "http_base_url",
        "ip",
    }:
        warnings.append(
            "general.advertised_http_url is not set: phones are told that this machine is "
            f"{find_address()}"
        )
    settings = _build(Settings, {**values, "warnings": tuple(warnings)})
    assert isinstance(settings, Settings)
    return settings


def _complete(values: dict[str, Any], config_file: str, warnings: list[str]) -> None:
    """Fill in what depends on other settings, and check what must go together."""
    general, auth, rest_api = values["general"], values["auth"], values["rest_api"]
    if general["plugin_server"] is None:
        general["plugin_server"] = shipped_repository()
    if auth["type"] is None:
        key_file = auth["key_file"]
        has_key = bool(key_file) and os.path.exists(key_file)
        auth["type"] = "wazo" if has_key else "local"
        if key_file and not has_key:
            warnings.append(f"auth.key_file: {key_file} is not there, so local tokens are used")
    if auth["type"] == "wazo":
        if auth["key_file"]:
            auth.update(_read_key_file(auth["key_file"], warnings))
        elif auth["username"] is None or auth["password"] is None:
            warnings.append("auth.type is wazo, but the daemon has no service name and password")
    if general["sync_service_type"] == "ami" and values["ami"]["secret"] is None:
        raise SettingsError(
            f"{config_file}: ami.secret: needed as general.sync_service_type is ami"
        )
    if rest_api["ssl"]:
        for name in ("ssl_certfile", "ssl_keyfile"):
            if rest_api[name] is None:
                raise SettingsError(
                    f"{config_file}: rest_api.{name}: needed as rest_api.ssl is true"
                )
        warnings.append("rest_api.ssl is deprecated: put a web server in front instead")


def base_raw_config(
    settings: Settings,
    *,
    find_address: Callable[[], str] = default_route_address,
    http_port: int | None = None,
    tftp_port: int | None = None,
) -> dict[str, Any]:
    """Return the raw config that every phone starts from; it has ip, http_port and tftp_port.

    `http_port` and `tftp_port` are the ports really bound, for settings that say 0. Raises
    SettingsError if the base raw config file cannot be used.
    """
    general = settings.general
    raw_config = _read_base_raw_config(general.base_raw_config_file)
    for name in ("http_port", "tftp_port"):
        if name in raw_config:
            try:
                raw_config[name] = _PORT.parse(raw_config[name])
            except (TypeError, ValueError):
                raise _wrong(
                    str(general.base_raw_config_file),
                    name,
                    raw_config[name],
                    _PORT.name,
                    _PORT.allowed,
                ) from None
    raw_config.setdefault("tftp_port", tftp_port or general.tftp_port)
    if "http_base_url" not in raw_config:
        url = general.advertised_http_url
        if url is None:
            host = str(raw_config.get("ip") or find_address())
            port = (
                raw_config.get("http_port")
                or http_port
                or general.http_listen_port
                or _FRONT_HTTP_PORT
            )
            url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        raw_config["http_base_url"] = url
    try:
        parts = _split_url(raw_config["http_base_url"], "http", "https")
    except (TypeError, ValueError):
        raise _wrong(
            str(general.base_raw_config_file),
            "http_base_url",
            raw_config["http_base_url"],
            _HTTP_URL.name,
            _HTTP_URL.allowed,
        ) from None
    raw_config.setdefault("ip", parts.hostname)
    raw_config.setdefault("http_port", parts.port or _FRONT_HTTP_PORT)
    return raw_config


def main(argv: list[str] | None = None) -> int:
    """Check the settings; the exit code is 1 if the daemon would not start."""
    parser = argparse.ArgumentParser(prog="python -m provd.settings", description=main.__doc__)
    parser.add_argument("--check", action="store_true", required=True)
    parser.add_argument("-f", "--config-file", metavar="FILE")
    parser.add_argument("--wazo", action="store_true", help="use the defaults of wazo-provd")
    arguments = parser.parse_args(argv)
    try:
        settings = load(
            {"config_file": arguments.config_file}, defaults=WAZO if arguments.wazo else PROVD
        )
        base_raw_config(settings)
    except SettingsError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    for warning in settings.warnings:
        sys.stdout.write(f"warning: {warning}\n")
    sys.stdout.write("OK\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
