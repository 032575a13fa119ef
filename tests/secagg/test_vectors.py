"""The wire format and the key schedule as committed: a change of either needs a new version."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from securefl.errors import DecodeError
from securefl.secagg.messages import MESSAGE_TYPES, from_bytes, to_bytes

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"
MESSAGES = json.loads((VECTORS / "secagg_messages.json").read_text())
KEYS = json.loads((VECTORS / "secagg_keys.json").read_text())
FILES = ("secagg_messages.json", "secagg_keys.json")


def test_there_is_a_vector_for_every_message_kind():
    assert list(MESSAGES["valid"]) == [cls.__name__ for cls in MESSAGE_TYPES]


@pytest.mark.parametrize("kind", MESSAGES["valid"])
def test_a_valid_vector_is_read_as_its_kind_and_written_as_itself(kind):
    data = bytes.fromhex(MESSAGES["valid"][kind])
    message = from_bytes(data)
    assert type(message).__name__ == kind
    assert to_bytes(message) == data


@pytest.mark.parametrize("what", MESSAGES["invalid"])
def test_an_invalid_vector_is_refused(what):
    with pytest.raises(DecodeError):
        from_bytes(bytes.fromhex(MESSAGES["invalid"][what]))


def test_the_committed_vectors_are_what_the_code_gives_today(tmp_path):
    subprocess.run([sys.executable, str(ROOT / "scripts" / "make_vectors.py"), str(tmp_path)], check=True)
    for name in FILES:
        assert (tmp_path / name).read_text() == (VECTORS / name).read_text()
        assert (tmp_path / name).stat().st_size < 200_000


# The schedule once more, from hashlib and hmac alone: nothing below calls the package ----------------


def digest(purpose: str, *parts: bytes) -> bytes:
    data = b"".join(
        len(part).to_bytes(8, "big") + part for part in (b"securefl/secagg/1/" + purpose.encode(), *parts)
    )
    return hashlib.sha256(data).digest()


def hkdf(secret: bytes, info: bytes) -> bytes:
    """RFC 5869 with SHA-256, no salt, one block."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def filler(name: str, size: int = 32) -> bytes:
    return hashlib.shake_128(name.encode()).digest(size)


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


@pytest.mark.parametrize("agreement", ["x25519", "hybrid"])
def test_the_schedule_follows_from_its_definition(agreement):
    values = {name: bytes.fromhex(one) for name, one in KEYS[agreement].items() if isinstance(one, str)}
    keys, session = values["keys digest"], values["session"]
    hybrid = agreement == "hybrid"
    four, nine = number(4), number(9)
    terms = b"".join(
        (
            *(filler(name) for name in ("task", "config", "roster")),
            *(number(one) for one in (7, 1, 2)),
            *(number(one) for one in (3, 4, 5, 9)),
            *(number(one) for one in (3, 2, 2, 0)),
            bytes([hybrid]),
            number(5),
            bytes([19, 1]),
            filler("group seed"),
        )
    )
    assert values["slot"] == digest("slot", filler("task"), number(7), number(1))
    assert values["context"] == digest("context", terms)
    hashed = (four, nine, filler("salt", 16), filler("share", 33))
    assert values["share hash, seed"] == digest("share", keys, number(1), *hashed)
    assert values["share hash, key"] == digest("share", keys, number(2), *hashed)
    assert values["box data 4 to 9"] == digest("box", keys, four, nine)
    assert values["box data 9 to 4"] == digest("box", keys, nine, four)
    assert values["pair box 4 to 9"] == digest("pair box", keys, four, nine)
    half = filler("half") if hybrid else b""
    assert values["pair commitment 4 to 9"] == digest("pair commitment", keys, four, nine, half)
    assert values["key of the sealed half 4 to 9"] == hkdf(filler("mask 4"), values["pair box 4 to 9"])
    assert values["pair label 4, 9"] == digest("pair mask", session, four, nine)
    assert values["self label of 4"] == digest("self mask", session, four)
    assert values["self seed of 4"] == hkdf(filler("seed 4"), values["self label of 4"])
    assert values["survivors message"] == digest("survivors", session, four, nine)


def test_the_digests_of_the_group_follow_from_their_trees():
    # Three leaves: the third has no sibling and moves up as it is.
    values = {name: bytes.fromhex(one) for name, one in KEYS["x25519"].items() if isinstance(one, str)}

    def node(left, right):
        return hashlib.sha256(b"securefl/secagg/1/tree node" + left + right).digest()

    context = values["context"]
    leaves = []
    for member in (4, 5, 9):
        commitment = digest("seed commitment", context, number(member), filler(f"seed {member}"))
        publics = [x25519(f"{name} {member}").public_key().public_bytes_raw() for name in ("channel", "mask")]
        blobs = b"".join(number(len(public)) + public for public in publics)
        reply = number(member) + blobs + commitment + filler(f"signature {member}", 64)
        leaves.append(digest("keys leaf", context, number(member), reply))
    assert values["keys leaf of 4"] == leaves[0]
    assert values["keys leaf of 4, absent"] == digest("keys leaf", context, number(4), b"")
    keys = digest("keys", context, node(node(leaves[0], leaves[1]), leaves[2]))
    assert values["keys digest"] == keys
    roots = [digest("dealer leaf", keys, number(one), filler(f"root {one}")) for one in (4, 5, 9)]
    dealers = node(node(roots[0], roots[1]), roots[2])
    assert values["session"] == digest("session", keys, dealers, hashlib.sha256(b"model").digest())


def x25519(name: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(hkdf(filler(name), b"securefl x25519 v1"))


@pytest.mark.parametrize(
    ("seed", "kind", "label"),
    [("pair seed 4, 9", "mask", "pair label 4, 9"), ("box key 4 to 9", "channel", "box data 4 to 9")],
)
def test_agreed_keys_follow_from_the_x25519_secret_and_both_public_keys(seed, kind, label):
    values = KEYS["x25519"]
    mine, theirs = x25519(f"{kind} 4"), x25519(f"{kind} 9")
    publics = sorted(one.public_key().public_bytes_raw() for one in (mine, theirs))
    shared = mine.exchange(X25519PublicKey.from_public_bytes(theirs.public_key().public_bytes_raw()))
    whole = hashlib.sha256(b"".join(publics)).digest()
    info = b"securefl agreement v1" + b"".join(publics) + whole + bytes.fromhex(values[label])
    assert values[seed] == hkdf(shared, info).hex()
