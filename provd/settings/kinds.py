"""What values a setting may have: each kind parses one, and says what is allowed."""

from __future__ import annotations

import ipaddress
import json
import math
import re
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import SplitResult, urlsplit

import attrs

from provd.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?")
_VARIANT_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PROVISIONING_KEY = re.compile(r"[A-Za-z0-9$~.-]{8,256}")


@attrs.frozen
class Kind:
    """A set of values: `parse` returns the one to keep, or raises ValueError or TypeError."""

    name: str
    allowed: str
    parse: Callable[[object], Any]
    relative_to: Literal["settings", "storage"] | None = None

    def or_null(self, meaning: str = "") -> Kind:
        """Return the same kind with null, which may have a meaning of its own."""
        allowed = f"{self.allowed}, or null" + (f" ({meaning})" if meaning else "")
        parse = self.parse
        return attrs.evolve(
            self, allowed=allowed, parse=lambda value: None if value is None else parse(value)
        )


def _parse_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def parse_text(value: object) -> str:
    """Return a text that is not empty."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError
    return value


def _parse_number(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError
    return value


def _parse_host(value: object) -> str:
    text = parse_text(value)
    if ":" in text:
        ipaddress.IPv6Address(text)
    elif not _HOST.fullmatch(text):
        raise ValueError
    return text


def parse_patterns(value: object) -> list[str]:
    """Return a list of texts."""
    if not isinstance(value, list):
        raise TypeError
    return [parse_text(item) for item in value]


def _parse_prefix(value: object) -> str | None:
    return None if value == "" else parse_text(value)


def parse_interface(value: object) -> str:
    """Return a local address, '' for all."""
    return "" if value == "*" else _parse_host(value)


def _parse_ipv4_interface(value: object) -> str:
    return "" if value == "*" else str(ipaddress.IPv4Address(parse_text(value)))


def split_url(value: object, *schemes: str) -> SplitResult:
    """Return the parts of a URL with one of `schemes`."""
    text = parse_text(value)
    parts = urlsplit(text)
    if not text.isprintable() or " " in text:
        raise ValueError
    if parts.scheme not in schemes or (not parts.hostname and parts.scheme != "file"):
        raise ValueError
    _ = parts.port  # raises ValueError when it is not a number up to 65535
    return parts


def _parse_http_url(value: object) -> str:
    return split_url(value, "http", "https").geturl()


def _parse_repository_url(value: object) -> str:
    return split_url(value, "http", "https", "ftp", "file").geturl()


def _parse_proxy_url(value: object) -> str:
    parts = split_url(value, "http", "https", "ftp")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise ValueError
    return parts.geturl()


def _parse_host_and_port(value: object) -> str:
    text = parse_text(value)
    parts = urlsplit(f"//{text}")
    if not parts.hostname or parts.port is None or parts.netloc != text:
        raise ValueError
    return text


def _parse_mode(value: object) -> int:
    # Without quotes YAML reads 0660 as one number and 660 as another.
    text = parse_text(value)
    if not re.fullmatch("0?[0-7]{3}", text):
        raise ValueError
    return int(text, 8)


def matching(pattern: re.Pattern[str]) -> Callable[[object], str]:
    """Return what parses texts that match a pattern as a whole."""

    def parse(value: object) -> str:
        text = parse_text(value)
        if not pattern.fullmatch(text):
            raise ValueError
        return text

    return parse


def integer(low: int, high: int | None = None, *, name: str = "an integer", note: str = "") -> Kind:
    """Return the kind of integers within bounds."""

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
    return Kind(name, f"{bounds} ({note})" if note else bounds, parse)


def number(*, above_zero: bool) -> Kind:
    """Return the kind of numbers, integers or not, of 0 or more."""

    def parse(value: object) -> int | float:
        number = _parse_number(value)
        if number < 0 or (above_zero and number == 0):
            raise ValueError
        return number

    return Kind("a number", "number above 0" if above_zero else "number 0 or more", parse)


def one_of(*choices: str) -> Kind:
    """Return the kind of a few words."""

    def parse(value: object) -> object:
        if value not in choices:
            raise ValueError
        return value

    return Kind("one of the choices", ", ".join(choices), parse)


def _parse_verification(value: object) -> bool | str:
    return value if isinstance(value, bool) else parse_text(value)


BOOL = Kind("a boolean", "true, false", _parse_bool)
PREFIX = Kind("a path prefix", "text", _parse_prefix).or_null()
TEXT = Kind("a text", "text that is not empty (digits between quotes)", parse_text)
HOST_NAME = Kind("a host", "host name or IP address", _parse_host)
INTERFACE = Kind("a local address", "IP address, host name or '*' (all)", parse_interface)
IPV4_INTERFACE = Kind("a local address", "IPv4 address or '*' (all)", _parse_ipv4_interface)
PORT = integer(1, 65535, name="a port")
LISTEN_PORT = attrs.evolve(
    integer(0, 65535, name="a port"), allowed="integer 1 to 65535 (0 = any free port)"
)
HTTP_URL = Kind("an HTTP URL", "http:// or https:// URL with a host", _parse_http_url)
REPOSITORY_URL = Kind("a URL", "http, https, ftp or file URL", _parse_repository_url)
PROXY_URL = Kind(
    "a proxy", "URL scheme://[user:password@]host[:port] without path", _parse_proxy_url
)
HOST_AND_PORT = Kind("a proxy", "host:port without scheme", _parse_host_and_port)
VARIANT = Kind("a variant name", "letters, digits, - and _", matching(_VARIANT_NAME))
VERIFICATION = Kind(
    "a choice", "true, false or the path of a CA file", _parse_verification, "settings"
)
PROVISIONING = Kind(
    "a provisioning key", "8 to 256 of A-Z a-z 0-9 $ ~ . -", matching(_PROVISIONING_KEY)
)
MODE = Kind("a mode", "3 octal digits between quotes, such as '0660'", _parse_mode)
# A path is made absolute: from the main file's directory, or from base_storage_dir.
PATH = Kind("a path", "path", parse_text, relative_to="settings")
STORAGE_PATH = Kind("a path", "path", parse_text, relative_to="storage")


def wrong_value(
    origin: str, path: str, value: object, name: str, allowed: str, *, secret: bool = False
) -> SettingsError:
    """Return the error of a value that is none of its kind; a `secret` one is not shown."""
    shown = "the value" if secret else _show(value)
    return SettingsError(f"{origin}: {path}: {shown} is not {name}; allowed: {allowed}")


def _show(value: object) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
