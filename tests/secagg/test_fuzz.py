"""Bytes from outside, wrong in every way that a mutation finds: typed errors, little time, little memory.

A target is one decoder with bytes that it must accept. Its inputs are these bytes flipped, cut, spliced
with others, with lengths and counts blown up, and noise. Whatever comes: the decoder returns or raises
an error of ours; it needs less than a second and memory in proportion to the input; what it accepts
encodes to the same bytes again.

What is fuzzed: all messages, envelopes of two of them, all states, bare and sealed, draw evidence, share
pairs, pair offers, sealed boxes, packed vectors, a member's door with requests and with states (altered
under the seal and after it; of complete and ring groups, with and without hybrid keys), the run's
checkpoint and its enrolment.
"""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from fractions import Fraction
from functools import cache
from time import process_time
from typing import Annotated, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from safetensors.numpy import load, save

from securefl.crypto import SystemRandomness, derive, open_sealed, seal
from securefl.encoding.packing import pack, unpack
from securefl.errors import DecodeError, SecureFLError
from securefl.federation import checkpoint
from securefl.federation.checkpoint import state_from_bytes as checkpoint_from_bytes
from securefl.federation.checkpoint import state_to_bytes as checkpoint_to_bytes
from securefl.federation.enrolment import enrol, enrolment_from_text, enrolment_to_text
from securefl.federation.optimizer import Moments
from securefl.federation.server import State as Checkpoint
from securefl.secagg import HYBRID, Draw, draw_groups, join, respond, split, states, step_of
from securefl.secagg.codec import Blob, Fixed, Many, Uint, record_from_bytes, record_to_bytes
from securefl.secagg.messages import (
    MESSAGE_TYPES,
    Contribution,
    DrawEvidence,
    PairOffer,
    from_bytes,
    to_bytes,
)
from securefl.secagg.states import (
    SALT_BYTES,
    STATE_TYPES,
    SharePair,
    open_state,
    seal_state,
    state_from_bytes,
    state_to_bytes,
)

QUICK, SLOW = 10_000, 500_000
SECONDS = 1.0
# Python objects take up to 9 times their 4 bytes on the wire; what a refusal says takes a few kB.
BYTES_PER_BYTE, SPARE_BYTES = 24, 1 << 16


@dataclass(frozen=True)
class Target:
    """One decoder. `encode` maps what it accepted to the bytes it must have come from, or is None."""

    corpus: list[bytes]
    decode: Callable[[bytes], object]
    encode: Callable[[object], bytes] | None


def examine(target: Target, data: bytes) -> bool:
    """Whether one input was accepted; asserts everything that the module promises."""
    tracemalloc.reset_peak()
    before, start = tracemalloc.get_traced_memory()[0], process_time()
    refused, value = False, None
    try:
        value = target.decode(data)
    except SecureFLError:
        refused = True
    except Exception as error:
        raise AssertionError(f"{error!r} for {data[:4000].hex()}") from error
    seconds, peak = process_time() - start, tracemalloc.get_traced_memory()[1] - before
    assert seconds < SECONDS, f"{seconds:.2f} s for {data[:4000].hex()}"
    assert peak < BYTES_PER_BYTE * len(data) + SPARE_BYTES, (
        f"{peak} bytes for {len(data)}: {data[:4000].hex()}"
    )
    if not refused and target.encode is not None:
        assert target.encode(value) == data, f"accepted, but not canonical: {data[:4000].hex()}"
    return not refused


# Mutations ---------------------------------------------------------------------------------------

LARGE = [0xFFFFFFFF, 0x80000000, 0x7FFFFFFF, 1 << 24, 1 << 14, 65, 64, 1, 0]


def flip(chance: random.Random, raw: bytearray, corpus: list[bytes]) -> bytearray:
    for _ in range(chance.randint(1, 8) if raw else 0):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return raw


def flip_head(chance: random.Random, raw: bytearray, corpus: list[bytes]) -> bytearray:
    """Magic, version, kind and the first fields."""
    if raw:
        raw[chance.randrange(min(len(raw), 16))] = chance.randrange(256)
    return raw


def cut(chance: random.Random, raw: bytearray, corpus: list[bytes]) -> bytearray:
    return raw[: chance.randint(0, len(raw))]


