"""A hash tree, so that one hash covers many leaves and each reader checks only its own.

Rules kept here:
- Leaves and inner nodes are hashed under different tags; a node without a sibling moves up as it is, which
  is unambiguous because the number of leaves is fixed.
- A proof holds exactly the hashes that the reader lacks, level by level from the left; one too many or
  too few is refused.

What this file does NOT do: know what the leaves are. The reader knows its own places and the number of
leaves, so neither is taken from the message.

Reference: Merkle 1987, section 4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from securefl.errors import DecodeError

_INNER = b"securefl/secagg/1/tree node"


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All levels of the tree, leaves first; the last one is the root alone.

    Example:
        >>> [len(level) for level in levels([b"a" * 32, b"b" * 32, b"c" * 32])]
        [3, 2, 1]
    """
    tree = [list(leaves)]
    while len(tree[-1]) > 1:
        below = dict(enumerate(tree[-1]))
        tree.append(list(_above(below, len(below), iter(())).values()))
    return tree


def prove(tree: Sequence[Sequence[bytes]], places: Iterable[int]) -> tuple[bytes, ...]:
    """The hashes that somebody who knows the leaves at `places` lacks to compute the root."""
    proof = []
    known = set(places)
    for level in tree[:-1]:
        beside = sorted({place ^ 1 for place in known} - known)
        proof += [level[place] for place in beside if place < len(level)]
        known = {place >> 1 for place in known}
    return tuple(proof)


def climb(leaves: Mapping[int, bytes], count: int, proof: Sequence[bytes]) -> bytes:
    """The root above known leaves (by place) and what `prove` gave for their places.

    Example:
        >>> tree = levels([b"a" * 32, b"b" * 32, b"c" * 32])
        >>> climb({1: b"b" * 32}, 3, prove(tree, [1])) == tree[-1][0]
        True

    Raises:
        DecodeError: the proof has another length than these places need.
    """
    known, lacking = dict(leaves), iter(proof)
    try:
        while count > 1:
            known = _above(known, count, lacking)
            count = (count + 1) // 2
        excess = next(lacking, None) is not None
    except StopIteration as error:
        raise DecodeError(f"expected a longer proof than {len(proof)} hashes, got it cut short") from error
    if excess or list(known) != [0]:
        raise DecodeError(f"expected a shorter proof than {len(proof)} hashes for these places")
    return known[0]


def _above(known: Mapping[int, bytes], count: int, lacking: Iterator[bytes]) -> dict[int, bytes]:
    """The level above the known places of a level of `count` nodes; missing siblings come from `lacking`."""
    above = {}
    for parent in sorted({place >> 1 for place in known}):
        left, right = 2 * parent, 2 * parent + 1
        if right == count:
            above[parent] = known[left]
            continue
        first = known[left] if left in known else next(lacking)
        above[parent] = _node(first, known[right] if right in known else next(lacking))
    return above


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_INNER + left + right).digest()
