"""The example of RFC 7677 section 3, and servers that do not keep to it."""

import base64
import hashlib

import pytest

from provd.store.mongo.login import Scram
from provd.store.mongo.wire import RefusedError

NONCE = "rOprNGfwEbeRWgbNEkqO"
CHALLENGE = (
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
)
PROOF = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
ANSWER = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def scram(user="user"):
    return Scram("sha256", user, b"pencil", NONCE)


def prove(machine):
    machine.challenge_received(CHALLENGE)
    salted = hashlib.pbkdf2_hmac("sha256", machine.secret, machine.salt, machine.iterations)
    return machine.final_message(salted)


def test_the_example_of_the_rfc_is_reproduced():
    machine = scram()
    assert machine.first_message == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert prove(machine) == PROOF
    assert machine.salt == base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    machine.verify(ANSWER)


def test_a_comma_or_equals_sign_in_the_name_is_written_as_the_rfc_says():
    assert scram("a=b,c").first_message.startswith(b"n,,n=a=3Db=2Cc,")


@pytest.mark.parametrize(
    "challenge",
    [
        CHALLENGE.replace(b"r=rO", b"r=xx"),
        CHALLENGE.replace(b"i=4096", b"i=4095"),
        CHALLENGE.replace(b"i=4096", b"i=10000001"),
        b"",
    ],
)
def test_a_challenge_that_is_not_for_us_or_asks_too_little_or_too_much_is_refused(challenge):
    with pytest.raises(RefusedError, match="challenge") as caught:
        scram().challenge_received(challenge)
    assert caught.value.lasting


@pytest.mark.parametrize("answer", [b"v=AAAA", b"e=other-error", b""])
def test_a_server_that_does_not_know_the_password_is_refused(answer):
    machine = scram()
    prove(machine)
    with pytest.raises(RefusedError, match="does not know the password"):
        machine.verify(answer)