def remove(chance: random.Random, raw: bytearray, corpus: list[bytes]) -> bytearray:
    start = chance.randint(0, len(raw))
    del raw[start : start + chance.choice([1, 4, 32, 64])]
    return raw


def repeat(chance: random.Random, raw: bytearray, corpus: list[bytes]) -> bytearray:
    start = chance.randint(0, len(raw))
    size = chance.choice([1, 4, 36, 200])
    raw[start:start] = raw[start : start + size] * chance.randint(1, 4)
    return raw


def splice(chance: random.Random, raw: bytearray, corpus: list[bytes]) -> bytearray:
    other = chance.choice(corpus)
    return raw[: chance.randint(0, len(raw))] + other[chance.randint(0, len(other)) :]


def swap_alike(chance: random.Random, raw: bytearray, corpus: list[bytes]) -> bytearray:
    """Another entry's bytes at the same place: fields that are well formed, but not these."""
    other = chance.choice(corpus)
    start = chance.randint(0, len(raw))
    end = min(start + chance.choice([4, 32, 64]), len(raw), len(other))
    if start < end:
        raw[start:end] = other[start:end]
    return raw


def blow_up(chance: random.Random, raw: bytearray, corpus: list[bytes]) -> bytearray:
    """A number that may be a length or a count (4 bytes, big-endian, small) becomes another one."""
    last = max(len(raw) - 3, 0)
    likely = [at for at in range(min(last, 4000)) if raw[at : at + 2] == b"\0\0"] or list(range(min(last, 1)))
    if likely:
        at = chance.choice(likely)
        number = chance.choice([*LARGE, int.from_bytes(raw[at : at + 4], "big") + chance.choice([-1, 1])])
        raw[at : at + 4] = (number % (1 << 32)).to_bytes(4, "big")
    return raw


def noise(chance: random.Random, raw: bytearray, corpus: list[bytes]) -> bytearray:
    return raw[: chance.choice([0, 4, 5, 6, 10])] + bytearray(chance.randbytes(chance.randint(0, 300)))


def nest(chance: random.Random, raw: bytearray, corpus: list[bytes]) -> bytearray:
    """Opens thousands of JSON lists: whatever parses recursively falls over."""
    at = chance.randint(0, len(raw))
    opening = chance.choice([b"[", b'{"a":', b'{"clients":['])
    raw[at:at] = opening * chance.choice([3, 5000])
    return raw


def literal(chance: random.Random, raw: bytearray, corpus: list[bytes]) -> bytearray:
    """Puts another JSON value where one was."""
    words = [
        b"null",
        b"1e999",
        b"-1",
        b"Infinity",
        b"NaN",
        b"{}",
        b"[]",
        b'""',
        b"9" * 400,
        b'"\\ud800"',
        b"1.5",
    ]
    colons = [at for at, byte in enumerate(raw) if byte == ord(":")]
    if colons:
        start = chance.choice(colons) + 1
        ends = [at for at in (raw.find(b",", start), raw.find(b"}", start)) if at >= 0]
        raw[start : min(ends, default=start)] = chance.choice(words)
    return raw


MUTATIONS = [flip, flip_head, cut, remove, repeat, splice, swap_alike, blow_up, blow_up, noise]
TEXT_MUTATIONS = [nest, literal]


# Targets -----------------------------------------------------------------------------------------


def sampled(hint: object, chance: random.Random) -> object:
    """Any value that a record field may hold, so that no kind is missing however many there are."""
    if get_origin(hint) is not Annotated:
        hints = get_type_hints(hint, include_extras=True)
        return hint(*(sampled(hints[field.name], chance) for field in fields(hint)))
    base, mark = get_args(hint)
    match mark:
        case Uint(size):
            return chance.choice([0, 1, chance.randrange(1 << 8 * size)])
        case Fixed(size):
            return chance.randbytes(size)
        case Blob(limit):
            return chance.randbytes(chance.randint(0, min(limit, 60)))
        case Many(limit, sequence):
            items = [sampled(get_args(base)[0], chance) for _ in range(chance.randint(0, min(limit, 4)))]
            return tuple(
                items if sequence else sorted({first(item): item for item in items}.values(), key=first)
            )
    raise TypeError(f"unknown wire format {mark!r}")


def first(item: object) -> object:
    return getattr(item, fields(item)[0].name) if is_dataclass(item) else item


