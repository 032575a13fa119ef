import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import RoundAbandoned
from securefl.robust import krum


def plain_krum_scores(rows, f):
    """Blanchard et al. 2017, section 4, one row at a time."""
    scores = []
    for i, one in enumerate(rows):
        others = sorted(float(((one - other) ** 2).sum()) for j, other in enumerate(rows) if j != i)
        scores.append(sum(others[: len(rows) - f - 2]))
    return scores


@given(st.integers(0, 3), st.integers(0, 5), st.integers(1, 9), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_the_row_with_the_smallest_textbook_score_is_chosen(f, extra, dim, seed):
    rows = np.random.default_rng(seed).normal(size=(2 * f + 3 + extra, dim))
    chosen = krum(f)(rows, np.ones(len(rows)))
    scores = plain_krum_scores(rows, f)
    best = rows[int(np.argmin(scores))]
    # Two rows can tie up to rounding, for example when each is the other's only neighbour.
    assert np.array_equal(chosen, best) or (
        plain_krum_scores(rows, f)[[np.array_equal(row, chosen) for row in rows].index(True)]
        <= min(scores) * (1 + 1e-9)
    )


@given(st.integers(1, 3), st.integers(0, 3), st.sampled_from([0.5, 3.0, 1e9, 1e30]), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_the_result_is_as_near_to_an_honest_row_as_the_guarantee_says(f, extra, reach, seed):
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(f + 3 + extra, 4))
    liars = reach * (rng.normal(size=4) + 0.01 * rng.normal(size=(f, 4)))
    count = len(honest) + f
    chosen = krum(f)(np.concatenate([liars, honest]), np.ones(count))
    diameter = max(np.linalg.norm(one - other) for one in honest for other in honest)
    bound = np.sqrt((count - f - 2) / (count - 2 * f - 1)) * diameter
    assert np.linalg.norm(honest - chosen, axis=1).min() <= bound * (1 + 1e-9)


def test_rows_with_enough_equal_ones_beside_them_are_chosen_whoever_sent_them():
    # R = 7, f = 2: three neighbours. Four equal liars have them all, three do not.
    assert krum(2)(np.array([[50.0]] * 4 + [[0.0], [1.0], [2.0]]), np.ones(7)).tolist() == [50.0]
    assert krum(2)(np.array([[50.0]] * 3 + [[0.0], [1.0], [2.0], [3.0]]), np.ones(7)).tolist() == [1.0]


def test_the_number_of_neighbours_is_not_off_by_one():
    # R = 7, f = 2: three neighbours. With two, 200 would win, with four 102.1.
    rows = np.array([[200.0], [200.1], [199.9], [100.0], [101.0], [102.1], [103.0]])
    assert krum(2)(rows, np.ones(7)).tolist() == [101.0]


@pytest.mark.parametrize("f", [0, 1, 2])
def test_fewer_rows_than_two_f_and_three_abandon_the_round(f):
    krum(f)(np.zeros((2 * f + 3, 2)), np.ones(2 * f + 3))
    with pytest.raises(RoundAbandoned, match=f"at least {2 * f + 3} rows"):
        krum(f)(np.zeros((2 * f + 2, 2)), np.ones(2 * f + 2))


def test_a_negative_number_of_attackers_is_refused():
    with pytest.raises(ValueError, match="at least 0"):
        krum(-1)
