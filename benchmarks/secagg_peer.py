"""The peer of `make bench-secagg`: one client and one server of Flower's SecAgg+, from its own functions.

What is called and in which order is what `flwr.client.mod.secaggplus_mod` and
`flwr.server.workflow.SecAggPlusWorkflow` do, without messages, logging and training. What they move between
machines is in memory here. Nothing of it is changed.
"""

from __future__ import annotations

import os

import numpy as np
from flwr.common import ndarray_to_bytes
from flwr.common.secure_aggregation.crypto.shamir import combine_shares, create_shares
from flwr.common.secure_aggregation.crypto.symmetric_encryption import decrypt, encrypt, generate_shared_key
from flwr.common.secure_aggregation.ndarrays_arithmetic import (
    factor_combine,
    parameters_addition,
    parameters_mod,
    parameters_multiply,
    parameters_subtraction,
)
from flwr.common.secure_aggregation.quantization import quantize
from flwr.common.secure_aggregation.secaggplus_utils import (
    pseudo_rand_gen,
    share_keys_plaintext_concat,
    share_keys_plaintext_separate,
)
from flwr.supercore.primitives.asymmetric import (
    bytes_to_private_key,
    bytes_to_public_key,
    generate_key_pairs,
    private_key_to_bytes,
    public_key_to_bytes,
)

# The workflow's defaults.
CLIPPING_RANGE, TARGET_RANGE, MOD_RANGE = 8.0, 1 << 22, 1 << 32


def mask_and_add(vector: list[np.ndarray], seed: bytes) -> list[np.ndarray]:
    """One neighbour's mask: generated and added."""
    return parameters_addition(vector, pseudo_rand_gen(seed, MOD_RANGE, [part.shape for part in vector]))


class Client:
    """One client among `members`, all of them its neighbours.

    The neighbours' keys and boxes are its own again: what they cost does not depend on who made them.
    """

    def __init__(self, members: int, threshold: int) -> None:
        self.members, self.threshold = members, threshold
        self.neighbour_public = public_key_to_bytes(generate_key_pairs()[1])

    def run(self, update: np.ndarray) -> list[bytes]:
        """Setup, key shares, masked vector: everything between the float vector and the bytes to send."""
        mask_key, box_key = (private_key_to_bytes(generate_key_pairs()[0]) for _ in range(2))
        seed = os.urandom(32)
        boxes = self._boxes(mask_key, box_key, seed)
        self._open(boxes)
        vector = quantize(parameters_multiply([update], 1.0), CLIPPING_RANGE, TARGET_RANGE)
        vector = mask_and_add(factor_combine(TARGET_RANGE, vector), seed)
        for neighbour in range(1, self.members):
            shared = generate_shared_key(
                bytes_to_private_key(mask_key), bytes_to_public_key(self.neighbour_public)
            )
            mask = pseudo_rand_gen(shared, MOD_RANGE, [part.shape for part in vector])
            change = parameters_addition if neighbour % 2 else parameters_subtraction
            vector = change(vector, mask)
        return [ndarray_to_bytes(part) for part in parameters_mod(vector, MOD_RANGE)]

    def _boxes(self, mask_key: bytes, box_key: bytes, seed: bytes) -> list[tuple[bytes, bytes]]:
        seeds = create_shares(seed, self.threshold, self.members)
        keys = create_shares(mask_key, self.threshold, self.members)
        boxes = []
        for neighbour in range(1, self.members):
            shared = generate_shared_key(
                bytes_to_private_key(box_key), bytes_to_public_key(self.neighbour_public)
            )
            plain = share_keys_plaintext_concat(0, neighbour, seeds[neighbour], keys[neighbour])
            boxes.append((shared, encrypt(shared, plain)))
        return boxes

    def _open(self, boxes: list[tuple[bytes, bytes]]) -> None:
        for shared, box in boxes:
            share_keys_plaintext_separate(decrypt(shared, box))


class Server:
    """A server that has the masked sum and the answers of all survivors.

    It combines every share that arrived, as the workflow does. All survivors share one seed and all dropped
    clients one key: rebuilding costs the same for each. With `holders` below `members` the graph is not
    complete: a client has so many shares dealt, its own among them, and a tenth of them dropped as well.
    """

    def __init__(self, members: int, threshold: int, dropped: int, holders: int | None = None) -> None:
        holders = members if holders is None else holders
        self.survivors, self.dropped = members - dropped, dropped
        self.neighbours = round(holders * self.survivors / members)
        self.seed_shares = create_shares(os.urandom(32), threshold, holders)[: self.neighbours]
        secret, public = generate_key_pairs()
        self.key_shares = create_shares(private_key_to_bytes(secret), threshold, holders)[: self.neighbours]
        self.public = public_key_to_bytes(public)

    def unmask(self, total: np.ndarray) -> list[np.ndarray]:
        """Rebuilds every secret, and takes the survivors' own and the dropped clients' pair masks out."""
        vector = [total]
        for _ in range(self.survivors):
            mask = pseudo_rand_gen(combine_shares(self.seed_shares), MOD_RANGE, [total.shape])
            vector = parameters_subtraction(vector, mask)
        for _ in range(self.dropped):
            key = combine_shares(self.key_shares)
            # Between two dropped clients there is no mask to remove; the real one generates those too.
            for neighbour in range(self.neighbours):
                shared = generate_shared_key(bytes_to_private_key(key), bytes_to_public_key(self.public))
                mask = pseudo_rand_gen(shared, MOD_RANGE, [total.shape])
                change = parameters_addition if neighbour % 2 else parameters_subtraction
                vector = change(vector, mask)
        return parameters_mod(vector, MOD_RANGE)
