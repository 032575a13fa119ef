"""Writes the test vectors of the masked sum: `python scripts/make_vectors.py [folder]`.

    secagg_messages.json   one of each message kind as bytes, and bytes that no reader may accept; envelopes
    secagg_keys.json       the key schedule of one group, from fixed secrets, and what becomes of it when one
                           input is another

Everything follows from fixed inputs, so running it twice gives the same files; a difference to the committed
ones means that the wire format or the key schedule changed, and with it the version.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

from securefl.crypto import KeyPair, derive
from securefl.secagg import messages, transcript, tree
from securefl.secagg.codec import Blob, Fixed, Many, Uint
from securefl.secagg.masking import pair_seed, self_seed
from securefl.secagg.riding import join

FOLDER = Path(__file__).parents[1] / "tests" / "vectors"
HEADER_BYTES = 6
SAMPLE_BLOB_BYTES = 5


def sample(hint: object, name: str, index: int = 0) -> object:
    """A value of a record field that its name and place determine."""
    if get_origin(hint) is not Annotated:
        hints = get_type_hints(hint, include_extras=True)
        return hint(*(sample(hints[one.name], f"{name}.{one.name}", index) for one in fields(hint)))
    base, mark = get_args(hint)
    match mark:
        case Uint(size):
            return (size + index) % 256
        case Fixed(size):
            return filler(f"{name} {index}", size)
        case Blob():
            return filler(f"{name} {index}", SAMPLE_BLOB_BYTES)
        case Many():
            return tuple(sample(get_args(base)[0], name, place) for place in range(2))
    raise TypeError(f"unknown wire format {mark!r}")


def filler(name: str, size: int) -> bytes:
    """Fixed bytes that look like none of the others."""
    return hashlib.shake_128(name.encode()).digest(size)


def negatives(encoded: dict[str, bytes]) -> dict[str, bytes]:
    """Bytes that are no message, by what is wrong with them."""
    wrong = {"nothing": b"", "magic alone": b"SFSA", "noise": filler("noise", 40)}
    for kind, data in encoded.items():
        wrong[f"{kind}: another magic"] = b"SFST" + data[4:]
        wrong[f"{kind}: version 2"] = data[:4] + b"\x02" + data[5:]
        wrong[f"{kind}: kind 0"] = data[:5] + b"\x00" + data[6:]
        wrong[f"{kind}: kind 17"] = data[:5] + b"\x11" + data[6:]
        wrong[f"{kind}: header alone"] = data[:HEADER_BYTES]
        wrong[f"{kind}: one byte short"] = data[:-1]
        wrong[f"{kind}: one byte long"] = data + b"\x00"
    return wrong | list_negatives()


def list_negatives() -> dict[str, bytes]:
    """Every list of every message with wrong order, wrong counts, or more than its cap."""
    wrong = {}
    for number, cls in enumerate(messages.MESSAGE_TYPES, start=1):
        for path, mark in lists_of(cls, cls.__name__):
            for what, bend in BENT_LISTS.items():
                if not (mark.sequence and what in ORDER):  # the order of a proof is part of what it says
                    head = b"SFSA\x01" + bytes([number])
                    wrong[f"{path}: {what}"] = head + bent(cls, cls.__name__, 0, path, bend)
    return wrong


Bend = Callable[[list[bytes], int], tuple[int, list[bytes]]]
BENT_LISTS: dict[str, Bend] = {
    "descending": lambda items, cap: (len(items), items[::-1]),
    "listed twice": lambda items, cap: (len(items), [items[0], *items[:1], *items[2:]]),
    "count too high": lambda items, cap: (len(items) + 1, items),
    "count too low": lambda items, cap: (len(items) - 1, items),
    "count beyond the bytes": lambda items, cap: (cap, items),
    "count beyond the cap": lambda items, cap: (cap + 1, items),
    "huge count": lambda items, cap: (0xFFFFFFFF, items),
}
ORDER = ("descending", "listed twice")


def lists_of(hint: object, path: str) -> Iterator[tuple[str, Many]]:
    """Where a record has lists, and how each is marked; lists in the items of lists too."""
    if get_origin(hint) is Annotated:
        base, mark = get_args(hint)
        if isinstance(mark, Many):
            yield path, mark
            yield from lists_of(get_args(base)[0], path)
        return
    hints = get_type_hints(hint, include_extras=True)
    for one in fields(hint):  # type: ignore[arg-type]
        yield from lists_of(hints[one.name], f"{path}.{one.name}")


def bent(hint: object, path: str, index: int, target: str, bend: Bend) -> bytes:
    """The bytes of `sample(hint, path, index)` with the list at `target` bent."""
    if get_origin(hint) is not Annotated:
        hints = get_type_hints(hint, include_extras=True)
        names = [one.name for one in fields(hint)]  # type: ignore[arg-type]
        return b"".join(bent(hints[name], f"{path}.{name}", index, target, bend) for name in names)
    base, mark = get_args(hint)
    if not isinstance(mark, Many):
        value = sample(hint, path, index)
        raw = value.to_bytes(mark.size, "big") if isinstance(value, int) else value
        return (len(raw).to_bytes(4, "big") if isinstance(mark, Blob) else b"") + raw
    items = [bent(get_args(base)[0], path, place, target, bend) for place in range(2)]
    count, items = bend(items, mark.limit) if path == target else (2, items)
    return count.to_bytes(4, "big") + b"".join(items)


def envelope_vectors() -> dict[str, object]:
    """Envelopes of two parts, messages that are none, and bytes with its magic that no reader may accept."""
    one, two = b"SFSA one", b"SFSA two"
    whole, nested = join((one, two)), join((b"", b""))
    valid = {
        "both parts": (whole, (one, two)),
        "the second missing": (join((one, b"")), (one, b"")),
        "the first missing": (join((b"", two)), (b"", two)),
        "both missing": (nested, (b"", b"")),
        "the same part twice": (join((one, one)), (one, one)),
        "a message of its own": (one, (one,)),
        "half a magic": (b"SFR", (b"SFR",)),
    }
    invalid = {
        "magic alone": whole[:4],
        "header alone": whole[:HEADER_BYTES],
        "version 2": whole[:4] + b"\x02" + whole[5:],
        "kind 0": whole[:5] + b"\x00" + whole[6:],
        "kind 2": whole[:5] + b"\x02" + whole[6:],
        "one byte short": whole[:-1],
        "one byte long": whole + b"\x00",
        "one part only": whole[: HEADER_BYTES + 4 + len(one)],
        "a third part": whole + len(two).to_bytes(4, "big") + two,
        "a first length beyond the bytes": whole[:HEADER_BYTES] + b"\xff\xff\xff\xff" + whole[10:],
        "a second length beyond the bytes": whole[: -len(two) - 4] + b"\x00\x00\x00\x09" + two,
        "an envelope as first part": join((nested, two)),
        "an envelope as second part": join((one, nested)),
        "a bare magic as second part": join((one, b"SFRD")),
    }
    return {
        "valid": {
            what: {"bytes": data.hex(), "parts": [part.hex() for part in parts]}
            for what, (data, parts) in valid.items()
        },
        "invalid": {what: data.hex() for what, data in invalid.items()},
    }


def message_vectors() -> dict[str, object]:
    """Valid and invalid encodings."""
    encoded = {
        cls.__name__: messages.to_bytes(sample(cls, cls.__name__))  # type: ignore[arg-type]
        for cls in messages.MESSAGE_TYPES
    }
    return {
        "valid": {kind: data.hex() for kind, data in encoded.items()},
        "invalid": {what: data.hex() for what, data in negatives(encoded).items()},
        "envelopes": envelope_vectors(),
    }


INPUTS: dict[str, object] = {
    **{name: filler(name, 32) for name in ("task", "config", "roster", "group seed")},
    "round": 7,
    "attempt": 1,
    "group": 2,
    "members": (4, 5, 9),
    "holders": 3,
    "threshold": 2,
    "survivors": 2,
    "colluding": 0,
    "length": 5,
    "ring bits": 19,
    "masking": 1,
    "model": b"model",
    "mask secret of 4": filler("mask 4", 32),
    "channel secret of 4": filler("channel 4", 32),
    "seed of 4": filler("seed 4", 32),
    "signature of 4": filler("signature 4", 64),
    "root of 4": filler("root 4", 32),
    "half": filler("half", 32),
    "salt": filler("salt", 16),
    "share": filler("share", messages.SHARE_BYTES),
}
"""What the schedule of one group of three follows from."""
ONLY_HYBRID = ("half",)


def other(value: object) -> object:
    """Another value of the same kind and size."""
    match value:
        case int():
            return value + 1
        case bytes():
            return bytes((value[0] ^ 1, *value[1:]))
    return (4, 5, 10)


def key_vectors(hybrid: bool) -> dict[str, object]:
    """The key schedule of one group of three under one agreement, and with one input changed at a time."""
    changed = {
        name: schedule(hybrid, {**INPUTS, name: other(value)})
        for name, value in INPUTS.items()
        if hybrid or name not in ONLY_HYBRID
    }
    pairs = {str(one): key.public for one, key in mask_pairs(hybrid, INPUTS).items()}
    values = schedule(hybrid, INPUTS)
    return {
        # A hybrid public key is 1,216 bytes long; its hash says as much.
        "mask publics, SHA-256": {one: hashlib.sha256(key).hexdigest() for one, key in pairs.items()},
        **{name: value.hex() for name, value in values.items()},
        "with one input changed": {
            name: {what: value.hex() for what, value in found.items() if value != values[what]}
            for name, found in changed.items()
        },
    }


def mask_pairs(hybrid: bool, given: Mapping[str, object]) -> dict[int, KeyPair]:
    """Everybody's mask key pair, by member."""
    return {
        member: KeyPair(given.get(f"mask secret of {member}", filler(f"mask {member}", 32)), hybrid)
        for member in given["members"]
    }


