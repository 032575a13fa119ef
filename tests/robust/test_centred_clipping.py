import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import RoundAbandoned
from securefl.robust import centred_clipping


def plain_walk(rows, radius, iterations, start):
    """Karimireddy et al. 2021, algorithm 2, on the vectors themselves."""
    point = start
    for _ in range(iterations):
        differences = rows - point
        lengths = np.linalg.norm(differences, axis=1)
        reach = np.median(lengths) if radius is None else radius
        cut = np.array([1.0 if length <= reach else reach / length for length in lengths])
        point = point + (differences * cut[:, None]).mean(axis=0)
    return point


def plain_start(rows):
    reaches = [sorted(np.linalg.norm(one - other) for other in rows)[len(rows) // 2] for one in rows]
    return rows[int(np.argmin(reaches))]


@given(
    st.integers(1, 9), st.integers(1, 6), st.sampled_from([None, 0.3, 2.0]), st.integers(1, 12),
    st.integers(0, 2**32),
)  # fmt: skip
@settings(deadline=None, max_examples=60)
def test_the_walk_in_the_gram_matrix_is_the_walk_of_the_vectors(count, dim, radius, iterations, seed):
    rng = np.random.default_rng(seed)
    rows, start, ones = rng.normal(size=(count, dim)), rng.normal(size=dim), np.ones(count)
    given_start = centred_clipping(radius, iterations, start)(rows, ones)
    np.testing.assert_allclose(given_start, plain_walk(rows, radius, iterations, start), rtol=0, atol=1e-7)
    free = centred_clipping(radius, iterations)(rows, ones)
    np.testing.assert_allclose(
        free, plain_walk(rows, radius, iterations, plain_start(rows)), rtol=0, atol=1e-7
    )


def test_an_infinite_radius_makes_one_step_the_mean():
    rows = np.random.default_rng(0).normal(size=(6, 4))
    found = centred_clipping(np.inf, 1, np.zeros(4))(rows, np.ones(6))
    np.testing.assert_allclose(found, rows.mean(axis=0), rtol=0, atol=1e-14)


@given(st.sampled_from([1.0, 1e4, 1e30, 1e250]), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_each_row_moves_the_result_by_no_more_than_the_guarantee_says(reach, seed):
    rng = np.random.default_rng(seed)
    rows, start = rng.normal(size=(5, 3)), np.zeros(3)
    rows[0] *= reach
    # In one step a row that lies at the start says nothing.
    for radius in (0.1, 1.0):
        moved = centred_clipping(radius, 1, start)(rows, np.ones(5))
        still = centred_clipping(radius, 1, start)(np.concatenate([start[None], rows[1:]]), np.ones(5))
        assert np.linalg.norm(moved - still) <= radius / 5 * (1 + 1e-9)


@given(st.sampled_from([3.0, 1e3, 1e9, 1e36]), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_without_a_radius_two_liars_of_seven_stay_within_the_spread_of_the_honest(reach, seed):
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(5, 4))
    rows = np.concatenate([reach * np.ones((2, 4)), honest])
    result = centred_clipping()(rows, np.ones(7))
    diameter = max(np.linalg.norm(one - other) for one in honest for other in honest)
    assert np.linalg.norm(honest - result, axis=1).min() <= diameter


def test_rows_at_the_centre_have_no_direction_and_do_no_harm():
    assert centred_clipping()(np.full((4, 2), 3.0), np.ones(4)).tolist() == [3.0, 3.0]
    assert centred_clipping(1.0, 3, np.zeros(2))(np.zeros((4, 2)), np.ones(4)).tolist() == [0.0, 0.0]


def test_a_radius_or_a_number_of_steps_that_does_nothing_is_refused():
    for radius in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="radius above 0"):
            centred_clipping(radius)
    with pytest.raises(ValueError, match="at least 1 iteration"):
        centred_clipping(1.0, 0)
    with pytest.raises(RoundAbandoned, match="at least 1 rows"):
        centred_clipping()(np.empty((0, 3)), np.empty(0))
