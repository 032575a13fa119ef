from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.errors import DecodeError
from securefl.secagg.tree import climb, levels, prove


def leaves(count):
    return [hashlib.sha256(bytes((index,))).digest() for index in range(count)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 31, 64])
def test_every_leaf_climbs_to_the_root_and_only_from_its_own_place(count):
    given, tree = leaves(count), levels(leaves(count))
    (root,) = tree[-1]
    for index, leaf in enumerate(given):
        proof = prove(tree, [index])
        assert climb({index: leaf}, count, proof) == root
        other = (index + 1) % count
        if other != index:
            assert climb({index: given[other]}, count, proof) != root


@given(
    st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1)))
)
def test_any_set_of_leaves_climbs_with_its_proof(case):
    count, places = case
    tree = levels(leaves(count))
    known = {place: leaves(count)[place] for place in places}
    assert climb(known, count, prove(tree, places)) == tree[-1][0]


def test_whoever_knows_all_leaves_needs_no_proof():
    tree = levels(leaves(13))
    assert prove(tree, range(13)) == ()


def test_a_proof_of_another_length_is_refused():
    tree = levels(leaves(5))
    for proof in (prove(tree, [0])[:-1], (*prove(tree, [0]), bytes(32))):
        with pytest.raises(DecodeError, match="proof"):
            climb({0: leaves(5)[0]}, 5, proof)


def test_roots_of_lists_of_different_length_differ():
    assert len({levels(leaves(count))[-1][0] for count in range(1, 65)}) == 64
