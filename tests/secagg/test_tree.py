from __future__ import annotations

import hashlib

import pytest

from securefl.errors import DecodeError
from securefl.secagg.tree import climb, depth, levels, path


def leaves(count):
    return [hashlib.sha256(bytes((index,))).digest() for index in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 31, 64])
def test_every_leaf_climbs_to_the_root_and_only_from_its_own_place(count):
    given, tree = leaves(count), levels(leaves(count))
    (root,) = tree[-1]
    for index, leaf in enumerate(given):
        assert climb(leaf, index, count, path(tree, index)) == root
        other = (index + 1) % count
        if other != index:
            assert climb(leaf, other, count, path(tree, index)) != root
            assert climb(given[other], index, count, path(tree, index)) != root


def test_a_path_of_another_length_is_refused():
    tree = levels(leaves(5))
    for siblings in (path(tree, 0)[:-1], (*path(tree, 0), bytes(32))):
        with pytest.raises(DecodeError, match="path"):
            climb(leaves(5)[0], 0, 5, siblings)


def test_an_inner_node_is_no_leaf_of_a_smaller_tree():
    tree = levels(leaves(4))
    assert levels(tree[1])[-1] == tree[-1]  # as hashes the trees agree,
    assert depth(2) != depth(4)  # but a reader knows how many leaves there are, so the path lengths differ


def test_roots_of_lists_of_different_length_differ():
    assert len({levels(leaves(count))[-1][0] for count in range(1, 65)}) == 64