@dataclass
class Heard:
    """What real rounds say: drawn groups, masked with a dropout, hybrid, on a ring, and plain.

    `requests` are (who answers, its sealed state before, the request).
    """

    requests: list[tuple[object, bytes | None, bytes]]
    replies: list[bytes]
    states: list[bytes]
    evidence: list[bytes]


RING = {"sizes": (66,), "threshold": None, "max_dropout": Fraction(1, 33)}
"""One of the smallest groups on a ring: there, requests carry proofs. Two of its members are listened to."""


@cache
def listen(make_world) -> Heard:
    heard = Heard([], [], [], [])

    def wire(world, lost, kept=range(1 << 32)):
        def on_request(client, step, data):
            one = world.endpoints[client]
            if client in kept:
                heard.requests.append((one, one.states.get(step.after), data))
            return data

        def on_reply(client, step, data):
            if client in kept:
                heard.replies.append(data)
                heard.states.append(state_to_bytes(world.endpoints[client].opened(step.context)))
            return None if (client, step.step) == lost else data

        return world.wire(on_request=on_request, on_reply=on_reply)

    for masking, lost, agreement in ((True, (12, 5), 0), (True, (12, 5), HYBRID), (False, None, 0)):
        world = make_world(sizes=(5,), threshold=3, epoch_rounds=4, masking=masking, agreement=agreement)
        draw = draw_groups(world.epoch(1), wire(world, None))
        plan = {"groups": draw.groups, "group_seed": draw.seed, "evidence": draw.evidence, "masking": masking}
        (outcome,) = world.run(wire(world, lost), **plan, agreement=agreement)
        assert outcome.total is not None
        heard.evidence.append(record_to_bytes(draw.evidence))
    world = make_world(**RING)
    (outcome,) = world.run(wire(world, (12, 5), (10, 40)), max_dropout=RING["max_dropout"])
    assert outcome.total is not None
    return heard


def message_target(heard: Heard, chance: random.Random) -> Target:
    corpus = [data for _, _, data in heard.requests] + heard.replies
    corpus += [to_bytes(sampled(kind, chance)) for kind in MESSAGE_TYPES for _ in range(3)]
    return Target(corpus, from_bytes, to_bytes)


def state_target(heard: Heard, chance: random.Random) -> Target:
    corpus = heard.states + [state_to_bytes(sampled(kind, chance)) for kind in STATE_TYPES for _ in range(3)]
    return Target(corpus, state_from_bytes, state_to_bytes)


def sealed_target(heard: Heard) -> Target:
    """States at rest: whatever was changed under way does not open."""
    key = b"k" * 32
    corpus = [
        seal_state(state_from_bytes(data), key, bytes([n % 256]) * SALT_BYTES)
        for n, data in enumerate(heard.states)
    ]
    return Target(
        corpus,
        lambda data: (data[:SALT_BYTES], open_state(data, key)),
        lambda got: seal_state(got[1], key, got[0]),
    )


def envelope_target(heard: Heard) -> Target:
    """Requests and replies in twos, as they ride, with one of both missing, and by themselves."""
    alone = [data for _, _, data in heard.requests[:40]] + heard.replies[:40]
    pairs = [join(two) for two in zip(alone, [*alone[7:], b"", b""], strict=False)]
    corpus = [*alone[::8], *pairs, join((b"", alone[0])), join((b"", b""))]
    return Target(corpus, split, lambda parts: join(parts) if len(parts) == 2 else parts[0])


def record_target(cls: type, corpus: list[bytes]) -> Target:
    return Target(corpus, lambda data: record_from_bytes(cls, data), record_to_bytes)


def step_target(heard: Heard) -> Target:
    """What a request is for: the first look that a client takes at it."""
    return Target([data for _, _, data in heard.requests], step_of, None)


def door_target(heard: Heard, changed: str) -> Target:
    """A member answers a changed request from its true state, or a true request from a changed state.

    A state is changed under its seal, as if the member had written it, or as it rests. The first byte of an
    input says which of the recorded steps it is for.
    """
    cases = [case for case in heard.requests if case[1] is not None or changed == "request"]
    assert len(cases) <= 256, "one byte says which"

    def start(endpoint, state: bytes | None, request: bytes) -> bytes:
        if changed == "state":
            return state_to_bytes(open_state(state, endpoint.member.storage_key))
        return request if changed == "request" else state

    def decode(data: bytes) -> object:
        endpoint, state, request = cases[(data[0] if data else 0) % len(cases)]
        if changed == "request":
            request = data[1:]
        else:
            state = data[1:] if changed == "box" else sealed(data[1:], endpoint.member.storage_key)
        answer = respond(endpoint.member, state, request, endpoint.contribute)
        return from_bytes(answer.reply), open_state(answer.state, endpoint.member.storage_key)

    return Target([bytes([place]) + start(*case) for place, case in enumerate(cases)], decode, None)


