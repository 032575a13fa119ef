"""ML-KEM-768 as published: what the hybrid key agreement rests on.

The numbers and their source are in `tests/vectors/mlkem_768.json`. Encapsulation takes no randomness
from outside, so published encapsulations cannot be replayed; decapsulation, implicit rejection, key
generation from a seed and the check of public keys can.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from securefl.crypto.kem import KemKey, encapsulate
from securefl.errors import ProtocolError

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "mlkem_768.json").read_text())
DECAPSULATION = [pytest.param(case, id=f"case {case['id']}") for case in VECTORS["decapsulation"]]


def public_of(seed: bytes) -> bytes:
    return KemKey.from_seed(seed).public


def decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    return KemKey.from_seed(seed).open(ciphertext)


REFUSAL = ProtocolError


def field(case: dict[str, object], name: str) -> bytes:
    return bytes.fromhex(str(case[name]))


def rejection_secret(seed: bytes, ciphertext: bytes) -> bytes:
    """J(z || c) of FIPS 203, algorithm 18: what a ciphertext that nobody encapsulated decapsulates to."""
    return hashlib.shake_256(seed[32:] + ciphertext).digest(32)


@pytest.mark.parametrize("case", DECAPSULATION)
def test_a_seed_gives_the_published_public_key_and_a_ciphertext_the_published_secret(case):
    seed, ciphertext = field(case, "seed"), field(case, "ciphertext")
    assert public_of(seed) == field(case, "public")
    assert decapsulate(seed, ciphertext) == field(case, "secret")


@pytest.mark.parametrize("case", DECAPSULATION)
def test_only_the_published_rejections_are_rejections(case):
    seed, ciphertext = field(case, "seed"), field(case, "ciphertext")
    assert (rejection_secret(seed, ciphertext) == field(case, "secret")) is case["rejected"]


def test_a_changed_ciphertext_gives_a_pseudorandom_secret_and_no_error():
    seed = field(VECTORS["decapsulation"][1], "seed")
    ciphertext = field(VECTORS["decapsulation"][1], "ciphertext")
    for place in range(0, len(ciphertext), 97):
        changed = ciphertext[:place] + bytes([ciphertext[place] ^ 1]) + ciphertext[place + 1 :]
        assert decapsulate(seed, changed) == rejection_secret(seed, changed)


def test_both_ends_agree_and_no_two_encapsulations_are_alike():
    seed = field(VECTORS["decapsulation"][1], "seed")
    pairs = [encapsulate(public_of(seed)) for _ in range(4)]
    assert [decapsulate(seed, ciphertext) for ciphertext, _ in pairs] == [secret for _, secret in pairs]
    assert len(set(pairs)) == 4
    assert {(len(secret), len(ciphertext)) for ciphertext, secret in pairs} == {(32, 1088)}


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"case {case['id']}") for case in VECTORS["unreduced_public"]]
)
def test_a_public_key_with_an_unreduced_coefficient_is_refused(case):
    with pytest.raises(REFUSAL):
        encapsulate(field(case, "public"))


@pytest.mark.parametrize("change", [-1, 1])
def test_seeds_keys_and_ciphertexts_of_another_length_are_refused(change):
    case = VECTORS["decapsulation"][1]
    seed, public, ciphertext = (field(case, name) for name in ("seed", "public", "ciphertext"))

    def resized(data: bytes) -> bytes:
        return data[:-1] if change < 0 else data + b"\0"

    for refuse in (
        lambda: public_of(resized(seed)),
        lambda: decapsulate(seed, resized(ciphertext)),
        lambda: encapsulate(resized(public)),
    ):
        with pytest.raises(REFUSAL):
            refuse()
