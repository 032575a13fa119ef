"""The rotation: orthonormal, public, and it spreads a vector as evenly as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.encoding.rotation import largest_share, padded, rotate, unrotate

SEEDS = st.binary(min_size=32, max_size=32)


def vectors(most: int = 70) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=most).map(np.array)


def seed(number: int) -> bytes:
    return number.to_bytes(32, "big")


def hadamard(size: int) -> np.ndarray:
    """Sylvester's construction."""
    matrix = np.ones((1, 1))
    while matrix.shape[0] < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix / math.sqrt(size)


@given(vectors(), SEEDS)
@settings(deadline=None, max_examples=60)
def test_rotating_keeps_the_norm_and_can_be_undone(vector: np.ndarray, key: bytes) -> None:
    rotated = rotate(vector, key)
    assert rotated.size == padded(vector.size)
    assert np.linalg.norm(rotated) == pytest.approx(np.linalg.norm(vector), rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(unrotate(rotated, key, vector.size), vector, rtol=1e-11, atol=1e-10)


@pytest.mark.parametrize("size", [1, 2, 8, 64])
def test_the_transform_is_sylvesters_matrix(size: int) -> None:
    vector = np.arange(size, dtype=np.float64)
    signs = rotate(np.eye(size)[0], seed(3)) * math.sqrt(size)  # the first column has one sign throughout
    assert np.ptp(signs) == 0.0
    columns = np.stack([rotate(unit, seed(3)) for unit in np.eye(size)], axis=1)
    matrix = hadamard(size)
    signs = np.sign((columns * matrix).sum(axis=0))
    np.testing.assert_allclose(columns, matrix * signs, atol=1e-12)
    np.testing.assert_allclose(rotate(vector, seed(3)), matrix @ (signs * vector), atol=1e-10)


def test_another_seed_is_another_rotation_and_the_same_seed_the_same() -> None:
    vector = np.arange(100.0)
    assert np.array_equal(rotate(vector, seed(1)), rotate(vector, seed(1)))
    assert not np.array_equal(rotate(vector, seed(1)), rotate(vector, seed(2)))


@pytest.mark.parametrize(("dim", "size"), [(1, 1), (2, 2), (3, 4), (650, 1024), (1024, 1024), (1025, 2048)])
def test_a_vector_is_padded_to_a_power_of_two(dim: int, size: int) -> None:
    assert padded(dim) == size
    assert rotate(np.ones(dim), seed(1)).size == size


def test_a_rotated_coordinate_passes_the_share_no_more_often_than_stated() -> None:
    size, chance, tries = 256, 0.05, 2000
    bound = largest_share(size, chance)
    vector = np.ones(size) / math.sqrt(size)  # evenly spread before: nothing else makes it peak
    passed = sum(np.abs(rotate(vector, seed(number))).max() > bound for number in range(tries))
    assert passed <= tries * chance + 5 * math.sqrt(tries * chance)
    # Not a vacuous bound: at two thirds of it most vectors have a larger coordinate.
    assert sum(np.abs(rotate(vector, seed(n))).max() > bound * 2 / 3 for n in range(200)) > 100


def test_a_single_spike_is_spread_over_everything() -> None:
    spike = np.zeros(1024)
    spike[17] = 1.0
    np.testing.assert_allclose(np.abs(rotate(spike, seed(5))), 1 / 32, rtol=1e-12)