def sealed(raw: bytes, key: bytes) -> bytes:
    """`seal_state` for bytes that need not be a state."""
    salt, label = bytes(SALT_BYTES), states._LABEL
    return salt + seal(derive(key, label, salt=salt), raw, label, bytes(12))


def vector_target(ring_bits: int, count: int, chance: random.Random) -> Target:
    dtype = np.uint32 if ring_bits <= 32 else np.uint64
    draws = np.random.default_rng(chance.randrange(1 << 32))
    vectors = [draws.integers(0, 1 << 63, count, dtype=np.uint64).astype(dtype) for _ in range(4)]
    corpus = [pack(vector, ring_bits) for vector in vectors]
    return Target(
        corpus, lambda data: unpack(data, ring_bits, count, dtype), lambda words: pack(words, ring_bits)
    )


def box_target() -> Target:
    key, nonce = b"k" * 32, b"n" * 12
    boxes = [seal(key, bytes(size), b"data", nonce) for size in (0, 1, 98, 200)]
    return Target(
        boxes,
        lambda data: (data[:12], open_sealed(key, data, b"data")),
        lambda got: seal(key, got[1], b"data", got[0]),
    )


def checkpoint_target() -> Target:
    model = np.linspace(-1, 1, 7, dtype=np.float32)
    moments = Moments(np.zeros(7), np.ones(7))
    evidence = DrawEvidence(1, 1, tuple(Contribution(client, bytes(32)) for client in (1, 2, 3, 4)))
    draw = Draw(bytes(32), ((1, 2), (3, 4)), (5,), 1, (6,), evidence)
    early = {1: b"keys", 3: b"of the coming round"}
    kept = [Checkpoint(3, 1, 0, model, moments, draw, early), Checkpoint(0, 0, 0, model, moments, None, {})]
    return Target(
        [checkpoint_to_bytes(state) for state in kept],
        lambda data: checkpoint_from_bytes(data, 7),
        checkpoint_to_bytes,
    )


def header_target() -> Target:
    """The checkpoint's JSON under a digest that is right: a hash over damage does not make it sound."""

    def decode(data: bytes) -> object:
        arrays = {**whole, "header": np.frombuffer(data, dtype=np.uint8)}
        state = checkpoint_from_bytes(
            save(arrays | {"digest": checkpoint.digest_of(checkpoint._TAG, arrays)}), 7
        )
        again = checkpoint_to_bytes(state)
        assert checkpoint_to_bytes(checkpoint_from_bytes(again, 7)) == again
        return state

    files = [load(data) for data in checkpoint_target().corpus]
    whole = {name: array for name, array in files[0].items() if name != "digest"}
    return Target([file["header"].tobytes() for file in files], decode, None)


def enrolment_target() -> Target:
    """JSON, so there is room for white space: what is accepted must at least mean what it says."""

    def decode(data: bytes) -> object:
        enrolment = enrolment_from_text(data.decode("latin-1"))
        again = enrolment_from_text(enrolment_to_text(enrolment))
        assert (again.roster, dict(again.keys)) == (enrolment.roster, dict(enrolment.keys))
        return enrolment

    text = enrolment_to_text(enrol(3, SystemRandomness()))
    return Target([text.encode("latin-1"), json.dumps(json.loads(text), indent=1).encode()], decode, None)


WEIGHTS = {
    "messages": 60,
    "states": 30,
    "draw evidence": 10,
    "share pair": 5,
    "pair offer": 5,
    "envelope": 15,
    "sealed state": 10,
    "step of a request": 20,
    "door, changed request": 20,
    "door, changed state": 10,
    "door, changed box": 5,
    "packed, 19 bits": 10,
    "packed, 64 bits": 5,
    "sealed box": 10,
    "checkpoint": 5,
    "checkpoint header": 5,
    "enrolment": 10,
}


