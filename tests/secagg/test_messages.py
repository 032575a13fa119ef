from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Annotated, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import DecodeError
from securefl.secagg.codec import Blob, Fixed, Many, Uint, record_from_bytes, record_to_bytes
from securefl.secagg.messages import MESSAGE_TYPES, DrawEvidence, from_bytes, to_bytes
from securefl.secagg.states import STATE_TYPES, SharePair, state_from_bytes, state_to_bytes


def values(hint):
    """A strategy for everything that a record field may hold."""
    if get_origin(hint) is not Annotated:
        hints = get_type_hints(hint, include_extras=True)
        return st.builds(hint, *(values(hints[field.name]) for field in fields(hint)))
    base, mark = get_args(hint)
    match mark:
        case Uint(size):
            return st.integers(0, (1 << 8 * size) - 1)
        case Fixed(size):
            return st.binary(min_size=size, max_size=size)
        case Blob(limit):
            return st.binary(max_size=min(limit, 40))
        case Many(limit, sequence):
            item = get_args(base)[0]
            if sequence:
                return st.lists(values(item), max_size=min(limit, 3)).map(tuple)
            return st.lists(values(item), max_size=min(limit, 3), unique_by=first).map(
                lambda items: tuple(sorted(items, key=first))
            )


def first(item):
    return getattr(item, fields(item)[0].name) if is_dataclass(item) else item


messages = st.sampled_from(MESSAGE_TYPES).flatmap(values)
states = st.sampled_from(STATE_TYPES).flatmap(values)


@given(messages)
@settings(max_examples=120, deadline=None)
def test_every_message_survives_the_wire(message):
    assert from_bytes(to_bytes(message)) == message


@given(states)
@settings(max_examples=60, deadline=None)
def test_every_state_survives_storage(state):
    assert state_from_bytes(state_to_bytes(state)) == state


@given(st.one_of(values(SharePair), values(DrawEvidence)))
@settings(max_examples=30, deadline=None)
def test_records_inside_boxes_and_blobs_survive_too(record):
    assert record_from_bytes(type(record), record_to_bytes(record)) == record


@given(messages, st.data())
@settings(max_examples=150, deadline=None)
def test_mutated_bytes_are_refused_or_are_canonical_themselves(message, data):
    raw = bytearray(to_bytes(message))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(raw) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "insert"])):
            case "flip":
                raw[place] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del raw[place]
            case "insert":
                raw.insert(place, data.draw(st.integers(0, 255)))
    try:
        accepted = from_bytes(bytes(raw))
    except DecodeError:
        return
    assert to_bytes(accepted) == bytes(raw)


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_noise_is_refused_with_a_typed_error(noise):
    for prefix in (b"", *(b"SFSA\x01" + bytes((kind,)) for kind in range(1, 17))):
        try:
            assert to_bytes(from_bytes(prefix + noise)) == prefix + noise
        except DecodeError:
            continue


def test_a_state_is_no_message_and_a_message_no_state():
    with pytest.raises(DecodeError):
        from_bytes(b"SFST\x01\x01")
    with pytest.raises(DecodeError):
        state_from_bytes(b"SFSA\x01\x01")


def test_the_union_is_closed_at_sixteen_messages_and_seven_states():
    assert len(MESSAGE_TYPES) == 16
    assert len(STATE_TYPES) == 7