def schedule(hybrid: bool, given: Mapping[str, object]) -> dict[str, bytes]:
    """The key schedule that follows from given inputs; what a step reads comes before it."""
    members = given["members"]
    last = members[-1]
    numbers = ("holders", "threshold", "survivors", "colluding")
    terms = messages.Terms(
        *(given[name] for name in ("task", "config", "roster", "round", "attempt", "group", "members")),
        *(given[name] for name in numbers),
        messages.HYBRID if hybrid else messages.X25519,
        *(given[name] for name in ("length", "ring bits", "masking", "group seed")),
    )
    context = transcript.context(terms)

    def secret(noun: str, member: int, size: int = 32) -> bytes:
        named = noun if noun in ("seed", "signature", "root") else f"{noun} secret"
        return given.get(f"{named} of {member}", filler(f"{noun} {member}", size))

    pairs = mask_pairs(hybrid, given)
    channels = {member: KeyPair(secret("channel", member), hybrid) for member in members}
    advertised = {
        member: messages.AdvertiseReply(
            member,
            channels[member].public,
            pairs[member].public,
            transcript.seed_commitment(context, member, secret("seed", member)),
            secret("signature", member, 64),
        )
        for member in members
    }
    leaves = [transcript.keys_leaf(context, one, advertised[one]) for one in members]
    keys = transcript.keys_digest(context, tree.levels(leaves)[-1][0])
    roots = tree.levels([transcript.dealer_leaf(keys, one, secret("root", one)) for one in members])
    session = transcript.session(keys, roots[-1][0], given["model"])
    half = given["half"] if hybrid else b""
    salt, share = given["salt"], given["share"]
    return {
        "slot": transcript.slot(terms.task, terms.round, terms.attempt),
        "context": context,
        "keys message of 4": transcript.keys_message(context, advertised[4]),
        "keys leaf of 4": leaves[0],
        "keys leaf of 4, absent": transcript.keys_leaf(context, 4, None),
        "keys digest": keys,
        "share hash, key": transcript.share_hash(keys, messages.KEY_KIND, 4, last, salt, share),
        "share hash, seed": transcript.share_hash(keys, messages.SEED_KIND, 4, last, salt, share),
        "box data 4 to 9": transcript.box_data(keys, 4, last),
        "box data 9 to 4": transcript.box_data(keys, last, 4),
        "box key 4 to 9": channels[4].agree(
            advertised[last].channel_public, transcript.box_data(keys, 4, last), half
        ),
        "box key 9 to 4": channels[last].agree(
            advertised[4].channel_public, transcript.box_data(keys, last, 4), half
        ),
        "pair box 4 to 9": transcript.pair_box(keys, 4, last),
        "pair box 9 to 4": transcript.pair_box(keys, last, 4),
        "key of the sealed half 4 to 9": derive(pairs[4].secret, transcript.pair_box(keys, 4, last)),
        "pair commitment 4 to 9": transcript.pair_commitment(keys, 4, last, half),
        "session": session,
        "pair label 4, 9": transcript.pair_label(session, 4, last),
        "pair label 4, 5": transcript.pair_label(session, 4, 5),
        "pair seed 4, 9": pair_seed(pairs[4], pairs[last].public, half, session, (4, last)),
        "pair seed 4, 5": pair_seed(pairs[4], pairs[5].public, half, session, (4, 5)),
        "self label of 4": transcript.self_label(session, 4),
        "self label of 9": transcript.self_label(session, last),
        "self seed of 4": self_seed(secret("seed", 4), session, 4),
        "survivors message": transcript.survivors_message(session, (4, last)),
        "survivors message, all": transcript.survivors_message(session, members),
    }


def main(folder: Path) -> None:
    """Writes both files."""
    keys = {"x25519": key_vectors(hybrid=False), "hybrid": key_vectors(hybrid=True)}
    for name, content in (("secagg_messages", message_vectors()), ("secagg_keys", keys)):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
