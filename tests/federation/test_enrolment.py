"""Enrolment: identities that differ, a roster that all can check, and a file that shows damage."""

from __future__ import annotations

import json

import pytest

from securefl.crypto import Identity, SeededRandomness, SystemRandomness
from securefl.errors import RunDirectoryError
from securefl.federation.enrolment import enrol, enrolment_from_text, enrolment_to_text


def test_every_client_gets_an_identity_of_its_own_that_the_authority_signed() -> None:
    enrolment = enrol(5, SystemRandomness())
    enrolment.roster.check(enrolment.roster.authority)
    assert enrolment.roster.ids == (0, 1, 2, 3, 4)
    assert len(set(enrolment.keys.values())) == 5
    for client, public in enrolment.roster.keys:
        assert Identity.from_bytes(enrolment.keys[client]).public == public


def test_only_the_test_source_enrols_the_same_clients_twice() -> None:
    assert enrol(2, SystemRandomness()).keys != enrol(2, SystemRandomness()).keys
    assert enrol(2, SeededRandomness(b"e")) == enrol(2, SeededRandomness(b"e"))
    assert enrol(2, SeededRandomness(b"e")).keys != enrol(2, SeededRandomness(b"f")).keys


def test_an_enrolment_survives_its_file() -> None:
    enrolment = enrol(3, SystemRandomness())
    assert enrolment_from_text(enrolment_to_text(enrolment)) == enrolment


def test_the_authoritys_private_key_is_in_no_file() -> None:
    source = SeededRandomness(b"authority")
    private = source.stream("authority").take(32)
    text = enrolment_to_text(enrol(3, source))
    assert Identity.from_bytes(private).public.hex() in text
    assert private.hex() not in text


def damaged(**changed: object) -> str:
    return json.dumps(json.loads(enrolment_to_text(enrol(2, SeededRandomness(b"d")))) | changed)


def with_first(**changed: object) -> str:
    clients = json.loads(damaged())["clients"]
    return damaged(clients=[clients[0] | changed, *clients[1:]])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        with_first(id=7),
        with_first(private="00" * 32),
        with_first(private="zz"),
        with_first(public="00" * 32),
        damaged(signature="00" * 64),
        damaged(authority="00" * 32),
        damaged(clients=[]),
        damaged(clients=[{"id": 0}]),
    ],
)
def test_a_damaged_file_of_identities_is_refused_with_advice(text: str) -> None:
    with pytest.raises(RunDirectoryError, match="restore the run directory from a copy or start a new run"):
        enrolment_from_text(text)
