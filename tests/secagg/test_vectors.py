"""The wire format and the key schedule as committed: a change of either needs a new version."""

from __future__ import annotations

import hashlib
import hmac
import json
import subprocess
import sys
from dataclasses import is_dataclass, replace
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from securefl.crypto import KeyPair
from securefl.errors import DecodeError
from securefl.secagg import join, split, transcript
from securefl.secagg.codec import Many
from securefl.secagg.masking import pair_seed
from securefl.secagg.messages import MESSAGE_TYPES, from_bytes, to_bytes

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"
MESSAGES = json.loads((VECTORS / "secagg_messages.json").read_text())
KEYS_FILE = json.loads((VECTORS / "secagg_keys.json").read_text())
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


LIST_ERRORS = (
    "count too high",
    "count too low",
    "count beyond the bytes",
    "count beyond the cap",
    "huge count",
)
ORDER_ERRORS = ("descending", "listed twice")


def lists_of(hint, path):
    """(path, whether its order is free) of every list in a record, in what it nests and in items of lists."""
    if get_origin(hint) is Annotated:
        base, mark = get_args(hint)
        if isinstance(mark, Many):
            yield path, mark.sequence
            yield from lists_of(get_args(base)[0], path)
    elif is_dataclass(hint):
        for name, inner in get_type_hints(hint, include_extras=True).items():
            yield from lists_of(inner, f"{path}.{name}")


def test_there_are_invalid_vectors_for_every_list_of_every_message():
    lists = [one for cls in MESSAGE_TYPES for one in lists_of(cls, cls.__name__)]
    wanted = {
        f"{path}: {what}" for path, free in lists for what in LIST_ERRORS + (() if free else ORDER_ERRORS)
    }
    assert len(lists) == 15
    assert wanted <= set(MESSAGES["invalid"])


@pytest.mark.parametrize("what", MESSAGES["envelopes"]["valid"])
def test_a_valid_envelope_is_split_into_its_parts_and_written_as_itself(what):
    one = MESSAGES["envelopes"]["valid"][what]
    data, parts = bytes.fromhex(one["bytes"]), tuple(map(bytes.fromhex, one["parts"]))
    assert split(data) == parts
    if len(parts) == 2:
        assert join(parts) == data
        # The format once more, by hand: magic, version, kind, and both parts with their lengths.
        assert data == b"SFRD\x01\x01" + b"".join(number(len(part)) + part for part in parts)


@pytest.mark.parametrize("what", MESSAGES["envelopes"]["invalid"])
def test_an_invalid_envelope_is_refused(what):
    data = bytes.fromhex(MESSAGES["envelopes"]["invalid"][what])
    assert data.startswith(b"SFRD")
    with pytest.raises(DecodeError):
        split(data)


@pytest.mark.parametrize("what", MESSAGES["envelopes"]["valid"])
def test_no_envelope_is_a_message(what):
    # A reader of messages takes an envelope for none, so nobody can smuggle one into a step.
    with pytest.raises(DecodeError):
        from_bytes(bytes.fromhex(MESSAGES["envelopes"]["valid"][what]["bytes"]))


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
    values = {name: bytes.fromhex(one) for name, one in KEYS_FILE[agreement].items() if isinstance(one, str)}
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
    values = {name: bytes.fromhex(one) for name, one in KEYS_FILE["x25519"].items() if isinstance(one, str)}

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


# One input changed -------------------------------------------------------------------------------------

SLOT = {"slot"}
SESSION = {
    "session",
    *("pair label 4, 9", "pair label 4, 5", "pair seed 4, 9", "pair seed 4, 5"),
    *("self label of 4", "self label of 9", "self seed of 4"),
    *("survivors message", "survivors message, all"),
}
SHARES = {"share hash, key", "share hash, seed"}
HALF = {"pair commitment 4 to 9", "pair seed 4, 9", "pair seed 4, 5", "box key 4 to 9", "box key 9 to 4"}
KEYS = {
    "keys digest",
    *SHARES,
    *("box data 4 to 9", "box data 9 to 4", "box key 4 to 9", "box key 9 to 4"),
    *("pair box 4 to 9", "pair box 9 to 4", "key of the sealed half 4 to 9", "pair commitment 4 to 9"),
    *SESSION,
}
CONTEXT = {"context", "keys message of 4", "keys leaf of 4", "keys leaf of 4, absent", *KEYS}
OF_TERMS = ("config", "roster", "group seed", "group", "members", "holders", "threshold", "survivors")
CHANGED = {
    **dict.fromkeys(("task", "round", "attempt"), SLOT | CONTEXT),
    **dict.fromkeys((*OF_TERMS, "colluding", "length", "ring bits", "masking"), CONTEXT),
    **dict.fromkeys(
        ("mask secret of 4", "channel secret of 4", "seed of 4"),
        KEYS | {"keys message of 4", "keys leaf of 4"},
    ),
    "signature of 4": KEYS | {"keys leaf of 4"},
    **dict.fromkeys(("model", "root of 4"), SESSION),
    **dict.fromkeys(("salt", "share"), SHARES),
    "half": HALF,
}
"""By input: everything that must become another value, and nothing else may."""


def schedules(agreement: str) -> dict[str, dict[str, bytes]]:
    """By what was changed (\"\" for nothing): the whole schedule."""
    given = KEYS_FILE[agreement]
    base = {name: bytes.fromhex(one) for name, one in given.items() if isinstance(one, str)}
    changed = given["with one input changed"]
    return {
        "": base,
        **{what: base | {k: bytes.fromhex(v) for k, v in new.items()} for what, new in changed.items()},
    }


