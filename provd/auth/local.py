"""Tokens in a file, for a daemon without an authentication service.

The file holds no token, only digests. Tokens are 256 random bits, so a plain SHA-256 protects them.
`provd-token` writes the file while the daemon runs; a change is seen at the next request.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import fcntl
import hashlib
import json
import logging
import os
import re
import secrets
import sys
import tempfile
import uuid
from typing import TYPE_CHECKING, Any

import attrs

from provd.auth.interface import allows
from provd.errors import (
    AuthenticationFailed,
    AuthUnavailable,
    ProvdError,
    SettingsError,
    trespass,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

logger = logging.getLogger(__name__)

ADMIN = "admin"
_TENANT = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@attrs.frozen
class Token:
    """What is known of a token; times are ISO 8601 in UTC."""

    name: str
    digest: str
    acl: tuple[str, ...]
    tenant: str
    created: str
    expires: str | None = None

    def is_expired(self, now: dt.datetime) -> bool:
        """Tell whether it is of no use any more."""
        return self.expires is not None and dt.datetime.fromisoformat(self.expires) <= now


@attrs.frozen
class Content:
    """What the file holds."""

    main_tenant: str
    tokens: dict[str, Token]
    """By digest."""


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class TokenFile:
    """The file at `path`; blocking, but small."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._content: Content | None = None
        self._stamp: tuple[int, int, int] | None = None

    def read(self) -> Content | None:
        """Return the content, None if there is no file; SettingsError if it is damaged."""
        try:
            status = os.stat(self.path)
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp != self._stamp:
                with open(self.path, encoding="utf-8") as stream:
                    document = json.load(stream)
                tokens = [
                    Token(**{**value, "acl": tuple(value["acl"])}) for value in document["tokens"]
                ]
                self._content = Content(
                    document["main_tenant"], {token.digest: token for token in tokens}
                )
                self._stamp = stamp
        except FileNotFoundError:
            self._stamp = self._content = None
        except (OSError, ValueError, KeyError, TypeError) as error:
            self._stamp = None
            raise SettingsError(f"{self.path}: the token file cannot be used: {error}") from error
        return self._content

    def _write(self, content: Content) -> None:
        document = {
            "main_tenant": content.main_tenant,
            "tokens": [attrs.asdict(token) for token in content.tokens.values()],
        }
        directory = os.path.dirname(self.path) or "."
        descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=".tokens.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                json.dump(document, stream, indent=2)
                stream.flush()
                os.fsync(stream.fileno())
                self._keep_owner(stream.fileno())
            os.rename(temporary, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise

    def _keep_owner(self, descriptor: int) -> None:
        """Leave the file to its owner, or its directory's, when root writes it."""
        if os.geteuid() != 0:
            return
        try:
            owner = os.stat(self.path)
        except FileNotFoundError:
            owner = os.stat(os.path.dirname(self.path) or ".")
        os.fchown(descriptor, owner.st_uid, owner.st_gid)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[Content]:
        """Give the newest content, made if there is none, while no other process changes it."""
        os.makedirs(os.path.dirname(self.path) or ".", exist_ok=True)
        with open(f"{self.path}.lock", "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self.read() or Content(str(uuid.uuid4()), {})

    def create(
        self,
        name: str,
        acl: Sequence[str],
        tenant: str | None = None,
        expires: dt.datetime | None = None,
    ) -> str:
        """Add a token and return it; it cannot be read again. SettingsError if the name is used."""
        with self._locked() as content:
            if any(token.name == name for token in content.tokens.values()):
                raise SettingsError(f"a token named {name!r} exists already")
            token = secrets.token_urlsafe(32)
            new = Token(
                name,
                _digest(token),
                tuple(acl),
                tenant or content.main_tenant,
                _now().isoformat(timespec="seconds"),
                expires.isoformat(timespec="seconds") if expires else None,
            )
            self._write(attrs.evolve(content, tokens={**content.tokens, new.digest: new}))
        return token

    def revoke(self, name: str) -> None:
        """Remove the token of that name; SettingsError if there is none."""
        with self._locked() as content:
            kept = {d: token for d, token in content.tokens.items() if token.name != name}
            if len(kept) == len(content.tokens):
                raise SettingsError(f"no token is named {name!r}")
            self._write(attrs.evolve(content, tokens=kept))


class LocalAuthorizer:
    """Checks tokens against the file."""

    is_platform = False

    def __init__(self, path: str, admin_token_file: str) -> None:
        self._file = TokenFile(path)
        self._admin_token_file = admin_token_file
        self.made_admin_token = False

    def prepare(self) -> None:
        """Make the first admin token where there is no token file; SettingsError, OSError."""
        if self._file.read() is not None:
            return
        token = self._file.create(ADMIN, ["provd.#"])
        descriptor = os.open(self._admin_token_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            os.fchmod(stream.fileno(), 0o600)
            stream.write(f"{token}\n")
        self.made_admin_token = True

    @property
    def main_tenant(self) -> str | None:
        """The main tenant, made with the token file."""
        content = self._file.read()
        return content.main_tenant if content is not None else None

    async def start(self) -> None:
        """Do nothing: the file is read when it is needed."""

    async def stop(self) -> None:
        """Do nothing."""

    def _find(self, token: str | None) -> tuple[Content, Token]:
        try:
            content = self._file.read()
        except SettingsError as error:
            logger.error("%s", error)
            raise AuthUnavailable("the token file cannot be read") from error
        known = content.tokens.get(_digest(token)) if content is not None and token else None
        if content is None or known is None or known.is_expired(_now()):
            raise AuthenticationFailed("the token is unknown or expired")
        return content, known

    async def tenant(self, token: str | None, tenant: str | None) -> str:
        """Return the request tenant."""
        content, known = self._find(token)
        return self._request_tenant(content, known, tenant)

    @staticmethod
    def _request_tenant(content: Content, known: Token, tenant: str | None) -> str:
        if not tenant or tenant == known.tenant:
            return known.tenant
        if known.tenant != content.main_tenant or not _TENANT.fullmatch(tenant):
            raise trespass(
                AuthenticationFailed("the token may not act for this tenant"),
                f"tenant {tenant} by the token {known.name!r} of tenant {known.tenant}",
            )
        return tenant

    async def authorize(self, token: str | None, access: str, tenant: str | None) -> str:
        """Return the request tenant."""
        content, known = self._find(token)
        request_tenant = self._request_tenant(content, known, tenant)
        if not allows(known.acl, access):
            raise AuthenticationFailed(f"the token {known.name!r} does not allow {access}")
        return request_tenant

    async def caller(self, token: str | None) -> str:
        """Return the token's name."""
        try:
            return repr(self._find(token)[1].name)
        except (AuthenticationFailed, AuthUnavailable):
            return "an unknown token"

    async def visible(self, tenant: str) -> frozenset[str] | None:
        """Return what a tenant sees: all are below the main one, and have none below themselves."""
        return None if tenant == self.main_tenant else frozenset((tenant,))


def _parse_duration(text: str) -> dt.timedelta:
    match = re.fullmatch(r"(\d+)([hdw])", text)
    if not match:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not allowed; allowed are forms such as 12h, 30d, 8w"
        )
    unit = {"h": "hours", "d": "days", "w": "weeks"}[match[2]]
    return dt.timedelta(**{unit: int(match[1])})


def main(argv: Sequence[str] | None = None) -> int:
    """Run `provd-token`: create, list and revoke tokens. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="provd-token", description="Tokens of the REST API.")
    parser.add_argument(
        "--file", default="/var/lib/provd/tokens.json", help="the token file (auth.tokens_file)"
    )
    after = argparse.ArgumentParser(add_help=False)  # the option may follow the verb, too
    after.add_argument("--file", default=argparse.SUPPRESS, help="the token file")
    verbs = parser.add_subparsers(dest="verb", required=True)
    create = verbs.add_parser("create", help="make a token and print it, once", parents=[after])
    create.add_argument("name")
    create.add_argument(
        "--acl",
        action="append",
        metavar="PATTERN",
        help="what it allows, such as provd.dev_mgr.# (may be repeated; default provd.#)",
    )
    create.add_argument("--tenant", metavar="UUID", help="its tenant (default: the main one)")
    create.add_argument("--expires-in", type=_parse_duration, metavar="TIME", help="12h, 30d, 8w")
    verbs.add_parser("list", help="show all tokens, not their values", parents=[after])
    revoke = verbs.add_parser("revoke", help="remove a token", parents=[after])
    revoke.add_argument("name")
    options = parser.parse_args(argv)
    file = TokenFile(options.file)
    try:
        return _run(file, options)
    except (ProvdError, OSError) as error:
        print(f"provd-token: {error}", file=sys.stderr)  # noqa: T201
        return 1


def _run(file: TokenFile, options: Any) -> int:
    if options.verb == "create":
        if options.tenant and not _TENANT.fullmatch(options.tenant):
            raise SettingsError(f"{options.tenant!r} is not a UUID")
        expires = _now() + options.expires_in if options.expires_in else None
        print(file.create(options.name, options.acl or ["provd.#"], options.tenant, expires))  # noqa: T201
    elif options.verb == "revoke":
        file.revoke(options.name)
    else:
        content = file.read()
        if content is None:
            raise SettingsError(f"there is no token file {file.path}; see --file")
        for token in content.tokens.values():
            state = " (expired)" if token.is_expired(_now()) else ""
            print(  # noqa: T201
                f"{token.name}\ttenant {token.tenant}\texpires {token.expires or 'never'}{state}"
                f"\t{' '.join(token.acl)}"
            )
    return 0
