"""A hash tree, so that one signature covers many deals and each holder checks only its own.

Rules kept here: leaves and inner nodes are hashed under different tags; the number of leaves is padded
to a power of two with a fixed empty leaf that is no hash output.

What this file does NOT do: know what the leaves are. The reader knows its own index and the number of
leaves, so neither is taken from the message.

Reference: Merkle 1987, section 4.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from securefl.errors import DecodeError

_INNER = b"securefl/secagg/1/tree node"
_EMPTY = bytes(32)


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """All levels of the tree, leaves first; the last one is the root alone.

    Example:
        >>> [len(level) for level in levels([b"a" * 32, b"b" * 32, b"c" * 32])]
        [4, 2, 1]
    """
    level = [*leaves, *[_EMPTY] * ((1 << depth(len(leaves))) - len(leaves))]
    tree = [level]
    while len(level) > 1:
        level = [_node(level[index], level[index + 1]) for index in range(0, len(level), 2)]
        tree.append(level)
    return tree


def depth(count: int) -> int:
    """Length of a path in a tree with `count` leaves."""
    return max(count - 1, 0).bit_length()


def path(tree: Sequence[Sequence[bytes]], index: int) -> tuple[bytes, ...]:
    """The siblings on the way from leaf `index` to the root."""
    return tuple(level[(index >> height) ^ 1] for height, level in enumerate(tree[:-1]))


def climb(leaf: bytes, index: int, count: int, siblings: Sequence[bytes]) -> bytes:
    """The root above `leaf`.

    Raises:
        DecodeError: the path has not the length that `count` leaves need.
    """
    if len(siblings) != depth(count):
        raise DecodeError(f"expected a path of {depth(count)} for {count} leaves, got {len(siblings)}")
    for height, sibling in enumerate(siblings):
        leaf = _node(sibling, leaf) if (index >> height) & 1 else _node(leaf, sibling)
    return leaf


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_INNER + left + right).digest()
