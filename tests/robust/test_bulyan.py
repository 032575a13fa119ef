import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from securefl.errors import RoundAbandoned
from securefl.robust import bulyan, geometry
from securefl.robust.bulyan import near_median, picks


def plain_picks(rows, f):
    """El Mhamdi et al. 2018, section 4, first step: Krum, set its row aside, Krum on the rest."""
    left, picked = list(range(len(rows))), []
    while len(picked) < len(rows) - 2 * f:
        scores = []
        for i in left:
            others = sorted(float(((rows[i] - rows[j]) ** 2).sum()) for j in left if j != i)
            scores.append(sum(others[: max(1, len(left) - f - 2)]))
        picked.append(left.pop(int(np.argmin(scores))))
    return sorted(picked)


def plain_near_median(values, kept):
    """Second step, one column: the values nearest to the median, averaged."""
    median = np.median(values)
    return np.mean(sorted(values, key=lambda value: abs(value - median))[:kept])


@given(st.integers(0, 2), st.integers(0, 3), st.integers(1, 6), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_the_columns_of_the_picked_rows_are_averaged_near_their_median(f, extra, dim, seed):
    rows = np.random.default_rng(seed).normal(size=(4 * f + 3 + extra, dim))
    picked = picks(geometry(rows).squared, f)
    expected = [plain_near_median(rows[picked, j], len(rows) - 4 * f) for j in range(dim)]
    np.testing.assert_allclose(bulyan(f)(rows, np.ones(len(rows))), expected, rtol=0, atol=1e-12)


@given(st.integers(0, 2), st.integers(0, 3), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_rows_are_picked_one_after_the_other_from_those_that_are_left(f, extra, seed):
    # Whole numbers: distances are exact on both sides, so ties are broken alike, by the earlier row.
    rows = np.random.default_rng(seed).integers(-9, 9, size=(4 * f + 3 + extra, 3)).astype(np.float64)
    assert picks(geometry(rows).squared, f) == plain_picks(rows, f)


def test_scoring_once_would_pick_other_rows():
    rows = np.random.default_rng(3).normal(size=(11, 2))
    once = plain_picks(rows, 2)
    scores = [sorted(((rows - row) ** 2).sum(axis=1))[1:8] for row in rows]
    cheap = sorted(np.argsort([sum(score) for score in scores])[:7].tolist())
    assert once != cheap
    assert picks(geometry(rows).squared, 2) == once


@given(st.integers(1, 2), st.integers(0, 3), st.sampled_from([0.5, 3.0, 1e9, 1e200]), st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_no_coordinate_is_further_out_than_the_honest_range_is_wide(f, extra, reach, seed):
    rng = np.random.default_rng(seed)
    honest = rng.normal(size=(3 * f + 3 + extra, 4))
    rows = np.concatenate([reach * rng.normal(size=(f, 4)), honest])
    result = bulyan(f)(rows, np.ones(len(rows)))
    low, high = honest.min(axis=0), honest.max(axis=0)
    width = high - low
    assert (low - width <= result).all()
    assert (result <= high + width).all()


def test_many_columns_join_without_a_seam():
    rows = np.random.default_rng(0).normal(size=(5, 100_003))
    whole = near_median(rows, [0, 1, 2, 3, 4], 3)
    for start in (0, 52_000, 100_000):
        part = near_median(rows[:, start : start + 3], [0, 1, 2, 3, 4], 3)
        np.testing.assert_allclose(whole[start : start + 3], part, rtol=0, atol=1e-15)


@pytest.mark.parametrize("f", [0, 1, 2])
def test_fewer_rows_than_four_f_and_three_abandon_the_round(f):
    bulyan(f)(np.zeros((4 * f + 3, 2)), np.ones(4 * f + 3))
    with pytest.raises(RoundAbandoned, match=f"at least {4 * f + 3} rows"):
        bulyan(f)(np.zeros((4 * f + 2, 2)), np.ones(4 * f + 2))