@pytest.mark.parametrize("agreement", ["x25519", "hybrid"])
def test_every_input_of_the_schedule_changes_all_that_is_bound_to_it_and_nothing_else(agreement):
    changed = KEYS_FILE[agreement]["with one input changed"]
    assert set(changed) == set(CHANGED) - (set() if agreement == "hybrid" else {"half"})
    assert {what: set(new) for what, new in changed.items()} == {what: CHANGED[what] for what in changed}


@pytest.mark.parametrize("agreement", ["x25519", "hybrid"])
def test_no_value_of_any_schedule_occurs_twice_whatever_its_label_direction_or_input(agreement):
    found = schedules(agreement)
    changed = KEYS_FILE[agreement]["with one input changed"]
    values = [*found[""].values(), *(found[what][name] for what, new in changed.items() for name in new)]
    assert len(set(values)) == len(values) > 400


@pytest.mark.parametrize("agreement", ["x25519", "hybrid"])
def test_every_changed_schedule_hangs_together_as_the_definition_says(agreement):
    hybrid = agreement == "hybrid"
    for what, values in schedules(agreement).items():
        keys, session = values["keys digest"], values["session"]
        four, five, last = number(4), number(5), number(10 if what == "members" else 9)
        half = changed_filler(what, "half") if hybrid else b""
        hashed = (four, last, changed_filler(what, "salt", 16), changed_filler(what, "share", 33))
        assert values["share hash, seed"] == digest("share", keys, number(1), *hashed)
        assert values["share hash, key"] == digest("share", keys, number(2), *hashed)
        assert values["box data 4 to 9"] == digest("box", keys, four, last)
        assert values["box data 9 to 4"] == digest("box", keys, last, four)
        assert values["pair box 4 to 9"] == digest("pair box", keys, four, last)
        assert values["pair box 9 to 4"] == digest("pair box", keys, last, four)
        assert values["pair commitment 4 to 9"] == digest("pair commitment", keys, four, last, half)
        assert values["pair label 4, 9"] == digest("pair mask", session, four, last)
        assert values["pair label 4, 5"] == digest("pair mask", session, four, five)
        assert values["self label of 4"] == digest("self mask", session, four)
        seed = changed_filler(what, "seed of 4", name="seed 4")
        assert values["self seed of 4"] == hkdf(seed, values["self label of 4"])
        assert values["survivors message"] == digest("survivors", session, four, last)
        assert values["survivors message, all"] == digest("survivors", session, four, five, last)


def changed_filler(what: str, noun: str, size: int = 32, name: str = "") -> bytes:
    value = filler(name or noun, size)
    return bytes([value[0] ^ 1]) + value[1:] if what == noun else value


@pytest.mark.parametrize("hybrid", [False, True])
def test_both_ends_of_a_pair_have_one_label_and_one_seed_and_another_pair_has_another(hybrid):
    one, other = KeyPair(filler("mask 4"), hybrid), KeyPair(filler("mask 9"), hybrid)
    values = schedules("hybrid" if hybrid else "x25519")[""]
    half = filler("half") if hybrid else b""
    seeds = {
        pair_seed(one, other.public, half, values["session"], (4, 9)),
        pair_seed(other, one.public, half, values["session"], (9, 4)),
    }
    assert seeds == {values["pair seed 4, 9"]}
    assert pair_seed(one, other.public, half, values["session"], (4, 8)) not in seeds


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("change", [-1, 1])
def test_public_keys_of_another_length_agree_on_nothing(hybrid, change):
    pair, public = KeyPair(filler("mask 4"), hybrid), KeyPair(filler("mask 9"), hybrid).public
    with pytest.raises(DecodeError):
        pair.agree(public[:change] if change < 0 else public + b"\0", b"label")
    with pytest.raises(DecodeError):
        pair.agree(KeyPair(filler("mask 9"), not hybrid).public, b"label")


@pytest.mark.parametrize("name", ["task", "config", "roster", "group_seed"])
@pytest.mark.parametrize("size", [0, 31, 33])
def test_terms_with_a_digest_of_another_length_have_no_context(make_world, name, size):
    wire = (world := make_world()).wire()
    world.run(wire)
    terms = from_bytes(wire.heard[0][2]).terms
    assert len(transcript.context(terms)) == 32
    with pytest.raises(ValueError, match="expected 32 bytes"):
        transcript.context(replace(terms, **{name: bytes(size)}))


@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_numbers_that_do_not_fit_their_width_are_in_no_digest(value):
    with pytest.raises(OverflowError):
        transcript.slot(bytes(32), value, 0)


def x25519(name: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(hkdf(filler(name), b"securefl x25519 v1"))


@pytest.mark.parametrize(
    ("seed", "kind", "label"),
    [("pair seed 4, 9", "mask", "pair label 4, 9"), ("box key 4 to 9", "channel", "box data 4 to 9")],
)
def test_agreed_keys_follow_from_the_x25519_secret_and_both_public_keys(seed, kind, label):
    values = KEYS_FILE["x25519"]
    mine, theirs = x25519(f"{kind} 4"), x25519(f"{kind} 9")
    publics = sorted(one.public_key().public_bytes_raw() for one in (mine, theirs))
    shared = mine.exchange(X25519PublicKey.from_public_bytes(theirs.public_key().public_bytes_raw()))
    whole = hashlib.sha256(b"".join(publics)).digest()
    info = b"securefl agreement v1" + b"".join(publics) + whole + bytes.fromhex(values[label])
    assert values[seed] == hkdf(shared, info).hex()