def target_of(name: str, make_world, chance: random.Random) -> Target:
    heard = listen(make_world)
    pairs = [record_to_bytes(sampled(SharePair, chance)) for _ in range(8)]
    offers = [record_to_bytes(sampled(PairOffer, chance)) for _ in range(8)]
    return {
        "messages": lambda: message_target(heard, chance),
        "states": lambda: state_target(heard, chance),
        "draw evidence": lambda: record_target(DrawEvidence, heard.evidence),
        "share pair": lambda: record_target(SharePair, pairs),
        "pair offer": lambda: record_target(PairOffer, offers),
        "envelope": lambda: envelope_target(heard),
        "sealed state": lambda: sealed_target(heard),
        "step of a request": lambda: step_target(heard),
        "door, changed request": lambda: door_target(heard, "request"),
        "door, changed state": lambda: door_target(heard, "state"),
        "door, changed box": lambda: door_target(heard, "box"),
        "packed, 19 bits": lambda: vector_target(19, 37, chance),
        "packed, 64 bits": lambda: vector_target(64, 9, chance),
        "sealed box": box_target,
        "checkpoint": checkpoint_target,
        "checkpoint header": header_target,
        "enrolment": enrolment_target,
    }[name]()


def share_of(name: str, inputs: int) -> int:
    return -(-inputs * WEIGHTS[name] // sum(WEIGHTS.values()))


def fuzz(target: Target, inputs: int, chance: random.Random, mutations) -> int:
    """How many of `inputs` were accepted. The first round is a rehearsal: caches fill, imports happen."""
    for data in target.corpus:
        target.decode(data)
    accepted = 0
    tracemalloc.start()
    try:
        for _ in range(inputs):
            raw = bytearray(chance.choice(target.corpus))
            for _ in range(chance.randint(1, 3)):
                raw = chance.choice(mutations)(chance, raw, target.corpus)
            accepted += examine(target, bytes(raw))
    finally:
        tracemalloc.stop()
    return accepted


@pytest.mark.parametrize("name", WEIGHTS)
def test_wrong_bytes_end_in_typed_errors_quickly_and_in_little_memory(name, make_world):
    chance = random.Random(f"quick {name}")
    fuzz(target_of(name, make_world, chance), share_of(name, QUICK), chance, mutations_of(name))


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", WEIGHTS)
def test_half_a_million_wrong_inputs_end_in_typed_errors(name, make_world):
    chance = random.Random(f"slow {name}")
    fuzz(target_of(name, make_world, chance), share_of(name, SLOW), chance, mutations_of(name))


def mutations_of(name: str):
    return MUTATIONS + TEXT_MUTATIONS * 4 if name in ("checkpoint header", "enrolment") else MUTATIONS


def test_every_kind_of_message_and_state_is_mutated(make_world):
    chance = random.Random("kinds")
    for name, kinds in (("messages", MESSAGE_TYPES), ("states", STATE_TYPES)):
        target = target_of(name, make_world, chance)
        assert {type(target.decode(data)) for data in target.corpus} == set(kinds)
    assert sum(share_of(name, SLOW) for name in WEIGHTS) >= SLOW


# The examination itself --------------------------------------------------------------------------


def allocates_what_the_count_says(data: bytes) -> object:
    count = int.from_bytes(data[:4], "big")
    room = bytearray(count % (1 << 26))
    if count > len(data):
        raise DecodeError(f"expected {len(room)} bytes")
    return data


def forgets_a_check(data: bytes) -> object:
    return data[: data[4]]


def ignores_the_rest(data: bytes) -> object:
    return data[:60]


def works_as_long_as_it_is_told(data: bytes) -> object:
    end = process_time() + (1.1 * SECONDS if int.from_bytes(data[:4], "big") > 1 << 20 else 0)
    while process_time() < end:
        pass
    return data


@pytest.mark.parametrize(
    "broken",
    [allocates_what_the_count_says, forgets_a_check, ignores_the_rest, works_as_long_as_it_is_told],
)
def test_a_broken_decoder_does_not_pass_the_examination(broken):
    corpus = [(60 + size).to_bytes(4, "big") + bytes(56 + size) for size in range(4)]
    target = Target(corpus, broken, lambda value: value)
    with pytest.raises(AssertionError):
        fuzz(target, 500, random.Random("broken"), MUTATIONS)
