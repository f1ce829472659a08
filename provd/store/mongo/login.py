"""Logging in to a MongoDB server by SCRAM (RFC 5802, RFC 7677)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import TYPE_CHECKING, Any

from bson import Binary
from pymongo.saslprep import saslprep
from twisted.internet.threads import deferToThreadPool

from provd.store.mongo.wire import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provd.store.mongo.address import Address
    from provd.store.mongo.wire import Connection, Stored


class Scram:
    """The client's side of the exchange, without I/O.

    `secret` is the password as the mechanism has it, `nonce` a text that nobody can guess.
    RefusedError if the server breaks the rules.
    """

    def __init__(self, digest: str, user: str, secret: bytes, nonce: str) -> None:
        self.digest = digest
        self.secret = secret
        self.salt = b""
        self.iterations = 0
        self._nonce = nonce
        name = user.replace("=", "=3D").replace(",", "=2C")
        self._first = f"n={name},r={nonce}".encode()
        self._challenge = b""
        self._signed = b""
        self._salted = b""

    @property
    def first_message(self) -> bytes:
        """What the client says first."""
        return b"n,," + self._first

    def challenge_received(self, challenge: bytes) -> None:
        """Take the server's salt and number of iterations."""
        given = _fields(challenge)
        self.iterations = int(given.get("i", "0"))
        # Not too few to be safe, nor so many that it would keep us busy.
        if (
            not given.get("r", "").startswith(self._nonce)
            or not 4096 <= self.iterations <= 10_000_000
        ):
            raise RefusedError("its login challenge is not acceptable", lasting=True)
        self.salt = base64.b64decode(given["s"])
        self._challenge = challenge

    def final_message(self, salted: bytes) -> bytes:
        """Return the client's proof; `salted` is the secret, hashed as the server asked."""
        self._salted = salted
        key = hmac.digest(salted, b"Client Key", self.digest)
        bare = f"c=biws,r={_fields(self._challenge)['r']}".encode()
        self._signed = b",".join((self._first, self._challenge, bare))
        stored = hashlib.new(self.digest, key).digest()
        signature = hmac.digest(stored, self._signed, self.digest)
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        return bare + b",p=" + base64.b64encode(proof)

    def verify(self, answer: bytes) -> None:
        """Check that the server knows the password too."""
        key = hmac.digest(self._salted, b"Server Key", self.digest)
        expected = base64.b64encode(hmac.digest(key, self._signed, self.digest)).decode()
        if not hmac.compare_digest(_fields(answer).get("v", ""), expected):
            raise RefusedError("it does not know the password of its user", lasting=True)


class Login:
    """Proves on each connection that we know the password, and that the server does too."""

    def __init__(self, reactor: Any, address: Address) -> None:
        self._reactor = reactor
        self._address = address
        self._salted: dict[tuple[str, bytes, int], bytes] = {}

    async def log_in(self, connection: Connection, offered: Iterable[str], seconds: float) -> None:
        """Log in, by one of the mechanisms `offered` unless the address names one."""
        address = self._address
        assert address.user is not None
        mechanism = address.mechanism or (
            "SCRAM-SHA-1"
            if "SCRAM-SHA-1" in offered and "SCRAM-SHA-256" not in offered
            else "SCRAM-SHA-256"
        )
        if mechanism == "SCRAM-SHA-1":
            text = f"{address.user}:mongo:{address.password}"
            digest = "sha1"
            secret = hashlib.md5(text.encode()).hexdigest().encode()  # noqa: S324 - as specified
        else:
            digest = "sha256"
            secret = saslprep(address.password).encode()
        scram = Scram(digest, address.user, secret, base64.b64encode(os.urandom(24)).decode())

        async def exchange(command: Stored, message: bytes) -> Stored:
            reply = await connection.call(
                address.auth_source, {**command, "payload": Binary(message)}, seconds
            )
            if not reply.get("ok"):
                raise RefusedError(
                    f"login of {address.user!r} refused: {reply.get('errmsg')}", lasting=True
                )
            return reply

        start = {
            "saslStart": 1,
            "mechanism": mechanism,
            "options": {"skipEmptyExchange": True},
        }
        reply = await exchange(start, scram.first_message)
        scram.challenge_received(bytes(reply["payload"]))
        proceed = {"saslContinue": 1, "conversationId": reply["conversationId"]}
        reply = await exchange(proceed, scram.final_message(await self._salt(scram)))
        scram.verify(bytes(reply["payload"]))
        if not reply.get("done"):
            reply = await exchange(proceed, b"")
            if not reply.get("done"):
                raise RefusedError("its login does not end", lasting=True)

    async def _salt(self, scram: Scram) -> bytes:
        """Return the hash of the password that a server asks for; that of the last is kept."""
        asked = (scram.digest, scram.salt, scram.iterations)
        salted = self._salted.get(asked)
        if salted is None:
            # Many milliseconds, but outside of the interpreter's lock.
            salted = await deferToThreadPool(
                self._reactor,
                self._reactor.getThreadPool(),
                hashlib.pbkdf2_hmac,
                scram.digest,
                scram.secret,
                scram.salt,
                scram.iterations,
            )
            self._salted = {asked: salted}
        return salted


def _fields(message: bytes) -> dict[str, str]:
    return {part[:1]: part[2:] for part in message.decode().split(",")}
