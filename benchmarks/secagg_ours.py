"""This package's side of `make bench-secagg`: the primitives of one client and one server.

`Client` and `Server` do with `securefl.crypto` and `securefl.encoding` what the steps of `securefl.secagg`
do, for a complete graph among any number of members; messages and signatures of others are left out, as they
are on the peer's side. The steps themselves are in `secagg_round`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np

from securefl.crypto import (
    AgreementKey,
    Identity,
    SystemRandomness,
    add_masks,
    combine_with,
    derive,
    lagrange_at_zero,
    open_sealed,
    seal,
    split,
)
from securefl.encoding import FixedPoint, pack_in_place

SOURCE = SystemRandomness()
ZERO = bytes(32)


def sharing(members: int, threshold: int) -> None:
    """One client's part: both its secrets dealt out, and both secrets of one client rebuilt."""
    stream, points = SOURCE.stream("bench"), range(1, members + 1)
    seeds, keys = (split(stream.take(32), threshold, points, stream) for _ in range(2))
    chosen = list(points)[:threshold]
    weights = lagrange_at_zero(chosen)
    for shares in (seeds, keys):
        combine_with(weights, [shares[point] for point in chosen])


class Client:
    """One client among `members`, all of them its neighbours; it meets itself in place of each."""

    def __init__(self, codec: FixedPoint, members: int, threshold: int) -> None:
        self.codec, self.members, self.threshold = codec, members, threshold
        self.neighbour = AgreementKey.generate(SOURCE.stream("neighbour")).public
        self.identity = Identity.generate(SOURCE.stream("identity"))

    def run(self, update: np.ndarray) -> bytes:
        """Keys, shares, masked vector: everything between the float vector and the bytes to send."""
        stream = SOURCE.stream("client")
        channel, own = AgreementKey.generate(stream), AgreementKey.generate(stream)
        seed = stream.take(32)
        boxes = []
        points = range(1, self.members + 1)
        seeds, keys = (split(s, self.threshold, points, stream) for s in (seed, own.private_bytes))
        for point in points[1:]:
            label = point.to_bytes(4, "big")
            key, plain = channel.agree(self.neighbour, label), seeds[point] + keys[point] + stream.take(32)
            hashlib.sha256(plain).digest()
            boxes.append((label, seal(key, plain, label, stream.take(12))))
        for label, box in boxes:
            # A holder agrees again: its box key is another one for each direction.
            hashlib.sha256(open_sealed(channel.agree(self.neighbour, label), box, label)).digest()
        masks = [(derive(seed, b"self"), 1)]
        masks += [(own.agree(self.neighbour, b"pair" + bytes([n])), 1 if n % 2 else -1) for n in points[1:]]
        words = self.codec.encode(update, stream)
        add_masks(words, masks)
        vector = pack_in_place(words, self.codec.ring_bits)
        signature = self.identity.sign(b"vector", hashlib.sha256(vector).digest())
        return b"".join((vector, signature))


class Server:
    """A server that has the masked sum and the answers of all survivors.

    Every share that arrived is held against a salted hash of 32 bytes, as the protocol asks; the threshold
    of them rebuild a secret. One seed and one key stand for all, as on the peer's side.
    """

    def __init__(self, members: int, threshold: int, dropped: int) -> None:
        self.survivors, self.dropped, self.threshold = members - dropped, dropped, threshold
        stream, points = SOURCE.stream("server"), range(1, members + 1)
        self.seed, self.key = stream.take(32), AgreementKey.generate(stream)
        self.publics = [AgreementKey.generate(stream).public for _ in range(self.survivors)]
        self.salt = stream.take(16)
        self.seeds = self._answers(split(self.seed, threshold, points, stream))
        self.keys = self._answers(split(self.key.private_bytes, threshold, points, stream))

    def unmask(self, total: np.ndarray) -> None:
        """Rebuilds and checks every secret, and takes out the same masks as the peer, in place."""
        weights, masks = lagrange_at_zero(range(1, self.threshold + 1)), []
        for survivor in range(self.survivors):
            seed = combine_with(weights, self._checked(self.seeds))
            assert hashlib.sha256(seed).digest() != ZERO  # stands for the check of the seed's commitment
            masks.append((derive(seed, b"self" + bytes([survivor])), -1))
        for dropped in range(self.dropped):
            key = AgreementKey.from_bytes(combine_with(weights, self._checked(self.keys)))
            assert key.public == self.key.public
            for survivor, public in enumerate(self.publics):
                masks.append((key.agree(public, bytes([dropped, survivor])), 1 if survivor % 2 else -1))
        add_masks(total, masks)

    def _answers(self, shares: Mapping[int, bytes]) -> list[tuple[bytes, bytes]]:
        arrived = list(shares.values())[: self.survivors]
        return [(share, hashlib.sha256(self.salt + share).digest()) for share in arrived]

    def _checked(self, answers: list[tuple[bytes, bytes]]) -> list[bytes]:
        assert all(hashlib.sha256(self.salt + share).digest() == signed for share, signed in answers)
        return [share for share, _ in answers[: self.threshold]]
