"""Writes the test vectors of the masked sum: `python scripts/make_vectors.py [folder]`.

    secagg_messages.json   one of each message kind as bytes, and bytes that no reader may accept
    secagg_keys.json       the key schedule of one group, from fixed secrets

Everything follows from fixed inputs, so running it twice gives the same files; a difference to the committed
ones means that the wire format or the key schedule changed, and with it the version.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Annotated, get_args, get_origin, get_type_hints

from securefl.crypto import KeyPair, derive
from securefl.secagg import messages, transcript, tree
from securefl.secagg.codec import Blob, Fixed, Many, Uint
from securefl.secagg.masking import pair_seed, self_seed

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
    survivors = encoded["ConfirmRequest"][:-12]  # count and two ids are its last bytes
    for what, count, ids in (
        ("descending", 2, (5, 4)),
        ("listed twice", 2, (4, 4)),
        ("count too high", 3, (4, 5)),
        ("count too low", 1, (4, 5)),
        ("huge count", 0xFFFFFFFF, (4, 5)),
    ):
        listed = b"".join(number.to_bytes(4, "big") for number in (count, *ids))
        wrong[f"ConfirmRequest: survivors {what}"] = survivors + listed
    return wrong


def message_vectors() -> dict[str, object]:
    """Valid and invalid encodings."""
    encoded = {
        cls.__name__: messages.to_bytes(sample(cls, cls.__name__))  # type: ignore[arg-type]
        for cls in messages.MESSAGE_TYPES
    }
    return {
        "valid": {kind: data.hex() for kind, data in encoded.items()},
        "invalid": {what: data.hex() for what, data in negatives(encoded).items()},
    }


def key_vectors(hybrid: bool) -> dict[str, object]:
    """The key schedule of one group of three under one agreement; what a step reads comes before it."""
    members = (4, 5, 9)
    terms = messages.Terms(
        *(filler(name, 32) for name in ("task", "config", "roster")),
        *(7, 1, 2, members, 3, 2, 2, 0, messages.HYBRID if hybrid else messages.X25519, 5, 19, 1),
        filler("group seed", 32),
    )
    context = transcript.context(terms)
    secrets = {
        member: {name: filler(f"{name} {member}", 32) for name in ("channel", "mask", "seed")}
        for member in members
    }
    pairs = {member: KeyPair(secrets[member]["mask"], hybrid) for member in members}
    advertised = {
        member: messages.AdvertiseReply(
            member,
            KeyPair(secrets[member]["channel"], hybrid).public,
            pairs[member].public,
            transcript.seed_commitment(context, member, secrets[member]["seed"]),
            filler(f"signature {member}", 64),
        )
        for member in members
    }
    leaves = [transcript.keys_leaf(context, one, advertised[one]) for one in members]
    keys = transcript.keys_digest(context, tree.levels(leaves)[-1][0])
    roots = tree.levels([transcript.dealer_leaf(keys, one, filler(f"root {one}", 32)) for one in members])
    session = transcript.session(keys, roots[-1][0], b"model")
    half = filler("half", 32) if hybrid else b""
    salt, share = filler("salt", 16), filler("share", messages.SHARE_BYTES)
    values = {
        "slot": transcript.slot(terms.task, terms.round, terms.attempt),
        "context": context,
        "keys message of 4": transcript.keys_message(context, advertised[4]),
        "keys leaf of 4": leaves[0],
        "keys leaf of 4, absent": transcript.keys_leaf(context, 4, None),
        "keys digest": keys,
        "share hash, key": transcript.share_hash(keys, messages.KEY_KIND, 4, 9, salt, share),
        "share hash, seed": transcript.share_hash(keys, messages.SEED_KIND, 4, 9, salt, share),
        "box data 4 to 9": transcript.box_data(keys, 4, 9),
        "box data 9 to 4": transcript.box_data(keys, 9, 4),
        "box key 4 to 9": KeyPair(secrets[4]["channel"], hybrid).agree(
            advertised[9].channel_public, transcript.box_data(keys, 4, 9), half
        ),
        "pair box 4 to 9": transcript.pair_box(keys, 4, 9),
        "key of the sealed half 4 to 9": derive(secrets[4]["mask"], transcript.pair_box(keys, 4, 9)),
        "pair commitment 4 to 9": transcript.pair_commitment(keys, 4, 9, half),
        "session": session,
        "pair label 4, 9": transcript.pair_label(session, 4, 9),
        "pair seed 4, 9": pair_seed(pairs[4], pairs[9].public, half, session, (4, 9)),
        "self label of 4": transcript.self_label(session, 4),
        "self seed of 4": self_seed(secrets[4]["seed"], session, 4),
        "survivors message": transcript.survivors_message(session, (4, 9)),
    }
    public = {str(member): pair.public for member, pair in pairs.items()}
    return {
        # A hybrid public key is 1,216 bytes long; its hash says as much.
        "mask publics, SHA-256": {one: hashlib.sha256(key).hexdigest() for one, key in public.items()},
        **{name: value.hex() for name, value in values.items()},
    }


def main(folder: Path) -> None:
    """Writes both files."""
    keys = {"x25519": key_vectors(hybrid=False), "hybrid": key_vectors(hybrid=True)}
    for name, content in (("secagg_messages", message_vectors()), ("secagg_keys", keys)):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
